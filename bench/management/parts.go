package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/ambit-authz/ambit/bench/measure"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// imports imports policies one by one, each with a group and a ruleset of its own, each in a commit that reached the disk.
func imports(ctx context.Context, p *plane, scale int) error {
	count := 10_000 / scale
	start := time.Now()
	for n := range count {
		path := "/api/2.0/policies/" + string(environment) + "?filter[authWsId]=" + string(quays)
		if err := p.ask(ctx, "POST", path, regoPolicy(n), contains("policyId: "), "Content-Type: text/plain;language=rego"); err != nil {
			return err
		}
	}
	verdict(fmt.Sprintf("%d imports one by one", count), measure.Series{time.Since(start)}, time.Minute/time.Duration(scale))
	return nil
}

func regoPolicy(n int) string {
	const about = "# METADATA\n# custom:\n#   plainid:\n#     "
	return about + fmt.Sprintf("policyId: p%d\n#     name: Policy %d\n#     accessType: Allow\npackage policy\nimport rego.v1\n\n", n, n) +
		about + fmt.Sprintf("kind: DynamicGroup\n#     name: Rank %d\ndynamic_group(identity) if {\n\tidentity.template == \"Crew\"\n\tidentity[\"rank\"] >= %d\n}\n\n", n, n) +
		about + fmt.Sprintf("kind: Ruleset\n#     name: Berth %d\nruleset(asset, identity, requestParams, action) if {\n\tasset.template == \"Cargo\"\n\tasset[\"berth\"] == \"B%d\"\n\taction.id in [\"Load\"]\n}", n, n)
}

