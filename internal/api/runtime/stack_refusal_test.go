package runtime

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// forgedTokens are JWTs that nothing here may believe, by what is wrong with them.
func forgedTokens(t *testing.T, i *issuer, secret string) map[string]string {
	t.Helper()
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	public, err := x509.MarshalPKIXPublicKey(&i.key.PublicKey)
	check(t, err)
	point, err := i.key.PublicKey.Bytes()
	check(t, err)
	with := func(name string, value any) string { return i.sign(t, i.claims(name, value)) }
	good := i.sign(t, i.claims())
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"k1"}`))
	hmac := func(key []byte) string { return signed(t, jwa.HS256(), key, "k1", i.claims()) }
	own, err := jwk.Import(other.Public())
	check(t, err)
	embedded := jws.NewHeaders()
	check(t, errors.Join(embedded.Set(jws.KeyIDKey, "k1"), embedded.Set(jws.JWKKey, own)))
	carried, err := jws.Sign(i.claims(), jws.WithKey(jwa.ES256(), other, jws.WithProtectedHeaders(embedded)))
	check(t, err)
	critical := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":"k1","crit":["exp"]}`))
	return map[string]string{
		"no algorithm":                  none + "." + parts[1] + ".",
		"no algorithm, with signature":  none + "." + parts[1] + "." + parts[2],
		"HMAC with the secret":          hmac([]byte(secret)),
		"HMAC with the public key":      hmac(public),
		"HMAC with the public point":    hmac(point),
		"another key under its kid":     signed(t, jwa.ES256(), other, "k1", i.claims()),
		"another algorithm's key":       signed(t, jwa.RS256(), weak, "k1", i.claims()),
		"a key that it brings itself":   string(carried),
		"another kid":                   signed(t, jwa.ES256(), i.key, "k2", i.claims()),
		"the kid of an encryption key":  signed(t, jwa.ES256(), i.key, "enc", i.claims()),
		"the kid of a secret key":       signed(t, jwa.HS256(), []byte("0123456789abcdef0123456789abcdef"), "oct", i.claims()),
		"expired":                       with("exp", noon.Add(-time.Minute-time.Second).Unix()),
		"without exp":                   with("exp", nil),
		"exp as a text":                 with("exp", "tomorrow"),
		"exp as digits in a text":       with("exp", strconv.FormatInt(noon.Add(time.Hour).Unix(), 10)),
		"exp as a date":                 with("exp", noon.Add(time.Hour).Format(time.RFC3339)),
		"exp as a list":                 with("exp", []int64{noon.Add(time.Hour).Unix()}),
		"exp beyond all numbers":        i.sign(t, []byte(strings.Replace(string(i.claims("exp", nil)), "{", `{"exp":1e400,`, 1))),
		"exp of twenty digits":          i.sign(t, []byte(strings.Replace(string(i.claims("exp", nil)), "{", `{"exp":99999999999999999999,`, 1))),
		"exp at the end of integers":    with("exp", int64(math.MaxInt64)),
		"nbf as a text":                 with("nbf", noon.Format(time.RFC3339)),
		"iat as a text":                 with("iat", "0"),
		"not yet":                       with("nbf", noon.Add(time.Minute+time.Second).Unix()),
		"made later":                    with("iat", noon.Add(time.Minute+time.Second).Unix()),
		"another issuer":                with("iss", "https://evil.example.org"),
		"without issuer":                with("iss", nil),
		"another audience":              with("aud", "other"),
		"without audience":              with("aud", nil),
		"signature cut off":             parts[0] + "." + parts[1] + ".",
		"other payload":                 parts[0] + "." + strings.Split(with("sub", "eve"), ".")[1] + "." + parts[2],
		"critical extension":            critical + "." + parts[1] + "." + parts[2],
		"a member twice":                i.sign(t, []byte(strings.Replace(string(i.claims()), "{", `{"sub":"eve",`, 1))),
		"too long":                      with("x", strings.Repeat("x", 20_000)),
		"two parts":                     parts[0] + "." + parts[1],
		"four parts":                    good + ".",
		"another spelling":              good + "=",
		"no JWT":                        "opaque",
		"a list":                        i.sign(t, []byte(`[1]`)),
		"signed with a curve too large": i.signLarge(t),
	}
}

