package runtime

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/casefile"
	"github.com/ambit-authz/ambit/internal/model"
)

const permitPath = "/api/runtime/permit-deny/v3"

// permitted is an answer of Permit/Deny as a test reads it.
type permitted struct {
	Result   string
	Reason   []string
	Response []struct {
		Allowed       []permittedPair
		Denied        []permittedPair
		NotApplicable []permittedPair `json:"not_applicable"`
	}
}

type permittedPair struct {
	Path, Action, Template, Reason string
	PermissionID                   model.PolicyID
}

// permit asks a check of the corpus as a yes/no question: the verdict, its reason code and the list it stands in (PM
// 4.8, RT-85, RT-86, RT-87, RT-89), and again without any flag (RT-88).
func (r *caseRun) permit(k casefile.Check) {
	r.t.Helper()
	body := r.body()
	resource := map[string]any{"path": k.Asset.Path, "action": k.Action}
	if k.Asset.Attributes != nil {
		resource["assetAttributes"] = k.Asset.Attributes
	}
	body["listOfResources"] = []any{map[string]any{"resourceType": k.Asset.Template, "resources": []any{resource}}}
	want := "DENY"
	if k.Allowed {
		want = "PERMIT"
	}
	status, bare, _ := r.askAt(permitPath, body)
	if status != 200 || bare != `{"result":"`+want+`"}` {
		r.t.Errorf("%s: %s on %+v: %d %s, want %s", r.c.Why, k.Action, k.Asset, status, bare, want)
	}
	for _, flag := range []string{"includeDetails", "includeDenyReason", "includeAccessPolicyId", "includeAssetAttributes", "includeIdentity"} {
		body[flag] = true
	}
	_, answer, _ := r.askAt(permitPath, body)
	var got permitted
	if err := json.Unmarshal([]byte(answer), &got); err != nil || len(got.Response) != 1 || got.Result != want {
		r.t.Fatalf("%s: %v: %s", r.c.Why, err, answer)
	}
	lists := got.Response[0]
	if k.Action == "" {
		return // every action of the type: several pairs
	}
	if k.Allowed {
		if len(lists.Allowed) != 1 || len(lists.Denied)+len(lists.NotApplicable) > 0 || got.Reason != nil {
			r.t.Errorf("%s: %s", r.c.Why, answer)
		} else if len(k.By) > 0 && lists.Allowed[0].PermissionID != k.By[0] {
			r.t.Errorf("%s: granted by %s, want %s", r.c.Why, lists.Allowed[0].PermissionID, k.By[0])
		}
		return
	}
	in := lists.Denied
	if k.Reason == "PID001" || k.Reason == "PID002" || k.Reason == "PID003" {
		in = lists.NotApplicable
	}
	if k.Reason == "" {
		in = append(in, lists.NotApplicable...)
	}
	if len(in) != 1 || len(lists.Allowed)+len(lists.Denied)+len(lists.NotApplicable) != 1 ||
		k.Reason != "" && in[0].Reason != k.Reason || !cmp.Equal(got.Reason, []string{in[0].Reason}) {
		r.t.Errorf("%s: %s on %+v: %s, want %s", r.c.Why, k.Action, k.Asset, answer, k.Reason)
	}
}

const loans = `{"resourceType":"Loans","resources":[{"action":"approve","path":"loan-77","assetAttributes":{"branch":["Porto"],"amount":["4200"]}}]}`

func accounts(resources string) string {
	return `{"resourceType":"Accounts","resources":[` + resources + `]}`
}

