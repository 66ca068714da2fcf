package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
)

// Which is the id of the secret that Check would accept, "" when it would accept none. It takes as long as Check and has
// its errors.
func (s *Secrets) Which(hashes []model.SecretHash, secret string, now time.Time) (string, error) {
	if good, err := s.Check(hashes, secret, now); !good {
		return "", err
	}
	mac := s.mac(secret)
	for i := range hashes {
		h := &hashes[i]
		if !h.Alive(now) {
			continue
		}
		if h.Form == FormHMAC && subtle.ConstantTimeCompare(mac, h.Hash) == 1 || h.Form == FormArgon2 && s.knows(s.memory(h, secret), now) {
			return h.ID, nil
		}
	}
	return "", nil
}

// Seal authenticates text for one purpose, for links that carry their own right. It is the same on every node and after a
// restart, and never the hash of a secret: those begin with their prefix, not with a length.
func (s *Secrets) Seal(purpose, text string) []byte {
	m := hmac.New(sha256.New, s.key)
	m.Write([]byte{byte(len(purpose))})
	m.Write([]byte(purpose))
	m.Write([]byte(text))
	return m.Sum(nil)
}
