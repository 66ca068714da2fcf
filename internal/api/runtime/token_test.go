package runtime

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

const (
	acc1   = `{"path":"acc-1","attributes":{"branch":["Porto"],"tier":["basic"],"balance":["1200.50"],"name":["acc-1"],"path":["acc-1"]},"resourceType":"Accounts","actions":[{"action":"View"},{"action":"Edit"}]}`
	acc2   = `{"path":"acc-2","attributes":{"branch":["Porto"],"tier":["gold"],"balance":["98000"],"name":["acc-2"],"path":["acc-2"]},"resourceType":"Accounts","actions":[{"action":"View"}]}`
	acc3   = `{"path":"acc-3","attributes":{"branch":["Lagos"],"tier":["basic"],"balance":["310"],"name":["acc-3"],"path":["acc-3"]},"resourceType":"Accounts","actions":[{"action":"View"},{"action":"Edit"}]}`
	mreyes = `"entityId":"mreyes","entityTypeId":"Staff"`
	empty  = `{"tokenValidity":0,"response":[],"contextData":null}`
)

// document is an answer with these entries.
func document(entries ...string) string {
	return `{"tokenValidity":0,"response":[{"access":[` + strings.Join(entries, ",") + `]}],"contextData":null}`
}

// RT-18, RT-19, RT-20, RT-65, RT-72, RT-73, RT-75: the first example of 8.5, byte for byte, with its headers.
func TestTokenGolden(t *testing.T) {
	h := newHarbour(t)
	w := h.want(request{body: `{` + mreyes + `}`}, 200, document(acc1, acc2))
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "no-store",
		"X-Content-Type-Options": "nosniff", "Ambit-Revision": "1", "Content-Length": fmt.Sprint(w.Body.Len()),
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	h.want(request{body: `{"entityId":"tokafor","entityTypeId":"Staff"}`}, 200, document(acc3))
}

// RT-69, RT-70, RT-76, RT-77: the second example of 8.5.
func TestTokenGoldenPolicies(t *testing.T) {
	h := newHarbour(t)
	h.want(request{body: `{` + mreyes + `,"includeAccessPolicy":true,"includeAccessPolicyId":true,"includeIdentity":true,` +
		`"resourceTypes":[{"name":"Accounts","attributeList":["tier"]}],"assetList":[{"template":"Accounts","path":"acc-1"}]}`}, 200,
		`{"tokenValidity":0,"response":[{"access":[{"path":"acc-1","attributes":{"tier":["basic"]},"resourceType":"Accounts",`+
			`"actions":[{"action":"View","permission":"Branch accounts","permissionId":"pol-10"},`+
			`{"action":"View","permission":"Manage accounts","permissionId":"pol-20"},`+
			`{"action":"Edit","permission":"Manage accounts","permissionId":"pol-20"}]}]}],`+
			`"identity":{"entityId":"mreyes","entityTypeId":"Staff","typeName":"Staff",`+
			`"attributes":{"uid":["mreyes"],"branch":["Porto"],"jobTitle":["Teller"],"grade":["3"],"roles":[],"shift":[]}},`+
			`"contextData":null}`)
	h.want(request{body: `{` + mreyes + `,"includeAccessPolicyId":"TRUE","includeAssetAttributes":false,"assetList":{"template":"Accounts","path":"acc-2"}}`},
		200, document(`{"path":"acc-2","resourceType":"Accounts","actions":[{"action":"View","permissionId":"pol-10"},{"action":"View","permissionId":"pol-20"}]}`))
}

// loan is the entry of a loan that may be approved.
func loan(path, branch, amount string) string {
	tail := ""
	if path != "" {
		tail = fmt.Sprintf(`,"name":["%s"],"path":["%[1]s"]`, path)
	}
	return fmt.Sprintf(`{"path":"%s","attributes":{"branch":["%s"],"amount":["%s"]%s},"resourceType":"Loans","actions":[{"action":"approve"}]}`,
		path, branch, amount, tail)
}

