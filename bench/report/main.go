// Command report runs the workloads, compares every answer with the plain loop's before it times anything, and prints a
// Markdown table with the targets beside the results.
//
//	go run ./report            small sizes, a few minutes
//	go run ./report -full      all sizes up to 1,000,000 assets
//	go run ./report -full -assets 10000000   also W4 at ten millions (needs about 8 GiB)
//	go run ./report -only W1,W4   some workloads
//
// It measures on the machine it runs on, client and server together; only the ratios can be compared between machines.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"time"
)

// settings are the command's flags.
type settings struct {
	full   bool
	assets int
	runs   int
	limit  time.Duration
	slow   bool
	only   []string

	openFGA string
}

func main() {
	s := settings{}
	only := ""
	flag.BoolVar(&s.full, "full", false, "all sizes instead of the small ones")
	flag.IntVar(&s.assets, "assets", 0, "one more, larger size of W4")
	flag.IntVar(&s.runs, "runs", 300, "timed runs of each contender")
	flag.DurationVar(&s.limit, "limit", 10*time.Second, "end of the runs of one group of contenders")
	flag.BoolVar(&s.slow, "slow", true, "also the peers that need seconds for one list")
	flag.StringVar(&s.openFGA, "openfga", "", "program of OpenFGA, which is asked W1 when it is given")
	flag.StringVar(&only, "only", "", "workloads to run, comma-separated")
	flag.Parse()
	if only != "" {
		s.only = strings.Split(only, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) error {
	r := &report{settings: s}
	fmt.Printf("%s, %s/%s, %d CPUs, %s\n", time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	big := 100_000
	if s.full {
		big = 1_000_000
	}
	steps := []struct {
		name string
		run  func(context.Context) error
	}{
		{"W1", r.w1},
		{"W2", func(ctx context.Context) error { return r.w2(ctx, big) }},
		{"W3", func(ctx context.Context) error { return r.w3(ctx, big) }},
		{"W4", r.w4},
		{"W5", r.w5},
		{"W6", func(ctx context.Context) error { return r.w6(ctx, big) }},
		{"W7", func(ctx context.Context) error { return r.w7(ctx, big) }},
		{"W8", func(ctx context.Context) error { return r.w8(ctx, big) }},
	}
	for _, step := range steps {
		if len(s.only) > 0 && !slices.Contains(s.only, step.name) {
			continue
		}
		start := time.Now()
		if err := step.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s took %s\n", step.name, time.Since(start).Round(time.Second))
		runtime.GC()
	}
	return nil
}
