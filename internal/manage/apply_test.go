package manage_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// files are the contents of an archive by path; a path that ends with "/" is a folder.
type files map[string]string

func (f files) with(more files) files {
	out := maps.Clone(f)
	for path, text := range more {
		if text == "-" {
			delete(out, path)
		} else {
			out[path] = text
		}
	}
	return out
}

func zipOf(t testing.TB, f files) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, path := range slices.Sorted(maps.Keys(f)) {
		out, err := z.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write([]byte(f[path])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarOf(t testing.TB, f files, headers ...*tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, path := range slices.Sorted(maps.Keys(f)) {
		h := &tar.Header{Name: path, Mode: 0o644, Size: int64(len(f[path])), Typeflag: tar.TypeReg}
		if strings.HasSuffix(path, "/") {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f[path])); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range headers {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func open(t testing.TB, body []byte, kind archive.Kind) *archive.Reader {
	t.Helper()
	a, err := archive.Open(bytes.NewReader(body), int64(len(body)), kind, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func (w *world) apply(f files, o manage.ApplyOptions) manage.ApplyReport {
	w.t.Helper()
	out, err := w.Apply(w.t.Context(), w.call, envID, open(w.t, zipOf(w.t, f), archive.Zip), o)
	w.must(err)
	return out
}

func texts(errs model.Errors) string {
	var lines []string
	for _, e := range errs {
		lines = append(lines, e.Code+" "+e.Text())
	}
	return strings.Join(lines, "\n")
}

const (
	quays  = "authorization-workspaces/Quays/"
	crewWs = "identity-workspaces/Crew people/"
)

func policyText(id, rules string) string {
	return `# METADATA
# custom:
#   plainid:
#     policyId: ` + id + `
#     name: Policy ` + id + `
#     accessType: Allow
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Senior
dynamic_group(identity) if {
	identity.template == "Crew"
	` + rules + `
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Deck
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Cargo"
	asset["berth"] == "A"
	action.id in ["Load"]
}`
}

// backup is an environment in files, wrapped and bare mixed, as in MG-69.
func backup() files {
	return files{
		"environment/custom-policy-attributes.json": `[{"key":"note","name":"Note","displayOrder":1,"type":"string","x-kept":{"a":[1]}}]`,
		"environment/scopes.json":                   `[{"clientId":"PORTAL","name":"portal","applicationIds":["harbour-app"],"authMethods":["SECRET_HEADER"]}]`,
		"environment/policy-states.json":            `["p2"]`,
		"metadata/backup.json":                      `{}`,
		crewWs + "identity-templates/Crew.json":     `{"data":{"templateId":"Crew","attributes":[{"attributeId":"rank","displayName":"Rank","type":"NUMERIC","isAvailableForPolicies":true}]}}`,
		crewWs + "identity-sources/Crew.json":       `{"sources":[{"sourceId":"roster","displayName":"Roster","sourceType":"EXTERNAL_INPUT","sourceMetaData":{"paaGroupId":"g","viewName":"v"}}]}`,
		crewWs + "mapper-sets/set.json":             `{"mapperSetId":"set","displayName":"Set","linkedSources":[{"sourceId":"roster","sourceUsedAs":"MAIN","mappers":[{"type":"IDENTITY_ATTRIBUTES","mappings":[{"origin":"no","target":"uid"}]}]}]}`,
		crewWs + "matcher.json":                     `{"templateMatcher":"$.kind","matcherValue":"crew","identityIdMapper":"$.sub"}`,
		crewWs + "identities/Crew.ndjson":           `{"entityId":"iris","attributes":{"rank":5}}`,
		quays + "asset-types/Cargo.json":            `{"templateId":"Cargo","displayName":"Cargo","source":"PLAINID","attributes":[{"attributeId":"berth","displayName":"Berth","type":"STRING","isAvailableForPolicies":true}],"actions":[{"actionId":"Load","value":"load"},{"actionId":"View","value":"view"}]}`,
		quays + "applications/harbour-app.json":     `{"data":{"applicationId":"harbour-app","displayName":"Harbour","assetTemplateIds":["Cargo"]}}`,
		quays + "request-attributes.json":           `[{"id":"channel","displayName":"Channel","description":"","mappings":[{"source":"QUERY","path":"channel"}]}]`,
		quays + "policies/p1.rego":                  policyText("p1", `identity["rank"] >= 4`),
		quays + "policies/p2.rego":                  policyText("p2", `identity["rank"] >= 4.0`),
		quays + "assets/Cargo.csv":                  "path,berth\nquay/1,A\nquay/2,B\n",
		quays + "building-blocks.rego": `package building_blocks
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Spare
#     id: 2f9a6c40-8f57-4c6b-9a11-0b1c2d3e4f50
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Cargo"
	asset["berth"] == "Z"
}`,
	}
}

// MG-69, MG-71, A4: a whole directory in one revision, in any archive form; the second run is unchanged.
func TestApply(t *testing.T) {
	below := files{}
	for path, text := range backup() {
		below["export-2026/"+path] = text
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(tarOf(t, backup())); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	for name, archive := range map[string]*archive.Reader{
		"zip":             open(t, zipOf(t, backup()), archive.Zip),
		"zip, one folder": open(t, zipOf(t, below), archive.Zip),
		"tar":             open(t, tarOf(t, backup()), archive.Tar),
		"tar.gz":          open(t, zipped.Bytes(), archive.TarGzip),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).bare()
			out, err := w.Apply(t.Context(), w.call, envID, archive, manage.ApplyOptions{Prune: true})
			w.must(err)
			if len(out.Errors) > 0 || out.Refused || out.Revision != 2 {
				t.Fatalf("refused %v, revision %d:\n%s", out.Refused, out.Revision, texts(out.Errors))
			}
			want := map[string]manage.ApplyCounts{
				"custom-policy-attributes": {Created: 1}, "identity-workspaces": {Created: 1}, "identity-templates": {Created: 1},
				"identity-sources": {Created: 1}, "mapper-sets": {Created: 1}, "matchers": {Updated: 1}, "authorization-workspaces": {Created: 1},
				"asset-types": {Created: 1}, "request-attributes": {Created: 1}, "applications": {Created: 1}, "building-blocks": {Created: 1},
				"policies": {Created: 2}, "scopes": {Created: 1}, "assets": {Created: 2}, "identities": {Created: 1},
			}
			if diff := cmp.Diff(want, counts(out)); diff != "" {
				t.Errorf("summary (-want +got):\n%s", diff)
			}
			checkHarbour(t, w)
			events := len(w.events(envID))
			out, err = w.Apply(t.Context(), w.call, envID, archive, manage.ApplyOptions{Prune: true})
			w.must(err)
			for kind, c := range counts(out) {
				if c.Created+c.Updated+c.Deleted+c.Failed > 0 {
					t.Errorf("the second run changes %s: %+v %+v", kind, c, out.Items)
				}
			}
			if out.Revision != 2 || len(w.events(envID)) != events || len(out.Items) != 0 {
				t.Errorf("the second run: revision %d, items %+v", out.Revision, out.Items)
			}
			if len(out.Notes) != 1 || !strings.HasSuffix(out.Notes[0], "metadata/backup.json ignored") {
				t.Errorf("notes %q", out.Notes)
			}
		})
	}
}

func counts(r manage.ApplyReport) map[string]manage.ApplyCounts {
	out := map[string]manage.ApplyCounts{}
	for kind, c := range r.Summary {
		out[kind] = *c
	}
	return out
}

func checkHarbour(t *testing.T, w *world) {
	t.Helper()
	w.view(func(tx *store.Tx) {
		policies := all(t, tx.Policies)
		if len(policies) != 2 || policies[0].Inactive || !policies[1].Inactive || policies[0].DynamicGroups[0] != policies[1].DynamicGroups[0] {
			t.Errorf("policies %+v", policies)
		}
		names := []string{}
		for _, b := range all(t, tx.Blocks) {
			names = append(names, b.Name)
		}
		slices.Sort(names)
		if want := []string{"All", "Crew people All Users", "Deck", "Senior", "Spare"}; !slices.Equal(names, want) {
			t.Errorf("blocks %q", names)
		}
		ws := all(t, tx.IdentityWorkspaces)[0]
		if ws.Name != "Crew people" || ws.Matcher == nil || ws.Matcher.MatcherValue != "crew" {
			t.Errorf("workspace %+v", ws)
		}
		if a := all(t, tx.CustomAttributes)[0]; !strings.Contains(string(a.Definition), `"x-kept":{"a":[1]}`) {
			t.Errorf("MG-59: %s", a.Definition)
		}
		if s := all(t, tx.Scopes)[0]; s.EnvironmentID != envID || len(s.Secrets) != 0 || !s.Enabled {
			t.Errorf("scope %+v", s)
		}
	})
}

// MG-72, 21.4: the worked cases that end in errors.
func TestApplyErrors(t *testing.T) {
	broken := policyText("p1", `identity["nope"] >= 4`)
	tests := []struct {
		name    string
		change  files
		skip    bool
		want    string // lines of errors
		failed  map[string]int64
		created map[string]int64
	}{
		{
			name: "A1", change: files{quays + "policies/p1.rego": broken},
			want: "RG-303 authorization-workspaces/Quays/policies/p1.rego:17:11: identity template \"Crew\" has no attribute \"nope\"", failed: map[string]int64{"policies": 1},
		},
		{
			name: "A2", change: files{quays + "policies/p1.rego": broken}, skip: true,
			want:   "RG-303 authorization-workspaces/Quays/policies/p1.rego:17:11: identity template \"Crew\" has no attribute \"nope\"",
			failed: map[string]int64{"policies": 1}, created: map[string]int64{"policies": 1, "asset-types": 1, "scopes": 1},
		},
		{
			name: "A3", change: files{quays + "asset-types/Cargo.json": `{"templateId":"Cargo","displayName":"Cargo","source":"X"}`}, skip: true,
			want: ` authorization-workspaces/Quays/applications/harbour-app.json: needs asset-type [Cargo], but authorization-workspaces/Quays/asset-types/Cargo.json has errors
 authorization-workspaces/Quays/asset-types/Cargo.json:1:45: /source: "X" is not REQUEST, EXTERNAL or PLAINID
 authorization-workspaces/Quays/assets/Cargo.csv: needs asset-type [Cargo], but authorization-workspaces/Quays/asset-types/Cargo.json has errors
RG-302 authorization-workspaces/Quays/building-blocks.rego:11:20: asset template "Cargo" does not exist: authorization-workspaces/Quays/asset-types/Cargo.json has errors
RG-302 authorization-workspaces/Quays/policies/p1.rego:26:20: asset template "Cargo" does not exist: authorization-workspaces/Quays/asset-types/Cargo.json has errors
RG-302 authorization-workspaces/Quays/policies/p2.rego:26:20: asset template "Cargo" does not exist: authorization-workspaces/Quays/asset-types/Cargo.json has errors
 environment/scopes.json: needs application [harbour-app], but authorization-workspaces/Quays/applications/harbour-app.json has errors`,
			failed: map[string]int64{"asset-types": 1, "applications": 1, "policies": 2, "building-blocks": 1, "scopes": 1, "assets": 1}, created: map[string]int64{"identity-templates": 1},
		},
		{
			name: "A7", change: files{quays + "policies/p1.rego": strings.Replace(policyText("p1", `identity["rank"] >= 4`), "#     accessType: Allow", "#     accessType: Allow\n#     customAttributes:\n#       nope: \"x\"", 1)},
			want: `RG-110 authorization-workspaces/Quays/policies/p1.rego:8:9: custom attribute "nope" is not defined`, failed: map[string]int64{"policies": 1},
		},
		{
			name: "A8", change: files{"authorization-workspaces/Other/applications/o.json": `{"applicationId":"o","displayName":"O","assetTemplateIds":["Cargo"]}`},
			want: "MGT-006 authorization-workspaces/Other/applications/o.json: AssetTemplate: [Cargo] not found", failed: map[string]int64{"applications": 1},
		},
		{
			name: "assets, MG-64", change: files{quays + "assets/Cargo.csv": "path,berth\na,A\na,B\n"}, skip: true,
			want: ` authorization-workspaces/Quays/assets/Cargo.csv:3: "a" stands more than once in the body`, failed: map[string]int64{"assets": 1}, created: map[string]int64{"policies": 2},
		},
		{
			name: "JSON syntax", change: files{quays + "applications/harbour-app.json": "{\n  \"applicationId\": }"},
			want: "applications/harbour-app.json:2:20: /applicationId: missing value", failed: map[string]int64{"applications": 1, "scopes": 1},
		},
		{
			name: "twice", change: files{quays + "policies/p3.rego": policyText("p1", `identity["rank"] >= 4`)},
			want: " authorization-workspaces/Quays/policies/p3.rego: policy [p1] stands also in authorization-workspaces/Quays/policies/p1.rego", failed: map[string]int64{"policies": 1},
		},
		{
			name: "unknown state", change: files{"environment/policy-states.json": `["p2","gone"]`}, skip: true,
			want: "MGT-006 environment/policy-states.json: Policy: [gone] not found", failed: map[string]int64{"policy-states": 1}, created: map[string]int64{"policies": 2},
		},
		{
			name: "two templates", change: files{crewWs + "identity-templates/Z.json": `{"templateId":"Z"}`},
			want: " identity-workspaces/Crew people/identity-templates/Z.json: an identity workspace has one identity template", failed: map[string]int64{"identity-templates": 1},
		},
		{
			name: "no template", change: files{"identity-workspaces/New/matcher.json": `{}`},
			want: "the workspace is new and has no identity template", failed: map[string]int64{"identity-workspaces": 1, "matchers": 1},
		},
		{
			name: "mapper set", change: files{crewWs + "identity-sources/Crew.json": "-"},
			want: "EMIS-001 identity-workspaces/Crew people/mapper-sets/set.json: Identity Source: [roster] not found", failed: map[string]int64{"mapper-sets": 1},
		},
		{
			name: "display names", change: files{quays + "asset-types/Twin.json": `{"templateId":"Twin","displayName":"Cargo","source":"REQUEST"}`}, skip: true,
			want: "MGT-008 authorization-workspaces/Quays/asset-types/Twin.json: AssetTemplate: [Cargo] already exists", failed: map[string]int64{"asset-types": 1}, created: map[string]int64{"asset-types": 1, "policies": 2},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t).bare()
			out := w.apply(backup().with(tt.change), manage.ApplyOptions{SkipErrors: tt.skip})
			if got := texts(out.Errors); !strings.Contains(got, tt.want) {
				t.Errorf("errors (-want +got):\n%s", cmp.Diff(tt.want, got))
			}
			failed := map[string]int64{}
			for kind, c := range out.Summary {
				if c.Failed > 0 {
					failed[kind] = c.Failed
				}
			}
			if diff := cmp.Diff(tt.failed, failed); diff != "" {
				t.Errorf("failed (-want +got):\n%s\n%s", diff, texts(out.Errors))
			}
			if out.Refused == tt.skip {
				t.Errorf("refused %v", out.Refused)
			}
			if !tt.skip && w.revision() != 1 {
				t.Errorf("something is stored: revision %d", w.revision())
			}
			if tt.skip && w.revision() != 2 {
				t.Errorf("revision %d", w.revision())
			}
			for kind, n := range tt.created {
				if out.Summary[kind] == nil || out.Summary[kind].Created != n {
					t.Errorf("%s created: %+v, want %d", kind, out.Summary[kind], n)
				}
			}
		})
	}
}

// A11, A12, rename, limits to workspaces: names are literal.
func TestApplyNames(t *testing.T) {
	w := newWorld(t).bare()
	app := func(id string) string { return `{"applicationId":"` + id + `","displayName":"X"}` }
	out := w.apply(files{
		"authorization-workspaces/Two  blanks/applications/a.json": app("a"), "authorization-workspaces/From (1)/applications/b.json": app("b"),
		"authorization-workspaces/Old/applications/c.json": app("c"), "authorization-workspaces/Left/applications/d.json": app("d"),
	},
		manage.ApplyOptions{Rename: map[string]string{"Old": "New: name"}, AuthWs: []string{"Two  blanks", "From (1)", "New: name"}})
	if len(out.Errors) > 0 {
		t.Fatal(texts(out.Errors))
	}
	w.apply(files{"authorization-workspaces/New_ name/applications/c.json": app("c")}, manage.ApplyOptions{})
	w.view(func(tx *store.Tx) {
		var names []string
		for _, ws := range all(t, tx.AuthorizationWorkspaces) {
			names = append(names, ws.Name)
		}
		slices.Sort(names)
		if want := []string{"From (1)", "New: name", "Two  blanks"}; !slices.Equal(names, want) {
			t.Errorf("PM-5: workspaces %q", names)
		}
	})
}

// MG-14: a dry run tells the same and stores nothing.
func TestApplyDryRun(t *testing.T) {
	w := newWorld(t).bare()
	out, err := w.Apply(t.Context(), w.dry(), envID, open(t, zipOf(t, backup()), archive.Zip), manage.ApplyOptions{})
	w.must(err)
	if out.Summary["policies"].Created != 2 || !out.DryRun || w.revision() != 1 || len(w.events(envID)) != 1 {
		t.Errorf("%+v, revision %d", counts(out), w.revision())
	}
	for _, b := range out.Blocks {
		if b.Result == "created" && b.ID != "" && b.Name != "Spare" {
			t.Errorf("a made id is shown: %+v", b)
		}
	}
}

// A10: runs in one environment are serial; each ends in one revision or none.
func TestApplyTwiceAtOnce(t *testing.T) {
	w := newWorld(t).bare()
	body := zipOf(t, backup())
	var wg sync.WaitGroup
	for range 4 {
		archive := open(t, body, archive.Zip)
		wg.Go(func() {
			if _, err := w.Apply(t.Context(), w.call, envID, archive, manage.ApplyOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if w.revision() != 2 {
		t.Errorf("revision %d", w.revision())
	}
}

// The example environment is applied without errors, and the second time unchanged.
func TestApplyBank(t *testing.T) {
	root := os.DirFS(filepath.Join("..", "..", "examples", "bank"))
	bank := files{}
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := fs.ReadFile(root, path)
		bank[path] = string(text)
		return err
	})
	if err != nil || len(bank) < 20 {
		t.Fatal(len(bank), err)
	}
	w := newWorld(t).bare()
	out := w.apply(bank, manage.ApplyOptions{Prune: true})
	if len(out.Errors) > 0 || out.Summary["policies"].Created < 20 {
		t.Fatalf("%+v\n%s", counts(out), texts(out.Errors))
	}
	again := w.apply(bank, manage.ApplyOptions{Prune: true})
	if again.Revision != out.Revision {
		t.Errorf("the second run used a revision: %+v", again.Items)
	}
}
