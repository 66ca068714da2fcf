package archtest

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// foreign reports whether an import is neither of Ambit nor of the standard library.
func foreign(path string) bool {
	host, _, _ := strings.Cut(path, "/")
	return strings.Contains(host, ".") && path != module && !strings.HasPrefix(path, module+"/")
}

// TestDependenciesAreExplained: docs/dependencies.md says of every module that go.mod asks for why it is worth having, names no
// other, and a module that is there for tests is in no product code.
func TestDependenciesAreExplained(t *testing.T) {
	page, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	head, tests, divided := strings.Cut(string(page), "\n## In tests only\n")
	tests, _, ended := strings.Cut(tests, "\n## ")
	if !divided || !ended {
		t.Fatal("docs/dependencies.md has no part on tests")
	}
	product, onlyTests := modulesOf(head), modulesOf(tests)
	direct, all := required(t)
	named := slices.Concat(product, onlyTests)
	for _, m := range direct {
		if !slices.Contains(named, m) {
			t.Errorf("docs/dependencies.md does not say why %s is there", m)
		}
	}
	for _, m := range named {
		if !slices.Contains(all, m) {
			t.Errorf("docs/dependencies.md names %s, which go.mod does not", m)
		}
	}
	for _, p := range list(t) {
		if slices.Contains(testOnly, strings.TrimPrefix(p.ImportPath, module+"/")) {
			continue
		}
		for _, path := range p.Imports {
			within := func(m string) bool { return path == m || strings.HasPrefix(path, m+"/") }
			if foreign(path) && !slices.ContainsFunc(product, within) {
				t.Errorf("%s imports %s, which docs/dependencies.md does not list for the product", p.ImportPath, path)
			}
		}
	}
}

var moduleName = regexp.MustCompile("`([a-z.]+\\.[a-z]+/[^` ]+)`")

// modulesOf are the modules that the first cells of the tables name.
func modulesOf(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if cell, found := strings.CutPrefix(line, "| "); found {
			cell, _, _ = strings.Cut(cell, " | ")
			for _, m := range moduleName.FindAllStringSubmatch(cell, -1) {
				out = append(out, m[1])
			}
		}
	}
	return out
}

// required are the modules of go.mod, those that Ambit asks for itself and all.
func required(t *testing.T) (direct, all []string) {
	t.Helper()
	text, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		m, version, found := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "require "), " v")
		if !found || !foreign(m) {
			continue
		}
		all = append(all, m)
		if !strings.Contains(version, "// indirect") {
			direct = append(direct, m)
		}
	}
	if len(direct) < 5 {
		t.Fatalf("go.mod: found %d modules only", len(direct))
	}
	return direct, all
}
