package form

import (
	"bytes"
	"cmp"
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
	body = withoutMark(body)
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
