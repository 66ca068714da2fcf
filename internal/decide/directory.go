package decide

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/identity"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// Source is what the directory follows; every store.Store is one.
type Source interface {
	View(ctx context.Context, env model.EnvironmentID, fn func(*store.Tx) error) error
	Feed(ctx context.Context, after store.Sequence, limit int) ([]store.Commit, error)
	Watch(ctx context.Context) <-chan struct{}
}

// DirectoryOptions configure a Directory. Store and Clock are needed.
type DirectoryOptions struct {
	Store Source
	Clock func() time.Time
	Log   *slog.Logger
	// MaxStaleness is how long decisions go on while the store cannot be read (F5); 0 = not at all.
	MaxStaleness time.Duration
	// Poll is how often the store is asked for commits although it announced none; 0 = a second.
	Poll time.Duration
	Past Past
}

// Directory holds the snapshots of all environments and the scopes that may ask them, one atomic pointer for each
// environment. Run keeps them up with the store. Reading never waits. It is safe for concurrent use.
type Directory struct {
	options DirectoryOptions
	routes  atomic.Pointer[routes]
	contact atomic.Pointer[contact]
	nudge   chan struct{} // asks Run to look at the store now
	follow  sync.Mutex    // held by whoever follows the store
	cursor  store.Sequence
	states  uint64 // how many were made

	looks  sync.Mutex
	queued chan struct{} // the look that waits to begin, closed at its end; nil = none waits
}

// contact is the last contact with the store.
type contact struct {
	at      time.Time // of the last success; zero = never
	failing bool
}

// routes finds environments. A routes value never changes.
type routes struct {
	environments map[model.EnvironmentID]*environment
	clients      map[model.ClientID]*environment
}

// environment is one environment as it is followed.
type environment struct {
	id    model.EnvironmentID
	state atomic.Pointer[state]

	mu      sync.Mutex
	changed chan struct{} // closed when state changes
	past    past
	clock   func() time.Time

	// Of the follower.
	applied store.Sequence
	pending *change // committed but not in state: the last attempt failed
}

// state is one revision of an environment; it never changes. snapshot is nil while no configuration has compiled.
type state struct {
	snapshot *engine.Snapshot
	enabled  bool
	scopes   map[model.ClientID]*model.Scope
	keys     []model.SigningKey // that sign, and those that did before
	revoked  map[string]bool    // ids of access tokens that were ended before their time
	matchers []identity.Matcher
	mappers  apiMappers
	shown    map[string]bool    // keys of the policy custom attributes that are available to the PDP
	jwt      *model.JWTSettings // of scopes and matchers that have none of their own
	// number is of no other state of the directory: a revision may have several, when what belongs to it does not compile
	// or its environment is made again.
	number uint64
}

// NewDirectory makes an empty directory: not ready until Load or Run has read the store.
func NewDirectory(o DirectoryOptions) *Directory {
	o.Log = cmp.Or(o.Log, slog.Default())
	if o.Poll <= 0 {
		o.Poll = time.Second
	}
	d := &Directory{options: o, nudge: make(chan struct{}, 1)}
	d.routes.Store(&routes{})
	d.contact.Store(&contact{})
	return d
}

// Ready reports whether decisions can be answered: nil, or an error of kind unavailable while nothing was loaded yet or
// the store has been away for longer than MaxStaleness (F4, F5).
func (d *Directory) Ready() error {
	c := d.contact.Load()
	if c.at.IsZero() {
		return notReady(fmt.Errorf("nothing is loaded yet"))
	}
	limit := d.options.MaxStaleness
	if !c.failing {
		limit += d.patience()
	}
	if age := d.options.Clock().Sub(c.at); age > limit {
		return notReady(fmt.Errorf("the store has been away for %s", age))
	}
	return nil
}

// answerTime is how long a look at the store may take before it counts as away, though no error says so: a large change
// takes its time, a store that hangs takes forever.
const answerTime = time.Minute

func (d *Directory) patience() time.Duration { return max(answerTime, 2*d.options.Poll) }

// StorageUp reports whether the last contact with the store succeeded.
func (d *Directory) StorageUp() bool {
	c := d.contact.Load()
	return !c.failing && !c.at.IsZero()
}

// Stale is how long before now the store was read, 0 while it can be (F5).
func (d *Directory) Stale(now time.Time) time.Duration {
	c := d.contact.Load()
	age := now.Sub(c.at)
	if c.at.IsZero() || !c.failing && age <= d.patience() {
		return 0
	}
	return max(age, 1)
}

