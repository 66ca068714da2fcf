package app

import (
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/token"
)

// MG-78: the key that signs is replaced when it is 90 days old, and its last tokens stay good across the change.
func TestKeysStayYoung(t *testing.T) {
	dir := t.TempDir()
	begin := time.Date(2026, 7, 6, 8, 0, 0, 0, time.UTC)
	first, err := youngKeys(dir, begin)
	if err != nil || !first.Made.Equal(begin) {
		t.Fatalf("made %v, %v", first.Made, err)
	}
	if len(first.Retired) > 0 {
		t.Error("the first key was replaced at once")
	}
	same, err := youngKeys(dir, begin.Add(signingKeyAge-time.Second))
	if err != nil || !same.Current.Equal(first.Current) {
		t.Errorf("replaced too early, %v", err)
	}
	at := begin.Add(signingKeyAge)
	next, err := youngKeys(dir, at)
	if err != nil || next.Current.Equal(first.Current) {
		t.Fatalf("not replaced, %v", err)
	}
	found := false
	for _, r := range next.Retired {
		found = found || r.Public.Equal(&first.Current.PublicKey) && r.Until.After(at.Add(token.MaxLifetime))
	}
	if !found {
		t.Error("the old key is not published until its last token has expired")
	}
}
