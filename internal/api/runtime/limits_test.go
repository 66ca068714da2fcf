package runtime

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// list is a JSON array of n texts.
func list(n int, text func(int) string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Quote(text(i)))
	}
	return "[" + b.String() + "]"
}

// RT-98, 10.4 rule 9: the values of a request stand in every branch of a filter, and a short number may have thousands
// of digits: what a filter takes is bounded while it is made, not only once it is there.
func TestResolutionOfManyValues(t *testing.T) {
	h := newHarbour(t)
	sent := func(id model.AttributeID, op model.Operator, of model.AttributeID) model.Rule {
		return model.Rule{Left: model.Ref{Side: model.SideAsset, Attribute: id}, Op: op, Ref: model.Ref{Side: model.SideRequest, Attribute: of}}
	}
	plain := func(i int) string { return fmt.Sprintf("v%d", i) }
	huge := func(i int) string { return fmt.Sprintf("%de9990", i+1) }
	for _, tt := range []struct {
		name            string
		allow, restrict []model.Rule
		values          string
		status          int
	}{
		{"numbers of ten thousand digits", []model.Rule{sent("risk", model.OpIn, "x")}, nil, list(20_000, huge), 500},
		{"taken away", nil, []model.Rule{sent("risk", model.OpIn, "x")}, list(20_000, huge), 500},
		{"two lines of many texts", []model.Rule{sent("country", model.OpContains, "x"), sent("segment", model.OpContains, "x")}, nil, list(3_000, plain), 500},
		{"one line of many texts", []model.Rule{sent("country", model.OpContains, "x")}, nil, list(20_000, plain), 500},
		{
			"branches of long lists",
			[]model.Rule{sent("country", model.OpContains, "few"), sent("segment", model.OpNotIn, "x")},
			nil, list(50_000, plain) + `,"few":` + list(200, plain), 500,
		},
		{"the greatest of many", []model.Rule{sent("risk", model.OpLess, "x")}, nil, list(20_000, huge), 200},
		{"many texts that are taken away, which has no negation", nil, []model.Rule{sent("country", model.OpContains, "x"), sent("segment", model.OpContains, "x")}, list(20_000, plain), 200},
		{"a long list", []model.Rule{sent("country", model.OpIn, "x")}, nil, list(50_000, plain), 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.t = t
			h.update(func(tx *store.Tx) error {
				set := func(id model.BlockID, rules []model.Rule) model.Block {
					return model.Block{ID: id, Kind: model.KindRuleset, WorkspaceID: "a0", Template: "Customers", Name: string(id), Branches: branches(rules...)}
				}
				freeze := harbourPolicies()[5]
				freeze.Inactive = tt.restrict == nil
				if err := put(tx.Blocks, set("r-pt", tt.allow), set("r-private", tt.restrict)); err != nil {
					return err
				}
				return put(tx.Policies, freeze)
			})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			w := h.do(request{path: resolutionPath, body: `{` + mreyes + `,"environment":{"x":` + tt.values + `}}`})
			runtime.ReadMemStats(&after)
			if w.Code != tt.status {
				t.Errorf("%d %.200s", w.Code, w.Body)
			}
			if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 400 {
				t.Errorf("allocated %d MiB", took)
			}
		})
	}
}

