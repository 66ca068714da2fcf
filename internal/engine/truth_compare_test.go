package engine_test

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// What the engine must do with a world, and how its answers are laid beside the reference's.

// failer is what *testing.T and *rapid.T share.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// scene writes a world and a question; rapid asks for the text only when a draw has failed.
type scene struct {
	w *world
	q engine.Question
}

func (s scene) String() string {
	var b strings.Builder
	for _, t := range sorted(s.w.assetTemplates) {
		fmt.Fprintf(&b, "asset type %s %s sent=%v %+v %+v\n", t.ID, t.Source, t.IsAttributeSentInRequest, t.Attributes, t.Actions)
	}
	for _, a := range sorted(s.w.applications) {
		fmt.Fprintf(&b, "application %s %v\n", a.ID, a.AssetTemplateIDs)
	}
	for _, block := range sorted(s.w.blocks) {
		fmt.Fprintf(&b, "%s %s of %s: %+v %+v %+v\n", block.Kind, block.ID, block.Template, block.Branches, block.Ranges, block.IP)
	}
	for _, p := range sorted(s.w.policies) {
		fmt.Fprintf(&b, "%s %s inactive=%v %v %+v %v\n", p.Access, p.ID, p.Inactive, p.DynamicGroups, p.Rulesets, p.Conditions)
	}
	fmt.Fprintf(&b, "assets %+v\nquestion %+v", s.w.assets, s.q)
	return b.String()
}

func sorted[K ~string, V any](m map[K]V) []V {
	var out []V
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k])
	}
	return out
}

