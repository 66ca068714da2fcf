package runtime

import (
	"errors"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// calculatedAsset and calculatedIdentity are attributes calculated by a function.
func calculatedAsset(id model.AttributeID, t model.AttributeType, function string) model.AssetAttribute {
	return model.AssetAttribute{ID: id, Type: t, IsCalculated: true, CalculationFunction: &function}
}

func calculatedIdentity(id model.AttributeID, t model.AttributeType, function string) model.IdentityAttribute {
	return model.IdentityAttribute{ID: id, Type: t, IsCalculated: true, CalculationFunction: &function, IsUsedInAccessRequest: true}
}

func papersEntry(attributes string) string {
	return `{"path":"x","attributes":{` + attributes + `"name":["x"],"path":["x"]},"resourceType":"Papers","actions":[{"action":"read"}]}`
}

// TestNotOfferedFunctions: policy-model.md 3.5, PM-37: an attribute whose function is not offered has no values, whatever was
// stored before it was calculated and whatever a request sends.
func TestNotOfferedFunctions(t *testing.T) {
	attributes := []model.AssetAttribute{{ID: "class", Type: model.String}, calculatedAsset("score", model.Numeric, "score(asset)")}
	stored := openWorld(t, model.AssetTemplate{ID: "Papers", Source: model.SourcePlainID, IsAttributeSentInRequest: true, Attributes: attributes},
		model.Asset{Path: "x", Attributes: model.Attributes{"class": {"a"}, "score": {"9"}}})
	described := openWorld(t, model.AssetTemplate{ID: "Papers", Source: model.SourceRequest, Attributes: attributes})
	sent := map[string]any{"template": "Papers", "path": "x", "assetAttributes": map[string]any{"class": "a", "score": 9}}
	want := document(papersEntry(`"class":["a"],`))
	for name, ask := range map[string]struct {
		s    *stack
		body map[string]any
	}{
		"stored":            {stored, map[string]any{"entityId": "iris"}},
		"stored and sent":   {stored, map[string]any{"entityId": "iris", "assetList": sent}},
		"sent":              {described, map[string]any{"entityId": "iris", "assetList": sent}},
		"asked for by name": {stored, map[string]any{"entityId": "iris", "resourceTypes": map[string]any{"name": "Papers", "attributeList": "class score name path"}}},
	} {
		if status, answer, _ := ask.s.ask(ask.body); status != 200 || answer != want {
			t.Errorf("%s: %d %s, want %s", name, status, answer, want)
		}
	}
}

// TestCalculatedAttributesAreShown: RT-65, runtime-api.md 8.3, 8.5, policy-model.md E12: answers show a calculated attribute
// like any other one that has values, of stored values, of those that a request puts in their place, and of described assets.
func TestCalculatedAttributesAreShown(t *testing.T) {
	attributes := []model.AssetAttribute{
		calculatedAsset("classed", model.String, "HASVALUE(class)"),
		{ID: "class", Type: model.String, IsMultiValue: true, NameForRequest: "Class"},
		calculatedAsset("CLASS", model.String, "UPPER(class)"),
		{ID: "pages", Type: model.Numeric},
		calculatedAsset("most", model.Numeric, "MAX(pages)"),
	}
	attributes[2].NameForRequest = "loud"
	stored := openWorld(t, model.AssetTemplate{ID: "Papers", Source: model.SourcePlainID, IsAttributeSentInRequest: true, Attributes: attributes},
		model.Asset{Path: "x", Attributes: model.Attributes{"class": {"a", "b"}, "CLASS": {"stored"}}})
	described := openWorld(t, model.AssetTemplate{ID: "Papers", Source: model.SourceRequest, Attributes: attributes})
	all := `"classed":["true"],"class":["a","b"],"CLASS":["A","B"],`
	sent := map[string]any{"template": "Papers", "path": "x", "assetAttributes": map[string]any{"Class": []string{"c"}, "loud": "sent", "CLASS": "sent", "pages": []any{3, 12}}}
	shown := `"classed":["true"],"class":["c"],"CLASS":["C"],"pages":["3","12"],"most":["12"],`
	for _, tt := range []struct {
		name string
		s    *stack
		more map[string]any
		want string
	}{
		{"stored", stored, nil, papersEntry(all)},
		{"selected", stored, map[string]any{"resourceTypes": map[string]any{"name": "Papers", "attributeList": "loud,name,path"}}, papersEntry(`"CLASS":["A","B"],`)},
		{"excluded", stored, map[string]any{"resourceTypes": map[string]any{"name": "Papers", "attributeList": "-loud,-Class"}}, papersEntry(`"classed":["true"],`)},
		{"replaced", stored, map[string]any{"assetList": sent}, papersEntry(shown)},
		{"all replaced", stored, map[string]any{"assetList": map[string]any{"template": "Papers", "assetAttributes": map[string]any{"class": "c"}}}, papersEntry(`"classed":["true"],"class":["c"],"CLASS":["C"],`)},
		{"emptied", stored, map[string]any{"assetList": map[string]any{"template": "Papers", "path": "x", "assetAttributes": map[string]any{"class": []string{}}}}, papersEntry(`"classed":["false"],`)},
		{"described", described, map[string]any{"assetList": sent}, papersEntry(shown)},
		{"described without values", described, map[string]any{"assetList": map[string]any{"template": "Papers", "path": "x"}}, papersEntry(`"classed":["false"],`)},
	} {
		body := map[string]any{"entityId": "iris"}
		for name, value := range tt.more {
			body[name] = value
		}
		if status, answer, _ := tt.s.ask(body); status != 200 || answer != document(tt.want) {
			t.Errorf("%s: %d %s, want %s", tt.name, status, answer, document(tt.want))
		}
	}
}

// TestCalculatedIdentity: PM-27, policy-model.md E13: calculated attributes of an identity come last, of what the request has
// made of it; what it says of them counts for nothing. Answers show them.
func TestCalculatedIdentity(t *testing.T) {
	s := openWorld(t, model.AssetTemplate{ID: "Papers", Source: model.SourcePlainID}, model.Asset{Path: "x"})
	s.write(stackEnvironment, func(tx *store.Tx) error {
		_, err := tx.Identities("P").Put(model.Identity{EntityID: "iris", Rows: []model.Attributes{{"port": {"north"}}, {"port": {"south"}}}})
		return errors.Join(err, put(tx.IdentityTemplates, model.IdentityTemplate{ID: "P", WorkspaceID: "i0", Attributes: []model.IdentityAttribute{
			{ID: "uid", Type: model.String},
			{ID: "port", Type: model.String, IsUsedInAccessRequest: true},
			calculatedIdentity("ports", model.Numeric, "COUNT(port)"), calculatedIdentity("login", model.String, `CONCAT(uid, "@quay")`),
			calculatedIdentity("odd", model.String, "ODD(port)"),
		}}), put(tx.Blocks, model.Block{
			ID: "who", Kind: model.KindDynamicGroup, WorkspaceID: "i0", Template: "P",
			Branches: branches(rule(model.SideIdentity, "ports", model.OpEqual, "2")),
		}))
	})
	entry := `{"path":"x","attributes":{"name":["x"],"path":["x"]},"resourceType":"Papers","actions":[{"action":"read"}]}`
	for _, tt := range []struct {
		name string
		more map[string]any
		want string // identity's attributes; "" = denied
	}{
		{"pooled", nil, `"port":["north","south"],"ports":["2"],"login":["iris@quay"],"odd":[]`},
		{"row by row", map[string]any{"combinedMultiValue": true}, ""},
		{"sent", map[string]any{"entityAttributes": map[string]any{"port": []string{"east", "west"}, "ports": 7, "login": "root@quay", "odd": "x"}}, `"port":["east","west"],"ports":["2"],"login":["iris@quay"],"odd":[]`},
		{"sent one", map[string]any{"contextData": map[string]any{"port": "east", "ports": 2}}, ""},
	} {
		body := map[string]any{"entityId": "iris", "includeIdentity": true}
		for name, value := range tt.more {
			body[name] = value
		}
		status, answer, _ := s.ask(body)
		if granted := strings.Contains(answer, entry); status != 200 || granted != (tt.want != "") || !strings.Contains(answer, tt.want) {
			t.Errorf("%s: %d %s, want %s", tt.name, status, answer, tt.want)
		}
		// RT-100: who may use the asset
		delete(body, "entityId")
		delete(body, "includeIdentity")
		body["asset"] = map[string]any{"resourceType": "Papers", "path": "x"}
		status, users, _ := s.askAt("/api/runtime/userlist/v3", body)
		if listed := strings.Contains(users, `"iris"`); status != 200 || listed != (tt.want != "") {
			t.Errorf("%s: users %d %s", tt.name, status, users)
		}
	}
}

// TestFiltersWithoutCalculatedAttributes: RT-97, RT-98: rows that live elsewhere lack calculated attributes. A filter names
// none: what a line on one would grant is left out, and what it would take away is not lifted by its negation.
func TestFiltersWithoutCalculatedAttributes(t *testing.T) {
	attributes := []model.AssetAttribute{{ID: "class", Type: model.String}, {ID: "pages", Type: model.Numeric}, calculatedAsset("classed", model.String, "HASVALUE(class)")}
	line := func(attribute model.AttributeID, op model.Operator, literal string) model.Rule {
		return textRule(model.SideAsset, attribute, op, []string{literal})
	}
	for _, tt := range []struct {
		name            string
		allow, restrict [][]model.Rule
		want            string // of the action object; "" = nothing is granted
	}{
		{"only calculated", [][]model.Rule{{line("classed", model.OpEqual, "true")}}, nil, ""},
		{
			"one branch",
			[][]model.Rule{{line("class", model.OpEqual, "a")}, {line("classed", model.OpEqual, "true")}},
			nil,
			`{"action":"read","asset-attributes-filter":{"OR":[{"AND":[{"attribute":"class","type":"STRING","operator":"EQUALS","values":["a"]}]}]}}`,
		},
		{"one line", [][]model.Rule{{line("class", model.OpEqual, "a"), line("classed", model.OpEqual, "true")}}, nil, ""},
		{"restricted", [][]model.Rule{{}}, [][]model.Rule{{line("classed", model.OpEqual, "false")}}, ""},
		{
			"restricted in part",
			[][]model.Rule{{}},
			[][]model.Rule{{line("classed", model.OpNotEqual, "true"), line("class", model.OpEqual, "b")}},
			`{"action":"read","asset-attributes-filter":{"OR":[{"AND":[{"attribute":"class","type":"STRING","operator":"NOTEQUALS","values":["b"]}]}]}}`,
		},
	} {
		s := openWorld(t, model.AssetTemplate{ID: "Papers", Source: model.SourceRequest, IsUsedForFiltering: true, Attributes: attributes})
		block := func(id model.BlockID, all [][]model.Rule) model.Block {
			b := model.Block{ID: id, Kind: model.KindRuleset, WorkspaceID: "a0", Template: "Papers"}
			for _, rules := range all {
				b.Branches = append(b.Branches, model.Branch{Rules: rules})
			}
			return b
		}
		s.write(stackEnvironment, func(tx *store.Tx) error {
			err := put(tx.Blocks, block("what", tt.allow))
			if tt.restrict == nil {
				return err
			}
			return errors.Join(err, put(tx.Blocks, block("not", tt.restrict)), put(tx.Policies, model.Policy{
				ID: "r", WorkspaceID: "a0", Access: model.Restrict, Use: model.PolicyUseDynamic,
				DynamicGroups: []model.BlockID{"who"}, Rulesets: []model.RulesetUse{{BlockID: "not", AllActions: true}},
			}))
		})
		want := `{"tokenValidity":0,"response":[{"privileges":{"allowed":[]}}],"contextData":null}`
		if tt.want != "" {
			want = `{"tokenValidity":0,"response":[{"privileges":{"allowed":[{"resourceType":"Papers","actions":[` + tt.want + `]}]}}],"contextData":null}`
		}
		if status, answer, _ := s.askAt(resolutionPath, map[string]any{"entityId": "iris"}); status != 200 || answer != want {
			t.Errorf("%s: %d %s, want %s", tt.name, status, answer, want)
		}
	}
}

// TestCalculatedOtherwise: PM-34, architecture "same answer everywhere": another function, an attribute that is calculated and then no more: followed change by change
// as after a restart.
func TestCalculatedOtherwise(t *testing.T) {
	class, size := model.AssetAttribute{ID: "class", Type: model.String}, model.AssetAttribute{ID: "size", Type: model.Numeric}
	s := openWorld(t, model.AssetTemplate{ID: "Papers", Source: model.SourcePlainID, Attributes: []model.AssetAttribute{class, size}},
		model.Asset{Path: "x", Attributes: model.Attributes{"class": {"a", "b"}, "size": {"9"}}}, model.Asset{Path: "y", Attributes: model.Attributes{"size": {"2"}}})
	s.write(stackEnvironment, func(tx *store.Tx) error {
		return put(tx.Blocks, model.Block{
			ID: "what", Kind: model.KindRuleset, WorkspaceID: "a0", Template: "Papers",
			Branches: branches(rule(model.SideAsset, "size", model.OpEqual, "2.0")),
		})
	})
	body := map[string]any{"entityId": "iris"}
	for _, step := range []struct {
		name string
		size model.AssetAttribute
		want string // paths
	}{
		{"stored", size, "y"},
		{"calculated", calculatedAsset("size", model.Numeric, "COUNT(class)"), "x"},
		{"of itself no more", size, "y"},
		{"of another", calculatedAsset("size", model.Numeric, `COUNT(path)`), ""},
		{"and back", calculatedAsset("size", model.Numeric, "COUNT( class )"), "x"},
	} {
		s.write(stackEnvironment, func(tx *store.Tx) error {
			at, err := tx.AssetTemplates.Find("Papers")
			if err != nil {
				return err
			}
			at.Attributes = []model.AssetAttribute{class, step.size}
			return put(tx.AssetTemplates, at)
		})
		status, followed, _ := s.ask(body)
		var paths []string
		for _, e := range s.entries(status, followed) {
			paths = append(paths, e.Path)
		}
		if strings.Join(paths, " ") != step.want {
			t.Errorf("%s: %s, want %s", step.name, followed, step.want)
		}
		s.restart()
		if _, fresh, _ := s.ask(body); followed != fresh {
			t.Errorf("%s: followed %s\nread anew %s", step.name, followed, fresh)
		}
	}
}
