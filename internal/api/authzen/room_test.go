package authzen

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/api/incoming"
)

// Reliability 3 (parser bombs): big bodies wait for room, also in that of other handlers, and are 503 when there is none; small
// ones pass by. What was admitted gives its share back, whether it is answered or refused.
func TestRoomForBodies(t *testing.T) {
	room := incoming.NewRoom(1 << 20)
	room.Patience = 10 * time.Millisecond
	w := newWorld(t, func(o *Options) { o.Room = room })
	big := strings.TrimSuffix(aliceReads, "}") + `,"x":"` + strings.Repeat("x", 1<<20-1000) + `"}`
	for range 20 {
		if got := w.post(pathEvaluation, big); got.status != 200 {
			t.Fatalf("%d %s", got.status, got.body)
		}
		w.refuses(pathEvaluation, big[:len(big)-1]+" ", 400, "the body must be one JSON object in UTF-8 without duplicate members, nested at most 64 deep")
		if got := w.post(pathEvaluation, big+strings.Repeat(" ", 1000)); got.status != 413 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	var busy []func()
	for {
		release, err := room.Turn(t.Context())
		if err != nil {
			break
		}
		busy = append(busy, release)
	}
	if got := w.post(pathEvaluation, big); got.status != 503 {
		t.Errorf("with no room: %d %s", got.status, got.body)
	}
	if got := w.post(pathEvaluation, aliceReads); got.status != 200 {
		t.Errorf("a small body beside big ones: %d %s", got.status, got.body)
	}
	for _, release := range busy {
		release()
	}
	if got := w.post(pathEvaluation, big); got.status != 200 {
		t.Errorf("with room again: %d %s", got.status, got.body)
	}
}

// Reliability 3 (stuck peers): calls that wait for a revision, which they may choose, keep no big body and no turn from others.
func TestWaitingHoldsNoRoom(t *testing.T) {
	room := incoming.NewRoom(1 << 20)
	room.Patience = 700 * time.Millisecond
	w := newWorld(t, func(o *Options) { o.Room = room })
	big := strings.TrimSuffix(aliceReads, "}") + `,"x":"` + strings.Repeat("x", 1<<20-1000) + `"}`
	search := `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record"}}`
	var waiting sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		for path, body := range map[string]string{pathEvaluation: big, pathResources: search} {
			waiting.Go(func() {
				if got := w.post(path, body, "Ambit-Min-Revision", "1000", "Ambit-Wait", "1500"); got.status != 503 {
					t.Errorf("revision 1000: %d %s", got.status, got.body)
				}
			})
		}
	}
	for range 20 {
		for path, body := range map[string]string{pathEvaluation: big, pathResources: search} {
			if got := w.post(path, body); got.status != 200 {
				t.Errorf("%s beside calls that wait: %d %s", path, got.status, got.body)
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	waiting.Wait()
}
