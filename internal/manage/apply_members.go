package manage

import (
	"bytes"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
)

// A file is written by hand or kept under version control, so a member that nobody reads is a mistake: it is refused, while
// the calls of the API pass over such members (management-api.md 1.1 rule 4).

// memberForm is what the files of a kind may hold; nil where that is not fixed, or not of members.
func memberForm(kind string) any {
	switch kind {
	case kindIdentityTemplates:
		return form.IdentityTemplate{}
	case kindIdentitySources:
		return form.IdentitySources{}
	case kindMapperSets:
		return form.MapperSet{}
	case kindMatchers:
		return form.Matcher{}
	case kindAuthorizationWorkspaces, kindIdentityWorkspaces:
		return workspaceAbout{}
	case kindAssetTypes:
		return form.AssetTemplate{}
	case kindRequestAttributes:
		return []form.RequestAttribute{}
	case kindApplications:
		return form.Application{}
	case kindAPIMapperSets:
		return form.APIMapperSet{}
	case kindScopes:
		return []form.Scope{}
	}
	return nil
}

// checkMembers refuses the members of a file that its kind does not have, all at once, or takes note of them where they are to be
// passed over. A file that cannot be read at all has other errors, which are those of its reader.
func (a *applier) checkMembers(kind, path string, body []byte) error {
	of := memberForm(kind)
	if of == nil {
		return nil
	}
	c := memberCheck{ignore: a.o.IgnoreUnknown}
	if inner, err := form.Unwrap(body); err == nil {
		c.d = jsontext.NewDecoder(bytes.NewBuffer(inner))
		_ = c.value(reflect.TypeOf(of)) // of the syntax, which is right
	}
	a.passOver(kind, path, body, &c.passed)
	return c.errs.OrNil()
}

// passOver takes note of members of a file.
func (a *applier) passOver(kind, path string, body []byte, p *model.PassedOver) {
	if len(p.Members) == 0 {
		return
	}
	wanted := map[jsontext.Pointer]model.Position{}
	for _, m := range p.Members {
		wanted[jsontext.Pointer(m.Pointer)] = model.Position{}
	}
	form.FindPlaces(body, wanted)
	for _, m := range p.Members {
		m.Pos = wanted[jsontext.Pointer(m.Pointer)]
		m.Pos.File = path
		m.Pointer = model.ShortPointer(m.Pointer)
		a.passed.Add(kind, m)
	}
	a.passed.More += p.More
}

type memberCheck struct {
	d      *jsontext.Decoder
	ignore bool
	errs   model.Errors
	passed model.PassedOver
}

// value reads one value, which is to fit t. What does not fit is not this check's to tell.
func (c *memberCheck) value(t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch kind := c.d.PeekKind(); {
	case kind == '{' && t.Kind() == reflect.Struct:
		return c.object(formMembers(t))
	case kind == '[' && t.Kind() == reflect.Slice && t != reflect.TypeFor[jsontext.Value]():
		return c.list(t.Elem())
	}
	return c.d.SkipValue()
}

func (c *memberCheck) list(element reflect.Type) error {
	if _, err := c.d.ReadToken(); err != nil {
		return err
	}
	for c.d.PeekKind() != ']' {
		if err := c.value(element); err != nil {
			return err
		}
	}
	_, err := c.d.ReadToken()
	return err
}

func (c *memberCheck) object(known map[string]reflect.Type) error {
	if _, err := c.d.ReadToken(); err != nil {
		return err
	}
	for c.d.PeekKind() != '}' {
		name, err := c.d.ReadToken()
		if err != nil {
			return err
		}
		t, ok := known[name.String()]
		if !ok && !model.IsAnswerMember(name.String()) {
			c.unknown(name.String(), known)
		}
		if !ok {
			t = reflect.TypeFor[jsontext.Value]()
		}
		if err := c.value(t); err != nil {
			return err
		}
	}
	_, err := c.d.ReadToken()
	return err
}

// unknown reports the member whose name was read last.
func (c *memberCheck) unknown(name string, known map[string]reflect.Type) {
	switch {
	case c.ignore:
		c.passed.Add("", model.PassedMember{Pointer: string(c.d.StackPointer()), Count: 1})
		return
	case len(c.errs) == model.MaxUnknownMembers:
		return
	}
	names := make([]string, 0, len(known))
	for other := range known {
		names = append(names, other)
	}
	c.errs.Add(string(c.d.StackPointer()), "there is no such member%s", hint(closeTo(name, names)))
}

// formMembers are the members of a form with their types.
func formMembers(t reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for i := range t.NumField() {
		field := t.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" && strings.Contains(options, "inline") {
			for inner, of := range formMembers(field.Type) {
				out[inner] = of
			}
			continue
		}
		out[name] = field.Type
	}
	return out
}

// placedWarnings are the warnings about a definition, at their places in its file.
func placedWarnings(body []byte, warnings model.Errors) model.Errors {
	var out model.Errors
	out.Collect(form.AtLines(body, warnings.OrNil()))
	return out
}
