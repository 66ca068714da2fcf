package runtime

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

const policiesPath = "/api/runtime/policies/v3"

// concernText is a policy of Harbour Bank as the list shows it.
func concernText(id string) string {
	name, access, types, conditions := "", "Allow", "", ""
	switch id {
	case "pol-10":
		name, types = "Branch accounts", `{"name":"Accounts","actions":["View"]}`
	case "pol-20":
		name, types = "Manage accounts", `{"name":"Accounts","actions":["View","Edit"]}`
	case "pol-30":
		name, access, types = "Gold freeze", "Restrict", `{"name":"Accounts","actions":["Edit"]}`
	case "pol-40":
		name, types, conditions = "Small loans", `{"name":"Loans","actions":["approve"]}`, `{"name":"Office network","kind":"Condition IP","met":false}`
	case "pol-50":
		name, types = "Portuguese customers", `{"name":"Customers","actions":["Read"]}`
	case "pol-60":
		name, access, types = "Private clients", "Restrict", `{"name":"Customers","actions":["Read"]}`
	case "pol-70":
		name, types = "Masked columns", `{"name":"CustomerColumns","actions":["Mask"]}`
	}
	return `{"permission":"` + name + `","permissionId":"` + id + `","description":"","accessType":"` + access + `","state":"Active",` +
		`"resourceTypes":[` + types + `],"conditions":[` + conditions + `],"customAttributes":{}}`
}

func policiesOf(object string, ids ...string) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = concernText(id)
	}
	return `{"type":` + object + `,"policies":[` + strings.Join(texts, ",") + `]}`
}

func policyLists(elements ...string) string {
	return `{"tokenValidity":0,"response":[` + strings.Join(elements, ",") + `],"contextData":null}`
}

const (
	reyesObject   = `"Identity","entityId":"mreyes","entityTypeId":"Staff"`
	tokaforObject = `"Identity","entityId":"tokafor","entityTypeId":"Staff"`
)

func assetObject(template, path string) string {
	return `"Asset","asset":{"path":"` + path + `","resourceType":"` + template + `"}`
}

// RT-101, RT-102: one element for each object in its order; conditions are shown and remove nothing; the policy of the
// example of 12.3 byte for byte.
func TestPolicyList(t *testing.T) {
	h := newHarbour(t)
	object := func(typ, data string) string { return `{"type":"` + typ + `","data":{` + data + `}}` }
	reyes, tokafor := mreyes, `"entityId":"tokafor","entityTypeId":"Staff"`
	asset := func(template, path, more string) string {
		return `"asset":{"resourceType":"` + template + `","path":"` + path + `"` + more + `}`
	}
	everywhere := []string{"pol-10", "pol-20", "pol-30", "pol-40", "pol-50", "pol-60", "pol-70"}
	for _, tt := range []struct{ name, objects, want string }{
		{"an identity", object("Identity", reyes), policyLists(policiesOf(reyesObject, everywhere...))},
		{"one in fewer groups", object("identity", tokafor), policyLists(policiesOf(tokaforObject, "pol-10", "pol-20", "pol-30", "pol-40", "pol-60"))},
		{"an inactive one", object("Identity", `"entityId":"gone","entityTypeId":"Staff"`), policyLists(policiesOf(`"Identity","entityId":"gone","entityTypeId":"Staff"`))},
		{"an identity and an asset", object("Identity", reyes+","+asset("Accounts", "acc-2", "")), policyLists(policiesOf(reyesObject, "pol-10", "pol-20", "pol-30"))},
		{"an identity and the asset of others", object("Identity", reyes+","+asset("Accounts", "acc-3", "")), policyLists(policiesOf(reyesObject))},
		{"an identity, an asset and an action", object("Identity", reyes+","+asset("Accounts", "acc-2", `,"actions":"View"`)), policyLists(policiesOf(reyesObject, "pol-10", "pol-20"))},
		{"an asset, whoever asks", object("Asset", asset("Accounts", "acc-3", "")), policyLists(policiesOf(assetObject("Accounts", "acc-3"), "pol-10", "pol-20"))},
		{"a gold one", object("Asset", asset("Accounts", "acc-2", `,"actions":["Edit"]`)), policyLists(policiesOf(assetObject("Accounts", "acc-2"), "pol-20", "pol-30"))},
		{"an asset and an identity", object("Asset", asset("Accounts", "acc-3", "")+","+reyes), policyLists(policiesOf(assetObject("Accounts", "acc-3")))},
		{"a described asset", object("Asset", asset("Loans", "l", `,"assetAttributes":{"amount":"4"}`)), policyLists(policiesOf(assetObject("Loans", "l"), "pol-40"))},
		{"a described asset that is too dear", object("Asset", asset("Loans", "l", `,"assetAttributes":{"amount":"5001"}`)), policyLists(policiesOf(assetObject("Loans", "l")))},
		{"an unknown asset", object("Asset", asset("Accounts", "acc-9", "")), policyLists(policiesOf(assetObject("Accounts", "acc-9")))},
		{"an unknown type", object("Asset", asset("Ships", "x", "")), policyLists(policiesOf(assetObject("Ships", "x")))},
		{
			"several", object("Asset", asset("Accounts", "acc-3", "")) + "," + object("Identity", tokafor+","+asset("Accounts", "acc-1", "")),
			policyLists(policiesOf(assetObject("Accounts", "acc-3"), "pol-10", "pol-20"), policiesOf(tokaforObject)),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.t = t
			for _, path := range []string{policiesPath, "/runtime/policies/v3"} {
				h.want(request{path: path, body: `{"objects":[` + tt.objects + `]}`}, 200, tt.want)
			}
		})
	}
	h.t = t
	office := strings.Replace(policyLists(policiesOf(assetObject("Loans", "l"), "pol-40")), `"met":false`, `"met":true`, 1)
	h.want(request{path: policiesPath, body: `{"objects":[` + object("Asset", asset("Loans", "l", `,"assetAttributes":{"amount":"4"}`)+`,"remoteIp":"198.51.100.7"`) + `]}`}, 200, office)
}

