package manage

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/store"
)

func workspaceRows() map[string]string {
	return map[string]string{
		"GET " + authorizationWorkspaces: "read", "POST " + authorizationWorkspaces: "write",
		"GET " + authorizationWorkspace: "read", "PUT " + authorizationWorkspace: "write", "PATCH " + authorizationWorkspace: "write",
		"DELETE " + authorizationWorkspace: "write",
		"GET " + identityWorkspaces:        "read", "POST " + identityWorkspaces: "write",
		"GET " + identityWorkspace: "read", "PUT " + identityWorkspace: "write", "PATCH " + identityWorkspace: "write",
		"DELETE " + identityWorkspace: "write",
		"GET " + matcher:              "read", "PUT " + matcher: "write", "DELETE " + matcher: "write",
	}
}

const (
	authWs     = env + "/authorization-workspaces"
	identityWs = env + "/identity-workspaces"
	newID      = "cccccccc-0f5e-4a77-9c1e-3d0a6f2b8e41"
)

// MG-60, PM-5, MG-6, MG-14, MG-15, MG-17: authorization workspaces are made, read, replaced, patched and deleted.
func TestAuthorizationWorkspaces(t *testing.T) {
	h := newHarbour(t)
	h.unchanged("dry run", func() {
		h.do("admin", "POST", authWs+"?dryRun=true", `{"name":"Piers"}`).want(t, 201, `{"data":{"id":null,"name":"Piers",`).
			wantHeaders(t, "Location: ", "Ambit-Result: created", "Ambit-Dry-Run: true")
	})
	a := h.do("admin", "POST", authWs, `{"data":{"id":"`+strings.ToUpper(newID)+`","name":"Two  blanks","description":"","bare":true}}`).
		want(t, 201, `{"data":{"id":"`+newID+`","name":"Two  blanks","description":"",`).
		wantHeaders(t, "Location: "+authWs+"/"+newID, "Ambit-Result: created")
	one := authWs + "/" + newID
	h.do("viewer", "GET", one, "", "If-None-Match: "+a.Header.Get("ETag")).want(t, 304)
	h.unchanged("refusals", func() {
		h.do("admin", "POST", authWs, `{"id":"`+newID+`","name":"Piers"}`).want(t, 409, "MGT-008", "AuthorizationWorkspace: ["+newID+"] already exists")
		h.do("admin", "POST", authWs, `{"name":"Two  blanks"}`).want(t, 409, "MGT-008", "AuthorizationWorkspace: [Two  blanks] already exists")
		h.do("admin", "POST", authWs, `{"id":"x","name":"Piers"}`).want(t, 422, "V-032")
		h.do("admin", "POST", authWs, `{"name":"","logoUrl":"ftp://x"}`).want(t, 400, "/name: is empty", "/logoUrl: is not an absolute")
		h.do("admin", "PUT", one, `{"name":"Quays"}`).want(t, 409, "[Quays] already exists")
		h.do("admin", "PUT", one, `{"id":"`+goneID+`","name":"Piers"}`).want(t, 400, "/id: differs from that of the path")
		h.do("admin", "PUT", one, `{"name":"Two  blanks","description":""}`).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged")
		h.do("admin", "PATCH", authWs+"/"+goneID, `{"name":"x"}`).want(t, 404, "MGT-006", "AuthorizationWorkspace: ["+goneID+"] not found")
		h.do("admin", "PATCH", one, `{"name":null}`).want(t, 400, "/name: is empty")
		h.do("admin", "PATCH", one, `{"name":"x"}`, "If-Match: \"1\"").want(t, 412, "MGT-011")
		h.do("admin", "PUT", one, `{"name":"x"}`, "If-None-Match: *").want(t, 412)
		h.do("admin", "DELETE", one, "", "If-Match: \"1\"").want(t, 412)
		h.do("admin", "DELETE", authWs+"/"+goneID, "").want(t, 404)
		h.do("viewer", "DELETE", one, "").want(t, 403, "Operation DELETE for resource AuthorizationWorkspace")
		h.do("admin", "GET", authWs+"/x", "").want(t, 422, "V-032", "$: x is an invalid uuid")
		h.do("viewer", "PUT", authWs+"/x", "{}").want(t, 422)
	})
	h.do("admin", "PATCH", one, `{"description":null,"logoUrl":"https://x.example/l.png"}`, "If-Match: "+a.Header.Get("ETag")).
		want(t, 200, `"name":"Two  blanks","logoUrl":"https://x.example/l.png","createdAt"`).wantHeaders(t, "Ambit-Result: updated")
	h.do("admin", "PUT", authWs+"/"+otherID, `{"name":"Full"}`).want(t, 201).wantHeaders(t, "Ambit-Result: created")
	h.read(func(tx *store.Tx) error {
		claims, err := tx.AssetTemplates.Find("Claims")
		if err != nil || string(claims.WorkspaceID) == otherID {
			t.Errorf("ids that are taken are passed over: %v %v", claims, err)
		}
		return nil
	})
	h.do("admin", "DELETE", one, "").want(t, 204).wantHeaders(t, "Ambit-Result: deleted")
	h.do("viewer", "GET", one, "").want(t, 404)
}

