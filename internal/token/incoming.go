package token

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha512" // the hash of the longer algorithms
	"encoding/base64"
	stdjson "encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/ambit-authz/ambit/internal/model"
)

const (
	// maxIncoming bounds the text of a token from outside, in bytes; most servers take no longer header.
	maxIncoming = 16 << 10
	// minRSA and maxRSA are sizes of a key in bits. The first is that of RFC 7518, 3.3; a set of keys without a limit could
	// make one token cost seconds.
	minRSA = 2048
	maxRSA = 8192
)

// IncomingOptions configure Incoming. Client and Now are needed.
type IncomingOptions struct {
	Client *http.Client // KeyFetch in a server
	Now    func() time.Time
	Leeway time.Duration // by which clocks may differ
	// Failed hears of key sets that cannot be fetched; nil = nobody does. It is called from many goroutines.
	Failed func(url string, err error)
}

// Incoming judges the tokens of applications and of their users by the keys of their issuers (runtime-api.md 4.3). All
// methods may be called from many goroutines at once.
type Incoming struct {
	keys   keySets
	now    func() time.Time
	leeway time.Duration
}

// NewIncoming refuses options of which one is missing or that would switch a check off.
func NewIncoming(o IncomingOptions) (*Incoming, error) {
	if o.Client == nil || o.Now == nil || o.Leeway < 0 {
		return nil, model.Invalidf("incoming tokens need a client, a clock and a leeway of 0 or more")
	}
	if o.Failed == nil {
		o.Failed = func(string, error) {}
	}
	sets, err := lru.New[string, *keySet](maxKeySets)
	if err != nil {
		return nil, model.Internal("token.NewIncoming", err)
	}
	return &Incoming{keys: keySets{client: o.Client, now: o.Now, failed: o.Failed, sets: sets}, now: o.Now, leeway: o.Leeway}, nil
}

// VerifiedBy is by which key of an issuer a token was found good. It holds nothing of the token.
type VerifiedBy struct {
	settings  *model.JWTSettings
	kid       string
	algorithm jwa.SignatureAlgorithm
	key       thumbprint
}

// Verify gives the claims of a token that is good by the settings: a map of JSON values, in which numbers are
// encoding/json.Number. A token that is not good is ErrRefused; a needed key set that cannot be had is an error of kind
// unavailable. Settings that are nil or lack key sets, issuers or audiences accept nothing.
func (v *Incoming) Verify(ctx context.Context, text string, s *model.JWTSettings) (map[string]any, VerifiedBy, error) {
	if s == nil || len(s.JWKSURLs) == 0 || len(s.Issuers) == 0 || len(s.Audiences) == 0 {
		return nil, VerifiedBy{}, ErrRefused
	}
	alg, kid, ok := header(text)
	if !ok {
		return nil, VerifiedBy{}, ErrRefused
	}
	// before its keys are asked for, so that nobody makes us fetch them for a token that could not be good anyway
	claims, err := v.Read(text)
	if err != nil {
		return nil, VerifiedBy{}, err
	}
	if !datedByNumbers(claims) {
		return nil, VerifiedBy{}, ErrRefused
	}
	if err := v.validate(text, s); err != nil {
		return nil, VerifiedBy{}, err
	}
	by := VerifiedBy{settings: s, algorithm: alg}
	by.kid, by.key, err = v.verifySignature(ctx, text, alg, kid, s)
	return claims, by, err
}

// Stands is nil while an issuer still publishes the key by which a token was found good, as far as is known here: it never
// waits, and has what is known of a key set brought up to date behind it, once for all who ask. It is ErrRefused when the key
// was withdrawn, and of kind unavailable when what was known of it is too old.
func (v *Incoming) Stands(by VerifiedBy) error {
	var away error
	for _, url := range by.settings.JWKSURLs {
		keys, known, err := v.keys.held(url)
		switch {
		case err != nil:
			away = err
		case !known || slices.ContainsFunc(keys, by.is):
			return nil
		}
	}
	if away != nil {
		return keysAway(away)
	}
	return ErrRefused
}

func (by *VerifiedBy) is(k issuerKey) bool {
	return k.thumbprint == by.key && k.kid == by.kid && slices.Contains(k.algorithms, by.algorithm)
}

// Read gives the claims of a token unchecked, for matchers that say so. A text that is no JWT is ErrRefused.
func (v *Incoming) Read(text string) (map[string]any, error) {
	payload, ok := payloadOf(text)
	if !ok {
		return nil, ErrRefused
	}
	decoder := stdjson.NewDecoder(bytes.NewReader(payload))
	decoder.UseNumber()
	var claims map[string]any
	if err := decoder.Decode(&claims); err != nil || claims == nil {
		return nil, ErrRefused
	}
	return claims, nil
}

// payloadOf checks the form of a token: compact, in its one spelling, with JSON objects that name no member twice.
func payloadOf(text string) ([]byte, bool) {
	parts := strings.Split(text, ".")
	if len(text) > maxIncoming || len(parts) != 3 || slices.ContainsFunc(parts, func(p string) bool { return !isCanonical(p) }) {
		return nil, false
	}
	head, _ := base64.RawURLEncoding.DecodeString(parts[0])
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	return payload, isObject(head) && isObject(payload)
}

func isObject(text jsontext.Value) bool {
	return text.Kind() == jsontext.KindBeginObject && text.IsValid()
}

