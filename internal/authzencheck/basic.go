package authzencheck

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
)

const evaluation = "/access/v1/evaluation"

// single is an evaluation with the decision that must come back.
type single struct {
	id, level, title, body string
	want                   bool
}

func singles() []single {
	return []single{
		{"c-2-2-1", levelBasic, "alice may read record-1", object(alice, read, record1), true},
		{"c-2-2-2", levelBasic, "bob may not write record-1", object(bob, write, record1), false},
		{"c-2-2-3", levelBasic, "a context changes nothing", object(alice, read, record1, when), true},
		{"c-2-2-4", levelBasic + properties, "alice may not write an archived record", object(alice, write, archive), false},
		{"c-2-2-5", levelBasic + properties, "an admin may write an archived record", object(admin, write, archive), true},
		{
			"c-2-2-6", levelBasic + properties, "alice may delete softly",
			object(alice, `"action":{"name":"delete","properties":{"soft":true}}`, record1), true,
		},
		{
			"c-2-2-7", levelBasic + properties, "alice may not delete for good",
			object(alice, `"action":{"name":"delete","properties":{"soft":false}}`, record1), false,
		},
		{"c-2-2-8", levelBasic, "properties of all entities", object(
			`"subject":{"type":"user","id":"alice","properties":{"department":"Sales","role":"manager"}}`,
			`"action":{"name":"read","properties":{"method":"GET"}}`,
			`"resource":{"type":"record","id":"record-1","properties":{"status":"active","owner":"bob"}}`), true},
		{"c-2-2-9", levelBasic, "unknown members are ignored", object(alice, read, record1, `"foo":"bar"`, `"futureField":{"nested":true}`), true},
	}
}

// decision is one Decision; what is no boolean cannot be read into it.
type decision struct {
	Decision *bool          `json:"decision"`
	Context  jsontext.Value `json:"context"`
}

// check wants what every Decision has.
func (d *decision) check() error {
	switch {
	case d.Decision == nil:
		return errors.New("the decision is missing")
	case d.Context != nil && d.Context.Kind() != jsontext.KindBeginObject:
		return fmt.Errorf("the context is no object: %s", beginning(d.Context))
	}
	return nil
}

func (d *decision) is(want bool) error {
	if err := d.check(); err != nil {
		return err
	}
	if *d.Decision != want {
		return fmt.Errorf("the decision is %t, want %t", *d.Decision, want)
	}
	return nil
}

// decides wants one decision.
func (s *session) decides(path, body string, want bool) error {
	a, err := s.post(path, body)
	if err != nil {
		return err
	}
	var d decision
	if err := a.decode(&d); err != nil {
		return err
	}
	return d.is(want)
}

func basic() []test {
	var out []test
	for _, one := range singles() {
		out = append(out, test{one.id, one.level, one.title, func(s *session) error { return s.decides(evaluation, one.body, one.want) }})
	}
	asked := object(alice, read, record1)
	return append(
		out,
		test{"c-2-3-1", levelBasic, "answers are JSON with a boolean decision", func(s *session) error { return s.eachSingle("") }},
		test{"c-2-3-2", levelBasic, "a decision's context is absent or an object", contexts},
		test{"c-2-4-1", levelBasic, "a missing entity is 400", func(s *session) error {
			return s.refused(evaluation, object(read, record1), object(alice, record1), object(alice, read))
		}},
		test{"c-2-4-2", levelBasic, "a missing member of an entity is 400", func(s *session) error {
			return s.refused(evaluation,
				object(`"subject":{"id":"alice"}`, read, record1), object(`"subject":{"type":"user"}`, read, record1),
				object(alice, `"action":{}`, record1),
				object(alice, read, `"resource":{"id":"record-1"}`), object(alice, read, `"resource":{"type":"record"}`))
		}},
		test{"c-2-4-3", levelBasic, "another Content-Type is 400", contentTypes},
		test{"c-2-4-4", levelBasic, "a body that is no JSON is 400", func(s *session) error { return s.refused(evaluation, `{"subject":`) }},
		test{"c-2-4-5", levelBasic, "an empty body is 400", func(s *session) error { return s.refused(evaluation, "") }},
		test{"c-2-4-6", levelBasic, "a wrong type is 400", func(s *session) error {
			return s.refused(evaluation, object(`"subject":"alice"`, read, record1), object(alice, `"action":{"name":123}`, record1))
		}},
		test{"c-2-5-1", levelBasic, "X-Request-ID comes back", func(s *session) error {
			return errors.Join(s.echoes(evaluation, asked, http.StatusOK), s.echoes(evaluation, "{}", http.StatusBadRequest))
		}},
		test{"c-2-5-2", levelBasic, "X-Request-ID is not needed", func(s *session) error { return s.decides(evaluation, asked, true) }},
		test{"c-2-6", levelBasic, "the same request has the same decision", func(s *session) error {
			for range 5 {
				if err := s.decides(evaluation, asked, true); err != nil {
					return err
				}
			}
			return nil
		}},
	)
}

// eachSingle asks every evaluation, with a further member if there is one.
func (s *session) eachSingle(member string) error {
	var errs []error
	for _, one := range singles() {
		body := one.body
		if member != "" {
			body = with(body, member)
		}
		if err := s.decides(evaluation, body, one.want); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", one.id, err))
		}
	}
	return errors.Join(errs...)
}

func contexts(s *session) error {
	var errs []error
	for _, level := range []string{"none", "reasons", "policies"} {
		if err := s.eachSingle(`"options":{"ambit_context":"` + level + `"}`); err != nil {
			errs = append(errs, fmt.Errorf("asked for %s:\n%w", level, err))
		}
	}
	return errors.Join(errs...)
}

func contentTypes(s *session) error {
	var errs []error
	for _, header := range []http.Header{{"Content-Type": {"text/plain"}}, {"Content-Type": {"application/xml"}}, {}} {
		a, err := s.send(http.MethodPost, evaluation, object(alice, read, record1), header, true)
		if err == nil && a.status != http.StatusBadRequest {
			err = fmt.Errorf("status %d, want 400, for Content-Type %q", a.status, header.Get("Content-Type"))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// echoes wants the X-Request-ID back.
func (s *session) echoes(path, body string, status int) error {
	const id = "authzen-check 7f3a/1"
	a, err := s.send(http.MethodPost, path, body, http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {id}}, true)
	switch {
	case err != nil:
		return err
	case a.status != status:
		return fmt.Errorf("status %d, want %d: %s", a.status, status, beginning(a.body))
	case a.header.Get("X-Request-Id") != id:
		return fmt.Errorf("X-Request-ID %q, want %q, with status %d", a.header.Get("X-Request-Id"), id, status)
	}
	return nil
}
