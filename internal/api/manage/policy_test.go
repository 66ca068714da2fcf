package manage

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

func policyRows() map[string]string {
	return map[string]string{
		"POST " + policies2: "write", "POST " + policies2 + "/validation": "read", "GET " + policies2: "read",
		"PATCH " + policies2: "write", "DELETE " + policies2: "write",
		"POST " + policies1: "write", "POST " + policies1 + "/validation": "read", "GET " + policy1: "read",
		"PATCH " + policy1: "write", "DELETE " + policy1: "write", "POST " + policiesSearch: "read",
		"GET " + applicationList: "read", "GET " + policyList: "read",
		"POST " + blocks: "write", "POST " + blocks + "/validation": "read", "GET " + blocks: "read", "DELETE " + blocks: "write",
	}
}

// MG-30, MG-15, MG-33, MG-53, MG-4, PM-46: import creates and replaces by policyId; an import of an export changes nothing.
func TestPolicyImport(t *testing.T) {
	h := newHarbour(t)
	text := regoPolicy("quay days", "4", "A", `description: "Days"`, "customAttributes:", `  reviewer: ["b","a"]`, "  level: 1.50")
	a := h.put(text).wantHeaders(t, "Ambit-Result: created", "Ambit-Revision: 3", "Ambit-Warnings: 0", "Content-Type: text/plain;language=rego;charset=utf-8")
	if events := h.events(); events[0].ResourceType != "ROLE" || events[0].Action != "CREATE" || events[0].After != a.body || events[0].Revision != 3 || events[0].ClientID != "admin" {
		t.Errorf("event %+v", events[0])
	}
	b := h.do("viewer", "GET", h.policies("&filter%5Bid%5D=quay%20days"), "").want(t, 200).
		wantHeaders(t, "Ambit-Revision: 3", "ETag: "+a.Header.Get("ETag"), "Content-Type: text/plain;language=rego;charset=utf-8")
	if a.body != b.body || !strings.Contains(a.body, "sourceEnvironmentId: "+envID) || !strings.Contains(a.body, "#     id: ") {
		t.Errorf("stored %s\nexported %s", a.body, b.body)
	}
	c := h.put(b.body).wantHeaders(t, "Ambit-Result: unchanged", "Ambit-Revision: 3", "ETag: "+a.Header.Get("ETag"))
	if c.body != b.body {
		t.Errorf("PM stability: %s", c.body)
	}
	c = h.put(strings.Replace(text, "Policy quay days", "New name", 1)).wantHeaders(t, "Ambit-Result: updated", "Ambit-Revision: 4")
	if !strings.Contains(c.body, "name: New name") {
		t.Error(c.body)
	}
	d := h.do("viewer", "GET", h.policies("&filter[id]=quay%20days&extendedSchema=False"), "").want(t, 200)
	for _, gone := range []string{"description", "sourceEnvironmentId", "#     id:"} {
		if strings.Contains(d.body, gone) {
			t.Errorf("extendedSchema=False has %s: %s", gone, d.body)
		}
	}
}

