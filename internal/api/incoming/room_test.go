package incoming

import (
	"runtime"
	"testing"
	"time"
)

// Reliability 3 (parser bombs): big bodies are worked on by all processors but one, however little bigger than small ones they
// are; of the greatest, and of turns, by one half.
func TestProcessorsLeftFree(t *testing.T) {
	for name, c := range map[string]struct {
		size int64
		most int
	}{
		"just big": {SmallBody + 1, max(1, runtime.GOMAXPROCS(0)-1)},
		"greatest": {8 << 20, max(1, runtime.GOMAXPROCS(0)/2)},
		"greater":  {64 << 20, max(1, runtime.GOMAXPROCS(0)/2)},
	} {
		r := NewRoom(8 << 20)
		r.Patience = time.Millisecond
		var held []func()
		for {
			release, err := r.Work(t.Context(), c.size)
			if err != nil {
				break
			}
			held = append(held, release)
		}
		if len(held) != c.most {
			t.Errorf("%s: %d at once, want %d", name, len(held), c.most)
		}
		for _, release := range held {
			release()
		}
		if _, err := r.Turn(t.Context()); err != nil {
			t.Errorf("%s: no turn after it: %v", name, err)
		}
	}
}
