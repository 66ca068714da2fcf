package bank

import (
	"bytes"
	"testing"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/model"
)

// TestExportOfTheBank: what is exported applies to the same environment without a change, and to another one of the same
// id with the same bytes (management-api.md 21.3, MG-74).
func TestExportOfTheBank(t *testing.T) {
	call := manage.Call{Caller: manage.Caller{ClientID: "TESTER", Permission: model.PermissionAdmin}, ClientIP: "192.0.2.1", RequestID: "r1"}
	source := packed(t)
	var exports [2]bytes.Buffer
	for i := range exports {
		s := service(t)
		if _, err := s.CreateEnvironment(t.Context(), call, manage.NewEnvironment{ID: EnvironmentID, Name: EnvironmentName, Bare: true}); err != nil {
			t.Fatal(err)
		}
		apply := func(a *archive.Reader) manage.ApplyReport {
			t.Helper()
			report, err := s.Apply(t.Context(), call, EnvironmentID, a, manage.ApplyOptions{Prune: true})
			if err != nil || len(report.Errors) > 0 || len(report.Notes) > 0 {
				t.Fatal(err, report.Errors, report.Notes)
			}
			return report
		}
		revision := apply(source).Revision
		o := manage.ExportOptions{Kind: archive.TarGzip, Assets: true, Identities: true, Scopes: true}
		if _, err := s.Export(t.Context(), EnvironmentID, o, &exports[i]); err != nil {
			t.Fatal(err)
		}
		body := bytes.NewReader(exports[i].Bytes())
		next, err := archive.Open(body, body.Size(), archive.TarGzip, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = next.Close() }() // only read
		if again := apply(next); again.Revision != revision || len(again.Items) > 0 {
			t.Errorf("the export changes revision %d to %d: %+v", revision, again.Revision, again.Items)
		}
		source = next
	}
	if !bytes.Equal(exports[0].Bytes(), exports[1].Bytes()) {
		t.Error("the exports differ")
	}
}