// MG-33, MG-6, MG-36, 5.1: the JSON form, bare and wrapped; native policies are not offered.
func TestPolicyJSON(t *testing.T) {
	h := newHarbour(t)
	text := regoPolicy("p1", "4", "A", "customAttributes:", `  reviewer: ["x"]`, "  level: 1.50")
	quoted, err := json.Marshal(text)
	h.must(err)
	body := `{"structuredRego":` + string(quoted) + `,"policyId":"p1","language":"rego","displayName":"ignored"}`
	jsonType := "Content-Type: application/json"
	a := h.do("admin", "POST", h.policies(""), `{"data":`+body+`}`, jsonType).want(t, 201,
		`{"data":{"policyId":"p1","displayName":"Policy p1","accessType":"Allow","policyUse":"DYNAMIC_AUTHORIZATION_SERVICE","state":"Active","authzWsId":"`+h.quays+
			`","applicationIds":["harbour-app"],"policyCustomAttributes":{"level":1.50,"reviewer":["x"]},"isPolicyCompleted":true,"language":"rego","structuredRego":"# METADATA`).
		wantHeaders(t, "Ambit-Result: created", "Content-Type: application/json")
	b := h.do("viewer", "GET", h.policies("&filter[id]=p1"), "", "Accept: application/json").want(t, 200).wantHeaders(t, "ETag: "+a.Header.Get("ETag"))
	if a.body != b.body {
		t.Errorf("stored %s\nexported %s", a.body, b.body)
	}
	h.do("viewer", "GET", h.policies("&filter[id]=p1"), "", "Accept: application/json", "If-None-Match: "+a.Header.Get("ETag")).want(t, 304)
	h.do("viewer", "GET", h.policies("&filter[id]=p1"), "", "Accept: text/plain", "If-None-Match: "+a.Header.Get("ETag")).want(t, 200)
	c := h.do("admin", "POST", h.policies(""), body, jsonType, "Accept: text/plain;language=rego").want(t, 201).wantHeaders(t, "Ambit-Result: unchanged")
	if !strings.HasPrefix(c.body, "# METADATA") {
		t.Error(c.body)
	}
	h.do("admin", "POST", h.policies(""), strings.Replace(body, `"policyId":"p1"`, `"policyId":"p2"`, 1), jsonType).want(t, 400, "MGT-001", "/policyId")
	h.do("admin", "POST", h.policies(""), strings.Replace(body, `"language":"rego"`, `"language":"native"`, 1), jsonType).want(t, 501, "MGT-016")
	h.do("admin", "POST", h.policies(""), `{"displayName":"x"}`, jsonType).want(t, 501, "MGT-016")
	h.do("admin", "POST", h.policies(""), "a,b", "Content-Type: text/csv").want(t, 415)
	noID := strings.Replace(body, "#     policyId: p1\\n", "", 1)
	h.do("admin", "POST", h.policies(""), strings.Replace(noID, `"policyId":"p1"`, `"policyId":"given"`, 1), jsonType).want(t, 201, `"policyId":"given"`)
	h.do("admin", "POST", h.policies("&dryRun=true"), strings.Replace(noID, `"policyId":"p1",`, ``, 1), jsonType).want(t, 201, `"policyId":null`)
}

