package authzen

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/authzencheck"
)

// broken is a server that answers as it should, but for one defect. It is the transport of a client: nothing of it needs a
// connection.
type broken struct {
	handler http.Handler
	defect  func(*seen)
	calls   int
}

// seen is a call with its answer, which a defect may change.
type seen struct {
	path, sent string
	n          int // calls before
	header     http.Header
	request    http.Header
	status     int
	body       string
}

// RoundTrip answers a request.
func (b *broken) RoundTrip(r *http.Request) (*http.Response, error) {
	sent, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(sent))
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	s := &seen{path: r.URL.Path, sent: string(sent), n: b.calls, header: w.Header(), request: r.Header, status: w.Code, body: w.Body.String()}
	b.calls++
	b.defect(s)
	return &http.Response{StatusCode: s.status, Header: s.header, Body: io.NopCloser(strings.NewReader(s.body)), Request: r}, nil
}

// replace changes the answers of one path, "" = all, to requests that hold a text.
func replace(path, sent, old, text string) func(*seen) {
	return func(s *seen) {
		if (path == "" || s.path == path) && strings.Contains(s.sent, sent) {
			s.body = strings.ReplaceAll(s.body, old, text)
		}
	}
}

// fails changes a status.
func fails(path, sent string, was, status int) func(*seen) {
	return func(s *seen) {
		if (path == "" || strings.HasPrefix(s.path, path)) && strings.Contains(s.sent, sent) && s.status == was {
			s.status = status
		}
	}
}

// batches changes the decisions of each batch.
func batches(change func([]json.RawMessage) []json.RawMessage) func(*seen) {
	return func(s *seen) {
		var a struct {
			Evaluations []json.RawMessage `json:"evaluations"`
		}
		if s.path != pathEvaluations || json.Unmarshal([]byte(s.body), &a) != nil || len(a.Evaluations) == 0 {
			return
		}
		a.Evaluations = change(a.Evaluations)
		text, _ := json.Marshal(a)
		s.body = string(text)
	}
}

const yes, no = `{"decision":true}`, `{"decision":false}`

// TestEveryTestCanFail holds the checks of the certification against servers with one defect each: the tests that are about
// it fail, under their id and with words that tell it, and every test fails at one of them.
func TestEveryTestCanFail(t *testing.T) {
	w := newWorld(t)
	const url = "https://pdp.example"
	handler := Handler(Options{Service: w.service, Sealer: w.secrets, Clock: w.clock, Log: w.quiet(), PublicURL: url})
	run := func(defect func(*seen)) map[string]string {
		t.Helper()
		server := &broken{handler: handler, defect: defect}
		report, err := authzencheck.Run(t.Context(), authzencheck.Options{URL: url, Client: &http.Client{Transport: server}, Header: w.credentials()})
		check(t, err)
		problems := map[string]string{}
		for _, r := range report.Results {
			problems[r.ID] = r.Problem
		}
		return problems
	}
	for id, problem := range run(func(*seen) {}) {
		if problem != "" {
			t.Fatalf("the server without a defect: %s: %s", id, problem)
		}
	}
	failed := map[string]bool{}
	for name, d := range defects() {
		problems := run(d.defect)
		for id, problem := range problems {
			if problem != "" {
				failed[id] = true
			}
		}
		for _, id := range strings.Fields(d.ids) {
			if problem, ok := problems[id]; !ok || !strings.Contains(problem, d.tells) {
				t.Errorf("%s: %s tells %q, want %q", name, id, problem, d.tells)
			}
		}
	}
	var never []string
	for id := range run(func(*seen) {}) {
		if !failed[id] {
			never = append(never, id)
		}
	}
	if len(never) > 0 {
		slices.Sort(never)
		t.Errorf("nothing makes these fail: %q", never)
	}
}

// defect is what is wrong with a server, which tests tell it, and in which words.
type defect struct {
	ids, tells string
	defect     func(*seen)
}

