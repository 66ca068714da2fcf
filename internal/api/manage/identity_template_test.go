package manage

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

func identityTemplateRows() map[string]string {
	return map[string]string{
		"POST " + identityTemplates: "write", "POST " + identityTemplatesV2: "write", "GET " + identityTemplate: "read",
		"GET " + identityTemplatesV2 + "/{identityTemplateId}": "read", "PATCH " + identityTemplate: "write",
		"PUT " + identitySources: "write", "GET " + identitySources: "read", "PATCH " + identitySource: "write",
		"GET " + mapperSets: "read", "POST " + mapperSets: "write", "GET " + mapperSet: "read", "PATCH " + mapperSet: "write",
		"DELETE " + mapperSet: "write",
	}
}

const (
	peoplePath = "/api/1.0/identity-templates/" + envID
	crewPath   = peoplePath + "/Crew"

	rankAttribute = `{"attributeId":"rank","displayName":"Rank","description":"","type":"NUMERIC","isAvailableForPolicies":true,"isUsedInAccessRequest":false}`
	portAttribute = `{"attributeId":"port","displayName":"Port","description":"","type":"STRING","isAvailableForPolicies":true,"isUsedInAccessRequest":true}`
	uidAttribute  = `{"attributeId":"uid","displayName":"User ID","description":"","type":"STRING","isAvailableForPolicies":true,"isUsedInAccessRequest":false}`
)

func crewTemplate(attributes ...string) string {
	return `{"templateId":"Crew","attributes":[` + strings.Join(attributes, ",") + `]}`
}

// MG-48, MG-6, MG-14, MG-15, MG-17: an identity template is imported by both versions and both spellings of the query, and
// read by the uuid of its workspace too.
func TestIdentityTemplateImport(t *testing.T) {
	h := newHarbour(t)
	target := func(version, query string) string {
		return "/api/" + version + "/identity-templates/" + envID + "?" + query + "=" + h.crew
	}
	want := `{"data":` + crewTemplate(uidAttribute, rankAttribute, portAttribute) + `}`
	h.unchanged("dry run", func() {
		h.do("admin", "POST", target("1.0", "identityWsId")+"&dryRun=true", crewTemplate(rankAttribute, portAttribute)).want(t, 200, want).
			wantHeaders(t, "Ambit-Result: updated")
	})
	a := h.do("admin", "POST", target("2.0", "filter%5BidentityWsId%5D"), `{"data":`+crewTemplate(rankAttribute, portAttribute)+`}`).
		want(t, 200, want).wantHeaders(t, "Ambit-Result: updated")
	h.unchanged("second time", func() {
		for _, version := range []string{"1.0", "2.0"} {
			for _, query := range []string{"identityWsId", "filter[identityWsId]"} {
				h.do("admin", "POST", target(version, query), crewTemplate(rankAttribute, portAttribute)).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged")
			}
		}
	})
	for _, version := range []string{"1.0", "2.0"} {
		for _, id := range []string{"Crew", h.crew, strings.ToUpper(h.crew)} {
			path := "/api/" + version + "/identity-templates/" + envID + "/" + id
			if got := h.do("viewer", "GET", path, "").want(t, 200).wantHeaders(t, "ETag: "+a.Header.Get("ETag")); got.body != want {
				t.Errorf("%s: %s", path, got.body)
			}
			h.do("viewer", "GET", path, "", "If-None-Match: "+a.Header.Get("ETag")).want(t, 304)
		}
	}
	h.do("viewer", "GET", peoplePath+"/crew", "").want(t, 404, "MGT-006", "IdentityTemplate: [crew] not found, Hint: did you mean [Crew]")
	h.do("viewer", "GET", peoplePath+"/"+h.quays, "").want(t, 404)
	h.do("admin", "PATCH", peoplePath+"/"+h.crew, patch("/templateId", "X")).want(t, 404) // in reads only
	h.unchanged("refusals", func() {
		h.do("admin", "POST", peoplePath, crewTemplate()).want(t, 400, "MGT-002", "identityWsId")
		h.do("admin", "POST", peoplePath+"?identityWsId="+h.quays, crewTemplate()).want(t, 400, "PAC-005", "IdentityWs: ["+h.quays+"] not found")
		h.do("admin", "POST", peoplePath+"?identityWsId=x", crewTemplate()).want(t, 400, "PAC-005")
		h.do("admin", "POST", target("1.0", "identityWsId"), `{"templateId":"Sailors","attributes":[]}`).want(t, 409, "MGT-008", "IdentityTemplate: [Crew] already exists")
		h.do("admin", "POST", target("1.0", "identityWsId"), `{"templateId":"User","attributes":[]}`).want(t, 409, "MGT-008")
		h.do("admin", "POST", target("1.0", "identityWsId"), crewTemplate(rankAttribute, rankAttribute)).want(t, 400, "/attributes/1/attributeId")
		h.do("admin", "POST", target("1.0", "identityWsId"), crewTemplate(`{"attributeId":"","displayName":"","type":"DATE"}`)).
			want(t, 400, "/attributes/0/attributeId: is empty", "/attributes/0/displayName: is empty", "/attributes/0/type") // places of the body
		h.do("admin", "POST", target("1.0", "identityWsId"), `{"templateId":"Crew","templateId":"Crew"}`).want(t, 400, "MGT-001")
		h.do("admin", "POST", target("1.0", "identityWsId"), crewTemplate(), `If-Match: "1"`).want(t, 412, "MGT-011")
		h.do("admin", "POST", target("1.0", "identityWsId"), crewTemplate(), "If-None-Match: *").want(t, 412)
		h.do("viewer", "POST", target("1.0", "identityWsId"), "{").want(t, 403, "for resource IdentityTemplate")
	})
}