// MG-32, MG-11, MG-31, PM-49, PM-51: what is wrong is named with code and position; validation reports it with 200.
func TestPolicyErrors(t *testing.T) {
	h := newHarbour(t)
	bad := strings.NewReplacer(`"Cargo"`, `"Nope"`, `"Crew"`, `"Ghosts"`).Replace(regoPolicy("p1", "4", "A"))
	h.do("admin", "POST", h.policies(""), bad, regoType).want(t, 400, `"code":"RG-301"`, `"code":"RG-302"`, `"name":"AssetTemplateNotFoundError"`, `asset template \"Nope\" does not exist`, `"args":{"0":"16","1":"23","2":"Ghosts"}`)
	validation := strings.Replace(h.policies(""), envID, envID+"/validation", 1)
	h.do("viewer", "POST", validation, bad, regoType).want(t, 200, `{"data":{"isPolicyCompleted":false,"validationErrors":[{"code":"RG-301","name":"IdentityTemplateNotFoundError","line":`, `"code":"RG-302"`, `"warnings":[]}}`)
	unknownApp := regoPolicy("p1", "4", "A", "applications: ", "  - id: later")
	h.do("viewer", "POST", validation, unknownApp, regoType).want(t, 200, `{"data":{"isPolicyCompleted":true,"validationErrors":[],"warnings":[{"code":"RW-03","line":`, `"result":"created"}}`)
	if n := len(h.events()); n == 0 {
		t.Error("no events at all")
	}
	h.do("viewer", "GET", h.policies("&filter[id]=p1"), "").want(t, 404, `{"errors":[{"code":"PUA-033","args":{"0":"`+envID+`","1":"p1"}`, `"name":"PolicyNotFoundError","message":"Policy Id doesn't exist in the environment"`)
	h.put(unknownApp).wantHeaders(t, "Ambit-Warnings: 1")
	h.do("viewer", "POST", validation, unknownApp, regoType).want(t, 200, `"result":"unchanged"}}`)
	docks := strings.Replace(h.policies(""), h.quays, h.docks, 1)
	h.do("viewer", "GET", docks+"&filter[id]=p1", "").want(t, 404, "PUA-033")
	h.do("admin", "POST", docks, unknownApp, regoType).want(t, 400, "RG-307")
	crane := strings.NewReplacer(`"Cargo"`, `"Crane"`, "\tasset[\"berth\"] == \"A\"\n", "", `"Load"`, `"Move"`).Replace(regoPolicy("p1", "4", "A"))
	h.do("admin", "POST", docks, crane, regoType).want(t, 400, "RG-308")
	h.do("viewer", "POST", strings.Replace(docks, envID, envID+"/validation", 1), crane, regoType).want(t, 200, `"code":"RG-308"`)
	const gone = "00000000-0000-4000-8000-000000000000"
	for _, c := range []struct{ method, query, body, want string }{
		{"POST", "", unknownApp, `"code":"MGT-002"`},
		{"POST", "filter[authWsId]=" + gone, unknownApp, "AuthorizationWs: [" + gone + "] not found"},
		{"GET", "filter[authWsId]=" + gone + "&filter[id]=p1", "", "PAC-001"},
		{"GET", "filter[authWsId]=" + h.quays, "", "MGT-002"},
		{"POST", "filter[authWsId]=" + h.quays + "&evaluateByBBName=maybe", unknownApp, "MGT-003"},
		{"PATCH", "filter[authWsId]=" + h.quays + "&filter[id]=p1", `[{"op":"replace","path":"/name","value":true}]`, "MGT-001"},
		{"DELETE", "filter[authWsId]=" + h.quays, "", "MGT-002"},
		{"GET", "filter[authWsId]=" + h.quays + "&filter[id][in]=p1,p2", "", "MGT-003"},
	} {
		h.do("admin", c.method, "/api/2.0/policies/"+envID+"?"+c.query, c.body, map[bool]string{true: regoType, false: "Content-Type: application/json"}[c.method == "POST"]).want(t, 400, c.want)
	}
	h.do("admin", "POST", h.policies(""), strings.Repeat("#", 5<<20), regoType).want(t, 413)
}

// MG-14: a dry run has the status and headers of the real call and leaves no trace.
func TestPolicyDryRun(t *testing.T) {
	h := newHarbour(t)
	events := len(h.events())
	dry := h.do("admin", "POST", h.policies("&dryRun=true"), regoPolicy("p1", "4", "A"), regoType).want(t, 201).
		wantHeaders(t, "Ambit-Dry-Run: true", "Ambit-Result: created", "Ambit-Revision: 2")
	if strings.Contains(dry.body, "#     id:") {
		t.Errorf("a dry run makes ids: %s", dry.body)
	}
	h.put(regoPolicy("p1", "4", "A")).wantHeaders(t, "Ambit-Revision: 3")
	for _, c := range [][2]string{{"PATCH", `[{"op":"replace","path":"/state","value":false}]`}, {"DELETE", ""}} {
		h.do("admin", c[0], h.policies("&filter[id]=p1&dryRun=true"), c[1]).want(t, 204).wantHeaders(t, "Ambit-Revision: 3")
	}
	h.do("viewer", "GET", h.policies("&filter[id]=p1"), "", "Accept: application/json").want(t, 200, `"state":"Active"`)
	if got := len(h.events()); got != events+3 { // policy, group, ruleset
		t.Errorf("%d events, had %d", got, events)
	}
}

