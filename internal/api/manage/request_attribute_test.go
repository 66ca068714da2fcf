package manage

import (
	"strings"
	"testing"
)

// the sample of management-api.md 17
const channel = `{"id":"channel","displayName":"Channel","description":"","mappings":[{"source":"QUERY","path":"channel","apiMapperId":"cargo-read"}]}`

func requestAttributesOf(workspace string) string {
	return env + "/authorization-workspaces/" + workspace + "/request-attributes"
}

// management-api.md 17, MG-15, MG-17, MG-19: request attributes one by one.
func TestRequestAttribute(t *testing.T) {
	h := newHarbour(t)
	path := requestAttributesOf(h.quays) + "/channel"
	h.do("viewer", "GET", path, "").want(t, 404, "MGT-006", "RequestAttribute: [channel] not found")
	made := h.do("admin", "PUT", path, channel, "If-None-Match: *").want(t, 201,
		`{"data":{"id":"channel","displayName":"Channel","description":"","mappings":[{"source":"QUERY","path":"channel","apiMapperId":"cargo-read","incomplete":true}],"incomplete":true,"createdAt":"`).
		wantHeaders(t, "Ambit-Result: created")
	// a mapper of that id completes it
	h.importSet(harbourSet).want(t, 200)
	got := h.do("viewer", "GET", path, "").want(t, 200, `"mappings":[{"source":"QUERY","path":"channel","apiMapperId":"cargo-read"}],"createdAt"`)
	if strings.Contains(got.body, "incomplete") {
		t.Errorf("complete: %s", got.body)
	}
	h.unchanged("what was read, put again", func() {
		h.do("admin", "PUT", path, made.body).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged")
		h.do("admin", "PUT", path, strings.Replace(channel, "QUERY", "query", 1)).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged")
		h.do("viewer", "GET", path, "", "If-None-Match: "+made.Header.Get("ETag")).want(t, 304)
		h.do("admin", "PUT", path, `{"displayName":"C"}`, "If-None-Match: *").want(t, 412, "MGT-011")
		h.do("admin", "DELETE", path, "", `If-Match: "999"`).want(t, 412)
	})
	h.do("admin", "PUT", path, `{"displayName":"C"}`, "If-Match: "+made.Header.Get("ETag")).want(t, 200, `"description":"","mappings":[],"createdAt"`)
	if e := h.events()[0]; e.ResourceType != "REQUEST_ATTRIBUTE" || e.ParentID != h.quays || !strings.Contains(e.Before, "cargo-read") {
		t.Errorf("event %+v", e)
	}
	h.do("admin", "PUT", env, `{"name":"Test","settings":{"requireIfMatch":true}}`).want(t, 200)
	h.do("admin", "PUT", path, channel).want(t, 428, "MGT-013")
	h.do("admin", "DELETE", path, "").want(t, 428)
	h.importSet(emptySet).want(t, 200) // a compatible call
	h.do("admin", "DELETE", path, "", "If-Match: *").want(t, 204).wantHeaders(t, "Ambit-Result: deleted")
	h.do("admin", "DELETE", path, "", "If-Match: *").want(t, 412)
}

// management-api.md 17: what is refused.
func TestRequestAttributeRefused(t *testing.T) {
	h := newHarbour(t)
	path := requestAttributesOf(h.quays) + "/channel"
	mapping := func(m string) string { return `{"displayName":"C","mappings":[` + m + `]}` }
	for name, tt := range map[string]struct {
		target, body string
		status       int
		parts        []string
	}{
		"unknown workspace": {requestAttributesOf(goneID) + "/channel", channel, 404, []string{"AuthorizationWorkspace: [" + goneID + "] not found"}},
		"no uuid":           {requestAttributesOf("quays") + "/channel", channel, 422, []string{"V-032"}},
		"another id":        {path, strings.Replace(channel, `"channel"`, `"x"`, 1), 400, []string{"/id"}},
		"no display name":   {path, `{}`, 400, []string{"/displayName"}},
		"no such source":    {path, mapping(`{"source":"METHOD","path":""}`), 400, []string{"/mappings/0/source"}},
		"unreadable paths": {path, mapping(`{"source":"PATH","path":"2"},{"source":"BODY","path":"$..x"},{"source":"HEADER","path":"a b"},{"source":"QUERY","path":""}`), 400, []string{
			"/mappings/0/path", "/mappings/1/path", "/mappings/2/path", "/mappings/3/path",
		}},
		"id of the mapper": {path, mapping(`{"source":"PATH","path":"[0]","apiMapperId":" "}`), 400, []string{"/mappings/0/apiMapperId"}},
	} {
		h.unchanged(name, func() { h.do("admin", "PUT", tt.target, tt.body).want(t, tt.status, tt.parts...) })
	}
}

// management-api.md 17, MG-7, MG-8, MG-3: the list, by id; ids may hold anything.
func TestRequestAttributeList(t *testing.T) {
	h := newHarbour(t)
	h.do("viewer", "GET", requestAttributesOf(h.quays), "").want(t, 200, `{"data":[],"total":0,`)
	for _, id := range []string{"b", "a%2Fb", "c"} {
		h.do("admin", "PUT", requestAttributesOf(h.quays)+"/"+id, `{"displayName":"X"}`).want(t, 201)
	}
	h.do("admin", "PUT", requestAttributesOf(h.docks)+"/a", `{"displayName":"X"}`).want(t, 201)
	a := h.do("viewer", "GET", requestAttributesOf(h.quays)+"?limit=2", "").want(t, 200, `"total":3,"limit":2,"offset":0,"meta":`)
	if at, second := strings.Index(a.body, `"id":"a/b"`), strings.Index(a.body, `"id":"b"`); at < 0 || second < at || strings.Contains(a.body, `"id":"c"`) {
		t.Errorf("page %s", a.body)
	}
	h.do("viewer", "GET", requestAttributesOf(h.quays)+"?limit=0", "").want(t, 400, "MGT-003")
	h.do("viewer", "GET", requestAttributesOf(goneID), "").want(t, 404, "AuthorizationWorkspace")
}

// PM-16: a request attribute that a rule uses stays.
func TestRequestAttributeInUse(t *testing.T) {
	h := newHarbour(t)
	path := requestAttributesOf(h.quays) + "/channel"
	h.do("admin", "PUT", path, channel).want(t, 201)
	h.do("admin", "PUT", requestAttributesOf(h.docks)+"/channel", channel).want(t, 201)
	condition := regoMetadata("Condition Request", "By phone", "") + "condition_request(requestParams) if {\n\trequestParams[\"channel\"] == \"phone\"\n}"
	h.do("admin", "POST", h.blocks("filter[authWsId]="+h.quays), "package building_blocks\nimport rego.v1\n\n"+condition, regoType).want(t, 201)
	h.unchanged("in use", func() {
		h.do("admin", "DELETE", path, "").want(t, 409, "MGT-009", "RequestAttribute: [channel] is used by building block: [By phone]")
	})
	h.do("admin", "DELETE", requestAttributesOf(h.docks)+"/channel", "").want(t, 204)
}
