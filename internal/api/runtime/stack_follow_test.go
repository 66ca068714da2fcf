package runtime

import (
	"testing"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// TestRedefinedTypes: PM-34, architecture "same answer everywhere": a type whose attributes go, come back, move and change
// their type answers the same when it was followed change by change as after a restart.
func TestRedefinedTypes(t *testing.T) {
	attributes := []model.AssetAttribute{{ID: "class", Type: model.String}, {ID: "size", Type: model.Numeric}, {ID: "note", Type: model.String}}
	at := model.AssetTemplate{ID: "Papers", Source: model.SourcePlainID, Attributes: attributes}
	s := openWorld(t, at, model.Asset{Path: "x", Attributes: model.Attributes{"class": {"a"}, "size": {"9"}, "note": {"n", "m"}}},
		model.Asset{Path: "y", Name: "Why", Attributes: model.Attributes{"size": {"many"}}})
	s.write(stackEnvironment, func(tx *store.Tx) error { // y comes by its name, x by its size if that is a number
		return put(tx.Blocks, model.Block{ID: "what", Kind: model.KindRuleset, WorkspaceID: "a0", Template: "Papers", Branches: append(
			branches(rule(model.SideAsset, "size", model.OpEqual, "9.0")), branches(textRule(model.SideAsset, "path", model.OpEqual, []string{"y"}))...)})
	})
	body := map[string]any{"entityId": "iris"}
	for _, step := range []struct {
		name       string
		attributes []model.AssetAttribute
		entries    int
	}{
		{"another order", []model.AssetAttribute{attributes[2], attributes[0], attributes[1]}, 2},
		{"name is declared", append([]model.AssetAttribute{{ID: "name", Type: model.String}}, attributes...), 2},
		{"name is declared no more", attributes, 2},
		{"another type", []model.AssetAttribute{attributes[0], {ID: "size", Type: model.String}, attributes[2]}, 1},
		{"the type is back", attributes, 2},
		{"one goes", attributes[:2], 2},
		{"it comes back", attributes, 2},
		{"all but one go", attributes[1:2], 2},
		{"all come back", attributes, 2},
	} {
		s.write(stackEnvironment, func(tx *store.Tx) error {
			at, err := tx.AssetTemplates.Find("Papers")
			if err != nil {
				return err
			}
			at.Attributes = step.attributes
			return put(tx.AssetTemplates, at)
		})
		status, followed, _ := s.ask(body)
		if got := len(s.entries(status, followed)); got != step.entries {
			t.Errorf("%s: %d entries, want %d", step.name, got, step.entries)
		}
		s.restart()
		if _, fresh, _ := s.ask(body); followed != fresh {
			t.Errorf("%s: followed %s\nread anew %s", step.name, followed, fresh)
		}
	}
}
