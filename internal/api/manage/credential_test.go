package manage

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// made reads a credential from an answer.
func made(t *testing.T, a answer) (out manage.CredentialBody) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &out, json.RejectUnknownMembers(true)); err != nil {
		t.Errorf("%v: %s", err, a.body)
	}
	return out
}

// login gets a token for a pair of credentials and keeps it under the id.
func (w *world) login(id, secret string) answer {
	a := w.do("", "POST", "/api/1.0/api-key/token", "grant_type=client_credentials&client_id="+id+"&client_secret="+secret, formBody)
	var out struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(a.body), &out); err == nil && out.AccessToken != "" {
		w.tokens[id] = out.AccessToken
	}
	return a
}

// auditText is all that the audit has of an environment.
func (w *world) auditText(env model.EnvironmentID) string {
	w.t.Helper()
	w.service.Close()
	var b strings.Builder
	w.must(w.store.View(w.t.Context(), env, func(tx *store.Tx) error {
		for e, err := range tx.Events.Find(time.Time{}, w.clock.Add(time.Hour)) {
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%s %s %s %s→%s\n", e.Action, e.ResourceType, e.ResourceID, e.Before, e.After)
		}
		return nil
	}))
	return b.String()
}

// MG-26, MG-28, MG-15, MG-17, MG-53: the life of a credential.
func TestCredentialLife(t *testing.T) {
	w := newWorld(t)
	a := w.do("admin", "POST", credentialsPath, `{"ownerId":"`+envID+`","ownerType":"ENVIRONMENT","name":"pipeline","description":"promotion job","tokenDuration":"PT2H","permission":"ADMIN"}`).want(t, 201)
	c := made(t, a)
	id, secret := *c.ID, *c.Secret
	if len(id) != 20 || strings.ToUpper(id) != id || !strings.HasPrefix(secret, "ambit_") || c.TokenDuration != "PT120M" || *c.OwnerID != envID {
		t.Errorf("made %s", a.body)
	}
	if a.Header.Get("Ambit-Result") != "created" || a.Header.Get("Location") != credentialsPath+"/"+id || a.Header.Get("ETag") == "" || a.Header.Get("Ambit-Revision") != "2" {
		t.Errorf("headers %v", a.Header)
	}
	one := credentialsPath + "/" + id
	a = w.do("admin", "GET", one, "").want(t, 200, `"id":"`+id+`","ownerId":"`+envID+`","ownerType":"ENVIRONMENT","name":"pipeline","description":"promotion job","secret":null,"tokenDuration":"PT120M","permission":"ADMIN"}`)
	tag := a.Header.Get("ETag")
	w.do("admin", "GET", one, "", "If-None-Match: "+tag).want(t, 304)
	w.login(id, secret).want(t, 200, `"expires_in":7200`)
	w.do(id, "GET", env, "").want(t, 200)

	a = w.do("admin", "PUT", one, `{"name":"pipeline","description":"new","tokenDuration":"P1D"}`, "If-Match: "+tag).want(t, 200, `"tokenDuration":"PT1440M"`, `"permission":"ADMIN"`, `"secret":null`)
	if a.Header.Get("Ambit-Result") != "updated" || a.Header.Get("ETag") == tag {
		t.Errorf("headers %v", a.Header)
	}
	w.do("admin", "PUT", one, `{"name":"late"}`, "If-Match: "+tag).want(t, 412, `"name":"PreconditionFailedError"`)
	a = w.do("admin", "PUT", one, `{"description":"new"}`).want(t, 200)
	if a.Header.Get("Ambit-Result") != "unchanged" || a.Header.Get("Ambit-Revision") != "3" {
		t.Errorf("MG-15: %v", a.Header)
	}
	w.do(id, "GET", env, "").want(t, 200)
	w.do("admin", "PUT", one, `{"permission":"VIEWER"}`).want(t, 200)
	w.do(id, "GET", env, "").want(t, 401) // a changed permission ends tokens
	w.login(id, secret).want(t, 200)
	w.do(id, "GET", env, "").want(t, 200)

	again := made(t, w.do("admin", "POST", one+"/secrets", "").want(t, 200))
	w.do(id, "GET", env, "").want(t, 401)
	w.login(id, secret).want(t, 401)
	w.login(id, *again.Secret).want(t, 200)
	w.do(id, "GET", env, "").want(t, 200)
	w.do("admin", "DELETE", one, "").want(t, 204)
	w.do(id, "GET", env, "").want(t, 401)
	w.login(id, *again.Secret).want(t, 401)
	w.do("admin", "DELETE", one, "").want(t, 404, `"name":"clientNotFoundError"`, `"message":"Client `+id+` not found"`, `"path":"`+one+`"`)
	audit := w.auditText(envID)
	for _, want := range []string{"CREATE API_CREDENTIAL " + id, "UPDATE API_CREDENTIAL " + id, "DELETE API_CREDENTIAL " + id} {
		if !strings.Contains(audit, want) {
			t.Errorf("the audit lacks %s:\n%s", want, audit)
		}
	}
	for _, s := range []string{secret, *again.Secret} {
		if strings.Contains(audit, s) || strings.Contains(w.log.String(), s) {
			t.Error("MG-28: a secret is in the audit or the log")
		}
	}
}

