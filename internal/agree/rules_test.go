package agree

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// A small environment in which iris may do B with x, asked at every endpoint.

// endpoint is a route with a question whose answer grants, and what such an answer holds.
type endpoint struct{ path, body, grant string }

func endpoints() []endpoint {
	const who = `"entityTypeId":"P","entityId":"iris"`
	const pairs = `,"listOfResources":{"resourceType":"Docs","resources":{"path":"x","action":"B"}}`
	const subject, action, resource = `"subject":{"type":"P","id":"iris"}`, `"action":{"name":"B"}`, `"resource":{"type":"Docs","id":"x"}`
	const one = `{` + subject + `,` + action + `,` + resource
	return []endpoint{
		{tokenPath, `{` + who + `}`, `"path":"x"`},
		{permitPath, `{` + who + pairs + `}`, `"PERMIT"`},
		{resolutionPath, `{` + who + `,"resourceTypes":"Docs"}`, `"allowed":[{`},
		{usersPath, `{"asset":{"resourceType":"Docs","path":"x"}}`, `"entityId":"iris"`},
		{policiesPath, `{"objects":{"type":"Identity","data":{` + who + `,"asset":{"resourceType":"Docs","path":"x"}}}}`, `"permissionId":"p"`},
		{decisionPath, `{"method":"GET","uri":"/call/Docs?","body":{},"meta":{"runtimeFineTune":{` + who + `}}}`, `"PERMIT"`},
		{explainPath, `{` + who + pairs + `}`, `"allowed":true`},
		{explainPath, `{` + who + `}`, `"path":"x"`},
		{evaluationPath, one + `}`, `"decision":true`},
		{evaluationsPath, one + `,"evaluations":[{}]}`, `"decision":true`},
		{subjectsPath, one + `}`, `"id":"iris"`},
		{resourcesPath, one + `}`, `"id":"x"`},
		{actionsPath, one + `}`, `"name":"B"`},
	}
}

func isAuthZEN(path string) bool { return strings.HasPrefix(path, "/access/") }

