package manage

import (
	"archive/zip"
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// harbour is a world whose environment has two authorization workspaces and one identity workspace.
type harbour struct {
	*world
	quays, docks, crew string // ids of the workspaces
}

func newHarbour(t testing.TB) *harbour {
	t.Helper()
	h := &harbour{world: newWorld(t)}
	h.apply(t, harbourFiles()).want(t, 200, `"committed":true`)
	h.read(func(tx *store.Tx) error {
		for ws, err := range tx.AuthorizationWorkspaces.FindAll() {
			h.must(err)
			switch ws.Name {
			case "Quays":
				h.quays = string(ws.ID)
			case "Docks":
				h.docks = string(ws.ID)
			}
		}
		for ws, err := range tx.IdentityWorkspaces.FindAll() {
			if h.must(err); ws.TemplateID == "Crew" {
				h.crew = string(ws.ID)
			}
		}
		return nil
	})
	return h
}

// apply applies a directory.
func (h *harbour) apply(t testing.TB, contents map[string]string) answer {
	t.Helper()
	return h.do("admin", "POST", env+"/apply", zipOf(t, contents), "Content-Type: application/zip")
}

func zipOf(t testing.TB, contents map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, path := range slices.Sorted(maps.Keys(contents)) {
		out, err := z.Create(path)
		if err == nil {
			_, err = out.Write([]byte(contents[path]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func harbourFiles() map[string]string {
	const quays, docks, crew = "authorization-workspaces/Quays/", "authorization-workspaces/Docks/", "identity-workspaces/Crew people/"
	return map[string]string{
		"environment/custom-policy-attributes.json": `[{"key":"reviewer","name":"Reviewer","displayOrder":2,"type":"string","multiValue":true},{"key":"level","name":"Level","displayOrder":1,"type":"number"}]`,
		crew + "identity-templates/Crew.json":       `{"templateId":"Crew","attributes":[{"attributeId":"rank","displayName":"Rank","type":"NUMERIC","isAvailableForPolicies":true}]}`,
		quays + "asset-types/Cargo.json":            `{"templateId":"Cargo","displayName":"Cargo","source":"PLAINID","attributes":[{"attributeId":"berth","displayName":"Berth","type":"STRING","isAvailableForPolicies":true}],"actions":[{"actionId":"Load","value":"load"},{"actionId":"View","value":"view"}]}`,
		quays + "applications/harbour-app.json":     `{"data":{"applicationId":"harbour-app","displayName":"Harbour","description":"Quay planning","colorIndication":"#336699","assetTemplateIds":["Cargo"]}}`,
		docks + "asset-types/Crane.json":            `{"templateId":"Crane","displayName":"Crane","source":"PLAINID","attributes":[],"actions":[{"actionId":"Move","value":"move"}]}`,
	}
}

func (h *harbour) read(fn func(*store.Tx) error) {
	h.t.Helper()
	h.must(h.store.View(h.t.Context(), envID, fn))
}

// events are the audit events of the environment, newest first, without logins: those are recorded a moment later.
func (h *harbour) events() []model.ChangeEvent {
	h.t.Helper()
	var out []model.ChangeEvent
	h.read(func(tx *store.Tx) error {
		for e, err := range tx.Events.Find(time.Time{}, h.clock.Add(time.Hour)) {
			if err != nil {
				return err
			}
			if e.Action != model.EventLogin {
				out = append(out, e)
			}
		}
		return nil
	})
	return out
}

func (h *harbour) policies(query string) string {
	return "/api/2.0/policies/" + envID + "?filter[authWsId]=" + h.quays + query
}

func (h *harbour) blocks(query string) string {
	return "/api/2.0/building-blocks/" + envID + "?" + query
}

const regoType = "Content-Type: text/plain;language=rego"

// regoPolicy is a policy on cargo; header lines stand under name.
func regoPolicy(id, rank, berth string, header ...string) string {
	head := "# METADATA\n# custom:\n#   plainid:\n"
	if id != "" {
		head += "#     policyId: " + id + "\n"
	}
	head += "#     name: Policy " + id + "\n#     accessType: Allow\n"
	for _, line := range header {
		head += "#     " + line + "\n"
	}
	return head + "package policy\nimport rego.v1\n\n" + regoGroup("Rank "+rank, "", rank) +
		"\n\n" + regoRuleset("Berth "+berth, "", berth, "\taction.id in [\"Load\"]\n")
}

func regoGroup(name, id, rank string) string {
	return regoMetadata("DynamicGroup", name, id) + "dynamic_group(identity) if {\n\tidentity.template == \"Crew\"\n\tidentity[\"rank\"] >= " + rank + "\n}"
}

func regoRuleset(name, id, berth, action string) string {
	return regoMetadata("Ruleset", name, id) + "ruleset(asset, identity, requestParams, action) if {\n\tasset.template == \"Cargo\"\n\tasset[\"berth\"] == \"" + berth + "\"\n" + action + "}"
}

func regoMetadata(kind, name, id string) string {
	out := "# METADATA\n# custom:\n#   plainid:\n#     kind: " + kind + "\n#     name: " + name + "\n"
	if id != "" {
		out += "#     id: " + id + "\n"
	}
	return out
}

// put imports a policy and returns the answer.
func (h *harbour) put(text string, headers ...string) answer {
	h.t.Helper()
	return h.do("admin", "POST", h.policies(""), text, append([]string{regoType}, headers...)...).want(h.t, 201)
}

func (a answer) wantHeaders(t testing.TB, pairs ...string) answer {
	t.Helper()
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, ": ")
		if got := a.Header.Get(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	return a
}