// MG-7, MG-8: both lists of workspaces have windows, counters and a filter.
func TestWorkspaceLists(t *testing.T) {
	h := newHarbour(t)
	for _, path := range []string{authWs, identityWs} {
		h.do("viewer", "GET", path+"?limit=1&offset=1", "").want(t, 200, `"limit":1,"offset":1,"meta":{"total":`)
		h.do("viewer", "GET", path+"?limit=5000", "").want(t, 200, `"limit":1000`)
		h.do("viewer", "GET", path+"?offset=500", "").want(t, 200, `"data":[]`)
		for _, bad := range []string{"limit=0", "limit=x", "limit=", "offset=-1", "offset=9223372036854775808"} {
			h.do("viewer", "GET", path+"?"+bad, "").want(t, 400, "MGT-003")
		}
		h.do("viewer", "GET", path+"?filter%5Bname%5D=none", "").want(t, 200, `"total":0`)
	}
	h.do("viewer", "GET", authWs+"?filter[name]=Quays", "").want(t, 200, `"total":1`, `"id":"`+h.quays+`"`)
	h.do("viewer", "GET", identityWs+"?filter[name]=Crew%20people", "").want(t, 200, `"total":1`, `"identityTemplateId":"Crew","matchers":[]`)
}

// MG-19: with the setting on, a write that replaces or deletes needs If-Match.
func TestWorkspaceRequiresIfMatch(t *testing.T) {
	h := newHarbour(t)
	h.do("admin", "PATCH", env, `{"settings":{"requireIfMatch":true}}`).want(t, 200)
	for _, path := range []string{authWs + "/" + h.docks, identityWs + "/" + h.crew} {
		h.do("admin", "PATCH", path, `{"description":"x"}`).want(t, 428, "MGT-013")
		h.do("admin", "DELETE", path, "").want(t, 428)
		tag := h.do("admin", "GET", path, "").Header.Get("ETag")
		h.do("admin", "PATCH", path, `{"description":"x"}`, "If-Match: "+tag).want(t, 200)
	}
	path := identityWs + "/" + h.crew + "/matcher"
	a := h.do("admin", "PUT", path, matcherOn("$.kind")).want(t, 201)
	h.do("admin", "PUT", path, matcherOn("$.sort")).want(t, 428)
	h.do("admin", "PUT", path, matcherOn("$.sort"), "If-Match: "+a.Header.Get("ETag")).want(t, 200)
	h.do("admin", "PATCH", "/api/1.0/identity-templates/"+envID+"/Crew", patch("/templateId", "Sailors")).want(t, 204)
}

