package manage

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// basicOf is the header of HTTP Basic.
func basicOf(id, secret string) string {
	r := httptest.NewRequest("GET", "/", nil)
	r.SetBasicAuth(id, secret)
	return "Authorization: " + r.Header.Get("Authorization")
}

const realm = "/auth/realms/acme/protocol/openid-connect/token"

// scoped makes a scope with a secret and gets a runtime token for it.
func (w *world) scoped() (secret, runtimeToken string) {
	w.t.Helper()
	var out struct {
		Data struct{ Secret string }
	}
	a := w.do("admin", "POST", env+"/scopes", `{"clientId":"PORTAL","name":"portal"}`).want(w.t, 201)
	w.must(json.Unmarshal([]byte(a.body), &out, json.MatchCaseInsensitiveNames(true)))
	return out.Data.Secret, w.token("/oauth2/token", "PORTAL", out.Data.Secret)
}

// newSecret gives the scope a secret in the place of all others.
func (w *world) newSecret() string {
	w.t.Helper()
	var out struct {
		Data struct{ Secret string }
	}
	a := w.do("admin", "POST", env+"/scopes/PORTAL/secrets", "").want(w.t, 201)
	w.must(json.Unmarshal([]byte(a.body), &out, json.MatchCaseInsensitiveNames(true)))
	return out.Data.Secret
}

func (w *world) token(path, id, secret string) string {
	w.t.Helper()
	a := w.do("", "POST", path, "grant_type=client_credentials", formBody, basicOf(id, secret)).want(w.t, 200)
	var out struct {
		AccessToken string `json:"access_token"`
	}
	w.must(json.Unmarshal([]byte(a.body), &out))
	return out.AccessToken
}

// oauthCase is one request to an OAuth route. word is the error, "" for none; parts stand in the body.
type oauthCase struct {
	name, path, body string
	headers          []string
	status           int
	word             string
	parts            []string
}

// run sends each case in a minute of its own, so that failures do not add up.
func (w *world) runOAuth(cases []oauthCase) {
	w.t.Helper()
	for _, c := range cases {
		w.clock = w.clock.Add(time.Second)
		w.service.Close()
		a := w.do("", "POST", c.path, c.body, append([]string{formBody}, c.headers...)...)
		if a.StatusCode != c.status {
			w.t.Errorf("%s: status %d, want %d: %s", c.name, a.StatusCode, c.status, a.body)
		}
		for _, part := range c.parts {
			if !strings.Contains(a.body, part) {
				w.t.Errorf("%s: body lacks %s: %s", c.name, part, a.body)
			}
		}
		if c.word != "" {
			var out struct {
				Error       string `json:"error"`
				Description string `json:"error_description"`
			}
			if err := json.Unmarshal([]byte(a.body), &out); err != nil || out.Error != c.word || out.Description == "" {
				w.t.Errorf("%s: %v, %s, want %s", c.name, err, a.body, c.word)
			}
			if c.status == 401 && a.Header.Get("WWW-Authenticate") == "" {
				w.t.Errorf("%s: no WWW-Authenticate", c.name)
			}
		}
		if a.Header.Get("Cache-Control") != "no-store" {
			w.t.Errorf("%s: headers %v", c.name, a.Header)
		}
		for _, secret := range w.secrets {
			if strings.Contains(a.body, secret) || strings.Contains(w.log.String(), secret) {
				w.t.Errorf("%s: a secret is shown", c.name)
			}
		}
	}
}