func defects() map[string]defect {
	all := func(body string) func(*seen) {
		return func(s *seen) {
			if s.path == pathEvaluation && s.status == 200 {
				s.body = body
			}
		}
	}
	const metadata = pathMetadata
	return map[string]defect{
		"permits everything":            {"c-2-2-2 c-2-2-4 c-2-2-7", "the decision is true, want false", all(yes)},
		"denies everything":             {"c-2-2-1 c-2-2-3 c-2-2-5 c-2-2-6 c-2-2-8 c-2-2-9 c-2-5-2", "the decision is false, want true", all(no)},
		"decision is a text":            {"c-2-2-1 c-2-3-1", "no JSON of the right form", all(`{"decision":"true"}`)},
		"decision in capitals":          {"c-2-2-1 c-2-3-1 c-3-3-3", "the decision is missing", replace("", "", `"decision"`, `"Decision"`)},
		"two decisions":                 {"c-2-2-1 c-2-3-1", "no JSON of the right form", all(`{"decision":false,"decision":true}`)},
		"text after the answer":         {"c-2-3-1", "no JSON of the right form", all(yes + yes)},
		"context is null":               {"c-2-3-2", "the context is no object: null", all(`{"decision":true,"context":null}`)},
		"context is a text":             {"c-3-3-3", "the context is no object", replace(pathEvaluations, "", yes, `{"decision":true,"context":"why"}`)},
		"malformed is denied":           {"c-2-4-1 c-2-4-2 c-2-4-3 c-2-4-4 c-2-4-5 c-2-4-6 c-5-3", "status 200, want 400", fails("/access", "", 400, 200)},
		"malformed is 422":              {"c-2-4-1 c-4-7-1 c-4-7-2", "status 422, want 400", fails("/access", "", 400, 422)},
		"another id of the request":     {"c-2-5-1 c-5-4", "X-Request-ID", func(s *seen) { s.header.Set("X-Request-Id", "mine") }},
		"no id of a refused request":    {"c-2-5-1", "with status 400", func(s *seen) { drop(s, s.status == 400) }},
		"needs an id of the request":    {"c-2-5-2 c-2-2-1", "status 400, want 200", func(s *seen) { needID(s) }},
		"another decision now and then": {"c-2-6", "the decision is false, want true", func(s *seen) { waver(s) }},

		"a batch permits everything": {"c-3-2-2 c-3-2-3 c-3-2-4 c-3-2-5 c-3-2-7 c-3-4-1", "is true, want false", replace(pathEvaluations, "", `"decision":false`, `"decision":true`)},
		"a batch denies everything":  {"c-3-2-1 c-3-2-6 c-3-4-2 c-3-4-3", "is false, want true", replace(pathEvaluations, "", `"decision":true`, `"decision":false`)},
		"a batch is short":           {"c-3-3-1", "1 answers, want 2", batches(func(l []json.RawMessage) []json.RawMessage { return l[:1] })},
		"a batch is backwards":       {"c-3-3-2", "evaluations[0]: the decision is false, want true", batches(func(l []json.RawMessage) []json.RawMessage { slices.Reverse(l); return l })},
		"a decision is missing":      {"c-3-3-3", "evaluations[1]: the decision is missing", batches(func(l []json.RawMessage) []json.RawMessage { l[len(l)-1] = []byte("{}"); return l })},
		"a batch decides as a whole": {"c-3-3-4", "there is one", replace(pathEvaluations, "", `{"evaluations"`, `{"decision":true,"evaluations"`)},
		"a batch fails by one":       {"c-3-4-1", "status 400, want 200", fails(pathEvaluations, `{}]`, 200, 400)},
		"no batch is an empty batch": {"c-3-4-2 c-3-4-3", "the decision is missing", instead(pathEvaluations, yes, `{"evaluations":[]}`)},

		"nobody is found":          {"c-4-2-1 c-4-2-4 c-4-3-1 c-4-3-4 c-4-4-1 c-4-4-3", "was not found", func(s *seen) { none(s) }},
		"results are no list":      {"c-4-2-1 c-4-6-1", "no JSON of the right form", replace("", "", `"results":[`, `"results":7,"more":[`)},
		"no results":               {"c-4-2-1 c-4-3-1 c-4-4-1 c-4-6-2", "results is missing", replace("", "", `"results"`, `"Results"`)},
		"results without type":     {"c-4-2-1 c-4-3-1", "results[0] is not of the right form", replace("", "", `"type":"`, `"kind":"`)},
		"actions with a type":      {"c-4-4-1", "results[0] is not of the right form", replace(pathActions, "", `{"name"`, `{"type":"action","name"`)},
		"a context finds less":     {"c-4-2-2", "bob was not found", replace(pathSubjects, `"ip"`, `,{"type":"user","id":"bob"}`, "")},
		"a context finds more":     {"c-4-3-2", "before it was", replace(pathResources, `"ip"`, `"results":[`, `"results":[{"type":"record","id":"x"},`)},
		"a context finds other":    {"c-4-4-2", "before it was", replace(pathActions, `"ip"`, `"results":[`, `"results":[{"name":"fly"},`)},
		"the target's id counts":   {"c-4-2-3", "bob was not found", replace(pathSubjects, `"id":"alice"`, `,{"type":"user","id":"bob"}`, "")},
		"the target's id is added": {"c-4-3-3", "before it was", replace(pathResources, `"record","id":"record-1"}}`, `"results":[`, `"results":[{"type":"record","id":"x"},`)},
		"no pages":                 {"c-4-5-1 c-4-5-2 c-4-5-3", "page is missing", replace("", `"limit":1`, `"page"`, `"pages"`)},
		"no token":                 {"c-4-5-1", "page.next_token is no string", replace("", "", `"next_token"`, `"token"`)},
		"all is on the first page": {"c-4-5-2", "next_token is empty on the first page", func(s *seen) { forgetToken(s) }},
		"a page is too large": {
			"c-4-5-1 c-4-5-3", "2 results, the limit is 1",
			replace(pathSubjects, `"limit":1`, `"count":1},"results":[`, `"count":2},"results":[{"type":"user","id":"x"},`),
		},
		"the count is wrong":      {"c-4-5-1 c-4-5-3", "page.count is 7, there are 1 results", replace(pathSubjects, `"limit":1`, `"count":1`, `"count":7`)},
		"the first page again":    {"c-4-5-3", "no end after 1000 pages", func(s *seen) { again(s) }},
		"the last page is empty":  {"c-4-5-3", "page by page", replace(pathSubjects, `"token":"A`, `"count":1},"results":[{"type":"user","id":"bob"}]`, `"count":0},"results":[]`)},
		"pages find less":         {"c-4-5-4", "with page", replace("", `"limit":100`, `{"type":"record","id":"record-2"}`, "")},
		"nobody knows is 404":     {"c-4-6-1", "status 404, want 200", fails("/access/v1/search", "nonexistent", 200, 404)},
		"unknown types are 400":   {"c-4-6-2", "status 400, want 200", fails("/access/v1/search", "spaceship", 200, 400)},
		"unknown types are found": {"c-4-6-2", "found alice", replace("", "spaceship", `"results":[`, `"results":[{"type":"user","id":"alice"}`)},
		"searches take anything":  {"c-4-7-1 c-4-7-2 c-5-3", "status 200, want 400", fails("/access/v1/search", "", 400, 200)},

		"is down":                 {"c-5-1 c-5-2", "status 503", fails("/access", "", 200, 503)},
		"answers are text":        {"c-5-2", `Content-Type "text/plain"`, func(s *seen) { s.header.Set("Content-Type", "text/plain") }},
		"unknown members are 400": {"c-2-2-9 c-5-5", "status 400, want 200", fails("/access", "futureField", 200, 400)},
		"searches are not there":  {"c-6-6 c-4-2-1", "status 404", fails("/access/v1/search", "", 200, 404)},

		"no metadata":            {"c-6-1 c-6-2 c-6-6", "status 404, want 200", fails(metadata, "", 200, 404)},
		"metadata is a list":     {"c-6-2", "no JSON of the right form", instead(metadata, "", "[]")},
		"metadata of another":    {"c-6-3", `it is "https://evil.example"`, replace(metadata, "", `"policy_decision_point":"https://pdp.example"`, `"policy_decision_point":"https://evil.example"`)},
		"capabilities are one":   {"c-6-4", "capabilities is no list of strings", replace(metadata, "", "{", `{"capabilities":"urn:x",`)},
		"capabilities are null":  {"c-6-4", "capabilities is no list of strings", replace(metadata, "", "{", `{"capabilities":null,`)},
		"a signature is no JWT":  {"c-6-4", "signed_metadata is no JWT", replace(metadata, "", "{", `{"signed_metadata":"a.b",`)},
		"nobody has signed":      {"c-6-4", "signed_metadata is no JWT with iss", replace(metadata, "", "{", `{"signed_metadata":"e30.e30.e30",`)},
		"endpoints without TLS":  {"c-6-5", "search_subject_endpoint is no https URL", replace(metadata, "", "https://pdp.example/access", "http://pdp.example/access")},
		"an endpoint is missing": {"c-6-3 c-6-5", "access_evaluation_endpoint is no https URL", replace(metadata, "", `"access_evaluation_endpoint"`, `"evaluation_endpoint"`)},
	}
}

