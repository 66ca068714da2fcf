package manage

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// trial is a write that is made to be looked at: its transaction is rolled back, and what it would have changed is kept
// as two snapshots.
type trial struct {
	s      *Service
	ctx    context.Context //nolint:containedctx // of the one call that the trial is for
	begin  func(*store.Tx) error
	end    func(*store.Tx) error
	before *engine.Snapshot
	after  *engine.Snapshot
}

// run does fn between two looks at the environment. What fn writes is noted by the collections of its transaction.
func (t *trial) run(w *writer, fn func(*writer) error) error {
	if err := mustExist(w.Tx, w.Environment); err != nil {
		return err
	}
	if err := t.begin(w.Tx); err != nil {
		return err
	}
	before, err := t.s.snapshotAt(t.ctx, w.Tx)
	if err != nil {
		return err
	}
	tx := *w.Tx
	n := noteWrites(&tx)
	w.Tx = &tx
	if err := fn(w); err != nil {
		return err
	}
	delta, err := n.delta(&tx, before)
	if err != nil {
		return err
	}
	if t.after, err = before.Next(delta); err != nil {
		return err
	}
	t.before = before
	return t.end(&tx)
}

// How long a trial waits for the snapshot of its transaction's revision.
const (
	snapshotWait = 5 * time.Second
	snapshotStep = 5 * time.Millisecond
)

// snapshotAt is the snapshot of the transaction's state: that of the decision side once it has the revision, or one that
// is read here where there is no decision side.
func (s *Service) snapshotAt(ctx context.Context, tx *store.Tx) (*engine.Snapshot, error) {
	var current *engine.Snapshot
	if s.snapshot != nil {
		current = s.snapshot(tx.Environment)
	}
	if current == nil {
		return readSnapshot(tx)
	}
	for end := time.Now().Add(snapshotWait); current.Revision() != tx.Revision; current = s.snapshot(tx.Environment) {
		if time.Now().After(end) {
			return nil, &model.Error{
				Kind: model.KindUnavailable, Code: "MGT-017", Name: "RevisionNotReachedError",
				Args: []string{fmt.Sprint(tx.Revision)}, Message: fmt.Sprintf("Revision %d is not reached", tx.Revision),
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(snapshotStep):
		}
	}
	return current, nil
}

// readSnapshot compiles what the transaction shows.
func readSnapshot(tx *store.Tx) (*engine.Snapshot, error) {
	c := engine.Configuration{Environment: tx.Environment, Enabled: true}
	var errs []error
	c.AssetTemplates = gathered(tx.AssetTemplates.FindAll(), &errs)
	c.IdentityTemplates = gathered(tx.IdentityTemplates.FindAll(), &errs)
	c.Applications = gathered(tx.Applications.FindAll(), &errs)
	c.Blocks = gathered(tx.Blocks.FindAll(), &errs)
	c.Policies = gathered(tx.Policies.FindAll(), &errs)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s, err := engine.New(c)
	if err != nil {
		return nil, err
	}
	d := engine.Delta{
		Revision: tx.Revision, Assets: map[model.TemplateID]engine.Records[model.Asset]{},
		Identities: map[model.TemplateID]engine.Records[model.Identity]{},
	}
	for _, t := range c.AssetTemplates {
		d.Assets[t.ID] = engine.Records[model.Asset]{Put: unplaced(tx.Assets(t.ID).After(0))}
	}
	for _, t := range c.IdentityTemplates {
		d.Identities[t.ID] = engine.Records[model.Identity]{Put: unplaced(tx.Identities(t.ID).After(0))}
	}
	return s.Next(d)
}

func gathered[V any](all iter.Seq2[V, error], errs *[]error) []V {
	var out []V
	if err := each(all, func(v V) { out = append(out, v) }); err != nil {
		*errs = append(*errs, err)
	}
	return out
}

// unplaced passes records on without their positions.
func unplaced[R any](from iter.Seq2[store.Positioned[R], error]) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		for p, err := range from {
			if !yield(p.Record, err) || err != nil {
				return
			}
		}
	}
}