// MG-48, MG-44, PM-16: an attribute that a rule or a mapper set uses cannot be left out; one that nothing uses goes with its
// values.
func TestIdentityTemplateDrop(t *testing.T) {
	h := newHarbour(t)
	importCrew := func(attributes ...string) answer {
		return h.do("admin", "POST", peoplePath+"?identityWsId="+h.crew, crewTemplate(attributes...))
	}
	importCrew(rankAttribute, portAttribute).want(t, 200)
	h.do("admin", "PUT", env+"/identity-templates/Crew/identities/iris", `{"attributes":{"port":["north"]},"rows":[{"rank":["4"]}]}`).want(t, 201)
	h.put(regoPolicy("p1", "3", "A"))
	h.do("admin", "PUT", crewPath+"/identity-sources", `{"sources":[{"sourceId":"roster","displayName":"Roster","sourceType":"EXTERNAL_INPUT"}]}`).want(t, 200)
	h.do("admin", "POST", crewPath+"/mapper-sets", mapperSetOn("Ports", "roster", "port")).want(t, 201)
	h.unchanged("in use", func() {
		importCrew().want(t, 409, "MGT-009", "Attribute: [rank] is used by building block: [Rank 3]", "Attribute: [port] is used by mapper set: [Ports]")
		importCrew(strings.Replace(rankAttribute, "NUMERIC", "STRING", 1), portAttribute).want(t, 409, "Attribute: [rank] is used by building block")
	})
	h.do("admin", "POST", crewPath+"/mapper-sets", mapperSetOn("Ports", "roster", "uid")).want(t, 200)
	h.do("admin", "DELETE", h.policies("&filter[id]=p1"), "").want(t, 204)
	h.do("admin", "DELETE", h.blocks("filter[identityWsId]="+h.crew+"&filter[kind]=dynamic-group&filter[name]=Rank%203"), "").want(t, 200)
	importCrew().want(t, 200)
	h.do("viewer", "GET", env+"/identity-templates/Crew/identities/iris", "").want(t, 200, `"attributes":{}`)
	importCrew(rankAttribute, portAttribute).want(t, 200)
	if a := h.do("viewer", "GET", env+"/identity-templates/Crew/identities/iris", "").want(t, 200); strings.Contains(a.body, "north") || strings.Contains(a.body, `"4"`) {
		t.Errorf("values came back: %s", a.body)
	}
}