// MG-16, MG-17, MG-18, PM-54: the tag of a policy follows the blocks that it shares; preconditions hold on compatible calls.
func TestPolicyPreconditions(t *testing.T) {
	h := newHarbour(t)
	text := regoPolicy("p1", "4", "A")
	first := h.put(text, "If-None-Match: *")
	h.do("admin", "POST", h.policies(""), text, regoType, "If-None-Match: *").want(t, 412, "MGT-011", "Policy: [p1] has changed")
	h.do("admin", "POST", h.policies(""), strings.Replace(text, "p1", "p9", 2), regoType, "If-Match: *").want(t, 412)
	tag := first.Header.Get("ETag")
	h.put(regoPolicy("p2", "4", "B"))
	changed := strings.Replace(regoPolicy("p3", "9", "B"), "Rank 9", "Rank 4", 1)
	h.do("admin", "POST", h.policies("&evaluateByBBName=true"), changed, regoType).want(t, 201).wantHeaders(t, "Ambit-Affected-Policies: p1,p2")
	h.do("admin", "POST", h.policies(""), text, regoType, "If-Match: "+tag).want(t, 412)
	now := h.do("viewer", "GET", h.policies("&filter[id]=p1"), "").want(t, 200, `identity["rank"] >= 9`).Header.Get("ETag")
	if now == tag {
		t.Errorf("MG-16: the tag is still %s", tag)
	}
	h.do("admin", "PATCH", h.policies("&filter[id]=p1"), `[{"op":"replace","path":"/state","value":false}]`, "If-Match: "+tag).want(t, 412)
	h.do("admin", "DELETE", h.policies("&filter[id]=p1"), "", "If-Match: "+tag).want(t, 412)
	h.do("admin", "DELETE", h.policies("&filter[id]=gone"), "", "If-Match: "+tag).want(t, 412)
	statuses := make(chan int, 2)
	for i := range 2 {
		go func() {
			statuses <- h.do("admin", "POST", h.policies(""), regoPolicy("p1", fmt.Sprint(20+i), "A"), regoType, "If-Match: "+now).StatusCode
		}()
	}
	if sum := <-statuses + <-statuses; sum != 201+412 {
		t.Errorf("MG-18: the statuses sum up to %d", sum)
	}
}

// MG-34, MG-35, PM-15: state and deletion; a list is deleted as a whole or not at all.
func TestPolicyStateAndDelete(t *testing.T) {
	h := newHarbour(t)
	for _, id := range []string{"p1", "p2", "p,3"} {
		h.put(regoPolicy(id, "4", "A"))
	}
	off := `[{"op":"replace","path":"/state","value":false}]`
	h.do("admin", "PATCH", h.policies("&filter[id]=p1"), off, "Content-Type: application/json-patch+json").want(t, 204).wantHeaders(t, "Ambit-Result: updated", "Ambit-Revision: 6")
	h.do("admin", "PATCH", h.policies("&filter[id]=p1"), off).want(t, 204).wantHeaders(t, "Ambit-Result: unchanged", "Ambit-Revision: 6")
	h.put(strings.Replace(regoPolicy("p1", "4", "A"), "Policy p1", "Renamed", 1))
	h.do("viewer", "GET", h.policies("&filter[id]=p1"), "", "Accept: application/json").want(t, 200, `"state":"Inactive"`, `"displayName":"Renamed"`)
	a := h.do("admin", "DELETE", h.policies("&filter[id][in]=p1,gone,lost"), "").want(t, 404, `"1":"gone"`, `"1":"lost"`)
	if strings.Count(a.body, "PUA-033") != 2 {
		t.Error(a.body)
	}
	h.do("admin", "DELETE", h.policies("&filter[id][in]=p1,p2"), "").want(t, 204).wantHeaders(t, "Ambit-Result: deleted", "Ambit-Revision: 8")
	h.do("admin", "DELETE", h.policies("&filter[id]=p%2C3"), "").want(t, 204)
	if e := h.events()[0]; e.Action != "DELETE" || e.ResourceID != "p,3" || !strings.Contains(e.Before, "policyId: p,3") {
		t.Errorf("event %+v", e)
	}
	h.do("viewer", "POST", "/api/1.0/policies-search/"+envID, "").want(t, 200, `"data":[],"total":0`)
}

