package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// edgeWorld is one PLAINID type "T" that everybody of "I" may read, and whose "odd" ones nobody may write.
func edgeWorld(assets []model.Asset) *world {
	w := newWorld()
	w.identityTemplates["I"] = model.IdentityTemplate{ID: "I", WorkspaceID: identityWorkspace}
	w.assetTemplates["T"] = model.AssetTemplate{
		ID: "T", WorkspaceID: authWorkspace, Source: model.SourcePlainID,
		Attributes: []model.AssetAttribute{{ID: "kind", Type: model.String}, {ID: "n", Type: model.Numeric}},
		Actions:    []model.Action{{ID: "Read", Value: "read"}, {ID: "Write", Value: "write"}},
	}
	w.applications["app"] = model.Application{ID: "app", WorkspaceID: authWorkspace, AssetTemplateIDs: []model.TemplateID{"T"}}
	block := func(id model.BlockID, kind model.BlockKind, of model.TemplateID, rules ...model.Rule) {
		w.blocks[id] = model.Block{ID: id, Kind: kind, Template: of, Name: string(id), Branches: []model.Branch{{Rules: rules}}}
	}
	block("everybody", model.KindDynamicGroup, "I")
	block("everything", model.KindRuleset, "T")
	block("odd", model.KindRuleset, "T", model.Rule{
		Left: model.Ref{Side: model.SideAsset, Attribute: "kind"}, Op: model.OpEqual,
		Literals: []model.Literal{{Text: "odd"}},
	})
	policy := func(id model.PolicyID, access model.Access, use model.RulesetUse) {
		w.policies[id] = model.Policy{
			ID: id, Access: access, Use: model.PolicyUseDynamic, DynamicGroups: []model.BlockID{"everybody"},
			Rulesets: []model.RulesetUse{use},
		}
	}
	policy("allow", model.Allow, model.RulesetUse{BlockID: "everything", AllActions: true})
	policy("restrict", model.Restrict, model.RulesetUse{BlockID: "odd", ActionIDs: []model.ActionID{"Write"}})
	w.assets["T"] = assets
	return w
}

func edgeAssets(n int) []model.Asset {
	out := make([]model.Asset, n)
	for i := range out {
		out[i] = edgeAsset(i)
	}
	return out
}

func edgeAsset(i int) model.Asset {
	kind := [...]string{"even", "odd"}[i%2]
	return model.Asset{
		Path:       fmt.Sprintf("asset/%07d", i),
		Attributes: model.Attributes{"kind": {kind}, "n": {fmt.Sprint(i % 1000)}},
	}
}

func edgeQuestion() engine.Question {
	return engine.Question{
		Applications: []model.ApplicationID{"app"}, SourceIP: netip.MustParseAddr("10.0.0.1"),
		Instant: time.Date(2026, 7, 6, 8, 0, 0, 0, time.UTC), Identities: []engine.Identity{{Template: "I", EntityID: "iris"}},
	}
}

// TestCountInEqualsCountOut: sizes around chunks of 65,536, also after random deletes: the list has every
// asset once, in catalogue order, and writing is taken away from the odd ones only.
func TestCountInEqualsCountOut(t *testing.T) {
	for _, n := range []int{0, 1, 65_535, 65_536, 65_537} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			assets := edgeAssets(n)
			s := build(t, edgeWorld(assets), 1)
			sameCatalogue(t, s, assets)
			random := rand.New(rand.NewPCG(1, uint64(n)))
			var change engine.Records[model.Asset]
			var kept []model.Asset
			for _, a := range assets {
				if random.IntN(3) == 0 {
					change.Removed = append(change.Removed, a.Path)
				} else {
					kept = append(kept, a)
				}
			}
			again := edgeAsset(0) // deleted or not: comes (back) at its place or at the end
			kept = putAsset(kept, again)
			change.Put = records([]model.Asset{again})
			next, err := s.Next(engine.Delta{Revision: 2, Assets: map[model.TemplateID]engine.Records[model.Asset]{"T": change}})
			if err != nil {
				t.Fatal(err)
			}
			sameCatalogue(t, next, kept)
			sameCatalogue(t, s, assets)
			if n > 0 {
				cleared, err := next.Next(engine.Delta{Revision: 3, Assets: map[model.TemplateID]engine.Records[model.Asset]{"T": {Clear: true}}})
				if err != nil {
					t.Fatal(err)
				}
				sameCatalogue(t, cleared, nil)
			}
		})
	}
}