// notes are the keys that a transaction has written, by collection.
type notes struct {
	assetTypes   map[model.TemplateID]bool
	identities   map[model.TemplateID]bool
	applications map[model.ApplicationID]bool
	blocks       map[model.BlockID]bool
	policies     map[model.PolicyID]bool
	assets       map[model.TemplateID]*recordNotes
	people       map[model.TemplateID]*recordNotes
}

type recordNotes struct {
	cleared bool
	keys    []string // put or deleted, in order, each once
	seen    map[string]bool
}

func (n *recordNotes) add(key string) {
	if !n.seen[key] {
		n.seen[key] = true
		n.keys = append(n.keys, key)
	}
}

// noteWrites replaces those collections of a transaction that decisions read by ones that take notes.
func noteWrites(tx *store.Tx) *notes {
	n := &notes{
		assetTypes: map[model.TemplateID]bool{}, identities: map[model.TemplateID]bool{},
		applications: map[model.ApplicationID]bool{}, blocks: map[model.BlockID]bool{}, policies: map[model.PolicyID]bool{},
		assets: map[model.TemplateID]*recordNotes{}, people: map[model.TemplateID]*recordNotes{},
	}
	tx.AssetTemplates = noted(tx.AssetTemplates, n.assetTypes, func(v *model.AssetTemplate) model.TemplateID { return v.ID })
	tx.IdentityTemplates = noted(tx.IdentityTemplates, n.identities, func(v *model.IdentityTemplate) model.TemplateID { return v.ID })
	tx.Applications = noted(tx.Applications, n.applications, func(v *model.Application) model.ApplicationID { return v.ID })
	tx.Blocks = noted(tx.Blocks, n.blocks, func(v *model.Block) model.BlockID { return v.ID })
	tx.Policies = noted(tx.Policies, n.policies, func(v *model.Policy) model.PolicyID { return v.ID })
	tx.Assets = notedRecords(tx.Assets, n.assets, func(a *model.Asset) string { return a.Path })
	tx.Identities = notedRecords(tx.Identities, n.people, func(i *model.Identity) string { return i.EntityID })
	return n
}

type notedCollection[K comparable, V any] struct {
	store.Collection[K, V]
	keys map[K]bool
	key  func(*V) K
}

func noted[K comparable, V any](c store.Collection[K, V], keys map[K]bool, key func(*V) K) store.Collection[K, V] {
	return &notedCollection[K, V]{c, keys, key}
}

// Put implements store.Collection.
func (c *notedCollection[K, V]) Put(v V) (Result, error) {
	result, err := c.Collection.Put(v)
	if err == nil && result != Unchanged {
		c.keys[c.key(&v)] = true
	}
	return result, err
}

// Delete implements store.Collection.
func (c *notedCollection[K, V]) Delete(key K) (Result, error) {
	result, err := c.Collection.Delete(key)
	if err == nil && result != Unchanged {
		c.keys[key] = true
	}
	return result, err
}

type notedRecordSet[R any] struct {
	store.Records[R]
	notes *recordNotes
	key   func(*R) string
}

func notedRecords[R any](of func(model.TemplateID) store.Records[R], notes map[model.TemplateID]*recordNotes, key func(*R) string) func(model.TemplateID) store.Records[R] {
	return func(id model.TemplateID) store.Records[R] {
		n := notes[id]
		if n == nil {
			n = &recordNotes{seen: map[string]bool{}}
			notes[id] = n
		}
		return &notedRecordSet[R]{of(id), n, key}
	}
}

// Put implements store.Records.
func (r *notedRecordSet[R]) Put(v R) (Result, error) {
	result, err := r.Records.Put(v)
	if err == nil && result != Unchanged {
		r.notes.add(r.key(&v))
	}
	return result, err
}