// MG-78, RFC 6749 4.4 and 5.2: the token endpoints, each by the same cases.
func TestOAuthToken(t *testing.T) {
	for _, path := range []string{"/oauth2/token", realm, "/api/1.0/api-key/token"} {
		t.Run(path, func(t *testing.T) {
			w := newWorld(t)
			good := "grant_type=client_credentials&client_id=admin&client_secret=" + w.secrets["admin"]
			basic := basicOf("admin", w.secrets["admin"])
			grant := "grant_type=client_credentials"
			jsonType := "Content-Type: application/json"
			ok := []string{`"access_token":"ey`, `"token_type":"Bearer"`, `"expires_in":5400`}
			exchange, status := "unsupported_grant_type", 400
			if path == realm {
				status = 501
			}
			w.runOAuth([]oauthCase{
				{"form", path, good, nil, 200, "", ok},
				{"Basic", path, grant, []string{basic}, 200, "", ok},
				{"basic in lower case", path, grant, []string{strings.Replace(basic, "Basic", "basic", 1)}, 200, "", ok},
				{"unknown parameters are ignored", path, good + "&x=y&resource=z", nil, 200, "", ok},
				{"scope is no error", path, good + "&scope=anything", nil, 200, "", append(ok, `"scope":"environment:admin"`)},
				{"charset beside the type", path, good, []string{formBody + "; charset=UTF-8"}, 200, "", ok},
				{"JSON", path, `{"grant_type":"client_credentials","client_id":"admin","client_secret":"` + w.secrets["admin"] + `"}`, []string{jsonType}, 200, "", ok},
				{"empty secret in the body, Basic good", path, grant + "&client_secret=", []string{basic}, 200, "", ok},
				{"no grant", path, "client_id=admin", nil, 400, "invalid_request", nil},
				{"empty grant", path, "grant_type=", []string{basic}, 400, "invalid_request", nil},
				{"grant twice", path, grant + "&" + grant, []string{basic}, 400, "invalid_request", nil},
				{"secret twice", path, good + "&client_secret=x", nil, 400, "invalid_request", nil},
				{"grant in the query", path + "?" + grant, "", []string{basic}, 400, "invalid_request", nil},
				{"secret in the query", path + "?client_secret=x", grant, []string{basic}, 400, "invalid_request", nil},
				{"id in the query", path + "?client_id=admin", grant, []string{basic}, 400, "invalid_request", nil},
				{"grant in capitals", path, "grant_type=CLIENT_CREDENTIALS", []string{basic}, 400, "unsupported_grant_type", nil},
				{"password", path, "grant_type=password&username=a&password=b", []string{basic}, 400, "unsupported_grant_type", nil},
				{"authorization code", path, "grant_type=authorization_code&code=x", []string{basic}, 400, "unsupported_grant_type", nil},
				{"refresh token", path, "grant_type=refresh_token&refresh_token=x", []string{basic}, 400, "unsupported_grant_type", nil},
				{"JWT bearer", path, "grant_type=" + url.QueryEscape("urn:ietf:params:oauth:grant-type:jwt-bearer"), []string{basic}, 400, "unsupported_grant_type", nil},
				{"token exchange", path, "grant_type=" + url.QueryEscape(tokenExchange), []string{basic}, status, exchange, nil},
				{"no credentials", path, grant, nil, 401, "invalid_client", nil},
				{"wrong secret", path, grant, []string{basicOf("admin", "wrong")}, 401, "invalid_client", nil},
				{"unknown client", path, grant, []string{basicOf("nobody", "wrong")}, 401, "invalid_client", nil},
				{"no colon in Basic", path, grant, []string{"Authorization: Basic YWRtaW4="}, 401, "invalid_client", nil},
				{"empty id", path, grant, []string{basicOf("", "x")}, 401, "invalid_client", nil},
				{"Bearer in the place of Basic", path, grant, []string{"Authorization: Bearer x"}, 401, "invalid_client", nil},
				{"a secret with a blank at its end", path, good + "%20", nil, 401, "invalid_client", nil},
				{"JSON list", path, `["client_credentials"]`, []string{jsonType}, 400, "invalid_request", nil},
				{"JSON number", path, `{"grant_type":1}`, []string{jsonType}, 400, "invalid_request", nil},
				{"semicolons", path, strings.ReplaceAll(good, "&", ";"), nil, 400, "invalid_request", nil},
				{"XML", path, "<grant/>", []string{"Content-Type: application/xml"}, 415, "invalid_request", nil},
			})
			a := w.do("", "GET", path, "")
			if a.want(t, 405); a.Header.Get("Allow") != "POST" {
				t.Errorf("Allow %q", a.Header.Get("Allow"))
			}
		})
	}
}

