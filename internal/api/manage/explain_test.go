package manage

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/api/runtime"
	"github.com/ambit-authz/ambit/internal/audit"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/token"
)

const explainPath = "/api/runtime/explain/v1"

// simulator answers runtime calls and knows the credentials of the management plane.
type simulator struct {
	h         *harbour
	directory *decide.Directory
	handler   http.Handler
	records   []audit.Decision
}

// Record keeps records.
func (s *simulator) Record(_ context.Context, ds ...audit.Decision) error {
	s.records = append(s.records, ds...)
	return nil
}

func (h *harbour) simulator() *simulator {
	h.t.Helper()
	h.do("admin", "POST", env+"/scopes", `{"clientId":"portal","name":"portal","applicationIds":["harbour-app"],"secret":"`+portalSecret+`"}`).want(h.t, 201)
	h.do("tenant", "POST", "/ambit/1.0/environments/"+otherID+"/scopes", `{"clientId":"elsewhere","name":"elsewhere","secret":"`+portalSecret+`"}`).want(h.t, 201)
	s := &simulator{h: h}
	now := func() time.Time { return h.clock }
	secrets, err := token.NewSecrets(bytes.Repeat([]byte{7}, token.KeySize))
	h.must(err)
	quiet := slog.New(slog.DiscardHandler)
	s.directory = decide.NewDirectory(decide.DirectoryOptions{Store: h.store, Clock: now, Log: quiet})
	service := decide.New(decide.Options{Directory: s.directory, Secrets: secrets, Clock: now, Log: quiet, Audit: s, Managers: h.service.Reader})
	s.handler = runtime.Handler(runtime.Options{Service: service, Directory: s.directory, Log: quiet})
	return s
}

