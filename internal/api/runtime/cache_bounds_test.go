package runtime

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/audit"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// The cache never holds more than it may, counts what it holds, gives up what was used least recently, and drops what it is
// told to: RT-117.
func TestCacheHoldsWhatItMay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := NewCache(20_000)
		held := map[string]*entry{} // what may be there
		number := func(label string, n int) int { return rapid.IntRange(0, n).Draw(rt, label) }
		for range 60 {
			key := []byte(strings.Repeat("k", number("key", 12)))
			switch number("what", 9) {
			case 0:
				clients, identities := []model.ClientID(nil), []string(nil)
				if number("clients", 1) == 1 {
					clients = []model.ClientID{"c0", "c9"}
				}
				if number("identities", 1) == 1 {
					identities = []string{"i0"}
				}
				env := model.EnvironmentID("e" + strconv.Itoa(number("env", 1)))
				c.Drop(env, clients, identities)
				for k, e := range held {
					if e.environment == env && (clients == nil || e.client == "c0") && (identities == nil || len(e.entities) == 0 || slices.Contains(e.entities, "i0")) {
						delete(held, k)
					}
				}
			case 1, 2, 3:
				if e, _ := c.find(key, noon, true); e != nil && held[string(key)] != e {
					rt.Fatalf("%q finds what was dropped or replaced", key)
				}
			default:
				e := &entry{
					environment: model.EnvironmentID("e" + strconv.Itoa(number("env", 1))), client: model.ClientID("c" + strconv.Itoa(number("client", 1))),
					from: noon, until: noon.Add(time.Second), body: make([]byte, number("size", 30)*1000),
				}
				for n := range number("entities", 2) {
					e.entities = append(e.entities, "i"+strconv.Itoa(n))
				}
				_, seen := c.find(key, noon, false)
				current := number("dropped meanwhile", 9) > 0
				if !current {
					c.Drop("e9", nil, nil)
				}
				c.keep(key, e, seen)
				if current && e.cost <= 20_000 {
					held[string(key)] = e
				}
			}
			s, sum, entries := c.Stats(), int64(0), int64(0)
			for _, k := range c.entries.Keys() {
				e, _ := c.entries.Peek(k)
				sum, entries = sum+e.cost, entries+1
				if held[k] != e {
					rt.Fatalf("%q holds what it may not", k)
				}
			}
			if s.Bytes != sum || s.Entries != entries || s.Bytes > 20_000 {
				rt.Fatalf("%+v, counted %d bytes of %d", s, sum, entries)
			}
		}
	})
	c := NewCache(3 * 1000)
	for _, key := range []string{"a", "b", "a", "c", "a", "d"} { // each costs about 1000
		if e, seen := c.find([]byte(key), noon, true); e == nil {
			c.keep([]byte(key), &entry{from: noon, until: noon.Add(1), body: make([]byte, 400)}, seen)
		}
	}
	for key, want := range map[string]bool{"a": true, "b": false, "c": true, "d": true} {
		if e, _ := c.find([]byte(key), noon, true); (e != nil) != want {
			t.Errorf("%s is there: %v", key, e != nil)
		}
	}
}

// brokenWriter takes a number of bytes and then fails.
type brokenWriter struct {
	http.ResponseWriter
	left int
}

func (b *brokenWriter) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errors.New("the client is gone")
	}
	return b.ResponseWriter.Write(p)
}

