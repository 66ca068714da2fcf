package decide

import (
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/token"
)

// AccessTokens judges the runtime tokens that /oauth2/token gives to scopes; token.Tokens does.
type AccessTokens interface {
	// Recognizes reports whether a text says that it is an access token of this server, be it good or not.
	Recognizes(text string) bool
	// VerifyRuntime gives the claims of a good one.
	VerifyRuntime(text string) (token.Claims, error)
	// Stands reports whether tokens of the key with that id are still accepted.
	Stands(keyID string) bool
}

// access is the access token of a call.
type access struct {
	looked   bool   // for one
	text     string // "" = the call has none
	verified bool
	claims   token.Claims // the zero value unless signature, audience and time are good
}

// accessToken is the access token of the call. It stands for the secret that it was got with: it is asked after a secret in
// the header and before every other credential, and is none of those (authzen.md 3, runtime-api.md 4.2).
func (c *Call) accessToken() *access {
	if !c.access.looked {
		c.access.looked = true
		if text, tokens := tokenOf(c.in.Authorization), c.service.options.Access; text != "" && tokens != nil && tokens.Recognizes(text) {
			c.access.text = text
		}
	}
	return &c.access
}

// accessClaims are what the access token of the call says.
func (c *Call) accessClaims() *token.Claims {
	a := c.accessToken()
	if a.text != "" && !a.verified {
		a.verified = true
		if claims, err := c.service.options.Access.VerifyRuntime(a.text); err == nil {
			a.claims = claims
		}
	}
	return &a.claims
}

// statedClient is the client id that the headers state: in one of its own, else in the access token (runtime-api.md 4.1).
func (c *Call) statedClient() model.ClientID {
	if c.in.ClientID != "" {
		return c.in.ClientID
	}
	return c.accessClaims().ClientID
}

// HoldsAccessToken reports whether the call carries a text that says it is an access token of this server.
func (c *Call) HoldsAccessToken() bool { return c.accessToken().text != "" }

// checkAccess judges the access token of the call by what it stands on now: scope, secret, revocations.
func (c *Call) checkAccess(st *state, scope *model.Scope) error {
	claims := c.accessClaims()
	if !claims.FitsScope(scope, c.service.options.Clock()) || st.revoked[claims.ID] {
		return invalidToken()
	}
	return nil
}

// unknownClient is the refusal of a call whose scope is not there. That of a token was there once: the token has ended.
func (c *Call) unknownClient() error {
	if c.in.ClientID == "" && c.accessToken().text != "" {
		return invalidToken()
	}
	return unknownClient()
}

// readRevoked lists the access tokens that their scopes have ended.
func readRevoked(tx *store.Tx) (map[string]bool, error) {
	out := map[string]bool{}
	for r, err := range tx.Revocations.FindAll() {
		if err != nil {
			return nil, err
		}
		out[r.TokenID] = true
	}
	return out, nil
}
