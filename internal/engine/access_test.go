package engine_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// TestEntriesOutliveTheirTurn: an answer is read by several at once, and an entry that is kept is the same entry when others
// have been read, over batches, types, changed and removed assets.
func TestEntriesOutliveTheirTurn(t *testing.T) {
	const each, later = 150, 30
	w := newWorld()
	w.identityTemplates["I"] = model.IdentityTemplate{ID: "I", Attributes: []model.IdentityAttribute{{ID: model.AttributeUID, Type: model.String}}}
	w.blocks["who"] = model.Block{ID: "who", Kind: model.KindDynamicGroup, Template: "I", Branches: []model.Branch{{}}}
	app := model.Application{ID: "app"}
	var assets []engine.Asset
	var want []line
	change := engine.Delta{Revision: 2, Assets: map[model.TemplateID]engine.Records[model.Asset]{}}
	for _, id := range []model.TemplateID{"T0", "T1"} {
		app.AssetTemplateIDs = append(app.AssetTemplateIDs, id)
		w.assetTemplates[id] = model.AssetTemplate{
			ID: id, Source: model.SourcePlainID, Actions: []model.Action{{ID: "read", Value: "read"}},
			Attributes: []model.AssetAttribute{{ID: "a", Type: model.String}},
		}
		w.blocks[model.BlockID(id)] = model.Block{ID: model.BlockID(id), Kind: model.KindRuleset, Template: id, Branches: []model.Branch{{}}}
		w.policies[model.PolicyID(id)] = model.Policy{
			ID: model.PolicyID(id), Access: model.Allow, DynamicGroups: []model.BlockID{"who"},
			Rulesets: []model.RulesetUse{{BlockID: model.BlockID(id), AllActions: true}},
		}
		var put []model.Asset
		for i := range each {
			a := model.Asset{Path: fmt.Sprint(i), Attributes: model.Attributes{"a": {fmt.Sprint(id, i)}}}
			w.assets[id] = append(w.assets[id], a)
			if i%(each/later) == 0 {
				a.Attributes = model.Attributes{"a": {"changed"}}
				put = append(put, a)
			}
			if assets = append(assets, engine.Asset{Template: id, Path: a.Path}); i != 1 && i != 77 {
				want = append(want, line{Template: id, Path: a.Path, Attributes: model.Attributes{"a": a.Attributes["a"], "name": {a.Path}, "path": {a.Path}}})
			}
		}
		change.Assets[id] = engine.Records[model.Asset]{Put: records(put), Removed: []string{"1", "77"}}
	}
	w.applications["app"] = app
	s, err := build(t, w, 1).Next(change)
	if err != nil {
		t.Fatal(err)
	}
	r := bind(t, s, engine.Question{Applications: []model.ApplicationID{"app"}, Identities: []engine.Identity{{Template: "I", EntityID: "x"}}})
	for _, sel := range []engine.Selection{{}, {Assets: assets}} {
		access, err := r.Select(sel)
		if err != nil || access.Len() != 2*(each-2) {
			t.Fatalf("%d entries, %v", access.Len(), err)
		}
		var all sync.WaitGroup
		var kept [2][]engine.Entry
		for i := range kept {
			all.Go(func() {
				for e := range access.Entries() {
					kept[i] = append(kept[i], e)
					if len(kept[i])%3 == 0 { // the others are written for the first time when their batch is gone
						_ = e.Append(nil, nil)
					}
				}
			})
		}
		all.Wait()
		for i := range kept {
			for n := len(kept[i]) - 1; n >= 0; n-- {
				checkWritten(t, &kept[i][n], want[n])
			}
		}
	}
}
