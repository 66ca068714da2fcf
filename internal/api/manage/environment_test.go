package manage

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// 16, MG-15, MG-17: an environment is replaced and patched; what is not part of it is left alone.
func TestChangeEnvironment(t *testing.T) {
	h := newHarbour(t)
	h.do("admin", "PUT", env+"/jwt-settings", goodJWT).want(t, 200)
	a := h.do("viewer", "GET", env, "").want(t, 200, `"policies":0`)
	tag := a.Header.Get("ETag")
	h.put(regoPolicy("p1", "3", "A"))
	a = h.do("viewer", "GET", env, "", "If-None-Match: "+tag).want(t, 200, `"policies":1,"inactivePolicies":0,"applications":2,"assetTemplates":3,"identityTemplates":2,"scopes":0`)
	h.do("viewer", "GET", env, "", "If-None-Match: "+a.Header.Get("ETag")).want(t, 304)
	h.do("admin", "PATCH", h.policies("&filter[id]=p1"), `[{"op":"replace","path":"/state","value":false}]`).want(t, 204)
	h.do("viewer", "GET", env, "").want(t, 200, `"policies":1,"inactivePolicies":1`)

	a = h.do("admin", "PUT", env, `{"data":{"id":"`+strings.ToUpper(envID)+`","name":"Staging","description":"d","revision":99,"counts":{}}}`, "If-Match: "+tag).want(t, 200,
		`"name":"Staging","description":"d","settings":{"enabled":true,"requireIfMatch":false},"counts":{"policies":1`)
	a.wantHeaders(t, "Ambit-Result: updated", "Ambit-Revision: 6")
	a.want(t, 200, `"revision":6}}`)
	h.do("admin", "PATCH", env, `{"description":"e"}`, "If-Match: "+tag).want(t, 412, "MGT-011")
	a = h.do("admin", "PUT", env, `{"name":"Staging","description":"d"}`).want(t, 200)
	a.wantHeaders(t, "Ambit-Result: unchanged", "Ambit-Revision: 6")
	h.do("admin", "PATCH", env, `{"settings":{"enabled":false}}`, "Content-Type: application/merge-patch+json").want(t, 200, `"name":"Staging"`, `"enabled":false`)
	h.do("viewer", "GET", env+"/jwt-settings", "").want(t, 200, goodJWT)

	for body, part := range map[string]string{
		`{"name":""}`: "/name: is empty", `{"name":"x","id":"` + otherID + `"}`: "/id: differs from that of the path",
		`{"name":"x","settings":{"enabled":"no"}}`: "/settings/enabled", `[]`: "MGT-001", `{"name":"x","description":"` + strings.Repeat("d", 4001) + `"}`: "/description",
	} {
		h.do("admin", "PUT", env, body).want(t, 400, part)
	}
	h.do("admin", "PATCH", env, `{"name":null}`).want(t, 400, "/name")
	h.do("admin", "PUT", env, `{"name":"Other"}`).want(t, 409, "MGT-008", "Environment: [Other] already exists")
	h.do("tenant", "PUT", strings.Replace(env, envID, goneID, 1), `{"name":"x"}`).want(t, 404)

	revision := h.do("viewer", "GET", env+"/revision", "").body
	events := len(h.events())
	a = h.do("admin", "PATCH", env+"?dryRun=true", `{"name":"Dry"}`).want(t, 200, `"name":"Dry"`)
	a.wantHeaders(t, "Ambit-Result: updated", "Ambit-Dry-Run: true")
	if h.do("viewer", "GET", env+"/revision", "").body != revision || len(h.events()) != events {
		t.Error("MG-14: a dry run left a trace")
	}
	e := h.events()[0]
	if e.ResourceType != "ENVIRONMENT" || !strings.Contains(e.Before, `"enabled":true`) || !strings.Contains(e.After, `"enabled":false`) || !strings.Contains(e.After, "login.example.org") {
		t.Errorf("MG-53: %+v", e)
	}
}

