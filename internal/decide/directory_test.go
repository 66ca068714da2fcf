package decide

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/store/sqlite"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// env makes the id of an environment.
func env(n int) model.EnvironmentID {
	return model.EnvironmentID(fmt.Sprintf("00000000-0000-4000-8000-%012d", n))
}

func open(t testing.TB) *sqlite.Store {
	t.Helper()
	db, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "ambit.db"), sqlite.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, db.Close()) })
	return db
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func update(t testing.TB, db *sqlite.Store, id model.EnvironmentID, fn func(*store.Tx) error) store.Commit {
	t.Helper()
	c, err := db.Update(context.Background(), store.Write{Environment: id, Time: noon}, fn)
	check(t, err)
	return c
}

func directory(t testing.TB, source Source) *Directory {
	t.Helper()
	d := NewDirectory(DirectoryOptions{Store: source, Clock: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler), MaxStaleness: time.Hour})
	check(t, d.CatchUp(context.Background()))
	return d
}

// fill writes an environment in which everybody may see every item of shelf A.
func fill(tx *store.Tx) error {
	_, e1 := tx.AssetTemplates.Put(itemType("A"))
	_, e2 := tx.IdentityTemplates.Put(model.IdentityTemplate{ID: "P", WorkspaceID: "i", Attributes: []model.IdentityAttribute{{ID: "uid", Type: model.String}}})
	_, e3 := tx.Applications.Put(model.Application{ID: "app", WorkspaceID: "a", AssetTemplateIDs: []model.TemplateID{"A", "B"}})
	_, e4 := tx.Blocks.Put(model.Block{ID: "g", Kind: model.KindDynamicGroup, WorkspaceID: "i", Template: "P", Branches: []model.Branch{{}}})
	_, e5 := tx.Blocks.Put(rulesetOn("A"))
	_, e6 := tx.Policies.Put(policyOn("A"))
	_, e7 := tx.Identities("P").Put(model.Identity{EntityID: "me"})
	_, e8 := tx.Scopes.Put(model.Scope{ClientID: model.ClientID("client-" + tx.Environment), EnvironmentID: tx.Environment, Enabled: true, ApplicationIDs: []model.ApplicationID{"app"}})
	return errors.Join(e1, e2, e3, e4, e5, e6, e7, e8)
}

func itemType(id model.TemplateID) model.AssetTemplate {
	return model.AssetTemplate{
		ID: id, WorkspaceID: "a", DisplayName: string(id), Source: model.SourcePlainID,
		Attributes: []model.AssetAttribute{{ID: "shelf", DisplayName: "shelf", Type: model.String}}, Actions: []model.Action{{ID: "see", Value: "see"}},
	}
}

func rulesetOn(id model.TemplateID) model.Block {
	return model.Block{ID: model.BlockID("r-" + id), Kind: model.KindRuleset, WorkspaceID: "a", Template: id, Branches: []model.Branch{{Rules: []model.Rule{
		{Left: model.Ref{Side: model.SideAsset, Attribute: "shelf"}, Op: model.OpEqual, Literals: []model.Literal{{Text: "A"}}},
	}}}}
}

func policyOn(id model.TemplateID) model.Policy {
	return model.Policy{
		ID: model.PolicyID("p-" + id), WorkspaceID: "a", Name: "p", Access: model.Allow, Use: model.PolicyUseDynamic,
		DynamicGroups: []model.BlockID{"g"}, Rulesets: []model.RulesetUse{{BlockID: model.BlockID("r-" + id), AllActions: true}},
	}
}

func item(path, shelf string) model.Asset {
	return model.Asset{Path: path, Attributes: model.Attributes{"shelf": {shelf}}}
}

func putItems(tx *store.Tx, id model.TemplateID, items ...model.Asset) error {
	for _, a := range items {
		if _, err := tx.Assets(id).Put(a); err != nil {
			return err
		}
	}
	return nil
}

