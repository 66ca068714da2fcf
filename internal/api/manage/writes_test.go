package manage

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/token"
)

// aWrite is a call that changes something in the world of TestEveryWrite when its turn comes.
type aWrite struct {
	route        string // method and pattern; "" = another call on the route before
	target, body string
	headers      []string
	kind         writeKind
}

// writeKind says which rules of management-api.md 1.6 a write has besides the dry run.
type writeKind int

const (
	changing writeKind = 1 << iota // a second call would be another change: creations under a new id, renames, secrets
	several                        // no single object is the target, so that there is nothing to compare a version with
	deleting
)

// noWrites are calls that are not GET and store nothing of an environment, each with the test that has it.
var noWrites = map[string]string{
	"POST /api/1.0/api-key/token": "TestToken", "POST " + oauthToken: "TestOAuthToken", "POST " + realmToken: "TestOAuthToken",
	"POST " + oauthRevoke: "TestOAuthRevoke", "POST " + oauthIntrospect: "TestOAuthIntrospect",
	"POST " + policies2 + "/validation": "TestPolicyErrors", "POST " + policies1 + "/validation": "TestPolicyV1", "POST " + blocks + "/validation": "TestBlocks",
	"POST " + policiesSearch: "TestPolicySearch", "POST " + environment + "/impact": "TestImpactOfPolicy", "POST " + reportsPath: "TestReport",
}

// MG-14, MG-15, MG-17: every write of every route: its dry run has the status, the headers and the body of the real call and
// leaves nothing; a version that is not the object's is 412 and leaves nothing; the same write again is unchanged. A route
// without a row fails.
func TestEveryWrite(t *testing.T) {
	h := newHarbour(t)
	h.keyed(token.AnswerKeysOptions{Secrets: h.options.Secrets})
	seen := map[string]bool{}
	state := h.state()
	for _, c := range h.writes() {
		state = h.write(c, state)
		seen[c.route] = true
	}
	for pattern, m := range h.handler.(*router).paths {
		for _, method := range m.names {
			route := method + " " + pattern
			if method == http.MethodGet || method == http.MethodHead || strings.HasPrefix(pattern, attributeMapping) || noWrites[route] != "" {
				continue
			}
			if !seen[route] {
				t.Errorf("no row for %s", route)
			}
		}
	}
}

// write makes one call in all ways; before is the state that it finds.
func (h *harbour) write(c aWrite, before string) (after string) {
	t := h.t
	t.Helper()
	method, _, _ := strings.Cut(c.route, " ")
	if strings.HasSuffix(c.target, "{living}") { // which the server chose
		list := h.do("tenant", "GET", strings.TrimSuffix(c.target, "/{living}"), "").want(t, http.StatusOK, `"id":"`)
		_, id, _ := strings.Cut(list.body, `"id":"`)
		id, _, _ = strings.Cut(id, `"`)
		c.target = strings.Replace(c.target, "{living}", id, 1)
	}
	do := func(header string) answer {
		return h.do("tenant", method, c.target, c.body, append(slices.Clone(c.headers), header)...)
	}
	unchanged := func(what string) {
		after = h.state()
		if before != after {
			t.Errorf("%s %s: %s left a trace", method, c.target, what)
		}
		before = after
	}
	dry := do("Ambit-Dry-Run: true").wantHeaders(t, "Ambit-Dry-Run: true")
	unchanged("a dry run")
	if c.kind&several == 0 {
		do(`If-Match: "0"`).want(t, http.StatusPreconditionFailed, "MGT-011")
		unchanged("a write of another version")
	}
	real := do("Ambit-Dry-Run: false")
	if d := cmp.Diff(outcome(dry), outcome(real)); d != "" || real.StatusCode/100 != 2 {
		t.Errorf("%s %s: the dry run and the real call differ:\n%s", method, c.target, d)
	}
	if after = h.state(); after == before {
		t.Errorf("%s %s: the real call leaves no trace: %s", method, c.target, real.body)
	}
	if c.kind&(changing|several) == changing && method == http.MethodPost && strings.Contains(c.body, `"id":"`) {
		do("If-None-Match: *").want(t, http.StatusPreconditionFailed)
	}
	if before = after; c.kind&(changing|deleting) != 0 {
		return after
	}
	if result := do("Ambit-Dry-Run: false").Header.Get("Ambit-Result"); result != "unchanged" {
		t.Errorf("%s %s again is %s", method, c.target, result)
	}
	if c.kind&several == 0 && method != http.MethodPatch {
		do("If-None-Match: *").want(t, http.StatusPreconditionFailed)
	}
	unchanged("the same again")
	return after
}

