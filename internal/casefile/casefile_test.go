package casefile_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ambit-authz/ambit/internal/casefile"
)

// specRows are the worked cases of policy-model.md 5 that the corpus must hold.
var specRows = map[string]int{"S": 25, "N": 18, "R": 10, "B": 27, "M": 12, "I": 13, "T": 24}

// TestCorpusHoldsEveryWorkedCase: PM-23, PM-25, PM-30, PM-31, PM-33.
func TestCorpusHoldsEveryWorkedCase(t *testing.T) {
	suites, err := casefile.Load(os.DirFS("../../testdata/cases"))
	if err != nil {
		t.Fatal(err)
	}
	have, total := map[string]bool{}, 0
	for _, s := range suites {
		if s.About == "" {
			t.Errorf("%s says nothing about itself", s.Name)
		}
		for _, c := range s.Cases {
			have[strings.TrimRight(strings.Fields(c.ID)[0], "abc")] = true
			total++
		}
	}
	t.Logf("%d files, %d cases", len(suites), total)
	for letter, n := range specRows {
		for i := 1; i <= n; i++ {
			if id := letter + strconv.Itoa(i); !have[id] {
				t.Errorf("no case %s", id)
			}
		}
	}
}

// TestLoadRefuses: a case that would say nothing, or something else than its author meant, is an error.
func TestLoadRefuses(t *testing.T) {
	const world = "-- world --\ndefault: {identity: I, asset: T}\nidentityTemplates: {I: [s STRING]}\n" +
		"assetTemplates: {T: {source: REQUEST, attributes: [s STRING], actions: [Do = do]}}\napplications: {app: [T]}\nscope: [app]\n"
	cases := map[string]string{
		"no cases":           world,
		"unknown section":    world + "-- case --\n",
		"unknown key":        world + "-- cases --\n- {id: a, chek: []}\n",
		"expects nothing":    world + "-- cases --\n- {id: a, identities: [{id: x}]}\n",
		"verdict":            world + "-- cases --\n- {id: a, check: [{asset: {path: x}, action: do, want: PID009}]}\n",
		"policy":             world + "-- cases --\n- {id: a, policies: [{allow: p, who: [all], what: ['asset[\"nope\"] == \"x\"']}], check: [{asset: {path: x}, action: do, want: allowed}]}\n",
		"policy without who": world + "-- cases --\n- {id: a, policies: [{allow: p, what: [all]}], check: [{asset: {path: x}, action: do, want: allowed}]}\n",
		"module":             world + "-- cases --\n- {id: a, policies: [{rego: nope}], check: [{asset: {path: x}, action: do, want: allowed}]}\n",
		"same id":            world + "-- cases --\n- {id: a, check: [{action: do, want: PID003}]}\n- {id: a, check: [{action: do, want: PID003}]}\n",
		"table cells":        world + "-- rules STRING --\na | [x] | _ == \"x\"\n",
		"table result":       world + "-- rules STRING --\na | [x] | _ == \"x\" | maybe\n",
		"world":              "-- world --\nuse: nowhere\n-- cases --\n- {id: a, check: [{action: do, want: PID003}]}\n",
		"nested value":       world + "-- cases --\n- {id: a, identities: [{id: x, attributes: {s: [[a]]}}], check: [{action: do, want: PID003}]}\n",
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			if s, err := casefile.Load(fstest.MapFS{"x.txt": {Data: []byte(text)}}); err == nil {
				t.Errorf("loaded %+v", s)
			}
		})
	}
	if _, err := casefile.Load(fstest.MapFS{"x.txt": {Data: []byte(world + "-- cases --\n- {id: a, check: [{action: do, want: PID003}]}\n")}}); err != nil {
		t.Errorf("the world of the cases above is in order: %v", err)
	}
}