// The fields of the request, one row each: RT-7 to RT-17, RT-57, RT-66 to RT-71, RT-74, RT-78.
func TestTokenRequests(t *testing.T) {
	h := newHarbour(t)
	only := func(names string) string { // acc-1 with these attributes
		return document(`{"path":"acc-1","attributes":{` + names + `},"resourceType":"Accounts","actions":[{"action":"View"},{"action":"Edit"}]}`)
	}
	namePath := `"name":["acc-1"],"path":["acc-1"]`
	asset := `,"assetList":[{"template":"Accounts","path":"acc-1"}]`
	office := `,"remoteIp":"198.51.100.9"`
	tests := []struct{ name, body, want string }{
		{"RT-8 unknown keys", `{` + mreyes + `,"includeAttributes":true,"responseType":{"a":[1]},"listOfResources":[{}]}`, document(acc1, acc2)},
		{"RT-10 unused fields", `{` + mreyes + `,"accessTokenFormat":true,"useCache":[],"prefetch":{}}`, document(acc1, acc2)},
		{"RT-11 flags", `{` + mreyes + `,"includeIdentity":"False","includeAssetAttributes":"what","includeContext":7}`, document(acc1, acc2)},
		{"RT-30 without effect", `{` + mreyes + `,"calculateCorrelationAttributes":["x"],"prefetch":true,"assetContext":{}}`, document(acc1, acc2)},
		{"RT-66 asset list", `{` + mreyes + `,"assetList":[{"template":"Accounts","path":"acc-2"},{"template":"Accounts","path":"acc-3"},{"template":"Accounts","path":"none"},{"template":"None","path":"x"}]}`, document(acc2)},
		{"RT-66 older form", `{` + mreyes + `,"assetList":{"type":[{"template":"Accounts","path":"acc-2"}]}}`, document(acc2)},
		{"RT-66 list without entries", `{` + mreyes + `,"assetList":[]}`, empty},
		{
			"RT-72 request order", `{` + mreyes + office + `,"assetList":[{"template":"Loans","path":"z","assetAttributes":{"branch":"Porto","amount":1}},{"template":"Accounts","path":"acc-2"},{"template":"Accounts","path":"acc-1"}]}`,
			document(acc2, acc1, loan("z", "Porto", "1")),
		},
		{
			"RT-67 request type without path", `{` + mreyes + office + `,"assetList":[{"template":"Loans","assetAttributes":{"branch":["Porto"],"amount":["4200"],"other":["x"]}}]}`,
			document(loan("", "Porto", "4200")),
		},
		{"RT-67 stored type without path", `{` + mreyes + `,"assetList":[{"template":"Accounts"}]}`, document(acc1, acc2)},
		{
			"RT-12 literal numbers", `{` + mreyes + office + `,"assetList":[{"template":"Loans","path":"l","assetAttributes":{"branch":["Porto"],"amount":[1200.50]}},{"template":"Loans","path":"m","assetAttributes":{"branch":["Porto"],"amount":[10000000000000000000001]}},{"template":"Loans","path":"n","assetAttributes":{"branch":["Porto"],"amount":[5.000e3]}}]}`,
			document(loan("l", "Porto", "1200.50"), loan("n", "Porto", "5.000e3")),
		},
		{"RT-13 bare string", `{` + mreyes + office + `,"assetList":[{"template":"Loans","path":"l","assetAttributes":{"branch":"Porto","amount":"1"}}]}`, document(loan("l", "Porto", "1"))},
		{"RT-14 array for a map", `{` + mreyes + office + `,"assetList":[{"template":"Loans","path":"l","assetAttributes":["Porto"]}]}`, empty},
		{"RT-14 no values", `{` + mreyes + office + `,"assetList":[{"template":"Loans","path":"l","assetAttributes":{"branch":[],"amount":"1"}}]}`, empty},
		{"RT-15 single object", `{` + mreyes + `,"assetList":{"template":"Accounts","path":"acc-1"}}`, document(acc1)},
		{"RT-59 not sent in request", `{` + mreyes + `,"assetList":[{"template":"Accounts","path":"acc-3","assetAttributes":{"branch":["Porto"]}}]}`, empty},
		{"RT-68 types as strings", `{` + mreyes + asset + `,"resourceTypes":["Accounts","None"]}`, only(namePath)},
		{"RT-68 type as string", `{` + mreyes + asset + `,"resourceTypes":"Accounts"}`, only(namePath)},
		{"RT-68 type as object", `{` + mreyes + asset + `,"resourceTypes":{"name":"Accounts"}}`, only(namePath)},
		{"RT-68 other type drops assets", `{` + mreyes + asset + `,"resourceTypes":["Loans"]}`, empty},
		{"RT-68 only unknown types", `{` + mreyes + `,"resourceTypes":["None"]}`, empty},
		{"RT-68 no types named", `{` + mreyes + asset + `,"resourceTypes":[]}`, document(acc1)},
		{"RT-69 empty attribute list", `{` + mreyes + asset + `,"resourceTypes":[{"name":"Accounts","attributeList":[]}]}`, only(namePath)},
		{"RT-70 excludes", `{` + mreyes + asset + `,"resourceTypes":[{"name":"Accounts","attributeList":"-tier -balance"}]}`, only(`"branch":["Porto"],` + namePath)},
		{"RT-70 excludes with commas", `{` + mreyes + asset + `,"resourceTypes":[{"name":"Accounts","attributeList":"-level, -balance,-path,-none"}]}`, only(`"branch":["Porto"],"name":["acc-1"]`)},
		{"RT-70 selects", `{` + mreyes + asset + `,"resourceTypes":[{"name":"Accounts","attributeList":"tier"}]}`, only(`"tier":["basic"]`)},
		{"RT-70 selects in template order", `{` + mreyes + asset + `,"resourceTypes":[{"name":"Accounts","attributeList":["path","balance","level"]}]}`, only(`"tier":["basic"],"balance":["1200.50"],"path":["acc-1"]`)},
		{"RT-70 mixed", `{` + mreyes + asset + `,"resourceTypes":[{"name":"Accounts","attributeList":["tier","branch","-tier"]}]}`, only(`"branch":["Porto"]`)},
		{"8.3 rule 6 united", `{` + mreyes + asset + `,"resourceTypes":[{"name":"Accounts","attributeList":["tier"]},{"name":"Accounts","attributeList":["branch"]}]}`, only(`"branch":["Porto"],"tier":["basic"]`)},
		{"RT-71 actions", `{` + mreyes + `,"resourceTypes":[{"name":"Accounts","attributeList":"-none","actions":["Edit"]}]}`, document(strings.Replace(acc1, `{"action":"View"},`, "", 1))},
		{"RT-71 unknown action", `{` + mreyes + `,"resourceTypes":[{"name":"Accounts","actions":["view"]}]}`, empty},
		{"RT-71 action by id", `{` + mreyes + office + `,"resourceTypes":[{"name":"Loans","attributeList":"-none","actions":"Approve"}],"assetList":[{"template":"Loans","path":"l","assetAttributes":{"branch":"Porto","amount":"1"}}]}`, document(loan("l", "Porto", "1"))},
		{"RT-57 offset", `{` + mreyes + `,"timeZoneOffset":5.5}`, document(acc1, acc2)},
		{"RT-57 offset as text", `{` + mreyes + `,"timeZoneOffset":"-14.0"}`, document(acc1, acc2)},
		{
			"RT-78 context", `{` + mreyes + `,"includeContext":true,"contextData":{"b":[891,true,null,"x","x"],"a":1.0,"c":[]},"assetList":[]}`,
			`{"tokenValidity":0,"response":[],"contextData":{"b":["891","true","x"],"a":["1.0"],"c":[]}}`,
		},
		{"RT-78 context not sent", `{` + mreyes + `,"includeContext":true,"contextData":["x"],"assetList":[]}`, empty},
		{"RT-51 inactive", `{"entityId":"gone","entityTypeId":"Staff"}`, empty},
		{"RT-7 byte order mark", "\ufeff{" + mreyes + `,"assetList":[]}`, empty},
		{"RT-44 the only template", `{"entityId":"mreyes","assetList":[]}`, empty},
		{"RT-80 format in any case", `{` + mreyes + `,"accessTokenFormat":"json","assetList":[]}`, empty},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h.t = t
			h.want(request{body: tt.body}, 200, tt.want)
		})
	}
}

