package runtime

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// late is a body before which something happens: the credentials of the headers have been checked by then.
type late struct {
	io.Reader
	before func()
}

func (l late) Read(p []byte) (int, error) {
	l.before()
	return l.Reader.Read(p)
}

func (late) Close() error { return nil }

// TestRevokedWhileAsking: F7, RT-31, RT-33, RT-35: a call that waits for a revision is judged by its scope as it is in that one: what
// was good when the call came in and has ended since is refused, at every endpoint.
func TestRevokedWhileAsking(t *testing.T) {
	scope := func(edit func(*model.Scope)) func(*store.Tx) error {
		return func(tx *store.Tx) error {
			s, err := tx.Scopes.Find(client)
			if err == nil {
				edit(&s)
				_, err = tx.Scopes.Put(s)
			}
			return err
		}
	}
	bodies := map[string]string{
		"/api/runtime/token/v3": `{` + mreyes + `}`, permitPath: `{` + mreyes + `,"listOfResources":[` + accounts(`{"action":"View","path":"acc-1"}`) + `]}`,
		"/api/runtime/resolution/v3": `{` + mreyes + `}`, usersPath: `{"asset":{"resourceType":"Accounts","path":"acc-1"}}`,
		policiesPath: `{"objects":[{"type":"Identity","data":{` + mreyes + `}}]}`, decisionPath: `{"method":"GET","uri":"/",` + mreyes + `}`,
		explainPath: `{` + mreyes + `}`,
	}
	for name, c := range map[string]struct {
		change func(*store.Tx) error
		status int
	}{
		"nothing that counts": {scope(func(s *model.Scope) { s.Description = "new" }), 200},
		"another secret":      {scope(func(s *model.Scope) { s.Secrets = nil }), 401},
		"secret over":         {scope(func(s *model.Scope) { s.Secrets[0].ExpiresAt = noon }), 401},
		"another method":      {scope(func(s *model.Scope) { s.AuthMethods = []model.AuthMethod{model.AuthRequestSecret} }), 401},
		"scope off":           {scope(func(s *model.Scope) { s.Enabled = false }), 401},
		"scope gone": {func(tx *store.Tx) error {
			_, err := tx.Scopes.Delete(client)
			return err
		}, 401},
	} {
		h := newHarbour(t)
		ctx, cancel := context.WithCancel(t.Context())
		var followed sync.WaitGroup
		followed.Go(func() { h.directory.Run(ctx) })
		var undo model.Scope
		check(t, h.store.View(ctx, harbourID, func(tx *store.Tx) (err error) {
			undo, err = tx.Scopes.Find(client)
			return err
		}))
		for path, text := range bodies {
			revision, _ := h.directory.Revision(harbourID)
			r := httptest.NewRequest(http.MethodPost, path, nil)
			r.Body = late{strings.NewReader(text), sync.OnceFunc(func() {
				_, err := h.store.Update(ctx, store.Write{Environment: harbourID, Time: noon}, c.change)
				check(t, err)
			})}
			r.ContentLength = int64(len(text))
			r.Header.Set("X-Client-Id", string(client))
			r.Header.Set("X-Client-Secret", h.secret)
			r.Header.Set("Ambit-Min-Revision", fmt.Sprint(revision+1))
			r.Header.Set("Ambit-Wait", "30000")
			w := httptest.NewRecorder()
			h.handler.ServeHTTP(w, r)
			if w.Code != c.status {
				t.Errorf("%s: %s: %d %s, want %d", name, path, w.Code, w.Body, c.status)
			}
			h.update(func(tx *store.Tx) error { return put(tx.Scopes, undo) })
		}
		cancel()
		followed.Wait()
	}
}
