package manage

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// PM-16, PM-17, MG-43 to MG-45: whatever is imported, renamed and deleted, in whatever order, nothing names what is not
// there, a refused call changes nothing, and the service has followed what a new one reads.
func TestRandomRenames(t *testing.T) {
	h := newHarbour(t)
	h.do("admin", "POST", env+"/scopes", `{"clientId":"RANDOM","name":"random","secret":"x2345678y","applicationIds":["harbour-app"]}`).want(t, 201)
	runs, done := 0, map[string]int{}
	rapid.Check(t, func(r *rapid.T) {
		runs++
		for range rapid.IntRange(1, 8).Draw(r, "calls") {
			call := randomCall(r, h)
			before := h.revision()
			a := h.do("admin", call.method, call.target, call.body)
			switch {
			case a.StatusCode >= 500 || a.StatusCode == 401 || a.StatusCode == 403:
				r.Fatalf("%+v: %d %s", call, a.StatusCode, a.body)
			case a.StatusCode >= 400 && h.revision() != before:
				r.Fatalf("%+v: refused with %d, yet there is a new revision: %s", call, a.StatusCode, a.body)
			case a.StatusCode < 300:
				done[call.name]++
			}
			for _, problem := range h.dangling() {
				r.Fatalf("%+v: %s", call, problem)
			}
		}
		if runs%10 == 0 {
			h.sameAfterRestart("random renames")
		}
	})
	t.Logf("calls that succeeded: %v", done)
	if len(done) < 4 || runs >= 100 && len(done) < 8 {
		t.Error("hardly a call succeeds")
	}
}

type randomRequest struct{ name, method, target, body string }

// randomCall draws a call on few ids, so that calls meet.
func randomCall(r *rapid.T, h *harbour) randomRequest {
	pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(r, label) }
	typeID := func(label string) string { return pick(label, "Cargo", "Crane", "T1", "T2") }
	app := func(label string) string { return pick(label, "harbour-app", "a1", "a2") }
	action := func(label string) string { return pick(label, "Load", "View", "x") }
	ws := pick("workspace", h.quays, h.quays, h.docks)
	name := pick("call", "type", "type", "rename type", "rename type", "action", "delete type", "app", "rename app", "delete app", "policy", "policy", "asset", "delete policy")
	switch name {
	case "type":
		var actions []string
		for _, a := range []string{"Load", "View", "x"} {
			if rapid.Bool().Draw(r, a) {
				actions = append(actions, fmt.Sprintf(`{"actionId":%q,"value":%q}`, a, strings.ToLower(a)))
			}
		}
		id := typeID("type")
		attributes := pick("attributes", "", `{"attributeId":"berth","displayName":"Berth","type":"STRING"}`)
		return randomRequest{name, "POST", templatesPath + "?authWsId=" + ws, fmt.Sprintf(`{"templateId":%q,"displayName":%q,"source":"PLAINID","attributes":[%s],"actions":[%s]}`,
			id, pick("name", id, "Cargo"), attributes, strings.Join(actions, ","))}
	case "rename type":
		return randomRequest{name, "PATCH", type1(typeID("from")), patch("/templateId", typeID("to"))}
	case "action":
		return randomRequest{name, "PATCH", type1(typeID("type")) + "/actions/" + action("from"), patch("/actionId", action("to"))}
	case "delete type":
		return randomRequest{name, "DELETE", type1(typeID("type")), ""}
	case "app":
		return randomRequest{name, "POST", applicationsPath + "?authWsId=" + ws, fmt.Sprintf(`{"applicationId":%q,"displayName":"A","assetTemplateIds":[%q]}`, app("app"), typeID("type"))}
	case "rename app":
		return randomRequest{name, "PATCH", app1(app("from")), patch("/applicationId", app("to"))}
	case "delete app":
		return randomRequest{name, "DELETE", app1(app("app")), ""}
	case "asset":
		return randomRequest{name, "PUT", env + "/asset-templates/" + typeID("type") + "/assets/" + pick("asset", "1", "2"), `{}`}
	case "delete policy":
		return randomRequest{name, "DELETE", h.policies("&filter[id]=" + pick("policy", "p1", "p2", "p3")), ""}
	}
	text := regoPolicy(pick("policy", "p1", "p2", "p3"), "3", "A", "applications:", "  - id: "+app("header"))
	if rapid.Bool().Draw(r, "all") {
		text = strings.Replace(text, "\tasset[\"berth\"] == \"A\"\n", "", 1)
	}
	text = strings.NewReplacer(`"Cargo"`, `"`+typeID("type")+`"`, `["Load"]`, `["`+action("action")+`"]`).Replace(text)
	return randomRequest{name, "POST", h.policies(""), text}
}

func (h *harbour) revision() (revision model.Revision) {
	h.t.Helper()
	h.read(func(tx *store.Tx) error { revision = tx.Revision; return nil })
	return revision
}

// dangling lists references to what is not there, and stored assets of no type.
func (h *harbour) dangling() (out []string) {
	h.t.Helper()
	h.read(func(tx *store.Tx) error {
		types := keys(h, tx.AssetTemplates, func(t model.AssetTemplate) model.TemplateID { return t.ID })
		apps := keys(h, tx.Applications, func(a model.Application) model.ApplicationID { return a.ID })
		blocks := keys(h, tx.Blocks, func(b model.Block) model.BlockID { return b.ID })
		miss := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
		for id, t := range types {
			if b, ok := blocks[model.PredefinedBlockID(model.KindRuleset, id)]; !ok || b.Template != id || !b.Predefined || b.WorkspaceID != t.WorkspaceID {
				miss("asset type %s has no predefined ruleset: %+v", id, b)
			}
		}
		for _, a := range apps {
			for _, id := range a.AssetTemplateIDs {
				if t, ok := types[id]; !ok || t.WorkspaceID != a.WorkspaceID {
					miss("application %s holds %s", a.ID, id)
				}
			}
		}
		for _, b := range blocks {
			if _, ok := types[b.Template]; b.Kind == model.KindRuleset && !ok {
				miss("ruleset %s is on %s", b.Name, b.Template)
			}
		}
		for _, s := range keys(h, tx.Scopes, func(s model.Scope) model.ClientID { return s.ClientID }) {
			for _, id := range s.ApplicationIDs {
				if _, ok := apps[id]; !ok {
					miss("scope %s is linked to %s", s.ClientID, id)
				}
			}
		}
		for _, p := range keys(h, tx.Policies, func(p model.Policy) model.PolicyID { return p.ID }) {
			for _, use := range p.Rulesets {
				t := types[blocks[use.BlockID].Template]
				if !slices.IsSorted(use.ActionIDs) || slices.ContainsFunc(use.ActionIDs, func(id model.ActionID) bool { _, ok := t.Action(id); return !ok }) {
					miss("policy %s uses %+v of %s", p.ID, use, t.ID)
				}
			}
		}
		for _, id := range []model.TemplateID{"Cargo", "Crane", "T1", "T2"} {
			n, err := tx.Assets(id).Count()
			if _, ok := types[id]; err != nil || n > 0 && !ok {
				miss("%d assets of %s: %v", n, id, errors.Join(err))
			}
		}
		return nil
	})
	return out
}

func keys[K comparable, V any](h *harbour, from store.Collection[K, V], key func(V) K) map[K]V {
	out := map[K]V{}
	for v, err := range from.FindAll() {
		h.must(err)
		out[key(v)] = v
	}
	return out
}
