// Package authzen speaks the OpenID AuthZEN Authorization API 1.0 on the wire: evaluation, evaluations, the three
// searches and the metadata.
//
// Start at Handler, then entity.go for what a request says and evaluation.go for what comes of it. The package promises
// that a request is read with exact names, without duplicates and within its limits, and that an error never repeats a
// value that was sent. It must never decide anything: package decide does, by the evaluator of the Runtime API.
//
// Wire: authzen.md.
package authzen

import (
	"cmp"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/api/problem"
	"github.com/ambit-authz/ambit/internal/decide"
)

// Sealer keeps page tokens from being read and changed; token.Secrets is one.
type Sealer interface {
	Encrypt(place string, text []byte) []byte
	Decrypt(place string, sealed []byte) (text []byte, ok bool)
}

// Options configure the handler. Service, Sealer and Clock are needed.
type Options struct {
	Service *decide.Service
	Sealer  Sealer
	Clock   func() time.Time
	Log     *slog.Logger
	// PublicURL is where callers reach the server. Without an https URL (http on a loopback host) there is no metadata.
	PublicURL      string
	NoSearch       bool          // the search routes are 404
	MaxBytes       int64         // of a request body; 0 = 1 MiB
	MaxEvaluations int           // of one call; 0 = 1,000
	PageSize       int           // results of a page whose size was not asked for; 0 = 500
	PageMax        int           // results of the largest page; 0 = 5,000
	ScanLimit      int           // identities that one page of a search judges; 0 = 100,000
	SearchTime     time.Duration // that one page of a search judges identities one by one; 0 = 2 s
	TokenTTL       time.Duration // how long a page token is good; 0 = an hour
	MetadataMaxAge time.Duration // 0 = an hour
	// Sign makes a JWT of claims for signed_metadata; nil = the metadata is not signed.
	Sign func(claims []byte) (string, error)
	// Room is for big bodies and calls that may take seconds, also those of other handlers; nil = one of its own.
	Room *incoming.Room
}

// withDefaults fills in what authzen.md 15 has for options that are not set.
func (o Options) withDefaults() Options {
	o.Log = cmp.Or(o.Log, slog.Default())
	o.MaxBytes = cmp.Or(o.MaxBytes, 1<<20)
	o.Room = cmp.Or(o.Room, incoming.NewRoom(o.MaxBytes))
	o.MaxEvaluations = cmp.Or(o.MaxEvaluations, 1000)
	o.PageSize = cmp.Or(o.PageSize, 500)
	o.PageMax = cmp.Or(o.PageMax, 5000)
	o.ScanLimit = cmp.Or(o.ScanLimit, 100_000)
	o.SearchTime = cmp.Or(o.SearchTime, 2*time.Second)
	o.TokenTTL = cmp.Or(o.TokenTTL, time.Hour)
	o.MetadataMaxAge = cmp.Or(o.MetadataMaxAge, time.Hour)
	if o.Room == nil {
		o.Room = incoming.NewRoom(o.MaxBytes)
	}
	return o
}

// Paths of the routes (authzen.md 1).
const (
	pathEvaluation  = "/access/v1/evaluation"
	pathEvaluations = "/access/v1/evaluations"
	pathSubjects    = "/access/v1/search/subject"
	pathResources   = "/access/v1/search/resource"
	pathActions     = "/access/v1/search/action"
	pathMetadata    = "/.well-known/authzen-configuration"
)

// Serves tells whether a path belongs to this API, known or not.
func Serves(path string) bool {
	return strings.HasPrefix(path, "/access/") || path == pathMetadata || strings.HasPrefix(path, pathMetadata+"/")
}

type handler struct {
	options Options
	routes  map[string]map[string]http.HandlerFunc // by path and method
}

// Handler answers the routes of AuthZEN and, for every other path, 404. It is safe for concurrent use.
func Handler(o Options) http.Handler {
	h := &handler{options: o.withDefaults(), routes: map[string]map[string]http.HandlerFunc{}}
	post := func(path, requestType string, serve func(*exchange, fields) error) {
		e := endpoint{serve: serve, requestType: requestType, search: path != pathEvaluation && path != pathEvaluations}
		h.routes[path] = map[string]http.HandlerFunc{http.MethodPost: h.call(e)}
	}
	post(pathEvaluation, "AuthZEN Evaluation", (*exchange).evaluation)
	post(pathEvaluations, "AuthZEN Evaluations", (*exchange).evaluations)
	if !o.NoSearch {
		post(pathSubjects, "AuthZEN Subject Search", search{find: (*decide.Call).SearchSubjects, target: "subject"}.serve)
		post(pathResources, "AuthZEN Resource Search", search{find: (*decide.Call).SearchResources, target: "resource"}.serve)
		post(pathActions, "AuthZEN Action Search", search{find: (*decide.Call).SearchActions, target: "action"}.serve)
	}
	m := newMetadata(&h.options)
	get := map[string]http.HandlerFunc{http.MethodGet: h.metadata(m), http.MethodHead: h.metadata(m)}
	h.routes[pathMetadata] = get
	if m != nil {
		h.routes[pathMetadata+m.suffix] = get
	}
	return h
}

// ServeHTTP finds the route by the path exactly as it was sent.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	route, ok := h.routes[path]
	if !ok {
		h.refuse(w, r, problem.RouteNotFound())
		return
	}
	r.Pattern = path // names the route in metrics and logs
	serve, ok := route[r.Method]
	if !ok {
		w.Header().Set("Allow", "POST")
		if route[http.MethodGet] != nil {
			w.Header().Set("Allow", "GET, HEAD")
		}
		h.refuse(w, r, problem.MethodNotAllowed())
		return
	}
	serve(w, r)
}

// refuse answers a request that is no call.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	incoming.SetID(w, r)
	h.problems().Write(w, r, err)
}

func (h *handler) problems() problem.Writer {
	return problem.Writer{Form: problem.AuthZEN, Log: h.options.Log}
}