// MG-37: the older calls give the same results.
func TestPolicyV1(t *testing.T) {
	h := newHarbour(t)
	const path = "/api/1.0/policies/" + envID
	quoted, err := json.Marshal(regoPolicy("a/b c", "4", "A"))
	h.must(err)
	body := `{"policyCode":` + string(quoted) + `,"authWsId":"` + h.quays + `","language":"rego"}`
	h.do("viewer", "POST", path+"/validation", body).want(t, 200, `"isPolicyCompleted":true,"validationErrors":[],"warnings":[],"result":"created"`)
	h.do("admin", "POST", path, body).want(t, 201, `{"data":{"policyId":"a/b c","isPolicyCompleted":true,"validationErrors":[]}}`).wantHeaders(t, "Ambit-Result: created")
	a := h.do("viewer", "GET", path+"/a%2Fb%20c?language=rego", "").want(t, 200, `{"data":{"language":"rego","policyCode":"# METADATA`)
	var v1 struct{ Data struct{ PolicyCode string } }
	h.must(json.Unmarshal([]byte(a.body), &v1, json.MatchCaseInsensitiveNames(true)))
	if v2 := h.do("viewer", "GET", h.policies("&filter[id]=a%2Fb+c"), ""); v2.body != v1.Data.PolicyCode {
		t.Errorf("v1 %s\nv2 %s", v1.Data.PolicyCode, v2.body)
	}
	for _, bad := range []struct {
		method, target, body string
		status               int
	}{
		{"GET", path + "/a%2Fb%20c", "", 400},
		{"GET", path + "/a%2Fb%20c?language=xacml", "", 501},
		{"GET", path + "/none?language=rego", "", 404},
		{"POST", path, strings.Replace(body, `"rego"`, `"xacml"`, 1), 501},
		{"POST", path, `{"language":"rego"}`, 400},
		{"POST", path, "{", 400},
		{"POST", path, strings.Replace(body, "accessType", "accesstype", 1), 400},
	} {
		h.do("admin", bad.method, bad.target, bad.body).want(t, bad.status)
	}
	h.do("admin", "PATCH", path+"/a%2Fb%20c", `[{"op":"replace","path":"/state","value":false}]`).want(t, 204)
	h.do("admin", "DELETE", path+"/a%2Fb%20c", "").want(t, 204)
	h.do("admin", "DELETE", path+"/a%2Fb%20c", "").want(t, 404, "PUA-033")
}

