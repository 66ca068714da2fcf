package manage

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

const formBody = "Content-Type: application/x-www-form-urlencoded"

// MG-22, MG-23, MG-24: the token endpoint.
func TestToken(t *testing.T) {
	w := newWorld(t)
	const path = "/api/1.0/api-key/token"
	secret := w.secrets["admin"]
	good := "grant_type=client_credentials&client_id=admin&client_secret=" + secret
	basic := func(id, secret string) string {
		r := httptest.NewRequest("GET", "/", nil)
		r.SetBasicAuth(id, secret)
		return "Authorization: " + r.Header.Get("Authorization")
	}
	odd, oddSecret := "a+b %:é", w.secrets["a+b %:é"]
	tests := []struct {
		name, target, body string
		headers            []string
		status             int
		word               string
	}{
		{"form", "", good, []string{formBody}, 200, ""},
		{"form without type", "", good, nil, 200, ""},
		{"slash at the end", path + "/", good, []string{formBody}, 200, ""},
		{"camel case", "", "grant_type=client_credentials&clientId=admin&clientSecret=" + secret, []string{formBody}, 200, ""},
		{"JSON", "", `{"grant_type":"client_credentials","client_id":"admin","client_secret":"` + secret + `"}`, []string{"Content-Type: application/json"}, 200, ""},
		{"JSON, camel case", "", `{"grant_type":"client_credentials","clientId":"admin","clientSecret":"` + secret + `"}`, []string{"Content-Type: application/json; charset=utf-8"}, 200, ""},
		{"Basic", "", "grant_type=client_credentials", []string{formBody, basic("admin", secret)}, 200, ""},
		{"Basic decoded", "", "grant_type=client_credentials", []string{formBody, basic(url.QueryEscape(odd), url.QueryEscape(oddSecret))}, 200, ""},
		{"Basic wins", "", "grant_type=client_credentials&client_id=x&client_secret=y", []string{formBody, basic("admin", secret)}, 200, ""},
		{"odd form", "", url.Values{"grant_type": {"client_credentials"}, "client_id": {odd}, "client_secret": {oddSecret}}.Encode(), []string{formBody}, 200, ""},
		{"wrong secret", "", good + "x", []string{formBody}, 401, "invalid_client"},
		{"unknown id", "", "grant_type=client_credentials&client_id=nobody&client_secret=" + secret, []string{formBody}, 401, "invalid_client"},
		{"wrong Basic", "", "grant_type=client_credentials", []string{formBody, basic("admin", "x")}, 401, "invalid_client"},
		{"broken Basic", "", "grant_type=client_credentials", []string{formBody, "Authorization: Basic !!"}, 401, "invalid_client"},
		{"no credentials", "", "grant_type=client_credentials", []string{formBody}, 401, "invalid_client"},
		{"no secret", "", "grant_type=client_credentials&client_id=admin", []string{formBody}, 401, "invalid_client"},
		{"no grant type", "", "client_id=admin&client_secret=" + secret, []string{formBody}, 400, "invalid_request"},
		{"empty", "", "", []string{formBody}, 400, "invalid_request"},
		{"other grant type", "", "grant_type=password&client_id=admin&client_secret=" + secret, []string{formBody}, 400, "unsupported_grant_type"},
		{"twice", "", good + "&client_id=admin", []string{formBody}, 400, "invalid_request"},
		{"two that differ", "", good + "&clientId=other", []string{formBody}, 400, "invalid_request"},
		{"malformed form", "", "grant_type=%zz", []string{formBody}, 400, "invalid_request"},
		{"malformed JSON", "", `{"grant_type":`, []string{"Content-Type: application/json"}, 400, "invalid_request"},
		{"repeated JSON name", "", `{"grant_type":"client_credentials","grant_type":"x"}`, []string{"Content-Type: application/json"}, 400, "invalid_request"},
		{"in the query", path + "?client_id=admin&client_secret=" + secret, "grant_type=client_credentials", []string{formBody}, 400, "invalid_request"},
		{"other type", "", good, []string{"Content-Type: text/plain"}, 415, "invalid_request"},
		{"too large", "", good + "&x=" + strings.Repeat("x", 70_000), []string{formBody}, 413, "invalid_request"},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.clock = w.clock.Add(time.Duration(i) * time.Minute) // each in a window of its own
			target := tt.target
			if target == "" {
				target = path
			}
			a := w.do("", "POST", target, tt.body, tt.headers...)
			a.want(t, tt.status)
			if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("x-request-id") == "" {
				t.Errorf("headers %v", a.Header)
			}
			if tt.status == 200 {
				var out struct {
					AccessToken string `json:"access_token"`
					TokenType   string `json:"token_type"`
					ExpiresIn   int    `json:"expires_in"`
				}
				if err := json.Unmarshal([]byte(a.body), &out, json.RejectUnknownMembers(true)); err != nil || out.TokenType != "Bearer" || out.ExpiresIn != 5400 {
					t.Errorf("%v %s", err, a.body)
				}
				if _, err := w.service.Authenticate(t.Context(), out.AccessToken); err != nil || a.Header.Get("Pragma") != "no-cache" {
					t.Errorf("%v %v", err, a.Header)
				}
				return
			}
			a.want(t, tt.status, `{"error":"`+tt.word+`"`, `"error_description":`, `"errors":[{"code":`)
			challenge := a.Header.Get("WWW-Authenticate")
			if isBasic := slices.ContainsFunc(tt.headers, func(h string) bool { return strings.HasPrefix(h, "Authorization: Basic") }); tt.status == 401 && isBasic != (challenge == `Basic realm="ambit"`) {
				t.Errorf("WWW-Authenticate %q", challenge)
			}
			for _, s := range w.secrets {
				if strings.Contains(a.body, s) || strings.Contains(w.log.String(), s) {
					t.Errorf("a secret is shown: %s\n%s", a.body, w.log.String())
				}
			}
		})
	}
	w.do("", "POST", path, good+"&scope=x", formBody).want(t, 200, `"scope":"environment:admin"`)
	a := w.do("", "GET", path, "")
	if a.want(t, 405); a.Header.Get("Allow") != "POST" {
		t.Errorf("Allow %q", a.Header.Get("Allow"))
	}
}

