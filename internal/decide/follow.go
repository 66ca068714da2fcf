package decide

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/identity"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// feedLimit is how many commits are read at a time.
const feedLimit = 1000

// Run follows the store until ctx ends. Failures are logged and tried again: decisions go on from what was read before
// (F3, F5).
func (d *Directory) Run(ctx context.Context) {
	watch := d.options.Store.Watch(ctx)
	tick := time.NewTicker(d.options.Poll)
	defer tick.Stop()
	for {
		_ = d.CatchUp(ctx) // logged
		select {
		case <-ctx.Done():
			return
		case _, open := <-watch:
			if !open {
				watch = nil // the ticker goes on
			}
		case <-tick.C:
			d.forget()
		case <-d.nudge:
		}
	}
}

// CatchUp brings the directory up to what the store holds now: everything at the first call, what changed since at the
// following ones.
func (d *Directory) CatchUp(ctx context.Context) error {
	d.follow.Lock()
	defer d.follow.Unlock()
	return d.catchUp(ctx)
}

// catchUp is CatchUp of who follows the store.
func (d *Directory) catchUp(ctx context.Context) error {
	before := d.contact.Load()
	var err error
	if before.at.IsZero() {
		err = d.loadAll(ctx)
	} else {
		err = d.followFeed(ctx)
	}
	if errors.Is(err, store.ErrTrimmed) {
		d.options.Log.Warn("the change feed was trimmed: reading everything again")
		err = d.loadAll(ctx)
	}
	switch {
	case err == nil:
		if before.failing {
			d.options.Log.Info("the store can be read again")
		}
		d.contact.Store(&contact{at: d.options.Clock()})
	case ctx.Err() != nil:
		return ctx.Err() // the caller gave up: that says nothing of the store
	default:
		if !before.failing {
			d.options.Log.Error("the store cannot be read", "error", err)
		}
		d.contact.Store(&contact{at: before.at, failing: true})
	}
	return err
}