// small fills the environment of a stack.
func small(t *testing.T, change ...func(*decide.Options)) *stack {
	t.Helper()
	s := newStack(t, change...)
	w := &world{}
	docs := model.AssetTemplate{
		ID: docs, WorkspaceID: "a0", DisplayName: "Docs", Source: model.SourcePlainID,
		Attributes: []model.AssetAttribute{{ID: "s", Type: model.String}}, Actions: []model.Action{{ID: "A", Value: "B"}},
	}
	w.types = []model.AssetTemplate{docs}
	w.applications()
	call := mapperOf(0, docs)
	call.AssetTemplates[0].Attributes = []model.AttributeMapping{{AttributeID: model.AttributePath, Source: model.FromMethod}}
	call.AssetTemplates[0].Actions = []model.ActionMapping{{ActionID: "A"}}
	check(t, s.commit(environment, func(tx *store.Tx) error {
		for _, write := range w.writes {
			if err := write(tx); err != nil {
				return err
			}
		}
		for _, path := range []string{"x", "GET"} {
			if _, err := tx.Assets("Docs").Put(model.Asset{Path: path, Attributes: model.Attributes{"s": {"a"}}}); err != nil {
				return err
			}
		}
		if _, err := tx.Identities("P").Put(model.Identity{EntityID: "iris", Attributes: model.Attributes{"s": {"a"}}}); err != nil {
			return err
		}
		for _, err := range []error{
			put(tx.AssetTemplates, docs),
			put(tx.IdentityTemplates, model.IdentityTemplate{ID: "P", WorkspaceID: "iP", Attributes: []model.IdentityAttribute{{ID: "uid", Type: model.String}, {ID: "s", Type: model.String}}}),
			put(tx.APIMapperSets, model.APIMapperSet{ID: "one", WorkspaceID: "a0", ApplicationIDs: []model.ApplicationID{"one"}, Mappers: []model.APIMapper{call}}),
			put(tx.Blocks, model.Block{ID: "who", Kind: model.KindDynamicGroup, WorkspaceID: "iP", Template: "P", Name: "Who", Branches: []model.Branch{{}}}),
			put(tx.Blocks, model.Block{ID: "what", Kind: model.KindRuleset, WorkspaceID: "a0", Template: "Docs", Name: "What", Branches: []model.Branch{{}}}),
			put(tx.Policies, policyOf("p", model.Allow, "who", "what")),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	}))
	return s
}

func policyOf(id model.PolicyID, access model.Access, group, ruleset model.BlockID, conditions ...model.BlockID) model.Policy {
	return model.Policy{
		ID: id, WorkspaceID: "a0", Name: string(id), Access: access, Use: model.PolicyUseDynamic, DynamicGroups: []model.BlockID{group},
		Rulesets: []model.RulesetUse{{BlockID: ruleset, AllActions: true}}, Conditions: conditions,
	}
}

// change edits the object of a key.
func change[K comparable, V any](c store.Collection[K, V], key K, edit func(*V)) error {
	v, err := c.Find(key)
	if err != nil {
		return err
	}
	edit(&v)
	return put(c, v)
}

func deleted[K comparable, V any](c store.Collection[K, V], key K) error {
	_, err := c.Delete(key)
	return err
}

// outcome is what an endpoint answers: a status other than 200, "granted" or "nothing".
func (s *stack) outcome(e endpoint) string {
	a := s.call("POST", e.path, e.body)
	switch {
	case a.status != 200:
		return fmt.Sprint(a.status)
	case strings.Contains(string(a.body), e.grant):
		return "granted"
	}
	return "nothing"
}

// TestDisabledPrincipals is reliability.md 1.6 and 3 (disabled principal served), F7, RT-31, RT-51, RT-60: what is switched off,
// unlinked, ended or deleted stops every endpoint with the next revision, and comes back with what brings it back.
func TestDisabledPrincipals(t *testing.T) {
	everywhere := func(outcome string) func(string) string { return func(string) string { return outcome } }
	either := func(v3, authZEN string) func(string) string {
		return func(path string) string {
			if isAuthZEN(path) {
				return authZEN
			}
			return v3
		}
	}
	scope := func(edit func(*model.Scope)) func(*store.Tx) error {
		return func(tx *store.Tx) error { return change(tx.Scopes, client, edit) }
	}
	for name, state := range map[string]struct {
		tenant bool
		make   func(*store.Tx) error
		want   func(path string) string
	}{
		"nothing":             {make: func(*store.Tx) error { return nil }, want: everywhere("granted")},
		"scope disabled":      {make: scope(func(s *model.Scope) { s.Enabled = false }), want: everywhere("401")},
		"scope deleted":       {make: func(tx *store.Tx) error { return deleted(tx.Scopes, client) }, want: everywhere("401")},
		"secret ended":        {make: scope(func(s *model.Scope) { s.Secrets[0].ExpiresAt = s.Secrets[0].CreatedAt }), want: everywhere("401")},
		"secret revoked":      {make: scope(func(s *model.Scope) { s.Secrets = nil }), want: everywhere("401")},
		"method not allowed":  {make: scope(func(s *model.Scope) { s.AuthMethods = []model.AuthMethod{model.AuthRequestSecret} }), want: everywhere("401")},
		"AuthZEN off":         {make: scope(func(s *model.Scope) { s.AuthZEN.Off = true }), want: either("granted", "403")},
		"no application":      {make: scope(func(s *model.Scope) { s.ApplicationIDs = nil }), want: everywhere("nothing")},
		"another application": {make: scope(func(s *model.Scope) { s.ApplicationIDs = []model.ApplicationID{"three"} }), want: everywhere("nothing")},
		"application deleted": {make: func(tx *store.Tx) error { return deleted(tx.Applications, "one") }, want: everywhere("nothing")},
		"type unlinked": {make: func(tx *store.Tx) error {
			return change(tx.Applications, "one", func(a *model.Application) { a.AssetTemplateIDs = nil })
		}, want: everywhere("nothing")},
		"policy inactive": {make: func(tx *store.Tx) error { return change(tx.Policies, "p", func(p *model.Policy) { p.Inactive = true }) }, want: everywhere("nothing")},
		"policy deleted":  {make: func(tx *store.Tx) error { return deleted(tx.Policies, "p") }, want: everywhere("nothing")},
		"environment disabled": {tenant: true, make: func(tx *store.Tx) error {
			return change(tx.Environments, environment, func(e *model.Environment) { e.Enabled = false })
		}, want: everywhere("401")},
		"environment deleted": {tenant: true, make: func(tx *store.Tx) error { return deleted(tx.Environments, environment) }, want: everywhere("401")},
		"identity inactive": {make: func(tx *store.Tx) error {
			_, err := tx.Identities("P").Put(model.Identity{EntityID: "iris", Inactive: true})
			return err
		}, want: everywhere("nothing")},
		"asset deleted": {make: func(tx *store.Tx) error { _, err := tx.Assets("Docs").Clear(); return err }, want: everywhere("nothing")},
		"identity deleted": {make: func(tx *store.Tx) error { _, err := tx.Identities("P").Delete("iris"); return err }, want: func(path string) string {
			if isAuthZEN(path) || path == usersPath {
				return "nothing"
			}
			return "404"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := small(t)
			for _, e := range endpoints() {
				if got := s.outcome(e); got != "granted" {
					t.Fatalf("before: %s %s: %s: %s", e.path, e.body, got, s.call("POST", e.path, e.body).body)
				}
			}
			env := environment
			if state.tenant {
				env = ""
			}
			check(t, s.commit(env, state.make))
			for _, e := range endpoints() {
				want := state.want(e.path)
				if got := s.outcome(e); got != want {
					t.Errorf("%s: %s, want %s: %s", e.path, got, want, s.call("POST", e.path, e.body).body)
				}
			}
		})
	}
}

// TestF6UnknownWords is F6 and F3, PM E10: an operator, kind, access, type, source or use that nobody knows, in a store all the
// same, is never judged: the environment is answered as it was before, at every endpoint.
func TestF6UnknownWords(t *testing.T) {
	rule := func(r model.Rule) []model.Branch { return []model.Branch{{Rules: []model.Rule{r}}} }
	left := model.Ref{Side: model.SideAsset, Attribute: "s"}
	literal := []model.Literal{{Text: "b"}}
	what := model.Block{ID: "what", Kind: model.KindRuleset, WorkspaceID: "a0", Template: "Docs", Name: "What"}
	for name, write := range map[string]func(*store.Tx) error{
		"operator": func(tx *store.Tx) error {
			b := what
			b.Branches = rule(model.Rule{Left: left, Op: 99, Literals: literal})
			return put(tx.Blocks, b)
		},
		"no operator": func(tx *store.Tx) error {
			b := what
			b.Branches = rule(model.Rule{Left: left, Literals: literal})
			return put(tx.Blocks, b)
		},
		"side": func(tx *store.Tx) error {
			b := what
			b.Branches = rule(model.Rule{Left: model.Ref{Side: 9, Attribute: "s"}, Op: model.OpEqual, Literals: literal})
			return put(tx.Blocks, b)
		},
		"attribute": func(tx *store.Tx) error {
			b := what
			b.Branches = rule(model.Rule{Left: model.Ref{Side: model.SideAsset, Attribute: "zzz"}, Op: model.OpEqual, Literals: literal})
			return put(tx.Blocks, b)
		},
		"kind": func(tx *store.Tx) error { return change(tx.Blocks, "who", func(b *model.Block) { b.Kind = "Weather" }) },
		"condition kind": func(tx *store.Tx) error {
			if err := put(tx.Blocks, model.Block{ID: "when", Kind: "Condition Weather", WorkspaceID: "a0", Name: "When"}); err != nil {
				return err
			}
			return put(tx.Policies, policyOf("p", model.Allow, "who", "what", "when"))
		},
		"zone": func(tx *store.Tx) error {
			if err := put(tx.Blocks, model.Block{ID: "when", Kind: model.KindCondition, WorkspaceID: "a0", Name: "When", Ranges: []model.TimeRange{{Zone: "Mars/Olympus", Start: 0, End: 1}}}); err != nil {
				return err
			}
			return put(tx.Policies, policyOf("p", model.Allow, "who", "what", "when"))
		},
		"access": func(tx *store.Tx) error {
			return change(tx.Policies, "p", func(p *model.Policy) { p.Access = "Permit" })
		},
		"group that is none": func(tx *store.Tx) error {
			return change(tx.Policies, "p", func(p *model.Policy) { p.DynamicGroups = []model.BlockID{"nobody"} })
		},
		"condition that is none": func(tx *store.Tx) error {
			return change(tx.Policies, "p", func(p *model.Policy) { p.Conditions = []model.BlockID{"never"} })
		},
		"use": func(tx *store.Tx) error {
			return change(tx.Policies, "p", func(p *model.Policy) { p.Use = "ORCHESTRATION" })
		},
		"source": func(tx *store.Tx) error {
			return change(tx.AssetTemplates, "Docs", func(a *model.AssetTemplate) { a.Source = "CLOUD" })
		},
		"attribute type": func(tx *store.Tx) error {
			return change(tx.AssetTemplates, "Docs", func(a *model.AssetTemplate) { a.Attributes[0].Type = "DATE" })
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := small(t)
			before := s.revision
			check(t, s.commit(environment, write))
			at, _ := s.directory.Revision(environment)
			for _, e := range endpoints() {
				a := s.call("POST", e.path, e.body)
				got, revision := s.outcome(e), a.header.Get("Ambit-Revision")
				if got != "granted" && got != "nothing" || revision != fmt.Sprint(at) {
					t.Errorf("%s: %s at revision %s", e.path, got, revision)
				}
				if at != before && got == "granted" {
					t.Errorf("%s grants by what nobody knows: %s", e.path, a.body)
				}
			}
		})
	}
}

