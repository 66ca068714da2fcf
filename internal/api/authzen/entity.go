package authzen

import (
	"maps"
	"net/netip"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
)

// entity is a subject, an action or a resource: its texts by member, and its properties.
type entity struct {
	texts      map[string]string
	properties map[string][]string
}

// surroundings is a context.
type surroundings struct {
	values map[string][]string
	ip     netip.Addr
	offset time.Duration
}

// question holds the members of a request or of an element of evaluations; nil = not sent.
type question struct {
	subject, action, resource *entity
	context                   *surroundings
}

// reader reads the members of a question and gathers what is wrong with them.
type reader struct {
	fields fields
	errs   model.Errors
}

func (r *reader) fail(member, what string) {
	r.errs = append(r.errs, invalid("%s %s", member, what))
}

// entity reads an entity that has the given texts; nil when it was not sent or is malformed. All else but properties is
// ignored.
func (r *reader) entity(name string, needed ...string) *entity {
	v, ok := r.fields[name]
	if !ok {
		return nil
	}
	if v.Kind() != jsontext.KindBeginObject {
		r.fail(name, "must be an object")
		return nil
	}
	e := &entity{texts: map[string]string{}}
	before := len(r.errs)
	members := map[string]jsontext.Value{}
	for member, value := range incoming.Members(v) {
		members[member] = value
	}
	for _, member := range needed {
		value, sent := members[member]
		text, _ := incoming.Scalar(value)
		switch {
		case !sent:
			r.fail(name+"."+member, "is required")
		case value.Kind() != jsontext.KindString:
			r.fail(name+"."+member, "must be a string")
		}
		e.texts[member] = text
	}
	e.properties = r.object(name+".properties", members["properties"])
	if len(r.errs) > before {
		return nil
	}
	return e
}

// object reads the values of an object; nil when it was not sent.
func (r *reader) object(name string, v jsontext.Value) map[string][]string {
	if v == nil {
		return nil
	}
	if v.Kind() != jsontext.KindBeginObject {
		r.fail(name, "must be an object")
		return nil
	}
	values, ok := readValues(v)
	if !ok {
		r.fail(name, "has names that are too long")
	}
	return values
}

// context reads the surroundings (authzen.md 11.3; README rulings 1 and 2).
func (r *reader) context() *surroundings {
	v, ok := r.fields["context"]
	if !ok {
		return nil
	}
	out := &surroundings{values: r.object("context", v)}
	if v.Kind() != jsontext.KindBeginObject {
		return nil
	}
	// a context must not pose as properties of the action
	maps.DeleteFunc(out.values, func(name string, _ []string) bool { return strings.HasPrefix(name, "action.") })
	for name, value := range incoming.Members(v) {
		switch name {
		case "ip":
			text, _ := incoming.Scalar(value)
			if out.ip, ok = incoming.Address(text); !ok || value.Kind() != jsontext.KindString {
				r.fail("context.ip", "must be an IP address without port or zone")
			}
		case "timeZoneOffset":
			if out.offset, ok = incoming.Offset(value); !ok {
				r.fail("context.timeZoneOffset", "must be a number of hours from -14 to 14")
			}
		}
	}
	return out
}

// question reads what was sent of an evaluation.
func (r *reader) question() question {
	return question{
		subject: r.entity("subject", "type", "id"), action: r.entity("action", "name"),
		resource: r.entity("resource", "type", "id"), context: r.context(),
	}
}

// or takes each member that q lacks from the defaults, whole (authzen.md 7).
func (q question) or(defaults question) question {
	if q.subject == nil {
		q.subject = defaults.subject
	}
	if q.action == nil {
		q.action = defaults.action
	}
	if q.resource == nil {
		q.resource = defaults.resource
	}
	if q.context == nil {
		q.context = defaults.context
	}
	return q
}

// size is how many names and values q has.
func (q question) size() int {
	n := 0
	count := func(values map[string][]string) {
		for _, list := range values {
			n += 1 + len(list)
		}
	}
	for _, e := range []*entity{q.subject, q.action, q.resource} {
		if e != nil {
			count(e.properties)
		}
	}
	if q.context != nil {
		count(q.context.values)
	}
	return n
}

// missing adds an error for each entity that an evaluation needs and that was not sent.
func (r *reader) missing(q question) {
	for _, e := range []struct {
		name string
		at   *entity
	}{{"subject", q.subject}, {"action", q.action}, {"resource", q.resource}} {
		if _, sent := r.fields[e.name]; e.at == nil && !sent {
			r.fail(e.name, "is required")
		}
	}
}

// evaluation translates a question (authzen.md 11.1). Entities that were not sent name nothing.
func (q question) evaluation() *decide.Evaluation {
	out := &decide.Evaluation{}
	if q.subject != nil {
		out.Primary = decide.Claim{
			Template: model.TemplateID(q.subject.texts["type"]), EntityID: q.subject.texts["id"], Attributes: q.subject.properties,
		}
	}
	if q.resource != nil {
		out.Resource = decide.AssetClaim{
			Template: model.TemplateID(q.resource.texts["type"]), Path: q.resource.texts["id"], Attributes: q.resource.properties,
		}
	}
	if q.context != nil {
		out.Environment, out.RemoteIP, out.ZoneOffset = q.context.values, q.context.ip, q.context.offset
	}
	if q.action == nil {
		return out
	}
	out.Action = q.action.texts["name"]
	if len(q.action.properties) > 0 {
		out.Environment = maps.Clone(out.Environment)
		if out.Environment == nil {
			out.Environment = map[string][]string{}
		}
		for name, values := range q.action.properties {
			out.Environment["action."+name] = values
		}
	}
	return out
}
