package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// TestPageIsUpToDate fails when a test that names a requirement came, went or was renamed since make generate ran.
func TestPageIsUpToDate(t *testing.T) {
	root := os.DirFS("../..")
	want, err := page(root)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../requirements.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is stale: run make generate (-is +should be)\n%s", target, cmp.Diff(strings.Split(string(got), "\n"), strings.Split(string(want), "\n")))
	}
}

func TestIDs(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "",
		"RT-5":                             "RT-5",
		"RT-5, RT-6; PM-1.":                "PM-1 RT-5 RT-6",
		"RT-5, RT-6 to RT-8":               "RT-5 RT-6 RT-7 RT-8",
		"PM-19 to\nPM-21, PM-30":           "PM-19 PM-20 PM-21 PM-30",
		"MG-1..MG-3 MG-5..6 MG-8–MG-9":     "MG-1 MG-2 MG-3 MG-5 MG-6 MG-8 MG-9",
		"MG-1–3":                           "MG-1 MG-2 MG-3",
		"RT-7 - RT-8":                      "RT-7 RT-8",
		"RT-087 XRT-1 MGT-017 V-032 RG-12": "",
		"RT-57 to 14 hours, RT-57 -14.0":   "RT-57",
		"RT-3 to PM-5":                     "PM-5 RT-3",
		"RT-9 to RT-2":                     "RT-2 RT-9",
		"c-2-2-1 to c-2-2-3, c-5-1, az-09 to az-11":                         "az-09 az-10 az-11 c-2-2-1 c-2-2-2 c-2-2-3 c-5-1",
		"c-2-2-8 to c-2-3-1, c-2-6, acc-2-1, abc-2-1 c-7-1 c-2 az-1x az-9.": "az-9 c-2-2-8 c-2-3-1 c-2-6",
	} {
		if got := strings.Join(ids(text), " "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

const sample = `package p

// For all: RT-1.
var x = "RT-2"

// TestA: az-01, RT-3,
// RT-4 to
// RT-5.
func TestA(t *testing.T) { t.Run("RT-6 case", nil) /* PM-1 */ }

// helper serves RT-7.
func helper() string { return ` + "`RT-8`" + ` }
`

func sampleTree(tests string) fstest.MapFS {
	numbered := func(prefix string, n int) *fstest.MapFile {
		var b strings.Builder
		for i := 1; i <= n; i++ {
			b.WriteString(prefix + "-" + string(rune('0'+i)) + " does `a|b`\n")
		}
		return &fstest.MapFile{Data: []byte(b.String())}
	}
	return fstest.MapFS{
		"docs/requirements/pm.txt": numbered("PM", 2), "docs/requirements/rt.txt": numbered("RT", 9), "docs/requirements/mg.txt": numbered("MG", 1),
		"docs/requirements/az.txt": {Data: []byte("c-2-2-1 asks\naz-01 asks, too\n")},
		"a/p_test.go":              {Data: []byte(tests)}, "a/p.go": {Data: []byte("package p // RT-9 in product code\n")},
		"a/testdata/x.txt": {Data: []byte("about RT-6")}, "docs/requirements/main_test.go": {Data: []byte("not Go, RT-9")},
	}
}

func TestPage(t *testing.T) {
	text, err := page(sampleTree(sample))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"| Runtime API (runtime-api.md) | 9 | 8 |", "| Management API (management-api.md) | 1 | 0 |",
		"| RT-1 | does `a\\|b` | `a`: p_test.go |", "| RT-2 | does `a\\|b` | `a`: p_test.go |", "| RT-4 | does `a\\|b` | `a`: TestA |",
		"| RT-6 | does `a\\|b` | `a`: TestA; `a/testdata`: x.txt |", "| RT-8 | does `a\\|b` | `a`: p_test.go |",
		"| az-01 | asks, too | `a`: TestA |", "| c-2-2-1 | asks | — |", "| AuthZEN (authzen.md) | 2 | 1 |",
		"| RT-9 | does `a\\|b` | — |", "| PM-1 | does `a\\|b` | `a`: TestA |",
	} {
		if !strings.Contains(string(text), line+"\n") {
			t.Errorf("no line %s in\n%s", line, text)
		}
	}
}

func TestPageRefuses(t *testing.T) {
	gap := sampleTree(sample)
	gap["docs/requirements/mg.txt"] = &fstest.MapFile{Data: []byte("MG-1 one\nMG-3 three\n")}
	twice := sampleTree(sample)
	twice["docs/requirements/az.txt"] = &fstest.MapFile{Data: []byte("az-01 one\naz-01 two\n")}
	missing := sampleTree(sample)
	delete(missing, "docs/requirements/rt.txt")
	for name, tree := range map[string]fstest.MapFS{
		"unknown id": sampleTree(sample + "// TestB: MG-2\nfunc TestB() {}\n"), "gap in a list": gap, "id twice in a list": twice, "no list": missing, "no Go": sampleTree("package"),
	} {
		if text, err := page(tree); err == nil {
			t.Errorf("%s: made %s", name, text)
		}
	}
}
