package manage

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ambit-authz/ambit/internal/api/problem"
	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
)

// router finds the route and makes the checks of management-api.md 1.4 in their order: route and method, token, form of
// ids, role, existence of the environment. Only then does a handler see the request.
type router struct {
	api   *api
	mux   *http.ServeMux
	paths map[string]*methods
}

// methods are the calls of one path.
type methods struct {
	names []string // GET, POST, …
	serve map[string]http.HandlerFunc
}

// route is one call.
type route struct {
	resource string // as errors name it
	right    manage.Right
	anyone   bool     // every good token; the call shows only what the caller may see
	forms    []string // media types of answers besides application/json
	serve    func(*exchange) error
}

func newRouter(a *api) *router {
	return &router{api: a, mux: http.NewServeMux(), paths: map[string]*methods{}}
}

// add makes a route of the calls that need a token.
func (t *router) add(method, pattern string, to route) {
	t.serve(method, pattern, func(w http.ResponseWriter, r *http.Request) { t.guard(to, w, r) })
}

// serve makes a route without any check. HEAD works wherever GET does.
func (t *router) serve(method, pattern string, handler http.HandlerFunc) {
	m := t.paths[pattern]
	if m == nil {
		m = &methods{serve: map[string]http.HandlerFunc{}}
		t.paths[pattern] = m
		t.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { t.choose(m, w, r) })
	}
	names := []string{method}
	if method == http.MethodGet {
		names = append(names, http.MethodHead)
	}
	for _, name := range names {
		m.serve[name] = handler
		m.names = append(m.names, name)
	}
	slices.Sort(m.names)
}

// ServeHTTP implements http.Handler.
func (t *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("x-request-id", requestID(r))
	r = withoutTrailingSlash(r)
	if escaped := r.URL.EscapedPath(); path.Clean(escaped) != escaped {
		t.api.fail(w, r, problem.RouteNotFound()) // no redirects: ids may hold anything
		return
	}
	if _, pattern := t.mux.Handler(r); pattern == "" {
		t.api.fail(w, r, problem.RouteNotFound())
		return
	}
	t.mux.ServeHTTP(w, r)
}

// withoutTrailingSlash: a final slash is ignored (management-api.md 1.1). One that is written %2F belongs to an id.
func withoutTrailingSlash(r *http.Request) *http.Request {
	escaped := r.URL.EscapedPath()
	if len(escaped) < 2 || !strings.HasSuffix(escaped, "/") {
		return r
	}
	r = r.Clone(r.Context())
	r.URL.Path = strings.TrimSuffix(r.URL.Path, "/")
	r.URL.RawPath = strings.TrimSuffix(escaped, "/")
	return r
}

// requestID is the caller's when it has 1 to 128 visible ASCII characters, else a fresh uuid.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-ID")
	visible := !strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' })
	if len(id) >= 1 && len(id) <= 128 && visible {
		return id
	}
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	text := hex.EncodeToString(b[:])
	return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
}

func (t *router) choose(m *methods, w http.ResponseWriter, r *http.Request) {
	serve, ok := m.serve[r.Method]
	if !ok {
		w.Header().Set("Allow", strings.Join(m.names, ", "))
		t.api.fail(w, r, problem.MethodNotAllowed())
		return
	}
	serve(w, r)
}

// exchange is one request with what the checks found out.
type exchange struct {
	api    *api
	w      http.ResponseWriter
	r      *http.Request
	caller manage.Caller
	env    model.EnvironmentID // "" on calls of the tenant
	call   manage.Call
}

func (t *router) guard(to route, w http.ResponseWriter, r *http.Request) {
	x := &exchange{api: t.api, w: w, r: r}
	if err := x.admit(to); err != nil {
		t.api.fail(w, r, err)
		return
	}
	if err := to.serve(x); err != nil {
		t.api.fail(w, r, err)
	}
}

