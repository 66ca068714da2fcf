package engine

import (
	"hash/maphash"
	"iter"
	"slices"
)

// trie is an immutable map. With and without return a new one that shares all but the path to the changed entry, so
// that a change costs the same in a large map as in a small one. The zero trie is not usable: start with newTrie.
type trie[K comparable, V any] struct {
	root *trieNode[K, V]
	seed maphash.Seed
	size int
}

const (
	trieBits  = 4
	trieWidth = 1 << trieBits
	trieLeaf  = 8                     // entries of a leaf before it splits
	trieDepth = 64 / trieBits         // below this, leaves grow without bound
	trieMask  = uint64(trieWidth - 1) // of one level's part of a hash
)

// trieNode is either a leaf (children nil) or an inner node.
type trieNode[K comparable, V any] struct {
	children *[trieWidth]*trieNode[K, V]
	entries  []trieEntry[K, V]
}

type trieEntry[K comparable, V any] struct {
	key   K
	value V
}

func newTrie[K comparable, V any]() trie[K, V] { return trie[K, V]{seed: maphash.MakeSeed()} }

func (t *trie[K, V]) get(key K) (value V, ok bool) {
	hash := maphash.Comparable(t.seed, key)
	n := t.root
	for n != nil && n.children != nil {
		n = n.children[hash&trieMask]
		hash >>= trieBits
	}
	if n != nil {
		for i := range n.entries {
			if n.entries[i].key == key {
				return n.entries[i].value, true
			}
		}
	}
	return value, false
}

func (t trie[K, V]) with(key K, value V) trie[K, V] {
	added := false
	t.root = t.root.with(t.seed, maphash.Comparable(t.seed, key), 0, trieEntry[K, V]{key, value}, &added)
	if added {
		t.size++
	}
	return t
}

func (n *trieNode[K, V]) with(seed maphash.Seed, hash uint64, depth int, e trieEntry[K, V], added *bool) *trieNode[K, V] {
	if n == nil {
		*added = true
		return &trieNode[K, V]{entries: []trieEntry[K, V]{e}}
	}
	if n.children != nil {
		children := *n.children
		at := hash & trieMask
		children[at] = children[at].with(seed, hash>>trieBits, depth+1, e, added)
		return &trieNode[K, V]{children: &children}
	}
	at := slices.IndexFunc(n.entries, func(x trieEntry[K, V]) bool { return x.key == e.key })
	if at >= 0 {
		entries := slices.Clone(n.entries)
		entries[at] = e
		return &trieNode[K, V]{entries: entries}
	}
	*added = true
	if len(n.entries) < trieLeaf || depth >= trieDepth {
		return &trieNode[K, V]{entries: append(slices.Clip(n.entries), e)}
	}
	split := &trieNode[K, V]{children: new([trieWidth]*trieNode[K, V])}
	var ignored bool
	for _, x := range append(slices.Clip(n.entries), e) {
		h := maphash.Comparable(seed, x.key) >> (depth * trieBits)
		split.children[h&trieMask] = split.children[h&trieMask].with(seed, h>>trieBits, depth+1, x, &ignored)
	}
	return split
}

func (t trie[K, V]) without(key K) trie[K, V] {
	if _, ok := t.get(key); !ok {
		return t
	}
	t.root = t.root.without(maphash.Comparable(t.seed, key), key)
	t.size--
	return t
}

func (n *trieNode[K, V]) without(hash uint64, key K) *trieNode[K, V] {
	if n.children != nil {
		children := *n.children
		at := hash & trieMask
		children[at] = children[at].without(hash>>trieBits, key)
		return &trieNode[K, V]{children: &children}
	}
	if len(n.entries) == 1 {
		return nil
	}
	return &trieNode[K, V]{entries: slices.DeleteFunc(slices.Clone(n.entries), func(x trieEntry[K, V]) bool { return x.key == key })}
}

// all yields every entry in no particular order.
func (t *trie[K, V]) all() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) { t.root.visit(yield) }
}

func (n *trieNode[K, V]) visit(yield func(K, V) bool) bool {
	if n == nil {
		return true
	}
	if n.children == nil {
		for _, e := range n.entries {
			if !yield(e.key, e.value) {
				return false
			}
		}
		return true
	}
	for _, c := range n.children {
		if !c.visit(yield) {
			return false
		}
	}
	return true
}

// apart yields the values of t that other does not hold under the same keys. It passes over what both share.
func apart[K, V comparable](t, other *trie[K, V]) iter.Seq[V] {
	return func(yield func(V) bool) {
		differing(t.root, other.root, func(key K, value V) bool {
			v, ok := other.get(key)
			return ok && v == value || yield(value)
		})
	}
}

// differing visits the entries of n but for those in nodes that m has in the same places.
func differing[K, V comparable](n, m *trieNode[K, V], visit func(K, V) bool) bool {
	if n == m || n == nil {
		return true
	}
	if n.children == nil || m == nil || m.children == nil {
		return n.visit(visit)
	}
	for i, c := range n.children {
		if !differing(c, m.children[i], visit) {
			return false
		}
	}
	return true
}
