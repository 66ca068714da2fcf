package runtime

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// explained is an answer of Explain as a test reads it.
type explained struct {
	Simulated    bool
	Detail       string
	Identities   []struct{ Ignored []string }
	Explanations []explainedPair
	Policies     []struct {
		PermissionID model.PolicyID
		Who, When    []explainedBlock
	}
	Access []struct {
		Path         string
		ResourceType model.TemplateID
		Actions      []struct {
			Action    string
			GrantedBy []struct {
				PermissionID model.PolicyID
				Ruleset      struct {
					ID     string
					Branch int
				}
				Combination int
			}
		}
	}
}

type explainedPair struct {
	Path, Action, Template, Reason, Message string
	Allowed                                 bool
	Ignored                                 []string
	GrantedBy                               []struct{ PermissionID model.PolicyID }
	Policies                                []explainedPolicy
	Combinations                            []struct {
		Allowed  bool
		Policies []explainedPolicy
	}
}

type explainedPolicy struct {
	PermissionID    model.PolicyID
	AccessType      string
	Applies         bool
	Failed          string
	Who, What, When []explainedBlock
}

type explainedBlock struct {
	ID                  string
	Holds               bool
	Branch, Lines, Held int
	Failed              json.RawMessage
}

// read sends a request and decodes its answer.
func (s *stack) read(t *rapid.T, path string, body map[string]any, into any) {
	t.Helper()
	status, answer, _ := s.askAt(path, body)
	if err := json.Unmarshal([]byte(answer), into); status != 200 || err != nil {
		t.Fatalf("asked %s at %s: %d %s", plainJSON(body), path, status, answer)
	}
}

// TestExplainAgrees: PM E10, E17, E20 and 4.8: on random environments the verdict and the reason of every pair that Explain
// tells are those of Permit/Deny, its granting policies are those of the list, the nearest policy fails in the part that the
// reason names, and an explained list is the list.
func TestExplainAgrees(t *testing.T) {
	var types, who []model.TemplateID
	for _, a := range awkwardTypes() {
		types = append(types, a.ID)
	}
	for _, i := range awkwardPeople() {
		who = append(who, i.ID)
	}
	seen := map[string]int{}
	for seed := range uint64(3) {
		s := newStack(t, "desk", "claims")
		s.scope.AuthZEN.DetailMax = model.DetailPolicies
		s.write(stackEnvironment, func(tx *store.Tx) error { return put(tx.Scopes, s.scope) })
		fillAwkward(s, seed, 25)
		c := readCatalog(s)
		rapid.Check(t, func(rt *rapid.T) {
			p := &planner{T: rt, catalog: c, texts: awkwardTexts, types: append([]model.TemplateID{"None"}, types...), who: who}
			for range 3 {
				plan := p.plan()
				plan.names, plan.identity = false, false
				s.explainsList(rt, plan, seen)
				for range 2 {
					s.explainsPairs(rt, c, plan, p.asset(), seen)
				}
			}
		})
	}
	for _, what := range []string{"allowed", "PID001", "PID002", "PID004", "PID005", "PID006", "PID007", "PID008", "combinations", "entries", "nearest lines"} {
		if seen[what] < 5 {
			t.Errorf("%s came %d times: the comparison says little", what, seen[what])
		}
	}
	t.Log(seen)
}

func (s *stack) explainsPairs(t *rapid.T, c *catalog, plan *plan, a named, seen map[string]int) {
	t.Helper()
	body := plan.body()
	for _, name := range []string{"resourceTypes", "assetList"} {
		delete(body, name)
	}
	body["includeDetails"], body["includeDenyReason"], body["includeAccessPolicyId"] = true, true, true
	body["listOfResources"] = map[string]any{"resourceType": a.template, "resources": map[string]any{"path": a.path, "assetAttributes": a.sent}}
	var verdict permitted
	s.read(t, permitPath, body, &verdict)
	reasons := map[string]string{}
	for _, pair := range verdict.Response[0].Allowed {
		reasons[pair.Action] = ""
	}
	for _, pair := range slices.Concat(verdict.Response[0].Denied, verdict.Response[0].NotApplicable) {
		reasons[pair.Action] = pair.Reason
	}
	var why explained
	s.read(t, explainPath, body, &why)
	delete(body, "listOfResources")
	body["assetList"] = map[string]any{"template": a.template, "path": a.path, "assetAttributes": a.sent}
	_, list, _ := s.ask(body)
	granting := map[string][]model.PolicyID{}
	for _, e := range s.entries(200, list) {
		for _, action := range e.Actions {
			granting[action.Action] = append(granting[action.Action], action.PermissionID)
		}
	}
	if len(why.Explanations) != len(reasons) {
		t.Fatalf("asked %s: %d pairs, Permit/Deny has %d", plainJSON(body), len(why.Explanations), len(reasons))
	}
	whole := a.path == "" && c.types[a.template].Source != model.SourceRequest
	for i := range why.Explanations {
		e := &why.Explanations[i]
		reason, known := reasons[e.Action]
		if !known || e.Allowed != (reason == "") || e.Reason != reason || (e.Message == "") != e.Allowed {
			t.Fatalf("asked %s\nexplained %+v\nPermit/Deny says %q", plainJSON(body), e, reason)
		}
		var by []model.PolicyID
		for _, p := range e.GrantedBy {
			by = append(by, p.PermissionID)
		}
		if !whole && e.Action != "" && !cmp.Equal(by, granting[e.Action]) {
			t.Fatalf("asked %s\n%s granted by %v, in the list by %v", plainJSON(body), e.Action, by, granting[e.Action])
		}
		if problem := e.addsUp(by, seen); problem != "" {
			t.Fatalf("asked %s\n%s: %+v", plainJSON(body), problem, e)
		}
	}
}

