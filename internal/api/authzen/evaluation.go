package authzen

import (
	"fmt"
	"iter"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/api/problem"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
)

// evaluation answers one evaluation (authzen.md 6).
func (x *exchange) evaluation(f fields) error {
	r := &reader{fields: f}
	q := r.question()
	r.missing(q)
	if err := r.errs.OrNil(); err != nil {
		return err
	}
	one := func(yield func(*decide.Evaluation, *model.Error) bool) { yield(q.evaluation(), nil) }
	asked := detail(f)
	verdicts, err := x.call.Evaluate(x.r.Context(), decide.Batch{Questions: one, Detail: asked})
	if err != nil {
		return err
	}
	return x.answer(appendDecision(nil, &verdicts[0], x.call.Detail(asked)))
}

// semantics are the values of evaluations_semantic, each with the verdict after which it ends.
func semantics(name string) (last func(allowed bool) bool, ok bool) {
	switch name {
	case "execute_all":
		return nil, true
	case "deny_on_first_deny":
		return func(allowed bool) bool { return !allowed }, true
	case "permit_on_first_permit":
		return func(allowed bool) bool { return allowed }, true
	}
	return nil, false
}

// evaluations answers a batch (authzen.md 7).
func (x *exchange) evaluations(f fields) error {
	b, err := x.h.batch(f)
	if err != nil {
		return err
	}
	if b.count == 0 {
		return x.evaluation(f)
	}
	if b.count > bigBatch || b.count*b.defaults.size() > bigBatch*bigBatch {
		if err := x.turn(); err != nil {
			return err
		}
	}
	asked := detail(f)
	verdicts, err := x.call.Evaluate(x.r.Context(), decide.Batch{Questions: b.each(), Last: b.last, Detail: asked})
	if err != nil {
		return err
	}
	told := x.call.Detail(asked)
	body := []byte(`{"evaluations":[`)
	for i := range verdicts {
		if i > 0 {
			body = append(body, ',')
		}
		body = appendDecision(body, &verdicts[i], told)
	}
	return x.answer(append(body, `]}`...))
}

// batch is a call with several elements.
type batch struct {
	defaults question
	elements jsontext.Value
	count    int
	last     func(allowed bool) bool
}

// batch reads all of a call but its elements.
func (h *handler) batch(f fields) (*batch, error) {
	r := &reader{fields: f}
	out := &batch{elements: f["evaluations"]}
	switch out.elements.Kind() {
	case jsontext.KindBeginArray:
		for range incoming.Elements(out.elements) {
			out.count++
		}
	case 0: // not sent
	default:
		r.fail("evaluations", "must be an array")
	}
	if out.count > h.options.MaxEvaluations {
		r.fail("evaluations", fmt.Sprintf("has more than %d elements", h.options.MaxEvaluations))
	}
	r.semantic(out)
	if out.count > 0 { // else what is at the top is no default but the question itself
		out.defaults = r.question()
		if out.count*out.defaults.size() > maxBatchWork {
			r.fail("evaluations", "has too many elements for the values of the defaults")
		}
	}
	return out, r.errs.OrNil()
}

// maxBatchWork limits elements times values of the defaults: all elements share them, so that a small body could ask for
// any amount of work.
const maxBatchWork = 10_000_000

// bigBatch is the number of elements up to which a batch is never made to wait, and its square the number of elements times
// values of the defaults.
const bigBatch = 100

// semantic reads how a batch is to be run.
func (r *reader) semantic(b *batch) {
	options, sent := r.fields["options"]
	if !sent {
		return
	}
	if options.Kind() != jsontext.KindBeginObject {
		r.fail("options", "must be an object")
		return
	}
	for name, value := range incoming.Members(options) {
		if name != "evaluations_semantic" {
			continue
		}
		text, _ := incoming.Scalar(value)
		ok := value.Kind() == jsontext.KindString
		if ok {
			b.last, ok = semantics(text)
		}
		if !ok {
			r.fail("options.evaluations_semantic", "must be execute_all, deny_on_first_deny or permit_on_first_permit")
		}
	}
}

// each yields the elements as evaluations. They are made one by one: all of them together may be far larger than the body,
// since each takes the defaults.
func (b *batch) each() iter.Seq2[*decide.Evaluation, *model.Error] {
	return func(yield func(*decide.Evaluation, *model.Error) bool) {
		for element := range incoming.Elements(b.elements) {
			if !yield(b.element(element)) {
				return
			}
		}
	}
}

func (b *batch) element(v jsontext.Value) (*decide.Evaluation, *model.Error) {
	if v.Kind() != jsontext.KindBeginObject {
		return nil, invalid("the element must be an object")
	}
	r := &reader{fields: fields{}}
	for name, value := range incoming.Members(v) {
		if known(name) {
			r.fields[name] = value
		}
	}
	q := r.question().or(b.defaults)
	r.missing(q)
	if len(r.errs) > 0 {
		return nil, r.errs[0]
	}
	return q.evaluation(), nil
}

// detail is the level of detail that the request asks for, "" when it does not.
func detail(f fields) model.Detail {
	options := f["options"]
	if options.Kind() != jsontext.KindBeginObject {
		return ""
	}
	for name, value := range incoming.Members(options) {
		if name == "ambit_context" && value.Kind() == jsontext.KindString {
			text, _ := incoming.Scalar(value)
			return model.Detail(text)
		}
	}
	return ""
}

// appendDecision writes a Decision (authzen.md 13).
func appendDecision(b []byte, v *decide.Verdict, told model.Detail) []byte {
	b = strconv.AppendBool(append(b, `{"decision":`...), v.Allowed)
	before := len(b)
	next := func(name string) {
		opening := `,"context":{`
		if len(b) > before {
			opening = ","
		}
		b = append(append(append(append(b, opening...), '"'), name...), `":`...)
	}
	reasons := told.Tells(model.DetailReasons)
	switch {
	case v.Err != nil && (reasons || v.Err.Kind == model.KindInvalid):
		next("error")
		b = appendError(b, v.Err)
	case v.Err == nil && !v.Allowed && reasons:
		next("reasons")
		b = member(append(b, `[{`...), "code", v.Reason)
		b = append(member(append(b, ','), "message", decide.ReasonText(v.Reason)), `}]`...)
	}
	if told.Tells(model.DetailPolicies) && len(v.Policies) > 0 {
		next("policies")
		b = appendPolicies(b, v)
	}
	if len(b) > before {
		b = append(b, '}')
	}
	return append(b, '}')
}

// appendPolicies writes the policies of a verdict: those that grant, or those that restrict.
func appendPolicies(b []byte, v *decide.Verdict) []byte {
	access := "Restrict"
	if v.Allowed {
		access = "Allow"
	}
	b = append(b, '[')
	for i, p := range v.Policies {
		if i > 0 {
			b = append(b, ',')
		}
		b = member(append(b, '{'), "id", string(p.ID))
		b = member(append(b, ','), "name", p.Name)
		b = append(member(append(b, ','), "accessType", access), '}')
	}
	return append(b, ']')
}

func appendError(b []byte, e *model.Error) []byte {
	b = fmt.Appendf(b, `{"status":%d`, problem.Status(e))
	for _, m := range [][2]string{{"code", e.Code}, {"name", e.Name}, {"message", e.Text()}} {
		if m[1] != "" {
			b = member(append(b, ','), m[0], m[1])
		}
	}
	return append(b, '}')
}

func member(b []byte, name, value string) []byte {
	b = append(append(append(b, '"'), name...), `":`...)
	b, _ = jsontext.AppendQuote(b, value) // what was read is UTF-8
	return b
}
