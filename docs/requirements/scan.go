package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// name is a test: a function, or a file when it is outside of one.
type name struct{ folder, test string }

// skipped are folders without tests of the product, and this one, whose tests hold ids as examples.
var skipped = []string{".git", ".tools", "bin", "dist", "node_modules", "docs/requirements"}

// scan finds the ids that tests name, each with its tests in order.
func scan(root fs.FS) (map[string][]name, error) {
	found := map[string][]name{}
	err := fs.WalkDir(root, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains(skipped, file) {
				return fs.SkipDir
			}
			return nil
		}
		isTest, isData := strings.HasSuffix(file, "_test.go"), strings.Contains("/"+file, "/testdata/")
		if !isTest && !isData || strings.Contains(file, "/testdata/fuzz/") || strings.Contains(file, "/testdata/rapid/") {
			return nil
		}
		text, err := fs.ReadFile(root, file)
		if err != nil {
			return err
		}
		add := func(test string, ids []string) {
			for _, id := range ids {
				found[id] = append(found[id], name{path.Dir(file), test})
			}
		}
		if isTest {
			return scanGo(file, text, add)
		}
		add(path.Base(file), ids(string(text)))
		return nil
	})
	for id, names := range found {
		slices.SortFunc(names, func(a, b name) int { return cmp.Or(cmp.Compare(a.folder, b.folder), cmp.Compare(a.test, b.test)) })
		found[id] = slices.Compact(names)
	}
	return found, err
}

// scanGo reads comments and string literals. What stands in or directly above a test function is that test's; the rest is
// the file's.
func scanGo(file string, text []byte, add func(test string, ids []string)) error {
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	testAt := func(at token.Pos) string {
		for _, d := range parsed.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !isTestName(f.Name.Name) {
				continue
			}
			start := f.Pos()
			if f.Doc != nil {
				start = f.Doc.Pos()
			}
			if at >= start && at < f.End() {
				return f.Name.Name
			}
		}
		return path.Base(file)
	}
	for _, group := range parsed.Comments {
		add(testAt(group.Pos()), ids(group.Text()))
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if value, err := strconv.Unquote(literal.Value); err == nil {
				add(testAt(literal.Pos()), ids(value))
			}
		}
		return true
	})
	return nil
}

func isTestName(s string) bool {
	for _, prefix := range []string{"Test", "Fuzz", "Benchmark", "Example"} {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

var (
	idForm    = regexp.MustCompile(`\b(PM|RT|MG)-([1-9][0-9]*)\b`)
	rangeForm = regexp.MustCompile(`^\s*(?:to|through|\.\.\.?|…|–|-)\s*(PM|RT|MG)-([1-9][0-9]*)\b|^(?:\.\.\.?|…|–)()([1-9][0-9]*)\b`)
)

// AuthZEN's ids: those of the certification, and Ambit's own. A range is of the last number.
var (
	plainForm      = regexp.MustCompile(`\b(c-[2-6]-(?:[1-9]-)?|az-)([0-9]{1,2})\b`)
	plainRangeForm = regexp.MustCompile(`^\s*to\s+(c-[2-6]-(?:[1-9]-)?|az-)([0-9]{1,2})\b`)
)

func isPlain(id string) bool { return plainForm.FindString(id) == id }

// plainIDs lists the requirements of AuthZEN that a text names.
func plainIDs(text string) []string {
	var out []string
	for _, at := range plainForm.FindAllStringSubmatchIndex(text, -1) {
		prefix, number := text[at[2]:at[3]], text[at[4]:at[5]]
		first, _ := strconv.Atoi(number)
		last := first
		if m := plainRangeForm.FindStringSubmatch(text[at[1]:]); m != nil && m[1] == prefix {
			last, _ = strconv.Atoi(m[2])
		}
		out = append(out, prefix+number)
		for n := first + 1; n <= last; n++ {
			out = append(out, fmt.Sprintf("%s%0*d", prefix, len(number), n))
		}
	}
	return out
}

// ids lists the requirements that a text names, the inner ones of ranges such as "RT-1 to RT-4" or "RT-1..4" included.
// Error codes such as RT-087 are none.
func ids(text string) []string {
	var out []string
	for _, at := range idForm.FindAllStringSubmatchIndex(text, -1) {
		prefix := text[at[2]:at[3]]
		first, _ := strconv.Atoi(text[at[4]:at[5]]) // a number that is too large is in no list
		last := first
		if m := rangeForm.FindStringSubmatch(text[at[1]:]); m != nil && (m[1] == prefix || m[2] == "" && m[1] == "") {
			if n, err := strconv.Atoi(m[2] + m[4]); err == nil && n > first && n < first+1000 {
				last = n
			}
		}
		for n := first; n <= last; n++ {
			out = append(out, prefix+"-"+strconv.Itoa(n))
		}
	}
	out = append(out, plainIDs(text)...)
	slices.Sort(out)
	return slices.Compact(out)
}
