package manage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/store/sqlite"
	"github.com/ambit-authz/ambit/internal/token"
)

// TestMirrorFollows: after any writes, several of them in a commit and several commits between two looks, a mirror that
// followed shows what a mirror read anew shows.
func TestMirrorFollows(t *testing.T) {
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "ambit.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	s := mirrorService(t, st)
	defer s.Close()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		env := model.EnvironmentID(fmt.Sprintf("5b0c9d52-0f5e-4a77-9c1e-%012d", run))
		if _, err := s.CreateEnvironment(context.Background(), Call{}, NewEnvironment{ID: string(env), Name: string(env)}); err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 12).Draw(t, "commits") {
			_, err := st.Update(context.Background(), store.Write{Environment: env, Time: time.Unix(9, 0)}, func(tx *store.Tx) error {
				if rapid.IntRange(0, 9).Draw(t, "made again") == 0 {
					_, deleted := tx.Environments.Delete(env)
					_, made := tx.Environments.Put(model.Environment{ID: env, Name: string(env), Enabled: true})
					if err := errors.Join(deleted, made); err != nil {
						return err
					}
				}
				blocks := []int{0, 1, 2, 3} // each at most once in a commit
				for range rapid.IntRange(1, 4).Draw(t, "writes") {
					randomWrite(t, tx, &blocks)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if rapid.Bool().Draw(t, "look") {
				compareMirror(t, s, env)
			}
		}
		compareMirror(t, s, env)
	})
}

func mirrorService(t *testing.T, st *sqlite.Store) *Service {
	t.Helper()
	secrets, err := token.NewSecrets(bytes.Repeat([]byte{7}, token.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Store: st, Secrets: secrets, Now: time.Now, Log: slog.Default()})
}

