package token

import (
	"bytes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"hash"
	"hash/crc32"
	"math/big"
	"runtime"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/ambit-authz/ambit/internal/model"
)

// Forms of a stored secret (model.SecretHash.Form).
const (
	FormHMAC   = "hmac-sha256" // Ambit's own secrets: 256 bits, so a fast keyed hash is enough
	FormArgon2 = "argon2id"    // secrets chosen by a person
)

// KeySize is the length of the key of NewSecrets in bytes.
const KeySize = 32

// Parameters of argon2id: the second recommendation of RFC 9106 would take 64 MiB a check; these are OWASP's.
const (
	argonTime    = 2
	argonMemory  = 19 * 1024 // KiB
	argonThreads = 1
	argonLength  = 32
	saltLength   = 16
)

// livingSecrets is how many secrets a client can have at once; a failing check costs as much as this many.
const livingSecrets = 2

// remembered bounds how long after their last use, and how many, successful argon2id checks are known without computing
// them again: a caller that keeps calling never stands in line behind others that guess.
const (
	rememberedFor   = 5 * time.Minute
	rememberedCount = 10_000
)

// maxWaiting is how many argon2id checks wait for a slot. One takes about 50 ms, so that an answer comes within seconds or
// the caller is told to come back.
const maxWaiting = 64

// Text form of Ambit's own secrets: prefix, 256 bits in base 62, CRC-32 of both in base 62. The prefix and the checksum
// let scanners find leaked secrets.
const (
	secretPrefix   = "ambit_"
	secretBody     = 43
	secretChecksum = 6
)

// Limits on secrets given from outside, in code points (README ruling 8).
const (
	minGiven = 8
	maxGiven = 256
)

// Secrets makes and checks client secrets. All methods may be called from many goroutines at once.
type Secrets struct {
	key     []byte        // of the stored HMACs
	macs    sync.Pool     // of hash.Hash that know key, since it takes as long as a hash to begin one
	process []byte        // of the remembered checks; never leaves this process
	slots   chan struct{} // of hashes that are computed
	line    chan struct{} // of checks that are made or wait
	sealing cipher.AEAD   // of texts that are kept to be read again

	mu     sync.Mutex
	recent map[[sha256.Size]byte]time.Time // when the check was made
	older  map[[sha256.Size]byte]time.Time // the generation before; dropped when recent is full
}

// NewSecrets uses key, of KeySize bytes, for the hashes of Ambit's own secrets. Hashes made under another key never
// match.
func NewSecrets(key []byte) (*Secrets, error) {
	if len(key) != KeySize {
		return nil, model.Invalidf("the key of the secrets must have %d bytes, it has %d", KeySize, len(key))
	}
	sealing, err := newCipher(key)
	if err != nil {
		return nil, err
	}
	n := slots(runtime.GOMAXPROCS(0))
	key = bytes.Clone(key)
	return &Secrets{
		sealing: sealing,
		key:     key,
		macs:    sync.Pool{New: func() any { return hmac.New(sha256.New, key) }},
		process: randomBytes(KeySize),
		slots:   make(chan struct{}, n),
		line:    make(chan struct{}, n+maxWaiting),
		recent:  map[[sha256.Size]byte]time.Time{},
	}, nil
}

// slots is how many argon2id checks run at once. However many callers guess, they take 2 × 19 MiB and, where there is
// more than one, half of the processors at most: decisions for others go on.
func slots(processors int) int { return min(2, max(1, processors/2)) }

// New makes a secret of 256 random bits, to be shown once, and what the store keeps of it.
func (s *Secrets) New(now time.Time) (secret string, hash model.SecretHash) {
	head := secretPrefix + base62(randomBytes(32), secretBody)
	secret = head + checksum(head)
	return secret, model.SecretHash{ID: newID(), Form: FormHMAC, Hash: s.mac(secret), CreatedAt: now}
}

// Hash is what the store keeps of a secret that the caller chose: 8 to 256 code points. One in the form of Ambit's own
// (a promoted scope) is kept as such, every other one with argon2id.
func (s *Secrets) Hash(given string, now time.Time) (model.SecretHash, error) {
	if n := utf8.RuneCountInString(given); !utf8.ValidString(given) || n < minGiven || n > maxGiven {
		return model.SecretHash{}, model.Invalidf("a secret has %d to %d characters", minGiven, maxGiven)
	}
	if IsOwn(given) {
		return model.SecretHash{ID: newID(), Form: FormHMAC, Hash: s.mac(given), CreatedAt: now}, nil
	}
	salt := randomBytes(saltLength)
	return model.SecretHash{ID: newID(), Form: FormArgon2, Hash: s.argon(given, salt), Salt: salt, CreatedAt: now}, nil
}

