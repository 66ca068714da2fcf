// Package problem is the only place where an error kind becomes a status and a body. Every wire family has a Form:
// the bare text of the v3 runtime calls, the runtime and management envelopes, the flat object and the token
// endpoint's object; any caller may ask for problem details (RFC 9457) instead.
//
// Start at Writer.Write. The package promises that the cause of an internal error never reaches a caller, that every
// error answer carries a new id in X-Error-Id which is also in the log, and that a status never depends on anything but
// the error. It must never decide anything else, and it never changes the error it is given.
//
// Wire: runtime-api.md 3.7, management-api.md 1.3 and 2.3, authzen.md 4.
package problem

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/ambit-authz/ambit/internal/model"
)

// Form is the shape of error bodies of one family of paths.
type Form uint8

const (
	Text     Form = iota // v3 runtime calls: the message alone, text/plain
	Runtime              // 5.0 runtime calls: {"errors":[{id,code,name,message}]}
	Envelope             // /api, /internal-assets, /ambit: {"errors":[{code,args,id,status,name,message}]}
	Flat                 // /env-mgmt, /policy-mgmt: {code,id,status,name,message,args,path}
	OAuth                // token endpoint: {error,error_description,errors}
	AuthZEN              // like Text, with the challenges of authzen.md 3
)

// isRuntime reports whether codes and names are those of runtime-api.md 3.7 rather than of management-api.md 1.3.
func (f Form) isRuntime() bool { return f == Text || f == Runtime || f == AuthZEN }

// Writer answers errors in one form. The zero Writer answers v3 texts and logs to slog's default logger. It is safe for
// concurrent use.
type Writer struct {
	Form Form
	Log  *slog.Logger
}

// detail is one error as it stands on the wire.
type detail struct {
	id, code, name, message string
	args                    []string
	status                  int
}

// maxErrors is how many errors one answer reports. A body can have a fault at every few characters, and the answer would
// be many times as long.
const maxErrors = 100

// Write answers err and logs it with its id: causes of 5xx as errors, the rest as information. err is a *model.Error,
// model.Errors (all are reported, with the status of the first) or anything else, which is an internal error. Headers
// that w already carries are kept. Nothing may have been written to w before.
func (p Writer) Write(w http.ResponseWriter, r *http.Request, err error) {
	list := p.details(err)
	first := list[0]
	p.log(r, list, err)
	h := w.Header()
	h.Del("Content-Length")
	h.Del("ETag")
	h.Set("X-Error-Id", first.id)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if first.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", p.challenge(r, first.name))
	}
	if first.status == http.StatusTooManyRequests || first.status == http.StatusServiceUnavailable {
		if h.Get("Retry-After") == "" {
			h.Set("Retry-After", "1")
		}
	}
	var body []byte
	switch {
	case wantsProblem(r):
		h.Set("Content-Type", "application/problem+json")
		body = appendProblem(nil, list)
	case p.Form == Text || p.Form == AuthZEN:
		h.Set("Content-Type", "text/plain; charset=utf-8")
		body = appendText(nil, list)
	default:
		h.Set("Content-Type", "application/json")
		body = p.appendJSON(nil, r, list)
	}
	w.WriteHeader(first.status)
	_, _ = w.Write(body) // the peer is gone: nobody is left to tell
}

// Status is the HTTP status that Write would give err.
func Status(err error) int { return Writer{}.details(err)[0].status }

func (p Writer) details(err error) []detail {
	var list model.Errors
	if !errors.As(err, &list) || len(list) == 0 {
		e, ok := errors.AsType[*model.Error](err)
		if !ok {
			e = &model.Error{Err: err}
		}
		list = model.Errors{e}
	}
	list = list[:min(len(list), maxErrors)]
	out := make([]detail, len(list))
	for i, e := range list {
		out[i] = p.detail(e)
		out[i].status = out[0].status
	}
	return out
}

func (p Writer) detail(e *model.Error) detail {
	status := statusOf(e)
	std := standard(p.Form.isRuntime(), status)
	d := detail{
		id: newID(), status: status, args: e.Args,
		code: cmp.Or(e.Code, std.code), name: cmp.Or(e.Name, std.name), message: cmp.Or(e.Text(), std.message),
	}
	switch {
	case status == http.StatusInternalServerError:
		d.code, d.name, d.message, d.args = std.code, std.name, std.message, nil
	case e.Code == codeByStatus:
		d.code, d.name = std.code, std.name
	}
	return d
}

// challenge is the value of WWW-Authenticate. The management form tells a bad token from none (management-api.md 1.3).
func (p Writer) challenge(r *http.Request, name string) string {
	authorization := r.Header.Get("Authorization")
	switch {
	case p.Form == AuthZEN && name == "InvalidToken":
		return `Basic realm="ambit", Bearer realm="ambit", error="invalid_token"`
	case p.Form == AuthZEN:
		return `Basic realm="ambit", Bearer realm="ambit"`
	case p.Form.isRuntime():
		return `Bearer realm="ambit"`
	case p.Form == OAuth && len(authorization) >= 6 && strings.EqualFold(authorization[:6], "Basic "):
		return `Basic realm="ambit"`
	case p.Form == OAuth || authorization == "":
		return `Bearer realm="ambit"`
	}
	return `Bearer realm="ambit", error="invalid_token"`
}

func (p Writer) log(r *http.Request, list []detail, err error) {
	log := cmp.Or(p.Log, slog.Default())
	level := slog.LevelInfo
	gone := r.Context().Err() != nil && errors.Is(err, context.Canceled) // the caller hung up: no failure of the server's
	if !gone && list[0].status >= 500 && list[0].status != http.StatusNotImplemented {
		level = slog.LevelError
	}
	ids := make([]string, len(list))
	for i, d := range list {
		ids[i] = d.id
	}
	// the path only: query strings of the runtime calls hold secrets (runtime-api.md 3.4)
	log.LogAttrs(r.Context(), level, "request refused", slog.String("error_id", strings.Join(ids, ",")),
		slog.Int("status", list[0].status), slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.String("error", err.Error()))
}

// wantsProblem reports whether the caller's Accept lists problem details with a weight above zero.
func wantsProblem(r *http.Request) bool {
	for _, line := range r.Header.Values("Accept") {
		for entry := range strings.SplitSeq(line, ",") {
			media, params, _ := strings.Cut(entry, ";")
			if strings.EqualFold(strings.TrimSpace(media), "application/problem+json") {
				return !refused(params)
			}
		}
	}
	return false
}

func refused(params string) bool {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if strings.EqualFold(name, "q") {
			return strings.Trim(value, "0.") == ""
		}
	}
	return false
}
