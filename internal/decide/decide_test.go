package decide

import (
	"runtime"
	"strings"
	"testing"
)

// TestFirstRunes: RT-28, authzen.md 11.5: what a record takes of a long text holds nothing of the rest, since records may wait in memory.
func TestFirstRunes(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{{"", 2, ""}, {"ab", 2, "ab"}, {"abc", 2, "ab"}, {"äöü", 2, "äö"}, {"abc", 0, ""}} {
		if got := firstRunes(c.text, c.n); got != c.want {
			t.Errorf("%q, %d: %q", c.text, c.n, got)
		}
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const texts, size = 64, 1 << 20
	before, kept := heap(), make([]string, texts)
	for i := range kept {
		kept[i] = firstRunes(strings.Repeat("x", size), 512)
	}
	if after := heap(); after > before+texts*size/2 {
		t.Errorf("%d texts of 512 characters hold %d bytes", texts, after-before)
	}
	runtime.KeepAlive(kept)
}
