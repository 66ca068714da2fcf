package manage

import (
	"encoding/json"
	"strings"
	"testing"
)

// MG-58, MG-65: the pages of a list end with their environment, also for who makes another one with its id.
func TestCursorOfDeletedEnvironment(t *testing.T) {
	h := newHarbour(t)
	const list = env + "/asset-templates/Cargo/assets?limit=1"
	h.do("admin", "POST", env+"/asset-templates/Cargo/assets", `{"path":"a"}`+"\n"+`{"path":"b"}`, ndjson).want(t, 200)
	var page struct {
		Meta struct {
			NextCursor string `json:"nextCursor"`
		} `json:"meta"`
	}
	h.must(json.Unmarshal([]byte(h.do("tenant", "GET", list, "").want(t, 200).body), &page))
	next := list + "&cursor=" + page.Meta.NextCursor
	h.do("tenant", "GET", next, "").want(t, 200, `"path":"b"`)
	h.do("tenant", "DELETE", env+"?name=Test", "").want(t, 204)
	h.do("tenant", "POST", environments, `{"id":"`+envID+`","name":"Test","bare":true}`).want(t, 201)
	h.do("tenant", "GET", next, "").want(t, 400, "begin with the first page again")
}

// EMIS-001 has a hint from all sources of the template: there are not as many as a body can have links.
func TestManyUnknownSources(t *testing.T) {
	h := newHarbour(t)
	links := strings.Repeat(`{"sourceId":"x","sourceUsedAs":"AUX"},`, 29) + `{"sourceId":"x","sourceUsedAs":"AUX"}`
	a := h.do("admin", "POST", "/api/1.0/identity-templates/"+envID+"/Crew/mapper-sets", `{"mapperSetId":"m","displayName":"M","linkedSources":[`+links+`]}`).want(t, 404)
	if n := strings.Count(a.body, `"EMIS-001"`); n != 10 {
		t.Errorf("%d unknown sources are told", n)
	}
}