// header gives what the token says of its signature; ok is false for an algorithm that proves nothing here, and for
// extensions (crit) that change what is signed.
func header(text string) (alg jwa.SignatureAlgorithm, kid string, ok bool) {
	if _, ok := payloadOf(text); !ok {
		return alg, "", false
	}
	message, err := jws.ParseString(text)
	if err != nil || len(message.Signatures()) != 1 {
		return alg, "", false
	}
	protected := message.Signatures()[0].ProtectedHeaders()
	alg, _ = protected.Algorithm()
	kid, _ = protected.KeyID()
	return alg, kid, slices.Contains(asymmetric(), alg) && !protected.Has(jws.CriticalKey) && !protected.Has("b64")
}

// asymmetric are the algorithms of runtime-api.md 4.3.
func asymmetric() []jwa.SignatureAlgorithm {
	return []jwa.SignatureAlgorithm{
		jwa.RS256(), jwa.RS384(), jwa.RS512(), jwa.PS256(), jwa.PS384(), jwa.PS512(),
		jwa.ES256(), jwa.ES384(), jwa.ES512(), jwa.EdDSA(),
	}
}

// algorithms are those that a public key is good for; none for private, secret, weak and encryption keys.
func algorithms(key jwk.Key) []jwa.SignatureAlgorithm {
	if private, err := jwk.IsPrivateKey(key); err != nil || private {
		return nil
	}
	if use, ok := key.KeyUsage(); ok && use != "" && use != string(jwk.ForSignature) {
		return nil
	}
	if ops, ok := key.KeyOps(); ok && len(ops) > 0 && !slices.Contains(ops, jwk.KeyOpVerify) {
		return nil
	}
	var public any
	if err := jwk.Export(key, &public); err != nil {
		return nil
	}
	var out []jwa.SignatureAlgorithm
	switch k := public.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits >= minRSA && bits <= maxRSA {
			out = asymmetric()[:6]
		}
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			out = []jwa.SignatureAlgorithm{jwa.ES256()}
		case elliptic.P384():
			out = []jwa.SignatureAlgorithm{jwa.ES384()}
		case elliptic.P521():
			out = []jwa.SignatureAlgorithm{jwa.ES512()}
		}
	case ed25519.PublicKey:
		out = []jwa.SignatureAlgorithm{jwa.EdDSA()}
	}
	if stated, ok := key.Algorithm(); ok && stated.String() != "" {
		out = slices.DeleteFunc(slices.Clone(out), func(a jwa.SignatureAlgorithm) bool { return a.String() != stated.String() })
	}
	return out
}

// datedByNumbers refuses times that are no numbers (RFC 7519, 2): texts, which the library reads in several forms.
func datedByNumbers(claims map[string]any) bool {
	for _, name := range []string{jwt.ExpirationKey, jwt.NotBeforeKey, jwt.IssuedAtKey} {
		if at, stated := claims[name]; stated {
			if _, ok := at.(stdjson.Number); !ok {
				return false
			}
		}
	}
	return true
}

// validate checks issuer, audience and times.
func (v *Incoming) validate(text string, s *model.JWTSettings) error {
	token, err := jwt.ParseInsecure([]byte(text))
	if err != nil {
		return ErrRefused
	}
	issuer, _ := token.Issuer()
	audience, _ := token.Audience()
	err = jwt.Validate(token, jwt.WithRequiredClaim(jwt.ExpirationKey),
		jwt.WithAcceptableSkew(v.leeway), jwt.WithClock(jwt.ClockFunc(v.now)))
	if err != nil || !slices.Contains(s.Issuers, issuer) ||
		!slices.ContainsFunc(audience, func(a string) bool { return slices.Contains(s.Audiences, a) }) {
		return ErrRefused
	}
	return nil
}

// verifySignature tries the keys that fit: those of the token's kid if it names one. Sets that lack the kid are fetched
// again once.
func (v *Incoming) verifySignature(ctx context.Context, text string, alg jwa.SignatureAlgorithm, kid string, s *model.JWTSettings) (string, thumbprint, error) {
	var away error
	var by issuerKey
	found := false
	try := func(keys []issuerKey) bool {
		for _, k := range keys {
			if kid != "" && k.kid != kid || !slices.Contains(k.algorithms, alg) {
				continue
			}
			found = true
			if _, err := jws.Verify([]byte(text), jws.WithKey(alg, k.key)); err == nil {
				by = k
				return true
			}
		}
		return false
	}
	v.keys.start(s.JWKSURLs)
	for _, url := range s.JWKSURLs {
		keys, err := v.keys.find(ctx, url)
		if err != nil {
			away = err
		} else if try(keys) {
			return by.kid, by.thumbprint, nil
		}
	}
	for _, url := range s.JWKSURLs {
		if found || kid == "" {
			break
		}
		keys, _, err := v.keys.again(ctx, url)
		if err != nil {
			away = err
		} else if try(keys) {
			return by.kid, by.thumbprint, nil
		}
	}
	if away != nil { // the key may be there, even one of a kid that another set has, too
		return "", thumbprint{}, keysAway(away)
	}
	return "", thumbprint{}, ErrRefused
}

func keysAway(err error) error {
	return &model.Error{
		Kind: model.KindUnavailable, Code: "AMB-502", Name: "SourceUnavailable", Message: "Source jwks is not available",
		Err: errors.Join(errors.New("key set of an issuer"), err),
	}
}
