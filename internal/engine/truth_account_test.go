package engine_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// TestAccountHoldsLittle: PM V4: however many and however long the values are that lines compare, calculated ones and literals
// included, an account keeps the first of them and of each the beginning, and says how many it leaves out.
func TestAccountHoldsLittle(t *testing.T) {
	w := edgeWorld(edgeAssets(2))
	function := "UPPER(words)"
	w.identityTemplates["I"] = model.IdentityTemplate{ID: "I", WorkspaceID: identityWorkspace, Attributes: []model.IdentityAttribute{
		{ID: "words", Type: model.String},
		{ID: "loud", Type: model.String, IsCalculated: true, CalculationFunction: &function},
	}}
	rule := model.Rule{Left: model.Ref{Side: model.SideIdentity, Attribute: "loud"}, Op: model.OpIn}
	for i := range 3000 {
		rule.Literals = append(rule.Literals, model.Literal{Text: fmt.Sprint("never ", i)})
	}
	for i := range 5 {
		group, id := model.BlockID(fmt.Sprint("loud ", i)), model.PolicyID(fmt.Sprint("loud ", i))
		w.blocks[group] = model.Block{ID: group, Kind: model.KindDynamicGroup, Template: "I", Branches: []model.Branch{{Rules: []model.Rule{rule}}}}
		p := w.policies["allow"]
		p.ID, p.DynamicGroups = id, []model.BlockID{group}
		w.policies[id] = p
	}
	delete(w.policies, "allow")
	words := []string{strings.Repeat("é", 1000)}
	for i := range 2000 {
		words = append(words, fmt.Sprint(i, strings.Repeat("w", 200)))
	}
	r := bind(t, build(t, w, 1), engine.Question{Applications: []model.ApplicationID{"app"}, Identities: []engine.Identity{
		{Template: "I", EntityID: "i", Attributes: model.Attributes{"words": words}},
	}})
	most := engine.Bounds{Combinations: 3, Policies: 10, Conditions: 10, Values: 20, Bytes: 101}
	a := r.Account(engine.Asset{Template: "T", Path: w.assets["T"][0].Path}, "read", most)
	if a.Allowed || len(a.Told) != 1 || len(a.Told[0].Policies) != 5 {
		t.Fatalf("%+v", a)
	}
	for _, p := range a.Told[0].Policies {
		l := p.Groups[0].Branches[0].Failed
		if len(l.Left) != 20 || len(l.Right) != 20 || l.LeftMore != 1981 || l.RightMore != 2980 {
			t.Errorf("%s: %d values and %d more, %d and %d more", p.Policy.ID, len(l.Left), l.LeftMore, len(l.Right), l.RightMore)
		}
		if l.Left[0] != strings.Repeat("É", 50) || l.Left[1] != "0"+strings.Repeat("W", 100) || l.Right[19] != "never 19" {
			t.Errorf("%s: %q, %q", p.Policy.ID, l.Left[:2], l.Right)
		}
	}
}

// TestGroundsEnd: PM E10: the grounds of a list are found while somebody waits, within their room, or not at all; entries with
// equal grounds share them.
func TestGroundsEnd(t *testing.T) {
	done := make(chan struct{})
	r := bind(t, build(t, edgeWorld(edgeAssets(100)), 1), engine.Question{
		Applications: []model.ApplicationID{"app"}, Identities: []engine.Identity{{Template: "I", EntityID: "i"}}, Done: done,
	})
	a, err := r.Select(engine.Selection{Policies: true})
	if err != nil || a.Len() != 100 {
		t.Fatal(a.Len(), err)
	}
	const different = 2 + 1 // reading and writing of even assets, reading of odd ones
	if _, err := r.Grounds(a, different-1); !errors.Is(err, engine.ErrTooManyGrounds) {
		t.Errorf("without enough room: %v", err)
	}
	g, err := r.Grounds(a, different)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for e, grounds := range g.Entries() {
		if e.Path() != edgeAsset(n).Path || len(grounds) != 2-n%2 || len(grounds[0]) != 1 || grounds[0][0] != (engine.Ground{
			Policy: engine.PolicyRef{ID: "allow"}, Ruleset: "everything", Name: "everything", Branch: 1, Combination: 1,
		}) {
			t.Fatalf("entry %d: %s %+v", n, e.Path(), grounds)
		}
		n++
	}
	if close(done); n != 100 {
		t.Errorf("%d entries", n)
	}
	if _, err := r.Grounds(a, different); !errors.Is(err, engine.ErrStopped) {
		t.Errorf("when nobody waits: %v", err)
	}
}

// TestManyWholeTypes: RT-67: however often a list names a type as a whole, what is found of it is held once; each entry is
// answered by itself.
func TestManyWholeTypes(t *testing.T) {
	const many, times = 5000, 100
	r := bind(t, build(t, edgeWorld(edgeAssets(many)), 1), engine.Question{
		Applications: []model.ApplicationID{"app"}, Identities: []engine.Identity{{Template: "I", EntityID: "i"}},
	})
	var list []engine.Asset
	for range times { // a named asset between, which is not to be added to what is held once
		list = append(list, engine.Asset{Template: "T"}, engine.Asset{Template: "T", Path: edgeAsset(7).Path})
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	a, err := r.Select(engine.Selection{Assets: list})
	runtime.GC()
	runtime.ReadMemStats(&after)
	if err != nil || a.Len() != times*(many+1) {
		t.Fatal(a.Len(), err)
	}
	if held := (after.HeapAlloc - min(before.HeapAlloc, after.HeapAlloc)) >> 10; held > 1000 {
		t.Errorf("%d KiB are held", held)
	}
	n := 0
	for e := range a.Entries() {
		want := n % (many + 1)
		if want == many {
			want = 7
		}
		if e.Path() != edgeAsset(want).Path {
			t.Fatalf("entry %d is %s, want %s", n, e.Path(), edgeAsset(want).Path)
		}
		n++
	}
}
