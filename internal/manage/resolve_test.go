package manage_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

const seniorID = "aaaaaaaa-51a4-4a0e-8c2d-7e6f5a4b3c21"

// groupPolicy is a policy with one dynamic group; name and id may be empty.
func groupPolicy(id, name, blockID, lines string) string {
	header := "#     kind: DynamicGroup\n"
	if name != "" {
		header += "#     name: " + name + "\n"
	}
	if blockID != "" {
		header += "#     id: " + blockID + "\n"
	}
	text := policyText(id, lines)
	return strings.Replace(text, "#     kind: DynamicGroup\n#     name: Senior\n", header, 1)
}

// seniors has the group Senior, rank >= 4, used by P1 and P2 (policy-model.md 8.4).
func seniors(t *testing.T) *world {
	w := newWorld(t).bare()
	out := w.apply(backup().with(files{
		"environment/policy-states.json": "-", quays + "policies/p1.rego": "-", quays + "policies/p2.rego": "-",
		quays + "policies/P1.rego": groupPolicy("P1", "Senior", seniorID, `identity["rank"] >= 4`),
		quays + "policies/P2.rego": groupPolicy("P2", "Senior", seniorID, `identity["rank"] >= 4`),
	}), manage.ApplyOptions{})
	if len(out.Errors) > 0 {
		t.Fatal(texts(out.Errors))
	}
	return w
}

// importGroup applies policy X with one group and returns the name and id of the group it got, and what happened to it.
func (w *world) importGroup(byName bool, name, id, lines string) (manage.BlockOutcome, manage.ApplyReport) {
	w.t.Helper()
	out := w.apply(files{quays + "policies/X.rego": groupPolicy("X", name, id, lines)}, manage.ApplyOptions{ByName: byName})
	for _, b := range out.Blocks {
		if b.Kind == model.KindDynamicGroup {
			return b, out
		}
	}
	return manage.BlockOutcome{}, out
}

// PM-52: X1 to X10.
func TestResolve(t *testing.T) {
	tests := []struct {
		name            string
		byName          bool
		block, id, rule string
		result, want    string
		sameID          bool
	}{
		{"X1", false, "Elders", "", `identity["rank"] >= 4`, "reused", "Senior", true},
		{"X2", false, "Senior", "", `identity["rank"] >= 4.0`, "reused", "Senior", true},
		{"X3", false, "Senior", "", `identity["rank"] >= 5`, "created", "Senior (1)", false},
		{"X5", false, "Top", seniorID, `identity["rank"] >= 5`, "created", "Top", false},
		{"X6", true, "Senior", "", `identity["rank"] >= 5`, "updated", "Senior", true},
		{"X7", true, "Elders", "", `identity["rank"] >= 4`, "created", "Elders", false},
		{"X8", false, "Everybody", "", "", "reused", "Crew people All Users", false},
		{"name-based, same rules", true, "Senior", "", `identity["rank"] >= 4`, "reused", "Senior", true},
		{"name-based, by id", true, "", seniorID, `identity["rank"] >= 6`, "updated", "Senior", true},
		{"rule-based, without name", false, "", seniorID, `identity["rank"] >= 6`, "created", "Senior (1)", false},
		{"free id kept", false, "Fresh", "bbbbbbbb-51a4-4a0e-8c2d-7e6f5a4b3c21", `identity["rank"] >= 7`, "created", "Fresh", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := seniors(t)
			got, out := w.importGroup(tt.byName, tt.block, tt.id, tt.rule)
			if len(out.Errors) > 0 {
				t.Fatal(texts(out.Errors))
			}
			if got.Result != tt.result || got.Name != tt.want || (got.ID == seniorID) != tt.sameID {
				t.Errorf("got %+v", got)
			}
			if tt.name == "free id kept" && string(got.ID) != tt.id {
				t.Errorf("id %s", got.ID)
			}
			affected := fmt.Sprint(out.Affected)
			if tt.result == "updated" && affected != "[P1 P2 X]" || tt.result != "updated" && affected != "[]" {
				t.Errorf("PM-54: affected %s", affected)
			}
			w.view(func(tx *store.Tx) {
				senior, err := tx.Blocks.Find(seniorID)
				w.must(err)
				text := senior.Branches[0].Rules[0].Literals[0].Text
				if changed := text != "4"; changed != (tt.result == "updated") || senior.Name != "Senior" {
					t.Errorf("PM-53: the stored block is %+v", senior)
				}
			})
		})
	}
}

