package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/ambit-authz/ambit/internal/model"
)

// AudienceManagement is the audience of management tokens. Runtime tokens have another, and neither is accepted in the place
// of the other (management-api.md 2.4).
const AudienceManagement = "ambit-management"

// AudienceRuntime is the audience of the runtime tokens of an issuer (authzen.md 3).
func AudienceRuntime(issuer string) string { return strings.TrimSuffix(issuer, "/") + "/access" }

// MaxLifetime is the longest that an access token can live (management-api.md 4), so how long the key that signed it must
// be known after it was replaced.
const MaxLifetime = 7 * 24 * time.Hour

// typeAccessToken is the typ header of RFC 9068. It keeps other JWTs under the same key from being taken for access tokens.
const typeAccessToken = "at+jwt"

// Private claims of management-api.md 2.2. The generation ends tokens when their credential changes.
const (
	claimClient     = "client_id"
	claimOwner      = "ambit_owner"
	claimRole       = "ambit_role"
	claimGeneration = "ambit_generation"
	claimSecret     = "ambit_secret" // id of the secret that a scope proved itself with
)

const ownerTenant = "tenant"

// clockLeeway is by how much the clock of the node that signed a token may be ahead of that of the node that checks it. It
// is for the token's beginning only: no token is good a moment longer for it.
const clockLeeway = time.Minute

// maxToken bounds the text that is looked at, in bytes. Own tokens have about 500.
const maxToken = 4096

// ErrRefused is the one answer to every token that is not good: which check failed is nobody's business.
var ErrRefused = errors.New("the access token is refused")

// TokenOptions configure Tokens. All are required.
type TokenOptions struct {
	Key    *ecdsa.PrivateKey // P-256
	Issuer string
	Now    func() time.Time
	// Retired keys verify until their end and sign nothing. None is required.
	Retired []RetiredKey
}

// Tokens issues and verifies access tokens: JWTs of RFC 9068 signed with ES256 (management-api.md 2.2). All methods may be
// called from many goroutines at once.
type Tokens struct {
	issuer string
	now    func() time.Time
	ring   atomic.Pointer[ring]
}

// NewTokens refuses options of which one is missing: an unset issuer or key must not mean that it is not checked.
func NewTokens(o TokenOptions) (*Tokens, error) {
	if o.Key == nil || o.Key.Curve != elliptic.P256() || o.Issuer == "" || o.Now == nil {
		return nil, model.Invalidf("tokens need a P-256 key, an issuer and a clock")
	}
	t := &Tokens{issuer: o.Issuer, now: o.Now}
	return t, t.Use(o.Key, o.Retired)
}

// Claims are what an access token says of its bearer.
type Claims struct {
	ID            string
	ClientID      model.ClientID
	EnvironmentID model.EnvironmentID // "" = the tenant
	Role          model.Permission    // of management tokens
	Generation    int64               // of management tokens
	SecretID      string              // of runtime tokens
	KeyID         string              // of the key that signed it
	Audience      string
	IssuedAt      time.Time
	ExpiresAt     time.Time
}

// Fits reports whether the token was issued to c as it is now: same generation, owner and role (management-api.md 2.2).
func (c *Claims) Fits(now *model.Credential) bool {
	return c.ClientID == now.ClientID && c.EnvironmentID == now.EnvironmentID &&
		c.Role == now.Permission && c.Generation == now.Generation
}

// FitsScope reports whether the runtime token stands on what s is at now: the scope may use its secret in a header, for
// which the token stands, and the very secret that it was got with is still in force (authzen.md 3).
func (c *Claims) FitsScope(s *model.Scope, now time.Time) bool {
	return c.ClientID == s.ClientID && c.EnvironmentID == s.EnvironmentID && s.Allows(model.AuthSecretHeader) &&
		now.Before(c.ExpiresAt) &&
		slices.ContainsFunc(s.Secrets, func(h model.SecretHash) bool { return h.ID != "" && h.ID == c.SecretID && h.Alive(now) })
}

// Issue signs a token for c that ends after c.TokenDuration.
func (t *Tokens) Issue(c *model.Credential) (string, error) {
	return t.sign(AudienceManagement, c.ClientID, c.EnvironmentID, c.TokenDuration, func(b *jwt.Builder) {
		b.Claim(claimRole, string(c.Permission)).Claim(claimGeneration, c.Generation)
	})
}

// IssueRuntime signs a token for the decision calls that ends after lifetime. secretID is the secret that the scope proved
// itself with: the token ends with it.
func (t *Tokens) IssueRuntime(s *model.Scope, secretID string, lifetime time.Duration) (string, error) {
	return t.sign(AudienceRuntime(t.issuer), s.ClientID, s.EnvironmentID, lifetime, func(b *jwt.Builder) { b.Claim(claimSecret, secretID) })
}

func (t *Tokens) sign(audience string, client model.ClientID, env model.EnvironmentID, lifetime time.Duration, claims func(*jwt.Builder)) (string, error) {
	owner := ownerTenant
	if env != "" {
		owner = string(env)
	}
	at := t.now().Truncate(time.Second)
	builder := jwt.NewBuilder().
		Issuer(t.issuer).Subject(string(client)).Audience([]string{audience}).
		IssuedAt(at).Expiration(at.Add(lifetime)).JwtID(newID()).
		Claim(claimClient, string(client)).Claim(claimOwner, owner)
	claims(builder)
	token, err := builder.Build()
	if err != nil {
		return "", model.Internal("token.Issue", err)
	}
	headers := jws.NewHeaders()
	if err := headers.Set(jws.TypeKey, typeAccessToken); err != nil {
		return "", model.Internal("token.Issue", err)
	}
	text, err := jwt.Sign(token, jwt.WithKey(jwa.ES256(), t.ring.Load().private, jws.WithProtectedHeaders(headers)))
	if err != nil {
		return "", model.Internal("token.Issue", err)
	}
	return string(text), nil
}

