package main

import (
	"context"
	"time"

	"github.com/ambit-authz/ambit/bench/measure"
	"github.com/ambit-authz/ambit/bench/peers"
	"github.com/ambit-authz/ambit/bench/stand"
	"github.com/ambit-authz/ambit/bench/workload"
)

// w1 is the peers' table.
func (r *report) w1(ctx context.Context) error {
	w := workload.W1()
	plain := peers.NewPlain(w)
	a, err := peers.NewAmbit(w)
	if err != nil {
		return err
	}
	want, err := equal(w, a, plain)
	if err != nil {
		return err
	}
	r.head("W1 in process: 10,000 assets, %d policies, answer %d assets, %d pairs", len(w.Policies), len(want), want.Pairs())
	series, err := r.compare(contender{"Ambit: bind, select, write", engine(a)},
		contender{"plain loop, nothing written", func() error { plain.List(func(string, *workload.Asset, uint8) {}); return nil }},
		contender{"plain loop and encoding/json", func() error { _, err := plain.JSON(); return err }})
	if err != nil {
		return err
	}
	medians, err := r.slowPeers(ctx, w, want, series[0].Median())
	if err != nil {
		return err
	}
	if r.slow {
		if err := r.casbin(series[0].Median()); err != nil {
			return err
		}
	}
	return http(ctx, w, plain, plain, func(s *stand.Stand) error {
		r.head("W1 over HTTP: %d bytes", len(s.Bytes()))
		series, err := r.compare(contender{"Ambit", over(ctx, s, stand.Ambit)}, contender{"same bytes from memory", over(ctx, s, stand.Memory)},
			contender{"plain loop and encoding/json", over(ctx, s, stand.Loop)})
		if err != nil {
			return err
		}
		r.gap()
		base := series[0].Median()
		r.verdict(base <= time.Millisecond, "≤ 1.0 ms median", "%s", short(base))
		r.atLeast(series[2].Median(), base, 5, "the plain loop and encoding/json")
		r.atLeast(medians["OPA, best form"], base, 250, "OPA's best form in process")
		if err := r.servedPeers(ctx, w, want, base); err != nil {
			return err
		}
		perSecond, err := r.rate(ctx, s, stand.Ambit, stand.Memory, stand.Loop)
		r.verdict(perSecond >= 1500, "≥ 1,500 lists/s at concurrency 4", "%.0f", perSecond)
		return err
	})
}

func (r *report) atLeast(other, base time.Duration, factor float64, name string) {
	x := float64(other) / float64(base)
	r.verdict(x >= factor, "≥ "+times(factor)+" "+name, "%s", times(x))
}

func (r *report) atMost(base, other time.Duration, factor float64, name string) {
	x := float64(base) / float64(other)
	r.verdict(x <= factor, "≤ "+times(factor)+" "+name, "%s", times(x))
}

// overHTTP measures a world over HTTP against its own bytes from memory.
func (r *report) overHTTP(ctx context.Context, w *workload.World, then func(*stand.Stand, []measure.Series) error) error {
	expected := peers.NewExpected(w)
	want := expected.Answer()
	return http(ctx, w, nil, expected, func(s *stand.Stand) error {
		r.head("%s over HTTP: %d assets, %d policies, answer %d assets, %d pairs, %d bytes", w.Name, w.Types*w.PerType, len(w.Policies),
			len(want), want.Pairs(), len(s.Bytes()))
		series, err := r.compare(contender{"Ambit", over(ctx, s, stand.Ambit)}, contender{"same bytes from memory", over(ctx, s, stand.Memory)})
		if err != nil {
			return err
		}
		r.gap()
		r.note("written into the store in %s, loaded from it in %s", short(s.Stored), short(s.Loaded))
		return then(s, series)
	})
}

