package runtime

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/ambit-authz/ambit/internal/audit"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

const (
	badClient = "Invalid clientId"
	badSecret = "Invalid api key"
	badToken  = "Invalid token"
	badJSON   = "Malformed JSON"
	unmatched = "None of the Identity Templates Matched"
)

// Every refusal of the request itself: RT-7, RT-9, RT-11, RT-14, RT-29, RT-43, RT-46, RT-50, RT-52, RT-56 with README
// ruling 1, RT-57 with ruling 2, RT-80.
func TestRefusals(t *testing.T) {
	h := newHarbour(t)
	nest := func(n int) string {
		return `{"x":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `,` + mreyes + `,"assetList":[]}`
	}
	tests := []struct {
		name, body string
		status     int
		want       string
	}{
		{"RT-7 cut off", `{"entityId":"mreyes"`, 400, badJSON},
		{"RT-7 text", `hello`, 400, badJSON},
		{"RT-7 array", `[]`, 400, badJSON},
		{"RT-7 null", `null`, 400, badJSON},
		{"RT-7 trailing data", `{} {}`, 400, badJSON},
		{"RT-7 duplicate key", `{"entityId":"mreyes","entityId":"tokafor"}`, 400, badJSON},
		{"RT-7 duplicate key, escaped", `{"entityId":"mreyes","entity\u0049d":"tokafor"}`, 400, badJSON},
		{"RT-7 duplicate key of unknown member", `{"x":{"y":[{"a":1,"a":2}]}}`, 400, badJSON},
		{"RT-7 invalid UTF-8", "{\"entityId\":\"m\xffs\"}", 400, badJSON},
		{"RT-7 lone surrogate", `{"entityId":"\ud800"}`, 400, badJSON},
		{"RT-7 65 levels", nest(65), 400, badJSON},
		{"RT-7 64 levels", nest(64), 200, empty},
		{"RT-7 brackets in strings", `{"x":"` + strings.Repeat(`[\"`, 100) + `",` + mreyes + `,"assetList":[]}`, 200, empty},
		{"RT-7 empty body is an object", ``, 400, "entityId: required"},
		{"RT-7 blank body is an object", " \n", 400, "entityId: required"},
		{"RT-9 case of keys", `{"EntityId":"mreyes","ENTITYTYPEID":"Staff"}`, 400, "entityId: required"},
		{"RT-11 combinedMultiValue", `{` + mreyes + `,"combinedMultiValue":"x"}`, 400, "combinedMultiValue: must be true or false"},
		{"RT-14 nested object", `{` + mreyes + `,"contextData":{"a":[{}]}}`, 400, "contextData.a: must be a list of strings, numbers or booleans"},
		{"RT-14 nested array", `{` + mreyes + `,"environment":{"a":[[]]}}`, 400, "environment.a: must be a list of strings, numbers or booleans"},
		{"3.3 map that is text", `{` + mreyes + `,"environment":"x"}`, 400, "environment: must be an object of lists of strings"},
		{"3.3 id that is an object", `{"entityId":{}}`, 400, "entityId: must be a string"},
		{"8.2 template required", `{` + mreyes + `,"assetList":[{"path":"x"}]}`, 400, "assetList[0].template: required"},
		{"8.2 list of texts", `{` + mreyes + `,"assetList":["x"]}`, 400, "assetList[0]: must be an object"},
		{"8.2 no list", `{` + mreyes + `,"assetList":7}`, 400, "assetList: must be a list of objects"},
		{"8.3 name required", `{` + mreyes + `,"resourceTypes":[{}]}`, 400, "resourceTypes[0].name: required"},
		{
			"all errors", `{` + mreyes + `,"timeZoneOffset":19,"resourceTypes":[{"actions":[[]]}]}`, 400,
			"timeZoneOffset: must be a number of hours from -14 to 14\nresourceTypes[0].name: required\nresourceTypes[0].actions: must be a list of strings",
		},
		{"RT-29 assetContext", `{` + mreyes + `,"assetContext":{"a":1}}`, 501, "assetContext is not supported"},
		{"3.6 types before options", `{` + mreyes + `,"assetContext":{"a":1},"timeZoneOffset":"x"}`, 400, "timeZoneOffset: must be a number of hours from -14 to 14"},
		{"3.6 options before template", `{"entityId":"x","entityTypeId":"None","assetContext":[1]}`, 501, "assetContext is not supported"},
		{"RT-80 unknown format", `{` + mreyes + `,"accessTokenFormat":"XML"}`, 400, "accessTokenFormat: must be one of JSON, JWT, StandardJWT"},
		{"RT-43 unknown template", `{"entityId":"mreyes","entityTypeId":"Crew"}`, 403, unmatched},
		{"3.6 template before identity", `{"entityTypeId":"Crew"}`, 403, unmatched},
		{"RT-50 PM-29 unknown identity", `{"entityId":"nobody"}`, 404, "MemberNotFoundError: identity not found"},
		{"RT-46 no id", `{"entityTypeId":"Staff"}`, 400, "entityId: required"},
		{"RT-46 empty id", `{"entityId":"","entityTypeId":"Staff"}`, 400, "entityId: required"},
		{"RT-52 repeated template", `{` + mreyes + `,"additionalIdentities":[{"entityId":"tokafor"}]}`, 400, "additionalIdentities: two identities of template Staff"},
		{"RT-52 four", `{` + mreyes + `,"additionalIdentities":[{"entityId":"a"},{"entityId":"b"},{"entityId":"c"}]}`, 400, "additionalIdentities: 4 identities, the limit is 3"},
		{"5.5 id required", `{` + mreyes + `,"additionalIdentities":[{}]}`, 400, "additionalIdentities[0].entityId: required"},
		{"RT-56 port", `{` + mreyes + `,"remoteIp":"1.2.3.4:80"}`, 400, "remoteIp: must be an IP address without port or zone"},
		{"RT-56 zone", `{` + mreyes + `,"remoteIP":"fe80::1%eth0"}`, 400, "remoteIP: must be an IP address without port or zone"},
		{"RT-57 19", `{` + mreyes + `,"timeZoneOffset":19}`, 400, "timeZoneOffset: must be a number of hours from -14 to 14"},
		{"RT-57 14.01", `{` + mreyes + `,"timeZoneOffset":14.01}`, 400, "timeZoneOffset: must be a number of hours from -14 to 14"},
		{"RT-57 true", `{` + mreyes + `,"timeZoneOffset":true}`, 400, "timeZoneOffset: must be a number of hours from -14 to 14"},
		{"RT-57 huge", `{` + mreyes + `,"timeZoneOffset":1e9999}`, 400, "timeZoneOffset: must be a number of hours from -14 to 14"},
		{"RT-57 NaN", `{` + mreyes + `,"timeZoneOffset":"NaN"}`, 400, "timeZoneOffset: must be a number of hours from -14 to 14"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h.t = t
			w := h.want(request{body: tt.body}, tt.status, tt.want)
			if got := h.records.last(); got.Status != tt.status {
				t.Errorf("audit record of %d has status %d", tt.status, got.Status)
			}
			if tt.status == 200 {
				return
			}
			// RT-22, RT-25
			if w.Header().Get("Content-Type") != "text/plain; charset=utf-8" || w.Header().Get("X-Error-Id") == "" {
				t.Errorf("headers %v", w.Header())
			}
		})
	}
}

// RT-5, RT-21, RT-31 to RT-35: who authenticates, and in which order that is found out.
func TestAuthentication(t *testing.T) {
	h := newHarbour(t)
	id, secret := "X-Client-Id: "+string(client), "X-Client-Secret: "+h.secret
	inBody := func(id, secret string) string {
		return `{` + mreyes + `,"assetList":[],"clientId":"` + id + `","clientSecret":"` + secret + `"}`
	}
	good := inBody(string(client), h.secret)
	only := func(methods ...model.AuthMethod) func(*model.Scope) {
		return func(s *model.Scope) { s.AuthMethods = methods }
	}
	plain := `{` + mreyes + `,"assetList":[]}`
	broken := `{`
	tests := []struct {
		name    string
		scope   func(*model.Scope)
		headers []string
		body    string
		status  int
		want    string
	}{
		{"RT-32 header", nil, []string{id, secret}, plain, 200, empty},
		{"RT-5 lower-case aliases", nil, []string{"x-plainid-client-id: " + string(client), "X-PLAINID-CLIENT-SECRET: " + h.secret}, plain, 200, empty},
		{"RT-5 standard name before alias", nil, []string{id, secret, "x-plainid-client-id: X", "x-plainid-client-secret: X"}, plain, 200, empty},
		{"RT-5 empty counts as absent", nil, []string{"X-Client-Id: ", "X-Client-Secret: ", "x-plainid-client-id: " + string(client), "x-plainid-client-secret: " + h.secret}, plain, 200, empty},
		{"RT-31 body", nil, nil, good, 200, empty},
		{"RT-31 header id first", nil, []string{id}, inBody("X", h.secret), 200, empty},
		{"RT-31 missing", nil, nil, plain, 401, badClient},
		{"RT-31 unknown", nil, []string{"X-Client-Id: NOBODY", secret}, plain, 401, badClient},
		{"RT-31 unknown in body", nil, nil, inBody("NOBODY", h.secret), 401, badClient},
		{"RT-31 unknown beats broken JSON with secret", nil, []string{"X-Client-Id: NOBODY", secret}, broken, 401, badClient},
		{"RT-31 unknown without secret after JSON", nil, []string{"X-Client-Id: NOBODY"}, broken, 400, badJSON},
		{"RT-31 disabled", func(s *model.Scope) { s.Enabled = false }, []string{id, secret}, plain, 401, badClient},
		{"RT-33 wrong", nil, []string{id, "X-Client-Secret: wrong"}, plain, 401, badSecret},
		{"RT-33 almost", nil, []string{id, "X-Client-Secret: " + h.secret[:len(h.secret)-1]}, plain, 401, badSecret},
		{"RT-33 longer", nil, []string{id, secret + "x"}, plain, 401, badSecret},
		{"RT-33 none", nil, []string{id}, plain, 401, badSecret},
		{"RT-33 wrong in body", nil, nil, inBody(string(client), "wrong"), 401, badSecret},
		{"RT-34 header decides, bad", nil, []string{id, "X-Client-Secret: wrong"}, good, 401, badSecret},
		{"RT-34 header decides, good", nil, []string{id, secret}, inBody(string(client), "wrong"), 200, empty},
		{"RT-34 id in body, secret in header", nil, []string{"X-Client-Secret: wrong"}, good, 401, badSecret},
		{"RT-21 bad header secret before bad JSON", nil, []string{id, "X-Client-Secret: wrong"}, broken, 401, badSecret},
		{"RT-21 bad JSON before bad body secret", nil, []string{id}, `{"clientSecret":"wrong"`, 400, badJSON},
		{"RT-21 bad body secret before missing field", nil, []string{id}, `{"clientSecret":"wrong"}`, 401, badSecret},
		{"RT-21 bad body secret before ill-typed field", nil, nil, `{"clientId":"` + string(client) + `","clientSecret":"wrong","entityId":{}}`, 401, badSecret},
		{"RT-35 header only, secret in body", only(model.AuthSecretHeader), nil, good, 401, badSecret},
		{"RT-35 header only, id in header", only(model.AuthSecretHeader), []string{id}, broken, 401, badSecret},
		{"RT-35 header only", only(model.AuthSecretHeader), []string{id, secret}, plain, 200, empty},
		{"RT-35 body only, secret in header", only(model.AuthRequestSecret), []string{id, secret}, plain, 401, badSecret},
		{"RT-35 body only, ignores header", only(model.AuthRequestSecret), []string{id, "X-Client-Secret: wrong"}, good, 200, empty},
		{"4.2 JWT only", only(model.AuthJWT), []string{id, secret}, good, 401, badToken},
		{"4.2 JWT only, with token", only(model.AuthJWT), []string{id, "Authorization: Bearer a.b.c"}, plain, 401, badToken},
		{"4.2 token beside nothing else", nil, []string{id, "Authorization: a.b.c"}, plain, 401, badToken},
		{"4.2 Basic is no token", nil, []string{id, "Authorization: Basic eDp5"}, plain, 401, badSecret},
		{"RT-37 token beside a good secret", nil, []string{id, secret, "Authorization: Bearer a.b.c"}, plain, 200, empty},
		{"RT-37 token beside a bad secret", nil, []string{id, "X-Client-Secret: wrong", "Authorization: Bearer a.b.c"}, plain, 401, badSecret},
		{"RT-46 token without hit", nil, []string{id, secret, "Authorization: Bearer a.b.c"}, `{}`, 403, unmatched},
		{"secret that has expired", func(s *model.Scope) { s.Secrets[0].ExpiresAt = noon }, []string{id, secret}, plain, 401, badSecret},
		{"no secrets", func(s *model.Scope) { s.Secrets = nil }, []string{id, secret}, plain, 401, badSecret},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h.t = t
			var before model.Scope
			h.changeScope(func(s *model.Scope) {
				before = *s
				before.Secrets = append([]model.SecretHash(nil), s.Secrets...)
				if tt.scope != nil {
					tt.scope(s)
				}
			})
			w := h.want(request{anonymous: true, headers: tt.headers, body: tt.body}, tt.status, tt.want)
			if (tt.status == 401) != (w.Header().Get("WWW-Authenticate") == `Bearer realm="ambit"`) {
				t.Errorf("challenge %q", w.Header().Get("WWW-Authenticate"))
			}
			h.changeScope(func(s *model.Scope) { *s = before })
		})
	}
}

// Reliability 1.6: a disabled environment refuses its scopes like unknown client ids; enabling it helps at once.
func TestDisabledEnvironment(t *testing.T) {
	h := newHarbour(t)
	for _, enabled := range []bool{false, true} {
		h.update(func(tx *store.Tx) error {
			_, err := tx.Environments.Put(model.Environment{ID: harbourID, Name: "Harbour Bank", Enabled: enabled})
			return err
		})
		if enabled {
			h.want(request{body: `{` + mreyes + `}`}, 200, document(acc1, acc2))
		} else {
			h.want(request{body: `{` + mreyes + `}`}, 401, badClient)
		}
	}
}

// RT-6, RT-7: encodings and sizes, with and without a stated length.
func TestBodies(t *testing.T) {
	h := newHarbour(t, func(s *settings) { s.options.MaxBytes = 100 })
	fits := `{` + mreyes + `,"assetList":[]}`
	h.want(request{body: fits, headers: []string{"Content-Encoding: gzip"}}, 415, "Unsupported Content-Encoding")
	h.want(request{body: fits, headers: []string{"Content-Encoding: identity", "Content-Encoding: gzip"}}, 415, "Unsupported Content-Encoding")
	h.want(request{body: fits, headers: []string{"Content-Encoding: Identity", "Content-Type: text/plain"}}, 200, empty)
	pad := func(n int) string { return fits + strings.Repeat(" ", n-len(fits)) }
	h.want(request{body: pad(100)}, 200, empty)
	h.want(request{body: pad(101)}, 413, "Request body too large")
	h.want(request{body: pad(101), headers: []string{"X-Client-Secret: wrong"}}, 413, "Request body too large")
	for n, status := range map[int]int{100: 200, 101: 413} {
		r := httptest.NewRequest(http.MethodPost, "/api/runtime/token/v3", struct{ *strings.Reader }{strings.NewReader(pad(n))})
		r.ContentLength = -1
		r.Header.Set("X-Client-Id", string(client))
		r.Header.Set("X-Client-Secret", h.secret)
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("%d bytes of unknown length: %d %s", n, w.Code, w.Body)
		}
	}
}

// RT-22, RT-24: forms of errors.
func TestErrorForms(t *testing.T) {
	bad := request{body: `{"entityId":"mreyes","entityTypeId":"Crew"}`}
	h := newHarbour(t)
	bad.headers = []string{"Accept: application/json"}
	h.want(bad, 403, unmatched)
	bad.headers = []string{"Accept: application/problem+json"}
	w := h.do(bad)
	if !strings.HasPrefix(w.Body.String(), `{"type":"about:blank","title":"Forbidden","status":403,`) {
		t.Errorf("problem details: %s", w.Body)
	}
	h = newHarbour(t, func(s *settings) { s.options.ErrorsJSON = true })
	bad.headers = nil
	w = h.do(bad)
	if !regexp.MustCompile(`^\{"errors":\[\{"id":"E[A-Z0-9]{5}","code":"RT-087","name":"InvalidParameter","message":"` + unmatched + `"\}\]\}$`).MatchString(w.Body.String()) {
		t.Errorf("v3_errors json: %s", w.Body)
	}
}

// RT-27: the request id is echoed on every answer, or made.
func TestRequestID(t *testing.T) {
	h := newHarbour(t)
	for _, q := range []request{{body: `{` + mreyes + `}`}, {body: `{`}, {path: "/nowhere"}, {method: "PUT"}, {method: "GET", path: "/runtime_health_check"}} {
		q.headers = []string{"X-Request-ID: ", "X-Request-ID:  id <1> ü", "X-Request-ID: two"}
		if got := h.do(q).Header().Get("X-Request-ID"); got != " id <1> ü" {
			t.Errorf("%v: %q", q, got)
		}
		q.headers = nil
		if id, err := uuid.Parse(h.do(q).Header().Get("X-Request-ID")); err != nil || id.Version() != 4 {
			t.Errorf("%v: %v %v", q, id, err)
		}
	}
}

// RT-28: one record per call with the documented columns and no secret, also of refused calls.
func TestAudit(t *testing.T) {
	h := newHarbour(t)
	long := strings.Repeat("ü", 200)
	h.do(request{body: `{` + mreyes + `,"remoteIp":"198.51.100.9","clientSecret":"` + h.secret + `"}`, headers: []string{"X-Request-ID: " + long, "Authorization: Bearer canary.token"}})
	got := h.records.last()
	if len(h.records.all) != 1 || uuid.Validate(got.ID) != nil {
		t.Fatalf("%d records, id %q", len(h.records.all), got.ID)
	}
	got.ID = ""
	want := audit.Decision{
		ExternalID: long[:256], ClientID: client, Environment: harbourID, Endpoint: "POST /api/runtime/token/v3",
		Subjects: []audit.Subject{{Template: "Staff", EntityID: "mreyes"}}, SourceIP: "198.51.100.9", Status: 200, Result: "2 assets", Revision: 1, Start: noon,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	h.do(request{method: "GET", path: "/api/runtime/token/v3?entityId=nobody&clientSecret=" + h.secret, anonymous: true, headers: []string{"X-Client-Id: " + string(client)}})
	got = h.records.last()
	got.ID = ""
	want = audit.Decision{
		ClientID: client, Environment: harbourID, Endpoint: "GET /api/runtime/token/v3", Subjects: []audit.Subject{{EntityID: "nobody"}},
		SourceIP: "192.0.2.1", Status: 404, Result: "AMB-020", Revision: 1, Start: noon,
	}
	if diff := cmp.Diff(want, got); diff != "" || len(h.records.all) != 2 {
		t.Errorf("%d records: %s", len(h.records.all), diff)
	}
	// F8: a required record that cannot be kept holds the answer back
	h.records.fail = &model.Error{Kind: model.KindUnavailable, Err: errors.New("disk")}
	h.want(request{body: `{` + mreyes + `}`}, 503, "Not ready")
	h.want(request{body: `{"entityId":"nobody"}`}, 404, "MemberNotFoundError: identity not found")
}

// RT-54, RT-55: which address counts, by the decision itself.
func TestSourceAddress(t *testing.T) {
	ask := `{` + mreyes + `%,"assetList":[{"template":"Loans","path":"l","assetAttributes":{"branch":"Porto","amount":"1"}}]}`
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	tests := []struct {
		name, peer, stated string
		forwarded          []string
		trust              decide.Trust
		own                []netip.Prefix
		want               bool
	}{
		{"RT-54 stated", "10.0.0.1:1", `,"remoteIp":"198.51.100.9"`, nil, decide.Trust{}, nil, true},
		{"RT-54 stated beats headers", "10.0.0.1:1", `,"remoteIp":"203.0.113.1"`, []string{"198.51.100.9"}, decide.Trust{Proxies: proxies}, nil, false},
		{"RT-54 remoteIp before remoteIP", "10.0.0.1:1", `,"remoteIP":"203.0.113.1","remoteIp":"198.51.100.9"`, nil, decide.Trust{}, nil, true},
		{"RT-54 peer", "198.51.100.9:1", ``, nil, decide.Trust{}, nil, true},
		{"RT-54 other peer", "203.0.113.1:1", ``, nil, decide.Trust{}, nil, false},
		{"RT-54 empty is absent", "198.51.100.9:1", `,"remoteIp":""`, nil, decide.Trust{}, nil, true},
		{"RT-56 mapped", "[::ffff:198.51.100.9]:1", ``, nil, decide.Trust{}, nil, true},
		{"RT-54 untrusted peer", "203.0.113.1:1", ``, []string{"198.51.100.9"}, decide.Trust{Proxies: proxies}, nil, false},
		{"RT-54 trusted peer", "10.0.0.1:1", ``, []string{"203.0.113.1, 198.51.100.9", "10.0.0.2"}, decide.Trust{Proxies: proxies}, nil, true},
		{"RT-54 walk ends at untrusted", "10.0.0.1:1", ``, []string{"198.51.100.9, 203.0.113.1"}, decide.Trust{Proxies: proxies}, nil, false},
		{"RT-55 trust all", "10.0.0.1:1", ``, []string{"198.51.100.9, 203.0.113.1"}, decide.Trust{All: true}, nil, true},
		{"scope's own list", "10.0.0.1:1", ``, []string{"198.51.100.9"}, decide.Trust{}, proxies, true},
		{"scope trusts nobody", "10.0.0.1:1", ``, []string{"198.51.100.9"}, decide.Trust{All: true}, []netip.Prefix{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarbour(t, func(s *settings) { s.service.Trust = tt.trust })
			if tt.own != nil {
				h.changeScope(func(s *model.Scope) { s.TrustedProxies = tt.own })
			}
			q := request{peer: tt.peer, body: strings.Replace(ask, "%", tt.stated, 1)}
			for _, f := range tt.forwarded {
				q.headers = append(q.headers, "X-Forwarded-For: "+f)
			}
			if tt.want {
				h.want(q, 200, document(loan("l", "Porto", "1")))
			} else {
				h.want(q, 200, empty)
			}
		})
	}
}

// RT-118, F4, F5: health and readiness.
func TestHealth(t *testing.T) {
	h := newHarbour(t)
	for _, path := range []string{"/api/runtime_health_check", "/runtime_health_check"} {
		h.want(request{method: "GET", path: path, anonymous: true}, 200,
			`{"status":"UP","version":"1.4.0","checks":{"configuration":"UP","storage":"UP"}}`)
		h.want(request{method: "GET", path: path, anonymous: true}, 200, "")
		if w := h.want(request{method: "HEAD", path: path, anonymous: true}, 200, ""); w.Body.Len() != 0 {
			t.Errorf("HEAD has a body: %s", w.Body)
		}
	}
	if len(h.records.all) != 0 {
		t.Error("health checks are audited")
	}
	loading := decide.NewDirectory(decide.DirectoryOptions{Store: h.store, Clock: func() time.Time { return noon }})
	o := Options{Directory: loading, Service: decide.New(decide.Options{Directory: loading, Secrets: h.secrets, Clock: func() time.Time { return noon }})}
	h.handler = Handler(o)
	h.want(request{method: "GET", path: "/runtime_health_check"}, 503, `{"status":"DOWN","version":"","checks":{"configuration":"DOWN","storage":"DOWN"}}`)
	h.want(request{body: `{` + mreyes + `}`}, 503, "Not ready")
	check(t, loading.CatchUp(context.Background()))
	h.want(request{body: `{` + mreyes + `}`}, 200, document(acc1, acc2))
}

// Rate limit: calls of one client from one address, before the secret is checked.
func TestRateLimit(t *testing.T) {
	h := newHarbour(t, func(s *settings) { s.service.RateLimit = 2 })
	q := request{body: `{` + mreyes + `,"assetList":[]}`}
	h.want(q, 200, empty)
	h.want(q, 200, empty)
	if w := h.want(q, 429, "Too many requests"); w.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	h.want(request{body: q.body, headers: []string{"X-Client-Secret: wrong"}}, 429, "Too many requests")
	q.peer = "203.0.113.1:1"
	h.want(q, 200, empty)
}

// Management-api.md 1.7: Ambit-Min-Revision waits for the revision, or says that it is not reached.
func TestMinRevision(t *testing.T) {
	h := newHarbour(t)
	q := func(revision, wait string) request {
		return request{body: `{` + mreyes + `,"assetList":[]}`, headers: []string{"Ambit-Min-Revision: " + revision, "Ambit-Wait: " + wait}}
	}
	h.want(q("1", ""), 200, empty)
	if w := h.want(q("2", "1"), 503, "Revision 2 is not reached"); w.Header().Get("Retry-After") != "1" {
		t.Errorf("headers %v", w.Header())
	}
	h.want(q("x", ""), 400, "Ambit-Min-Revision: must be a number from 0 to 9223372036854775807")
	h.want(q("", "30001"), 400, "Ambit-Wait: must be a number from 0 to 30000")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); h.directory.Run(ctx) }()
	defer func() { cancel(); <-done }()
	go func() {
		time.Sleep(20 * time.Millisecond)
		_, _ = h.store.Update(context.Background(), store.Write{Environment: harbourID, Time: noon}, func(tx *store.Tx) error {
			_, err := tx.Policies.Delete("pol-20")
			return err
		})
	}()
	w := h.want(q("2", "10000"), 200, empty)
	if w.Header().Get("Ambit-Revision") != "2" {
		t.Errorf("Ambit-Revision %s", w.Header().Get("Ambit-Revision"))
	}
	h.want(request{body: `{` + mreyes + `}`}, 200, document(strings.Replace(acc1, `,{"action":"Edit"}`, "", 1), acc2))
}

// Management-api.md 1.7.3 (MG-20): a secret made by the very revision that is asked for counts, without anybody else
// following the store; without Ambit-Min-Revision the node answers from what it has.
func TestMinRevisionOfTheScope(t *testing.T) {
	h := newHarbour(t)
	fresh, hash := h.secrets.New(noon)
	commit, err := h.store.Update(t.Context(), store.Write{Environment: harbourID, Time: noon}, func(tx *store.Tx) error {
		s, err := tx.Scopes.Find(client)
		if err != nil {
			return err
		}
		s.Secrets = []model.SecretHash{hash}
		_, err = tx.Scopes.Put(s)
		return err
	})
	check(t, err)
	q := request{body: `{` + mreyes + `,"assetList":[]}`, anonymous: true, headers: []string{"X-Client-Id: " + string(client), "X-Client-Secret: " + fresh}}
	h.want(q, 401, "Invalid api key")
	q.headers = append(q.headers, "Ambit-Min-Revision: "+strconv.FormatInt(int64(commit.Revision), 10))
	h.want(q, 200, empty)
}

// The server counts requests by the route that matched: one series a route, whatever stands behind it.
func TestRequestsNameTheirRoute(t *testing.T) {
	h := newHarbour(t)
	for path, want := range map[string]string{
		"/api/runtime/token/v3": "/api/runtime/token/v3", "/runtime/token/v4/": "/runtime/token/v4",
		"/api/runtime_health_check": "/api/runtime_health_check", "/api/runtime/nothing": "",
	} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		h.handler.ServeHTTP(httptest.NewRecorder(), r)
		if r.Pattern != want {
			t.Errorf("%s is counted as %q, want %q", path, r.Pattern, want)
		}
	}
}
