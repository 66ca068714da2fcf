package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	_ "crypto/sha256" // the hash of thumbprints
	"encoding/base64"
	"errors"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/ambit-authz/ambit/internal/model"
)

// RetiredKey is a key that was replaced. Tokens that it signed are good until they expire, so it is published and verifies
// until Until.
type RetiredKey struct {
	Public *ecdsa.PublicKey
	Until  time.Time
}

// ring is the keys at one time.
type ring struct {
	private jwk.Key // with its kid
	public  []publicKey
}

type publicKey struct {
	jwk.Key
	kid   string
	until time.Time // zero = no end
}

// find is the public key of that kid, nil when there is none that is good at now.
func (r *ring) find(kid string, now time.Time) jwk.Key {
	for _, k := range r.public {
		if k.kid == kid && k.good(now) {
			return k.Key
		}
	}
	return nil
}

func (k publicKey) good(now time.Time) bool { return k.until.IsZero() || now.Before(k.until) }

// Use signs with key from now on, and verifies with key and the retired ones. Tokens of keys that are in neither place are
// refused.
func (t *Tokens) Use(key *ecdsa.PrivateKey, retired []RetiredKey) error {
	if key == nil || key.Curve != elliptic.P256() {
		return model.Invalidf("tokens need a P-256 key")
	}
	private, err := jwk.Import(key)
	if err != nil {
		return model.Internal("token.Use", err)
	}
	current, err := newPublicKey(&key.PublicKey, time.Time{})
	if err != nil {
		return err
	}
	if err := errors.Join(private.Set(jwk.KeyIDKey, current.kid), private.Set(jwk.AlgorithmKey, jwa.ES256())); err != nil {
		return model.Internal("token.Use", err)
	}
	next := &ring{private: private, public: []publicKey{current}}
	for _, r := range retired {
		old, err := newPublicKey(r.Public, r.Until)
		if err != nil {
			return err
		}
		next.public = append(next.public, old)
	}
	t.ring.Store(next)
	return nil
}

func newPublicKey(key *ecdsa.PublicKey, until time.Time) (publicKey, error) {
	if key == nil || key.Curve != elliptic.P256() {
		return publicKey{}, model.Invalidf("tokens need P-256 keys")
	}
	public, err := jwk.Import(key)
	if err != nil {
		return publicKey{}, model.Internal("token.Use", err)
	}
	sum, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return publicKey{}, model.Internal("token.Use", err)
	}
	kid := base64.RawURLEncoding.EncodeToString(sum)
	err = errors.Join(public.Set(jwk.KeyIDKey, kid), public.Set(jwk.AlgorithmKey, jwa.ES256()),
		public.Set(jwk.KeyUsageKey, jwk.ForSignature))
	return publicKey{public, kid, until}, model.Internal("token.Use", err)
}

// KeySet is the set of public keys under which tokens are verified now, for publication.
func (t *Tokens) KeySet() (jwk.Set, error) {
	set := jwk.NewSet()
	for _, k := range t.ring.Load().public {
		if !k.good(t.now()) {
			continue
		}
		if err := set.AddKey(k.Key); err != nil {
			return nil, model.Internal("token.KeySet", err)
		}
	}
	return set, nil
}
