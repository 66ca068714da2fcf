package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

const explainPath = "/api/runtime/explain/v1"

// toldHarbour is a harbour whose scope may be told of policies.
func toldHarbour(t testing.TB) *harbour {
	h := newHarbour(t)
	h.changeScope(func(s *model.Scope) { s.AuthZEN.DetailMax = model.DetailPolicies })
	return h
}

// why asks about resources, an array's elements, as mreyes does.
func (h *harbour) why(resources string, more ...string) explained {
	h.t.Helper()
	body := `{` + strings.Join(append(more, mreyes), ",") + `,"listOfResources":[` + resources + `]}`
	w := h.want(request{path: explainPath, body: body}, 200, "")
	var out explained
	check(h.t, json.Unmarshal(w.Body.Bytes(), &out))
	return out
}

// TestExplainGolden: PM E6, PM E7, PM 4.8: a pair that a line denies, byte for byte; the same without the right to policies.
func TestExplainGolden(t *testing.T) {
	h := toldHarbour(t)
	ask := request{path: explainPath, body: `{` + mreyes + `,"listOfResources":[` + accounts(`{"path":"acc-3","action":"Edit"}`) + `]}`}
	const head = `"at":"2026-03-04T12:00:00Z","remoteIp":"192.0.2.1","timeZoneOffset":0,"identities":[{"entityId":"mreyes","entityTypeId":"Staff",`
	const pair = `"ignored":[]}],"explanations":[{"path":"acc-3","action":"Edit","template":"Accounts","allowed":false,"reason":"PID005","message":"No ruleset covers the asset","ignored":[]`
	w := h.want(ask, 200, `{"simulated":false,"detail":"policies",`+head+`"isActive":true,`+pair+
		`,"policies":[{"permissionId":"pol-20","permission":"Manage accounts","accessType":"Allow","applies":false,"failed":"what",`+
		`"who":[{"id":"g-grade","name":"g-grade","kind":"DynamicGroup","holds":true,"branch":1,"lines":1,"held":1}],`+
		`"what":[{"id":"r-own","name":"r-own","kind":"Ruleset","holds":false,"branch":1,"lines":1,"held":0,"failed":`+
		`{"left":{"side":"asset","attribute":"branch","values":["Lagos"]},"operator":"==","right":{"side":"identity","attribute":"branch","values":["Porto"]}}}],"when":[]}]}]}`)
	for name, value := range map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "Ambit-Revision": "2"} {
		if got := w.Header().Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	h.changeScope(func(s *model.Scope) { s.AuthZEN.DetailMax = "" })
	h.want(ask, 200, `{"simulated":false,"detail":"reasons",`+head+pair+`}]}`)
	if got := h.records.last(); got.Result != "explained 1 pairs" || got.SimulatedBy != "" || got.Endpoint != "POST "+explainPath || len(got.Subjects) != 1 {
		t.Errorf("the record is %+v", got)
	}
}