// RT-1, RT-2, RT-4, RT-16, RT-17: paths, methods and the query form.
func TestTokenRoutes(t *testing.T) {
	h := newHarbour(t)
	full := document(acc1, acc2)
	for _, base := range []string{"/api/runtime", "/runtime"} {
		for _, version := range []string{"v1", "v3", "v4"} {
			path := base + "/token/" + version
			h.want(request{path: path, body: `{` + mreyes + `}`}, 200, full)
			h.want(request{path: path + "/", body: `{` + mreyes + `}`}, 200, full)
			h.want(request{method: "GET", path: path + "?entityId=mreyes&entityTypeId=Staff&entityId=tokafor"}, 200, full)
			w := h.want(request{method: "PUT", path: path}, 405, "Method not allowed")
			if w.Header().Get("Allow") != "GET, POST" || w.Header().Get("X-Request-ID") == "" {
				t.Errorf("headers of 405: %v", w.Header())
			}
		}
	}
	for _, path := range []string{
		"/", "/api/runtime/token", "/api/runtime/token/v2", "/api/Runtime/token/v3", "/api/runtime/token/v3//",
		"/api//runtime/token/v3", "/api/runtime/./token/v3", "/api%2fruntime/token/v3", "/api/runtime/token/v3;x", "/api/runtime/token/V3",
	} {
		h.want(request{path: path, body: `{` + mreyes + `}`}, 404, "Not found")
	}
	if w := h.do(request{path: "/api/runtime/5.0/nothing"}); w.Code != 404 || !strings.HasPrefix(w.Body.String(), `{"errors":[{"id":"E`) {
		t.Errorf("unknown 5.0 path: %d %s", w.Code, w.Body)
	}
	get := func(query string) request {
		return request{method: "GET", path: "/api/runtime/token/v3?entityId=mreyes&" + query}
	}
	h.want(get(`assetList=x&environment=y`), 200, full)
	h.want(get(`includeAssetAttributes=false&resourceTypes=Accounts`), 200,
		document(`{"path":"acc-1","resourceType":"Accounts","actions":[{"action":"View"},{"action":"Edit"}]}`, `{"path":"acc-2","resourceType":"Accounts","actions":[{"action":"View"}]}`))
	h.want(get(`resourceTypes=Loans,CustomerColumns&resourceTypes=Customers`), 200, empty)
	h.want(get(`resourceTypes=Loans&resourceTypes=%5B%7B%22name%22:%22Accounts%22,%22attributeList%22:%22-x%22%7D%5D`), 200, full)
	h.want(get(`resourceTypes=%7B%22name%22:%22Accounts%22,%22attributeList%22:%22-x%22%7D`), 200, full)
	h.want(get(`resourceTypes=%5B`), 400, "Malformed JSON")
	h.want(get(`timeZoneOffset=19`), 400, "timeZoneOffset: must be a number of hours from -14 to 14")
	h.want(get(`remoteIP=x`), 400, "remoteIP: must be an IP address without port or zone")
	h.want(get(`remoteIp=x`), 400, "remoteIp: must be an IP address without port or zone")
	h.want(get(`a=%zz`), 400, "query: not readable")
	h.want(get(`entityTypeId=%ff`), 400, "entityTypeId: is not valid UTF-8")
	// RT-31, RT-32: credentials in the query
	q := get(`clientId=` + string(client) + `&clientSecret=` + h.secret)
	q.anonymous = true
	h.want(q, 200, full)
}

