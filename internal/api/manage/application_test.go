package manage

import (
	"net/url"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/store"
)

func applicationRows() map[string]string {
	return map[string]string{
		"POST " + applications: "write", "GET " + application: "read", "PATCH " + application: "write", "DELETE " + application: "write",
	}
}

const applicationsPath = "/api/1.0/applications/" + envID

func app1(id string) string { return applicationsPath + "/" + url.PathEscape(id) }

// importApp imports an application into the workspace Quays.
func (h *harbour) importApp(body string, headers ...string) answer {
	h.t.Helper()
	return h.do("admin", "POST", applicationsPath+"?authWsId="+h.quays, body, headers...)
}

// management-api.md 10, MG-6, MG-15, MG-45: an application is imported, exported and replaced; it may be empty.
func TestApplication(t *testing.T) {
	h := newHarbour(t)
	const full = `{"data":{"applicationId":"harbour-app","displayName":"Harbour","description":"Quay planning","logoUrl":"https://img.example.org/harbour.png","colorIndication":"#336699","assetTemplateIds":["Cargo"]}}`
	if a := h.importApp(full).want(t, 200).wantHeaders(t, "Ambit-Result: updated"); a.body != full {
		t.Errorf("stored %s", a.body)
	}
	if a := h.do("viewer", "GET", app1("harbour-app"), "").want(t, 200); a.body != full {
		t.Errorf("exported %s", a.body)
	}
	h.unchanged("the same again", func() { h.importApp(full).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged") })
	// keys that are left out return to their defaults
	h.importApp(`{"applicationId":"harbour-app","displayName":"H","assetTemplateIds":[]}`).want(t, 200,
		`{"data":{"applicationId":"harbour-app","displayName":"H","colorIndication":"#808080","assetTemplateIds":[]}}`)
	made := h.importApp(`{"applicationId":"a/b","displayName":"H","assetTemplateIds":[]}`).want(t, 201).wantHeaders(t, "Ambit-Result: created")
	h.do("viewer", "GET", app1("a/b"), "", "If-None-Match: "+made.Header.Get("ETag")).want(t, 304) // MG-3
	h.do("viewer", "GET", app1("none"), "").want(t, 404, "MGT-006", "Application: [none] not found")
}

// management-api.md 10: what an import of an application refuses.
func TestApplicationRefused(t *testing.T) {
	h := newHarbour(t)
	const id = `{"applicationId":"harbour-app","displayName":"H","assetTemplateIds":`
	for _, tt := range []struct {
		name, target, body string
		status             int
		parts              []string
	}{
		{"without a workspace", applicationsPath, id + "[]}", 400, []string{"MGT-002", "authWsId"}},
		{"unknown workspace", applicationsPath + "?authWsId=" + goneID, id + "[]}", 400, []string{"PAC-001"}},
		{"another workspace", applicationsPath + "?authWsId=" + h.docks, id + "[]}", 409, []string{"MGT-008", "Application: [harbour-app] already exists"}},
		{"unknown type", "", id + `["Cargo","Nil","No"]}`, 404, []string{"MGT-006", "AssetTemplate: [Nil] not found", "AssetTemplate: [No] not found"}},
		{"type of another workspace", "", id + `["Crane"]}`, 404, []string{"AssetTemplate: [Crane] not found"}},
		{"every error", "", `{"applicationId":"","displayName":"","colorIndication":"red"}`, 400, []string{"/applicationId", "/displayName", "/colorIndication"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := tt.target
			if target == "" {
				target = applicationsPath + "?authWsId=" + h.quays
			}
			h.unchanged(tt.name, func() { h.do("admin", "POST", target, tt.body).want(t, tt.status, tt.parts...) })
		})
	}
}

// MG-43, MG-45: renaming and deleting an application reaches scopes and the headers of policies, each with its event.
func TestApplicationReferences(t *testing.T) {
	h := newHarbour(t)
	h.importApp(`{"applicationId":"other","displayName":"O","assetTemplateIds":[]}`).want(t, 201)
	h.put(regoPolicy("p1", "3", "A", "applications:", "  - id: other", "  - id: harbour-app"))
	h.put(regoPolicy("p2", "3", "A", "applications:", "  - id: other"))
	scope := h.do("admin", "POST", env+"/scopes", `{"name":"web","secret":"x2345678y","applicationIds":["other","harbour-app"]}`).want(t, 201)
	_, client, _ := strings.Cut(scope.body, `"clientId":"`)
	client, _, _ = strings.Cut(client, `"`)
	h.unchanged("refused or the same", func() {
		h.rename(app1("harbour-app"), "/applicationId", "other").want(t, 409, "MGT-008", "Application: [other] already exists")
		h.rename(app1("harbour-app"), "/applicationId", " ").want(t, 400, "/0/value")
		h.rename(app1("harbour-app"), "/templateId", "x").want(t, 400, "/0/path")
		h.rename(app1("none"), "/applicationId", "x").want(t, 404)
		h.rename(app1("harbour-app"), "/applicationId", "harbour-app").want(t, 204).wantHeaders(t, "Ambit-Result: unchanged")
	})
	before := len(h.events())
	h.rename(app1("harbour-app"), "/applicationId", "dock/app").want(t, 204).wantHeaders(t, "Ambit-Result: updated")
	events := h.events()
	events = events[:len(events)-before]
	var changed []string
	for _, e := range events {
		changed = append(changed, e.Action+" "+e.ResourceType+" "+e.ResourceID)
		if e.Revision != events[0].Revision || !strings.Contains(e.Before, "harbour-app") || !strings.Contains(e.After, "dock/app") || strings.Contains(e.Before+e.After, "x2345678y") {
			t.Errorf("event %+v", e)
		}
	}
	if got := strings.Join(changed, ", "); got != "UPDATE APPLICATION dock/app, UPDATE ROLE p1, UPDATE SCOPE "+client {
		t.Errorf("events: %s", got)
	}
	h.do("admin", "GET", env+"/scopes/"+client, "").want(t, 200, `"applicationIds":["other","dock/app"]`)
	h.do("admin", "GET", app1("harbour-app"), "").want(t, 404)
	h.do("admin", "GET", app1("dock/app"), "").want(t, 200, `"applicationId":"dock/app"`, `"assetTemplateIds":["Cargo"]`)
	h.do("viewer", "GET", h.policies("&filter[id]=p1"), "", "Accept: application/json").want(t, 200, `"isPolicyCompleted":true`, "id: dock/app")

	h.do("admin", "DELETE", app1("dock/app"), "").want(t, 204).wantHeaders(t, "Ambit-Result: deleted")
	h.do("admin", "GET", env+"/scopes/"+client, "").want(t, 200, `"applicationIds":["other"]`)
	p := h.do("viewer", "GET", h.policies("&filter[id]=p1"), "", "Accept: application/json").want(t, 200, `"isPolicyCompleted":false`, `"applicationIds":[]`, "id: other")
	if strings.Contains(p.body, "dock/app") {
		t.Errorf("the header still names it: %s", p.body)
	}
	h.do("admin", "DELETE", app1("other"), "").want(t, 204)
	h.read(func(tx *store.Tx) error {
		p, err := tx.Policies.Find("p1")
		if p.Applications != nil || p.Inactive {
			t.Errorf("policy %+v", p)
		}
		return err
	})
	h.do("admin", "DELETE", app1("other"), "").want(t, 404)
}
