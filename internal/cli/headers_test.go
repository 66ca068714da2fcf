package cli

import (
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/rego"
)

// TestHeaders reads what the export of building blocks says of them: texts stay what they are, and branches of one block are
// one row.
func TestHeaders(t *testing.T) {
	branches := make([]model.Branch, 2)
	for i, colour := range []string{"red", "blue"} {
		branches[i].Rules = []model.Rule{{Left: model.Ref{Side: model.SideAsset, Attribute: "colour"}, Op: model.OpEqual, Literals: []model.Literal{{Text: colour}}}}
	}
	var blocks []model.Block
	var want []string
	for _, name := range []string{"007", "true", "null", "~", "2020-01-01", "Two words", "# METADATA", "a: b", `"quoted"`} {
		blocks = append(blocks, model.Block{Kind: model.KindRuleset, Name: name, Template: "Boxes", Branches: branches})
		want = append(want, name)
	}
	rows, err := headers(rego.PrintBlocks(blocks, rego.PrintOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range rows {
		var block map[string]string
		if err := json.Unmarshal(row, &block); err != nil {
			t.Fatalf("%s: %v", row, err)
		}
		if block["kind"] != "Ruleset" {
			t.Errorf("%s is no ruleset", row)
		}
		got = append(got, block["name"])
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