// RT-58, RT-64: request attributes and rows reach the engine.
func TestTokenEnvironmentAndRows(t *testing.T) {
	h := newHarbour(t)
	h.update(func(tx *store.Tx) error {
		_, err := tx.Identities("Staff").Put(model.Identity{
			EntityID: "rows", Attributes: model.Attributes{"jobTitle": {"Teller"}},
			Rows: []model.Attributes{{"branch": {"Porto"}, "grade": {"1"}}, {"branch": {"Lagos"}, "grade": {"5"}}},
		})
		if err != nil {
			return err
		}
		p, err := tx.Policies.Find("pol-20")
		if err != nil {
			return err
		}
		p.Conditions = []model.BlockID{"c-channel"}
		if _, err = tx.Policies.Put(p); err != nil {
			return err
		}
		_, err = tx.Blocks.Put(model.Block{
			ID: "c-channel", Kind: model.KindConditionRequest, WorkspaceID: "a0", Name: "channel",
			Branches: branches(rule(model.SideRequest, "channel", model.OpEqual, "desk")),
		})
		return err
	})
	view := strings.Replace(acc1, `,{"action":"Edit"}`, "", 1)
	viewLagos := strings.Replace(acc3, `,{"action":"Edit"}`, "", 1)
	h.want(request{body: `{` + mreyes + `}`}, 200, document(view, acc2))
	h.want(request{body: `{` + mreyes + `,"environment":{"channel":"desk"}}`}, 200, document(acc1, acc2))
	h.want(request{body: `{"entityId":"rows","environment":{"channel":"desk"}}`}, 200, document(acc1, acc2, acc3))
	h.want(request{body: `{"entityId":"rows","combinedMultiValue":true,"environment":{"channel":"desk"}}`}, 200, document(view, acc2, acc3))
	h.want(request{body: `{"entityId":"rows","combinedMultiValue":"true"}`}, 200, document(view, acc2, viewLagos))
}

