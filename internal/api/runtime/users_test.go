package runtime

import (
	"testing"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

const usersPath = "/api/runtime/userlist/v3"

// people is an answer with these entries.
func people(entries string) string {
	return `{"tokenValidity":0,"response":[{"access":[` + entries + `]}],"contextData":null}`
}

// RT-100: the example of 11.2, byte for byte, and each field of 11.1 by its effect.
func TestUserList(t *testing.T) {
	h := newHarbour(t)
	h.want(request{path: usersPath, body: `{"entityTypes":["Staff"],"asset":{"resourceType":"Accounts","path":"acc-3"},"includeAsset":true,"includeIdentityAttributes":true}`}, 200,
		`{"tokenValidity":0,"response":[{"access":[`+
			`{"entityId":"tokafor","entityTypeId":"Staff",`+
			`"attributes":{"uid":["tokafor"],"branch":["Lagos"],"jobTitle":["Manager"],"grade":["7"],"roles":["approver"],"shift":[]},`+
			`"actions":[{"action":"View"},{"action":"Edit"}]}]}],`+
			`"asset":{"path":"acc-3","attributes":{"branch":["Lagos"],"tier":["basic"],"balance":["310"],"name":["acc-3"],"path":["acc-3"]},"resourceType":"Accounts"},`+
			`"contextData":null}`)
	const acc1 = `"asset":{"resourceType":"Accounts","path":"acc-1"}`
	const reyes, gone = `{"entityId":"mreyes","entityTypeId":"Staff","actions":[{"action":"View"},{"action":"Edit"}]}`, `{"entityId":"gone","entityTypeId":"Staff","actions":[{"action":"View"},{"action":"Edit"}]}`
	for _, tt := range []struct{ name, body, want string }{
		{"every template", `{` + acc1 + `}`, people(reyes)},
		{"empty entityTypes are all", `{"entityTypes":[],` + acc1 + `}`, people(reyes)},
		{"inactive ones", `{"includeInActiveIdentities":true,` + acc1 + `}`, people(reyes + "," + gone)},
		{"inactive ones, alias", `{"includeInactiveIdentities":"TRUE",` + acc1 + `}`, people(reyes + "," + gone)},
		{
			"one action, its policies", `{"asset":{"resourceType":"Accounts","path":"acc-1","actions":"View"},"includeAccessPolicy":true,"includeAccessPolicyId":true}`,
			people(`{"entityId":"mreyes","entityTypeId":"Staff","actions":[{"action":"View","permission":"Branch accounts","permissionId":"pol-10"},{"action":"View","permission":"Manage accounts","permissionId":"pol-20"}]}`),
		},
		{"an action nobody has", `{"asset":{"resourceType":"Accounts","path":"acc-2","actions":["Edit"]}}`, empty},
		{"an unknown action", `{"asset":{"resourceType":"Accounts","path":"acc-2","actions":["Burn"]}}`, empty},
		{"an unknown asset", `{"asset":{"resourceType":"Accounts","path":"acc-9"}}`, empty},
		{"an unknown type", `{"asset":{"resourceType":"Ships","path":"acc-9"}}`, empty},
		{"a type as a whole", `{"asset":{"resourceType":"Accounts"}}`, empty},
		{
			"a sent asset, from the office", `{"remoteIp":"198.51.100.9","asset":{"resourceType":"Loans","path":"l1","assetAttributes":{"branch":["Lagos","Porto"],"amount":[5000]}}}`,
			people(`{"entityId":"mreyes","entityTypeId":"Staff","actions":[{"action":"approve"}]},{"entityId":"tokafor","entityTypeId":"Staff","actions":[{"action":"approve"}]}`),
		},
		{"the same from elsewhere", `{"asset":{"resourceType":"Loans","path":"l1","assetAttributes":{"branch":["Lagos","Porto"],"amount":[5000]}}}`, empty},
		{
			"an asset that is not known is shown bare", `{"includeAsset":true,"asset":{"resourceType":"Accounts","path":"acc-9"}}`,
			`{"tokenValidity":0,"response":[],"asset":{"path":"acc-9","attributes":{},"resourceType":"Accounts"},"contextData":null}`,
		},
		{
			"the context", `{"includeContext":true,"contextData":{"shift":"night"},"includeIdentityAttributes":true,"asset":{"resourceType":"Accounts","path":"acc-1"}}`,
			`{"tokenValidity":0,"response":[{"access":[{"entityId":"mreyes","entityTypeId":"Staff",` +
				`"attributes":{"uid":["mreyes"],"branch":["Porto"],"jobTitle":["Teller"],"grade":["3"],"roles":[],"shift":["night"]},` +
				`"actions":[{"action":"View"},{"action":"Edit"}]}]}],"contextData":{"shift":["night"]}}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.t = t
			for _, path := range []string{usersPath, "/runtime/userlist/v3"} {
				w := h.want(request{path: path, body: tt.body}, 200, tt.want)
				if got := w.Header().Get("Ambit-Revision"); got != "1" {
					t.Errorf("Ambit-Revision %q", got)
				}
			}
		})
	}
}

// RT-100, PM E2: an asset of a type that no application of the scope holds is shown as one that is not known.
func TestUserListOfForeignAsset(t *testing.T) {
	h := newHarbour(t)
	h.update(func(tx *store.Tx) error {
		apart := model.AssetTemplate{
			ID: "Apart", WorkspaceID: "a0", DisplayName: "Apart", Source: model.SourcePlainID,
			Attributes: []model.AssetAttribute{{ID: "secret", Type: model.String}}, Actions: []model.Action{{ID: "View", Value: "View"}},
		}
		if err := put(tx.AssetTemplates, apart); err != nil {
			return err
		}
		_, err := tx.Assets("Apart").Put(model.Asset{Path: "a", Attributes: model.Attributes{"secret": {"told"}}})
		return err
	})
	for _, path := range []string{"a", "b"} {
		h.want(request{path: usersPath, body: `{"includeAsset":true,"asset":{"resourceType":"Apart","path":"` + path + `"}}`}, 200,
			`{"tokenValidity":0,"response":[],"asset":{"path":"`+path+`","attributes":{},"resourceType":"Apart"},"contextData":null}`)
	}
}

// RT-100: values of the request count for every identity; refusals name their field.
func TestUserListRefusals(t *testing.T) {
	h := newHarbour(t)
	h.update(func(tx *store.Tx) error {
		shift := model.Block{
			ID: "g-grade", Kind: model.KindDynamicGroup, WorkspaceID: "i0", Template: "Staff", Name: "Night",
			Branches: branches(rule(model.SideIdentity, "shift", model.OpEqual, "night")),
		}
		return put(tx.Blocks, shift)
	})
	h.want(request{path: usersPath, body: `{"contextData":{"shift":"night"},"asset":{"resourceType":"Accounts","path":"acc-3","actions":["Edit"]}}`}, 200,
		people(`{"entityId":"tokafor","entityTypeId":"Staff","actions":[{"action":"Edit"}]}`))
	h.want(request{path: usersPath, body: `{"asset":{"resourceType":"Accounts","path":"acc-3","actions":["Edit"]}}`}, 200, empty)
	for body, want := range map[string]string{
		`{}`:                         "asset: one is required",
		`{"asset":[]}`:               "asset: one is required",
		`{"asset":"x"}`:              "asset: must be a list of objects",
		`{"asset":{"path":"acc-1"}}`: "asset.resourceType: required",
		`{"asset":[{"resourceType":"A"},{"resourceType":"B"}]}`: "asset: one is required",
	} {
		h.want(request{path: usersPath, body: body}, 400, want)
	}
	h.want(request{path: usersPath, body: `{"entityTypes":["Staff","Crew"],"asset":{"resourceType":"Accounts"}}`}, 403, "None of the Identity Templates Matched")
	h.want(request{path: usersPath, body: `{"assetContext":{"a":1},"asset":{"resourceType":"Accounts"}}`}, 501, "assetContext is not supported")
	h.want(request{path: usersPath, body: `{"asset":{"resourceType":"Accounts"}}`, anonymous: true}, 401, "Invalid clientId")
}
