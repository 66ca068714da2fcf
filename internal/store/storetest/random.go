package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// expected is what an environment should hold, kept in the plainest way: each collection as a list in order of first
// insertion.
type expected struct {
	exists   bool
	revision model.Revision
	lists    map[store.CollectionName][]any
}

func (e *expected) clone() *expected {
	out := *e
	out.lists = map[store.CollectionName][]any{}
	for name, list := range e.lists {
		out.lists[name] = slices.Clone(list)
	}
	return &out
}

func (e *expected) put(name store.CollectionName, v any) store.Result {
	for i, old := range e.lists[name] {
		switch {
		case keyOf(old) != keyOf(v):
		case reflect.DeepEqual(old, v):
			return store.Unchanged
		default:
			e.lists[name][i] = v
			return store.Updated
		}
	}
	e.lists[name] = append(e.lists[name], v)
	return store.Created
}

func (e *expected) delete(name store.CollectionName, key string) store.Result {
	before := len(e.lists[name])
	e.lists[name] = slices.DeleteFunc(e.lists[name], func(v any) bool { return keyOf(v) == key })
	if len(e.lists[name]) == before {
		return store.Unchanged
	}
	return store.Deleted
}

// objects is the reference in the form of Contents.Objects.
func (e *expected) objects() map[string]any {
	out := map[string]any{}
	for name, list := range e.lists {
		for _, v := range list {
			if name != store.Assets && name != otherAssets {
				out[string(name)+" "+keyOf(v)] = v
			}
		}
	}
	return out
}

// otherAssets is the list of the assets of template u; store.Assets is that of template t.
const otherAssets store.CollectionName = "assets of u"

// testRandom runs random transactions against the reference, and beside them a follower that knows only the feed: the
// store, the reference and the follower must agree.
func testRandom(t *testing.T, open Open) {
	s := open(t)
	run := 0
	rapid.Check(t, func(r *rapid.T) {
		run++
		m := &machine{
			t: t, s: s, env: model.EnvironmentID(fmt.Sprintf("5b0c0000-0000-4000-8000-%012d", run)),
			want: &expected{}, place: map[string]int64{},
		}
		f := newFollower(t, s, m.env)
		for range rapid.IntRange(1, 10).Draw(r, "transactions") {
			m.step(r)
			m.compare(r)
			if rapid.Bool().Draw(r, "follow") {
				f.follow(r)
			}
		}
		f.follow(r)
		same(r, "the follower's objects", f.objects, m.want.objects())
		same(r, "the follower's assets", f.list("t"), m.want.lists[store.Assets])
		same(r, "the follower's other assets", f.list("u"), m.want.lists[otherAssets])
	})
}