// ask sends a runtime request with the token of a credential ("" = none).
func (s *simulator) ask(as, path, body string, headers ...string) *httptest.ResponseRecorder {
	s.h.t.Helper()
	s.h.must(s.directory.CatchUp(s.h.t.Context()))
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	if as != "" {
		r.Header.Set("Authorization", "Bearer "+s.h.tokens[as])
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

func (s *simulator) want(w *httptest.ResponseRecorder, status int, parts ...string) {
	s.h.t.Helper()
	if w.Code != status {
		s.h.t.Errorf("status %d, want %d: %s", w.Code, status, w.Body)
	}
	for _, part := range parts {
		if !strings.Contains(w.Body.String(), part) {
			s.h.t.Errorf("lacks %s: %s", part, w.Body)
		}
	}
}

const (
	iris    = `{"clientId":"portal","entityTypeId":"Crew","entityId":"iris"`
	loading = `"listOfResources":{"resourceType":"Cargo","resources":{"path":"quay/0","action":"load"}}}`
)

// TestSimulate: MG-77, PM E22: a management token may set the time, the address and every attribute but uid; the answer says
// that it is a simulation and tells of policies whatever the scope may be told, and its record names the credential.
func TestSimulate(t *testing.T) {
	h := impactWorld(t)
	const from = "\n\n# METADATA\n# custom:\n#   plainid:\n#     kind: Condition\n#     name: From nine\ncondition(env) if {\n\ttime.clock([env.time, env.timeZone]) >= [9,0,0]\n}"
	h.put(regoPolicy("late", "4", "A") + from)
	s := h.simulator()
	for _, c := range []struct {
		more  string
		parts []string
	}{
		{"", []string{`{"simulated":true,"detail":"policies","at":"2026-07-06T08:00:00Z"`, `"allowed":false,"reason":"PID006"`, `{"side":"env","attribute":"time","values":["Monday 2026-07-06 08:00:00 +00:00"]},"operator":"within","right":{"values":["09:00:00- request"]}`}},
		{`,"at":"2026-07-06T09:30:00Z"`, []string{`"at":"2026-07-06T09:30:00Z"`, `"allowed":true`, `"grantedBy":[{"permissionId":"late","permission":"Policy late"}]`}},
		{`,"at":"2026-07-06T09:30:00+02:00"`, []string{`"at":"2026-07-06T07:30:00Z"`, `"timeZoneOffset":2`, `"allowed":true`}},
		{`,"at":"2026-07-06T09:30:00+02:00","timeZoneOffset":0`, []string{`"timeZoneOffset":0,`, `"allowed":false`}},
		{`,"at":"2026-07-06T12:00:00Z","entityAttributes":{"rank":[3],"uid":"root","x":"y"}`, []string{`"ignored":["uid","x"]`, `"reason":"PID004"`, `{"side":"identity","attribute":"rank","values":["3"]},"operator":">=","right":{"values":["4"]}`}},
		{`,"remoteIp":"203.0.113.9"`, []string{`"remoteIp":"203.0.113.9"`}},
	} {
		s.want(s.ask("viewer", explainPath, iris+c.more+","+loading), 200, c.parts...)
		got := s.records[len(s.records)-1]
		if got.SimulatedBy != "viewer" || got.ClientID != "portal" || got.Environment != envID || got.Status != 200 || got.Result != "explained 1 pairs" {
			t.Errorf("%s: the record is %+v", c.more, got)
		}
	}
	s.want(s.ask("admin", explainPath, iris+`,"at":"2026-07-06T12:00:00Z"}`), 200, `"simulated":true`, `"access":[{"path":"quay/0","resourceType":"Cargo","actions":[{"action":"load","grantedBy":[{"permissionId":"late","ruleset":{`)
	// The scope itself is asked at its own time, and has no right to policies.
	own := []string{"X-Client-Id: portal", "X-Client-Secret: " + portalSecret}
	s.want(s.ask("", explainPath, iris+`,"entityAttributes":{"rank":[9]},`+loading, own...), 200, `{"simulated":false,"detail":"reasons"`, `"ignored":["rank"]`, `"reason":"PID006"`)
	if got := s.records[len(s.records)-1]; got.SimulatedBy != "" {
		t.Errorf("the record of a real question is %+v", got)
	}
	// A scope that trusts only matchers is simulated with the identity that the manager states.
	h.do("admin", "PATCH", env+"/scopes/portal", `{"identityMatchingType":"MATCHER","authMethods":["AUTHORIZATION_JWT"]}`).want(t, 200)
	s.want(s.ask("viewer", explainPath, iris+","+loading), 200, `"reason":"PID006"`)
	s.want(s.ask("", explainPath, iris+","+loading, own...), 401, "Invalid token")
}

// TestSimulateRoles: management-api.md 3, row explain: everybody who may read the environment, for its scopes only; whose
// scope a client id is otherwise is not told.
func TestSimulateRoles(t *testing.T) {
	h := impactWorld(t)
	s := h.simulator()
	for as, elsewhere := range map[string]int{"tenant": 200, "admin": 404, "viewer": 404} {
		s.want(s.ask(as, explainPath, iris+","+loading), 200, `"reason":"PID003"`)
		s.want(s.ask(as, explainPath, strings.Replace(iris, "portal", "nobody", 1)+`}`), 404, "Scope: [nobody] not found, or disabled")
		w := s.ask(as, explainPath, `{"clientId":"elsewhere","entityTypeId":"User","entityId":"x"}`)
		if elsewhere == 200 {
			s.want(w, 404, "MemberNotFoundError") // the scope is found, and has no such user
			continue
		}
		s.want(w, 404, "Scope: [elsewhere] not found, or disabled")
	}
	s.want(s.ask("viewer", explainPath, `{"entityId":"iris"}`), 400, "clientId: required")
	for _, wrong := range []string{"x", h.tokens["viewer"] + "x", strings.Replace(h.tokens["viewer"], ".", ".x", 1)} {
		if w := s.ask("", explainPath, iris+`}`, "Authorization: Bearer "+wrong); w.Code != 401 {
			t.Errorf("%.20s: %d %s", wrong, w.Code, w.Body)
		}
	}
	before := h.tokens["viewer"]
	h.clock = h.clock.Add(2 * time.Hour)
	if w := s.ask("", explainPath, iris+`}`, "Authorization: Bearer "+before, "Accept: application/problem+json"); w.Code != 401 || !strings.Contains(w.Body.String(), "MGT-004") {
		t.Errorf("an expired token: %d %s", w.Code, w.Body)
	}
	h.clock = h.clock.Add(-2 * time.Hour)
	h.do("admin", "PATCH", env+"/scopes/portal", `{"enabled":false}`).want(t, 200)
	s.want(s.ask("viewer", explainPath, iris+`}`), 404)
	_, err := h.store.Update(t.Context(), store.Write{Time: h.clock}, func(tx *store.Tx) error { _, err := tx.Credentials.Delete("viewer"); return err })
	h.must(err)
	s.want(s.ask("viewer", explainPath, iris+`}`), 401)
	for _, d := range s.records {
		if d.Status != 200 && strings.HasPrefix(d.Result, "explained") {
			t.Errorf("a refusal is recorded as %+v", d)
		}
	}
}

// TestManagementTokensDecideNothing: PM 2.4, RT-22: on every decision call a management token is no credential of a scope.
func TestManagementTokensDecideNothing(t *testing.T) {
	h := impactWorld(t)
	h.put(regoPolicy("late", "4", "A"))
	s := h.simulator()
	for path, body := range map[string]string{
		"/api/runtime/token/v3": iris + `}`, "/api/runtime/permit-deny/v3": iris + "," + loading, "/api/runtime/resolution/v3": iris + `}`,
		"/api/runtime/userlist/v3": `{"clientId":"portal","asset":{"resourceType":"Cargo","path":"quay/0"}}`, "/api/runtime/policies/v3": `{"clientId":"portal","objects":[{"type":"Identity","data":{"entityId":"iris","entityTypeId":"Crew"}}]}`,
		"/api/runtime/5.0/decisions": `{"method":"GET","uri":"/x","meta":{"runtimeFineTune":{"clientId":"portal"}}}`,
	} {
		for _, as := range []string{"tenant", "admin", "viewer"} {
			for _, headers := range [][]string{nil, {"X-Client-Id: portal"}} {
				if w := s.ask(as, path, body, headers...); w.Code != 401 {
					t.Errorf("%s as %s with %v: %d %s", path, as, headers, w.Code, w.Body)
				}
			}
		}
		// Beside a good secret it is nobody's token, and changes nothing.
		own := []string{"X-Client-Id: portal", "X-Client-Secret: " + portalSecret}
		with, without := s.ask("admin", path, body, own...), s.ask("", path, body, own...)
		if with.Code != without.Code || fmt.Sprint(with.Code) == "401" {
			t.Errorf("%s: %d %s, without the token %d %s", path, with.Code, with.Body, without.Code, without.Body)
		}
	}
}
