package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/rego"
	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
	structured "github.com/ambit-authz/ambit/internal/rego"
)

// TestRandomAgainstOPA: PM-45, and the outside judge of every answer: each policy is printed as Structured Rego and judged
// by the Open Policy Agent; only the joining of WHO, WHAT and WHEN of several policies (E5, E8, E10, E17) is done here.
// Worlds are limited to where Rego and the policy model mean the same: every attribute present with one value, no
// comparison across types, one condition of a kind. AMBIT_OPA_CHECKS sets the number of random worlds.
func TestRandomAgainstOPA(t *testing.T) {
	n := checks(t, "AMBIT_OPA_CHECKS", 300)
	var count tally
	rapid.Check(t, func(rt *rapid.T) {
		m := &maker{T: rt, simple: true}
		w := m.world()
		s := build(rt, w, 2)
		judges := map[model.PolicyID]*opaJudge{}
		for _, p := range sorted(w.policies) {
			judges[p.ID] = newJudge(rt, w, p)
		}
		for range 4 {
			q := m.question()
			rt.Logf("%s", scene{w, q})
			compareWithOPA(rt, m, bind(rt, s, q), q, judges, &count)
		}
	})
	reportShare(t, n, count, 15)
	if n >= 300 && count.decisions < 20_000 {
		t.Errorf("only %d decisions, 20,000 are wanted", count.decisions)
	}
}

// opaJudge is one policy's module, prepared for questions on all assets and actions at once.
type opaJudge struct {
	policy model.Policy
	text   string
	query  rego.PreparedEvalQuery
}

// ruling is what OPA says of one policy: which identities are in its groups, which pairs its rulesets cover, and whether
// its conditions are met.
type ruling struct {
	Who  []int
	What [][2]int // asset, action
	When bool
}

func newJudge(t failer, w *world, p model.Policy) *opaJudge {
	t.Helper()
	find := func(id model.BlockID) (model.Block, bool) { b, ok := w.blocks[id]; return b, ok }
	text, err := structured.PrintPolicy(p, find, structured.PrintOptions{Extended: true})
	if err != nil {
		t.Fatalf("PrintPolicy: %v", err)
	}
	var when strings.Builder
	for _, id := range p.Conditions {
		when.WriteString(map[model.BlockKind]string{
			model.KindCondition:         "\tdata.policy.condition(input.env)\n",
			model.KindConditionIP:       "\tdata.policy.condition_ip(input.env)\n",
			model.KindConditionIdentity: "\tsome one in input.identities\n\tdata.policy.condition_identity(one)\n",
			model.KindConditionRequest:  "\tdata.policy.condition_request(input.requestParams)\n",
		}[w.blocks[id].Kind])
	}
	ask := `package ask
import rego.v1

answer := {"who": who, "what": what, "when": when}

who contains i if {
	some i, one in input.identities
	data.policy.dynamic_group(one)
}

what contains [a, x] if {
	some a, asset in input.assets
	some x, action in input.actions
	some one in input.identities
	data.policy.ruleset(asset, one, input.requestParams, {"id": action})
}

default when := false

when if {
	true
` + when.String() + "}\n"
	query, err := rego.New(rego.Query("data.ask.answer"), rego.Module("policy.rego", string(text)),
		rego.Module("ask.rego", ask)).PrepareForEval(context.Background())
	if err != nil {
		t.Fatalf("OPA refuses the exported module: %v\n%s", err, text)
	}
	return &opaJudge{policy: p, text: string(text), query: query}
}

func (j *opaJudge) judge(t failer, input any) ruling {
	t.Helper()
	result, err := j.query.Eval(context.Background(), rego.EvalInput(input))
	if err != nil || len(result) != 1 {
		t.Fatalf("OPA: %v, %d results\n%s", err, len(result), j.text)
	}
	raw, err := json.Marshal(result[0].Expressions[0].Value)
	if err != nil {
		t.Fatalf("%v", err)
	}
	var r ruling
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return r
}

