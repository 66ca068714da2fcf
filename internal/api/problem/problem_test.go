package problem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/model"
)

var anID = regexp.MustCompile(`E[A-Z0-9]{5}`)

// answer runs one write and returns the answer, with ids replaced by ID, and what was logged.
func answer(t *testing.T, form Form, accept string, err error) (*httptest.ResponseRecorder, string, string) {
	t.Helper()
	var log bytes.Buffer
	r := httptest.NewRequest(http.MethodGet, "/policy-mgmt/1.0/x?clientSecret=canary", nil)
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	w := httptest.NewRecorder()
	Writer{Form: form, Log: slog.New(slog.NewTextHandler(&log, nil))}.Write(w, r, err)
	id := w.Header().Get("X-Error-Id")
	if !regexp.MustCompile(`^E[A-Z0-9]{5}$`).MatchString(id) {
		t.Errorf("X-Error-Id %q", id)
	}
	if !strings.Contains(log.String(), id) {
		t.Errorf("id %s is not in the log: %s", id, log.String())
	}
	if strings.Contains(log.String(), "canary") {
		t.Errorf("the log holds the query string: %s", log.String())
	}
	body := w.Body.String()
	if form != Text && !strings.Contains(body, id) {
		t.Errorf("id %s is not in the body %s", id, body)
	}
	return w, regexp.MustCompile(`"id":"E[A-Z0-9]{5}"`).ReplaceAllString(body, `"id":"ID"`), log.String()
}

func unmatched() error {
	return &model.Error{
		Kind: model.KindForbidden, Code: "RT-087", Name: "InvalidParameter",
		Message: "None of the Identity Templates Matched",
	}
}

// An answer does not grow with the number of faults of a body.
func TestManyErrors(t *testing.T) {
	var errs model.Errors
	for i := range 300 {
		errs.Add(fmt.Sprintf("/%d", i), "is wrong")
	}
	_, body, _ := answer(t, Envelope, "", errs)
	if strings.Count(body, `"id":"ID"`) != maxErrors || !strings.Contains(body, "/99: is wrong") {
		t.Errorf("%d bytes: %.200s", len(body), body)
	}
}

