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

// cursorAge is how long after the first page a list may be continued (management-api.md 19).
const cursorAge = 15 * time.Minute

// cursors seals the places at which pages go on. A cursor works for the caller and the question it was given to, in the
// process that gave it.
type cursors struct{ seal cipher.AEAD }

type place struct {
	state    uint64 // that all pages of the walk show
	walk     uint64
	position int64
	made     time.Time // with the first page
}

func newCursors() cursors {
	key := make([]byte, 32)
	_, _ = rand.Read(key)           // never fails
	block, _ := aes.NewCipher(key)  // fails only for another length of key
	seal, _ := cipher.NewGCM(block) // fails only for another block size
	return cursors{seal}
}

const placeSize = 32

func (c cursors) write(p place, question string) string {
	nonce := make([]byte, c.seal.NonceSize(), c.seal.NonceSize()+placeSize+c.seal.Overhead())
	_, _ = rand.Read(nonce)
	var plain [placeSize]byte
	binary.BigEndian.PutUint64(plain[0:], p.state)
	binary.BigEndian.PutUint64(plain[8:], p.walk)
	binary.BigEndian.PutUint64(plain[16:], uint64(p.position))
	binary.BigEndian.PutUint64(plain[24:], uint64(p.made.UnixMilli()))
	return base64.RawURLEncoding.EncodeToString(c.seal.Seal(nonce, nonce, plain[:], []byte(question)))
}

func (c cursors) read(text, question string, now time.Time) (place, error) {
	bad := model.InvalidParameter("cursor", "it is older than 15 minutes, altered, or belongs to another question")
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
		state: binary.BigEndian.Uint64(plain[0:]), walk: binary.BigEndian.Uint64(plain[8:]),
		position: int64(binary.BigEndian.Uint64(plain[16:])),
		made:     time.UnixMilli(int64(binary.BigEndian.Uint64(plain[24:]))),
	}
	if age := now.Sub(p.made); age > cursorAge {
		return place{}, bad
	}
	return p, nil
}
