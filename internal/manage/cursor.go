package manage

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
)

// cursorAge is how long a page may be continued (management-api.md 19).
const cursorAge = 15 * time.Minute

// cursors seals the places at which pages go on. A cursor works for the caller and the question it was given to, in the
// process that gave it.
type cursors struct{ seal cipher.AEAD }

type place struct {
	position int64
	revision model.Revision // of the first page
	made     time.Time
}

func newCursors() cursors {
	key := make([]byte, 32)
	_, _ = rand.Read(key)           // never fails
	block, _ := aes.NewCipher(key)  // fails only for another length of key
	seal, _ := cipher.NewGCM(block) // fails only for another block size
	return cursors{seal}
}

const placeSize = 24

func (c cursors) write(p place, question string) string {
	nonce := make([]byte, c.seal.NonceSize(), c.seal.NonceSize()+placeSize+c.seal.Overhead())
	_, _ = rand.Read(nonce)
	var plain [placeSize]byte
	binary.BigEndian.PutUint64(plain[0:], uint64(p.position))
	binary.BigEndian.PutUint64(plain[8:], uint64(p.revision))
	binary.BigEndian.PutUint64(plain[16:], uint64(p.made.UnixMilli()))
	return base64.RawURLEncoding.EncodeToString(c.seal.Seal(nonce, nonce, plain[:], []byte(question)))
}

func (c cursors) read(text, question string, now time.Time) (place, error) {
	bad := InvalidParameter("cursor", "it is older than 15 minutes, altered, or belongs to another question")
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(sealed) < c.seal.NonceSize() {
		return place{}, bad
	}
	size := c.seal.NonceSize()
	plain, err := c.seal.Open(nil, sealed[:size], sealed[size:], []byte(question))
	if err != nil || len(plain) != placeSize {
		return place{}, bad
	}
	p := place{
		position: int64(binary.BigEndian.Uint64(plain[0:])), revision: model.Revision(binary.BigEndian.Uint64(plain[8:])),
		made: time.UnixMilli(int64(binary.BigEndian.Uint64(plain[16:]))),
	}
	if age := now.Sub(p.made); age > cursorAge {
		return place{}, bad
	}
	return p, nil
}