// MG-60, MG-53, PM-16: a workspace with policies goes only by cascade, with everything in it, and decisions follow at that
// revision.
func TestWorkspaceCascade(t *testing.T) {
	h := newHarbour(t)
	crewPeople(h)
	h.do("admin", "POST", "/api/1.0/api-mapper-sets/"+envID+"?authWsId="+h.quays, mappersOn("roster")).want(t, 200)
	h.do("admin", "PUT", authWs+"/"+h.quays+"/request-attributes/channel", `{"id":"channel","displayName":"Channel"}`).want(t, 201)
	h.put(regoPolicy("p1", "3", "A", "applications:", "  - id: harbour-app"))
	d := h.decisions()
	before := d.ask(t, crew("Crew", "iris"))
	if !strings.Contains(before, "quay/7") {
		t.Fatalf("iris sees nothing: %s", before)
	}
	one := authWs + "/" + h.quays
	h.unchanged("without cascade", func() {
		h.do("admin", "DELETE", one, "").want(t, 409, "MGT-009", "AuthorizationWorkspace: ["+h.quays+"] is used by policy: [p1]")
		h.do("admin", "DELETE", one+"?cascade=perhaps", "").want(t, 400, "cascade")
		h.do("admin", "DELETE", one+"?cascade=True&dryRun=true", "").want(t, 204)
	})
	n := len(h.events())
	a := h.do("admin", "DELETE", one+"?cascade=true", "").want(t, 204)
	events := h.since(n)
	for _, want := range []string{"DELETE ROLE p1", "DELETE APPLICATION harbour-app", "DELETE ASSET_TEMPLATE Cargo", "UPDATE SCOPE portal", "DELETE AUTHORIZATION_WORKSPACE " + h.quays, "DELETE API_MAPPER_SET harbour-app", "DELETE REQUEST_ATTRIBUTE channel"} {
		if !slices.Contains(events, want) {
			t.Errorf("no event %s in %v", want, events)
		}
	}
	after := d.ask(t, crew("Crew", "iris"))
	if !strings.HasPrefix(after, a.Header.Get("Ambit-Revision")+" ") || strings.Contains(after, "quay/7") {
		t.Errorf("revision %s is answered %s", a.Header.Get("Ambit-Revision"), after)
	}
	h.read(func(tx *store.Tx) error {
		left := 0
		for b, err := range tx.Blocks.FindAll() {
			h.must(err)
			if string(b.WorkspaceID) == h.quays {
				left++
			}
		}
		assets, err := tx.Assets("Cargo").Count()
		h.must(err)
		if left > 0 || assets > 0 {
			t.Errorf("%d blocks and %d assets are left", left, assets)
		}
		return nil
	})
	h.do("viewer", "GET", "/api/1.0/asset-templates/"+envID+"/Crane", "").want(t, 200)
	h.sameAfterRestart("cascade")
}

// crewPeople stores iris, who has rank 4, and an asset at berth A.
func crewPeople(h *harbour) {
	h.t.Helper()
	h.do("admin", "PUT", env+"/identity-templates/Crew/identities/iris", `{"attributes":{"rank":["4"]}}`).want(h.t, 201)
	h.do("admin", "PUT", env+"/asset-templates/Cargo/assets/quay%2F7", `{"attributes":{"berth":["A"]}}`).want(h.t, 201)
}

// mappersOn is the API mapper set of harbour-app, whose mapper reads a source.
func mappersOn(source string) string {
	return `{"apiMappersSetId":"harbour-app","applicationIds":["harbour-app"],"apiMappers":[{"mapperId":"cargo-read","displayName":"Read cargo","isActive":true,"matchPattern":"/cargo","matchType":"EXACT","restMethods":["GET"],"priority":1,"isRequireIdentitySourcesFiltering":true,"filteringType":"INCLUDE","identitySourceIds":["` + source + `"],` +
		`"assetTemplates":[{"templateId":"Cargo","attributes":[{"attributeId":"berth","source":"PATH","path":"[2]"}],"actions":[{"actionId":"View","source":"METHOD","value":"GET"}]}]}]}`
}