// MG-48, MG-43, MG-21: renaming an identity template reaches everything that names it in one revision, and decisions
// are as before.
func TestIdentityTemplateRename(t *testing.T) {
	h := newHarbour(t)
	crewPeople(h)
	h.put(regoPolicy("p1", "3", "A"))
	h.put(strings.NewReplacer("Rank 3", "Crew people All Users", "\tidentity[\"rank\"] >= 3\n", "", "Berth A", "Own berth",
		"asset[\"berth\"] == \"A\"", "identity.template == \"Crew\"\n\tasset[\"berth\"] == identity[\"rank\"]").Replace(regoPolicy("p2", "3", "A")))
	h.do("admin", "POST", h.blocks("filter[authWsId]="+h.quays), "package building_blocks\nimport rego.v1\n\n"+
		regoMetadata("Condition Identity", "High rank", "")+"condition_identity(identity) if {\n\tidentity.template == \"Crew\"\n\tidentity[\"rank\"] > 2\n}", regoType).want(t, 201)
	h.do("admin", "PUT", crewPath+"/identity-sources", `{"sources":[{"sourceId":"roster","displayName":"Roster","sourceType":"EXTERNAL_INPUT"}]}`).want(t, 200)
	h.do("admin", "POST", crewPath+"/mapper-sets", mapperSetOn("Ranks", "roster", "rank")).want(t, 201)
	h.do("admin", "PUT", identityWs+"/"+h.crew+"/matcher", matcherOn("$.kind")).want(t, 201)
	d := h.decisions()
	d.ask(t, crew("Crew", "iris"))
	h.unchanged("refusals", func() {
		h.rename(crewPath, "/templateId", "User").want(t, 409, "MGT-008", "IdentityTemplate: [User] already exists")
		h.rename(crewPath, "/templateId", " x").want(t, 400, "/0/value: begins or ends with a blank")
		h.rename(crewPath, "/id", "Sailors").want(t, 400, "/0/path")
		h.rename(peoplePath+"/Krew", "/templateId", "Sailors").want(t, 404, "Hint: did you mean [Crew]")
		h.do("admin", "PATCH", crewPath, `[{"op":"replace","path":"/templateId","value":"a"},{"op":"replace","path":"/templateId","value":"b"}]`).want(t, 400, "exactly one operation")
		h.rename(crewPath, "/templateId", "Sailors", `If-Match: "1"`).want(t, 412)
		h.rename(crewPath, "/templateId", "Crew").want(t, 204).wantHeaders(t, "Ambit-Result: unchanged")
		h.rename(crewPath+"?dryRun=true", "/templateId", "Sailors").want(t, 204).wantHeaders(t, "Ambit-Result: updated")
	})
	texts := h.policyText("p1") + h.policyText("p2")
	if !strings.Contains(texts, `"Crew"`) {
		t.Fatalf("policies do not name the template: %s", texts)
	}
	n := len(h.events())
	before := d.ask(t, crew("Crew", "iris"))
	h.rename(crewPath, "/templateId", "Sea crew").want(t, 204).wantHeaders(t, "Ambit-Result: updated")
	after := d.ask(t, crew("Sea crew", "iris"))
	if diff := cmp.Diff(withoutRevision(before), strings.ReplaceAll(withoutRevision(after), "Sea crew", "Crew")); diff != "" || !strings.Contains(after, "quay/7") {
		t.Errorf("decisions differ: %s\n%s", diff, after)
	}
	if got := d.ask(t, crew("Crew", "iris")); strings.Contains(got, "quay/7") {
		t.Errorf("the old name still decides: %s", got)
	}
	predefined := string(model.PredefinedBlockID(model.KindDynamicGroup, "Sea crew"))
	want := strings.NewReplacer(`"Crew"`, `"Sea crew"`, string(model.PredefinedBlockID(model.KindDynamicGroup, "Crew")), predefined).Replace(texts)
	if diff := cmp.Diff(want, h.policyText("p1")+h.policyText("p2")); diff != "" {
		t.Errorf("policies:\n%s", diff)
	}
	events := h.since(n)
	for _, want := range []string{"UPDATE IDENTITY_TEMPLATE Sea crew", "UPDATE IDENTITY_WORKSPACE " + h.crew, "UPDATE ROLE p2"} {
		if !slices.Contains(events, want) {
			t.Errorf("no event %s in %v", want, events)
		}
	}
	const renamed = peoplePath + "/Sea%20crew"
	h.do("viewer", "GET", renamed+"/identity-sources", "").want(t, 200, `"sourceId":"roster"`)
	h.do("viewer", "GET", renamed+"/mapper-sets/Ranks", "").want(t, 200, `"target":"rank"`)
	h.do("viewer", "GET", renamed, "").want(t, 200, `"templateId":"Sea crew"`)
	h.do("viewer", "GET", crewPath, "").want(t, 404)
	h.do("viewer", "GET", h.blocks("filter[authWsId]="+h.quays), "").want(t, 200, `identity.template == "Sea crew"`)
	h.do("viewer", "GET", env+"/identity-templates/Sea%20crew/identities/iris", "").want(t, 200, `"rank":["4"]`)
	h.read(func(tx *store.Tx) error {
		for b, err := range tx.Blocks.FindAll() {
			h.must(err)
			if b.Template == "Crew" || string(b.ID) == string(model.PredefinedBlockID(model.KindDynamicGroup, "Crew")) {
				t.Errorf("block %q names the old template", b.Name)
			}
		}
		return nil
	})
	h.sameAfterRestart("rename")
	h.do("admin", "POST", h.blocks("filter[identityWsId]="+h.crew), strings.Replace("package building_blocks\nimport rego.v1\n\n"+regoGroup("Crew people All Users", "", "7"), `"Crew"`, `"Sea crew"`, 1), regoType).
		want(t, 201, "name: Crew people All Users (1)") // the predefined group still has its name
	h.put(strings.ReplaceAll(regoPolicy("p1", "3", "A"), "Crew", "Sea crew")).wantHeaders(t, "Ambit-Result: unchanged")
}

