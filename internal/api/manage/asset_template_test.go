package manage

import (
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

func assetTemplateRows() map[string]string {
	return map[string]string{
		"POST " + assetTemplates: "write", "GET " + assetTemplates: "read",
		"GET " + assetTemplate: "read", "PATCH " + assetTemplate: "write", "DELETE " + assetTemplate: "write",
		"PATCH " + assetAction: "write",
	}
}

const templatesPath = "/api/1.0/asset-templates/" + envID

// type1 is the path of one asset type.
func type1(id string) string { return templatesPath + "/" + url.PathEscape(id) }

// importType imports an asset type into the workspace Quays.
func (h *harbour) importType(body string, headers ...string) answer {
	h.t.Helper()
	return h.do("admin", "POST", templatesPath+"?authWsId="+h.quays, body, headers...)
}

func patch(path, value string) string {
	return `[{"op":"replace","path":"` + path + `","value":"` + value + `"}]`
}

func (h *harbour) rename(target, path, value string, headers ...string) answer {
	h.t.Helper()
	return h.do("admin", "PATCH", target, patch(path, value), headers...)
}

// unchanged fails when fn uses a revision or writes an event.
func (h *harbour) unchanged(what string, fn func()) {
	h.t.Helper()
	state := func() string {
		var revision model.Revision
		h.read(func(tx *store.Tx) error { revision = tx.Revision; return nil })
		return fmt.Sprint(revision, len(h.events()))
	}
	before := state()
	fn()
	if after := state(); after != before {
		h.t.Errorf("%s: revision and events went from %s to %s", what, before, after)
	}
}

// MG-42: the keys of asset types and their order, by source; MG-6: bare and wrapped; MG-3, MG-15.
func TestAssetTemplateKeys(t *testing.T) {
	h := newHarbour(t)
	for _, tt := range []struct{ name, body, want string }{
		{
			"REQUEST",
			`{"data":{"actions":[],"attributes":[{"attributeId":"a","displayName":"A","type":"STRING","isMultiValue":true,"maxLength":3},{"attributeId":"b","displayName":"B","type":"NUMERIC","isCalculated":true,"calculationFunction":"f()"}],"source":"REQUEST","displayName":"R","templateId":"R","isAttributeSentInRequest":true}}`,
			`{"templateId":"R","displayName":"R","source":"REQUEST","isUsedForFiltering":false,"attributes":[{"attributeId":"a","displayName":"A","type":"STRING","isAvailableForPolicies":false,"nameForRequest":"a","isCalculated":false},{"attributeId":"b","displayName":"B","type":"NUMERIC","isAvailableForPolicies":false,"nameForRequest":"b","calculationFunction":"f()","isCalculated":true}],"actions":[]}`,
		},
		{
			"EXTERNAL",
			`{"templateId":"E x/t","displayName":"E","description":"","logoUrl":"https://img.example.org/e.png","source":"EXTERNAL","isUsedForFiltering":true,"paaGroupId":"north","viewName":"v","attributes":[{"attributeId":"a","displayName":"A","type":"STRING","sourceAttribute":"COL","isAvailableForPolicies":true,"nameForRequest":"n","isMultiValue":true}],"actions":[{"actionId":"See","value":"see"}],"other":1}`,
			`{"templateId":"E x/t","displayName":"E","description":"","logoUrl":"https://img.example.org/e.png","source":"EXTERNAL","isAttributeSentInRequest":false,"isUsedForFiltering":true,"paaGroupId":"north","viewName":"v","attributes":[{"attributeId":"a","displayName":"A","type":"STRING","sourceAttribute":"COL","isAvailableForPolicies":true,"nameForRequest":"n","isMultiValue":true,"isCalculated":false}],"actions":[{"actionId":"See","value":"see"}]}`,
		},
		{
			"PLAINID",
			`{"templateId":"P","displayName":"P","source":"PLAINID","attributes":[{"attributeId":"a","displayName":"A","type":"STRING","defaultValue":["x"],"isRequired":true,"canBeUpdated":"NO"}],"actions":[{"actionId":"See"}]}`,
			`{"templateId":"P","displayName":"P","source":"PLAINID","isAttributeSentInRequest":false,"isUsedForFiltering":false,"attributes":[{"attributeId":"a","displayName":"A","type":"STRING","isAvailableForPolicies":false,"nameForRequest":"a","isMultiValue":false,"defaultValue":["x"],"maxLength":9999,"isRequired":true,"canBeUpdated":"NO"}],"actions":[{"actionId":"See","value":"See"}]}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			made := h.importType(tt.body).want(t, 201).wantHeaders(t, "Ambit-Result: created")
			want := `{"data":` + tt.want + `}`
			warned := strings.Contains(tt.want, `"f()"`)
			stored := want
			if warned { // of an attribute that can never have a value
				stored = `{"data":` + tt.want + `,"warnings":[{"code":"MW-01","message":"/attributes/1/calculationFunction: attribute \"b\" can never have a value: calculationFunction, character 1: function \"f\" is not offered"}]}`
			}
			if made.body != stored || (made.Header.Get("Ambit-Warnings") == "1") != warned {
				t.Errorf("stored\n%s\nwant\n%s", made.body, stored)
			}
			id, _, _ := strings.Cut(strings.TrimPrefix(tt.want, `{"templateId":"`), `"`)
			got := h.do("viewer", "GET", type1(id), "").want(t, 200).wantHeaders(t, "ETag: "+made.Header.Get("ETag")) // MG-3: E x%2Ft
			if got.body != want {
				t.Errorf("exported\n%s", got.body)
			}
			h.do("viewer", "GET", type1(id), "", "If-None-Match: "+made.Header.Get("ETag")).want(t, 304)
			h.unchanged("the same again, MG-15", func() {
				h.importType(want).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged", "ETag: "+made.Header.Get("ETag"))
			})
		})
	}
}

// MG-44, PM-7, PM-16, management-api.md 9: what an import refuses, and that nothing is stored then.
func TestAssetTemplateRefused(t *testing.T) {
	h := newHarbour(t)
	cargo := func(change string) string {
		return `{"templateId":"Cargo","displayName":"Cargo","source":"PLAINID","attributes":[{"attributeId":"berth","displayName":"Berth","type":"STRING"}],"actions":[{"actionId":"Load","value":"load"},{"actionId":"View","value":"view"}]` + change + `}`
	}
	h.put(regoPolicy("p1", "3", "A"))
	h.put(regoPolicy("p2", "3", "B"))
	h.put(strings.NewReplacer(`asset["berth"] == "C"`, `startswith(asset["path"], "C")`).Replace(regoPolicy("p3", "3", "C")))
	for _, tt := range []struct {
		name, target, body string
		status             int
		parts              []string
	}{
		{"without a workspace", templatesPath, cargo(""), 400, []string{"MGT-002", "authWsId"}},
		{"unknown workspace", templatesPath + "?authWsId=" + goneID, cargo(""), 400, []string{"PAC-001"}},
		{"no uuid", templatesPath + "?authWsId=x", cargo(""), 400, []string{"PAC-001"}},
		{"another workspace", templatesPath + "?authWsId=" + h.docks, cargo(""), 409, []string{"MGT-008", "AssetTemplate: [Cargo] already exists"}},
		{"no JSON", "", "{", 400, []string{"MGT-001"}},
		{"no id", "", `{"displayName":"X","source":"REQUEST"}`, 400, []string{"/templateId: is empty"}},
		{"every error", "", `{"templateId":" ","displayName":"","source":"X","attributes":[{"attributeId":"a","displayName":"A","type":"DATE"}]}`, 400, []string{"/templateId: ", "/displayName: ", "/source: ", "/attributes/0/type: "}},
		{"taken display name", "", `{"templateId":"New","displayName":"Crane","source":"REQUEST"}`, 409, []string{"MGT-008", "AssetTemplate: [Crane] already exists"}},
		{"other source", "", strings.Replace(cargo(""), "PLAINID", "REQUEST", 1), 400, []string{"/source: PLAINID cannot become REQUEST"}},
		{"attribute in use", "", strings.Replace(cargo(""), `{"attributeId":"berth","displayName":"Berth","type":"STRING"}`, "", 1), 409, []string{"MGT-009", "Attribute: [berth] is used by building block: [Berth A, Berth B]"}},
		{"type of an attribute in use", "", strings.Replace(cargo(""), `"STRING"`, `"NUMERIC"`, 1), 409, []string{"MGT-009", "berth"}},
		{"type of the path that was not declared", "", strings.Replace(cargo(""), `"attributes":[`, `"attributes":[{"attributeId":"path","displayName":"Asset ID","type":"NUMERIC"},`, 1), 409, []string{"MGT-009", "Attribute: [path] is used by building block: [Berth C]"}},
		{"action in use", "", strings.Replace(cargo(""), `{"actionId":"Load","value":"load"},`, "", 1), 409, []string{"MGT-009", "Action: [Load] is used by policy: [p1, p2, p3]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := tt.target
			if target == "" {
				target = templatesPath + "?authWsId=" + h.quays
			}
			h.unchanged(tt.name, func() { h.do("admin", "POST", target, tt.body).want(t, tt.status, tt.parts...) })
		})
	}
	// what nothing uses may go; REQUEST may become any source
	h.importType(strings.Replace(cargo(""), `,{"actionId":"View","value":"view"}`, "", 1)).want(t, 200)
	h.importType(`{"templateId":"Ship","displayName":"Ship","source":"REQUEST"}`).want(t, 201)
	h.importType(`{"templateId":"Ship","displayName":"Ship","source":"PLAINID"}`).want(t, 200, `"source":"PLAINID"`)
}

// PM-10, policy-model.md 3.2: an attribute that is left out takes its values with it; a new one gives stored assets nothing until
// they are written again.
func TestAssetTemplateAttributesOfStoredAssets(t *testing.T) {
	h := newHarbour(t)
	shape := func(attributes string) string {
		return `{"templateId":"Box","displayName":"Box","source":"PLAINID","attributes":[` + attributes + `],"actions":[]}`
	}
	h.importType(shape(`{"attributeId":"old","displayName":"Old","type":"STRING"},{"attributeId":"stays","displayName":"Stays","type":"STRING"}`)).want(t, 201)
	asset := env + "/asset-templates/Box/assets/b1"
	h.do("admin", "PUT", asset, `{"attributes":{"old":["1"],"stays":["2"]}}`).want(t, 201)
	h.importType(shape(`{"attributeId":"stays","displayName":"Stays","type":"STRING"},{"attributeId":"new","displayName":"New","type":"STRING","isRequired":true,"defaultValue":["d"]}`)).want(t, 200)
	h.do("admin", "GET", asset, "").want(t, 200, `"attributes":{"stays":["2"]}`)
	h.do("admin", "PATCH", asset, `{"attributes":{"stays":["3"]}}`).want(t, 200, `"new":["d"]`, `"stays":["3"]`)
	h.importType(shape(`{"attributeId":"stays","displayName":"Stays","type":"STRING"},{"attributeId":"new","displayName":"New","type":"STRING","isRequired":true,"defaultValue":["d"]},{"attributeId":"old","displayName":"Old","type":"STRING"}`)).want(t, 200)
	if a := h.do("admin", "GET", asset, "").want(t, 200); strings.Contains(a.body, "old") {
		t.Errorf("a value of the attribute that was left out is back: %s", a.body)
	}
	h.importType(shape(`{"attributeId":"stays","displayName":"Stays","type":"STRING","isRequired":true}`)).want(t, 400, "/attributes/0/defaultValue")
}

// MG-14, MG-17: dry runs and preconditions of every write on asset types and applications; MG-19: they never need one.
func TestAssetTemplatePreconditions(t *testing.T) {
	h := newHarbour(t)
	h.do("admin", "PATCH", env, `{"settings":{"requireIfMatch":true}}`).want(t, 200)
	const box = `{"templateId":"Box","displayName":"Box","source":"PLAINID","attributes":[],"actions":[{"actionId":"See","value":"see"}]}`
	const shop = `{"applicationId":"shop","displayName":"Shop","assetTemplateIds":[]}`
	h.importType(box).want(t, 201)
	h.importApp(shop).want(t, 201)
	appTarget := applicationsPath + "?authWsId=" + h.quays
	for _, tt := range []struct {
		name, method, target, body, etagOf string
		status                             int
	}{
		{"import", "POST", templatesPath + "?authWsId=" + h.quays, strings.Replace(box, `"displayName":"Box"`, `"displayName":"Boxes"`, 1), type1("Box"), 200},
		{"rename", "PATCH", type1("Box"), patch("/templateId", "Crate"), type1("Box"), 204},
		{"rename action", "PATCH", type1("Box") + "/actions/See", patch("/actionId", "Look"), type1("Box"), 204},
		{"delete", "DELETE", type1("Box"), "", type1("Box"), 204},
		{"import application", "POST", appTarget, strings.Replace(shop, "[]", `["Cargo"]`, 1), app1("shop"), 200},
		{"rename application", "PATCH", app1("shop"), patch("/applicationId", "store"), app1("shop"), 204},
		{"delete application", "DELETE", app1("shop"), "", app1("shop"), 204},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tag := h.do("admin", "GET", tt.etagOf, "").want(t, 200).Header.Get("ETag")
			h.unchanged(tt.name, func() {
				h.do("admin", tt.method, tt.target, tt.body, `If-Match: "0"`).want(t, 412, "MGT-011")
				h.do("admin", tt.method, tt.target, tt.body, "If-None-Match: *").want(t, 412, "MGT-011")
				dry := h.do("admin", tt.method, tt.target, tt.body, "Ambit-Dry-Run: true", "If-Match: "+tag).want(t, tt.status)
				dry.wantHeaders(t, "Ambit-Dry-Run: true")
				if result := dry.Header.Get("Ambit-Result"); result != "updated" && result != "deleted" {
					t.Errorf("result %q", result)
				}
				h.do("viewer", tt.method, tt.target, tt.body).want(t, 403)
			})
			h.do("admin", "GET", tt.etagOf, "").want(t, 200).wantHeaders(t, "ETag: "+tag)
		})
	}
	h.importType(strings.Replace(box, "Box", "Nil", 2), `If-Match: "3"`).want(t, 412)
	h.importType(strings.Replace(box, "Box", "Nil", 2), "If-None-Match: *").want(t, 201)
	h.rename(type1("Nil"), "/templateId", "Zero").want(t, 204) // MG-19
	h.do("admin", "DELETE", type1("Zero"), "").want(t, 204)
	h.do("admin", "DELETE", app1("shop"), "").want(t, 204)
}

// management-api.md 9, MG-8: the list in groups, its filters and its odd limits.
func TestAssetTemplateList(t *testing.T) {
	h := newHarbour(t)
	list := func(query string) answer { return h.do("viewer", "GET", templatesPath+query, "") }
	for i := range 4 {
		h.importType(fmt.Sprintf(`{"templateId":"T%d","displayName":"Type %d","source":"REQUEST","attributes":[],"actions":[]}`, i, i)).want(t, 201)
	}
	group := func(ws, items string) string { return `{"authWsId":"` + ws + `","assetTemplates":[` + items + `]}` }
	cargo, crane := `{"templateId":"Cargo","displayName":"Cargo"}`, `{"templateId":"Crane","displayName":"Crane"}`
	list("?filter[authWsId]="+h.docks).want(t, 200, `{"data":[`+group(h.docks, crane)+`],"total":1,"limit":50,"offset":0,"meta":{"total":1,"limit":50,"offset":0}}`)
	list("?filter[authWsId]="+strings.ToUpper(h.docks)).want(t, 200, crane)
	list("?filter[id]=Cargo").want(t, 200, `{"data":[`+group(h.quays, cargo)+`],"total":1,`)
	list("?filter[name]=Type%202").want(t, 200, `"templateId":"T2"`, `"total":1,`)
	list("?filter[id]=Cargo&filter[authWsId]="+h.docks).want(t, 200, `{"data":[],"total":0,`)
	list("?filter[id]=cargo").want(t, 200, `"total":0`)
	list("?filter[authWsId]="+goneID).want(t, 400, "PAC-001")
	list("?detailed=True&filter[id]=T1").want(t, 200, group(h.quays, `{"templateId":"T1","displayName":"Type 1","source":"REQUEST","isUsedForFiltering":false,"attributes":[],"actions":[]}`))
	for query, parts := range map[string][]string{
		"?limit=0": {"limit"}, "?limit=x": {"limit"}, "?offset=-1": {"offset"}, "?detailed=x&limit=": {"detailed", "limit"},
	} {
		list(query).want(t, 400, append(parts, "MGT-003")...)
	}
	list("?limit=9999").want(t, 200, `"limit":1000`)
	// page by page, each once
	seen := map[string]int{}
	total := 7 // Claims of Default, Cargo and four types of Quays, Crane of Docks
	for offset := range total + 1 {
		a := list(fmt.Sprintf("?limit=1&offset=%d", offset)).want(t, 200, fmt.Sprintf(`"total":%d,"limit":1,"offset":%d`, total, offset))
		_, id, _ := strings.Cut(a.body, `"templateId":"`)
		id, _, _ = strings.Cut(id, `"`)
		seen[id]++
	}
	if len(seen) != total+1 || seen[""] != 1 {
		t.Errorf("pages gave %v", seen)
	}
}

// PM-13, PM-16, policy-model.md 3.12: what goes with an asset type, and when it cannot go.
func TestAssetTemplateDelete(t *testing.T) {
	h := newHarbour(t)
	h.put(regoPolicy("p1", "3", "A"))
	h.do("admin", "PUT", env+"/asset-templates/Cargo/assets/c1", `{"attributes":{"berth":["A"]}}`).want(t, 201)
	h.unchanged("in use", func() {
		h.do("admin", "DELETE", type1("Cargo"), "").want(t, 409, "MGT-009", "AssetTemplate: [Cargo] is used by policy: [p1]")
		h.do("admin", "DELETE", type1("cargo"), "").want(t, 404, "MGT-006", "AssetTemplate: [cargo] not found, Hint: did you mean [Cargo]")
	})
	h.do("admin", "DELETE", "/api/2.0/policies/"+envID+"?filter[authWsId]="+h.quays+"&filter[id]=p1", "").want(t, 204)
	h.do("admin", "DELETE", type1("Cargo"), "").want(t, 204).wantHeaders(t, "Ambit-Result: deleted")
	h.do("admin", "GET", type1("Cargo"), "").want(t, 404)
	h.do("admin", "GET", app1("harbour-app"), "").want(t, 200, `"assetTemplateIds":[]`)
	h.read(func(tx *store.Tx) error {
		for b, err := range tx.Blocks.FindAll() {
			if h.must(err); b.Kind == model.KindRuleset && b.Template == "Cargo" {
				t.Errorf("ruleset %s stays", b.Name)
			}
		}
		n, err := tx.Assets("Cargo").Count()
		if n != 0 {
			t.Errorf("%d assets stay", n)
		}
		return err
	})
	// made again, it begins anew
	h.importType(`{"templateId":"Cargo","displayName":"Cargo","source":"PLAINID","attributes":[],"actions":[]}`).want(t, 201)
	h.do("admin", "GET", env+"/asset-templates/Cargo/assets/count", "").want(t, 200, `"count":0`)
}

// The list and a rename stay quick with 1,000 asset types and 100,000 assets: each takes a small part of the time in which
// that many assets are written, on a busy machine as well.
func TestAssetTemplateListIsQuick(t *testing.T) {
	h := newHarbour(t)
	start := time.Now()
	_, err := h.store.Update(t.Context(), store.Write{Environment: envID, Time: h.clock}, func(tx *store.Tx) error {
		for i := range 1000 {
			_, err := tx.AssetTemplates.Put(model.AssetTemplate{
				ID: model.TemplateID(fmt.Sprintf("T%03d", i)), WorkspaceID: model.WorkspaceID(h.quays), DisplayName: fmt.Sprint("Type ", i),
				Source: model.SourcePlainID, Attributes: []model.AssetAttribute{{ID: "a", DisplayName: "A", Type: model.String}},
			})
			if err != nil {
				return err
			}
		}
		for i := range 100_000 {
			if _, err := tx.Assets("T500").Put(model.Asset{Path: fmt.Sprint(i)}); err != nil {
				return err
			}
		}
		return nil
	})
	h.must(err)
	written := time.Since(start)
	h.do("viewer", "GET", templatesPath, "").want(t, 200) // fills the mirror
	quick := func(name string, part time.Duration, fn func()) {
		t.Helper()
		best := time.Hour
		for range 5 {
			start := time.Now()
			fn()
			best = min(best, time.Since(start))
		}
		t.Logf("%s: %v, writing took %v", name, best, written)
		if best > written/part {
			t.Errorf("%s takes %v, writing took %v", name, best, written)
		}
	}
	quick("list", 20, func() { h.do("viewer", "GET", templatesPath+"?offset=500", "").want(t, 200) })
	quick("detailed list", 4, func() { h.do("viewer", "GET", templatesPath+"?detailed=true&limit=1000", "").want(t, 200) })
	ids := []string{"T500", "Moved"}
	quick("rename of a type with 100,000 assets", 5, func() {
		h.rename(type1(ids[0]), "/templateId", ids[1]).want(t, 204)
		ids[0], ids[1] = ids[1], ids[0]
	})
	h.do("admin", "GET", env+"/asset-templates/"+ids[0]+"/assets/count", "").want(t, 200, `"count":100000`)
}

// policyText is a policy of the workspace Quays as it is exported.
func (h *harbour) policyText(id string) string {
	h.t.Helper()
	return h.do("viewer", "GET", h.policies("&filter[id]="+id), "").want(h.t, 200).body
}

// regoOnAll is regoPolicy on the predefined ruleset of Cargo.
func regoOnAll(id string) string {
	text := strings.Replace(regoPolicy(id, "3", "A"), "\tasset[\"berth\"] == \"A\"\n", "", 1)
	return strings.Replace(text, "Berth A", "All", 1)
}

// sameAfterRestart fails when what the service follows differs from what a new one reads.
func (h *harbour) sameAfterRestart(what string) {
	h.t.Helper()
	fresh := manage.New(manage.Options{Store: h.store, Now: func() time.Time { return h.clock }, Log: slog.New(slog.DiscardHandler)})
	defer fresh.Close()
	read := func(s *manage.Service) string {
		types, err := s.FindAssetTemplates(h.t.Context(), envID, &manage.AssetTemplateFilter{}, 0, 100)
		h.must(err)
		policies, err := s.SearchPolicies(h.t.Context(), envID, &manage.PolicyFilter{Applications: []model.ApplicationID{"harbour-app"}}, 0, 100)
		h.must(err)
		out := fmt.Sprint(types)
		for i := range policies.Items {
			text, err := policies.Items[i].Rego(true)
			h.must(err)
			out += string(text)
		}
		return out
	}
	if d := cmp.Diff(read(fresh), read(h.service)); d != "" {
		h.t.Errorf("%s: followed and read anew differ:\n%s", what, d)
	}
}

// since are the events after the first n, as "ACTION TYPE id", sorted.
func (h *harbour) since(n int) []string {
	h.t.Helper()
	events := h.events()
	events = events[:len(events)-n]
	var out []string
	for _, e := range events {
		if e.Revision != events[0].Revision {
			h.t.Errorf("events of two revisions: %+v", e)
		}
		out = append(out, e.Action+" "+e.ResourceType+" "+e.ResourceID)
	}
	slices.Sort(out)
	return out
}

// MG-43, PM-17: renaming an asset type reaches its rulesets, policies on its predefined one, applications and assets in one
// revision, each changed object with its event.
func TestAssetTemplateRename(t *testing.T) {
	h := newHarbour(t)
	h.put(regoPolicy("p1", "3", "A"))
	h.put(regoOnAll("p2"))
	h.do("admin", "PUT", env+"/asset-templates/Cargo/assets/c1", `{"attributes":{"berth":["A"]}}`).want(t, 201)
	before := map[string]string{"p1": h.policyText("p1"), "p2": h.policyText("p2")}
	h.unchanged("refused or the same", func() {
		for value, status := range map[string]int{"Crane": 409, "Claims": 409, "": 400, " x": 400, strings.Repeat("x", 129): 400} {
			h.rename(type1("Cargo"), "/templateId", value).want(t, status)
		}
		h.rename(type1("cargo"), "/templateId", "Freight").want(t, 404, "MGT-006")
		h.rename(type1("Cargo"), "/displayName", "Freight").want(t, 400, "/0/path")
		h.do("admin", "PATCH", type1("Cargo"), `[]`).want(t, 400)
		h.do("admin", "PATCH", type1("Cargo"), `[{"op":"replace","path":"/templateId","value":1}]`).want(t, 400, "/0/value")
		h.rename(type1("Cargo"), "/templateId", "Cargo").want(t, 204).wantHeaders(t, "Ambit-Result: unchanged")
	})
	events := len(h.events())
	h.rename(type1("Cargo"), "/templateId", "Fr/eight", "Content-Type: application/json-patch+json").want(t, 204).wantHeaders(t, "Ambit-Result: updated")
	var ruleset model.BlockID
	h.read(func(tx *store.Tx) error {
		for b, err := range tx.Blocks.FindAll() {
			if h.must(err); b.Template == "Cargo" || b.ID == model.PredefinedBlockID(model.KindRuleset, "Cargo") {
				t.Errorf("block %+v", b)
			}
			if b.Name == "Berth A" {
				ruleset = b.ID
			}
		}
		return nil
	})
	want := []string{
		"UPDATE APPLICATION harbour-app", "UPDATE ASSET_TEMPLATE Fr/eight", "UPDATE ROLE p2", "UPDATE RULESET " + string(ruleset),
	}
	if d := cmp.Diff(want, h.since(events)); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	swap := strings.NewReplacer("Cargo", "Fr/eight", string(model.PredefinedBlockID(model.KindRuleset, "Cargo")), string(model.PredefinedBlockID(model.KindRuleset, "Fr/eight")))
	for id, text := range before {
		if d := cmp.Diff(swap.Replace(text), h.policyText(id)); d != "" {
			t.Errorf("policy %s (-want +got):\n%s", id, d)
		}
		h.put(h.policyText(id)).wantHeaders(t, "Ambit-Result: unchanged") // the stored form is that of an import
	}
	h.do("viewer", "GET", app1("harbour-app"), "").want(t, 200, `"assetTemplateIds":["Fr/eight"]`)
	h.do("viewer", "GET", env+"/asset-templates/Fr%2Feight/assets/c1", "").want(t, 200, `"berth":["A"]`)
	h.do("viewer", "GET", env+"/asset-templates/Cargo/assets/c1", "").want(t, 404)
	h.do("viewer", "GET", type1("Cargo"), "").want(t, 404)
	h.sameAfterRestart("renamed")
	// the old id is free, and nothing of the old type is there
	h.importType(`{"templateId":"Cargo","displayName":"Other cargo","source":"PLAINID","attributes":[],"actions":[]}`).want(t, 201)
	h.do("admin", "GET", env+"/asset-templates/Cargo/assets/count", "").want(t, 200, `"count":0`)
	h.rename(type1("Fr/eight"), "/templateId", "Cargo").want(t, 409, "MGT-008")
}

// MG-43, PM-17: renaming an action reaches the action lists of policies; its value stays.
func TestActionRename(t *testing.T) {
	h := newHarbour(t)
	both := func(text string) string { return strings.ReplaceAll(text, `["Load"]`, `["Load", "View"]`) }
	h.put(both(regoPolicy("p1", "3", "A")))
	h.put(regoOnAll("p2"))
	h.put(strings.ReplaceAll(regoPolicy("p3", "3", "A"), `["Load"]`, `["View"]`))
	action := func(id string) string { return type1("Cargo") + "/actions/" + url.PathEscape(id) }
	h.unchanged("refused or the same", func() {
		h.rename(action("Load"), "/actionId", "View").want(t, 409, "MGT-008", "Action: [View] already exists")
		h.rename(action("load"), "/actionId", "Lift").want(t, 404, "MGT-006", "Action: [load] not found")
		h.rename(type1("Nil")+"/actions/Load", "/actionId", "Lift").want(t, 404, "AssetTemplate: [Nil] not found")
		h.rename(action("Load"), "/actionId", "\u0007").want(t, 400)
		h.rename(action("Load"), "/value", "x").want(t, 400, "/0/path")
		h.rename(action("Load"), "/actionId", "Load").want(t, 204).wantHeaders(t, "Ambit-Result: unchanged")
	})
	before := map[string]string{"p1": h.policyText("p1"), "p2": h.policyText("p2"), "p3": h.policyText("p3")}
	events := len(h.events())
	done := h.rename(action("Load"), "/actionId", "Z/lift").want(t, 204).wantHeaders(t, "Ambit-Result: updated")
	if d := cmp.Diff([]string{"UPDATE ASSET_TEMPLATE Cargo", "UPDATE ROLE p1", "UPDATE ROLE p2"}, h.since(events)); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	h.do("viewer", "GET", type1("Cargo"), "").want(t, 200, `"actions":[{"actionId":"Z/lift","value":"load"},{"actionId":"View","value":"view"}]`).
		wantHeaders(t, "ETag: "+done.Header.Get("ETag"))
	swap := strings.NewReplacer(`["Load","View"]`, `["View","Z/lift"]`, `["Load", "View"]`, `["View", "Z/lift"]`, `"Load"`, `"Z/lift"`) // lists are in order
	for id, text := range before {
		if d := cmp.Diff(swap.Replace(text), h.policyText(id)); d != "" {
			t.Errorf("policy %s (-want +got):\n%s", id, d)
		}
		h.put(h.policyText(id)).wantHeaders(t, "Ambit-Result: unchanged") // the stored form is that of an import
	}
	h.sameAfterRestart("action renamed")
	h.rename(action("Z/lift"), "/actionId", "Load").want(t, 204)
	for id, text := range before {
		if d := cmp.Diff(text, h.policyText(id)); d != "" {
			t.Errorf("policy %s, renamed back (-want +got):\n%s", id, d)
		}
	}
}
