// Package measure times things: runs in turn, medians, percentiles, answers a second, bytes of heap. It knows nothing
// of what it times.
package measure

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Series are the times of equal runs, ascending.
type Series []time.Duration

// Percentile is the smallest time that p percent of the runs did not exceed.
func (s Series) Percentile(p int) time.Duration {
	if len(s) == 0 {
		return 0
	}
	return s[max(0, (len(s)*p+99)/100-1)]
}

// Median is the 50th percentile.
func (s Series) Median() time.Duration { return s.Percentile(50) }

// block is how many runs a function has before the next one's turn.
const block = 20

// InTurn runs the functions in turn, a block of runs each after a collection and one run that is not timed: what
// disturbs the machine disturbs all of them, and none pays for another's garbage. It ends when each has run runs times
// or, after at least one run each, when limit is over, and at the first error.
func InTurn(runs int, limit time.Duration, fs ...func() error) ([]Series, error) {
	out := make([]Series, len(fs))
	end := time.Now().Add(limit)
	for n := 0; n < runs && (n == 0 || time.Now().Before(end)); n += block {
		for i, f := range fs {
			runtime.GC()
			if err := f(); err != nil {
				return nil, err
			}
			for k := 0; k < min(block, runs-n) && (k == 0 || time.Now().Before(end)); k++ {
				start := time.Now()
				if err := f(); err != nil {
					return nil, err
				}
				out[i] = append(out[i], time.Since(start))
			}
		}
	}
	for _, s := range out {
		slices.Sort(s)
	}
	return out, nil
}

// Rate is how often a second workers goroutines finish f, with their times. It stops at the first error.
func Rate(ctx context.Context, workers int, during time.Duration, f func(context.Context) error) (float64, Series, error) {
	var group sync.WaitGroup
	var failed atomic.Pointer[error]
	all := make([]Series, workers)
	start := time.Now()
	end := start.Add(during)
	for i := range workers {
		group.Go(func() {
			for failed.Load() == nil && time.Now().Before(end) {
				begun := time.Now()
				if err := f(ctx); err != nil {
					failed.Store(&err)
					return
				}
				all[i] = append(all[i], time.Since(begun))
			}
		})
	}
	group.Wait()
	took := time.Since(start)
	if err := failed.Load(); err != nil {
		return 0, nil, *err
	}
	times := slices.Concat(all...)
	slices.Sort(times)
	return float64(len(times)) / took.Seconds(), times, nil
}

// Heap is the size of what lives on the heap, in bytes.
func Heap() uint64 {
	runtime.GC()
	runtime.GC() // the first one leaves what finalizers held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Processor is how long this process has used the processors until now, in the system too.
func Processor() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err) // the arguments are right
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// Allocated is how many bytes and objects f allocates in the whole process.
func Allocated(f func() error) (bytes, objects uint64, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err = f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, after.Mallocs - before.Mallocs, err
}
