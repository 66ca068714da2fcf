package api

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

// pages are the front page and the pages of the guide.
func pages(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("../*.md")
	if err != nil || len(names) < 5 {
		t.Fatalf("%d pages, error %v", len(names), err)
	}
	out := map[string]string{}
	for _, name := range append(names, "../../README.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = string(text)
	}
	return out
}

// TestLinksLead: every relative link of the guide leads to a file or folder.
func TestLinksLead(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)]+)\)`)
	for name, text := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			target, err := url.PathUnescape(strings.SplitN(m[1], "#", 2)[0])
			if err != nil {
				t.Errorf("%s: %s: %v", name, m[1], err)
			} else if _, err := os.Stat(filepath.Join(filepath.Dir(name), target)); err != nil {
				t.Errorf("%s: %s leads nowhere", name, m[1])
			}
		}
	}
}

// TestIndexIsWhole: the index of the guide names every page, and links into a page lead to a heading.
func TestIndexIsWhole(t *testing.T) {
	all := pages(t)
	anchor := regexp.MustCompile(`\]\(([^):#]*)#([^)]+)\)`)
	for name, text := range all {
		if page := filepath.Base(name); page != "index.md" && page != "README.md" && !strings.Contains(all["../index.md"], "("+page+")") {
			t.Errorf("index.md does not name %s", page)
		}
		for _, m := range anchor.FindAllStringSubmatch(text, -1) {
			page := name
			if m[1] != "" {
				page = filepath.Join(filepath.Dir(name), m[1])
			}
			if _, isPage := all[page]; isPage && !slices.Contains(headings(all[page]), m[2]) {
				t.Errorf("%s: %s#%s: no such heading", name, m[1], m[2])
			}
		}
	}
}

// headings are the anchors of a page, as the usual readers of Markdown make them.
func headings(text string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		kept := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		out = append(out, strings.ReplaceAll(kept, " ", "-"))
	}
	return out
}

// TestPoliciesOfTheGuideCompile: every whole module shown compiles; of the others at least the package line is missing.
func TestPoliciesOfTheGuideCompile(t *testing.T) {
	fence := regexp.MustCompile("(?s)```rego\n(.*?)```")
	whole := 0
	for name, text := range pages(t) {
		for _, m := range fence.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(m[1], "\npackage ") {
				continue
			}
			whole++
			module, err := ast.ParseModuleWithOpts(name, m[1], ast.ParserOptions{RegoVersion: ast.RegoV1})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			compiler := ast.NewCompiler()
			if compiler.Compile(map[string]*ast.Module{name: module}); compiler.Failed() {
				t.Errorf("%s: %v", name, compiler.Errors)
			}
		}
	}
	if whole == 0 {
		t.Error("the guide shows no whole policy")
	}
}
