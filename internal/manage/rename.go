package manage

import (
	"slices"

	"github.com/ambit-authz/ambit/internal/store"
)

// changeAll stores every object of a collection that change changes, each with its event. change must not write into
// what the object shares with the stored one.
func changeAll[K comparable, V any](w *writer, s *subject[V], c store.Collection[K, V], key func(*V) K, change func(*V) bool) error {
	for v, err := range c.FindAll() {
		if err != nil {
			return err
		}
		if !change(&v) {
			continue
		}
		if _, err := put(w, s, c, key(&v), v); err != nil {
			return err
		}
	}
	return nil
}

// swap is a list with an id in the place of another, or, when that is "", without the other. No id stands twice; an empty
// list is nil. The given list stays as it is.
func swap[ID ~string](list []ID, from, to ID) ([]ID, bool) {
	at := slices.Index(list, from)
	if at < 0 {
		return list, false
	}
	out := slices.Clone(list)
	if to == "" || slices.Contains(out, to) {
		out = slices.Delete(out, at, at+1)
	} else {
		out[at] = to
	}
	if len(out) == 0 {
		return nil, true
	}
	return out, true
}
