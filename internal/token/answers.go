package token

import (
	"cmp"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lestrrat-go/jwx/v3/cert"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/ambit-authz/ambit/internal/model"
)

// headerKeyID names the kid of a key file's key; without it the thumbprint of RFC 7638 serves.
const headerKeyID = "Kid"

// keyName is what a key file may be called, so that no name leads out of the directory.
var keyName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

const keySuffix = ".pem"

// AnswerKey signs answers by one algorithm.
type AnswerKey struct {
	signer    crypto.Signer
	algorithm string
	kid       string
	public    jwk.Key
}

// AnswerKeysOptions configure AnswerKeys. File and Now are needed.
type AnswerKeysOptions struct {
	File string // of the deployment's own keys; made when it is missing
	Dir  string // of key files NAME.pem; "" = none
	Now  func() time.Time
}

// AnswerKeys are the keys that sign answers (runtime-api.md 8.6, 8.7): the deployment's own, and those of a directory that
// scopes name. All methods may be called from many goroutines at once.
type AnswerKeys struct {
	options AnswerKeysOptions
	own     atomic.Pointer[ownAnswerKeys]
	mu      sync.Mutex
	files   map[string]keyFile
}

// ownAnswerKeys are the deployment's keys, ready to be used.
type ownAnswerKeys struct {
	keys    *ownKeys
	retired []publicKey
}

// keyFile is a file that was read.
type keyFile struct {
	size    int64
	changed time.Time
	key     *AnswerKey
}

// NewAnswerKeys reads all keys. A file of the directory that holds no usable key is an error.
func NewAnswerKeys(o AnswerKeysOptions) (*AnswerKeys, error) {
	if o.File == "" || o.Now == nil {
		return nil, model.Invalidf("keys of answers need a file and a clock")
	}
	a := &AnswerKeys{options: o, files: map[string]keyFile{}}
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

// Refresh reads the deployment's own keys again and rotates those that are old. It is to be called at least once a day.
func (a *AnswerKeys) Refresh() error {
	keys, err := readOwnKeys(a.options.File, a.options.Now())
	if err != nil {
		return err
	}
	own := &ownAnswerKeys{keys: keys}
	for _, r := range keys.retired {
		public, kid, err := publishedKey(r.public, "", nil)
		if err != nil {
			return err
		}
		own.retired = append(own.retired, publicKey{public, kid, r.until})
	}
	a.own.Store(own)
	return nil
}

// Choose is the key that signs the answers to a scope: the named one, else the one of its client id, else the deployment's.
// The error says what the settings (nil = none) ask for and do not get.
func (a *AnswerKeys) Choose(client model.ClientID, r *model.JWTResponse) (*AnswerKey, error) {
	if r == nil {
		r = &model.JWTResponse{}
	}
	key, err := a.named(cmp.Or(r.KeyName, string(client)))
	missing := errors.Is(err, fs.ErrNotExist)
	var problems model.Errors
	switch {
	case missing && r.KeyName != "":
		problems.Add("/jwtResponse/keyName", "there is no key %q in the key store", r.KeyName)
	case missing && r.KeyID != "":
		problems.Add("/jwtResponse/kid", "the server's own keys have kids of their own: name a key of the key store")
	case missing:
		return a.own.Load().keys.current(cmp.Or(r.Algorithm, model.AlgorithmRS256), a.options.Now()), nil
	case err != nil:
		problems.Add("/jwtResponse/keyName", "the key cannot be used")
		problems[0].Err = err
	case r.Algorithm != "" && key.algorithm != r.Algorithm:
		problems.Add("/jwtResponse/alg", "the key signs by %s, not by %s", key.algorithm, r.Algorithm)
	case r.KeyID != "" && r.KeyID != key.kid:
		problems.Add("/jwtResponse/kid", "the kid of the key is %q", key.kid)
	}
	return key, problems.OrNil()
}

// PublicKeys are the keys under which signed answers are verified now: those that sign, are about to, or have signed one that
// is still good, and all of the directory that can be read.
func (a *AnswerKeys) PublicKeys() ([]jwk.Key, error) {
	own := a.own.Load()
	var out []jwk.Key
	for _, k := range own.keys.private {
		out = append(out, k.public)
	}
	for _, k := range own.retired {
		if k.good(a.options.Now()) {
			out = append(out, k.Key)
		}
	}
	names, err := a.names()
	for _, name := range names {
		if key, err := a.named(name); err == nil {
			out = append(out, key.public)
		}
	}
	return out, err
}

// names lists the key files.
func (a *AnswerKeys) names() ([]string, error) {
	if a.options.Dir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(a.options.Dir)
	var out []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), keySuffix); ok && keyName.MatchString(name) {
			out = append(out, name)
		}
	}
	return out, model.Internal("token.names", err)
}

// named reads a key file, again when it has changed. The error is fs.ErrNotExist when there is none of that name.
func (a *AnswerKeys) named(name string) (*AnswerKey, error) {
	if a.options.Dir == "" || !keyName.MatchString(name) {
		return nil, fs.ErrNotExist
	}
	path := filepath.Join(a.options.Dir, name+keySuffix)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if f, ok := a.files[name]; ok && f.size == info.Size() && f.changed.Equal(info.ModTime()) {
		return f.key, nil
	}
	text, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	key, err := parseKeyFile(text)
	if err != nil {
		return nil, err
	}
	a.files[name] = keyFile{info.Size(), info.ModTime(), key}
	return key, nil
}

// parseKeyFile reads PEM: one private key, and the certificates that go with it, its own first.
func parseKeyFile(text []byte) (*AnswerKey, error) {
	var signer crypto.Signer
	var chain []*x509.Certificate
	var kid string
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, errors.New("a certificate cannot be read")
			}
			chain = append(chain, c)
			continue
		}
		if signer != nil {
			return nil, errors.New("more than one private key")
		}
		var err error
		if signer, err = parsePrivate(block); err != nil {
			return nil, err
		}
		kid = block.Headers[headerKeyID]
	}
	if signer == nil {
		return nil, errors.New("no private key in PEM")
	}
	return newAnswerKey(signer, kid, chain)
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
	if own, ok := chain[0].PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !own.Equal(key) {
		return nil, "", errors.New("the first certificate is of another key")
	}
	var x5c cert.Chain
	for _, c := range chain {
		err = errors.Join(err, x5c.AddString(base64.StdEncoding.EncodeToString(c.Raw)))
	}
	return public, kid, model.Internal("token.publishedKey", errors.Join(err, public.Set(jwk.X509CertChainKey, &x5c)))
}