// w2 is a session start in a large company.
func (r *report) w2(ctx context.Context, assets int) error {
	return r.overHTTP(ctx, workload.W2(assets), func(s *stand.Stand, series []measure.Series) error {
		r.atMost(series[0].Median(), series[1].Median(), 2, "the same bytes from memory")
		r.atMost(series[0].Percentile(99), series[0].Median(), 5, "p99 against p50")
		if _, err := r.rate(ctx, s, stand.Ambit, stand.Memory); err != nil {
			return err
		}
		perSecond, err := r.serverRate(ctx, s, stand.Ambit, stand.Memory)
		r.verdict(perSecond >= 5000, "≥ 5,000 answers/s over 4 connections", "%.0f", perSecond)
		return err
	})
}

// w3 is a huge answer.
func (r *report) w3(ctx context.Context, assets int) error {
	return r.overHTTP(ctx, workload.W3(assets), func(s *stand.Stand, series []measure.Series) error {
		r.atMost(series[0].Median(), series[1].Median(), 1.5, "the same bytes from memory")
		bytes, objects, err := measure.Allocated(over(ctx, s, stand.Ambit))
		r.verdict(bytes <= 32<<20, "≤ 32 MiB while streaming", "one answer allocates %.1f MiB in %d objects, client included, an upper bound", float64(bytes)/(1<<20), objects)
		return err
	})
}

// w4 is a fixed answer out of more and more assets: in process for all sizes, over HTTP up to a million.
func (r *report) w4(ctx context.Context) error {
	sizes := []int{10_000, 100_000}
	if r.full {
		sizes = append(sizes, 1_000_000)
	}
	if r.assets > 0 {
		sizes = append(sizes, r.assets)
	}
	var first, last time.Duration
	for _, n := range sizes {
		series, err := r.w4InProcess(workload.W4(n))
		if err != nil {
			return err
		}
		if first == 0 {
			first = series.Median()
		}
		last = series.Median()
	}
	r.gap()
	r.atMost(last, first, 2, "the largest size against 10,000 assets, in process")
	first = 0
	for _, n := range sizes {
		if n > 1_000_000 {
			break
		}
		err := r.overHTTP(ctx, workload.W4(n), func(_ *stand.Stand, series []measure.Series) error {
			if first == 0 {
				first = series[0].Median()
			}
			last = series[0].Median()
			return nil
		})
		if err != nil {
			return err
		}
	}
	r.gap()
	r.atMost(last, first, 2, "the largest size against 10,000 assets, over HTTP")
	return nil
}

func (r *report) w4InProcess(w *workload.World) (measure.Series, error) {
	a, total, overRaw, err := heapOf(w)
	if err != nil {
		return nil, err
	}
	want, err := equal(w, a, peers.NewExpected(w))
	if err != nil {
		return nil, err
	}
	r.head("%s in process: %d policies, answer %d assets, %d pairs", w.Name, len(w.Policies), len(want), want.Pairs())
	series, err := r.compare(contender{"Ambit: bind, select, write", engine(a)})
	if err != nil {
		return nil, err
	}
	bytes, objects, err := measure.Allocated(engine(a))
	r.gap()
	r.note("one answer allocates %d bytes in %d objects", bytes, objects)
	if w.PerType >= 1_000_000 {
		r.verdict(overRaw <= 250, "≤ 250 bytes/asset over the raw values", "%.0f (%.0f in all)", overRaw, total)
	} else {
		r.note("%.0f bytes/asset over the raw values (%.0f in all)", overRaw, total)
	}
	return series[0], err
}

// w5 has more and more policies of which the user has about 50.
func (r *report) w5(context.Context) error {
	sizes := []int{100, 1_000, 10_000}
	if r.full {
		sizes = append(sizes, 100_000)
	}
	var first, last time.Duration
	for _, n := range sizes {
		w := workload.W5(n)
		a, err := peers.NewAmbit(w)
		if err != nil {
			return err
		}
		want, err := equal(w, a, peers.NewExpected(w))
		if err != nil {
			return err
		}
		r.head("%s in process: %d assets, answer %d assets, %d pairs", w.Name, w.PerType, len(want), want.Pairs())
		series, err := r.compare(contender{"Ambit: bind, select, write", engine(a)})
		if err != nil {
			return err
		}
		if first == 0 {
			first = series[0].Median()
		}
		last = series[0].Median()
	}
	r.gap()
	r.atMost(last, first, 3, "the most policies against 100")
	return nil
}
