package manage

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// loudCargo is the definition of Cargo with a calculated attribute "loud" and, if plain is not "", another attribute.
func loudCargo(function, plain string) string {
	attributes := `{"attributeId":"berth","displayName":"Berth","type":"STRING","isAvailableForPolicies":true,"nameForRequest":"berth","isMultiValue":false,"maxLength":9999,"isRequired":false,"canBeUpdated":"ALWAYS"}`
	if plain != "" {
		attributes += `,{"attributeId":"` + plain + `","displayName":"` + plain + `","type":"STRING","isAvailableForPolicies":true,"nameForRequest":"` + plain + `","isMultiValue":false,"maxLength":9999,"isRequired":false,"canBeUpdated":"ALWAYS"}`
	}
	calculated := `"isMultiValue":false,"maxLength":9999,"isRequired":false,"canBeUpdated":"ALWAYS"`
	if function != "" {
		calculated = fmt.Sprintf(`"isMultiValue":false,"calculationFunction":%q,"isCalculated":true,"maxLength":9999,"isRequired":false,"canBeUpdated":"ALWAYS"`, function)
	}
	return `{"templateId":"Cargo","displayName":"Cargo","source":"PLAINID","isAttributeSentInRequest":false,"isUsedForFiltering":false,"attributes":[` + attributes +
		`,{"attributeId":"loud","displayName":"Loud","type":"STRING","isAvailableForPolicies":true,"nameForRequest":"loud",` + calculated + `}],` +
		`"actions":[{"actionId":"Load","value":"load"},{"actionId":"View","value":"view"}]}`
}

func loudCrew(function string) string {
	return `{"templateId":"Crew","attributes":[{"attributeId":"uid","displayName":"User ID","description":"","type":"STRING","isAvailableForPolicies":true,"isUsedInAccessRequest":false},` +
		`{"attributeId":"rank","displayName":"Rank","description":"","type":"NUMERIC","isAvailableForPolicies":true,"isUsedInAccessRequest":false},` +
		fmt.Sprintf(`{"attributeId":"ranked","displayName":"Ranked","description":"","type":"STRING","isAvailableForPolicies":true,"isUsedInAccessRequest":false,"calculationFunction":%q,"isCalculated":true}]}`, function)
}

// loudPolicy lets members of the crew with a rank load what lies at berth A, by calculated attributes only.
func loudPolicy(id string) string {
	text := strings.Replace(regoPolicy(id, "4", "A"), `asset["berth"] ==`, `asset["loud"] ==`, 1)
	return strings.Replace(text, `identity["rank"] >= 4`, `identity["ranked"] == "true"`, 1)
}

// MG-42, PM-37, policy-model.md 3.5: definitions with calculated attributes come back as they came, whatever their function;
// rules on one are refused, with the reason, until its function is offered and fits.
func TestCalculatedDefinitions(t *testing.T) {
	h := newHarbour(t)
	for _, tt := range []struct{ function, problem string }{
		{"RATE(berth)", `attribute \"loud\" is calculated; rules on it are not offered: calculationFunction, character 1: function \"RATE\" is not offered`},
		{"UPPER(birth)", `calculationFunction, character 7: there is no attribute \"birth\"`},
		{"COUNT(berth)", `COUNT gives NUMERIC, the attribute is STRING`},
		{"UPPER(loud)", `calculationFunction, character 7: attribute \"loud\" is calculated itself`},
		{" UPPER( berth ) ", ""},
	} {
		body := loudCargo(tt.function, "")
		h.importType(body).want(t, http.StatusOK)
		if got := h.do("viewer", "GET", type1("Cargo"), "").want(t, 200).body; got != `{"data":`+body+`}` {
			t.Errorf("%s comes back as %s", tt.function, got)
		}
		text := strings.Replace(loudPolicy("p1"), `identity["ranked"] == "true"`, `identity["rank"] >= 4`, 1)
		if tt.problem != "" {
			h.unchanged(tt.function, func() {
				h.do("admin", "POST", h.policies(""), text, regoType).want(t, http.StatusNotImplemented, "RG-306", tt.problem)
			})
			continue
		}
		h.put(text)
		if got := h.policyText("p1"); !strings.Contains(got, "\tasset[\"loud\"] == \"A\"\n") {
			t.Errorf("exported as %s", got)
		}
	}
	body := loudCrew("HASVALUE(rank)")
	h.do("admin", "POST", "/api/2.0/identity-templates/"+envID+"?identityWsId="+h.crew, body).want(t, http.StatusOK)
	if got := h.do("viewer", "GET", crewPath, "").want(t, 200).body; got != `{"data":`+body+`}` {
		t.Errorf("the identity template comes back as %s", got)
	}
	h.put(loudPolicy("p2"))
	h.unchanged("apply of the export", func() {
		export := h.do("tenant", "GET", env+"/export?format=tar", "").want(t, http.StatusOK)
		h.do("tenant", "POST", env+"/apply", export.body, "Content-Type: application/x-tar").want(t, http.StatusOK, `"items":[]`)
	})
}