// Delete implements store.Records.
func (r *notedRecordSet[R]) Delete(key string) (Result, error) {
	result, err := r.Records.Delete(key)
	if err == nil && result != Unchanged {
		r.notes.add(key)
	}
	return result, err
}

// Clear implements store.Records.
func (r *notedRecordSet[R]) Clear() (int64, error) {
	n, err := r.Records.Clear()
	if err == nil && n > 0 {
		*r.notes = recordNotes{cleared: true, seen: map[string]bool{}}
	}
	return n, err
}

// delta reads what the notes name as it is at the end of the transaction.
func (n *notes) delta(tx *store.Tx, before *engine.Snapshot) (engine.Delta, error) {
	var errs []error
	d := engine.Delta{
		Revision: tx.Revision, AssetTemplates: present(tx.AssetTemplates, n.assetTypes, &errs),
		IdentityTemplates: present(tx.IdentityTemplates, n.identities, &errs), Applications: present(tx.Applications, n.applications, &errs),
		Blocks: present(tx.Blocks, n.blocks, &errs), Policies: present(tx.Policies, n.policies, &errs),
	}
	isType := func(id model.TemplateID) (was, is bool, err error) {
		_, was = before.AssetTemplate(id)
		is, err = stored(tx.AssetTemplates, id)
		return was, is, err
	}
	isTemplate := func(id model.TemplateID) (was, is bool, err error) {
		_, was = before.IdentityTemplate(id)
		is, err = stored(tx.IdentityTemplates, id)
		return was, is, err
	}
	var err error
	for _, t := range d.AssetTemplates.Put { // a new one shows whatever is stored under its id
		tx.Assets(t.ID)
	}
	for _, t := range d.IdentityTemplates.Put {
		tx.Identities(t.ID)
	}
	if d.Assets, err = recordDelta(tx.Assets, n.assets, isType); err != nil {
		errs = append(errs, err)
	}
	if d.Identities, err = recordDelta(tx.Identities, n.people, isTemplate); err != nil {
		errs = append(errs, err)
	}
	return d, errors.Join(errs...)
}

func stored[K comparable, V any](c store.Collection[K, V], key K) (bool, error) {
	_, err := c.Find(key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func present[K comparable, V any](from store.Collection[K, V], keys map[K]bool, errs *[]error) engine.Change[K, V] {
	var out engine.Change[K, V]
	for key := range keys {
		v, err := from.Find(key)
		switch {
		case errors.Is(err, store.ErrNotFound):
			out.Deleted = append(out.Deleted, key)
		case err != nil:
			*errs = append(*errs, err)
		default:
			out.Put = append(out.Put, v)
		}
	}
	return out
}

// recordDelta is the change of the records of every template that is there at the end; was and is tell of the template.
func recordDelta[R any](of func(model.TemplateID) store.Records[R], notes map[model.TemplateID]*recordNotes,
	exists func(model.TemplateID) (was, is bool, err error),
) (map[model.TemplateID]engine.Records[R], error) {
	out := map[model.TemplateID]engine.Records[R]{}
	for id, n := range notes {
		was, is, err := exists(id)
		switch {
		case err != nil:
			return nil, err
		case !is:
		case !was:
			out[id] = engine.Records[R]{Put: unplaced(of(id).After(0))}
		case n.cleared || len(n.keys) > 0:
			if out[id], err = changedRecords(of(id), n); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// changedRecords reads the records that the notes name; those that are not there any more are removed.
func changedRecords[R any](from store.Records[R], n *recordNotes) (engine.Records[R], error) {
	out := engine.Records[R]{Clear: n.cleared}
	var put []R
	for _, key := range n.keys {
		r, err := from.Find(key)
		switch {
		case errors.Is(err, store.ErrNotFound):
			out.Removed = append(out.Removed, key)
		case err != nil:
			return out, err
		default:
			put = append(put, r)
		}
	}
	out.Put = func(yield func(R, error) bool) {
		for _, r := range put {
			if !yield(r, nil) {
				return
			}
		}
	}
	return out, nil
}
