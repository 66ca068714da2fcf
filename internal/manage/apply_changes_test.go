package manage_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/model"
)

// changed is a short form of the changes of a dry run; what is unchanged stays out.
func (w *world) changed(f files, o manage.ApplyOptions) []string {
	w.t.Helper()
	o.Changes = true
	report, err := w.Apply(w.t.Context(), w.dry(), envID, open(w.t, zipOf(w.t, f), archive.Zip), o)
	w.must(err)
	if len(report.Errors) > 0 {
		w.t.Fatal(texts(report.Errors))
	}
	var out []string
	for _, c := range report.Changes {
		if (c.Before == "") != (c.Result == manage.Created) || (c.After == "") != (c.Result == manage.Deleted) {
			w.t.Errorf("texts of %+v", c)
		}
		name := c.Name
		if c.Kind == "policy-state" {
			name += " " + c.Before + " " + c.After
		}
		out = append(out, c.Result.String()+" "+c.Kind+" "+name+" "+strings.TrimPrefix(c.File, quays))
	}
	return out
}

// MG-14, MG-71: the changes of an apply, with texts before and after; none where nothing changes.
func TestApplyChanges(t *testing.T) {
	w := newWorld(t).bare()
	w.apply(backup(), manage.ApplyOptions{})
	before := w.revision()
	if got := w.changed(backup(), manage.ApplyOptions{Prune: true}); len(got) > 0 {
		t.Errorf("the same directory changes %q", got)
	}
	next := backup().with(files{
		"environment/policy-states.json":        `["p1"]`,
		"environment/scopes.json":               `[]`,
		quays + "applications/harbour-app.json": `{"data":{"applicationId":"harbour-app","displayName":"Port","assetTemplateIds":["Cargo"]}}`,
		quays + "policies/p1.rego":              policyText("p1", `identity["rank"] >= 5`),
		quays + "policies/p3.rego":              policyText("p3", `identity["rank"] >= 4`),
		quays + "policies/p2.rego":              "-",
		quays + "assets/Cargo.csv":              "path,berth\nquay/1,B\n",
	})
	want := []string{
		"updated application Port applications/harbour-app.json", "created building-block Senior (1) policies/p1.rego", "deleted policy Policy p2 ",
		"updated policy Policy p1 policies/p1.rego", "created policy Policy p3 policies/p3.rego",
		"updated policy-state p1 Active Inactive environment/policy-states.json", "deleted scope portal ",
	}
	if diff := cmp.Diff(want, w.changed(next, manage.ApplyOptions{Prune: true})); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if w.revision() != before {
		t.Error("a dry run changed something")
	}
	report := w.apply(next, manage.ApplyOptions{Prune: true, Changes: true})
	for _, c := range report.Changes {
		if c.Kind == "application" && (!strings.Contains(c.Before, "\n  \"displayName\": \"Harbour\",\n") || !strings.Contains(c.After, "\n  \"displayName\": \"Port\",\n")) {
			t.Errorf("application:\n%s\n%s", c.Before, c.After)
		}
		if c.ID == "p1" && c.Kind == "policy" && (!strings.Contains(c.Before, ">= 4") || !strings.Contains(c.After, ">= 5")) {
			t.Errorf("policy:\n%s\n%s", c.Before, c.After)
		}
	}
	// its after is what the export has
	tree := w.tree(manage.ExportOptions{})
	for _, c := range report.Changes {
		if c.Kind == "policy" && c.After != tree[quays+"policies/"+c.ID+".rego"] {
			t.Errorf("%s differs from the export:\n%s", c.ID, c.After)
		}
	}
}

// MG-71: a refused apply names no affected policies and no changes; a good one names those that are there at the end.
func TestApplyAffected(t *testing.T) {
	w := newWorld(t).bare()
	w.apply(backup(), manage.ApplyOptions{})
	byName := manage.ApplyOptions{ByName: true, Changes: true}
	next := backup().with(files{quays + "policies/p1.rego": policyText("p1", `identity["rank"] >= 5`), quays + "policies/p2.rego": "-", "environment/policy-states.json": "-"})
	report, err := w.Apply(t.Context(), w.call, envID, open(t, zipOf(t, next.with(files{quays + "policies/p9.rego": "nonsense"})), archive.Zip), byName)
	if w.must(err); !report.Refused || report.Affected != nil || report.Changes != nil {
		t.Errorf("refused %v, affected %q, changes %+v", report.Refused, report.Affected, report.Changes)
	}
	report, err = w.Apply(t.Context(), w.dry(), envID, open(t, zipOf(t, next), archive.Zip), byName)
	if w.must(err); cmp.Diff([]model.PolicyID{"p1", "p2"}, report.Affected) != "" {
		t.Errorf("affected %q", report.Affected)
	}
	byName.Prune = true
	report, err = w.Apply(t.Context(), w.call, envID, open(t, zipOf(t, next), archive.Zip), byName)
	if w.must(err); cmp.Diff([]model.PolicyID{"p1"}, report.Affected) != "" {
		t.Errorf("affected with prune %q", report.Affected)
	}
}

// MG-71: the notes name everything that was left out.
func TestApplyNotes(t *testing.T) {
	w := newWorld(t).bare()
	report := w.apply(backup().with(files{
		"environment/policy-states.json": "-", "authorization-workspaces/Docks/asset-types/notes.txt": "x",
		"authorization-workspaces/Docks/asset-types/Crate.yaml": "x", "authorization-workspaces/Docks/assets/Crate.json": "x", "identity-workspaces/Crew people/applications/x.yaml": "x",
		"authorization-workspaces/Piers/policies/": "",
	}),
		manage.ApplyOptions{AuthWs: []string{"Quays", "Quay"}, IdentityWs: []string{"Crew people"}, Rename: map[string]string{"Nowhere": "There"}})
	want := []string{
		"authWs Quay is not in the archive", "authorization-workspaces/Docks/asset-types/Crate.yaml ignored: files in asset-types end in .json",
		"authorization-workspaces/Docks/asset-types/notes.txt ignored", "authorization-workspaces/Docks/assets/Crate.json ignored: files in assets end in .ndjson or .csv",
		"authorization-workspaces/Piers left out, because authWs does not name it", "identity-workspaces/Crew people/applications/x.yaml ignored", "metadata/backup.json ignored", "rename: Nowhere is not in the archive",
	}
	if diff := cmp.Diff(want, report.Notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	report = w.apply(files{"environment/policy-states.json": `["p1","p2"]`, quays + "policies/p1.rego": policyText("p1", `identity["rank"] >= 4`)}, manage.ApplyOptions{AuthWs: []string{"Quays"}})
	if len(report.Errors) > 0 || len(report.Notes) != 1 || !strings.HasPrefix(report.Notes[0], "environment/policy-states.json counts only for") {
		t.Errorf("notes %q\n%s", report.Notes, texts(report.Errors))
	}
}
