package manage

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/store"
)

const (
	paaPath   = "/api/1.0/paa-groups/" + envID
	ownPAA    = env + "/paa-groups/"
	northPath = paaPath + "/north_paa"
)

// source is a source with secrets in every place that it can have them.
func source(password string) string {
	return `{"sourceId":"roster","paaGroupId":"north_paa","adapter":"jdbc","name":"Roster","status":"ACTIVE","description":null,` +
		`"properties":{"url":"jdbc:postgresql://db.example.org/crew","rate":1.50,"dbPassword":"` + password + `-1","login":{"Client_Secret":"` + password + `-2","user":"reader"},"api-key":["` + password + `-3"],"accessTokenSecret":null},` +
		`"translator":{"name":"sql","type":"SQL","properties":{"CREDENTIALS":{"user":"u","value":"` + password + `-4"}}},` +
		`"models":[{"type":"TABLE","modelId":"v_a","paaGroupId":"north_paa","visible":true,"name":"a","description":null,"sourceIds":["roster"],"properties":{"token":"` + password + `-5"},"metadata":[{"name":"db.password","value":"` + password + `-6","type":"TEXT"}]},` +
		`{"type":"TABLE","modelId":"v_b","paaGroupId":null,"visible":null,"name":null,"description":null,"sourceIds":[],"properties":{"token":"` + password + `-7"},"metadata":null}],` +
		`"paasProperties":[{"key":"ApiKey","values":["` + password + `-8"]}]}`
}

// maskedText is the source as everybody may see it.
func maskedText() string {
	text := source("PW")
	for _, secret := range []string{`"PW-1"`, `"PW-2"`, `["PW-3"]`, `{"user":"u","value":"PW-4"}`, `"PW-5"`, `"PW-6"`, `"PW-7"`, `["PW-8"]`} {
		text = strings.Replace(text, secret, `"***"`, 1)
	}
	return text
}

func (h *harbour) putGroup(t *testing.T) {
	t.Helper()
	h.do("admin", "PUT", ownPAA+"north_paa", `{"paaGroupType":"CLOUD","paasCount":2}`).want(t, 200,
		`{"data":{"id":"north_paa","paaGroupType":"CLOUD","paasCount":2,"hasInactiveSyncPaas":false,"createdAt":"`).wantHeaders(t, "Ambit-Result: created")
}

// storedSource is what the store holds of the source.
func (h *harbour) storedSource() string {
	h.t.Helper()
	var out []byte
	h.read(func(tx *store.Tx) error {
		s, err := tx.PAASources.Find(store.Key{Owner: "north_paa", ID: "roster"})
		out = s.Definition
		return err
	})
	return string(out)
}

// MG-51: groups are stored and given back, lists page with any limit.
func TestPAAGroups(t *testing.T) {
	h := newHarbour(t)
	h.do("viewer", "GET", paaPath+"?limit=10000", "").want(t, 200, `{"data":[],"total":0,"limit":1000,"offset":0,"meta":{"total":0,"limit":1000,"offset":0}}`)
	h.putGroup(t)
	h.do("admin", "PUT", ownPAA+"a%2Fb", `{"data":{"id":"a/b","hasInactiveSyncPaas":true}}`).want(t, 200, `"paaGroupType":""`)
	h.do("viewer", "GET", paaPath, "").want(t, 200, `{"data":[{"id":"a/b"},{"id":"north_paa"}],"total":2,"limit":50`)
	h.do("viewer", "GET", paaPath+"?detailed=True&limit=10000&offset=1", "").want(t, 200, `{"data":[{"id":"north_paa","paaGroupType":"CLOUD","paasCount":2,"hasInactiveSyncPaas":false}],"total":2,"limit":1000,"offset":1`)
	for _, q := range []string{"?limit=0", "?limit=x", "?offset=-1", "?detailed=2"} {
		h.do("viewer", "GET", paaPath+q, "").want(t, 400, "MGT-003")
	}
	a := h.do("viewer", "GET", ownPAA+"north_paa", "").want(t, 200, `"revision":3}}`)
	h.do("viewer", "GET", ownPAA+"north_paa", "", "If-None-Match: "+a.Header.Get("ETag")).want(t, 304)
	h.do("admin", "PUT", ownPAA+"north_paa", a.body, "If-Match: "+a.Header.Get("ETag")).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged", "Ambit-Revision: 4")
	h.do("admin", "PUT", ownPAA+"north_paa", `{}`, "If-None-Match: *").want(t, 412)
	h.do("admin", "PUT", ownPAA+"x", `{"id":"y","paasCount":-1,"paaGroupType":"\u0000"}`).want(t, 400, "/id: differs", "/paasCount", "/paaGroupType")
	h.do("admin", "PUT", ownPAA+"%20x", `{}`).want(t, 400, "/id: begins or ends with a blank")
	h.do("admin", "PUT", ownPAA+"dry?dryRun=true", `{}`).want(t, 200).wantHeaders(t, "Ambit-Result: created", "Ambit-Revision: 4")
	h.do("viewer", "GET", ownPAA+"dry", "").want(t, 404, "PAAGroup: [dry] not found")
}

