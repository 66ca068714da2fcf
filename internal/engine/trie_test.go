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

// TestTriesApart: apart yields what differs, whatever two tries share.
func TestTriesApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree, m := newTrie[int, int](), map[int]int{}
		change := func(n int) {
			for range n {
				if key := rapid.IntRange(0, 200).Draw(t, "key"); rapid.Bool().Draw(t, "delete") {
					tree = tree.without(key)
					delete(m, key)
				} else {
					m[key] = rapid.IntRange(0, 1<<30).Draw(t, "value")
					tree = tree.with(key, m[key])
				}
			}
		}
		change(rapid.IntRange(0, 300).Draw(t, "before"))
		before, was := tree, maps.Clone(m)
		if rapid.IntRange(0, 9).Draw(t, "anew") == 0 {
			tree, m = newTrie[int, int](), map[int]int{}
		}
		change(rapid.IntRange(0, 60).Draw(t, "after"))
		want := map[int]int{}
		for key, v := range was {
			if now, ok := m[key]; !ok || now != v {
				want[v]++
			}
		}
		got := map[int]int{}
		for v := range apart(&before, &tree) {
			got[v]++
		}
		if !maps.Equal(got, want) {
			t.Fatalf("apart yields %v, want %v", got, want)
		}
	})
}
