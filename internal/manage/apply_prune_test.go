package manage_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/store"
)

// A5, A6: prune stays within the kinds and workspaces that occur.
func TestApplyPrune(t *testing.T) {
	w := newWorld(t).bare()
	w.apply(backup(), manage.ApplyOptions{})
	prune := manage.ApplyOptions{Prune: true}
	noPolicies := backup().with(files{quays + "policies/p1.rego": "-", quays + "policies/p2.rego": "-", "environment/policy-states.json": "-"})
	out := w.apply(noPolicies, prune)
	if c := out.Summary["policies"]; c != nil || len(out.Errors) > 0 {
		t.Errorf("A5: %+v\n%s", c, texts(out.Errors))
	}
	inUse := w.apply(backup().with(files{
		quays + "asset-types/Cargo.json": "-", quays + "asset-types/Other.json": `{"templateId":"Other","displayName":"Other","source":"REQUEST"}`,
		quays + "applications/harbour-app.json": `{"applicationId":"harbour-app","displayName":"Harbour","assetTemplateIds":[]}`,
	}), prune)
	if !strings.Contains(texts(inUse.Errors), "MGT-009 AssetTemplate: [Cargo] is used by policy: [p1, p2]") || !inUse.Refused {
		t.Errorf("PM-16: %s", texts(inUse.Errors))
	}
	out = w.apply(noPolicies.with(files{quays + "policies/": "", quays + "assets/Cargo.csv": "path,berth\nquay/2,B\n"}), prune)
	if out.Summary["policies"].Deleted != 2 || out.Summary["building-blocks"].Deleted != 1 || out.Summary["assets"].Deleted != 1 || len(out.Errors) > 0 {
		t.Errorf("A6: %+v\n%s", counts(out), texts(out.Errors))
	}
	out = w.apply(files{
		"environment/scopes.json": `[]`, "environment/custom-policy-attributes.json": "[]", quays + "applications/": "", quays + "asset-types/": "",
		quays + "request-attributes.json": "[]", crewWs + "mapper-sets/": "", crewWs + "identity-sources/Crew.json": `{"sources":[]}`,
	}, prune)
	for _, kind := range []string{"scopes", "custom-policy-attributes", "applications", "asset-types", "request-attributes", "mapper-sets", "identity-sources"} {
		if c := out.Summary[kind]; c == nil || c.Deleted != 1 {
			t.Errorf("%s: %+v\n%s", kind, c, texts(out.Errors))
		}
	}
	w.view(func(tx *store.Tx) {
		n, err := tx.Assets("Cargo").Count()
		if blocks := all(t, tx.Blocks); n != 0 || err != nil || len(blocks) != 2 { // All Users, and the group that no policy uses any more
			t.Errorf("%d assets, blocks %+v", n, blocks)
		}
	})
}

// MG-44, 3.12: what a rule or a policy uses cannot be dropped; what goes, goes with its values.
func TestApplyDrops(t *testing.T) {
	w := newWorld(t).bare()
	w.apply(backup(), manage.ApplyOptions{})
	cargo := `{"templateId":"Cargo","displayName":"Cargo","source":"PLAINID","attributes":[{"attributeId":"%s","displayName":"Berth","type":"%s"}],"actions":[{"actionId":"%s","value":"load"}]}`
	only := func(id, kind, action string) files {
		return files{quays + "asset-types/Cargo.json": fmt.Sprintf(cargo, id, kind, action)}
	}
	for name, tt := range map[string]struct {
		change files
		want   string
	}{
		"attribute": {only("other", "STRING", "Load"), "MGT-009 authorization-workspaces/Quays/asset-types/Cargo.json: Attribute: [berth] is used by building block: [Deck, Spare]"},
		"type":      {only("berth", "NUMERIC", "Load"), "Attribute: [berth] is used by building block: [Deck, Spare]"},
		"action":    {only("berth", "STRING", "Other"), "Action: [Load] is used by policy: [p1, p2]"},
		"identity attribute": {
			files{crewWs + "identity-templates/Crew.json": `{"templateId":"Crew","attributes":[]}`},
			"Attribute: [rank] is used by building block: [Senior]",
		},
		"source": {files{quays + "asset-types/Cargo.json": `{"templateId":"Cargo","displayName":"Cargo","source":"REQUEST"}`}, "/source: PLAINID cannot become REQUEST"},
	} {
		for _, skip := range []bool{false, true} {
			before := w.revision()
			out := w.apply(tt.change, manage.ApplyOptions{SkipErrors: skip})
			if !strings.Contains(texts(out.Errors), tt.want) || w.revision() != before || out.Refused == skip {
				t.Errorf("%s: refused %v, revision %d\n%s", name, out.Refused, w.revision(), texts(out.Errors))
			}
		}
	}
	w.apply(files{
		quays + "asset-types/Cargo.json": strings.Replace(fmt.Sprintf(cargo, "berth", "STRING", "Load"), `],"actions"`, `,{"attributeId":"extra","displayName":"Extra","type":"STRING"}],"actions"`, 1),
		quays + "assets/Cargo.ndjson":    `{"path":"quay/1","attributes":{"berth":"A","extra":"x"}}`,
	}, manage.ApplyOptions{})
	w.apply(only("berth", "STRING", "Load"), manage.ApplyOptions{})
	if a := w.assets()["quay/1"]; a.Attributes["extra"] != nil || a.Attributes["berth"] == nil {
		t.Errorf("values of a dropped attribute: %+v", a)
	}
}