const goodJWT = `{"jwksUrls":["https://login.example.org/keys"],"issuers":["https://login.example.org/"],"audiences":["harbour"],"clientIdClaim":null}`

// 16, runtime-api.md 4.3: settings that would leave a check out are refused.
func TestJWTSettings(t *testing.T) {
	h := newHarbour(t)
	path := env + "/jwt-settings"
	h.do("viewer", "GET", path, "").want(t, 200, `{"data":{"jwksUrls":[],"issuers":[],"audiences":[],"clientIdClaim":null}}`)
	h.do("admin", "PUT", path, `{}`).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged")
	a := h.do("admin", "PUT", path, goodJWT).want(t, 200, `{"data":`+goodJWT+`}`)
	a.wantHeaders(t, "Ambit-Result: updated", "Ambit-Revision: 3")
	h.do("viewer", "GET", path, "", "If-None-Match: "+a.Header.Get("ETag")).want(t, 304)
	h.do("admin", "PUT", path, `{"data":`+goodJWT+`}`, "If-Match: "+a.Header.Get("ETag")).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged")
	h.do("admin", "PUT", path, goodJWT, "If-None-Match: *").want(t, 412)
	for _, host := range []string{"localhost", "[::1]:8080", "127.8.8.8", "127.0.0.1:9000"} {
		h.do("admin", "PUT", path, strings.Replace(goodJWT, "https://login.example.org/keys", "http://"+host+"/keys", 1)).want(t, 200)
	}
	h.do("admin", "PUT", path, strings.Replace(goodJWT, "https://login.example.org/keys", "http://127.0.0.1.example.org/keys", 1)).want(t, 400)
	for body, part := range map[string]string{
		strings.Replace(goodJWT, "https://login.example.org/keys", "http://login.example.org/keys", 1):                                                    `"message":"/jwksUrls/0: is not https`,
		strings.Replace(goodJWT, `"https://login.example.org/keys"`, strings.TrimSuffix(strings.Repeat(`"https://login.example.org/keys",`, 11), ","), 1): "/jwksUrls: has 11 items, the limit is 10",
		strings.Replace(goodJWT, "https://login", "https://u:p@login", 1):                                                                                 "/jwksUrls/0",
		strings.Replace(goodJWT, "https://login.example.org/keys", "file:///etc/passwd", 1):                                                               "/jwksUrls/0",
		`{"jwksUrls":["https://login.example.org/keys"],"audiences":["harbour"]}`:                                                                         "/issuers: is empty",
		`{"jwksUrls":["https://login.example.org/keys"],"issuers":["x"]}`:                                                                                 "/audiences: is empty",
		`{"issuers":"x"}`: "/issuers",
		`{"jwksUrls":[`:   "MGT-001",
	} {
		h.do("admin", "PUT", path, body).want(t, 400, part)
	}
	h.do("viewer", "GET", path, "").want(t, 200, "127.0.0.1")
}