// E17, RT-41, RT-52, RT-53, RT-77: several identities, and one that a header identifies, over the wire.
func TestTokenIdentities(t *testing.T) {
	h := newHarbour(t)
	h.update(func(tx *store.Tx) error {
		if err := put(tx.IdentityTemplates, model.IdentityTemplate{
			ID: "Device", WorkspaceID: "i1",
			Attributes: []model.IdentityAttribute{{ID: "uid", Type: model.String}, {ID: "zone", Type: model.String}},
		}); err != nil {
			return err
		}
		if err := put(tx.IdentityWorkspaces, model.IdentityWorkspace{
			ID: "i1", Name: "Devices", TemplateID: "Device",
			Matcher: &model.Matcher{TemplateMatcher: "$.headers.x-kind", MatcherValue: "device", IdentityIDMapper: "$.headers.x-device"},
		}); err != nil {
			return err
		}
		if err := put(tx.Blocks, model.Block{
			ID: "g-device", Kind: model.KindDynamicGroup, WorkspaceID: "i1", Template: "Device", Name: "desk",
			Branches: branches(rule(model.SideIdentity, "zone", model.OpEqual, "desk")),
		}); err != nil {
			return err
		}
		for id, zone := range map[string]string{"d-1": "desk", "d-2": "home"} {
			if _, err := tx.Identities("Device").Put(model.Identity{EntityID: id, Attributes: model.Attributes{"zone": {zone}}}); err != nil {
				return err
			}
		}
		p, err := tx.Policies.Find("pol-20")
		if err != nil {
			return err
		}
		p.DynamicGroups = append(p.DynamicGroups, "g-device")
		return put(tx.Policies, p)
	})
	extra := func(device string) string {
		return `,"additionalIdentities":[{"entityId":"` + device + `","entityTypeId":"Device"}]`
	}
	h.want(request{body: `{` + mreyes + extra("d-1") + `}`}, 200, document(acc1, acc2))
	h.want(request{body: `{` + mreyes + extra("d-2") + `}`}, 200, empty)
	staff := `"identity":{"entityId":"mreyes","entityTypeId":"Staff","typeName":"Staff","attributes":{"uid":["mreyes"],"branch":["Porto"],"jobTitle":["Teller"],"grade":["3"],"roles":[],"shift":["late"]}}`
	h.want(request{body: `{` + mreyes + `,"entityAttributes":{"shift":"late","grade":["9"]},"includeIdentity":true,"assetList":[]` + extra("d-1") + `}`}, 200,
		`{"tokenValidity":0,"response":[],`+staff+`,"additionalIdentities":[{"entityId":"d-1","entityTypeId":"Device","typeName":"Device","attributes":{"uid":["d-1"],"zone":["desk"]}}],"contextData":null}`)
	h.want(request{body: `{"includeIdentity":true}`, headers: []string{"X-Kind: device", "x-device: d-2"}}, 200,
		`{"tokenValidity":0,"response":[],"identity":{"entityId":"d-2","entityTypeId":"Device","typeName":"Device","attributes":{"uid":["d-2"],"zone":["home"]}},"contextData":null}`)
	h.want(request{body: `{"entityId":"d-1"}`, headers: []string{"X-Kind: device", "x-device: d-2"}}, 403, unmatched)
	h.want(request{body: `{}`, headers: []string{"X-Kind: other", "x-device: d-2"}}, 403, unmatched)
	h.changeScope(func(s *model.Scope) { s.IdentityMatching, s.TokenValidity = model.MatchMatcher, 60 })
	h.want(request{body: `{` + mreyes + `}`, headers: []string{"X-Kind: device", "x-device: d-1"}}, 200, strings.Replace(empty, ":0", ":60", 1))
	h.want(request{body: `{` + mreyes + `}`}, 403, unmatched)
}

