package engine_test

import (
	"flag"
	"os"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// checks is how many random worlds a test draws: env sets it, else the default.
func checks(t *testing.T, env string, byDefault int) int {
	t.Helper()
	n := byDefault
	if text := os.Getenv(env); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s: %v", env, err)
		}
	}
	for name, value := range map[string]string{"rapid.checks": strconv.Itoa(n), "rapid.nofailfile": "true"} {
		before := flag.Lookup(name).Value.String()
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = flag.Set(name, before) })
	}
	if testing.Short() {
		n /= 5 // as rapid does
	}
	return n
}

// TestRandomAgainstReference: PM-19 to PM-26, PM-30, PM-31, PM-33, PM-36: the list equals the check of every asset
// and action, each equals the reference, reason codes included. AMBIT_CHECKS sets the number of random worlds.
func TestRandomAgainstReference(t *testing.T) {
	n := checks(t, "AMBIT_CHECKS", 1700)
	var count tally
	rapid.Check(t, func(rt *rapid.T) {
		m := &maker{T: rt}
		w := m.world()
		s := build(rt, w, 2)
		for range 8 {
			compareAnswers(rt, m, s, m.question(), &count)
		}
	})
	reportShare(t, n, count, 15)
}

func reportShare(t *testing.T, worlds int, count tally, least int) {
	t.Helper()
	share := 100 * float64(count.granted) / float64(max(count.decisions, 1))
	t.Logf("%d worlds, %d decisions, %.1f %% granted", worlds, count.decisions, share)
	if worlds >= 100 && share < float64(least) { // a few worlds say nothing about the share
		t.Errorf("only %.1f %% of the decisions grant, %d %% are wanted: the comparison says little", share, least)
	}
}

// compareAnswers asks one question in every way that the engine offers.
func compareAnswers(rt *rapid.T, m *maker, s *engine.Snapshot, q engine.Question, count *tally) {
	rt.Logf("%s", scene{m.w, q})
	r := bind(rt, s, q)
	discovery := engine.Selection{Policies: m.chance(50)}
	sameList(rt, r, discovery, m.w.expectList(q, discovery, count))
	listed := engine.Selection{Policies: m.chance(50), Assets: []engine.Asset{}}
	for range m.number(0, 5) {
		a := m.requestAsset(pick(m, m.assetTypes()))
		if m.chance(15) {
			a.Path = ""
			if m.w.assetTemplates[a.Template].Source != model.SourceRequest {
				a.Attributes = nil // with values: TestSentValuesForAllAssets
			}
		}
		listed.Assets = append(listed.Assets, a)
	}
	sameList(rt, r, listed, m.w.expectList(q, listed, count))
	narrow := engine.Selection{Templates: []engine.TemplateSelection{{Template: pick(m, m.assetTypes())}, {Template: "unknown"}}}
	if m.chance(50) {
		narrow.Templates[0].Actions = some(m, []string{"A", "B", "b", "C", "d"}, 1, 2)
	}
	if m.chance(30) {
		narrow.Assets = listed.Assets
	}
	sameList(rt, r, narrow, m.w.expectList(q, narrow, count))
	for _, t := range m.assetTypes() {
		compareChecks(rt, m, r, q, t, count)
	}
}

// compareChecks evaluates every stored asset and some sent ones on every action.
func compareChecks(rt *rapid.T, m *maker, r *engine.Residual, q engine.Question, t model.TemplateID, count *tally) {
	var assets []engine.Asset
	for _, a := range m.w.assets[t] {
		assets = append(assets, engine.Asset{Template: t, Path: a.Path})
	}
	for range m.number(1, 4) {
		assets = append(assets, m.requestAsset(t))
	}
	for i, a := range assets {
		for _, action := range []string{"A", "B", "b", "C", "d", "none"} {
			want := m.w.decide(q, a, action)
			samePair(rt, r, a, action, want)
			if i%3 == 0 { // explaining is slow on purpose
				sameExplanation(rt, r, a, action, want)
			}
			if want.reason != "PID002" && want.reason != "PID001" {
				count.add(q, want)
			}
		}
	}
}

// TestTypeAsAWhole: runtime-api.md 9.2: a question on a stored type without an asset is allowed only by a branch
// without lines, and taken away by every Restrict policy that applies and has a ruleset for the pair.
func TestTypeAsAWhole(t *testing.T) {
	n := checks(t, "AMBIT_CHECKS", 200)
	var count tally
	rapid.Check(t, func(rt *rapid.T) {
		m := &maker{T: rt}
		w := m.world()
		s := build(rt, w, 2)
		for range 8 {
			q := m.question()
			r := bind(rt, s, q)
			for _, id := range m.assetTypes() {
				if w.assetTemplates[id].Source == model.SourceRequest {
					continue
				}
				for _, action := range w.assetTemplates[id].Actions {
					want := w.decide(q, engine.Asset{Template: id}, action.Value)
					samePair(rt, r, engine.Asset{Template: id}, action.Value, want)
					count.add(q, want)
				}
			}
		}
	})
	reportShare(t, n, count, 10)
}

// TestSentValuesForAllAssets: E12, runtime-api.md 6.4, 8.2: a listed entry without path stands for all assets of a stored
// type; values that it carries replace the stored ones of every asset where the type takes them.
func TestSentValuesForAllAssets(t *testing.T) {
	n := checks(t, "AMBIT_CHECKS", 200)
	var count tally
	rapid.Check(t, func(rt *rapid.T) {
		m := &maker{T: rt}
		w := m.world()
		s := build(rt, w, 2)
		for range 4 {
			q := m.question()
			a := m.requestAsset(pick(m, m.assetTypes()))
			a.Path = ""
			sel := engine.Selection{Assets: []engine.Asset{a}}
			sameList(rt, bind(rt, s, q), sel, w.expectList(q, sel, &count))
		}
	})
	reportShare(t, n, count, 10)
}
