package policytest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// Result is what became of one test. Failures say what differs; an error that keeps a test from being asked is one, too.
type Result struct {
	File     string
	Line     int
	Name     string
	Failures []string
	Took     time.Duration
}

// Report is what became of all tests, with the coverage of every policy of the snapshot.
type Report struct {
	Results  []Result
	Coverage []PolicyCoverage // by policy id
}

// Failed counts the tests that failed.
func (r *Report) Failed() int {
	n := 0
	for i := range r.Results {
		if len(r.Results[i].Failures) > 0 {
			n++
		}
	}
	return n
}

// Run asks everything that the files state. Each file sees the snapshot with its own identities and assets put into it.
// clock measures how long tests take.
func Run(s *engine.Snapshot, policies []model.Policy, blocks []model.Block, files []*File, clock func() time.Time) *Report {
	out := &Report{}
	cov := newCoverage(policies, blocks)
	for _, f := range files {
		world, err := s.Next(f.delta(s))
		for i := range f.Tests {
			t := &f.Tests[i]
			started := clock()
			r := Result{File: f.Path, Line: t.line, Name: t.Name}
			if err != nil {
				r.Failures = []string{err.Error()}
			} else {
				one := run{snapshot: world, file: f, test: t, coverage: cov}
				r.Failures = one.ask()
			}
			r.Took = clock().Sub(started)
			out.Results = append(out.Results, r)
		}
	}
	out.Coverage = cov.list()
	return out
}

// delta puts the file's records into a snapshot. Assets of types that come with requests are described instead.
func (f *File) delta(s *engine.Snapshot) engine.Delta {
	people, things := map[model.TemplateID][]model.Identity{}, map[model.TemplateID][]model.Asset{}
	for _, name := range slices.Sorted(maps.Keys(f.Identities)) {
		i := f.Identities[name]
		one := model.Identity{EntityID: i.ID, Inactive: i.Inactive, Attributes: attributes(i.Attributes)}
		for _, row := range i.Rows {
			one.Rows = append(one.Rows, attributes(row))
		}
		people[i.Template] = append(people[i.Template], one)
	}
	for _, a := range f.Assets {
		if t, ok := s.AssetTemplate(a.Type); !ok || t.Source != model.SourceRequest {
			things[a.Type] = append(things[a.Type], model.Asset{Path: a.Path, Attributes: attributes(a.Attributes)})
		}
	}
	d := engine.Delta{
		Revision: s.Revision(), Assets: map[model.TemplateID]engine.Records[model.Asset]{},
		Identities: map[model.TemplateID]engine.Records[model.Identity]{},
	}
	for t, list := range people {
		d.Identities[t] = engine.Records[model.Identity]{Put: infallible(list)}
	}
	for t, list := range things {
		d.Assets[t] = engine.Records[model.Asset]{Put: infallible(list)}
	}
	return d
}