// 5.5, RT-48, RT-53: what is sent for the primary identity is its alone, and so is what is sent for another one.
func TestAttributesOfEachIdentity(t *testing.T) {
	h := newHarbour(t)
	h.update(func(tx *store.Tx) error {
		if err := put(tx.IdentityTemplates, model.IdentityTemplate{
			ID: "Device", WorkspaceID: "i1", Attributes: []model.IdentityAttribute{{ID: "uid", Type: model.String}, {ID: "shift", Type: model.String, IsUsedInAccessRequest: true}},
		}); err != nil {
			return err
		}
		_, err := tx.Identities("Device").Put(model.Identity{EntityID: "d-1", Attributes: model.Attributes{"shift": {"stored"}}})
		return err
	})
	for _, tt := range []struct{ top, device, staff, want string }{
		{`,"entityAttributes":{"shift":"a"}`, ``, `"a"`, `"stored"`},
		{`,"contextData":{"shift":"c"},"entityAttributes":{"shift":"a"}`, ``, `"c"`, `"stored"`},
		{``, `,"entityAttributes":{"shift":"a"}`, ``, `"a"`},
		{``, `,"contextData":{"shift":["c"]}`, ``, `"c"`},
		{`,"contextData":{"shift":"top"}`, `,"contextData":{"shift":"c"},"entityAttributes":{"shift":"a"}`, `"top"`, `"c"`},
		{``, `,"contextData":{"shift":[]}`, ``, ``},
	} {
		h.want(request{body: `{` + mreyes + tt.top + `,"includeIdentity":true,"assetList":[],"additionalIdentities":[{"entityId":"d-1","entityTypeId":"Device"` + tt.device + `}]}`}, 200,
			`{"tokenValidity":0,"response":[],"identity":{"entityId":"mreyes","entityTypeId":"Staff","typeName":"Staff","attributes":{"uid":["mreyes"],"branch":["Porto"],"jobTitle":["Teller"],"grade":["3"],"roles":[],"shift":[`+tt.staff+`]}},`+
				`"additionalIdentities":[{"entityId":"d-1","entityTypeId":"Device","typeName":"Device","attributes":{"uid":["d-1"],"shift":[`+tt.want+`]}}],"contextData":null}`)
	}
}

// F1: a call whose context has ended is an error, never a part of an answer.
func TestCancelled(t *testing.T) {
	h := newHarbour(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/api/runtime/token/v3", strings.NewReader(`{`+mreyes+`}`))
	r.Header.Set("X-Client-Id", string(client))
	r.Header.Set("X-Client-Secret", h.secret)
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	if w.Code != 500 || w.Body.String() != "Internal error" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got := h.records.last(); got.Status != 500 {
		t.Errorf("audit status %d", got.Status)
	}
}