func withoutRevision(answer string) string {
	_, body, _ := strings.Cut(answer, " ")
	return body
}

// MG-49, MG-15, MG-14: an import of sources creates and updates; it removes only with prune, and nothing that is linked.
func TestIdentitySources(t *testing.T) {
	h := newHarbour(t)
	path := crewPath + "/identity-sources"
	const (
		roster   = `{"sourceId":"roster","displayName":"Roster","sourceType":"EXTERNAL_INPUT","sourceMetaData":{"paaGroupId":"north_paa","viewName":"v_roster","n":1.50}}`
		licences = `{"sourceId":"licences","displayName":"Licences","sourceType":"EXTERNAL_INPUT"}`
		sum      = `{"sourceId":"sum","displayName":"Sum","sourceType":"CALCULATED","sourceMetaData":{}}`
	)
	sources := func(list ...string) string { return `{"sources":[` + strings.Join(list, ",") + `]}` }
	h.do("viewer", "GET", path, "").want(t, 200, `{"data":{"sources":[]}}`)
	h.unchanged("dry run", func() {
		h.do("admin", "PUT", path+"?dryRun=true", sources(roster)).want(t, 200, `"roster"`).wantHeaders(t, "Ambit-Result: updated")
	})
	h.do("admin", "PUT", path, `{"data":`+sources(roster, sum)+`}`).want(t, 200, `{"data":`+sources(roster, sum)+`}`)
	h.do("admin", "PUT", path, sources(licences)).want(t, 200, `{"data":`+sources(licences, roster, sum)+`}`)
	h.unchanged("second time", func() {
		h.do("admin", "PUT", path, sources(roster, licences, sum)).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged")
		h.do("admin", "PUT", path, sources()).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged")
	})
	h.do("viewer", "GET", path, "").want(t, 200, `{"data":`+sources(licences, roster)+`}`)
	h.do("viewer", "GET", peoplePath+"/"+h.crew+"/identity-sources?includeUnimportableSources=True", "").want(t, 200, `{"data":`+sources(licences, roster, sum)+`}`)
	h.do("admin", "POST", crewPath+"/mapper-sets", mapperSetOn("Ranks", "roster", "rank")).want(t, 201)
	h.unchanged("refusals", func() {
		h.do("admin", "PUT", path+"?prune=true", sources(licences)).want(t, 409, "MGT-009", "IdentitySource: [roster] is used by mapper set: [Ranks]")
		h.do("admin", "PUT", path, sources(`{"sourceId":"other","displayName":"O","sourceType":"CALCULATED"}`)).want(t, 409, "MGT-008", "IdentitySource: [CALCULATED] already exists")
		h.do("admin", "PUT", path, sources(roster, roster)).want(t, 400, "/sources/1: id roster stands more than once")
		h.do("admin", "PUT", path, sources(roster, `{"sourceId":"","displayName":"","sourceType":""}`)).want(t, 400, "/sources/1/sourceId: is empty", "/sources/1/displayName: is empty")
		h.do("admin", "PUT", path+"?prune=maybe", sources()).want(t, 400, "prune")
		h.do("admin", "PUT", peoplePath+"/Krew/identity-sources", sources()).want(t, 404, "IdentityTemplate: [Krew] not found")
		h.do("viewer", "PUT", path, sources()).want(t, 403, "for resource IdentitySource")
	})
	h.do("admin", "PUT", path+"?prune=true", sources(roster)).want(t, 200, `{"data":`+sources(roster)+`}`).wantHeaders(t, "Ambit-Result: updated")
	h.do("admin", "PUT", path+"?prune=true", sources(roster, `{"sourceId":"total","displayName":"T","sourceType":"CALCULATED"}`)).want(t, 200)
	h.do("admin", "PUT", path+"?prune=true", sources(roster, `{"sourceId":"new","displayName":"T","sourceType":"CALCULATED"}`)).want(t, 200) // in the place of the other
}

