package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
)

// remote is the server that a command talks to and the credential that it uses there. The secret has no flag: a
// command line can be seen by others.
type remote struct {
	URL         string `name:"url" env:"AMBIT_URL" default:"http://127.0.0.1:8010" help:"Server."`
	Environment string `name:"env" env:"AMBIT_ENV_ID" help:"Environment id."`
	AdminID     string `name:"admin-id" env:"AMBIT_ADMIN_ID" help:"Admin credential; its secret is taken from AMBIT_ADMIN_SECRET."`
	AdminSecret string `kong:"-"`
}

// inEnvironment refuses an --env that names no environment, before anything is sent.
func (r *remote) inEnvironment(command string) error {
	if r.Environment == "" {
		return &usageError{command, "no environment: give --env or set AMBIT_ENV_ID"}
	}
	if _, ok := model.ParseUUID(r.Environment); !ok {
		return &usageError{command, fmt.Sprintf("--env: %q is not the id of an environment; \"ambit environments list\" shows the ids", r.Environment)}
	}
	return nil
}

// client is a session with the management API.
type client struct {
	base  string
	token string
	http  *http.Client
}

// connect logs in.
func (r *remote) connect(ctx context.Context) (*client, error) {
	if r.AdminSecret == "" {
		r.AdminSecret = os.Getenv("AMBIT_ADMIN_SECRET")
	}
	if r.AdminID == "" || r.AdminSecret == "" {
		return nil, errors.New("no admin credential: set AMBIT_ADMIN_ID and AMBIT_ADMIN_SECRET")
	}
	base, err := url.Parse(strings.TrimRight(r.URL, "/"))
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("%q is not the URL of a server", r.URL)
	}
	c := &client{base: base.String(), http: &http.Client{}}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {r.AdminID}, "client_secret": {r.AdminSecret}}
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	_, err = c.call(ctx, request{
		method: http.MethodPost, path: "/api/1.0/api-key/token",
		contentType: "application/x-www-form-urlencoded", body: strings.NewReader(form.Encode()),
	}, &answer)
	if err != nil {
		return nil, fmt.Errorf("logging in at %s: %w", c.base, err)
	}
	c.token = answer.AccessToken
	return c, nil
}

// environmentPath is the path of the environment's own calls.
func environmentPath(id string) string { return "/ambit/1.0/environments/" + url.PathEscape(id) }

type request struct {
	method, path string
	query        url.Values
	contentType  string
	encoding     string
	header       http.Header
	body         io.Reader
}

// refusal is an error answer of the server.
type refusal struct {
	Status int
	Asked  string // the path
	ID     string // names the error in the server's log
	Errors []wireError
	Raw    []byte
}

// wireError is one error of an answer; File, Line and Column are set where they apply.
type wireError struct {
	Code    string `json:"code"`
	Name    string `json:"name"`
	Message string `json:"message"`
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Key     string `json:"key"`
	// Args has what the message leaves out, under the keys "0", "1", …
	Args map[string]string `json:"args"`
}

// String is the message behind its place, without saying the place twice.
func (e wireError) String() string {
	for _, place := range []model.Position{
		{File: e.File, Line: e.Line, Column: e.Column}, {Line: e.Line, Column: e.Column}, {Line: e.Line}, {File: e.File},
	} {
		if rest, found := strings.CutPrefix(e.Message, place.String()+": "); found && !place.IsZero() {
			e.Message = rest
			break
		}
	}
	place := model.Position{File: e.File, Line: e.Line, Column: e.Column}
	return harmless((&model.Error{Pos: place, Message: e.Message}).Text())
}

