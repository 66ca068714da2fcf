package token

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
)

// Rotation of the keys that sign answers (runtime-api.md 8.7).
const (
	answerKeyAge   = 90 * 24 * time.Hour
	answerKeyPause = 15 * time.Minute // a new key is published for this long before it signs
	// maxAnswer is the longest that a signed answer can be good (policy-model.md 2.4).
	maxAnswer = 24 * time.Hour
	// keptAnswerKey is for how long a key of a file or a variable is published after it was last seen, which is every hour.
	keptAnswerKey = maxAnswer + 2*time.Hour
)

// privateKey is one of the deployment's own keys.
type privateKey struct {
	*AnswerKey
	made time.Time
}

// ownKeys are the deployment's keys as they lie in their file: of each algorithm one that signs, sometimes the next one,
// and those that were replaced and are still published.
type ownKeys struct {
	private []privateKey // of one algorithm by age, oldest first
	retired []retiredAnswerKey
}

// retiredAnswerKey is a key that is published until then. Those of files and variables are among them while they are there,
// with an end that moves on, so that one which is replaced or taken away while the server stands still stays published too.
type retiredAnswerKey struct {
	public crypto.PublicKey
	kid    string // "" = the thumbprint
	until  time.Time
}

// algorithmOf is the algorithm that a key of answers signs by.
func algorithmOf(public crypto.PublicKey) (string, error) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSA || k.N.BitLen() > maxRSA {
			return "", fmt.Errorf("the RSA key does not have %d to %d bits", minRSA, maxRSA)
		}
		return model.AlgorithmRS256, nil
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return model.AlgorithmES256, nil
		}
	case ed25519.PublicKey:
		return model.AlgorithmEdDSA, nil
	}
	return "", errors.New("the key is neither RSA, P-256 nor Ed25519")
}

func answerAlgorithms() []string {
	return []string{model.AlgorithmRS256, model.AlgorithmES256, model.AlgorithmEdDSA}
}

func generate(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case model.AlgorithmES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case model.AlgorithmEdDSA:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return rsa.GenerateKey(rand.Reader, minRSA)
}

// readOwnKeys reads the file at path, under the rules of ReadOrMakeKey, and brings it up to date: missing keys are made, old
// ones get a successor, and what a successor has taken over is retired.
func readOwnKeys(path string, now time.Time) (*ownKeys, error) {
	text, err := readOrMake(path, func() ([]byte, error) {
		fresh := &ownKeys{}
		if _, err := fresh.age(now); err != nil {
			return nil, err
		}
		return fresh.encode()
	})
	if err != nil {
		return nil, err
	}
	keys, err := parseOwnKeys(text)
	if err != nil {
		return nil, model.Invalidf("key file %s: %v", path, err)
	}
	changed, err := keys.age(now)
	if err != nil || !changed {
		return keys, err
	}
	if text, err = keys.encode(); err != nil {
		return nil, err
	}
	return keys, model.Internal("token.readOwnKeys", replaceFile(path, text))
}

func parseOwnKeys(text []byte) (*ownKeys, error) {
	keys := &ownKeys{}
	block, rest := pem.Decode(text)
	for ; block != nil; block, rest = pem.Decode(rest) {
		if block.Type == typePublicKey {
			public, err := x509.ParsePKIXPublicKey(block.Bytes)
			until, bad := time.Parse(time.RFC3339, block.Headers[headerUntil])
			if err != nil || bad != nil {
				return nil, errors.New("a retired key is not a public key or has no end")
			}
			keys.retired = append(keys.retired, retiredAnswerKey{public, block.Headers[headerKeyID], until})
			continue
		}
		signer, err := parsePrivate(block)
		if err != nil {
			return nil, err
		}
		key, err := newAnswerKey(signer, "", nil)
		if err != nil {
			return nil, err
		}
		made, err := time.Parse(time.RFC3339, block.Headers[headerMade])
		if err != nil {
			return nil, errors.New("a key does not say when it was made")
		}
		keys.private = append(keys.private, privateKey{key, made})
	}
	if len(keys.private) == 0 || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("it is damaged: put it back from a copy, or remove it and have new keys made")
	}
	return keys, nil
}