// TestRestrictWins is reliability.md 3 (everyone + group + rule + restrict mixed), RT-63: whatever way an Allow policy takes to a
// pair and whatever way a Restrict policy takes, the pair is denied exactly while the latter applies, at every endpoint that
// answers with grants.
func TestRestrictWins(t *testing.T) {
	s := small(t)
	rule := func(side model.Side, a model.AttributeID, op model.Operator, text string) []model.Branch {
		return []model.Branch{{Rules: []model.Rule{{Left: model.Ref{Side: side, Attribute: a}, Op: op, Literals: []model.Literal{{Text: text}}}}}}
	}
	groups := map[model.BlockID][]model.Branch{
		"everyone": {{}}, "by-value": rule(model.SideIdentity, "s", model.OpEqual, "a"), "by-id": rule(model.SideIdentity, "uid", model.OpEqual, "iris"),
		"or": append(rule(model.SideIdentity, "s", model.OpEqual, "none"), model.Branch{}), "others": rule(model.SideIdentity, "uid", model.OpNotEqual, "iris"),
	}
	rulesets := map[model.BlockID][]model.Branch{
		"everything": {{}}, "value": rule(model.SideAsset, "s", model.OpStartsWith, "a"), "id": rule(model.SideAsset, "path", model.OpIn, "x"),
		"own":   {{IdentityTemplate: "P", Rules: []model.Rule{{Left: model.Ref{Side: model.SideAsset, Attribute: "s"}, Op: model.OpEqual, Ref: model.Ref{Side: model.SideIdentity, Attribute: "s"}}}}},
		"never": rule(model.SideAsset, "s", model.OpEqual, "none"),
	}
	check(t, s.commit(environment, func(tx *store.Tx) error {
		for id, branches := range groups {
			if err := put(tx.Blocks, model.Block{ID: id, Kind: model.KindDynamicGroup, WorkspaceID: "iP", Template: "P", Name: string(id), Branches: branches}); err != nil {
				return err
			}
		}
		for id, branches := range rulesets {
			if err := put(tx.Blocks, model.Block{ID: id, Kind: model.KindRuleset, WorkspaceID: "a0", Template: "Docs", Name: string(id), Branches: branches}); err != nil {
				return err
			}
		}
		return nil
	}))
	asked := 0
	for allowWho := range groups {
		for allowWhat := range rulesets {
			for restrictWho := range groups {
				for restrictWhat := range rulesets {
					check(t, s.commit(environment, func(tx *store.Tx) error {
						if err := put(tx.Policies, policyOf("p", model.Allow, allowWho, allowWhat)); err != nil {
							return err
						}
						return put(tx.Policies, policyOf("r", model.Restrict, restrictWho, restrictWhat))
					}))
					want := "nothing"
					if allowWho != "others" && allowWhat != "never" && (restrictWho == "others" || restrictWhat == "never") {
						want = "granted"
					}
					for _, e := range endpoints() {
						if e.path == policiesPath || e.path == resolutionPath || e.path == decisionPath {
							continue // a list of policies, of all assets, another asset
						}
						if asked++; s.outcome(e) != want {
							t.Errorf("allow %s %s, restrict %s %s: %s: %s, want %s", allowWho, allowWhat, restrictWho, restrictWhat, e.path, s.outcome(e), want)
						}
					}
				}
			}
		}
	}
	t.Logf("%d questions", asked)
}

