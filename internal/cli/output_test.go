package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestTable(t *testing.T) {
	var out bytes.Buffer
	r := newRows(&out, tableForm, "ID=id NAME=of.name LIST=list COUNT=list.# TIME=at|time")
	for _, page := range []string{
		`[{"id":"a","of":{"name":"short"},"list":["x","y"],"at":1783324800000},{"id":"bb","of":null,"list":[]}]`,
		`[{"id":"much longer","of":{"name":"é"},"list":[{"x":1}]}]`,
		`[{"id":"c","of":{"name":"\u001b[2Jgone\u202e\n"},"list":[1,true]}]`,
	} {
		var list []jsontext.Value
		if err := json.Unmarshal([]byte(page), &list); err != nil {
			t.Fatal(err)
		}
		if err := r.print(list); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	want := `ID  NAME   LIST  COUNT  TIME
a   short  x,y   2      2026-07-06T08:00:00Z
bb  -      -     0      -
much longer  é      [{"x":1}]  1      -
c            �[2Jgone��  1,true     2      -
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

// TestEmptyLists: nothing found is a list too, in every form.
func TestEmptyLists(t *testing.T) {
	for form, want := range map[string]string{tableForm: "ID\n", "json": "[]\n", yamlForm: "[]\n"} {
		var out bytes.Buffer
		if err := newRows(&out, form, "ID=id").end(); err != nil || out.String() != want {
			t.Errorf("%s: %q %v", form, &out, err)
		}
	}
}

func TestLists(t *testing.T) {
	for form, want := range map[string]string{
		"json": "[\n  {\n    \"b\": 1.50,\n    \"a\": \"x\"\n  },\n  {}\n]\n",
		"yaml": "- b: 1.50\n  a: x\n- {}\n",
	} {
		var out bytes.Buffer
		r := newRows(&out, form, "")
		for _, row := range []string{`{"b":1.50,"a":"x"}`, `{}`} {
			if err := r.print([]jsontext.Value{jsontext.Value(row)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.end(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("%s: %s", form, diff)
		}
	}
}

func TestPrintObject(t *testing.T) {
	const object = `{"id":"a","list":["x"],"none":null,"deep":{"n":1e3,"text":"true"}}`
	for form, want := range map[string]string{
		tableForm: "id    a\nlist  x\nnone  -\ndeep  {\"n\":1e3,\"text\":\"true\"}\n",
		yamlForm:  "id: a\nlist:\n  - x\nnone: null\ndeep:\n  n: 1e3\n  text: \"true\"\n",
	} {
		var out bytes.Buffer
		if err := printObject(&out, form, jsontext.Value(object)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("%s: %s", form, diff)
		}
	}
}

// value draws any JSON value.
func value(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kinds := 4
		if depth > 0 {
			kinds = 6
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "true", "1", "~", "2026-07-06", "- x", "a: b", "'", "\n", " x ", "<<", "=", "0x1", "!x", "&x"})).Draw(t, "text")
		case 1:
			return rapid.Float64Range(-1e9, 1e9).Draw(t, "number")
		case 2:
			return rapid.Bool().Draw(t, "bool")
		case 3:
			return nil
		case 4:
			return rapid.SliceOfN(value(depth-1), 0, 3).Draw(t, "list")
		}
		return rapid.MapOfN(rapid.String(), value(depth-1), 0, 3).Draw(t, "object")
	})
}

// TestYAMLReadsBack: what -o yaml prints, -f takes for the same object.
func TestYAMLReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in, err := json.Marshal(map[string]any{"it": value(3).Draw(t, "value")})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := printObject(&out, yamlForm, in); err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		back, _, err := jsonOf(out.Bytes())
		if err != nil {
			t.Fatalf("%s: %v", &out, err)
		}
		var a, b any
		if json.Unmarshal(in, &a) != nil || json.Unmarshal(back, &b) != nil || !cmp.Equal(a, b) {
			t.Fatalf("%s became %s by\n%s", in, back, &out)
		}
	})
}

// TestYAMLAsWritten: the same file makes the same JSON each time, in its order, with its numbers and dates.
func TestYAMLAsWritten(t *testing.T) {
	for text, want := range map[string]string{
		"b: 1\na: 2\nd: 3\nc: 4\n":                       `{"b":1,"a":2,"d":3,"c":4}`,
		"[1.50, 12345678901234567890123, 0x10, .5, 1e3]": `[1.50,12345678901234567890123,16,0.5,1e3]`,
		"from: 2026-01-02\nat: 2026-01-02T03:04:05Z\n":   `{"from":"2026-01-02","at":"2026-01-02T03:04:05Z"}`,
		"x: &a {b: [~, yes, true, 'true', ''], a: 1}\ny: *a\nz: {<<: *a, a: 2}": `{"x":{"b":[null,"yes",true,"true",""],"a":1},"y":{"b":[null,"yes",true,"true",""],"a":1},` +
			`"z":{"a":2,"b":[null,"yes",true,"true",""]}}`,
		"1: a\n~: b\n": `{"1":"a","~":"b"}`,
		"# nothing\n":  "it is empty",
		"a: 1\n---\n":  "it has more than one document",
		"a: &a [*a]":   "anchor 'a' value contains itself",
		"a: 1\na: 2":   `mapping key "a" already defined`,
		"1: a\n'1': b": `mapping key "1" already defined`,
	} {
		got, _, err := jsonOf([]byte(text))
		if err != nil {
			got = []byte(err.Error())
		}
		if fits := string(got) == want || err != nil && strings.Contains(err.Error(), want); !fits {
			t.Errorf("%q is %s, not %s", text, got, want)
		}
	}
}

// TestQuotedForShells lets a shell read the lines that a new secret is printed as.
func TestQuotedForShells(t *testing.T) {
	for _, text := range []string{"ambit_aZ09", "it's", "$(touch /tmp/x)", "`x`", "a b;c", `\`, "é", "-n"} {
		line := "V=" + quoted(text) + "\nprintf %s \"$V\"\n"
		got, err := exec.Command("sh", "-c", line).Output()
		if err != nil || string(got) != text {
			t.Errorf("%q is read as %q, %v", text, got, err)
		}
	}
}

func TestUngroup(t *testing.T) {
	got, err := ungroup([]jsontext.Value{[]byte(`{"ws":"1","items":[{"id":"a"},{"id":"b","ws":"own"}]}`), []byte(`{"ws":"2","items":[]}`)}, "items")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`[{"id":"a","ws":"1"} {"id":"b","ws":"own"}]`, fmt.Sprint(got)); diff != "" {
		t.Error(diff)
	}
}

func TestConfirm(t *testing.T) {
	o := &operation{node: parserFor(t).Model.Node, remote: &remote{Environment: "e"}}
	for answer, want := range map[string]bool{"y\n": true, "YES\n": true, "\n": false, "": false, "n\n": false, "yo\n": false} {
		if err := confirm(Streams{In: strings.NewReader(answer), Err: io.Discard}, o); (err == nil) != want {
			t.Errorf("%q: %v", answer, err)
		}
	}
}

func TestInstant(t *testing.T) {
	var i instant
	for text, want := range map[string]string{"2026-07-06T10:00:00+02:00": "1783324800000", "2026-07-06": "1783296000000"} {
		if err := i.UnmarshalText([]byte(text)); err != nil || i.String() != want {
			t.Errorf("%s: %s, %v", text, i, err)
		}
	}
	for text, want := range map[string]time.Duration{"90m": 90 * time.Minute, "2d": 48 * time.Hour} {
		if err := i.UnmarshalText([]byte(text)); err != nil || time.Since(i.at).Round(2*time.Hour) != want.Round(2*time.Hour) {
			t.Errorf("%s: %v, %v", text, i.at, err)
		}
	}
	for _, text := range []string{"", "-1h", "yesterday", "d", "-3d", "12"} {
		if err := i.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for %v", text, i.at)
		}
	}
}
