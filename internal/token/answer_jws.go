package token

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"io"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/ambit-authz/ambit/internal/model"
)

// Begin starts a compact JWS on w (RFC 7515). What is written to the result is its payload, which goes out as it comes; Close
// adds the signature. Of RS256 and ES256 nothing of the payload is kept; EdDSA signs only what it has whole.
func (k *AnswerKey) Begin(w io.Writer) (io.WriteCloser, error) {
	head, err := json.Marshal(struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
		Type      string `json:"typ"`
	}{k.algorithm, k.kid, "JWT"})
	if err != nil {
		return nil, model.Internal("token.Begin", err)
	}
	s := &signing{key: k, out: w, digest: sha256.New()}
	both := io.MultiWriter(w, s.digest)
	if k.algorithm == model.AlgorithmEdDSA {
		both = io.MultiWriter(w, &s.message)
	}
	if _, err := io.WriteString(both, base64.RawURLEncoding.EncodeToString(head)+"."); err != nil {
		return nil, err
	}
	s.payload = base64.NewEncoder(base64.RawURLEncoding, both)
	return s, nil
}

// Sign makes a JWT of claims, a JSON object, by the deployment's own key.
func (a *AnswerKeys) Sign(claims []byte) (string, error) {
	key := a.current(model.AlgorithmRS256)
	var out strings.Builder
	payload, err := key.Begin(&out)
	if err != nil {
		return "", err
	}
	if _, err := payload.Write(claims); err != nil {
		return "", model.Internal("token.Sign", err)
	}
	err = payload.Close()
	return out.String(), err
}

// signing is a JWS on its way.
type signing struct {
	key     *AnswerKey
	out     io.Writer
	payload io.WriteCloser
	digest  hash.Hash
	message bytes.Buffer // of EdDSA
}

func (s *signing) Write(p []byte) (int, error) { return s.payload.Write(p) }

func (s *signing) Close() error {
	if err := s.payload.Close(); err != nil {
		return err
	}
	signature, err := s.sign()
	if err != nil {
		return model.Internal("token.sign", err)
	}
	_, err = io.WriteString(s.out, "."+base64.RawURLEncoding.EncodeToString(signature))
	return err
}

// sign makes the signature as RFC 7518 and RFC 8037 write it.
func (s *signing) sign() ([]byte, error) {
	switch key := s.key.signer.(type) {
	case ed25519.PrivateKey:
		return key.Sign(nil, s.message.Bytes(), crypto.Hash(0))
	case *ecdsa.PrivateKey:
		r, v, err := ecdsa.Sign(rand.Reader, key, s.digest.Sum(nil))
		if err != nil {
			return nil, err
		}
		var out [64]byte
		r.FillBytes(out[:32])
		v.FillBytes(out[32:])
		return out[:], nil
	}
	return s.key.signer.Sign(rand.Reader, s.digest.Sum(nil), crypto.SHA256)
}