// Issuer is the iss of all tokens.
func (t *Tokens) Issuer() string { return t.issuer }

// Verify reads the claims of a token that Issue made and that has not expired. Every other text gives ErrRefused. The
// caller must still compare the claims with the stored credential (Claims.Fits).
func (t *Tokens) Verify(text string) (Claims, error) { return t.verify(text, AudienceManagement) }

// VerifyRuntime is Verify for what IssueRuntime made. The caller must still look at the scope and its secret.
func (t *Tokens) VerifyRuntime(text string) (Claims, error) {
	return t.verify(text, AudienceRuntime(t.issuer))
}

// Recognizes reports whether text says that it is an access token of this issuer, of either audience, be it good or not. Tokens
// of users and applications, of whatever issuer, do not.
func (t *Tokens) Recognizes(text string) bool {
	token := unverified(text)
	if token == nil {
		return false
	}
	issuer, _ := token.Issuer()
	return issuer == t.issuer
}

// ClaimsManagement reports whether a text says that it is an access token of the management plane, of whatever issuer. That
// proves nothing: Verify does.
func ClaimsManagement(text string) bool {
	token := unverified(text)
	if token == nil {
		return false
	}
	audience, _ := token.Audience()
	return slices.Contains(audience, AudienceManagement)
}

// unverified is what a text says of itself when it says that it is an access token; nil = it does not.
func unverified(text string) jwt.Token {
	if len(text) > maxToken {
		return nil
	}
	message, err := jws.ParseString(text)
	if err != nil || len(message.Signatures()) != 1 {
		return nil
	}
	if typ, _ := message.Signatures()[0].ProtectedHeaders().Type(); typ != typeAccessToken {
		return nil
	}
	token, err := jwt.ParseInsecure([]byte(text))
	if err != nil {
		return nil
	}
	return token
}

func (t *Tokens) verify(text, audience string) (Claims, error) {
	if len(text) > maxToken {
		return Claims{}, ErrRefused
	}
	key := t.keyOf(text)
	if key == nil {
		return Claims{}, ErrRefused
	}
	// The algorithm is ours to choose: the token's own alg must agree with it, which rules out none and HMAC.
	token, err := jwt.Parse([]byte(text),
		jwt.WithKey(jwa.ES256(), key),
		jwt.WithIssuer(t.issuer), jwt.WithAudience(audience),
		jwt.WithRequiredClaim(jwt.ExpirationKey), jwt.WithRequiredClaim(jwt.IssuedAtKey),
		jwt.WithRequiredClaim(jwt.SubjectKey), jwt.WithRequiredClaim(jwt.JwtIDKey),
		jwt.WithClock(jwt.ClockFunc(t.now)), jwt.WithAcceptableSkew(clockLeeway))
	if err != nil {
		return Claims{}, ErrRefused
	}
	if end, ok := token.Expiration(); !ok || !t.now().Before(end) { // to which the leeway does not apply
		return Claims{}, ErrRefused
	}
	claims, err := readClaims(token, audience)
	if err == nil {
		claims.KeyID, _ = key.KeyID()
	}
	return claims, err
}

// Stands reports whether tokens of the key with that id are still accepted.
func (t *Tokens) Stands(keyID string) bool { return t.ring.Load().find(keyID, t.now()) != nil }

// keyOf checks what jwt.Parse does not, the compact form, typ and kid, and finds the public key; nil = refused.
func (t *Tokens) keyOf(text string) jwk.Key {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || slices.ContainsFunc(parts, func(p string) bool { return !isCanonical(p) }) {
		return nil
	}
	message, err := jws.ParseString(text)
	if err != nil || len(message.Signatures()) != 1 {
		return nil
	}
	header := message.Signatures()[0].ProtectedHeaders()
	typ, _ := header.Type()
	kid, _ := header.KeyID()
	if typ != typeAccessToken {
		return nil
	}
	return t.ring.Load().find(kid, t.now())
}

// isCanonical refuses the other spellings of the same bytes that decoders take (unused bits at the end, padding, line
// ends, the second alphabet): a token has one text, so that one changed byte makes it another.
func isCanonical(part string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && base64.RawURLEncoding.EncodeToString(raw) == part
}

func readClaims(token jwt.Token, audience string) (Claims, error) {
	var client, owner, role, secret string
	var generation float64
	err := errors.Join(token.Get(claimClient, &client), token.Get(claimOwner, &owner))
	if audience == AudienceManagement {
		err = errors.Join(err, token.Get(claimRole, &role), token.Get(claimGeneration, &generation))
	} else {
		err = errors.Join(err, token.Get(claimSecret, &secret))
	}
	subject, _ := token.Subject()
	if err != nil || client == "" || client != subject || owner == "" {
		return Claims{}, ErrRefused
	}
	c := Claims{
		ClientID: model.ClientID(client), Role: model.Permission(role), Generation: int64(generation), SecretID: secret,
		Audience: audience,
	}
	if owner != ownerTenant {
		c.EnvironmentID = model.EnvironmentID(owner)
	}
	c.ID, _ = token.JwtID()
	c.IssuedAt, _ = token.IssuedAt()
	c.ExpiresAt, _ = token.Expiration()
	return c, nil
}
