package stand

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ambit-authz/ambit/bench/workload"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// Follow lets decisions follow what Write commits, as the program does, until stop is called.
func (s *Stand) Follow(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { s.directory.Run(ctx) })
	return func() { cancel(); group.Wait() }
}

// Write commits changes of the world's environment and gives its new revision.
func (s *Stand) Write(ctx context.Context, fn func(*store.Tx) error) (model.Revision, error) {
	commit, err := s.store.Update(ctx, store.Write{Environment: workload.EnvironmentID, Time: time.Now()}, fn)
	return commit.Revision, err
}

// look is how often Visible looks.
const look = 100 * time.Microsecond

// Visible waits until answers are of a revision at least. It looks at what answers come from and asks nothing, so that
// nobody is hurried by it.
func (s *Stand) Visible(ctx context.Context, revision model.Revision) error {
	for {
		if now, ok := s.directory.Revision(workload.EnvironmentID); ok && now >= revision {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("revision %d is not visible: %w", revision, ctx.Err())
		case <-time.After(look):
		}
	}
}
