package manage

import (
	"bytes"
	"cmp"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/model"
)

// A file is written by hand or kept under version control, so a member that nobody reads is a mistake: it is refused, while
// the calls of the API pass over such members (management-api.md 1.1 rule 4).

// memberForm is what the files of a kind may hold; nil where that is not fixed, or not of members.
func memberForm(kind string) any {
	switch kind {
	case kindIdentityTemplates:
		return identityTemplateForm{}
	case kindIdentitySources:
		return sourcesForm{}
	case kindMapperSets:
		return mapperSetForm{}
	case kindMatchers:
		return MatcherForm{}
	case kindAuthorizationWorkspaces, kindIdentityWorkspaces:
		return workspaceAbout{}
	case kindAssetTypes:
		return assetTypeForm{}
	case kindRequestAttributes:
		return []requestAttributeForm{}
	case kindApplications:
		return applicationForm{}
	case kindAPIMapperSets:
		return apiMapperSetForm{}
	case kindScopes:
		return []ScopeForm{}
	}
	return nil
}

// maxUnknown is how many members of one file are named: as many as errors of one policy.
const maxUnknown = 100

// readOnly are members that answers show and writes pass over: a file may be what a call answered.
func readOnly(name string) bool {
	return slices.Contains([]string{"createdAt", "updatedAt", "revision", "incomplete"}, name)
}

// checkMembers refuses the members of a file that its kind does not have, all at once, or takes note of them where they are to be
// passed over. A file that cannot be read at all has other errors, which are those of its reader.
func (a *applier) checkMembers(kind, path string, body []byte) error {
	form := memberForm(kind)
	if form == nil {
		return nil
	}
	c := memberCheck{ignore: a.o.IgnoreUnknown}
	if inner, err := unwrap(withoutMark(body)); err == nil {
		c.d = jsontext.NewDecoder(bytes.NewBuffer(inner))
		_ = c.value(reflect.TypeOf(form)) // of the syntax, which is right
	}
	a.passOver(kind, path, body, &c.passed)
	return c.errs.OrNil()
}

// maxPointer is how many bytes of the path of a member are told: a name may be as long as its file.
const maxPointer = 300

// passOver takes note of members of a file.
func (a *applier) passOver(kind, path string, body []byte, p *model.PassedOver) {
	if len(p.Members) == 0 {
		return
	}
	wanted := map[jsontext.Pointer]model.Position{}
	for _, m := range p.Members {
		wanted[jsontext.Pointer(m.Pointer)] = model.Position{}
	}
	findPlaces(body, wanted)
	for _, m := range p.Members {
		m.Pos = wanted[jsontext.Pointer(m.Pointer)]
		m.Pos.File = path
		if len(m.Pointer) > maxPointer {
			m.Pointer = strings.ToValidUTF8(m.Pointer[:maxPointer], "") + "…"
		}
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
		if !ok && !readOnly(name.String()) {
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
	case len(c.errs) == maxUnknown:
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

// atLines says on which line of a file the members are that errors name by a JSON pointer.
func atLines(body []byte, err error) error {
	var errs model.Errors
	collect(&errs, err)
	wanted := map[jsontext.Pointer]model.Position{}
	for _, e := range errs {
		for p := pointerOf(e); p != ""; p = p.Parent() {
			wanted[p] = model.Position{}
		}
	}
	findPlaces(body, wanted)
	for i, e := range errs {
		for p := pointerOf(e); p != ""; p = p.Parent() { // a member that is missing is where it should be
			if at := wanted[p]; !at.IsZero() {
				placed := *e
				placed.Pos.Line, placed.Pos.Column = at.Line, at.Column
				errs[i] = &placed
				break
			}
		}
	}
	return errs.OrNil()
}

// pointerOf is the JSON pointer at which an error is; "" when it has another place or none.
func pointerOf(e *model.Error) jsontext.Pointer {
	pointer, _, found := strings.Cut(e.Message, ": ")
	if e.Pos.Line > 0 || !found || !strings.HasPrefix(pointer, "/") {
		return ""
	}
	return jsontext.Pointer(pointer)
}

// findPlaces fills in where the wanted members and items of a file begin, of one that is wrapped in "data" those inside.
func findPlaces(body []byte, wanted map[jsontext.Pointer]model.Position) {
	body = withoutMark(body)
	inner, err := unwrap(body)
	if err != nil || len(wanted) == 0 {
		return
	}
	shift := cap(body) - cap(inner)
	d := jsontext.NewDecoder(bytes.NewBuffer(inner))
	here, seen := model.Position{Line: 1, Column: 1}, 0
	for {
		from := int(d.InputOffset()) + shift
		if _, err := d.ReadToken(); err != nil {
			return
		}
		at, ok := wanted[d.StackPointer()]
		if !ok || !at.IsZero() { // a member is where its name is, which comes before its value
			continue
		}
		from += len(body[from:]) - len(bytes.TrimLeft(body[from:], " \t\r\n,:"))
		passed := positionOf(body[seen:from], int64(from-seen)) // of a large file every part is read once
		if passed.Line > 1 {
			here.Column = 1
		}
		here.Line, here.Column, seen = here.Line+passed.Line-1, here.Column+passed.Column-1, from
		wanted[d.StackPointer()] = here
	}
}

// placedWarnings are the warnings about a definition, at their places in its file.
func placedWarnings(body []byte, warnings model.Errors) model.Errors {
	var out model.Errors
	collect(&out, atLines(body, warnings.OrNil()))
	return out
}

// statedID is the id that a file states, whatever else is in it; "" when its kind states none.
func statedID(body []byte) string {
	var f struct {
		TemplateID      string `json:"templateId"`
		ApplicationID   string `json:"applicationId"`
		APIMappersSetID string `json:"apiMappersSetId"`
		MapperSetID     string `json:"mapperSetId"`
	}
	if inner, err := unwrap(withoutMark(body)); err != nil || json.Unmarshal(inner, &f) != nil {
		return ""
	}
	return cmp.Or(f.TemplateID, f.ApplicationID, f.APIMappersSetID, f.MapperSetID)
}
