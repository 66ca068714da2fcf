package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ambit-authz/ambit/bench/measure"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// kind is a kind of change: it is written in a transaction and tells which users' answers it alters.
type kind struct {
	name string
	make func(r *rand.Rand, n int) (func(*store.Tx) error, []int)
}

func (w *world) kinds() []kind {
	// an asset gets a new note: everybody of its branch sees it
	assets := func(r *rand.Rand, n int) (func(*store.Tx) error, []int) {
		i := r.IntN(w.assets)
		return func(tx *store.Tx) error {
			_, err := tx.Assets("Accounts").Put(w.asset(i, fmt.Sprint("note ", n, " ", r.Uint64())))
			return err
		}, w.usersOf(i % w.branches())
	}
	// a user goes to another branch, and all that he sees is other; it comes last, since it moves the users
	identities := func(_ *rand.Rand, n int) (func(*store.Tx) error, []int) {
		i := n % w.users
		who := w.user(i)
		who.Attributes["branch"] = []string{branch((i/perBranch + 1 + n/w.users) % w.branches())}
		return func(tx *store.Tx) error { _, err := tx.Identities("Staff").Put(who); return err }, []int{i}
	}
	// a policy for one branch is switched
	policies := func(_ *rand.Rand, n int) (func(*store.Tx) error, []int) {
		b := n % min(100, w.branches())
		return func(tx *store.Tx) error {
			p, err := tx.Policies.Find(model.PolicyID(fmt.Sprint("extra-", b)))
			if err != nil {
				return err
			}
			p.Inactive = !p.Inactive
			return put(tx.Policies, p)
		}, w.usersOf(b)
	}
	mixed := func(r *rand.Rand, n int) (func(*store.Tx) error, []int) {
		if n%4 == 3 {
			return policies(r, n/4)
		}
		return assets(r, n)
	}
	// a policy of almost half of the users gets another name: their questions are bound again, and nothing is told
	renamed := func(r *rand.Rand, n int) (func(*store.Tx) error, []int) {
		if n%2 == 0 {
			return assets(r, n)
		}
		return func(tx *store.Tx) error {
			p, err := tx.Policies.Find("freeze")
			if err != nil {
				return err
			}
			p.Name = fmt.Sprint("freeze ", n)
			return put(tx.Policies, p)
		}, nil
	}
	return []kind{
		{"an asset, for the 10 users of its branch", assets},
		{"a policy, for the 10 users of its branch", policies},
		{"assets and policies", mixed},
		{"assets, and a policy of 44 % of the users that alters nothing", renamed},
		{"a user goes to another branch", identities},
	}
}

func (w *world) usersOf(b int) []int {
	var out []int
	for i := b * perBranch; i < min((b+1)*perBranch, w.users); i++ {
		out = append(out, i)
	}
	return out
}

// written is one change, when it was acknowledged, and whom it concerns.
type written struct {
	revision model.Revision
	at       time.Time
	users    []int
}

// measure writes changes at the rate and tells how long after each the users that it concerns knew.
func (w *world) measure(ctx context.Context, k kind, s settings) error {
	if w.revisions == 0 {
		for _, c := range w.streams {
			go c.listen()
		}
	}
	r := rand.New(rand.NewPCG(1, uint64(w.revisions))) //nolint:gosec // the same changes in every run
	tick := time.NewTicker(time.Second / time.Duration(s.rate))
	defer tick.Stop()
	var all []written
	for n := range s.rate * s.seconds {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		fn, users := k.make(r, n)
		revision, at, err := w.write(ctx, fn)
		if err != nil {
			return err
		}
		w.revisions++
		all = append(all, written{revision, at, users})
	}
	time.Sleep(2 * time.Second)
	var told measure.Series
	events, missing := 0, 0
	seen := make([][]event, len(w.streams))
	for i, c := range w.streams {
		seen[i] = c.take()
		events += len(seen[i])
	}
	for _, one := range all {
		for _, u := range one.users {
			at := slices.IndexFunc(seen[u], func(e event) bool { return e.Revision >= one.revision && e.Since < one.revision })
			if at < 0 {
				missing++
				continue
			}
			told = append(told, max(0, seen[u][at].at.Sub(one.at)))
		}
	}
	printRow(k.name, told, events, missing)
	return nil
}
