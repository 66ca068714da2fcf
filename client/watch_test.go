package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/client"
)

// A watch from a list tells what became of it, and ends with its context.
func TestWatch(t *testing.T) {
	c := portal(t)
	person := func(title string) uint64 {
		return write(t, "/identity-templates/Staff/identities", `{"entityId":"watched","attributes":{"branch":["Porto-07"],"jobTitle":["`+title+`"],"grade":["3"],"employment":["permanent"]}}`)
	}
	q := client.Query{Identity: client.Identity{ID: "watched", Template: "Staff"}, RemoteIP: "10.20.7.15", Types: []client.ResourceType{{Name: "Accounts"}}, MaxWait: 30 * time.Second}
	q.MinRevision = person("Clerk")
	list, err := c.AccessList(t.Context(), q)
	if err != nil || list.Can("Accounts", "acc/PT/001251", "view") || list.Cursor() == "" {
		t.Fatal(list, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	promoted, told, cursor := person("Teller"), 0, ""
	for change, err := range c.Watch(ctx, q, list.Cursor()) {
		if told++; told == 3 {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the end: %+v %v", change, err)
			}
			continue
		}
		if err != nil || change.Reset || change.Cursor == "" {
			t.Fatal(change, err)
		}
		seen := func(entries []client.Entry) bool {
			for _, e := range entries {
				if e.Type == "Accounts" && e.Path == "acc/PT/001251" && e.Actions[0].Name == "view" {
					return true
				}
			}
			return false
		}
		switch told {
		case 1:
			cursor = change.Cursor
			if change.Revision < promoted || !seen(change.Gained) || len(change.Lost) != 0 {
				t.Errorf("a promotion: %+v", change)
			}
			person("Clerk")
		case 2:
			if change.Revision <= promoted || !seen(change.Lost) || len(change.Gained) != 0 {
				t.Errorf("and back: %+v", change)
			}
			cancel()
		}
	}
	if told != 3 {
		t.Errorf("%d changes", told)
	}
	list, err = c.AccessList(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	told = 0
	for change, err := range c.Watch(t.Context(), q, "") { // first what there is
		if told++; err != nil || len(change.Lost)+len(change.Changed) > 0 || change.Reset {
			t.Fatal(change, err)
		}
		if told == 1 {
			if !reflect.DeepEqual(change.Gained, list.Entries) || change.Revision != list.Revision || change.Cursor == "" {
				t.Errorf("%d entries at %d, of the list %d at %d", len(change.Gained), change.Revision, len(list.Entries), list.Revision)
			}
			promoted = person("Teller")
			continue
		}
		if change.Revision < promoted || len(change.Gained) == 0 {
			t.Errorf("%+v", change)
		}
		break
	}
	person("Clerk")
	for change, err := range c.Watch(t.Context(), staff("nobody"), "") {
		if !errors.As(err, new(*client.Error)) {
			t.Error(change, err)
		}
	}
	for change, err := range c.Watch(t.Context(), q, cursor) { // of a reader that has enough
		if err != nil || len(change.Lost) == 0 {
			t.Error(change, err)
		}
		break
	}
}

// A watch that is cut, malformed or silent does not go on.
func TestWatchHostile(t *testing.T) {
	const ready, change = "event: ready\nid: 7@1\ndata: {\"revision\":7}\n\n", "event: change\nid: 8@1\ndata: {\"revision\":8,\"since\":7,\"gained\":[{\"path\":\"acc-1\",\"resourceType\":\"Accounts\",\"actions\":[{\"action\":\"View\"}]}],\"lost\":[]}\n\n"
	listen := func(c *client.Client) (changes []client.Change, last error) {
		for change, err := range c.Watch(t.Context(), staff("mreyes"), "7") {
			if last != nil {
				t.Error("it went on after an error")
			}
			if last = err; err == nil {
				changes = append(changes, change)
			}
		}
		return changes, last
	}
	cases := []struct {
		name, events string
		changes      int
		want         error
	}{
		{"cut", ready + ":\nid: 7@2\n\n" + change, 1, io.ErrUnexpectedEOF},
		{"ended", ready + change + "event: end\nid: 9\ndata: {\"reason\":\"credentials\"}\n\n", 1, client.ErrWatchEnded},
		{"reset", ready + "event: reset\nid: 9\ndata: {\"revision\":9}\n\n", 1, io.ErrUnexpectedEOF},
		{"nothing", "", 0, io.ErrUnexpectedEOF},
		{"not ready", change, 0, client.ErrAnswer},
		{"ready twice", ready + ready, 0, client.ErrAnswer},
		{"unknown event", ready + "event: news\ndata: {}\n\n" + change, 0, client.ErrAnswer},
		{"two lines", ready + strings.Replace(change, "\n\n", "\ndata: {}\n\n", 1), 0, client.ErrAnswer},
		{"no revision", ready + strings.Replace(change, `"revision":8,`, ``, 1), 0, client.ErrAnswer},
		{"negative revision", ready + strings.Replace(change, `8,"since"`, `-8,"since"`, 1), 0, client.ErrAnswer},
		{"twice", ready + strings.Replace(change, `"lost":[]`, `"lost":[],"lost":[]`, 1), 0, client.ErrAnswer},
		{"lost in a reset", ready + strings.Replace(change, `change`, `reset`, 1), 0, client.ErrAnswer},
		{"empty change", ready + "event: change\nid: 9\ndata: {\"revision\":9}\n\n", 0, client.ErrAnswer},
		{"nothing of what is lost", ready + strings.Replace(change, `,"lost":[]`, ``, 1), 0, client.ErrAnswer},
		{"no JSON", ready + "event: change\nid: 9\ndata: gained\n\n", 0, client.ErrAnswer},
		{"large", ready + strings.Repeat("x", 1<<20), 0, client.ErrTooLarge},
	}
	for n := range len(change) - 1 {
		cases = append(cases, struct {
			name, events string
			changes      int
			want         error
		}{fmt.Sprint("cut after ", n), ready + change[:n], 0, io.ErrUnexpectedEOF})
	}
	for _, x := range cases {
		c := newClient(t, client.Options{URL: "http://ambit.invalid", ClientID: "P", ClientSecret: "s", MaxBytes: 1 << 16, HTTPClient: &http.Client{
			Transport: transport(func(r *http.Request) (*http.Response, error) {
				if r.Method != http.MethodGet || r.URL.Query().Get("entityId") != "mreyes" || r.URL.Query().Get("since") != "7" || strings.Contains(r.URL.String(), "clientSecret") {
					t.Errorf("asked %s %s", r.Method, r.URL)
				}
				return &http.Response{StatusCode: 200, Request: r, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(x.events))}, nil
			}),
		}})
		if changes, err := listen(c); len(changes) != x.changes || !errors.Is(err, x.want) || x.want != client.ErrWatchEnded && !errors.Is(err, client.ErrAnswer) {
			t.Errorf("%s: %d changes, %v", x.name, len(changes), err)
		}
	}
	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	if changes, err := listen(hostile(t, silent, func(o *client.Options) { o.Timeout = 30 * time.Millisecond })); len(changes) != 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("silent: %v %v", changes, err)
	}
	uncertain := over(t, saying(goodList)) // does not say where a watch would go on
	for change, err := range uncertain.Watch(t.Context(), staff("mreyes"), "") {
		if !errors.Is(err, client.ErrAnswer) {
			t.Errorf("without a cursor: %v %v", change, err)
		}
	}
	for name, change := range map[string]func(*client.Query){
		"attributes":  func(q *client.Query) { q.Identity.Attributes = map[string][]string{"shift": {"night"}} },
		"context":     func(q *client.Query) { q.Identity.Context = map[string][]string{"shift": {"night"}} },
		"environment": func(q *client.Query) { q.Environment = map[string][]string{"channel": {"phone"}} },
		"assets":      func(q *client.Query) { q.Assets = []client.Asset{} },
		"device":      func(q *client.Query) { q.Additional = []client.Identity{{ID: "LT-1"}} },
		"nobody":      func(q *client.Query) { q.Identity.ID = "" },
		"no UTF-8":    func(q *client.Query) { q.Identity.ID = "\xff" },
	} {
		q := staff("mreyes")
		change(&q)
		for _, err := range over(t, func(http.ResponseWriter, *http.Request) { t.Errorf("%s: asked", name) }).Watch(t.Context(), q, "") {
			if err == nil {
				t.Errorf("%s: no error", name)
			}
		}
	}
}
