package agree

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/audit"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// records is an audit sink that keeps records in memory, or fails.
type records struct {
	all  []audit.Decision
	fail error
}

func (r *records) Record(_ context.Context, ds ...audit.Decision) error {
	if r.fail != nil {
		return r.fail
	}
	r.all = append(r.all, ds...)
	return nil
}

// taken gives the records since it was last asked.
func (r *records) taken() []audit.Decision {
	out := r.all
	r.all = nil
	return out
}

// recorded is a small environment whose calls are recorded.
func recorded(t *testing.T) (*stack, *records) {
	kept := &records{}
	s := small(t, func(o *decide.Options) { o.Audit = kept })
	s.header = s.header.Clone()
	s.header.Set("X-Request-Id", "mine")
	return s, kept
}

// inRecord is what the record of a question tells of it.
func inRecord(e endpoint) (requestType, result string, who []audit.Subject, by []model.PolicyID) {
	iris := []audit.Subject{{Template: "P", EntityID: "iris"}}
	switch e.path {
	case tokenPath:
		return "", "2 assets", iris, nil
	case permitPath, decisionPath:
		return "", "PERMIT of 1 pairs", iris, nil
	case resolutionPath:
		return "", "filters of 1 types", iris, nil
	case usersPath:
		return "", "1 identities for Docs x", nil, nil
	case policiesPath:
		return "", "policies of 1 objects", iris, nil
	case explainPath:
		if strings.Contains(e.body, "listOfResources") {
			return "", "explained 1 pairs", iris, nil
		}
		return "", "explained a list of 2 assets", iris, nil
	case evaluationPath:
		return "AuthZEN Evaluation", "PERMIT for B Docs x", iris, []model.PolicyID{"p"}
	case evaluationsPath:
		return "AuthZEN Evaluations", "PERMIT for B Docs x", iris, []model.PolicyID{"p"}
	case subjectsPath:
		return "AuthZEN Subject Search", "1 found for B Docs x", nil, nil
	case resourcesPath:
		return "AuthZEN Resource Search", "2 found for B Docs ", iris, nil
	}
	return "AuthZEN Action Search", "1 found for any action Docs x", iris, nil
}

// TestEveryCallIsRecorded: RT-28, authzen.md 11.5: one record a call at every endpoint, of answers and of refusals, with the
// documented columns and no secret; F8: where the record cannot be kept, no endpoint decides.
func TestEveryCallIsRecorded(t *testing.T) {
	s, kept := recorded(t)
	for _, e := range endpoints() {
		if got := s.outcome(e); got != "granted" {
			t.Fatalf("%s: %s", e.path, got)
		}
		got := kept.taken()
		if len(got) != 1 || got[0].ID == "" {
			t.Fatalf("%s: records %+v", e.path, got)
		}
		want := audit.Decision{
			ID: got[0].ID, ExternalID: "mine", ClientID: client, Environment: environment, Endpoint: "POST " + e.path, SourceIP: "192.0.2.9",
			Status: 200, Revision: s.revision, Start: s.clock(),
		}
		want.RequestType, want.Result, want.Subjects, want.Policies = inRecord(e)
		if diff := cmp.Diff(want, got[0]); diff != "" {
			t.Errorf("%s: %s", e.path, diff)
		}
		kept.fail = &model.Error{Kind: model.KindUnavailable, Err: errors.New("disk")}
		if a := s.call("POST", e.path, e.body); a.status != 503 || strings.Contains(string(a.body), e.grant) {
			t.Errorf("%s without a record: %d %s", e.path, a.status, a.body)
		}
		kept.fail = nil
		secret := s.header.Get("X-Client-Secret")
		s.header.Set("X-Client-Secret", "CANARY")
		if got := s.outcome(e); got != "401" {
			t.Errorf("%s with a wrong secret: %s", e.path, got)
		}
		s.header.Set("X-Client-Secret", secret)
		got = kept.taken()
		if len(got) != 1 || got[0].Status != 401 || got[0].RequestType != want.RequestType || got[0].ClientID != client || len(got[0].Subjects) > 0 ||
			strings.Contains(fmt.Sprintf("%+v", got), "CANARY") || strings.Contains(fmt.Sprintf("%+v", got), secret) {
			t.Errorf("%s with a wrong secret: records %+v", e.path, got)
		}
	}
}

