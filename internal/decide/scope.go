package decide

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/ambit-authz/ambit/internal/identity"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/token"
)

// AuthenticateHeaders checks the credentials of the headers where these alone decide (runtime-api.md 3.6, 4.2); else it
// returns nil and leaves the decision to Authenticate.
func (c *Call) AuthenticateHeaders(ctx context.Context) error {
	if err := c.service.options.Directory.Ready(); err != nil {
		return err
	}
	if c.manager != nil {
		return c.authenticateManager(ctx)
	}
	id := c.statedClient()
	if id == "" {
		return nil
	}
	c.look()
	_, _, scope := c.service.options.Directory.find(id)
	// nothing tells an unknown scope from one that allows every method
	secretDecides := (c.in.Secret != "" || c.accessToken().text != "") && (scope == nil || scope.Allows(model.AuthSecretHeader))
	if !secretDecides && (scope == nil || scope.Allows(model.AuthRequestSecret)) {
		return nil
	}
	return c.Authenticate(ctx, Credentials{})
}

// look brings the directory up to the store, once and for as long as the call may wait, when the caller asks for a revision:
// the scope, or its secret, may be part of that very revision (management-api.md 1.7).
func (c *Call) look() {
	if c.in.MinRevision > 0 && !c.looked {
		c.looked = true
		c.service.options.Directory.look(c.in.Wait)
	}
}

// Authenticate checks the scope by the credentials of the headers and, where these do not decide, of the body. It does
// nothing when AuthenticateHeaders has decided. Errors: 401 with the codes of runtime-api.md 3.7, 429, 503.
func (c *Call) Authenticate(ctx context.Context, body Credentials) error {
	if c.decided {
		return nil
	}
	c.decided = true
	if err := c.service.options.Directory.Ready(); err != nil {
		return err
	}
	id := cmp.Or(c.statedClient(), body.ClientID)
	c.record.ClientID = model.ClientID(firstRunes(string(id), 128))
	if c.manager != nil {
		return c.simulate(ctx, id)
	}
	if id == "" {
		return c.unknownClient()
	}
	if !c.service.limits.allow(id, c.address) {
		return tooMany()
	}
	c.look()
	env, st, scope := c.service.options.Directory.find(id)
	proof, err := c.choose(scope, body.Secret)
	if err != nil {
		return err
	}
	if err := c.check(ctx, proof, st, scope); err != nil {
		return err
	}
	c.env, c.state, c.scope, c.proof = env, st, scope, proof
	c.record.Environment = env.id
	return nil
}

// proof is the credential that decides whether a call is its scope's: a secret or, of method AuthJWT, a token.
type proof struct {
	method model.AuthMethod
	secret string
	access bool // an access token stands for the secret that it was got with
}

// choose tries the methods of runtime-api.md 4.2 in their order: the first one that is allowed and has a credential
// decides. An unknown client takes as long as a wrong secret.
func (c *Call) choose(scope *model.Scope, bodySecret string) (proof, error) {
	if scope == nil {
		if secret := cmp.Or(c.in.Secret, bodySecret); secret != "" {
			if _, err := c.service.options.Secrets.Check(nil, secret, c.service.options.Clock()); err != nil {
				return proof{}, err
			}
		}
		return proof{}, c.unknownClient()
	}
	access, foreign := c.accessToken().text, tokenOf(c.in.Authorization)
	if access != "" {
		foreign = "" // it is good for nothing else
	}
	for _, p := range []proof{
		{method: model.AuthSecretHeader, secret: c.in.Secret},
		{method: model.AuthSecretHeader, secret: access, access: true},
		{method: model.AuthRequestSecret, secret: bodySecret},
		{method: model.AuthJWT, secret: foreign},
	} {
		if p.secret != "" && scope.Allows(p.method) {
			return p, nil
		}
	}
	if !scope.Allows(model.AuthSecretHeader) && !scope.Allows(model.AuthRequestSecret) {
		return proof{}, invalidToken()
	}
	return proof{}, wrongSecret()
}

// check is nil when p is good for scope as it is now.
func (c *Call) check(ctx context.Context, p proof, st *state, scope *model.Scope) error {
	switch {
	case p.access:
		return c.checkAccess(st, scope)
	case p.method == model.AuthJWT:
		return c.checkToken(ctx, p.secret, st, scope)
	}
	good, err := c.service.options.Secrets.Check(scope.Secrets, p.secret, c.service.options.Clock())
	if err == nil && !good {
		return wrongSecret()
	}
	return err
}

