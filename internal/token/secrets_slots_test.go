package token

import (
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
)

// README ruling 8, reliability 1.3: a caller that keeps calling is not held up by others that guess, who never take all
// processors.
func TestGuessersHoldNobodyUp(t *testing.T) {
	s, err := NewSecrets(make([]byte, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	given, now := "chosen by a person", time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	hash, err := s.Hash(given, now)
	if err != nil {
		t.Fatal(err)
	}
	hashes := []model.SecretHash{hash}
	if !s.Check(hashes, given, now) {
		t.Fatal("refused")
	}
	for range cap(s.slots) {
		s.slots <- struct{}{}
	}
	answered := make(chan bool)
	for n := range 10 {
		go func() { answered <- s.Check(hashes, given, now.Add(time.Duration(n)*4*time.Minute)) }()
		select {
		case ok := <-answered:
			if !ok {
				t.Errorf("refused after %d minutes", 4*n)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("checked again after %d minutes although it was used 4 minutes before", 4*n)
		}
	}
	for processors, want := range map[int]int{1: 1, 2: 1, 3: 1, 4: 2, 64: 2} {
		if got := slots(processors); got != want {
			t.Errorf("%d checks at once on %d processors, want %d", got, processors, want)
		}
	}
}
