package authzen

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/api/problem"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

const aliceReads = `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"record-1"}}`

// allRoutes are the five routes, each with a body that it takes.
var allRoutes = map[string]string{ //nolint:gochecknoglobals // never changed
	pathEvaluation: aliceReads, pathEvaluations: aliceReads, pathSubjects: aliceReads, pathResources: aliceReads, pathActions: aliceReads,
}

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

// TestCredentials is az-01 and az-02: the forms of authzen.md 3 on each route, and which of them decides.
func TestCredentials(t *testing.T) {
	w := newWorld(t)
	id, right := string(clientID), basic(string(clientID), w.secret)
	own := w.bearer()
	management, err := w.tokens.Issue(&model.Credential{ClientID: clientID, EnvironmentID: environmentID, TokenDuration: time.Hour, Permission: model.PermissionAdmin})
	check(t, err)
	const both, invalidToken = `Basic realm="ambit", Bearer realm="ambit"`, `Basic realm="ambit", Bearer realm="ambit", error="invalid_token"`
	for path, body := range allRoutes {
		for _, tt := range []struct {
			name, id, secret, authorization string
			status                          int
			text, challenge                 string
		}{
			{"pair", id, w.secret, "", 200, "", ""},
			{"pair with a foreign Authorization", id, w.secret, "Bearer a.b.c", 200, "", ""},
			{"pair with a wrong Basic", id, w.secret, basic(id, "no"), 200, "", ""},
			{"Basic", "", "", right, 200, "", ""},
			{"wrong pair with a right Basic", id, "no", right, 401, "Invalid api key", both},
			{"wrong Basic", "", "", basic(id, "no"), 401, "Invalid api key", both},
			{"unknown scope", "NOBODY", w.secret, "", 401, "Invalid clientId", both},
			{"nothing", "", "", "", 401, "Missing credentials", both},
			{"id alone", id, "", "", 401, "Missing credentials", both},
			{"foreign token", id, "", "Bearer a.b.c", 401, "", ""},
			{"own token", "", "", own, 200, "", ""},
			{"own token with its id", id, "", own, 200, "", ""},
			{"own token, scheme in small letters", "", "", "bearer" + own[len("Bearer"):], 200, "", ""},
			{"own token with another id", "NOBODY", "", own, 401, "Invalid clientId", both},
			{"own token, bare", "", "", own[len("Bearer "):], 401, "Missing credentials", both},
			{"own token, cut", "", "", own[:len(own)-1], 401, "Invalid token", invalidToken},
			{"wrong pair with an own token", id, "no", own, 401, "Invalid api key", both},
			{"management token", "", "", "Bearer " + management, 401, "Invalid token", invalidToken},
			{"management token with an id", id, "", "Bearer " + management, 401, "Invalid token", invalidToken},
			{"Basic without an id", "", "", basic("", w.secret), 401, "Invalid clientId", both},
			{"token without a scope", "", "", "Bearer a.b.c", 401, "Invalid token", invalidToken},
		} {
			header := http.Header{"Content-Type": {"application/json"}}
			for name, value := range map[string]string{"X-Client-Id": tt.id, "X-Client-Secret": tt.secret, "Authorization": tt.authorization} {
				if value != "" {
					header.Set(name, value)
				}
			}
			got := w.send(http.MethodPost, path, body, header)
			if got.status != tt.status || tt.text != "" && got.body != tt.text ||
				tt.challenge != "" && got.header.Get("WWW-Authenticate") != tt.challenge || got.header.Get("X-Request-ID") == "" {
				t.Errorf("%s: %s: %d %s %q", path, tt.name, got.status, got.body, got.header)
			}
			if strings.Contains(got.body, w.secret) {
				t.Errorf("%s: the answer tells the secret", tt.name)
			}
		}
	}
}

