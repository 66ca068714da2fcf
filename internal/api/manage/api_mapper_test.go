package manage

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/store"
)

func apiMapperRows() map[string]string {
	rows := map[string]string{
		"POST " + apiMapperSets: "write", "PUT " + apiMapperSets: "write", "GET " + apiMapperSets: "read",
		"GET " + apiMapperSet: "read", "PATCH " + apiMapperSet: "write",
		"POST " + apiMappers: "write", "GET " + apiMapper: "read", "PATCH " + apiMapper: "write", "DELETE " + apiMapper: "write",
		"GET " + requestAttributes: "read", "GET " + requestAttribute: "read", "PUT " + requestAttribute: "write", "DELETE " + requestAttribute: "write",
	}
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} { // nobody's: 501
		rows[method+" "+attributeMapping], rows[method+" "+attributeMapping+"/{rest...}"] = "any", "any"
	}
	return rows
}

const (
	setsPath = "/api/1.0/api-mapper-sets/" + envID

	// the sample of management-api.md 11
	cargoRead = `{"mapperId":"cargo-read","displayName":"Read cargo","isActive":true,"matchPattern":"/quays/*/cargo/**","matchType":"WILDCARDS","restMethods":["GET"],"priority":1,"isRequireIdentitySourcesFiltering":false,"filteringType":"INCLUDE","identitySourceIds":[],` +
		`"assetTemplates":[` + cargoMapping + `]}`
	cargoMapping = `{"templateId":"Cargo","attributes":[{"attributeId":"berth","source":"PATH","path":"[2]"}],"actions":[{"actionId":"View","source":"BODY","value":"view","path":"$.mode"}]}`
	harbourSet   = `{"data":{"apiMappersSetId":"harbour-app","applicationIds":["harbour-app"],"apiMappers":[` + cargoRead + `]}}`
	emptySet     = `{"data":{"apiMappersSetId":"harbour-app","applicationIds":["harbour-app"],"apiMappers":[]}}`
)

func setOf(id string) string { return setsPath + "/" + url.PathEscape(id) }

func mapperOf(set, id string) string { return setOf(set) + "/mappers/" + url.PathEscape(id) }

// importSet imports an API mapper set into the workspace Quays.
func (h *harbour) importSet(body string, headers ...string) answer {
	h.t.Helper()
	return h.do("admin", "POST", setsPath+"?authWsId="+h.quays, body, headers...)
}

// importMapper imports one mapper of a set of the workspace Quays.
func (h *harbour) importMapper(set, body string, headers ...string) answer {
	h.t.Helper()
	return h.do("admin", "POST", setOf(set)+"/mappers?authWsId="+h.quays, body, headers...)
}

// mapperNamed is the sample's mapper under another id.
func mapperNamed(id string) string { return strings.Replace(cargoRead, "cargo-read", id, 1) }