// TestExplainList: the list with the branch behind each entry, byte for byte.
func TestExplainList(t *testing.T) {
	h := toldHarbour(t)
	const ground = `,"ruleset":{"id":"r-own","name":"r-own","branch":1}}`
	group := func(id string) string {
		return `"who":[{"id":"` + id + `","name":"` + id + `","kind":"DynamicGroup","holds":true,"branch":1,"lines":1,"held":1}],"when":[]}`
	}
	want := `"policies":[{"permissionId":"pol-10","permission":"Branch accounts",` + group("g-desk") + `,{"permissionId":"pol-20","permission":"Manage accounts",` + group("g-grade") + `],` +
		`"access":[{"path":"acc-1","resourceType":"Accounts","actions":[{"action":"View","grantedBy":[{"permissionId":"pol-10"` + ground + `,{"permissionId":"pol-20"` + ground + `]},{"action":"Edit","grantedBy":[{"permissionId":"pol-20"` + ground + `]}]}]}`
	w := h.want(request{path: explainPath, body: `{` + mreyes + `,"assetList":[{"template":"Accounts","path":"acc-1"},{"template":"Accounts","path":"acc-3"}]}`}, 200, "")
	if _, got, _ := strings.Cut(w.Body.String(), `"ignored":[]}],`); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	h.update(func(tx *store.Tx) error { // a policy whose rulesets cover different actions
		p := harbourPolicies()[0]
		p.ID, p.Rulesets = "two", []model.RulesetUse{{BlockID: "r-every", ActionIDs: []model.ActionID{"Edit"}}, {BlockID: "r-own", ActionIDs: []model.ActionID{"View"}}}
		every := model.Block{ID: "r-every", Kind: model.KindRuleset, WorkspaceID: "a0", Template: "Accounts", Name: "r-every", Branches: []model.Branch{{}}}
		if err := put(tx.Blocks, every); err != nil {
			return err
		}
		return put(tx.Policies, p)
	})
	w = h.want(request{path: explainPath, body: `{` + mreyes + `,"assetList":[{"template":"Accounts","path":"acc-1"}]}`}, 200, "")
	for _, action := range []string{`{"action":"View","grantedBy":[{"permissionId":"pol-10"` + ground + `,{"permissionId":"pol-20"` + ground + `,{"permissionId":"two"` + ground + `]}`, `{"permissionId":"two","ruleset":{"id":"r-every","name":"r-every","branch":1}}]}]}]}`} {
		if !strings.Contains(w.Body.String(), action) {
			t.Errorf("lacks %s: %s", action, w.Body)
		}
	}
	w = h.want(request{path: explainPath, body: `{` + mreyes + `,"accessTokenFormat":"JWT","resourceTypes":[{"name":"Accounts","actions":["Edit"]}]}`}, 200, "")
	if got := w.Body.String(); strings.Count(got, `"path"`) != 2 || strings.Contains(got, "View") {
		t.Errorf("narrowed: %s", got)
	}
}

// TestExplainTellsNoPolicies: without the right to policies nothing of their names, ids, blocks, lines or the values of the
// identity is told, whatever is asked.
func TestExplainTellsNoPolicies(t *testing.T) {
	h := newHarbour(t)
	var secrets []string
	for _, p := range harbourPolicies() {
		secrets = append(secrets, string(p.ID), p.Name)
	}
	for _, b := range harbourBlocks() {
		secrets = append(secrets, `"`+string(b.ID)+`"`, b.Name)
	}
	secrets = append(secrets, `"grade"`, `"jobTitle"`, "Porto", "Teller", "198.51.100", "isActive", "policies\":", "grantedBy", "Left")
	for _, level := range []model.Detail{"", model.DetailNone, model.DetailReasons} {
		h.changeScope(func(s *model.Scope) { s.AuthZEN.DetailMax = level })
		secrets := secrets
		if level == model.DetailNone {
			secrets = append(slices.Clip(secrets), "PID", "reason", "message", "ignored", "bogus")
		}
		for _, rest := range []string{
			``, `,"assetList":[{"template":"Accounts"}],"includeAccessPolicy":true,"includeAccessPolicyId":true,"includeIdentity":true`,
			`,"combinedMultiValue":true,"includeAccessPolicy":true,"entityAttributes":{"bogus":"1"},"listOfResources":[` + accounts(`{"path":"acc-1"},{"path":"acc-2"},{"path":"acc-3"},{"path":"x"},{}`) + `,` + loans + `]`,
		} {
			w := h.want(request{path: explainPath, body: `{` + mreyes + rest + `}`}, 200, "")
			for _, secret := range secrets {
				if strings.Contains(w.Body.String(), secret) {
					t.Errorf("level %q, %s: told %s: %s", level, rest, secret, w.Body)
				}
			}
		}
	}
}

