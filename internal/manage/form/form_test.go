package form_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
)

// management-api.md 1.1 and 1.2: a body is bare or wrapped in "data", and what is wrong with it is told with its place.
func TestDecode(t *testing.T) {
	type object struct {
		Name string   `json:"name"`
		List []string `json:"list"`
	}
	deep := strings.Repeat("[", 65) + strings.Repeat("]", 65)
	for body, want := range map[string]string{
		`{"name":"n"}`:                        "",
		`{"data":{"name":"n"}}`:               "",
		`{"x":[1],"data":{"name":"n"},"y":2}`: "",
		"\ufeff{\"name\":\"n\",\"more\":1}":   "",
		"\ufeff\ufeff{}":                      "1:1: ",
		"{\n \"name\":\"n\"} x":               "2:14: ",
		`{"name":"a","name":"b"}`:             "1:13: ",
		`{"name":1}`:                          "1:9: /name: a number cannot stand here",
		`{"Ü":1,"data": {"list":[{}]}}`:       "1:25: /list/0: an object cannot stand here, wanted is a text",
		`{"name":` + deep + `}`:               "is nested deeper than 64 levels",
		`{"data":{"name":"n"}`:                "1:",
	} {
		var o object
		err := form.Decode([]byte(body), &o)
		if want == "" {
			if err != nil || o.Name != "n" {
				t.Errorf("%s: %+v %v", body, o, err)
			}
			continue
		}
		e, ok := errors.AsType[*model.Error](err)
		if !ok || e.Kind != model.KindInvalid || !strings.Contains(e.Text(), want) {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
}

// RFC 7396: null takes away, objects are merged, everything else is replaced; a patch is an object.
func TestPatch(t *testing.T) {
	got, err := form.Patch([]byte(`{"a":1,"b":{"c":2,"d":3},"e":[1,2]}`), []byte(`{"a":null,"b":{"c":null,"f":4},"e":[3]}`))
	var merged map[string]any
	if err != nil || form.Decode(got, &merged) != nil {
		t.Fatalf("%s %v", got, err)
	}
	if text := string(form.Encode(merged)); text != `{"b":{"d":3,"f":4},"e":[3]}` {
		t.Error(text)
	}
	if _, err := form.Patch([]byte(`{}`), []byte(`[]`)); model.KindOf(err) != model.KindInvalid {
		t.Error(err)
	}
}