// RT-101: what cannot be read is refused with its place, and errors concern the whole call. Custom attributes are told as
// far as they are available to the PDP, from their next change on.
func TestPolicyListRefusals(t *testing.T) {
	h := newHarbour(t)
	for body, want := range map[string]string{
		`{}`:             "objects: required, and not empty",
		`{"objects":[]}`: "objects: required, and not empty",
		`{"objects":[{"type":"Role","data":{"asset":{"resourceType":"A","path":"p"}}}]}`:                           "objects[0].type: must be one of Identity, Asset",
		`{"objects":[{"type":"Asset","data":{}}]}`:                                                                 "objects[0].data.asset: one is required",
		`{"objects":[{"type":"Asset","data":{"asset":{"resourceType":"Accounts"}}}]}`:                              "objects[0].data.asset.path: required",
		`{"objects":[{"type":"Asset","data":{"asset":{"path":"x"}}}]}`:                                             "objects[0].data.asset.resourceType: required",
		`{"objects":[{"type":"Identity"}]}`:                                                                        "objects[0].data: one is required",
		`{"objects":[{"type":"Identity","data":{"entityTypeId":"Staff"}}]}`:                                        "entityId: required",
		`{"objects":[` + strings.Repeat(`{"type":"Identity","data":{}},`, 100) + `{"type":"Identity","data":{}}]}`: "objects: more than 100",
	} {
		h.want(request{path: policiesPath, body: body}, 400, want)
	}
	h.want(request{path: policiesPath, body: `{"objects":[{"type":"Identity","data":{` + mreyes + `}},{"type":"Identity","data":{"entityId":"x","entityTypeId":"Crew"}}]}`}, 403, "None of the Identity Templates Matched")
	h.want(request{path: policiesPath, body: `{"objects":[{"type":"Identity","data":{"entityId":"x","entityTypeId":"Staff"}}]}`}, 404, "MemberNotFoundError: identity not found")
	attribute := func(shown bool) {
		h.update(func(tx *store.Tx) error {
			p := harbourPolicies()[6]
			p.CustomAttributes = []model.CustomValue{{Key: "level", Values: []model.Literal{{Text: "4", Number: true}}}, {Key: "owner", Values: []model.Literal{{Text: "a"}, {Text: "b"}}, List: true}}
			if err := put(tx.Policies, p); err != nil {
				return err
			}
			return put(tx.CustomAttributes, model.CustomAttribute{Key: "owner", Name: "Owner", Type: "string", AvailableForPDP: shown, Definition: []byte(`{"key":"owner"}`)})
		})
	}
	h.addColumn()
	ask := `{"objects":[{"type":"Asset","data":{"asset":{"resourceType":"CustomerColumns","path":"customers.iban"}}}]}`
	want := policyLists(policiesOf(assetObject("CustomerColumns", "customers.iban"), "pol-70"))
	attribute(false)
	h.want(request{path: policiesPath, body: ask}, 200, want)
	attribute(true)
	h.want(request{path: policiesPath, body: ask}, 200, strings.Replace(want, `"customAttributes":{}`, `"customAttributes":{"owner":["a","b"]}`, 1))
}

// A list of very many objects is refused before they are read: what is made of them takes far more room than their text.
func TestPolicyListOfManyObjects(t *testing.T) {
	h := newHarbour(t)
	const object = `{"type":"Identity","data":{}}`
	body := `{"objects":[` + strings.Repeat(object+",", 99_999) + object + `]}`
	f, err := parseBody([]byte(body))
	check(t, err)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err = readObjects(f, nil)
	runtime.ReadMemStats(&after)
	if made := (after.TotalAlloc - before.TotalAlloc) >> 20; err == nil || err.Error() != "objects: more than 100" || made > 20 {
		t.Errorf("%v, %d MiB", err, made)
	}
	// objects of which each can be answered with every policy take turns, as user lists do
	room := h.handler.(*handler).room
	room.Patience = 10 * time.Millisecond
	busy, err := room.Turn(t.Context())
	check(t, err)
	for range runtime.GOMAXPROCS(0)/2 - 1 {
		more, err := room.Turn(t.Context())
		check(t, err)
		defer more()
	}
	list := request{path: policiesPath, body: `{"objects":[{"type":"Identity","data":{` + mreyes + `}}]}`}
	h.want(list, 503, "Not ready")
	busy()
	h.want(list, 200, "")
}
