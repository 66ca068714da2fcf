package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ambit-authz/ambit/internal/model"
)

// ReadOrMakeKey reads the key of Secrets (KeySize bytes, written as hexadecimal digits) from the file at path. A file
// that does not exist is made with a random key and mode 0600. A file that others than its owner can read is refused.
func ReadOrMakeKey(path string) ([]byte, error) {
	text, err := readOrMake(path, func() ([]byte, error) {
		return []byte(hex.EncodeToString(randomBytes(KeySize)) + "\n"), nil
	})
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != KeySize {
		return nil, model.Invalidf("key file %s: not %d bytes in hexadecimal digits", path, KeySize)
	}
	return key, nil
}

// ReadOrMakeSigningKey reads the private key of Tokens (P-256, PKCS #8 in PEM) from the file at path, under the rules of
// ReadOrMakeKey.
func ReadOrMakeSigningKey(path string) (*ecdsa.PrivateKey, error) {
	text, err := readOrMake(path, newSigningKeyPEM)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, model.Invalidf("key file %s: not PEM", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, model.Invalidf("key file %s: not a PKCS #8 key", path)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, model.Invalidf("key file %s: not a P-256 key", path)
	}
	return key, nil
}

func newSigningKeyPEM() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, model.Internal("token.newSigningKey", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, model.Internal("token.newSigningKey", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func readOrMake(path string, content func() ([]byte, error)) ([]byte, error) {
	text, err := readPrivate(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return text, err
	}
	text, err = content()
	if err != nil {
		return nil, err
	}
	if err := writeNew(path, text); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, model.Internal("token.writeKey", err)
	}
	return readPrivate(path) // another process may have been first
}

func readPrivate(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, model.Invalidf("key file %s: others can read it; make its mode 0600", path)
	}
	return os.ReadFile(path)
}

// writeNew makes the file appear complete, durable and only once: a crash leaves no half key, and the second of two
// processes gets fs.ErrExist.
func writeNew(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