// checkToken judges the token of an application (runtime-api.md 4.3).
func (c *Call) checkToken(ctx context.Context, text string, st *state, scope *model.Scope) error {
	settings := firstSettings(scope.JWT, st.jwt)
	claims, err := c.verify(ctx, text, settings)
	switch {
	case err != nil:
		return err
	case claims == nil:
		return invalidToken()
	case settings.ClientIDClaim == "":
		return nil
	}
	path, problem := identity.ParsePath(settings.ClientIDClaim)
	if problem != nil {
		return invalidToken()
	}
	// one value, so that a token for several clients is good for none
	if ids := path.Values(claims); len(ids) != 1 || ids[0] != string(scope.ClientID) {
		return invalidToken()
	}
	return nil
}

// maxKeyWait is how long one call waits for key sets, however many tokens and sets there are: it may hold room that others
// wait for. What it gave up is fetched nevertheless.
const maxKeyWait = 5 * time.Second

// verify gives the claims of a token, nil when it is not good.
func (c *Call) verify(ctx context.Context, text string, settings *model.JWTSettings) (map[string]any, error) {
	if c.service.options.Tokens == nil {
		return nil, nil
	}
	if c.keysBy.IsZero() {
		c.keysBy = time.Now().Add(maxKeyWait)
	}
	ctx, cancel := context.WithDeadlineCause(ctx, c.keysBy, fmt.Errorf("not fetched within %s", maxKeyWait))
	defer cancel()
	claims, by, err := c.service.options.Tokens.Verify(ctx, text, settings)
	if errors.Is(err, token.ErrRefused) {
		return nil, nil
	}
	if err == nil {
		c.expireBy(expiryOf(claims))
		if !slices.Contains(c.verified, by) {
			c.verified = append(c.verified, by)
		}
	}
	return claims, err
}

// firstSettings are the first ones that say anything.
func firstSettings(of ...*model.JWTSettings) *model.JWTSettings {
	for _, s := range of {
		if s != nil && !s.IsZero() {
			return s
		}
	}
	return nil
}

// claims gives what the token in a matcher's header says, nil when it says nothing that counts (runtime-api.md 4.3, 5.2).
func (c *Call) claims(ctx context.Context, m *identity.Matcher, header string) (map[string]any, error) {
	text := tokenOf(header)
	tokens := c.service.options.Tokens
	switch {
	case text == "" || tokens == nil, text == c.accessToken().text: // an access token says nothing of users
		return nil, nil
	case m.Unsigned():
		claims, err := tokens.Read(text)
		if errors.Is(err, token.ErrRefused) {
			return nil, nil
		}
		return claims, err
	}
	return c.verify(ctx, text, firstSettings(m.Settings(), c.scope.JWT, c.state.jwt))
}

// firstOf is the first value of a header that is not empty.
func firstOf(values []string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}

// tokenOf is the token in the value of a header: after the scheme Bearer or JWT, or bare; "" = none.
func tokenOf(value string) string {
	value = strings.TrimSpace(value)
	scheme, text, found := strings.Cut(value, " ")
	switch {
	case !found:
		return value
	case strings.EqualFold(scheme, "Bearer"), strings.EqualFold(scheme, "JWT"):
		return strings.TrimSpace(text)
	}
	return ""
}

func tooMany() error {
	return &model.Error{Kind: model.KindTooMany, Code: "AMB-429", Name: "TooManyRequests", Message: "Too many requests"}
}

func unknownClient() error {
	return &model.Error{Kind: model.KindUnauthorized, Code: "AMB-010", Name: "InvalidClientId", Message: "Invalid clientId"}
}

func wrongSecret() error {
	return &model.Error{Kind: model.KindUnauthorized, Code: "AMB-011", Name: "InvalidApiKey", Message: "Invalid api key"}
}

func invalidToken() error {
	return &model.Error{Kind: model.KindUnauthorized, Code: "AMB-012", Name: "InvalidToken", Message: "Invalid token"}
}

// limits are token buckets, one for each client id and address: nobody can use up the calls of another one. The least
// recently used buckets are forgotten.
type limits struct {
	rate    rate.Limit
	burst   int
	buckets *lru.Cache[bucket, *rate.Limiter]
}

type bucket struct {
	client  model.ClientID
	address netip.Addr
}

const maxBuckets = 65_536

func newLimits(perSecond float64) *limits {
	if perSecond <= 0 {
		return nil
	}
	buckets, err := lru.New[bucket, *rate.Limiter](maxBuckets)
	if err != nil {
		panic(err) // the size is a constant above zero
	}
	return &limits{rate: rate.Limit(perSecond), burst: max(1, int(perSecond)), buckets: buckets}
}

// allow takes one call from the bucket, which holds one second's calls.
func (l *limits) allow(client model.ClientID, address netip.Addr) bool {
	if l == nil {
		return true
	}
	key := bucket{client, address}
	b, ok := l.buckets.Get(key)
	if !ok {
		b = rate.NewLimiter(l.rate, l.burst)
		if earlier, found, _ := l.buckets.PeekOrAdd(key, b); found {
			b = earlier
		}
	}
	return b.Allow()
}