// TestForgedTokens: RT-36, RT-37, RT-38, RT-39, PM-28: a JWT that does not verify authenticates no scope, gives no claims, and
// takes nothing from a call that its secret authenticates. The good token of the same issuer does all of it.
func TestForgedTokens(t *testing.T) {
	h := newHarbour(t)
	i := newIssuer(t)
	h.trust(i)
	id := "X-Client-Id: " + string(client)
	named := `{` + mreyes + `,"includeIdentity":true}`
	plain := h.do(request{body: named}).Body.String()
	if !strings.Contains(plain, `"entityId":"mreyes"`) || !strings.Contains(plain, `"shift":[]`) || !strings.Contains(plain, "acc-1") {
		t.Fatalf("without a token: %s", plain)
	}
	good := "Authorization: Bearer " + i.sign(t, i.claims())
	h.want(request{anonymous: true, headers: []string{id, good}, body: `{}`}, 200, "")
	if got := h.do(request{headers: []string{good}, body: `{"includeIdentity":true}`}).Body.String(); !strings.Contains(got, `"shift":["late"]`) {
		t.Fatalf("the good token gives no claims: %s", got)
	}
	for name, token := range forgedTokens(t, i, h.secret) {
		for _, scheme := range []string{"Bearer ", "jwt ", ""} {
			t.Run(name+" "+scheme, func(t *testing.T) {
				h.t = t
				head := "Authorization: " + scheme + token
				h.want(request{anonymous: true, headers: []string{id, head}, body: named}, 401, badToken)
				h.want(request{headers: []string{head}, body: named}, 200, plain)
				h.want(request{headers: []string{head}, body: `{}`}, 403, unmatched)
				h.changeScope(func(s *model.Scope) { s.AuthMethods = []model.AuthMethod{model.AuthJWT} })
				h.want(request{headers: []string{head}, body: named}, 401, badToken)
				h.changeScope(func(s *model.Scope) { s.AuthMethods, s.IdentityMatching = nil, model.MatchMatcher })
				h.want(request{headers: []string{head}, body: named}, 403, unmatched)
				h.changeScope(func(s *model.Scope) { s.IdentityMatching = model.MatchRequest })
				h.want(request{headers: []string{head}, body: named}, 200, plain)
				h.changeScope(func(s *model.Scope) { s.IdentityMatching = "" })
			})
		}
	}
}

// flaky is a store that can be away.
type flaky struct {
	decide.Source
	away atomic.Bool
}

var errAway = errors.New("dial tcp 10.1.2.3:5432: connection refused")

func (f *flaky) View(ctx context.Context, env model.EnvironmentID, fn func(*store.Tx) error) error {
	if f.away.Load() {
		return errAway
	}
	return f.Source.View(ctx, env, fn)
}

func (f *flaky) Feed(ctx context.Context, after store.Sequence, limit int) ([]store.Commit, error) {
	if f.away.Load() {
		return nil, errAway
	}
	return f.Source.Feed(ctx, after, limit)
}

// TestFailuresAreNoAnswers: RT-25, RT-26, F3 to F5: whatever is missing is an error that tells no cause, never an empty list;
// what was loaded goes on being answered for as long as it may.
func TestFailuresAreNoAnswers(t *testing.T) {
	h := newHarbour(t)
	source := &flaky{Source: h.store}
	now := noon
	clock := func() time.Time { return now }
	quiet := slog.New(slog.DiscardHandler)
	serve := func() *decide.Directory {
		d := decide.NewDirectory(decide.DirectoryOptions{Store: source, Clock: clock, Log: quiet, MaxStaleness: time.Minute})
		h.handler = Handler(Options{Directory: d, Log: quiet, Service: decide.New(decide.Options{Directory: d, Secrets: h.secrets, Clock: clock, Log: quiet})})
		return d
	}
	notReady := func(why string) {
		t.Helper()
		w := h.want(request{body: `{` + mreyes + `}`}, 503, "Not ready")
		if w.Header().Get("X-Error-Id") == "" || strings.Contains(fmt.Sprint(w.Header()), "10.1.2.3") {
			t.Errorf("%s: headers %v", why, w.Header())
		}
		if !strings.Contains(h.do(request{body: `{` + mreyes + `}`, headers: []string{"Accept: application/problem+json"}}).Body.String(), `"detail":"Not ready"`) {
			t.Errorf("%s: problem details", why)
		}
	}
	source.away.Store(true)
	d := serve()
	if err := d.CatchUp(t.Context()); err == nil {
		t.Error("a store that is away was read")
	}
	notReady("never loaded")
	source.away.Store(false)
	check(t, d.CatchUp(t.Context()))
	h.want(request{body: `{` + mreyes + `}`}, 200, document(acc1, acc2))
	source.away.Store(true)
	if err := d.CatchUp(t.Context()); err == nil {
		t.Error("a store that is away was followed")
	}
	now = noon.Add(time.Minute - time.Millisecond)
	if w := h.want(request{body: `{` + mreyes + `}`}, 200, document(acc1, acc2)); w.Header().Get("Ambit-Stale") != "60" || w.Header().Get("Ambit-Revision") != "1" {
		t.Errorf("F5: headers of a stale answer %v", w.Header())
	}
	now = noon.Add(time.Minute)
	h.want(request{body: `{` + mreyes + `}`}, 200, document(acc1, acc2))
	now = noon.Add(time.Minute + 1)
	notReady("stale")
	source.away.Store(false)
	check(t, d.CatchUp(t.Context()))
	if w := h.want(request{body: `{` + mreyes + `}`}, 200, document(acc1, acc2)); w.Header().Get("Ambit-Stale") != "" {
		t.Errorf("F5: headers of a fresh answer %v", w.Header())
	}

	// a revision that does not compile: the one before it goes on; who starts with it has none
	h.directory = nil
	h.update(func(tx *store.Tx) error {
		p, err := tx.Policies.Find("pol-20")
		if err != nil {
			return err
		}
		p.DynamicGroups = []model.BlockID{"no such group"}
		return put(tx.Policies, p)
	})
	check(t, d.CatchUp(t.Context()))
	if w := h.want(request{body: `{` + mreyes + `}`}, 200, document(acc1, acc2)); w.Header().Get("Ambit-Revision") != "1" {
		t.Errorf("answered at revision %s", w.Header().Get("Ambit-Revision"))
	}
	check(t, serve().CatchUp(t.Context()))
	notReady("does not compile")
}

