package token

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"

	"github.com/ambit-authz/ambit/internal/model"
)

// sealedForm is the first byte of what Encrypt returns; another form would have another one.
const sealedForm = 1

// newCipher derives from the key of the secrets one that is used for nothing else.
func newCipher(key []byte) (cipher.AEAD, error) {
	derived, err := hkdf.Key(sha256.New, key, nil, "ambit sealed texts 1", KeySize)
	if err != nil {
		return nil, model.Internal("token.newCipher", err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, model.Internal("token.newCipher", err)
	}
	sealing, err := cipher.NewGCMWithRandomNonce(block)
	return sealing, model.Internal("token.newCipher", err)
}

// Encrypt seals text with AES-256-GCM so that only the holder of the key reads it, on every node and after a restart. The
// same text looks different each time. place says where the result is kept: in any other place it cannot be read.
func (s *Secrets) Encrypt(place string, text []byte) []byte {
	return s.sealing.Seal([]byte{sealedForm}, nil, text, []byte(place))
}

// Decrypt is the inverse of Encrypt; ok is false for what was sealed under another key or for another place, or was
// changed since.
func (s *Secrets) Decrypt(place string, sealed []byte) (text []byte, ok bool) {
	if len(sealed) == 0 || sealed[0] != sealedForm {
		return nil, false
	}
	text, err := s.sealing.Open(nil, nil, sealed[1:], []byte(place))
	return text, err == nil
}