// MG-47, MG-6, MG-15: the set of an application is read by the application's id, also when it is empty; it is imported
// and given back in the form of the sample.
func TestAPIMapperSet(t *testing.T) {
	h := newHarbour(t)
	if a := h.do("viewer", "GET", setOf("harbour-app"), "").want(t, 200); a.body != emptySet || a.Header.Get("ETag") != "" {
		t.Errorf("without mappers: %s, ETag %q", a.body, a.Header.Get("ETag"))
	}
	h.do("viewer", "GET", setOf("harbour-ap"), "").want(t, 404, "MGT-006", "APIMapperSet: [harbour-ap] not found")

	a := h.importSet(harbourSet).want(t, 200).wantHeaders(t, "Ambit-Result: created")
	if a.body != harbourSet {
		t.Errorf("stored %s", a.body)
	}
	h.unchanged("the same again, bare, by PUT", func() {
		bare := strings.TrimSuffix(strings.TrimPrefix(harbourSet, `{"data":`), "}")
		h.do("admin", "PUT", setsPath+"?authWsId="+h.quays, bare).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged")
		h.importMapper("harbour-app", cargoRead).want(t, 200, `{"data":`+cargoRead+`}`).wantHeaders(t, "Ambit-Result: unchanged")
	})
	if a := h.do("viewer", "GET", setOf("harbour-app"), "").want(t, 200); a.body != harbourSet {
		t.Errorf("exported %s", a.body)
	}
	h.do("viewer", "GET", setOf("harbour-app"), "", "If-None-Match: "+a.Header.Get("ETag")).want(t, 304)
	// defaults, spellings and what stands only when it is not the default
	h.importSet(`{"apiMappersSetId":"harbour-app","pathIndexing":"SEGMENTS","apiMappers":[{"mapperId":"m","displayName":"M","matchPattern":"/a","matchType":"SOUNDEX","restMethods":["post"],"assetTemplates":[{"templateId":"Cargo","attributes":[{"attributeId":"path","source":"query","path":"id"}],"actions":[{"actionId":"Load"}]}]}]}`).
		want(t, 200, `"applicationIds":["harbour-app"],"pathIndexing":"SEGMENTS","apiMappers":[{"mapperId":"m","displayName":"M","isActive":true,`,
			`"matchType":"SOUNDEX","restMethods":["POST"],"priority":0,"isRequireIdentitySourcesFiltering":false,"filteringType":"INCLUDE","identitySourceIds":[]`,
			`{"attributeId":"path","source":"QUERY","path":"id"}`, `"actions":[{"actionId":"Load"}]`).wantHeaders(t, "Ambit-Result: updated")
	if e := h.events()[0]; e.ResourceType != "API_MAPPER_SET" || e.ResourceID != "harbour-app" || e.ParentID != h.quays ||
		!strings.Contains(e.Before, "cargo-read") || !strings.Contains(e.After, "SEGMENTS") {
		t.Errorf("event %+v", e)
	}
}