// RT-85: of each of very many pairs only the first granting policy is kept, and a question about a few types binds the
// policies on those.
func TestPermitOfManyPairs(t *testing.T) {
	h := newHarbour(t)
	h.update(func(tx *store.Tx) error {
		for i := range 1_000 {
			p := harbourPolicies()[0]
			p.ID, p.Name = model.PolicyID(fmt.Sprintf("pol-%d", 100+i)), fmt.Sprintf("more %d", i)
			if err := put(tx.Policies, p); err != nil {
				return err
			}
		}
		return nil
	})
	pair := `{"action":"View","path":"acc-1"}`
	body := `{` + mreyes + `,"listOfResources":{"resourceType":"Accounts","resources":[` + strings.Repeat(pair+",", 9_999) + pair + `]}}`
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f, err := parseBody([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	req, err := readPermit(f, nil)
	check(t, err)
	call := h.service.Begin(decide.Incoming{Credentials: decide.Credentials{ClientID: client, Secret: h.secret}})
	check(t, call.AuthenticateHeaders(t.Context()))
	answer, err := call.Permit(t.Context(), req.PermitRequest)
	runtime.GC()
	runtime.ReadMemStats(&after)
	check(t, err)
	if held := (after.HeapAlloc - min(before.HeapAlloc, after.HeapAlloc)) >> 20; !answer.Permitted() || len(answer.Pairs) != 10_000 || held > 40 {
		t.Errorf("%d pairs, %d MiB", len(answer.Pairs), held)
	}
}

// TestExplainOfManyPairs: PM V4: a long value that lines of very many pairs compare is kept once.
func TestExplainOfManyPairs(t *testing.T) {
	h := toldHarbour(t)
	h.update(func(tx *store.Tx) error {
		for i := range 20 {
			group := model.Block{ID: model.BlockID(fmt.Sprintf("g-%02d", i)), Kind: model.KindDynamicGroup, WorkspaceID: "i0", Template: "Staff", Name: "shift"}
			group.Branches = append(group.Branches, model.Branch{Rules: []model.Rule{rule(model.SideIdentity, "shift", model.OpEqual, "never")}})
			p := harbourPolicies()[6]
			p.ID, p.Name, p.DynamicGroups, p.Rulesets[0].ActionIDs = model.PolicyID(fmt.Sprintf("shift-%02d", i)), "shift", []model.BlockID{group.ID}, []model.ActionID{"Read"}
			if err := put(tx.Blocks, group); err != nil {
				return err
			}
			if err := put(tx.Policies, p); err != nil {
				return err
			}
		}
		return nil
	})
	values := make([]string, 20)
	for i := range values {
		values[i] = fmt.Sprintf("%d %s", i, strings.Repeat("v", 3000))
	}
	text, err := json.Marshal(values)
	check(t, err)
	pair := `{"path":"c","action":"Read"}`
	body := `{` + mreyes + `,"entityAttributes":{"shift":` + string(text) + `},"listOfResources":{"resourceType":"CustomerColumns","resources":[` + strings.Repeat(pair+",", 999) + pair + `]}}`
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f, err := parseBody([]byte(body))
	check(t, err)
	req, err := readExplain(f, nil)
	check(t, err)
	call := h.service.Begin(decide.Incoming{Credentials: decide.Credentials{ClientID: client, Secret: h.secret}})
	check(t, call.AuthenticateHeaders(t.Context()))
	answer, err := call.Explain(t.Context(), *req)
	check(t, err)
	runtime.GC()
	runtime.ReadMemStats(&after)
	held := (after.HeapAlloc - min(before.HeapAlloc, after.HeapAlloc)) >> 20
	if last := answer.Pairs[999].Told[0]; len(answer.Pairs) != 1000 || len(last.Policies) != 10 || len(last.Policies[9].Groups[0].Branches[0].Failed.Left) != 20 || held > 60 {
		t.Errorf("%d pairs, %+v, %d MiB", len(answer.Pairs), last, held)
	}
}

// A user list may take seconds, whatever the size of its body: as many as would keep all processors busy are never worked
// on at once, and one that waits too long is 503. Other calls pass by.
func TestUserListsTakeTurns(t *testing.T) {
	h := newHarbour(t)
	room := h.handler.(*handler).room
	room.Patience = 10 * time.Millisecond
	list := request{path: usersPath, body: `{"asset":{"resourceType":"Accounts","path":"acc-3"}}`}
	for range 3 {
		h.want(list, 200, "") // each gives its turn back
	}
	busy, err := room.Turn(t.Context())
	check(t, err)
	for range runtime.GOMAXPROCS(0)/2 - 1 {
		more, err := room.Turn(t.Context())
		check(t, err)
		defer more()
	}
	h.want(list, 503, "Not ready")
	h.want(request{body: `{` + mreyes + `}`}, 200, "")
	busy()
	// the room of a big body is no turn
	held, err := room.Work(t.Context(), 2*incoming.SmallBody)
	check(t, err)
	h.want(request{path: usersPath, body: `{"x":"` + strings.Repeat("x", incoming.SmallBody) + `",` + list.body[1:]}, 503, "Not ready")
	held()
	h.want(list, 200, "")
}