// MG-24: unknown id and wrong secret differ in nothing; more than ten failures a minute are 429.
func TestTokenFailures(t *testing.T) {
	w := newWorld(t)
	w.clock = w.clock.Add(time.Hour)
	try := func(id string) answer {
		return w.do("", "POST", "/api/1.0/api-key/token", "grant_type=client_credentials&client_id="+id+"&client_secret=x2345678", formBody)
	}
	strip := func(a answer) string {
		id := a.Header.Get("X-Error-Id")
		return strings.ReplaceAll(a.body, id, "ID")
	}
	if a, b := strip(try("admin")), strip(try("nobody")); a != b {
		t.Errorf("wrong secret %s, unknown id %s", a, b)
	}
	for range 9 {
		try("admin").want(t, 401)
	}
	a := try("admin").want(t, 429, `"error":"temporarily_unavailable"`)
	if a.Header.Get("Retry-After") != "60" {
		t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
	}
}

// MG-1, MG-12, MG-13, 1.4: the checks come in their order.
func TestOrderOfChecks(t *testing.T) {
	w := newWorld(t)
	scopesOf := func(id string) string { return "/ambit/1.0/environments/" + id + "/scopes" }
	a := w.do("", "GET", scopesOf(envID), "").want(t, 401, `{"errors":[{"code":"MGT-004"`, `"name":"UnauthorizedError"`)
	if got := a.Header.Get("WWW-Authenticate"); got != `Bearer realm="ambit"` {
		t.Errorf("without a token: %s", got)
	}
	a = w.do("", "GET", scopesOf(envID), "", "Authorization: Bearer x").want(t, 401)
	if got := a.Header.Get("WWW-Authenticate"); got != `Bearer realm="ambit", error="invalid_token"` {
		t.Errorf("with a bad token: %s", got)
	}
	w.do("", "GET", "/ambit/1.0/nothing", "").want(t, 404, `"code":"MGT-006"`)
	w.do("", "PATCH", scopesOf(envID), "").want(t, 405)
	w.do("", "GET", scopesOf("x"), "").want(t, 401)
	w.do("viewer", "POST", scopesOf("x"), "").want(t, 422, `"code":"V-032"`, `"message":"$: x is an invalid uuid"`)
	w.do("viewer", "POST", scopesOf(envID), "{").want(t, 403, `"code":"MGT-005"`, "Operation POST for resource Scope is not permitted")
	for _, id := range []string{otherID, goneID} {
		w.do("admin", "GET", scopesOf(id), "").want(t, 403)
	}
	w.do("tenant", "POST", scopesOf(goneID), "{").want(t, 404, "Environment: ["+goneID+"] not found")
	w.do("admin", "POST", scopesOf(envID), "{").want(t, 400, `"code":"MGT-001"`)
	w.do("admin", "GET", scopesOf(strings.ToUpper(envID)), "").want(t, 200)
	w.do("admin", "GET", scopesOf(envID)+"/", "").want(t, 200)
	w.do("admin", "GET", "/ambit/1.0//whoami", "").want(t, 404)
	w.do("admin", "GET", "/AMBIT/1.0/whoami", "").want(t, 404)
	w.do("admin", "GET", scopesOf(envID), "", "Accept: text/html").want(t, 406, "MGT-007")
	w.do("admin", "POST", scopesOf(envID), "{}", "Content-Type: text/plain").want(t, 415, "MGT-007")
	w.do("admin", "POST", scopesOf(envID), "{}", "Content-Encoding: br").want(t, 415)
	w.do("admin", "POST", scopesOf(envID)+"?dryRun=perhaps", `{"name":"x"}`).want(t, 400, "MGT-003")
	w.do("admin", "GET", scopesOf(envID), "", "Accept: application/problem+json").want(t, 200)
	a = w.do("admin", "GET", env+"/scopes/none", "", "Accept: application/problem+json").want(t, 404, `"title":"Not Found"`)
	if a.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("MG-10: %v", a.Header)
	}
}

