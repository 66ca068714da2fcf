package runtime

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/api/problem"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
)

// exchange is one runtime call on the wire.
type exchange struct {
	h    *handler
	w    http.ResponseWriter
	r    *http.Request
	call *decide.Call
	errs model.Errors // of headers, reported with those of the fields
	body *[]byte      // from the pool
	// again is how the question is recognized; nil = it is always answered anew
	again *again
	// parse gives the fields of a body
	parse func(body []byte) (fields, error)
	// of a big body: give back its share of the room
	leave, rest func()
}

// call makes an HTTP handler of an endpoint. The endpoint returns an error before it has written anything.
func (h *handler) call(endpoint func(*exchange) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{h: h, w: w, r: r, parse: parseBody}
		defer x.release()
		x.begin()
		defer x.call.End(r.Context())
		err := endpoint(x)
		if err == nil {
			return
		}
		incoming.SetRevision(x.w, x.call)
		x.call.Refused(context.WithoutCancel(r.Context()), problem.Status(err), code(err))
		h.problems(r.URL.Path).Write(w, r, err)
	}
}

// begin opens the call from what the headers say (runtime-api.md 3.1).
func (x *exchange) begin() {
	x.call = x.h.options.Service.Begin(incoming.Begin(x.w, x.r, &x.errs))
}

// fields reads the request in the order of checks 3.6: size, credentials of the headers, form, credentials of the body.
func (x *exchange) fields() (fields, error) {
	if x.r.Method == http.MethodGet {
		if err := x.call.AuthenticateHeaders(x.r.Context()); err != nil {
			return nil, err
		}
		f, err := queryFields(x.r.URL.RawQuery)
		if err != nil {
			return nil, err
		}
		return f, x.call.Authenticate(x.r.Context(), f.credentials())
	}
	for _, encoding := range x.r.Header.Values("Content-Encoding") {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return nil, problem.UnsupportedMedia("")
		}
	}
	if x.r.ContentLength > x.h.options.MaxBytes {
		return nil, tooLarge()
	}
	// a body of known length within the limit need not arrive before a wrong secret is refused
	var body []byte
	var err error
	if unknown := x.r.ContentLength < 0; unknown {
		if body, err = x.read(); err != nil {
			return nil, err
		}
	}
	if err := x.call.AuthenticateHeaders(x.r.Context()); err != nil {
		return nil, err
	}
	if x.r.ContentLength > 0 {
		if body, err = x.read(); err != nil {
			return nil, err
		}
	}
	if len(body) > incoming.SmallBody {
		if err := x.work(len(body)); err != nil {
			return nil, err
		}
	}
	f, err := x.parse(body)
	if err != nil {
		return nil, err
	}
	err = x.call.Authenticate(x.r.Context(), f.credentials())
	if err == nil && x.rest != nil && x.call.Behind() { // the body's credentials were not known before
		err = x.work(len(body))
	}
	return f, err
}

// work waits until a big body may be worked on: for the revision that the call demands first, so that nobody else waits for it.
func (x *exchange) work(n int) (err error) {
	x.answered()
	if err := x.call.Await(x.r.Context()); err != nil {
		return err
	}
	x.rest, err = x.h.room.Work(x.r.Context(), int64(n))
	return err
}

// read gives the whole body, in a buffer of the pool that belongs to the exchange until release. A body that turns out
// to be big waits for room before more of it is read.
func (x *exchange) read() ([]byte, error) {
	x.body = x.h.bodies.Get().(*[]byte)
	buf := (*x.body)[:0]
	if n := x.r.ContentLength; n > 0 && int64(cap(buf)) < n+1 && n <= incoming.SmallBody {
		buf = make([]byte, 0, n+1) // one more, so that the end is seen without growing
	}
	limited := http.MaxBytesReader(x.w, x.r.Body, x.h.options.MaxBytes)
	for {
		if len(buf) == cap(buf) {
			var err error
			if buf, err = x.grow(buf); err != nil {
				return nil, err
			}
		}
		n, err := limited.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		*x.body = buf
		switch tooLong, ok := errors.AsType[*http.MaxBytesError](err); {
		case err == nil:
		case errors.Is(err, io.EOF):
			return buf, nil
		case ok && tooLong != nil:
			return nil, tooLarge()
		default:
			return nil, malformed()
		}
	}
}

// grow makes room in a full buffer: of a big body as much as the body can need, so that it is not copied again.
func (x *exchange) grow(buf []byte) ([]byte, error) {
	if len(buf) < incoming.SmallBody {
		return append(buf, 0)[:len(buf)], nil
	}
	if x.leave != nil {
		return slices.Grow(buf, int(min(int64(len(buf)), x.h.options.MaxBytes+1-int64(len(buf))))), nil
	}
	n := x.r.ContentLength
	if n < 0 {
		n = x.h.options.MaxBytes
	}
	var err error
	if x.leave, err = x.h.room.Hold(x.r.Context(), n); err != nil {
		return nil, err
	}
	if n = x.r.ContentLength; n < 0 {
		n = 2 * incoming.SmallBody
	}
	return append(make([]byte, 0, n+1), buf...), nil
}

// decoded gives the body's buffer back, unless it is big: nothing of the question lies in it.
func (x *exchange) decoded() {
	if x.body != nil && cap(*x.body) <= 2*incoming.SmallBody {
		x.h.bodies.Put(x.body)
	}
	x.body = nil
}

// answered lets the next big body be worked on while this one's answer goes out, however slowly.
func (x *exchange) answered() {
	if x.rest != nil {
		x.rest()
		x.rest = nil
	}
}

// turn waits until a question that may take seconds, however small its body, can be worked on. Such questions never have
// more than one half of the processors, so that they do not hold up the others.
func (x *exchange) turn() (err error) {
	x.answered() // the room of a body is less than a turn
	if err := x.call.Await(x.r.Context()); err != nil {
		return err
	}
	x.rest, err = x.h.room.Turn(x.r.Context())
	return err
}

// release gives back all that the exchange holds.
func (x *exchange) release() {
	x.decoded()
	x.answered()
	x.again.release()
	if x.leave != nil {
		x.leave()
	}
}

func code(err error) string {
	if e, ok := errors.AsType[*model.Error](err); ok && e.Code != "" {
		return e.Code
	}
	return http.StatusText(problem.Status(err))
}

func tooLarge() error { return &model.Error{Kind: model.KindTooLarge} }

func malformed() error {
	return &model.Error{Kind: model.KindInvalid, Code: "AMB-001", Name: "MalformedRequest", Message: "Malformed JSON"}
}

func noAssetContext() error {
	return &model.Error{Kind: model.KindNotOffered, Message: "assetContext is not supported"}
}
