package bank

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadme: the page beside the environment names every policy, asset type and identity template, and nothing that is gone.
func TestReadme(t *testing.T) {
	raw, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	page, policies := string(raw), 0
	for pattern, form := range map[string]string{
		"authorization-workspaces/*/policies/*.rego":      "| [%s](",
		"authorization-workspaces/*/asset-types/*.json":   "`%s`",
		"identity-workspaces/*/identity-templates/*.json": "`%s`",
	} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, ".rego") {
				policies++
			}
			id, _, _ := strings.Cut(filepath.Base(name), ".")
			if !strings.Contains(page, strings.Replace(form, "%s", id, 1)) {
				t.Errorf("%s is not on the page", name)
			}
		}
	}
	if rows := strings.Count(page, ".rego) |"); policies == 0 || rows != policies {
		t.Errorf("%d policies, %d on the page", policies, rows)
	}
	for link := range strings.SplitSeq(page, "](") {
		target, _, _ := strings.Cut(link, ")")
		if link == page || strings.HasPrefix(link, "# ") {
			continue
		}
		if _, err := os.Stat(strings.ReplaceAll(target, "%20", " ")); err != nil {
			t.Errorf("a link leads nowhere: %v", err)
		}
	}
}
