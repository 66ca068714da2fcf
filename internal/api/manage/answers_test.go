package manage

import (
	"log/slog"
	"net/http"
	"os"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/ambit-authz/ambit/internal/api/apitest"
)

// answers holds every answer that a test of this package sees against the description of the API.
var answers = sync.OnceValues(apitest.New)

func TestMain(m *testing.M) {
	os.Exit(apitest.Main(m, answers, Handler(Options{Log: slog.New(slog.DiscardHandler)})))
}

// check is called by do.
func (w *world) check(r *http.Request, a answer) {
	w.t.Helper()
	checker, err := answers()
	w.must(err)
	if err := checker.Check(r, a.StatusCode, a.Header, []byte(a.body)); err != nil {
		w.t.Errorf("docs/api/openapi.yaml: %v", err)
	}
}

// Every route is described.
func TestRoutesAreDescribed(t *testing.T) {
	checker, err := answers()
	if err != nil {
		t.Fatal(err)
	}
	var routes []string
	for pattern, m := range Handler(Options{}).(*router).paths {
		for method := range m.serve {
			if method != http.MethodHead {
				routes = append(routes, method+" "+pattern)
			}
		}
	}
	for _, route := range checker.Undescribed(routes) {
		t.Errorf("docs/api/openapi.yaml does not have %s", route)
	}
}

// management-api.md 20: identities one by one, by path and by query, and the last calls that no other test asks for.
func TestSingleIdentities(t *testing.T) {
	w := newWorld(t)
	all := env + "/identity-templates/User/identities"
	w.do("admin", "PUT", all+"/iris", `{"isActive":true}`).want(t, 201, `"entityId":"iris"`)
	w.do("admin", "PUT", all+"?entityId=a%2Fb%20c", `{"isActive":false}`).want(t, 201, `"entityId":"a/b c"`)
	w.do("admin", "PATCH", all+"/iris", `{"isActive":false}`).want(t, 200, `"isActive":false`).wantHeaders(t, "Ambit-Result: updated")
	w.do("admin", "PATCH", all+"?entityId=iris", `{"isActive":false}`).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged")
	w.do("viewer", "GET", all+"/count?filter[isActive]=false", "").want(t, 200, `{"data":{"count":2}}`)
	w.do("admin", "DELETE", all+"?entityId=a%2Fb%20c", "").want(t, 204)
	w.do("viewer", "GET", all+"/count", "").want(t, 200, `{"data":{"count":1}}`)

	assets := env + "/asset-templates/Claims/assets"
	w.do("admin", "PUT", assets+"/a", `{"name":"A"}`).want(t, 201)
	w.do("admin", "PATCH", assets+"?path=a", `{"name":"B"}`).want(t, 200, `"name":"B"`)
}

// MG-61: one of two living secrets is ended.
func TestDeleteSecret(t *testing.T) {
	w := newWorld(t)
	w.do("admin", "POST", env+"/scopes", `{"name":"portal","clientId":"PORTAL"}`).want(t, 201)
	made := w.do("admin", "POST", env+"/scopes/PORTAL/secrets", `{"expireOldAfterSeconds":60}`).want(t, 201, `"secret":"ambit_`)
	var secret struct{ Data struct{ ID string } }
	w.must(json.Unmarshal([]byte(made.body), &secret, json.MatchCaseInsensitiveNames(true)))
	w.do("viewer", "GET", env+"/scopes/PORTAL/secrets", "").want(t, 200, `"total":2`)
	w.do("admin", "DELETE", env+"/scopes/PORTAL/secrets/"+secret.Data.ID, "").want(t, 204)
	w.do("viewer", "GET", env+"/scopes/PORTAL/secrets", "").want(t, 200, `"total":1`)
}

// management-api.md 17: an identity workspace is replaced; the same again changes nothing.
func TestPutIdentityWorkspace(t *testing.T) {
	h := newHarbour(t)
	const body = `{"name":"Crew people","description":"All who work on the quays"}`
	h.do("admin", "PUT", env+"/identity-workspaces/"+h.crew, body).want(t, 200, `"description":"All who work on the quays"`).wantHeaders(t, "Ambit-Result: updated")
	h.do("admin", "PUT", env+"/identity-workspaces/"+h.crew, body).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged")
}