// RT-83, RT-84, RT-90: the examples of 9.1 and 9.3, byte for byte.
func TestPermitGolden(t *testing.T) {
	h := newHarbour(t)
	ask := func(rest, want string) {
		t.Helper()
		w := h.want(request{path: permitPath, body: `{` + mreyes + rest + `}`}, 200, want)
		for name, value := range map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "Ambit-Revision": "1"} {
			if got := w.Header().Get(name); got != value {
				t.Errorf("%s: %q, want %q", name, got, value)
			}
		}
	}
	batch := `,"remoteIp":"198.51.100.9","listOfResources":[` + accounts(`{"action":"View","path":"acc-1"},{"action":"View","path":"acc-3"}`) + `,` + loans + `]`
	ask(`,"includeDetails":true,"includeDenyReason":true`+batch, `{"result":"DENY","reason":["PID005"],"response":[{`+
		`"allowed":[{"path":"acc-1","action":"View","template":"Accounts"},{"path":"loan-77","action":"approve","template":"Loans"}],`+
		`"denied":[{"path":"acc-3","action":"View","template":"Accounts","reason":"PID005"}],"not_applicable":[]}]}`)
	ask(batch, `{"result":"DENY"}`)
	ask(`,"includeDenyReason":true`+batch, `{"result":"DENY","reason":["PID005"]}`)
	one := `,"listOfResources":[` + accounts(`{"action":"View","path":"acc-1"}`) + `]`
	ask(one, `{"result":"PERMIT"}`)
	ask(`,"includeDenyReason":true`+one, `{"result":"PERMIT"}`)
	ask(`,"includeDetails":true`+one, `{"result":"PERMIT","response":[{"allowed":[{"path":"acc-1","action":"View","template":"Accounts"}],"denied":[],"not_applicable":[]}]}`)
	ask(`,"includeDetails":true,"includeAccessPolicy":true,"includeAccessPolicyId":true,"includeAssetAttributes":true,"includeContext":true,"contextData":{"a":"b"}`+one,
		`{"result":"PERMIT","response":[{"allowed":[{"path":"acc-1","action":"View","template":"Accounts","permission":"Branch accounts","permissionId":"pol-10",`+
			`"attributes":{"branch":["Porto"],"tier":["basic"],"balance":["1200.50"],"name":["acc-1"],"path":["acc-1"]}}],"denied":[],"not_applicable":[]}],"contextData":{"a":["b"]}}`)
}

// RT-2. Each row is one question of mreyes and the whole answer, with details and reasons: RT-85 to RT-89.
func TestPermitQuestions(t *testing.T) {
	h := newHarbour(t)
	entry := func(path, action, template, reason string) string {
		if reason != "" {
			reason = `,"reason":"` + reason + `"`
		}
		return fmt.Sprintf(`{"path":%q,"action":%q,"template":%q%s}`, path, action, template, reason)
	}
	answer := func(result, reasons, allowed, denied, notApplicable string) string {
		if reasons != "" {
			reasons = `,"reason":[` + reasons + `]`
		}
		return `{"result":"` + result + `"` + reasons + `,"response":[{"allowed":[` + allowed + `],"denied":[` + denied + `],"not_applicable":[` + notApplicable + `]}]}`
	}
	tests := []struct{ name, list, want string }{
		{
			"RT-86 no action asks all", accounts(`{"path":"acc-2"}`),
			answer("DENY", `"PID007"`, entry("acc-2", "View", "Accounts", ""), entry("acc-2", "Edit", "Accounts", "PID007"), ""),
		},
		{
			"RT-85 one not applicable", accounts(`{"path":"acc-1","action":"View"},{"path":"acc-1","action":"Burn"}`),
			answer("DENY", `"PID002"`, entry("acc-1", "View", "Accounts", ""), "", entry("acc-1", "Burn", "Accounts", "PID002")),
		},
		{"RT-89 unknown type", `{"resourceType":"Ships","resources":[{"path":"x"}]}`, answer("DENY", `"PID002"`, "", "", entry("x", "", "Ships", "PID002"))},
		{"RT-89 unknown asset", accounts(`{"path":"acc-9","action":"View"}`), answer("DENY", `"PID008"`, "", entry("acc-9", "View", "Accounts", "PID008"), "")},
		{"RT-89 no policy", `{"resourceType":"Loans","resources":[{"action":"View"}]}`, answer("DENY", `"PID003"`, "", "", entry("", "View", "Loans", "PID003"))},
		{"RT-89 condition", loans, answer("DENY", `"PID006"`, "", entry("loan-77", "approve", "Loans", "PID006"), "")},
		{"RT-87 a stored type as a whole", accounts(`{"action":"View"}`), answer("DENY", `"PID005"`, "", entry("", "View", "Accounts", "PID005"), "")},
		{
			"RT-90 codes once, ascending", accounts(`{"path":"acc-3"},{"path":"acc-9","action":"View"},{"path":"acc-1","action":"Burn"}`),
			answer("DENY", `"PID002","PID005","PID008"`, "",
				entry("acc-3", "View", "Accounts", "PID005")+","+entry("acc-3", "Edit", "Accounts", "PID005")+","+entry("acc-9", "View", "Accounts", "PID008"),
				entry("acc-1", "Burn", "Accounts", "PID002")),
		},
		{"an id of an action is its name, too", accounts(`{"path":"acc-1","action":"Edit"}`), answer("PERMIT", "", entry("acc-1", "Edit", "Accounts", ""), "", "")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h.t = t
			for _, path := range []string{
				permitPath, "/api/runtime/permit-deny/v1", "/api/runtime/permit-deny/v4/",
				"/runtime/permit-deny/v1", "/runtime/permit-deny/v3", "/runtime/permit-deny/v4",
			} {
				h.want(request{path: path, body: `{` + mreyes + `,"remoteIp":"192.0.2.1","includeDetails":true,"includeDenyReason":true,"listOfResources":[` + tt.list + `]}`}, 200, tt.want)
			}
		})
	}
}

