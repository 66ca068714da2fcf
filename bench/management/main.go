// Command management measures the management plane over HTTP: imports of policies one by one, pages of long lists, audit
// events, previews of wide changes, and streams. Everything goes through the product's handler on a real store in a real
// directory, every commit is synced, and every request is authenticated. It prints Markdown lines with the targets.
//
//	go run ./management                  a tenth of the sizes
//	go run ./management -full            10,000 imports, 100,000 policies, 1,000,000 events and assets
//	go run ./management -only events     one part
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"time"

	"github.com/ambit-authz/ambit/bench/measure"
)

func main() {
	full := flag.Bool("full", false, "all sizes")
	only := flag.String("only", "", "imports, pages, events, impact or streams")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *full, *only); err != nil {
		fmt.Fprintln(os.Stderr, "management:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, full bool, only string) error {
	scale := 10
	if full {
		scale = 1
	}
	fmt.Printf("\n### Management: %s, %s/%s, %d CPUs, sizes divided by %d\n\n", time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), scale)
	for _, part := range []struct {
		name string
		run  func(context.Context, *plane, int) error
	}{{"imports", imports}, {"pages", pages}, {"events", events}, {"impact", impact}, {"streams", streams}} {
		if only != "" && only != part.name {
			continue
		}
		if err := alone(ctx, scale, part.run); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// alone runs a part on a store of its own.
func alone(ctx context.Context, scale int, part func(context.Context, *plane, int) error) (err error) {
	dir, err := os.MkdirTemp("", "ambit-management-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p, err := open(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	return part(ctx, p, scale)
}

// verdict prints the slowest of the runs against a limit.
func verdict(what string, s measure.Series, limit time.Duration) {
	slowest := s[len(s)-1]
	word := "met"
	if slowest > limit {
		word = "**missed**"
	}
	fmt.Printf("- %s ≤ %s: median %s, slowest of %d %s – %s\n", what, limit, short(s.Median()), len(s), short(slowest), word)
}

func short(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(10 * time.Millisecond)
}

// timed runs f some times, the first of which counts too.
func timed(runs int, f func() error) (measure.Series, error) {
	out := make(measure.Series, 0, runs)
	for range runs {
		start := time.Now()
		if err := f(); err != nil {
			return nil, err
		}
		out = append(out, time.Since(start))
	}
	slices.Sort(out)
	return out, nil
}
