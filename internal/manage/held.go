package manage

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// Bounds of the states that pages keep.
const (
	maxStates = 16
	shareFor  = time.Minute // so long after it was made a state is also given to others who ask for its revision
	// linger is how long a state stays after the last page of its last walk, for a caller that lost the answer.
	linger = 30 * time.Second
)

// states are the states of environments that lists are read from page by page, so that all pages of a walk show one
// revision whatever is written meanwhile (management-api.md 19). There are few, and none is older than cursorAge and
// shareFor together: each keeps the store from reusing the space of what was replaced.
type states struct {
	store store.Store

	mu      sync.Mutex
	last    uint64 // id of a state or a walk
	all     []*state
	closing sync.WaitGroup
}

// state is one revision of an environment. Its fields but held are guarded by states.mu or do not change.
type state struct {
	id       uint64
	env      model.EnvironmentID
	revision model.Revision
	owner    model.ClientID // who asked first
	held     store.Held
	made     time.Time // by the clock of timers
	walks    map[uint64]bool
	timer    *time.Timer
}

// begin begins a walk through the given revision, or through the current one when that is held by nobody.
func (ss *states) begin(ctx context.Context, env model.EnvironmentID, revision model.Revision, owner model.ClientID) (*state, uint64, error) {
	if st, walk := ss.share(env, revision); st != nil {
		return st, walk, nil
	}
	held, err := ss.store.Hold(ctx, env)
	if err != nil {
		return nil, 0, err
	}
	st := &state{env: env, owner: owner, held: held, made: time.Now(), walks: map[uint64]bool{}}
	if err := held.View(ctx, func(tx *store.Tx) error { st.revision = tx.Revision; return nil }); err != nil {
		_ = held.Close() // nothing was written
		return nil, 0, err
	}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if len(ss.all) >= maxStates {
		ss.drop(ss.victim())
	}
	ss.last += 2
	st.id = ss.last - 1
	st.walks[ss.last] = true
	st.timer = time.AfterFunc(cursorAge+shareFor, func() { ss.expire(st) })
	ss.all = append(ss.all, st)
	return st, ss.last, nil
}

func (ss *states) share(env model.EnvironmentID, revision model.Revision) (*state, uint64) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, st := range ss.all {
		if age := time.Since(st.made); st.env == env && st.revision == revision && age < shareFor {
			ss.last++
			st.walks[ss.last] = true
			st.timer.Reset(cursorAge + shareFor - age)
			return st, ss.last
		}
	}
	return nil, 0
}

// find is the state of a cursor, nil when it is not held any more.
func (ss *states) find(id uint64) *state {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, st := range ss.all {
		if st.id == id {
			return st
		}
	}
	return nil
}

// end ends a walk that has read its last page. Ending it again changes nothing.
func (ss *states) end(st *state, walk uint64) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if st.walks[walk] {
		delete(st.walks, walk)
		if len(st.walks) == 0 {
			st.timer.Reset(linger)
		}
	}
}

// expire is called by the timer, which may have been set anew while it went off.
func (ss *states) expire(st *state) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if len(st.walks) == 0 || time.Since(st.made) >= cursorAge+shareFor {
		ss.drop(st)
	}
}

// victim is the oldest state of the caller that made most: one that begins lists all the time takes from itself.
func (ss *states) victim() *state {
	counts := map[model.ClientID]int{}
	for _, st := range ss.all {
		counts[st.owner]++
	}
	most := ss.all[0]
	for _, st := range ss.all {
		if counts[st.owner] > counts[most.owner] {
			most = st
		}
	}
	return most
}

// drop gives a state up without waiting for who reads it. The caller holds ss.mu.
func (ss *states) drop(st *state) {
	at := slices.Index(ss.all, st)
	if at < 0 {
		return
	}
	ss.all = slices.Delete(ss.all, at, at+1)
	st.timer.Stop()
	ss.closing.Go(func() { _ = st.held.Close() }) // nothing was written
}

// forget gives up the states of an environment that has been deleted: one that is made anew under its id is another one.
func (ss *states) forget(env model.EnvironmentID) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, st := range slices.Clone(ss.all) {
		if st.env == env {
			ss.drop(st)
		}
	}
}

// close gives all states up.
func (ss *states) close() {
	ss.mu.Lock()
	for len(ss.all) > 0 {
		ss.drop(ss.all[0])
	}
	ss.mu.Unlock()
	ss.closing.Wait()
}