// TestRoutes: paths are exact, wrong methods are told the right one, and every answer has the request's id (authzen.md 1, 2).
func TestRoutes(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", pathEvaluation, 405, "POST"},
		{"POST", pathMetadata, 405, "GET, HEAD"},
		{"POST", pathEvaluation + "/", 404, ""},
		{"POST", "/access/v1/other", 404, ""},
		{"GET", pathMetadata + "/other", 404, ""},
	} {
		got := w.send(tt.method, tt.path, "", http.Header{"X-Request-Id": {"a b"}})
		if got.status != tt.status || got.header.Get("Allow") != tt.allow || got.header.Get("X-Request-ID") != "a b" {
			t.Errorf("%s %s: %d %q", tt.method, tt.path, got.status, got.header)
		}
	}
}

// TestReading is az-03: what authzen.md 2 and 4 say of bodies. README ruling 5 sets the depth to 64.
func TestReading(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.MaxBytes = 4000 })
	const malformed = "the body must be one JSON object in UTF-8 without duplicate members, nested at most 64 deep"
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	with := func(member string) string { return strings.TrimSuffix(aliceReads, "}") + "," + member + "}" }
	for _, body := range []string{
		aliceReads + "x", "[" + aliceReads + "]", with(`"foo":1,"foo":2`), with(`"context":{"a":{"b":1,"b":2}}`),
		with(`"foo":"\ud800"`), with("\"foo\":\"\xff\""), with(`"foo":` + deep(64)),
	} {
		w.refuses(pathEvaluation, body, 400, malformed)
	}
	w.wants(pathEvaluation, with(`"foo":`+deep(63)), `{"decision":true}`)
	w.wants(pathEvaluation, with(`"context":null,"options":7`), `{"decision":true}`)
	w.refuses(pathEvaluation, strings.Replace(aliceReads, `"subject"`, `"Subject"`, 1), 400, "subject is required")
	w.refuses(pathEvaluation, with(`"foo":"`+strings.Repeat("x", 4000)+`"`), 413, "Request body too large")
	w.refuses(pathEvaluation, `{"subject":{"type":"user","id":7},"action":{"name":null},"resource":[]}`, 400,
		"subject.id must be a string\naction.name is required\nresource must be an object")
	w.refuses(pathEvaluation, with(`"context":{"`+strings.Repeat("n", 1025)+`":1}`), 400, "context has names that are too long")
	for _, header := range []string{"application/json; charset=latin1", "text/json", "application/jsonx"} {
		if got := w.post(pathEvaluation, aliceReads, "Content-Type", header); got.status != 400 {
			t.Errorf("%s: %d", header, got.status)
		}
	}
	if got := w.post(pathEvaluation, aliceReads, "Content-Type", "Application/JSON; charset=UTF-8", "Accept", "text/html"); got.status != 200 ||
		got.header.Get("Content-Type") != "application/json" || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %q", got.status, got.header)
	}
	if got := w.post(pathEvaluation, aliceReads, "Content-Encoding", "gzip"); got.status != 400 {
		t.Errorf("gzip: %d", got.status)
	}
	got := w.post(pathEvaluation, `{}`, "Accept", problemJSON)
	var p struct {
		Title, Detail string
		Status        int
	}
	if err := json.Unmarshal([]byte(got.body), &p); err != nil || p.Status != 400 || p.Title != "Bad Request" || !strings.HasPrefix(p.Detail, "subject is required") {
		t.Errorf("%v %s", err, got.body)
	}
}

const problemJSON = "application/problem+json"