// parsePrivate reads a private key that can sign answers.
func parsePrivate(block *pem.Block) (crypto.Signer, error) {
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil, errors.New("not a private key in PKCS #8, PKCS #1 or SEC 1") // the parser's text may quote the key
	}
	_, err = algorithmOf(signer.Public())
	return signer, err
}

func (o *ownKeys) encode() ([]byte, error) {
	var out bytes.Buffer
	for _, k := range o.private {
		der, err := x509.MarshalPKCS8PrivateKey(k.signer)
		if err != nil {
			return nil, model.Internal("token.encode", err)
		}
		head := map[string]string{headerMade: k.made.UTC().Format(time.RFC3339)}
		if err := pem.Encode(&out, &pem.Block{Type: "PRIVATE KEY", Headers: head, Bytes: der}); err != nil {
			return nil, model.Internal("token.encode", err)
		}
	}
	for _, r := range o.retired {
		if err := encodeRetired(&out, r.public, r.kid, r.until); err != nil {
			return nil, model.Internal("token.encode", err)
		}
	}
	return out.Bytes(), nil
}

// keep sees to it that the keys of files and variables stay published for as long as what they sign now is good.
func (o *ownKeys) keep(given []*AnswerKey, now time.Time) (changed bool) {
	until := now.Add(keptAnswerKey).Truncate(time.Second)
	for _, key := range given {
		at := slices.IndexFunc(o.retired, func(r retiredAnswerKey) bool { return r.kid == key.kid && samePublic(r.public, key.signer.Public()) })
		if at < 0 {
			o.retired, changed = append(o.retired, retiredAnswerKey{key.signer.Public(), key.kid, until}), true
		} else if o.retired[at].until.Before(until) {
			o.retired[at].until, changed = until, true
		}
	}
	return changed
}

func samePublic(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(b)
}

// of are the keys of one algorithm, oldest first.
func (o *ownKeys) of(algorithm string) []privateKey {
	var out []privateKey
	for _, k := range o.private {
		if k.algorithm == algorithm {
			out = append(out, k)
		}
	}
	return out
}

// current is the key that signs: the newest one that was published for long enough.
func (o *ownKeys) current(algorithm string, now time.Time) *AnswerKey {
	keys := o.of(algorithm)
	for i := len(keys) - 1; i > 0; i-- {
		if !now.Before(keys[i].made.Add(answerKeyPause)) {
			return keys[i].AnswerKey
		}
	}
	return keys[0].AnswerKey
}

// age makes what is missing, adds successors of old keys and retires replaced ones.
func (o *ownKeys) age(now time.Time) (changed bool, err error) {
	next := ownKeys{}
	for _, r := range o.retired {
		if now.Before(r.until) {
			next.retired = append(next.retired, r)
		}
	}
	changed = len(next.retired) != len(o.retired)
	for _, algorithm := range answerAlgorithms() {
		keys := o.of(algorithm)
		newest := len(keys) - 1
		switch {
		case newest > 0 && !now.Before(keys[newest].made.Add(answerKeyPause)):
			for _, old := range keys[:newest] {
				next.retired = append(next.retired, retiredAnswerKey{public: old.signer.Public(), until: now.Add(maxAnswer + time.Minute)})
			}
			keys, changed = keys[newest:], true
		case newest < 0 || newest == 0 && now.Sub(keys[0].made) >= answerKeyAge:
			signer, err := generate(algorithm)
			if err != nil {
				return false, model.Internal("token.age", err)
			}
			made, err := newAnswerKey(signer, "", nil)
			if err != nil {
				return false, err
			}
			keys, changed = append(keys, privateKey{made, now.UTC().Truncate(time.Second)}), true
		}
		next.private = append(next.private, keys...)
	}
	*o = next
	return changed, nil
}