// MG-51: a group stays while an asset type or an identity source names it; its sources and views go with it.
func TestDeletePAAGroup(t *testing.T) {
	h := newHarbour(t)
	h.putGroup(t)
	h.do("admin", "POST", northPath+"/sources", source("hidden")).want(t, 201)
	h.do("admin", "PUT", northPath+"/views", `[{"type":"SQL","paaId":"p","text":"x"}]`).want(t, 200)
	const external = `{"templateId":"Ship","displayName":"Ship","source":"EXTERNAL","paaGroupId":"north_paa","viewName":"v","attributes":[],"actions":[]}`
	const input = `{"sources":[{"sourceId":"roster","displayName":"Roster","sourceType":"EXTERNAL_INPUT","sourceMetaData":{"paaGroupId":"north_paa","viewName":"v"}}]}`
	h.apply(t, map[string]string{
		"authorization-workspaces/Quays/asset-types/Ship.json":       external,
		"identity-workspaces/Crew people/identity-sources/Crew.json": input,
	}).want(t, 200, `"committed":true`)
	h.do("admin", "DELETE", ownPAA+"north_paa", "").want(t, 409, "MGT-009",
		"PAAGroup: [north_paa] is used by asset type: [Ship]", "PAAGroup: [north_paa] is used by identity source: [roster]")
	h.apply(t, map[string]string{
		"authorization-workspaces/Quays/asset-types/Ship.json":       strings.Replace(external, "north_paa", "south", 1),
		"identity-workspaces/Crew people/identity-sources/Crew.json": strings.Replace(input, "north_paa", "south", 1),
	}).want(t, 200, `"committed":true`)
	h.do("admin", "DELETE", ownPAA+"north_paa?dryRun=true", "").want(t, 204)
	h.do("viewer", "GET", northPath+"/sources/roster", "").want(t, 200)
	h.do("admin", "DELETE", ownPAA+"north_paa", "").want(t, 204).wantHeaders(t, "Ambit-Result: deleted")
	for _, path := range []string{"/sources", "/sources/roster", "/views"} {
		h.do("viewer", "GET", northPath+path, "").want(t, 404)
	}
	h.putGroup(t)
	h.do("viewer", "GET", northPath+"/sources", "").want(t, 200, `"total":0`)
	h.do("viewer", "GET", northPath+"/views", "").want(t, 200, `"data":[],"total":0`)
}

