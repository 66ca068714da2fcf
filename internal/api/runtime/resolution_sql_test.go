package runtime

import (
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// RT-91 to RT-98, as SQL: the example of 10.2 in every dialect. The tree stays where it is, and without the option the answer
// has no other byte.
func TestResolutionSQL(t *testing.T) {
	h := newHarbour(t)
	h.addColumn()
	with := func(sql string) string {
		return strings.TrimSuffix(portuguese, `}]}`) + `,"sql":"` + sql + `","parameters":["PT","3","private"]}]}`
	}
	const finite = `\"risk\" > CAST('-Infinity' AS NUMERIC) AND \"risk\" < CAST('Infinity' AS NUMERIC)`
	dialects := map[string]string{
		"postgresql": `(CAST(\"country\" AS TEXT) COLLATE \"C\" = $1 AND (` + finite + ` AND \"risk\" <= CAST($2 AS NUMERIC)) AND CAST(\"segment\" AS TEXT) COLLATE \"C\" <> $3)`,
		"sqlite": "((typeof(`country`) = 'text' AND `country` COLLATE BINARY = ?) AND (typeof(`risk`) IN ('integer', 'real') AND " +
			"`risk` BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308 AND `risk` <= CAST(? AS NUMERIC)) AND (typeof(`segment`) = 'text' AND `segment` COLLATE BINARY <> ?))",
		"mysql": "(CAST(CONVERT(`country` USING utf8mb4) AS BINARY) = CAST(CONVERT(? USING utf8mb4) AS BINARY) AND (CONVERT(`risk` USING utf8mb4) REGEXP '^-{0,1}[0-9]+([.][0-9]+){0,1}$' AND " +
			"`risk` <= CAST(? AS DECIMAL(65,30))) AND CAST(CONVERT(`segment` USING utf8mb4) AS BINARY) <> CAST(CONVERT(? USING utf8mb4) AS BINARY))",
		"sqlserver": "(([country] IS NOT NULL AND CAST([country] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2 + N'.' = CAST(@p1 AS NVARCHAR(MAX)) + N'.') AND [risk] <= CAST(@p2 AS DECIMAL(38, 19)) AND " +
			"([segment] IS NOT NULL AND CAST([segment] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2 + N'.' <> CAST(@p3 AS NVARCHAR(MAX)) + N'.'))",
	}
	for dialect, sql := range dialects {
		t.Run(dialect, func(t *testing.T) {
			h.t = t
			h.want(request{path: resolutionPath, body: `{` + mreyes + `,"sqlDialect":"` + strings.ToUpper(dialect) + `"}`}, 200, privileges(with(sql)))
			h.want(request{method: "GET", path: "/runtime/resolution/v3?entityId=mreyes&entityTypeId=Staff&sqlDialect=" + dialect}, 200, privileges(with(sql)))
			h.want(request{path: resolutionPath, body: `{` + mreyes + `,"sqlDialect":"` + dialect + `","resourceTypes":[{"name":"Customers"},{"name":"CustomerColumns"}]}`}, 200, privileges(column, with(sql)))
		})
	}
	h.t = t
	h.want(request{path: resolutionPath, body: `{` + mreyes + `,"sqlDialect":"oracle"}`}, 400, "sqlDialect: must be one of postgresql, mysql, sqlite, sqlserver")
	h.want(request{path: resolutionPath, body: `{` + mreyes + `,"sqlDialect":""}`}, 400, "sqlDialect: must be one of postgresql, mysql, sqlite, sqlserver")
	h.want(request{path: resolutionPath, body: `{` + mreyes + `,"sqlDialect":7}`}, 200, privileges(portuguese))
	h.want(request{path: resolutionPath, body: `{` + mreyes + `,"sqlDialect":null}`}, 200, privileges(portuguese))
	h.want(request{path: resolutionPath, body: `{` + mreyes + `,"sqlDialect":"mysql","resourceTypes":["Loans"]}`}, 200, privileges())
	if got := h.do(request{path: "/api/runtime/token/v3", body: `{` + mreyes + `,"sqlDialect":"oracle"}`}); got.Code != 200 {
		t.Errorf("the token call, which has no such option: %d %s", got.Code, got.Body)
	}
}

// A column that the type names is the one of the text; an attribute that no column can hold, a number that the dialect rounds,
// and too many values are errors that name them. An action without a filter selects everything.
func TestResolutionSQLColumns(t *testing.T) {
	h := newHarbour(t)
	body := func(dialect string) request {
		return request{path: resolutionPath, body: `{` + mreyes + `,"sqlDialect":"` + dialect + `"}`}
	}
	change := func(edit func(*model.AssetTemplate), rules ...model.Rule) {
		h.update(func(tx *store.Tx) error {
			customers, err := tx.AssetTemplates.Find("Customers")
			if err != nil {
				return err
			}
			edit(&customers)
			b := model.Block{ID: "r-pt", Kind: model.KindRuleset, WorkspaceID: "a0", Template: "Customers", Name: "r-pt", Branches: branches(rules...)}
			b.Branches[0].IdentityTemplate = "Staff"
			freeze := harbourPolicies()[5]
			freeze.Inactive = true
			if err := put(tx.AssetTemplates, customers); err != nil {
				return err
			}
			if err := put(tx.Blocks, b); err != nil {
				return err
			}
			return put(tx.Policies, freeze)
		})
	}
	attribute := func(t *model.AssetTemplate, id model.AttributeID) *model.AssetAttribute {
		for i := range t.Attributes {
			if t.Attributes[i].ID == id {
				return &t.Attributes[i]
			}
		}
		panic("no attribute " + id)
	}
	same := func(*model.AssetTemplate) {}
	country := rule(model.SideAsset, "country", model.OpEqual, "PT")
	risk := func(number string) model.Rule { return rule(model.SideAsset, "risk", model.OpLess, number) }
	read := `{"resourceType":"Customers","actions":[{"action":"Read"`

	change(same)
	h.want(body("sqlserver"), 200, privileges(read+`,"sql":"1 = 1","parameters":[]}]}`))
	change(same, risk("0.30000000000000004"))
	h.want(body("sqlite"), 400, "sqlDialect: action Read of Customers: attribute risk: a number is not one that sqlite compares exactly (whole numbers of 64 bit, others of 15 digits)")
	change(func(t *model.AssetTemplate) { attribute(t, "country").SourceAttribute = `land"` }, country)
	h.want(body("postgresql"), 200, privileges(read+`,"asset-attributes-filter":{"OR":[{"AND":[{"attribute":"country","type":"STRING","operator":"EQUALS","values":["PT"]}]}]},`+
		`"sql":"CAST(\"land\"\"\" AS TEXT) COLLATE \"C\" = $1","parameters":["PT"]}]}`))
	change(func(t *model.AssetTemplate) { attribute(t, "country").IsMultiValue = true }, country)
	h.want(body("postgresql"), 400, "sqlDialect: action Read of Customers: attribute country is multi-valued, which a column cannot be")
	change(func(t *model.AssetTemplate) { attribute(t, "country").IsMultiValue = false }, rule(model.SideAsset, "country", model.OpIn, many(2099)...))
	h.want(body("sqlserver"), 400, "sqlDialect: action Read of Customers: the filter has more values than the 2098 parameters that a statement of sqlserver may have")
}

// many makes that many different texts.
func many(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = strings.Repeat("x", i)
	}
	return out
}
