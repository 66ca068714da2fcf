package runtime

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"
)

// tags makes and checks ETags. They are keyed, since they are made of secrets: the values of identities and tokens, and the
// time when a condition of a policy turns. The key is of this process alone, so that after a restart, and on another node, an
// ETag is not known and the whole answer comes.
type tags struct{ key [32]byte }

// tagDigest is a question, told by nobody else's key.
type tagDigest [sha256.Size]byte

func newTags() (t tags) {
	_, _ = rand.Read(t.key[:]) // never fails
	return t
}

// Purposes keep digests and ETags apart.
const (
	purposeDigest byte = iota
	purposeTag
	purposeWindow
)

func (t *tags) mac(purpose byte, text []byte) (out tagDigest) {
	mac := hmac.New(sha256.New, t.key[:])
	mac.Write([]byte{purpose})
	mac.Write(text)
	mac.Sum(out[:0])
	return out
}

func (t *tags) digest(key []byte) tagDigest { return t.mac(purposeDigest, key) }

// make gives the ETag of an answer that was found at from. One that time may change is good from that second up to until,
// which is zero for every other, and carries these two, readable to nobody else.
func (t *tags) make(question tagDigest, from, until time.Time) string {
	if until.IsZero() {
		return t.sign(question, 0, 0)
	}
	return t.sign(question, from.Unix(), until.Unix())
}

func (t *tags) sign(question tagDigest, from, until int64) string {
	text := binary.BigEndian.AppendUint64(question[:], uint64(from))
	mac := t.mac(purposeTag, binary.BigEndian.AppendUint64(text, uint64(until)))
	tag := base64.RawURLEncoding.EncodeToString(mac[:])
	if until != 0 {
		window := t.cover(mac, binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(from)), uint64(until)))
		tag += "." + base64.RawURLEncoding.EncodeToString(window)
	}
	return `"` + tag + `"`
}

// cover makes the window of a tag unreadable, and readable again. What it is covered with is used for no other window, since
// mac is made of the window.
func (t *tags) cover(mac tagDigest, window []byte) []byte {
	with := t.mac(purposeWindow, mac[:])
	subtle.XORBytes(window, window, with[:])
	return window
}

// window reads from when to when a timed tag says that it is good; ok is false for one that cannot be read.
func (t *tags) window(mac, covered string) (from, until int64, ok bool) {
	text, err := base64.RawURLEncoding.DecodeString(mac)
	window, unreadable := base64.RawURLEncoding.DecodeString(covered)
	if err != nil || unreadable != nil || len(text) != sha256.Size || len(window) != windowSize {
		return 0, 0, false
	}
	window = t.cover(tagDigest(text), window)
	return int64(binary.BigEndian.Uint64(window)), int64(binary.BigEndian.Uint64(window[8:])), true
}

// windowSize is that of two times.
const windowSize = 16

// good gives the ETag among those of If-None-Match whose answer would be given at the instant; "" = there is none. Weak ones
// count (RFC 9110, 13.1.2).
func (t *tags) good(lines []string, question tagDigest, at time.Time) string {
	for _, line := range lines {
		for tag, rest := nextTag(line); tag != ""; tag, rest = nextTag(rest) {
			var from, until int64
			if mac, covered, timed := strings.Cut(strings.Trim(tag, `"`), "."); timed {
				var ok bool
				if from, until, ok = t.window(mac, covered); !ok || at.Unix() < from || at.Unix() >= until {
					continue
				}
			}
			if hmac.Equal([]byte(t.sign(question, from, until)), []byte(tag)) {
				return tag
			}
		}
	}
	return ""
}

// nextTag cuts the first entity tag, with its quotes and without W/, from a list; "" = there is none, or no list.
func nextTag(list string) (tag, rest string) {
	list = strings.TrimPrefix(strings.TrimLeft(list, " \t,"), "W/")
	if !strings.HasPrefix(list, `"`) {
		return "", ""
	}
	end := strings.IndexByte(list[1:], '"')
	if end < 0 {
		return "", ""
	}
	return list[:end+2], list[end+2:]
}

// anyTag reports whether If-None-Match is *: every answer is one that the caller has.
func anyTag(lines []string) bool { return len(lines) == 1 && strings.TrimSpace(lines[0]) == "*" }