// opaInput gives the question with single values; NUMERIC ones are JSON numbers.
func (m *maker) opaInput(q engine.Question, assets []engine.Asset) (input map[string]any, actions []model.ActionID) {
	identities, things := []any{}, []any{}
	for _, i := range q.Identities {
		one := map[string]any{"template": string(i.Template)}
		v := values{model.AttributeUID: {i.EntityID}}
		maps.Copy(v, i.Attributes)
		m.w.calculateIdentity(i.Template, v)
		for k, vs := range v {
			one[string(k)] = scalar(vs[0], k == "n" || k == calculatedNumber)
		}
		identities = append(identities, one)
	}
	for _, a := range assets {
		t := m.w.assetTemplates[a.Template]
		v, _ := m.w.assetValues(t, a)
		thing := map[string]any{"template": string(a.Template)}
		for k, vs := range v {
			thing[string(k)] = scalar(vs[0], k == "n" || k == calculatedNumber)
		}
		things = append(things, thing)
		for _, x := range t.Actions {
			if !slices.Contains(actions, x.ID) {
				actions = append(actions, x.ID)
			}
		}
	}
	params := map[string]any{"rs": q.Environment["rs"][0], "rn": scalar(q.Environment["rn"][0], true), "rslist": q.Environment["rslist"]}
	numbers := []any{}
	for _, text := range q.Environment["rnlist"] {
		numbers = append(numbers, scalar(text, true))
	}
	params["rnlist"] = numbers
	return map[string]any{
		"identities": identities, "assets": things, "actions": actions, "requestParams": params,
		"env": map[string]any{"time": q.Instant.UnixNano(), "sourceIp": q.SourceIP.String(), "timeZone": zoneName(q.ZoneOffset)},
	}, actions
}

func scalar(text string, number bool) any {
	if number {
		return json.Number(text)
	}
	return text
}

// zoneName is the IANA zone of a whole-hour offset; POSIX counts it westward.
func zoneName(offset time.Duration) string {
	return fmt.Sprintf("Etc/GMT%+d", -int(offset/time.Hour))
}

func compareWithOPA(rt *rapid.T, m *maker, r *engine.Residual, q engine.Question, judges map[model.PolicyID]*opaJudge, count *tally) {
	var assets []engine.Asset
	for _, t := range m.assetTypes() {
		if !m.w.reachable(q, t) {
			continue
		}
		for _, a := range m.w.assets[t] {
			assets = append(assets, engine.Asset{Template: t, Path: a.Path})
		}
		if m.w.assetTemplates[t].Source == model.SourceRequest {
			for i := range 3 {
				a := m.asset(t, i)
				assets = append(assets, engine.Asset{Template: t, Path: a.Path, Attributes: a.Attributes})
			}
		}
	}
	if len(assets) == 0 {
		return
	}
	input, actions := m.opaInput(q, assets)
	rulings := map[model.PolicyID]ruling{}
	for id, j := range judges {
		if !j.policy.Inactive {
			rulings[id] = j.judge(rt, input)
		}
	}
	for ai, a := range assets {
		for xi, action := range actions {
			if t := m.w.assetTemplates[a.Template]; !slices.ContainsFunc(t.Actions, func(x model.Action) bool { return x.ID == action }) {
				continue
			}
			t := m.w.assetTemplates[a.Template]
			x, _ := t.Action(action)
			want := join(judges, rulings, len(q.Identities), [2]int{ai, xi})
			got := r.Evaluate(a, x.Value)
			if got.Allowed != want {
				rt.Fatalf("%+v, %s: the engine says %+v, OPA says %v\n%s", a, action, got, want, texts(judges))
			}
			count.add(q, verdict{allowed: want})
		}
	}
}

// join unites the rulings of all policies (E10, E17).
func join(judges map[model.PolicyID]*opaJudge, rulings map[model.PolicyID]ruling, identities int, pair [2]int) bool {
	allowed := false
	for id, r := range rulings {
		if !r.When || !slices.Contains(r.What, pair) {
			continue
		}
		if judges[id].policy.Access == model.Restrict && len(r.Who) > 0 {
			return false
		}
		allowed = allowed || judges[id].policy.Access == model.Allow && len(r.Who) == identities
	}
	return allowed
}

func texts(judges map[model.PolicyID]*opaJudge) string {
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(judges)) {
		b.WriteString(judges[id].text + "\n\n")
	}
	return b.String()
}
