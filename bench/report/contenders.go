package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ambit-authz/ambit/bench/measure"
	"github.com/ambit-authz/ambit/bench/peers"
	"github.com/ambit-authz/ambit/bench/stand"
	"github.com/ambit-authz/ambit/bench/workload"
)

// contender is something that is timed.
type contender struct {
	name string
	list func() error
}

// compare times contenders in turn and prints them; the first is Ambit.
func (r *report) compare(cs ...contender) ([]measure.Series, error) {
	fs := make([]func() error, len(cs))
	for i := range cs {
		fs[i] = cs[i].list
	}
	all, err := measure.InTurn(r.runs, r.limit, fs...)
	if err != nil {
		return nil, err
	}
	for i := range cs {
		r.row(cs[i].name, all[i], all[0].Median())
	}
	return all, nil
}

// engine is Ambit in process: bind, select and write into a buffer that is thrown away.
func engine(a *peers.Ambit) func() error {
	buf := make([]byte, 0, 68<<10)
	return func() error {
		_, err := a.AppendJSON(buf[:0], func(b []byte) []byte { return b[:0] })
		return err
	}
}

// equal fails unless the engine's answer is the expected one, byte by byte.
func equal(w *workload.World, a *peers.Ambit, expected *peers.Plain) (peers.Answer, error) {
	want := expected.Answer()
	got, err := a.Answer(w)
	if err != nil {
		return nil, err
	}
	if d := want.Differs(got); d != "" {
		return nil, fmt.Errorf("%s: Ambit's answer differs: %s", w.Name, d)
	}
	text, err := expected.JSON()
	if err != nil {
		return nil, err
	}
	var out []byte
	rest, err := a.AppendJSON(nil, func(b []byte) []byte { out = append(out, b...); return b[:0] })
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(append(out, rest...), text) {
		return nil, fmt.Errorf("%s: Ambit's bytes differ", w.Name)
	}
	return want, nil
}

