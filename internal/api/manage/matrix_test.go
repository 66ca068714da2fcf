package manage

import (
	"maps"
	"strings"
	"testing"
)

// matrixRows say who may call a route, besides the tenant's admin: "read" and "write" are the rows of management-api.md 3,
// "tenant" nobody else, "any" every token, "open" everybody, "linked" whoever has
// a link, without which there is nothing, and "own" a right that depends on more than the path, for
// which its aggregate has a matrix of its own. Every aggregate adds its rows here.
func matrixRows() map[string]string {
	rows := map[string]string{}
	for _, part := range []map[string]string{coreRows(), environmentRows(), paaRows(), recordRows(), scopeRows(), signingKeyRows(), policyRows(), credentialRows(), auditRows(), oauthRows(), reportRows(), assetTemplateRows(), applicationRows(), workspaceRows(), identityTemplateRows(), consoleRows(), apiMapperRows()} {
		maps.Copy(rows, part)
	}
	return rows
}

func coreRows() map[string]string {
	return map[string]string{
		"POST /api/1.0/api-key/token": "open",
		"GET /ambit/1.0/whoami":       "any", "GET /ambit/1.0/environments": "any", "POST /ambit/1.0/environments": "tenant",
		"GET " + environment + "/revision": "read", "POST " + environment + "/apply": "write", "GET " + environment + "/export": "read", "POST " + environment + "/impact": "read",
	}
}

func environmentRows() map[string]string {
	return map[string]string{
		"GET " + environment: "read", "PUT " + environment: "write", "PATCH " + environment: "write", "DELETE " + environment: "tenant",
		"GET " + environment + "/jwt-settings": "read", "PUT " + environment + "/jwt-settings": "write",
		"GET " + customAttributes: "read", "PUT " + customAttributes: "write",
		"GET " + customAttribute: "read", "PUT " + customAttribute: "write", "DELETE " + customAttribute: "write",
	}
}

func paaRows() map[string]string {
	return map[string]string{
		"GET " + paaGroups: "read", "GET " + ownedPAAGroup: "read", "PUT " + ownedPAAGroup: "write", "DELETE " + ownedPAAGroup: "write",
		"GET " + paaSources: "read", "POST " + paaSources: "write", "GET " + paaSource: "read", "PUT " + paaSource: "write", "DELETE " + paaSource: "write",
		"GET " + paaViews: "read", "PUT " + paaViews: "write",
	}
}

func scopeRows() map[string]string {
	return map[string]string{
		"GET " + scopes: "read", "POST " + scopes: "write", "GET " + scope: "read", "PUT " + scope: "write", "PATCH " + scope: "write", "DELETE " + scope: "write",
		"GET " + scope + "/secrets": "read", "POST " + scope + "/secrets": "write", "DELETE " + scope + "/secrets/{secretId}": "write",
		"PUT " + scope + "/applications/{appId}": "write", "DELETE " + scope + "/applications/{appId}": "write",
	}
}

func signingKeyRows() map[string]string {
	return map[string]string{"GET " + signingKeys: "read", "GET " + signingKey: "read", "PUT " + signingKey: "tenant", "DELETE " + signingKey: "tenant"}
}

// credentialRows: whose a credential is does not stand in the path; TestCredentialRoles has the roles.
func credentialRows() map[string]string {
	return map[string]string{
		"POST " + credentialsPath: "own", "GET " + credentialsPath: "own", "GET " + credentialPath: "own", "PUT " + credentialPath: "own",
		"DELETE " + credentialPath: "own", "POST " + credentialPath + "/secrets": "own",
	}
}

func auditRows() map[string]string {
	return map[string]string{"GET " + auditPath: "tenant", "GET " + auditPath + "/{envId}": "write"}
}

func oauthRows() map[string]string {
	return map[string]string{
		"POST /oauth2/token": "open", "POST /oauth2/revoke": "open", "POST /oauth2/introspect": "open", "POST " + realmToken: "open",
		"GET " + metadataPath: "open", "GET " + keySetPath: "open",
	}
}

func reportRows() map[string]string {
	return map[string]string{
		"POST " + reportsPath: "read", "GET " + reportPath: "read", "GET " + reportPath + "/download": "linked",
		"POST " + caches + "/identity/{envId}/invalidate": "write", "POST " + caches + "/response/{envId}/invalidate": "write",
	}
}

func recordRows() map[string]string {
	rows := map[string]string{}
	for pattern, key := range map[string]string{assets: "{path}", identities: "{entityId}"} {
		for _, p := range []string{pattern, pattern + "/" + key} {
			for _, m := range []string{"GET", "PUT", "PATCH", "DELETE"} {
				rows[m+" "+p] = map[bool]string{true: "read", false: "write"}[m == "GET"]
			}
		}
		rows["POST "+pattern], rows["GET "+pattern+"/count"] = "write", "read"
	}
	return rows
}

// MG-27, MG-13: every route for every role, in the own, another and an unknown environment. A route without a row fails.
func TestRouteMatrix(t *testing.T) {
	w := newWorld(t)
	rows := matrixRows()
	for pattern, m := range w.handler.(*router).paths {
		for _, method := range m.names {
			if method == "HEAD" {
				continue
			}
			right, listed := rows[method+" "+pattern]
			if !listed {
				t.Errorf("%s %s has no row", method, pattern)
			}
			delete(rows, method+" "+pattern)
			for _, as := range []string{"", "tenant", "admin", "viewer"} {
				refusals := map[string]bool{}
				for _, id := range []string{envID, otherID, goneID} {
					target := strings.NewReplacer("{envId}", id).Replace(pattern)
					target = strings.NewReplacer("{authWsId}", goneID, "{identityWsId}", goneID, "{", "", "}", "").Replace(target) + "?dryRun=true"
					got := w.do(as, method, target, "{}")
					if want := matrixWants(right, pattern, as, id); !want(got.StatusCode) {
						t.Errorf("%s %s as %q in %s: %d", method, pattern, as, id, got.StatusCode)
					}
					if got.StatusCode == 403 && id != envID {
						refusals[strings.NewReplacer(got.Header.Get("X-Error-Id"), "", id, "").Replace(got.body)] = true
					}
				}
				if len(refusals) > 1 {
					t.Errorf("%s %s as %q shows which environments exist: %v", method, pattern, as, refusals)
				}
			}
		}
	}
	for row := range rows {
		t.Errorf("no route for %s", row)
	}
}

// matrixWants is what the status of a call must be like. Calls that pass the roles fail later, or not: their targets do
// not exist.
func matrixWants(right, pattern, as, id string) func(status int) bool {
	own := id == envID
	if !strings.Contains(pattern, "{envId}") {
		own = true
	}
	switch {
	case right == "linked":
		return func(status int) bool { return status == 404 }
	case right == "open":
		return func(status int) bool { return status != 404 && status != 405 }
	case as == "":
		return func(status int) bool { return status == 401 }
	case right == "own":
		return func(status int) bool { return status != 401 }
	case as == "tenant" && id == goneID && strings.Contains(pattern, "{envId}") && right != "any":
		return func(status int) bool { return status == 404 }
	case as == "tenant" || right == "any" || own && as == "admin" && right != "tenant" || own && as == "viewer" && right == "read":
		return func(status int) bool { return status != 401 && status != 403 }
	}
	return func(status int) bool { return status == 403 }
}