// MG-58: an environment is deleted by its name, with everything in it; its credentials' tokens stop at once.
func TestDeleteEnvironment(t *testing.T) {
	h := newHarbour(t)
	h.do("admin", "POST", env+"/asset-templates/Cargo/assets", `{"path":"a"}`, ndjson).want(t, 200)
	h.do("admin", "POST", env+"/scopes", `{"clientId":"c1","name":"portal"}`).want(t, 201)
	h.put(regoPolicy("p1", "3", "A"))
	h.do("admin", "GET", env, "").want(t, 200)
	h.do("admin", "DELETE", env+"?name=Test", "").want(t, 403)
	h.do("tenant", "DELETE", env, "").want(t, 400, "Missing required parameter: name")
	for _, name := range []string{"", "test", "Other", "Test%20"} {
		h.do("tenant", "DELETE", env+"?name="+name, "").want(t, 400, "Invalid value for name")
	}
	h.do("tenant", "DELETE", env+"?name=Test", "", "If-Match: \"999\"").want(t, 412)
	h.do("tenant", "DELETE", env+"?name=Test&dryRun=true", "").want(t, 204).wantHeaders(t, "Ambit-Result: deleted", "Ambit-Dry-Run: true")
	h.do("admin", "GET", env, "").want(t, 200, `"policies":1`)
	h.do("tenant", "DELETE", env+"?name=Test", "", "X-Request-ID: gone").want(t, 204).wantHeaders(t, "Ambit-Result: deleted")
	for _, as := range []string{"admin", "viewer"} {
		h.do(as, "GET", env, "").want(t, 401)
	}
	h.do("tenant", "GET", env, "").want(t, 404)
	h.do("tenant", "DELETE", env+"?name=Test", "").want(t, 404)
	h.do("tenant", "GET", "/api/1.0/audit-admin?filter[action][eq]=DELETE", "").want(t, 200, `"action":"DELETE","resourceType":"ENVIRONMENT","resourceId":"`+envID+`","resourceName":"Test"`, `"requestId":"gone"`)

	// made again with the same id it has nothing of the old one
	h.do("tenant", "POST", environments, `{"id":"`+envID+`","name":"Test","bare":true}`).want(t, 201, `"id":"`+envID+`"`)
	h.do("tenant", "GET", env, "").want(t, 200, `"counts":{"policies":0,"inactivePolicies":0,"applications":0,"assetTemplates":0,"identityTemplates":0,"scopes":0}`)
	h.read(func(tx *store.Tx) error {
		n, err := tx.Assets("Cargo").Count()
		if n != 0 {
			t.Errorf("%d assets", n)
		}
		for c, err := range tx.Credentials.FindAll() {
			if h.must(err); c.EnvironmentID == envID {
				t.Errorf("credential %s", c.ClientID)
			}
		}
		return err
	})
	if _, err := h.service.Login(t.Context(), manage.Login{ClientID: "admin", Secrets: []string{h.secrets["admin"]}}); model.KindOf(err) != model.KindUnauthorized {
		t.Errorf("login: %v", err)
	}
}

// 16: the counts of a large environment do not read its policies: a look at 20,000 of them takes a moment.
func TestCountsAreQuick(t *testing.T) {
	h := newHarbour(t)
	_, err := h.store.Update(t.Context(), store.Write{Environment: envID, Time: h.clock}, func(tx *store.Tx) error {
		for i := range 20_000 {
			if _, err := tx.Policies.Put(model.Policy{ID: model.PolicyID(policyNumber(i)), WorkspaceID: model.WorkspaceID(h.quays), Name: "n", Inactive: i%4 == 0}); err != nil {
				return err
			}
		}
		return nil
	})
	h.must(err)
	h.do("viewer", "GET", env, "").want(t, http.StatusOK, `"policies":20000,"inactivePolicies":5000`)
	look, read := time.Hour, time.Hour
	for range 5 { // in turns, so that a busy machine slows both
		start := time.Now()
		h.do("viewer", "GET", env, "").want(t, http.StatusOK)
		look = min(look, time.Since(start))
		start = time.Now()
		h.read(func(tx *store.Tx) error {
			for _, err := range tx.Policies.FindAll() {
				h.must(err)
			}
			return nil
		})
		read = min(read, time.Since(start))
	}
	if look > read/3 {
		t.Errorf("a look takes %s, reading all policies %s", look, read)
	} else {
		t.Logf("a look takes %s, reading all policies %s", look, read)
	}
}

func policyNumber(i int) string { return fmt.Sprintf("p%05d", i) }