// MG-60: an identity workspace has one template, whose id is the workspace's name without blanks unless it is given, and
// an empty mapper set.
func TestIdentityWorkspaces(t *testing.T) {
	h := newHarbour(t)
	h.unchanged("dry run", func() {
		h.do("admin", "POST", identityWs+"?dryRun=true", `{"name":"Two  blanks"}`).want(t, 201, `{"data":{"id":null,"name":"Two  blanks","identityTemplateId":"Twoblanks","matchers":[],`)
	})
	h.do("admin", "POST", identityWs, `{"id":"`+newID+`","name":"Tug boats","matchers":[`+matcherOn("$.kind")+`]}`).
		want(t, 201, `"identityTemplateId":"Tugboats","matchers":[{"templateMatcher":"$.kind","matcherValue":"crew","identityIdMapper":"$.sub","claimMappings":{},"tokenHeader":"Authorization","validateJwt":true,"jwtSettings":null}]`)
	const template = "/api/1.0/identity-templates/" + envID + "/Tugboats"
	h.do("viewer", "GET", template, "").want(t, 200, `{"data":{"templateId":"Tugboats","attributes":[{"attributeId":"uid","displayName":"User ID","description":"","type":"STRING",`)
	h.do("viewer", "GET", template+"/mapper-sets", "").want(t, 200, `"data":[{"mapperSetId":"Tug_boats_MapperSet","displayName":"Tug boats_MapperSet"}]`)
	h.do("viewer", "GET", h.blocks("filter[identityWsId]="+newID), "").want(t, 200, "name: Tug boats All Users")
	h.do("admin", "POST", identityWs, `{"name":"Bare","bare":true}`).want(t, 201)
	long := strings.Repeat("é", 99) + " "
	h.do("admin", "POST", identityWs, `{"name":"`+long+`","identityTemplateId":"Long"}`).want(t, 201)
	set := strings.TrimSuffix(strings.TrimPrefix(h.do("viewer", "GET", "/api/1.0/identity-templates/"+envID+"/Long/mapper-sets/"+url.PathEscape(long[:180]+"_MapperSet"), "").want(t, 200).body, `{"data":`), "}")
	h.do("admin", "POST", "/api/1.0/identity-templates/"+envID+"/Long/mapper-sets", set).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged")
	h.do("viewer", "GET", "/api/1.0/identity-templates/"+envID+"/Bare/mapper-sets", "").want(t, 200, `"total":0`)
	one := identityWs + "/" + newID
	h.unchanged("refusals", func() {
		h.do("admin", "POST", identityWs, `{"name":"Other","identityTemplateId":"Crew"}`).want(t, 409, "MGT-008", "IdentityTemplate: [Crew] already exists")
		h.do("admin", "POST", identityWs, `{"name":"Crew people"}`).want(t, 409, "IdentityWorkspace: [Crew people] already exists")
		h.do("admin", "POST", identityWs, `{"name":"Other","identityTemplateId":" x"}`).want(t, 400, "/identityTemplateId: begins or ends with a blank")
		h.do("admin", "PUT", one, `{"name":"Tug boats","identityTemplateId":"Tugs"}`).want(t, 409, "IdentityTemplate: [Tugboats] already exists")
		h.do("admin", "PUT", one, `{"name":"Tug boats","matchers":[`+matcherOn("a")+`,`+matcherOn("b")+`]}`).want(t, 400, "/matchers: has 2 items")
		h.do("admin", "PUT", one, `{"name":"Tug boats","matchers":[`+matcherOn("a[")+`]}`).want(t, 400, "/matchers/0/templateMatcher: not a path")
		h.do("admin", "POST", identityWs, `{"name":"Other","matchers":[`+matcherOn("$.kind")+`]}`).want(t, 409, "MGT-008", "Matcher: [$.kind = crew] already exists")
	})
	h.do("admin", "PATCH", one, `{"name":"Tugs","matchers":null}`).want(t, 200, `"name":"Tugs","identityTemplateId":"Tugboats","matchers":[]`)
	h.do("viewer", "GET", h.blocks("filter[identityWsId]="+newID), "").want(t, 200, "name: Tugs All Users")
	h.do("admin", "DELETE", one, "").want(t, 204)
	h.do("viewer", "GET", template, "").want(t, 404)
	h.sameAfterRestart("identity workspace")
}

