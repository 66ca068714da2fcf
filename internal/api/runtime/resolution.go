package runtime

import (
	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/engine/sqltext"
	"github.com/ambit-authz/ambit/internal/model"
)

// resolution answers the Policy Resolution call (runtime-api.md 10). Its request is that of the User Access Token.
func (x *exchange) resolution() error {
	req, err := x.tokenRequest("resolution")
	if err != nil {
		return err
	}
	answer, err := x.call.Resolve(x.r.Context(), req.TokenRequest)
	if err != nil {
		return err
	}
	incoming.SetRevision(x.w, x.call)
	x.answered()
	x.again.answered(&answer.Outcome)
	req.forget()
	x.writeResolution(req, answer)
	return nil
}

// readDialect reads sqlDialect; absent = no SQL.
func readDialect(f fields) (sqltext.Dialect, error) {
	var errs model.Errors
	c := &coercer{fields: f, errs: &errs}
	d, _ := sqltext.ParseDialect(c.choice("sqlDialect", sqltext.Dialects()...))
	return d, errs.OrNil()
}

// writeResolution writes the answer (runtime-api.md 10.2).
func (x *exchange) writeResolution(req *tokenCall, a *decide.ResolutionAnswer) {
	d := req.answer(a.TokenValidity, a.Identities)
	d.name = "privileges"
	d.value = func(s *stream) { s.parts(req.show, a.Parts) }
	x.write(d, req.format, a.Signature)
}

// parts writes what is granted of each type.
func (s *stream) parts(show shownPolicies, parts []decide.ResolutionPart) {
	s.buf = append(s.buf, `{"allowed":[`...)
	first := true
	for i := range parts {
		p := &parts[i]
		if p.Access == nil && len(p.Filters) == 0 || p.Access != nil && p.Access.Len() == 0 {
			continue
		}
		if !first {
			s.buf = append(s.buf, ',')
		}
		first = false
		if p.Access != nil {
			s.entries(show, p.Access, func(model.TemplateID) *engine.Projection { return p.Projection })
		} else {
			s.filters(show, p)
		}
	}
	s.buf = append(s.buf, `]}`...)
}

// filters writes the entry of a type with the filters of its actions.
func (s *stream) filters(show shownPolicies, p *decide.ResolutionPart) {
	s.member(`{"resourceType":`, string(p.Template))
	s.buf = append(s.buf, `,"actions":[`...)
	for i := range p.Filters {
		f := &p.Filters[i]
		if i > 0 {
			s.buf = append(s.buf, ',')
		}
		s.member(`{"action":`, f.Action.Value)
		s.buf = show.appendRef(s.buf, f.Policy)
		if f.Branches != nil {
			s.buf = append(s.buf, `,"asset-attributes-filter":{"OR":[`...)
			for j, branch := range f.Branches {
				if j > 0 {
					s.buf = append(s.buf, ',')
				}
				s.branch(branch)
			}
			s.buf = append(s.buf, `]}`...)
		}
		if p.SQL != nil {
			s.condition(&p.SQL[i])
		}
		s.buf = append(s.buf, '}')
	}
	s.buf = append(s.buf, `]}`...)
}

// condition writes the SQL of a filter. It stands beside the tree, never in its place: an action without a tree means
// every row to those who know nothing of SQL.
func (s *stream) condition(c *sqltext.Condition) {
	s.member(`,"sql":`, c.Text)
	s.buf = append(s.buf, `,"parameters":[`...)
	for i := range c.Parameters {
		if i > 0 {
			s.buf = append(s.buf, ',')
		}
		s.buf = quote(s.buf, c.Parameters[i].Value)
		s.full()
	}
	s.buf = append(s.buf, ']')
}

func (s *stream) branch(leaves []engine.Leaf) {
	s.buf = append(s.buf, `{"AND":[`...)
	for i := range leaves {
		l := &leaves[i]
		if i > 0 {
			s.buf = append(s.buf, ',')
		}
		s.member(`{"attribute":`, string(l.Attribute))
		typ := "STRING"
		if l.Numeric {
			typ = "INTEGER" // readers take only this one for a number (10.3)
		}
		s.member(`,"type":`, typ)
		s.member(`,"operator":`, filterOperator(l.Op))
		s.buf = append(s.buf, `,"values":`...)
		s.list(l.Values)
		s.buf = append(s.buf, '}')
	}
	s.buf = append(s.buf, `]}`...)
	s.full()
}

// filterOperator spells an operator as readers of filters do (runtime-api.md 10.3).
func filterOperator(op model.Operator) string {
	switch op {
	case model.OpEqual:
		return "EQUALS"
	case model.OpNotEqual:
		return "NOTEQUALS"
	case model.OpIn:
		return "IN"
	case model.OpNotIn:
		return "NOT_IN"
	case model.OpLess:
		return "LESS"
	case model.OpLessEqual:
		return "LESS_EQUALS"
	case model.OpGreater:
		return "GREATE"
	case model.OpGreaterEqual:
		return "GREAT_EQUALS"
	case model.OpContains:
		return "CONTAINS"
	case model.OpStartsWith:
		return "STARTWITH"
	case model.OpEndsWith:
		return "ENDWITH"
	}
	panic("runtime: no such operator") // a leaf that readers drop would widen the filter
}