// policies stores policies, each with a group and a ruleset of its own, below the API.
func policies(tx *store.Tx, count int) error {
	for n := range count {
		group, ruleset := model.BlockID(fmt.Sprintf("aaaaaaaa-0000-4000-8000-%012d", n)), model.BlockID(fmt.Sprintf("bbbbbbbb-0000-4000-8000-%012d", n))
		for _, block := range []model.Block{
			{
				ID: group, Kind: model.KindDynamicGroup, WorkspaceID: crew, Template: "Crew", Name: fmt.Sprint("G", n),
				Branches: []model.Branch{{Rules: []model.Rule{{Left: model.Ref{Side: model.SideIdentity, Attribute: "rank"}, Op: model.OpGreaterEqual, Literals: []model.Literal{{Text: fmt.Sprint(n), Number: true}}}}}},
			},
			{
				ID: ruleset, Kind: model.KindRuleset, WorkspaceID: quays, Template: "Cargo", Name: fmt.Sprint("R", n),
				Branches: []model.Branch{{Rules: []model.Rule{{Left: model.Ref{Side: model.SideAsset, Attribute: "berth"}, Op: model.OpEqual, Literals: []model.Literal{{Text: fmt.Sprint(n)}}}}}},
			},
		} {
			if _, err := tx.Blocks.Put(block); err != nil {
				return err
			}
		}
		_, err := tx.Policies.Put(model.Policy{
			ID: model.PolicyID(fmt.Sprintf("p%06d", n)), WorkspaceID: quays, Name: fmt.Sprint("Policy ", n), Access: model.Allow,
			Inactive: n%10 == 0, DynamicGroups: []model.BlockID{group}, Rulesets: []model.RulesetUse{{BlockID: ruleset, ActionIDs: []model.ActionID{"Load"}}},
			CustomAttributes: []model.CustomValue{{Key: "reviewer", Values: []model.Literal{{Text: fmt.Sprint("r", n%100)}}, List: true}},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// pages searches and lists among many policies, first of all after a start.
func pages(ctx context.Context, p *plane, scale int) error {
	count := 100_000 / scale
	if err := p.write(ctx, func(tx *store.Tx) error { return policies(tx, count) }); err != nil {
		return err
	}
	p.stop()
	if err := p.start(ctx); err != nil {
		return err
	}
	start := time.Now()
	p.service.Warm(ctx)
	fmt.Printf("- %d policies are read ahead after a start, in the background: %s\n", count, short(time.Since(start)))
	const search, limit = "/api/1.0/policies-search/" + string(environment), 50 * time.Millisecond
	total := fmt.Sprintf(`"total":%d`, count)
	for _, q := range []struct{ name, method, path, body, want string }{
		{"search, and the first page after that", "POST", search + fmt.Sprintf("?limit=100&offset=%d", count/2), "", total},
		{"search with Rego, at the end", "POST", search + fmt.Sprintf("?limit=100&offset=%d", count-100), `{"detailed":true}`, "structuredRego"},
		{"search by state", "POST", search + fmt.Sprintf("?limit=100&offset=%d", count/10-100), `{"state":"inactive"}`, fmt.Sprintf(`"total":%d`, count/10)},
		{"search by all filters", "POST", search + "?limit=100", `{"state":"active","applicationIds":["app"],"authzWsIds":["` + string(quays) + `"],"policyCustomAttributes":{"reviewer":["r7"]}}`, fmt.Sprintf(`"total":%d`, count/100)},
		{"policies of an application, 1,000 at the end", "GET", fmt.Sprintf("/policy-mgmt/1.0/policies/%s?filter[appId]=app&limit=1000&offset=%d", environment, count-1000), "", total},
	} {
		s, err := timed(50, func() error { return p.ask(ctx, q.method, q.path, q.body, contains(q.want)) })
		if err != nil {
			return err
		}
		verdict(q.name, s, limit)
	}
	return nil
}

// events finds pages among a week's events.
func events(ctx context.Context, p *plane, scale int) error {
	count, begin := 1_000_000/scale, time.Now().Add(-6*24*time.Hour)
	step := 6 * 24 * time.Hour / time.Duration(count)
	err := p.write(ctx, func(tx *store.Tx) error {
		for n := range count {
			e := model.ChangeEvent{
				ID: fmt.Sprint(n), Time: begin.Add(time.Duration(n) * step), EnvironmentID: environment,
				ClientID: model.ClientID(fmt.Sprint("C", n%20)), Action: []string{model.EventCreate, model.EventUpdate, model.EventLogin}[n%3],
				ResourceType: []string{"ROLE", "SCOPE", "RULESET"}[n%3], ResourceID: fmt.Sprint("r", n%50_000), ParentType: "AUTHORIZATION_WORKSPACE", After: `{"policyId":"quay_days"}`,
			}
			if err := tx.Events.Append(e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	third := fmt.Sprintf(`"total":%d`, (count+2)/3)
	for _, q := range []struct{ name, query, want string }{
		{"newest", "", `"limit":50`},
		{"by type", "&filter[resourceType][eq]=ROLE", third},
		{"by action like and type ne", "&filter[action][ilike]=%25ate&filter[resourceType][ne]=SCOPE", third},
		{"by client and time", fmt.Sprintf("&filter[userId][eq]=C7&filter[timestamp][gte]=%d&filter[timestamp][lt]=%d", begin.Add(25*time.Hour).UnixMilli(), begin.Add(99*time.Hour).UnixMilli()), `"userId":"C7"`},
		{"by resource", "&filter[resourceId][eq]=r471", fmt.Sprintf(`"total":%d`, count/min(count, 50_000))},
		{"at half of them", fmt.Sprintf("&offset=%d", count/2), `"limit":50`},
		{"at nine tenths, not one resource", fmt.Sprintf("&filter[resourceId][ne]=r471&offset=%d", count/10*9), `"limit":50`},
		{"by type, at a quarter", fmt.Sprintf("&filter[resourceType][eq]=ROLE&offset=%d", count/4), third},
	} {
		s, err := timed(20, func() error {
			return p.ask(ctx, "GET", "/api/1.0/audit-admin/"+string(environment)+"?limit=50"+q.query, "", contains(q.want))
		})
		if err != nil {
			return err
		}
		verdict(fmt.Sprintf("page of %d events, %s", count, q.name), s, 100*time.Millisecond)
	}
	return nil
}

// impact previews a policy that gives 1,000 identities 100 assets each.
func impact(ctx context.Context, p *plane, scale int) error {
	people := 1_000 / scale
	err := p.write(ctx, func(tx *store.Tx) error {
		if err := policies(tx, 1_000); err != nil {
			return err
		}
		for n := range 100 {
			if _, err := tx.Assets("Cargo").Put(model.Asset{Path: fmt.Sprint("a", n), Attributes: model.Attributes{"berth": {"0"}}}); err != nil {
				return err
			}
		}
		for n := range people {
			if _, err := tx.Identities("Crew").Put(model.Identity{EntityID: fmt.Sprint("i", n), Attributes: model.Attributes{"rank": {fmt.Sprint(n)}}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := p.directory.CatchUp(ctx); err != nil {
		return err
	}
	s, err := timed(10, func() error {
		return p.ask(ctx, "POST", "/ambit/1.0/environments/"+string(environment)+"/impact", `{"policyId":"p000000","state":true}`,
			contains(fmt.Sprintf(`"gained":%d,"lost":0`, people*100)), "Content-Type: application/json")
	})
	if err != nil {
		return err
	}
	verdict(fmt.Sprintf("impact of %d pairs", people*100), s, 2*time.Second)
	return nil
}

// streams reads all assets in one answer.
func streams(ctx context.Context, p *plane, scale int) error {
	count := 1_000_000 / scale
	err := p.write(ctx, func(tx *store.Tx) error {
		assets := tx.Assets("Cargo")
		for n := range count {
			if _, err := assets.Put(model.Asset{Path: fmt.Sprint("quay/", n), Name: fmt.Sprint("Cargo ", n), Attributes: model.Attributes{"berth": {"A", fmt.Sprint(n % 50)}}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, media := range []string{"application/x-ndjson", "text/csv"} {
		idle, peak, lines := measure.Heap(), uint64(0), 0
		start := time.Now()
		err := p.ask(ctx, "GET", fmt.Sprintf("/ambit/1.0/environments/%s/asset-templates/Cargo/assets", environment), "", func(r io.Reader) error {
			in := bufio.NewScanner(r)
			for ; in.Scan(); lines++ {
				if lines%100_000 == 99_999 {
					var m runtime.MemStats
					runtime.GC()
					runtime.ReadMemStats(&m)
					peak = max(peak, m.HeapAlloc)
				}
			}
			return in.Err()
		}, "Accept: "+media)
		if err != nil {
			return err
		}
		if media == "text/csv" {
			lines--
		}
		if lines != count {
			return fmt.Errorf("%d lines instead of %d", lines, count)
		}
		fmt.Printf("- stream of %d assets as %s: %s, %d KiB of heap over idle, client included\n", count, media, short(time.Since(start)), (int64(peak)-int64(idle))>>10)
	}
	return nil
}
