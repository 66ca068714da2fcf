// Package authzencheck runs the tests of the AuthZEN 1.0 certification against a policy decision point, whoever made it,
// that holds the certification's scenario (examples/authzen-certification).
//
// Start at Run; the tests are in basic.go, batch.go, search.go and transport.go under the ids of authzen.md 17. The package
// knows nothing of Ambit but its way of asking for the context of decisions, which other servers ignore. It only asks, and
// changes nothing.
package authzencheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
)

// Options say whom to ask. URL is the base URL, without a slash at the end.
type Options struct {
	URL    string
	Client *http.Client // nil = http.DefaultClient
	Header http.Header  // of all calls but those for the metadata: the credentials
}

// Result is the outcome of one test; an empty Problem means that it passed.
type Result struct {
	ID      string `json:"id"`
	Title   string `json:"title"`
	Level   string `json:"level"`
	Problem string `json:"problem,omitempty"`
}

// Report holds the results in the order of the specification.
type Report struct {
	URL     string   `json:"url"`
	Results []Result `json:"results"`
}

// Failed counts the tests that did not pass.
func (r *Report) Failed() int {
	n := 0
	for i := range r.Results {
		if r.Results[i].Problem != "" {
			n++
		}
	}
	return n
}

// test is one row of the checklist.
type test struct {
	id, level, title string
	run              func(*session) error
}

// Levels of the certification.
const (
	levelBasic     = "Basic"
	levelBatch     = "Batch"
	levelSearch    = "Search"
	levelDiscovery = "Discovery"
	properties     = " Properties"
)

// Run runs every test, one after the other. The error is that of ctx, or tells that there is no server: then no test could
// say anything.
func Run(ctx context.Context, o Options) (*Report, error) {
	s := &session{options: o, ctx: ctx}
	if o.Client == nil {
		s.options.Client = http.DefaultClient
	}
	if _, err := s.send(http.MethodGet, "", "", nil, false); err != nil {
		return nil, err
	}
	report := &Report{URL: o.URL}
	for _, list := range [][]test{basic(), batch(), searches(), transport(), discovery()} {
		for _, t := range list {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			r := Result{ID: t.id, Title: t.title, Level: t.level}
			if err := t.run(s); err != nil {
				r.Problem = err.Error()
			}
			report.Results = append(report.Results, r)
		}
	}
	return report, nil
}

// session asks one server.
type session struct {
	options Options
	ctx     context.Context //nolint:containedctx // of one run, which is one call
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 16 << 20

func (s *session) send(method, path, body string, header http.Header, credentials bool) (*answer, error) {
	r, err := http.NewRequestWithContext(s.ctx, method, s.options.URL+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if credentials {
		for name, values := range s.options.Header {
			r.Header[name] = values
		}
	}
	for name, values := range header {
		r.Header[name] = values
	}
	w, err := s.options.Client.Do(r)
	if err != nil {
		return nil, err
	}
	defer w.Body.Close()
	text, err := io.ReadAll(io.LimitReader(w.Body, maxAnswer))
	return &answer{w.StatusCode, w.Header, text}, err
}

// post sends JSON.
func (s *session) post(path, body string) (*answer, error) {
	return s.send(http.MethodPost, path, body, http.Header{"Content-Type": {"application/json"}}, true)
}

// decode wants a success and reads its JSON, with exact names: a member Decision is none that a caller would find.
func (a *answer) decode(out any) error {
	if a.status != http.StatusOK {
		return fmt.Errorf("status %d, want 200: %s", a.status, beginning(a.body))
	}
	if err := json.Unmarshal(a.body, out); err != nil {
		return fmt.Errorf("the answer is no JSON of the right form: %w: %s", err, beginning(a.body))
	}
	return nil
}

func beginning(text []byte) string { return string(bytes.TrimSpace(text[:min(len(text), 200)])) }

// refused wants 400 for each body.
func (s *session) refused(path string, bodies ...string) error {
	var errs []error
	for _, body := range bodies {
		a, err := s.post(path, body)
		switch {
		case err != nil:
			errs = append(errs, err)
		case a.status != http.StatusBadRequest:
			errs = append(errs, fmt.Errorf("status %d, want 400, for %s", a.status, body))
		}
	}
	return errors.Join(errs...)
}

// Parts of bodies.
const (
	alice   = `"subject":{"type":"user","id":"alice"}`
	bob     = `"subject":{"type":"user","id":"bob"}`
	admin   = `"subject":{"type":"user","id":"bob","properties":{"role":"admin"}}`
	read    = `"action":{"name":"read"}`
	write   = `"action":{"name":"write"}`
	record1 = `"resource":{"type":"record","id":"record-1"}`
	record2 = `"resource":{"type":"record","id":"record-2"}`
	live1   = `"resource":{"type":"record","id":"record-1","properties":{"status":"active"}}`
	archive = `"resource":{"type":"record","id":"record-2","properties":{"status":"archived"}}`
	when    = `"context":{"time":"2025-06-27T18:03-07:00","ip":"192.168.1.1"}`
)

// object makes an object of members.
func object(members ...string) string { return "{" + strings.Join(members, ",") + "}" }

// with adds members to an object.
func with(object string, members ...string) string {
	return strings.TrimSuffix(object, "}") + "," + strings.Join(members, ",") + "}"
}
