// Package archtest keeps the architecture: which package of Ambit may import which. A package that is not in the table
// is an error, so a new room is a decision and never an accident.
//
// Start at rooms. The package holds tests only and is imported by nothing.
package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ambit-authz/ambit"

// rooms lists every package with the packages of Ambit that its product code may import. A pattern ending in "/..."
// stands for everything below. Tests may import more: they need stores and models to test against.
var rooms = map[string][]string{
	"internal/model":           {},
	"internal/rego":            {"internal/model"},
	"internal/casefile":        {"internal/model", "internal/rego"},
	"internal/engine":          {"internal/model", "internal/engine/index"},
	"internal/engine/index":    {},
	"internal/engine/sqltext":  {"internal/model", "internal/engine"},
	"internal/identity":        {"internal/model"},
	"internal/store":           {"internal/model"},
	"internal/store/storetest": {"internal/model", "internal/store"},
	"internal/store/sqlite":    {"internal/model", "internal/store"},
	"internal/audit":           {"internal/model"},
	"internal/token":           {"internal/model"},
	"internal/policytest":      {"internal/model", "internal/engine"},
	"internal/decide":          {"internal/model", "internal/engine", "internal/engine/sqltext", "internal/identity", "internal/store", "internal/audit", "internal/token"},
	"internal/manage":          {"internal/model", "internal/rego", "internal/engine", "internal/store", "internal/token", "internal/manage/archive", "internal/manage/bulk", "internal/manage/form"},
	"internal/manage/archive":  {"internal/model"},
	"internal/manage/bulk":     {"internal/model"},
	"internal/manage/form":     {"internal/model"},
	"internal/api/problem":     {"internal/model"},
	"internal/api/incoming":    {"internal/model", "internal/decide"},
	"internal/api/runtime":     {"internal/model", "internal/decide", "internal/engine", "internal/engine/sqltext", "internal/api/problem", "internal/api/incoming"},
	"internal/api/authzen":     {"internal/model", "internal/decide", "internal/api/problem", "internal/api/incoming"},
	"internal/api/manage":      {"internal/model", "internal/manage", "internal/manage/archive", "internal/manage/bulk", "internal/manage/form", "internal/api/problem"},
	"internal/api/reference":   {},
	"internal/api/apitest":     {"docs/api"},
	"internal/authzencheck":    {},
	"internal/server":          {},
	"internal/config":          {},
	"internal/app":             {"internal/...", "docs/api"},
	"internal/cli":             {"internal/app", "internal/authzencheck", "internal/config", "internal/model", "internal/policytest", "examples/bank", "docs/api"},
	"internal/archtest":        {},
	"internal/agree":           {}, // tests only: they ask every handler about one environment
	"internal/pgtest":          {},
	"cmd/ambit":                {"internal/cli"},
	"examples/bank":            {"internal/model"},
	"docs/api":                 {},
	"docs/requirements":        {},
	"e2e":                      {},
	"client":                   {},
}

// testOnly are rooms that product code never imports.
var testOnly = []string{"internal/archtest", "internal/agree", "internal/casefile", "internal/store/storetest", "internal/api/apitest", "internal/pgtest", "e2e"}

// Package is the part of `go list -json` that the tests read.
type Package struct {
	ImportPath string
	Dir        string
	Imports    []string
	GoFiles    []string
}

// TestImports fails on a package without a row, on an import that the package's row does not allow, and on a permission
// that nothing uses: it would let in what nobody decided.
func TestImports(t *testing.T) {
	for _, p := range list(t) {
		room := strings.TrimPrefix(p.ImportPath, module+"/")
		allowed, known := rooms[room]
		if !known {
			t.Errorf("%s is not in the table of rooms: add a row, here and in the architecture", room)
			continue
		}
		for _, problem := range check(room, allowed, p.Imports) {
			t.Error(problem)
		}
		for _, pattern := range allowed {
			if !slices.ContainsFunc(p.Imports, func(path string) bool { return matches(pattern, strings.TrimPrefix(path, module+"/")) }) {
				t.Errorf("%s does not import %s any more: take it out of its row", room, pattern)
			}
		}
	}
}

// TestCheckCanFail feeds the check with what it has to refuse.
func TestCheckCanFail(t *testing.T) {
	cases := []struct {
		name, room string
		imports    []string
		problems   int
	}{
		{"allowed", "internal/rego", []string{"fmt", module + "/internal/model"}, 0},
		{"forbidden", "internal/model", []string{module + "/internal/store"}, 1},
		{"below a pattern", "internal/app", []string{module + "/internal/api/manage"}, 0},
		{"test room", "internal/app", []string{module + "/internal/store/storetest"}, 1},
		{"prefix is not a parent", "internal/engine", []string{module + "/internal/engineering"}, 1},
		{"foreign", "internal/model", []string{"github.com/google/go-cmp/cmp"}, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := check(c.room, rooms[c.room], c.imports); len(got) != c.problems {
				t.Errorf("got %q, want %d problems", got, c.problems)
			}
		})
	}
}

// TestMainIsSmall keeps the program's entry a matter of one screen: everything that needs a test lives elsewhere.
func TestMainIsSmall(t *testing.T) {
	for _, p := range list(t) {
		if p.ImportPath != module+"/cmd/ambit" {
			continue
		}
		lines := 0
		for _, f := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, f))
			if err != nil {
				t.Fatal(err)
			}
			lines += bytes.Count(text, []byte("\n"))
		}
		if lines == 0 || lines >= 80 {
			t.Errorf("cmd/ambit has %d lines, want 1 to 79", lines)
		}
		return
	}
	t.Error("cmd/ambit is missing")
}

func check(room string, allowed, imports []string) []string {
	var problems []string
	for _, path := range imports {
		target, ours := strings.CutPrefix(path, module+"/")
		if !ours {
			continue
		}
		if slices.Contains(testOnly, target) {
			problems = append(problems, room+" imports "+target+", which is for tests only")
		} else if !slices.ContainsFunc(allowed, func(pattern string) bool { return matches(pattern, target) }) {
			problems = append(problems, room+" must not import "+target)
		}
	}
	return problems
}

func matches(pattern, target string) bool {
	if below, ok := strings.CutSuffix(pattern, "..."); ok {
		return strings.HasPrefix(target, below)
	}
	return pattern == target
}

func list(t *testing.T) []Package {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Imports,GoFiles", module+"/...")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &complaint)
	}
	var packages []Package
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p Package
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 5 {
		t.Fatalf("go list found %d packages only", len(packages))
	}
	return packages
}

// TestClientStandsAlone: who builds a program with the client takes nothing else into it.
func TestClientStandsAlone(t *testing.T) {
	found := false
	for _, p := range list(t) {
		if p.ImportPath != module+"/client" {
			continue
		}
		found = true
		for _, path := range p.Imports {
			if foreign(path) || strings.HasPrefix(path, module) {
				t.Errorf("client imports %s, and may import the standard library only", path)
			}
		}
	}
	if !found {
		t.Error("client is missing")
	}
}
