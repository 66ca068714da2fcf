package token

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/ambit-authz/ambit/internal/model"
)

// Headers of the private key's PEM block.
const (
	// headerKeyID names the kid; without it the thumbprint of RFC 7638 serves.
	headerKeyID = "Kid"
	// headerEnvironment lists the ids of the environments whose scopes may name the key, with commas between. Without it only
	// the scope may use the key whose client id is its name.
	headerEnvironment = "Environment"
)

// keyName is what a key of a file or a variable may be called, so that no name leads out of the directory.
var keyName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

const keySuffix = ".pem"

// errNoKey tells of a key that is not there, or not for the scope that asks: which of both is nobody's business.
var errNoKey = errors.New("there is no such key")

// keyFile is a file that was read.
type keyFile struct {
	size    int64
	changed time.Time
	key     *AnswerKey
}

// find is the key of that name in a store, errNoKey when there is none for the scope.
func (a *AnswerKeys) find(scope *model.Scope, in, name string, stored *model.SigningKey) (*AnswerKey, error) {
	var key *AnswerKey
	var err error
	switch in {
	case model.KeysDatabase:
		if stored == nil || stored.Name != name || stored.Retired != "" {
			return nil, errNoKey
		}
		return a.open(scope.EnvironmentID, stored)
	case model.KeysEnvironment:
		if key = a.variables[name]; key == nil {
			return nil, errNoKey
		}
	case model.KeysFile, "":
		if key, err = a.named(name); err != nil {
			return nil, err
		}
	default:
		return nil, errNoKey
	}
	if !key.serves(scope, name) {
		return nil, errNoKey
	}
	return key, nil
}

// serves reports whether the scope may use the key, which has that name.
func (k *AnswerKey) serves(scope *model.Scope, name string) bool {
	if len(k.environments) == 0 {
		return name == string(scope.ClientID)
	}
	return slices.Contains(k.environments, scope.EnvironmentID)
}

// Reserved reports whether a file or a variable has the name of the client id and does not say whose it is: the scope that
// gets the client id gets the key.
func (a *AnswerKeys) Reserved(id model.ClientID) bool {
	key, err := a.named(string(id))
	if errors.Is(err, errNoKey) {
		key = a.variables[string(id)]
		return key != nil && len(key.environments) == 0
	}
	return err != nil || len(key.environments) == 0 || a.variables[string(id)] != nil && len(a.variables[string(id)].environments) == 0
}

// given are the keys of files, as far as they can be read, and of variables.
func (a *AnswerKeys) given() ([]*AnswerKey, error) {
	names, err := a.names()
	var out []*AnswerKey
	for _, name := range names {
		if key, err := a.named(name); err == nil {
			out = append(out, key)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.variables)) {
		out = append(out, a.variables[name])
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

// named reads a key file, again when it has changed; errNoKey when there is none of that name.
func (a *AnswerKeys) named(name string) (*AnswerKey, error) {
	if a.options.Dir == "" || !keyName.MatchString(name) {
		return nil, errNoKey
	}
	path := filepath.Join(a.options.Dir, name+keySuffix)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoKey
	}
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
	key, err := parseAnswerKey(text)
	if err != nil {
		return nil, err
	}
	a.files[name] = keyFile{info.Size(), info.ModTime(), key}
	a.fresh.Store(true)
	return key, nil
}

// parseVariables reads the keys of the process's environment. \n stands for a line end, too: not every way to set a variable
// can write one.
func parseVariables(texts map[string]string) (map[string]*AnswerKey, error) {
	keys := map[string]*AnswerKey{}
	var problems error
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		key, err := parseAnswerKey([]byte(strings.ReplaceAll(texts[name], `\n`, "\n")))
		if err == nil && !keyName.MatchString(name) {
			err = errors.New("a name has letters, digits and . _ - only")
		}
		if err != nil {
			problems = errors.Join(problems, fmt.Errorf("the key %s of the environment: %w", name, err))
		}
		keys[name] = key
	}
	return keys, problems
}

// sealedAt is where a key of the database may be opened.
func sealedAt(env model.EnvironmentID, name string) string {
	return "signing key\x00" + string(env) + "\x00" + name
}

// open reads a key of the database.
func (a *AnswerKeys) open(env model.EnvironmentID, k *model.SigningKey) (*AnswerKey, error) {
	place := sealedAt(env, k.Name)
	at := place + "\x00" + string(k.Sealed)
	if key, ok := a.opened.Get(at); ok {
		return key, nil
	}
	if a.options.Secrets == nil {
		return nil, errNoKey
	}
	text, ok := a.options.Secrets.Decrypt(place, k.Sealed)
	if !ok {
		return nil, errors.New("it was sealed under another secrets.key, or for another place")
	}
	key, err := parseAnswerKey(text)
	if err == nil {
		a.opened.Add(at, key)
	}
	return key, err
}

// Seal makes a key of the database out of PEM. before is the one that is stored under that name, nil when there is none: the
// same text gives the same key.
func (a *AnswerKeys) Seal(env model.EnvironmentID, name, text string, before *model.SigningKey) (model.SigningKey, error) {
	if a.options.Secrets == nil {
		return model.SigningKey{}, model.Invalidf("this server keeps no keys in its database")
	}
	text = strings.TrimSpace(text)
	key, err := parseAnswerKey([]byte(text))
	if err == nil && len(key.environments) > 0 {
		err = errors.New("a key of the database is of its environment: leave the line " + headerEnvironment + " out")
	}
	if err != nil {
		return model.SigningKey{}, model.Invalidf("%v", err)
	}
	place := sealedAt(env, name)
	if before != nil {
		if stored, ok := a.options.Secrets.Decrypt(place, before.Sealed); ok && string(stored) == text {
			return *before, nil
		}
	}
	public, err := json.Marshal(key.public, json.Deterministic(true))
	if err != nil {
		return model.SigningKey{}, model.Internal("token.Seal", err)
	}
	return model.SigningKey{Name: name, Sealed: a.options.Secrets.Encrypt(place, []byte(text)), Public: public}, nil
}

// parseAnswerKey reads PEM: one private key, and the certificates that go with it, its own first.
func parseAnswerKey(text []byte) (*AnswerKey, error) {
	var signer crypto.Signer
	var chain []*x509.Certificate
	var head map[string]string
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
		head = block.Headers
	}
	if signer == nil {
		return nil, errors.New("no private key in PEM")
	}
	kid := head[headerKeyID]
	if len(kid) > maxKeyID || strings.ContainsFunc(kid, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return nil, fmt.Errorf("the Kid is not 1 to %d visible ASCII characters", maxKeyID)
	}
	key, err := newAnswerKey(signer, kid, chain)
	if err != nil {
		return nil, err
	}
	for text := range strings.SplitSeq(head[headerEnvironment], ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		id, ok := model.ParseUUID(text)
		if !ok {
			return nil, errors.New("the line " + headerEnvironment + " does not hold ids of environments")
		}
		key.environments = append(key.environments, model.EnvironmentID(id))
	}
	if _, stated := head[headerEnvironment]; stated && len(key.environments) == 0 {
		return nil, errors.New("the line " + headerEnvironment + " is empty")
	}
	return key, nil
}

const maxKeyID = 128 // bytes
