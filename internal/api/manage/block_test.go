package manage

import (
	"strings"
	"testing"
)

const (
	deckID = "2f9a6c40-8f57-4c6b-9a11-0b1c2d3e4f50"
	rankID = "3f9a6c40-8f57-4c6b-9a11-0b1c2d3e4f51"
)

func blockModule(blocks ...string) string {
	return "package building_blocks\nimport rego.v1\n\n" + strings.Join(blocks, "\n\n")
}

// MG-40, MG-16, PM-53: import, edit by id, export with filters.
func TestBlocks(t *testing.T) {
	h := newHarbour(t)
	auth, identity := "filter[authWsId]="+h.quays, "filter[identityWsId]="+h.crew
	deck := blockModule(regoRuleset("Deck", deckID, "A", ""))
	a := h.do("admin", "POST", h.blocks(auth), deck, regoType).want(t, 201, "name: Deck", "id: "+deckID).
		wantHeaders(t, "Ambit-Result: created", "Ambit-Revision: 3", "Content-Type: text/plain;language=rego;charset=utf-8")
	h.do("admin", "POST", h.blocks(auth), a.body, regoType).want(t, 201).wantHeaders(t, "Ambit-Result: unchanged", "Ambit-Revision: 3")
	h.do("admin", "POST", h.blocks(identity), blockModule(regoGroup("Rank 4", rankID, "4")), regoType).want(t, 201).wantHeaders(t, "Ambit-Result: created")
	h.put(regoPolicy("p/1,2", "4", "A"))
	h.put(regoPolicy("p2", "5", "A"))

	edited := blockModule(regoRuleset("Deck", deckID, "Z", ""))
	validation := strings.Replace(h.blocks(auth), envID, envID+"/validation", 1)
	h.do("viewer", "POST", validation, edited, regoType).want(t, 200,
		`{"data":{"validationErrors":[],"warnings":[],"blocks":[{"name":"Deck","id":"`+deckID+`","kind":"Ruleset","result":"updated","affectedPolicies":["p/1,2","p2"]}]}}`)
	tag := h.do("viewer", "GET", h.policies("&filter[id]=p2"), "").want(t, 200, `== "A"`).Header.Get("ETag")
	h.do("admin", "POST", h.blocks(auth), edited, regoType).want(t, 201).wantHeaders(t, "Ambit-Result: updated", "Ambit-Affected-Policies: p%2F1%2C2,p2")
	b := h.do("viewer", "GET", h.policies("&filter[id]=p2"), "").want(t, 200, `== "Z"`)
	if b.Header.Get("ETag") == tag {
		t.Error("MG-16: the policy has the same tag")
	}
	one := h.do("viewer", "GET", h.blocks(auth+"&filter[id]="+deckID), "").want(t, 200, `== "Z"`)
	if one.Header.Get("ETag") == "" {
		t.Error("no tag of a single block")
	}
	h.do("admin", "POST", h.blocks(auth), deck, regoType, "If-Match: \"1\"").want(t, 412)
	h.do("admin", "POST", h.blocks(auth+"&dryRun=true"), deck, regoType, "If-Match: "+one.Header.Get("ETag")).want(t, 201).wantHeaders(t, "Ambit-Result: updated")

	const empty = "package building_blocks\nimport rego.v1"
	for query, want := range map[string]string{
		auth + "&filter[kind]=condition": empty, auth + "&filter[kind]=ruleset&filter[name]=Deck": one.body,
		auth + "&filter[templateId]=Nope": empty, identity + "&filter[name]=Deck": empty, auth + "&filter[id][in]=" + deckID + "," + rankID: one.body,
	} {
		if got := h.do("viewer", "GET", h.blocks(query), "").want(t, 200); got.body != want {
			t.Errorf("%s: %s", query, got.body)
		}
	}
	h.do("viewer", "GET", h.blocks(identity+"&extendedSchema=false"), "").want(t, 200, "Crew people All Users", "Rank 4")
	h.do("viewer", "GET", h.blocks(auth), "", "Accept: application/json").want(t, 406)
	h.do("viewer", "GET", h.blocks(""), "").want(t, 400, "MGT-002")
	h.do("viewer", "GET", h.blocks(auth+"&"+identity), "").want(t, 400, "MGT-003")
	h.do("viewer", "GET", h.blocks("filter[identityWsId]="+deckID), "").want(t, 400, "PAC-005", "IdentityWs: ["+deckID+"] not found")
	h.do("viewer", "GET", h.blocks(auth+"&filter[kind]=brick"), "").want(t, 400, "filter[kind]")
	h.do("admin", "POST", h.blocks(auth), blockModule(regoGroup("X", "", "4")), regoType).want(t, 400, "RG-404")
	h.do("viewer", "POST", validation, blockModule(regoGroup("X", "", "4")), regoType).want(t, 200, `"validationErrors":[{"code":"RG-404"`, `"blocks":[]`)
	var many []string
	for i := range 51 {
		many = append(many, regoRuleset("R"+strings.Repeat("x", i), "", strings.Repeat("x", i+1), ""))
	}
	h.do("admin", "POST", h.blocks(auth), blockModule(many...), regoType).want(t, 400, "RG-403")
	h.do("admin", "POST", h.blocks(auth), "{}", "Content-Type: application/json").want(t, 415)
}

