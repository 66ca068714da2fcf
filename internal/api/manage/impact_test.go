package manage

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/ambit-authz/ambit/internal/store"
)

// impactWorld has three of the crew, of ranks 3 to 5, and cargo at the berths A and B.
func impactWorld(t *testing.T) *harbour {
	h := newHarbour(t)
	const ndjson = "Content-Type: application/x-ndjson"
	var crew, cargo strings.Builder
	for rank, name := range []string{3: "ida", 4: "iris", 5: "otto"} {
		if name != "" {
			fmt.Fprintf(&crew, `{"entityId":%q,"attributes":{"rank":["%d"]}}`+"\n", name, rank)
		}
	}
	for i := range 6 {
		fmt.Fprintf(&cargo, `{"path":"quay/%d","attributes":{"berth":[%q]}}`+"\n", i, []string{"A", "B"}[i%2])
	}
	h.do("admin", "POST", env+"/identity-templates/Crew/identities", crew.String(), ndjson).want(t, 200)
	h.do("admin", "POST", env+"/asset-templates/Cargo/assets", cargo.String(), ndjson).want(t, 200)
	return h
}

type impactAnswer struct {
	Data impactBody `json:"data"`
}

func (h *harbour) impact(as, query, body string, headers ...string) impactAnswer {
	h.t.Helper()
	a := h.do(as, "POST", env+"/impact?"+query, body, headers...).want(h.t, 200)
	var out impactAnswer
	h.must(json.Unmarshal([]byte(a.body), &out))
	return out
}

// flipped is what the opposite change does.
func flipped(changes []impactChange) string {
	var out strings.Builder
	for _, c := range changes {
		c.Change = map[string]string{"gained": "lost", "lost": "gained"}[c.Change]
		fmt.Fprintln(&out, c)
	}
	return out.String()
}

func written(changes []impactChange) string {
	var out strings.Builder
	for _, c := range changes {
		fmt.Fprintln(&out, c)
	}
	return out.String()
}

const jsonBody = "Content-Type: application/json"

// MG-76, MG-14: the impact of a policy before it is imported is that of its deletion afterwards, the other way round; asking
// stores nothing, uses no revision and leaves no event; viewers may ask.
func TestImpactOfPolicy(t *testing.T) {
	h := impactWorld(t)
	text := regoPolicy("quay_days", "4", "A")
	before := len(h.events())
	got := h.impact("viewer", "filter[authWsId]="+h.quays, text, regoType)
	if got.Data.Summary.Identities == 0 || got.Data.Summary.Gained == 0 || got.Data.Summary.Lost != 0 || got.Data.Truncated {
		t.Fatalf("%+v", got)
	}
	if c := got.Data.Changes[0]; c.EntityTypeID != "Crew" || c.TemplateID != "Cargo" || c.Change != "gained" || len(c.PolicyIDs) != 1 || c.PolicyIDs[0] != "quay_days" {
		t.Errorf("first change %+v", c)
	}
	if n := len(h.events()); n != before {
		t.Errorf("%d events more", n-before)
	}
	h.do("viewer", "GET", h.policies("&filter[id]=quay_days"), "").want(t, 404)
	h.do("admin", "POST", h.policies(""), text, regoType).want(t, 201)
	gone := h.impact("viewer", "", `{"policyId":"quay_days","delete":true}`, jsonBody)
	off := h.impact("viewer", "", `{"policyId":"quay_days","state":false}`, jsonBody)
	for name, again := range map[string]impactAnswer{"delete": gone, "state": off} {
		if flipped(got.Data.Changes) != written(again.Data.Changes) || again.Data.Summary.Lost != got.Data.Summary.Gained {
			t.Errorf("%s: %+v\nwas %+v", name, again, got)
		}
	}
	if same := h.impact("viewer", "", `{"policyId":"quay_days","state":true}`, jsonBody); same.Data.Summary != (impactSummary{}) {
		t.Errorf("the state it has: %+v", same)
	}
	if same := h.impact("viewer", "filter[authWsId]="+h.quays, text, regoType); len(same.Data.Changes) != 0 {
		t.Errorf("imported again: %+v", same)
	}
	wider := h.impact("viewer", "filter[authWsId]="+h.quays, strings.Replace(text, `"A"`, `"B"`, 1), regoType)
	if wider.Data.Summary.Gained == 0 || wider.Data.Summary.Gained != wider.Data.Summary.Lost {
		t.Errorf("another berth: %+v", wider)
	}
	h.read(func(tx *store.Tx) error {
		if int64(tx.Revision) != int64(gone.Data.Revision) {
			t.Errorf("revision %d, the impact says %d", tx.Revision, gone.Data.Revision)
		}
		return nil
	})
}

