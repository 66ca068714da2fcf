package manage

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// BenchmarkPolicyImport imports policies one by one through the handler, every one with a group and a ruleset of its own,
// each in a commit that has reached the disk. -benchtime 10000x makes ten thousand.
func BenchmarkPolicyImport(b *testing.B) {
	h := newHarbour(b)
	for i := 0; b.Loop(); i++ {
		h.put(regoPolicy(fmt.Sprintf("p%05d", i), fmt.Sprint(i), fmt.Sprintf("B%d", i)))
	}
}

// manyPolicies stores n policies, each with a group and a ruleset of its own, below the API.
func (h *harbour) manyPolicies(n int) {
	h.t.Helper()
	_, err := h.store.Update(h.t.Context(), store.Write{Environment: envID, Time: h.clock}, func(tx *store.Tx) error {
		for i := range n {
			group, ruleset := model.BlockID(fmt.Sprintf("aaaaaaaa-0000-4000-8000-%012d", i)), model.BlockID(fmt.Sprintf("bbbbbbbb-0000-4000-8000-%012d", i))
			blocks := []model.Block{
				{
					ID: group, Kind: model.KindDynamicGroup, WorkspaceID: model.WorkspaceID(h.crew), Template: "Crew", Name: fmt.Sprint("G", i),
					Branches: []model.Branch{{Rules: []model.Rule{{Left: model.Ref{Side: model.SideIdentity, Attribute: "rank"}, Op: model.OpGreaterEqual, Literals: []model.Literal{{Text: fmt.Sprint(i), Number: true}}}}}},
				},
				{
					ID: ruleset, Kind: model.KindRuleset, WorkspaceID: model.WorkspaceID(h.quays), Template: "Cargo", Name: fmt.Sprint("R", i),
					Branches: []model.Branch{{Rules: []model.Rule{{Left: model.Ref{Side: model.SideAsset, Attribute: "berth"}, Op: model.OpEqual, Literals: []model.Literal{{Text: fmt.Sprint(i)}}}}}},
				},
			}
			for _, block := range blocks {
				if _, err := tx.Blocks.Put(block); err != nil {
					return err
				}
			}
			p := model.Policy{
				ID: model.PolicyID(fmt.Sprintf("p%06d", i)), WorkspaceID: model.WorkspaceID(h.quays), Name: fmt.Sprint("Policy ", i), Access: model.Allow,
				Inactive: i%10 == 0, DynamicGroups: []model.BlockID{group}, Rulesets: []model.RulesetUse{{BlockID: ruleset, ActionIDs: []model.ActionID{"Load"}}},
				CustomAttributes: []model.CustomValue{{Key: "reviewer", Values: []model.Literal{{Text: fmt.Sprint("r", i%100)}}, List: true}},
			}
			if _, err := tx.Policies.Put(p); err != nil {
				return err
			}
		}
		return nil
	})
	h.must(err)
}

// BenchmarkPolicyPages asks for pages of a list of 100,000 policies, in the middle of it and at its end. It reports the
// slowest page of each kind too. The first question after a start also fills the mirror, which is measured apart.
func BenchmarkPolicyPages(b *testing.B) {
	h := newHarbour(b)
	h.manyPolicies(100_000)
	const search = "/api/1.0/policies-search/" + envID
	start := time.Now()
	h.do("viewer", "POST", search, "").want(b, 200, `"total":100000`)
	b.Logf("the first question of all: %v", time.Since(start))
	for _, c := range []struct{ name, method, target, body string }{
		{"search", "POST", search + "?limit=100&offset=50000", ""},
		{"search-detailed", "POST", search + "?limit=100&offset=99900", `{"detailed":true}`},
		{"search-state", "POST", search + "?limit=100&offset=9000", `{"state":"inactive"}`},
		{"search-all-filters", "POST", search + "?limit=100&offset=500", `{"state":"active","applicationIds":["harbour-app"],"authzWsIds":["` + h.quays + `"],"policyCustomAttributes":{"reviewer":["r7"]}}`},
		{"list", "GET", "/policy-mgmt/1.0/policies/" + envID + "?filter[appId]=harbour-app&limit=1000&offset=99000", ""},
		{"after-a-write", "POST", search + "?limit=100&offset=50000", ""},
	} {
		b.Run(c.name, func(b *testing.B) {
			var times []time.Duration
			for i := 0; b.Loop(); i++ {
				if c.name == "after-a-write" {
					b.StopTimer()
					h.put(regoPolicy(fmt.Sprintf("q%d", i), fmt.Sprint(i), "A"))
					b.StartTimer()
				}
				start := time.Now()
				h.do("viewer", c.method, c.target, c.body).want(b, 200)
				times = append(times, time.Since(start))
			}
			b.ReportMetric(float64(slices.Max(times).Microseconds())/1000, "max-ms")
		})
	}
}
