package manage

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

func consoleRows() map[string]string {
	return map[string]string{
		"GET " + consoleEnvironments: "any", "GET " + consoleAuthorizationWorkspaces: "read",
		"GET " + consoleIdentityWorkspaces: "read", "GET " + consoleAssetTypes: "any",
	}
}

// MG-55, MG-9: the console's calls, with the error body of their family; callers see what is theirs.
func TestConsole(t *testing.T) {
	h := newHarbour(t)
	const (
		workspaces = "/env-mgmt/1.0-int.1/authorization-workspaces/"
		people     = "/env-mgmt/1.0/identity-workspaces/"
	)
	h.do("viewer", "GET", "/env-mgmt/environment", "").want(t, 200, `{"data":[{"id":"`+envID+`","name":"Test"}],"total":1,`)
	h.do("tenant", "GET", "/env-mgmt/environment?limit=1&offset=1", "").want(t, 200, `{"data":[{"id":"`+otherID+`","name":"Other"}],"total":2,"limit":1,"offset":1,"meta":{"total":2,"limit":1,"offset":1}}`)
	h.do("viewer", "GET", workspaces+envID, "").want(t, 200, `{"id":"`+h.quays+`","name":"Quays"}`, `"total":3,"limit":100,"offset":0`)
	h.do("viewer", "GET", people+envID+"?limit=5000", "").want(t, 200, `{"id":"`+h.crew+`","name":"Crew people","identityTemplateId":"Crew"}`, `"limit":1000`)
	for _, path := range []string{workspaces, people} {
		h.do("viewer", "GET", path+otherID, "").want(t, 403, `{"code":"MGT-005"`, `"path":"`+path+otherID+`"`)
		h.do("tenant", "GET", path+goneID, "").want(t, 404, `{"code":"MGT-006"`)
		h.do("viewer", "GET", path+"x", "").want(t, 422, `{"code":"V-032"`)
		h.do("viewer", "GET", path+envID+"?limit=0", "").want(t, 400, `{"code":"MGT-003"`)
		h.do("", "GET", path+envID, "").want(t, 401, `{"code":"MGT-004"`)
	}
	h.do("", "GET", "/env-mgmt/environment", "").want(t, 401, `{"code":"MGT-004"`)
}

// MG-55: asset types by workspace; which environment it is in follows from what the caller may see.
func TestConsoleAssetTypes(t *testing.T) {
	h := newHarbour(t)
	const path = "/internal-assets/4.0/asset-types"
	of := func(as, query string) (items []assetTypeItem) {
		t.Helper()
		a := h.do(as, "GET", path+"?"+query, "").want(t, 200, `"total":1,"limit":100`)
		var out struct {
			Data []assetTypeItem `json:"data"`
		}
		h.must(json.Unmarshal([]byte(a.body), &out))
		return out.Data
	}
	first := of("viewer", "filter%5BownerId%5D="+strings.ToUpper(h.quays))
	if len(first) != 1 || first[0].ExternalID != "Cargo" || first[0].Name != "Cargo" || string(first[0].OwnerID) != h.quays || len(first[0].ID) != 36 {
		t.Errorf("items %+v", first)
	}
	if again := of("tenant", "filter[ownerId]="+h.quays); again[0].ID != first[0].ID {
		t.Errorf("ids %s and %s", first[0].ID, again[0].ID)
	}
	h.do("viewer", "GET", path+"?filter[ownerId]="+h.docks+"&limit=1&offset=5", "").want(t, 200, `{"data":[],"total":1,"limit":1,"offset":5`)
	h.do("viewer", "GET", path, "").want(t, 400, `{"errors":[{"code":"MGT-002"`, "filter[ownerId]")
	for _, id := range []string{goneID, h.crew, "x"} {
		h.do("tenant", "GET", path+"?filter[ownerId]="+id, "").want(t, 400, `"code":"PAC-001"`, "AuthorizationWs: ["+id+"] not found")
	}
	h.do("tenant", "PUT", "/ambit/1.0/environments/"+otherID+"/authorization-workspaces/"+newID, `{"name":"Elsewhere"}`).want(t, 201)
	h.do("viewer", "GET", path+"?filter[ownerId]="+newID, "").want(t, 400, "PAC-001")
	h.do("tenant", "GET", path+"?filter[ownerId]="+newID, "").want(t, 200, `"total":0`)
}