// loadAll reads every environment. Those that exist already keep answering until their new state is ready.
func (d *Directory) loadAll(ctx context.Context) error {
	var ids []model.EnvironmentID
	var cursor store.Sequence
	err := d.options.Store.View(ctx, "", func(tx *store.Tx) error {
		cursor = tx.Sequence
		for env, err := range tx.Environments.FindAll() {
			if err != nil {
				return err
			}
			ids = append(ids, env.ID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	known := map[model.EnvironmentID]*environment{}
	for _, id := range ids {
		e, err := d.step(ctx, id, d.routes.Load().environments[id], &change{whole: true})
		if err != nil {
			return err
		}
		if e != nil {
			known[id] = e
		}
	}
	d.route(known)
	d.cursor = cursor
	return nil
}

// followFeed applies the commits after the cursor.
func (d *Directory) followFeed(ctx context.Context) error {
	for {
		commits, err := d.options.Store.Feed(ctx, d.cursor, feedLimit)
		if err != nil || len(commits) == 0 {
			return err
		}
		if err := d.apply(ctx, commits); err != nil {
			return err
		}
		d.cursor = commits[len(commits)-1].Sequence
		if len(commits) < feedLimit {
			return nil // what came after is announced
		}
	}
}

// apply brings every environment that the commits touch up to date, and the routes after them.
func (d *Directory) apply(ctx context.Context, commits []store.Commit) error {
	current := d.routes.Load().environments
	var touched []model.EnvironmentID
	seen := map[model.EnvironmentID]bool{}
	touch := func(id model.EnvironmentID) {
		if id != "" && !seen[id] {
			seen[id] = true
			touched = append(touched, id)
		}
	}
	for _, c := range commits {
		touch(c.Environment)
		for _, ch := range c.Changes {
			if ch.Collection == store.Environments {
				touch(model.EnvironmentID(ch.Key))
			}
		}
	}
	known := maps.Clone(current)
	if known == nil {
		known = map[model.EnvironmentID]*environment{}
	}
	for _, id := range touched {
		e := current[id]
		if e != nil && !e.behind(commits) {
			continue
		}
		changes := &change{whole: true}
		if e != nil {
			changes = e.gather(commits)
		}
		e, err := d.step(ctx, id, e, changes)
		if err != nil {
			return err
		}
		if known[id] = e; e == nil {
			delete(known, id)
		}
		// a route follows its environment at once: a new scope must not wait for the other environments
		d.route(known)
	}
	return nil
}

// behind reports whether e has not seen one of the commits.
func (e *environment) behind(commits []store.Commit) bool {
	return commits[len(commits)-1].Sequence > e.applied
}

// gather adds to what is pending the changes of the commits that e has not seen.
func (e *environment) gather(commits []store.Commit) *change {
	if e.pending == nil {
		e.pending = &change{}
	}
	for _, c := range commits {
		if c.Sequence <= e.applied {
			continue
		}
		if c.Environment == e.id {
			e.pending.add(c.Changes)
			continue
		}
		for i := range c.Changes {
			if ch := &c.Changes[i]; ch.Collection == store.Environments && ch.Key == string(e.id) {
				e.pending.add(c.Changes[i : i+1])
			}
		}
	}
	return e.pending
}

// step takes environment id to the state that the store holds now. e is nil for one that is not known yet; the result is
// nil when the environment is gone. An environment that does not compile is no error: it keeps its last snapshot (F3),
// with the scopes of the new revision, so that a scope that was disabled is refused at once.
func (d *Directory) step(ctx context.Context, id model.EnvironmentID, e *environment, c *change) (*environment, error) {
	gone := false
	old := &state{}
	if e == nil {
		e = &environment{id: id, clock: d.options.Clock, past: past{bounds: d.options.Past.withDefaults()}}
	} else {
		old = e.state.Load()
	}
	e.pending = c
	err := d.options.Store.View(ctx, id, func(tx *store.Tx) error {
		env, err := tx.Environments.Find(id)
		if errors.Is(err, store.ErrNotFound) {
			gone = true
			return nil
		}
		if err != nil {
			return err
		}
		if err := d.extend(ctx, e, tx.Sequence); err != nil {
			return err
		}
		next, err := d.next(tx, env, old, e.pending)
		if err != nil {
			return err
		}
		e.applied = tx.Sequence
		e.publish(next)
		if next.snapshot != nil && next.snapshot.Revision() == tx.Revision {
			e.pending = nil
		}
		return nil
	})
	if gone {
		e.publish(&state{})
		return nil, err
	}
	return e, err
}

// extend gathers the commits between the cursor and last, the newest one that the transaction shows: the snapshot's
// label must tell all of what it holds.
func (d *Directory) extend(ctx context.Context, e *environment, last store.Sequence) error {
	if e.pending.whole {
		return nil
	}
	for after := max(d.cursor, e.applied); after < last; {
		commits, err := d.options.Store.Feed(ctx, after, feedLimit)
		if err != nil {
			return err
		}
		for i, c := range commits {
			if c.Sequence > last {
				commits = commits[:i]
				break
			}
		}
		if len(commits) == 0 {
			return nil
		}
		e.gather(commits)
		after = commits[len(commits)-1].Sequence
	}
	return nil
}

// next makes the state after old.
func (d *Directory) next(tx *store.Tx, env model.Environment, old *state, c *change) (*state, error) {
	d.states++
	st := *old
	st.number = d.states
	st.enabled, st.jwt = env.Enabled, env.JWT
	var err error
	if c.whole || c.scopes {
		if st.scopes, err = readScopes(tx); err != nil {
			return nil, err
		}
	}
	if c.whole || c.signingKeys {
		r := reader{tx: tx}
		if st.keys = all(&r, tx.SigningKeys); r.failed != nil {
			return nil, r.failed
		}
	}
	if c.whole || c.revocations {
		if st.revoked, err = readRevoked(tx); err != nil {
			return nil, err
		}
	}
	if c.whole || c.matchers {
		if st.matchers, err = d.readMatchers(tx); err != nil {
			return nil, err
		}
	}
	if c.whole || c.customAttributes {
		if st.shown, err = readShown(tx); err != nil {
			return nil, err
		}
	}
	if st.mappers, err = d.readMappers(tx, old.mappers, c); err != nil {
		return nil, err
	}
	r := reader{tx: tx}
	snapshot, err := r.compile(env, old.snapshot, c)
	switch {
	case r.failed != nil:
		return nil, r.failed
	case err != nil:
		d.options.Log.Error("the environment does not compile: the previous revision goes on", "environment", env.ID,
			"revision", tx.Revision, "error", err)
	default:
		st.snapshot = snapshot
	}
	return &st, nil
}

// route makes the environments and the scopes in them findable.
func (d *Directory) route(known map[model.EnvironmentID]*environment) {
	old := d.routes.Load()
	next := &routes{environments: maps.Clone(known), clients: map[model.ClientID]*environment{}}
	for _, e := range known {
		for id := range e.state.Load().scopes {
			next.clients[id] = e
		}
	}
	if !maps.Equal(old.environments, next.environments) || !maps.Equal(old.clients, next.clients) {
		d.routes.Store(next)
	}
}

func readScopes(tx *store.Tx) (map[model.ClientID]*model.Scope, error) {
	out := map[model.ClientID]*model.Scope{}
	for s, err := range tx.Scopes.FindAll() {
		if err != nil {
			return nil, err
		}
		out[s.ClientID] = &s
	}
	return out, nil
}

// readShown lists the policy custom attributes that answers may tell (policy-model.md 3.13).
func readShown(tx *store.Tx) (map[string]bool, error) {
	out := map[string]bool{}
	for a, err := range tx.CustomAttributes.FindAll() {
		if err != nil {
			return nil, err
		}
		out[a.Key] = a.AvailableForPDP
	}
	return out, nil
}

// readMatchers compiles the matchers of the environment. One that cannot be compiled never hits.
func (d *Directory) readMatchers(tx *store.Tx) ([]identity.Matcher, error) {
	var out []identity.Matcher
	for ws, err := range tx.IdentityWorkspaces.FindAll() {
		if err != nil {
			return nil, err
		}
		if ws.Matcher == nil {
			continue
		}
		m, err := identity.NewMatcher(ws.TemplateID, *ws.Matcher)
		if err != nil {
			d.options.Log.Error("an identity matcher is not readable and never hits", "environment", tx.Environment,
				"template", ws.TemplateID, "error", err)
			continue
		}
		out = append(out, m)
	}
	identity.SortMatchers(out)
	return out, nil
}

// compile makes the snapshot after old, or the first one. Whole reads go through an empty snapshot, so that there is one
// way to read records.
func (r *reader) compile(env model.Environment, old *engine.Snapshot, c *change) (*engine.Snapshot, error) {
	if old == nil || c.whole {
		cfg, err := r.configuration(env)
		if err != nil {
			return nil, err
		}
		if old, err = engine.New(cfg); err != nil {
			return nil, fmt.Errorf("compile: %w", err)
		}
		return old.Next(r.allRecords(cfg, r.tx.Revision))
	}
	delta, err := r.delta(env, old, c)
	if err != nil {
		return nil, err
	}
	return old.Next(delta)
}
