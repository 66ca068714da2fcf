package index

import (
	"cmp"
	"iter"
	"slices"
	"sort"
	"strings"
	"unsafe"
)

// dictionary is the sorted list of a column's distinct texts. Those with a key come first, by key then by text; those
// without one follow by text. A text's code is its place in the list.
type dictionary struct {
	key   func(string) (string, bool) // nil = the text
	data  []byte                      // all texts, one after another
	ends  []uint32                    // end of each text in its block of data
	bases []int                       // start of each block of 1<<blockBits texts in data
	keyed uint32                      // number of texts with a key
	// fences are the keys of every 1<<fenceBits-th text with a key: a search ends among so few texts that it touches little
	// memory and makes few keys anew.
	fences []string
}

const (
	blockBits = 8
	fenceBits = 4
)

// newDictionary sorts texts (which must be distinct) and returns the dictionary and the code of each text.
func newDictionary(texts []string, key func(string) (string, bool)) (dictionary, []uint32) {
	d := dictionary{key: key, keyed: uint32(len(texts))}
	order := make([]uint32, len(texts))
	for i := range order {
		order[i] = uint32(i)
	}
	keys := texts
	if key == nil {
		slices.SortFunc(order, func(a, b uint32) int { return strings.Compare(texts[a], texts[b]) })
	} else {
		keys, d.keyed = sortKeyed(order, texts, key)
	}
	size := 0
	for _, t := range texts {
		size += len(t)
	}
	d.data = make([]byte, 0, size)
	d.ends = make([]uint32, len(texts))
	codes := make([]uint32, len(texts))
	for code, i := range order {
		if code&(1<<blockBits-1) == 0 {
			d.bases = append(d.bases, len(d.data))
		}
		d.data = append(d.data, texts[i]...)
		d.ends[code] = uint32(len(d.data) - d.bases[len(d.bases)-1])
		codes[i] = uint32(code)
	}
	d.fences = together(func(yield func(string) bool) {
		for code := 0; code < int(d.keyed) && yield(keys[order[code]]); code += 1 << fenceBits {
		}
	})
	return d, codes
}

// together copies texts that are read together into one piece of memory.
func together(texts iter.Seq[string]) []string {
	var all strings.Builder
	var ends []int
	for t := range texts {
		all.WriteString(t)
		ends = append(ends, all.Len())
	}
	out := make([]string, len(ends))
	start := 0
	for i, end := range ends {
		out[i] = all.String()[start:end]
		start = end
	}
	return out
}

// sortKeyed sorts order by (has a key, key, text) and returns the keys of the texts and how many have one.
func sortKeyed(order []uint32, texts []string, key func(string) (string, bool)) (keys []string, keyed uint32) {
	keys = make([]string, len(texts))
	has := make([]bool, len(texts))
	for i, t := range texts {
		if keys[i], has[i] = key(t); has[i] {
			keyed++
		}
	}
	slices.SortFunc(order, func(a, b uint32) int {
		if has[a] != has[b] {
			if has[a] {
				return -1
			}
			return 1
		}
		return cmp.Or(strings.Compare(keys[a], keys[b]), strings.Compare(texts[a], texts[b]))
	})
	return keys, keyed
}

func (d *dictionary) len() int { return len(d.ends) }

// text gives the text of a code without copying it.
func (d *dictionary) text(code uint32) string {
	base := d.bases[code>>blockBits]
	start := base
	if code&(1<<blockBits-1) != 0 {
		start = base + int(d.ends[code-1])
	}
	end := base + int(d.ends[code])
	if start == end {
		return ""
	}
	return unsafe.String(&d.data[start], end-start) //nolint:gosec // data is never written again once texts are read
}

func (d *dictionary) keyOf(code uint32) string {
	t := d.text(code)
	if d.key == nil {
		return t
	}
	k, _ := d.key(t)
	return k
}

// find gives the code of a text.
func (d *dictionary) find(text string) (code uint32, ok bool) {
	if d.key == nil {
		code = d.lowerBound(text, false)
		return code, code < d.keyed && d.text(code) == text
	}
	low, high := d.keyed, uint32(d.len())
	if k, has := d.key(text); has {
		r := d.equal(k)
		low, high = r.low, r.high
	}
	code = low + uint32(sort.Search(int(high-low), func(i int) bool { return d.text(low+uint32(i)) >= text }))
	return code, code < high && d.text(code) == text
}

// search is the first keyed code whose key reached accepts, which it does from some key on.
func (d *dictionary) search(reached func(key string) bool) uint32 {
	fence := uint32(sort.Search(len(d.fences), func(i int) bool { return reached(d.fences[i]) }))
	if fence == 0 {
		return 0
	}
	low, high := (fence-1)<<fenceBits+1, min(fence<<fenceBits, d.keyed)
	return low + uint32(sort.Search(int(high-low), func(i int) bool { return reached(d.keyOf(low + uint32(i))) }))
}

// lowerBound is the first keyed code whose key is at least (or, with after, greater than) key.
func (d *dictionary) lowerBound(key string, after bool) uint32 {
	return d.search(func(k string) bool {
		c := strings.Compare(k, key)
		return c > 0 || c == 0 && !after
	})
}

// equal is the range of codes with a key.
func (d *dictionary) equal(key string) codeRange {
	low := d.lowerBound(key, false)
	high := low
	for high < d.keyed && d.keyOf(high) == key {
		high++
	}
	return codeRange{low, high}
}

// prefix is the range of codes whose text starts with p. Only for columns without a key function.
func (d *dictionary) prefix(p string) codeRange {
	return codeRange{d.lowerBound(p, false), d.search(func(text string) bool { return text >= p && !strings.HasPrefix(text, p) })}
}