func infallible[R any](list []R) func(func(R, error) bool) {
	return func(yield func(R, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// run is one test while it is asked.
type run struct {
	snapshot *engine.Snapshot
	file     *File
	test     *Test
	coverage *coverage
	residual *engine.Residual
	failures []string
}

func (r *run) failf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *run) ask() []string {
	q, err := r.question()
	if err == nil {
		r.residual, err = r.snapshot.Bind(q)
	}
	if err != nil {
		r.failf("%v", err)
		return r.failures
	}
	for i := range r.test.Decide {
		r.decide(&r.test.Decide[i])
	}
	for _, id := range slices.Sorted(maps.Keys(r.test.List)) {
		r.list(id, r.test.List[id])
	}
	return r.failures
}

func (r *run) question() (engine.Question, error) {
	at, err := r.test.Request.instant()
	if err != nil {
		return engine.Question{}, err
	}
	source, err := r.test.Request.source()
	if err != nil {
		return engine.Question{}, err
	}
	_, offset := at.Zone()
	q := engine.Question{
		Applications: r.test.Request.Applications, SourceIP: source, Instant: at, ZoneOffset: time.Duration(offset) * time.Second,
		Environment: map[string][]string{}, CombinedMultiValue: r.test.Request.RowByRow,
	}
	if q.Applications == nil {
		q.Applications = r.snapshot.Applications()
	}
	for name, vs := range r.test.Request.Environment {
		q.Environment[name] = vs
	}
	for _, name := range r.test.Identity {
		i := r.file.Identities[name]
		stored, ok := r.snapshot.FindIdentity(i.Template, i.ID)
		if !ok {
			return q, fmt.Errorf("identity %q of template %q is not there", i.ID, i.Template)
		}
		q.Identities = append(q.Identities, engine.Identity{
			Template: i.Template, EntityID: i.ID, Inactive: stored.Inactive, Attributes: stored.Attributes, Rows: stored.Rows,
		})
	}
	return q, nil
}

// asset is the asset of a question: described by the file where the type comes with requests, else stored.
func (r *run) asset(t model.TemplateID, path string) engine.Asset {
	out := engine.Asset{Template: t, Path: path}
	if def, ok := r.snapshot.AssetTemplate(t); ok && def.Source == model.SourceRequest {
		for _, a := range r.file.Assets {
			if a.Type == t && a.Path == path {
				out.Attributes = attributes(a.Attributes)
			}
		}
	}
	return out
}

func (r *run) decide(d *Decide) {
	what := fmt.Sprintf("line %d: %s %s %s", d.line, d.Action, d.Type, d.Path)
	t, ok := r.snapshot.AssetTemplate(d.Type)
	if !ok {
		r.failf("%s: the asset type does not exist", what)
		return
	}
	if _, ok := t.RequestAction(d.Action); !ok {
		r.failf("%s: the action does not exist", what)
		return
	}
	e := r.explain(r.asset(d.Type, d.Path), d.Action)
	switch {
	case e.Allowed && !*d.Allow:
		r.failf("%s: allowed by %s, want denied", what, names(e.Policies))
	case !e.Allowed && *d.Allow:
		r.failf("%s: denied (%s), want allowed%s", what, e.Reason, obstacle(&e))
	case d.Reason != "" && d.Reason != e.Reason:
		r.failf("%s: denied for %s, want %s", what, e.Reason, d.Reason)
	}
}

func (r *run) explain(a engine.Asset, action string) engine.Explanation {
	e := r.residual.Explain(a, action)
	r.coverage.add(&e)
	return e
}

func names(list []engine.PolicyRef) string {
	var out []string
	for _, p := range list {
		out = append(out, string(p.ID))
	}
	return strings.Join(out, ", ")
}

// obstacle names the Restrict policies that took an action away.
func obstacle(e *engine.Explanation) string {
	var out []string
	for _, p := range e.Permutations {
		for _, trace := range p.Policies {
			if trace.Restrict && trace.Covers && !slices.Contains(out, string(trace.Policy.ID)) {
				out = append(out, string(trace.Policy.ID))
			}
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "; taken away by " + strings.Join(out, ", ")
}

// list compares a whole list: what is missing, what is there beyond it, and what has other actions.
func (r *run) list(id model.TemplateID, want map[string][]string) {
	t, ok := r.snapshot.AssetTemplate(id)
	if !ok {
		r.failf("list %s: the asset type does not exist", id)
		return
	}
	sel := engine.Selection{Templates: []engine.TemplateSelection{{Template: id}}}
	if t.Source == model.SourceRequest {
		sel.Assets = []engine.Asset{}
		for _, a := range r.file.Assets {
			if a.Type == id {
				sel.Assets = append(sel.Assets, r.asset(id, a.Path))
			}
		}
	}
	access, err := r.residual.Select(sel)
	if err != nil {
		r.failf("list %s: %v", id, err)
		return
	}
	got := map[string][]string{}
	for e := range access.Entries() {
		actions := []string{}
		for _, g := range access.ActionSets()[e.Actions] {
			actions = append(actions, g.Action.Value)
		}
		slices.Sort(actions)
		got[e.Path()] = actions
	}
	r.differ(id, got, want)
	for _, a := range r.file.Assets {
		for _, action := range t.Actions {
			if a.Type == id {
				r.explain(r.asset(id, a.Path), action.Value)
			}
		}
	}
}

// shownDifferences bounds what a failure prints; the count is always told.
const shownDifferences = 20

func (r *run) differ(id model.TemplateID, got, want map[string][]string) {
	var lines []string
	paths := slices.Collect(maps.Keys(got))
	for path := range want {
		if _, ok := got[path]; !ok {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	for _, path := range paths {
		wanted, named := want[path]
		wanted = slices.Sorted(slices.Values(wanted))
		actions, there := got[path]
		switch {
		case !there:
			lines = append(lines, fmt.Sprintf("%s is missing, want %v", path, wanted))
		case !named:
			lines = append(lines, fmt.Sprintf("%s is there with %v, want it absent", path, actions))
		case !slices.Equal(actions, wanted):
			lines = append(lines, fmt.Sprintf("%s has %v, want %v", path, actions, wanted))
		}
	}
	for i, line := range lines {
		if i == shownDifferences {
			r.failf("list %s: and %d more", id, len(lines)-i)
			return
		}
		r.failf("list %s: %s", id, line)
	}
}
