// Package runtime speaks the decision API on the wire: routes, request bodies and queries, coercion of values, and the
// writer that streams answers.
//
// Start at Handler, then token.go and answer.go; again.go has the ETags and the kept answers, watch.go the events. The package
// promises that a request is read with exact names, without duplicates and within its limits; that an answer is complete or
// visibly broken; that answers are streamed and never built first; and that those which Cache keeps stay within its bound. It
// must never decide anything: package decide does, and package problem words its errors.
//
// Wire: runtime-api.md.
package runtime

import (
	"cmp"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/api/problem"
	"github.com/ambit-authz/ambit/internal/decide"
)

// Options configure the handler. Service and Directory are needed.
type Options struct {
	Service    *decide.Service
	Directory  *decide.Directory
	MaxBytes   int64  // of a request body; 0 = 8 MiB
	ErrorsJSON bool   // v3 errors have the form of 5.0 (v3_errors: json)
	Envelope   string // of 5.0 answers: EnvelopeBoth, EnvelopeData or EnvelopeTop
	Version    string
	Log        *slog.Logger
	// Cache keeps answers of scopes that let them be given again; nil = no scope's.
	Cache *Cache
	// Room is for big bodies, here and at other handlers; nil = for those of this one.
	Room *incoming.Room
	// EventTime is how long the reader of a watch may take for one event; 0 = 10 seconds.
	EventTime time.Duration
	// KeySet gives the JWK set under which signed answers are verified; nil = the route is not here.
	KeySet func() ([]byte, error)
}

// defaultMaxBytes is the limit on request bodies (README ruling 5).
const defaultMaxBytes = 8 << 20

// Handler answers the runtime routes and, for every other path, 404 in the form of the path's family. It is safe for
// concurrent use.
func Handler(o Options) http.Handler {
	o.MaxBytes = cmp.Or(o.MaxBytes, defaultMaxBytes)
	o.EventTime = cmp.Or(o.EventTime, eventTime)
	o.Log = cmp.Or(o.Log, slog.Default())
	o.Room = cmp.Or(o.Room, incoming.NewRoom(o.MaxBytes))
	h := &handler{options: o, routes: map[string]methods{}, room: o.Room, tags: newTags()}
	h.buffers.New = func() any { return new(make([]byte, 0, bufferSize)) }
	h.bodies.New = func() any { return new([]byte) }
	for _, base := range []string{"/api/runtime", "/runtime"} {
		for _, version := range []string{"v1", "v3", "v4"} {
			h.routes[base+"/token/"+version] = methods{http.MethodGet: h.call((*exchange).token), http.MethodPost: h.call((*exchange).token)}
			h.routes[base+"/permit-deny/"+version] = methods{http.MethodPost: h.call((*exchange).permit)}
		}
	}
	for _, base := range []string{"/api/runtime", "/runtime"} {
		h.routes[base+"/token/v3/changes"] = methods{http.MethodGet: h.call((*exchange).changes)}
		h.routes[base+"/token/v3/watch"] = methods{http.MethodGet: h.call((*exchange).watch)}
		h.routes[base+"/resolution/v3"] = methods{http.MethodGet: h.call((*exchange).resolution), http.MethodPost: h.call((*exchange).resolution)}
		h.routes[base+"/policies/v3"] = methods{http.MethodPost: h.call((*exchange).policyList)}
		h.routes[base+"/userlist/v3"] = methods{http.MethodPost: h.call((*exchange).userList)}
		h.routes[base+"/explain/v1"] = methods{http.MethodPost: h.call((*exchange).explain)}
		h.decisionRoutes(base)
	}
	for _, path := range []string{"/api/runtime_health_check", "/runtime_health_check"} {
		h.routes[path] = methods{http.MethodGet: h.health, http.MethodHead: h.health}
	}
	if o.KeySet != nil {
		h.routes["/.well-known/jwks.json"] = methods{http.MethodGet: h.keySet, http.MethodHead: h.keySet}
	}
	return h
}

type handler struct {
	options Options
	routes  map[string]methods
	buffers sync.Pool // of *[]byte: answers on their way
	bodies  sync.Pool // of *[]byte: request bodies
	room    *incoming.Room
	tags    tags
}

// methods are the handlers of one path.
type methods map[string]http.HandlerFunc

// allow is the value of the header Allow.
func (m methods) allow() string {
	var names []string
	for _, name := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		if m[name] != nil {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// ServeHTTP finds the route by the path exactly as it was sent, but for one trailing slash.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	route, ok := h.routes[path]
	if !ok {
		route, ok = h.routes[strings.TrimSuffix(path, "/")]
	}
	if !ok {
		incoming.SetID(w, r)
		h.problems(path).Write(w, r, problem.RouteNotFound())
		return
	}
	r.Pattern = strings.TrimSuffix(path, "/") // names the route in metrics and logs
	serve, ok := route[r.Method]
	if !ok {
		incoming.SetID(w, r)
		w.Header().Set("Allow", route.allow())
		h.problems(path).Write(w, r, problem.MethodNotAllowed())
		return
	}
	serve(w, r)
}

// problems gives the error form of a path's family (runtime-api.md 3.7).
func (h *handler) problems(path string) problem.Writer {
	p := problem.Writer{Log: h.options.Log}
	if h.options.ErrorsJSON || strings.Contains(path, "/5.0/") {
		p.Form = problem.Runtime
	}
	return p
}