// TestAlteredSecrets is reliability.md 3 (truncation accepted), RT-33: every prefix of a secret, every change of one byte and
// everything longer is 401, at one endpoint or another.
func TestAlteredSecrets(t *testing.T) {
	s := small(t)
	secret := s.header["X-Client-Secret"][0]
	altered := []string{"", secret + "x", secret + secret, " " + secret, strings.ToUpper(secret), strings.ToLower(secret)}
	for i := range secret {
		altered = append(altered, secret[:i], secret[:i]+string(secret[i]^1)+secret[i+1:])
	}
	list := endpoints()
	for i, text := range altered {
		s.header["X-Client-Secret"] = []string{text}
		if e := list[i%len(list)]; text != secret && s.outcome(e) != "401" {
			t.Errorf("%s with %q: %s", e.path, text, s.outcome(e))
		}
	}
}

// TestProxyHeaders is reliability.md 3 (proxy headers believed), RT-54, PM E29: whatever a peer that nobody trusts says of another
// address, a condition on the address sees the peer's.
func TestProxyHeaders(t *testing.T) {
	s := small(t)
	check(t, s.commit(environment, func(tx *store.Tx) error {
		if err := put(tx.Blocks, model.Block{ID: "when", Kind: model.KindConditionIP, WorkspaceID: "a0", Name: "Inside", IP: newIP("10.0.0.0/8")}); err != nil {
			return err
		}
		return put(tx.Policies, policyOf("p", model.Allow, "who", "what", "when"))
	}))
	for _, name := range []string{
		"X-Forwarded-For", "Forwarded", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "Client-Ip",
		"X-Originating-Ip", "X-Remote-Ip", "X-Remote-Addr", "Remote-Addr", "X-Forwarded", "Forwarded-For", "Via", "X-Forwarded-Host",
	} {
		for _, value := range []string{"10.1.2.3", "for=10.1.2.3", "10.1.2.3, 192.0.2.9", "192.0.2.9, 10.1.2.3", "::ffff:10.1.2.3"} {
			s.header[name] = []string{value}
			for _, e := range endpoints() {
				if e.path == policiesPath {
					continue // tells the state of conditions
				}
				if got := s.outcome(e); got != "nothing" {
					t.Errorf("%s: %s: %s: %s", name, value, e.path, got)
				}
			}
			delete(s.header, name)
		}
	}
}