// TestBuiltInAttributes: PM-8, V9, RT-49: path and uid are what the thing asked about is called, in rules and in answers,
// whatever is sent or stored under their names.
func TestBuiltInAttributes(t *testing.T) {
	for _, source := range []model.AssetSource{model.SourceRequest, model.SourcePlainID} {
		t.Run(string(source), func(t *testing.T) {
			own := model.Attributes{"path": {"secret/1"}}
			s := openWorld(t, model.AssetTemplate{ID: "Papers", Source: source, IsAttributeSentInRequest: source == model.SourcePlainID},
				model.Asset{Path: "open/1", Attributes: own}, model.Asset{Path: "secret/1"})
			s.write(stackEnvironment, func(tx *store.Tx) error {
				if _, err := tx.Identities("P").Put(model.Identity{EntityID: "noah", Attributes: model.Attributes{"uid": {"iris"}}}); err != nil {
					return err
				}
				return put(tx.Blocks, model.Block{ID: "who", Kind: model.KindDynamicGroup, WorkspaceID: "i0", Template: "P", Branches: branches(textRule(model.SideIdentity, "uid", model.OpEqual, []string{"iris"}))},
					model.Block{ID: "what", Kind: model.KindRuleset, WorkspaceID: "a0", Template: "Papers", Branches: branches(textRule(model.SideAsset, "path", model.OpStartsWith, []string{"secret/"}))})
			})
			ask := func(who string) string {
				sent := map[string][]string{"path": {"secret/1"}, "uid": {"iris"}}
				status, answer, _ := s.ask(map[string]any{"entityId": who, "entityAttributes": sent, "contextData": sent, "assetList": []map[string]any{
					{"template": "Papers", "path": "open/1", "assetAttributes": sent}, {"template": "Papers", "path": "secret/1", "assetAttributes": map[string]string{"path": "open/1"}},
				}})
				if status != 200 {
					t.Errorf("%d", status)
				}
				return answer
			}
			want := document(`{"path":"secret/1","attributes":{"name":["secret/1"],"path":["secret/1"]},"resourceType":"Papers","actions":[{"action":"read"}]}`)
			if got := ask("iris"); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if got := ask("noah"); got != empty {
				t.Errorf("noah is taken for iris: %s", got)
			}
		})
	}
}

// TestPeerOverTCP: RT-54, PM-32: without remoteIp the address of the connection counts, and no header does.
func TestPeerOverTCP(t *testing.T) {
	s := openWorld(t, model.AssetTemplate{ID: "Papers", Source: model.SourcePlainID}, model.Asset{Path: "x"})
	s.write(stackEnvironment, func(tx *store.Tx) error {
		p, err := tx.Policies.Find("p")
		if err != nil {
			return err
		}
		p.Conditions = []model.BlockID{"office"}
		office := harbourBlocks()[len(harbourBlocks())-1]
		office.ID = "office"
		return errors.Join(put(tx.Blocks, office), put(tx.Policies, p))
	})
	for peer, entries := range map[string]int{"": 0, "198.51.100.200": 1, "198.51.101.1": 0, "2001:db8::1": 0} {
		s.from(peer)
		status, answer, _ := s.ask(map[string]any{"entityId": "iris"})
		if got := len(s.entries(status, answer)); got != entries {
			t.Errorf("from %q: %d entries, want %d", peer, got, entries)
		}
	}
}
