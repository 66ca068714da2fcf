package decide

import (
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
)

// FuzzSince: RT-7: a cursor is read in one spelling only, and written as it was read.
func FuzzSince(f *testing.F) {
	for _, text := range []string{"0", "17", "17@1795262400123", "", "@", "17@", "@1", "-1", "1e3", "017", "17@0", "17@1@2", "９", "999999999999999999@999999999999999999", "9999999999999999999"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, ok := ParseSince(text)
		if !ok {
			if s.String() == text && text != "0" {
				t.Fatalf("%q is refused and written", text)
			}
			return
		}
		if s.Revision < 0 {
			t.Fatalf("%q has revision %d", text, s.Revision)
		}
		again, ok := ParseSince(s.String())
		if !ok || again.Revision != s.Revision || !again.Instant.Equal(s.Instant) {
			t.Fatalf("%q is written %q, read %+v", text, s, again)
		}
	})
}

// TestSince: a cursor keeps the instant in milliseconds, which is enough: conditions turn at whole seconds.
func TestSince(t *testing.T) {
	at := time.Date(2026, 3, 4, 12, 0, 0, 123_456_789, time.UTC)
	s := Since{Revision: 17, Instant: at}
	got, ok := ParseSince(s.String())
	if !ok || got.Revision != 17 || !got.Instant.Equal(at.Truncate(time.Millisecond)) {
		t.Errorf("%s is read as %+v", s, got)
	}
	if s = (Since{Revision: 17}); s.String() != "17" {
		t.Errorf("without an instant: %s", s)
	}
}

// TestExpiry: F7: a watch ends with what ends first, and with a token whose end cannot be read at once.
func TestExpiry(t *testing.T) {
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	scope := &model.Scope{Secrets: []model.SecretHash{
		{ID: "ended", ExpiresAt: now.Add(-time.Hour)}, {ID: "living"}, {ID: "ends", ExpiresAt: now.Add(2 * time.Hour)},
	}}
	c := &Call{started: now, scope: scope, proof: proof{method: model.AuthSecretHeader}}
	if got := c.expiry(); !got.Equal(now.Add(2 * time.Hour)) {
		t.Errorf("the secret ends at %s", got)
	}
	c.expireBy(expiryOf(map[string]any{"exp": "1772629200"})) // 13:00
	c.expireBy(expiryOf(map[string]any{"exp": 1.7726328e9}))  // 14:00
	if got := c.expiry(); !got.Equal(now.Add(time.Hour)) {
		t.Errorf("the token ends at %s", got)
	}
	for _, exp := range []any{nil, "soon", "1e300", -5, "NaN"} {
		if got := expiryOf(map[string]any{"exp": exp}); !got.Before(now) || got.IsZero() {
			t.Errorf("%v ends at %s", exp, got)
		}
	}
}