// A large answer is kept whole or not at all, as far as there is room, and an answer that did not reach its caller leaves
// nothing behind.
func TestLargeAnswersInTheCache(t *testing.T) {
	for _, k := range []struct {
		name   string
		room   int64
		breaks bool
		kept   bool
	}{
		{"fits", 64 << 20, false, true}, {"is too large", 8 << 20, false, false}, {"breaks", 64 << 20, true, false},
	} {
		t.Run(k.name, func(t *testing.T) {
			h, cache := newCached(t, k.room)
			h.update(func(tx *store.Tx) error {
				for i := range 6000 {
					if _, err := tx.Assets("Accounts").Put(model.Asset{Path: fmt.Sprintf("big-%d", i), Attributes: model.Attributes{"branch": {"Porto"}, "tier": {strings.Repeat("x", 20)}}}); err != nil {
						return err
					}
				}
				return nil
			})
			ask := func(breaks bool) (body string) {
				r := httptest.NewRequest(http.MethodPost, "/api/runtime/token/v3", strings.NewReader(`{`+mreyes+`}`))
				r.Header = http.Header{"X-Client-Id": {string(client)}, "X-Client-Secret": {h.secret}}
				w := httptest.NewRecorder()
				left := 1 << 30
				if breaks {
					left = 600_000
				}
				defer func() {
					if broken := recover(); (broken != nil) != breaks {
						t.Errorf("ended with %v", broken)
					}
				}()
				h.handler.ServeHTTP(&brokenWriter{w, left}, r)
				return w.Body.String()
			}
			ask(k.breaks)
			s := cache.Stats()
			if (s.Entries == 1) != k.kept || cache.gathering.Load() != 0 {
				t.Fatalf("%+v, %d bytes on their way", s, cache.gathering.Load())
			}
			first, second := ask(false), ask(false)
			if first != second || len(first) < 2*bufferSize {
				t.Errorf("%d and %d bytes", len(first), len(second))
			}
		})
	}
}

// RT-115, RT-117: many ask the same questions while the environment changes and answers are dropped: answers at one
// revision are the same. The race detector looks on.
func TestCacheUnderChange(t *testing.T) {
	h, cache := newCached(t, 64<<10)
	var mu sync.Mutex
	seen := map[string]string{}
	var work sync.WaitGroup
	done := make(chan struct{})
	for i := range 4 {
		work.Go(func() {
			r := traffic{rand.New(rand.NewPCG(uint64(i), 1))}
			for {
				select {
				case <-done:
					return
				default:
				}
				body := r.of(`{`+mreyes+`}`, `{"entityId":"tokafor"}`, `{`+mreyes+`,"includeIdentity":true}`)
				q := httptest.NewRequest(http.MethodPost, "/api/runtime/token/v3", strings.NewReader(body))
				q.Header = http.Header{"X-Client-Id": {string(client)}, "X-Client-Secret": {h.secret}}
				w := httptest.NewRecorder()
				h.handler.ServeHTTP(w, q)
				at := w.Header().Get("Ambit-Revision") + body
				mu.Lock()
				if before, ok := seen[at]; ok && before != w.Body.String() || w.Code != 200 {
					t.Errorf("%s: %d %s, before %s", at, w.Code, w.Body, before)
				}
				seen[at] = w.Body.String()
				mu.Unlock()
			}
		})
	}
	for i := range 30 {
		h.update(func(tx *store.Tx) error {
			_, err := tx.Assets("Accounts").Put(model.Asset{Path: "acc-1", Attributes: model.Attributes{"branch": {"Porto"}, "balance": {strconv.Itoa(i)}}})
			return err
		})
		w := h.want(request{body: `{` + mreyes + `}`}, 200, "")
		if !strings.Contains(w.Body.String(), `"balance":["`+strconv.Itoa(i)+`"]`) {
			t.Errorf("change %d does not show: %s", i, w.Body)
		}
		if i%10 == 9 {
			cache.Drop(harbourID, nil, []string{"mreyes"})
		}
	}
	close(done)
	work.Wait()
	if s := cache.Stats(); s.Hits == 0 || len(seen) < 30 {
		t.Errorf("%+v of %d revisions and questions: the test says little", s, len(seen))
	}
}

// An answer that was worked on when answers were dropped is not kept.
func TestDropWhileWorking(t *testing.T) {
	h, cache := newCached(t, 1<<20)
	record := audit.Sink(h.records)
	h.service = decide.New(decide.Options{
		Directory: h.directory, Secrets: h.secrets, Clock: func() time.Time { return noon },
		Audit: dropping{record, func() { cache.Drop(harbourID, []model.ClientID{client}, nil) }},
	})
	h.handler = Handler(Options{Service: h.service, Directory: h.directory, Cache: cache})
	h.want(request{body: `{` + mreyes + `}`}, 200, document(acc1, acc2))
	if s := cache.Stats(); s.Entries != 0 {
		t.Errorf("%+v", s)
	}
}

// dropping is a sink that does something else before it keeps a record.
type dropping struct {
	audit.Sink
	before func()
}

func (d dropping) Record(ctx context.Context, ds ...audit.Decision) error {
	d.before()
	return d.Sink.Record(ctx, ds...)
}