// MG-78, ruling 6: a scope gets runtime tokens at /oauth2/token only, and they open nothing of the management plane.
func TestOAuthRuntimeToken(t *testing.T) {
	w := newWorld(t)
	secret, text := w.scoped()
	w.tokens["runtime"] = text
	grant := "grant_type=client_credentials"
	w.runOAuth([]oauthCase{
		{"scope", "/oauth2/token", grant + "&scope=x", []string{basicOf("PORTAL", secret)}, 200, "", []string{`"expires_in":3600`, `"scope":"runtime"`}},
		{"scope at the management call", "/api/1.0/api-key/token", grant, []string{basicOf("PORTAL", secret)}, 401, "invalid_client", nil},
		{"scope at the alias", realm, grant, []string{basicOf("PORTAL", secret)}, 401, "invalid_client", nil},
		{"wrong secret", "/oauth2/token", grant, []string{basicOf("PORTAL", secret+"x")}, 401, "invalid_client", nil},
		{"the secret of a credential", "/oauth2/token", grant, []string{basicOf("PORTAL", w.secrets["admin"])}, 401, "invalid_client", nil},
	})
	for _, target := range []string{"/ambit/1.0/whoami", env, env + "/scopes", credentialsPath, auditPath} {
		w.do("runtime", "GET", target, "").want(t, 401)
	}
	w.do("admin", "PATCH", env+"/scopes/PORTAL", `{"authzenTokenLifetime":120}`).want(t, 200, `"authzenTokenLifetime":120`)
	w.runOAuth([]oauthCase{{"its own lifetime", "/oauth2/token", grant, []string{basicOf("PORTAL", secret)}, 200, "", []string{`"expires_in":120`}}})
	w.do("admin", "PATCH", env+"/scopes/PORTAL", `{"enabled":false}`).want(t, 200)
	w.runOAuth([]oauthCase{{"switched off", "/oauth2/token", grant, []string{basicOf("PORTAL", secret)}, 401, "invalid_client", nil}})
	w.do("admin", "PATCH", env+"/scopes/PORTAL", `{"enabled":true,"authMethods":["AUTHORIZATION_JWT"]}`).want(t, 200)
	w.runOAuth([]oauthCase{{"without secrets", "/oauth2/token", grant, []string{basicOf("PORTAL", secret)}, 401, "invalid_client", nil}})
	w.do("admin", "PATCH", env+"/scopes/PORTAL", `{"authMethods":["REQUEST_SECRET"]}`).want(t, 200)
	w.runOAuth([]oauthCase{{"no secret in headers", "/oauth2/token", grant, []string{basicOf("PORTAL", secret)}, 401, "invalid_client", nil}})
	w.service.Close()
	w.do("admin", "GET", auditPath+"/"+envID+"?filter[resourceType][eq]=SCOPE&filter[action][eq]=LOGIN", "").want(t, 200, `"userId":"PORTAL"`)
}