// TestConcurrentQuestions is reliability.md 3 (lossy result under concurrency): mixed questions of many callers at once, while the
// environment goes back and forth, are each answered as its revision says, and the answers of a revision are always the same.
func TestConcurrentQuestions(t *testing.T) {
	s := small(t)
	first := s.revision // an odd distance from it has the policy switched off
	done := make(chan struct{})
	var callers sync.WaitGroup
	var asked atomic.Int64
	answers := make([]map[string]string, 4)
	for n := range answers {
		answers[n] = map[string]string{}
		one := *s
		callers.Go(func() {
			list := endpoints()
			for i := n; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				e := list[i%len(list)]
				a := one.call("POST", e.path, e.body)
				asked.Add(1)
				var revision model.Revision
				if _, err := fmt.Sscan(a.header.Get("Ambit-Revision"), &revision); err != nil || a.status != 200 {
					t.Errorf("%s: %d %s", e.path, a.status, a.body)
					return
				}
				if granted := strings.Contains(string(a.body), e.grant); granted != ((revision-first)%2 == 0) {
					t.Errorf("%s at revision %d of %d: %s", e.path, revision, first, a.body)
				}
				answers[n][fmt.Sprint(i%len(list), " ", revision)] = string(a.body)
			}
		})
	}
	for n := 0; n < 100 || asked.Load() < 400 && !t.Failed(); n++ {
		check(t, s.commit(environment, func(tx *store.Tx) error {
			return change(tx.Policies, "p", func(p *model.Policy) { p.Inactive = !p.Inactive })
		}))
		time.Sleep(time.Millisecond)
	}
	close(done)
	callers.Wait()
	together := map[string]string{}
	for _, of := range answers {
		for question, answer := range of {
			if was, ok := together[question]; ok && was != answer {
				t.Errorf("%s\n%s", was, answer)
			}
			together[question] = answer
		}
	}
	if len(together) < 20 {
		t.Errorf("only %d answers", len(together))
	}
}