// X4: numbers count from the smallest free one; a number that is there is not doubled.
func TestResolveNumbers(t *testing.T) {
	w := seniors(t)
	for i, name := range []string{"Senior", "Senior (1)", "Senior (7)", "Senior"} {
		got, _ := w.importGroup(false, name, "", fmt.Sprintf(`identity["rank"] >= %d`, 5+i))
		want := []string{"Senior (1)", "Senior (2)", "Senior (7)", "Senior (3)"}[i]
		if got.Name != want {
			t.Errorf("%s became %s, want %s", name, got.Name, want)
		}
	}
}

// X9: a predefined block cannot be changed, by name or by id.
func TestResolvePredefined(t *testing.T) {
	w := seniors(t)
	_, out := w.importGroup(true, "Crew people All Users", "", `identity["rank"] >= 5`)
	if !strings.Contains(texts(out.Errors), `RG-405 authorization-workspaces/Quays/policies/X.rego:14:13: "Crew people All Users" is predefined and cannot be changed`) {
		t.Errorf("by name: %s", texts(out.Errors))
	}
	blocks := "package building_blocks\nimport rego.v1\n\n# METADATA\n# custom:\n#   plainid:\n#     kind: DynamicGroup\n#     name: All\n#     id: " +
		string(model.PredefinedBlockID(model.KindDynamicGroup, "Crew")) + "\ndynamic_group(identity) if {\n\tidentity.template == \"Crew\"\n\tidentity[\"rank\"] >= 5\n}"
	out = w.apply(files{crewWs + "building-blocks.rego": blocks}, manage.ApplyOptions{})
	if !strings.Contains(texts(out.Errors), "RG-405") {
		t.Errorf("by id: %s", texts(out.Errors))
	}
}

// X10: order of branches, lines and list values plays no part; the stored order stays.
func TestResolveOrder(t *testing.T) {
	w := seniors(t)
	first, _ := w.importGroup(false, "Listed", "", "identity[\"rank\"] in [1, 2]\n\tidentity[\"rank\"] != 3")
	got, _ := w.importGroup(false, "Other", "", "identity[\"rank\"] != 3.0\n\tidentity[\"rank\"] in [2, 1, 2.0]")
	if got.Result != "reused" || got.ID != first.ID {
		t.Errorf("%+v after %+v", got, first)
	}
}

// PM-53, 8.2 rule 5: the import of building blocks edits a block by its id, and tells whose policies change.
func TestResolveEdit(t *testing.T) {
	w := seniors(t)
	blocks := func(name, id, rank string) string {
		return "package building_blocks\nimport rego.v1\n\n# METADATA\n# custom:\n#   plainid:\n#     kind: DynamicGroup\n#     name: " + name + "\n#     id: " + id +
			"\ndynamic_group(identity) if {\n\tidentity.template == \"Crew\"\n\tidentity[\"rank\"] >= " + rank + "\n}"
	}
	out := w.apply(files{crewWs + "building-blocks.rego": blocks("Veterans", seniorID, "8")}, manage.ApplyOptions{})
	if len(out.Errors) > 0 || out.Blocks[0].Result != "updated" || out.Blocks[0].Name != "Veterans" || fmt.Sprint(out.Affected) != "[P1 P2]" {
		t.Errorf("%+v affected %v %s", out.Blocks, out.Affected, texts(out.Errors))
	}
	out = w.apply(files{crewWs + "building-blocks.rego": blocks("Veterans", seniorID, "8.0")}, manage.ApplyOptions{})
	if out.Blocks[0].Result != "reused" {
		t.Errorf("the second time: %+v", out.Blocks)
	}
	out = w.apply(files{quays + "building-blocks.rego": blocks("Veterans", seniorID, "8")}, manage.ApplyOptions{})
	if !strings.Contains(texts(out.Errors), "RG-404") {
		t.Errorf("a group in an authorization workspace: %s", texts(out.Errors))
	}
}