// same compares inside a random run; nil and empty are the same here.
func same[V any](r *rapid.T, what string, got, want V) {
	if reflect.ValueOf(got).Len() == 0 && reflect.ValueOf(want).Len() == 0 {
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

// machine does the random transactions.
type machine struct {
	t     *testing.T
	s     store.Store
	env   model.EnvironmentID
	want  *expected
	place map[string]int64 // where each asset was in the last step
	// renewed are the assets that were deleted in the last committed step: back again, they have another place.
	renewed map[string]bool
}

// step is one transaction of random writes with a random end.
func (m *machine) step(r *rapid.T) {
	next := m.want.clone()
	end := rapid.SampledFrom([]string{"commit", "commit", "commit", "commit", "dry run", "error"}).Draw(r, "end")
	w := write(m.env)
	w.DryRun = end == "dry run"
	touched := map[string]bool{}
	renewed := map[string]bool{}
	commit, err := m.s.Update(context.Background(), w, func(tx *store.Tx) error {
		if !next.exists {
			if _, err := tx.Environments.Put(model.Environment{ID: m.env}); err != nil {
				return err
			}
			next.exists = true
			next.lists = map[store.CollectionName][]any{}
			touched["environment "+string(m.env)] = true
		}
		for range rapid.IntRange(0, 8).Draw(r, "writes") {
			if !next.exists {
				if !rapid.Bool().Draw(r, "again") {
					break
				}
				if _, err := tx.Environments.Put(model.Environment{ID: m.env}); err != nil {
					return err
				}
				next.exists = true
			}
			if err := randomWrite(r, tx, next, touched, renewed); err != nil {
				return err
			}
		}
		if end == "error" {
			return errWanted
		}
		return nil
	})
	if end == "error" {
		if !errors.Is(err, errWanted) {
			r.Fatalf("update: %v", err)
		}
		return
	}
	if err != nil {
		r.Fatalf("update: %v", err)
	}
	named := map[string]bool{}
	for _, c := range commit.Changes {
		named[string(c.Collection)+" "+c.Key] = true
	}
	same(r, "what the commit names", named, touched)
	if end == "commit" {
		if m.want, m.renewed = next, renewed; commit.Changed {
			m.want.revision++
		}
	}
	if commit.Changed != (len(touched) > 0) || commit.Revision != m.want.revision {
		r.Fatalf("%s: %+v, want revision %d", end, commit, m.want.revision)
	}
}

// randomWrite does one write to the store and to the reference, which foretells the result.
func randomWrite(r *rapid.T, tx *store.Tx, e *expected, touched, renewed map[string]bool) error {
	id := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(r, "id")
	name := rapid.SampledFrom([]string{"x", "y"}).Draw(r, "name")
	what := rapid.SampledFrom([]store.CollectionName{
		store.Policies, store.IdentitySources, store.Blocks, store.Assets,
		store.Assets, store.Assets,
	}).Draw(r, "collection")
	kind := rapid.SampledFrom([]string{"put", "put", "put", "put", "delete", "delete", "clear", "move", "environment"}).Draw(r, "write")
	switch {
	case kind == "environment" && id == "b": // its name is not what is in it
		touched["environment "+string(tx.Environment)] = true
		env, err := tx.Environments.Find(tx.Environment)
		if err != nil {
			return err
		}
		env.Name += "'"
		return result("rename environment", store.Updated)(tx.Environments.Put(env))
	case kind == "environment" && id == "a":
		for _, v := range e.lists[store.Assets] {
			renewed[keyOf(v)] = true
		}
		e.exists, e.lists = false, map[store.CollectionName][]any{}
		touched["environment "+string(tx.Environment)] = true
		return result("delete environment", store.Deleted)(tx.Environments.Delete(tx.Environment))
	case kind == "move":
		return randomMove(tx, e, id < "c", touched, renewed)
	case kind == "clear":
		n, err := tx.Assets("t").Clear()
		for _, v := range e.lists[store.Assets] {
			renewed[keyOf(v)] = true
			touched["asset "] = true
		}
		if want := len(e.lists[store.Assets]); n != int64(want) {
			return fmt.Errorf("cleared %d of %d", n, want)
		}
		e.lists[store.Assets] = nil
		return err
	}
	source := model.IdentitySource{TemplateID: "User", ID: id, Name: name}
	var want store.Result
	var got store.Result
	var err error
	change, deleting := "", kind == "delete"
	switch what {
	case store.Policies:
		v := model.Policy{ID: model.PolicyID(id), Name: name}
		change = keyOf(v)
		got, err = putOrDelete(tx.Policies, v.ID, v, deleting)
		want = e.putOrDelete(what, v, deleting)
	case store.IdentitySources:
		change = keyOf(source)
		got, err = putOrDelete(tx.IdentitySources, store.Key{Owner: "User", ID: id}, source, deleting)
		want = e.putOrDelete(what, source, deleting)
	case store.Blocks:
		v := model.Block{ID: model.BlockID(id), Name: name}
		change = keyOf(v)
		got, err = putOrDelete(tx.Blocks, v.ID, v, deleting)
		want = e.putOrDelete(what, v, deleting)
	default:
		v := asset(id, name)
		got, err = putOrDelete(tx.Assets("t"), id, v, deleting)
		if want = e.putOrDelete(what, v, deleting); want == store.Deleted {
			renewed[id] = true
		}
	}
	if want != store.Unchanged {
		touched[string(what)+" "+change] = true
	}
	return result(kind+" "+string(what)+" "+id, want)(got, err)
}

// randomMove moves the assets of t to u, or back.
func randomMove(tx *store.Tx, e *expected, back bool, touched, renewed map[string]bool) error {
	from, to := model.TemplateID("t"), model.TemplateID("u")
	source, target := store.Assets, otherAssets
	if back {
		from, to, source, target = to, from, target, source
	}
	n, err := tx.MoveRecords(store.Assets, from, to)
	moved := e.lists[source]
	switch {
	case len(moved) > 0 && len(e.lists[target]) > 0:
		if !errors.Is(err, store.ErrTaken) {
			return fmt.Errorf("moved over other records: %w", err)
		}
		return nil
	case err != nil || n != int64(len(moved)):
		return fmt.Errorf("moved %d of %d: %w", n, len(moved), err)
	case n == 0:
		return nil
	}
	for _, v := range moved {
		renewed[keyOf(v)] = true
	}
	touched["asset "] = true
	e.lists[target], e.lists[source] = moved, nil
	return nil
}

func (e *expected) putOrDelete(name store.CollectionName, v any, deleting bool) store.Result {
	if deleting {
		return e.delete(name, keyOf(v))
	}
	return e.put(name, v)
}

func putOrDelete[K comparable, V any](c interface {
	Put(v V) (store.Result, error)
	Delete(key K) (store.Result, error)
}, key K, v V, deleting bool,
) (store.Result, error) {
	if deleting {
		return c.Delete(key)
	}
	return c.Put(v)
}

// compare reads the whole environment. Positions ascend in order of insertion, stay where they were, and new ones are
// larger than any before, unless the environment was deleted in between.
func (m *machine) compare(r *rapid.T) {
	got := dump(m.t, m.s, m.env)
	if got.Revision != m.want.revision {
		r.Fatalf("revision %d, want %d", got.Revision, m.want.revision)
	}
	same(r, "objects", got.Objects, m.want.objects())
	var blocks []model.BlockID
	for _, b := range m.want.lists[store.Blocks] {
		blocks = append(blocks, model.BlockID(keyOf(b)))
	}
	same(r, "blocks in order", got.Blocks, blocks)
	var assets []any
	place := map[string]int64{}
	last := int64(0)
	if !m.want.exists {
		m.place = map[string]int64{}
	}
	for _, a := range got.Assets["t"] {
		assets = append(assets, a.Record)
		if a.Position <= last {
			r.Fatalf("positions do not ascend: %v", got.Assets["t"])
		}
		last = a.Position
		path := a.Record.Path
		place[path] = last
		if old, known := m.place[path]; known && !m.renewed[path] && old != last {
			r.Fatalf("%s went from position %d to %d", path, old, last)
		}
	}
	same(r, "assets", assets, m.want.lists[store.Assets])
	var others []any
	for _, a := range got.Assets["u"] {
		others = append(others, a.Record)
	}
	same(r, "assets of u", others, m.want.lists[otherAssets])
	m.place, m.renewed = place, nil
}

// follower builds an environment from the feed and from views of what the feed names.
type follower struct {
	t       *testing.T
	s       store.Store
	env     model.EnvironmentID
	seen    store.Sequence
	objects map[string]any
	assets  map[model.TemplateID]map[int64]model.Asset
}

func newFollower(t *testing.T, s store.Store, env model.EnvironmentID) *follower {
	f := &follower{t: t, s: s, env: env, objects: map[string]any{}, assets: map[model.TemplateID]map[int64]model.Asset{}}
	view(t, s, env, func(tx *store.Tx) error { f.seen = tx.Sequence; return nil })
	return f
}

// follow takes all commits since the last time, a few at once.
func (f *follower) follow(r *rapid.T) {
	for {
		commits, err := f.s.Feed(context.Background(), f.seen, 3)
		if err != nil {
			r.Fatalf("feed: %v", err)
		}
		if len(commits) == 0 {
			return
		}
		for _, c := range commits {
			if c.Sequence != f.seen+1 {
				r.Fatalf("sequence %d follows %d", c.Sequence, f.seen)
			}
			f.seen = c.Sequence
			view(f.t, f.s, f.env, func(tx *store.Tx) error {
				for _, change := range c.Changes {
					if err := f.apply(tx, change); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
}

func (f *follower) apply(tx *store.Tx, c store.Change) error {
	switch c.Collection {
	case store.Policies:
		return fetch(f, c, tx.Policies, model.PolicyID(c.Key))
	case store.Blocks:
		return fetch(f, c, tx.Blocks, model.BlockID(c.Key))
	case store.IdentitySources:
		return fetch(f, c, tx.IdentitySources, store.ParseKey(c.Key))
	case store.Environments:
		if c.Deleted || c.Cleared { // what was in it is gone; what came after is named after
			clear(f.objects)
			clear(f.assets)
		}
		return nil
	}
	if c.Cleared || f.assets[c.Template] == nil {
		f.assets[c.Template] = map[int64]model.Asset{}
	}
	maps.DeleteFunc(f.assets[c.Template], func(_ int64, a model.Asset) bool { return slices.Contains(c.Removed, a.Path) })
	for a, err := range tx.Assets(c.Template).At(c.Positions) {
		if err != nil {
			return err
		}
		f.assets[c.Template][a.Position] = a.Record
	}
	return nil
}

func fetch[K comparable, V any](f *follower, c store.Change, from store.Collection[K, V], key K) error {
	name := string(c.Collection) + " " + c.Key
	v, err := from.Find(key)
	if errors.Is(err, store.ErrNotFound) {
		delete(f.objects, name)
		return nil
	}
	f.objects[name] = v
	return err
}

func (f *follower) list(template model.TemplateID) []any {
	var out []any
	for _, position := range slices.Sorted(maps.Keys(f.assets[template])) {
		out = append(out, f.assets[template][position])
	}
	return out
}
