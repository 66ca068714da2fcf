package runtime

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// RT-115: requests that differ in anything have different keys; the order of members makes no difference, nor do
// credentials.
func TestRequestsHaveKeysOfTheirOwn(t *testing.T) {
	texts := []string{"", "a", "ab", "|", ",", ":", "/", "[", "]", `"`, `","`, "\x00", "\x01", "\x02a", "}", "é"}
	names := []string{"entityId", "entityTypeId", "environment", "entityAttributes", "assetList", "includeIdentity", "remoteIp"}
	same, different := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		text := func() string { return rapid.SampledFrom(texts).Draw(rt, "text") }
		var value func(depth int) any
		value = func(depth int) any {
			switch kind := rapid.IntRange(0, 5).Draw(rt, "kind"); {
			case kind == 0 && depth < 3:
				out := map[string]any{}
				for range rapid.IntRange(0, 3).Draw(rt, "members") {
					out[text()] = value(depth + 1)
				}
				return out
			case kind == 1 && depth < 3:
				out := []any{}
				for range rapid.IntRange(0, 3).Draw(rt, "elements") {
					out = append(out, value(depth+1))
				}
				return out
			case kind == 2:
				return json.Number(rapid.SampledFrom([]string{"1", "1.0", "1e0", "10000000000000000000000001", "10000000000000000000000002"}).Draw(rt, "number"))
			case kind == 3:
				return rapid.Bool().Draw(rt, "bool")
			}
			return text()
		}
		draw := func() map[string]any {
			out := map[string]any{}
			for range rapid.IntRange(0, 2).Draw(rt, "fields") {
				out[rapid.SampledFrom(names).Draw(rt, "name")] = value(0)
			}
			return out
		}
		for range 10 {
			a := draw()
			b := a
			if rapid.Bool().Draw(rt, "another") {
				b = draw()
			}
			one, other := keyOf(rt, "token", a, false), keyOf(rt, "token", b, true)
			if equal := reflect.DeepEqual(a, b); bytes.Equal(one, other) != equal {
				rt.Fatalf("equal: %v\n%q %v\n%q %v", equal, one, a, other, b)
			} else if equal {
				same++
			} else {
				different++
			}
			if bytes.Equal(one, keyOf(rt, "permit-deny", a, false)) {
				rt.Fatal("two endpoints share a key")
			}
		}
	})
	if same == 0 || different == 0 {
		t.Errorf("%d same, %d different: the test says little", same, different)
	}
}

// keyOf reads members as a body and makes its key. Turned writes them, at every depth, in the opposite order and with
// credentials among them.
func keyOf(rt *rapid.T, endpoint string, members map[string]any, turned bool) []byte {
	if turned {
		members = maps.Clone(members)
		maps.Copy(members, map[string]any{"clientId": "c", "clientSecret": "s", "useCache": false})
	}
	f, err := parseBody(spell(members, turned))
	if err != nil {
		rt.Fatal(err)
	}
	return appendRequest(nil, endpoint, f)
}

func spell(v any, turned bool) []byte {
	switch v := v.(type) {
	case map[string]any:
		var names []string
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		if turned {
			slices.Reverse(names)
		}
		out := []byte{'{'}
		for i, name := range names {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(append(out, plainJSON(name)...), ':')
			if turned {
				out = append(out, " \n\t"...)
			}
			out = append(out, spell(v[name], turned)...)
		}
		return append(out, '}')
	case []any:
		out := []byte{'['}
		for i, e := range v {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(out, spell(e, turned)...)
		}
		return append(out, ']')
	}
	return plainJSON(v)
}