// state is all that a write could leave, but for logins, which are recorded a moment later: revisions, the number of events and every object that an export or the tenant's
// calls show.
func (h *harbour) state() string {
	h.t.Helper()
	var out strings.Builder
	for _, target := range []string{
		environments, auditPath + "?limit=1&filter[action][not-like]=LOGIN%25", credentialsPath + "?filter[ownerId]=" + envID, env + "/scopes", env + "/jwt-settings",
		env + "/signing-keys", keySetPath, paaPath, northPath + "/sources", northPath + "/views", env + "/export?format=tar&include=assets,identities,scopes",
	} {
		if _, a := h.ask("tenant", "GET", target, ""); a.StatusCode == http.StatusOK {
			fmt.Fprintln(&out, target, a.body)
		}
	}
	fmt.Fprint(&out, h.revision(), len(h.events()))
	return out.String()
}

var (
	generated     = regexp.MustCompile(`"(id|secret|sourceId|reportId)":("[^"]*"|null)`)
	generatedRego = regexp.MustCompile(`(?m)^#     id: .*\n`)
	timely        = regexp.MustCompile(`,"(createdAt|updatedAt)":("[^"]*"|null)|,"revision":\d+|,?"(dryRun|committed)":(true|false)`)
)

// outcome is what an answer says of the change, without what only a real one can know: new ids, secrets, times and the
// revision.
func outcome(a answer) string {
	out := fmt.Sprintln(a.StatusCode, a.body)
	out = generatedRego.ReplaceAllString(generated.ReplaceAllString(timely.ReplaceAllString(out, ""), ""), "")
	for _, name := range []string{"Ambit-Result", "Content-Type", "Ambit-Warnings", "Ambit-Affected-Policies"} {
		out += name + ": " + a.Header.Get(name) + "\n"
	}
	return out
}

// writes are the calls of TestEveryWrite in their order: what is deleted was made by a row before.
func (h *harbour) writes() []aWrite {
	return slices.Concat(h.writesOfTenant(), h.writesOfWorkspaces(), h.writesOfTypes(), h.writesOfPeople(), h.writesOfPolicies(), h.writesOfScopes(), h.writesOfSigningKeys(), h.writesOfSources(), h.writesOfRecords(), h.writesAtLast())
}

func (h *harbour) writesOfTenant() []aWrite {
	attribute := strings.NewReplacer("{envId}", envID, "{key}", "port").Replace(customAttribute)
	return []aWrite{
		{route: "POST " + environments, target: environments, body: `{"id":"` + goneID + `","name":"New"}`, kind: changing},
		{route: "DELETE " + environment, target: environments + "/" + goneID + "?name=New", kind: deleting},
		{route: "POST " + credentialsPath, target: credentialsPath, body: `{"ownerId":"` + envID + `","name":"pipeline"}`, kind: changing | several},
		{route: "PUT " + credentialPath, target: credentialsPath + "/viewer", body: `{"name":"reader","permission":"VIEWER"}`},
		{route: "POST " + credentialPath + "/secrets", target: credentialsPath + "/viewer/secrets", kind: changing},
		{route: "DELETE " + credentialPath, target: credentialsPath + "/viewer", kind: deleting},
		{route: "PUT " + environment, target: env, body: `{"name":"Test","description":"The port"}`},
		{route: "PATCH " + environment, target: env, body: `{"description":"The old port"}`},
		{route: "PUT " + environment + "/jwt-settings", target: env + "/jwt-settings", body: goodJWT},
		{route: "PUT " + customAttributes, target: env + "/custom-attributes", body: `[{"key":"port","name":"Port","type":"string"}]`, kind: several},
		{route: "PUT " + customAttribute, target: attribute, body: `{"key":"port","name":"The port","type":"string"}`},
		{route: "DELETE " + customAttribute, target: attribute, kind: deleting},
		{route: "POST " + caches + "/identity/{envId}/invalidate", target: caches + "/identity/" + envID + "/invalidate", body: `{"identityId":"iris"}`, kind: several | changing},
		{route: "POST " + caches + "/response/{envId}/invalidate", target: caches + "/response/" + envID + "/invalidate", body: `{}`, kind: several | changing},
	}
}