// MG-14: either spelling makes a dry run, and no other value takes it back.
func TestDryRunSpellings(t *testing.T) {
	w := newWorld(t)
	for _, q := range []string{"?dryRun=true", "?dryRun=TRUE", "?dryRun=false&dryRun=true", "?dryRun=true&dryRun="} {
		w.do("admin", "PUT", env+"/asset-templates/Claims/assets/a"+q, `{}`).want(t, 201)
	}
	for _, q := range []string{"", "?dryRun=", "?dryRun=false", "?dryRun=true"} {
		a := w.do("admin", "PUT", env+"/asset-templates/Claims/assets/a"+q, `{}`, "Ambit-Dry-Run: True").want(t, 201)
		if a.Header.Get("Ambit-Dry-Run") != "true" || a.Header.Get("Ambit-Revision") != "1" {
			t.Errorf("%s: %v", q, a.Header)
		}
	}
	for _, q := range []string{"?dryRun=yes", "?dryRun=true&dryRun=1", "?dryRun=%00"} {
		w.do("admin", "PUT", env+"/asset-templates/Claims/assets/a"+q, `{}`).want(t, 400, "dryRun")
	}
	w.do("admin", "GET", env+"/asset-templates/Claims/assets/a", "").want(t, 404)
}

// MG-5: the request id is echoed when it is fit for it.
func TestRequestID(t *testing.T) {
	w := newWorld(t)
	for id, echo := range map[string]bool{"abc-1": true, strings.Repeat("x", 128): true, strings.Repeat("x", 129): false, "a b": false, "é": false, "": false} {
		a := w.do("", "GET", "/ambit/1.0/whoami", "", "X-Request-ID: "+id)
		if got := a.Header.Get("x-request-id"); (got == id) != echo || got == "" || !echo && len(got) != 36 {
			t.Errorf("%q: %q", id, got)
		}
	}
}

