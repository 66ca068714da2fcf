package e2e

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/examples/bank"
)

// MG-56, MG-25, MG-39, MG-47, MG-55, MG-69: a published backup tool reads everything, Harbour Bank and an environment
// with awkward names; its directory, applied elsewhere, gives the same answers and the same directory again.
func TestBackupTool(t *testing.T) {
	from, to := start(t), start(t)
	questions := map[string]question{bank.EnvironmentID: fillBank(from), oddID: fillOdd(from)}

	reader := newWalker(t, from)
	saved := t.TempDir()
	environments := items[named](reader, 1, map[string][]string{}, "env-mgmt", "environment")
	if len(environments) != len(questions)+1 {
		t.Fatalf("the two and the one that every server begins with: %v", environments)
	}
	for _, env := range items[named](newWalker(t, to), 1, map[string][]string{}, "env-mgmt", "environment") {
		to.must("DELETE", "/ambit/1.0/environments/"+env.ID+"?name="+url.QueryEscape(env.Name), "", "")
	}
	for _, env := range environments {
		dir := filepath.Join(saved, fileName(env.Name))
		reader.backup(env, dir)
		body, err := json.Marshal(map[string]any{"id": env.ID, "name": env.Name, "bare": true})
		if err != nil {
			t.Fatal(err)
		}
		to.must("POST", "/ambit/1.0/environments", "application/json", string(body))
		to.ambit(env.ID, "apply", dir)
		if again := to.ambit(env.ID, "apply", dir); strings.Contains(again, "1 created") || strings.Contains(again, "1 updated") {
			t.Errorf("%s: the second time changes something:\n%s", env.Name, again)
		}
	}

	complete(t, filepath.Join(saved, bank.EnvironmentName))
	// The tool keeps the PAA groups, and an import passes them by, as it does those of a backup.
	if err := copyGroups(reader, to); err != nil {
		t.Fatal(err)
	}
	second := newWalker(t, to)
	again := t.TempDir()
	for _, env := range environments {
		second.backup(env, filepath.Join(again, fileName(env.Name)))
	}
	if d := cmp.Diff(tree(t, saved), tree(t, again)); d != "" {
		t.Errorf("the backup of the restored environments differs:\n%s", d)
	}
	for id, q := range questions {
		fill(to, id, q)
		for _, body := range q.bodies {
			want := from.ask(id, walkScope+id[:4], walkSecret, body)
			if d := cmp.Diff(want, to.ask(id, walkScope+id[:4], walkSecret, body)); d != "" {
				t.Errorf("%s in %s: answers differ:\n%s", body, id, d)
			}
			if text, _ := json.Marshal(want); !bytes.Contains(text, []byte(`"actions":[{`)) {
				t.Errorf("%s in %s: an empty answer proves nothing: %s", body, id, text)
			}
		}
	}
}

// blockID is what the two workspaces of the bank cannot share: the second to come gets an id of its own.
var blockID = regexp.MustCompile(`(?m)^#     id: [0-9a-f-]{36}$`)

// complete wants every policy of the bank as it is, and a file for every asset type, application and identity template.
func complete(t *testing.T, saved string) {
	t.Helper()
	got := tree(t, saved)
	policies := 0
	err := fs.WalkDir(bank.Files(), ".", func(path string, d fs.DirEntry, err error) error {
		switch kind := filepath.Base(filepath.Dir(path)); {
		case err != nil || d.IsDir():
		case kind == "policies" && strings.HasSuffix(path, ".rego"):
			policies++
			text, err := fs.ReadFile(bank.Files(), path)
			if d := cmp.Diff(blockID.ReplaceAllString(string(text), ""), blockID.ReplaceAllString(got[path], "")); err != nil || d != "" {
				t.Errorf("%s: %v %s", path, err, d)
			}
		case kind == "asset-types" || kind == "applications" || kind == "identity-templates":
			if got[path] == "" {
				t.Errorf("%s is missing", path)
			}
		}
		return err
	})
	if err != nil || policies < 20 {
		t.Errorf("%d policies, %v", policies, err)
	}
}

// tree is the text of every file below dir.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	root := os.DirFS(dir)
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(root, path)
		out[path] = string(text)
		return err
	})
	if err != nil || len(out) == 0 {
		t.Fatalf("%d files, %v", len(out), err)
	}
	return out
}

// Names that are legal and that every layer has to carry: slashes, percent signs, two blanks, other scripts.
const (
	oddID          = "0dd0dd0d-9b3f-4a57-8c21-0d6f5b8e4a10"
	oddWorkspace   = "Sea / Land  100%2F"
	oddType        = "Cargo / 100%2F"
	oddCrew        = "Crew  of 港"
	oddApplication = "harbour app/1 %2F"
	oddPolicy      = "müller  & söhne/1"
)

