package token_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/token"
)

// publisher serves a key set and counts how often it is asked.
type publisher struct {
	*httptest.Server
	answer atomic.Pointer[http.HandlerFunc]
	asked  atomic.Int64
}

func newPublisher(t testing.TB) *publisher {
	p := &publisher{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		(*p.answer.Load())(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *publisher) serve(h http.HandlerFunc) { p.answer.Store(&h) }

func (p *publisher) text(text string) {
	p.serve(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
}

func (p *publisher) down() {
	p.serve(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusBadGateway) })
}

// set is a key set of the public parts of keys, by kid; use and alg may follow the kid after slashes.
func set(t testing.TB, keys map[string]any) string {
	t.Helper()
	out := map[string][]any{"keys": {}}
	for name, key := range keys {
		parts := strings.Split(name+"//", "/")
		k, err := jwk.Import(key)
		if err != nil {
			t.Fatal(err)
		}
		for member, value := range map[string]string{jwk.KeyIDKey: parts[0], jwk.KeyUsageKey: parts[1], jwk.AlgorithmKey: parts[2]} {
			if value != "" {
				if err := k.Set(member, value); err != nil {
					t.Fatal(err)
				}
			}
		}
		out["keys"] = append(out["keys"], k)
	}
	text, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func newIncoming(t testing.TB, c *clock) *token.Incoming {
	t.Helper()
	v, err := token.NewIncoming(token.IncomingOptions{Client: token.KeyFetch(), Now: c.now, Leeway: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func trusting(urls ...string) *model.JWTSettings {
	return &model.JWTSettings{JWKSURLs: urls, Issuers: []string{issuer}, Audiences: []string{"harbour"}}
}

func userToken(t testing.TB, alg jwa.SignatureAlgorithm, key any, kid string, at time.Time) string {
	t.Helper()
	head := jws.NewHeaders()
	if kid != "" {
		_ = head.Set(jws.KeyIDKey, kid)
	}
	claims := fmt.Sprintf(`{"iss":%q,"aud":"harbour","exp":%d,"n":1.50}`, issuer, at.Add(time.Hour).Unix())
	text, err := jws.Sign([]byte(claims), jws.WithKey(alg, key, jws.WithProtectedHeaders(head)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func unavailable(err error) bool { return err != nil && model.KindOf(err) == model.KindUnavailable }

// RT-38, runtime-api.md 4.3: every algorithm of the list verifies, with and without kid; a key is good for its own ones only.
func TestIncomingAlgorithms(t *testing.T) {
	p, c := newPublisher(t), &clock{now}
	keys := map[string]any{}
	r, _ := rsa.GenerateKey(rand.Reader, 2048)
	_, e, _ := ed25519.GenerateKey(rand.Reader)
	keys["RSA"], keys["Ed25519"] = r.Public(), e.Public()
	private := map[jwa.SignatureAlgorithm]any{
		jwa.RS256(): r, jwa.RS384(): r, jwa.RS512(): r, jwa.PS256(): r, jwa.PS384(): r, jwa.PS512(): r, jwa.EdDSA(): e,
	}
	kid := func(alg jwa.SignatureAlgorithm) string {
		switch name := alg.String(); {
		case name == "EdDSA":
			return "Ed25519"
		case name[1] == 'S' && name[0] != 'E':
			return "RSA"
		default:
			return name
		}
	}
	for alg, curve := range map[jwa.SignatureAlgorithm]elliptic.Curve{jwa.ES256(): elliptic.P256(), jwa.ES384(): elliptic.P384(), jwa.ES512(): elliptic.P521()} {
		k, _ := ecdsa.GenerateKey(curve, rand.Reader)
		private[alg], keys[kid(alg)] = k, k.Public()
	}
	p.text(set(t, keys))
	v := newIncoming(t, c)
	for alg, key := range private {
		for _, id := range []string{kid(alg), ""} {
			claims, _, err := v.Verify(t.Context(), userToken(t, alg, key, id, now), trusting(p.URL))
			if err != nil || claims["n"] != json.Number("1.50") {
				t.Errorf("%s with kid %q: %v %v", alg, id, claims, err)
			}
		}
	}
	if n := p.asked.Load(); n != 1 {
		t.Errorf("the set was fetched %d times", n)
	}
	for name, key := range map[string]any{"k/enc": r.Public(), "k//RS512": r.Public(), "k": r, "k/sig/ES256": []byte("0123456789abcdef0123456789abcdef")} {
		q := newPublisher(t)
		q.text(set(t, map[string]any{name: key}))
		if _, _, err := v.Verify(t.Context(), userToken(t, jwa.RS256(), r, "k", now), trusting(q.URL)); !errors.Is(err, token.ErrRefused) {
			t.Errorf("a key %s was used: %v", name, err)
		}
	}
	large, err := rsa.GenerateMultiPrimeKey(rand.Reader, 9, 9216) //nolint:staticcheck // quicker to make than one of two primes
	if err != nil {
		t.Fatal(err)
	}
	q := newPublisher(t)
	q.text(set(t, map[string]any{"k": large.Public()}))
	if _, _, err := v.Verify(t.Context(), userToken(t, jwa.RS256(), large, "k", now), trusting(q.URL)); !errors.Is(err, token.ErrRefused) {
		t.Errorf("a key of %d bits was used: %v", large.N.BitLen(), err)
	}
	for _, s := range []*model.JWTSettings{nil, {}, {JWKSURLs: []string{p.URL}, Audiences: []string{"harbour"}}, {JWKSURLs: []string{p.URL}, Issuers: []string{issuer}}, {Issuers: []string{issuer}, Audiences: []string{"harbour"}}} {
		if _, _, err := v.Verify(t.Context(), userToken(t, jwa.RS256(), r, "RSA", now), s); !errors.Is(err, token.ErrRefused) {
			t.Errorf("settings %+v: %v", s, err)
		}
	}
}

// Runtime-api.md 4.3: a new key is found by one fetch, unknown ones make no more than one in 30 seconds, and a key that was
// taken back ends.
func TestIncomingRotation(t *testing.T) {
	p, c := newPublisher(t), &clock{now}
	one, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	two, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	v, s := newIncoming(t, c), trusting(p.URL)
	verify := func(key any, kid string) error {
		_, _, err := v.Verify(t.Context(), userToken(t, jwa.ES256(), key, kid, c.at), s)
		return err
	}
	want := func(what string, err error, good bool, asked int64) {
		t.Helper()
		if good != (err == nil) || !good && !errors.Is(err, token.ErrRefused) {
			t.Errorf("%s: %v", what, err)
		}
		if n := p.asked.Load(); n != asked {
			t.Errorf("%s: %d fetches, want %d", what, n, asked)
		}
	}
	p.text(set(t, map[string]any{"one": one.Public()}))
	want("at first", verify(one, "one"), true, 1)
	p.text(set(t, map[string]any{"one": one.Public(), "two": two.Public()}))
	for range 20 {
		want("too early for another fetch", verify(two, "two"), false, 1)
	}
	c.at = c.at.Add(31 * time.Second)
	want("a new key", verify(two, "two"), true, 2)
	for i := range 20 {
		want("unknown keys", verify(two, fmt.Sprint("x", i)), false, 2)
	}
	p.text(set(t, map[string]any{"two": two.Public()}))
	c.at = c.at.Add(16 * time.Minute)
	want("a key that was taken back", verify(one, "one"), false, 3)
}

// Runtime-api.md 4.3: whether the key of a token that was good stands is known without a fetch of its own.
func TestIncomingStands(t *testing.T) {
	p := newPublisher(t)
	var passed atomic.Int64 // read by fetches that nobody waits for
	at := func() time.Time { return now.Add(time.Duration(passed.Load())) }
	pass := func(d time.Duration) { passed.Add(int64(d)) }
	incoming := func() *token.Incoming {
		v, err := token.NewIncoming(token.IncomingOptions{Client: token.KeyFetch(), Now: at})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	one, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	two, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	v, s := incoming(), trusting(p.URL)
	verify := func(key any, kid string) (token.VerifiedBy, error) {
		_, by, err := v.Verify(t.Context(), userToken(t, jwa.ES256(), key, kid, at()), s)
		return by, err
	}
	publish := func(keys map[string]any) { // and have it fetched by a token of key two
		t.Helper()
		p.text(set(t, keys))
		pass(16 * time.Minute)
		if _, err := verify(two, "two"); err != nil {
			t.Fatal(err)
		}
	}
	p.text(set(t, map[string]any{"one": one.Public(), "two": two.Public()}))
	by, err := verify(one, "one")
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err := v.Stands(by); err != nil {
			t.Fatal(err)
		}
	}
	if err := incoming().Stands(by); err != nil { // one that has heard of nothing yet
		t.Error(err)
	}
	for name, keys := range map[string]map[string]any{
		"withdrawn": {"two": two.Public()}, "another key of the name": {"one//": two.Public(), "two": two.Public()}, "for another algorithm": {"one//ES384": one.Public(), "two": two.Public()},
	} {
		publish(keys)
		if err := v.Stands(by); !errors.Is(err, token.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
		publish(map[string]any{"other//": two.Public(), "two": two.Public(), "one": one.Public()})
		if err := v.Stands(by); err != nil {
			t.Errorf("back after %s: %v", name, err)
		}
	}
	p.down()
	pass(59 * time.Minute)
	if err := v.Stands(by); err != nil {
		t.Errorf("away for less than an hour: %v", err)
	}
	pass(2 * time.Minute)
	if err := v.Stands(by); !unavailable(err) {
		t.Errorf("away for an hour: %v", err)
	}
}

// Runtime-api.md 4.3: what was fetched serves for an hour while its issuer is away, and not longer; without anything it is 503.
func TestIncomingAway(t *testing.T) {
	p, c := newPublisher(t), &clock{now}
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	v, s := newIncoming(t, c), trusting(p.URL)
	verify := func() error {
		_, _, err := v.Verify(t.Context(), userToken(t, jwa.ES256(), key, "k", c.at), s)
		return err
	}
	p.down()
	if err := verify(); !unavailable(err) || strings.Contains(err.(*model.Error).Text(), "127.0.0.1") {
		t.Errorf("never fetched: %v", err)
	}
	_ = verify()
	if n := p.asked.Load(); n != 1 {
		t.Errorf("%d fetches in one moment", n)
	}
	p.text(set(t, map[string]any{"k": key.Public()}))
	c.at = c.at.Add(31 * time.Second)
	if err := verify(); err != nil {
		t.Error(err)
	}
	p.down()
	for _, after := range []time.Duration{4 * time.Minute, 12 * time.Minute, 20 * time.Minute, 23 * time.Minute} {
		c.at = c.at.Add(after)
		if err := verify(); err != nil {
			t.Errorf("at %s: %v", c.at, err)
		}
	}
	c.at = c.at.Add(2 * time.Minute)
	if err := verify(); !unavailable(err) {
		t.Errorf("keys of an hour ago: %v", err)
	}
	// another set that has the key makes the one that is away unneeded
	q := newPublisher(t)
	q.text(set(t, map[string]any{"k": key.Public()}))
	s = trusting(p.URL, q.URL)
	if err := verify(); err != nil {
		t.Errorf("the second set has the key: %v", err)
	}
	// a key that does not fit does not make it unneeded, whatever its kid
	other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	for _, kid := range []string{"k", ""} {
		if _, _, err := v.Verify(t.Context(), userToken(t, jwa.ES256(), other, kid, c.at), s); !unavailable(err) {
			t.Errorf("the key may be in the set that is away, kid %q: %v", kid, err)
		}
	}
}

// A key set of an issuer that is not what it should be is as good as none: too large, slow in the wrong way, redirected to
// another scheme or host form, no JSON.
func TestIncomingHostile(t *testing.T) {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	good := set(t, map[string]any{"k": key.Public()})
	target := newPublisher(t)
	target.text(good)
	text := userToken(t, jwa.ES256(), key, "k", now)
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
	}
	many := `{"keys":[` + strings.Repeat(`{},`, 100) + strings.TrimPrefix(good, `{"keys":[`)
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		good  bool
	}{
		"a redirect to a loopback address": {redirect(target.URL), true},
		"to another scheme":                {redirect("https" + strings.TrimPrefix(target.URL, "http")), false},
		"to a file":                        {redirect("file:///etc/passwd"), false},
		"to another host over http":        {redirect("http://keys.example.org/"), false},
		"no JSON":                          {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, false},
		"no keys":                          {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{}`)) }, false},
		"too many keys":                    {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(many)) }, false},
		"too large": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(append([]byte(good), bytes.Repeat([]byte(" "), 600<<10)...))
		}, false},
		"another status": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); _, _ = w.Write([]byte(good)) }, false},
	} {
		p := newPublisher(t)
		p.serve(c.serve)
		_, _, err := newIncoming(t, &clock{now}).Verify(t.Context(), text, trusting(p.URL))
		if c.good != (err == nil) || !c.good && !unavailable(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := newPublisher(t)
	p.serve(redirect(p.URL))
	if _, _, err := newIncoming(t, &clock{now}).Verify(t.Context(), text, trusting(p.URL)); !unavailable(err) || p.asked.Load() > 5 {
		t.Errorf("a circle: %v after %d requests", err, p.asked.Load())
	}
	// nothing is fetched for a token that could not be good
	before := target.asked.Load()
	expired := userToken(t, jwa.ES256(), key, "k", now.Add(-2*time.Hour))
	if _, _, err := newIncoming(t, &clock{now}).Verify(t.Context(), expired, trusting(target.URL)); !errors.Is(err, token.ErrRefused) || target.asked.Load() != before {
		t.Errorf("expired: %v after %d fetches", err, target.asked.Load()-before)
	}
}

// The sets of one token are fetched together: one that never answers does not keep the others waiting, and costs its time
// once.
func TestIncomingSideBySide(t *testing.T) {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	slow, good := newPublisher(t), newPublisher(t)
	asked := make(chan struct{})
	slow.serve(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-asked:
		case <-r.Context().Done():
		}
		w.WriteHeader(500)
	})
	keys := set(t, map[string]any{"k": key.Public()})
	good.serve(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		_, _ = w.Write([]byte(keys))
	})
	began := time.Now()
	_, _, err := newIncoming(t, &clock{now}).Verify(t.Context(), userToken(t, jwa.ES256(), key, "k", now), trusting(slow.URL, good.URL))
	if took := time.Since(began); err != nil || took > 4*time.Second {
		t.Errorf("%v after %s", err, took)
	}
}

// Many callers at once share one fetch, and one that leaves does not end it for the others.
func TestIncomingTogether(t *testing.T) {
	p := newPublisher(t)
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	good := set(t, map[string]any{"k": key.Public()})
	open := make(chan struct{})
	p.serve(func(w http.ResponseWriter, _ *http.Request) { <-open; _, _ = w.Write([]byte(good)) })
	v, text := newIncoming(t, &clock{now}), userToken(t, jwa.ES256(), key, "k", now)
	left, leave := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			if _, _, err := v.Verify(t.Context(), text, trusting(p.URL)); err != nil {
				t.Error(err)
			}
		})
	}
	leave()
	if _, _, err := v.Verify(left, text, trusting(p.URL)); err == nil {
		t.Error("a caller that left was answered")
	}
	close(open)
	wait.Wait()
	if n := p.asked.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// FuzzIncoming: no text is good but those that the issuer signed, and none makes the check fail in another way.
func FuzzIncoming(f *testing.F) {
	p := newPublisher(f)
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p.text(set(f, map[string]any{"k": key.Public()}))
	v, good := newIncoming(f, &clock{now}), userToken(f, jwa.ES256(), key, "k", now)
	parts := strings.Split(good, ".")
	for _, seed := range []string{good, parts[0] + "." + parts[1] + ".", "eyJhbGciOiJub25lIn0." + parts[1] + ".", "a.b.c", "", good + "=", `{"payload":"e30","signatures":[]}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = v.Read(text)
		_, _, err := v.Verify(t.Context(), text, trusting(p.URL))
		signed := strings.HasPrefix(text, parts[0]+"."+parts[1]+".") // ECDSA has two signatures of one kind
		if err == nil && !signed || text == good && err != nil || err != nil && !errors.Is(err, token.ErrRefused) {
			t.Errorf("%q: %v", text, err)
		}
	})
}