// MG-76: an archive's impact is that of applying it; lines come without limit, the summary first.
func TestImpactForms(t *testing.T) {
	h := impactWorld(t)
	text := regoPolicy("quay_days", "4", "A")
	file := zipOf(t, map[string]string{"authorization-workspaces/Quays/policies/quay_days.rego": text})
	whole := h.impact("viewer", "", file, "Content-Type: application/zip")
	alone := h.impact("viewer", "filter[authWsId]="+h.quays, text, regoType)
	if written(whole.Data.Changes) != written(alone.Data.Changes) || len(whole.Data.Changes) == 0 {
		t.Errorf("archive %+v\npolicy %+v", whole, alone)
	}
	short := h.impact("viewer", "limit=1&filter[authWsId]="+h.quays, text, regoType)
	if len(short.Data.Changes) != 1 || !short.Data.Truncated || short.Data.Summary != alone.Data.Summary {
		t.Errorf("limit=1: %+v", short)
	}
	lines := h.do("viewer", "POST", env+"/impact?limit=1&filter[authWsId]="+h.quays, text, regoType, "Accept: application/x-ndjson").
		want(t, 200).wantHeaders(t, "Content-Type: application/x-ndjson")
	list := strings.Split(strings.TrimSpace(lines.body), "\n")
	if len(list) != 1+alone.Data.Summary.Gained || !strings.Contains(list[0], `"summary":{"identities":`) || !strings.Contains(list[1], `"change":"gained"`) {
		t.Errorf("lines: %s", lines.body)
	}
	// assets that come with the archive count, too
	assets := zipOf(t, map[string]string{
		"authorization-workspaces/Quays/policies/quay_days.rego": text,
		"authorization-workspaces/Quays/assets/Cargo.ndjson":     `{"path":"quay/new","attributes":{"berth":["A"]}}` + "\n",
	})
	more := h.impact("viewer", "", assets, "Content-Type: application/zip")
	if more.Data.Summary.Gained <= alone.Data.Summary.Gained || !strings.Contains(written(more.Data.Changes), "quay/new") {
		t.Errorf("with a new asset: %+v", more)
	}
	none := h.impact("viewer", "templateId=Crane&filter[authWsId]="+h.quays, text, regoType)
	if none.Data.Summary != (impactSummary{}) {
		t.Errorf("of another type: %+v", none)
	}
}

// MG-2, MG-7, 22: what cannot be asked, with its error; a refused change is refused like the real one.
func TestImpactRefusals(t *testing.T) {
	h := impactWorld(t)
	text := regoPolicy("quay_days", "4", "A")
	ws := "filter[authWsId]=" + h.quays
	for _, c := range []struct {
		name, query, body, media string
		status                   int
		part                     string
	}{
		{"no workspace", "", text, regoType, 400, "MGT-002"},
		{"broken rego", ws, "package policy\n", regoType, 400, `"RG-`},
		{"time", ws + "&time=noon", text, regoType, 400, "Invalid value for time"},
		{"address", ws + "&remoteIp=here", text, regoType, 400, "Invalid value for remoteIp"},
		{"environment", ws + "&environment=5", text, regoType, 400, "Invalid value for environment"},
		{"limit", ws + "&limit=0", text, regoType, 400, "Invalid value for limit"},
		{"template", ws + "&templateId=None", text, regoType, 400, "Invalid value for templateId"},
		{"identity template", ws + "&identityTemplate=None", text, regoType, 400, "Invalid value for identityTemplate"},
		{"scope", ws + "&scope=NOBODY", text, regoType, 404, "Scope: [NOBODY] not found"},
		{"unknown policy", "", `{"policyId":"none","delete":true}`, jsonBody, 404, "none"},
		{"both", "", `{"policyId":"none","delete":true,"state":true}`, jsonBody, 400, "/state"},
		{"neither", "", `{"policyId":"none"}`, jsonBody, 400, "/state"},
		{"no id", "", `{"delete":true}`, jsonBody, 400, "/policyId"},
		{"archive with errors", "", zipOf(t, map[string]string{"authorization-workspaces/Quays/policies/p.rego": "package policy\n"}), "Content-Type: application/zip", 400, "RG-"},
		{"media", "", "x", "Content-Type: image/png", 415, "MGT-007"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.do("viewer", "POST", env+"/impact?"+c.query, c.body, c.media).want(t, c.status, c.part)
		})
	}
	h.do("viewer", "POST", env+"/impact?"+ws, text, regoType, "Accept: text/html").want(t, 406)
}

// MG-77, 22: the time of the comparison can be set here, the request's address and attributes too; a scope narrows it to its
// applications; types whose assets come with requests are named.
func TestImpactParameters(t *testing.T) {
	h := impactWorld(t)
	ws := "filter[authWsId]=" + h.quays
	const when = "\n\n# METADATA\n# custom:\n#   plainid:\n#     kind: Condition\n#     name: Mornings\ncondition(env) if {\n\ttime.clock([env.time, \"UTC\"]) <= [11,0,0]\n}"
	const from = "\n\n# METADATA\n# custom:\n#   plainid:\n#     kind: Condition IP\n#     name: Quay network\ncondition_ip(env) if {\n\tnet.cidr_contains(\"10.20.0.0/16\", env.sourceIp)\n}"
	text := regoPolicy("quay_days", "4", "A") + when + from
	for query, any := range map[string]bool{
		"&time=2026-07-06T10:00:00Z&remoteIp=10.20.1.1":         true,
		"&time=2026-07-06T12:30:00%2B02:00&remoteIp=10.20.1.1":  true,
		"&time=2026-07-06T12:00:00Z&remoteIp=10.20.1.1":         false,
		"&time=2026-07-06T10:00:00Z&remoteIp=10.21.1.1":         false,
		"&time=2026-07-06T10:00:00Z":                            false,
		"&remoteIp=10.20.1.1":                                   true, // the clock says 08:00
		"&remoteIp=10.20.1.1&environment=%7B%22a%22:%5B1%5D%7D": true,
	} {
		if got := h.impact("viewer", ws+query, text, regoType); got.Data.Summary.Gained > 0 != any {
			t.Errorf("%s: %+v", query, got.Data.Summary)
		}
	}
	plain := regoPolicy("quay_days", "4", "A")
	for id, apps := range map[string]string{"FULLSCOPE00000000001": `["harbour-app"]`, "BARESCOPE00000000001": `[]`} {
		h.do("admin", "POST", env+"/scopes", `{"clientId":"`+id+`","name":"`+id+`","applicationIds":`+apps+`}`).want(t, 201)
		got := h.impact("viewer", ws+"&scope="+id, plain, regoType)
		if got.Data.Summary.Gained > 0 != (apps != "[]") {
			t.Errorf("scope %s: %+v", id, got.Data.Summary)
		}
	}
}