// renameType gives an asset type another id with all that hangs on it (MG-43), unless the id has an own type or records.
func renameType(tx *store.Tx, from, to model.TemplateID) error {
	if _, err := tx.AssetTemplates.Find(from); errors.Is(err, store.ErrNotFound) {
		return nil
	}
	switch _, err := tx.MoveRecords(store.Assets, from, to); {
	case errors.Is(err, store.ErrTaken):
		return nil
	case err != nil:
		return err
	}
	ruleset := rulesetOn("A")
	ruleset.Template = to
	_, e1 := tx.AssetTemplates.Delete(from)
	_, e2 := tx.AssetTemplates.Put(itemType(to))
	_, e3 := tx.Blocks.Put(ruleset)
	return errors.Join(e1, e2, e3)
}

// seen lists what everybody may see, in the order of the answer.
func seen(t testing.TB, s *engine.Snapshot) string {
	t.Helper()
	if s == nil {
		return "no snapshot"
	}
	if _, ok := s.IdentityTemplate("P"); !ok {
		return fmt.Sprint(s.Revision(), " ")
	}
	r, err := s.Bind(engine.Question{Applications: []model.ApplicationID{"app"}, Identities: []engine.Identity{{Template: "P", EntityID: "me"}}, Instant: noon})
	check(t, err)
	a, err := r.Select(engine.Selection{})
	check(t, err)
	var out []string
	for e := range a.Entries() {
		out = append(out, string(e.Template())+":"+e.Path())
	}
	return fmt.Sprint(s.Revision(), " ", strings.Join(out, " "))
}

