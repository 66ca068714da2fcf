package authzen

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestValues: authzen.md 11.2, row by row: what a JSON value becomes.
func TestValues(t *testing.T) {
	type values = map[string][]string
	for object, want := range map[string]values{
		`{"a":"x"}`:                                   {"a": {"x"}},
		`{"a":""}`:                                    {"a": {""}},
		`{"a":14,"b":1.50,"c":1e3}`:                   {"a": {"14"}, "b": {"1.50"}, "c": {"1e3"}},
		`{"a":12345678901234567890}`:                  {"a": {"12345678901234567890"}},
		`{"a":true,"b":false}`:                        {"a": {"true"}, "b": {"false"}},
		`{"a":null,"b":["x",null,"y"]}`:               {"b": {"x", "y"}},
		`{"a":[]}`:                                    {"a": {}},
		`{"a":[null]}`:                                {"a": {}},
		`{"a":[["x",["y"]],"x",1,true]}`:              {"a": {"x", "y", "1", "true"}},
		`{"geo":{"land":"PT","at":{"x":1,"y":null}}}`: {"geo.land": {"PT"}, "geo.at.x": {"1"}},
		`{"a":{}}`:                                    {},
		`{"a":[{"n":"x"},{"n":["y","x"],"m":2},{}]}`:  {"a.n": {"x", "y"}, "a.m": {"2"}},
		`{"a":["x",{"n":"y"}]}`:                       {"a": {"x"}, "a.n": {"y"}},
		`{"geo.land":"PT","geo":{"land":["ES"]}}`:     {"geo.land": {"PT", "ES"}},
	} {
		got, ok := readValues([]byte(object))
		if diff := cmp.Diff(want, got); diff != "" || !ok {
			t.Errorf("%s: %t %s", object, ok, diff)
		}
	}
}

// TestValuesDecide: authzen.md 11.2 by decisions: bob writes what is sent as archived if, and only if, admin is among the values
// that are sent of his role; soft deletes by the text true.
func TestValuesDecide(t *testing.T) {
	w := newWorld(t)
	for role, want := range map[string]bool{
		`"admin"`: true, `["x","admin"]`: true, `[["admin"]]`: true, `[]`: false, `"Admin"`: false, `[{"n":"admin"}]`: true, `{"n":"admin"}`: true, `[null]`: false, `null`: true,
	} {
		// what leaves no value for role itself takes nothing of the stored one away: bob is an admin
		w.wants(pathEvaluation, `{"subject":{"type":"user","id":"bob","properties":{"role":`+role+`}},"action":{"name":"write"},"resource":{"type":"record","id":"record-2"}}`,
			fmt.Sprintf(`{"decision":%t}`, want))
	}
	for soft, want := range map[string]bool{`true`: true, `"true"`: true, `[false,true]`: true, `false`: false, `1`: false, `{"true":true}`: false} {
		w.wants(pathEvaluation, `{"subject":{"type":"user","id":"alice"},"action":{"name":"delete","properties":{"soft":`+soft+`}},"resource":{"type":"record","id":"record-1"}}`,
			fmt.Sprintf(`{"decision":%t}`, want))
	}
}
