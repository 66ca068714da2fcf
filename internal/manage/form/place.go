package form

import (
	"bytes"
	"cmp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/model"
)

// AtLines says on which line of a file the members are that errors name by a JSON pointer.
func AtLines(body []byte, err error) error {
	var errs model.Errors
	errs.Collect(err)
	wanted := map[jsontext.Pointer]model.Position{}
	for _, e := range errs {
		for p := pointerOf(e); p != ""; p = p.Parent() {
			wanted[p] = model.Position{}
		}
	}
	FindPlaces(body, wanted)
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

// FindPlaces fills in where the wanted members and items of a file begin, of one that is wrapped in "data" those inside.
func FindPlaces(body []byte, wanted map[jsontext.Pointer]model.Position) {
	inner, err := Unwrap(body)
	if err != nil || len(wanted) == 0 {
		return
	}
	root, places := &place{}, make(map[jsontext.Pointer]*place, len(wanted))
	for pointer := range wanted {
		p := root
		for token := range pointer.Tokens() {
			p = p.member(token)
		}
		places[pointer] = p
	}
	body = withoutMark(body)
	f := finder{d: jsontext.NewDecoder(bytes.NewBuffer(inner)), body: body, shift: cap(body) - cap(inner), here: model.Position{Line: 1, Column: 1}}
	_ = f.value(root) // of the syntax, which is right
	for pointer, p := range places {
		wanted[pointer] = p.at
	}
}

// place is a member or an item that is wanted, or in which others are.
type place struct {
	at    model.Position
	inner map[string]*place
}

func (p *place) member(name string) *place {
	if p.inner == nil {
		p.inner = map[string]*place{}
	}
	if p.inner[name] == nil {
		p.inner[name] = &place{}
	}
	return p.inner[name]
}

// finder walks to places and passes over all else: a name may be as long as its file, and a path for each value below it would
// take the square of that.
type finder struct {
	d     *jsontext.Decoder
	body  []byte
	shift int            // where the text of d begins in body
	here  model.Position // of the last place
	seen  int            // its offset
}

// value reads one value; nothing is wanted in it when p is nil.
func (f *finder) value(p *place) error {
	kind := f.d.PeekKind()
	if p == nil || p.inner == nil || kind != '{' && kind != '[' {
		return f.d.SkipValue()
	}
	if _, err := f.d.ReadToken(); err != nil {
		return err
	}
	for i := 0; f.d.PeekKind() != '}' && f.d.PeekKind() != ']'; i++ {
		from, name := int(f.d.InputOffset())+f.shift, strconv.Itoa(i)
		if kind == '{' {
			token, err := f.d.ReadToken()
			if err != nil {
				return err
			}
			name = token.String()
		}
		member := p.inner[name]
		if member != nil {
			member.at = f.position(from)
		}
		if err := f.value(member); err != nil {
			return err
		}
	}
	_, err := f.d.ReadToken()
	return err
}

// position is where the token behind an offset begins; offsets must not go back.
func (f *finder) position(from int) model.Position {
	from += len(f.body[from:]) - len(bytes.TrimLeft(f.body[from:], " \t\r\n,:"))
	f.here, f.seen = f.here.After(f.body[f.seen:from]), from // of a large file every part is read once
	return f.here
}

// StatedID is the id that a file states, whatever else is in it; "" when its kind states none.
func StatedID(body []byte) string {
	var f struct {
		TemplateID      string `json:"templateId"`
		ApplicationID   string `json:"applicationId"`
		APIMappersSetID string `json:"apiMappersSetId"`
		MapperSetID     string `json:"mapperSetId"`
	}
	if inner, err := Unwrap(body); err != nil || json.Unmarshal(inner, &f) != nil {
		return ""
	}
	return cmp.Or(f.TemplateID, f.ApplicationID, f.APIMappersSetID, f.MapperSetID)
}