// The life of environments as the directory follows it: made, filled, changed, disabled, deleted; templates whose
// records were there before them; scopes that come and go.
func TestFollow(t *testing.T) {
	db := open(t)
	d := directory(t, db)
	tenant := func(id model.EnvironmentID, enabled bool) func() {
		return func() {
			update(t, db, "", func(tx *store.Tx) error {
				_, err := tx.Environments.Put(model.Environment{ID: id, Enabled: enabled})
				return err
			})
		}
	}
	in := func(id model.EnvironmentID, fn func(*store.Tx) error) func() {
		return func() { update(t, db, id, fn) }
	}
	steps := []struct {
		name   string
		do     func()
		want   string
		scopes bool // env 1's scope is found
	}{
		{"made", tenant(env(1), true), "0 ", false},
		{"filled", in(env(1), fill), "1 ", true},
		{"other environment", tenant(env(2), true), "1 ", true},
		{"other environment filled", in(env(2), func(tx *store.Tx) error { return errors.Join(fill(tx), putItems(tx, "A", item("x", "A"))) }), "1 ", true},
		{"assets", in(env(1), func(tx *store.Tx) error {
			return putItems(tx, "A", item("c", "A"), item("b", "A"), item("a", "B"), item("d", "A"))
		}), "2 A:c A:b A:d", true},
		{"changed in place", in(env(1), func(tx *store.Tx) error { return putItems(tx, "A", item("a", "A"), item("c", "B")) }), "3 A:b A:a A:d", true},
		{"removed and put again", in(env(1), func(tx *store.Tx) error {
			_, err := tx.Assets("A").Delete("b")
			return errors.Join(err, putItems(tx, "A", item("b", "A")))
		}), "4 A:a A:d A:b", true},
		{"records before their template", in(env(1), func(tx *store.Tx) error { return putItems(tx, "B", item("z", "A")) }), "5 A:a A:d A:b", true},
		{"their template", in(env(1), func(tx *store.Tx) error {
			_, e1 := tx.AssetTemplates.Put(itemType("B"))
			_, e2 := tx.Blocks.Put(rulesetOn("B"))
			_, e3 := tx.Policies.Put(policyOn("B"))
			return errors.Join(e1, e2, e3)
		}), "6 A:a A:d A:b B:z", true},
		{"renamed", in(env(1), func(tx *store.Tx) error {
			return renameType(tx, "A", "C")
		}), "7 B:z", true},
		{"renamed to what an application holds", in(env(1), func(tx *store.Tx) error {
			_, err := tx.Applications.Put(model.Application{ID: "app", WorkspaceID: "a", AssetTemplateIDs: []model.TemplateID{"A", "B", "C"}})
			return errors.Join(err, putItems(tx, "C", item("e", "A")))
		}), "8 B:z C:a C:d C:b C:e", true},
		{"renamed back", in(env(1), func(tx *store.Tx) error {
			_, err := tx.Assets("C").Delete("e")
			return errors.Join(err, renameType(tx, "C", "A"))
		}), "9 A:a A:d A:b B:z", true},
		{"policy gone", in(env(1), func(tx *store.Tx) error { _, err := tx.Policies.Delete("p-A"); return err }), "10 B:z", true},
		{"cleared and filled", in(env(1), func(tx *store.Tx) error {
			_, err := tx.Assets("B").Clear()
			return errors.Join(err, putItems(tx, "B", item("y", "A")))
		}), "11 B:y", true},
		{"scope gone", in(env(1), func(tx *store.Tx) error { _, err := tx.Scopes.Delete(model.ClientID("client-" + env(1))); return err }), "12 B:y", false},
		{"scope back", in(env(1), func(tx *store.Tx) error {
			_, err := tx.Scopes.Put(model.Scope{ClientID: model.ClientID("client-" + env(1)), EnvironmentID: env(1), Enabled: true})
			return err
		}), "13 B:y", true},
		{"disabled", tenant(env(1), false), "13 B:y", false},
		{"enabled", tenant(env(1), true), "13 B:y", true},
		{"deleted", func() {
			update(t, db, "", func(tx *store.Tx) error { _, err := tx.Environments.Delete(env(1)); return err })
		}, "no snapshot", false},
	}
	for _, s := range steps {
		s.do()
		check(t, d.CatchUp(context.Background()))
		snapshot := d.Snapshot(env(1))
		if snapshot != nil && !snapshot.Enabled() {
			snapshot = d.routes.Load().environments[env(1)].state.Load().snapshot
		}
		if got := seen(t, snapshot); got != s.want && s.name != "disabled" {
			t.Errorf("%s: %q, want %q", s.name, got, s.want)
		}
		if _, _, scope := d.find(model.ClientID("client-" + env(1))); (scope != nil) != s.scopes {
			t.Errorf("%s: scope %v", s.name, scope)
		}
		if got, want := seen(t, directory(t, db).Snapshot(env(1))), seen(t, snapshot); got != want {
			t.Errorf("%s: incremental %q, rebuilt %q", s.name, want, got)
		}
	}
	if got := seen(t, d.Snapshot(env(2))); got != "1 A:x" {
		t.Errorf("the other environment: %q", got)
	}
}

