package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Change is what became of an access list.
type Change struct {
	Revision uint64
	// Cursor is where a later Watch goes on from here.
	Cursor string
	// Reset says that the change is not told: what was known is void, and the list has to be asked for.
	Reset bool
	// Gained are new entries, and new actions of known ones; Lost is what is not granted any more. Changed are entries with
	// other attributes or policies.
	Gained, Lost, Changed []Entry
}

// ErrWatchEnded is the error of a watch that the server has ended.
var ErrWatchEnded = errors.New("the server ended the watch")

// silence is after how long without a sign of life a watch is given up; the server gives one every 15 seconds.
const silence = time.Minute

// Watch tells what becomes of an access list: of the one with the cursor, AccessList.Cursor, or with "" of the one that is asked
// for first: all of it is Gained by the first change, which is there for an empty list, too. So who takes every Lost away and
// puts every Gained and Changed in, has the list. A watch goes on until ctx ends, the loop is left, or an error tells that it
// does not go on. What was known is then void, as after a Reset: begin anew. Options.Timeout counts until the server answers,
// Options.MaxBytes for the list and for each change. A query that needs more than a GET can say (attributes, context, further
// identities, assets) cannot be watched.
func (c *Client) Watch(ctx context.Context, q Query, cursor string) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		values, err := q.values()
		if err != nil {
			yield(Change{}, err)
			return
		}
		if cursor == "" {
			list, err := c.AccessList(ctx, q)
			if err == nil && list.cursor == "" {
				err = (&question{path: "token/v3"}).named(malformed("no cursor"))
			}
			if err != nil {
				yield(Change{}, err)
				return
			}
			if cursor = list.cursor; !yield(Change{Revision: list.Revision, Cursor: cursor, Gained: list.Entries}, nil) {
				return
			}
		}
		values.Set("since", cursor)
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		alive := time.AfterFunc(c.timeout, func() { cancel(context.DeadlineExceeded) })
		defer alive.Stop()
		question := question{path: "token/v3/watch", query: &q, values: values}
		err = c.tryAll(ctx, question, func(res *http.Response) error {
			if _, err := question.meta(res); err != nil {
				return err
			}
			events := newEvents(res.Body, c.maxBytes, func() { alive.Reset(silence) })
			return events.tell(func(change Change) bool { return yield(change, nil) })
		})
		if errors.Is(err, errEnough) {
			return
		}
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		yield(Change{}, question.named(err))
	}
}

// values are the query as that of a GET (runtime-api.md 3.4).
func (q *Query) values() (url.Values, error) {
	if err := q.identified(); err != nil {
		return nil, err
	}
	if q.Identity.Attributes != nil || q.Identity.Context != nil || q.Additional != nil || q.Environment != nil || q.Assets != nil {
		return nil, errors.New("ambit: a watch has no attributes, context, environment, assets and further identities")
	}
	v := url.Values{
		"includeAssetAttributes": {strconv.FormatBool(q.Attributes)}, "includeAccessPolicy": {strconv.FormatBool(q.Policies)},
		"includeAccessPolicyId": {strconv.FormatBool(q.Policies)}, "combinedMultiValue": {strconv.FormatBool(q.CombinedMultiValue)},
	}
	for name, value := range map[string]string{"entityId": q.Identity.ID, "entityTypeId": q.Identity.Template, "remoteIp": q.RemoteIP} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if q.TimeZoneOffset != 0 {
		v.Set("timeZoneOffset", strconv.FormatFloat(q.TimeZoneOffset, 'f', -1, 64))
	}
	types, err := encode(q.Types)
	if err == nil && len(q.Types) > 0 {
		v.Set("resourceTypes", string(types))
	}
	if _, refused := encode([]string{q.Identity.ID, q.Identity.Template, q.RemoteIP}); err == nil {
		err = refused
	}
	return v, err
}

// events reads server-sent events.
type events struct {
	lines *bufio.Scanner
	alive func()
}

func newEvents(body io.Reader, most int64, alive func()) *events {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, int(min(most, 1<<31-1)))
	return &events{lines: lines, alive: alive}
}

// event is one event; an unnamed one is a sign of life.
type event struct {
	name, id string
	data     []byte
}

// next reads to the blank line that ends an event. Without it there is no event.
func (e *events) next() (event, error) {
	var out event
	for e.lines.Scan() {
		e.alive()
		line := e.lines.Bytes()
		if len(line) == 0 {
			return out, nil // of a last line without end there is no blank one
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "event":
			out.name = string(value)
		case "id":
			out.id = string(value)
		case "data":
			if out.data != nil {
				return event{}, malformed("an event of several lines")
			}
			out.data = bytes.Clone(value)
		}
	}
	err := e.lines.Err()
	switch {
	case errors.Is(err, bufio.ErrTooLong):
		err = ErrTooLarge
	case err == nil:
		err = io.ErrUnexpectedEOF
	}
	return event{}, unusable(err)
}

// tell hears events until one is the last.
func (e *events) tell(hear func(Change) bool) error {
	for begun := false; ; {
		next, err := e.next()
		if err != nil {
			return err
		}
		if next.name == "" && next.data == nil {
			continue // a sign of life
		}
		change := Change{Cursor: next.id}
		r := newReader(bytes.NewReader(next.data))
		switch {
		case begun != (next.name != "ready"):
			return malformed("an event out of its turn")
		case next.name == "ready":
			begun = true
			continue
		case next.name == "change":
			err = r.change(&change)
		case next.name == "reset":
			change.Reset = true
			err = r.change(&change)
		case next.name == "end":
			reason := ""
			err = r.single("reason", func() (err error) { reason, err = r.text(); return err })
			if err == nil {
				err = fmt.Errorf("%w: %s", ErrWatchEnded, quotable(reason, nil))
			}
		default:
			err = malformed("an unknown event")
		}
		if err == nil {
			err = r.end()
		}
		if err != nil {
			return err
		}
		if !hear(change) {
			return errEnough
		}
	}
}

func (r reader) change(c *Change) error {
	lists := map[string]*[]Entry{"gained": &c.Gained, "lost": &c.Lost, "changed": &c.Changed}
	told := map[string]bool{}
	err := r.object(func(name string) error {
		told[name] = true
		if name == "revision" {
			return r.number(&c.Revision)
		}
		list := lists[name]
		if list == nil {
			return r.skip()
		}
		return r.array(func() error {
			e, err := r.entry()
			*list = append(*list, e)
			return err
		})
	})
	whole, some := told["gained"] && told["lost"], told["gained"] || told["lost"] || told["changed"]
	if err == nil && (!told["revision"] || c.Reset && some || !c.Reset && !whole) {
		err = malformed("a change that tells too little or too much")
	}
	return err
}

func (r reader) number(into *uint64) error {
	t, err := r.token()
	if err != nil {
		return err
	}
	n, _ := t.(json.Number)
	if *into, err = strconv.ParseUint(n.String(), 10, 64); err != nil {
		return malformed("%s in place of a whole number", kind(t))
	}
	return nil
}
