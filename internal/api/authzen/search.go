package authzen

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/decide"
)

// search is one of the three searches.
type search struct {
	find   func(*decide.Call, context.Context, *decide.Search) (*decide.Found, error)
	target string // the member that is asked for
}

// serve answers a search (authzen.md 8).
func (s search) serve(x *exchange, f fields) error {
	r := &reader{fields: f}
	q := s.question(r)
	limits := r.page()
	if err := r.errs.OrNil(); err != nil {
		return err
	}
	at, err := x.place(s.target, f, limits)
	if err != nil {
		return err
	}
	if s.target != "action" { // a type has few actions, and any number of assets and identities
		if err := x.turn(); err != nil {
			return err
		}
	}
	found, err := s.find(x.call, x.r.Context(), &decide.Search{
		Evaluation: *q.evaluation(), After: at.After, Limit: at.Limit, Scan: x.h.options.ScanLimit, Time: x.h.options.SearchTime,
	})
	if errors.Is(err, decide.ErrLost) {
		return errPageToken()
	}
	if err != nil {
		return err
	}
	body := []byte{'{'}
	if limits.sent || found.More {
		next := ""
		if found.More {
			next = x.seal(s.target, at.next(found, x.h.options.Clock()))
		}
		body = member(append(body, `"page":{`...), "next_token", next)
		body = fmt.Appendf(body, `,"count":%d},`, len(found.Names))
	}
	if found.NotEnumerable {
		body = append(body, `"context":{"warnings":[{"code":"not_enumerable",`...)
		body = member(body, "message", "Assets of type "+q.resource.texts["type"]+" are not stored; use evaluations")
		body = append(body, `}]},`...)
	}
	return x.answer(append(s.appendResults(append(body, `"results":[`...), found.Names, q), `]}`...))
}

// question reads a search. Of the target only type and properties count, of an action as the target nothing at all.
func (s search) question(r *reader) question {
	q := question{context: r.context()}
	of := func(name string) *entity {
		if name == s.target {
			return r.entity(name, "type")
		}
		return r.entity(name, "type", "id")
	}
	q.subject, q.resource = of("subject"), of("resource")
	if s.target != "action" {
		q.action = r.entity("action", "name")
	} else {
		q.action = &entity{} // evaluated one by one, without properties
	}
	r.missing(q)
	return q
}

func (s search) appendResults(b []byte, names []string, q question) []byte {
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		switch s.target {
		case "subject":
			b = append(member(b, "type", q.subject.texts["type"]), ',')
		case "resource":
			b = append(member(b, "type", q.resource.texts["type"]), ',')
		}
		if s.target == "action" {
			b = member(b, "name", name)
		} else {
			b = member(b, "id", name)
		}
		b = append(b, '}')
	}
	return b
}

// limits is what a request says of its page.
type limits struct {
	sent  bool
	token string
	limit int // -1 = not stated
}

// page reads the member page (authzen.md 9).
func (r *reader) page() limits {
	out := limits{limit: -1}
	v, ok := r.fields["page"]
	if !ok {
		return out
	}
	out.sent = true
	if v.Kind() != jsontext.KindBeginObject {
		r.fail("page", "must be an object")
		return out
	}
	for name, value := range incoming.Members(v) {
		text, _ := incoming.Scalar(value)
		switch name {
		case "token":
			out.token = text
			if value.Kind() != jsontext.KindString {
				r.fail("page.token", "must be a string")
			}
		case "limit":
			if out.limit, ok = wholeNumber(text); !ok || value.Kind() != jsontext.KindNumber {
				r.fail("page.limit", "must be a whole number of at least 0")
			}
		case "properties":
			if value.Kind() != jsontext.KindBeginObject {
				r.fail("page.properties", "must be an object")
			}
		}
	}
	return out
}