// MG-19: with the setting on, writes that replace or delete one object on Ambit's own calls need a version; others do not.
func TestRequireIfMatch(t *testing.T) {
	h := newHarbour(t)
	h.do("admin", "PATCH", env, `{"settings":{"requireIfMatch":true}}`).want(t, 200)
	h.do("admin", "POST", env+"/scopes", `{"clientId":"c1","name":"portal"}`).want(t, 201)
	h.do("admin", "POST", env+"/scopes/c1/secrets", `{"expireOldAfterSeconds":60}`).want(t, 201)
	h.put(regoPolicy("p1", "3", "A"))
	h.put(regoPolicy("p1", "4", "A"))
	h.do("admin", "PUT", env+"/paa-groups/north", `{}`).want(t, 200)
	definition := `{"key":"reviewer","name":"R","type":"string"}`
	for _, call := range [][2]string{
		{"PUT " + env, `{"name":"Test"}`},
		{"PATCH " + env, `{"name":"Test"}`},
		{"PUT " + env + "/jwt-settings", goodJWT},
		{"PUT " + env + "/custom-attributes/reviewer", definition},
		{"DELETE " + env + "/custom-attributes/reviewer", ""},
		{"PATCH " + env + "/scopes/c1", `{"cacheSeconds":3}`},
		{"PUT " + env + "/scopes/c1/applications/claims", ""},
		{"DELETE " + env + "/scopes/c1", ""},
		{"PUT " + env + "/paa-groups/north", `{"paasCount":1}`},
		{"DELETE " + env + "/paa-groups/north", ""},
	} {
		method, target, _ := strings.Cut(call[0], " ")
		h.do("admin", method, target, call[1]).want(t, 428, `"code":"MGT-013"`, "If-Match is required")
		h.do("admin", method, target+"?dryRun=true", call[1], "If-Match: *").want(t, map[bool]int{true: 204, false: 200}[method == "DELETE" || strings.Contains(target, "/applications/")])
	}
	h.do("tenant", "DELETE", env+"?name=Test", "").want(t, 428)
	h.do("admin", "PUT", env+"/scopes/c2", `{"name":"new"}`).want(t, 201)
	h.do("admin", "POST", env+"/scopes", `{"clientId":"c1","name":"portal"}`).want(t, 409, "MGT-008") // replaces nothing
	h.do("admin", "POST", authWs, `{"id":"`+h.quays+`","name":"Piers"}`).want(t, 409, "MGT-008")
	h.do("tenant", "DELETE", env+"?name=Test", "", "If-Match: *").want(t, 204)
}

// MG-10: problem details on request, in every family; several errors stand beside.
func TestProblemDetails(t *testing.T) {
	h := newHarbour(t)
	const accept = "Accept: application/problem+json"
	for _, call := range []struct {
		method, target, body, code string
		status                     int
	}{
		{"DELETE", env + "?name=Nope", "", "MGT-003", 400},
		{"PUT", env + "/jwt-settings", `{"jwksUrls":["http://x.example"]}`, "MGT-001", 400},
		{"GET", env + "/custom-attributes/none", "", "MGT-006", 404},
		{"GET", northPath + "/sources", "", "MGT-006", 404},
		{"GET", "/api/2.0/policies/" + envID + "?filter[id]=x", "", "MGT-002", 400},
		{"GET", "/api/1.0/audit-admin/x", "", "V-032", 422},
		{"GET", "/env-mgmt/1.0/api-key/clients/none", "", "", 404},
		{"GET", "/policy-mgmt/1.0/policies/" + envID, "", "MGT-002", 400},
	} {
		a := h.do("tenant", call.method, call.target, call.body, accept).want(t, call.status, `{"type":"about:blank","title":"`, `"detail":"`, `"name":"`, `"id":"E`)
		a.wantHeaders(t, "Content-Type: application/problem+json")
		a.want(t, call.status, fmt.Sprintf(`"status":%d`, call.status), call.code)
		if several := strings.Contains(a.body, `"errors":[`); several != strings.Contains(call.target, "jwt-settings") {
			t.Errorf("errors beside: %v %s", several, a.body)
		}
	}
	h.do("", "GET", env, "", accept).want(t, 401, `"title":"Unauthorized"`)
	h.do("admin", "DELETE", env+"?name=Test", "", accept).want(t, 403, `"title":"Forbidden"`)
}