// MG-78, RFC 7009: revocation.
func TestOAuthRevoke(t *testing.T) {
	w := newWorld(t)
	const path = "/oauth2/revoke"
	secret, runtimeText := w.scoped()
	admin := basicOf("admin", w.secrets["admin"])
	first := w.token("/oauth2/token", "admin", w.secrets["admin"])
	w.clock = w.clock.Add(time.Second)
	w.tokens["first"], w.tokens["second"] = first, w.token("/oauth2/token", "admin", w.secrets["admin"])
	viewer := w.tokens["viewer"]
	w.runOAuth([]oauthCase{
		{"dry run", path + "?dryRun=true", "token=" + first, []string{admin}, 200, "", nil},
		{"no token", path, "", []string{admin}, 400, "invalid_request", nil},
		{"empty token", path, "token=", []string{admin}, 400, "invalid_request", nil},
		{"token in the query", path + "?token=" + first, "", []string{admin}, 400, "invalid_request", nil},
		{"token twice", path, "token=" + first + "&token=" + first, []string{admin}, 400, "invalid_request", nil},
		{"no credentials", path, "token=" + first, nil, 401, "invalid_client", nil},
		{"wrong secret", path, "token=" + first, []string{basicOf("admin", "x")}, 401, "invalid_client", nil},
		{"Bearer", path, "token=" + first, []string{"Authorization: Bearer " + first}, 401, "invalid_client", nil},
		{"of another client", path, "token=" + viewer, []string{admin}, 400, "invalid_grant", nil},
		{"of another client, tenant", path, "token=" + viewer, []string{basicOf("tenant", w.secrets["tenant"])}, 400, "invalid_grant", nil},
		{"not a token", path, "token=abc", []string{admin}, 200, "", nil},
		{"forged", path, "token=" + first[:len(first)-4] + "AAAA", []string{admin}, 200, "", nil},
		{"other type", path, "{}", []string{admin, "Content-Type: text/plain"}, 415, "invalid_request", nil},
		{"unreadable dry run", path + "?dryRun=maybe", "token=" + first, []string{admin}, 400, "invalid_request", nil},
	})
	w.do("first", "GET", env, "").want(t, 200) // nothing so far has ended it
	w.runOAuth([]oauthCase{
		{"good", path, "token=" + first, []string{admin}, 200, "", nil},
		{"again", path, "token=" + first, []string{admin}, 200, "", nil},
		{"a hint that is unknown", path, "token=" + first + "&token_type_hint=refresh_token", []string{admin}, 200, "", nil},
		{"runtime token by its scope", path, "token=" + runtimeText, []string{basicOf("PORTAL", secret)}, 200, "", nil},
		{"runtime token by another", path, "token=" + w.token("/oauth2/token", "PORTAL", secret), []string{admin}, 400, "invalid_grant", nil},
	})
	w.do("first", "GET", env, "").want(t, 401)
	w.do("second", "GET", env, "").want(t, 200)
	w.do("admin", "GET", auditPath+"/"+envID+"?filter[action][eq]=INVALIDATE", "").want(t, 200, `"total":2`, `"resourceType":"API_CREDENTIAL"`, `"resourceType":"SCOPE"`)
	a := w.do("", "GET", path, "")
	if a.want(t, 405); a.Header.Get("Allow") != "POST" {
		t.Errorf("Allow %q", a.Header.Get("Allow"))
	}
	w.clock = w.clock.Add(2 * time.Hour)
	last := w.token("/oauth2/token", "admin", w.secrets["admin"])
	w.runOAuth([]oauthCase{{"after their end, revocations go", path, "token=" + last, []string{admin}, 200, "", nil}})
}

