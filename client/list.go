package client

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"iter"
)

// Action is one thing that may be done. Policy and PolicyID, when asked for, are those of one policy that grants it; an
// action then stands once for each.
type Action struct{ Name, Policy, PolicyID string }

// Entry is an asset with the actions that the identity may use on it.
type Entry struct {
	Type, Path string
	// Attributes are there only when asked for.
	Attributes map[string][]string
	Actions    []Action
}

// AccessList is everything that an identity may do, of what was asked about (runtime-api.md 8).
type AccessList struct {
	Meta
	// Entries come by asset type, then in the order of the catalogue.
	Entries []Entry

	actions map[[2]string][]Action
	asked   [sha256.Size]byte // what the list is the answer to
}

// Cursor is where a Watch of the same query goes on from this list; "" if the server did not say.
func (l *AccessList) Cursor() string { return l.cursor }

// Can says whether the list grants an action on an asset. An asset without path is never granted: use Entries, or Permit.
func (l *AccessList) Can(assetType, path, action string) bool {
	if l == nil || path == "" {
		return false
	}
	for _, a := range l.actions[[2]string{assetType, path}] {
		if a.Name == action {
			return true
		}
	}
	return false
}

// AccessList asks what an identity may do. The list is complete, or there is an error.
func (c *Client) AccessList(ctx context.Context, q Query) (*AccessList, error) {
	return c.Refresh(ctx, q, nil)
}

// Refresh is AccessList for one who holds an earlier list. Where that is still the answer to the query, as its ETag tells,
// the server does not send it again, and the new list shares its Entries.
func (c *Client) Refresh(ctx context.Context, q Query, held *AccessList) (*AccessList, error) {
	request, err := q.list()
	if err != nil {
		return nil, err
	}
	list := &AccessList{actions: map[[2]string][]Action{}}
	question := question{path: "token/v3", query: &q, request: request}
	if list.asked, err = c.fingerprint(&q, request); err != nil {
		return nil, err
	}
	if held != nil && held.asked == list.asked {
		question.tag = held.tag
		question.unchanged = func(m Meta) { list.Meta, list.Entries, list.actions = m, held.Entries, held.actions }
	}
	err = c.ask(ctx, question, func(m Meta, r reader) error {
		list.Meta = m
		return r.access(func() error {
			e, err := r.entry()
			list.Entries = append(list.Entries, e)
			list.index(e)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// fingerprint tells questions apart, so that no list is taken for the answer to another.
func (c *Client) fingerprint(q *Query, request any) ([sha256.Size]byte, error) {
	all, err := json.Marshal([]any{c.base, c.clientID, q.Identity.TokenHeader, q.Identity.Token, request})
	return sha256.Sum256(all), err
}

// index notes an entry for Can. An asset that stands twice was judged by different attributes, and Can cannot know by which.
func (l *AccessList) index(e Entry) {
	key := [2]string{e.Type, e.Path}
	if _, twice := l.actions[key]; twice {
		e.Actions = nil
	}
	l.actions[key] = e.Actions
}

// errEnough ends the reading of a list whose reader has enough.
var errEnough = errors.New("enough")

// Entries is AccessList for lists that are too large to hold: it gives the entries while they come. An answer that does
// not end as it should ends with an error; so only a loop that met none, to its own end, has seen the whole list.
// Options.Timeout counts the time of the loop, too.
func (c *Client) Entries(ctx context.Context, q Query) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		request, err := q.list()
		if err == nil {
			err = c.ask(ctx, question{path: "token/v3", query: &q, request: request}, func(_ Meta, r reader) error {
				return r.access(func() error {
					e, err := r.entry()
					if err == nil && !yield(e, nil) {
						err = errEnough
					}
					return err
				})
			})
		}
		if err != nil && !errors.Is(err, errEnough) {
			yield(Entry{}, err)
		}
	}
}

// response reads the document that all lists have: element reads the elements of response.
func (r reader) response(element func() error) error {
	found := false
	err := r.object(func(name string) error {
		if name != "response" {
			return r.skip()
		}
		found = true
		return r.array(element)
	})
	if err == nil && !found {
		err = malformed("no response")
	}
	return err
}

// single reads an object of which one member is needed.
func (r reader) single(member string, read func() error) error {
	found := false
	err := r.object(func(name string) error {
		if name != member {
			return r.skip()
		}
		found = true
		return read()
	})
	if err == nil && !found {
		err = malformed("no %s", member)
	}
	return err
}

// access reads a document whose response is one list, or none when it is empty.
func (r reader) access(entry func() error) error {
	lists := 0
	return r.response(func() error {
		if lists++; lists > 1 {
			return malformed("several lists")
		}
		return r.single("access", func() error { return r.array(entry) })
	})
}

func (r reader) entry() (Entry, error) {
	var e Entry
	var seen struct{ assetType, path, actions bool }
	err := r.object(func(name string) (err error) {
		switch name {
		case "resourceType":
			seen.assetType = true
			e.Type, err = r.text()
		case "path":
			seen.path = true
			e.Path, err = r.text()
		case "attributes":
			e.Attributes, err = r.values()
		case "actions":
			seen.actions = true
			e.Actions, err = r.actions()
		default:
			err = r.skip()
		}
		return err
	})
	if err == nil && (!seen.assetType || !seen.path || !seen.actions || e.Type == "") {
		err = malformed("an entry without type, path or actions")
	}
	return e, err
}

func (r reader) actions() ([]Action, error) {
	var list []Action
	err := r.array(func() error {
		var a Action
		err := r.object(func(name string) error { return r.actionMember(&a, name) })
		if err == nil && a.Name == "" {
			err = malformed("an action without name")
		}
		list = append(list, a)
		return err
	})
	return list, err
}

func (r reader) actionMember(a *Action, name string) (err error) {
	switch name {
	case "action":
		a.Name, err = r.text()
	case "permission":
		a.Policy, err = r.text()
	case "permissionId":
		a.PolicyID, err = r.text()
	default:
		err = r.skip()
	}
	return err
}
