package manage

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/api/problem"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// MG-2: names plain and percent-encoded, True is a boolean, filter[x] means x.
func TestQuery(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "extendedSchema=False": false, "filter[extendedSchema]=false": false, "filter%5BextendedSchema%5D=FALSE": false,
		"extendedSchema=True&filter[extendedSchema]=false": true, "other=false": true,
	} {
		q, _ := url.ParseQuery(text)
		if got, err := flag(q, "extendedSchema", true); err != nil || got != want {
			t.Errorf("%s: %t %v", text, got, err)
		}
	}
	if _, err := flag(url.Values{"x": {"yes"}}, "x", false); problem.Status(err) != 400 {
		t.Error(err)
	}
	for text, want := range map[string]string{
		"": "", "filter[id]=a,b": "a,b", "filter[id][in]=a,b": "a|b", "filter[id][in]=a,b&filter%5Bid%5D%5Bin%5D=c": "a,b|c",
	} {
		q, _ := url.ParseQuery(text)
		if got, named := valuesOf(q, "id"); strings.Join(got, "|") != want || named != (text != "") {
			t.Errorf("%s: %q %t", text, got, named)
		}
	}
}

// MG-21: exactly one documented operation.
func TestPatch(t *testing.T) {
	for body, problemOf := range map[string]string{
		`[{"op":"replace","path":"/state","value":true}]`: "",
		`[]`: "needs exactly one operation",
		`[{"op":"replace","path":"/state","value":true},{"op":"replace","path":"/state","value":false}]`: "needs exactly one operation",
		`[{"op":"add","path":"/state","value":true}]`:                                                    "/0/op",
		`[{"op":"replace","path":"/name","value":true}]`:                                                 "/0/path",
		`[{"op":"replace","path":"/state"}]`:                                                             "/0/value: is missing",
		`[{"op":"replace","path":"/state","value":"true"}]`:                                              "/0/value: has the wrong type",
		`{"op":"replace","path":"/state","value":true}`:                                                  "an object",
		`[{"op":"replace","path":"/state","value":true}] x`:                                              "1:",
	} {
		r := httptest.NewRequest("PATCH", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json-patch+json")
		x := &exchange{r: r, w: httptest.NewRecorder()}
		var state bool
		err := x.readPatch("/state", &state)
		good := body == `[{"op":"replace","path":"/state","value":true}]`
		if good != (err == nil) || good != state || err != nil && (problem.Status(err) != 400 || !strings.Contains(err.Error(), problemOf)) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// MG-4: Accept chooses between Rego and JSON; what cannot be met is refused.
func TestForms(t *testing.T) {
	for _, tt := range []struct{ accept, otherwise, want string }{
		{"", mediaRego, mediaRego},
		{"*/*", mediaJSON, mediaJSON},
		{"application/json", mediaRego, mediaJSON},
		{"text/plain;language=rego", mediaJSON, mediaRego},
		{"TEXT/plain ; Language=Rego", mediaJSON, mediaRego},
		{"application/json;q=0.5, text/plain", mediaJSON, mediaRego},
		{"application/json, text/plain, */*", mediaRego, mediaJSON},
		{"text/*;q=0.1, */*", mediaJSON, mediaRego},
		{"text/plain;q=0", mediaJSON, mediaJSON},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		if tt.accept != "" {
			r.Header.Set("Accept", tt.accept)
		}
		if got := (&exchange{r: r}).answerForm(tt.otherwise); got != tt.want {
			t.Errorf("%q: %s", tt.accept, got)
		}
	}
	for accept, want := range map[string]bool{
		"text/html": false, "text/plain": false, "application/json;q=0": false, "application/problem+json": true,
		"application/*": true, "text/html, */*;q=0.1": true, "": true,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept", accept)
		if accepts(r, mediaJSON) != want {
			t.Errorf("%q", accept)
		}
	}
	if r := httptest.NewRequest("GET", "/", nil); !accepts(r, mediaJSON) {
		t.Error("no Accept")
	}
}

// MG-19: 428 only with the setting on, and only for what replaces or deletes one object.
func TestMatchRequired(t *testing.T) {
	w := newWorld(t)
	w.do("admin", "POST", env+"/scopes", `{"clientId":"C1","name":"portal"}`).want(t, 201)
	one := env + "/scopes/C1"
	w.do("admin", "PUT", one, `{"name":"portal"}`).want(t, 200)
	e, err := w.service.FindEnvironment(t.Context(), envID)
	w.must(err)
	w.requireIfMatch(e.Environment)
	w.do("admin", "PUT", one, `{"name":"gate"}`).want(t, 428, "MGT-013", "If-Match is required")
	w.do("admin", "DELETE", one, "").want(t, 428)
	tag := w.do("viewer", "GET", one, "").Header.Get("ETag")
	w.do("admin", "PUT", one, `{"name":"gate"}`, "If-Match: "+tag).want(t, 200)
	w.do("admin", "PUT", env+"/scopes/C2", `{"name":"second"}`).want(t, 201)
	w.do("admin", "DELETE", one, "", "If-Match: *").want(t, 204)
}

// MG-20: a revision that is not reached in time is 503, of the tenant's counter too.
func TestRevisionNotReached(t *testing.T) {
	w := newWorld(t)
	for _, target := range []string{env, "/ambit/1.0/whoami"} {
		w.do("tenant", "GET", target, "", "Ambit-Min-Revision: 1").want(t, 200)
		a := w.do("tenant", "GET", target, "", "Ambit-Min-Revision: 99", "Ambit-Wait: 20").want(t, 503, "MGT-017", "Revision 99 is not reached")
		if a.Header.Get("Retry-After") != "1" {
			t.Errorf("%v", a.Header)
		}
		for _, bad := range []string{"x", "-1"} {
			w.do("tenant", "GET", target, "", "Ambit-Min-Revision: "+bad).want(t, 400, "MGT-003")
		}
	}
}

// MG-9: the flat error object of /policy-mgmt and /env-mgmt.
func TestFamilies(t *testing.T) {
	w := newWorld(t)
	for path, start := range map[string]string{"/policy-mgmt/1.0/none": `{"code":"MGT-006"`, "/env-mgmt/none": `{"code":"MGT-006"`, "/api/1.0/none": `{"errors":[`, "/internal-assets/x": `{"errors":[`} {
		if a := w.do("admin", "GET", path, "").want(t, 404); !strings.HasPrefix(a.body, start) {
			t.Errorf("%s: %s", path, a.body)
		}
	}
}

func (w *world) requireIfMatch(e model.Environment) {
	w.t.Helper()
	e.RequireIfMatch = true
	_, err := w.store.Update(w.t.Context(), store.Write{Environment: e.ID, Time: w.clock}, func(tx *store.Tx) error {
		_, err := tx.Environments.Put(e)
		return err
	})
	w.must(err)
}
