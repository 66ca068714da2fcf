package manage

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// odd is a definition with keys that Ambit does not know, and spellings that a rewriting would change.
const odd = `{"outputShape":null,"key":"cost centre","name":"Cost \u0063entre","displayOrder":1.50,"type":"string","multiValue":true,"generatorId":{"b":[1.0,1e2,"\u00e9é"],"a":{}},"x":"<&>\/"}`

// MG-59, MG-15, MG-17: definitions come back byte for byte, one by one and as a list.
func TestCustomAttributesRoundTrip(t *testing.T) {
	h := newHarbour(t)
	all := env + "/custom-attributes"
	one := all + "/cost%20centre"
	h.do("viewer", "GET", one, "").want(t, 404, "CustomAttribute: [cost centre] not found")
	a := h.do("admin", "PUT", one, strings.ReplaceAll(odd, `,"`, ` ,`+"\n"+`"`)).want(t, 201, `{"data":`+odd+`}`)
	a.wantHeaders(t, "Ambit-Result: created", "Ambit-Revision: 3")
	tag := a.Header.Get("ETag")
	a = h.do("viewer", "GET", one, "").want(t, 200, `{"data":`+odd+`}`)
	h.do("viewer", "GET", one, "", "If-None-Match: "+tag).want(t, 304)
	h.do("admin", "PUT", one, a.body, "If-Match: "+tag).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged", "Ambit-Revision: 3")
	h.do("admin", "PUT", one, odd, "If-None-Match: *").want(t, 412)
	h.do("admin", "PUT", one, strings.Replace(odd, "1.50", "1.5", 1), "If-Match: \"1\"").want(t, 412)

	a = h.do("viewer", "GET", all, "").want(t, 200, `{"data":[`+odd+`,{"key":"level",`, `{"key":"reviewer",`, `"total":3,"limit":1000,"offset":0,"meta":{"total":3`)
	h.do("viewer", "GET", all+"?limit=1&offset=1", "").want(t, 200, `{"data":[{"key":"level"`, `"total":3,"limit":1,"offset":1`)
	h.do("viewer", "GET", all+"?limit=10000", "").want(t, 200, `"limit":1000`)
	h.do("viewer", "GET", all+"?limit=0", "").want(t, 400, "MGT-003")
	h.do("admin", "PUT", all+"?prune=true", a.body).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged", "Ambit-Revision: 3")
	if e := h.events()[0]; e.ResourceType != "CUSTOM_ATTRIBUTE" || e.After != odd {
		t.Errorf("MG-53: %+v", e)
	}
	events := len(h.events())
	h.do("admin", "PUT", all+"?prune=True&dryRun=true", `[]`).want(t, 200, `{"data":[]}`).wantHeaders(t, "Ambit-Result: updated", "Ambit-Revision: 3")
	h.do("admin", "DELETE", one+"?dryRun=true", "").want(t, 204)
	if len(h.events()) != events {
		t.Error("MG-14: a dry run left an event")
	}
	h.do("admin", "PUT", all, `[{"key":"new","name":"New","type":"number"}]`).want(t, 200, `{"key":"new"`, `"cost centre"`).wantHeaders(t, "Ambit-Result: updated", "Ambit-Revision: 4")
	h.do("admin", "PUT", all+"?prune=true", `{"data":[{"key":"new","name":"New","type":"number"}]}`).want(t, 200, `{"data":[{"key":"new","name":"New","type":"number"}]}`).wantHeaders(t, "Ambit-Revision: 5")
	h.do("admin", "DELETE", all+"/new", "").want(t, 204).wantHeaders(t, "Ambit-Result: deleted")
	h.do("admin", "DELETE", all+"/new", "").want(t, 404)
}

