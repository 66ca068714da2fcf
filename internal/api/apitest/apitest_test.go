package apitest

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// The checker can refuse, and counts as proven only what it did not refuse.
func TestCheck(t *testing.T) {
	const whoami, environment = "/ambit/1.0/whoami", "/ambit/1.0/environments/5b0c9d52-0f5e-4a77-9c1e-3d0a6f2b8e41"
	const object, rego = "application/json", "text/plain;language=rego"
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, method, path string
		status             int
		media, body        string
		ok                 bool
	}{
		{"good", "GET", whoami, 200, object, `{"data":{"clientId":"x","permission":"ADMIN"}}`, true},
		{"slash at the end", "GET", whoami + "/", 200, object, `{"data":{"permission":"VIEWER"}}`, true},
		{"a value that is none of the list", "GET", whoami, 200, object, `{"data":{"permission":"OWNER"}}`, false},
		{"a wrong type", "GET", whoami, 200, object, `{"data":{"clientId":1}}`, false},
		{"no JSON", "GET", whoami, 200, object, `{`, false},
		{"another type", "GET", whoami, 200, "text/html", `{}`, false},
		{"no type", "GET", whoami, 200, "", `{}`, false},
		{"an unknown status", "GET", whoami, 202, object, `{}`, false},
		{"an error", "GET", whoami, 401, object, `{"errors":[{"code":"MGT-004","id":"E12345","status":401,"name":"n","message":"m"}]}`, true},
		{"an error without errors", "GET", whoami, 401, object, `{"errors":[]}`, false},
		{"a body where there is none", "DELETE", environment + "/scopes/x", 204, object, `{}`, false},
		{"none where there is none", "DELETE", environment + "/scopes/a%2Fb", 204, "", "", true},
		{"Rego", "GET", "/api/2.0/policies/x", 200, rego + ";charset=utf-8", "package policy", true},
		{"plain text", "GET", "/api/2.0/policies/x", 200, "text/plain", "package policy", false},
		{"a route that is not described", "GET", "/nothing", 200, "text/html", "x", true},
		{"HEAD", "HEAD", whoami, 200, "", "", true},
		{"not modified", "GET", whoami, 304, "", "", true},
	} {
		r := httptest.NewRequest(tt.method, tt.path, nil)
		if err := c.Check(r, tt.status, http.Header{"Content-Type": {tt.media}}, []byte(tt.body)); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	unproven := c.Unproven(func(string) bool { return true })
	for name, want := range map[string]bool{
		"GET /ambit/1.0/whoami": false, "DELETE /ambit/1.0/environments/{envId}/scopes/{clientId}": false, "POST /ambit/1.0/environments": true,
	} {
		if slices.Contains(unproven, name) != want {
			t.Errorf("%s: unproven is %v", name, !want)
		}
	}
	if got := c.Undescribed([]string{"GET /ambit/1.0/environments/{any}", "GET /nothing", "PUT /ambit/1.0/whoami"}); !slices.Equal(got, []string{"GET /nothing", "PUT /ambit/1.0/whoami"}) {
		t.Errorf("undescribed %v", got)
	}
}