// MG-51: secrets at every depth are masked in answers and audit events, and sealed in the store.
func TestPAASecrets(t *testing.T) {
	h := newHarbour(t)
	h.putGroup(t)
	a := h.do("admin", "POST", northPath+"/sources", source("hidden")).want(t, 201, `{"data":`+maskedText()+`}`)
	a.wantHeaders(t, "Ambit-Result: created", "Location: "+northPath+"/sources/roster", "Ambit-Revision: 4")
	one := northPath + "/sources/roster"
	shown := h.do("viewer", "GET", one, "").want(t, 200, `{"data":`+maskedText()+`}`)
	h.do("viewer", "GET", northPath+"/sources?detailed=true&limit=10000", "").want(t, 200, `{"data":[`+maskedText()+`],"total":1,"limit":1000`)
	h.do("viewer", "GET", northPath+"/sources", "").want(t, 200, `{"data":[{"sourceId":"roster"}],"total":1`)
	stored := h.storedSource()

	// the same values, masked or in clear, change nothing
	for _, body := range []string{shown.body, source("hidden"), strings.Replace(source("hidden"), `"hidden-2"`, `"***"`, 1)} {
		h.do("admin", "PUT", one, body, "If-Match: "+shown.Header.Get("ETag")).want(t, 200, maskedText()).wantHeaders(t, "Ambit-Result: unchanged", "Ambit-Revision: 4")
	}
	// a dry run does not tell which guess is right
	for _, secret := range []string{"hidden", "guess"} {
		h.do("admin", "PUT", one+"?dryRun=true", source(secret)).want(t, 200, maskedText()).wantHeaders(t, "Ambit-Result: updated")
	}
	h.do("admin", "PUT", one+"?dryRun=true", maskedText()).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged")
	// one new value leaves the others as they are, and shows in nothing but the version
	h.do("admin", "PUT", one, strings.Replace(maskedText(), `"dbPassword":"***"`, `"dbPassword":"hidden-9"`, 1)).want(t, 200, maskedText()).wantHeaders(t, "Ambit-Result: updated", "Ambit-Revision: 5")
	h.do("admin", "PUT", one, strings.Replace(source("hidden"), "hidden-1", "hidden-9", 1)).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged")
	if h.storedSource() == stored {
		t.Error("the new value is not stored")
	}
	// models and properties that say who they are keep their secrets wherever they stand
	moved := maskedText()
	from, to := strings.Index(moved, `{"type":"TABLE","modelId":"v_a"`), strings.Index(moved, `,{"type":"TABLE","modelId":"v_b"`)
	moved = strings.Replace(moved[:from]+moved[to+1:], `"metadata":null}]`, `"metadata":null},`+moved[from:to]+`]`, 1)
	h.do("admin", "PUT", one, moved).want(t, 200)
	h.do("admin", "PUT", one, strings.Replace(source("hidden"), "hidden-1", "hidden-9", 1)).want(t, 200)
	before := h.storedSource()
	h.do("admin", "PUT", one, maskedText()).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged")
	if h.storedSource() != before {
		t.Error("masked values changed what is stored")
	}

	for _, e := range h.events() {
		if strings.Contains(e.Before+e.After, "hidden") || e.ResourceType == "PAA_SOURCE" && e.After != maskedText() && !strings.Contains(e.After, "v_b") {
			t.Errorf("event %+v", e)
		}
	}
	if strings.Contains(h.storedSource(), "hidden") || strings.Contains(h.storedSource(), "***") || strings.Contains(h.log.String(), "hidden") {
		t.Errorf("in clear: %s", h.storedSource())
	}
	h.do("admin", "DELETE", one, "", "If-Match: "+shown.Header.Get("ETag")).want(t, 412)
	h.do("admin", "DELETE", one, "").want(t, 204).wantHeaders(t, "Ambit-Result: deleted")
	h.do("admin", "DELETE", one, "").want(t, 404, "PAASource: [roster] not found")
}

