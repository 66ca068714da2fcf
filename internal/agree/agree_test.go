package agree

import (
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/ambit-authz/ambit/internal/store"
)

// statesOfWorld is how many states a world goes through, the first included.
const statesOfWorld = 20

// TestAllEndpointsAgree: RT-1, RT-2, RT-16, RT-52, RT-53, RT-60, RT-65 to RT-67, RT-79, RT-85, RT-89, RT-90, RT-91 to RT-100,
// RT-101, RT-102, RT-108, RT-109, az-08, reliability.md 1.1 and 3 (incomplete list): in random states of an environment on a
// real store, every route that decides says the same. AMBIT_MODELS sets the number of states.
func TestAllEndpointsAgree(t *testing.T) {
	n := 2000
	if text := os.Getenv("AMBIT_MODELS"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		check(t, err)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(2000)) // little is kept, so that collecting it seldom costs little
	workers := max(1, runtime.GOMAXPROCS(0))
	total := &tally{reasons: map[string]int{}}
	var mu sync.Mutex
	started := time.Now()
	t.Run("states", func(t *testing.T) {
		for i := range workers {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				count := compareStates(t, uint64(i), (n+workers-1)/workers)
				mu.Lock()
				defer mu.Unlock()
				total.add(count)
			})
		}
	})
	took := time.Since(started)
	t.Logf("%d states in %.1f s (%.0f a second), %d requests", n, took.Seconds(), float64(n)/took.Seconds(), total.asked)
	t.Logf("%+v", *total)
	if t.Failed() || n < 1000 {
		return // a few states say nothing about the mix
	}
	if share := 100 * total.granted / total.pairs; share < 20 || share > 80 {
		t.Errorf("%d %% of the pairs are granted: the comparison says little", share)
	}
	for _, code := range []string{"", "PID001", "PID002", "PID003", "PID004", "PID005", "PID006", "PID007", "PID008"} {
		if total.reasons[code] < n/20 {
			t.Errorf("reason %q arises %d times", code, total.reasons[code])
		}
	}
	if total.exact*2 < total.filters || total.fitting*10 < total.filters*8 || total.pages < n/8 || total.several < n/10 || total.sql < n/4 || total.signed < n ||
		total.followed < n/followed/2 || total.changed < total.followed/6 || total.heard < total.followed/6 || total.unmodified < total.followed/20 {
		t.Errorf("the mix is poor: %+v", *total)
	}
}

// compareStates goes through n states in one environment.
func compareStates(t *testing.T, worker uint64, n int) *tally {
	s, d, count := newStack(t), newDatabases(t), &tally{reasons: map[string]int{}}
	s.tick = 1 // with it a heartbeat of a nanosecond is always due: watches tell of states that alter nothing, too
	var w *world
	var f *follower
	for i := range n {
		if i%statesOfWorld == 0 {
			w = newWorld(rand.New(rand.NewPCG(worker, uint64(i))), w)
		} else {
			w.change()
		}
		if f != nil {
			f.wait(i%statesOfWorld == 0, count)
		}
		check(t, s.commit(environment, func(tx *store.Tx) error {
			for _, write := range w.writes {
				if err := write(tx); err != nil {
					return err
				}
			}
			return nil
		}))
		w.writes = nil
		if at, ok := s.directory.Revision(environment); !ok || at != s.revision {
			t.Fatalf("worker %d, state %d: the directory is at revision %d, the store at %d: the environment does not compile", worker, i, at, s.revision)
		}
		if f != nil && f.hear(count) {
			f = nil
		}
		q := newQuestion(t, w, s, d, count)
		q.ask()
		if f == nil && i%followed == followed-1 {
			f = q.follow()
		}
	}
	if f != nil {
		f.watch.close()
	}
	count.asked = s.asked
	return count
}

// ask asks every endpoint.
func (q *question) ask() {
	q.t.Helper()
	q.everybody()
	q.transposed()
	q.described()
	q.forms()
	listed := map[pair]bool{}
	for p, v := range q.permitted[q.focus.key()] {
		if v.allowed {
			listed[p] = true
		}
	}
	q.filtered(`{`+q.asker(q.focus)+q.circumstances(), listed)
	q.queried()
	if q.chance(40) {
		q.several()
	}
	q.explained()
	q.policies()
	q.calls()
	q.searches(q.evaluations())
}

// verify wants a signature to be one of the published keys'.
func (q *question) verify(token string) {
	q.t.Helper()
	keys, err := q.keys.PublicKeys()
	check(q.t, err)
	for _, key := range keys {
		if _, err := jws.Verify([]byte(token), jws.WithKey(jwa.EdDSA(), key)); err == nil {
			return
		}
	}
	q.fail("no published key verifies %s", token)
}