// build makes the world's snapshot from nothing.
func build(t failer, w *world, r model.Revision) *engine.Snapshot {
	t.Helper()
	s, err := engine.New(engine.Configuration{
		Environment: "env", Enabled: true, AssetTemplates: sorted(w.assetTemplates),
		IdentityTemplates: sorted(w.identityTemplates), Applications: sorted(w.applications), Blocks: sorted(w.blocks),
		Policies: sorted(w.policies),
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	d := engine.Delta{
		Revision: r, Assets: map[model.TemplateID]engine.Records[model.Asset]{},
		Identities: map[model.TemplateID]engine.Records[model.Identity]{},
	}
	for id, all := range w.assets {
		d.Assets[id] = engine.Records[model.Asset]{Put: records(all)}
	}
	for id, all := range w.identities {
		d.Identities[id] = engine.Records[model.Identity]{Put: records(all)}
	}
	if s, err = s.Next(d); err != nil {
		t.Fatalf("Next: %v", err)
	}
	return s
}

func records[R any](all []R) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		for _, r := range all {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func bind(t failer, s *engine.Snapshot, q engine.Question) *engine.Residual {
	t.Helper()
	r, err := s.Bind(q)
	if err != nil {
		t.Fatalf("Bind: %v", err)
	}
	return r
}

// line is one entry of a list as text: type, path, actions with their granting policies.
type line struct {
	Template   model.TemplateID
	Path       string
	Actions    []string
	Attributes map[model.AttributeID][]string
}

// expectList is the list answer by definition: every asset and action judged by the reference (E10, E11, 8.2–8.4).
func (w *world) expectList(q engine.Question, sel engine.Selection, count *tally) []line {
	var out []line
	for _, id := range slices.Sorted(maps.Keys(w.assetTemplates)) {
		wanted, limited := wantedActions(sel, w.assetTemplates[id])
		if !w.reachable(q, id) || sel.Templates != nil && !limited {
			continue
		}
		for _, a := range w.candidates(id, sel) {
			if l, ok := w.expectLine(q, sel, a, wanted, count); ok {
				out = append(out, l)
			}
		}
	}
	return out
}

// candidates are the assets that can come back: discovered ones, or the listed ones in request order.
func (w *world) candidates(t model.TemplateID, sel engine.Selection) []engine.Asset {
	var out []engine.Asset
	all := func(sent model.Attributes) {
		for _, a := range w.assets[t] {
			out = append(out, engine.Asset{Template: t, Path: a.Path, Attributes: sent})
		}
	}
	stored := w.assetTemplates[t].Source != model.SourceRequest
	if sel.Assets == nil {
		if stored {
			all(nil)
		}
		return out
	}
	for _, a := range sel.Assets {
		switch {
		case a.Template != t:
		case a.Path == "" && stored:
			all(a.Attributes)
		default:
			out = append(out, a)
		}
	}
	return out
}

// wantedActions is nil for all; named tells whether the selection names the type.
func wantedActions(sel engine.Selection, t model.AssetTemplate) (wanted []model.ActionID, named bool) {
	for _, s := range sel.Templates {
		if s.Template != t.ID {
			continue
		}
		named = true
		for _, wire := range s.Actions {
			if a, ok := findAction(t, wire); ok {
				wanted = append(wanted, a.ID)
			} else {
				wanted = append(wanted, "no such action")
			}
		}
	}
	return wanted, named
}

func (w *world) expectLine(q engine.Question, sel engine.Selection, a engine.Asset, wanted []model.ActionID, count *tally) (line, bool) {
	t := w.assetTemplates[a.Template]
	l := line{Template: t.ID, Path: a.Path}
	if len(t.Actions) == 0 {
		ok := w.pair(q, t, a, "").allowed && wanted == nil
		l.Attributes = w.answerAttributes(t, a)
		return l, ok
	}
	for _, x := range t.Actions {
		if wanted != nil && !slices.Contains(wanted, x.ID) {
			continue
		}
		v := w.pair(q, t, a, x.ID)
		count.add(q, v)
		if v.allowed {
			l.Actions = append(l.Actions, actionText(x, v.policies, sel.Policies))
		}
	}
	l.Attributes = w.answerAttributes(t, a)
	return l, len(l.Actions) > 0
}

func actionText(x model.Action, policies []model.PolicyID, with bool) string {
	if with {
		return fmt.Sprintf("%s/%s %s", x.ID, x.Value, policies)
	}
	return fmt.Sprintf("%s/%s", x.ID, x.Value)
}

// answerAttributes is the value map of 8.5: what has a value, name and path; an asset without id has neither.
func (w *world) answerAttributes(t model.AssetTemplate, a engine.Asset) map[model.AttributeID][]string {
	v, _ := w.assetValues(t, a)
	maps.DeleteFunc(v, func(_ model.AttributeID, vs []string) bool { return len(vs) == 0 })
	if a.Path == "" {
		delete(v, model.AttributePath)
		return v
	}
	v[model.AttributeName] = []string{a.Path}
	for _, stored := range w.assets[t.ID] {
		if stored.Path == a.Path && stored.Name != "" {
			v[model.AttributeName] = []string{stored.Name}
		}
	}
	return v
}

// readList reads the engine's list.
func readList(a *engine.Access, policies bool) []line {
	var out []line
	sets := a.ActionSets()
	for e := range a.Entries() {
		l := line{Template: e.Template(), Path: e.Path(), Attributes: e.Attributes()}
		for _, g := range sets[e.Actions] {
			l.Actions = append(l.Actions, actionText(g.Action, policyIDs(g.Policies), policies))
		}
		out = append(out, l)
	}
	return out
}

func policyIDs(refs []engine.PolicyRef) []model.PolicyID {
	var out []model.PolicyID
	for _, p := range refs {
		out = append(out, p.ID)
	}
	return out
}

// sameList fails unless the engine's list is the expected one, entry by entry, and its written form tells the same.
func sameList(t failer, r *engine.Residual, sel engine.Selection, want []line) {
	t.Helper()
	access, err := r.Select(sel)
	if err != nil {
		t.Fatalf("Select: %v", err)
	}
	got := readList(access, sel.Policies)
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("list differs from the reference (-want +got), selection %+v:\n%s", sel, d)
	}
	if access.Len() != len(got) {
		t.Fatalf("Len is %d, entries are %d", access.Len(), len(got))
	}
	i := 0
	for e := range access.Entries() {
		checkWritten(t, &e, want[i])
		i++
	}
}

// checkWritten reads back what Append writes (8.5).
func checkWritten(t failer, e *engine.Entry, want line) {
	t.Helper()
	var got struct {
		Path         string
		Attributes   map[model.AttributeID][]string
		ResourceType model.TemplateID
		Actions      []string
	}
	text := append(e.Append(nil, nil), "[]}"...)
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("Append wrote %s: %v", text, err)
	}
	if got.Path != want.Path || got.ResourceType != want.Template || !cmp.Equal(got.Attributes, want.Attributes) {
		t.Fatalf("Append wrote %s, want %+v", text, want)
	}
}

// samePair fails unless Evaluate gives the reference's verdict, reason and granting policies.
func samePair(t failer, r *engine.Residual, a engine.Asset, action string, want verdict) {
	t.Helper()
	got := r.Evaluate(a, action)
	if got.Allowed != want.allowed || got.Reason != want.reason || !slices.Equal(policyIDs(got.Policies), want.policies) {
		t.Fatalf("Evaluate(%+v, %q) = %+v, the reference says %+v", a, action, got, want)
	}
}

// sameExplanation fails unless Explain comes to the same verdict, and its traces add up to it: a combination of rows
// allows when some Allow policy covers and no Restrict policy does.
func sameExplanation(t failer, r *engine.Residual, a engine.Asset, action string, want verdict) {
	t.Helper()
	e := r.Explain(a, action)
	if e.Allowed != want.allowed || e.Reason != want.reason {
		t.Fatalf("Explain(%+v, %q) = %+v, the reference says %+v", a, action, e.Decision, want)
	}
	var granting, restricting []model.PolicyID
	for _, p := range e.Permutations {
		var covering []model.PolicyID
		restricted := false
		for _, trace := range p.Policies {
			switch {
			case trace.Covers && trace.Restrict:
				restricted = true
				restricting = append(restricting, trace.Policy.ID)
			case trace.Covers:
				covering = append(covering, trace.Policy.ID)
			}
		}
		if p.Allowed != (len(covering) > 0 && !restricted) {
			t.Fatalf("Explain(%+v, %q): combination %+v does not add up", a, action, p)
		}
		if p.Allowed {
			granting = append(granting, covering...)
		}
	}
	slices.Sort(granting)
	if granting = slices.Compact(granting); !slices.Equal(granting, want.policies) {
		t.Fatalf("Explain(%+v, %q): granting %v, the reference says %+v", a, action, granting, want)
	}
	slices.Sort(restricting)
	named := policyIDs(r.Restricting(a, action))
	slices.Sort(named)
	if restricting = slices.Compact(restricting); !e.UnknownAsset && !slices.Equal(restricting, named) {
		t.Fatalf("Restricting(%+v, %q) = %v, Explain says %v", a, action, named, restricting)
	}
	if want.reason == engine.ReasonRestricted && len(named) == 0 {
		t.Fatalf("Restricting(%+v, %q) names none, the reference says %+v", a, action, want)
	}
}

// tally counts decisions: (asset, action, identity) triples.
type tally struct{ decisions, granted int }

func (c *tally) add(q engine.Question, v verdict) {
	c.decisions += len(q.Identities)
	if v.allowed {
		c.granted += len(q.Identities)
	}
}
