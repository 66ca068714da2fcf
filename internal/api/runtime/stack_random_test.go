package runtime

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// planner draws requests about a catalog.
type planner struct {
	*rapid.T
	*catalog
	texts []string // values of request attributes and of sent values
	types []model.TemplateID
	who   []model.TemplateID // identity templates
}

func pickOf[V any](p *planner, label string, from []V) V {
	return rapid.SampledFrom(from).Draw(p.T, label)
}

func (p *planner) chance(percent int, label string) bool {
	return rapid.IntRange(0, 99).Draw(p.T, label) < percent
}

func (p *planner) number(label string, low, high int) int {
	return rapid.IntRange(low, high).Draw(p.T, label)
}

// values draws a value map over some names.
func (p *planner) values(label string, names []string) map[string][]string {
	out := map[string][]string{}
	for range p.number(label+" count", 0, 3) {
		values := []string{}
		for range p.number(label+" values", 0, 2) {
			values = append(values, pickOf(p, label+" value", p.texts))
		}
		out[pickOf(p, label+" name", names)] = model.Distinct(values)
	}
	return out
}

func (p *planner) plan() *plan {
	out := &plan{
		ip: pickOf(p, "ip", []string{"10.20.30.40", "192.0.2.1", "::ffff:10.1.1.1", "2001:db8::1"}), offset: pickOf(p, "offset", []float64{0, 5.5, -14}),
		combined: p.chance(30, "combined"), names: p.chance(30, "names"), ids: p.chance(30, "ids"), identity: p.chance(30, "identity"),
		echo: p.chance(30, "echo"), bare: p.chance(10, "bare"), environment: p.values("environment", []string{"kind", "channel", "ticket"}),
	}
	first := p.number("first", 0, len(p.who)-1)
	for n := range p.number("people", 1, min(2, len(p.who))) {
		out.people = append(out.people, p.person(p.who[(first+n)%len(p.who)]))
	}
	out.alone = p.chance(10, "alone")
	if out.listed = p.chance(40, "listed"); out.listed {
		for range p.number("assets", 0, 6) {
			out.assets = append(out.assets, p.asset())
		}
	}
	if p.chance(60, "types") {
		for range p.number("type count", 1, 3) {
			out.types = append(out.types, p.wish())
		}
	}
	return out
}

func (p *planner) person(t model.TemplateID) person {
	out := person{template: t, record: pickOf(p, "who", p.identities[t])}
	names := []string{"uid", "unknown"}
	for _, a := range p.people[t].Attributes {
		names = append(names, string(a.ID))
		if a.NameForRequest != "" {
			names = append(names, a.NameForRequest)
		}
	}
	if p.chance(40, "sends") {
		out.sent = p.values("sent", names)
	}
	if p.chance(30, "has context") {
		out.context = p.values("context", names)
	}
	return out
}

func (p *planner) asset() named {
	t := pickOf(p, "asset type", p.types)
	out := named{template: t, sent: map[string][]string{}}
	switch {
	case p.chance(10, "without path"):
	case len(p.paths[t]) > 0 && p.chance(90, "known path"):
		out.path = pickOf(p, "path", p.paths[t])
	default:
		out.path = pickOf(p, "any path", []string{"x", `new "path" \`, "日本"})
	}
	if p.chance(60, "asset sends") {
		out.sent = p.values("asset", p.names(t))
	}
	return out
}

// names are the names that a request may use for attributes of a type.
func (p *planner) names(t model.TemplateID) []string {
	out := []string{"name", "path", "unknown", "swap"}
	for _, a := range p.catalog.types[t].Attributes {
		out = append(out, string(a.ID))
		if a.NameForRequest != "" {
			out = append(out, a.NameForRequest)
		}
	}
	return out
}

func (p *planner) wish() wish {
	w := wish{name: pickOf(p, "wished type", p.types)}
	minus := p.chance(40, "only excludes")
	for range p.number("attributes", 0, 4) {
		name := pickOf(p, "attribute", p.names(w.name))
		if minus || p.chance(20, "exclude") {
			name = "-" + name
		}
		w.attributes = append(w.attributes, name)
	}
	joined := strings.Join(w.attributes, ",")
	w.asText = len(w.attributes) > 1 && strings.Count(joined, ",") == len(w.attributes)-1 && p.chance(50, "as text")
	if p.chance(30, "limits actions") {
		names := []string{"none"}
		for _, a := range p.catalog.types[w.name].Actions {
			names = append(names, a.Value, string(a.ID))
		}
		for range p.number("actions", 1, 2) {
			w.actions = append(w.actions, pickOf(p, "action", names))
		}
	}
	return w
}

// compare asks a server random questions about what it holds and wants the expected document each time, byte for byte.
// share is how many in a hundred answers must have entries: a comparison of empty lists would say little. It is a third of
// what is usual, so that chance does not fail the test.
func compare(t *testing.T, s *stack, types, who []model.TemplateID, texts []string, share int) {
	t.Helper()
	x := &expectation{catalog: readCatalog(s), t: t, snapshot: s.snapshot(), scope: s.scope, now: s.clock()}
	asked, granting := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		p := &planner{T: rt, catalog: x.catalog, texts: texts, types: types, who: who}
		for range 4 {
			plan := p.plan()
			before := x.entries
			want := x.answer(plan)
			status, got, _ := s.ask(plan.body())
			if status != 200 || got != want {
				rt.Fatalf("asked %s\ngot  %d %s\nwant %s", plainJSON(plan.body()), status, got, want)
			}
			s.permits(rt, x, plan)
			if p.chance(40, "agree") {
				s.transposes(rt, p, x, plan)
				s.resolves(rt, x, plan)
			}
			asked++
			if x.entries > before {
				granting++
			}
		}
	})
	t.Logf("%d questions, %d of them with entries, %d entries; %d users listed; %d pairs through filters of %d", asked, granting, x.entries, s.listed, s.fitting, s.filterable)
	if asked >= 300 && (granting*100 < asked*share || x.entries < asked/2) { // fewer, as under -short, say nothing about shares
		t.Errorf("of %d questions only %d have entries, %d in all: the comparison says little", asked, granting, x.entries)
	}
}

// TestRandomRequests: RT-12, RT-18, RT-48, RT-49, RT-53, RT-58, RT-59, RT-63, RT-65 to RT-78: random questions on
// environments of awkward names and values, drawn from seeds, then after many changes, then after a restart.
func TestRandomRequests(t *testing.T) {
	types := []model.TemplateID{"None"}
	for _, a := range awkwardTypes() {
		types = append(types, a.ID)
	}
	var who []model.TemplateID
	for _, i := range awkwardPeople() {
		who = append(who, i.ID)
	}
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := newStack(t, "desk", "claims", "gone")
			s.scope.TokenValidity = 300 * int(seed)
			s.write(stackEnvironment, func(tx *store.Tx) error { return put(tx.Scopes, s.scope) })
			fillAwkward(s, seed, 25)
			compare(t, s, types, who, awkwardTexts, 8)
			thinAwkward(s)
			fillAwkward(s, seed+100, 20)
			compare(t, s, types, who, awkwardTexts, 8)
			s.restart()
			compare(t, s, types, who, awkwardTexts, 8)
		})
	}
}