// RT-22, RT-23, RT-24, MG error bodies: golden bytes of every form.
func TestBodies(t *testing.T) {
	policy := &model.Error{
		Kind: model.KindNotFound, Code: "PUA-033", Name: "PolicyNotFoundError",
		Args: []string{"5b0c", "quay_days"}, Message: "Policy Id doesn't exist in the environment",
	}
	two := model.Errors{
		{Kind: model.KindInvalid, Message: "/a: is <empty>"},
		{Kind: model.KindConflict, Message: "/b: is taken"},
	}
	tests := []struct {
		name, accept string
		form         Form
		err          error
		status       int
		mime, body   string
	}{
		{
			"RT-22 text", "application/json", Text, unmatched(), 403, "text/plain; charset=utf-8",
			"None of the Identity Templates Matched",
		},
		{
			"RT-23 5.0", "", Runtime, unmatched(), 403, "application/json",
			`{"errors":[{"id":"ID","code":"RT-087","name":"InvalidParameter","message":"None of the Identity Templates Matched"}]}`,
		},
		{
			"RT-24 problem", "text/html, application/problem+json;q=0.5", Text, unmatched(), 403, "application/problem+json",
			`{"type":"about:blank","title":"Forbidden","status":403,"detail":"None of the Identity Templates Matched","code":"RT-087","name":"InvalidParameter","id":"ID"}`,
		},
		{
			"RT-24 refused problem", "application/problem+json;q=0.0", Text, unmatched(), 403, "text/plain; charset=utf-8",
			"None of the Identity Templates Matched",
		},
		{
			"envelope", "", Envelope, policy, 404, "application/json",
			`{"errors":[{"code":"PUA-033","args":{"0":"5b0c","1":"quay_days"},"id":"ID","status":404,"name":"PolicyNotFoundError","message":"Policy Id doesn't exist in the environment"}]}`,
		},
		{
			"flat", "", Flat, policy, 404, "application/json",
			`{"code":"PUA-033","id":"ID","status":404,"name":"PolicyNotFoundError","message":"Policy Id doesn't exist in the environment","args":{"0":"5b0c","1":"quay_days"},"path":"/policy-mgmt/1.0/x"}`,
		},
		{
			"several", "", Envelope, two, 400, "application/json",
			`{"errors":[{"code":"MGT-001","args":{},"id":"ID","status":400,"name":"BadRequestError","message":"/a: is <empty>"},{"code":"MGT-008","args":{},"id":"ID","status":400,"name":"AlreadyExistsError","message":"/b: is taken"}]}`,
		},
		{
			"oauth", "", OAuth, &model.Error{Kind: model.KindUnauthorized, Code: "MGT-004", Name: "UnauthorizedError", Message: "no"}, 401, "application/json",
			`{"error":"invalid_client","error_description":"no","errors":[{"code":"MGT-004","args":{},"id":"ID","status":401,"name":"UnauthorizedError","message":"no"}]}`,
		},
		{
			"wrapped", "", Text, fmt.Errorf("op: %w", unmatched()), 403, "text/plain; charset=utf-8",
			"None of the Identity Templates Matched",
		},
		{
			"position", "", Text, &model.Error{Kind: model.KindInvalid, Message: "bad", Pos: model.Position{Line: 2, Column: 7}}, 400,
			"text/plain; charset=utf-8", "2:7: bad",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, body, _ := answer(t, tt.form, tt.accept, tt.err)
			if w.Code != tt.status || w.Header().Get("Content-Type") != tt.mime || body != tt.body {
				t.Errorf("got  %d %s %s\nwant %d %s %s", w.Code, w.Header().Get("Content-Type"), body, tt.status, tt.mime, tt.body)
			}
			if tt.form != Text && !jsontext.Value(w.Body.Bytes()).IsValid() {
				t.Errorf("not JSON: %s", w.Body)
			}
			if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("headers %v", w.Header())
			}
		})
	}
}

// RT-25: 500 reveals no cause, in no form, whatever the error says; the log has it.
func TestInternalRevealsNothing(t *testing.T) {
	for _, form := range []Form{Text, Runtime, Envelope, Flat, OAuth} {
		for _, err := range []error{
			errors.New("disk on fire"),
			&model.Error{Op: "x", Message: "disk on fire", Code: "disk on fire", Name: "disk on fire", Args: []string{"disk on fire"}},
			&model.Error{Kind: model.KindUnavailable, Err: errors.New("disk on fire")},
		} {
			w, body, log := answer(t, form, "", err)
			if w.Code < 500 || strings.Contains(body, "fire") || !strings.Contains(log, "disk on fire") ||
				!strings.Contains(log, "level=ERROR") {
				t.Errorf("form %d: %d %s, log %s", form, w.Code, body, log)
			}
		}
	}
}

