package engine

import (
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// TestTrieIsAMap compares a trie with a plain map, and checks that older tries keep what they held.
func TestTrieIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		trees := []trie[int, int]{newTrie[int, int]()}
		models := []map[int]int{{}}
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			last := len(trees) - 1
			tree, m := trees[last], maps.Clone(models[last])
			key := rapid.IntRange(0, 120).Draw(t, "key")
			if rapid.IntRange(0, 2).Draw(t, "delete") == 0 {
				tree = tree.without(key)
				delete(m, key)
			} else {
				tree = tree.with(key, last)
				m[key] = last
			}
			trees, models = append(trees, tree), append(models, m)
		}
		for i := range trees {
			if got := maps.Collect(trees[i].all()); !maps.Equal(got, models[i]) || trees[i].size != len(models[i]) {
				t.Fatalf("after step %d the trie holds %v (size %d), want %v", i, got, trees[i].size, models[i])
			}
			for key := range 121 {
				got, ok := trees[i].get(key)
				want, has := models[i][key]
				if ok != has || got != want {
					t.Fatalf("get(%d) = %d %v, want %d %v", key, got, ok, want, has)
				}
			}
		}
	})
}

// TestTrieBelowItsDepth: leaves grow when hashes do not tell entries apart.
func TestTrieBelowItsDepth(t *testing.T) {
	seed := newTrie[int, int]().seed
	var n *trieNode[int, int]
	added := false
	for i := range 100 {
		n = n.with(seed, 0, trieDepth, trieEntry[int, int]{i, i}, &added)
	}
	if len(n.entries) != 100 {
		t.Fatalf("the leaf has %d entries, want 100", len(n.entries))
	}
}