// management-api.md 15, 16: whoami, environments, revision.
func TestEnvironments(t *testing.T) {
	w := newWorld(t)
	w.do("viewer", "GET", "/ambit/1.0/whoami", "").want(t, 200,
		`{"data":{"clientId":"viewer","name":"viewer","ownerType":"ENVIRONMENT","ownerId":"`+envID+`","permission":"VIEWER","expiresAt":"2026-07-06T09:30:00Z"}}`)
	w.do("tenant", "GET", "/ambit/1.0/whoami", "").want(t, 200, `"ownerType":"TENANT","ownerId":null`)
	w.do("viewer", "GET", "/ambit/1.0/environments", "").want(t, 200, `"total":1,"limit":50,"offset":0,"meta":{"total":1,"limit":50,"offset":0}}`, `"id":"`+envID+`"`)
	w.do("tenant", "GET", "/ambit/1.0/environments?limit=1&offset=1", "").want(t, 200, `"total":2,"limit":1,"offset":1`, otherID)
	w.do("tenant", "GET", "/ambit/1.0/environments?limit=5000&filter%5Bname%5D=Other", "").want(t, 200, `"total":1,"limit":1000`)
	for _, bad := range []string{"limit=0", "limit=x", "limit=", "offset=-1"} {
		w.do("tenant", "GET", "/ambit/1.0/environments?"+bad, "").want(t, 400, "MGT-003")
	}
	a := w.do("tenant", "POST", "/ambit/1.0/environments", `{"name":"New","id":"CCCCCCCC-0f5e-4a77-9c1e-3d0a6f2b8e41"}`).want(t, 201, `"id":"cccccccc-0f5e-4a77-9c1e-3d0a6f2b8e41"`, `"revision":1`)
	if a.Header.Get("Location") != "/ambit/1.0/environments/cccccccc-0f5e-4a77-9c1e-3d0a6f2b8e41" || a.Header.Get("Ambit-Result") != "created" || a.Header.Get("Ambit-Revision") != "1" {
		t.Errorf("headers %v", a.Header)
	}
	w.do("tenant", "POST", "/ambit/1.0/environments", `{"name":"New"}`).want(t, 409, "MGT-008")
	w.do("tenant", "POST", "/ambit/1.0/environments", `{"name":"X","id":"x"}`).want(t, 422, "V-032")
	w.do("tenant", "POST", "/ambit/1.0/environments", `{"data":{"name":""}}`).want(t, 400, "/name: is empty")
	a = w.do("tenant", "POST", "/ambit/1.0/environments?dryRun=True", `{"name":"Dry"}`).want(t, 201, `"id":null`)
	if a.Header.Get("Ambit-Dry-Run") != "true" {
		t.Errorf("MG-14: %v", a.Header)
	}
	w.do("tenant", "GET", "/ambit/1.0/environments?filter[name]=Dry", "").want(t, 200, `"total":0`)
	w.do("viewer", "GET", env, "").want(t, 200, `"settings":{"enabled":true,"requireIfMatch":false},"counts":{"policies":0,"inactivePolicies":0,"applications":1,"assetTemplates":1,"identityTemplates":1,"scopes":0},"createdAt":"2026-07-06T08:00:00Z"`)
	w.do("viewer", "GET", env+"/revision", "").want(t, 200, `{"data":{"environmentId":"`+envID+`","revision":1,"updatedAt":"2026-07-06T08:00:00Z"}}`)
	a = w.do("viewer", "HEAD", env+"/revision", "").want(t, 200)
	if a.Header.Get("Ambit-Revision") != "1" {
		t.Errorf("HEAD: %v", a.Header)
	}
}

// MG-61, MG-15, MG-17, 18: scopes on the wire.
func TestScopes(t *testing.T) {
	w := newWorld(t)
	a := w.do("admin", "POST", env+"/scopes", `{"clientId":"C/1","name":"portal","applicationIds":["claims"]}`).want(t, 201, `"clientId":"C/1"`, `"incomplete":true`, `"secret":"ambit_`)
	if a.Header.Get("Location") != env+"/scopes/C%2F1" || a.Header.Get("Ambit-Revision") != "2" {
		t.Errorf("headers %v", a.Header)
	}
	one := env + "/scopes/C%2F1"
	a = w.do("viewer", "GET", one, "").want(t, 200, `"revision":2}}`, `"jwtResponse":null`)
	if strings.Contains(a.body, "secret") {
		t.Errorf("PM-6: %s", a.body)
	}
	tag := a.Header.Get("ETag")
	w.do("viewer", "GET", one, "", "If-None-Match: "+tag).want(t, 304)
	a = w.do("admin", "PATCH", one, `{"cacheSeconds":9}`, "If-Match: "+tag, "Content-Type: application/merge-patch+json").want(t, 200, `"cacheSeconds":9`)
	if a.Header.Get("Ambit-Result") != "updated" || a.Header.Get("ETag") == tag || a.Header.Get("Ambit-Revision") != "3" {
		t.Errorf("headers %v", a.Header)
	}
	w.do("admin", "PATCH", one, `{"cacheSeconds":1}`, "If-Match: "+tag).want(t, 412, "MGT-011")
	a = w.do("admin", "PATCH", one, `{"cacheSeconds":9}`).want(t, 200)
	if a.Header.Get("Ambit-Result") != "unchanged" || a.Header.Get("Ambit-Revision") != "3" {
		t.Errorf("MG-15: %v", a.Header)
	}
	w.do("admin", "PUT", one, `{"clientId":"other","name":"portal"}`).want(t, 400, "differs from that of the path")
	w.do("admin", "PUT", env+"/scopes/new", `{"name":"new"}`).want(t, 201)
	w.do("admin", "POST", one+"/secrets", `{"expireOldAfterSeconds":60}`).want(t, 201, `"secret":"ambit_`, `"expiresAt":null`)
	w.do("viewer", "GET", one+"/secrets", "").want(t, 200, `"total":2`, `"expiresAt":"2026-07-06T08:01:00Z"`)
	w.do("admin", "POST", one+"/secrets", `{"expireOldAfterSeconds":60}`).want(t, 409, "MGT-009")
	w.do("admin", "POST", one+"/secrets", ``).want(t, 201)
	w.do("admin", "POST", one+"/secrets", `{"expireOldAfterSeconds":-1}`).want(t, 400)
	w.do("admin", "POST", one+"/secrets?dryRun=true", ``).want(t, 201, `"secret":null`, `"id":null`)
	w.do("admin", "PUT", one+"/applications/claims", "").want(t, 204)
	w.do("admin", "PUT", one+"/applications/none", "").want(t, 404)
	w.do("viewer", "GET", env+"/scopes?filter[applicationId]=claims", "").want(t, 200, `"total":1`)
	w.do("admin", "DELETE", one+"/applications/claims", "").want(t, 204)
	w.do("admin", "DELETE", one, "").want(t, 204)
	w.do("viewer", "GET", one, "").want(t, 404, "Scope: [C/1] not found")
	for id, secret := range w.secrets {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the secret of %s is in the log", id)
		}
	}
}

