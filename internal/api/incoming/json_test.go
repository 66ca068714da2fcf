package incoming

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

// member is a member of an object, or an element of an array with its name empty.
type member struct{ name, value string }

// walked are the parts of an array or object as Elements and Members give them.
func walked(v jsontext.Value) (out []member) {
	if v.Kind() == jsontext.KindBeginArray {
		for e := range Elements(v) {
			out = append(out, member{"", string(e)})
		}
		return out
	}
	for name, e := range Members(v) {
		out = append(out, member{name, string(e)})
	}
	return out
}

// decoded are the parts as the JSON library gives them.
func decoded(t *testing.T, v jsontext.Value) (out []member) {
	dec := jsontext.NewDecoder(bytes.NewReader(v), jsontext.AllowDuplicateNames(true))
	_, err := dec.ReadToken()
	for err == nil && dec.PeekKind() != jsontext.KindEndArray && dec.PeekKind() != jsontext.KindEndObject {
		var m member
		if v.Kind() == jsontext.KindBeginObject {
			var name jsontext.Token
			if name, err = dec.ReadToken(); err != nil {
				break
			}
			m.name = name.String()
		}
		var value jsontext.Value
		if value, err = dec.ReadValue(); v.Kind() == jsontext.KindBeginArray || value.Kind() != jsontext.KindNull {
			m.value = string(value)
			out = append(out, m)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// FuzzWalk is RT-7, RT-14: the parts of a body are those that the JSON library finds; of a text that is no JSON the walk finds an end.
func FuzzWalk(f *testing.F) {
	for _, text := range []string{
		`{}`, `[]`, ` [ ] `, `{"a":null,"b":[1,-2.5e+3,1E9,"x"],"c":{"d":{"e":[[],[{}]]}}}`, "\t{ \"a\\\"b\" :\r\n true , \"\\u00e9\\\\\" : false }",
		`["\\","\"","]","}",{"]":"["},null,null]`, `{"a":{"b":"}"},"a":"again"}`, `[1,[2,[3,[4]]],"é"]`, `["\`, `{"a`, `{"a":`, `[}`, `[1 2]`, `{,}`, `[:`, `"`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v := jsontext.Value(bytes.TrimSpace(text))
		got := walked(v)
		if kind := v.Kind(); !v.IsValid(jsontext.AllowDuplicateNames(true)) || kind != jsontext.KindBeginArray && kind != jsontext.KindBeginObject {
			return
		}
		if diff := cmp.Diff(decoded(t, v), got, cmp.AllowUnexported(member{})); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	})
}