// TestExplainReasons: PM 4.8, PM E10, PM E27: each code with what there is to say about it.
func TestExplainReasons(t *testing.T) {
	h := toldHarbour(t)
	h.update(func(tx *store.Tx) error {
		return put(tx.AssetTemplates, model.AssetTemplate{ID: "Apart", WorkspaceID: "a0", DisplayName: "Apart", Source: model.SourceRequest, Actions: []model.Action{{ID: "View", Value: "View"}}})
	})
	got := h.why(accounts(`{"path":"acc-2","action":"Edit"},{"path":"x","action":"View"},{"path":"acc-1","action":"Sing"}`)+`,`+loans+
		`,{"resourceType":"None","resources":{"action":"View"}},{"resourceType":"CustomerColumns","resources":{"path":"c","action":"Read"}},{"resourceType":"Apart","resources":{"path":"c","action":"View"}}`,
		`"entityAttributes":{"grade":[9],"uid":"root","nothing":"x","shift":"late"},"contextData":{"branch":"Lagos"}`).Explanations
	var told []string
	for _, e := range got {
		line := e.Reason + " " + e.Message
		for _, p := range e.Policies {
			line += fmt.Sprintf("; %s %s applies=%v failed=%s", p.PermissionID, p.AccessType, p.Applies, p.Failed)
		}
		told = append(told, line)
	}
	if d := cmp.Diff([]string{
		"PID007 A restrictive policy applies; pol-30 Restrict applies=true failed=; pol-20 Allow applies=true failed=",
		"PID008 The asset is unknown; pol-10 Allow applies=false failed=what; pol-20 Allow applies=false failed=what",
		"PID002 The type has no such action",
		"PID006 A condition is not met; pol-40 Allow applies=false failed=when",
		"PID002 The type is unknown",
		"PID003 No active policy covers the type and the action",
		"PID001 No application of the scope has the type",
	}, told); d != "" {
		t.Errorf("told (-want +got):\n%s", d)
	}
	h.changeScope(func(s *model.Scope) { s.AuthZEN.DetailMax = "" })
	untold := h.why(accounts(`{"path":"acc-2","action":"Edit"},{"path":"x","action":"View"}`) + `,` + loans).Explanations
	if untold[0].Reason != "PID007" || untold[1].Reason != "PID008" || untold[2].Reason != "PID006" || untold[0].Policies != nil {
		t.Errorf("codes alone: %+v", untold)
	}
	h.changeScope(func(s *model.Scope) { s.AuthZEN.DetailMax = model.DetailPolicies })
	w := h.do(request{path: explainPath, body: `{"entityId":"gone","listOfResources":` + accounts(`{"path":"acc-1","action":"Edit"}`) + `}`}).Body.String()
	if !strings.Contains(w, `"isActive":false`) || !strings.Contains(w, `"reason":"PID004"`) || !strings.Contains(w, `"holds":false,"inactive":true`) {
		t.Errorf("an inactive identity: %s", w)
	}
}

// TestExplainIgnored: PM E12, PM E13: names of sent values that do not count are listed, of identities and of assets.
func TestExplainIgnored(t *testing.T) {
	h := toldHarbour(t)
	got := h.why(`{"resourceType":"Loans","resources":{"action":"approve","assetAttributes":{"branch":"Porto","bogus":"1","path":"p"}}},`+
		accounts(`{"path":"acc-1","action":"View","assetAttributes":{"level":"gold"}}`),
		`"entityAttributes":{"grade":[9],"uid":"root","nothing":"x","shift":"late"},"contextData":{"branch":"Lagos","shift":"early"}`)
	if d := cmp.Diff([]string{"branch", "grade", "nothing", "uid"}, got.Identities[0].Ignored); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([][]string{{"bogus", "path"}, {"level"}}, [][]string{got.Explanations[0].Ignored, got.Explanations[1].Ignored}); d != "" {
		t.Error(d)
	}
	h.update(func(tx *store.Tx) error {
		return put(tx.AssetTemplates, model.AssetTemplate{
			ID: "Apart", WorkspaceID: "a0", DisplayName: "Apart", Source: model.SourceRequest, Actions: []model.Action{{ID: "View", Value: "View"}},
			Attributes: []model.AssetAttribute{{ID: "hidden", Type: model.String}},
		})
	})
	const apart = `{"resourceType":"Apart","resources":{"path":"c","action":"View","assetAttributes":{"hidden":"x","none":"x"}}}`
	if e := h.why(apart).Explanations[0]; e.Reason != "PID001" || !slices.Equal(e.Ignored, []string{"none"}) {
		t.Errorf("a type of no application: %+v", e)
	}
	h.changeScope(func(s *model.Scope) { s.AuthZEN.DetailMax = "" })
	if e := h.why(apart).Explanations[0]; e.Reason != "PID001" || !slices.Equal(e.Ignored, []string{"hidden", "none"}) {
		t.Errorf("what a type takes is told to a scope that does not have it: %+v", e)
	}
	names := map[string]string{}
	for i := range 200 {
		names[fmt.Sprintf("name %03d %s", i, strings.Repeat("é", 1000))] = "x"
	}
	text, err := json.Marshal(names)
	check(t, err)
	w := h.want(request{path: explainPath, body: `{` + mreyes + `,"entityAttributes":` + string(text) + `}`}, 200, "")
	if got := w.Body.String(); !strings.Contains(got, `"ignoredLeft":150`) || strings.Count(got, "name ") != 50 || len(got) > 60_000 {
		t.Errorf("%d bytes: %.300s", len(got), got)
	}
}

