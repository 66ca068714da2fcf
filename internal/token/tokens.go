package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	_ "crypto/sha256" // the hash of thumbprints
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/ambit-authz/ambit/internal/model"
)

// AudienceManagement is the audience of tokens for the management plane; no other is accepted there.
const AudienceManagement = "ambit-management"

// typeAccessToken is the typ header of RFC 9068. It keeps other JWTs under the same key from being taken for access tokens.
const typeAccessToken = "at+jwt"

// Private claims of management-api.md 2.2. The generation ends tokens when their credential changes.
const (
	claimClient     = "client_id"
	claimOwner      = "ambit_owner"
	claimRole       = "ambit_role"
	claimGeneration = "ambit_generation"
)

const ownerTenant = "tenant"

// maxToken bounds the text that is looked at, in bytes. Own tokens have about 500.
const maxToken = 4096

// ErrRefused is the one answer to every token that is not good: which check failed is nobody's business.
var ErrRefused = errors.New("the access token is refused")

// TokenOptions configure Tokens. All are required.
type TokenOptions struct {
	Key    *ecdsa.PrivateKey // P-256
	Issuer string
	Now    func() time.Time
}

// Tokens issues and verifies access tokens of the management plane: JWTs of RFC 9068 signed with ES256
// (management-api.md 2.2). All methods may be called from many goroutines at once.
type Tokens struct {
	issuer string
	now    func() time.Time
	key    jwk.Key // private, with its kid
	public jwk.Key
	kid    string
}

// NewTokens refuses options of which one is missing: an unset issuer or key must not mean that it is not checked.
func NewTokens(o TokenOptions) (*Tokens, error) {
	if o.Key == nil || o.Key.Curve != elliptic.P256() || o.Issuer == "" || o.Now == nil {
		return nil, model.Invalidf("tokens need a P-256 key, an issuer and a clock")
	}
	key, err := jwk.Import(o.Key)
	if err != nil {
		return nil, model.Internal("token.NewTokens", err)
	}
	public, err := jwk.PublicKeyOf(key)
	if err != nil {
		return nil, model.Internal("token.NewTokens", err)
	}
	kid, err := thumbprint(public)
	if err != nil {
		return nil, model.Internal("token.NewTokens", err)
	}
	for _, k := range []jwk.Key{key, public} {
		err := errors.Join(k.Set(jwk.KeyIDKey, kid), k.Set(jwk.AlgorithmKey, jwa.ES256()))
		if err != nil {
			return nil, model.Internal("token.NewTokens", err)
		}
	}
	return &Tokens{issuer: o.Issuer, now: o.Now, key: key, public: public, kid: kid}, nil
}

// Claims are what an access token says of its bearer.
type Claims struct {
	ID            string
	ClientID      model.ClientID
	EnvironmentID model.EnvironmentID // "" = the tenant
	Role          model.Permission
	Generation    int64
	IssuedAt      time.Time
	ExpiresAt     time.Time
}

// Fits reports whether the token was issued to c as it is now: same generation, owner and role (management-api.md 2.2).
func (c *Claims) Fits(now *model.Credential) bool {
	return c.ClientID == now.ClientID && c.EnvironmentID == now.EnvironmentID &&
		c.Role == now.Permission && c.Generation == now.Generation
}

// Issue signs a token for c that ends after c.TokenDuration.
func (t *Tokens) Issue(c *model.Credential) (string, error) {
	owner := ownerTenant
	if c.EnvironmentID != "" {
		owner = string(c.EnvironmentID)
	}
	at := t.now().Truncate(time.Second)
	token, err := jwt.NewBuilder().
		Issuer(t.issuer).Subject(string(c.ClientID)).Audience([]string{AudienceManagement}).
		IssuedAt(at).Expiration(at.Add(c.TokenDuration)).JwtID(newID()).
		Claim(claimClient, string(c.ClientID)).Claim(claimOwner, owner).
		Claim(claimRole, string(c.Permission)).Claim(claimGeneration, c.Generation).
		Build()
	if err != nil {
		return "", model.Internal("token.Issue", err)
	}
	headers := jws.NewHeaders()
	if err := headers.Set(jws.TypeKey, typeAccessToken); err != nil {
		return "", model.Internal("token.Issue", err)
	}
	text, err := jwt.Sign(token, jwt.WithKey(jwa.ES256(), t.key, jws.WithProtectedHeaders(headers)))
	if err != nil {
		return "", model.Internal("token.Issue", err)
	}
	return string(text), nil
}

// Verify reads the claims of a token that Issue made and that has not expired. Every other text gives ErrRefused. The
// caller must still compare the claims with the stored credential (Claims.Fits).
func (t *Tokens) Verify(text string) (Claims, error) {
	if len(text) > maxToken || !t.headerFits(text) {
		return Claims{}, ErrRefused
	}
	// The algorithm is ours to choose: the token's own alg must agree with it, which rules out none and HMAC.
	token, err := jwt.Parse([]byte(text),
		jwt.WithKey(jwa.ES256(), t.public),
		jwt.WithIssuer(t.issuer), jwt.WithAudience(AudienceManagement),
		jwt.WithRequiredClaim(jwt.ExpirationKey), jwt.WithRequiredClaim(jwt.IssuedAtKey),
		jwt.WithRequiredClaim(jwt.SubjectKey), jwt.WithRequiredClaim(jwt.JwtIDKey),
		jwt.WithClock(jwt.ClockFunc(t.now)))
	if err != nil {
		return Claims{}, ErrRefused
	}
	return readClaims(token)
}

// headerFits checks what jwt.Parse does not: the compact form, typ and kid.
func (t *Tokens) headerFits(text string) bool {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || slices.ContainsFunc(parts, func(p string) bool { return !isCanonical(p) }) {
		return false
	}
	message, err := jws.ParseString(text)
	if err != nil || len(message.Signatures()) != 1 {
		return false
	}
	header := message.Signatures()[0].ProtectedHeaders()
	typ, _ := header.Type()
	kid, _ := header.KeyID()
	return typ == typeAccessToken && kid == t.kid
}

// isCanonical refuses the other spellings of the same bytes that decoders take (unused bits at the end, padding, line
// ends, the second alphabet): a token has one text, so that one changed byte makes it another.
func isCanonical(part string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && base64.RawURLEncoding.EncodeToString(raw) == part
}

func readClaims(token jwt.Token) (Claims, error) {
	var client, owner, role string
	var generation float64
	err := errors.Join(token.Get(claimClient, &client), token.Get(claimOwner, &owner),
		token.Get(claimRole, &role), token.Get(claimGeneration, &generation))
	subject, _ := token.Subject()
	if err != nil || client == "" || client != subject || owner == "" {
		return Claims{}, ErrRefused
	}
	c := Claims{ClientID: model.ClientID(client), Role: model.Permission(role), Generation: int64(generation)}
	if owner != ownerTenant {
		c.EnvironmentID = model.EnvironmentID(owner)
	}
	c.ID, _ = token.JwtID()
	c.IssuedAt, _ = token.IssuedAt()
	c.ExpiresAt, _ = token.Expiration()
	return c, nil
}

// KeySet is the set of public keys under which tokens are verified, for publication.
func (t *Tokens) KeySet() (jwk.Set, error) {
	set := jwk.NewSet()
	if err := set.AddKey(t.public); err != nil {
		return nil, model.Internal("token.KeySet", err)
	}
	return set, nil
}

func thumbprint(key jwk.Key) (string, error) {
	sum, err := key.Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}
