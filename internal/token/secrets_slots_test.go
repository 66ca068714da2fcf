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
	check := func(at time.Time) bool {
		good, err := s.Check(hashes, given, at)
		return good && err == nil
	}
	if !check(now) {
		t.Fatal("refused")
	}
	for range cap(s.slots) {
		s.slots <- struct{}{}
	}
	answered := make(chan bool)
	for n := range 10 {
		go func() { answered <- check(now.Add(time.Duration(n) * 4 * time.Minute)) }()
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

// README ruling 8: the line of secrets that people chose and are not known yet is bounded; it is the same for clients that
// are not known, and neither Ambit's own secrets nor remembered ones stand in it.
func TestGuessersWaitInABoundedLine(t *testing.T) {
	s, err := NewSecrets(make([]byte, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	hash, err := s.Hash("chosen by a person", now)
	if err != nil {
		t.Fatal(err)
	}
	own, ownHash := s.New(now)
	hashes := []model.SecretHash{hash, ownHash}
	if good, err := s.Check(hashes, "chosen by a person", now); !good || err != nil {
		t.Fatal(good, err)
	}
	for range cap(s.slots) {
		s.slots <- struct{}{}
	}
	answered := make(chan error)
	for range cap(s.line) {
		go func() {
			_, err := s.Check(hashes, "a guess at it", now)
			answered <- err
		}()
	}
	for len(s.line) < cap(s.line) {
		time.Sleep(time.Millisecond)
	}
	for _, of := range [][]model.SecretHash{hashes, nil} {
		if good, err := s.Check(of, "another guess", now); good || model.KindOf(err) != model.KindUnavailable {
			t.Errorf("a further guess: %v, %v", good, err)
		}
	}
	for _, right := range []string{own, "chosen by a person"} {
		if good, err := s.Check(hashes, right, now); !good || err != nil {
			t.Errorf("%q: %v, %v", right, good, err)
		}
	}
	for range cap(s.slots) {
		<-s.slots
	}
	for range cap(s.line) {
		if err := <-answered; err != nil {
			t.Errorf("a guess in the line: %v", err)
		}
	}
	if good, err := s.Check(hashes, "another guess", now); good || err != nil {
		t.Errorf("a guess after that: %v, %v", good, err)
	}
}