// TestExplainIgnoredOfMatcher: PM E13: the attributes that a matcher maps are named only to who may be told of policies.
func TestExplainIgnoredOfMatcher(t *testing.T) {
	i := newIssuer(t)
	h := newHarbour(t)
	h.trust(i)
	ask := request{path: explainPath, headers: []string{"Authorization: Bearer " + i.sign(t, i.claims("branch", "Lagos"))}, body: `{"contextData":{"bogus":"1"}}`}
	for level, want := range map[model.Detail]string{
		model.DetailNone:     `"entityTypeId":"Staff"}],"access":`,
		model.DetailReasons:  `"entityTypeId":"Staff","ignored":["bogus"]}],"access":`,
		model.DetailPolicies: `"entityTypeId":"Staff","isActive":true,"ignored":["bogus","branch","uid"]}],"policies":`,
	} {
		h.changeScope(func(s *model.Scope) { s.AuthZEN.DetailMax = level })
		w := h.want(ask, 200, "")
		if !strings.Contains(w.Body.String(), `"detail":"`+string(level)+`"`) || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: lacks %s: %.400s", level, want, w.Body)
		}
	}
}

// TestExplainBounds: PM V4: of very many and very long values the first are shown, in time that grows with the values only.
func TestExplainBounds(t *testing.T) {
	h := toldHarbour(t)
	h.update(func(tx *store.Tx) error {
		var all []error
		for i := range 20 {
			group := model.Block{ID: model.BlockID(fmt.Sprintf("g-%02d", i)), Kind: model.KindDynamicGroup, WorkspaceID: "i0", Template: "Staff", Name: "shift"}
			for n := range 50 {
				group.Branches = append(group.Branches, model.Branch{Rules: []model.Rule{rule(model.SideIdentity, "shift", model.OpEqual, fmt.Sprint("never ", n))}})
			}
			p := harbourPolicies()[0]
			p.ID, p.Name, p.DynamicGroups = model.PolicyID(fmt.Sprintf("shift-%02d", i)), "shift", []model.BlockID{group.ID}
			all = append(all, put(tx.Blocks, group), put(tx.Policies, p))
		}
		for _, err := range all {
			if err != nil {
				return err
			}
		}
		return nil
	})
	values := make([]string, 2000)
	for i := range values {
		values[i] = fmt.Sprintf("%d %s", i, strings.Repeat("v", 1000))
	}
	text, err := json.Marshal(values)
	check(t, err)
	pairs := strings.TrimSuffix(strings.Repeat(`{"path":"acc-3","action":"View"},`, 5), ",")
	body := `{` + mreyes + `,"entityAttributes":{"shift":` + string(text) + `},"listOfResources":[` + accounts(pairs) + `]}`
	w := h.want(request{path: explainPath, body: body}, 200, "")
	var got explained
	check(t, json.Unmarshal(w.Body.Bytes(), &got))
	e := got.Explanations[0]
	if len(e.Policies) != 10 || !strings.Contains(w.Body.String(), `"policiesLeft":12`) || e.Policies[0].PermissionID != "pol-10" {
		t.Errorf("policies: %+v", e.Policies)
	}
	if !strings.Contains(w.Body.String(), `"valuesLeft":1980`) || strings.Contains(w.Body.String(), strings.Repeat("v", 257)) {
		t.Error("values are not bounded")
	}
	many := strings.TrimSuffix(strings.Repeat(`{"path":"acc-1"},`, 500), ",")
	h.want(request{path: explainPath, body: `{` + mreyes + `,"listOfResources":[` + accounts(many) + `]}`}, 200, "")
	h.want(request{path: explainPath, body: `{` + mreyes + `,"listOfResources":[` + accounts(many+`,{"path":"acc-1","action":"View"}`) + `]}`}, 400,
		"listOfResources: more than 1000 pairs of an asset and an action")
}

