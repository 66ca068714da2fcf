package authzen

import (
	"strings"
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
