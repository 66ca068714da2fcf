package engine

import "slices"

// lists changes a trie of slices in bulk: each slice is copied once, changed in place as often as needed, and written
// back by flush. Slices that other snapshots see are never touched.
type lists[K comparable, V any] struct {
	trie  *trie[K, []V]
	owned map[K][]V
}

func edit[K comparable, V any](t *trie[K, []V]) *lists[K, V] {
	return &lists[K, V]{trie: t, owned: map[K][]V{}}
}

// get gives the slice under key, to be changed and put back.
func (l *lists[K, V]) get(key K) []V {
	if list, ok := l.owned[key]; ok {
		return list
	}
	list, _ := l.trie.get(key)
	return slices.Clone(list)
}

func (l *lists[K, V]) put(key K, list []V) { l.owned[key] = list }

// flush writes all changed slices to the trie; empty ones disappear.
func (l *lists[K, V]) flush() {
	for key, list := range l.owned {
		if len(list) == 0 {
			*l.trie = l.trie.without(key)
		} else {
			*l.trie = l.trie.with(key, slices.Clip(list))
		}
	}
	clear(l.owned)
}