// Every kind has a status, a code and a name in both families (runtime-api.md 3.7, management-api.md 1.3).
func TestKinds(t *testing.T) {
	tests := []struct {
		err              error
		status           int
		runtime, manager string
	}{
		{&model.Error{}, 500, "AMB-500", "MGT-015"},
		{&model.Error{Kind: model.KindInvalid}, 400, "AMB-002", "MGT-001"},
		{&model.Error{Kind: model.KindUnprocessable}, 422, "AMB-002", "V-032"},
		{&model.Error{Kind: model.KindUnauthorized}, 401, "AMB-011", "MGT-004"},
		{&model.Error{Kind: model.KindForbidden}, 403, "RT-087", "MGT-005"},
		{RouteNotFound(), 404, "AMB-404", "MGT-006"},
		{MethodNotAllowed(), 405, "AMB-405", "MGT-007"},
		{NotAcceptable(""), 406, "AMB-500", "MGT-007"},
		{&model.Error{Kind: model.KindConflict}, 409, "AMB-500", "MGT-008"},
		{&model.Error{Kind: model.KindPrecondition}, 412, "AMB-500", "MGT-011"},
		{&model.Error{Kind: model.KindPrecondition, Name: namePreconditionRequired}, 428, "AMB-500", "MGT-013"},
		{&model.Error{Kind: model.KindTooLarge}, 413, "AMB-413", "MGT-012"},
		{UnsupportedMedia(""), 415, "AMB-415", "MGT-007"},
		{&model.Error{Kind: model.KindTooMany}, 429, "AMB-429", "MGT-014"},
		{&model.Error{Kind: model.KindNotOffered}, 501, "AMB-501", "MGT-016"},
		{&model.Error{Kind: model.KindUnavailable}, 503, "AMB-503", "AMB-503"},
	}
	for _, tt := range tests {
		for form, code := range map[Form]string{Runtime: tt.runtime, Envelope: tt.manager} {
			w, body, _ := answer(t, form, "", tt.err)
			if w.Code != tt.status || !strings.Contains(body, `"code":"`+code+`"`) {
				t.Errorf("%v in form %d: %d %s, want %d %s", tt.err, form, w.Code, body, tt.status, code)
			}
			if again := w.Header().Get("Retry-After"); (again != "") != (tt.status == 429 || tt.status == 503) {
				t.Errorf("%d: Retry-After %q", tt.status, again)
			}
		}
		if got := Status(tt.err); got != tt.status {
			t.Errorf("Status = %d, want %d", got, tt.status)
		}
	}
}

// RT-25: 401 carries the challenge of its family.
func TestChallenge(t *testing.T) {
	tests := []struct {
		form                Form
		authorization, want string
	}{
		{Text, "Bearer x", `Bearer realm="ambit"`},
		{Runtime, "", `Bearer realm="ambit"`},
		{Envelope, "", `Bearer realm="ambit"`},
		{Envelope, "Bearer x", `Bearer realm="ambit", error="invalid_token"`},
		{OAuth, "basic eDp5", `Basic realm="ambit"`},
		{OAuth, "", `Bearer realm="ambit"`},
	}
	for _, tt := range tests {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		if tt.authorization != "" {
			r.Header.Set("Authorization", tt.authorization)
		}
		w := httptest.NewRecorder()
		Writer{Form: tt.form, Log: slog.New(slog.DiscardHandler)}.Write(w, r, &model.Error{Kind: model.KindUnauthorized})
		if got := w.Header().Get("WWW-Authenticate"); got != tt.want {
			t.Errorf("form %d, %q: %s, want %s", tt.form, tt.authorization, got, tt.want)
		}
	}
}

// RT-23: ids are new for each error and spread over the alphabet.
func TestIDs(t *testing.T) {
	seen, letters := map[string]bool{}, map[byte]bool{}
	for range 2000 {
		id := newID()
		if !anID.MatchString(id) || len(id) != 6 {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
		for i := range 5 {
			letters[id[i+1]] = true
		}
	}
	if len(seen) < 1990 || len(letters) != 36 {
		t.Errorf("%d ids, %d letters", len(seen), len(letters))
	}
}

// F1: a caller that hung up is answered with an error like any other, but raises no alarm: anybody can hang up at any time.
func TestCallerGone(t *testing.T) {
	var log bytes.Buffer
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	for _, tt := range []struct {
		ctx   context.Context
		err   error
		level string
	}{
		{gone, context.Canceled, "INFO"},
		{gone, errors.New("disk"), "ERROR"},
		{t.Context(), context.Canceled, "ERROR"},
	} {
		log.Reset()
		w := httptest.NewRecorder()
		Writer{Log: slog.New(slog.NewJSONHandler(&log, nil))}.Write(w, httptest.NewRequest(http.MethodPost, "/x", nil).WithContext(tt.ctx), tt.err)
		if w.Code != http.StatusInternalServerError || !strings.Contains(log.String(), `"level":"`+tt.level+`"`) {
			t.Errorf("%v: %d, want %s: %s", tt.err, w.Code, tt.level, &log)
		}
	}
}
