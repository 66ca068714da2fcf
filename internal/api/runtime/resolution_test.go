package runtime

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

const resolutionPath = "/api/runtime/resolution/v3"

const (
	portuguese = `{"resourceType":"Customers","actions":[{"action":"Read","asset-attributes-filter":{"OR":[{"AND":[` +
		`{"attribute":"country","type":"STRING","operator":"EQUALS","values":["PT"]},` +
		`{"attribute":"risk","type":"INTEGER","operator":"LESS_EQUALS","values":["3"]},` +
		`{"attribute":"segment","type":"STRING","operator":"NOTEQUALS","values":["private"]}]}]}}]}`
	column = `{"path":"customers.iban","attributes":{"name":["customers.iban"],"path":["customers.iban"]},"resourceType":"CustomerColumns","actions":[{"action":"Mask"}]}`
)

// privileges is an answer with these entries.
func privileges(entries ...string) string {
	return `{"tokenValidity":0,"response":[{"privileges":{"allowed":[` + strings.Join(entries, ",") + `]}}],"contextData":null}`
}

func (h *harbour) addColumn() {
	h.t.Helper()
	h.update(func(tx *store.Tx) error {
		_, err := tx.Assets("CustomerColumns").Put(model.Asset{Path: "customers.iban", Attributes: model.Attributes{"table": {"customers"}}})
		return err
	})
}

// RT-91 to RT-95, RT-98, RT-99: the example of 10.2, byte for byte, and what narrows it.
func TestResolution(t *testing.T) {
	h := newHarbour(t)
	h.addColumn()
	loans := `{"resourceType":"Loans","actions":[{"action":"approve","asset-attributes-filter":{"OR":[{"AND":[` +
		`{"attribute":"branch","type":"STRING","operator":"EQUALS","values":["Porto"]},` +
		`{"attribute":"amount","type":"INTEGER","operator":"LESS_EQUALS","values":["5000"]}]}]}}]}`
	tests := []struct{ name, rest, want string }{
		{"the example", `,"resourceTypes":[{"name":"Customers"},{"name":"CustomerColumns"}]`, privileges(column, portuguese)},
		{"RT-95 only types used for filtering", ``, privileges(portuguese)},
		{"RT-93 resourceFullPath", `,"environment":{"resourceFullPath":["Customers","CustomerColumns"]}`, privileges(strings.Replace(column, `"attributes":{"name"`, `"attributes":{"table":["customers"],"name"`, 1), portuguese)},
		{"RT-93 and it intersects", `,"environment":{"resourceFullPath":["Customers"]},"resourceTypes":["CustomerColumns"]`, privileges()},
		{"RT-93 an unknown name leaves nothing", `,"environment":{"resourceFullPath":["Ships"]}`, privileges()},
		{"RT-93 no name leaves nothing", `,"environment":{"resourceFullPath":[]}`, privileges()},
		{"RT-92 nothing allowed", `,"resourceTypes":["Loans"]`, privileges()},
		{"a REQUEST type has a filter, too", `,"resourceTypes":["Loans"],"remoteIp":"198.51.100.1"`, privileges(loans)},
		{
			"assets that are listed come as assets", `,"assetList":[{"template":"Accounts","path":"acc-2"},{"template":"Accounts","path":"acc-3"}],"resourceTypes":["Accounts","Customers"]`,
			privileges(`{"path":"acc-2","attributes":{"name":["acc-2"],"path":["acc-2"]},"resourceType":"Accounts","actions":[{"action":"View"}]}`),
		},
		{"an action that is not wanted", `,"resourceTypes":[{"name":"Customers","actions":["Burn"]}]`, privileges()},
		{
			"policies", `,"includeAccessPolicy":true,"includeAccessPolicyId":true`,
			privileges(strings.Replace(portuguese, `"action":"Read",`, `"action":"Read","permission":"Portuguese customers","permissionId":"pol-50",`, 1)),
		},
		{"no attributes", `,"includeAssetAttributes":false,"resourceTypes":["CustomerColumns"]`, privileges(`{"path":"customers.iban","resourceType":"CustomerColumns","actions":[{"action":"Mask"}]}`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h.t = t
			for _, path := range []string{resolutionPath, "/runtime/resolution/v3"} {
				h.want(request{path: path, body: `{` + mreyes + tt.rest + `}`}, 200, tt.want)
			}
		})
	}
	h.t = t
	for _, path := range []string{resolutionPath, "/runtime/resolution/v3"} {
		h.want(request{method: "GET", path: path + "?entityId=mreyes&entityTypeId=Staff&resourceTypes=Customers"}, 200, privileges(portuguese))
	}
	h.want(request{path: resolutionPath, body: `{` + mreyes + `,"assetContext":{"a":1}}`}, 501, "assetContext is not supported")
}