// MG-51, 1.3, MG-14: what is wrong with a source is named; nothing is stored.
func TestPAASourceErrors(t *testing.T) {
	h := newHarbour(t)
	h.do("admin", "POST", northPath+"/sources", source("hidden")).want(t, 404, "PAAGroup: [north_paa] not found")
	h.putGroup(t)
	one := northPath + "/sources/roster"
	h.do("admin", "PUT", one, source("hidden")).want(t, 404, "PAASource: [roster] not found")
	h.do("admin", "POST", northPath+"/sources", maskedText()).want(t, 400, "/properties/dbPassword: *** keeps the stored value, and there is none",
		"/properties/login/Client_Secret", "/models/0/properties/token", "/models/0/metadata/0/value", "/paasProperties/0/values")
	for body, part := range map[string]string{
		`{"sourceId":"` + strings.Repeat("x", 129) + `"}`: "/sourceId", `{"sourceId":" x"}`: "/sourceId", `{"sourceId":"x","paaGroupId":"y"}`: "/paaGroupId: differs",
		`{"models":{}}`: "/models", `{"name":1}`: "/name", `[]`: "MGT-001", ``: "MGT-001", `{"properties":{"a":1,"a":2}}`: "MGT-001",
	} {
		a := h.do("admin", "POST", northPath+"/sources", body).want(t, 400, part)
		if strings.Contains(a.body, "hidden") {
			t.Errorf("a secret in %s", a.body)
		}
	}
	h.do("admin", "POST", northPath+"/sources", `{"properties":"`+strings.Repeat("x", 1<<20)+`"}`).want(t, 400, "MGT-018", "bytes of a source", "the limit is 1048576")
	a := h.do("admin", "POST", northPath+"/sources?dryRun=true", `{"properties":{"password":"hidden"}}`).want(t, 201, `{"data":{"sourceId":null,"paaGroupId":"north_paa",`, `"properties":{"password":"***"},"translator":null,"models":[],"paasProperties":[]}}`)
	a.wantHeaders(t, "Ambit-Dry-Run: true", "Ambit-Revision: 3", "Location: ")
	a = h.do("admin", "POST", northPath+"/sources", `{"name":"made","adapter":{"kind":"x"}}`).want(t, 201, `"adapter":{"kind":"x"},"name":"made"`)
	h.do("viewer", "GET", a.Header.Get("Location"), "").want(t, 200, `"name":"made"`)
	h.do("admin", "POST", northPath+"/sources", source("hidden")).want(t, 201)
	h.do("admin", "POST", northPath+"/sources", source("hidden")).want(t, 409, "MGT-008")
	h.do("admin", "PUT", one, strings.Replace(source("hidden"), `"sourceId":"roster"`, `"sourceId":"other"`, 1)).want(t, 400, "/sourceId: differs")
	h.do("viewer", "GET", paaPath+"/none/sources", "").want(t, 404, "PAAGroup: [none] not found")
	h.do("viewer", "GET", northPath+"/sources?limit=1&offset=1", "").want(t, 200, `"total":2,"limit":1,"offset":1`)
}

// MG-51, 13: the whole list of views is replaced; a text has at most 4 MiB.
func TestPAAViews(t *testing.T) {
	h := newHarbour(t)
	h.putGroup(t)
	path := northPath + "/views"
	text := strings.Repeat("x", 4<<20)
	a := h.do("admin", "PUT", path, `[{"type":"SQL","paaId":"p1","text":"`+text+`"},{"type":"SQL","paaId":"p2","text":"select 1\n"}]`).want(t, 200, `"total":2,"limit":1000`)
	a.wantHeaders(t, "Ambit-Result: created", "Ambit-Revision: 4")
	got := h.do("viewer", "GET", path+"?limit=10000", "").want(t, 200, `{"type":"SQL","paaId":"p2","text":"select 1\n"}],"total":2,"limit":1000,"offset":0`)
	if !strings.Contains(got.body, text) {
		t.Error("the text is not whole")
	}
	h.do("viewer", "GET", path, "", "If-None-Match: "+a.Header.Get("ETag")).want(t, 304)
	h.do("admin", "PUT", path, `{"data":[{"type":"SQL","paaId":"p1","text":"`+text+`"},{"type":"SQL","paaId":"p2","text":"select 1\n"}]}`, "If-Match: "+a.Header.Get("ETag")).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged")
	h.do("admin", "PUT", path, `[{"text":"`+text+`x"}]`).want(t, 400, "MGT-018", "/0/text: 4194305, the limit is 4194304")
	h.do("admin", "PUT", path, `[{"type":"a\u0001","paaId":1}]`).want(t, 400, "/0/paaId")
	h.do("admin", "PUT", path, `{}`).want(t, 400)
	h.do("admin", "PUT", path+"?dryRun=true", `[]`).want(t, 200, `"data":[]`).wantHeaders(t, "Ambit-Result: updated", "Ambit-Revision: 4")
	h.do("admin", "PUT", path, `[]`).want(t, 200).wantHeaders(t, "Ambit-Result: updated", "Ambit-Revision: 5")
	e := h.events()[0]
	if e.ResourceType != "PAA_VIEWS" || len(e.Before) > 1000 || !bytes.Contains([]byte(e.Before), []byte(`"textBytes":4194304,"textSha256":"`)) {
		t.Errorf("event of %d bytes: %.200s", len(e.Before), e.Before)
	}
}
