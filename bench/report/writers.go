package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ambit-authz/ambit/bench/measure"
	"github.com/ambit-authz/ambit/bench/stand"
	"github.com/ambit-authz/ambit/bench/workload"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// W8's writers: commits a second, changed assets in each, and seconds of each turn of the reader.
const (
	commitsPerSecond = 100
	assetsPerCommit  = 10
	turn             = 3 * time.Second
	turns            = 4
)

// w8 reads beside writers: 1,000 attribute changes a second in 100 commits, and a policy every second. The reader has its turn
// without writers and with them again and again, so that what else disturbs the machine disturbs both.
func (r *report) w8(ctx context.Context, assets int) error {
	w := workload.W2(assets)
	return stood(ctx, w, func(s *stand.Stand) error {
		stop := s.Follow(ctx)
		defer stop()
		wr := writers{world: w, stand: s, random: rand.New(rand.NewPCG(8, 8)), changed: map[place]bool{}} //nolint:gosec // the same changes in every run
		size, first := len(s.Bytes()), bytes.Clone(s.Bytes())
		read := func(during time.Duration) (measure.Series, error) {
			_, series, err := measure.Rate(ctx, 1, during, func(ctx context.Context) error { return s.Ask(ctx, stand.Ambit) })
			return series, err
		}
		var alone, beside, committed, visible measure.Series
		for range turns {
			quiet, err := read(turn)
			if err != nil {
				return err
			}
			alone = append(alone, quiet...)
			busy, times, err := wr.beside(ctx, func() (measure.Series, error) { return read(turn) })
			if err != nil {
				return err
			}
			beside, committed, visible = append(beside, busy...), append(committed, times[0]...), append(visible, times[1]...)
		}
		if err := wr.undo(ctx, size, first); err != nil {
			return err
		}
		for _, series := range []measure.Series{alone, beside, committed, visible} {
			slices.Sort(series)
		}
		r.head("W8 over HTTP: %d assets, %d policies, %d commits of %d assets, and %d of a policy", w.Types*w.PerType, len(w.Policies),
			len(committed)-wr.policies, assetsPerCommit, wr.policies)
		r.row("Ambit beside writers", beside, beside.Median())
		r.row("Ambit without writers", alone, beside.Median())
		r.row("a commit", committed, beside.Median())
		r.row("from the commit until answers have it", visible, beside.Median())
		r.gap()
		r.note("%.0f commits a second", float64(len(committed))/(turns*turn).Seconds())
		r.atMost(beside.Percentile(99), alone.Percentile(99), 2, "p99 against that without writers")
		r.verdict(visible.Percentile(99) <= 50*time.Millisecond, "a change is visible within 50 ms (p99)", "%s, the longest %s", short(visible.Percentile(99)), short(visible[len(visible)-1]))
		return nil
	})
}

// place is that of an asset in the world.
type place struct{ t, i int }

// writers change a world that is being read.
type writers struct {
	world    *workload.World
	stand    *stand.Stand
	random   *rand.Rand
	changed  map[place]bool
	policies int // commits of a policy so far
}

// beside writes while read reads, and gives how long commits took and how long after each answers had it.
func (wr *writers) beside(ctx context.Context, read func() (measure.Series, error)) (busy measure.Series, times [2]measure.Series, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	var failed error
	group.Go(func() { times, failed = wr.write(ctx) })
	busy, err = read()
	cancel()
	group.Wait()
	return busy, times, errors.Join(err, failed)
}

func (wr *writers) write(ctx context.Context) (times [2]measure.Series, err error) {
	tick := time.NewTicker(time.Second / commitsPerSecond)
	defer tick.Stop()
	var group sync.WaitGroup
	defer group.Wait()
	var visible lateness
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			group.Wait()
			times[1] = visible.series
			return times, visible.err
		case <-tick.C:
		}
		change := wr.assets()
		if n%commitsPerSecond == 0 {
			change = wr.policy()
		}
		begun := time.Now()
		revision, err := wr.stand.Write(context.WithoutCancel(ctx), change)
		if err != nil {
			return times, err
		}
		acknowledged := time.Now()
		times[0] = append(times[0], acknowledged.Sub(begun))
		group.Go(func() { visible.add(acknowledged, wr.stand.Visible(context.WithoutCancel(ctx), revision)) })
	}
}

// lateness is how long after their commits answers had changes.
type lateness struct {
	mu     sync.Mutex
	series measure.Series
	err    error
}

func (l *lateness) add(since time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.series, l.err = append(l.series, time.Since(since)), errors.Join(l.err, err)
}

// assets gives ten assets other amounts, of which one is the user's: its last digit changes, so that the user's answer has
// other bytes and as many.
func (wr *writers) assets() func(*store.Tx) error {
	var all []place
	var amounts []int
	for n := range assetsPerCommit {
		p := place{wr.random.IntN(wr.world.Types), wr.random.IntN(wr.world.PerType)}
		if n == 0 {
			p.i = wr.random.IntN(wr.world.Own) * (wr.world.PerType / wr.world.Own)
		}
		a := wr.world.Asset(p.t, p.i)
		all, amounts = append(all, p), append(amounts, a.Amount/10*10+wr.random.IntN(10))
		wr.changed[p] = true
	}
	return wr.put(all, func(n int, a *workload.Asset) { a.Amount = amounts[n] })
}

func (wr *writers) put(all []place, change func(n int, a *workload.Asset)) func(*store.Tx) error {
	return func(tx *store.Tx) error {
		for n, p := range all {
			a := wr.world.Asset(p.t, p.i)
			change(n, &a)
			if _, err := tx.Assets(model.TemplateID(wr.world.TypeID(p.t))).Put(a.AmbitAsset()); err != nil {
				return err
			}
		}
		return nil
	}
}

// policy switches a policy of others and renames one of the user's, in turn.
func (wr *writers) policy() func(*store.Tx) error {
	wr.policies++
	n := wr.policies
	return func(tx *store.Tx) error {
		group := n % 2 * (wr.world.Groups - 1)
		p, err := tx.Policies.Find(model.PolicyID(fmt.Sprintf("policy-%02d-%05d-%d", n%wr.world.Types, group, n%10)))
		if err != nil {
			return err
		}
		if group == 0 {
			p.Name += strconv.Itoa(n)
		} else {
			p.Inactive = !p.Inactive
		}
		_, err = tx.Policies.Put(p)
		return err
	}
}

// undo fails unless the user's answer has changed and is the first one again once everything has its old amount.
func (wr *writers) undo(ctx context.Context, size int, first []byte) error {
	now, err := wr.stand.Read(ctx, stand.Ambit)
	if err != nil {
		return err
	}
	if len(now) != size || bytes.Equal(now, first) {
		return errors.New("the changes are not in the answer, or others are")
	}
	var all []place
	for p := range wr.changed {
		all = append(all, p)
	}
	revision, err := wr.stand.Write(ctx, wr.put(all, func(int, *workload.Asset) {}))
	if err != nil {
		return err
	}
	if err := wr.stand.Visible(ctx, revision); err != nil {
		return err
	}
	if now, err = wr.stand.Read(ctx, stand.Ambit); err == nil && !bytes.Equal(now, first) {
		return errors.New("the answer is another one once everything is as it was")
	}
	return err
}
