package authzencheck

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

const evaluations = "/access/v1/evaluations"

// several is a batch with the decisions that must come back.
type several struct {
	id, level, title, body string
	want                   []bool
}

// elements makes the member evaluations of objects.
func elements(objects ...string) string { return `"evaluations":[` + strings.Join(objects, ",") + `]` }

func severals() []several {
	const later = `"context":{"time":"2025-06-27T19:00-07:00","source":"batch-override"}`
	return []several{
		{"c-3-2-1", levelBatch, "resources with a default subject and action", object(alice, read, elements(object(record1), object(record2))), []bool{true, true}},
		{"c-3-2-2", levelBatch, "actions with a default subject and resource", object(bob, record1, elements(object(read), object(write))), []bool{true, false}},
		{
			"c-3-2-3", levelBatch + properties, "properties of resources",
			object(alice, write, elements(object(live1), object(archive))),
			[]bool{true, false},
		},
		{
			"c-3-2-4", levelBatch + properties, "properties of subjects",
			object(write, archive, elements(object(alice), object(admin))),
			[]bool{false, true},
		},
		{"c-3-2-5", levelBatch, "no defaults", object(elements(object(alice, read, record1), object(bob, write, record1))), []bool{true, false}},
		{"c-3-2-6", levelBatch, "a context of its own", object(
			alice, read, `"context":{"time":"2025-06-27T18:03-07:00"}`, elements(object(record1), object(record2, later))), []bool{true, true}},
		{
			"c-3-2-7", levelBatch + properties, "a default resource with properties",
			object(alice, write, live1, elements(`{}`, object(archive))),
			[]bool{true, false},
		},
	}
}

// batchAnswer is the answer to a batch.
type batchAnswer struct {
	Decision    jsontext.Value `json:"decision"`
	Evaluations *[]decision    `json:"evaluations"`
}

func (s *session) batch(body string) (*batchAnswer, error) {
	a, err := s.post(evaluations, body)
	if err != nil {
		return nil, err
	}
	out := &batchAnswer{}
	if err := a.decode(out); err != nil {
		return nil, err
	}
	if out.Evaluations == nil {
		return nil, fmt.Errorf("evaluations is missing: %s", beginning(a.body))
	}
	return out, nil
}

// batchDecides wants the decisions in the order of the request.
func (s *session) batchDecides(body string, want []bool) error {
	a, err := s.batch(body)
	if err != nil {
		return err
	}
	if len(*a.Evaluations) != len(want) {
		return fmt.Errorf("%d answers, want %d", len(*a.Evaluations), len(want))
	}
	var errs []error
	for i, decision := range want {
		if err := (*a.Evaluations)[i].is(decision); err != nil {
			errs = append(errs, fmt.Errorf("evaluations[%d]: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

func batch() []test {
	var out []test
	for _, one := range severals() {
		out = append(out, test{one.id, one.level, one.title, func(s *session) error { return s.batchDecides(one.body, one.want) }})
	}
	each := func(check func(*batchAnswer, several) error) func(*session) error {
		return func(s *session) error {
			var errs []error
			for _, one := range severals() {
				a, err := s.batch(one.body)
				if err == nil {
					err = check(a, one)
				}
				if err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", one.id, err))
				}
			}
			return errors.Join(errs...)
		}
	}
	asked := object(alice, read, record1)
	return append(
		out,
		test{"c-3-3-1", levelBatch, "as many answers as elements", each(func(a *batchAnswer, one several) error {
			if len(*a.Evaluations) != len(one.want) {
				return fmt.Errorf("%d answers, want %d", len(*a.Evaluations), len(one.want))
			}
			return nil
		})},
		test{"c-3-3-2", levelBatch, "answers in the order of the request", func(s *session) error {
			for _, one := range severals() {
				if err := s.batchDecides(one.body, one.want); err != nil {
					return fmt.Errorf("%s: %w", one.id, err)
				}
			}
			return nil
		}},
		test{"c-3-3-3", levelBatch, "every element has a boolean decision", each(func(a *batchAnswer, _ several) error {
			for i, d := range *a.Evaluations {
				if err := d.check(); err != nil {
					return fmt.Errorf("evaluations[%d]: %w", i, err)
				}
			}
			return nil
		})},
		test{"c-3-3-4", levelBatch, "no decision at the top", each(func(a *batchAnswer, _ several) error {
			if a.Decision != nil {
				return errors.New("there is one")
			}
			return nil
		})},
		test{"c-3-4-1", levelBatch, "a malformed element is denied, the others are answered", func(s *session) error {
			return s.batchDecides(object(alice, read, `"options":{"evaluations_semantic":"execute_all"}`, elements(object(record1), `{}`)), []bool{true, false})
		}},
		test{"c-3-4-2", levelBatch, "without evaluations it is one evaluation", func(s *session) error { return s.decides(evaluations, asked, true) }},
		test{"c-3-4-3", levelBatch, "with an empty list it is one evaluation", func(s *session) error {
			return s.decides(evaluations, with(asked, `"evaluations":[]`), true)
		}},
	)
}
