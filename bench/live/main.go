// Command live measures watches of User Access Token lists: what an idle stream costs, and how long after a commit an event
// is there, with many streams and many changes.
//
//	go run ./live                       1,000 streams, 100 changes a second, 20 seconds of each kind
//	go run ./live -streams 200 -seconds 5
//
// Server and clients run in one process on the machine it runs on, the store is a real one in a real directory. What a
// stream costs is told with the client's socket; the server is that of the product.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"time"

	"github.com/ambit-authz/ambit/bench/measure"
)

type settings struct {
	streams, rate, seconds, assets, past int
}

func main() {
	s := settings{}
	flag.IntVar(&s.streams, "streams", 1000, "open streams, each of another user")
	flag.IntVar(&s.rate, "rate", 100, "changes a second")
	flag.IntVar(&s.seconds, "seconds", 20, "how long each kind of change lasts")
	flag.IntVar(&s.assets, "assets", 100_000, "stored assets")
	flag.IntVar(&s.past, "past", 1000, "revisions that are held")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "live:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) error {
	fmt.Printf("%s, %s/%s, %d CPUs, %s; %d streams, %d changes a second, %d assets\n\n", time.Now().UTC().Format(time.DateOnly),
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), s.streams, s.rate, s.assets)
	dir, err := os.MkdirTemp("", "ambit-live-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	w, err := open(ctx, dir, s)
	if err != nil {
		return err
	}
	defer w.close()
	if err := idle(w); err != nil {
		return err
	}
	fmt.Println("\n| changes | told | events | p50 | p90 | p99 | longest | never told |\n| --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, k := range w.kinds() {
		if err := w.measure(ctx, k, s); err != nil {
			return err
		}
	}
	held := min(w.revisions, s.past)
	_, live := inUse()
	fmt.Printf("\nheld for the past: %d revisions, estimated at %d KiB; live objects, with those of the clients: %d KiB\n", held, w.directory.PastBytes()>>10, live>>10)
	return nil
}

// inUse is what the process holds after a collection.
func inUse() (inUse, live uint64) {
	for range 3 {
		runtime.GC()
		time.Sleep(50 * time.Millisecond)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse, m.HeapAlloc
}

// idle opens the streams and tells what they cost.
func idle(w *world) error {
	if err := w.warm(); err != nil {
		return err
	}
	before, live := inUse()
	if err := w.connect(); err != nil {
		return err
	}
	time.Sleep(time.Second)
	after, now := inUse()
	n := uint64(len(w.streams))
	fmt.Printf("an idle stream: %d bytes of heap and stacks in use (%d bytes of live objects); target 16384\n", (after-before)/n, (now-live)/n)
	return nil
}

func printRow(kind string, told measure.Series, events, missing int) {
	slices.Sort(told)
	if len(told) == 0 {
		fmt.Printf("| %s | 0 | %d | – | – | – | – | %d |\n", kind, events, missing)
		return
	}
	round := func(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
	fmt.Printf("| %s | %d | %d | %s | %s | %s | %s | %d |\n", kind, len(told), events, round(told.Median()), round(told.Percentile(90)),
		round(told.Percentile(99)), round(told[len(told)-1]), missing)
}