// http runs f on a stand whose answer has been compared with the expected one.
func http(ctx context.Context, w *workload.World, loop, expected *peers.Plain, f func(*stand.Stand) error) (err error) {
	dir, err := os.MkdirTemp("", "ambit-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := stand.Open(ctx, dir, w, loop)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	text, err := expected.JSON()
	if err != nil {
		return err
	}
	if !bytes.Equal(s.Bytes(), text) {
		return fmt.Errorf("%s: the answer over HTTP differs", w.Name)
	}
	return f(s)
}

func over(ctx context.Context, s *stand.Stand, c stand.Contender) func() error {
	return func() error { return s.Ask(ctx, c) }
}

// concurrency is how many askers a rate has.
const concurrency = 4

// rate measures how many answers a second Go's HTTP client gets; it returns Ambit's.
func (r *report) rate(ctx context.Context, s *stand.Stand, cs ...stand.Contender) (ambit float64, err error) {
	for _, c := range cs {
		perSecond, err := r.rateOf(ctx, "concurrency 4", c, func(ctx context.Context) error { return s.Ask(ctx, c) })
		if err != nil {
			return 0, err
		}
		if c == stand.Ambit {
			ambit = perSecond
		}
	}
	return ambit, nil
}

// serverRate is rate with callers that leave the processors to the server.
func (r *report) serverRate(ctx context.Context, s *stand.Stand, cs ...stand.Contender) (ambit float64, err error) {
	for _, c := range cs {
		callers := make(chan *stand.Caller, concurrency)
		for range concurrency {
			caller, err := s.Dial(ctx, c)
			if err != nil {
				return 0, err
			}
			defer func() { err = errors.Join(err, caller.Close()) }()
			callers <- caller
		}
		perSecond, err := r.rateOf(ctx, "4 connections of the cheapest client", c, func(context.Context) error {
			caller := <-callers
			defer func() { callers <- caller }()
			return caller.Ask()
		})
		if err != nil {
			return 0, err
		}
		if c == stand.Ambit {
			ambit = perSecond
		}
	}
	return ambit, nil
}

func (r *report) rateOf(ctx context.Context, how string, c stand.Contender, ask func(context.Context) error) (float64, error) {
	perSecond, series, err := measure.Rate(ctx, concurrency, 3*time.Second, ask)
	if err == nil {
		r.note("%s, %s: %.0f answers/s, p50 %s, p99 %s", how, []string{"Ambit", "memory", "empty", "kept", "loop"}[c], perSecond,
			short(series.Median()), short(series.Percentile(99)))
	}
	return perSecond, err
}

// slowPeers answers W1 with OPA, cedar-go and casbin, compares, and returns the medians by name.
func (r *report) slowPeers(ctx context.Context, w *workload.World, want peers.Answer, base time.Duration) (map[string]time.Duration, error) {
	out := map[string]time.Duration{}
	timed := func(name string, runs int, f func() (peers.Answer, error)) error {
		var last peers.Answer
		all, err := measure.InTurn(runs, r.limit, func() (err error) { last, err = f(); return err })
		if err != nil {
			return err
		}
		if d := want.Differs(last); d != "" {
			return fmt.Errorf("%s: %s", name, d)
		}
		r.row(name, all[0], base)
		out[name] = all[0].Median()
		return nil
	}
	for form, name := range []string{peers.Obvious: "OPA, obvious form", peers.Best: "OPA, best form"} {
		o, err := peers.NewOPA(ctx, w, peers.Form(form))
		if err != nil {
			return nil, err
		}
		got, err := o.Answer(ctx)
		if err != nil {
			return nil, err
		}
		if err := timed(name, 20, func() (peers.Answer, error) { _, err := o.Eval(ctx); return got, err }); err != nil {
			return nil, err
		}
	}
	c, err := peers.NewCedar(w)
	if err != nil {
		return nil, err
	}
	inBatch, byLoop, err := c.Answers(ctx)
	if err != nil {
		return nil, err
	}
	ignore := func(string, string) {}
	if err := timed("cedar-go, x/exp/batch", 20, func() (peers.Answer, error) { return inBatch, c.Batch(ctx, ignore) }); err != nil {
		return nil, err
	}
	if !r.slow {
		return out, nil
	}
	return out, timed("cedar-go, Authorize loop", 3, func() (peers.Answer, error) { c.Loop(ignore); return byLoop, nil })
}

// servedPeers asks W1 of the peers that are servers and whose programs are given; base is Ambit's median over HTTP.
func (r *report) servedPeers(ctx context.Context, w *workload.World, want peers.Answer, base time.Duration) (err error) {
	if r.openFGA == "" {
		return nil
	}
	o, err := peers.StartOpenFGA(ctx, r.openFGA, w, want)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	got, err := o.Answer(ctx)
	if err != nil {
		return err
	}
	if d := want.Differs(got); d != "" {
		return fmt.Errorf("OpenFGA: %s", d)
	}
	all, err := measure.InTurn(20, r.limit, func() error { _, err := o.List(ctx); return err })
	if err != nil {
		return err
	}
	r.note("OpenFGA, in memory, %d ListObjects calls: median %s in %d runs", len(workload.Actions()), short(all[0].Median()), len(all[0]))
	r.atLeast(all[0].Median(), base, 40, "OpenFGA")
	return nil
}

// casbin answers a tenth of W1, since all of it takes minutes, and prints ten times the time.
func (r *report) casbin(base time.Duration) error {
	p := workload.W1().Parameters
	p.PerType /= 10
	w := workload.New(p)
	c, err := peers.NewCasbin(w)
	if err != nil {
		return err
	}
	start := time.Now()
	got, err := c.Answer()
	took := time.Since(start) * 10
	if err != nil {
		return err
	}
	if d := peers.NewPlain(w).Answer().Differs(got); d != "" {
		return fmt.Errorf("casbin: %s", d)
	}
	r.row("casbin ABAC (a tenth of the assets, × 10)", measure.Series{took}, base)
	return nil
}

// heapOf loads a world and says what it takes on the heap for each asset beyond its raw bytes.
func heapOf(w *workload.World) (a *peers.Ambit, total, over float64, err error) {
	before := measure.Heap()
	start := time.Now()
	if a, err = peers.NewAmbit(w); err != nil {
		return nil, 0, 0, err
	}
	fmt.Fprintf(os.Stderr, "%s: loaded in %s\n", w.Name, time.Since(start).Round(time.Millisecond))
	after := measure.Heap()
	raw, n := 0, 0
	for t := range w.Types {
		for x := range w.Assets(t) {
			raw += x.Bytes()
			n++
		}
	}
	total = float64(after-min(before, after)) / float64(n)
	return a, total, total - float64(raw)/float64(n), nil
}