// MG-14: a dry run of every write changes nothing.
func TestCredentialDryRun(t *testing.T) {
	w := newWorld(t)
	before := w.auditText(envID)
	w.do("admin", "POST", credentialsPath+"?dryRun=true", `{"ownerId":"`+envID+`","name":"x"}`).want(t, 201, `"id":null`, `"secret":null`)
	w.do("admin", "PUT", credentialsPath+"/viewer", `{"name":"other"}`, "Ambit-Dry-Run: true").want(t, 200, `"name":"other"`)
	w.do("admin", "POST", credentialsPath+"/viewer/secrets?dryRun=true", "").want(t, 200, `"secret":null`)
	a := w.do("admin", "DELETE", credentialsPath+"/viewer?dryRun=true", "").want(t, 204)
	if a.Header.Get("Ambit-Dry-Run") != "true" || a.Header.Get("Ambit-Revision") != "1" {
		t.Errorf("headers %v", a.Header)
	}
	w.do("viewer", "GET", env, "").want(t, 200)
	w.do("admin", "GET", credentialsPath+"/viewer", "").want(t, 200, `"name":"viewer"`)
	if got := w.auditText(envID); got != before {
		t.Errorf("the audit has %s", got)
	}
}

// MG-29: filters, order, counters and the documented names.
func TestCredentialList(t *testing.T) {
	w := newWorld(t)
	w.do("admin", "GET", credentialsPath, "").want(t, 400, `"name":"MissingRequiredFilterParameterError"`, `"message":"Missing required filter parameter: ownerId"`, `"path":"`+credentialsPath+`"`)
	all := credentialsPath + "?filter%5BownerId%5D=" + envID
	names := func(a answer) (out []string) {
		var l struct {
			Data []manage.CredentialBody `json:"data"`
		}
		w.must(json.Unmarshal([]byte(a.want(t, 200).body), &l))
		for _, c := range l.Data {
			if c.Secret != nil {
				t.Errorf("MG-28: %s", a.body)
			}
			out = append(out, c.Name)
		}
		return out
	}
	for query, want := range map[string]string{
		all:                                "[a+b %:é admin viewer]",
		all + "&sort=DESC":                 "[viewer admin a+b %:é]",
		all + "&limit=1&offset=1":          "[admin]",
		all + "&filter[permission]=VIEWER": "[a+b %:é viewer]",
		all + "&filter[name]=admin":        "[admin]",
		all + "&filter[id]=viewer":         "[viewer]",
		all + "&filter[id]=none":           "[]",
	} {
		if got := fmt.Sprint(names(w.do("tenant", "GET", query, ""))); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	w.do("tenant", "GET", all+"&limit=500", "").want(t, 200, `"total":3,"limit":50,"offset":0,"meta":{"total":3,"limit":50,"offset":0}}`)
	for _, owner := range []string{"null", "-"} {
		if got := fmt.Sprint(names(w.do("tenant", "GET", credentialsPath+"?filter[ownerId]="+owner, ""))); got != "[tenant]" {
			t.Errorf("%s: %s", owner, got)
		}
	}
	for query, status := range map[string]int{all + "&limit=0": 400, all + "&offset=-1": 400, all + "&sort=up": 400, credentialsPath + "?filter[ownerId]=x": 422} {
		w.do("tenant", "GET", query, "").want(t, status)
	}
}

// MG-27, MG-29: who may deal with whose credentials.
func TestCredentialRoles(t *testing.T) {
	w := newWorld(t)
	for _, owner := range []string{"null", otherID} {
		a := w.do("tenant", "POST", credentialsPath, map[bool]string{true: `{"name":"second"}`, false: `{"ownerId":"` + otherID + `","name":"second"}`}[owner == "null"]).want(t, 201)
		id := *made(t, a).ID
		name, resource := "forbiddenEnvironment", "Environment "+otherID
		if owner == "null" {
			name, resource = "forbiddenTenant", "Tenant null"
		}
		for _, as := range []string{"admin", "viewer"} {
			for _, call := range [][2]string{{"GET", "?filter[ownerId]=" + owner}, {"GET", "/" + id}, {"PUT", "/" + id}, {"DELETE", "/" + id}, {"POST", "/" + id + "/secrets"}} {
				parts := []string{`"code":"MGT-005"`, "is not allowed because the current user does not have the appropriate permissions"}
				if as == "admin" {
					parts = append(parts, `"name":"`+name+`"`, "for resource "+resource)
				}
				w.do(as, call[0], credentialsPath+call[1], "{}").want(t, 403, parts...)
			}
		}
	}
	for _, as := range []string{"admin", "viewer"} {
		w.do(as, "POST", credentialsPath, `{"name":"x"}`).want(t, 403, "forbiddenTenant")
		w.do(as, "POST", credentialsPath, `{"ownerId":"`+otherID+`","name":"x"}`).want(t, 403, "forbiddenEnvironment")
		w.do(as, "GET", credentialsPath+"?filter[ownerId]="+goneID, "").want(t, 403)
	}
	w.do("viewer", "POST", credentialsPath, `{"ownerId":"`+envID+`","name":"x"}`).want(t, 403)
	w.do("viewer", "GET", credentialsPath+"?filter[ownerId]="+envID, "").want(t, 403, `"message":"operation get for resource Environment `+envID+` is not allowed`)
	w.do("viewer", "GET", credentialsPath+"/viewer", "").want(t, 403)
	w.do("tenant", "GET", credentialsPath+"?filter[ownerId]="+goneID, "").want(t, 404)
	w.do("tenant", "POST", credentialsPath, `{"ownerId":"`+goneID+`","name":"x"}`).want(t, 404)
}

// management-api.md 4: what is refused.
func TestCredentialErrors(t *testing.T) {
	w := newWorld(t)
	own := func(rest string) string { return `{"ownerId":"` + envID + `"` + rest + `}` }
	for body, want := range map[string]string{
		`{`: "MGT-001", own(``): "/name", own(`,"name":""`): "/name", own(`,"name":"` + strings.Repeat("é", 101) + `"`): "/name",
		own(`,"name":"x","permission":"OWNER"`): "/permission", own(`,"name":"x","tokenDuration":"PT59S"`): "/tokenDuration",
		own(`,"name":"x","tokenDuration":"P7DT1S"`): "/tokenDuration", own(`,"name":"x","tokenDuration":"1h"`): "/tokenDuration",
		own(`,"name":"x","tokenDuration":"P1M"`): "/tokenDuration", own(`,"name":"x","tokenDuration":7}`): "MGT-001",
		own(`,"name":"x","ownerType":"TENANT"`): "/ownerId", `{"name":"x","ownerType":"ENVIRONMENT"}`: "/ownerId", own(`,"name":"x","ownerType":"y"`): "/ownerType",
		`{"name":"x","permission":"VIEWER"}`: "/permission", own(`,"name":"admin"`): `"name":"clientAlreadyExists","message":"client admin already exists"`,
	} {
		w.do("tenant", "POST", credentialsPath, body).want(t, 400, want)
	}
	w.do("tenant", "POST", credentialsPath, `{"ownerId":"x","name":"x"}`).want(t, 422)
	w.do("tenant", "POST", credentialsPath, own(`,"name":"`+strings.Repeat("é", 100)+`","tokenDuration":"P1W"`)).want(t, 201, `"tokenDuration":"PT10080M"`)
	w.do("admin", "PUT", credentialsPath+"/viewer", `{"id":"other"}`).want(t, 400, "/id")
	w.do("admin", "PUT", credentialsPath+"/viewer", `{"ownerId":"`+otherID+`"}`).want(t, 400, "/ownerId")
	w.do("admin", "PUT", credentialsPath+"/viewer", `{"name":"admin"}`).want(t, 400, "clientAlreadyExists")
	w.do("admin", "PUT", credentialsPath+"/none", `{"name":"x"}`).want(t, 404, "Client none not found")
	w.do("tenant", "DELETE", credentialsPath+"/tenant", "").want(t, 409, `"code":"MGT-009"`)
	w.do("tenant", "POST", credentialsPath, `{"name":"second"}`).want(t, 201, `"ownerId":null,"ownerType":"TENANT"`)
	w.do("tenant", "DELETE", credentialsPath+"/tenant", "").want(t, 204)
	w.do("tenant", "GET", "/ambit/1.0/whoami", "").want(t, 401)
}
