package runtime

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// issuer is an identity provider: it signs tokens and publishes its keys over HTTP.
type issuer struct {
	key, large *ecdsa.PrivateKey
	server     *httptest.Server
	down       atomic.Bool
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	i := &issuer{}
	var err error
	i.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	i.large, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	check(t, err)
	set := jwk.NewSet()
	add := func(key any, kid, use string) {
		k, err := jwk.Import(key)
		check(t, err)
		check(t, k.Set(jwk.KeyIDKey, kid))
		check(t, k.Set(jwk.KeyUsageKey, use))
		check(t, set.AddKey(k))
	}
	add(i.key.Public(), "k1", "sig")
	add(i.large.Public(), "k384", "sig")
	add(i.key.Public(), "enc", "enc")
	add([]byte("0123456789abcdef0123456789abcdef"), "oct", "sig")
	text, err := json.Marshal(set)
	check(t, err)
	i.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if i.down.Load() {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		_, _ = w.Write(text)
	}))
	t.Cleanup(i.server.Close)
	return i
}

func (i *issuer) settings() *model.JWTSettings {
	return &model.JWTSettings{
		JWKSURLs: []string{i.server.URL + "/keys"}, Issuers: []string{"https://other.example.org", "https://idp.example.org"}, Audiences: []string{"harbour"},
	}
}