// TestUnknown is authzen.md 12 with the codes of 13, and az-15: none by default, never more than reasons.
func TestUnknown(t *testing.T) {
	w := newWorld(t)
	ask := func(subject, id, action, resource, path, options string) string {
		return fmt.Sprintf(`{"subject":{"type":%q,"id":%q},"action":{"name":%q},"resource":{"type":%q,"id":%q}%s}`, subject, id, action, resource, path, options)
	}
	reason := func(code, message string) string {
		return fmt.Sprintf(`"reasons":[{"code":%q,"message":%q}]`, code, message)
	}
	const nobody = `"error":{"status":404,"code":"AMB-020","name":"MemberNotFoundError","message":"MemberNotFoundError: identity not found"}`
	const unmatched = `"error":{"status":403,"code":"RT-087","name":"InvalidParameter","message":"None of the Identity Templates Matched"}`
	for _, tt := range []struct{ subject, id, action, resource, path, context string }{
		{"ship", "alice", "read", "record", "record-1", unmatched},
		{"", "alice", "read", "record", "record-1", unmatched},
		{"user", "nobody", "read", "record", "record-1", nobody},
		{"user", "", "read", "record", "record-1", nobody},
		{"user", "alice", "read", "ship", "record-1", reason("PID002", "The type or the action is unknown")},
		{"user", "alice", "fly", "record", "record-1", reason("PID002", "The type or the action is unknown")},
		{"user", "alice", "", "record", "record-1", reason("PID002", "The type or the action is unknown")},
		{"user", "alice", "read", "record", "none", reason("PID008", "The asset is unknown")},
		{"user", "alice", "read", "record", "", reason("PID008", "The asset is unknown")},
		{"user", "bob", "delete", "record", "record-1", reason("PID004", "The identity is in none of the policies' groups")},
		{"user", "bob", "write", "record", "record-1", reason("PID005", "No ruleset covers the asset")},
		{"user", "alice", "delete", "record", "record-1", reason("PID006", "A condition is not met")},
	} {
		w.wants(pathEvaluation, ask(tt.subject, tt.id, tt.action, tt.resource, tt.path, ""), `{"decision":false}`)
		for _, level := range []string{"reasons", "policies"} {
			w.wants(pathEvaluation, ask(tt.subject, tt.id, tt.action, tt.resource, tt.path, `,"options":{"ambit_context":"`+level+`"}`),
				`{"decision":false,"context":{`+tt.context+`}}`)
		}
	}
	w.wants(pathEvaluation, ask("user", "alice", "read", "record", "record-1", `,"options":{"ambit_context":"policies"}`), `{"decision":true}`)
}

// TestContext is az-13 and az-14; README rulings 1 and 2 make a broken address and offset an error of the call.
func TestContext(t *testing.T) {
	w := newWorld(t)
	const deletes = `{"subject":{"type":"user","id":"alice"},"action":{"name":"delete"%s},"resource":{"type":"record","id":"record-1"},"context":%s}`
	w.wants(pathEvaluation, fmt.Sprintf(deletes, `,"properties":{"soft":"true"}`, `{}`), `{"decision":true}`)
	for _, context := range []string{
		`{"soft":true}`, `{"action.soft":true}`, `{"action":{"soft":true}}`, `{"action":[{"soft":true}]}`, `{"time":"1999-01-01T00:00Z"}`,
	} {
		w.wants(pathEvaluation, fmt.Sprintf(deletes, "", context), `{"decision":false}`)
	}
	for context, text := range map[string]string{
		`{"ip":"x"}`: "context.ip must be an IP address without port or zone", `{"ip":["192.0.2.1"]}`: "context.ip must be an IP address without port or zone",
		`{"timeZoneOffset":15}`: "context.timeZoneOffset must be a number of hours from -14 to 14", `7`: "context must be an object",
	} {
		w.refuses(pathEvaluation, fmt.Sprintf(deletes, "", context), 400, text)
	}
	w.taken()
	w.wants(pathEvaluation, fmt.Sprintf(deletes, "", `{"ip":"::ffff:203.0.113.40"}`), `{"decision":false}`)
	if got := w.taken(); len(got) != 1 || got[0].SourceIP != "203.0.113.40" {
		t.Errorf("records %+v", got)
	}
}