// Check reports whether secret is one of those hashed that are alive at now. The time a refusal takes depends on the
// form of secret only, not on hashes: pass nil for a client that is not known. When too many secrets that people chose
// wait to be checked, the answer to a further one is an error of KindUnavailable; Ambit's own secrets, and those that
// were right within the last minutes, never wait.
func (s *Secrets) Check(hashes []model.SecretHash, secret string, now time.Time) (bool, error) {
	if IsOwn(secret) {
		return s.checkOwn(hashes, secret, now), nil
	}
	if len(secret) > maxGiven*utf8.UTFMax {
		return false, nil // no stored secret is that long
	}
	return s.checkGiven(hashes, secret, now)
}

func (s *Secrets) checkOwn(hashes []model.SecretHash, secret string, now time.Time) bool {
	mac, found := s.mac(secret), 0
	for i := range hashes {
		h := &hashes[i]
		if h.Form == FormHMAC && h.Alive(now) {
			found |= subtle.ConstantTimeCompare(mac, h.Hash)
		}
	}
	return found == 1
}

func (s *Secrets) checkGiven(hashes []model.SecretHash, secret string, now time.Time) (bool, error) {
	var living []*model.SecretHash
	for i := range hashes {
		h := &hashes[i]
		if h.Form != FormArgon2 || !h.Alive(now) || len(h.Hash) == 0 {
			continue
		}
		if memory := s.memory(h, secret); s.knows(memory, now) {
			s.remember(memory, now)
			return true, nil
		}
		living = append(living, h)
	}
	select {
	case s.line <- struct{}{}:
		defer func() { <-s.line }()
	default:
		return false, &model.Error{Kind: model.KindUnavailable, Op: "token.Check", Message: "Too many secrets are being checked"}
	}
	for _, h := range living {
		if subtle.ConstantTimeCompare(s.argon(secret, h.Salt), h.Hash) == 1 {
			s.remember(s.memory(h, secret), now)
			return true, nil
		}
	}
	for range livingSecrets - len(living) {
		s.argon(secret, s.key[:saltLength])
	}
	return false, nil
}

func (s *Secrets) mac(secret string) []byte {
	m := s.macs.Get().(hash.Hash)
	m.Write([]byte(secret))
	sum := m.Sum(nil)
	m.Reset() // the pool keeps no secret
	s.macs.Put(m)
	return sum
}

func (s *Secrets) argon(secret string, salt []byte) []byte {
	s.slots <- struct{}{}
	defer func() { <-s.slots }()
	return argon2.IDKey([]byte(secret), salt, argonTime, argonMemory, argonThreads, argonLength)
}

// memory is the name under which a successful check is remembered. Every part is preceded by its length, so that no two
// pairs share a name; the stored hash is part of it, so that a replaced secret is forgotten.
func (s *Secrets) memory(h *model.SecretHash, secret string) (name [sha256.Size]byte) {
	m := hmac.New(sha256.New, s.process)
	for _, part := range [][]byte{h.Salt, h.Hash, []byte(secret)} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		m.Write(n[:])
		m.Write(part)
	}
	m.Sum(name[:0])
	return name
}

func (s *Secrets) knows(name [sha256.Size]byte, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.recent[name]
	if !ok {
		at, ok = s.older[name]
	}
	age := now.Sub(at)
	return ok && age >= 0 && age < rememberedFor
}

func (s *Secrets) remember(name [sha256.Size]byte, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, again := s.recent[name]; !again && len(s.recent) >= rememberedCount {
		s.older, s.recent = s.recent, map[[sha256.Size]byte]time.Time{}
	}
	s.recent[name] = now
}

// IsOwn reports whether text has the form of Ambit's own secrets, checksum included. It says nothing of whose it is.
func IsOwn(text string) bool {
	if len(text) != len(secretPrefix)+secretBody+secretChecksum || !strings.HasPrefix(text, secretPrefix) {
		return false
	}
	head := text[:len(text)-secretChecksum]
	return checksum(head) == text[len(head):]
}

func checksum(head string) string {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" // those of big.Int
	var text [secretChecksum]byte
	sum := crc32.ChecksumIEEE([]byte(head))
	for i := len(text) - 1; i >= 0; i-- {
		text[i] = digits[sum%62]
		sum /= 62
	}
	return string(text[:])
}

// base62 writes b as a number in base 62 with leading zeros up to width.
func base62(b []byte, width int) string {
	text := new(big.Int).SetBytes(b).Text(62)
	return strings.Repeat("0", width-len(text)) + text
}

// NewClientID makes an id of 20 characters A-Z0-9 for a scope or an API credential.
func NewClientID() model.ClientID {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	const fair = 256 - 256%len(alphabet) // larger bytes would favour the first letters
	id := make([]byte, 0, 20)
	for len(id) < cap(id) {
		for _, b := range randomBytes(cap(id)) {
			if int(b) < fair && len(id) < cap(id) {
				id = append(id, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return model.ClientID(id)
}

func newID() string { return base62(randomBytes(16), 22) }

// randomBytes never fails: crypto/rand ends the program when the system has no randomness.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}