// addsUp reports how what is told of policies contradicts the verdict; "" = not at all.
func (e *explainedPair) addsUp(by []model.PolicyID, seen map[string]int) string {
	lists := [][]explainedPolicy{e.Policies}
	if len(e.Combinations) > 0 {
		lists = nil
		seen["combinations"]++
		for _, c := range e.Combinations {
			lists = append(lists, c.Policies)
			if c.Allowed != e.Allowed {
				return "a combination that is told of has another verdict"
			}
		}
	}
	if e.Allowed {
		seen["allowed"]++
	} else {
		seen[e.Reason]++
	}
	for _, list := range lists {
		for _, p := range list {
			if p.Applies != (p.Failed == "") || e.Allowed && (!p.Applies || p.AccessType != "Allow" || !slices.Contains(by, p.PermissionID)) {
				return "policy " + string(p.PermissionID) + " is not one that grants"
			}
		}
		if e.Allowed && len(list) == 0 {
			return "no policy grants"
		}
	}
	if e.Allowed {
		return ""
	}
	first := lists[0]
	want, told := map[string]string{"PID004": "who", "PID005": "what", "PID008": "what", "PID006": "when", "PID007": ""}[e.Reason]
	if !told {
		if len(first) > 0 {
			return "policies although none was judged"
		}
		return ""
	}
	// In several combinations a Restrict policy may take away what is granted in one and be no matter in the nearest other.
	if len(e.Combinations) == 0 {
		nearest := slices.IndexFunc(first, func(p explainedPolicy) bool { return p.AccessType == "Allow" })
		restricts := slices.ContainsFunc(first, func(p explainedPolicy) bool { return p.AccessType == "Restrict" && p.Applies })
		switch {
		case e.Reason == "PID007" && !restricts:
			return "nothing takes it away"
		case e.Reason != "PID007" && (nearest < 0 || first[nearest].Failed != want):
			return "the nearest policy fails elsewhere"
		}
	}
	for _, p := range first {
		for _, b := range slices.Concat(p.Who, p.What, p.When) {
			if b.Held < b.Lines && b.Failed == nil || b.Holds && b.Failed != nil {
				return fmt.Sprintf("block %s does not show what fails", b.ID)
			}
			if b.Failed != nil {
				seen["nearest lines"]++
			}
		}
	}
	return ""
}

func (s *stack) explainsList(t *rapid.T, plan *plan, seen map[string]int) {
	t.Helper()
	body := plan.body()
	body["includeAccessPolicyId"] = true
	_, list, _ := s.ask(body)
	var why explained
	s.read(t, explainPath, body, &why)
	entries := s.entries(200, list)
	if len(entries) != len(why.Access) {
		t.Fatalf("asked %s: %d entries, the list has %d", plainJSON(body), len(why.Access), len(entries))
	}
	standing := map[model.PolicyID]bool{}
	for _, p := range why.Policies {
		standing[p.PermissionID] = true
		for _, b := range slices.Concat(p.When, p.Who) {
			if !b.Holds {
				t.Fatalf("asked %s: %s grants although %+v does not hold", plainJSON(body), p.PermissionID, b)
			}
		}
	}
	for i, e := range entries {
		seen["entries"]++
		var want, got []string
		for _, action := range e.Actions {
			want = append(want, action.Action+" "+string(action.PermissionID))
		}
		for _, action := range why.Access[i].Actions {
			for _, g := range action.GrantedBy {
				got = append(got, action.Action+" "+string(g.PermissionID))
				if g.Ruleset.ID == "" || g.Ruleset.Branch < 1 || !standing[g.PermissionID] {
					t.Fatalf("asked %s: %q has no ground: %+v", plainJSON(body), e.Path, g)
				}
			}
		}
		if e.Path != why.Access[i].Path || e.ResourceType != why.Access[i].ResourceType || !cmp.Equal(want, got) {
			t.Fatalf("asked %s\nlist      %s %v\nexplained %s %v", plainJSON(body), e.Path, want, why.Access[i].Path, got)
		}
	}
}
