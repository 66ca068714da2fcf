package runtime

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/token"
)

// desk is a server that takes the access tokens of its own token endpoint.
type desk struct {
	*harbour
	key    *ecdsa.PrivateKey
	issued string
	tokens *token.Tokens
}

const deskURL = "https://pdp.example.org"

func newDesk(t *testing.T) *desk {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	d := &desk{key: key}
	d.tokens = d.issuer(t, deskURL, noon)
	d.harbour = newHarbour(t, func(s *settings) { s.service.Access = d.tokens })
	return d
}

// issuer signs tokens at another time, or under another name, with the key of the desk.
func (d *desk) issuer(t *testing.T, name string, at time.Time) *token.Tokens {
	t.Helper()
	out, err := token.NewTokens(token.TokenOptions{Key: d.key, Issuer: name, Now: func() time.Time { return at }})
	check(t, err)
	return out
}

// scope reads what is stored.
func (d *desk) scope() *model.Scope {
	d.t.Helper()
	var out model.Scope
	check(d.t, d.store.View(d.t.Context(), harbourID, func(tx *store.Tx) (err error) {
		out, err = tx.Scopes.Find(client)
		return err
	}))
	return &out
}

// issue gives a token of the scope for an hour; change makes it one that it should not have.
func (d *desk) issue(by *token.Tokens, change func(*model.Scope)) string {
	d.t.Helper()
	scope := d.scope()
	secret := scope.Secrets[0].ID
	if change != nil {
		change(scope)
		if len(scope.Secrets) > 0 {
			secret = scope.Secrets[0].ID
		}
	}
	text, err := by.IssueRuntime(scope, secret, time.Hour)
	check(d.t, err)
	return "Authorization: Bearer " + text
}

// Ruling 6, MG-78, az-01: a runtime token opens every decision call alone; what is not quite it opens none.
func TestAccessToken(t *testing.T) {
	d := newDesk(t)
	body := `{` + mreyes + `}`
	good := d.issue(d.tokens, nil)
	for path, body := range map[string]string{
		"/api/runtime/token/v3": body, "/api/runtime/permit-deny/v3": body, "/api/runtime/resolution/v3": body,
		"/api/runtime/policies/v3": body, "/api/runtime/userlist/v3": `{"asset":{"resourceType":"Accounts","path":"acc-1"}}`,
		decisionPath: `{"method":"GET","uri":"/x","meta":{"runtimeFineTune":{` + mreyes + `}}}`,
	} {
		with := d.do(request{path: path, body: body})
		alone := d.do(request{path: path, body: body, anonymous: true, headers: []string{good}})
		if alone.Code != with.Code || with.Code == 401 || path != decisionPath && alone.Body.String() != with.Body.String() {
			t.Errorf("%s: %d %s, by the secret %d %s", path, alone.Code, alone.Body, with.Code, with.Body)
		}
	}
	management, err := d.tokens.Issue(&model.Credential{ClientID: client, EnvironmentID: harbourID, TokenDuration: time.Hour, Permission: model.PermissionAdmin})
	check(t, err)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	forger, err := token.NewTokens(token.TokenOptions{Key: other, Issuer: deskURL, Now: func() time.Time { return noon }})
	check(t, err)
	for name, header := range map[string]string{
		"management token":       "Authorization: Bearer " + management,
		"forged":                 d.issue(forger, nil),
		"expired":                d.issue(d.issuer(t, deskURL, noon.Add(-time.Hour)), nil),
		"of another secret":      d.issue(d.tokens, func(s *model.Scope) { s.Secrets[0].ID = "other" }),
		"of no secret":           d.issue(d.tokens, func(s *model.Scope) { s.Secrets[0].ID = "" }),
		"of another place":       d.issue(d.tokens, func(s *model.Scope) { s.EnvironmentID = "0b6c1e52-8a4d-4c7e-9d1f-5a2b3c4d5e6f" }),
		"of a scope that is not": d.issue(d.tokens, func(s *model.Scope) { s.ClientID = "NOBODY" }),
	} {
		for _, headers := range [][]string{{header}, {header, "X-Client-Id: " + string(client)}} {
			if w := d.do(request{anonymous: true, headers: headers, body: body}); w.Code != 401 || w.Body.String() != badToken {
				t.Errorf("%s: %d %s", name, w.Code, w.Body)
			}
		}
	}
	d.want(request{anonymous: true, headers: []string{d.issue(d.issuer(t, "https://other.example.org", noon), nil)}, body: body}, 401, badClient)
}