// TestExplainNearest: the policy that got furthest comes first, then the one with more lines that hold; of alternatives the
// nearest is shown.
func TestExplainNearest(t *testing.T) {
	h := toldHarbour(t)
	h.update(func(tx *store.Tx) error {
		near := model.Block{ID: "g-near", Kind: model.KindDynamicGroup, WorkspaceID: "i0", Template: "Staff", Name: "Near", Branches: []model.Branch{
			{Rules: []model.Rule{rule(model.SideIdentity, "grade", model.OpGreater, "7")}},
			{Rules: []model.Rule{
				rule(model.SideIdentity, "jobTitle", model.OpEqual, "Teller"), rule(model.SideIdentity, "grade", model.OpGreaterEqual, "5"),
				rule(model.SideIdentity, "branch", model.OpEqual, "Porto"),
			}},
		}}
		p := harbourPolicies()[6]
		p.ID, p.DynamicGroups, p.Rulesets[0].ActionIDs = "a-far", []model.BlockID{"g-far"}, []model.ActionID{"Read"}
		q := harbourPolicies()[6]
		q.ID, q.DynamicGroups, q.Rulesets[0].ActionIDs = "b-near", []model.BlockID{"g-far", "g-near"}, []model.ActionID{"Read"}
		all := harbourPolicies()[6]
		all.ID, all.DynamicGroups = "c-all", []model.BlockID{"g-all", "g-near"}
		far := model.Block{ID: "g-far", Kind: model.KindDynamicGroup, WorkspaceID: "i0", Template: "Staff", Name: "Far", Branches: branches(rule(model.SideIdentity, "shift", model.OpEqual, "x"))}
		for _, err := range []error{put(tx.Blocks, near, far), put(tx.Policies, p, q, all)} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	got := h.why(`{"resourceType":"CustomerColumns","resources":{"path":"c","action":"Read"}}`).Explanations[0].Policies
	if len(got) != 2 || got[0].PermissionID != "b-near" || got[1].PermissionID != "a-far" {
		t.Fatalf("%+v", got)
	}
	const line = `{"left":{"side":"identity","attribute":"grade","values":["3"]},"operator":">=","right":{"values":["5"]}}`
	if b := got[0].Who; len(b) != 1 || b[0].ID != "g-near" || b[0].Branch != 2 || b[0].Lines != 3 || b[0].Held != 2 || string(b[0].Failed) != line {
		t.Errorf("%+v %s", b, b[0].Failed)
	}
	got = h.why(`{"resourceType":"CustomerColumns","resources":{"path":"c","action":"Mask"}}`).Explanations[0].Policies
	if len(got) != 2 || got[1].PermissionID != "c-all" || len(got[1].Who) != 1 || got[1].Who[0].ID != "g-all" {
		t.Errorf("a group that holds is nearer than one that does not: %+v", got)
	}
}

// TestExplainListOfManyValues: PM V5, PM V6: comparisons of very many texts, which end when nobody waits any more, come to the
// same when the list is written as when it was found: neither a branch nor a Restrict policy holds that did not.
func TestExplainListOfManyValues(t *testing.T) {
	h := toldHarbour(t)
	within := func(side model.Side, id model.AttributeID) model.Branch {
		out := model.Branch{Rules: []model.Rule{{
			Left: model.Ref{Side: side, Attribute: id}, Op: model.OpContains, Ref: model.Ref{Side: model.SideIdentity, Attribute: "shift"},
		}}}
		if side == model.SideAsset {
			out.IdentityTemplate = "Staff"
		}
		return out
	}
	h.update(func(tx *store.Tx) error {
		_, err := tx.Identities("Staff").Put(model.Identity{EntityID: "roles", Attributes: model.Attributes{"grade": {"4"}, "roles": {"a", "b"}}})
		freeze := harbourPolicies()[2]
		freeze.ID, freeze.Rulesets = "freeze", []model.RulesetUse{{BlockID: "r-within", AllActions: true}}
		return errors.Join(err, put(tx.Policies, freeze),
			put(tx.Blocks, model.Block{ID: "r-within", Kind: model.KindRuleset, WorkspaceID: "a0", Template: "Loans", Name: "r-within", Branches: []model.Branch{
				within(model.SideAsset, "branch"),
			}}),
			put(tx.Blocks, model.Block{ID: "r-loan", Kind: model.KindRuleset, WorkspaceID: "a0", Template: "Loans", Name: "r-loan", Branches: []model.Branch{
				within(model.SideAsset, "branch"), {Rules: []model.Rule{rule(model.SideAsset, "amount", model.OpLessEqual, "5000")}},
			}}),
			put(tx.Blocks, model.Block{ID: "g-grade", Kind: model.KindDynamicGroup, WorkspaceID: "i0", Template: "Staff", Name: "g-grade", Branches: []model.Branch{
				within(model.SideIdentity, "roles"), {Rules: []model.Rule{rule(model.SideIdentity, "grade", model.OpGreaterEqual, "3")}},
			}}))
	})
	many := `"never"`
	for i := range 3000 {
		many += fmt.Sprintf(`,"never %d"`, i)
	}
	body := `{"entityId":"roles","entityTypeId":"Staff","remoteIp":"198.51.100.9","entityAttributes":{"shift":[` + many + `]},` +
		`"assetList":[{"template":"Loans","path":"loan-77","assetAttributes":{"branch":["x","y"],"amount":"4200"}}]}`
	w := h.want(request{path: explainPath, body: body}, 200, "")
	for _, want := range []string{
		`"actions":[{"action":"approve","grantedBy":[{"permissionId":"pol-40","ruleset":{"id":"r-loan","name":"r-loan","branch":2}}]}]`,
		`"who":[{"id":"g-grade","name":"g-grade","kind":"DynamicGroup","holds":true,"branch":2,`,
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("lacks %s: %s", want, w.Body)
		}
	}
	// once the answer is found nothing is compared any more, though the decision has ended and nobody waits
	r := httptest.NewRequest(http.MethodPost, explainPath, strings.NewReader(body))
	ctx, leave := context.WithCancel(r.Context())
	r.Header = http.Header{"X-Client-Id": {string(client)}, "X-Client-Secret": {h.secret}}
	h.service = decide.New(decide.Options{
		Directory: h.directory, Secrets: h.secrets, Clock: func() time.Time { return noon }, Audit: dropping{h.records, leave},
	})
	h.handler = Handler(Options{Service: h.service, Directory: h.directory})
	left := httptest.NewRecorder()
	h.handler.ServeHTTP(left, r.WithContext(ctx))
	if got := left.Body.String(); got != w.Body.String() || ctx.Err() == nil {
		t.Errorf("sent %s", got)
	}
}

// TestExplainRows: PM E20, RT-82: with rows judged by themselves the combination that grants is told, or the nearest one.
func TestExplainRows(t *testing.T) {
	h := toldHarbour(t)
	h.update(func(tx *store.Tx) error {
		_, err := tx.Identities("Staff").Put(model.Identity{EntityID: "rows", Attributes: model.Attributes{"jobTitle": {"Teller"}}, Rows: []model.Attributes{
			{"branch": {"Lagos"}, "grade": {"1"}}, {"branch": {"Porto"}, "grade": {"1"}}, {"branch": {"Braga"}, "grade": {"9"}},
		}})
		return err
	})
	ask := func(pair string) string {
		return h.want(request{path: explainPath, body: `{"entityId":"rows","combinedMultiValue":true,"listOfResources":` + accounts(pair) + `}`}, 200, "").Body.String()
	}
	granted := ask(`{"path":"acc-1","action":"View"}`)
	if !strings.Contains(granted, `"grantedBy":[{"permissionId":"pol-10","permission":"Branch accounts"}],"combinations":[{"number":2,"rows":[{"entityTypeId":"Staff","row":2}],"allowed":true,`) ||
		!strings.Contains(granted, `"combinationsLeft":2`) {
		t.Error(granted)
	}
	denied := ask(`{"path":"acc-1","action":"Edit"}`)
	if !strings.Contains(denied, `"reason":"PID005"`) || !strings.Contains(denied, `"combinations":[{"number":3,"rows":[{"entityTypeId":"Staff","row":3}],"allowed":false,`) {
		t.Error(denied)
	}
	list := h.want(request{path: explainPath, body: `{"entityId":"rows","combinedMultiValue":true}`}, 200, "").Body.String()
	if !strings.Contains(list, `{"path":"acc-3","resourceType":"Accounts","actions":[{"action":"View","grantedBy":[{"permissionId":"pol-10","ruleset":{"id":"r-own","name":"r-own","branch":1},"combination":1}]}]}`) {
		t.Error(list)
	}
}

// TestExplainRefusals: RT-14, RT-16, RT-17, RT-20 and PM E22: the refusals of the other calls, in their order, and the inputs
// of a simulation, which a scope may not have.
func TestExplainRefusals(t *testing.T) {
	h := toldHarbour(t)
	for _, path := range []string{explainPath, "/runtime/explain/v1"} {
		for name, c := range map[string]struct {
			body    string
			headers []string
			status  int
			want    string
		}{
			"a time":              {`{` + mreyes + `,"at":"2026-07-06T09:30:00+02:00"}`, nil, 403, "at: only with a management token"},
			"no time":             {`{` + mreyes + `,"at":"noon"}`, nil, 400, "at: must be a time like 2026-07-06T09:30:00+02:00"},
			"a far zone":          {`{` + mreyes + `,"at":"2026-07-06T09:30:00+14:01"}`, nil, 400, "at: must be a time like 2026-07-06T09:30:00+02:00"},
			"a year too far":      {`{` + mreyes + `,"at":"9999-12-31T23:59:59-14:00"}`, nil, 400, "at: must be a time like 2026-07-06T09:30:00+02:00"},
			"both questions":      {`{` + mreyes + `,"assetList":[],"listOfResources":[` + loans + `]}`, nil, 400, "assetList: not together with listOfResources"},
			"nothing asked":       {`{` + mreyes + `,"listOfResources":[]}`, nil, 400, "listOfResources: required, and not empty"},
			"an address":          {`{` + mreyes + `,"remoteIp":"here"}`, nil, 400, "remoteIp: must be an IP address without port or zone"},
			"nobody":              {`{}`, nil, 400, "entityId: required"},
			"somebody else":       {`{"entityId":"x"}`, nil, 404, "MemberNotFoundError: identity not found"},
			"another type":        {`{"entityId":"x","entityTypeId":"y"}`, nil, 403, "None of the Identity Templates Matched"},
			"an asset context":    {`{` + mreyes + `,"assetContext":{"a":1}}`, nil, 501, "assetContext is not supported"},
			"no JSON":             {`{`, nil, 400, "Malformed JSON"},
			"a repeated name":     {`{` + mreyes + `,"entityId":"x"}`, nil, 400, "Malformed JSON"},
			"a later revision":    {`{` + mreyes + `}`, []string{"Ambit-Min-Revision: 1000", "Ambit-Wait: 1"}, 503, "Revision 1000 is not reached"},
			"a compressed body":   {`{}`, []string{"Content-Encoding: gzip"}, 415, ""},
			"a bearer of nothing": {`{` + mreyes + `}`, []string{"X-Client-Secret: wrong"}, 200, ""}, // the first header counts
		} {
			if w := h.do(request{path: path, body: c.body, headers: c.headers}); w.Code != c.status || c.want != "" && w.Body.String() != c.want {
				t.Errorf("%s: %d %s, want %d %s", name, w.Code, w.Body, c.status, c.want)
			}
		}
		h.want(request{path: path, method: http.MethodGet}, 405, "")
		h.want(request{path: path, body: `{` + mreyes + `}`, anonymous: true}, 401, "Invalid clientId")
		h.want(request{path: path, body: `{` + mreyes + `}`, anonymous: true, headers: []string{"X-Client-Id: " + string(client), "X-Client-Secret: wrong"}}, 401, "Invalid api key")
	}
	before := len(h.records.all)
	h.records.fail = fmt.Errorf("full")
	h.want(request{path: explainPath, body: `{` + mreyes + `}`}, 500, "")
	h.records.fail = nil
	if len(h.records.all) != before {
		t.Error("an answer left without its record")
	}
}

// TestExplainStreams: a list that is larger than the buffer is complete and valid, and one that is larger than a call explains
// is an error; clients that do not read theirs keep nobody else from being answered.
func TestExplainStreams(t *testing.T) {
	h := toldHarbour(t)
	h.update(func(tx *store.Tx) error {
		for i := range 3000 {
			if _, err := tx.Assets("Accounts").Put(model.Asset{Path: fmt.Sprintf("more-%04d", i), Attributes: model.Attributes{"branch": {"Porto"}, "tier": {"basic"}}}); err != nil {
				return err
			}
		}
		return nil
	})
	w := h.want(request{path: explainPath, body: `{` + mreyes + `}`}, 200, "")
	var got explained
	check(t, json.Unmarshal(w.Body.Bytes(), &got))
	if len(got.Access) != 3002 || w.Body.Len() < 2*bufferSize {
		t.Fatalf("%d entries, %d bytes", len(got.Access), w.Body.Len())
	}
	paths := map[string]bool{}
	for _, e := range got.Access {
		paths[e.Path] = true
	}
	if len(paths) != 3002 {
		t.Error("entries come twice")
	}
	for level := range map[model.Detail]bool{model.DetailReasons: true, model.DetailPolicies: true} {
		h.changeScope(func(s *model.Scope) { s.AuthZEN.DetailMax = level })
		h.want(request{path: explainPath, body: `{` + mreyes + `,"assetList":[` + strings.Repeat(`{"template":"Accounts"},`, 33) + `{"template":"Accounts"}]}`}, 400,
			"resourceTypes: the list has more than 100000 entries; name fewer types, or some of the assets")
		if got := h.records.last(); got.Status != 400 {
			t.Errorf("the record is %+v", got)
		}
	}
	h.changeScope(func(s *model.Scope) { s.AuthZEN.DetailMax = model.DetailPolicies })
	resume := make(chan struct{})
	var done []chan struct{}
	var stopped []*stuck
	for range max(1, goruntime.GOMAXPROCS(0)/2) { // all that may be worked on together
		slow := &stuck{httptest.NewRecorder(), make(chan struct{}, 100), resume}
		stopped = append(stopped, slow)
		ended := make(chan struct{})
		r := httptest.NewRequest(http.MethodPost, explainPath, strings.NewReader(`{`+mreyes+`}`))
		r.Header.Set("X-Client-Id", string(client))
		r.Header.Set("X-Client-Secret", h.secret)
		go func() {
			defer close(ended)
			h.handler.ServeHTTP(slow, r)
		}()
		<-slow.writing
		done = append(done, ended)
	}
	h.want(request{path: explainPath, body: `{` + mreyes + `}`}, 200, w.Body.String())
	close(resume)
	for i := range done {
		<-done[i]
		if stopped[i].Body.String() != w.Body.String() {
			t.Errorf("a slow client got %d bytes", stopped[i].Body.Len())
		}
	}
}
