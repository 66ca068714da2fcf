package manage

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// PM-1: external ids of every sort are case sensitive, keep inner blanks and have at most 128 code points.
func TestExternalIDs(t *testing.T) {
	h := newHarbour(t)
	h.do("admin", "PUT", crewPath+"/identity-sources", `{"sources":[{"sourceId":"roster","displayName":"Roster","sourceType":"EXTERNAL_INPUT"}]}`).want(t, http.StatusOK)
	quays := "?authWsId=" + h.quays
	for name, c := range map[string]struct{ method, target, body, read string }{
		"application":      {"POST", applicationsPath + quays, `{"applicationId":%q,"displayName":"A","assetTemplateIds":[]}`, applicationsPath + "/%s"},
		"asset type":       {"POST", templatesPath + quays, `{"templateId":%q,"displayName":%q,"source":"REQUEST","attributes":[],"actions":[]}`, templatesPath + "/%s"},
		"attribute":        {"POST", templatesPath + quays, `{"templateId":"Box","displayName":"Box","source":"REQUEST","attributes":[{"attributeId":%q,"displayName":"A","type":"STRING"}],"actions":[]}`, ""},
		"action":           {"POST", templatesPath + quays, `{"templateId":"Box","displayName":"Box","source":"REQUEST","attributes":[],"actions":[{"actionId":%q,"value":"v"}]}`, ""},
		"identity":         {"POST", peoplePath + "?identityWsId=" + h.crew, `{"templateId":"Crew","attributes":[` + rankAttribute + `,{"attributeId":%q,"displayName":"A","type":"STRING"}]}`, ""},
		"mapper set":       {"POST", crewPath + "/mapper-sets", `{"mapperSetId":%q,"displayName":"M","linkedSources":[]}`, crewPath + "/mapper-sets/%s"},
		"mapper":           {"POST", setOf("harbour-app") + "/mappers" + quays, strings.Replace(cargoRead, `"cargo-read"`, "%q", 1), setOf("harbour-app") + "/mappers/%s"},
		"custom attribute": {"PUT", env + "/custom-attributes", `[{"key":%q,"name":"A","type":"string"}]`, env + "/custom-attributes/%s"},
		"policy":           {"POST", h.policies(""), "", "/api/1.0/policies/" + envID + "/%s?language=rego"},
		"paa source":       {"POST", northPath + "/sources", `{"sourceId":%q,"name":"A"}`, northPath + "/sources/%s"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "paa source" {
				h.putGroup(t)
			}
			put := func(id string) answer {
				body, contentType := strings.ReplaceAll(c.body, "%q", fmt.Sprintf("%q", id)), "Content-Type: application/json"
				if name == "asset type" {
					body = strings.Replace(body, `"displayName":`+fmt.Sprintf("%q", id), `"displayName":`+fmt.Sprintf("%.90q", "T"+id), 1)
				}
				if name == "policy" {
					quoted, err := json.Marshal(id)
					h.must(err)
					body, contentType = strings.NewReplacer("policyId: ID", "policyId: "+string(quoted), "name: Policy ID", "name: P").Replace(regoPolicy("ID", "4", "A")), regoType
				}
				return h.do("admin", c.method, c.target, body, contentType)
			}
			for _, bad := range []string{"", " x", "x ", "a\u0007b", strings.Repeat("é", 129)} {
				if name == "policy" && bad == "" || name == "paa source" && bad == "" {
					continue // the server makes one
				}
				h.unchanged("refused", func() { put(bad).want(t, http.StatusBadRequest) })
			}
			for _, good := range []string{"a  b", "A  b", strings.Repeat("é", 128)} {
				if a := put(good); a.StatusCode/100 != 2 {
					t.Errorf("%q: %d %s", good, a.StatusCode, a.body)
				}
			}
			if c.read == "" {
				return
			}
			for id, status := range map[string]int{"a  b": 200, "A  b": 200, strings.Repeat("é", 128): 200, "a b": 404, "A  B": 404} {
				h.do("viewer", "GET", fmt.Sprintf(c.read, url.PathEscape(id)), "").want(t, status)
			}
		})
	}
}

