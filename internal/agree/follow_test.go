package agree

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// followed is one state in so many from which a follower starts.
const followed = 16

// follower keeps the list of the focus at one state, and hears what becomes of it in the next ones: from a watch that is
// open, from changes, and from If-None-Match.
type follower struct {
	t     *testing.T
	stack *stack
	query string // of the GETs
	told  kept   // with what the watch has told
	held  kept   // as it was
	body  []byte
	etag  string
	since string
	watch *listening
	first time.Duration
	left  int  // states still to be heard of
	other bool // the world is another one since
	over  bool // the watch has ended
	about string
}

// kept is a list as clients keep it: the attributes and the actions of each entry.
type kept map[string]*keptEntry

type keptEntry struct {
	attributes string
	actions    map[string]bool
}

type listEntry struct {
	Path         string           `json:"path"`
	ResourceType string           `json:"resourceType"`
	Attributes   jsontext.Value   `json:"attributes"`
	Actions      []jsontext.Value `json:"actions"`
}

func (k kept) put(e *listEntry) {
	at, known := k[e.ResourceType+" "+e.Path]
	if !known {
		at = &keptEntry{actions: map[string]bool{}}
		k[e.ResourceType+" "+e.Path] = at
	}
	at.attributes = string(e.Attributes)
	for _, a := range e.Actions {
		at.actions[string(a)] = true
	}
}

func (k kept) clone() kept {
	out := kept{}
	for key, e := range k {
		out[key] = &keptEntry{e.attributes, maps.Clone(e.actions)}
	}
	return out
}

// apply brings a list up to date as docs/watch.md says.
func (k kept) apply(text []byte) (told int, err error) {
	var c struct {
		Gained  []listEntry `json:"gained"`
		Lost    []listEntry `json:"lost"`
		Changed []listEntry `json:"changed"`
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return 0, err
	}
	for _, e := range c.Lost {
		at := k[e.ResourceType+" "+e.Path]
		if at == nil {
			return 0, fmt.Errorf("%s is lost and was not there", e.Path)
		}
		for _, a := range e.Actions {
			delete(at.actions, string(a))
		}
		if len(at.actions) == 0 {
			delete(k, e.ResourceType+" "+e.Path)
		}
	}
	for _, e := range slices.Concat(c.Gained, c.Changed) {
		k.put(&e)
	}
	return len(c.Lost) + len(c.Gained) + len(c.Changed), nil
}

// follow starts from the state of the question.
func (q *question) follow() *follower {
	values := url.Values{
		"entityTypeId": {string(q.focus.template)}, "entityId": {q.focus.EntityID}, "remoteIp": {q.ip}, "timeZoneOffset": {fmt.Sprint(q.offset)},
		"combinedMultiValue": {fmt.Sprint(q.combined)}, "includeAccessPolicyId": {fmt.Sprint(q.chance(50))}, "includeAssetAttributes": {fmt.Sprint(q.chance(80))},
	}
	if q.chance(30) {
		values.Set("resourceTypes", string(pick(q.world, q.types).ID))
	}
	f := &follower{t: q.t, stack: q.stack, query: values.Encode(), first: pick(q.world, []time.Duration{20 * time.Second, 59 * time.Minute}), left: q.number(1, 2), about: q.describe()}
	list := f.get("?"+f.query, "")
	f.held, f.body = f.read(list), list.body
	f.told, f.etag, f.since = f.held.clone(), list.header.Get("ETag"), list.header.Get("Ambit-Cursor")
	if f.etag == "" || f.since == "" {
		f.fail("the list has ETag %q and cursor %q", f.etag, f.since)
	}
	f.watch = q.listen("/api/runtime/token/v3/watch?" + f.query + "&since=" + url.QueryEscape(f.since))
	if e := <-f.watch.events; e.name != "ready" || e.id != f.since {
		f.fail("the watch from %s begins with %+v", f.since, e)
	}
	return f
}

func (f *follower) fail(format string, args ...any) {
	f.t.Helper()
	f.t.Fatalf(format+"\n%s\nfollowed since: %s", append(args, f.query, f.about)...)
}

func (f *follower) get(path, etag string) *answer {
	if etag != "" {
		f.stack.header.Set("If-None-Match", etag)
		defer f.stack.header.Del("If-None-Match")
	}
	return f.stack.call(http.MethodGet, "/api/runtime/token/v3"+path, "")
}

func (f *follower) read(a *answer) kept {
	f.t.Helper()
	var list struct {
		Response []struct {
			Access []listEntry `json:"access"`
		} `json:"response"`
	}
	if err := json.Unmarshal(a.body, &list); a.status != http.StatusOK || err != nil {
		f.fail("the list: %d %s %v", a.status, a.body, err)
	}
	out := kept{}
	for _, r := range list.Response {
		for _, e := range r.Access {
			out.put(&e)
		}
	}
	return out
}