func (h *harbour) writesOfWorkspaces() []aWrite {
	piers, tugs := authWs+"/"+newID, identityWs+"/"+newID
	match := identityWs + "/" + h.crew + "/matcher"
	request := requestAttributesOf(h.quays) + "/channel"
	return []aWrite{
		{route: "POST " + authorizationWorkspaces, target: authWs, body: `{"id":"` + newID + `","name":"Piers","bare":true}`, kind: changing},
		{route: "PUT " + authorizationWorkspace, target: piers, body: `{"name":"Piers","description":"Old ones"}`},
		{route: "PATCH " + authorizationWorkspace, target: piers, body: `{"name":"Old piers"}`},
		{route: "DELETE " + authorizationWorkspace, target: piers, kind: deleting},
		{route: "POST " + identityWorkspaces, target: identityWs, body: `{"id":"` + newID + `","name":"Tugs"}`, kind: changing},
		{route: "PUT " + identityWorkspace, target: tugs, body: `{"name":"Tugs","description":"Small ships"}`},
		{route: "PATCH " + identityWorkspace, target: tugs, body: `{"name":"Small tugs"}`},
		{route: "DELETE " + identityWorkspace, target: tugs, kind: deleting},
		{route: "PUT " + matcher, target: match, body: matcherOn("$.kind")},
		{route: "DELETE " + matcher, target: match, kind: deleting},
		{route: "PUT " + requestAttribute, target: request, body: channel},
		{route: "DELETE " + requestAttribute, target: request, kind: deleting},
	}
}

func (h *harbour) writesOfTypes() []aWrite {
	inQuays := "?authWsId=" + h.quays
	return []aWrite{
		{
			route: "POST " + assetTemplates, target: templatesPath + inQuays,
			body: `{"templateId":"Box","displayName":"Box","source":"PLAINID","attributes":[{"attributeId":"size","displayName":"Size","type":"NUMERIC"}],"actions":[{"actionId":"See","value":"see"}]}`,
		},
		{route: "PATCH " + assetAction, target: type1("Box") + "/actions/See", body: patch("/actionId", "Look"), kind: changing},
		{route: "PATCH " + assetTemplate, target: type1("Box"), body: patch("/templateId", "Crate"), kind: changing},
		{route: "POST " + applications, target: applicationsPath + inQuays, body: `{"applicationId":"shop","displayName":"Shop","assetTemplateIds":["Crate"]}`},
		{route: "PATCH " + application, target: app1("shop"), body: patch("/applicationId", "store"), kind: changing},
		{route: "DELETE " + application, target: app1("store"), kind: deleting},
		{route: "DELETE " + assetTemplate, target: type1("Crate"), kind: deleting},
		{route: "POST " + apiMapperSets, target: setsPath + inQuays, body: harbourSet},
		{route: "PUT " + apiMapperSets, target: setsPath + inQuays, body: strings.Replace(harbourSet, "Read cargo", "See cargo", 1)},
		{route: "POST " + apiMappers, target: setOf("harbour-app") + "/mappers" + inQuays, body: mapperNamed("second")},
		{route: "PATCH " + apiMapper, target: mapperOf("harbour-app", "second"), body: patch("/mapperId", "third"), kind: changing},
		{route: "DELETE " + apiMapper, target: mapperOf("harbour-app", "third"), kind: deleting},
		{route: "POST " + apiMapperSets, target: setsPath + inQuays, body: `{"apiMappersSetId":"loose","apiMappers":[` + cargoRead + `]}`},
		{route: "PATCH " + apiMapperSet, target: setOf("loose"), body: patch("/apiMappersSetId", "free"), kind: changing},
	}
}

func (h *harbour) writesOfPeople() []aWrite {
	inCrew := "?identityWsId=" + h.crew
	const source = `{"sources":[{"sourceId":"roster","displayName":"Roster","sourceType":"EXTERNAL_INPUT"}]}`
	sets := crewPath + "/mapper-sets"
	return []aWrite{
		{route: "POST " + identityTemplates, target: peoplePath + inCrew, body: crewTemplate(rankAttribute, portAttribute)},
		{route: "POST " + identityTemplatesV2, target: strings.Replace(peoplePath, "1.0", "2.0", 1) + inCrew, body: crewTemplate(rankAttribute)},
		{route: "PUT " + identitySources, target: crewPath + "/identity-sources", body: source, kind: several},
		{route: "PATCH " + identitySource, target: crewPath + "/identity-sources/roster", body: patch("/sourceId", "people"), kind: changing},
		{route: "POST " + mapperSets, target: sets, body: mapperSetOn("Ranks", "people", "rank")},
		{route: "POST " + mapperSets, target: sets, body: mapperSetOn("More", "people", "rank")},
		{route: "PATCH " + mapperSet, target: sets + "/More", body: patch("/mapperSetId", "Spare"), kind: changing},
		{route: "DELETE " + mapperSet, target: sets + "/Spare", kind: deleting},
		{route: "PATCH " + identityTemplate, target: crewPath, body: patch("/templateId", "Hands"), kind: changing},
		{route: "PATCH " + identityTemplate, target: peoplePath + "/Hands", body: patch("/templateId", "Crew"), kind: changing},
	}
}

