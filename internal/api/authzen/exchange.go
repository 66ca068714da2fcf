package authzen

import (
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

// call makes an HTTP handler of an endpoint, with the checks of authzen.md 3 in their order. The endpoint returns an error
// before it has written anything.
func (h *handler) call(endpoint func(*exchange, fields) error, search bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var errs model.Errors
		in := incoming.Begin(w, r, &errs)
		err := prove(&in, r)
		x := &exchange{h: h, w: w, r: r, call: h.options.Service.Begin(in)}
		if err == nil {
			err = x.admit(&in, search)
		}
		if err == nil {
			err = x.serve(endpoint, errs)
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
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, x.h.options.MaxBytes))
	if tooLong, ok := errors.AsType[*http.MaxBytesError](err); ok && tooLong != nil {
		return nil, &model.Error{Kind: model.KindTooLarge}
	}
	if err != nil {
		return nil, invalid("the body ended early")
	}
	return body, nil
}

// answer writes a success.
func (x *exchange) answer(body []byte) error {
	incoming.SetRevision(x.w, x.call)
	x.w.Header().Set("Content-Type", "application/json")
	x.w.Header().Set("Cache-Control", "no-store")
	_, _ = x.w.Write(body) // the peer is gone: nobody is left to tell
	return nil
}

func invalid(format string, args ...any) *model.Error { return model.Invalidf(format, args...) }