// MG-44, PM-16: a rule on a calculated attribute keeps it calculable: neither its function nor what it is calculated of can go.
// Another function that is offered is taken at once by every decision and by the impact preview.
func TestCalculatedInUse(t *testing.T) {
	h := newHarbour(t)
	crewTarget := "/api/2.0/identity-templates/" + envID + "?identityWsId=" + h.crew
	h.importType(loudCargo("UPPER(berth)", "")).want(t, 200)
	h.do("admin", "POST", crewTarget, loudCrew("HASVALUE(rank)")).want(t, 200)
	h.do("admin", "PUT", env+"/asset-templates/Cargo/assets/c1", `{"attributes":{"berth":["a"]}}`).want(t, 201)
	h.do("admin", "PUT", env+"/identity-templates/Crew/identities/iris", `{"attributes":{"rank":["4"]}}`).want(t, 201)
	h.put(loudPolicy("p1"))
	d := h.decisions()
	if got := d.ask(t, crew("Crew", "iris")); !strings.Contains(got, `"path":"c1","attributes":{"berth":["a"],"loud":["A"]`) {
		t.Errorf("the list is %s", got)
	}
	h.unchanged("in use", func() {
		for function, why := range map[string]string{
			"RATE(berth)":  `could not be calculated: calculationFunction, character 1: function \"RATE\" is not offered`,
			"UPPER(birth)": `could not be calculated: calculationFunction, character 7: there is no attribute \"birth\"`,
			"":             `Attribute: [loud] is used by building block: [Berth A]`,
		} {
			h.importType(loudCargo(function, "")).want(t, http.StatusConflict, "MGT-009", "Attribute: [loud] is used by building block: [Berth A]", why)
			h.apply(t, map[string]string{"authorization-workspaces/Quays/asset-types/Cargo.json": loudCargo(function, "")}).want(t, http.StatusBadRequest, "MGT-009", why)
		}
		renamed := strings.Replace(loudCargo("UPPER(berth)", ""), `"attributeId":"berth"`, `"attributeId":"place"`, 1)
		h.importType(renamed).want(t, http.StatusConflict, "MGT-009", `[loud]`, `there is no attribute \"berth\"`)
		h.do("admin", "POST", crewTarget, loudCrew("rank > 0")).want(t, http.StatusConflict, "MGT-009", "[ranked]", "not of the form FUNCTION(attribute)")
		h.apply(t, map[string]string{"identity-workspaces/Crew people/identity-templates/Crew.json": loudCrew("HASVALUE(cert)")}).want(t, http.StatusBadRequest, "MGT-009", "[ranked]")
	})
	h.importType(loudCargo("LOWER(berth)", "")).want(t, 200)
	if got := d.ask(t, crew("Crew", "iris")); strings.Contains(got, "c1") {
		t.Errorf("with another function: %s", got)
	}
	// an archive may take the rule and the function at once
	h.apply(t, map[string]string{
		"authorization-workspaces/Quays/asset-types/Cargo.json": loudCargo("RATE(berth)", ""),
		"authorization-workspaces/Quays/policies/p1.rego":       regoPolicy("p1", "4", "a"),
	}).want(t, http.StatusBadRequest, "MGT-009") // the ruleset stays without its policy
}

// PM-10, policy-model.md 3.5: records have no values of calculated attributes: they are refused, and those of an attribute that
// is calculated from now on go.
func TestCalculatedRecords(t *testing.T) {
	h := newHarbour(t)
	asset, person := env+"/asset-templates/Cargo/assets/", env+"/identity-templates/Crew/identities/"
	crewTarget := "/api/2.0/identity-templates/" + envID + "?identityWsId=" + h.crew
	h.importType(loudCargo("", "")).want(t, 200)
	h.do("admin", "PUT", asset+"c1", `{"attributes":{"berth":["a"],"loud":["x"]}}`).want(t, 201)
	h.importType(loudCargo("UPPER(berth)", "")).want(t, 200)
	h.do("viewer", "GET", asset+"c1", "").want(t, 200, `"attributes":{"berth":["a"]}`)
	h.do("admin", "POST", crewTarget, loudCrew("HASVALUE(rank)")).want(t, 200)
	h.unchanged("values of a calculated attribute", func() {
		h.do("admin", "PUT", asset+"c2", `{"attributes":{"loud":["A"]}}`).want(t, 400, "MGT-003", "loud", "the attribute is calculated")
		h.do("admin", "PUT", person+"iris", `{"attributes":{"ranked":["true"]}}`).want(t, 400, "MGT-003", "ranked", "the attribute is calculated")
		h.do("admin", "PUT", person+"iris", `{"rows":[{"rank":["4"],"ranked":["true"]}]}`).want(t, 400, "MGT-003", "ranked", "the attribute is calculated")
	})
	h.do("admin", "PUT", asset+"c2", `{"attributes":{"berth":["b"],"loud":[]}}`).want(t, 201)
	h.do("admin", "PUT", person+"iris", `{"attributes":{"rank":["4"]}}`).want(t, 201)
	h.importType(loudCargo("", "")).want(t, 200)
	h.do("viewer", "GET", asset+"c1", "").want(t, 200, `"attributes":{"berth":["a"]}`) // what is gone stays gone
}
