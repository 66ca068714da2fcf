package manage

import (
	"net/http"
	"strings"

	"github.com/ambit-authz/ambit/internal/api/problem"
	"github.com/ambit-authz/ambit/internal/manage"
)

// Paths of the OAuth routes (management-api.md 2.4).
const (
	oauthToken      = "/oauth2/token" //nolint:gosec // a path, no secret
	oauthRevoke     = "/oauth2/revoke"
	oauthIntrospect = "/oauth2/introspect"
	realmToken      = "/auth/realms/{tenant}/protocol/openid-connect/token" //nolint:gosec // a path, no secret
	metadataPath    = "/.well-known/oauth-authorization-server"
	keySetPath      = "/.well-known/jwks.json"
)

// addOAuth makes the routes at which clients prove themselves with their secret, and the two that are for everybody.
func addOAuth(t *router) {
	a := t.api
	t.serve("POST", oauthToken, func(w http.ResponseWriter, r *http.Request) { a.grant(w, r, true) })
	t.serve("POST", realmToken, a.token)
	t.serve("POST", oauthRevoke, a.oauth(revoke))
	t.serve("POST", oauthIntrospect, a.oauth(introspect))
	t.serve("GET", metadataPath, a.oauth(metadata))
	t.serve("GET", keySetPath, a.oauth(keySet))
}

// oauth writes the errors of a route as RFC 6749 has them.
func (a *api) oauth(serve func(*exchange) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := serve(&exchange{api: a, w: w, r: r}); err != nil {
			problem.Writer{Form: problem.OAuth, Log: a.log}.Write(w, r, err)
		}
	}
}

// tokenParameter reads the form of RFC 7009 and RFC 7662.
func (x *exchange) tokenParameter() (fields map[string]string, text string, err error) {
	if fields, err = tokenFields(x.w, x.r); err != nil {
		return nil, "", err
	}
	if fields["token"] == "" {
		return nil, "", badRequest("token is missing")
	}
	return fields, fields["token"], nil
}

// revoke is RFC 7009. The type hint is of no use, since there is one type.
func revoke(x *exchange) error {
	fields, text, err := x.tokenParameter()
	if err != nil {
		return err
	}
	dry, err := x.dryRun()
	if err != nil {
		return err
	}
	err = x.api.proven(x.w, x.r, fields, func(l manage.Login) error {
		l.Runtime = true
		return x.api.service.Revoke(x.r.Context(), l, text, dry)
	})
	if err != nil {
		return err
	}
	if dry {
		x.w.Header().Set("Ambit-Dry-Run", "true")
	}
	x.w.Header().Set("Cache-Control", "no-store")
	x.w.WriteHeader(http.StatusOK)
	return nil
}

type introspectionBody struct {
	Active    bool   `json:"active"`
	Scope     string `json:"scope,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
	TokenType string `json:"token_type,omitempty"`
	Exp       int64  `json:"exp,omitzero"`
	Iat       int64  `json:"iat,omitzero"`
	Sub       string `json:"sub,omitempty"`
	Aud       string `json:"aud,omitempty"`
	Iss       string `json:"iss,omitempty"`
	Jti       string `json:"jti,omitempty"`
	Owner     string `json:"ambit_owner,omitempty"`
	Role      string `json:"ambit_role,omitempty"`
}

// introspect is RFC 7662. The caller proves itself with its secret or with a management token.
func introspect(x *exchange) error {
	fields, text, err := x.tokenParameter()
	if err != nil {
		return err
	}
	var in manage.Introspection
	if hasScheme(x.r.Header.Get("Authorization"), "Bearer") {
		caller, err := x.api.service.Authenticate(x.r.Context(), bearer(x.r))
		if err != nil {
			return err
		}
		in, err = x.api.service.Introspect(x.r.Context(), &caller, text)
		if err != nil {
			return err
		}
	} else {
		err = x.api.proven(x.w, x.r, fields, func(l manage.Login) (err error) {
			in, err = x.api.service.IntrospectAs(x.r.Context(), l, text)
			return err
		})
		if err != nil {
			return err
		}
	}
	if !in.Active {
		return x.answer(http.StatusOK, introspectionBody{})
	}
	out := introspectionBody{
		Active: true, Scope: in.Scope, ClientID: string(in.ClientID), TokenType: "Bearer", Exp: in.ExpiresAt.Unix(),
		Iat: in.IssuedAt.Unix(), Sub: string(in.ClientID), Aud: in.Audience, Iss: in.Issuer, Jti: in.TokenID,
		Owner: string(in.EnvironmentID), Role: string(in.Permission),
	}
	if out.Owner == "" {
		out.Owner = "tenant"
	}
	return x.answer(http.StatusOK, out)
}

// metadata is RFC 8414.
func metadata(x *exchange) error {
	issuer := x.api.service.Issuer()
	at := strings.TrimSuffix(issuer, "/")
	ways := []string{"client_secret_basic", "client_secret_post"}
	return x.answer(http.StatusOK, struct {
		Issuer        string   `json:"issuer"`
		Token         string   `json:"token_endpoint"`
		Revocation    string   `json:"revocation_endpoint"`
		Introspection string   `json:"introspection_endpoint"`
		KeySet        string   `json:"jwks_uri"`
		Scopes        []string `json:"scopes_supported"`
		Responses     []string `json:"response_types_supported"`
		Grants        []string `json:"grant_types_supported"`
		TokenAuth     []string `json:"token_endpoint_auth_methods_supported"`
		RevokeAuth    []string `json:"revocation_endpoint_auth_methods_supported"`
		IntroAuth     []string `json:"introspection_endpoint_auth_methods_supported"`
	}{
		Issuer: issuer, Token: at + oauthToken, Revocation: at + oauthRevoke, Introspection: at + oauthIntrospect,
		KeySet: at + keySetPath, Scopes: []string{"tenant:admin", "environment:admin", "environment:viewer", "runtime"},
		Responses: []string{}, Grants: []string{"client_credentials"}, TokenAuth: ways, RevokeAuth: ways,
		IntroAuth: append(ways[:2:2], "Bearer"),
	})
}

func keySet(x *exchange) error {
	set, err := x.api.service.KeySet()
	if err != nil {
		return err
	}
	h := x.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = x.w.Write(set) // the peer is gone: nobody is left to tell
	return nil
}