// randomWrite puts or deletes one object out of a handful.
func randomWrite(t *rapid.T, tx *store.Tx, blocks *[]int) {
	n := rapid.IntRange(0, 3).Draw(t, "object")
	block := func(n int) model.BlockID {
		return model.BlockID(fmt.Sprintf("aaaaaaaa-0000-4000-8000-%012d", n))
	}
	var err error
	write := rapid.IntRange(0, 5).Draw(t, "write")
	if write == 2 || write == 3 {
		i := slices.Index(*blocks, n)
		if i < 0 {
			return
		}
		*blocks = slices.Delete(*blocks, i, i+1)
	}
	switch write {
	case 0:
		_, err = tx.Policies.Put(model.Policy{
			ID: model.PolicyID(fmt.Sprint("p", n)), Name: "P", Access: model.Allow, Inactive: rapid.Bool().Draw(t, "inactive"),
			Rulesets: []model.RulesetUse{{BlockID: block(rapid.IntRange(0, 3).Draw(t, "use")), AllActions: true}},
		})
	case 1:
		_, err = tx.Policies.Delete(model.PolicyID(fmt.Sprint("p", n)))
	case 2:
		_, err = tx.Blocks.Put(model.Block{
			ID: block(n), Kind: model.KindRuleset, Template: model.TemplateID(fmt.Sprint("T", rapid.IntRange(0, 1).Draw(t, "template"))), Name: fmt.Sprint("R", n),
			Branches: []model.Branch{{Rules: []model.Rule{{
				Left: model.Ref{Side: model.SideAsset, Attribute: "a"}, Op: model.OpEqual,
				Literals: []model.Literal{{Text: rapid.SampledFrom([]string{"1", "1.0", "2"}).Draw(t, "value")}},
			}}}},
		})
	case 3:
		_, err = tx.Blocks.Delete(block(n))
	case 4:
		types := []model.AttributeType{model.String, model.Numeric}
		template := model.AssetTemplate{ID: model.TemplateID(fmt.Sprint("T", n%2)), DisplayName: "T", Source: model.SourcePlainID}
		template.Attributes = []model.AssetAttribute{{ID: "a", DisplayName: "A", Type: rapid.SampledFrom(types).Draw(t, "type")}}
		_, err = tx.AssetTemplates.Put(template)
	case 5:
		_, err = tx.Applications.Put(model.Application{
			ID: model.ApplicationID(fmt.Sprint("app", n)), DisplayName: "A", AssetTemplateIDs: []model.TemplateID{model.TemplateID(fmt.Sprint("T", n%2))},
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// shownMirror is what calls can see of a mirror.
type shownMirror struct {
	Revision model.Revision
	Policies []model.Policy
	Lists    [][]model.TemplateID
	Inactive []bool
	Blocks   []model.Block
	Keys     map[string][]model.BlockID
	Users    map[model.BlockID]map[model.PolicyID]bool
	Holders  map[model.TemplateID][]model.ApplicationID
}

func showMirror(m *mirror) shownMirror {
	out := shownMirror{Revision: m.revision, Keys: map[string][]model.BlockID{}, Users: m.users, Holders: m.catalog.holders}
	for _, e := range m.policies {
		out.Policies = append(out.Policies, *e.policy)
		out.Lists = append(out.Lists, m.templates[e.list])
		out.Inactive = append(out.Inactive, e.inactive)
	}
	for _, k := range m.blocks.oldestFirst() {
		out.Blocks = append(out.Blocks, k.block)
		out.Keys[k.key] = nil
		for _, same := range m.blocks.withRules(k.key) {
			out.Keys[k.key] = append(out.Keys[k.key], same.block.ID)
		}
	}
	return out
}

func compareMirror(t *rapid.T, s *Service, env model.EnvironmentID) {
	var followed, fresh shownMirror
	err := s.look(context.Background(), env, func(m *mirror) error {
		followed = showMirror(m)
		followed.Policies, followed.Blocks = slices.Clone(followed.Policies), slices.Clone(followed.Blocks)
		return nil
	})
	if err == nil {
		err = s.store.View(context.Background(), env, func(tx *store.Tx) error {
			m, err := readMirror(tx)
			if err == nil {
				fresh = showMirror(m)
			}
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(fresh, followed); d != "" {
		t.Fatalf("followed and read anew differ (-fresh +followed):\n%s", d)
	}
}

// TestBlockIndexOverlay: an index laid over another behaves like a plain one with the same content, and leaves the one
// below as it was.
func TestBlockIndexOverlay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain, base := newBlockIndex(nil), newBlockIndex(nil)
		change := func(x *blockIndex, op, n, key int) {
			b := model.Block{ID: model.BlockID(fmt.Sprint("b", n)), Kind: model.KindRuleset, Name: fmt.Sprint("n", n, key)}
			switch k := x.block(b.ID); {
			case op == 0 && k != nil:
				x.remove(k)
			case op == 0:
			case k != nil:
				x.replace(k, b, fmt.Sprint("k", key))
			default:
				x.add(b, fmt.Sprint("k", key))
			}
		}
		draw := func() (int, int, int) {
			return rapid.IntRange(0, 2).Draw(t, "op"), rapid.IntRange(0, 4).Draw(t, "n"), rapid.IntRange(0, 2).Draw(t, "key")
		}
		for range rapid.IntRange(0, 10).Draw(t, "below") {
			op, n, key := draw()
			change(plain, op, n, key)
			change(base, op, n, key)
		}
		before := showIndex(base)
		over := newBlockIndex(base)
		for range rapid.IntRange(0, 10).Draw(t, "above") {
			op, n, key := draw()
			change(plain, op, n, key)
			change(over, op, n, key)
		}
		if d := cmp.Diff(showIndex(plain), showIndex(over)); d != "" {
			t.Fatalf("overlay differs:\n%s", d)
		}
		if d := cmp.Diff(before, showIndex(base)); d != "" {
			t.Fatalf("the index below changed:\n%s", d)
		}
	})
}

// showIndex tells everything that lookups in the index find.
func showIndex(x *blockIndex) []string {
	var out []string
	for n := range 5 {
		if k := x.block(model.BlockID(fmt.Sprint("b", n))); k != nil {
			out = append(out, fmt.Sprint("block ", k.block.ID, k.block.Name, k.key))
		}
		for key := range 3 {
			name := fmt.Sprint("n", n, key)
			if k := x.named(nameOf(&model.Block{Kind: model.KindRuleset}, name)); k != nil {
				out = append(out, fmt.Sprint("name ", name, k.block.ID))
			}
		}
	}
	for key := range 3 {
		for _, k := range x.withRules(fmt.Sprint("k", key)) {
			out = append(out, fmt.Sprint("rules ", key, k.block.ID))
		}
	}
	for _, k := range x.oldestFirst() {
		out = append(out, "order "+string(k.block.ID))
	}
	return out
}

// TestLooksNeedOneConnection: however many look at once while others write, nobody holds a connection and waits for a second
// one; with one reader that would never end. Reading ahead (Warm) is a look at every environment.
func TestLooksNeedOneConnection(t *testing.T) {
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "ambit.db"), sqlite.Options{Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	s := mirrorService(t, st)
	defer s.Close()
	var environments []model.EnvironmentID
	for n := range 3 {
		env := model.EnvironmentID(fmt.Sprintf("5b0c9d52-0f5e-4a77-9c1e-%012d", n))
		environments = append(environments, env)
		if _, err := s.CreateEnvironment(t.Context(), Call{}, NewEnvironment{ID: string(env), Name: string(env)}); err != nil {
			t.Fatal(err)
		}
	}
	s.Warm(t.Context())
	for _, env := range environments {
		if m := s.mirrors.slot(env).mirror; m == nil || m.environment != env || m.revision == 0 {
			t.Errorf("%s was not read ahead: %+v", env, m)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var group errgroup.Group
	for n := range 12 {
		env := environments[n%3]
		group.Go(func() error {
			for i := range 20 {
				id := model.PolicyID(fmt.Sprint("p", n, "-", i))
				_, err := st.Update(ctx, store.Write{Environment: env, Time: time.Unix(9, 0)}, func(tx *store.Tx) error {
					if _, err := s.mirrorOf(ctx, tx); err != nil {
						return err
					}
					_, err := tx.Policies.Put(model.Policy{ID: id, Access: model.Allow})
					return err
				})
				if err != nil {
					return err
				}
				err = s.look(ctx, env, func(m *mirror) error {
					if _, listed := m.place(id); !listed {
						t.Errorf("%s is not there after its commit", id)
					}
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}
