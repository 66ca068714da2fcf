package decide

import (
	"errors"
	"iter"
	"slices"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// reader reads what an engine needs out of one transaction. failed keeps the first error of the store, which tells a
// failing store from a configuration that does not compile.
type reader struct {
	tx     *store.Tx
	failed error
}

func (r *reader) fail(err error) error {
	if err != nil && r.failed == nil {
		r.failed = err
	}
	return err
}

// configuration reads everything but records.
func (r *reader) configuration(env model.Environment) (engine.Configuration, error) {
	cfg := engine.Configuration{
		Environment: env.ID, Enabled: env.Enabled,
		AssetTemplates: all(r, r.tx.AssetTemplates), IdentityTemplates: all(r, r.tx.IdentityTemplates),
		Applications: all(r, r.tx.Applications), Blocks: all(r, r.tx.Blocks), Policies: all(r, r.tx.Policies),
	}
	return cfg, r.failed
}

func all[K comparable, V any](r *reader, from store.Collection[K, V]) []V {
	var out []V
	for v, err := range from.FindAll() {
		if r.fail(err) != nil {
			return nil
		}
		out = append(out, v)
	}
	return out
}

// allRecords is the delta that fills an empty snapshot, streamed from the store.
func (r *reader) allRecords(cfg engine.Configuration, revision model.Revision) engine.Delta {
	d := engine.Delta{
		Revision: revision, Assets: map[model.TemplateID]engine.Records[model.Asset]{},
		Identities: map[model.TemplateID]engine.Records[model.Identity]{},
	}
	for _, t := range cfg.AssetTemplates {
		d.Assets[t.ID] = engine.Records[model.Asset]{Put: stream(r, r.tx.Assets(t.ID).After(0))}
	}
	for _, t := range cfg.IdentityTemplates {
		d.Identities[t.ID] = engine.Records[model.Identity]{Put: stream(r, r.tx.Identities(t.ID).After(0))}
	}
	return d
}

// stream passes records on without their positions.
func stream[R any](r *reader, from iter.Seq2[store.Positioned[R], error]) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		for p, err := range ahead(from) {
			if !yield(p.Record, r.fail(err)) || err != nil {
				return
			}
		}
	}
}

// batch is how many records pass from reading to indexing at a time.
const batch = 512

// ahead reads from in a goroutine of its own, a few batches ahead of its reader, so that decoding records and indexing
// them each have a processor. The goroutine has ended when the iteration has.
func ahead[V any](from iter.Seq2[V, error]) iter.Seq2[V, error] {
	type item struct {
		value V
		err   error
	}
	return func(yield func(V, error) bool) {
		batches, stop := make(chan []item, 4), make(chan struct{})
		defer func() {
			close(stop)
			for range batches { // until the goroutine has closed it
			}
		}()
		go func() {
			defer close(batches)
			var next []item // grows with what there is: most changes are of a few records
			pass := func() bool {
				select {
				case batches <- next:
					next = nil
					return true
				case <-stop:
					return false
				}
			}
			for v, err := range from {
				if next = append(next, item{v, err}); len(next) == batch && !pass() {
					return
				}
			}
			pass()
		}()
		for items := range batches {
			for _, i := range items {
				if !yield(i.value, i.err) {
					return
				}
			}
		}
	}
}

// delta reads what c names.
func (r *reader) delta(env model.Environment, old *engine.Snapshot, c *change) (engine.Delta, error) {
	d := engine.Delta{
		Revision:          r.tx.Revision,
		AssetTemplates:    objects(r, r.tx.AssetTemplates, c.assetTemplates),
		IdentityTemplates: objects(r, r.tx.IdentityTemplates, c.identityTemplates),
		Applications:      objects(r, r.tx.Applications, c.applications),
		Blocks:            objects(r, r.tx.Blocks, c.blocks),
		Policies:          objects(r, r.tx.Policies, c.policies),
	}
	if env.Enabled != old.Enabled() {
		d.Enabled = &env.Enabled
	}
	isAsset := func(id model.TemplateID) bool { _, ok := old.AssetTemplate(id); return ok }
	isIdentity := func(id model.TemplateID) bool { _, ok := old.IdentityTemplate(id); return ok }
	var fresh, freshIdentity []model.TemplateID
	for _, t := range d.AssetTemplates.Put {
		before, known := old.AssetTemplate(t.ID)
		if !known || gains(t.Attributes, func(a model.AssetAttribute) bool {
			b, ok := before.Attribute(a.ID)
			return ok && (a.IsCalculated || !b.IsCalculated)
		}) {
			fresh = append(fresh, t.ID)
		}
	}
	for _, t := range d.IdentityTemplates.Put {
		before, known := old.IdentityTemplate(t.ID)
		if !known || gains(t.Attributes, func(a model.IdentityAttribute) bool {
			b, ok := before.Attribute(a.ID)
			return ok && (a.IsCalculated || !b.IsCalculated)
		}) {
			freshIdentity = append(freshIdentity, t.ID)
		}
	}
	for _, id := range d.AssetTemplates.Deleted {
		delete(c.assets, id)
	}
	for _, id := range d.IdentityTemplates.Deleted {
		delete(c.identities, id)
	}
	d.Assets = changed(r, r.tx.Assets, c.assets, fresh, isAsset)
	d.Identities = changed(r, r.tx.Identities, c.identities, freshIdentity, isIdentity)
	return d, r.failed
}

// gains reports whether a template has an attribute that it had not before, or that was calculated and is no more: its
// records may hold values of it that the snapshot never saw, from a time when the attribute was declared.
func gains[A any](attributes []A, had func(A) bool) bool {
	return slices.ContainsFunc(attributes, func(a A) bool { return !had(a) })
}

func objects[K comparable, V any](r *reader, from store.Collection[K, V], keys map[K]bool) engine.Change[K, V] {
	var out engine.Change[K, V]
	for key := range keys {
		v, err := from.Find(key)
		switch {
		case errors.Is(err, store.ErrNotFound):
			out.Deleted = append(out.Deleted, key)
		case r.fail(err) != nil:
			return out
		default:
			out.Put = append(out.Put, v)
		}
	}
	return out
}

// changed gathers the changes of records: those named by the feed, and all records of fresh templates, which are new or
// have gained attributes. Records of templates that do not exist are passed over; they are read when their template
// appears.
func changed[R any](r *reader, of func(model.TemplateID) store.Records[R], named map[model.TemplateID]*records,
	fresh []model.TemplateID, known func(model.TemplateID) bool,
) map[model.TemplateID]engine.Records[R] {
	out := map[model.TemplateID]engine.Records[R]{}
	for id, ch := range named {
		if !known(id) {
			continue
		}
		rec := engine.Records[R]{Clear: ch.cleared, Removed: ch.removed}
		if len(ch.positions) > 0 {
			rec.Put = stream(r, of(id).At(ch.sorted()))
		}
		out[id] = rec
	}
	for _, id := range fresh {
		out[id] = engine.Records[R]{Clear: true, Put: stream(r, of(id).After(0))}
	}
	return out
}
