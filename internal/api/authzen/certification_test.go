package authzen

import (
	"fmt"
	"testing"

	"github.com/ambit-authz/ambit/internal/authzencheck"
)

// TestAuthZENCertification runs the checklist of authzen.md 17 over TLS against examples/authzen-certification: c-2-2-1 to
// c-2-2-9, c-2-3-1, c-2-3-2, c-2-4-1 to c-2-4-6, c-2-5-1, c-2-5-2, c-2-6, c-3-2-1 to c-3-2-7, c-3-3-1 to c-3-3-4, c-3-4-1
// to c-3-4-3, c-4-2-1 to c-4-2-4, c-4-3-1 to c-4-3-4, c-4-4-1 to c-4-4-3, c-4-5-1 to c-4-5-4, c-4-6-1, c-4-6-2,
// c-4-7-1, c-4-7-2, c-5-1 to c-5-5, c-6-1 to c-6-6, each under its id.
func TestAuthZENCertification(t *testing.T) {
	w := newWorld(t)
	report, err := authzencheck.Run(t.Context(), authzencheck.Options{URL: w.server.URL, Client: w.server.Client(), Header: w.credentials()})
	check(t, err)
	if len(report.Results) < 55 {
		t.Errorf("%d tests only", len(report.Results))
	}
	for _, r := range report.Results {
		t.Run(r.ID, func(t *testing.T) {
			if r.Problem != "" {
				t.Errorf("%s: %s", r.Title, r.Problem)
			}
		})
	}
}

// TestFixture is the full outcome on the fixture (authzen.md 16), and rules R5 and R6, which hold for any resource.
func TestFixture(t *testing.T) {
	w := newWorld(t)
	soft := func(v string) string { return `{"name":"delete","properties":{"soft":` + v + `}}` }
	for _, row := range []struct {
		action, resource string
		alice, bob       bool
	}{
		{`{"name":"read"}`, "record-1", true, true},
		{`{"name":"read"}`, "record-2", true, true},
		{`{"name":"write"}`, "record-1", true, false},
		{`{"name":"write"}`, "record-2", false, true},
		{`{"name":"delete"}`, "record-1", false, false},
		{soft("true"), "record-1", true, false},
		{soft("false"), "record-1", false, false},
	} {
		for id, want := range map[string]bool{"alice": row.alice, "bob": row.bob} {
			w.wants(pathEvaluation, fmt.Sprintf(`{"subject":{"type":"user","id":%q},"action":%s,"resource":{"type":"record","id":%q}}`, id, row.action, row.resource),
				fmt.Sprintf(`{"decision":%t}`, want))
		}
	}
	const archived = `"action":{"name":"write"},"resource":{"type":"record","id":"record-1","properties":{"status":"archived"}}}`
	w.wants(pathEvaluation, `{"subject":{"type":"user","id":"alice"},`+archived, `{"decision":false}`)
	w.wants(pathEvaluation, `{"subject":{"type":"user","id":"alice","properties":{"role":"admin"}},`+archived, `{"decision":true}`)
	// az-12: team is not declared for requests
	w.wants(pathEvaluation, `{"subject":{"type":"user","id":"bob","properties":{"team":"editors"}},"action":{"name":"write"},"resource":{"type":"record","id":"record-1"}}`, `{"decision":false}`)
}