// The limit of 50 blocks is that of the import call (policy-model.md 9); the file of an archive holds what a workspace has.
func TestApplyManyBlocks(t *testing.T) {
	w := seniors(t)
	var text strings.Builder
	text.WriteString("package building_blocks\nimport rego.v1\n")
	for i := range 1_000 {
		fmt.Fprintf(&text, "\n# METADATA\n# custom:\n#   plainid:\n#     kind: DynamicGroup\n#     name: Group %d\n"+
			"dynamic_group(identity) if {\n\tidentity.template == \"Crew\"\n\tidentity[\"rank\"] >= %d\n}\n", i, 100+i)
	}
	archive := files{crewWs + "building-blocks.rego": text.String()}
	if out := w.apply(archive, manage.ApplyOptions{}); len(out.Errors) > 0 || out.Summary["building-blocks"].Created != 1_000 {
		t.Errorf("%+v %s", out.Summary["building-blocks"], texts(out.Errors))
	}
	if out := w.apply(archive, manage.ApplyOptions{}); len(out.Items) != 0 {
		t.Errorf("the second time: %+v", out.Items)
	}
}

// PM-14: one stored ruleset, two policies, two lists of actions.
func TestResolveActions(t *testing.T) {
	w := seniors(t)
	w.apply(files{quays + "policies/Y.rego": strings.Replace(policyText("Y", ""), `["Load"]`, `["View"]`, 1)}, manage.ApplyOptions{})
	w.view(func(tx *store.Tx) {
		p1, err := tx.Policies.Find("P1")
		w.must(err)
		y, err := tx.Policies.Find("Y")
		w.must(err)
		if p1.Rulesets[0].BlockID != y.Rulesets[0].BlockID || !slices.Equal(p1.Rulesets[0].ActionIDs, []model.ActionID{"Load"}) ||
			!slices.Equal(y.Rulesets[0].ActionIDs, []model.ActionID{"View"}) {
			t.Errorf("%+v\n%+v", p1.Rulesets, y.Rulesets)
		}
	})
}

// PM-15: a policy without id gets the same one each time it is applied from the same file; its state stays.
func TestPolicyWithoutID(t *testing.T) {
	w := seniors(t)
	text := strings.Replace(policyText("x", `identity["rank"] >= 4`), "#     policyId: x\n", "", 1)
	first := w.apply(files{quays + "policies/free.rego": text}, manage.ApplyOptions{})
	if len(first.Errors) > 0 || first.Summary["policies"].Created != 1 {
		t.Fatal(texts(first.Errors))
	}
	id := first.Items[0].ID
	w.apply(files{"environment/policy-states.json": `["` + id + `","P1"]`}, manage.ApplyOptions{})
	again := w.apply(files{quays + "policies/free.rego": text}, manage.ApplyOptions{})
	if again.Summary["policies"].Unchanged != 1 {
		t.Errorf("%+v", again.Items)
	}
	w.view(func(tx *store.Tx) {
		p, err := tx.Policies.Find(model.PolicyID(id))
		w.must(err)
		if !p.Inactive {
			t.Error("an import changed the state")
		}
	})
	other := w.apply(files{"authorization-workspaces/Other/policies/p.rego": groupPolicy("P1", "Senior", "", `identity["rank"] >= 4`)}, manage.ApplyOptions{})
	if !strings.Contains(texts(other.Errors), "RG-307") && !strings.Contains(texts(other.Errors), "RG-308") {
		t.Errorf("a policy of another workspace: %s", texts(other.Errors))
	}
}

// PM-18: onlyOnCreate values stay.
func TestPolicyOnlyOnCreate(t *testing.T) {
	w := seniors(t)
	with := func(value string) files {
		return files{
			"environment/custom-policy-attributes.json": `[{"key":"ticket","name":"Ticket","displayOrder":1,"type":"string","onlyOnCreate":true}]`,
			quays + "policies/c.rego":                   strings.Replace(policyText("c", ""), "#     accessType: Allow", "#     accessType: Allow\n#     customAttributes:\n#       ticket: \""+value+"\"", 1),
		}
	}
	if out := w.apply(with("T-1"), manage.ApplyOptions{}); len(out.Errors) > 0 {
		t.Fatal(texts(out.Errors))
	}
	if out := w.apply(with("T-2"), manage.ApplyOptions{}); !strings.Contains(texts(out.Errors), "RG-111") {
		t.Errorf("changed: %s", texts(out.Errors))
	}
	if out := w.apply(with("T-1"), manage.ApplyOptions{}); len(out.Errors) > 0 {
		t.Errorf("same: %s", texts(out.Errors))
	}
}