// RT-82, RT-10: what is missing or of the wrong type is refused with its place; unused fields are not looked at. An empty
// question is never PERMIT.
func TestPermitRefusals(t *testing.T) {
	h := newHarbour(t)
	for rest, want := range map[string]string{
		``:                        "listOfResources: required, and not empty",
		`,"listOfResources":[]`:   "listOfResources: required, and not empty",
		`,"listOfResources":null`: "listOfResources: required, and not empty",
		`,"listOfResources":[{"resourceType":"Accounts"}]`:                           "listOfResources[0].resources: required, and not empty",
		`,"listOfResources":[{"resourceType":"Accounts","resources":[]}]`:            "listOfResources[0].resources: required, and not empty",
		`,"listOfResources":[{"resources":[{"path":"x"}]}]`:                          "listOfResources[0].resourceType: required",
		`,"listOfResources":[` + accounts(`{"path":"x"}`) + `,{"resourceType":"A"}]`: "listOfResources[1].resources: required, and not empty",
		`,"listOfResources":[` + accounts(`{"path":[]}`) + `]`:                       "listOfResources[0].resources[0].path: must be a string",
		`,"listOfResources":[` + accounts(`[]`) + `]`:                                "listOfResources[0].resources[0]: must be an object",
		`,"listOfResources":"x"`:                                                     "listOfResources: must be a list of objects",
	} {
		h.want(request{path: permitPath, body: `{` + mreyes + rest + `}`}, 400, want)
	}
	list := `"listOfResources":[` + accounts(`{"path":"acc-1","action":"View"}`) + `]`
	h.want(request{path: permitPath, body: `{` + mreyes + `,"accessTokenFormat":true,"resourceTypes":7,"responseType":[],` + list + `}`}, 200, `{"result":"PERMIT"}`)
	h.want(request{path: permitPath, body: `{` + mreyes + `,"assetContext":{"a":1},` + list + `}`}, 501, "assetContext is not supported")
	h.want(request{path: permitPath, method: "GET"}, 405, "Method not allowed")
	h.want(request{path: permitPath, body: `{` + mreyes + `,` + list + `}`, anonymous: true}, 401, "Invalid clientId")
	h.want(request{path: permitPath, body: `{"entityId":"gone","entityTypeId":"Staff",` + list + `}`}, 200, `{"result":"DENY"}`)
	many := strings.Repeat(`{"path":"a"},`, 50_000)
	h.want(request{path: permitPath, body: `{` + mreyes + `,"listOfResources":[` + accounts(many+`{"path":"a"}`) + `]}`}, 400,
		"listOfResources: more than 100000 pairs of an asset and an action")
}

// permits wants Permit/Deny to allow, of every asset of a plan, the actions that its list has, and the verdict to follow
// from them (RT-85, RT-86, RT-88).
func (s *stack) permits(t *rapid.T, x *expectation, p *plan) {
	t.Helper()
	for _, a := range p.assets {
		at := x.types[a.template]
		if a.path == "" && at.Source != model.SourceRequest || len(at.Actions) == 0 {
			continue // a type as a whole, and a type without actions, are other questions than a list
		}
		body := p.body()
		for _, name := range []string{"resourceTypes", "includeIdentity", "includeAccessPolicy", "includeAccessPolicyId"} {
			delete(body, name)
		}
		body["assetList"] = map[string]any{"template": a.template, "path": a.path, "assetAttributes": a.sent}
		listed := map[string]bool{}
		_, list, _ := s.ask(body)
		for _, e := range s.entries(200, list) {
			for _, action := range e.Actions {
				listed[action.Action] = true
			}
		}
		delete(body, "assetList")
		body["includeDetails"] = true
		body["listOfResources"] = map[string]any{"resourceType": a.template, "resources": map[string]any{"path": a.path, "assetAttributes": a.sent}}
		status, answer, _ := s.askAt(permitPath, body)
		var got permitted
		if err := json.Unmarshal([]byte(answer), &got); status != 200 || err != nil || len(got.Response) != 1 {
			t.Fatalf("asked %s: %d %s", plainJSON(body), status, answer)
		}
		allowed := map[string]bool{}
		for _, pair := range got.Response[0].Allowed {
			allowed[pair.Action] = true
		}
		if !cmp.Equal(allowed, listed) || (got.Result == "PERMIT") != (len(listed) == len(at.Actions)) {
			t.Fatalf("asked %s\ngot  %s\nlist %s", plainJSON(body), answer, list)
		}
	}
}
