package runtime

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// far is a bound that no working server comes near, however loaded the machine is.
const far = time.Minute

// liveHarbour serves Harbour Bank over TCP, at a clock that stands until it is set.
type liveHarbour struct {
	*harbour
	server *httptest.Server
	now    atomic.Int64
}

func newLiveHarbour(t testing.TB, change ...func(*settings)) *liveHarbour {
	l := &liveHarbour{}
	l.now.Store(noon.UnixNano())
	clock := func(s *settings) {
		s.staleness = 1000 * time.Hour
		s.clock = func() time.Time { return time.Unix(0, l.now.Load()).UTC() }
	}
	l.harbour = newHarbour(t, append([]func(*settings){clock}, change...)...)
	l.server = httptest.NewServer(l.handler)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), far)
		defer cancel()
		l.service.EndWatches(ctx)
		if n := l.service.Watching().Open; n > 0 {
			t.Errorf("%d watches are open after the end", n)
		}
		l.server.Close()
	})
	return l
}

func (l *liveHarbour) advance(d time.Duration) { l.now.Add(int64(d)) }

// get sends a GET with the credentials of the scope in headers. Headers are "Name: value".
func (l *liveHarbour) get(path, query string, headers ...string) *http.Response {
	l.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, l.server.URL+"/api/runtime/token/v3"+path+"?"+query, nil)
	check(l.t, err)
	r.Header.Set("X-Client-Id", string(client))
	r.Header.Set("X-Client-Secret", l.secret)
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	answer, err := l.server.Client().Do(r)
	check(l.t, err)
	return answer
}

// read gets a whole answer.
func (l *liveHarbour) read(path, query string, headers ...string) (int, http.Header, string) {
	l.t.Helper()
	answer := l.get(path, query, headers...)
	body, err := io.ReadAll(answer.Body)
	check(l.t, err)
	check(l.t, answer.Body.Close())
	return answer.StatusCode, answer.Header, string(body)
}

// event is one server-sent event; name is "" for one that carries an id alone.
type event struct{ name, id, data string }

// eventStream is a client of a watch.
type eventStream struct {
	t      testing.TB
	body   io.Closer
	events chan event // closed at the end of the stream
}

// watch opens a stream and checks its first event.
func (l *liveHarbour) watch(query string, headers ...string) (*eventStream, event) {
	l.t.Helper()
	s := openEvents(l.t, l.get("/watch", query, headers...))
	first := s.next()
	if first.name != "ready" || !strings.HasPrefix(first.id, strings.TrimSuffix(strings.TrimPrefix(first.data, `{"revision":`), "}")+"@") {
		l.t.Fatalf("the first event is %+v", first)
	}
	return s, first
}

func openEvents(t testing.TB, answer *http.Response) *eventStream {
	t.Helper()
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" || answer.Header.Get("Cache-Control") != "no-store" {
		body, _ := io.ReadAll(answer.Body)
		t.Fatalf("watch: %d %v %s", answer.StatusCode, answer.Header, body)
	}
	s := &eventStream{t: t, body: answer.Body, events: make(chan event, 1000)}
	t.Cleanup(func() { _ = answer.Body.Close() })
	go func() {
		defer close(s.events)
		lines := bufio.NewScanner(answer.Body)
		lines.Buffer(nil, 16<<20)
		var e event
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "event":
				e.name = value
			case "id":
				e.id = value
			case "data":
				e.data = value
			case "":
				if e != (event{}) {
					s.events <- e
				}
				e = event{}
			}
		}
	}()
	return s
}

// next waits for an event that is no heartbeat, which come by the clock; the zero event stands for the end of the stream.
func (s *eventStream) next() event {
	s.t.Helper()
	for {
		if e := s.sign(); e.name != "" || e == (event{}) {
			return e
		}
	}
}

// sign waits for an event or a heartbeat, which has an id only.
func (s *eventStream) sign() event {
	s.t.Helper()
	select {
	case e := <-s.events:
		return e
	case <-time.After(far):
		s.t.Fatal("no event")
		return event{}
	}
}