// Revisions are the revisions that environments are answered at. One that never compiled has none.
func (d *Directory) Revisions() map[model.EnvironmentID]model.Revision {
	out := map[model.EnvironmentID]model.Revision{}
	for id, e := range d.routes.Load().environments {
		if snapshot := e.state.Load().snapshot; snapshot != nil {
			out[id] = snapshot.Revision()
		}
	}
	return out
}

// Revision is the revision that an environment is answered at; ok is false when it is not known or did not compile.
func (d *Directory) Revision(env model.EnvironmentID) (revision model.Revision, ok bool) {
	snapshot := d.Snapshot(env)
	if snapshot == nil {
		return 0, false
	}
	return snapshot.Revision(), true
}

// Snapshot is the snapshot that an environment is answered from, nil when there is none.
func (d *Directory) Snapshot(env model.EnvironmentID) *engine.Snapshot {
	e, ok := d.routes.Load().environments[env]
	if !ok {
		return nil
	}
	return e.state.Load().snapshot
}

// WaitRevision returns when env is answered at revision or later; it asks for a look at the store at once. When ctx ends
// before, it returns MGT-017 (management-api.md 1.7). The tenant ("") has no snapshot to wait for.
func (d *Directory) WaitRevision(ctx context.Context, env model.EnvironmentID, revision model.Revision) error {
	if env == "" {
		return nil
	}
	for {
		e, ok := d.routes.Load().environments[env]
		if ok {
			changed := e.watch()
			if at, ok := d.Revision(env); ok && at >= revision {
				return nil
			}
			d.Nudge()
			select {
			case <-changed:
				continue
			case <-ctx.Done():
			}
			return notReached(revision, ctx.Err())
		}
		d.Nudge()
		select {
		case <-time.After(10 * time.Millisecond): // a new environment: there is nothing to watch yet
		case <-ctx.Done():
			return notReached(revision, ctx.Err())
		}
	}
}

func notReached(revision model.Revision, err error) error {
	return &model.Error{
		Kind: model.KindUnavailable, Code: "MGT-017", Name: "RevisionNotReachedError",
		Args: []string{fmt.Sprint(revision)}, Message: fmt.Sprintf("Revision %d is not reached", revision), Err: err,
	}
}

// look catches up with the store, waiting for it at most for the given time. What takes longer goes on by itself. All who
// come before a look begins share it: calls that are not authenticated yet look, too, and must not stand in line behind a store
// that hangs.
func (d *Directory) look(wait time.Duration) {
	d.looks.Lock()
	next := d.queued
	if next == nil {
		next = make(chan struct{})
		d.queued = next
		go d.lookNow(next)
	}
	d.looks.Unlock()
	select {
	case <-next:
	case <-time.After(wait):
	}
}

func (d *Directory) lookNow(done chan struct{}) {
	defer close(done)
	d.follow.Lock()
	defer d.follow.Unlock()
	d.looks.Lock()
	d.queued = nil // what is committed from here on may not be seen: who comes now needs another one
	d.looks.Unlock()
	_ = d.catchUp(context.Background()) // logged
}

// Nudge makes Run look at the store now.
func (d *Directory) Nudge() {
	select {
	case d.nudge <- struct{}{}:
	default: // one is waiting already
	}
}

// find gives the scope of a client id with its environment and the state that both were read from. The scope is nil
// when it is not known, disabled, or of a disabled environment (policy-model.md 2.2, 2.4).
func (d *Directory) find(id model.ClientID) (*environment, *state, *model.Scope) {
	env, ok := d.routes.Load().clients[id]
	if !ok {
		return nil, nil, nil
	}
	st := env.state.Load()
	scope, ok := st.scopes[id]
	if !ok || !scope.Enabled || !st.enabled {
		return nil, nil, nil
	}
	return env, st, scope
}

// SigningKeys are the keys of all environments that sign answers, and those that did before (runtime-api.md 8.7).
func (d *Directory) SigningKeys() []model.SigningKey {
	var out []model.SigningKey
	environments := d.routes.Load().environments
	for _, id := range slices.Sorted(maps.Keys(environments)) {
		out = append(out, environments[id].state.Load().keys...)
	}
	return out
}

// signingKey is the key of that name which signs, nil when there is none.
func (s *state) signingKey(name string) *model.SigningKey {
	for i := range s.keys {
		if k := &s.keys[i]; k.Name == name && k.Retired == "" {
			return k
		}
	}
	return nil
}

// watch returns a channel that is closed at the next change of state.
func (e *environment) watch() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.changed == nil {
		e.changed = make(chan struct{})
	}
	return e.changed
}

// publish makes st the state that new calls see.
func (e *environment) publish(st *state) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.past.add(st, e.clock())
	e.state.Store(st)
	if e.changed != nil {
		close(e.changed)
		e.changed = nil
	}
}