// PM-2, MG-12: what is no uuid where a path needs one is 422, on every route and before roles are looked at.
func TestUUIDsInPaths(t *testing.T) {
	w := newWorld(t)
	for pattern, m := range w.handler.(*router).paths {
		for _, name := range []string{"{envId}", "{authWsId}", "{identityWsId}"} {
			if !strings.Contains(pattern, name) || strings.HasSuffix(pattern, "/download") {
				continue
			}
			target := strings.NewReplacer(name, "x-y", "{envId}", envID, "{authWsId}", goneID, "{identityWsId}", goneID).Replace(pattern)
			for _, method := range m.names {
				if method == http.MethodHead {
					continue
				}
				w.do("viewer", method, strings.NewReplacer("{", "", "}", "").Replace(target), "").want(t, http.StatusUnprocessableEntity, "V-032", "$: x-y is an invalid uuid")
			}
		}
	}
}

// PM-3: absent and empty descriptions stay different through import and export, one by one and as a directory.
func TestDescriptions(t *testing.T) {
	h := newHarbour(t)
	quays := "?authWsId=" + h.quays
	for _, description := range []string{"", `"description":"",`, `"description":"Text",`} {
		for _, c := range []struct{ target, body, read string }{
			{templatesPath + quays, `{"templateId":"Box","displayName":"Box",` + description + `"source":"REQUEST","attributes":[],"actions":[]}`, type1("Box")},
			{applicationsPath + quays, `{"applicationId":"shop","displayName":"Shop",` + description + `"assetTemplateIds":[]}`, app1("shop")},
			{authWs + "/" + h.quays, `{` + description + `"name":"Quays"}`, authWs + "/" + h.quays},
			{identityWs + "/" + h.crew, `{` + description + `"name":"Crew people"}`, identityWs + "/" + h.crew},
		} {
			method := map[bool]string{true: "PUT", false: "POST"}[c.target == c.read]
			h.do("admin", method, c.target, c.body)
			a := h.do("viewer", "GET", c.read, "").want(t, http.StatusOK)
			if got := strings.Contains(a.body, `"description":`); got != (description != "") || !strings.Contains(a.body, description) {
				t.Errorf("%q is exported as %s", description, a.body)
			}
		}
		var line []string
		if description != "" {
			line = append(line, strings.NewReplacer(`"description":`, "description: ", ",", "").Replace(description))
		}
		h.put(regoPolicy("p1", "4", "A", line...))
		text := h.policyText("p1")
		if got := strings.Contains(text, "description:"); got != (description != "") {
			t.Errorf("%q is exported as %s", description, text)
		}
		h.unchanged("apply of the export", func() {
			export := h.do("tenant", "GET", env+"/export?format=tar", "").want(t, http.StatusOK)
			h.do("tenant", "POST", env+"/apply", export.body, "Content-Type: application/x-tar").want(t, http.StatusOK, `"items":[]`)
		})
	}
}

// PM-37, 4.9: what Ambit does not offer is refused with 501 when it is written, and never quietly weakened.
func TestNotOffered(t *testing.T) {
	h := newHarbour(t)
	h.importType(`{"templateId":"Sum","displayName":"Sum","source":"REQUEST","attributes":[{"attributeId":"berth","displayName":"Berth","type":"STRING","isAvailableForPolicies":true,"isCalculated":true,"calculationFunction":"f()"}],"actions":[{"actionId":"Load","value":"load"}]}`).want(t, http.StatusCreated)
	h.unchanged("not offered", func() {
		h.do("admin", "POST", h.policies(""), regoPolicy("p1", "4", "A", "policyUse: ACCESS_FLOW"), regoType).want(t, http.StatusNotImplemented, "RG-112")
		calculated := strings.ReplaceAll(regoPolicy("p1", "4", "A"), `"Cargo"`, `"Sum"`)
		h.do("admin", "POST", h.policies(""), calculated, regoType).want(t, http.StatusNotImplemented, "RG-306")
		h.do("admin", "POST", h.blocks("filter[authWsId]="+h.quays), "package building_blocks\nimport rego.v1\n\n"+strings.ReplaceAll(regoRuleset("R", "", "A", ""), `"Cargo"`, `"Sum"`), regoType).want(t, http.StatusNotImplemented, "RG-306")
		h.apply(t, map[string]string{"authorization-workspaces/Quays/policies/p.rego": calculated}).want(t, http.StatusBadRequest, "RG-306")
	})
}