// TestBatch is az-04, az-05 and az-06.
func TestBatch(t *testing.T) {
	w := newWorld(t)
	const yes, no, broken = `{"action":{"name":"read"}}`, `{"action":{"name":"delete"}}`, `{"action":7}`
	verdicts := map[string]string{
		yes: `{"decision":true}`, no: `{"decision":false}`,
		broken: `{"decision":false,"context":{"error":{"status":400,"message":"action must be an object"}}}`,
	}
	call := func(semantic string, elements []string) string {
		return `{"subject":{"type":"user","id":"alice"},"resource":{"type":"record","id":"record-1"},"options":{"evaluations_semantic":"` + semantic +
			`"},"evaluations":[` + strings.Join(elements, ",") + `]}`
	}
	kinds := []string{yes, no, broken}
	for i := range 27 { // every batch of three
		elements := []string{kinds[i/9], kinds[i/3%3], kinds[i%3]}
		for semantic, stop := range map[string]func(string) bool{
			"execute_all":            func(string) bool { return false },
			"deny_on_first_deny":     func(e string) bool { return e != yes },
			"permit_on_first_permit": func(e string) bool { return e == yes },
		} {
			n := 1 + slices.IndexFunc(elements, stop)
			if n == 0 {
				n = 3
			}
			var want []string
			for _, e := range elements[:n] {
				want = append(want, verdicts[e])
			}
			w.taken()
			w.wants(pathEvaluations, call(semantic, elements), `{"evaluations":[`+strings.Join(want, ",")+`]}`)
			ids := map[string]bool{}
			for _, r := range w.taken() { // 11.5: one record a decision, none for what was not executed
				ids[r.ID] = true
			}
			if len(ids) != n {
				t.Errorf("%s %v: %d records", semantic, elements, len(ids))
			}
		}
	}
	const semantics = "options.evaluations_semantic must be execute_all, deny_on_first_deny or permit_on_first_permit"
	w.refuses(pathEvaluations, call("stop", []string{yes}), 400, semantics)
	w.refuses(pathEvaluations, `{"evaluations":{}}`, 400, "evaluations must be an array")
	w.refuses(pathEvaluations, `{"evaluations":[{}],"options":[]}`, 400, "options must be an object")
	w.refuses(pathEvaluations, `{"subject":{"type":"user"},"evaluations":[`+aliceReads+`]}`, 400, "subject.id is required")
	w.refuses(pathEvaluations, `{"evaluations":[`+strings.TrimSuffix(strings.Repeat("{},", 1001), ",")+`]}`, 400, "evaluations has more than 1000 elements")
	w.wants(pathEvaluations, `{"evaluations":[`+aliceReads+`,{"subject":7},7,{}]}`, `{"evaluations":[{"decision":true}`+
		`,{"decision":false,"context":{"error":{"status":400,"message":"subject must be an object"}}}`+
		`,{"decision":false,"context":{"error":{"status":400,"message":"the element must be an object"}}}`+
		`,{"decision":false,"context":{"error":{"status":400,"message":"subject is required"}}}]}`)
	// a default resource lends no properties: record-1 as it is stored, which is active
	w.wants(pathEvaluations, `{"subject":{"type":"user","id":"alice"},"action":{"name":"write"},"resource":{"type":"record","id":"record-2","properties":{"status":"archived"}},
		"evaluations":[{"resource":{"type":"record","id":"record-1"}},{}]}`, `{"evaluations":[{"decision":true},{"decision":false}]}`)
}