// runtime-api.md 4.1, 4.2: a secret in the header goes before the token, which goes before what the body says.
func TestAccessTokenPrecedence(t *testing.T) {
	d := newDesk(t)
	body := `{` + mreyes + `}`
	good, bad := d.issue(d.tokens, nil), d.issue(d.issuer(t, deskURL, noon.Add(-time.Hour)), nil)
	id := "X-Client-Id: " + string(client)
	inBody := func(id, secret string) string {
		return fmt.Sprintf(`{"clientId":%q,"clientSecret":%q,%s}`, id, secret, mreyes)
	}
	for _, c := range []struct {
		name    string
		headers []string
		body    string
		status  int
		text    string
	}{
		{"with its id", []string{good, id}, body, 200, ""},
		{"with another id", []string{good, "X-Client-Id: NOBODY"}, body, 401, badClient},
		{"wrong secret in the header", []string{good, id, "X-Client-Secret: wrong"}, body, 401, badSecret},
		{"wrong secret, id of the token", []string{good, "X-Client-Secret: wrong"}, body, 401, badSecret},
		{"good secret in the header", []string{bad, id, "X-Client-Secret: " + d.secret}, body, 200, ""},
		{"wrong secret in the body", []string{good}, inBody(string(client), "wrong"), 200, ""},
		{"good secret in the body", []string{bad, id}, inBody(string(client), d.secret), 401, badToken},
		{"good secret in the body, no id before", []string{bad}, inBody(string(client), d.secret), 401, badToken},
	} {
		if w := d.do(request{anonymous: true, headers: c.headers, body: c.body}); w.Code != c.status || c.text != "" && w.Body.String() != c.text {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
		}
	}
	allow := func(methods ...model.AuthMethod) {
		d.changeScope(func(s *model.Scope) { s.AuthMethods = methods })
	}
	allow(model.AuthRequestSecret)
	d.want(request{anonymous: true, headers: []string{good}, body: body}, 401, badSecret)
	d.want(request{anonymous: true, headers: []string{good}, body: inBody(string(client), d.secret)}, 200, "")
	// a scope that trusts the very keys of the server takes no access token as an application's JWT
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if set, err := d.tokens.KeySet(); err == nil {
			text, _ := json.Marshal(set)
			_, _ = w.Write(text)
		}
	}))
	defer keys.Close()
	d.changeScope(func(s *model.Scope) {
		s.JWT = &model.JWTSettings{JWKSURLs: []string{keys.URL}, Issuers: []string{deskURL}, Audiences: []string{deskURL + "/access", "ambit-management"}}
	})
	allow(model.AuthJWT)
	d.want(request{anonymous: true, headers: []string{good, id}, body: body}, 401, badToken)
	d.want(request{anonymous: true, headers: []string{good, id, "X-Client-Secret: x"}, body: body}, 401, badToken)
	allow(model.AuthSecretHeader)
	d.want(request{anonymous: true, headers: []string{good}, body: body}, 200, "")
}

// authzen.md 3: the token ends with what it stands on, at the revision that answers.
func TestAccessTokenEnds(t *testing.T) {
	ends := map[string]func(d *desk, tx *store.Tx) error{
		"secret": func(d *desk, tx *store.Tx) error {
			s := d.scope()
			_, s.Secrets[0] = d.secrets.New(noon)
			return put(tx.Scopes, *s)
		},
		"secret's time": func(d *desk, tx *store.Tx) error {
			s := d.scope()
			s.Secrets[0].ExpiresAt = noon
			return put(tx.Scopes, *s)
		},
		"scope off": func(d *desk, tx *store.Tx) error {
			s := d.scope()
			s.Enabled = false
			return put(tx.Scopes, *s)
		},
		"method": func(d *desk, tx *store.Tx) error {
			s := d.scope()
			s.AuthMethods = []model.AuthMethod{model.AuthRequestSecret}
			return put(tx.Scopes, *s)
		},
		"scope": func(_ *desk, tx *store.Tx) error {
			_, err := tx.Scopes.Delete(client)
			return err
		},
		"environment off": func(_ *desk, tx *store.Tx) error {
			env, err := tx.Environments.Find(harbourID)
			env.Enabled = false
			if err != nil {
				return err
			}
			return put(tx.Environments, env)
		},
		"revoked": func(d *desk, tx *store.Tx) error {
			claims, err := d.tokens.VerifyRuntime(d.issued)
			if err != nil {
				return err
			}
			return put(tx.Revocations, model.Revocation{TokenID: claims.ID, ExpiresAt: claims.ExpiresAt})
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			text := d.issue(d.tokens, nil)
			q := request{anonymous: true, headers: []string{text}, body: `{` + mreyes + `}`}
			d.want(q, 200, "")
			d.issued = text[len("Authorization: Bearer "):]
			commit, err := d.store.Update(t.Context(), store.Write{Environment: harbourID, Time: noon}, func(tx *store.Tx) error { return end(d, tx) })
			check(t, err)
			q.headers = append(q.headers, fmt.Sprintf("Ambit-Min-Revision: %d", commit.Revision))
			d.want(q, 401, "")
			check(t, d.directory.CatchUp(t.Context()))
			d.want(request{anonymous: true, headers: []string{text}, body: q.body}, 401, "")
		})
	}
}

// authzen.md 3: the token proves the application only. No matcher finds a user in it, not even one that believes every token.
func TestAccessTokenIsNoUser(t *testing.T) {
	d := newDesk(t)
	d.match(func(m *model.Matcher) {
		m.ValidateJWT, m.TemplateMatcher, m.MatcherValue, m.IdentityIDMapper = false, "$.client_id", string(client), "$.sub"
	})
	d.update(func(tx *store.Tx) error {
		_, err := tx.Identities("Staff").Put(model.Identity{EntityID: string(client)})
		return err
	})
	good := d.issue(d.tokens, nil)
	inHeader := []string{good, "X-Client-Id: " + string(client), "X-Client-Secret: " + d.secret}
	for _, headers := range [][]string{{good}, inHeader} {
		d.changeScope(func(s *model.Scope) { s.IdentityMatching = "" })
		if got := shown(t, d.harbour, request{anonymous: true, headers: headers, body: `{` + mreyes + `,"includeIdentity":true}`}); got != "mreyes  Porto" {
			t.Errorf("the user is %q", got)
		}
		for _, matching := range []string{"", model.MatchMatcher} {
			d.changeScope(func(s *model.Scope) { s.IdentityMatching = matching })
			if w := d.do(request{anonymous: true, headers: headers, body: `{"includeIdentity":true}`}); w.Code == 200 {
				t.Errorf("matching %q, %d headers: the token is somebody: %s", matching, len(headers), w.Body)
			}
		}
	}
}