// PM-11: a mapping of attributes goes from the source's column to the identity attribute, one of a correlation from the
// identity attribute to the column.
func TestMapperDirections(t *testing.T) {
	h := newHarbour(t)
	h.do("admin", "PUT", crewPath+"/identity-sources", `{"sources":[{"sourceId":"roster","displayName":"Roster","sourceType":"EXTERNAL_INPUT"}]}`).want(t, http.StatusOK)
	set := func(kind, origin, target string) string {
		return fmt.Sprintf(`{"mapperSetId":"S","displayName":"S","linkedSources":[{"sourceId":"roster","sourceUsedAs":"AUX","additionalProps":{},"mappers":[{"type":%q,"mappings":[{"origin":%q,"target":%q}]}]}]}`, kind, origin, target)
	}
	for _, c := range []struct {
		body   string
		status int
		part   string
	}{
		{set("IDENTITY_ATTRIBUTES", "column", "rank"), http.StatusCreated, ""},
		{set("IDENTITY_ATTRIBUTES", "rank", "column"), http.StatusBadRequest, `/mappings/0/target: identity template \"Crew\" has no attribute \"column\"`},
		{set("CORRELATION", "rank", "column"), http.StatusOK, ""},
		{set("CORRELATION", "column", "rank"), http.StatusBadRequest, `/mappings/0/origin: identity template \"Crew\" has no attribute \"column\"`},
	} {
		h.do("admin", "POST", crewPath+"/mapper-sets", c.body).want(t, c.status, c.part)
	}
}

// PM-35, MG-77: a decision is made at the server's own time, whatever the request says of it.
func TestDecisionsAtTheServersTime(t *testing.T) {
	h := impactWorld(t)
	const from = "\n\n# METADATA\n# custom:\n#   plainid:\n#     kind: Condition\n#     name: From %s\ncondition(env) if {\n\ttime.clock([env.time, \"UTC\"]) %s [9,0,0]\n}"
	h.put(regoPolicy("late", "4", "A") + fmt.Sprintf(from, "nine", ">="))
	d := h.decisions()
	before := d.ask(t, crew("Crew", "iris"))
	const late = "2026-07-06T18:00:00Z"
	for _, key := range []string{"time", "now", "timestamp", "currentTime", "requestTime", "evaluationTime", "environment", "context", "contextData"} {
		value := `"` + late + `"`
		if key == "environment" || key == "context" || key == "contextData" {
			value = `{"time":["` + late + `"],"currentTime":["` + late + `"]}`
		}
		body := strings.Replace(crew("Crew", "iris"), "{", `{"`+key+`":`+value+`,`, 1)
		if got := d.ask(t, body, "Date: Mon, 06 Jul 2026 18:00:00 GMT", "Ambit-Time: "+late); strings.Contains(got, "quay") || !strings.Contains(got, "errors") && got != before {
			t.Errorf("%s: %s, without it %s", key, got, before)
		}
	}
	h.put(regoPolicy("late", "4", "A") + fmt.Sprintf(from, "early", "<="))
	if got := d.ask(t, crew("Crew", "iris")); got == before || !strings.Contains(got, "quay") {
		t.Errorf("at eight: %s", got)
	}
}