// TestRecordsOfEvaluations: authzen.md 11.5: each decision of a batch has a record of its own, with who was asked about, from
// where, the reason, and the policies that grant or restrict, though the scope is told none of it; nothing of one element is in
// the record of another.
func TestRecordsOfEvaluations(t *testing.T) {
	s, kept := recorded(t)
	check(t, s.commit(environment, func(tx *store.Tx) error {
		for id, path := range map[model.PolicyID]string{"r2": "GET", "r1": "GET", "r0": "none"} {
			block := model.Block{
				ID: "on-" + model.BlockID(id), Kind: model.KindRuleset, WorkspaceID: "a0", Template: "Docs", Name: string(id),
				Branches: []model.Branch{{Rules: []model.Rule{{Left: model.Ref{Side: model.SideAsset, Attribute: "path"}, Op: model.OpEqual, Literals: []model.Literal{{Text: path}}}}}},
			}
			if err := errors.Join(put(tx.Blocks, block), put(tx.Policies, policyOf(id, model.Restrict, "who", block.ID))); err != nil {
				return err
			}
		}
		return change(tx.Scopes, client, func(s *model.Scope) { s.AuthZEN.DetailMax = model.DetailNone })
	}))
	const subject, action = `"subject":{"type":"P","id":"iris"}`, `"action":{"name":"B"}`
	a := s.call("POST", evaluationsPath, `{`+subject+`,`+action+`,"resource":{"type":"Docs","id":"x"},"evaluations":[
		{"context":{"ip":"203.0.113.1"}},{"resource":{"type":"Docs","id":"GET"}},7,{"subject":{"type":"P","id":"nobody"},"context":{"ip":"203.0.113.2"}},
		{"subject":{"type":"Q","id":"iris"}},{"action":{"name":"fly"}},{"subject":7}]}`)
	const denied = `{"decision":false}`
	malformed := func(what string) string {
		return `{"decision":false,"context":{"error":{"status":400,"message":"` + what + `"}}}`
	}
	if want := `{"evaluations":[{"decision":true},` + denied + `,` + malformed("the element must be an object") + `,` + denied + `,` + denied + `,` + denied + `,` +
		malformed("subject must be an object") + `]}`; string(a.body) != want {
		t.Errorf("got  %s\nwant %s", a.body, want)
	}
	of := func(template model.TemplateID, id, from, result string, policies ...model.PolicyID) audit.Decision {
		d := audit.Decision{SourceIP: from, Result: result, Policies: policies}
		if id != "" {
			d.Subjects = []audit.Subject{{Template: template, EntityID: id}}
		}
		return d
	}
	const peer = "192.0.2.9"
	want := []audit.Decision{
		of("P", "iris", "203.0.113.1", "PERMIT for B Docs x", "p"), of("P", "iris", peer, "DENY PID007 for B Docs GET", "r1", "r2"),
		of("", "", peer, "DENY, not a question"), of("P", "nobody", "203.0.113.2", "DENY AMB-020 for B Docs x"),
		of("Q", "iris", peer, "DENY RT-087 for B Docs x"), of("P", "iris", peer, "DENY PID002 for fly Docs x"), of("", "", peer, "DENY, not a question"),
	}
	got := kept.taken()
	ids := map[string]bool{}
	for i := range got {
		ids[got[i].ID] = true
		if got[i].RequestType != "AuthZEN Evaluations" || got[i].ExternalID != "mine" || got[i].Status != 200 || got[i].Revision != s.revision || !got[i].Start.Equal(s.clock()) {
			t.Errorf("record %+v", got[i])
		}
		got[i] = audit.Decision{SourceIP: got[i].SourceIP, Subjects: got[i].Subjects, Result: got[i].Result, Policies: got[i].Policies}
	}
	if diff := cmp.Diff(want, got); diff != "" || len(ids) != len(want) {
		t.Errorf("%d ids: %s", len(ids), diff)
	}
}

// TestRecordsOfRefusals: RT-28: the record of a refused call tells whom it asked about and from where.
func TestRecordsOfRefusals(t *testing.T) {
	s, kept := recorded(t)
	for path, body := range map[string]string{
		tokenPath:    `{"entityTypeId":"P","entityId":"nobody","remoteIp":"203.0.113.3"}`,
		decisionPath: `{"entityTypeId":"P","entityId":"nobody","ipAddress":"203.0.113.3","method":"GET","uri":"/call/Docs?"}`,
		policiesPath: `{"objects":[{"type":"Identity","data":{"entityTypeId":"P","entityId":"iris"}},{"type":"Identity","data":{"entityTypeId":"P","entityId":"nobody","remoteIp":"203.0.113.3"}}]}`,
	} {
		s.call("POST", path, body)
		got := kept.taken()
		if len(got) != 1 || got[0].Status != 404 || got[0].Result != "AMB-020" || got[0].SourceIP != "203.0.113.3" || len(got[0].Subjects) == 0 ||
			got[0].Subjects[len(got[0].Subjects)-1] != (audit.Subject{Template: "P", EntityID: "nobody"}) || (len(got[0].Subjects) == 2) != (path == policiesPath) {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

// defective are secrets whose check is a defect of the program.
type defective struct{}

func (defective) Check([]model.SecretHash, string, time.Time) (bool, error) { panic("a defect") }

// TestRecordsOfDefects: RT-28, F1: a call that ends in a defect of the program has a record, too.
func TestRecordsOfDefects(t *testing.T) {
	kept := &records{}
	s := small(t, func(o *decide.Options) { o.Audit, o.Secrets = kept, defective{} })
	for _, e := range endpoints() {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: the panic is hidden", e.path)
				}
			}()
			s.call("POST", e.path, e.body)
		}()
		if got := kept.taken(); len(got) != 1 || got[0].Status != 500 || got[0].Result != "panic" || got[0].Endpoint != "POST "+e.path {
			t.Errorf("%s: records %+v", e.path, got)
		}
	}
}

// TestGivenUpEverywhere: F1: a call that its caller gave up is an error at every endpoint, never a part of an answer, and is recorded
// as one.
func TestGivenUpEverywhere(t *testing.T) {
	s, kept := recorded(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, e := range endpoints() {
		h := s.runtime
		if isAuthZEN(e.path) {
			h = s.authzen
		}
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, e.path, strings.NewReader(e.body))
		r.Header = s.header
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		got := kept.taken()
		if w.Code < 500 || strings.Contains(w.Body.String(), e.grant) || len(got) != 1 || got[0].Status != w.Code {
			t.Errorf("%s: %d %s, records %+v", e.path, w.Code, w.Body, got)
		}
	}
}