// MG-78, RFC 7662: introspection.
func TestOAuthIntrospect(t *testing.T) {
	w := newWorld(t)
	const path = "/oauth2/introspect"
	secret, runtimeText := w.scoped()
	admin, tenant := basicOf("admin", w.secrets["admin"]), basicOf("tenant", w.secrets["tenant"])
	viewer, tenantText := w.tokens["viewer"], w.tokens["tenant"]
	w.do("tenant", "POST", credentialsPath, `{"ownerId":"`+otherID+`","name":"foreign"}`).want(t, 201)
	foreign := made(t, w.do("tenant", "POST", credentialsPath, `{"ownerId":"`+otherID+`","name":"stranger"}`).want(t, 201))
	foreignText := w.token("/oauth2/token", *foreign.ID, *foreign.Secret)
	dead := []string{`{"active":false}`}
	iat := time.Date(2026, 7, 6, 8, 0, 0, 0, time.UTC).Unix()
	w.runOAuth([]oauthCase{
		{"own environment", path, "token=" + viewer, []string{admin}, 200, "", []string{`{"active":true,"scope":"environment:viewer","client_id":"viewer","token_type":"Bearer",` +
			fmt.Sprintf(`"exp":%d,"iat":%d,"sub":"viewer","aud":"ambit-management","iss":"https://ambit.example.org","jti":"`, iat+5400, iat), `"ambit_owner":"` + envID + `","ambit_role":"VIEWER"}`}},
		{"by the tenant", path, "token=" + viewer, []string{tenant}, 200, "", []string{`"active":true`}},
		{"with a hint", path, "token=" + viewer + "&token_type_hint=access_token", []string{tenant}, 200, "", []string{`"active":true`}},
		{"in the body", path, "token=" + viewer + "&client_id=tenant&client_secret=" + w.secrets["tenant"], nil, 200, "", []string{`"active":true`}},
		{"by a management token", path, "token=" + viewer, []string{"Authorization: Bearer " + w.tokens["admin"]}, 200, "", []string{`"active":true`}},
		{"of the tenant by the tenant", path, "token=" + tenantText, []string{tenant}, 200, "", []string{`"active":true`, `"ambit_owner":"tenant"`, `"scope":"tenant:admin"`}},
		{"runtime token", path, "token=" + runtimeText, []string{admin}, 200, "", []string{`"active":true,"scope":"runtime","client_id":"PORTAL"`, `"aud":"https://ambit.example.org/access"`}},
		{"of the tenant by an environment", path, "token=" + tenantText, []string{admin}, 200, "", dead},
		{"of another environment", path, "token=" + foreignText, []string{admin}, 200, "", dead},
		{"of another environment by the tenant", path, "token=" + foreignText, []string{tenant}, 200, "", []string{`"active":true`}},
		{"own environment by a stranger", path, "token=" + viewer, []string{basicOf(*foreign.ID, *foreign.Secret)}, 200, "", dead},
		{"not a token", path, "token=abc", []string{admin}, 200, "", dead},
		{"forged", path, "token=" + viewer[:len(viewer)-4] + "AAAA", []string{admin}, 200, "", dead},
		{"too long", path, "token=" + strings.Repeat("a", 5000), []string{admin}, 200, "", dead},
		{"no token", path, "", []string{admin}, 400, "invalid_request", nil},
		{"token in the query", path + "?token=" + viewer, "", []string{admin}, 400, "invalid_request", nil},
		{"by a viewer", path, "token=" + viewer, []string{basicOf("viewer", w.secrets["viewer"])}, 403, "unauthorized_client", nil},
		{"by a viewer's token", path, "token=" + viewer, []string{"Authorization: Bearer " + viewer}, 403, "unauthorized_client", nil},
		{"by a scope", path, "token=" + runtimeText, []string{basicOf("PORTAL", secret)}, 401, "invalid_client", nil},
		{"no credentials", path, "token=" + viewer, nil, 401, "invalid_client", nil},
		{"wrong secret", path, "token=" + viewer, []string{basicOf("admin", "x")}, 401, "invalid_client", nil},
		{"bad Bearer", path, "token=" + viewer, []string{"Authorization: Bearer x"}, 401, "invalid_client", nil},
		{"a runtime token as Bearer", path, "token=" + viewer, []string{"Authorization: Bearer " + runtimeText}, 401, "invalid_client", nil},
		{"revoked by its client", "/oauth2/revoke", "token=" + viewer, []string{basicOf("viewer", w.secrets["viewer"])}, 200, "", nil},
		{"revoked", path, "token=" + viewer, []string{admin}, 200, "", dead},
		{"revoked by its scope", "/oauth2/revoke", "token=" + runtimeText, []string{basicOf("PORTAL", secret)}, 200, "", nil},
		{"revoked runtime token", path, "token=" + runtimeText, []string{admin}, 200, "", dead},
	})
	again := w.token("/oauth2/token", "PORTAL", secret)
	w.runOAuth([]oauthCase{{"before", path, "token=" + again, []string{admin}, 200, "", []string{`"active":true`}}})
	secret = w.newSecret() // the old secret ends at once
	w.runOAuth([]oauthCase{{"its secret has ended", path, "token=" + again, []string{admin}, 200, "", dead}})
	again = w.token("/oauth2/token", "PORTAL", secret)
	w.do("admin", "PATCH", env, `{"settings":{"enabled":false}}`).want(t, 200)
	w.runOAuth([]oauthCase{{"its environment is off", path, "token=" + again, []string{tenant}, 200, "", dead}})
	w.do("admin", "PATCH", env, `{"settings":{"enabled":true}}`).want(t, 200)
	w.runOAuth([]oauthCase{{"its environment is on again", path, "token=" + again, []string{tenant}, 200, "", []string{`"active":true`}}})
	w.do("admin", "PATCH", env+"/scopes/PORTAL", `{"authMethods":["AUTHORIZATION_JWT"]}`).want(t, 200)
	w.runOAuth([]oauthCase{{"its scope has no secrets in headers", path, "token=" + again, []string{tenant}, 200, "", dead}})
	w.do("tenant", "DELETE", credentialsPath+"/"+*foreign.ID, "").want(t, 204)
	w.runOAuth([]oauthCase{{"MG-26: its credential is gone", path, "token=" + foreignText, []string{tenant}, 200, "", dead}})
	w.clock = w.clock.Add(90 * time.Minute)
	w.runOAuth([]oauthCase{{"expired", path, "token=" + tenantText, []string{tenant}, 200, "", dead}})
}

