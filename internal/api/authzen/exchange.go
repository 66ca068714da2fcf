package authzen

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/api/problem"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
)

// exchange is one call on the wire.
type exchange struct {
	h    *handler
	w    http.ResponseWriter
	r    *http.Request
	call *decide.Call
	// of a big body: give back its share of the room
	leave, rest func()
}

// fields are the members of a body by name; those that are null or not known are left out.
type fields map[string]jsontext.Value

// known reports whether a member of a body means anything. Everything else is ignored.
func known(name string) bool {
	switch name {
	case "subject", "action", "resource", "context", "evaluations", "options", "page":
		return true
	}
	return false
}

// endpoint is one of the five routes. serve returns an error before it has written anything.
type endpoint struct {
	serve       func(*exchange, fields) error
	requestType string // in the audit
	search      bool
}

// call makes an HTTP handler of an endpoint, with the checks of authzen.md 3 in their order.
func (h *handler) call(e endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var errs model.Errors
		in := incoming.Begin(w, r, &errs)
		in.RequestType = e.requestType
		err := prove(&in, r)
		x := &exchange{h: h, w: w, r: r, call: h.options.Service.Begin(in)}
		defer x.release()
		defer x.call.End(r.Context())
		if err == nil {
			err = x.admit(&in, e.search)
		}
		if err == nil {
			err = x.serve(e.serve, errs)
		}
		if err == nil {
			return
		}
		incoming.SetRevision(w, x.call)
		x.call.Refused(context.WithoutCancel(r.Context()), problem.Status(err), http.StatusText(problem.Status(err)))
		h.problems().Write(w, r, err)
	}
}

// admit authenticates the scope and looks at its switches.
func (x *exchange) admit(in *decide.Incoming, search bool) error {
	if in.ClientID == "" && in.Authorization != "" && !x.call.HoldsAccessToken() {
		return invalidToken() // of somebody else, and no scope is named
	}
	if err := x.call.Authenticate(x.r.Context(), decide.Credentials{}); err != nil {
		return err
	}
	return x.call.AdmitAuthZEN(search)
}

func (x *exchange) serve(endpoint func(*exchange, fields) error, errs model.Errors) error {
	if err := errs.OrNil(); err != nil {
		return err
	}
	body, err := x.read()
	if err != nil {
		return err
	}
	f, err := incoming.Object(body, known)
	if err != nil {
		return invalid("the body must be one JSON object in UTF-8 without duplicate members, nested at most %d deep", incoming.MaxDepth)
	}
	return endpoint(x, f)
}

// prove settles which credentials decide: a pair of headers, else HTTP Basic, else an access token of the server, else a
// token for the scope that a header names. There is no fall-back from one to the next (authzen.md 3).
func prove(in *decide.Incoming, r *http.Request) error {
	scheme, _, _ := strings.Cut(strings.TrimSpace(in.Authorization), " ")
	switch id, secret, basic := r.BasicAuth(); {
	case in.ClientID != "" && in.Secret != "":
		in.Authorization = "" // it may belong to an end user or a proxy
	case basic:
		in.Credentials, in.Authorization = decide.Credentials{ClientID: model.ClientID(id), Secret: secret}, ""
	case !strings.EqualFold(scheme, "Bearer"):
		return &model.Error{Kind: model.KindUnauthorized, Name: "MissingCredentials", Message: "Missing credentials"}
	default:
		in.Secret = ""
	}
	return nil
}

func invalidToken() error {
	return &model.Error{Kind: model.KindUnauthorized, Code: "AMB-012", Name: "InvalidToken", Message: "Invalid token"}
}

// read gives the whole body of a call that sends JSON as it is.
func (x *exchange) read() ([]byte, error) {
	media, params, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	charset, stated := params["charset"]
	if err != nil || media != "application/json" || stated && !strings.EqualFold(charset, "utf-8") {
		return nil, invalid("Content-Type must be application/json")
	}
	for _, encoding := range x.r.Header.Values("Content-Encoding") {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return nil, invalid("Content-Encoding must be identity")
		}
	}
	if x.r.ContentLength > x.h.options.MaxBytes {
		return nil, &model.Error{Kind: model.KindTooLarge}
	}
	limited := http.MaxBytesReader(x.w, x.r.Body, x.h.options.MaxBytes)
	body, err := io.ReadAll(io.LimitReader(limited, incoming.SmallBody))
	if err == nil && len(body) == incoming.SmallBody {
		body, err = x.readBig(body, limited)
	}
	if tooLong, ok := errors.AsType[*http.MaxBytesError](err); ok && tooLong != nil {
		return nil, &model.Error{Kind: model.KindTooLarge}
	}
	if err != nil && model.KindOf(err) != model.KindUnavailable {
		return nil, invalid("the body ended early")
	}
	return body, err
}

// readBig reads on in a body that is not small: it waits for room in memory first, and to be worked on after.
func (x *exchange) readBig(begin []byte, rest io.Reader) ([]byte, error) {
	n := x.r.ContentLength
	if n < 0 {
		n = x.h.options.MaxBytes
	}
	var err error
	if x.leave, err = x.h.options.Room.Hold(x.r.Context(), n); err != nil {
		return nil, err
	}
	b := bytes.NewBuffer(begin)
	if x.r.ContentLength > 0 {
		b.Grow(int(x.r.ContentLength) - len(begin) + bytes.MinRead) // so that the end is seen without growing
	}
	if _, err := b.ReadFrom(rest); err != nil {
		return nil, err
	}
	if err := x.call.Await(x.r.Context()); err != nil { // else others would wait for the room
		return nil, err
	}
	x.rest, err = x.h.options.Room.Work(x.r.Context(), int64(b.Len()))
	return b.Bytes(), err
}

// turn waits until a call that may take seconds, however small its body, can be worked on.
func (x *exchange) turn() (err error) {
	x.answered() // the room of a body is less than a turn
	if err := x.call.Await(x.r.Context()); err != nil {
		return err
	}
	x.rest, err = x.h.options.Room.Turn(x.r.Context())
	return err
}

// answered lets the next big body be worked on while this one's answer goes out, however slowly.
func (x *exchange) answered() {
	if x.rest != nil {
		x.rest()
		x.rest = nil
	}
}

// release gives back all that the exchange holds.
func (x *exchange) release() {
	x.answered()
	if x.leave != nil {
		x.leave()
	}
}

// answer writes a success.
func (x *exchange) answer(body []byte) error {
	x.answered()
	incoming.SetRevision(x.w, x.call)
	x.w.Header().Set("Content-Type", "application/json")
	x.w.Header().Set("Cache-Control", "no-store")
	_, _ = x.w.Write(body) // the peer is gone: nobody is left to tell
	return nil
}

func invalid(format string, args ...any) *model.Error { return model.Invalidf(format, args...) }
