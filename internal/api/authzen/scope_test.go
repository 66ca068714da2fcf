package authzen

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/authzencheck"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// az-01: an access token ends when its time is over, when the secret that it was got with does, when it is revoked, and when
// its scope is gone.
func TestTokenEnds(t *testing.T) {
	w := newWorld(t)
	asks := func(authorization string) reply {
		return w.send(http.MethodPost, pathEvaluation, aliceReads, http.Header{"Content-Type": {"application/json"}, "Authorization": {authorization}})
	}
	ended := func(why, authorization string) {
		t.Helper()
		if got := asks(authorization); got.status != 401 || got.body != "Invalid token" {
			t.Errorf("%s: %d %s", why, got.status, got.body)
		}
	}
	issued := func() string {
		t.Helper()
		text := w.bearer()
		if got := asks(text); got.status != 200 || got.body != `{"decision":true}` {
			t.Fatalf("a new token: %d %s", got.status, got.body)
		}
		return text
	}
	text := issued()
	w.now = w.now.Add(59 * time.Minute)
	if got := asks(text); got.status != 200 {
		t.Errorf("after 59 minutes: %d", got.status)
	}
	w.now = w.now.Add(time.Minute)
	ended("after its time", text)
	w.changeScope(func(s *model.Scope) { s.AuthZEN.TokenLifetime = 60 })
	text = issued()
	w.now = w.now.Add(time.Minute)
	ended("after the scope's time", text)
	text = issued()
	claims, err := w.tokens.VerifyRuntime(strings.TrimPrefix(text, "Bearer "))
	check(t, err)
	other := issued()
	w.update(func(tx *store.Tx) error {
		_, err := tx.Revocations.Put(model.Revocation{TokenID: claims.ID, ExpiresAt: claims.ExpiresAt})
		return err
	})
	ended("revoked", text)
	if got := asks(other); got.status != 200 {
		t.Errorf("another token than the revoked one: %d", got.status)
	}
	w.changeScope(func(s *model.Scope) { _, s.Secrets[0] = w.secrets.New(noon) })
	ended("with a new secret", other)
	text = issued()
	w.changeScope(func(s *model.Scope) { s.Enabled = false })
	ended("scope off", text)
	w.changeScope(func(s *model.Scope) { s.Enabled = true })
	w.update(func(tx *store.Tx) error {
		_, err := tx.Scopes.Delete(clientID)
		return err
	})
	ended("scope gone", text)
}