// RFC 6750 2 and 3: how a token is presented, and what a refusal says.
func TestBearer(t *testing.T) {
	w := newWorld(t)
	text := w.tokens["viewer"]
	for _, c := range []struct {
		name, target, body, header, challenge string
		status                                int
	}{
		{"header", env, "", "Bearer " + text, "", 200},
		{"scheme in lower case", env, "", "bearer " + text, "", 200},
		{"scheme in capitals", env, "", "BEARER " + text, "", 200},
		{"none", env, "", "", `Bearer realm="ambit"`, 401},
		{"empty", env, "", "Bearer ", `Bearer realm="ambit", error="invalid_token"`, 401},
		{"without a scheme", env, "", text, `Bearer realm="ambit", error="invalid_token"`, 401},
		{"other scheme", env, "", "JWT " + text, `Bearer realm="ambit", error="invalid_token"`, 401},
		{"Basic", env, "", strings.TrimPrefix(basicOf("viewer", w.secrets["viewer"]), "Authorization: "), `Bearer realm="ambit", error="invalid_token"`, 401},
		{"two tokens", env, "", "Bearer " + text + ", Bearer " + text, `Bearer realm="ambit", error="invalid_token"`, 401},
		{"in the query", env + "?access_token=" + text, "", "", `Bearer realm="ambit"`, 401},
		{"in the body", env, "access_token=" + text, "", `Bearer realm="ambit"`, 401},
		{"altered", env, "", "Bearer " + text + "x", `Bearer realm="ambit", error="invalid_token"`, 401},
		{"cut", env, "", "Bearer " + text[:len(text)-1], `Bearer realm="ambit", error="invalid_token"`, 401},
	} {
		var headers []string
		if c.header != "" {
			headers = append(headers, "Authorization: "+c.header)
		}
		a := w.do("", "GET", c.target, c.body, headers...)
		if a.StatusCode != c.status || a.Header.Get("WWW-Authenticate") != c.challenge {
			t.Errorf("%s: %d, %q", c.name, a.StatusCode, a.Header.Get("WWW-Authenticate"))
		}
	}
}

// MG-78, RFC 8414, RFC 7517: metadata and keys; the names lead to the routes.
func TestOAuthMetadata(t *testing.T) {
	w := newWorld(t)
	a := w.do("", "GET", metadataPath, "").want(t, 200, `"issuer":"https://ambit.example.org"`, `"response_types_supported":[]`, `"grant_types_supported":["client_credentials"]`,
		`"token_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post"]`)
	if a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", a.Header)
	}
	var meta map[string]any
	w.must(json.Unmarshal([]byte(a.body), &meta))
	for name, method := range map[string]string{"token_endpoint": "GET", "revocation_endpoint": "GET", "introspection_endpoint": "GET", "jwks_uri": "POST"} {
		path, ok := strings.CutPrefix(fmt.Sprint(meta[name]), "https://ambit.example.org")
		if !ok {
			t.Errorf("%s: %v", name, meta[name])
		}
		w.do("", method, path, "").want(t, 405) // it is there
	}
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	w.must(json.Unmarshal([]byte(w.do("", "GET", keySetPath, "").want(t, 200).body), &set))
	if len(set.Keys) != 1 || set.Keys[0]["kty"] != "EC" || set.Keys[0]["crv"] != "P-256" || set.Keys[0]["alg"] != "ES256" || set.Keys[0]["use"] != "sig" || set.Keys[0]["kid"] == "" {
		t.Errorf("keys %v", set.Keys)
	}
	if _, private := set.Keys[0]["d"]; private {
		t.Fatal("the private key is published")
	}
	w.do("", "HEAD", keySetPath, "").want(t, 200)
	w.do("", "GET", "/.well-known/openid-configuration", "").want(t, 404)
}