// ask asks for the list as one who has it as it was.
func (f *follower) ask(count *tally) *answer {
	f.t.Helper()
	list, again := f.get("?"+f.query, ""), f.get("?"+f.query, f.etag)
	switch {
	case again.status == http.StatusNotModified && string(list.body) == string(f.body):
		count.unmodified++
	case list.status != again.status || string(list.body) != string(again.body):
		f.fail("the list is %d %s, with If-None-Match %d %s, and was %s", list.status, list.body, again.status, again.body, f.body)
	}
	return list
}

// wait lets time go by before the next state is written, at first up to the next hour, when conditions turn. No state is past for
// longer than the server keeps it. other says that the next state is one of another world.
func (f *follower) wait(other bool, count *tally) {
	f.t.Helper()
	f.other = f.other || other
	f.stack.now.Add(int64(f.first))
	f.first = 20 * time.Second
	f.ask(count)
}

// hear takes what the watch tells of a state that was written, and compares when it is the last one. It reports whether it was.
func (f *follower) hear(count *tally) bool {
	f.t.Helper()
	for !f.over {
		e, open := <-f.watch.events
		switch {
		case !open, e.name == "reset":
			f.fail("the watch tells %+v, %t", e, open)
		case e.name == "end":
			f.over = true
		case e.name == "change":
			n, err := f.told.apply([]byte(e.data))
			if err != nil || n == 0 {
				f.fail("an event cannot be applied: %v in %+v", err, e)
			}
			count.heard++
		}
		if strings.HasPrefix(e.id, fmt.Sprint(f.stack.revision)+"@") {
			break
		}
	}
	if f.left--; f.left > 0 {
		return false
	}
	f.watch.close()
	f.compare(count)
	f.stack.now.Store(noon.UnixNano())
	return true
}

// compare holds what was told against the list that is given now.
func (f *follower) compare(count *tally) {
	f.t.Helper()
	count.followed++
	list := f.ask(count)
	changes := f.get("/changes?"+f.query+"&since="+url.QueryEscape(f.since), "")
	if list.status != http.StatusOK || changes.status == http.StatusGone {
		if changes.status != list.status && changes.status != http.StatusGone || !f.over || list.status == http.StatusOK && !f.other {
			f.fail("the list is %d %s, the changes %d %s, the watch has ended: %t", list.status, list.body, changes.status, changes.body, f.over)
		}
		return
	}
	n, err := f.held.apply(changes.body)
	if changes.status != http.StatusOK || err != nil {
		f.fail("changes: %d %s, %v", changes.status, changes.body, err)
	}
	if n > 0 {
		count.changed++
	}
	now := f.read(list)
	if !reflect.DeepEqual(f.held, now) {
		f.fail("the list with its changes is not the list now:\n%s\n%s\n%s", f.body, changes.body, list.body)
	}
	if f.over && !f.other || !f.over && !reflect.DeepEqual(f.told, now) {
		f.fail("the list with the events is not the list now, the watch has ended: %t:\n%s\n%s", f.over, f.body, list.body)
	}
}

// listening is the client of a stream, whose answer it is, too.
type listening struct {
	header http.Header
	status int
	out    *io.PipeWriter
	in     *io.PipeReader
	events chan event
	cancel context.CancelFunc
	done   chan struct{}
}

type event struct{ name, id, data string }

func (l *listening) Header() http.Header              { return l.header }
func (l *listening) WriteHeader(status int)           { l.status = status }
func (l *listening) Write(p []byte) (int, error)      { return l.out.Write(p) }
func (l *listening) Flush()                           {}
func (l *listening) SetWriteDeadline(time.Time) error { return nil }

// listen opens a stream.
func (s *stack) listen(path string) *listening {
	l := &listening{header: http.Header{}, events: make(chan event), done: make(chan struct{})}
	l.in, l.out = io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	r := s.request(http.MethodGet, path, "").WithContext(ctx)
	r.Header = r.Header.Clone()
	go func() {
		defer close(l.done)
		s.runtime.ServeHTTP(l, r)
		_ = l.out.Close()
	}()
	go func() {
		defer close(l.events)
		var e event
		lines := bufio.NewScanner(l.in)
		lines.Buffer(make([]byte, 0, 4096), 16<<20)
		for lines.Scan() {
			switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
			case "event":
				e.name = value
			case "id":
				e.id = value
			case "data":
				e.data = value
			case "":
				select {
				case l.events <- e:
				case <-ctx.Done():
				}
				e = event{}
			}
		}
	}()
	return l
}

// close ends the stream and waits for its end.
func (l *listening) close() {
	l.cancel()
	_ = l.in.Close()
	<-l.done
}
