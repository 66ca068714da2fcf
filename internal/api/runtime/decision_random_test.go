package runtime

import (
	"cmp"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// bodyMapper maps types out of a body that is a list of {paths, values, actions}, one for each type in order; values is a
// list of value lists in the order of the type's attributes.
func bodyMapper(id int, types []model.AssetTemplate) model.APIMapper {
	m := mapper(model.MapperID(fmt.Sprint(id)), fmt.Sprintf("/call/%d", id), model.MatchExact)
	for i, t := range types {
		at := model.TemplateMapping{
			TemplateID: t.ID,
			Attributes: []model.AttributeMapping{{AttributeID: "path", Source: model.FromBody, Path: fmt.Sprintf("$[%d].paths", i)}},
		}
		for j, a := range t.Attributes {
			if a.ID == model.AttributePath {
				continue
			}
			at.Attributes = append(at.Attributes, model.AttributeMapping{AttributeID: a.ID, Source: model.FromBody, Path: fmt.Sprintf("[%d].values[%d][*]", i, j)})
		}
		for _, a := range t.Actions {
			at.Actions = append(at.Actions, model.ActionMapping{ActionID: a.ID, Source: model.FromBody, Path: fmt.Sprintf("$[%d]['actions'][*]", i), Value: value(string(a.ID))})
		}
		m.AssetTemplates = append(m.AssetTemplates, at)
	}
	return m
}

// mapped draws what a call says of a type: the entry of its body, and the same for Permit/Deny v3.
func (p *planner) mapped(t model.AssetTemplate) (entry map[string]any, resources []any) {
	paths := []string{}
	for range p.number("paths", 0, 2) {
		if known := p.paths[t.ID]; len(known) > 0 && p.chance(90, "known") {
			paths = append(paths, pickOf(p, "path", known))
		} else {
			paths = append(paths, pickOf(p, "other path", []string{"x", `new "path" \`, ""}))
		}
	}
	values := make([][]string, len(t.Attributes))
	sent := map[string][]string{}
	for i, a := range t.Attributes {
		values[i] = []string{}
		if a.ID == model.AttributePath {
			continue
		}
		for range p.number("values", 0, 2) {
			values[i] = append(values[i], pickOf(p, "value", p.texts))
		}
		if values[i] = model.Distinct(values[i]); len(values[i]) > 0 {
			sent[cmp.Or(a.NameForRequest, string(a.ID))] = values[i]
		}
	}
	actions := []string{}
	for i, a := range t.Actions {
		if i == 0 && len(t.Actions) == 1 || p.chance(40, "action") {
			actions = append(actions, string(a.ID))
		}
	}
	if len(actions) == 0 {
		actions = append(actions, string(t.Actions[0].ID))
	}
	for _, path := range model.Distinct(append([]string{}, paths...)) {
		resources = append(resources, pairsOf(t, path, sent, actions)...)
	}
	if len(paths) == 0 {
		resources = pairsOf(t, "", sent, actions)
	}
	return map[string]any{"paths": paths, "values": values, "actions": actions}, resources
}

func pairsOf(t model.AssetTemplate, path string, sent map[string][]string, actions []string) []any {
	var out []any
	for _, id := range actions {
		a, _ := t.Action(model.ActionID(id))
		out = append(out, map[string]any{"path": path, "action": a.Value, "assetAttributes": sent})
	}
	return out
}

// TestDecisionIsPermit: RT-108, RT-109: a 5.0 call is answered as Permit/Deny v3 answers the pairs that its mapper makes of
// it, byte for byte, whoever asks and whatever is shown.
func TestDecisionIsPermit(t *testing.T) {
	s := newStack(t, "desk", "claims", "gone")
	fillAwkward(s, 3, 25)
	var types []model.AssetTemplate
	var who []model.TemplateID
	for _, a := range awkwardTypes() {
		if len(a.Actions) > 0 {
			types = append(types, a)
		}
	}
	for _, i := range awkwardPeople() {
		who = append(who, i.ID)
	}
	set := model.APIMapperSet{ID: "desk", WorkspaceID: "w", ApplicationIDs: []model.ApplicationID{"desk"}}
	of := map[int][]model.AssetTemplate{}
	for i := range types {
		for n := 1; n <= 2; n++ {
			id := 10*i + n
			for k := range n {
				of[id] = append(of[id], types[(i+k)%len(types)])
			}
			set.Mappers = append(set.Mappers, bodyMapper(id, of[id]))
		}
	}
	s.write(stackEnvironment, func(tx *store.Tx) error { return put(tx.APIMapperSets, set) })
	catalog := readCatalog(s)
	asked, granting := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		p := &planner{T: rt, catalog: catalog, texts: awkwardTexts, who: who, types: []model.TemplateID{types[0].ID}}
		body := p.plan().body()
		for _, name := range []string{"assetList", "resourceTypes"} {
			delete(body, name)
		}
		for _, flag := range []string{"includeDetails", "includeDenyReason", "includeAssetAttributes"} {
			body[flag] = p.chance(80, flag)
		}
		id := 10*p.number("mapper", 0, len(types)-1) + p.number("types", 1, 2)
		var list, entries []any
		for _, t := range of[id] {
			entry, resources := p.mapped(t)
			entries = append(entries, entry)
			list = append(list, map[string]any{"resourceType": t.ID, "resources": resources})
		}
		call := map[string]any{"method": "PUT", "uri": fmt.Sprintf("/call/%d", id), "body": entries, "ipAddress": body["remoteIp"]}
		if p.chance(30, "text") {
			call["body"] = string(plainJSON(entries))
		}
		tune := map[string]any{}
		for name, v := range body {
			if name != "remoteIp" {
				tune[name] = v
			}
		}
		call["meta"] = map[string]any{"runtimeFineTune": tune}
		body["listOfResources"] = list
		status, want, _ := s.askAt(permitPath, body)
		gotStatus, got, _ := s.askAt(decisionPath, call)
		if status != 200 || gotStatus != 200 || got != `{"data":`+want+`,`+want[1:] {
			rt.Fatalf("asked %s\ngot  %d %s\nv3   %d %s", plainJSON(call), gotStatus, got, status, want)
		}
		if asked++; strings.HasPrefix(want, `{"result":"PERMIT"`) || strings.Contains(want, `"allowed":[{`) {
			granting++
		}
	})
	t.Logf("%d of %d allow a pair", granting, asked)
	if asked >= 100 && granting*20 < asked {
		t.Errorf("of %d calls only %d allow a pair: the comparison says little", asked, granting)
	}
}