func fillOdd(s *server) question {
	s.t.Helper()
	base := "/ambit/1.0/environments/" + oddID
	s.must("POST", "/ambit/1.0/environments", "application/json", `{"id":"`+oddID+`","name":"Größe / 港  1","bare":true}`)
	s.must("POST", base+"/authorization-workspaces", "application/json", `{"name":"`+oddWorkspace+`","bare":true}`)
	dir := s.t.TempDir()
	for path, text := range oddFiles() {
		name := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	s.ambit(oddID, "apply", dir)
	s.must("PUT", base+"/paa-groups/north%2Fpaa", "application/json", `{"paaGroupType":"CLOUD"}`)
	s.must("POST", "/api/1.0/paa-groups/"+oddID+"/north%2Fpaa/sources", "application/json",
		`{"sourceId":"roster /1","name":"Roster","adapter":"JDBC","properties":{"url":"jdbc:x"}}`)
	s.must("PUT", "/api/1.0/paa-groups/"+oddID+"/north%2Fpaa/views", "application/json", `[{"type":"SQL","paaId":"1","text":"select 1"}]`)
	q := question{
		applications: []string{oddApplication},
		bodies:       []string{`{"entityId":"iris/1","entityTypeId":"` + oddCrew + `"}`},
		records: map[string]string{
			"asset-templates/" + url.PathEscape(oddType) + "/assets":        `{"path":"quay/7 %2F","name":"Ö","attributes":{"berth /1":["A"]}}` + "\n" + `{"path":"other","attributes":{"berth /1":["B"]}}`,
			"identity-templates/" + url.PathEscape(oddCrew) + "/identities": `{"entityId":"iris/1","attributes":{"rank  2":["4"]}}`,
		},
	}
	fill(s, oddID, q)
	return q
}

func oddFiles() map[string]string {
	const land, other, crew = "authorization-workspaces/Sea _ Land  100%2F/", "authorization-workspaces/größe  港/", "identity-workspaces/" + oddCrew + "/"
	return map[string]string{
		crew + "identity-templates/a.json": `{"templateId":"` + oddCrew + `","attributes":[{"attributeId":"rank  2","displayName":"Rank","type":"NUMERIC","isAvailableForPolicies":true}]}`,
		crew + "identity-sources/a.json":   `{"sources":[{"sourceId":"roster / 1","displayName":"Roster","sourceType":"EXTERNAL_INPUT"}]}`,
		crew + "mapper-sets/a.json":        `{"mapperSetId":"set / 1  %2F","displayName":"Set","linkedSources":[{"sourceId":"roster / 1","sourceUsedAs":"MAIN","mappers":[{"type":"IDENTITY_ATTRIBUTES","mappings":[{"origin":"emp","target":"uid"}]}]}]}`,
		land + "asset-types/a.json":        `{"templateId":"` + oddType + `","displayName":"Cargo","source":"PLAINID","attributes":[{"attributeId":"berth /1","displayName":"Berth","type":"STRING","isAvailableForPolicies":true}],"actions":[{"actionId":"Load","value":"load /1"}]}`,
		land + "applications/a.json":       `{"data":{"applicationId":"` + oddApplication + `","displayName":"Harbour","assetTemplateIds":["` + oddType + `"]}}`,
		land + "api-mapper-sets/a.json":    `{"apiMappersSetId":"` + oddApplication + `","applicationIds":["` + oddApplication + `"],"apiMappers":[{"mapperId":"read / 1","displayName":"Read","isActive":true,"matchPattern":"/quays/*","matchType":"WILDCARDS","restMethods":["GET"],"priority":1,"assetTemplates":[{"templateId":"` + oddType + `","attributes":[],"actions":[]}]}]}`,
		other + "applications/a.json":      `{"data":{"applicationId":"empty / 港","displayName":"Empty","assetTemplateIds":[]}}`,
		land + "policies/a.rego":           oddRego(oddPolicy, "A"),
		land + "policies/b.rego":           oddRego("inactive / 1", "B"),
		"environment/policy-states.json":   `["inactive / 1"]`,
	}
}

func oddRego(id, berth string) string {
	return `# METADATA
# custom:
#   plainid:
#     policyId: ` + id + `
#     name: Policy ` + berth + `
#     accessType: Allow
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: "Rank  4 / up"
dynamic_group(identity) if {
	identity.template == "` + oddCrew + `"
	identity["rank  2"] >= 4
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Berth ` + berth + `
ruleset(asset, identity, requestParams, action) if {
	asset.template == "` + oddType + `"
	asset["berth /1"] == "` + berth + `"
	action.id in ["Load"]
}
`
}

// copyGroups stores the PAA groups of the odd environment on the other side by their own calls.
func copyGroups(from *walker, to *server) error {
	path := []string{"api", "1.0", "paa-groups", oddID}
	for _, g := range items[json.RawMessage](from, 10_000, map[string][]string{"detailed": {"true"}}, path...) {
		var group struct{ ID string }
		if err := json.Unmarshal(g, &group); err != nil {
			return err
		}
		escaped := url.PathEscape(group.ID)
		to.must("PUT", "/ambit/1.0/environments/"+oddID+"/paa-groups/"+escaped, "application/json", string(g))
		for _, s := range items[json.RawMessage](from, 10_000, map[string][]string{"detailed": {"true"}}, append(path, group.ID, "sources")...) {
			to.must("POST", "/api/1.0/paa-groups/"+oddID+"/"+escaped+"/sources", "application/json", string(s))
		}
		to.must("PUT", "/api/1.0/paa-groups/"+oddID+"/"+escaped+"/views", "application/json", string(from.object(nil, append(path, group.ID, "views")...)))
	}
	return nil
}