// management-api.md 11: sets by filter; MG-7, MG-8.
func TestAPIMapperSetList(t *testing.T) {
	h := newHarbour(t)
	h.importSet(harbourSet).want(t, 200)
	h.importSet(`{"apiMappersSetId":"waiting","apiMappers":[]}`).want(t, 200, `"applicationIds":[]`)
	h.do("admin", "POST", applicationsPath+"?authWsId="+h.docks, `{"applicationId":"docks-app","displayName":"D","assetTemplateIds":[]}`).want(t, 201)
	const claims = "claims" // of the workspace that every environment has
	for query, want := range map[string]string{
		"":                                    "docks-app harbour-app waiting",
		"filter[authWsId]=" + h.quays:         "harbour-app waiting",
		"filter[authWsId]=" + h.docks:         "docks-app",
		"filter[applicationId]=harbour-app":   "harbour-app",
		"filter[applicationId]=waiting":       "",
		"filter[id]=waiting":                  "waiting",
		"filter[id][in]=waiting,docks-app":    "docks-app waiting",
		"filter%5Bid%5D=docks-app":            "docks-app",
		"filter[id]=docks-app&filter[id]=nil": "docks-app",
	} {
		a := h.do("viewer", "GET", setsPath+"?"+query, "").want(t, 200)
		var got []string
		for _, part := range strings.Split(a.body, `"apiMappersSetId":"`)[1:] {
			if id, _, _ := strings.Cut(part, `"`); id != claims {
				got = append(got, id)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	h.do("viewer", "GET", setsPath+"?filter[authWsId]="+h.quays+"&limit=5000&offset=1", "").want(t, 200,
		`"total":2,"limit":1000,"offset":1,"meta":{"total":2,"limit":1000,"offset":1}`)
	for _, query := range []string{"limit=0", "limit=x", "offset=-1"} {
		h.do("viewer", "GET", setsPath+"?"+query, "").want(t, 400, "MGT-003")
	}
	h.do("viewer", "GET", setsPath+"?filter[authWsId]="+goneID, "").want(t, 400, "PAC-001")
}

// set is a set with n copies of the sample's mapper, each changed by change.
func setWith(n int, change func(i int, mapper string) string) string {
	mappers := make([]string, n)
	for i := range mappers {
		mappers[i] = change(i, mapperNamed(fmt.Sprint("m", i)))
	}
	return `{"apiMappersSetId":"harbour-app","apiMappers":[` + strings.Join(mappers, ",") + `]}`
}

// list repeats an item of a JSON list; %d in it is its number.
func repeated(n int, item string) string {
	out := make([]string, n)
	for i := range out {
		out[i] = strings.ReplaceAll(item, "%d", fmt.Sprint(i))
	}
	return "[" + strings.Join(out, ",") + "]"
}

// MG-46: 100 mappers, 5 asset types of a mapper, 20 attribute and 80 action mappings of an asset type; one more is MGT-018.
func TestAPIMapperLimits(t *testing.T) {
	h := newHarbour(t)
	for i := range 6 {
		h.do("admin", "POST", "/api/1.0/asset-templates/"+envID+"?authWsId="+h.quays,
			fmt.Sprintf(`{"templateId":"T%d","displayName":"T%d","source":"REQUEST","attributes":[],"actions":[{"actionId":"A","value":"a"}]}`, i, i)).want(t, 201)
	}
	replace := func(mapper, key, list string) string {
		return fmt.Sprintf(`{"mapperId":"m","displayName":"M","matchPattern":"/a","matchType":"EXACT",%q:%s}`, key, list)
	}
	types := func(n int) string { return replace("", "assetTemplates", repeated(n, `{"templateId":"T%d"}`)) }
	part := func(key, item string) func(n int) string {
		return func(n int) string {
			return replace("", "assetTemplates", fmt.Sprintf(`[{"templateId":"T0",%q:%s}]`, key, repeated(n, item)))
		}
	}
	for _, tt := range []struct {
		limit int
		body  func(n int) string
		field string
	}{
		{5, types, "/assetTemplates: 6, the limit is 5"},
		{20, part("attributes", `{"attributeId":"path","source":"QUERY","path":"q%d"}`), "/assetTemplates/0/attributes: 21, the limit is 20"},
		{80, part("actions", `{"actionId":"A","source":"QUERY","path":"q%d"}`), "/assetTemplates/0/actions: 81, the limit is 80"},
	} {
		h.importMapper("harbour-app", tt.body(tt.limit)).want(t, 200+map[bool]int{true: 1}[tt.limit == 5])
		h.unchanged(tt.field, func() {
			h.importMapper("harbour-app", tt.body(tt.limit+1)).want(t, 400, "MGT-018", tt.field)
			h.importSet(`{"apiMappersSetId":"harbour-app","apiMappers":[`+tt.body(tt.limit+1)+`]}`).want(t, 400, "MGT-018", "/apiMappers/0"+tt.field)
		})
	}
	same := func(_ int, mapper string) string { return mapper }
	h.importSet(setWith(100, same)).want(t, 200)
	h.unchanged("one mapper more", func() {
		h.importSet(setWith(101, same)).want(t, 400, "MGT-018", "/apiMappers: 101, the limit is 100")
		h.importMapper("harbour-app", mapperNamed("more")).want(t, 400, "MGT-018", "/apiMappers: 101, the limit is 100")
	})
	h.importMapper("harbour-app", mapperNamed("m99")).want(t, 200)
}

// management-api.md 11: what an import refuses, naming every field.
func TestAPIMapperSetRefused(t *testing.T) {
	h := newHarbour(t)
	h.importSet(`{"apiMappersSetId":"docked","apiMappers":[]}`).want(t, 200)
	set := func(mapper string) string { return setWith(1, func(int, string) string { return mapper }) }
	with := func(old, replacement string) string { return set(strings.Replace(cargoRead, old, replacement, 1)) }
	for name, tt := range map[string]struct {
		target, body string
		status       int
		parts        []string
	}{
		"without a workspace":   {setsPath, harbourSet, 400, []string{"MGT-002", "authWsId"}},
		"unknown workspace":     {setsPath + "?authWsId=" + goneID, harbourSet, 400, []string{"PAC-001"}},
		"application elsewhere": {setsPath + "?authWsId=" + h.docks, harbourSet, 409, []string{"MGT-008", "Application: [harbour-app] already exists"}},
		"set elsewhere":         {setsPath + "?authWsId=" + h.docks, `{"apiMappersSetId":"docked","apiMappers":[]}`, 409, []string{"MGT-008", "APIMapperSet: [docked] already exists"}},
		"id is not the application's": {"", `{"apiMappersSetId":"other","applicationIds":["harbour-app"],"apiMappers":[]}`, 400, []string{
			"/applicationIds/0", "has its id",
		}},
		"no such application":  {"", `{"apiMappersSetId":"nil","applicationIds":["nil"],"apiMappers":[]}`, 404, []string{"MGT-006", "Application: [nil] not found"}},
		"unknown asset type":   {"", with(`"Cargo"`, `"Cargos"`), 404, []string{"MGT-006", "AssetTemplate: [Cargos] not found, named at /apiMappers/0/assetTemplates/0/templateId"}},
		"type of another":      {"", with(`"Cargo"`, `"Crane"`), 404, []string{"AssetTemplate: [Crane] not found"}},
		"unknown attribute":    {"", with(`"attributeId":"berth"`, `"attributeId":"tonnes"`), 404, []string{"Attribute: [tonnes] not found", "/attributes/0/attributeId"}},
		"unknown action":       {"", with(`"actionId":"View"`, `"actionId":"view"`), 404, []string{"Action: [view] not found", "/actions/0/actionId"}},
		"mapper id twice":      {"", setWith(2, func(int, string) string { return cargoRead }), 400, []string{"/apiMappers/1/mapperId"}},
		"path indexing":        {"", `{"apiMappersSetId":"harbour-app","pathIndexing":"OTHER","apiMappers":[]}`, 400, []string{"/pathIndexing"}},
		"wrong type of a key":  {"", with(`"priority":1`, `"priority":"1"`), 400, []string{"/apiMappers/0/priority"}},
		"repeated key":         {"", with(`"priority":1`, `"priority":1,"priority":2`), 400, []string{"MGT-001"}},
		"source without a use": {"", with(`"source":"PATH"`, `"source":"COOKIE"`), 400, []string{"/apiMappers/0/assetTemplates/0/attributes/0/source"}},
		"every error": {"", set(`{"mapperId":"","displayName":"","matchType":"EXACT","matchPattern":"a","restMethods":["G T"],"identitySourceIds":[""]}`), 400, []string{
			"/mapperId", "/displayName", "/matchPattern", "/restMethods/0", "/identitySourceIds/0",
		}},
	} {
		target := tt.target
		if target == "" {
			target = setsPath + "?authWsId=" + h.quays
		}
		h.unchanged(name, func() { h.do("admin", "POST", target, tt.body).want(t, tt.status, tt.parts...) })
	}
	h.do("admin", "POST", setsPath+"?authWsId="+h.quays, harbourSet, "Content-Type: text/csv").want(t, 415)
}

// management-api.md 11: the mappers of a set one by one; MG-3, MG-6, MG-17.
func TestAPIMapper(t *testing.T) {
	h := newHarbour(t)
	h.do("viewer", "GET", mapperOf("harbour-app", "a/b"), "").want(t, 404, "APIMapper: [a/b] not found")
	made := h.importMapper("harbour-app", mapperNamed("a/b"), "If-None-Match: *").want(t, 201).wantHeaders(t, "Ambit-Result: created")
	h.do("viewer", "GET", setOf("harbour-app"), "").want(t, 200, `"mapperId":"a/b"`).wantHeaders(t, "ETag: "+made.Header.Get("ETag"))
	h.do("viewer", "GET", mapperOf("harbour-app", "a/b"), "").want(t, 200, `{"data":`+mapperNamed("a/b")+`}`)
	h.do("viewer", "GET", mapperOf("harbour-app", "a/b"), "", "If-None-Match: "+made.Header.Get("ETag")).want(t, 304)
	h.importMapper("harbour-app", `{"data":`+mapperNamed("second")+`}`, "If-None-Match: *").want(t, 201) // the set exists, the mapper does not
	h.unchanged("preconditions", func() {
		h.importMapper("harbour-app", mapperNamed("second"), "If-None-Match: *").want(t, 412, "MGT-011", "APIMapper: [second] has changed")
		h.importMapper("harbour-app", mapperNamed("third"), "If-Match: *").want(t, 412)
		h.do("admin", "DELETE", mapperOf("harbour-app", "a/b"), "", "If-Match: "+made.Header.Get("ETag")).want(t, 412)
		h.importMapper("nil", cargoRead).want(t, 404, "APIMapperSet: [nil] not found")
		h.do("admin", "POST", setOf("harbour-app")+"/mappers?authWsId="+h.docks, cargoRead).want(t, 409, "MGT-008")
		h.do("admin", "POST", setOf("harbour-app")+"/mappers?authWsId="+goneID, cargoRead).want(t, 400, "PAC-001")
		h.importMapper("harbour-app", strings.Replace(cargoRead, `"Cargo"`, `"Nil"`, 1)).want(t, 404, "AssetTemplate: [Nil] not found, named at /assetTemplates/0/templateId")
	})
	now := h.do("viewer", "GET", mapperOf("harbour-app", "a/b"), "").Header.Get("ETag")
	h.do("admin", "DELETE", mapperOf("harbour-app", "a/b"), "", "If-Match: "+now).want(t, 204).wantHeaders(t, "Ambit-Result: deleted", "ETag: ")
	h.do("admin", "DELETE", mapperOf("harbour-app", "a/b"), "").want(t, 404, "MGT-006")
	h.do("admin", "DELETE", mapperOf("harbour-app", "second"), "").want(t, 204)
	if a := h.do("viewer", "GET", setOf("harbour-app"), "").want(t, 200); a.body != emptySet {
		t.Errorf("after the last mapper: %s", a.body)
	}
}

// MG-14: dry runs of every write answer alike and store nothing.
func TestAPIMapperDryRun(t *testing.T) {
	h := newHarbour(t)
	h.importSet(setWith(2, func(_ int, m string) string { return m })).want(t, 200)
	h.importSet(`{"apiMappersSetId":"waiting","apiMappers":[]}`).want(t, 200)
	h.unchanged("dry runs", func() {
		for _, tt := range []struct {
			method, target, body string
			status               int
			result               string
		}{
			{"POST", setsPath + "?authWsId=" + h.quays, harbourSet, 200, "updated"},
			{"POST", setOf("harbour-app") + "/mappers?authWsId=" + h.quays, cargoRead, 201, "created"},
			{"PATCH", setOf("waiting"), `[{"op":"replace","path":"/apiMappersSetId","value":"w"}]`, 204, "updated"},
			{"PATCH", mapperOf("harbour-app", "m0"), `[{"op":"replace","path":"/mapperId","value":"m"}]`, 204, "updated"},
			{"DELETE", mapperOf("harbour-app", "m1"), "", 204, "deleted"},
			{"PUT", requestAttributesOf(h.quays) + "/channel", channel, 201, "created"},
		} {
			h.do("admin", tt.method, tt.target, tt.body, "Ambit-Dry-Run: true").want(t, tt.status).
				wantHeaders(t, "Ambit-Dry-Run: true", "Ambit-Result: "+tt.result)
		}
	})
}

// MG-21, management-api.md 11, PM-17: a set is renamed with its application and not without; a mapper's new id reaches
// the request attributes of its workspace.
func TestAPIMapperRenames(t *testing.T) {
	h := newHarbour(t)
	rename := func(path, to string) string {
		return fmt.Sprintf(`[{"op":"replace","path":"/%s","value":%q}]`, path, to)
	}
	h.unchanged("the set of an application, stored or not", func() {
		h.do("admin", "PATCH", setOf("harbour-app"), rename("apiMappersSetId", "x")).want(t, 409, "MGT-009", "APIMapperSet: [harbour-app] is used by application: [harbour-app]")
	})
	h.importSet(harbourSet).want(t, 200)
	h.importSet(`{"apiMappersSetId":"waiting","apiMappers":[`+cargoRead+`]}`).want(t, 200)
	h.do("admin", "PUT", requestAttributesOf(h.quays)+"/channel", channel).want(t, 201)
	h.do("admin", "PUT", requestAttributesOf(h.docks)+"/channel", channel).want(t, 201)
	h.unchanged("refused", func() {
		h.do("admin", "PATCH", setOf("harbour-app"), rename("apiMappersSetId", "x")).want(t, 409, "MGT-009")
		h.do("admin", "PATCH", setOf("waiting"), rename("apiMappersSetId", "harbour-app")).want(t, 409, "MGT-008")
		h.do("admin", "PATCH", setOf("waiting"), rename("apiMappersSetId", " x")).want(t, 400, "/0/value")
		h.do("admin", "PATCH", setOf("nil"), rename("apiMappersSetId", "x")).want(t, 404, "MGT-006")
		h.do("admin", "PATCH", setOf("waiting"), rename("applicationId", "x")).want(t, 400, "/0/path")
		h.do("admin", "PATCH", mapperOf("harbour-app", "cargo-read"), rename("displayName", "x")).want(t, 400, "/0/path")
		h.do("admin", "PATCH", mapperOf("harbour-app", "cargo-read"), `[{"op":"remove","path":"/mapperId","value":"x"}]`).want(t, 400, "/0/op")
		h.do("admin", "PATCH", mapperOf("harbour-app", "cargo-read"), rename("mapperId", "")).want(t, 400, "/0/value")
		h.do("admin", "PATCH", mapperOf("harbour-app", "nil"), rename("mapperId", "x")).want(t, 404, "APIMapper: [nil] not found")
		h.do("admin", "PATCH", mapperOf("harbour-app", "cargo-read"), rename("mapperId", "cargo-read")).want(t, 204).wantHeaders(t, "Ambit-Result: unchanged")
	})
	// while another set of the workspace has the id too, its mapping stays beside
	before := h.revisionNow()
	h.do("admin", "PATCH", mapperOf("harbour-app", "cargo-read"), rename("mapperId", "cargo-view")).want(t, 204).wantHeaders(t, "Ambit-Result: updated")
	if now := h.revisionNow(); now != before+1 {
		t.Errorf("revision %d, want %d", now, before+1)
	}
	h.do("viewer", "GET", requestAttributesOf(h.quays)+"/channel", "").want(t, 200,
		`"mappings":[{"source":"QUERY","path":"channel","apiMapperId":"cargo-read"},{"source":"QUERY","path":"channel","apiMapperId":"cargo-view"}]`)
	h.do("viewer", "GET", requestAttributesOf(h.docks)+"/channel", "").want(t, 200, `"apiMapperId":"cargo-read"`)
	h.do("admin", "PATCH", mapperOf("waiting", "cargo-read"), rename("mapperId", "cargo-scan")).want(t, 204)
	h.do("viewer", "GET", requestAttributesOf(h.quays)+"/channel", "").want(t, 200,
		`"mappings":[{"source":"QUERY","path":"channel","apiMapperId":"cargo-scan"},{"source":"QUERY","path":"channel","apiMapperId":"cargo-view"}]`)

	h.do("admin", "PATCH", setOf("waiting"), rename("apiMappersSetId", "yard-app")).want(t, 204)
	h.importApp(`{"applicationId":"yard-app","displayName":"Yard","assetTemplateIds":[]}`).want(t, 201) // its set waits for it
	h.do("viewer", "GET", setOf("yard-app"), "").want(t, 200, `"applicationIds":["yard-app"]`, "cargo-scan")
	h.do("admin", "PATCH", setOf("yard-app"), rename("apiMappersSetId", "x")).want(t, 409, "MGT-009")
}

func (h *harbour) revisionNow() (revision int64) {
	h.t.Helper()
	h.read(func(tx *store.Tx) error { revision = int64(tx.Revision); return nil })
	return revision
}

// PM-16, PM-17, management-api.md 10: the set follows its application.
func TestAPIMapperSetFollows(t *testing.T) {
	h := newHarbour(t)
	h.importSet(harbourSet).want(t, 200)
	h.do("admin", "PATCH", app1("harbour-app"), `[{"op":"replace","path":"/applicationId","value":"port-app"}]`).want(t, 204)
	h.do("viewer", "GET", setOf("harbour-app"), "").want(t, 404)
	h.do("viewer", "GET", setOf("port-app"), "").want(t, 200, `"apiMappersSetId":"port-app","applicationIds":["port-app"]`, "cargo-read")
	h.do("admin", "DELETE", app1("port-app"), "").want(t, 204)
	h.do("viewer", "GET", setOf("port-app"), "").want(t, 404)
	// a set that waits where the application is not made stops it
	h.importSet(`{"apiMappersSetId":"yard-app","apiMappers":[]}`).want(t, 200)
	h.do("admin", "POST", applicationsPath+"?authWsId="+h.docks, `{"applicationId":"yard-app","displayName":"Y","assetTemplateIds":[]}`).want(t, 409, "APIMapperSet: [yard-app] already exists")
}

// MG-43, MG-44, PM-16, PM-17: what a mapper maps onto is in use, and is renamed in it.
func TestAPIMapperUses(t *testing.T) {
	h := newHarbour(t)
	h.importSet(harbourSet).want(t, 200)
	const types = "/api/1.0/asset-templates/" + envID
	importType := func(attributes, actions string) answer {
		return h.do("admin", "POST", types+"?authWsId="+h.quays, `{"templateId":"Cargo","displayName":"Cargo","source":"PLAINID","attributes":[`+attributes+`],"actions":[`+actions+`]}`)
	}
	const berth, view = `{"attributeId":"berth","displayName":"Berth","type":"STRING"}`, `{"actionId":"View","value":"view"}`
	h.unchanged("in use", func() {
		importType("", view).want(t, 409, "MGT-009", "Attribute: [berth] is used by API mapper: [harbour-app/cargo-read]")
		importType(berth, "").want(t, 409, "MGT-009", "Action: [View] is used by API mapper: [harbour-app/cargo-read]")
	})
	importType(strings.Replace(berth, "STRING", "NUMERIC", 1), view).want(t, 200) // a mapper does not care
	h.do("admin", "PATCH", types+"/Cargo", `[{"op":"replace","path":"/templateId","value":"Freight"}]`).want(t, 204)
	h.do("admin", "PATCH", types+"/Freight/actions/View", `[{"op":"replace","path":"/actionId","value":"Look"}]`).want(t, 204)
	h.do("viewer", "GET", setOf("harbour-app"), "").want(t, 200, `"templateId":"Freight"`, `{"actionId":"Look","source":"BODY","value":"view","path":"$.mode"}`)
	h.do("admin", "DELETE", types+"/Freight", "").want(t, 204)
	sets := 0
	for _, e := range h.events() {
		if e.ResourceType == "API_MAPPER_SET" && int64(e.Revision) == h.revisionNow() {
			sets++
		}
	}
	left := strings.Replace(harbourSet, cargoMapping, "", 1)
	if a := h.do("viewer", "GET", setOf("harbour-app"), "").want(t, 200); a.body != left || sets != 1 {
		t.Errorf("%d events of the set, which is %s", sets, a.body)
	}
	h.unchanged("what was read", func() { h.importSet(left).want(t, 200) })
}

// management-api.md 14.7: the mapping of single attributes is not offered, whatever is asked.
func TestAttributeMappingNotOffered(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"", "/" + envID, "/" + envID + "/attributes/x"} {
		w.do("viewer", "GET", attributeMapping+path, "").want(t, 501, "MGT-016", "NotOfferedError", "is not offered")
		w.do("", "POST", attributeMapping+path, "{}").want(t, 401)
	}
}
