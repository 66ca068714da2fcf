package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/token"
)

const issuer = "https://ambit.example.org"

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newTokens(t testing.TB) (*token.Tokens, *ecdsa.PrivateKey, *clock) {
	t.Helper()
	key, err := token.ReadOrMakeSigningKey(filepath.Join(t.TempDir(), "token.key"))
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{now}
	tokens, err := token.NewTokens(token.TokenOptions{Key: key, Issuer: issuer, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return tokens, key, c
}

func credential() *model.Credential {
	return &model.Credential{
		ClientID: "Q7ZK2M4T9XB3LHPW6VND", EnvironmentID: "5b0c9d52-0f5e-4a77-9c1e-3d0a6f2b8e41",
		Permission: model.PermissionViewer, TokenDuration: time.Hour, Generation: 3,
	}
}

// management-api.md 2.2: form and claims of the access token.
func TestIssueVerify(t *testing.T) {
	tokens, _, c := newTokens(t)
	text, err := tokens.Issue(credential())
	if err != nil {
		t.Fatal(err)
	}
	header, _ := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[0])
	for _, want := range []string{`"typ":"at+jwt"`, `"alg":"ES256"`, `"kid":"`} {
		if !strings.Contains(string(header), want) {
			t.Errorf("header %s lacks %s", header, want)
		}
	}
	got, err := tokens.Verify(text)
	if err != nil {
		t.Fatal(err)
	}
	want := token.Claims{
		ID: got.ID, ClientID: "Q7ZK2M4T9XB3LHPW6VND", EnvironmentID: "5b0c9d52-0f5e-4a77-9c1e-3d0a6f2b8e41",
		Role: model.PermissionViewer, Generation: 3, Audience: token.AudienceManagement, IssuedAt: now, ExpiresAt: now.Add(time.Hour),
		KeyID: got.KeyID,
	}
	if diff := cmp.Diff(want, got); diff != "" || got.ID == "" || !tokens.Stands(got.KeyID) || tokens.Stands("") {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	for name, change := range map[string]func(*model.Credential){
		"generation": func(c *model.Credential) { c.Generation++ },
		"permission": func(c *model.Credential) { c.Permission = model.PermissionAdmin },
		"owner":      func(c *model.Credential) { c.EnvironmentID = "" },
	} {
		changed := credential()
		change(changed)
		if !got.Fits(credential()) || got.Fits(changed) {
			t.Errorf("MG-26: a token survives a change of %s", name)
		}
	}
	c.at = now.Add(time.Hour - time.Second)
	if _, err := tokens.Verify(text); err != nil {
		t.Errorf("refused a second before its end: %v", err)
	}
	c.at = now.Add(time.Hour)
	if _, err := tokens.Verify(text); !errors.Is(err, token.ErrRefused) {
		t.Errorf("at its end: %v", err)
	}
}

// The clock of the node that signs may be ahead of that of the node that checks, by a minute; for that no token is good a moment
// longer.
func TestVerifyLeeway(t *testing.T) {
	tokens, _, c := newTokens(t)
	text, err := tokens.Issue(credential())
	if err != nil {
		t.Fatal(err)
	}
	runtime, err := tokens.IssueRuntime(&model.Scope{ClientID: "S", EnvironmentID: "e"}, "s1", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for at, good := range map[time.Duration]bool{
		-time.Minute - time.Second: false, -time.Minute: true, -time.Second: true,
		time.Hour - time.Millisecond: true, time.Hour: false, time.Hour + time.Second: false,
	} {
		c.at = now.Add(at)
		_, err := tokens.Verify(text)
		_, runtimeErr := tokens.VerifyRuntime(runtime)
		if good != (err == nil) || good != (runtimeErr == nil) {
			t.Errorf("%s after it was signed: %v, %v", at, err, runtimeErr)
		}
	}
}

// RFC 8725, RFC 9068: everything but our own access token is refused.
func TestVerifyRefuses(t *testing.T) {
	tokens, key, _ := newTokens(t)
	good, err := tokens.Issue(credential())
	if err != nil {
		t.Fatal(err)
	}
	set, err := tokens.KeySet()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := set.Key(0)
	kid, _ := public.KeyID()
	sign := func(alg jwa.SignatureAlgorithm, key any, typ, kid string, change func(jwt.Token)) string {
		claims, err := jwt.ParseInsecure([]byte(good))
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(claims)
		}
		h := jws.NewHeaders()
		_ = h.Set(jws.TypeKey, typ)
		_ = h.Set(jws.KeyIDKey, kid)
		text, err := jwt.Sign(claims, jwt.WithKey(alg, key, jws.WithProtectedHeaders(h)))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	own := func(change func(jwt.Token)) string { return sign(jwa.ES256(), key, "at+jwt", kid, change) }
	remove := func(name string) string { return own(func(c jwt.Token) { _ = c.Remove(name) }) }
	set1 := func(name string, v any) string { return own(func(c jwt.Token) { _ = c.Set(name, v) }) }
	if _, err := tokens.Verify(own(nil)); err != nil {
		t.Fatalf("the token of the test itself: %v", err)
	}
	other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt","kid":"` + kid + `"}`))
	x, _ := key.PublicKey.Bytes()
	cases := map[string]string{
		"empty":          "",
		"rubbish":        "a.b.c",
		"JSON":           `{"iss":"x"}`,
		"none":           none + "." + parts[1] + ".",
		"none, signed":   none + "." + parts[1] + "." + parts[2],
		"HMAC":           sign(jwa.HS256(), x, "at+jwt", kid, nil),
		"other key":      sign(jwa.ES256(), other, "at+jwt", kid, nil),
		"other kid":      sign(jwa.ES256(), key, "at+jwt", "x", nil),
		"other typ":      sign(jwa.ES256(), key, "JWT", kid, nil),
		"no signature":   parts[0] + "." + parts[1] + ".",
		"other issuer":   set1("iss", "https://evil.example.org"),
		"other audience": set1("aud", []string{token.AudienceRuntime(issuer)}),
		"future":         set1("iat", now.Add(time.Minute+time.Second)),
		"not yet":        set1("nbf", now.Add(time.Minute+time.Second)),
		"other subject":  set1("sub", "someone"),
		"too long":       set1("x", strings.Repeat("x", 5000)),
		"no iss":         remove("iss"), "no aud": remove("aud"), "no exp": remove("exp"), "no iat": remove("iat"),
		"no sub": remove("sub"), "no jti": remove("jti"), "no client": remove("client_id"),
		"no owner": remove("ambit_owner"), "no role": remove("ambit_role"), "no generation": remove("ambit_generation"),
	}
	for name, text := range cases {
		if _, err := tokens.Verify(text); !errors.Is(err, token.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range len(good) {
		if _, err := tokens.Verify(good[:i]); err == nil {
			t.Errorf("the first %d bytes are accepted", i)
		}
	}
}

// Every changed byte of a token is refused, but for the unused low bits of a part's last character.
func TestVerifyAltered(t *testing.T) {
	tokens, _, _ := newTokens(t)
	good, err := tokens.Issue(credential())
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(good) - 1 {
		changed := []byte(good)
		changed[i] = 'A'
		if good[i] == 'A' {
			changed[i] = 'Z'
		}
		if _, err := tokens.Verify(string(changed)); err == nil {
			t.Errorf("changed at %d: accepted", i)
		}
	}
}

// Every other spelling of the same bytes is refused: the last letter of a part has unused bits, and decoders pass over
// padding and line ends.
func TestVerifyOneSpelling(t *testing.T) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=\n"
	tokens, _, _ := newTokens(t)
	text, err := tokens.Issue(credential())
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(text, ".")
	for i, part := range parts {
		for _, letter := range strings.Split(letters, "") {
			for _, other := range []string{part[:len(part)-1] + letter, part + letter, letter + part} {
				altered := slices.Clone(parts)
				altered[i] = other
				if _, err := tokens.Verify(strings.Join(altered, ".")); other != part && !errors.Is(err, token.ErrRefused) {
					t.Errorf("part %d ending in %q accepted", i, other[len(other)-2:])
				}
			}
		}
	}
}

func TestNewTokensNeedsAll(t *testing.T) {
	_, key, c := newTokens(t)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	for name, o := range map[string]token.TokenOptions{
		"no key":      {Issuer: issuer, Now: c.now},
		"other curve": {Key: p384, Issuer: issuer, Now: c.now},
		"no issuer":   {Key: key, Now: c.now},
		"no clock":    {Key: key, Issuer: issuer},
	} {
		if _, err := token.NewTokens(o); model.KindOf(err) != model.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	tokens, _, _ := newTokens(f)
	good, err := tokens.Issue(credential())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, text string) {
		claims, err := tokens.Verify(text)
		if err == nil && claims.ClientID != credential().ClientID {
			t.Errorf("forged: %q", text)
		}
	})
}

func BenchmarkIssue(b *testing.B) {
	tokens, _, _ := newTokens(b)
	for b.Loop() {
		if _, err := tokens.Issue(credential()); err != nil {
			b.Fatal(err)
		}
	}
}