func (h *harbour) writesOfPolicies() []aWrite {
	rego := []string{regoType}
	state := func(on bool) string { return fmt.Sprintf(`[{"op":"replace","path":"/state","value":%t}]`, on) }
	v1 := func(id string) string {
		return fmt.Sprintf(`{"policyCode":%q,"authWsId":%q,"language":"rego"}`, regoPolicy(id, "5", "C"), h.quays)
	}
	one := "/api/1.0/policies/" + envID
	return []aWrite{
		{route: "POST " + policies2, target: h.policies(""), body: regoPolicy("p1", "4", "A"), headers: rego},
		{route: "PATCH " + policies2, target: h.policies("&filter[id]=p1"), body: state(false)},
		{route: "DELETE " + policies2, target: h.policies("&filter[id]=p1"), kind: deleting},
		{route: "POST " + policies1, target: one, body: v1("p2")},
		{route: "PATCH " + policy1, target: one + "/p2", body: state(false)},
		{route: "DELETE " + policy1, target: one + "/p2", kind: deleting},
		{
			route: "POST " + blocks, target: h.blocks("filter[authWsId]=" + h.quays), headers: rego,
			body: "package building_blocks\nimport rego.v1\n\n" + regoRuleset("Spare", "", "S", ""), kind: several,
		},
		{route: "DELETE " + blocks, target: h.blocks("filter[authWsId]=" + h.quays + "&filter[kind]=ruleset&filter[name]=Spare"), kind: deleting | several},
	}
}

func (h *harbour) writesOfScopes() []aWrite {
	one := env + "/scopes/c1"
	return []aWrite{
		{route: "POST " + scopes, target: env + "/scopes", body: `{"clientId":"c1","name":"portal","secret":"a-secret-of-the-caller"}`, kind: changing},
		{route: "PUT " + scope, target: one, body: `{"name":"portal","description":"All quays"}`},
		{route: "PATCH " + scope, target: one, body: `{"cacheSeconds":3}`},
		{route: "PUT " + scope + "/applications/{appId}", target: one + "/applications/harbour-app"},
		{route: "DELETE " + scope + "/applications/{appId}", target: one + "/applications/harbour-app", kind: deleting},
		{route: "POST " + scope + "/secrets", target: one + "/secrets", body: `{"expireOldAfterSeconds":60}`, kind: changing},
		{route: "DELETE " + scope + "/secrets/{secretId}", target: one + "/secrets/{living}", kind: deleting},
		{route: "DELETE " + scope, target: one, kind: deleting},
	}
}

func (h *harbour) writesOfSigningKeys() []aWrite {
	one := env + "/signing-keys/quay"
	return []aWrite{
		{route: "PUT " + signingKey, target: one, body: keyBody(h.t, newPEM(h.t, model.AlgorithmES256, nil))},
		{route: "PUT " + signingKey, target: one, body: keyBody(h.t, newPEM(h.t, model.AlgorithmEdDSA, map[string]string{"Kid": "quay-2"}))},
		{route: "DELETE " + signingKey, target: one, kind: deleting},
	}
}

func (h *harbour) writesOfSources() []aWrite {
	return []aWrite{
		{route: "PUT " + ownedPAAGroup, target: ownPAA + "north_paa", body: `{"paaGroupType":"CLOUD","paasCount":2}`},
		{route: "POST " + paaSources, target: northPath + "/sources", body: source("hidden"), kind: changing},
		{route: "PUT " + paaSource, target: northPath + "/sources/roster", body: source("veiled")},
		{route: "PUT " + paaViews, target: northPath + "/views", body: `[{"type":"SQL","paaId":"p1","text":"select 1"}]`},
		{route: "DELETE " + paaSource, target: northPath + "/sources/roster", kind: deleting},
		{route: "DELETE " + ownedPAAGroup, target: ownPAA + "north_paa", kind: deleting},
	}
}