// authzen.md 3, 15: the switches of a scope. They are looked at after its credentials and before all else.
func TestSwitches(t *testing.T) {
	w := newWorld(t)
	const off, noSearch = "AuthZEN is not enabled for this scope", "Search is not enabled for this scope"
	w.changeScope(func(s *model.Scope) { s.AuthZEN.SearchOff = true })
	for path := range allRoutes {
		status, text := 403, noSearch
		if path == pathEvaluation || path == pathEvaluations {
			status, text = 200, `{"decision":true}`
		}
		w.refuses(path, aliceReads, status, text)
	}
	w.changeScope(func(s *model.Scope) { s.AuthZEN.Off = true })
	for path := range allRoutes {
		w.refuses(path, "no JSON", 403, off)
		if got := w.send(http.MethodPost, path, aliceReads, http.Header{"Authorization": {basic(string(clientID), "no")}}); got.status != 401 {
			t.Errorf("%s with a wrong secret: %d", path, got.status)
		}
	}
	// at the revision that answers: the scope is on in what the directory has, and off in what the caller wants to see
	scope := w.scope()
	for path := range allRoutes {
		w.changeScope(func(s *model.Scope) { s.AuthZEN = model.AuthZENSettings{} })
		commit, err := w.store.Update(t.Context(), store.Write{Environment: environmentID, Time: noon}, func(tx *store.Tx) error {
			_, err := tx.Scopes.Put(scope)
			return err
		})
		check(t, err)
		if got := w.post(path, aliceReads, "Ambit-Min-Revision", fmt.Sprint(commit.Revision)); got.status != 403 || got.body != off {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}

// late is a body before which something happens: the credentials have been checked, and the switches looked at, by then.
type late struct {
	io.Reader
	before func()
}

func (l late) Read(p []byte) (int, error) {
	l.before()
	return l.Reader.Read(p)
}

// authzen.md 3, F7: a call that waits for a revision is judged by the scope as it is in that one, on each route.
func TestSwitchedOffWhileAsking(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	var followed sync.WaitGroup
	followed.Go(func() { w.directory.Run(ctx) })
	defer func() { cancel(); followed.Wait() }()
	for path := range allRoutes {
		for name, c := range map[string]struct {
			change func(*model.Scope)
			status int
		}{
			"nothing that counts": {func(s *model.Scope) { s.Description = "new" }, 200},
			"AuthZEN off":         {func(s *model.Scope) { s.AuthZEN.Off = true }, 403},
			"search off":          {func(s *model.Scope) { s.AuthZEN.SearchOff = true }, map[bool]int{true: 403, false: 200}[strings.Contains(path, "search")]},
			"another secret":      {func(s *model.Scope) { s.Secrets = nil }, 401},
		} {
			before := w.scope()
			after := w.scope()
			c.change(&after)
			put := func(s *model.Scope) {
				_, err := w.store.Update(ctx, store.Write{Environment: environmentID, Time: noon}, func(tx *store.Tx) error {
					_, err := tx.Scopes.Put(*s)
					return err
				})
				check(t, err)
			}
			revision, _ := w.directory.Revision(environmentID)
			r := httptest.NewRequest(http.MethodPost, path, late{strings.NewReader(aliceReads), sync.OnceFunc(func() { put(&after) })})
			r.Header = w.credentials()
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Ambit-Min-Revision", fmt.Sprint(revision+1))
			r.Header.Set("Ambit-Wait", "30000")
			got := httptest.NewRecorder()
			w.server.Config.Handler.ServeHTTP(got, r)
			if got.Code != c.status {
				t.Errorf("%s: %s: %d %s, want %d", path, name, got.Code, got.Body, c.status)
			}
			put(&before)
			check(t, w.directory.CatchUp(ctx))
		}
	}
}

// az-15: the levels of detail by scope and request, never above the scope's limit, with the policies that grant or restrict.
func TestDetail(t *testing.T) {
	w := newWorld(t)
	const denied = `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"record-2"}}`
	w.update(func(tx *store.Tx) error {
		for id, name := range map[model.PolicyID]string{"no-archive": "No archive", "freeze": "Freeze"} {
			p, err := tx.Policies.Find("cert-write-archived")
			if err != nil {
				return err
			}
			everyone, err := tx.Policies.Find("cert-read")
			if err != nil {
				return err
			}
			p.ID, p.Name, p.Access, p.DynamicGroups = id, name, model.Restrict, everyone.DynamicGroups
			for i := range p.Rulesets {
				p.Rulesets[i].ActionIDs = []model.ActionID{"read"}
			}
			if _, err := tx.Policies.Put(p); err != nil {
				return err
			}
		}
		return nil
	})
	scope := func(level, limit model.Detail) {
		w.changeScope(func(s *model.Scope) { s.AuthZEN = model.AuthZENSettings{Detail: level, DetailMax: limit} })
	}
	ask := func(body, level string) string {
		if level != "" {
			body = strings.TrimSuffix(body, "}") + `,"options":{"ambit_context":` + level + `}}`
		}
		got := w.post(pathEvaluation, body)
		batch := w.post(pathEvaluations, strings.TrimSuffix(body, "}")+`,"evaluations":[{}]}`)
		if batch.body != `{"evaluations":[`+got.body+`]}` {
			t.Errorf("a batch answers %s, an evaluation %s", batch.body, got.body)
		}
		return got.body
	}
	const (
		reasons    = `"reasons":[{"code":"PID007","message":"A restrictive policy applies"}]`
		restricted = `"policies":[{"id":"freeze","name":"Freeze","accessType":"Restrict"},{"id":"no-archive","name":"No archive","accessType":"Restrict"}]`
		granted    = `{"decision":true,"context":{"policies":[{"id":"cert-read","name":"Everyone reads","accessType":"Allow"}]}}`
	)
	no := map[string]string{
		"none": `{"decision":false}`, "reasons": `{"decision":false,"context":{` + reasons + `}}`,
		"policies": `{"decision":false,"context":{` + reasons + `,` + restricted + `}}`,
	}
	yes := map[string]string{"none": `{"decision":true}`, "reasons": `{"decision":true}`, "policies": granted}
	for _, tt := range []struct {
		level, limit model.Detail
		asked, want  string
	}{
		{"", "", "", "none"},
		{"", "", `"policies"`, "reasons"},
		{"", "", `["policies"]`, "none"},
		{model.DetailPolicies, "", "", "reasons"},
		{"", model.DetailPolicies, `"policies"`, "policies"},
		{model.DetailPolicies, model.DetailPolicies, "", "policies"},
		{model.DetailPolicies, model.DetailPolicies, `"reasons"`, "reasons"},
		{model.DetailPolicies, model.DetailPolicies, `"everything"`, "policies"},
		{model.DetailPolicies, model.DetailPolicies, `"none"`, "none"},
		{model.DetailReasons, model.DetailNone, `"reasons"`, "none"},
	} {
		scope(tt.level, tt.limit)
		if got := ask(denied, tt.asked); got != no[tt.want] {
			t.Errorf("%+v: %s, want %s", tt, got, no[tt.want])
		}
		if got := ask(aliceReads, tt.asked); got != yes[tt.want] {
			t.Errorf("%+v: %s, want %s", tt, got, yes[tt.want])
		}
	}
}

// The checklist of authzen.md 17 by access token, at the most that a scope can tell: no level changes a decision (c-2-3-2).
func TestAuthZENCertificationByToken(t *testing.T) {
	w := newWorld(t)
	w.changeScope(func(s *model.Scope) {
		s.AuthZEN = model.AuthZENSettings{Detail: model.DetailPolicies, DetailMax: model.DetailPolicies}
	})
	report, err := authzencheck.Run(t.Context(), authzencheck.Options{
		URL: w.server.URL, Client: w.server.Client(), Header: http.Header{"Authorization": {w.bearer()}},
	})
	check(t, err)
	for _, r := range report.Results {
		if r.Problem != "" {
			t.Errorf("%s %s: %s", r.ID, r.Title, r.Problem)
		}
	}
}