// MG-38, MG-39, MG-7, MG-8, MG-54: filters, counters and pages.
func TestPolicySearch(t *testing.T) {
	h := newHarbour(t)
	for i := range 7 {
		h.put(regoPolicy(fmt.Sprintf("p%d", i), fmt.Sprint(i%2+4), "A", "customAttributes:", fmt.Sprintf(`  reviewer: ["r%d"]`, i%3), fmt.Sprintf("  level: %d.0", i)))
	}
	crane := strings.NewReplacer(`"Cargo"`, `"Crane"`, "\tasset[\"berth\"] == \"A\"\n", "", `"Load"`, `"Move"`).Replace(regoPolicy("z", "4", "A"))
	h.do("admin", "POST", strings.Replace(h.policies(""), h.quays, h.docks, 1), crane, regoType, "Accept: application/json").want(t, 201, `"isPolicyCompleted":false`, `"applicationIds":[]`)
	h.do("admin", "PATCH", h.policies("&filter[id]=p1"), `[{"op":"replace","path":"/state","value":false}]`).want(t, 204)
	const path = "/api/1.0/policies-search/" + envID
	for body, want := range map[string]int{
		``: 8, `{}`: 8, `{"state":"INACTIVE"}`: 1, `{"state":"active"}`: 7, `{"applicationIds":["harbour-app"]}`: 7, `{"applicationIds":["none"]}`: 0,
		`{"authzWsIds":["` + h.docks + `"]}`: 1, `{"authzWsIds":["` + h.docks + `","` + strings.ToUpper(h.quays) + `"]}`: 8,
		`{"policyCustomAttributes":{"reviewer":["r1","r2"]}}`: 4, `{"policyCustomAttributes":{"level":[3,6.00]}}`: 2,
		`{"policyCustomAttributes":{"reviewer":["r0"],"level":[3]},"state":"Active"}`: 1, `{"policyCustomAttributes":{"level":["3.0"]}}`: 0,
	} {
		h.do("viewer", "POST", path, body).want(t, 200, fmt.Sprintf(`"total":%d,"limit":50,"offset":0,"meta":{"total":%d,"limit":50,"offset":0}`, want, want))
	}
	h.do("viewer", "POST", path, `{"authzWsIds":["x"]}`).want(t, 400, "PAC-001")
	h.do("viewer", "POST", path, `{"state":"asleep"}`).want(t, 400, "/state")
	h.do("viewer", "POST", path, `{"policyCustomAttributes":{"level":[true]}}`).want(t, 400, "/policyCustomAttributes/level")
	h.do("viewer", "POST", path+"?limit=1000", `{"detailed":true}`).want(t, 200, `"limit":100`, `"structuredRego":"# METADATA`)
	h.do("viewer", "POST", path+"?limit=0", ``).want(t, 400, "MGT-003")
	var ids []string
	for offset := 0; offset < 8; offset += 3 {
		a := h.do("viewer", "POST", fmt.Sprintf("%s?limit=3&offset=%d", path, offset), `{"detailed":true}`).want(t, 200, `"total":8,"limit":3`)
		var page struct {
			Data []struct {
				PolicyID string `json:"policyId"`
			} `json:"data"`
		}
		h.must(json.Unmarshal([]byte(a.body), &page))
		for _, item := range page.Data {
			ids = append(ids, item.PolicyID)
		}
	}
	if got := strings.Join(ids, " "); got != "p0 p1 p2 p3 p4 p5 p6 z" {
		t.Errorf("MG-39: %s", got)
	}
	h.do("viewer", "GET", "/policy-mgmt/1.0/policies/"+envID+"?filter[appId]=harbour-app&limit=2", "").want(t, 200,
		`{"data":[{"id":"p0","name":"Policy p0","state":"Active","accessType":"Allow"},{"id":"p1","name":"Policy p1","state":"Inactive","accessType":"Allow"}],"total":7,"limit":2,"offset":0,"meta":{`)
	h.do("viewer", "GET", "/policy-mgmt/1.0/policies/"+envID, "").want(t, 400, `{"code":"MGT-002"`, `"path":"/policy-mgmt/1.0/policies/`)
	h.do("viewer", "GET", "/policy-mgmt/1.0/policies/"+envID+"?filter[appId]=none", "").want(t, 404, `{"code":"MGT-006"`)
	h.do("viewer", "GET", "/policy-mgmt/1.0/applications/"+envID+"?limit=9999", "").want(t, 200, `{"id":"harbour-app","name":"Harbour","authWsId":"`+h.quays+`"}`, `"limit":1000`)
	h.do("viewer", "GET", "/policy-mgmt/1.0/applications/"+envID+"?detailed=True", "").want(t, 200,
		`"description":"Quay planning","colorIndication":"#336699","assetTemplateIds":["Cargo"]}`)
}

// The mirror follows whatever writes: apply, other calls, and what is deleted.
func TestPolicyMirrorFollows(t *testing.T) {
	h := newHarbour(t)
	h.put(regoPolicy("p1", "4", "A"))
	const path = "/api/1.0/policies-search/" + envID
	h.do("viewer", "POST", path, "").want(t, 200, `"total":1`, `"applicationIds":["harbour-app"]`)
	again := newHarbour(t) // another store, the same ids
	again.do("viewer", "POST", path, "").want(t, 200, `"total":0`)
	h.do("admin", "DELETE", h.policies("&filter[id]=p1"), "").want(t, 204)
	h.do("viewer", "POST", path, "").want(t, 200, `"total":0`)
	h.put(regoPolicy("p2", "4", "A"))
	h.do("viewer", "POST", path, "").want(t, 200, `"total":1`).wantHeaders(t, "Ambit-Revision: 5")
}
