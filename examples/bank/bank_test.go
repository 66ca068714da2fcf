package bank

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	json "github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/ambit-authz/ambit/internal/model"
)

// glob lists the files of the environment that match, at least one.
func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := fs.Glob(Files(), pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %d files, error %v", pattern, len(names), err)
	}
	return names
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := fs.ReadFile(Files(), name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func regoFiles(t *testing.T) []string {
	return append(glob(t, "authorization-workspaces/*/policies/*.rego"), glob(t, "authorization-workspaces/*/building-blocks.rego")...)
}

// TestLayout holds the embedded names against management-api.md 21.1.
func TestLayout(t *testing.T) {
	patterns := []string{
		"authorization-workspaces/*/applications/*.json", "authorization-workspaces/*/asset-types/*.json",
		"authorization-workspaces/*/policies/*.rego", "authorization-workspaces/*/building-blocks.rego",
		"authorization-workspaces/*/request-attributes.json", "authorization-workspaces/*/api-mapper-sets/*.json", "identity-workspaces/*/identity-templates/*.json",
		"environment/custom-policy-attributes.json", "environment/scopes.json", "environment/policy-states.json",
	}
	err := fs.WalkDir(Files(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if strings.HasSuffix(name, ".test.yaml") {
			return nil // of ambit test, beside the policies
		}
		if !slices.ContainsFunc(patterns, func(p string) bool { ok, _ := path.Match(p, name); return ok }) {
			t.Errorf("%s is no file of the layout", name)
		}
		if text := read(t, name); bytes.HasSuffix(text, []byte("\n")) || bytes.Contains(text, []byte("\r")) {
			t.Errorf("%s: exports end without a newline and have LF only", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range patterns {
		glob(t, p)
	}
}

// TestOPACompilesEveryModule: every exported module is valid Rego v1 and compiles (policy-model.md section 6).
func TestOPACompilesEveryModule(t *testing.T) {
	for _, name := range regoFiles(t) {
		module, err := ast.ParseModuleWithOpts(name, string(read(t, name)), ast.ParserOptions{RegoVersion: ast.RegoV1, ProcessAnnotation: true})
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

// TestPolicyFilesAreNamedByID: the file name is the policy's id, and the inactive ones exist.
func TestPolicyFilesAreNamedByID(t *testing.T) {
	names := map[string]bool{}
	for _, name := range glob(t, "authorization-workspaces/*/policies/*.rego") {
		id := strings.TrimSuffix(path.Base(name), ".rego")
		names[id] = true
		if text := string(read(t, name)); !strings.Contains(text, "\n#     policyId: "+id+"\n") {
			t.Errorf("%s holds another policy id", name)
		} else if !strings.Contains(text, "\n#     sourceEnvironmentId: "+EnvironmentID+"\n") {
			t.Errorf("%s comes from another environment", name)
		}
	}
	var inactive []string
	unmarshal(t, read(t, "environment/policy-states.json"), &inactive)
	for _, id := range inactive {
		if !names[id] {
			t.Errorf("inactive policy %s has no file", id)
		}
	}
	if len(inactive) == 0 {
		t.Error("no inactive policy")
	}
}

func unmarshal(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%v in %.80s", err, text)
	}
}

type attributeFile struct {
	AttributeID  model.AttributeID   `json:"attributeId"`
	Type         model.AttributeType `json:"type"`
	IsMultiValue bool                `json:"isMultiValue"`
	IsRequired   bool                `json:"isRequired"`
	MaxLength    int                 `json:"maxLength"`
}

type templateFile struct {
	TemplateID model.TemplateID `json:"templateId"`
	Attributes []attributeFile  `json:"attributes"`
	Actions    []struct {
		ActionID model.ActionID `json:"actionId"`
		Value    string         `json:"value"`
	} `json:"actions"`
}

func templates(t *testing.T, pattern string) map[model.TemplateID]templateFile {
	out := map[model.TemplateID]templateFile{}
	for _, name := range glob(t, pattern) {
		var f templateFile
		unmarshal(t, read(t, name), &f)
		out[f.TemplateID] = f
	}
	return out
}

func assetTemplates(t *testing.T) map[model.TemplateID]templateFile {
	return templates(t, "authorization-workspaces/*/asset-types/*.json")
}

func identityTemplates(t *testing.T) map[model.TemplateID]templateFile {
	return templates(t, "identity-workspaces/*/identity-templates/*.json")
}

// check reports what a bulk import (management-api.md 19.1, row checks) would refuse.
func (f *templateFile) check(t *testing.T, key string, values model.Attributes, identity bool) {
	t.Helper()
	declared := map[model.AttributeID]attributeFile{}
	for _, a := range f.Attributes {
		declared[a.AttributeID] = a
	}
	for id, vs := range values {
		a, ok := declared[id]
		switch {
		case !ok || id == model.AttributePath || id == model.AttributeUID:
			t.Errorf("%s %s: attribute %s is not declared or is the built-in one", f.TemplateID, key, id)
		case len(vs) == 0:
			t.Errorf("%s %s: %s is empty", f.TemplateID, key, id)
		case !identity && !a.IsMultiValue && len(vs) > 1:
			t.Errorf("%s %s: %s has %d values", f.TemplateID, key, id, len(vs))
		}
		for i, v := range vs {
			if _, ok := model.ParseNumber(v); a.Type == model.Numeric && !ok {
				t.Errorf("%s %s: %s is %q, no number", f.TemplateID, key, id, v)
			}
			if !identity && len([]rune(v)) > a.MaxLength || slices.Contains(vs[:i], v) {
				t.Errorf("%s %s: %s has a value too long or twice: %q", f.TemplateID, key, id, v)
			}
		}
	}
	for _, a := range f.Attributes {
		if a.IsRequired && a.AttributeID != model.AttributePath && len(values[a.AttributeID]) == 0 {
			t.Errorf("%s %s: %s is missing", f.TemplateID, key, a.AttributeID)
		}
	}
}

// TestAssetsFitTheirTypes: counts, unique paths, and every attribute declared and of its type.
func TestAssetsFitTheirTypes(t *testing.T) {
	files := assetTemplates(t)
	if len(files) != len(AssetTemplates()) {
		t.Fatalf("%d asset types in files, %d with records", len(files), len(AssetTemplates()))
	}
	for _, id := range AssetTemplates() {
		f, seen := files[id], map[string]bool{}
		for _, a := range collectAssets(t, id) {
			if seen[a.Path] {
				t.Fatalf("%s %s occurs twice", id, a.Path)
			}
			seen[a.Path] = true
			f.check(t, a.Path, a.Attributes, false)
		}
		if want := map[bool]int{true: 200, false: AssetCount}[id == "PortalClaims"]; len(seen) != want {
			t.Errorf("%s: %d assets, want %d", id, len(seen), want)
		}
	}
}

// TestIdentitiesFitTheirTemplates is the same for identities; an attribute stands in the rows or outside, never both.
func TestIdentitiesFitTheirTemplates(t *testing.T) {
	files := identityTemplates(t)
	if len(files) != len(IdentityTemplates()) {
		t.Fatalf("%d identity templates in files, %d with records", len(files), len(IdentityTemplates()))
	}
	for _, id := range IdentityTemplates() {
		f, seen := files[id], map[string]bool{}
		for _, i := range collectIdentities(t, id) {
			if seen[i.EntityID] {
				t.Fatalf("%s %s occurs twice", id, i.EntityID)
			}
			seen[i.EntityID] = true
			f.check(t, i.EntityID, i.Pooled(), true)
			for _, row := range i.Rows {
				for a := range row {
					if _, both := i.Attributes[a]; both {
						t.Errorf("%s: %s stands in a row and outside", i.EntityID, a)
					}
				}
			}
		}
		if len(seen) != IdentityCount {
			t.Errorf("%s: %d identities, want %d", id, len(seen), IdentityCount)
		}
	}
}

// TestPrivateBankersExist: the relationship manager of every private account is a private banker of the same branch.
func TestPrivateBankersExist(t *testing.T) {
	staff := map[string]model.Identity{}
	for _, i := range collectIdentities(t, "Staff") {
		staff[i.EntityID] = i
	}
	for _, a := range collectAssets(t, "Accounts") {
		for _, id := range a.Attributes["relationshipManager"] {
			banker := staff[id].Attributes
			if !slices.Equal(banker["department"], []string{"Private Banking"}) || !slices.Equal(banker["branch"], a.Attributes["branch"]) {
				t.Fatalf("%s is looked after by %s: %v", a.Path, id, banker)
			}
		}
	}
}

// TestRowsAreDeterministic pins the bytes of the bulk rows: the numbers in README.md rest on them.
func TestRowsAreDeterministic(t *testing.T) {
	want := map[model.TemplateID]string{
		"Accounts": "9fe05ada5c8d4377", "Documents": "57d0b13cfdbb562a", "PortalClaims": "79c6f39869fc1fcc",
		"LedgerRows": "0392091fc911946e", "Staff": "831503c9e1a7b4ae", "Device": "5ce9ff931bf6c2f0",
	}
	got := map[model.TemplateID]string{}
	for _, id := range AssetTemplates() {
		got[id] = hash(t, func(w *bytes.Buffer) error { return WriteAssets(w, id) })
	}
	for _, id := range IdentityTemplates() {
		got[id] = hash(t, func(w *bytes.Buffer) error { return WriteIdentities(w, id) })
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func hash(t *testing.T, write func(*bytes.Buffer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(sum[:8])
}

// TestRowsReadBack: a line is one JSON object that holds the record.
func TestRowsReadBack(t *testing.T) {
	var b bytes.Buffer
	if err := WriteIdentities(&b, "Staff"); err != nil {
		t.Fatal(err)
	}
	lines, want := bufio.NewScanner(&b), collectIdentities(t, "Staff")
	for n := 0; lines.Scan(); n++ {
		var row struct {
			EntityID   string             `json:"entityId"`
			IsActive   bool               `json:"isActive"`
			Attributes model.Attributes   `json:"attributes"`
			Rows       []model.Attributes `json:"rows"`
		}
		unmarshal(t, lines.Bytes(), &row)
		got := model.Identity{EntityID: row.EntityID, Inactive: !row.IsActive, Attributes: row.Attributes, Rows: row.Rows}
		if d := cmp.Diff(want[n], got); d != "" {
			t.Fatal(d)
		}
	}
}

// TestSeedsAndUnknownTemplates: another seed gives other records, an unknown template an error.
func TestSeedsAndUnknownTemplates(t *testing.T) {
	one, _ := Assets("Accounts", 1, 5)
	two, _ := Assets("Accounts", 2, 5)
	if cmp.Equal(slices.Collect(one), slices.Collect(two)) {
		t.Error("seeds 1 and 2 give the same accounts")
	}
	if err := WriteAssets(&bytes.Buffer{}, "Staff"); model.KindOf(err) != model.KindNotFound {
		t.Errorf("assets of Staff: %v", err)
	}
	if err := WriteIdentities(&bytes.Buffer{}, "Accounts"); model.KindOf(err) != model.KindNotFound {
		t.Errorf("identities of Accounts: %v", err)
	}
}

func collectAssets(t *testing.T, id model.TemplateID) []model.Asset {
	t.Helper()
	seq, err := Assets(id, Seed, AssetCount)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(seq)
}

func collectIdentities(t *testing.T, id model.TemplateID) []model.Identity {
	t.Helper()
	seq, err := Identities(id, Seed, IdentityCount)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(seq)
}
