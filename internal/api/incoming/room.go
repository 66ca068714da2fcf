package incoming

import (
	"context"
	"errors"
	"runtime"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/ambit-authz/ambit/internal/model"
)

const (
	// SmallBody is the size up to which a request body is never made to wait. Common bodies have less than 4 KiB.
	SmallBody = 64 << 10
	// HeldBodies is how many bodies of the greatest size are in memory at once.
	HeldBodies = 8
	// patience is how long a big body waits for room. It leaves the body enough of the server's time for reading.
	patience = 5 * time.Second
)

// Room bounds what big bodies take together, however many arrive at once and at whatever handlers: the memory of their
// text, and that of the questions made of them, which may be ten times as much. Small bodies pass by, so that they never
// wait for big ones. It is safe for concurrent use.
type Room struct {
	// Patience is how long a big body waits. It is set before the room is used.
	Patience time.Duration

	held   *semaphore.Weighted // bytes of bodies, from before they are read to the end of their calls
	worked *semaphore.Weighted // bytes of bodies that are being turned into questions and answers
	most   int64               // bytes of one body
	least  int64               // what a body takes of worked, however small
}

// NewRoom makes room for bodies of at most so many bytes.
func NewRoom(maxBytes int64) *Room {
	others := int64(max(1, runtime.GOMAXPROCS(0)-1))
	return &Room{
		Patience: patience, most: maxBytes, least: (together()*maxBytes + others - 1) / others,
		held: semaphore.NewWeighted(max(HeldBodies, together()) * maxBytes), worked: semaphore.NewWeighted(together() * maxBytes),
	}
}

// together is how many of the greatest bodies are worked on at once: one half of the processors stays free for small ones. Of
// smaller ones there may be more, up to all processors but one.
func together() int64 { return int64(max(1, runtime.GOMAXPROCS(0)/2)) }

// Hold waits until n bytes more of a body may be in memory, and returns what gives them back. The error is 503: nothing was
// decided.
func (r *Room) Hold(ctx context.Context, n int64) (release func(), err error) {
	return r.take(ctx, r.held, n)
}

// Work waits until a body of n bytes may be worked on, as Hold does. Who has such room must not wait for what a caller chooses,
// such as a revision: others wait for the room.
func (r *Room) Work(ctx context.Context, n int64) (release func(), err error) {
	return r.take(ctx, r.worked, max(n, r.least))
}

// Turn is Work for a question that may take seconds, however small its body.
func (r *Room) Turn(ctx context.Context) (release func(), err error) {
	return r.take(ctx, r.worked, r.most)
}

func (r *Room) take(ctx context.Context, s *semaphore.Weighted, n int64) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, r.Patience)
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
