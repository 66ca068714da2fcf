package client_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/client"
	"github.com/ambit-authz/ambit/examples/bank"
)

// askByPath is an application that trusts the header User, as only a test may.
func askByPath(r *http.Request) (client.Question, error) {
	switch r.URL.Path {
	case "/panic":
		panic("the application failed")
	case "/error":
		return client.Question{}, errors.New("the session store is away")
	case "/nothing":
		return client.Question{Query: staff(r.Header.Get("User"))}, nil
	}
	if r.Header.Get("User") == "" && r.URL.Path != "/forgotten" {
		return client.Question{}, fmt.Errorf("session: %w", client.ErrNoIdentity)
	}
	return client.Question{
		Query:     staff(r.Header.Get("User")),
		Resources: []client.Resource{{Type: "Accounts", Path: "acc/PT/001251", Action: r.URL.Query().Get("action")}},
	}, nil
}

func through(gate http.Handler, path, user string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("User", user)
	r.Header.Set("X-Request-Id", "walk-18")
	w := httptest.NewRecorder()
	gate.ServeHTTP(w, r)
	return w
}

// RT-19, RT-26: the gate opens for PERMIT, and for nothing else.
func TestRequire(t *testing.T) {
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	passed := 0
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		passed++
		d := client.DecisionOf(r.Context())
		if d == nil || !d.Permitted || d.Revision == 0 || d.RequestID != "walk-18" {
			t.Errorf("the handler sees %+v", d)
		}
		fmt.Fprint(w, "the account")
	})
	gate := client.Require(portal(t), askByPath)(next)
	cases := []struct {
		path, user string
		status     int
	}{
		{"/?action=view", bank.SampleUser, 200},
		{"/?action=close", bank.SampleUser, 403},
		{"/", bank.SampleUser, 403}, // every action
		{"/?action=no+such+action", bank.SampleUser, 403},
		{"/?action=view", bank.SampleAuditor, 403},
		{"/?action=view", "", 401},
		{"/forgotten?action=view", "", 401},
		{"/?action=view", "nobody", 403},
		{"/nothing", bank.SampleUser, 503},
		{"/error", bank.SampleUser, 503},
		{"/panic", bank.SampleUser, 503},
	}
	for _, c := range cases {
		before := passed
		w := through(gate, c.path, c.user)
		if w.Code != c.status || (passed > before) != (c.status == 200) {
			t.Errorf("%s for %q: %d, passed on %d times, want %d", c.path, c.user, w.Code, passed-before, c.status)
		}
		if c.status != 200 && (w.Body.String() != http.StatusText(c.status)+"\n" || w.Header().Get("Cache-Control") != "no-store" || (w.Header().Get("WWW-Authenticate") != "") != (c.status == 401)) {
			t.Errorf("%s: %v %q", c.path, w.Header(), w.Body)
		}
	}
	if client.DecisionOf(t.Context()) != nil {
		t.Error("a decision from nowhere")
	}
}

// A server that is away, slow or lies opens no gate, and the application learns why.
func TestGateWithoutAnswer(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	clients := map[string]*client.Client{
		"away": newClient(t, client.Options{URL: closed.URL, ClientID: "P", ClientSecret: "s"}),
		"slow": hostile(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, func(o *client.Options) { o.Timeout = 20 * time.Millisecond }),
		"lying":  hostile(t, saying(goodPermit)), // about another account
		"broken": hostile(t, saying(`{"result":"PERMIT"`)),
		"absent": nil,
	}
	for name, c := range clients {
		var why error
		gate := client.Gate{Client: c, Ask: askByPath, Refuse: func(w http.ResponseWriter, _ *http.Request, status int, err error) {
			why = err
			w.WriteHeader(status)
		}}
		w := through(gate.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Errorf("%s: passed on", name) })), "/?action=view", bank.SampleUser)
		if w.Code != http.StatusServiceUnavailable || why == nil {
			t.Errorf("%s: %d %v", name, w.Code, why)
		}
	}
}

// A panic of the handler behind the gate is its own affair.
func TestGateLeavesPanics(t *testing.T) {
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("recovered %v", p)
		}
	}()
	gate := client.Require(portal(t), askByPath)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	through(gate, "/?action=view", bank.SampleUser)
	t.Error("the panic was swallowed")
}