// instead answers otherwise on a path, where the answer would be was; "" = any.
func instead(path, was, body string) func(*seen) {
	return func(s *seen) {
		if s.path == path && (was == "" || s.body == was) {
			s.body = body
		}
	}
}

func drop(s *seen, when bool) {
	if when {
		s.header.Del("X-Request-Id")
	}
}

func needID(s *seen) {
	if s.request.Get("X-Request-Id") == "" && s.status == 200 {
		s.status = 400
	}
}

// waver denies one request in three.
func waver(s *seen) {
	if s.n%3 == 0 && s.body == yes {
		s.body = no
	}
}

func none(s *seen) {
	if before, _, found := strings.Cut(s.body, `"results":[`); found {
		s.body = before + `"results":[]}`
	}
}

// forgetToken says on every page that it is the last.
func forgetToken(s *seen) {
	if _, rest, found := strings.Cut(s.body, `"next_token":"`); found {
		_, rest, _ = strings.Cut(rest, `"`)
		s.body = `{"page":{"next_token":"` + `"` + rest
	}
}

// again says on every page that another follows.
func again(s *seen) {
	if strings.Contains(s.sent, `"limit":1,`) {
		s.status = 200
		s.body = `{"page":{"next_token":"x","count":1},"results":[{"type":"user","id":"alice"}]}`
	}
}