// 1.3: every error of a definition is named; nothing is stored.
func TestCustomAttributeErrors(t *testing.T) {
	h := newHarbour(t)
	all := env + "/custom-attributes"
	h.do("admin", "PUT", all, `[{"key":"","name":"","type":"date","maxLength":-1,"listAttribute":true},{"key":"a","name":"A","type":"string"},{"key":"a","name":"A","type":"string"}]`).want(t, 400,
		"/0/key: is empty", "/0/name", "/0/type", "/0/maxLength", "/0/optionsConfig/options", "/2/key")
	for _, body := range []string{`{}`, `null`, `[]`, `"x"`, ``, `{"key":"b","name":"A","type":"string"}`, `{"key":"a","key":"a","name":"A","type":"string"}`, `{"key":"a","name":"A","type":"string"} x`} {
		h.do("admin", "PUT", all+"/a", body).want(t, 400, "MGT-001")
	}
	h.do("admin", "PUT", all+"?prune=perhaps", `[]`).want(t, 400, "prune")
	h.do("viewer", "GET", all, "").want(t, 200, `"total":2`)
}

// PM-18, 3.12: values that policies have stay true to their definition; deleting a definition takes its values along.
func TestCustomAttributesInUse(t *testing.T) {
	h := newHarbour(t)
	all := env + "/custom-attributes"
	h.do("admin", "PUT", all+"/level", `{"key":"level","name":"Level","type":"number","maxValue":9}`).want(t, 200)
	h.put(regoPolicy("p1", "3", "A", "customAttributes:", `  reviewer: ["a","long one"]`, "  level: 5"))
	h.put(regoPolicy("p2", "3", "A", "customAttributes:", `  reviewer: "b"`))
	h.put(regoPolicy("p3", "3", "A"))
	policy := h.do("viewer", "GET", h.policies("&filter[id]=p1"), "")
	revision := policy.Header.Get("Ambit-Revision")
	for key, bodies := range map[string]map[string]string{
		"reviewer": {
			`{"key":"reviewer","name":"R","type":"string"}`:                                                                                         `policy: [p1]"`,
			`{"key":"reviewer","name":"R","type":"number","multiValue":true}`:                                                                       `policy: [p1, p2]"`,
			`{"key":"reviewer","name":"R","type":"string","multiValue":true,"maxLength":5}`:                                                         `policy: [p1]"`,
			`{"key":"reviewer","name":"R","type":"string","multiValue":true,"listAttribute":true,"optionsConfig":{"options":[{"key":"long one"}]}}`: `policy: [p1, p2]"`,
		},
		"level": {
			`{"key":"level","name":"L","type":"string"}`:              `policy: [p1]"`,
			`{"key":"level","name":"L","type":"number","maxValue":4}`: `policy: [p1]"`,
		},
	} {
		for body, users := range bodies {
			part := "CustomAttribute: [" + key + "] is used by " + users
			h.do("admin", "PUT", all+"/"+key, body).want(t, 409, "MGT-009", part)
			h.do("admin", "PUT", all+"/"+key+"?dryRun=true", body).want(t, 409, part)
			h.do("admin", "PUT", all, "["+body+"]").want(t, 409, part)
			h.apply(t, map[string]string{"environment/custom-policy-attributes.json": "[" + body + "]"}).want(t, 400, part, `"committed":false`, `"file":"environment/custom-policy-attributes.json"`)
		}
	}
	if got := h.do("viewer", "GET", env, "").Header.Get("Ambit-Revision"); got != revision {
		t.Errorf("a refused write left revision %s, before %s", got, revision)
	}
	// an apply may change the policies together with the definition
	h.apply(t, map[string]string{
		"environment/custom-policy-attributes.json":       `[{"key":"level","name":"L","type":"number","maxValue":4}]`,
		"authorization-workspaces/Quays/policies/p1.rego": regoPolicy("p1", "3", "A", "customAttributes:", `  reviewer: ["a","long one"]`, "  level: 4"),
	}).want(t, 200, `"committed":true`)
	// widening, and asking for a value from now on, are no conflict
	h.do("admin", "PUT", all+"/level", `{"key":"level","name":"L","type":"number","multiValue":true,"required":true}`).want(t, 200)
	h.do("admin", "PUT", all+"/level", `{"key":"level","name":"L","type":"number"}`).want(t, 200)

	policy = h.do("viewer", "GET", h.policies("&filter[id]=p1"), "").want(t, 200, "level: 4", "reviewer:")
	h.do("admin", "DELETE", all+"/level", "").want(t, 204)
	after := h.do("viewer", "GET", h.policies("&filter[id]=p1"), "").want(t, 200, "reviewer:")
	if strings.Contains(after.body, "level") || after.Header.Get("ETag") == policy.Header.Get("ETag") {
		t.Errorf("the value stays: %s", after.body)
	}
	if e := h.events()[1]; e.ResourceType != "ROLE" || e.ResourceID != "p1" || !strings.Contains(e.Before, "level: 4") || strings.Contains(e.After, "level") {
		t.Errorf("MG-53: %+v", e)
	}
	h.do("admin", "PUT", all+"?prune=true", `[]`).want(t, 200, `{"data":[]}`)
	for _, id := range []string{"p1", "p2"} {
		if a := h.do("viewer", "GET", h.policies("&filter[id]="+id), ""); strings.Contains(a.body, "customAttributes") {
			t.Errorf("pruned: %s", a.body)
		}
	}
}

