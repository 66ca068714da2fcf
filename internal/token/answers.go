package token

import (
	"cmp"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/lestrrat-go/jwx/v3/cert"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/ambit-authz/ambit/internal/model"
)

// AnswerKey signs answers by one algorithm.
type AnswerKey struct {
	signer       crypto.Signer
	algorithm    string
	kid          string
	public       jwk.Key
	environments []model.EnvironmentID // whose scopes may name the key; none = only the scope of its name may use it
}

// AnswerKeysOptions configure AnswerKeys. File and Now are needed.
type AnswerKeysOptions struct {
	File      string            // of the deployment's own keys; made when it is missing
	Dir       string            // of key files NAME.pem; "" = none
	Variables map[string]string // keys in PEM by their names: those of the process's environment
	Secrets   *Secrets          // that seal keys of the database; nil = there are none
	Now       func() time.Time
}

// AnswerKeys are the keys that sign answers (runtime-api.md 8.6, 8.7): the deployment's own, and those that scopes name, of a
// directory, of environment variables and of the database. All methods may be called from many goroutines at once.
type AnswerKeys struct {
	options   AnswerKeysOptions
	refresh   sync.Mutex // held by Refresh
	own       atomic.Pointer[ownAnswerKeys]
	variables map[string]*AnswerKey
	opened    *lru.Cache[string, *AnswerKey] // of the database
	fresh     atomic.Bool                    // a file was read that Refresh has not seen
	mu        sync.Mutex
	files     map[string]keyFile
}

// ownAnswerKeys are the deployment's keys, ready to be used, and what else is published.
type ownAnswerKeys struct {
	keys    *ownKeys
	retired []publicKey
}

// maxOpened is how many keys of the database are kept open.
const maxOpened = 256

// NewAnswerKeys reads all keys. A file of the directory or a variable that holds no usable key is an error.
func NewAnswerKeys(o AnswerKeysOptions) (*AnswerKeys, error) {
	if o.File == "" || o.Now == nil {
		return nil, model.Invalidf("keys of answers need a file and a clock")
	}
	opened, err := lru.New[string, *AnswerKey](maxOpened)
	if err != nil {
		return nil, model.Internal("token.NewAnswerKeys", err)
	}
	a := &AnswerKeys{options: o, files: map[string]keyFile{}, opened: opened}
	if a.variables, err = parseVariables(o.Variables); err != nil {
		return nil, err
	}
	if err := a.Refresh(); err != nil {
		return nil, err
	}
	names, err := a.names()
	for _, name := range names {
		if _, e := a.named(name); e != nil {
			err = errors.Join(err, fmt.Errorf("key file %s: %w", filepath.Join(o.Dir, name+keySuffix), e))
		}
	}
	return a, err
}

// Refresh reads the deployment's own keys again, rotates those that are old, and notes which keys of files and variables are
// there, so that they stay published when they are gone. It is to be called every hour.
func (a *AnswerKeys) Refresh() error {
	a.refresh.Lock()
	defer a.refresh.Unlock()
	now := a.options.Now()
	keys, err := readOwnKeys(a.options.File, now)
	if err != nil {
		return err
	}
	given, err := a.given()
	if err != nil {
		return err
	}
	a.fresh.Store(false)
	if keys.keep(given, now) {
		text, err := keys.encode()
		if err == nil {
			err = replaceFile(a.options.File, text)
		}
		if err != nil {
			return model.Internal("token.Refresh", err)
		}
	}
	own := &ownAnswerKeys{keys: keys}
	for _, r := range keys.retired {
		public, kid, err := publishedKey(r.public, r.kid, nil)
		if err != nil {
			return err
		}
		own.retired = append(own.retired, publicKey{public, kid, r.until})
	}
	a.own.Store(own)
	return nil
}

