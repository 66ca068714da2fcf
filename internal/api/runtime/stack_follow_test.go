package runtime

import (
	"testing"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// TestRedefinedTypes: PM-34, architecture "same answer everywhere": a type whose attributes go, move and change their type
// answers the same when it was followed change by change as after a restart.
func TestRedefinedTypes(t *testing.T) {
	attributes := []model.AssetAttribute{{ID: "class", Type: model.String}, {ID: "size", Type: model.Numeric}, {ID: "note", Type: model.String}}
	at := model.AssetTemplate{ID: "Papers", Source: model.SourcePlainID, Attributes: attributes}
	s := openWorld(t, at, model.Asset{Path: "x", Attributes: model.Attributes{"class": {"a"}, "size": {"9"}, "note": {"n", "m"}}},
		model.Asset{Path: "y", Name: "Why", Attributes: model.Attributes{"size": {"many"}}})
	body := map[string]any{"entityId": "iris"}
	for _, step := range []struct {
		name       string
		attributes []model.AssetAttribute
	}{
		{"another order", []model.AssetAttribute{attributes[2], attributes[0], attributes[1]}},
		{"name is declared", append([]model.AssetAttribute{{ID: "name", Type: model.String}}, attributes...)},
		{"name is declared no more", attributes},
		{"another type", []model.AssetAttribute{attributes[0], {ID: "size", Type: model.String}, attributes[2]}},
		{"one goes", attributes[:2]},
		{"all go", nil},
	} {
		s.write(stackEnvironment, func(tx *store.Tx) error {
			at, err := tx.AssetTemplates.Find("Papers")
			if err != nil {
				return err
			}
			at.Attributes = step.attributes
			return put(tx.AssetTemplates, at)
		})
		_, followed, _ := s.ask(body)
		s.restart()
		if _, fresh, _ := s.ask(body); followed != fresh {
			t.Errorf("%s: followed %s\nread anew %s", step.name, followed, fresh)
		}
	}
}