// PM-18, 3.12: a policy that loses several values at once is changed once, and a list that was read can be put back with prune.
func TestCustomAttributesPruned(t *testing.T) {
	h := newHarbour(t)
	all := env + "/custom-attributes"
	var many []string
	for i := range 60 {
		many = append(many, fmt.Sprintf(`{"key":"k%02d","name":"K","type":"number"}`, i))
	}
	make60 := func() {
		h.do("admin", "PUT", all+"?prune=true", "["+strings.Join(many, ",")+"]").want(t, 200)
		h.put(regoPolicy("p1", "3", "A", "customAttributes:", "  k01: 1", "  k59: 2"))
	}
	make60()
	read := h.do("viewer", "GET", all, "").want(t, 200, `"total":60`)
	h.do("admin", "PUT", all+"?prune=true", read.body).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged")
	for name, prune := range map[string]func() answer{
		"call": func() answer { return h.do("admin", "PUT", all+"?prune=true", `[]`) },
		"apply": func() answer {
			return h.do("admin", "POST", env+"/apply?prune=true", zipOf(t, map[string]string{"environment/custom-policy-attributes.json": "[]"}), "Content-Type: application/zip")
		},
	} {
		make60()
		prune().want(t, 200)
		changes := 0
		for _, e := range h.events() {
			if e.ResourceType == "ROLE" && int64(e.Revision) == h.revisionNow() {
				changes++
			}
		}
		if policy := h.policyText("p1"); changes != 1 || strings.Contains(policy, "k01") || strings.Contains(policy, "k59") {
			t.Errorf("%s: %d changes of %s", name, changes, policy)
		}
		h.do("viewer", "GET", all, "").want(t, 200, `"total":0`)
	}
}

// MG-59: whatever stands in a definition comes back, whether put alone or in a list.
func TestCustomAttributesKeepAnything(t *testing.T) {
	h := newHarbour(t)
	all := env + "/custom-attributes"
	rapid.Check(t, func(rt *rapid.T) {
		definition := `{"key":"k","name":"K","type":"string","extra":` + anyJSON(3).Draw(rt, "extra") + `}`
		h.do("admin", "PUT", all, "["+definition+"]").want(t, 200)
		if a := h.do("viewer", "GET", all+"/k", ""); a.body != `{"data":`+definition+`}` {
			rt.Fatalf("put %s, got %s", definition, a.body)
		}
	})
}

// anyJSON makes compact JSON in spellings of every kind.
func anyJSON(depth int) *rapid.Generator[string] {
	leaf := rapid.SampledFrom([]string{`null`, `true`, `0`, `-0`, `1.0`, `1e+2`, `12345678901234567890`, `""`, `"\u0041\/"`, `"é\u2028"`, `"<b>&"`, `"\ud834\udd1e"`, `{}`, `[]`})
	if depth == 0 {
		return leaf
	}
	inner := anyJSON(depth - 1)
	list := rapid.Map(rapid.SliceOfN(inner, 0, 3), func(items []string) string { return "[" + strings.Join(items, ",") + "]" })
	object := rapid.Map(rapid.SliceOfN(inner, 0, 3), func(items []string) string {
		for i, name := range []string{`"b"`, `"\u0061"`, `"data"`}[:len(items)] {
			items[i] = name + ":" + items[i]
		}
		return "{" + strings.Join(items, ",") + "}"
	})
	return rapid.OneOf(leaf, list, object)
}