// admit makes the checks before the handler.
func (x *exchange) admit(to route) error {
	dry, dryErr := x.dryRun()
	if dry {
		x.w.Header().Set("Ambit-Dry-Run", "true")
	}
	service := x.api.service
	caller, err := service.Authenticate(x.r.Context(), bearer(x.r))
	if err != nil {
		return err
	}
	x.caller = caller
	for _, name := range []string{"envId", "authWsId", "identityWsId"} {
		if text := x.r.PathValue(name); text != "" {
			if _, ok := model.ParseUUID(text); !ok {
				return manage.NotUUID(text)
			}
		}
	}
	env, _ := model.ParseUUID(x.r.PathValue("envId"))
	x.env = model.EnvironmentID(env)
	if !to.anyone {
		if err := caller.Authorize(to.right, x.env, x.r.Method, to.resource); err != nil {
			return err
		}
	}
	if x.env != "" {
		if err := service.CheckEnvironment(x.r.Context(), x.env); err != nil {
			return err
		}
	}
	if dryErr != nil {
		return dryErr
	}
	if forms := append([]string{mediaJSON}, to.forms...); !accepts(x.r, forms...) {
		return problem.NotAcceptable("the answer is " + strings.Join(forms, " or "))
	}
	x.call = manage.Call{
		Caller: caller, ClientIP: x.api.clientIP(x.r), RequestID: x.w.Header().Get("x-request-id"), DryRun: dry,
		IfMatch: tags(x.r.Header.Values("If-Match")), IfNoneMatch: tags(x.r.Header.Values("If-None-Match")),
		MatchRequired: strings.HasPrefix(x.r.URL.Path, base+"/") && x.r.Method != http.MethodPost, // POST replaces no object
	}
	return x.waitForRevision()
}

func bearer(r *http.Request) string {
	const scheme = "Bearer "
	authorization := r.Header.Get("Authorization")
	if len(authorization) < len(scheme) || !strings.EqualFold(authorization[:len(scheme)], scheme) {
		return ""
	}
	return strings.TrimSpace(authorization[len(scheme):])
}

// dryRun reads both spellings; either is enough, and neither takes back the other. One that cannot be read is an error: a
// guess would be a real write.
func (x *exchange) dryRun() (bool, error) {
	dry := false
	for _, text := range slices.Concat(x.r.URL.Query()["dryRun"], x.r.Header.Values("Ambit-Dry-Run")) {
		if text == "" {
			continue
		}
		asked, err := parseBool("dryRun", text)
		if err != nil {
			return false, err
		}
		dry = dry || asked
	}
	return dry, nil
}

// parseBool reads a boolean without regard to case (management-api.md 1.1 rule 4).
func parseBool(name, text string) (bool, error) {
	switch {
	case strings.EqualFold(text, "true"):
		return true, nil
	case strings.EqualFold(text, "false"):
		return false, nil
	}
	return false, model.InvalidParameter(name, "%q is not true or false", text)
}

// tags are the versions of entity tags; what follows a point names a variant and is not compared (1.6).
func tags(headers []string) []string {
	var out []string
	for _, header := range headers {
		for entry := range strings.SplitSeq(header, ",") {
			tag := strings.TrimSpace(entry)
			if tag == "" {
				continue
			}
			tag = strings.Trim(tag, `"`)
			version, _, _ := strings.Cut(tag, ".")
			out = append(out, version)
		}
	}
	return out
}

// Waiting for a revision (management-api.md 1.7).
const (
	defaultWait = 2_000 // milliseconds
	maxWait     = 30_000
	waitStep    = 10 * time.Millisecond
)

// waitForRevision holds the request back until the environment, or the tenant, has the revision that Ambit-Min-Revision demands.
func (x *exchange) waitForRevision() error {
	text := x.r.Header.Get("Ambit-Min-Revision")
	if text == "" {
		return nil
	}
	want, err := strconv.ParseInt(text, 10, 64)
	if err != nil || want < 0 {
		return model.InvalidParameter("Ambit-Min-Revision", "%q is not a revision", text)
	}
	wait := defaultWait
	if text := x.r.Header.Get("Ambit-Wait"); text != "" {
		if wait, err = strconv.Atoi(text); err != nil || wait < 0 {
			return model.InvalidParameter("Ambit-Wait", "%q is not a number of milliseconds", text)
		}
	}
	deadline := time.NewTimer(time.Duration(min(wait, maxWait)) * time.Millisecond)
	defer deadline.Stop()
	step := time.NewTicker(waitStep)
	defer step.Stop()
	for {
		revision, err := x.api.service.Revision(x.r.Context(), x.env)
		if err != nil || int64(revision) >= want {
			return err
		}
		select {
		case <-step.C:
		case <-x.r.Context().Done():
			return &model.Error{Kind: model.KindUnavailable, Err: x.r.Context().Err()}
		case <-deadline.C:
			return &model.Error{
				Kind: model.KindUnavailable, Code: "MGT-017", Name: "RevisionNotReachedError",
				Args: []string{text}, Message: "Revision " + text + " is not reached",
			}
		}
	}
}