// MG-49, MG-43: renaming a source reaches mapper sets, whose other keys stay, and API mappers, which keep an id that
// another template's source has too.
func TestIdentitySourceRename(t *testing.T) {
	h := newHarbour(t)
	const source = `{"sources":[{"sourceId":"roster","displayName":"Roster","sourceType":"EXTERNAL_INPUT"}]}`
	path := crewPath + "/identity-sources/roster"
	h.do("admin", "PUT", crewPath+"/identity-sources", source).want(t, 200)
	const linked = `"linkedSources":[{"x":{"sourceId":"roster"},"additionalProps":{"cacheDuration":1.50},"sourceUsedAs":"MAIN","sourceId":"roster","mappers":[{"type":"IDENTITY_ATTRIBUTES","mappings":[{"origin":"roster","target":"uid"}]}]}]`
	h.do("admin", "POST", crewPath+"/mapper-sets", `{"mapperSetId":"Ranks","displayName":"Ranks",`+linked+`}`).want(t, 201)
	h.do("admin", "POST", "/api/1.0/api-mapper-sets/"+envID+"?authWsId="+h.quays, mappersOn("roster")).want(t, 200)
	h.unchanged("refusals", func() {
		h.rename(crewPath+"/identity-sources/rooster", "/sourceId", "x").want(t, 404, "EMIS-001", "Identity Source: [rooster] not found, Hint: did you mean [roster]")
		h.rename(path, "/sourceId", "").want(t, 400, "/0/value: is empty")
		h.rename(path, "/sourceId", "x", `If-Match: "1"`).want(t, 412)
		h.rename(path+"?dryRun=true", "/sourceId", "people").want(t, 204)
	})
	h.rename(path, "/sourceId", "people").want(t, 204).wantHeaders(t, "Ambit-Result: updated")
	h.do("viewer", "GET", crewPath+"/mapper-sets/Ranks", "").want(t, 200, strings.Replace(linked, `"MAIN","sourceId":"roster"`, `"MAIN","sourceId":"people"`, 1))
	const mappers = "/api/1.0/api-mapper-sets/" + envID + "/harbour-app"
	h.do("viewer", "GET", mappers, "").want(t, 200, `"identitySourceIds":["people"]`)
	h.do("admin", "PUT", peoplePath+"/User/identity-sources", strings.ReplaceAll(source, "roster", "people")).want(t, 200)
	h.rename(peoplePath+"/User/identity-sources/people", "/sourceId", "users").want(t, 204)
	h.do("viewer", "GET", mappers, "").want(t, 200, `"identitySourceIds":["people","users"]`)
	h.rename(crewPath+"/identity-sources/people", "/sourceId", "users").want(t, 204)
	h.do("viewer", "GET", mappers, "").want(t, 200, `"identitySourceIds":["users"]`)
}