// MG-60, PM-16: an identity workspace that something uses stays; one that nothing uses goes with everything in it.
func TestIdentityWorkspaceDelete(t *testing.T) {
	h := newHarbour(t)
	crewPeople(h)
	d := h.decisions()
	one := identityWs + "/" + h.crew
	h.put(regoPolicy("p1", "3", "A"))
	h.unchanged("group in use", func() {
		h.do("admin", "DELETE", one, "").want(t, 409, "MGT-009", "IdentityWorkspace: ["+h.crew+"] is used by policy: [p1]")
	})
	h.do("admin", "DELETE", h.policies("&filter[id]=p1"), "").want(t, 204)
	for kind, block := range map[string]string{
		"Ruleset":            regoMetadata("Ruleset", "Same rank", "") + "ruleset(asset, identity, requestParams, action) if {\n\tasset.template == \"Cargo\"\n\tidentity.template == \"Crew\"\n\tasset[\"berth\"] == identity[\"rank\"]\n}",
		"Condition Identity": regoMetadata("Condition Identity", "Same rank", "") + "condition_identity(identity) if {\n\tidentity.template == \"Crew\"\n\tidentity[\"rank\"] > 2\n}",
	} {
		h.do("admin", "POST", h.blocks("filter[authWsId]="+h.quays), "package building_blocks\nimport rego.v1\n\n"+block, regoType).want(t, 201)
		h.unchanged(kind, func() {
			h.do("admin", "DELETE", one, "").want(t, 409, "IdentityTemplate: [Crew] is used by building block: [Same rank]")
		})
		word := strings.ToLower(strings.ReplaceAll(kind, " ", "-"))
		h.do("admin", "DELETE", h.blocks("filter[authWsId]="+h.quays+"&filter[kind]="+word+"&filter[name]=Same%20rank"), "").want(t, 200)
	}
	a := h.do("admin", "DELETE", one, "").want(t, 204)
	if got := d.ask(t, crew("Crew", "iris")); !strings.Contains(got, "Identity Templates") {
		t.Errorf("%s: %s", a.Header.Get("Ambit-Revision"), got)
	}
	h.read(func(tx *store.Tx) error {
		people, err := tx.Identities("Crew").Count()
		h.must(err)
		for b, err := range tx.Blocks.FindAll() {
			h.must(err)
			if string(b.WorkspaceID) == h.crew {
				people++
			}
		}
		if people > 0 {
			t.Errorf("%d blocks or identities are left", people)
		}
		return nil
	})
	h.sameAfterRestart("identity workspace")
}

func matcherOn(path string) string {
	return fmt.Sprintf(`{"templateMatcher":%q,"matcherValue":"crew","identityIdMapper":"$.sub"}`, path)
}

