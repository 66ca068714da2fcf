package engine_test

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/casefile"
	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// TestCorpus: every decision case of testdata/cases, by the engine and by the reference evaluator (PM-19 to PM-26, PM-30,
// PM-31, PM-33, PM-36). Cases that only the API can ask are its runner's.
func TestCorpus(t *testing.T) {
	suites, err := casefile.Load(os.DirFS("../../testdata/cases"))
	if err != nil {
		t.Fatal(err)
	}
	asked, left := 0, 0
	for _, suite := range suites {
		t.Run(suite.Name, func(t *testing.T) {
			for _, c := range suite.Cases {
				if c.Only != "" && c.Only != "engine" {
					left++
					continue
				}
				asked++
				t.Run(c.ID, func(t *testing.T) { runCase(t, c) })
			}
		})
	}
	t.Logf("%d cases asked, %d are for the API runner", asked, left)
	if asked < 650 {
		t.Errorf("only %d cases were asked", asked)
	}
}

func runCase(t *testing.T, c casefile.Case) {
	t.Helper()
	w := worldOf(c.World)
	s := build(t, w, 1)
	q := questionOf(t, s, c.Request)
	r, err := s.Bind(q)
	if c.Refused {
		if model.KindOf(err) != model.KindInvalid || err == nil {
			t.Errorf("%s: Bind gave %v, an invalid request was expected", c.Why, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("%s: %v", c.Why, err)
	}
	for _, k := range c.Checks {
		a := engine.Asset{Template: k.Asset.Template, Path: k.Asset.Path, Attributes: k.Asset.Attributes}
		got := r.Evaluate(a, k.Action)
		sayWrong(t, "engine", c, k, verdict{got.Allowed, got.Reason, policyIDs(got.Policies)})
		sayWrong(t, "reference", c, k, w.decide(q, a, k.Action))
		if e := r.Explain(a, k.Action); e.Allowed != got.Allowed || e.Reason != got.Reason {
			t.Errorf("%s: Explain says %+v, Evaluate %+v", c.Why, e.Decision, got)
		}
	}
	if c.List != nil {
		runList(t, c, w, q, r)
	}
}

func sayWrong(t *testing.T, who string, c casefile.Case, k casefile.Check, got verdict) {
	t.Helper()
	if got.allowed != k.Allowed || k.Reason != "" && got.reason != k.Reason {
		t.Errorf("%s: %s on %+v: the %s says %+v", c.Why, k.Action, k.Asset, who, got)
	}
	if k.By != nil && !cmp.Equal(k.By, got.policies) {
		t.Errorf("%s: granted by %v according to the %s, want %v", c.Why, got.policies, who, k.By)
	}
}

func runList(t *testing.T, c casefile.Case, w *world, q engine.Question, r *engine.Residual) {
	t.Helper()
	var sel engine.Selection
	for _, id := range c.List.Types {
		sel.Templates = append(sel.Templates, engine.TemplateSelection{Template: id})
	}
	for _, a := range c.List.Assets {
		sel.Assets = append(sel.Assets, engine.Asset{Template: a.Template, Path: a.Path, Attributes: a.Attributes})
	}
	if c.List.Assets != nil && sel.Assets == nil {
		sel.Assets = []engine.Asset{}
	}
	access, err := r.Select(sel)
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, e := range c.List.Want {
		want = append(want, e.String())
	}
	sets := access.ActionSets()
	for e := range access.Entries() {
		entry := casefile.Entry{Template: e.Template(), Path: e.Path()}
		for _, g := range sets[e.Actions] {
			entry.Actions = append(entry.Actions, g.Action.Value)
		}
		got = append(got, entry.String())
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: the list (-want +got):\n%s", c.Why, d)
	}
	sameList(t, r, sel, w.expectList(q, sel, &tally{}))
}

func worldOf(c casefile.World) *world {
	w := newWorld()
	for _, x := range c.IdentityTemplates {
		w.identityTemplates[x.ID] = x
	}
	for _, x := range c.AssetTemplates {
		w.assetTemplates[x.ID] = x
	}
	for _, x := range c.Applications {
		w.applications[x.ID] = x
	}
	for _, x := range c.Blocks {
		w.blocks[x.ID] = x
	}
	for _, x := range c.Policies {
		w.policies[x.ID] = x
	}
	w.assets, w.identities = c.Assets, c.Identities
	return w
}

// questionOf binds the stored identities, as package identity would with nothing sent.
func questionOf(t *testing.T, s *engine.Snapshot, r casefile.Request) engine.Question {
	t.Helper()
	q := engine.Question{
		Applications: r.Applications, Environment: r.Environment, Instant: r.Instant,
		CombinedMultiValue: r.Combined,
	}
	if r.ZoneOffset != nil {
		q.ZoneOffset = time.Duration(*r.ZoneOffset * float64(time.Hour))
	}
	if r.SourceIP != "" {
		q.SourceIP = netip.MustParseAddr(r.SourceIP).Unmap()
	}
	for _, i := range r.Identities {
		stored, ok := s.FindIdentity(i.Template, i.EntityID)
		if !ok || len(i.Sent) > 0 {
			t.Fatalf("identity %s is not stored, or sends values that only the API takes", i.EntityID)
		}
		q.Identities = append(q.Identities, engine.Identity{
			Template: i.Template, EntityID: i.EntityID, Inactive: stored.Inactive,
			Attributes: stored.Attributes, Rows: stored.Rows,
		})
	}
	return q
}