func mapperSetOn(id, source, attribute string) string {
	return `{"mapperSetId":"` + id + `","displayName":"` + id + `","linkedSources":[{"sourceId":"` + source + `","sourceUsedAs":"MAIN","additionalProps":{"isValidateUser":true,"cacheDuration":0},"mappers":[{"type":"IDENTITY_ATTRIBUTES","mappings":[{"origin":"c","target":"` + attribute + `"}]}]}]}`
}

// MG-50, MG-7, MG-14, MG-15, MG-17, MG-21: mapper sets one by one; one that is not there is EMTMS-001 with a hint.
func TestMapperSets(t *testing.T) {
	h := newHarbour(t)
	sets := crewPath + "/mapper-sets"
	h.do("viewer", "GET", sets+"/Ranks", "").want(t, 404, `"code":"EMTMS-001"`, `"name":"TemplateMapperSetNotFoundError"`, `"message":"Template Mapper Set: [Ranks] not found"`)
	h.do("admin", "PUT", crewPath+"/identity-sources", `{"sources":[{"sourceId":"roster","displayName":"Roster","sourceType":"EXTERNAL_INPUT"},{"sourceId":"licences","displayName":"L","sourceType":"EXTERNAL_INPUT"}]}`).want(t, 200)
	full := `{"mapperSetId":"Ranks","displayName":"Ranks of all","linkedSources":[{"sourceId":"roster","sourceUsedAs":"MAIN","additionalProps":{"isValidateUser":true,"cacheDuration":0},"mappers":[{"type":"IDENTITY_ATTRIBUTES","mappings":[{"origin":"emp_no","target":"uid"}]}]},` +
		`{"sourceId":"licences","sourceUsedAs":"AUX","additionalProps":{"cacheDuration":60},"mappers":[{"type":"IDENTITY_ATTRIBUTES","mappings":[{"origin":"level","target":"rank"}]},{"type":"CORRELATION","mappings":[{"origin":"uid","target":"emp_no","operator":"EQUALS"}]}]}]}`
	h.unchanged("dry run", func() { h.do("admin", "POST", sets+"?dryRun=true", full).want(t, 201, full) })
	a := h.do("admin", "POST", sets, full, "If-None-Match: *").want(t, 201, `{"data":`+full+`}`).wantHeaders(t, "Ambit-Result: created")
	h.do("admin", "POST", sets, `{"mapperSetId":"Other","displayName":"Other"}`).want(t, 201, `"linkedSources":[]`)
	h.do("viewer", "GET", sets+"?limit=1&offset=1", "").want(t, 200, `"data":[{"mapperSetId":"Ranks","displayName":"Ranks of all"}],"total":2,"limit":1,"offset":1`)
	h.do("viewer", "GET", peoplePath+"/"+h.crew+"/mapper-sets?detailed=True", "").want(t, 200, full, `"total":2`)
	h.do("viewer", "GET", sets+"?limit=0", "").want(t, 400, "MGT-003")
	h.do("viewer", "GET", peoplePath+"/"+h.crew+"/mapper-sets/Ranks", "", "If-None-Match: "+a.Header.Get("ETag")).want(t, 304)
	h.unchanged("refusals", func() {
		h.do("admin", "POST", sets, full).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged")
		h.do("admin", "POST", sets, full, "If-None-Match: *").want(t, 412)
		h.do("viewer", "GET", sets+"/ranks", "").want(t, 404, `"message":"Template Mapper Set: [ranks] not found, Hint: did you mean [Ranks, Other]"`)
		h.rename(sets+"/none", "/mapperSetId", "x").want(t, 404, "EMTMS-001")
		h.do("admin", "DELETE", sets+"/none", "").want(t, 404, "EMTMS-001")
		h.do("viewer", "GET", peoplePath+"/Krew/mapper-sets", "").want(t, 404, "IdentityTemplate: [Krew] not found")
		h.do("viewer", "GET", peoplePath+"/Krew/mapper-sets/Ranks", "").want(t, 404, "IdentityTemplate: [Krew] not found")
		h.do("admin", "POST", peoplePath+"/Krew/mapper-sets", full).want(t, 404, "IdentityTemplate: [Krew] not found")
		h.do("admin", "POST", sets, mapperSetOn("Bad", "rooster", "rank")).want(t, 404, `"code":"EMIS-001"`, `"name":"IdentitySourceNotFoundError"`, "Identity Source: [rooster] not found, Hint: did you mean [roster, licences]")
		h.do("admin", "POST", sets, mapperSetOn("Bad", "roster", "port")).want(t, 400, `/linkedSources/0/mappers/0/mappings/0/target: identity template \"Crew\" has no attribute \"port\"`)
		h.do("admin", "POST", sets, strings.Replace(full, `"AUX"`, `"MAIN"`, 1)).want(t, 400, "/linkedSources: has 2 MAIN sources", "/linkedSources/1/mappers/1/type: CORRELATION cannot stand at the MAIN source")
		h.do("admin", "POST", sets, strings.Replace(full, `"AUX"`, `"SIDE"`, 1)).want(t, 400, "/linkedSources/1/sourceUsedAs")
		h.do("admin", "POST", sets, `{"mapperSetId":"Bad","displayName":"Bad","linkedSources":[1]}`).want(t, 400, "/linkedSources: cannot be read")
		h.do("admin", "POST", sets, `{}`).want(t, 400, "/mapperSetId: is empty", "/displayName: is empty")
		h.rename(sets+"/Ranks", "/mapperSetId", "Other").want(t, 409, "MGT-008", "MapperSet: [Other] already exists")
		h.rename(sets+"/Ranks", "/mapperSetId", "x", `If-Match: "1"`).want(t, 412)
		h.do("admin", "DELETE", sets+"/Ranks", "").want(t, 409, "MGT-009", "MapperSet: [Ranks] is used by identity template: [Crew]")
		h.do("viewer", "DELETE", sets+"/Ranks", "").want(t, 403, "for resource MapperSet")
	})
	h.rename(sets+"/Ranks", "/mapperSetId", "By/rank %").want(t, 204).wantHeaders(t, "Ambit-Result: updated")
	h.do("viewer", "GET", sets+"/By%2Frank%20%25", "").want(t, 200, `"mapperSetId":"By/rank %"`) // MG-3
	h.do("admin", "POST", sets, mapperSetOn("Second", "roster", "uid")).want(t, 201)
	h.do("admin", "DELETE", sets+"/By%2Frank%20%25", "").want(t, 204).wantHeaders(t, "Ambit-Result: deleted")
	h.do("admin", "DELETE", sets+"/Other", "").want(t, 204)
}

// MG-53: what a source needs to be reached is not in audit events.
func TestIdentitySourceEvents(t *testing.T) {
	h := newHarbour(t)
	const source = `{"sources":[{"sourceId":"roster","displayName":"Roster","sourceType":"EXTERNAL_INPUT","sourceMetaData":{"password":"hush-hush-1"}}]}`
	h.do("admin", "PUT", crewPath+"/identity-sources", source).want(t, 200)
	h.rename(crewPath+"/identity-sources/roster", "/sourceId", "people").want(t, 204)
	for _, e := range h.events() {
		if strings.Contains(e.Before+e.After, "hush") {
			t.Errorf("event %s %s shows the metadata", e.Action, e.ResourceID)
		}
	}
	if strings.Contains(h.log.String(), "hush") {
		t.Error("the log shows the metadata")
	}
}
