package token_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
)

func TestWhich(t *testing.T) {
	s := newSecrets(t)
	first, a := s.New(now)
	b, err := s.Hash("chosen by hand", now)
	if err != nil {
		t.Fatal(err)
	}
	_, c := s.New(now)
	b.ExpiresAt = now.Add(time.Hour)
	hashes := []model.SecretHash{c, b, a}
	for secret, want := range map[string]string{first: a.ID, "chosen by hand": b.ID, "chosen by foot": "", "": ""} {
		if got, err := s.Which(hashes, secret, now); got != want || err != nil {
			t.Errorf("%q: %q, want %q", secret, got, want)
		}
	}
	if got, err := s.Which(hashes, "chosen by hand", now.Add(time.Hour)); got != "" || err != nil {
		t.Errorf("after its end: %q", got)
	}
}

func TestSeal(t *testing.T) {
	s := newSecrets(t)
	secret, hash := s.New(now)
	seen := [][]byte{hash.Hash}
	for _, of := range [][2]string{{"link", "a"}, {"link", "b"}, {"lin", "ka"}, {"", secret}} {
		seal := s.Seal(of[0], of[1])
		for _, other := range seen {
			if bytes.Equal(seal, other) {
				t.Errorf("%v has the seal of another", of)
			}
		}
		if !bytes.Equal(seal, s.Seal(of[0], of[1])) {
			t.Errorf("%v has two seals", of)
		}
		seen = append(seen, seal)
	}
}
