package runtime

import (
	"context"
	"errors"
	"runtime"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/ambit-authz/ambit/internal/model"
)

const (
	// smallBody is the size up to which a request body is never made to wait. Common bodies have less than 4 KiB.
	smallBody = 64 << 10
	// heldBodies is how many bodies of the greatest size are in memory at once.
	heldBodies = 8
	// patience is how long a big body waits for room. It leaves the body enough of the server's time for reading.
	patience = 5 * time.Second
)

// room bounds what big bodies take together, however many arrive at once: the memory of their text, and that of the
// questions made of them, which may be ten times as much. Small bodies pass by, so that they never wait for big ones.
type room struct {
	held     *semaphore.Weighted // bytes of bodies, from before they are read to the end of their calls
	worked   *semaphore.Weighted // bytes of bodies that are being turned into questions and answers
	most     int64               // bytes of one body
	patience time.Duration
}

func newRoom(maxBytes int64) *room {
	// one half of the processors stays free for small bodies
	together := int64(max(1, runtime.GOMAXPROCS(0)/2))
	return &room{
		held:   semaphore.NewWeighted(max(heldBodies, together) * maxBytes),
		worked: semaphore.NewWeighted(together * maxBytes), most: maxBytes, patience: patience,
	}
}

// take waits for n bytes of s and returns what gives them back. The error is 503: nothing was decided.
func (r *room) take(ctx context.Context, s *semaphore.Weighted, n int64) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	n = min(n, r.most)
	if s.Acquire(ctx, n) != nil {
		return nil, &model.Error{
			Kind: model.KindUnavailable, Code: "AMB-503", Name: "NotReady", Message: "Not ready",
			Err: errors.New("too many large requests at once"),
		}
	}
	return func() { s.Release(n) }, nil
}