// MG-20: a demanded revision is waited for or answered 503.
func TestMinRevision(t *testing.T) {
	w := newWorld(t)
	w.do("viewer", "GET", env, "", "Ambit-Min-Revision: 1").want(t, 200)
	a := w.do("viewer", "GET", env, "", "Ambit-Min-Revision: 2", "Ambit-Wait: 1").want(t, 503, `"code":"MGT-017"`, "Revision 2 is not reached")
	if a.Header.Get("Retry-After") != "1" {
		t.Errorf("headers %v", a.Header)
	}
	w.do("viewer", "GET", env, "", "Ambit-Min-Revision: x").want(t, 400)
	go func() {
		time.Sleep(30 * time.Millisecond)
		w.do("admin", "POST", env+"/scopes", `{"name":"portal"}`)
	}()
	w.do("viewer", "GET", env+"/revision", "", "Ambit-Min-Revision: 2", "Ambit-Wait: 20000").want(t, 200, `"revision":2`)
}

const ndjson = "Content-Type: application/x-ndjson"

// MG-63, MG-64, MG-66, 1.9: bulk on the wire.
func TestAssets(t *testing.T) {
	w := newWorld(t)
	all := env + "/asset-templates/Claims/assets"
	a := w.do("admin", "POST", all, `{"path":"a/b","attributes":{"claimKey":"k"}}`+"\n"+`{"path":"100%"}`, ndjson).want(t, 200,
		`{"data":{"received":2,"created":2,"updated":0,"unchanged":0,"deleted":0,"failed":0,"dryRun":false},"errors":[]}`)
	if a.Header.Get("Ambit-Revision") != "2" || a.Header.Get("Ambit-Result") != "updated" {
		t.Errorf("headers %v", a.Header)
	}
	a = w.do("admin", "POST", all, `{"path":"c"}`+"\n"+`{"path":"d","attributes":{"nope":1}}`, ndjson).want(t, 400, `"failed":1`,
		`"errors":[{"code":"MGT-003","args":{"0":"nope"},"id":"E`, `"status":400,"name":"InvalidParameterError","message":"2: Invalid value for nope: the attribute is not declared","line":2,"key":"d"}]`)
	if a.Header.Get("Ambit-Revision") != "2" || a.Header.Get("Ambit-Result") != "unchanged" {
		t.Errorf("headers %v", a.Header)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	fmt.Fprint(z, "path,claimKey\nü x,k|l\n")
	w.must(z.Close())
	w.do("admin", "POST", all+"?mode=partial&separator=;", packed.String(), "Content-Type: text/csv; charset=utf-8", "Content-Encoding: gzip").want(t, 200, `"created":1`)
	for path, encoded := range map[string]string{"a/b": "a%2Fb", "100%": "100%25", "ü x": "%C3%BC%20x"} {
		w.do("viewer", "GET", all+"/"+encoded, "").want(t, 200, `"path":"`+path+`"`, `"name":"`+path+`"`)
		w.do("viewer", "GET", all+"?path="+url.QueryEscape(path), "").want(t, 200, `"path":"`+path+`"`)
	}
	w.do("viewer", "GET", all+"/"+"%C3%BC%20x", "").want(t, 200, `"attributes":{"claimKey":["k|l"]}`)
	w.do("admin", "PUT", all+"/count", `{"attributes":{"claimKey":"x"}}`).want(t, 405)
	w.do("admin", "PUT", all+"?path=count", `{"attributes":{"claimKey":"x"}}`).want(t, 201, `"path":"count"`)
	w.do("admin", "PATCH", all+"/a%2Fb", `{"attributes":{"claimKey":null}}`).want(t, 200, `"attributes":{}`)
	w.do("viewer", "GET", all+"/count", "").want(t, 200, `{"data":{"count":4}}`)
	w.do("viewer", "GET", all+"/count?filter[path][startswith]=a", "").want(t, 200, `{"data":{"count":1}}`)
	a = w.do("viewer", "GET", all+"?limit=3&fields=path", "").want(t, 200, `{"data":[{"path":"a/b"},{"path":"100%"},{"path":"ü x"}],"meta":{"limit":3,"nextCursor":"`)
	var page struct {
		Meta struct {
			NextCursor string `json:"nextCursor"`
		} `json:"meta"`
	}
	w.must(json.Unmarshal([]byte(a.body), &page))
	w.do("viewer", "GET", all+"?limit=3&fields=path&cursor="+page.Meta.NextCursor, "").want(t, 200, `{"data":[{"path":"count"}],"meta":{"limit":3,"revision":`)
	w.do("admin", "GET", all+"?limit=3&fields=path&cursor="+page.Meta.NextCursor, "").want(t, 400)
	w.do("admin", "DELETE", all+"/a%2Fb", "").want(t, 204)
	w.do("admin", "DELETE", all+"/a%2Fb", "").want(t, 404)
	w.do("admin", "DELETE", all+"?all=true", "").want(t, 400, "must be repeated")
	w.do("admin", "DELETE", all, "").want(t, 400)
	w.do("admin", "DELETE", all+"?all=true&template=Claims", "").want(t, 204)
	w.do("viewer", "GET", all+"/count", "").want(t, 200, `{"data":{"count":0}}`)
	w.do("admin", "POST", all, "{}", "Content-Type: application/json").want(t, 415)
	w.do("admin", "POST", all+"?mode=x&update=y&duplicates=z&prune=q", "", ndjson).want(t, 400, "Invalid value for mode", "Invalid value for update", "Invalid value for duplicates", "Invalid value for prune")
	w.do("admin", "POST", env+"/asset-templates/None/assets", "", ndjson).want(t, 404, "AssetTemplate: [None] not found")
	w.do("admin", "POST", all, "not gzip", ndjson, "Content-Encoding: gzip").want(t, 400, "not gzip")
}

func TestIdentities(t *testing.T) {
	w := newWorld(t)
	all := env + "/identity-templates/User/identities"
	w.do("admin", "POST", all, `{"entityId":"iris"}`+"\n"+`{"entityId":"olaf","isActive":false}`, ndjson).want(t, 200, `"created":2`)
	w.do("viewer", "GET", all+"/iris", "").want(t, 200, `{"data":{"entityId":"iris","isActive":true,"attributes":{}}}`)
	w.do("viewer", "GET", all+"?filter[isActive]=false", "").want(t, 200, `{"data":[{"entityId":"olaf"`)
	w.do("viewer", "GET", all+"?entityId=olaf", "").want(t, 200, `"isActive":false`)
	w.do("admin", "PUT", all+"/iris", `{"attributes":{"uid":["olaf"]}}`).want(t, 400, "differs from the id")
	w.do("admin", "DELETE", all+"/iris", "").want(t, 204)
}

// 1.9: limits hold for the unpacked size; a bomb is refused with 413 and leaves no file behind.
func TestBodyLimits(t *testing.T) {
	w := newWorld(t)
	bomb := func(n int) string {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		block := bytes.Repeat([]byte(" "), 1<<20)
		for range n {
			_, err := z.Write(block)
			w.must(err)
		}
		w.must(z.Close())
		return packed.String()
	}
	w.do("admin", "POST", env+"/scopes", bomb(11), "Content-Encoding: gzip").want(t, 413, `"code":"MGT-012"`, "The body is larger than 10485760 bytes")
	w.do("admin", "POST", env+"/apply", bomb(65), "Content-Encoding: gzip", "Content-Type: application/zip").want(t, 413, "67108864")
	w.do("admin", "POST", env+"/scopes", strings.Repeat(" ", 11<<20)).want(t, 413)
}

// MG-72, MG-14, 21.2: apply on the wire.
func TestApply(t *testing.T) {
	w := newWorld(t)
	archive := func(policy string) string {
		return zipOf(t, map[string]string{
			"authorization-workspaces/Quays/asset-types/Cargo.json": `{"data":{"templateId":"Cargo","displayName":"Cargo","source":"REQUEST","attributes":[],"actions":[{"actionId":"Load","value":"load"}]}}`,
			"authorization-workspaces/Quays/policies/p.rego":        policy,
		})
	}
	const good = "# METADATA\n# custom:\n#   plainid:\n#     policyId: p\n#     name: P\n#     accessType: Allow\npackage policy\nimport rego.v1\n\n# METADATA\n# custom:\n#   plainid:\n#     kind: DynamicGroup\n#     name: G\ndynamic_group(identity) if {\n\tidentity.template == \"User\"\n}\n\n# METADATA\n# custom:\n#   plainid:\n#     kind: Ruleset\n#     name: R\nruleset(asset, identity, requestParams, action) if {\n\tasset.template == \"Cargo\"\n}"
	zipType := "Content-Type: application/zip"
	a := w.do("admin", "POST", env+"/apply", archive(strings.Replace(good, "Cargo", "Nope", 1)), zipType).want(t, 400, `"committed":false`, `"result":"failed"`,
		`"errors":[{"code":"RG-302"`, `"file":"authorization-workspaces/Quays/policies/p.rego","line":25,"column":20}]`)
	if a.Header.Get("Ambit-Revision") != "1" || a.Header.Get("Ambit-Result") != "unchanged" {
		t.Errorf("A1: %v", a.Header)
	}
	a = w.do("admin", "POST", env+"/apply?dryRun=true", archive(good), zipType).want(t, 200, `"dryRun":true,"committed":false`, `"policies":{"created":1`)
	if a.Header.Get("Ambit-Dry-Run") != "true" || a.Header.Get("Ambit-Revision") != "1" {
		t.Errorf("MG-14: %v", a.Header)
	}
	a = w.do("admin", "POST", env+"/apply", archive(good), zipType).want(t, 200, `"committed":true`, `"kind":"policy","id":"p","result":"created","warnings":[{"code":"RW-04","line":25,"column":20,`, `"kind":"DynamicGroup","name":"User All Users","id":"`, `"result":"reused"`, `"notes":[]},"errors":[]}`)
	if a.Header.Get("Ambit-Revision") != "2" || a.Header.Get("Ambit-Result") != "updated" {
		t.Errorf("headers %v", a.Header)
	}
	a = w.do("admin", "POST", env+"/apply?verbose=true", archive(good), zipType).want(t, 200, `"result":"unchanged"`)
	if a.Header.Get("Ambit-Revision") != "2" || a.Header.Get("Ambit-Result") != "unchanged" {
		t.Errorf("MG-71: %v", a.Header)
	}
	w.do("admin", "POST", env+"/apply", "x", "Content-Type: application/json").want(t, 415)
	w.do("admin", "POST", env+"/apply", "x", zipType).want(t, 400, "not zip")
	w.do("admin", "POST", env+"/apply", "x", "Content-Type: application/gzip").want(t, 400, "not gzip")
	w.do("admin", "POST", env+"/apply?onError=x&prune=2&rename=a", "x", zipType).want(t, 400, "onError", "prune", "rename")
}

func FuzzBasic(f *testing.F) {
	for _, seed := range []string{"Basic YTpi", "basic YSUyQmI6YyUzQQ==", "Basic :", "Basic !!", "Bearer x", "Basic"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		attempts, ok := parseBasic(header)
		if ok != (len(attempts) > 0) {
			t.Errorf("%q: %v %v", header, attempts, ok)
		}
		for _, c := range attempts {
			if len(attempts) == 1 && (c.id == "" || c.secret == "") {
				t.Errorf("%q: %+v", header, c)
			}
		}
	})
}
