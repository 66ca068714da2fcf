// Package form reads and writes the exported JSON forms of the objects of an environment (management-api.md 1.1, 1.2), the same in
// calls, in files and in exports: text to model and model to text.
//
// Start at Decode and ParseAssetTemplate. A Parse function checks what it reads and tells all that is wrong at once, as model.Errors
// with JSON pointers; what only the store knows, such as references, is not known here. A Format function writes compact JSON, bare,
// members in the order of its type. An Of function makes the form for who adds members to it, and Model goes back.
package form

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/model"
)

// maxDepth is the nesting that a JSON body may have (management-api.md 1.1 rule 5).
const maxDepth = 64

// Decode reads the exported form of one object, bare or wrapped in "data" (management-api.md 1.2). Names are compared
// exactly, repeated names, trailing data and deep nesting are refused, unknown names are passed over.
func Decode(body []byte, into any) error {
	inner, err := Unwrap(body)
	if err != nil {
		return err
	}
	body = withoutMark(body)
	if err := json.Unmarshal(inner, into); err != nil {
		shift := int64(cap(body) - cap(inner)) // inner is a part of body
		return jsonErrorAt(body, err, shift)
	}
	return nil
}

// withoutMark is a text without the byte order mark that some editors put before it.
func withoutMark(text []byte) []byte { return bytes.TrimPrefix(text, []byte("\ufeff")) }

// Unwrap checks the syntax of the whole body and returns what stands in its member "data", or the body itself, without a mark
// before it. The result shares body's memory.
func Unwrap(body []byte) ([]byte, error) {
	body = withoutMark(body)
	if err := checkSyntax(body); err != nil {
		return nil, jsonError(body, err)
	}
	inner, err := findData(body)
	if err != nil {
		return nil, jsonError(body, err)
	}
	return inner, nil
}

func checkSyntax(body []byte) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(body))
	for {
		if d.StackDepth() > maxDepth {
			return &jsontext.SyntacticError{ByteOffset: d.InputOffset(), Err: errDeep}
		}
		if _, err := d.ReadToken(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if rest := bytes.TrimLeft(body[d.InputOffset():], " \t\r\n"); d.StackDepth() == 0 && len(rest) > 0 {
			return &jsontext.SyntacticError{ByteOffset: int64(len(body) - len(rest)), Err: errTrailing}
		}
	}
}

var (
	errDeep     = fmt.Errorf("is nested deeper than %d levels", maxDepth)
	errTrailing = errors.New("data after the end")
)

// findData looks for the member "data" of a well-formed body. The result shares body's memory.
func findData(body []byte) ([]byte, error) {
	d := jsontext.NewDecoder(bytes.NewBuffer(body))
	if d.PeekKind() != '{' {
		return body, nil
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		isData := name.String() == "data"
		value, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		if isData {
			end := d.InputOffset()
			return body[end-int64(len(value)) : end], nil
		}
	}
	return body, nil
}

func jsonError(body []byte, err error) error { return jsonErrorAt(body, err, 0) }

// jsonErrorAt turns an error of the JSON library into one with line and column. What the library says of Go types is of
// no use to a caller and is left out.
func jsonErrorAt(body []byte, err error, shift int64) error {
	e := &model.Error{Kind: model.KindInvalid, Message: err.Error()}
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		e.Pos = positionOf(body, syntax.ByteOffset+shift)
		e.Message = at(syntax.JSONPointer, syntax.Err.Error())
	} else if meaning, ok := errors.AsType[*json.SemanticError](err); ok {
		e.Pos = positionOf(body, meaning.ByteOffset+shift)
		e.Message = at(meaning.JSONPointer, describe(meaning))
	}
	return model.Errors{e}
}

// at puts the place in front of a message; the pointer of the whole document is empty.
func at(place jsontext.Pointer, message string) string {
	if place == "" {
		return message
	}
	return string(place) + ": " + message
}

func describe(e *json.SemanticError) string {
	if e.JSONKind == 0 {
		return "cannot be read"
	}
	text := kindName(e.JSONKind) + " cannot stand here"
	if wanted := wantedKind(e.GoType); wanted != 0 && wanted != e.JSONKind {
		text += ", wanted is " + kindName(wanted)
	}
	return text
}

// wantedKind is the kind of JSON that a type of a form is read from; 0 when that is not fixed.
func wantedKind(t reflect.Type) jsontext.Kind {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil {
		return 0
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return '{'
	case reflect.Slice:
		return '['
	case reflect.String:
		return '"'
	case reflect.Bool:
		return 't'
	case reflect.Int, reflect.Int64, reflect.Float64:
		return '0'
	}
	return 0
}

func kindName(k jsontext.Kind) string {
	switch k {
	case '{', '}':
		return "an object"
	case '[', ']':
		return "a list"
	case '"':
		return "a text"
	case '0':
		return "a number"
	case 't', 'f':
		return "a boolean"
	}
	return "null"
}

// Pointer is the JSON pointer to an item of a list; the list "" is the whole document.
func Pointer(list string, index int) string {
	if list == "" {
		return fmt.Sprintf("/%d", index)
	}
	return fmt.Sprintf("/%s/%d", list, index)
}

// positionOf is where an offset lies, which may be outside of the body.
func positionOf(body []byte, offset int64) model.Position {
	return model.Position{Line: 1, Column: 1}.After(body[:min(max(offset, 0), int64(len(body)))])
}

// Encode writes the exported form of an object, compact, members in the order of its type. The forms of this package
// have no value that could fail; an error is a defect and shows as invalid JSON in the first test that meets it.
func Encode(v any) []byte {
	out, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return []byte("!" + err.Error())
	}
	return out
}

// Compact removes blanks from free JSON that is kept as imported, so that its layout is not a difference.
func Compact(v jsontext.Value) []byte {
	if v == nil {
		return nil
	}
	out := v.Clone()
	if err := out.Compact(); err != nil {
		return v
	}
	return out
}

// optional gives nil for nil and for what equals zero, else its address.
func optional[T comparable](v, zero T) *T {
	if v == zero {
		return nil
	}
	return &v
}

// OrDefault is what p points to, or otherwise when p is nil.
func OrDefault[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// List makes an empty list of a missing one, so that it is written as [].
func List[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