// Choose is the key that signs the answers to a scope: the one that it names, else the file of its client id, else the
// deployment's. stored is the key of the scope's environment called scope.StoredKey(), nil when there is none. The error says what
// the scope's settings ask for and do not get.
func (a *AnswerKeys) Choose(scope *model.Scope, stored *model.SigningKey) (*AnswerKey, error) {
	r := scope.Response
	if r == nil {
		r = &model.JWTResponse{}
	}
	name := cmp.Or(r.KeyName, string(scope.ClientID))
	key, err := a.find(scope, r.SecretStore, name, stored)
	missing := errors.Is(err, errNoKey)
	var problems model.Errors
	switch {
	case missing && (r.KeyName != "" || r.SecretStore != ""):
		problems.Add("/jwtResponse/keyName", "there is no key %q in the key store for this scope", name)
	case missing && r.KeyID != "":
		problems.Add("/jwtResponse/kid", "the server's own keys have kids of their own: name a key of a key store")
	case missing:
		return a.current(cmp.Or(r.Algorithm, model.AlgorithmRS256)), nil
	case err != nil:
		problems.Add("/jwtResponse/keyName", "the key cannot be used")
		problems[0].Err = err
	case r.Algorithm != "" && key.algorithm != r.Algorithm:
		problems.Add("/jwtResponse/alg", "the key signs by %s, not by %s", key.algorithm, r.Algorithm)
	case r.KeyID != "" && r.KeyID != key.kid:
		problems.Add("/jwtResponse/kid", "the kid of the key is %q", key.kid)
	}
	if a.fresh.CompareAndSwap(true, false) {
		_ = a.Refresh() // the next one, which is logged, tells what is wrong
	}
	return key, problems.OrNil()
}

// current is the deployment's own key.
func (a *AnswerKeys) current(algorithm string) *AnswerKey {
	return a.own.Load().keys.current(algorithm, a.options.Now())
}

// PublicKeys are the keys under which signed answers are verified now: those that sign, are about to, or have signed one that
// is still good, those of stored, and all of the directory that can be read. Of two with one kid the first one counts.
func (a *AnswerKeys) PublicKeys(stored ...model.SigningKey) ([]jwk.Key, error) {
	own, now := a.own.Load(), a.options.Now()
	var out []jwk.Key
	seen := map[string]bool{}
	add := func(kid string, key jwk.Key) {
		if !seen[kid] {
			seen[kid], out = true, append(out, key)
		}
	}
	for _, k := range own.keys.private {
		add(k.kid, k.public)
	}
	given, err := a.given()
	if err != nil {
		return nil, err
	}
	for _, k := range given {
		add(k.kid, k.public)
	}
	signFirst := func(x, y model.SigningKey) int { return cmp.Compare(min(len(x.Retired), 1), min(len(y.Retired), 1)) }
	for _, k := range slices.SortedStableFunc(slices.Values(stored), signFirst) {
		if k.Retired != "" && !now.Before(k.Until) {
			continue
		}
		public, err := jwk.ParseKey(k.Public)
		if err != nil {
			return nil, model.Internal("token.PublicKeys", err)
		}
		kid, _ := public.KeyID()
		add(kid, public)
	}
	for _, k := range own.retired {
		if k.good(now) {
			add(k.kid, k.Key)
		}
	}
	return out, nil
}

func newAnswerKey(signer crypto.Signer, kid string, chain []*x509.Certificate) (*AnswerKey, error) {
	public, kid, err := publishedKey(signer.Public(), kid, chain)
	if err != nil {
		return nil, err
	}
	algorithm, err := algorithmOf(signer.Public())
	return &AnswerKey{signer: signer, algorithm: algorithm, kid: kid, public: public}, err
}

// publishedKey is a public key as the JWK set shows it, and its kid.
func publishedKey(key crypto.PublicKey, kid string, chain []*x509.Certificate) (jwk.Key, string, error) {
	algorithm, err := algorithmOf(key)
	if err != nil {
		return nil, "", err
	}
	public, err := jwk.Import(key)
	if err != nil {
		return nil, "", model.Internal("token.publishedKey", err)
	}
	sum, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, "", model.Internal("token.publishedKey", err)
	}
	kid = cmp.Or(kid, base64.RawURLEncoding.EncodeToString(sum))
	err = errors.Join(public.Set(jwk.KeyIDKey, kid), public.Set(jwk.AlgorithmKey, algorithm), public.Set(jwk.KeyUsageKey, jwk.ForSignature))
	if len(chain) == 0 {
		return public, kid, model.Internal("token.publishedKey", err)
	}
	if !samePublic(chain[0].PublicKey, key) {
		return nil, "", errors.New("the first certificate is of another key")
	}
	var x5c cert.Chain
	for _, c := range chain {
		err = errors.Join(err, x5c.AddString(base64.StdEncoding.EncodeToString(c.Raw)))
	}
	return public, kid, model.Internal("token.publishedKey", errors.Join(err, public.Set(jwk.X509CertChainKey, &x5c)))
}