// claims are those of a good token of tokafor, with changes: names and values, nil = without it.
func (i *issuer) claims(changes ...any) []byte {
	all := map[string]any{
		"sub": "tokafor", "azp": string(client), "iss": "https://idp.example.org", "aud": []string{"x", "harbour"}, "kind": "staff", "shift": "late",
		"exp": noon.Add(time.Hour).Unix(), "iat": noon.Unix(),
	}
	for n := 0; n < len(changes); n += 2 {
		if name := changes[n].(string); changes[n+1] == nil {
			delete(all, name)
		} else {
			all[name] = changes[n+1]
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return text
}

func signed(t testing.TB, alg jwa.SignatureAlgorithm, key any, kid string, claims []byte) string {
	t.Helper()
	head := jws.NewHeaders()
	check(t, head.Set(jws.KeyIDKey, kid))
	text, err := jws.Sign(claims, jws.WithKey(alg, key, jws.WithProtectedHeaders(head)))
	check(t, err)
	return string(text)
}

func (i *issuer) sign(t testing.TB, claims []byte) string {
	return signed(t, jwa.ES256(), i.key, "k1", claims)
}

// signLarge claims ES256 for a signature by the larger key.
func (i *issuer) signLarge(t testing.TB) string {
	parts := strings.Split(signed(t, jwa.ES384(), i.large, "k384", i.claims()), ".")
	return strings.Split(signed(t, jwa.ES256(), i.key, "k384", i.claims()), ".")[0] + "." + parts[1] + "." + parts[2]
}

// trust makes the scope take the issuer's tokens, and the template Staff match its users.
func (h *harbour) trust(i *issuer, change ...func(*model.Matcher)) {
	h.t.Helper()
	h.changeScope(func(s *model.Scope) { s.JWT = i.settings() })
	h.match(append([]func(*model.Matcher){func(*model.Matcher) {}}, change...)...)
}

func (h *harbour) match(change ...func(*model.Matcher)) {
	h.t.Helper()
	h.update(func(tx *store.Tx) error {
		w, err := tx.IdentityWorkspaces.Find("i0")
		if err != nil {
			return err
		}
		w.Matcher = &model.Matcher{
			TemplateMatcher: "$.kind", MatcherValue: "staff", IdentityIDMapper: "$.sub", ValidateJWT: true,
			ClaimMappings: map[model.AttributeID]string{"shift": "$.shift", "branch": "$.branch", "uid": "$.shift"},
		}
		for _, c := range change {
			c(w.Matcher)
		}
		return put(tx.IdentityWorkspaces, w)
	})
}

// shown gives the identity of an answer: id and shift.
func shown(t *testing.T, h *harbour, q request) string {
	t.Helper()
	w := h.do(q)
	var a struct {
		Identity struct {
			EntityID   string              `json:"entityId"`
			Attributes map[string][]string `json:"attributes"`
		} `json:"identity"`
	}
	if w.Code != 200 || json.Unmarshal(w.Body.Bytes(), &a) != nil {
		return fmt.Sprintf("%d %s", w.Code, w.Body)
	}
	return a.Identity.EntityID + " " + strings.Join(a.Identity.Attributes["shift"], ",") + " " + strings.Join(a.Identity.Attributes["branch"], ",")
}

// RT-36, RT-38, MG-58: the token of an application, by the scope's settings or the environment's, in every combination of methods.
func TestApplicationToken(t *testing.T) {
	h := newHarbour(t)
	i := newIssuer(t)
	id := "X-Client-Id: " + string(client)
	bearer := "Authorization: Bearer " + i.sign(t, i.claims())
	body := `{` + mreyes + `}`
	h.want(request{anonymous: true, headers: []string{id, bearer}, body: body}, 401, badToken)
	h.changeScope(func(s *model.Scope) { s.JWT = i.settings() })
	plain := h.want(request{body: body}, 200, "").Body.String()
	for _, scheme := range []string{"Bearer ", "bearer ", "JWT ", ""} {
		h.want(request{anonymous: true, headers: []string{id, "Authorization: " + scheme + i.sign(t, i.claims())}, body: body}, 200, plain)
	}
	h.want(request{anonymous: true, headers: []string{bearer}, body: `{"clientId":"` + string(client) + `",` + mreyes + `}`}, 200, plain)
	h.want(request{anonymous: true, headers: []string{id, "Authorization: Basic eDp5"}, body: body}, 401, badSecret)
	h.want(request{anonymous: true, headers: []string{id, "X-Client-Secret: wrong", bearer}, body: body}, 401, badSecret)
	h.want(request{anonymous: true, headers: []string{id, bearer}, body: `{"clientSecret":"wrong",` + mreyes + `}`}, 401, badSecret)
	h.want(request{anonymous: true, headers: []string{"X-Client-Id: NOBODY", bearer}, body: body}, 401, badClient)
	for methods, want := range map[string]int{
		"AUTHORIZATION_JWT": 200, "SECRET_HEADER": 401, "REQUEST_SECRET": 401, "SECRET_HEADER REQUEST_SECRET": 401,
		"SECRET_HEADER AUTHORIZATION_JWT": 200, "REQUEST_SECRET AUTHORIZATION_JWT": 200,
	} {
		h.changeScope(func(s *model.Scope) {
			s.AuthMethods = nil
			for _, m := range strings.Fields(methods) {
				s.AuthMethods = append(s.AuthMethods, model.AuthMethod(m))
			}
		})
		h.want(request{anonymous: true, headers: []string{id, bearer}, body: body}, want, "")
		// a credential of a method that is not allowed is as if it were not there
		ignored := 401
		if !strings.Contains(methods, "SECRET_HEADER") {
			ignored = want
		}
		h.want(request{anonymous: true, headers: []string{id, "X-Client-Secret: wrong", bearer}, body: body}, ignored, "")
	}
	for claim, want := range map[string]int{"$.azp": 200, "azp": 200, "$.sub": 401, "$.none": 401, "$.aud": 401, "$.deep.ids[*]": 401} {
		h.changeScope(func(s *model.Scope) { s.JWT.ClientIDClaim, s.AuthMethods = claim, nil })
		text := i.sign(t, i.claims("deep", map[string]any{"ids": []string{string(client), "OTHER"}}))
		h.want(request{anonymous: true, headers: []string{id, "Authorization: " + text}, body: body}, want, "")
	}
	h.changeScope(func(s *model.Scope) { s.JWT = nil })
	h.want(request{anonymous: true, headers: []string{id, bearer}, body: body}, 401, badToken)
	_, err := h.store.Update(t.Context(), store.Write{Environment: harbourID, Time: noon}, func(tx *store.Tx) error {
		env, err := tx.Environments.Find(harbourID)
		if err != nil {
			return err
		}
		env.JWT = i.settings()
		return put(tx.Environments, env)
	})
	check(t, err)
	check(t, h.directory.CatchUp(t.Context()))
	h.want(request{anonymous: true, headers: []string{id, bearer}, body: body}, 200, plain)
	h.changeScope(func(s *model.Scope) {
		s.JWT = i.settings()
		s.JWT.Audiences = []string{"elsewhere"}
	})
	h.want(request{anonymous: true, headers: []string{id, bearer}, body: body}, 401, badToken)
}

// RT-37, RT-40, RT-42, RT-45 to RT-49, RT-53, PM-28: who a token's user is, and which of its claims count.
func TestUserToken(t *testing.T) {
	h := newHarbour(t)
	i := newIssuer(t)
	h.trust(i)
	ask := func(fields string, headers ...string) string {
		t.Helper()
		return shown(t, h, request{headers: headers, body: `{"includeIdentity":true` + fields + `}`})
	}
	want := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	token := func(changes ...any) string { return "Authorization: Bearer " + i.sign(t, i.claims(changes...)) }
	const refused = "403 " + unmatched
	want("the token alone", ask("", token()), "tokafor late Lagos")
	want("a claim of an attribute that is not for requests", ask("", token("branch", "Porto")), "tokafor late Lagos")
	want("claims before context and attributes", ask(`,"contextData":{"shift":["c"]},"entityAttributes":{"shift":["e"]}`, token()), "tokafor late Lagos")
	want("without the claim", ask(`,"contextData":{"shift":["c"]}`, token("shift", nil)), "tokafor c Lagos")
	want("values of claims", ask("", token("shift", []any{"a", 1.5, true, nil, []string{"x"}, map[string]any{"y": "z"}})), "tokafor a,1.5,true Lagos")
	want("an object is no value", ask(`,"contextData":{"shift":["c"]}`, token("shift", map[string]any{"y": "z"})), "tokafor c Lagos")
	want("agreeing fields", ask(`,"entityId":"tokafor","entityTypeId":"Staff"`, token()), "tokafor late Lagos")
	want("another id", ask(`,"entityId":"mreyes"`, token()), refused)
	want("no hit, no id", ask("", token("kind", "device")), refused)
	want("no hit, an id", ask(`,"entityId":"mreyes"`, token("kind", "device")), "mreyes  Porto")
	want("no id in the token", ask("", token("sub", nil)), refused)
	want("unknown user", ask("", token("sub", "eve")), "404 MemberNotFoundError: identity not found")
	want("beside additional identities of its template", ask(`,"additionalIdentities":[{"entityId":"mreyes"}]`, token()),
		"400 additionalIdentities: two identities of template Staff")

	h.changeScope(func(s *model.Scope) { s.IdentityMatching = model.MatchRequest })
	want("REQUEST, same id", ask(`,"entityId":"tokafor"`, token()), "tokafor late Lagos")
	want("REQUEST, another id", ask(`,"entityId":"mreyes"`, token()), "mreyes  Porto")
	want("REQUEST, no id", ask("", token()), refused)
	h.changeScope(func(s *model.Scope) { s.IdentityMatching = model.MatchMatcher })
	want("MATCHER ignores the fields", ask(`,"entityId":"mreyes"`, token()), "tokafor late Lagos")
	want("MATCHER without a hit", ask(`,"entityId":"mreyes"`, token("kind", "x")), refused)

	h.changeScope(func(s *model.Scope) { s.IdentityMatching = "" })
	h.match(func(m *model.Matcher) { m.TokenHeader = "X-Identity-Token" })
	bare := i.sign(t, i.claims())
	want("bare in a header of its own", ask("", "X-Identity-Token: "+bare), "tokafor late Lagos")
	want("with a scheme", ask("", "X-Identity-Token: Bearer "+bare), "tokafor late Lagos")
	want("not where the matcher looks", ask("", token()), refused)
	want("forged in that header", ask("", "X-Identity-Token: "+bare[:len(bare)-4]), refused)
	h.match(func(m *model.Matcher) {
		m.TemplateMatcher, m.IdentityIDMapper = "$['https://x/roles'][*].name", "$.who.ids[1].id"
		m.ClaimMappings = map[model.AttributeID]string{"shift": "who.ids[*].shift"}
	})
	nested := token("https://x/roles", []any{map[string]any{"name": "a"}, map[string]any{"name": "staff"}},
		"who", map[string]any{"ids": []any{map[string]any{"id": "n", "shift": "1"}, map[string]any{"id": "tokafor", "shift": []string{"2", "1"}}}})
	want("nested claims", ask("", nested), "tokafor 1,2 Lagos")

	h.match(func(m *model.Matcher) { m.ValidateJWT = false })
	want("unchecked by its switch", ask("", "Authorization: "+signed(t, jwa.HS256(), []byte("whatever"), "k", i.claims("exp", nil))), "tokafor late Lagos")
	own := i.settings()
	own.Issuers = []string{"https://elsewhere.example.org"}
	h.match(func(m *model.Matcher) { m.JWT = own })
	want("the template's settings before the scope's", ask("", token()), refused)
	want("that issuer", ask("", token("iss", "https://elsewhere.example.org")), "tokafor late Lagos")
}

// Runtime-api.md 5.2: one token may stand for the application and its user; beside an entityId it stands for the
// application only.
func TestTokenOfBoth(t *testing.T) {
	h := newHarbour(t)
	i := newIssuer(t)
	h.trust(i)
	h.changeScope(func(s *model.Scope) { s.AuthMethods = []model.AuthMethod{model.AuthJWT} })
	ask := func(fields string, changes ...any) string {
		return shown(t, h, request{
			anonymous: true, body: `{"includeIdentity":true` + fields + `}`,
			headers: []string{"X-Client-Id: " + string(client), "Authorization: Bearer " + i.sign(t, i.claims(changes...))},
		})
	}
	for _, c := range []struct{ what, got, want string }{
		{"both", ask(""), "tokafor late Lagos"},
		{"the application only", ask(`,"entityId":"mreyes"`), "mreyes  Porto"},
		{"an application that no matcher knows, with an id", ask(`,"entityId":"mreyes"`, "kind", "service"), "mreyes  Porto"},
		{"such an application, without an id", ask("", "kind", "service"), "400 entityId: required"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", c.what, c.got, c.want)
		}
	}
}

// RT-26, runtime-api.md 4.3: keys that are needed and cannot be had are 503, for the application and for its user; a token
// that needs none stays what it is.
func TestKeysAway(t *testing.T) {
	h := newHarbour(t)
	i := newIssuer(t)
	h.trust(i)
	i.down.Store(true)
	bearer := "Authorization: Bearer " + i.sign(t, i.claims())
	h.want(request{anonymous: true, headers: []string{"X-Client-Id: " + string(client), bearer}, body: `{` + mreyes + `}`}, 503, "Source jwks is not available")
	w := h.want(request{headers: []string{bearer}, body: `{` + mreyes + `}`}, 503, "Source jwks is not available")
	if strings.Contains(fmt.Sprint(w.Header(), w.Body), "127.0.0.1") {
		t.Error("the answer names the issuer's host")
	}
	h.want(request{headers: []string{"Authorization: Bearer " + i.sign(t, i.claims("exp", 1))}, body: `{` + mreyes + `}`}, 200, "")
	h.want(request{headers: []string{"Authorization: opaque"}, body: `{` + mreyes + `}`}, 200, "")
}
