package token

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
)

// SigningKeys are the keys of Tokens as they lie in their file: one that signs, and those that were replaced and are still
// published.
type SigningKeys struct {
	Current *ecdsa.PrivateKey
	Made    time.Time // zero = not known
	Retired []RetiredKey
}

// Headers and types of the file's PEM blocks. The first block is the private key that signs.
const (
	headerMade    = "Made"
	headerUntil   = "Until"
	typePublicKey = "PUBLIC KEY"
)

// ReadOrMakeSigningKeys reads all keys of the file at path, under the rules of ReadOrMakeKey. A key that is made says that
// it was made now.
func ReadOrMakeSigningKeys(path string, now time.Time) (SigningKeys, error) {
	if _, err := readOrMake(path, func() ([]byte, error) { return datedSigningKey(now) }); err != nil {
		return SigningKeys{}, err
	}
	current, err := ReadOrMakeSigningKey(path)
	if err != nil {
		return SigningKeys{}, err
	}
	keys := SigningKeys{Current: current}
	text, err := readPrivate(path)
	if err != nil {
		return SigningKeys{}, err
	}
	first, rest := pem.Decode(text)
	if first != nil {
		keys.Made, _ = time.Parse(time.RFC3339, first.Headers[headerMade]) // a file of the first version does not say
	}
	for block, rest := pem.Decode(rest); block != nil; block, rest = pem.Decode(rest) {
		retired, err := parseRetired(block)
		if err != nil {
			return SigningKeys{}, model.Invalidf("key file %s: %v", path, err)
		}
		keys.Retired = append(keys.Retired, retired)
	}
	return keys, nil
}

func parseRetired(block *pem.Block) (RetiredKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return RetiredKey{}, errors.New("a retired key is not a public key")
	}
	public, ok := parsed.(*ecdsa.PublicKey)
	until, err := time.Parse(time.RFC3339, block.Headers[headerUntil])
	if !ok || err != nil {
		return RetiredKey{}, errors.New("a retired key is no P-256 key or has no end")
	}
	return RetiredKey{Public: public, Until: until}, nil
}

func datedSigningKey(now time.Time) ([]byte, error) {
	made, err := newSigningKeyPEM()
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(made)
	block.Headers = map[string]string{headerMade: now.UTC().Format(time.RFC3339)}
	return pem.EncodeToMemory(block), nil
}

// RotateSigningKeys puts a new key in the place of the one that signs. The old one is kept, without its private part, for
// as long as a token that it signed can live; retired keys whose time is over are dropped. The file changes at once and
// durably, or not at all.
func RotateSigningKeys(path string, now time.Time) (SigningKeys, error) {
	keys, err := ReadOrMakeSigningKeys(path, now)
	if err != nil {
		return SigningKeys{}, err
	}
	made, err := datedSigningKey(now)
	if err != nil {
		return SigningKeys{}, err
	}
	retired := []RetiredKey{{Public: &keys.Current.PublicKey, Until: now.Add(MaxLifetime + time.Second)}}
	for _, r := range keys.Retired {
		if now.Before(r.Until) {
			retired = append(retired, r)
		}
	}
	out := bytes.NewBuffer(made)
	for _, r := range retired {
		if err := encodeRetired(out, r.Public, "", r.Until); err != nil {
			return SigningKeys{}, model.Internal("token.rotate", err)
		}
	}
	if err := replaceFile(path, out.Bytes()); err != nil {
		return SigningKeys{}, model.Internal("token.rotate", err)
	}
	return ReadOrMakeSigningKeys(path, now)
}

// encodeRetired writes a key that was replaced, with its end in full seconds.
func encodeRetired(out io.Writer, public crypto.PublicKey, kid string, until time.Time) error {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return err
	}
	end := until.Add(time.Second - 1).Truncate(time.Second).UTC().Format(time.RFC3339)
	head := map[string]string{headerUntil: end}
	if kid != "" {
		head[headerKeyID] = kid
	}
	return pem.Encode(out, &pem.Block{Type: typePublicKey, Headers: head, Bytes: der})
}

func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}
