package form

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/model"
)

// Patch applies a JSON merge patch (RFC 7396) to a document.
func Patch(document, patch []byte) ([]byte, error) {
	var change any
	if err := Decode(patch, &change); err != nil {
		return nil, err
	}
	if _, ok := change.(map[string]any); !ok {
		return nil, model.Invalidf("a merge patch of an object is an object")
	}
	var target any
	if err := json.Unmarshal(document, &target); err != nil {
		return nil, fmt.Errorf("merge patch: %w", err)
	}
	return json.Marshal(merge(target, change), jsontext.EscapeForHTML(false))
}

func merge(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	object, ok := target.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	for name, value := range changes {
		if value == nil {
			delete(object, name)
		} else {
			object[name] = merge(object[name], value)
		}
	}
	return object
}