// ended wants the end of the stream for a reason.
func (s *eventStream) ended(reason string) {
	s.t.Helper()
	for e := s.next(); ; e = s.next() {
		if e.name == "change" {
			continue
		}
		if e.name != "end" || e.data != `{"reason":"`+reason+`"}` {
			s.t.Fatalf("%+v, want the end for %q", e, reason)
		}
		break
	}
	if e := s.next(); e != (event{}) {
		s.t.Fatalf("%+v after the end", e)
	}
}

// liveEntry is an entry as a client keeps it, actions as a set.
type liveEntry struct {
	Path         string            `json:"path"`
	Attributes   json.RawMessage   `json:"attributes"`
	ResourceType string            `json:"resourceType"`
	Actions      []json.RawMessage `json:"actions"`
}

func (e *liveEntry) key() string { return e.ResourceType + "/" + e.Path }

// liveList is a list as a client keeps it: the attributes of an entry and its actions.
type liveList map[string]map[string]bool

const attributesOf = "attributes: "

func (l liveList) put(e *liveEntry) {
	actions := map[string]bool{attributesOf + string(e.Attributes): true}
	for action := range l[e.key()] {
		if !strings.HasPrefix(action, attributesOf) {
			actions[action] = true
		}
	}
	for _, a := range e.Actions {
		actions[string(a)] = true
	}
	l[e.key()] = actions
}

// liveChange is what changes and watch tell.
type liveChange struct {
	Revision, Since       int64
	Gained, Lost, Changed []liveEntry
}

// apply changes the list as the guide says.
func (l liveList) apply(t testing.TB, text string) liveChange {
	t.Helper()
	var c liveChange
	check(t, json.Unmarshal([]byte(text), &c))
	for _, e := range c.Lost {
		for _, a := range e.Actions {
			delete(l[e.key()], string(a))
		}
		if len(l[e.key()]) <= 1 || len(e.Actions) == 0 {
			delete(l, e.key())
		}
	}
	for _, e := range slices.Concat(c.Gained, c.Changed) {
		l.put(&e)
	}
	return c
}

// list asks for the whole list.
func (l *liveHarbour) list(query string) (liveList, string) {
	l.t.Helper()
	status, head, body := l.read("", query)
	if status != http.StatusOK {
		l.t.Fatalf("list: %d %s", status, body)
	}
	var answer struct {
		Response []struct{ Access []liveEntry }
	}
	check(l.t, json.Unmarshal([]byte(body), &answer))
	out := liveList{}
	for _, part := range answer.Response {
		for _, e := range part.Access {
			out.put(&e)
		}
	}
	return out, head.Get("Ambit-Cursor")
}

func (l liveList) clone() liveList {
	out := liveList{}
	for key, actions := range l {
		out[key] = maps.Clone(actions)
	}
	return out
}

func (l *liveHarbour) putIdentity(id string, attributes model.Attributes) {
	l.t.Helper()
	l.update(func(tx *store.Tx) error {
		_, err := tx.Identities("Staff").Put(model.Identity{EntityID: id, Attributes: attributes})
		return err
	})
}

func (l *liveHarbour) putAsset(path, branch, tier string) {
	l.t.Helper()
	l.update(func(tx *store.Tx) error {
		_, err := tx.Assets("Accounts").Put(model.Asset{Path: path, Attributes: model.Attributes{"branch": {branch}, "tier": {tier}, "balance": {"1"}}})
		return err
	})
}

func (l *liveHarbour) changePolicy(id model.PolicyID, edit func(*model.Policy)) {
	l.t.Helper()
	l.update(func(tx *store.Tx) error {
		p, err := tx.Policies.Find(id)
		if err != nil {
			return err
		}
		edit(&p)
		_, err = tx.Policies.Put(p)
		return err
	})
}

// revision is that of the environment.
func (l *liveHarbour) revision() model.Revision {
	r, _ := l.directory.Revision(harbourID)
	return r
}

const askMreyes = "entityId=mreyes&entityTypeId=Staff"

// quoteAll escapes a query value.
func queryOf(pairs ...string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v.Encode()
}

func number(n any) string { return fmt.Sprint(n) }
