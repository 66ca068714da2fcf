package runtime

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// forgedTokens are JWTs that nothing here may believe, by what is wrong with them.
func forgedTokens(t *testing.T, secret string) map[string]string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	sign := func(claims string, alg jwa.SignatureAlgorithm, key any) string {
		options := []jws.SignOption{jws.WithKey(alg, key)}
		if key == nil {
			options = []jws.SignOption{jws.WithInsecureNoSignature()}
		}
		text, err := jws.Sign([]byte(claims), options...)
		check(t, err)
		return string(text)
	}
	claims := func(exp time.Time) string {
		return fmt.Sprintf(`{"sub":"tokafor","client_id":%q,"iss":"https://idp.example.org","aud":"ambit","kind":"staff","shift":"late","exp":%d}`, client, exp.Unix())
	}
	valid := claims(noon.Add(time.Hour))
	signed := sign(valid, jwa.ES256(), key)
	parts := strings.Split(signed, ".")
	none := sign(valid, jwa.NoSignature(), nil)
	return map[string]string{
		"no algorithm":         none,
		"HMAC with the secret": sign(valid, jwa.HS256(), []byte(secret)),
		"unknown key":          signed,
		"expired":              sign(claims(noon.Add(-time.Hour)), jwa.ES256(), key),
		"without exp":          sign(`{"sub":"tokafor","kind":"staff","shift":"late"}`, jwa.ES256(), key),
		"signature cut off":    parts[0] + "." + parts[1] + ".",
		"other payload":        parts[0] + "." + strings.Split(none, ".")[1] + "x." + parts[2],
		"two parts":            parts[0] + "." + parts[1],
		"no JWT":               "opaque",
	}
}

// TestForgedTokens: RT-36 and RT-38 as far as refusing goes, RT-39, PM-28: a JWT that does not verify authenticates no scope,
// gives no claims, and takes nothing from a call that its secret authenticates. No key set is read yet, so that no
// token verifies.
func TestForgedTokens(t *testing.T) {
	h := newHarbour(t)
	h.update(func(tx *store.Tx) error {
		w, err := tx.IdentityWorkspaces.Find("i0")
		if err != nil {
			return err
		}
		w.Matcher = &model.Matcher{
			TemplateMatcher: "$.kind", MatcherValue: "staff", IdentityIDMapper: "$.sub",
			ClaimMappings: map[model.AttributeID]string{"shift": "$.shift"},
		}
		return put(tx.IdentityWorkspaces, w)
	})
	id := "X-Client-Id: " + string(client)
	named := `{` + mreyes + `,"includeIdentity":true}`
	plain := h.do(request{body: named}).Body.String()
	if !strings.Contains(plain, `"entityId":"mreyes"`) || !strings.Contains(plain, `"shift":[]`) || !strings.Contains(plain, "acc-1") {
		t.Fatalf("without a token: %s", plain)
	}
	for name, token := range forgedTokens(t, h.secret) {
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
	now = noon.Add(time.Minute)
	h.want(request{body: `{` + mreyes + `}`}, 200, document(acc1, acc2))
	now = noon.Add(time.Minute + 1)
	notReady("stale")
	source.away.Store(false)
	check(t, d.CatchUp(t.Context()))
	h.want(request{body: `{` + mreyes + `}`}, 200, document(acc1, acc2))

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