func (e *refusal) Error() string {
	var lines []string
	for _, one := range e.Errors {
		line := one.String()
		if one.Code == "PUA-033" { // its documented message names no policy
			line += ": " + one.Args["1"]
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		lines = append(lines, fmt.Sprintf("%d %s %s", e.Status, http.StatusText(e.Status), strings.TrimSpace(string(e.Raw))))
	}
	text := strings.Join(lines, "\n")
	lines = strings.Split(text, "\n")
	for i := range lines {
		lines[i] = harmless(lines[i])
	}
	text = strings.Join(lines, "\n")
	if e.Status >= http.StatusInternalServerError && e.ID != "" {
		text += " (" + e.ID + " in the server's log)"
	}
	return text
}

// hinted is an error with what may help against it.
type hinted struct {
	error
	hint string
}

// hintOf is what may help against an error, "" when nothing is known.
func hintOf(err error) string {
	if _, ok := errors.AsType[unknownMembers](err); ok {
		return unknownHint
	}
	if h, ok := errors.AsType[*hinted](err); ok {
		return h.hint
	}
	r, ok := errors.AsType[*refusal](err)
	if !ok {
		return ""
	}
	manages := !strings.HasPrefix(r.Asked, "/api/runtime/")
	switch r.Status {
	case http.StatusBadRequest:
		if strings.HasSuffix(r.Asked, "/impact") && slices.ContainsFunc(r.Errors, isUnknown) {
			return unknownHint
		}
	case http.StatusConflict:
		if len(r.Errors) > 0 && r.Errors[0].Code == "MGT-008" && strings.Contains(r.Asked, "/identity-templates/") {
			return "a workspace has one identity template; \"ambit identity-templates rename\" gives it another id"
		}
	case http.StatusUnauthorized:
		if manages {
			return "AMBIT_ADMIN_ID and AMBIT_ADMIN_SECRET name no credential of this server"
		}
		return "AMBIT_CLIENT_ID and AMBIT_CLIENT_SECRET name no scope of this server"
	case http.StatusForbidden:
		if manages {
			return "\"ambit whoami\" tells what the credential of AMBIT_ADMIN_ID may do"
		}
	case http.StatusPreconditionFailed:
		return "it is not the version of --if-match; look at it again, get --etag prints the version"
	case http.StatusPreconditionRequired:
		return "the environment demands --if-match; get --etag prints the version"
	}
	return ""
}

// call sends a request and decodes the answer into out unless that is nil. Every status outside 200 to 299 is a
// *refusal.
func (c *client) call(ctx context.Context, q request, out any) (http.Header, error) {
	resp, err := c.send(ctx, q)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if out == nil {
		return resp.Header, nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return resp.Header, nil
}

// send is call for answers that the caller reads itself.
func (c *client) send(ctx context.Context, q request) (*http.Response, error) {
	target := c.base + q.path
	if len(q.query) > 0 {
		target += "?" + q.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, q.method, target, q.body)
	if err != nil {
		return nil, err
	}
	for name, values := range q.header {
		req.Header[name] = values
	}
	if q.contentType != "" {
		req.Header.Set("Content-Type", q.contentType)
	}
	if q.encoding != "" {
		req.Header.Set("Content-Encoding", q.encoding)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return nil, fmt.Errorf("asking %s: %w (is the server running?)", c.base, err)
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return nil, err
	}
	r := &refusal{Status: resp.StatusCode, Asked: q.path, ID: resp.Header.Get("X-Error-Id"), Raw: raw}
	var body struct {
		wireError             // the flat body of some families
		Errors    []wireError `json:"errors"`
	}
	if json.Unmarshal(raw, &body) == nil {
		r.Errors = body.Errors
		if len(r.Errors) == 0 && body.Message != "" {
			r.Errors = []wireError{body.wireError}
		}
	}
	return nil, r
}

// postJSON is a POST whose body is v.
func postJSON(path string, v any) (request, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return request{}, err
	}
	return request{method: http.MethodPost, path: path, contentType: "application/json", body: strings.NewReader(string(text))}, nil
}

// status is the status of a refusal in err, 0 when there is none.
func status(err error) int {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.Status
	}
	return 0
}

// waitReady asks the server until it is ready or ctx ends.
func waitReady(ctx context.Context, base string) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/readyz", nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}
