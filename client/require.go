package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
)

// Question is what a Gate asks about a request.
type Question struct {
	Query     Query
	Resources []Resource // all have to be allowed; at least one
}

// Gate asks about every request, and passes on those that are permitted.
type Gate struct {
	Client *Client
	// Ask finds who asks for what. It may trust only what the application has checked, such as its session: a header that
	// anybody can send identifies nobody. ErrNoIdentity, also for a Query without identity, is answered with 401, every other error with 503.
	Ask func(*http.Request) (Question, error)
	// Refuse answers requests that are not passed on: with 401 and ErrNoIdentity, with 403 and no error, or that of a user whom
	// the server does not know, and with 503 and the error that kept the gate from deciding. The default sends the text of the status, and logs the error of a 503 to the
	// default logger.
	Refuse func(w http.ResponseWriter, r *http.Request, status int, err error)
}

// Require is the middleware of a Gate with the default refusals.
//
//	mux.Handle("/accounts/", client.Require(c, ask)(accounts))
func Require(c *Client, ask func(*http.Request) (Question, error)) func(http.Handler) http.Handler {
	return Gate{Client: c, Ask: ask}.Wrap
}

// maxRequestID is how much of a correlation id the server keeps (runtime-api.md 3.8).
const maxRequestID = 128

type decisionKey struct{}

// DecisionOf is the decision by which a Gate passed a request on, for the handler behind it; nil without one.
func DecisionOf(ctx context.Context) *Decision {
	d, _ := ctx.Value(decisionKey{}).(*Decision)
	return d
}

// Wrap puts the gate before a handler, which is called for permitted requests only. Unless Ask sets another, the request's
// X-Request-Id is passed to the server.
func (g Gate) Wrap(next http.Handler) http.Handler {
	refuse := g.Refuse
	if refuse == nil {
		refuse = refuseByText
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d, err := g.decide(r)
		switch {
		case errors.Is(err, ErrNoIdentity):
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, r, http.StatusUnauthorized, err)
		case isStranger(err):
			refuse(w, r, http.StatusForbidden, err)
		case err != nil:
			refuse(w, r, http.StatusServiceUnavailable, err)
		case d == nil || !d.Permitted:
			refuse(w, r, http.StatusForbidden, nil)
		default:
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), decisionKey{}, d)))
		}
	})
}

// isStranger reports whether the server does not know the user: that is an answer, and no failure.
func isStranger(err error) bool {
	refused, ok := errors.AsType[*Error](err)
	return ok && refused.Status == http.StatusNotFound && refused.Code == "AMB-020"
}

// decide asks about a request. A panic of the application's function decides nothing.
func (g Gate) decide(r *http.Request) (d *Decision, err error) {
	defer func() {
		if p := recover(); p != nil {
			d, err = nil, fmt.Errorf("ambit: panic while asking: %v", p)
		}
	}()
	q, err := g.Ask(r)
	if err != nil {
		return nil, err
	}
	if id := r.Header.Get(headerRequestID); q.Query.RequestID == "" && len(id) <= maxRequestID {
		q.Query.RequestID = id
	}
	return g.Client.Permit(r.Context(), q.Query, q.Resources...)
}

func refuseByText(w http.ResponseWriter, r *http.Request, status int, err error) {
	if status == http.StatusServiceUnavailable {
		slog.ErrorContext(r.Context(), "ambit: a request could not be decided", "method", r.Method, "error", err)
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, http.StatusText(status), status)
}
