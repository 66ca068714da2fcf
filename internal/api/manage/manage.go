// Package manage is the wire of the management plane: the calls that are compatible with PlainID's, the token endpoints,
// and Ambit's own (management-api.md 1 to 22). It turns requests into calls of package manage (use cases) and results into
// bodies.
//
// Start at Handler, then router.go for the order of checks that no call can leave out, and one file for each aggregate.
// Every answer carries x-request-id; errors have the body of their family, made by package problem.
//
// The package must never decide what a caller may do (Caller.Authorize does), never store anything, and never write a
// secret anywhere but into the one answer that hands it out.
package manage

import (
	"log/slog"
	"net"
	"net/http"
	"strings"

	"github.com/ambit-authz/ambit/internal/api/problem"
	"github.com/ambit-authz/ambit/internal/manage"
)

// Options of Handler. Service is required.
type Options struct {
	Service *manage.Service
	Log     *slog.Logger // nil = slog's default
	// ClientIP is the address of the caller for audit events and the limit of failed logins; nil = the TCP peer.
	ClientIP func(*http.Request) string
	TempDir  string // for bulk bodies and archives while they are read; "" = the system's
}

// api is what all handlers share.
type api struct {
	service  *manage.Service
	log      *slog.Logger
	clientIP func(*http.Request) string
	tempDir  string
	errors   problem.Writer
}

// Handler serves the management API. Unknown paths get the error body of the family.
func Handler(o Options) http.Handler {
	a := &api{
		service: o.Service, log: o.Log, clientIP: o.ClientIP, tempDir: o.TempDir,
		errors: problem.Writer{Form: problem.Envelope, Log: o.Log},
	}
	if a.clientIP == nil {
		a.clientIP = peer
	}
	return a.routes()
}

// fail answers an error in the body of the family that the path belongs to (management-api.md 1.3).
func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	errors := a.errors
	if strings.HasPrefix(r.URL.Path, "/env-mgmt/") || strings.HasPrefix(r.URL.Path, "/policy-mgmt/") {
		errors.Form = problem.Flat
	}
	errors.Write(w, r, err)
}

func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

const (
	base         = "/ambit/1.0"
	environments = base + "/environments"
	environment  = environments + "/{envId}"
	scopes       = environment + "/scopes"
	scope        = scopes + "/{clientId}"
	assets       = environment + "/asset-templates/{templateId}/assets"
	identities   = environment + "/identity-templates/{templateId}/identities"
)

// routes is the table of calls: who may call and what serves it (management-api.md 3).
func (a *api) routes() http.Handler {
	t := newRouter(a)
	t.serve("POST", "/api/1.0/api-key/token", a.token)

	read, write := manage.RightRead, manage.RightWrite
	t.add("GET", base+"/whoami", route{resource: "Whoami", anyone: true, serve: whoami})
	t.add("GET", environments, route{resource: "Environment", anyone: true, serve: listEnvironments})
	t.add("POST", environments, route{resource: "Environment", right: manage.RightTenant, serve: createEnvironment})
	t.add("GET", environment+"/revision", route{resource: "Environment", right: read, serve: getRevision})
	t.add("POST", environment+"/apply", route{resource: "Environment", right: write, serve: apply})
	t.add("POST", environment+"/impact", route{resource: "Environment", right: read, forms: []string{mediaNDJSON}, serve: impact})

	t.add("GET", scopes, route{resource: "Scope", right: read, serve: listScopes})
	t.add("POST", scopes, route{resource: "Scope", right: write, serve: createScope})
	t.add("GET", scope, route{resource: "Scope", right: read, serve: getScope})
	t.add("PUT", scope, route{resource: "Scope", right: write, serve: putScope})
	t.add("PATCH", scope, route{resource: "Scope", right: write, serve: patchScope})
	t.add("DELETE", scope, route{resource: "Scope", right: write, serve: deleteScope})
	t.add("GET", scope+"/secrets", route{resource: "Scope", right: read, serve: listSecrets})
	t.add("POST", scope+"/secrets", route{resource: "Scope", right: write, serve: makeSecret})
	t.add("DELETE", scope+"/secrets/{secretId}", route{resource: "Scope", right: write, serve: deleteSecret})
	t.add("PUT", scope+"/applications/{appId}", route{resource: "Scope", right: write, serve: linkApplication})
	t.add("DELETE", scope+"/applications/{appId}", route{resource: "Scope", right: write, serve: unlinkApplication})

	addEnvironments(t)
	addCustomAttributes(t)
	addPAA(t)
	addSigningKeys(t)
	addCredentials(t)
	addAudit(t)
	addOAuth(t)
	addInvalidation(t)
	addReports(t)
	addPolicies(t)
	addPolicyLists(t)
	addBlocks(t)
	addAssetTemplates(t)
	addApplications(t)
	addExport(t)
	addAPIMappers(t)
	addRequestAttributes(t)
	addWorkspaces(t)
	addIdentityTemplates(t)
	addIdentitySources(t)
	addMapperSets(t)
	addConsole(t)
	addRecords(t, assets, "Asset", assetRecords())
	addRecords(t, identities, "Identity", identityRecords())
	return t
}
