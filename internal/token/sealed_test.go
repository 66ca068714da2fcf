package token_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/token"
)

// Sealed texts come back where they were kept, under the same key, and nowhere else; nothing of them can be seen.
func TestSealed(t *testing.T) {
	open := func(b byte) *token.Secrets {
		s, err := token.NewSecrets(bytes.Repeat([]byte{b}, token.KeySize))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	secrets, again, other := open(1), open(1), open(2)
	rapid.Check(t, func(rt *rapid.T) {
		text, place := rapid.SliceOf(rapid.Byte()).Draw(rt, "text"), rapid.String().Draw(rt, "place")
		sealed := secrets.Encrypt(place, text)
		if len(text) > 8 && bytes.Contains(sealed, text) {
			rt.Fatal("the text can be seen")
		}
		if bytes.Equal(sealed, secrets.Encrypt(place, text)) {
			rt.Fatal("equal texts look equal")
		}
		if got, ok := again.Decrypt(place, sealed); !ok || !bytes.Equal(got, text) {
			rt.Fatalf("got %q, %v", got, ok)
		}
		if _, ok := other.Decrypt(place, sealed); ok {
			rt.Fatal("another key reads it")
		}
		if _, ok := secrets.Decrypt(place+"x", sealed); ok {
			rt.Fatal("another place reads it")
		}
		changed := bytes.Clone(sealed)
		changed[rapid.IntRange(0, len(changed)-1).Draw(rt, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		if _, ok := secrets.Decrypt(place, changed); ok {
			rt.Fatal("a changed text is read")
		}
		if _, ok := secrets.Decrypt(place, sealed[:rapid.IntRange(0, len(sealed)-1).Draw(rt, "cut")]); ok {
			rt.Fatal("a cut text is read")
		}
	})
}
