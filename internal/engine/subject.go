package engine

import (
	"github.com/ambit-authz/ambit/internal/model"
)

// subject is one bound identity, or one row of it (E20), with the request it comes with.
type subject struct {
	question   *Question
	template   model.TemplateID
	entityID   []string
	inactive   bool
	attributes model.Attributes
	row        model.Attributes
	number     int // of the row, from 1; 0 = all rows together
	calculated calculations
}

// values are the subject's values of an attribute. uid is always the entity id (V9); calculated attributes come last, of
// what all else has made of the identity, whatever is said of themselves (E13).
func (s *subject) values(id model.AttributeID) []string {
	return s.valuesOf(id, nil)
}

// valuesOf are the subject's values of an attribute, calculated once for all who give the same shared.
func (s *subject) valuesOf(id model.AttributeID, made *shared) []string {
	if id == model.AttributeUID {
		return s.entityID
	}
	if c := s.calculated[id]; c != nil {
		return made.values(c, s.valuesOf(c.Argument, nil))
	}
	if vs, ok := s.row[id]; ok {
		return vs
	}
	return s.attributes[id]
}

// bind is the predicate of a rule for this subject. Predicates that are kept are bound with a shared, others with nil.
func (s *subject) bind(r *rule, made *shared) (p predicate, ok bool) {
	switch r.src.Ref.Side {
	case model.SideIdentity:
		p, ok = r.operands(s.valuesOf(r.src.Ref.Attribute, made), made)
	case model.SideRequest:
		p, ok = r.operands(s.question.Environment[string(r.src.Ref.Attribute)], made)
	default:
		return r.fixed, true
	}
	p.done = s.question.Done
	return p, ok
}

// left are the values of a rule's left attribute, for rules on identities and requests.
func (s *subject) left(r *rule) []string {
	if r.src.Left.Side == model.SideRequest {
		return s.question.Environment[string(r.src.Left.Attribute)]
	}
	return s.values(r.src.Left.Attribute)
}

// holds judges a branch of a group, or of an identity or request condition.
func (s *subject) holds(b *branch) bool {
	for i := range b.rules {
		p, ok := s.bind(&b.rules[i], nil)
		if !ok || !p.holds(s.left(&b.rules[i])) {
			return false
		}
	}
	return true
}

func (s *subject) holdsAny(branches []*branch) bool {
	for _, b := range branches {
		if s.holds(b) {
			return true
		}
	}
	return false
}

// subjects lists what is evaluated for one identity of a template: the pooled identity, or every row by itself (E19, E20).
func (q *Question) subjects(t *identityType, i *Identity) []subject {
	base := subject{
		question: q, template: i.Template, entityID: []string{i.EntityID}, inactive: i.Inactive, attributes: i.Attributes,
		calculated: t.calculated,
	}
	if len(i.Rows) == 0 {
		return []subject{base}
	}
	if !q.CombinedMultiValue {
		pooled := model.Identity{Attributes: i.Attributes, Rows: i.Rows}
		base.attributes = pooled.Pooled()
		return []subject{base}
	}
	out := make([]subject, len(i.Rows))
	for n, row := range i.Rows {
		out[n] = base
		out[n].row, out[n].number = row, n+1
	}
	return out
}