// RT-94, RT-96, RT-97: every operator in its spelling, operands of the identity filled in, and what a restriction leaves.
func TestResolutionFilters(t *testing.T) {
	h := newHarbour(t)
	leaf := func(attribute, typ, op string, values ...string) string {
		return fmt.Sprintf(`{"attribute":%q,"type":%q,"operator":%q,"values":["%s"]}`, attribute, typ, op, strings.Join(values, `","`))
	}
	asset := func(id model.AttributeID, op model.Operator, texts ...string) model.Rule {
		return rule(model.SideAsset, id, op, texts...)
	}
	own := func(id model.AttributeID, op model.Operator, of model.AttributeID) model.Rule {
		return model.Rule{Left: model.Ref{Side: model.SideAsset, Attribute: id}, Op: op, Ref: model.Ref{Side: model.SideIdentity, Attribute: of}}
	}
	for _, tt := range []struct {
		name            string
		allow, restrict []model.Rule
		want            string // leaves of the branches, separated by |; "all"; "" = not listed
	}{
		{"==", []model.Rule{asset("country", model.OpEqual, "PT")}, nil, leaf("country", "STRING", "EQUALS", "PT")},
		{"!=", []model.Rule{asset("country", model.OpNotEqual, "PT")}, nil, leaf("country", "STRING", "NOTEQUALS", "PT")},
		{"in", []model.Rule{asset("country", model.OpIn, "PT", "ES")}, nil, leaf("country", "STRING", "IN", "PT", "ES")},
		{"not in", []model.Rule{asset("country", model.OpNotIn, "PT")}, nil, leaf("country", "STRING", "NOT_IN", "PT")},
		{"<", []model.Rule{asset("risk", model.OpLess, "1e3")}, nil, leaf("risk", "INTEGER", "LESS", "1000")},
		{"<=", []model.Rule{asset("risk", model.OpLessEqual, "0.50")}, nil, leaf("risk", "INTEGER", "LESS_EQUALS", "0.5")},
		{">", []model.Rule{asset("risk", model.OpGreater, "3")}, nil, leaf("risk", "INTEGER", "GREATE", "3")},
		{">=", []model.Rule{asset("risk", model.OpGreaterEqual, "3")}, nil, leaf("risk", "INTEGER", "GREAT_EQUALS", "3")},
		{"contains", []model.Rule{asset("segment", model.OpContains, `a"<`)}, nil, `{"attribute":"segment","type":"STRING","operator":"CONTAINS","values":["a\"<"]}`},
		{"startswith", []model.Rule{asset("segment", model.OpStartsWith, "a")}, nil, leaf("segment", "STRING", "STARTWITH", "a")},
		{"endswith", []model.Rule{asset("segment", model.OpEndsWith, "a")}, nil, leaf("segment", "STRING", "ENDWITH", "a")},
		{"no lines", nil, nil, "all"},
		{"RT-96 one value of the identity", []model.Rule{own("country", model.OpEqual, "branch")}, nil, leaf("country", "STRING", "EQUALS", "Porto")},
		{"RT-96 several", []model.Rule{own("country", model.OpEqual, "roles")}, nil, leaf("country", "STRING", "IN", "a", "b")},
		{"RT-96 several, not", []model.Rule{own("country", model.OpNotEqual, "roles")}, nil, leaf("country", "STRING", "NOT_IN", "a", "b")},
		{"RT-96 none", []model.Rule{own("country", model.OpNotEqual, "shift")}, nil, ""},
		{"RT-96 a branch for each text", []model.Rule{own("country", model.OpContains, "roles")}, nil, leaf("country", "STRING", "CONTAINS", "a") + "|" + leaf("country", "STRING", "CONTAINS", "b")},
		{"RT-96 the greatest", []model.Rule{own("risk", model.OpLess, "grade")}, nil, leaf("risk", "INTEGER", "LESS", "10")},
		{"RT-96 the smallest", []model.Rule{own("risk", model.OpGreater, "grade")}, nil, leaf("risk", "INTEGER", "GREATE", "9")},
		{"RT-97 restricted", nil, []model.Rule{asset("country", model.OpEqual, "PT")}, leaf("country", "STRING", "NOTEQUALS", "PT")},
		{
			"RT-97 restricted by two lines",
			[]model.Rule{asset("segment", model.OpEqual, "a")},
			[]model.Rule{asset("country", model.OpIn, "PT", "ES"), asset("risk", model.OpGreater, "3")},
			leaf("segment", "STRING", "EQUALS", "a") + "," + leaf("country", "STRING", "NOT_IN", "PT", "ES") + "|" + leaf("segment", "STRING", "EQUALS", "a") + "," + leaf("risk", "INTEGER", "LESS_EQUALS", "3"),
		},
		{"RT-98 a line without a negation", nil, []model.Rule{asset("country", model.OpContains, "P")}, ""},
		{"RT-98 one of two lines without", nil, []model.Rule{asset("country", model.OpContains, "P"), asset("risk", model.OpLess, "3")}, leaf("risk", "INTEGER", "GREAT_EQUALS", "3")},
		{"RT-97 restricted as a whole", []model.Rule{asset("country", model.OpEqual, "PT")}, []model.Rule{}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.t = t
			h.update(func(tx *store.Tx) error {
				if _, err := tx.Identities("Staff").Put(model.Identity{
					EntityID: "mreyes", Attributes: model.Attributes{"branch": {"Porto"}, "roles": {"a", "b"}, "grade": {"10", "9", "9.0"}},
				}); err != nil {
					return err
				}
				set := func(id model.BlockID, rules []model.Rule) model.Block {
					b := model.Block{ID: id, Kind: model.KindRuleset, WorkspaceID: "a0", Template: "Customers", Name: string(id), Branches: branches(rules...)}
					b.Branches[0].IdentityTemplate = "Staff"
					return b
				}
				freeze := harbourPolicies()[5]
				freeze.Inactive = tt.restrict == nil
				return errors.Join(put(tx.Blocks, set("r-pt", tt.allow), set("r-private", tt.restrict)), put(tx.Policies, freeze))
			})
			want := privileges()
			if tt.want == "all" {
				want = privileges(`{"resourceType":"Customers","actions":[{"action":"Read"}]}`)
			} else if tt.want != "" {
				want = privileges(`{"resourceType":"Customers","actions":[{"action":"Read","asset-attributes-filter":{"OR":[{"AND":[` +
					strings.ReplaceAll(tt.want, "|", `]},{"AND":[`) + `]}]}}]}`)
			}
			h.want(request{path: resolutionPath, body: `{` + mreyes + `}`}, 200, want)
		})
	}
}

// A filter that would have too many branches is an error, never a shorter filter (10.4 rule 9).
func TestResolutionLimit(t *testing.T) {
	h := newHarbour(t, func(s *settings) { s.service = withBranches(s.service, 1) })
	h.update(func(tx *store.Tx) error {
		b := model.Block{
			ID: "r-private", Kind: model.KindRuleset, WorkspaceID: "a0", Template: "Customers", Name: "r-private",
			Branches: branches(rule(model.SideAsset, "segment", model.OpEqual, "private"), rule(model.SideAsset, "country", model.OpEqual, "FR")),
		}
		b.Branches[0].IdentityTemplate = "Staff"
		return put(tx.Blocks, b)
	})
	h.want(request{path: resolutionPath, body: `{` + mreyes + `}`}, 500, "Internal error")
}

func withBranches(o decide.Options, n int) decide.Options {
	o.MaxBranches = n
	return o
}