// authzen.md 11.5: a batch that is given up between two elements, or after the last, is recorded as a call without an answer: its
// record names nobody, no policy and nothing that was asked for, least of all those of the element before.
func TestBatchGivenUp(t *testing.T) {
	w := newWorld(t)
	granted := &decide.Evaluation{Action: "read", Resource: decide.AssetClaim{Template: "record", Path: "record-1"}}
	granted.Primary = decide.Claim{Template: "user", EntityID: "alice"}
	for _, more := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		call := w.service.Begin(decide.Incoming{Credentials: decide.Credentials{ClientID: clientID, Secret: w.secret}})
		check(t, call.Authenticate(ctx, decide.Credentials{}))
		w.taken()
		_, err := call.Evaluate(ctx, decide.Batch{Questions: func(yield func(*decide.Evaluation, *model.Error) bool) {
			yield(granted, nil)
			cancel()
			if more {
				yield(granted, nil)
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		call.Refused(t.Context(), 503, "given up")
		for i, r := range w.taken() {
			if i > 0 || r.Status != 503 || r.Result != "given up" || len(r.Subjects) > 0 || len(r.Policies) > 0 {
				t.Errorf("more %t: record %d: %+v", more, i, r)
			}
		}
	}
}

// TestMetadata is az-16, and c-6-1 for a public URL with a path.
func TestMetadata(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.PublicURL = "https://example.org/ambit"; o.NoSearch = true })
	want := `{"policy_decision_point":"https://example.org/ambit","access_evaluation_endpoint":"https://example.org/ambit/access/v1/evaluation",` +
		`"access_evaluations_endpoint":"https://example.org/ambit/access/v1/evaluations"}`
	for _, header := range []http.Header{nil, {"X-Forwarded-Host": {"evil.example"}, "Forwarded": {"host=evil.example"}}} {
		got := w.send(http.MethodGet, pathMetadata+"/ambit", "", header)
		if got.status != 200 || got.body != want || got.header.Get("Cache-Control") != "public, max-age=3600" || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%d %s %q", got.status, got.body, got.header)
		}
		if again := w.send(http.MethodGet, pathMetadata, "", http.Header{"If-None-Match": {got.header.Get("ETag")}}); again.status != 304 {
			t.Errorf("with If-None-Match: %d", again.status)
		}
	}
	if got := w.send(http.MethodHead, pathMetadata, "", nil); got.status != 200 || got.body != "" {
		t.Errorf("HEAD: %d %s", got.status, got.body)
	}
	if got := w.post(pathSubjects, aliceReads); got.status != 404 {
		t.Errorf("a search that is switched off: %d", got.status)
	}
	for _, url := range []string{"", "http://example.org", "https://example.org/", "https://example.org?a", "ftp://localhost"} {
		if newMetadata(&Options{PublicURL: url, Log: w.quiet(), Clock: w.clock}) != nil {
			t.Errorf("%q has metadata", url)
		}
	}
	if newMetadata(&Options{PublicURL: "http://127.0.0.1:8010", Log: w.quiet()}) == nil {
		t.Error("a loopback URL has no metadata")
	}
}

// TestSearchTargets is az-10: assets of a REQUEST type cannot be listed, but be asked about.
func TestSearchTargets(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *store.Tx) error {
		template, err := tx.AssetTemplates.Find("record")
		if err != nil {
			return err
		}
		template.Source = model.SourceRequest
		_, err = tx.AssetTemplates.Put(template)
		return err
	})
	w.wants(pathResources, `{"subject":{"type":"user","id":"alice"},"action":{"name":"write"},"resource":{"type":"record"}}`,
		`{"context":{"warnings":[{"code":"not_enumerable","message":"Assets of type record are not stored; use evaluations"}]},"results":[]}`)
	const brought = `"resource":{"type":"record","id":"brought","properties":{"status":"active"}}}`
	w.wants(pathSubjects, `{"subject":{"type":"user"},"action":{"name":"write"},`+brought, `{"results":[{"type":"user","id":"alice"}]}`)
	w.wants(pathActions, `{"subject":{"type":"user","id":"alice"},`+brought, `{"results":[{"name":"read"},{"name":"write"}]}`)
	w.wants(pathResources, `{"subject":{"type":"user","id":"nobody"},"action":{"name":"write"},"resource":{"type":"record"}}`, `{"results":[]}`)
}

// TestScope: a scope that is switched off, or without applications, permits and finds nothing.
func TestScope(t *testing.T) {
	w := newWorld(t)
	w.changeScope(func(s *model.Scope) { s.ApplicationIDs = nil })
	w.wants(pathEvaluation, strings.TrimSuffix(aliceReads, "}")+`,"options":{"ambit_context":"reasons"}}`,
		`{"decision":false,"context":{"reasons":[{"code":"PID001","message":"No application of the scope has the type"}]}}`)
	for _, path := range []string{pathSubjects, pathResources, pathActions} {
		w.wants(path, aliceReads, `{"results":[]}`)
	}
	w.changeScope(func(s *model.Scope) { s.Enabled = false })
	w.refuses(pathEvaluation, aliceReads, 401, "Invalid clientId")
}

// TestForm: a failed call says so in the form of the family, whatever failed.
func TestForm(t *testing.T) {
	if status := problem.Status(errPageToken()); status != 400 {
		t.Errorf("status %d", status)
	}
	if got := (Options{}).withDefaults(); got.MaxBytes != 1<<20 || got.PageMax != 5000 || got.TokenTTL != time.Hour {
		t.Errorf("defaults %+v", got)
	}
}
