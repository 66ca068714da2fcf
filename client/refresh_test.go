package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/client"
	"github.com/ambit-authz/ambit/examples/bank"
)

// counting passes questions on to the real server and keeps the statuses of its answers.
type counting struct {
	mu       sync.Mutex
	statuses []int
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		c.mu.Lock()
		c.statuses = append(c.statuses, res.StatusCode)
		c.mu.Unlock()
	}
	return res, err
}

// A list that is still good is not sent again; one that changed is; one that answers another question is not used.
func TestRefresh(t *testing.T) {
	var count counting
	c := newClient(t, client.Options{
		URL: os.Getenv("AMBIT_URL"), ClientID: os.Getenv("AMBIT_CLIENT_ID"), ClientSecret: os.Getenv("AMBIT_CLIENT_SECRET"),
		Timeout: time.Minute, HTTPClient: &http.Client{Transport: &count},
	})
	q := client.Query{Identity: client.Identity{ID: "refresher", Template: "Staff"}, RemoteIP: "10.20.7.15", MaxWait: 30 * time.Second}
	q.MinRevision = write(t, "/identity-templates/Staff/identities", `{"entityId":"refresher","attributes":{"branch":["Porto-07"],"jobTitle":["Clerk"],"grade":["3"],"employment":["permanent"]}}`)
	clerk, err := c.AccessList(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	same, err := c.Refresh(t.Context(), q, clerk)
	if err != nil || !reflect.DeepEqual(same.Entries, clerk.Entries) || same.Revision == 0 || same.RequestID == clerk.RequestID {
		t.Errorf("%+v %v", same, err)
	}
	q.MinRevision = write(t, "/identity-templates/Staff/identities", `{"entityId":"refresher","attributes":{"branch":["Porto-07"],"jobTitle":["Teller"],"grade":["3"],"employment":["permanent"]}}`)
	teller, err := c.Refresh(t.Context(), q, same)
	if err != nil || len(teller.Entries) <= len(clerk.Entries) || !teller.Can("Accounts", "acc/PT/001251", "view") || same.Can("Accounts", "acc/PT/001251", "view") {
		t.Errorf("%d entries after %d, %v", len(teller.Entries), len(clerk.Entries), err)
	}
	again, err := c.Refresh(t.Context(), q, teller)
	if err != nil || !again.Can("Accounts", "acc/PT/001251", "view") {
		t.Errorf("%+v %v", again, err)
	}
	q.Identity.ID = bank.SampleManager
	if other, err := c.Refresh(t.Context(), q, teller); err != nil || reflect.DeepEqual(other.Entries, teller.Entries) {
		t.Errorf("another's list: %v", err)
	}
	if want := []int{200, 304, 200, 304, 200}; !reflect.DeepEqual(count.statuses, want) {
		t.Errorf("statuses %v, want %v", count.statuses, want)
	}
}

// A 304 that was not asked for, or is about another answer, is no answer.
func TestRefreshHostile(t *testing.T) {
	answer := http.HandlerFunc(nil)
	c := over(t, func(w http.ResponseWriter, r *http.Request) { answer(w, r) })
	unchanged := func(tag string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", tag)
			w.WriteHeader(http.StatusNotModified)
		}
	}
	answer = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"one"`)
		saying(goodList)(w, r)
	}
	q := staff("mreyes")
	held, err := c.AccessList(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	answer = unchanged(`"one"`)
	if l, err := c.Refresh(t.Context(), q, held); err != nil || !l.Can("Accounts", "acc-1", "View") {
		t.Errorf("%+v %v", l, err)
	}
	for name, query := range map[string]client.Query{"somebody else": staff("tokafor"), "with a token": {Identity: client.Identity{ID: "mreyes", Template: "Staff", Token: "e30"}, RemoteIP: "10.20.7.15"}} {
		if l, err := c.Refresh(t.Context(), query, held); l != nil || !errors.As(err, new(*client.Error)) {
			t.Errorf("%s: %+v %v", name, l, err)
		}
	}
	for _, tag := range []string{``, `"two"`, `one`} {
		answer = unchanged(tag)
		if l, err := c.Refresh(t.Context(), q, held); l != nil || !errors.Is(err, client.ErrAnswer) {
			t.Errorf("%q: %+v %v", tag, l, err)
		}
	}
	answer = unchanged(`"one"`)
	q.MinRevision = 5
	if l, err := c.Refresh(t.Context(), q, held); l != nil || !errors.Is(err, client.ErrAnswer) {
		t.Errorf("an old revision: %+v %v", l, err)
	}
}

// A session asks as often as it has to, and holds nothing past its time.
func TestSession(t *testing.T) {
	var calls atomic.Int64
	var away atomic.Bool
	c := over(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		saying(goodList)(w, r)
	})
	s := c.Session(client.Query{Identity: client.Identity{ID: "mreyes", Token: "eyJ.of-the-user"}}, time.Hour)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if l, err := s.List(t.Context()); err != nil || !l.Can("Accounts", "acc-1", "View") {
				t.Error(l, err)
			}
		})
	}
	all.Wait()
	if calls.Load() != 1 {
		t.Errorf("%d calls for one list", calls.Load())
	}
	away.Store(true)
	if _, err := s.List(t.Context()); err != nil {
		t.Error(err)
	}
	always := c.Session(staff("mreyes"), 0)
	if l, err := always.List(t.Context()); l != nil || err == nil {
		t.Error(l, err)
	}
	away.Store(false)
	if _, err := always.List(t.Context()); err != nil {
		t.Error(err)
	}
	away.Store(true)
	if l, err := always.List(t.Context()); l != nil || err == nil {
		t.Error("a list past its time", l, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if l, err := always.List(ctx); l != nil || err == nil {
		t.Error(l, err)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%v %+v %#v %+v", s, s, *s, struct{ s *client.Session }{s})
	if strings.Contains(out.String(), "of-the-user") {
		t.Error("the token was printed")
	}
}