func (h *harbour) writesOfRecords() []aWrite {
	var out []aWrite
	for _, of := range []struct{ pattern, key, all, body, other string }{
		{assets, "path", env + "/asset-templates/Cargo/assets", `{"attributes":{"berth":["A"]}}`, `{"attributes":{"berth":["B"]}}`},
		{identities, "entityId", env + "/identity-templates/Crew/identities", `{"attributes":{"rank":["4"]}}`, `{"isActive":false}`},
	} {
		one, ndjson := of.pattern+"/{"+of.key+"}", []string{"Content-Type: application/x-ndjson"}
		out = append(
			out, aWrite{route: "PUT " + one, target: of.all + "/a", body: of.body},
			aWrite{route: "PATCH " + one, target: of.all + "/a", body: of.other},
			aWrite{route: "DELETE " + one, target: of.all + "/a", kind: deleting},
			aWrite{route: "PUT " + of.pattern, target: of.all + "?" + of.key + "=a%2Fb", body: of.body},
			aWrite{route: "PATCH " + of.pattern, target: of.all + "?" + of.key + "=a%2Fb", body: of.other},
			aWrite{route: "DELETE " + of.pattern, target: of.all + "?" + of.key + "=a%2Fb", kind: deleting},
		)
		rows := `{"` + of.key + `":"a"}` + "\n" + `{"` + of.key + `":"b"}`
		for _, mode := range []string{"atomic", "partial"} {
			out = append(out, aWrite{route: "POST " + of.pattern, target: of.all + "?mode=" + mode, body: rows + "\n" + `{"` + of.key + `":"` + mode + `"}`, headers: ndjson, kind: several})
		}
		id := strings.Split(of.all, "/")[6]
		out = append(out, aWrite{route: "DELETE " + of.pattern, target: of.all + "?all=true&template=" + id, kind: deleting | several})
	}
	return out
}

// writesAtLast applies a directory.
func (h *harbour) writesAtLast() []aWrite {
	h.t.Helper()
	files := harbourFiles()
	files["authorization-workspaces/Quays/policies/p3.rego"] = regoPolicy("p3", "6", "D")
	files["environment/scopes.json"] = `[{"clientId":"c2","name":"second"}]`
	return []aWrite{
		{route: "POST " + environment + "/apply", target: env + "/apply?verbose=true", body: zipOf(h.t, files), headers: []string{"Content-Type: application/zip"}, kind: several},
	}
}

// MG-18: of writes at once that name one version, exactly one wins, whatever the object is.
func TestOneWriteWins(t *testing.T) {
	h := newHarbour(t)
	asset := env + "/asset-templates/Cargo/assets/a"
	h.do("admin", "PUT", asset, `{}`).want(t, http.StatusCreated)
	h.do("admin", "POST", env+"/scopes", `{"clientId":"c1","name":"portal"}`).want(t, http.StatusCreated)
	h.put(regoPolicy("p1", "4", "A"))
	for _, c := range []struct{ read, method, target, body string }{
		{env, "PATCH", env, `{"description":"%d"}`},
		{asset, "PATCH", asset, `{"name":"%d"}`},
		{env + "/scopes/c1", "PATCH", env + "/scopes/c1", `{"description":"%d"}`},
		{env + "/scopes/c1", "POST", env + "/scopes/c1/secrets", `{"expireOldAfterSeconds":%d}`},
		{env + "/custom-attributes/level", "PUT", env + "/custom-attributes/level", `{"key":"level","name":"%d","type":"number"}`},
		{credentialsPath + "/viewer", "PUT", credentialsPath + "/viewer", `{"name":"%d","permission":"VIEWER"}`},
		{app1("harbour-app"), "POST", applicationsPath + "?authWsId=" + h.quays, `{"applicationId":"harbour-app","displayName":"%d","assetTemplateIds":[]}`},
		{h.policies("&filter[id]=p1"), "POST", "/api/1.0/policies/" + envID, `{"authWsId":"` + h.quays + `","language":"rego","policyCode":` + strconv.Quote(strings.ReplaceAll(regoPolicy("p1", "7", "B"), "Berth B", "Berth %d")) + `}`},
		{crewPath, "PATCH", crewPath, patch("/templateId", "Crew%d")},
	} {
		tag := h.do("tenant", "GET", c.read, "").want(t, http.StatusOK).Header.Get("ETag")
		statuses := make(chan int)
		const writers = 6
		for i := range writers {
			go func() {
				_, a := h.ask("tenant", c.method, c.target, strings.ReplaceAll(c.body, "%d", strconv.Itoa(i+1)), "If-Match: "+tag)
				statuses <- a.StatusCode
			}()
		}
		won, lost := 0, 0
		for range writers {
			switch status := <-statuses; {
			case status/100 == 2:
				won++
			case status == http.StatusPreconditionFailed:
				lost++
			default:
				t.Errorf("%s %s: status %d", c.method, c.target, status)
			}
		}
		if won != 1 || lost != writers-1 {
			t.Errorf("%s %s: %d won, %d lost", c.method, c.target, won, lost)
		}
	}
}
