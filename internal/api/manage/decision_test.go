package manage

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/api/runtime"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/token"
)

// decisions answers the runtime calls of the scope "portal", which is linked to harbour-app.
type decisions struct {
	h         *harbour
	directory *decide.Directory
	handler   http.Handler
}

const portalSecret = "portal-secret-1"

func (h *harbour) decisions() *decisions {
	h.t.Helper()
	h.do("admin", "PUT", env+"/scopes/portal", `{"name":"portal"}`).want(h.t, 201)
	h.do("admin", "DELETE", env+"/scopes/portal", "").want(h.t, 204)
	h.do("admin", "POST", env+"/scopes", `{"clientId":"portal","name":"portal","applicationIds":["harbour-app"],"secret":"`+portalSecret+`"}`).want(h.t, 201)
	return h.follow()
}

// follow makes a decision side that has read nothing yet.
func (h *harbour) follow() *decisions {
	h.t.Helper()
	now := func() time.Time { return h.clock }
	secrets, err := token.NewSecrets(bytes.Repeat([]byte{7}, token.KeySize))
	h.must(err)
	d := &decisions{h: h}
	quiet := slog.New(slog.DiscardHandler)
	d.directory = decide.NewDirectory(decide.DirectoryOptions{Store: h.store, Clock: now, Log: quiet})
	service := decide.New(decide.Options{Directory: d.directory, Secrets: secrets, Clock: now, Log: quiet})
	d.handler = runtime.Handler(runtime.Options{Service: service, Directory: d.directory, Log: quiet})
	return d
}

func (d *decisions) answer(body string, headers ...string) string {
	d.h.t.Helper()
	d.h.must(d.directory.CatchUp(d.h.t.Context()))
	r := httptest.NewRequest("POST", "/api/runtime/token/v3", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Client-Id", "portal")
	r.Header.Set("X-Client-Secret", portalSecret)
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	return w.Header().Get("Ambit-Revision") + " " + w.Body.String()
}

// ask answers a question from what was followed, which must be what a new start reads.
func (d *decisions) ask(t testing.TB, body string, headers ...string) string {
	t.Helper()
	got := d.answer(body, headers...)
	if diff := cmp.Diff(d.h.follow().answer(body, headers...), got); diff != "" {
		t.Errorf("followed and read anew differ:\n%s", diff)
	}
	return got
}

// crew is the question what a member of the crew may do.
func crew(template, id string) string {
	return `{"entityTypeId":"` + template + `","entityId":"` + id + `"}`
}