// Incremental equals rebuilt after random commits, of which several are followed at once.
func TestFollowRandom(t *testing.T) {
	db, n := open(t), 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		update(t, db, "", func(tx *store.Tx) error {
			_, err := tx.Environments.Put(model.Environment{ID: env(n), Enabled: true})
			return err
		})
		defer update(t, db, "", func(tx *store.Tx) error { _, err := tx.Environments.Delete(env(n)); return err })
		update(t, db, env(n), fill)
		d := directory(t, db)
		for range rapid.IntRange(1, 4).Draw(rt, "commits") {
			update(t, db, env(n), func(tx *store.Tx) error {
				for range rapid.IntRange(0, 8).Draw(rt, "changes") {
					path := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(rt, "path")
					shelf := rapid.SampledFrom([]string{"A", "B"}).Draw(rt, "shelf")
					var err error
					switch rapid.IntRange(0, 9).Draw(rt, "kind") {
					case 0:
						_, err = tx.Assets("A").Delete(path)
					case 1:
						_, err = tx.Assets("A").Clear()
					case 2:
						_, err = tx.Policies.Delete("p-A")
					case 3:
						_, err = tx.Policies.Put(policyOn("A"))
					case 4:
						err = renameType(tx, "A", "B")
					case 5:
						err = renameType(tx, "B", "A")
					case 6:
						err = makeAgain(tx)
					default:
						err = putItems(tx, "A", item(path, shelf))
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
			if rapid.Bool().Draw(rt, "follow") {
				check(t, d.CatchUp(context.Background()))
			}
		}
		check(t, d.CatchUp(context.Background()))
		if got, want := seen(t, d.Snapshot(env(n))), seen(t, directory(t, db).Snapshot(env(n))); got != want {
			rt.Fatalf("incremental %q, rebuilt %q", got, want)
		}
	})
}

// makeAgain deletes the environment, and makes it again in the same transaction.
func makeAgain(tx *store.Tx) error {
	_, deleted := tx.Environments.Delete(tx.Environment)
	_, made := tx.Environments.Put(model.Environment{ID: tx.Environment, Enabled: true})
	return errors.Join(deleted, made, fill(tx), putItems(tx, "A", item("e", "A")))
}

// F7, PM-34: of an environment that was deleted and made again between two looks at the store, or in one transaction, nothing
// old is left.
func TestFollowMadeAgain(t *testing.T) {
	for _, transactions := range []int{1, 2} {
		t.Run(fmt.Sprint(transactions), func(t *testing.T) { followMadeAgain(t, transactions) })
	}
}

func followMadeAgain(t *testing.T, transactions int) {
	db := open(t)
	id := env(1)
	update(t, db, id, func(tx *store.Tx) error {
		_, err := tx.Environments.Put(model.Environment{ID: id, Name: "one", Enabled: true})
		_, revoked := tx.Revocations.Put(model.Revocation{TokenID: "t", ExpiresAt: noon})
		return errors.Join(err, revoked, fill(tx), putItems(tx, "A", item("old", "A")))
	})
	d := directory(t, db)
	if transactions == 2 {
		update(t, db, "", func(tx *store.Tx) error {
			_, err := tx.Environments.Delete(id)
			return err
		})
	}
	update(t, db, id, func(tx *store.Tx) error {
		_, gone := tx.Environments.Delete(id)
		check(t, gone)
		_, err := tx.Environments.Put(model.Environment{ID: id, Name: "two", Enabled: true})
		_, typed := tx.AssetTemplates.Put(itemType("A"))
		return errors.Join(err, typed, putItems(tx, "A", item("new", "A")))
	})
	check(t, d.CatchUp(t.Context()))
	snapshot := d.Snapshot(id)
	_, old := snapshot.FindAsset("A", "old")
	_, now := snapshot.FindAsset("A", "new")
	_, person := snapshot.FindIdentity("P", "me")
	if old || !now || person || len(snapshot.IdentityTemplates()) > 0 {
		t.Errorf("old asset %t, new asset %t, identity %t", old, now, person)
	}
	if _, _, scope := d.find(model.ClientID("client-" + id)); scope != nil {
		t.Error("a scope of the environment that was deleted is let in")
	}
}

// F3: what does not compile is not published; the previous revision goes on, with the scopes of the new one, and the
// next revision that compiles holds everything.
func TestBrokenConfiguration(t *testing.T) {
	db := open(t)
	update(t, db, "", func(tx *store.Tx) error {
		_, err := tx.Environments.Put(model.Environment{ID: env(1), Enabled: true})
		return err
	})
	update(t, db, env(1), func(tx *store.Tx) error { return errors.Join(fill(tx), putItems(tx, "A", item("a", "A"))) })
	d := directory(t, db)
	client := model.ClientID("client-" + env(1))
	update(t, db, env(1), func(tx *store.Tx) error {
		p := policyOn("A")
		p.DynamicGroups = []model.BlockID{"no such block"}
		_, e1 := tx.Policies.Put(p)
		_, e2 := tx.Scopes.Delete(client)
		return errors.Join(e1, e2, putItems(tx, "A", item("b", "A")))
	})
	check(t, d.CatchUp(context.Background()))
	if got := seen(t, d.Snapshot(env(1))); got != "1 A:a" {
		t.Errorf("broken: %q", got)
	}
	if _, _, scope := d.find(client); scope != nil {
		t.Error("a deleted scope goes on in a broken environment")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := d.WaitRevision(ctx, env(1), 2); model.KindOf(err) != model.KindUnavailable {
		t.Errorf("waiting for a broken revision: %v", err)
	}
	if got := seen(t, directory(t, db).Snapshot(env(1))); got != "no snapshot" {
		t.Errorf("restart on a broken environment: %q", got)
	}
	update(t, db, env(1), func(tx *store.Tx) error {
		_, err := tx.Policies.Put(policyOn("A"))
		return errors.Join(err, putItems(tx, "A", item("c", "A")))
	})
	check(t, d.CatchUp(context.Background()))
	if got := seen(t, d.Snapshot(env(1))); got != "3 A:a A:b A:c" {
		t.Errorf("mended: %q", got)
	}
}

// flaky is a store that can be cut off, or forget its feed.
type flaky struct {
	Source
	away, trimmed atomic.Bool
}

var errAway = errors.New("away")

func (f *flaky) View(ctx context.Context, id model.EnvironmentID, fn func(*store.Tx) error) error {
	if f.away.Load() {
		return errAway
	}
	return f.Source.View(ctx, id, fn)
}

func (f *flaky) Feed(ctx context.Context, after store.Sequence, limit int) ([]store.Commit, error) {
	if f.away.Load() {
		return nil, errAway
	}
	if f.trimmed.Load() {
		return nil, store.ErrTrimmed
	}
	return f.Source.Feed(ctx, after, limit)
}

// F4, F5: not ready before the first load; ready while the store is away for less than MaxStaleness; ready again after.
// A trimmed feed is answered by reading everything.
func TestReadiness(t *testing.T) {
	db := open(t)
	update(t, db, "", func(tx *store.Tx) error {
		_, err := tx.Environments.Put(model.Environment{ID: env(1), Enabled: true})
		return err
	})
	update(t, db, env(1), fill)
	source := &flaky{Source: db}
	source.away.Store(true)
	now := noon
	d := NewDirectory(DirectoryOptions{Store: source, Clock: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler), MaxStaleness: time.Hour})
	ctx := context.Background()
	steps := []struct {
		name    string
		away    bool
		after   time.Duration
		ready   bool
		storage bool
		stale   time.Duration
	}{
		{"never loaded", true, 0, false, false, 0},
		{"loaded", false, 0, true, true, 0},
		{"long without changes", false, 3 * time.Hour, true, true, 0},
		{"away", true, time.Hour, true, false, time.Hour},
		{"away too long", true, time.Second, false, false, time.Hour + time.Second},
		{"back", false, time.Hour, true, true, 0},
	}
	for _, s := range steps {
		source.away.Store(s.away)
		now = now.Add(s.after)
		if err := d.CatchUp(ctx); (err != nil) != s.away {
			t.Errorf("%s: %v", s.name, err)
		}
		err := d.Ready()
		if (err == nil) != s.ready || d.StorageUp() != s.storage || err != nil && model.KindOf(err) != model.KindUnavailable {
			t.Errorf("%s: ready %v, storage %v", s.name, err, d.StorageUp())
		}
		if stale := d.Stale(now); stale != s.stale {
			t.Errorf("%s: stale for %v", s.name, stale)
		}
	}
	strict := NewDirectory(DirectoryOptions{Store: source, Clock: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)})
	check(t, strict.CatchUp(ctx))
	if err := strict.Ready(); err != nil {
		t.Errorf("no staleness allowed, the store is there: %v", err)
	}
	source.away.Store(true)
	now = now.Add(time.Millisecond)
	if strict.CatchUp(ctx) == nil || strict.Ready() == nil {
		t.Error("no staleness allowed, the store is away: ready")
	}
	source.away.Store(false)
	update(t, db, env(1), func(tx *store.Tx) error { return putItems(tx, "A", item("a", "A")) })
	source.trimmed.Store(true)
	check(t, d.CatchUp(ctx))
	if got := seen(t, d.Snapshot(env(1))); got != "2 A:a" {
		t.Errorf("after a trimmed feed: %q", got)
	}
}

// hanging is a store that does not answer when it is asked for commits.
type hanging struct{ Source }

func (h hanging) Feed(ctx context.Context, _ store.Sequence, _ int) ([]store.Commit, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// F5: a store that hangs is away, too, although no error says so.
func TestHangingStore(t *testing.T) {
	db := open(t)
	var passed atomic.Int64
	d := NewDirectory(DirectoryOptions{
		Store: hanging{db}, Clock: func() time.Time { return noon.Add(time.Duration(passed.Load())) },
		Log: slog.New(slog.DiscardHandler), MaxStaleness: time.Hour,
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	check(t, d.CatchUp(ctx))
	go func() { defer close(done); d.Run(ctx) }()
	defer func() { cancel(); <-done }()
	for after, ready := range map[time.Duration]bool{time.Hour: true, time.Hour + 2*time.Minute: false} {
		passed.Store(int64(after))
		if err := d.Ready(); (err == nil) != ready || err != nil && model.KindOf(err) != model.KindUnavailable {
			t.Errorf("after %v: %v", after, err)
		}
		if stale := d.Stale(noon.Add(after)); stale != after {
			t.Errorf("after %v: stale for %v", after, stale)
		}
	}
}

// slow is a store that answers when it is let, and counts how often it is asked for commits.
type slow struct {
	Source
	asked atomic.Int64
	let   chan struct{}
}

func (s *slow) Feed(ctx context.Context, after store.Sequence, limit int) ([]store.Commit, error) {
	s.asked.Add(1)
	<-s.let
	return s.Source.Feed(ctx, after, limit)
}

// F7: however many callers ask for a revision while the store hangs, one look at it is made and one more waits; who asks after a
// commit sees it.
func TestLooksAreShared(t *testing.T) {
	db := open(t)
	s := &slow{Source: db, let: make(chan struct{})}
	d := directory(t, s)
	for range 100 {
		d.look(0)
	}
	for s.asked.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	for range 100 {
		d.look(0)
	}
	update(t, db, "", func(tx *store.Tx) error {
		_, err := tx.Environments.Put(model.Environment{ID: env(1), Enabled: true})
		return err
	})
	update(t, db, env(1), fill)
	close(s.let)
	d.look(time.Hour)
	if asked := s.asked.Load(); d.Snapshot(env(1)) == nil || asked > 6 {
		t.Errorf("asked %d times, snapshot %v", asked, d.Snapshot(env(1)))
	}
}

// F7: Run follows without being asked, and readers see one revision while it does.
func TestRun(t *testing.T) {
	db := open(t)
	update(t, db, "", func(tx *store.Tx) error {
		_, err := tx.Environments.Put(model.Environment{ID: env(1), Enabled: true})
		return err
	})
	update(t, db, env(1), fill)
	d := NewDirectory(DirectoryOptions{Store: db, Clock: time.Now, Log: slog.New(slog.DiscardHandler), Poll: time.Hour})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); d.Run(ctx) }()
	defer func() { cancel(); <-done }()
	wait, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	for i := range 20 {
		// every commit replaces all items by those of its own number: a mixture would show
		c := update(t, db, env(1), func(tx *store.Tx) error {
			_, err := tx.Assets("A").Clear()
			return errors.Join(err, putItems(tx, "A", item(fmt.Sprint(i, "x"), "A"), item(fmt.Sprint(i, "y"), "A")))
		})
		if i%2 == 0 {
			check(t, d.WaitRevision(wait, env(1), c.Revision))
		}
		if got, ok := d.Revision(env(1)); ok && got >= c.Revision {
			want := fmt.Sprintf("%d A:%dx A:%dy", c.Revision, i, i)
			if diff := cmp.Diff(want, seen(t, d.Snapshot(env(1)))); diff != "" {
				t.Error(diff)
			}
		}
	}
	check(t, d.WaitRevision(wait, env(1), 21))
	check(t, d.WaitRevision(wait, "", 1000))
}