func sameCatalogue(t *testing.T, s *engine.Snapshot, want []model.Asset) {
	t.Helper()
	if got := s.CountAssets("T"); got != len(want) {
		t.Fatalf("CountAssets is %d, want %d", got, len(want))
	}
	access, err := bind(t, s, edgeQuestion()).Select(engine.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	if access.Len() != len(want) {
		t.Fatalf("%d entries, want %d", access.Len(), len(want))
	}
	sets, i := access.ActionSets(), 0
	for e := range access.Entries() {
		if i >= len(want) || e.Path() != want[i].Path {
			t.Fatalf("entry %d is %q, want %+v", i, e.Path(), want[min(i, len(want)-1)])
		}
		actions := 2 - len(want[i].Attributes["kind"][0])%2 // "even" has both, "odd" only read
		if got := len(sets[e.Actions]); got != actions {
			t.Fatalf("%q has %d actions, want %d", e.Path(), got, actions)
		}
		i++
	}
	if i != len(want) {
		t.Fatalf("%d entries came, want %d", i, len(want))
	}
}

// TestManySmallSteps: a chain of single puts and removes across a chunk's border ends at the state of one build.
func TestManySmallSteps(t *testing.T) {
	assets := edgeAssets(65_530)
	s := build(t, edgeWorld(assets), 1)
	random := rand.New(rand.NewPCG(7, 7))
	for i := range 200 {
		a := edgeAsset(65_530 + i/2)
		change := engine.Records[model.Asset]{Put: records([]model.Asset{a})}
		if i%3 == 0 {
			gone := random.IntN(len(assets))
			change.Removed = []string{assets[gone].Path}
			assets = slices.Delete(slices.Clone(assets), gone, gone+1)
		}
		assets = putAsset(assets, a)
		next, err := s.Next(engine.Delta{Revision: model.Revision(i + 2), Assets: map[model.TemplateID]engine.Records[model.Asset]{"T": change}})
		if err != nil {
			t.Fatal(err)
		}
		s = next
	}
	sameCatalogue(t, s, assets)
}

// TestReadersWhileNext: readers of a snapshot are never disturbed by the making of the following ones (run with -race).
func TestReadersWhileNext(t *testing.T) {
	const n = 2_000
	var current atomic.Pointer[engine.Snapshot]
	current.Store(build(t, edgeWorld(edgeAssets(n)), 1))
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				if err := readOnce(current.Load()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 150 {
		// Every revision holds n assets: what is removed comes back in the following one.
		change := engine.Records[model.Asset]{Removed: []string{edgeAsset(i).Path}, Put: records([]model.Asset{edgeAsset(n + i)})}
		next, err := current.Load().Next(engine.Delta{Revision: model.Revision(i + 2), Assets: map[model.TemplateID]engine.Records[model.Asset]{"T": change}})
		if err != nil {
			t.Fatal(err)
		}
		current.Store(next)
	}
	stop()
	readers.Wait()
	if got := current.Load().CountAssets("T"); got != n {
		t.Errorf("%d assets at the end, want %d", got, n)
	}
}

// readOnce lists everything and checks a few entries one by one.
func readOnce(s *engine.Snapshot) error {
	r, err := s.Bind(edgeQuestion())
	if err != nil {
		return err
	}
	access, err := r.Select(engine.Selection{Policies: true})
	if err != nil {
		return err
	}
	i := 0
	for e := range access.Entries() {
		if i%97 == 0 && !r.Evaluate(engine.Asset{Template: "T", Path: e.Path()}, "read").Allowed {
			return fmt.Errorf("%q is listed but its check is denied", e.Path())
		}
		i++
	}
	if i != 2_000 {
		return fmt.Errorf("revision %d lists %d of 2000 assets", s.Revision(), i)
	}
	return nil
}

// TestBindRefuses: M6, E16, E21: what cannot be asked is an error of kind invalid, never an answer.
func TestBindRefuses(t *testing.T) {
	w := edgeWorld(edgeAssets(1))
	for _, id := range []model.TemplateID{"J", "K", "L"} {
		w.identityTemplates[id] = model.IdentityTemplate{ID: id, WorkspaceID: identityWorkspace, Attributes: []model.IdentityAttribute{{ID: "s", Type: model.String}}}
	}
	s := build(t, w, 1)
	rows := func(n int) []model.Attributes {
		out := make([]model.Attributes, n)
		for i := range out {
			out[i] = model.Attributes{"s": {fmt.Sprint(i)}}
		}
		return out
	}
	one := func(id model.TemplateID, n int) engine.Identity {
		return engine.Identity{Template: id, EntityID: "x", Rows: rows(n)}
	}
	cases := []struct {
		name       string
		identities []engine.Identity
		combined   bool
		refused    bool
	}{
		{"M6 four identities", []engine.Identity{one("I", 0), one("J", 0), one("K", 0), one("L", 0)}, false, true},
		{"M6 two of one template", []engine.Identity{one("I", 0), one("I", 0)}, false, true},
		{"unknown template", []engine.Identity{one("nobody", 0)}, false, true},
		{"E21 10,001 combinations", []engine.Identity{one("J", 73), one("K", 137)}, true, true},
		{"E21 10,000 combinations", []engine.Identity{one("J", 100), one("K", 100)}, true, false},
		{"E19 rows without the flag", []engine.Identity{one("J", 1000), one("K", 1000)}, false, false},
		{"three identities", []engine.Identity{one("I", 0), one("J", 0), one("K", 0)}, false, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			q := edgeQuestion()
			q.Identities, q.CombinedMultiValue = c.identities, c.combined
			_, err := s.Bind(q)
			if refused := err != nil; refused != c.refused || refused && model.KindOf(err) != model.KindInvalid {
				t.Errorf("Bind: %v, want refused %v with kind invalid", err, c.refused)
			}
		})
	}
}

// TestStopped: F1: a question that was given up has no answer, whole or in part.
func TestStopped(t *testing.T) {
	s := build(t, edgeWorld(edgeAssets(10)), 1)
	done := make(chan struct{})
	q := edgeQuestion()
	q.Done = done
	r, err := s.Bind(q)
	if err != nil {
		t.Fatal(err)
	}
	selections := []engine.Selection{{}, {Assets: []engine.Asset{{Template: "T", Path: edgeAsset(1).Path}}}, {Assets: []engine.Asset{}}}
	for i, want := range []int{10, 1, 0} {
		if a, err := r.Select(selections[i]); err != nil || a.Len() != want {
			t.Errorf("Select(%v) = %v, %v, want %d entries", selections[i], a, err, want)
		}
	}
	close(done)
	for _, sel := range selections {
		if a, err := r.Select(sel); a != nil || !errors.Is(err, engine.ErrStopped) {
			t.Errorf("Select(%v) = %v, %v", sel, a, err)
		}
	}
	if r, err := s.Bind(q); r != nil || !errors.Is(err, engine.ErrStopped) {
		t.Errorf("Bind = %v, %v", r, err)
	}
}

// TestLongListHoldsLittle: reliability 3 (parser bombs): an answer about a very long list of stored assets holds ordinals,
// not decoded assets.
func TestLongListHoldsLittle(t *testing.T) {
	const n = 100_000
	s := build(t, edgeWorld(edgeAssets(1000)), 1)
	r, err := s.Bind(edgeQuestion())
	if err != nil {
		t.Fatal(err)
	}
	list := make([]engine.Asset, n)
	for i := range list {
		list[i] = engine.Asset{Template: "T", Path: edgeAsset(i * 7 % 1000).Path}
	}
	held := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := held()
	a, err := r.Select(engine.Selection{Assets: list})
	if err != nil || a.Len() != n {
		t.Fatalf("%d entries, %v", a.Len(), err)
	}
	if after := held(); after > before+64*n {
		t.Errorf("%d bytes an entry", (after-before)/n)
	}
	i := 0
	for e := range a.Entries() {
		if e.Path() != list[i].Path {
			t.Fatalf("entry %d is %s, not %s", i, e.Path(), list[i].Path)
		}
		i++
	}
	runtime.KeepAlive(list)
}

// sent is a rule on an attribute of the edge world's assets and one of the request.
func sent(id model.AttributeID, op model.Operator, of model.AttributeID) model.Rule {
	return model.Rule{Left: model.Ref{Side: model.SideAsset, Attribute: id}, Op: op, Ref: model.Ref{Side: model.SideRequest, Attribute: of}}
}

// edgePolicies puts n policies in the place of those of the edge world, each with a ruleset of its own.
func edgePolicies(w *world, access model.Access, n int, rules func(i int) []model.Rule) {
	for i := range n {
		id := fmt.Sprintf("%s/%03d", access, i)
		w.blocks[model.BlockID(id)] = model.Block{ID: model.BlockID(id), Kind: model.KindRuleset, Template: "T", Branches: []model.Branch{{Rules: rules(i)}}}
		w.policies[model.PolicyID(id)] = model.Policy{
			ID: model.PolicyID(id), Access: access, Use: model.PolicyUseDynamic, DynamicGroups: []model.BlockID{"everybody"},
			Rulesets: []model.RulesetUse{{BlockID: model.BlockID(id), AllActions: true}},
		}
	}
}

// allocated is how many bytes a call takes, whether or not they are free again.
func allocated(call func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	call()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestFiltersStayInTheirRoom: RT-98, reliability 3 (parser bombs): the filters of all policies of an action share the room, and so
// do all lines that take away: each may write the same short numbers with thousands of digits.
func TestFiltersStayInTheirRoom(t *testing.T) {
	const most = 1 << 20
	texts, huge := make([]string, 5_000), make([]string, 50)
	for i := range texts {
		texts[i] = fmt.Sprint("v", i)
	}
	for i := range huge {
		huge[i] = fmt.Sprintf("%de9990", i+1)
	}
	for _, tt := range []struct {
		name   string
		access model.Access
		rule   model.Rule
	}{
		{"many policies that grant", model.Allow, sent("kind", model.OpIn, "texts")},
		{"many lines that take away", model.Restrict, sent("n", model.OpIn, "huge")},
	} {
		w := edgeWorld(nil)
		edgePolicies(w, tt.access, 200, func(int) []model.Rule { return []model.Rule{tt.rule} })
		q := edgeQuestion()
		q.Environment = map[string][]string{"texts": texts, "huge": huge}
		r := bind(t, build(t, w, 1), q)
		took := allocated(func() {
			room := engine.FilterRoom{Branches: 10_000, Bytes: most}
			if f, err := r.Filters(engine.TemplateSelection{Template: "T"}, true, &room); !errors.Is(err, engine.ErrTooManyBranches) {
				t.Errorf("%s: %d filters, %v", tt.name, len(f), err)
			}
		})
		if took > 24*most {
			t.Errorf("%s: %d bytes for filters of %d at most", tt.name, took, most)
		}
	}
}

// TestNothingLeftOfAFilter: RT-97, 10.4 rule 5: where a line that takes away has no negation nothing is left, however many
// branches the other lines would have made.
func TestNothingLeftOfAFilter(t *testing.T) {
	w := edgeWorld(nil)
	edgePolicies(w, model.Restrict, 21, func(i int) []model.Rule {
		kind, n := sent("kind", model.OpEqual, ""), sent("n", model.OpEqual, "")
		kind.Ref, n.Ref = model.Ref{}, model.Ref{}
		kind.Literals, n.Literals = []model.Literal{{Text: fmt.Sprint("kind ", i)}}, []model.Literal{{Text: fmt.Sprint(i), Number: true}}
		if i == 20 {
			kind.Op = model.OpContains
			return []model.Rule{kind}
		}
		return []model.Rule{kind, n}
	})
	room := engine.FilterRoom{Branches: 1000, Bytes: 1 << 20}
	if f, err := bind(t, build(t, w, 1), edgeQuestion()).Filters(engine.TemplateSelection{Template: "T"}, false, &room); err != nil || len(f) > 0 {
		t.Errorf("%+v, %v", f, err)
	}
}

// TestLinesShareLongOperands: reliability 3 (parser bombs): what a question holds grows with the request, not with the request
// times the lines that compare with it: numbers are read once, and calculated values made once.
func TestLinesShareLongOperands(t *testing.T) {
	const lines, values = 200, 10_000
	many := make([]string, values)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	upper := "UPPER(port)"
	for _, tt := range []struct {
		name string
		rule model.Rule
	}{
		{"numbers", sent("n", model.OpIn, "many")},
		{"calculated", model.Rule{Left: model.Ref{Side: model.SideAsset, Attribute: "kind"}, Op: model.OpIn, Ref: model.Ref{Side: model.SideIdentity, Attribute: "PORT"}}},
	} {
		w := edgeWorld(edgeAssets(3))
		w.identityTemplates["I"] = model.IdentityTemplate{ID: "I", WorkspaceID: identityWorkspace, Attributes: []model.IdentityAttribute{
			{ID: "port", Type: model.String}, {ID: "PORT", Type: model.String, IsCalculated: true, CalculationFunction: &upper},
		}}
		edgePolicies(w, model.Allow, lines, func(int) []model.Rule { return []model.Rule{tt.rule} })
		for id, b := range w.blocks {
			if b.Kind == model.KindRuleset {
				b.Branches[0].IdentityTemplate = "I"
				w.blocks[id] = b
			}
		}
		s := build(t, w, 1)
		q := edgeQuestion()
		q.Environment = map[string][]string{"many": many}
		q.Identities[0].Attributes = model.Attributes{"port": many}
		took := allocated(func() {
			if n := len(bind(t, s, q).Types()); n != 1 {
				t.Errorf("%d types", n)
			}
		})
		if took > lines*values*16 {
			t.Errorf("%s: %d bytes for %d lines", tt.name, took, lines)
		}
	}
}

// TestUserSearchKnowsLittle: reliability 3 (parser bombs): the many values of a request that stand in the lines of many groups
// are not kept once for each of them.
func TestUserSearchKnowsLittle(t *testing.T) {
	const groups, values = 100, 25_000
	w := edgeWorld(edgeAssets(1))
	w.identityTemplates["I"] = model.IdentityTemplate{ID: "I", WorkspaceID: identityWorkspace, Attributes: []model.IdentityAttribute{
		{ID: "port", Type: model.String}, {ID: "rank", Type: model.Numeric},
	}}
	edgePolicies(w, model.Allow, groups, func(int) []model.Rule { return nil })
	for i := range groups {
		id := model.BlockID(fmt.Sprint("group ", i))
		rank := model.Rule{Left: model.Ref{Side: model.SideIdentity, Attribute: "rank"}, Op: model.OpEqual, Literals: []model.Literal{{Text: fmt.Sprint(i), Number: true}}}
		port := sent("port", model.OpIn, "many")
		port.Left.Side = model.SideIdentity
		w.blocks[id] = model.Block{ID: id, Kind: model.KindDynamicGroup, Template: "I", Branches: []model.Branch{{Rules: []model.Rule{port, rank}}}}
		p := w.policies[model.PolicyID(fmt.Sprintf("%s/%03d", model.Allow, i))]
		p.DynamicGroups = []model.BlockID{id}
		w.policies[p.ID] = p
	}
	delete(w.policies, "allow")
	w.identities["I"] = []model.Identity{{EntityID: "iris", Attributes: model.Attributes{"port": {"v7"}, "rank": {"9"}}}}
	q := engine.UserQuestion{Question: edgeQuestion(), Asset: engine.Asset{Template: "T", Path: edgeAsset(0).Path}}
	q.Identities = nil
	many := make([]string, values)
	for i := range many {
		many[i] = fmt.Sprint("v", i)
	}
	q.Environment = map[string][]string{"many": many}
	s := build(t, w, 1)
	took := allocated(func() {
		if u, err := s.Users(q); err != nil || u.Len() != 1 {
			t.Errorf("%v, %v", u, err)
		}
	})
	if took > 12<<20 {
		t.Errorf("%d bytes for %d groups", took, groups)
	}
}