// MG-40, MG-41: counters; used and predefined blocks stay, and with them all others of the call.
func TestBlocksDelete(t *testing.T) {
	h := newHarbour(t)
	auth, identity := "filter[authWsId]="+h.quays, "filter[identityWsId]="+h.crew
	h.do("admin", "POST", h.blocks(auth), blockModule(regoRuleset("Deck", deckID, "A", ""), regoRuleset("Spare", "", "Z", "")), regoType).want(t, 201)
	h.do("admin", "POST", h.blocks(identity), blockModule(regoGroup("Rank 4", rankID, "4")), regoType).want(t, 201)
	h.put(regoPolicy("p1", "5", "A"))
	h.do("admin", "DELETE", h.blocks(auth), "").want(t, 400, "filter[kind]")
	h.do("admin", "DELETE", h.blocks(auth+"&filter[kind]=ruleset"), "").want(t, 400, "MGT-002")
	h.do("admin", "DELETE", h.blocks(auth+"&filter[kind]=ruleset&filter[templateId]=Cargo"), "").want(t, 409,
		`"code":"MGT-009"`, "Ruleset: ["+deckID+"] is used by policy: [p1]", `"code":"MGT-010"`, "is predefined")
	h.do("admin", "DELETE", h.blocks(auth+"&filter[kind]=ruleset&filter[id]="+rankID), "").want(t, 404, "Ruleset: ["+rankID+"] not found")
	h.do("admin", "DELETE", h.blocks(auth+"&filter[kind]=ruleset&filter[name]=Spare&dryRun=true"), "").want(t, 200, `"ruleSetCounter":1`)
	h.do("admin", "DELETE", h.blocks(auth+"&filter[kind]=ruleset&filter[name]=Spare"), "").want(t, 200,
		`{"data":{"dynamicGroupCounter":0,"ruleSetCounter":1,"conditionCounter":0}}`).wantHeaders(t, "Ambit-Result: deleted")
	if e := h.events()[0]; e.ResourceType != "RULESET" || e.Action != "DELETE" || !strings.Contains(e.Before, "name: Spare") {
		t.Errorf("event %+v", e)
	}
	h.do("admin", "DELETE", h.blocks(auth+"&filter[kind]=ruleset&filter[name]=Spare"), "").want(t, 200, `"ruleSetCounter":0`).wantHeaders(t, "Ambit-Result: unchanged")
	h.do("admin", "DELETE", h.blocks(identity+"&filter[kind]=dynamic-group&filter[id]="+rankID), "", "If-Match: \"0\"").want(t, 412)
	h.do("admin", "DELETE", h.blocks(identity+"&filter[kind]=dynamic-group&filter[id]="+rankID), "").want(t, 200, `"dynamicGroupCounter":1`)
}
