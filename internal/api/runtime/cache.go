package runtime

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/ambit-authz/ambit/internal/model"
)

// Cache keeps encoded answers for those who ask the same question again (runtime-api.md 14.1), up to a number of bytes; the
// least recently used ones give way. An answer is found by its whole question, never by a digest of it. It is safe for
// concurrent use.
type Cache struct {
	limit   int64
	mu      sync.Mutex
	entries *simplelru.LRU[string, *entry]
	stats   CacheStats
	drops   uint64 // calls of Drop

	gathering atomic.Int64 // bytes of answers on their way that may be kept
}

// CacheStats are the figures of a cache since it was made, and what it holds now.
type CacheStats struct {
	Hits, Misses, Entries, Bytes int64
}

const (
	// maxKey is how long a question may be of which the answer is kept, in bytes.
	maxKey = 64 << 10
	// entryShare is how many of the largest answers a cache has room for.
	entryShare = 16
	// gatherShare is which part of the cache's size answers on their way may have beside it.
	gatherShare = 4
	// entryBytes is about what an entry takes beside its texts.
	entryBytes = 512
)

// entry is an answer that is kept. It does not change.
type entry struct {
	environment model.EnvironmentID
	client      model.ClientID
	entities    []string // none = the answer is about everybody
	from, until time.Time
	result      string // for the audit
	body        []byte
	cost        int64
}

// NewCache makes a cache for answers of so many bytes, with what it takes to keep them.
func NewCache(bytes int64) *Cache {
	entries, err := simplelru.NewLRU[string, *entry](1<<31-1, nil)
	if err != nil {
		panic(err) // the size is a constant above zero
	}
	return &Cache{limit: bytes, entries: entries}
}

// gather takes room for so many more bytes of an answer that has some; false = there is none. Callers that read slowly must
// not hold more than a part of what the cache may hold.
func (c *Cache) gather(has, more int64) bool {
	if has+more > c.limit/entryShare {
		return false
	}
	if c.gathering.Add(more) > c.limit/gatherShare {
		c.gathering.Add(-more)
		return false
	}
	return true
}

// Stats reads the figures.
func (c *Cache) Stats() CacheStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.stats
	out.Entries = int64(c.entries.Len())
	return out
}

// find gives the answer to a question, nil when there is none that is good at the instant. seen is to be given to keep.
func (c *Cache) find(key []byte, at time.Time, wanted bool) (e *entry, seen uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !wanted {
		return nil, c.drops
	}
	e, ok := c.entries.Get(string(key))
	if ok && !at.Before(e.from) && at.Before(e.until) {
		c.stats.Hits++
		return e, c.drops
	}
	if ok && !at.Before(e.until) {
		c.remove(string(key), e)
	}
	c.stats.Misses++
	return nil, c.drops
}

// keep keeps an answer in place of an earlier one, unless something was dropped since find: the answer may be older.
func (c *Cache) keep(key []byte, e *entry, seen uint64) {
	e.cost = int64(len(key) + len(e.body) + len(e.result) + entryBytes)
	for _, id := range e.entities {
		e.cost += int64(len(id))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drops != seen || e.cost > c.limit {
		return
	}
	if old, ok := c.entries.Peek(string(key)); ok {
		c.remove(string(key), old)
	}
	c.entries.Add(string(key), e)
	c.stats.Bytes += e.cost
	for c.stats.Bytes > c.limit {
		oldest, old, _ := c.entries.GetOldest()
		c.remove(oldest, old)
	}
}

func (c *Cache) remove(key string, e *entry) {
	c.entries.Remove(key)
	c.stats.Bytes -= e.cost
}

// Drop forgets the answers of an environment (runtime-api.md 14.3): those to one of the clients, none = all, and about one of
// the identities, none = all. Answers about everybody are about each. It is complete when it returns: an answer that is being
// worked on is not kept.
func (c *Cache) Drop(environment model.EnvironmentID, clients []model.ClientID, identities []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	for _, key := range c.entries.Keys() {
		e, _ := c.entries.Peek(key)
		about := len(identities) == 0 || len(e.entities) == 0 ||
			slices.ContainsFunc(e.entities, func(id string) bool { return slices.Contains(identities, id) })
		if e.environment == environment && about && (len(clients) == 0 || slices.Contains(clients, e.client)) {
			c.remove(key, e)
		}
	}
}
