package decide

import (
	"cmp"
	"net/netip"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/ambit-authz/ambit/internal/model"
)

// AuthenticateHeaders checks the credentials of the headers where these alone decide (runtime-api.md 3.6, 4.2); else it
// returns nil and leaves the decision to Authenticate.
func (c *Call) AuthenticateHeaders() error {
	if err := c.service.options.Directory.Ready(); err != nil {
		return err
	}
	head := c.in.Credentials
	if head.ClientID == "" {
		return nil
	}
	c.look()
	_, _, scope := c.service.options.Directory.find(head.ClientID)
	// nothing tells an unknown scope from one that allows every method
	secretDecides := head.Secret != "" && (scope == nil || scope.Allows(model.AuthSecretHeader))
	if !secretDecides && (scope == nil || scope.Allows(model.AuthRequestSecret)) {
		return nil
	}
	return c.Authenticate(Credentials{})
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
func (c *Call) Authenticate(body Credentials) error {
	if c.decided {
		return nil
	}
	c.decided = true
	if err := c.service.options.Directory.Ready(); err != nil {
		return err
	}
	id := cmp.Or(c.in.ClientID, body.ClientID)
	c.record.ClientID = model.ClientID(firstRunes(string(id), 128))
	if id == "" {
		return unknownClient()
	}
	if !c.service.limits.allow(id, c.address) {
		return &model.Error{Kind: model.KindTooMany, Code: "AMB-429", Name: "TooManyRequests", Message: "Too many requests"}
	}
	c.look()
	env, st, scope := c.service.options.Directory.find(id)
	secret, err := c.check(scope, body.Secret)
	if err != nil {
		return err
	}
	c.env, c.state, c.scope, c.secret = env, st, scope, secret
	c.record.Environment = env.id
	return nil
}

// check tries the methods of runtime-api.md 4.2 in their order: the first one that is allowed and has a credential
// decides. It returns the secret that was right. An unknown client takes as long as a wrong secret.
func (c *Call) check(scope *model.Scope, bodySecret string) (string, error) {
	now := c.service.options.Clock()
	if scope == nil {
		if secret := cmp.Or(c.in.Secret, bodySecret); secret != "" {
			if _, err := c.service.options.Secrets.Check(nil, secret, now); err != nil {
				return "", err
			}
		}
		return "", unknownClient()
	}
	for _, method := range []struct {
		method model.AuthMethod
		secret string
	}{{model.AuthSecretHeader, c.in.Secret}, {model.AuthRequestSecret, bodySecret}} {
		if method.secret == "" || !scope.Allows(method.method) {
			continue
		}
		return method.secret, c.isSecret(scope, method.secret, now)
	}
	onlyJWT := !scope.Allows(model.AuthSecretHeader) && !scope.Allows(model.AuthRequestSecret)
	if onlyJWT || scope.Allows(model.AuthJWT) && hasToken(c.in.Authorization) {
		return "", invalidToken() // no key set of a scope is read yet, so that no token verifies
	}
	return "", wrongSecret()
}

// isSecret is nil when the secret is one of the scope's that are alive.
func (c *Call) isSecret(scope *model.Scope, secret string, now time.Time) error {
	good, err := c.service.options.Secrets.Check(scope.Secrets, secret, now)
	if err == nil && !good {
		return wrongSecret()
	}
	return err
}

// hasToken reports whether an Authorization header carries a token: with the scheme Bearer or JWT, or bare.
func hasToken(authorization string) bool {
	scheme, token, found := strings.Cut(strings.TrimSpace(authorization), " ")
	if !found {
		return scheme != ""
	}
	return (strings.EqualFold(scheme, "Bearer") || strings.EqualFold(scheme, "JWT")) && strings.TrimSpace(token) != ""
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
