package manage

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// MG-52: filters, operators, windows and order of audit events; policies have type ROLE.
func TestAudit(t *testing.T) {
	w := newWorld(t)
	w.service.Close() // the logins of the world come first
	now := w.clock
	day := 24 * time.Hour
	_, err := w.store.Update(t.Context(), store.Write{Environment: envID, Time: now}, func(tx *store.Tx) error {
		for i, e := range []model.ChangeEvent{
			{Time: now.Add(-8 * day), Action: "CREATE", ResourceType: "ROLE", ResourceID: "quay_days", ParentType: "AUTHORIZATION_WORKSPACE", ParentID: "ws"},
			{Time: now.Add(-6 * day), Action: "UPDATE", ResourceType: "ROLE", ResourceID: "quay_days", ParentType: "AUTHORIZATION_WORKSPACE", Before: "old", After: "new"},
			{Time: now.Add(-5 * day), Action: "DELETE", ResourceType: "RULESET", ResourceID: "r1", ParentType: "AUTHORIZATION_WORKSPACE"},
			{Time: now.Add(-4 * day), Action: "UPDATE", ResourceType: "SCOPE", ResourceID: "s1"},
		} {
			e.ID, e.EnvironmentID, e.ClientID, e.ResourceName = fmt.Sprint("e", i), envID, model.ClientID(fmt.Sprint("U", i%2)), "Quay days"
			e.ClientIP, e.RequestID, e.Revision = "192.0.2.10", "rq", 412
			if err := tx.Events.Append(e); err != nil {
				return err
			}
		}
		return nil
	})
	w.must(err)
	ms := func(d time.Duration) string { return fmt.Sprint(now.Add(d).UnixMilli()) }
	own := "filter[resourceType][like]=R%25" // without the events of the world itself
	for query, want := range map[string]string{
		own: "e2 e1",
		"filter[timestamp][gte]=0&filter[resourceType]=ROLE":                                               "e1 e0",
		"filter[timestamp][gte]=" + ms(-6*day) + "&" + own:                                                 "e2 e1",
		"filter[timestamp][gt]=" + ms(-6*day) + "&" + own:                                                  "e2",
		"filter[timestamp][lt]=" + ms(-6*day):                                                              "e0",
		"filter[timestamp][lte]=" + ms(-6*day):                                                             "e1 e0",
		"filter[timestamp][lte]=" + ms(-5*day) + "&filter[timestamp][gt]=" + ms(-8*day):                    "e2 e1",
		"filter[timestamp][gte]=0&filter[resourceType][eq]=ROLE":                                           "e1 e0",
		"filter[resourceType][ne]=ROLE&filter[resourceType][like]=_____%25&filter[userId]=U0":              "e2",
		"filter[resourceType][like]=role":                                                                  "",
		"filter[resourceType][ilike]=r_L%25":                                                               "e2 e1",
		"filter[resourceType][not-like]=R%25&filter[userId][eq]=U1":                                        "e3",
		"filter[action][eq]=UPDATE":                                                                        "e3 e1",
		"filter[action][like]=%25E&filter[action][ne]=UPDATE&filter[userId][eq]=U0":                        "e2",
		"filter[resourceId][eq]=quay_days":                                                                 "e1",
		"filter[resourceId][ne]=quay_days&filter[userId][eq]=U1":                                           "e3",
		"filter[parentObjectType][eq]=AUTHORIZATION_WORKSPACE&filter[action][ne]=CREATE":                   "e2 e1",
		"filter[parentObjectType][ne]=AUTHORIZATION_WORKSPACE&filter[action][eq]=UPDATE":                   "e3",
		"filter[userId][eq]=U0":                                                                            "e2",
		"filter[unknown][eq]=x&" + own:                                                                     "e2 e1",
		url.QueryEscape("filter[resourceId][eq]") + "=quay_days&filter[timestamp][gte]=0&limit=1&offset=1": "e0",
	} {
		a := w.do("admin", "GET", auditPath+"/"+envID+"?"+query, "").want(t, 200)
		var list struct {
			Data []eventBody `json:"data"`
		}
		w.must(json.Unmarshal([]byte(a.body), &list))
		var ids []string
		for _, e := range list.Data {
			ids = append(ids, e.ID)
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	w.do("tenant", "GET", auditPath+"/"+envID+"?filter[resourceId][eq]=quay_days", "").want(t, 200,
		`{"data":[{"id":"e1","timestamp":`+ms(-6*day)+`,"action":"UPDATE","resourceType":"ROLE","resourceId":"quay_days","resourceName":"Quay days","parentObjectType":"AUTHORIZATION_WORKSPACE","parentObjectId":null,"environmentId":"`+envID+`","userId":"U1","clientIp":"192.0.2.10","requestId":"rq","revision":412,"changes":{"before":"old","after":"new"}}],"total":1,"limit":50,"offset":0,"meta":{"total":1,"limit":50,"offset":0}}`)
	w.do("admin", "GET", auditPath+"/"+envID+"?limit=5000", "").want(t, 200, `"limit":1000`)
	for _, bad := range []string{"limit=0", "offset=x", "filter[timestamp][gte]=yesterday", "filter[timestamp][eq]=1", "filter[resourceId][like]=x", "filter[action][in]=x", "filter[resourceId][eq]=a&filter[resourceId][eq]=b"} {
		w.do("admin", "GET", auditPath+"/"+envID+"?"+bad, "").want(t, 400, "MGT-003")
	}
	w.do("viewer", "GET", auditPath+"/"+envID, "").want(t, 403)
	w.do("admin", "GET", auditPath, "").want(t, 403)
}

// MG-53, 14.1: a change and its event are one commit; tenant events are apart; logins are there.
func TestAuditOfChanges(t *testing.T) {
	w := newWorld(t)
	w.do("admin", "POST", env+"/scopes", `{"name":"portal"}`, "X-Request-ID: r-1").want(t, 201)
	w.do("admin", "POST", env+"/scopes", `{"name":"portal"}`).want(t, 409)
	a := w.do("admin", "GET", auditPath+"/"+envID+"?filter[resourceType][eq]=SCOPE", "").want(t, 200, `"total":1,`,
		`"action":"CREATE"`, `"userId":"admin"`, `"requestId":"r-1"`, `"revision":2`, `"resourceName":"portal"`, `"before":null`)
	if strings.Contains(a.body, "ambit_") {
		t.Errorf("a secret: %s", a.body)
	}
	w.do("tenant", "POST", credentialsPath, `{"name":"second"}`).want(t, 201)
	w.do("tenant", "GET", auditPath+"?filter[resourceType][eq]=API_CREDENTIAL&filter[action]=CREATE", "").want(t, 200, `"resourceName":"second"`, `"environmentId":null`, `"total":1,`)
	w.login("viewer", "wrong-secret").want(t, 401)
	w.login("viewer", w.secrets["viewer"]).want(t, 200)
	w.service.Close()
	w.do("admin", "GET", auditPath+"/"+envID+"?filter[userId][eq]=viewer&filter[action][like]=LOGIN%25", "").want(t, 200, `"action":"LOGIN_FAILED"`, `"action":"LOGIN"`)
}
