// Command requirements writes docs/requirements.md: every numbered requirement of the specifications with the tests that
// name it. Run it from the root of the repository, as make generate does.
//
// Start at page. A test names a requirement in its comments, in the names of its cases or in the files under testdata;
// ranges are understood. A number that no list has is an error, so that a slip of the pen is not a covered requirement.
package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

const target = "docs/requirements.md"

func main() {
	text, err := page(os.DirFS("."))
	if err == nil {
		err = os.WriteFile(target, text, 0o644) //nolint:gosec // a page for everybody
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "requirements:", err)
		os.Exit(1)
	}
}

// list is the checklist at the end of one specification. Without a prefix the ids are as the specification has them.
type list struct{ prefix, file, title string }

var lists = []list{
	{"PM", "docs/requirements/pm.txt", "Policy model (policy-model.md)"},
	{"RT", "docs/requirements/rt.txt", "Runtime API (runtime-api.md)"},
	{"MG", "docs/requirements/mg.txt", "Management API (management-api.md)"},
	{"", "docs/requirements/az.txt", "AuthZEN (authzen.md)"},
}

// requirement is one row of a checklist.
type requirement struct {
	id   string
	text string
}

const preface = `# Requirements and the tests that name them

Made by ` + "`make generate`" + `; do not edit. The numbered requirements are the checklists at the end of the specifications. A test names
the ids that it is about; one that is named may still be covered in part only, and what is not offered yet is sometimes named by the test
that it is refused: [compatibility.md](compatibility.md) says what works today. "—" = no test names it.
`

// page makes the whole page of the repository under root.
func page(root fs.FS) ([]byte, error) {
	found, err := scan(root)
	if err != nil {
		return nil, err
	}
	var summary, tables bytes.Buffer
	summary.WriteString("\n| list | requirements | named by tests |\n| --- | --- | --- |\n")
	for _, l := range lists {
		rows, err := l.read(root)
		if err != nil {
			return nil, err
		}
		named := 0
		fmt.Fprintf(&tables, "\n## %s\n\n| id | requirement | tests |\n| --- | --- | --- |\n", l.title)
		for _, r := range rows {
			tests := "—"
			if names := found[r.id]; len(names) > 0 {
				named++
				tests = brief(names)
			}
			delete(found, r.id)
			fmt.Fprintf(&tables, "| %s | %s | %s |\n", r.id, strings.ReplaceAll(r.text, "|", `\|`), tests)
		}
		fmt.Fprintf(&summary, "| %s | %d | %d |\n", l.title, len(rows), named)
	}
	for id, names := range found {
		return nil, fmt.Errorf("%s is in no list and named by %s", id, brief(names))
	}
	return slices.Concat([]byte(preface), summary.Bytes(), tables.Bytes()), nil
}

// read reads a list: lines of id and text, numbered from 1 without gaps, or each with an id that a test can name.
func (l list) read(root fs.FS) ([]requirement, error) {
	text, err := fs.ReadFile(root, l.file)
	if err != nil {
		return nil, err
	}
	var out []requirement
	for line := range strings.Lines(string(text)) {
		id, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		if l.prefix == "" {
			known := slices.ContainsFunc(out, func(r requirement) bool { return r.id == id })
			if !isPlain(id) || text == "" || known {
				return nil, fmt.Errorf("%s:%d: an id of its own and its text are expected", l.file, len(out)+1)
			}
			out = append(out, requirement{id: id, text: text})
			continue
		}
		if want := fmt.Sprintf("%s-%d", l.prefix, len(out)+1); id != want || text == "" {
			return nil, fmt.Errorf("%s:%d: %s and its text are expected", l.file, len(out)+1, want)
		}
		out = append(out, requirement{id: id, text: text})
	}
	return out, nil
}

// brief lists test names by folder, each folder once.
func brief(names []name) string {
	var parts []string
	folder := ""
	for _, n := range names {
		if n.folder != folder || len(parts) == 0 {
			folder = n.folder
			parts = append(parts, "`"+n.folder+"`: "+n.test)
			continue
		}
		parts[len(parts)-1] += ", " + n.test
	}
	return strings.Join(parts, "; ")
}