// MG-60, PM-12, runtime-api.md 5.2 and 4.3: paths and JWT settings of a matcher are checked, its pair is unique, and it is a part
// of its workspace's version.
func TestMatcher(t *testing.T) {
	h := newHarbour(t)
	path := identityWs + "/" + h.crew + "/matcher"
	h.do("viewer", "GET", path, "").want(t, 404, "MGT-006", "Matcher: ["+h.crew+"] not found")
	h.do("admin", "DELETE", path, "").want(t, 404)
	full := `{"templateMatcher":"$['https://x/kind'][0]","matcherValue":"crew","identityIdMapper":"ids[*].sub","claimMappings":{"rank":"$.rank"},"tokenHeader":"X-User-Token","validateJwt":false,` +
		`"jwtSettings":{"jwksUrls":["https://login.example.org/keys"],"issuers":["https://login.example.org/"],"audiences":["harbour"],"clientIdClaim":null}}`
	h.unchanged("dry run", func() { h.do("admin", "PUT", path+"?dryRun=true", full).want(t, 201) })
	a := h.do("admin", "PUT", path, full, "If-None-Match: *").want(t, 201, strings.TrimSuffix(full, "}")).wantHeaders(t, "Ambit-Result: created")
	tag := a.Header.Get("ETag")
	h.do("viewer", "GET", path, "").want(t, 200).wantHeaders(t, "ETag: "+tag)
	h.do("viewer", "GET", identityWs+"/"+h.crew, "").want(t, 200, `"matchers":[{"templateMatcher"`).wantHeaders(t, "ETag: "+tag)
	h.unchanged("refusals", func() {
		h.do("admin", "PUT", path, full).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged")
		h.do("admin", "PUT", path, full, "If-None-Match: *").want(t, 412)
		h.do("admin", "PUT", path, full, "If-Match: \"1\"").want(t, 412)
		h.do("admin", "PUT", path, `{}`).want(t, 400, "/templateMatcher: is empty", "/matcherValue: is empty", "/identityIdMapper: is empty")
		for _, bad := range []string{"$..kind", "$.a[?(@.b)]", "$.", "a[x]", "a['b'", "$.*"} {
			h.do("admin", "PUT", path, matcherOn(bad)).want(t, 400, "/templateMatcher: not a path of the supported form")
		}
		for body, want := range map[string]string{
			`"claimMappings":{"port":"$.port"}`:                                    `identity template \"Crew\" has no attribute \"port\"`,
			`"claimMappings":{"uid":"$.sub"}`:                                      "/claimMappings/uid: uid is always",
			`"claimMappings":{"rank":"$.["}`:                                       "/claimMappings/rank: not a path",
			`"tokenHeader":"X User"`:                                               "/tokenHeader: is not the name of a header",
			`"jwtSettings":{"jwksUrls":["http://login.example.org/keys"]}`:         "/jwtSettings/jwksUrls/0: is not https",
			`"jwtSettings":{"jwksUrls":["https://x.example/k"],"issuers":["i"]}`:   "/jwtSettings/audiences: is empty",
			`"jwtSettings":{"jwksUrls":["https://x.example/k"],"audiences":["i"]}`: "/jwtSettings/issuers: is empty",
			`"jwtSettings":{"clientIdClaim":"$..azp"}`:                             "/jwtSettings/clientIdClaim: not a path",
		} {
			h.do("admin", "PUT", path, `{"templateMatcher":"$.kind","matcherValue":"crew","identityIdMapper":"$.sub",`+body+`}`).want(t, 400, want)
		}
		h.do("admin", "PUT", "/api/1.0/identity-templates/"+envID+"?identityWsId="+h.crew, "").want(t, 405)
		h.do("admin", "POST", "/api/1.0/identity-templates/"+envID+"?identityWsId="+h.crew, `{"templateId":"Crew","attributes":[]}`).
			want(t, 409, "Attribute: [rank] is used by matcher: ["+h.crew+"]")
	})
	other := h.do("admin", "POST", identityWs, `{"id":"`+newID+`","name":"Tugs"}`).want(t, 201)
	h.do("admin", "PUT", identityWs+"/"+newID+"/matcher", `{"templateMatcher":"$['https://x/kind'][0]","matcherValue":"crew","identityIdMapper":"$.x"}`).
		want(t, 409, "MGT-008", "Matcher: [$['https://x/kind'][0] = crew] already exists")
	h.do("admin", "PUT", identityWs+"/"+newID+"/matcher", `{"templateMatcher":"$['https://x/kind'][0]","matcherValue":"tug","identityIdMapper":"$.x"}`, "If-Match: "+other.Header.Get("ETag")).want(t, 412)
	h.do("admin", "PUT", identityWs+"/"+newID+"/matcher", `{"templateMatcher":"$['https://x/kind'][0]","matcherValue":"tug","identityIdMapper":"$.x"}`).want(t, 201)
	h.do("admin", "DELETE", path, "", "If-Match: "+tag).want(t, 204).wantHeaders(t, "Ambit-Result: deleted")
	h.do("viewer", "GET", path, "").want(t, 404)
}

// MG-60, PM-12, RT-41: a matcher on a header chooses the identity from the revision on at which it is stored.
func TestMatcherDecides(t *testing.T) {
	h := newHarbour(t)
	crewPeople(h)
	h.put(regoPolicy("p1", "3", "A"))
	d := h.decisions()
	const question = `{}`
	if got := d.ask(t, question, "X-Badge: iris", "X-Kind: crew"); strings.Contains(got, "quay/7") {
		t.Errorf("without a matcher: %s", got)
	}
	h.do("admin", "PUT", identityWs+"/"+h.crew+"/matcher", `{"templateMatcher":"$.headers.X-Kind","matcherValue":"crew","identityIdMapper":"$.headers.X-Badge"}`).want(t, 201)
	if got := d.ask(t, question, "X-Badge: iris", "X-Kind: crew"); !strings.Contains(got, "quay/7") {
		t.Errorf("with a matcher: %s", got)
	}
	h.do("admin", "DELETE", identityWs+"/"+h.crew+"/matcher", "").want(t, 204)
	if got := d.ask(t, question, "X-Badge: iris", "X-Kind: crew"); strings.Contains(got, "quay/7") {
		t.Errorf("after the matcher: %s", got)
	}
}
