package manage

import (
	"context"
	"errors"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// kind is what the use cases of one object need to know of its collection.
type kind[K comparable, V any] struct {
	name    string // as errors name it: Scope
	in      func(*store.Tx) store.Collection[K, V]
	id      func(K) string
	subject *subject[V]
	first   func(*store.Tx) error    // checks of a write that come before those of the object; nil = none
	missing func(*store.Tx, K) error // the error of a key that is not stored; nil = MGT-006
}

// admit makes the checks of a write that come before those of the model, in the order of management-api.md 1.4.
func (k *kind[K, V]) admit(w *writer, key K) error {
	if k.first != nil {
		if err := k.first(w.Tx); err != nil {
			return err
		}
	}
	return precondition(w, k.in(w.Tx), key, k.name, k.id(key))
}

// notFound is the error of a key that is not stored, with a hint when an id is close (management-api.md 1.3).
func (k *kind[K, V]) notFound(tx *store.Tx, key K) error {
	if k.missing != nil {
		return k.missing(tx, key)
	}
	var ids []string
	if err := each(k.in(tx).FindAll(), func(v V) { ids = append(ids, k.subject.id(&v)) }); err != nil {
		return err
	}
	e := missingResource(k.name, k.id(key))
	e.Message += hint(closeTo(k.id(key), ids))
	return e
}

// Stored is an object with the labels of its state.
type Stored[V any] struct {
	Object V
	Seen   Seen
}

// findObject reads one object.
func findObject[K comparable, V any](ctx context.Context, s *Service, env model.EnvironmentID, k *kind[K, V], key K) (Stored[V], error) {
	var out Stored[V]
	err := s.view(ctx, env, func(tx *store.Tx) (err error) {
		out, err = readObject(tx, k, key)
		return err
	})
	return out, err
}

// readObject is findObject inside a transaction.
func readObject[K comparable, V any](tx *store.Tx, k *kind[K, V], key K) (out Stored[V], err error) {
	if found, err := exists(k.in(tx), key); err != nil {
		return out, err
	} else if !found {
		return out, k.notFound(tx, key)
	}
	out.Object, out.Seen, err = find(tx, k.in(tx), key, k.name, k.id(key))
	return out, err
}

// findObjects reads the objects that which chooses, in the order of the collection.
func findObjects[K comparable, V any](ctx context.Context, s *Service, env model.EnvironmentID, k *kind[K, V], which func(*V) (K, bool)) ([]Stored[V], Seen, error) {
	var out []Stored[V]
	var seen Seen
	err := s.view(ctx, env, func(tx *store.Tx) error {
		seen.Revision = tx.Revision
		for v, err := range k.in(tx).FindAll() {
			if err != nil {
				return err
			}
			key, chosen := which(&v)
			if !chosen {
				continue
			}
			stored, err := readObject(tx, k, key)
			if err != nil {
				return err
			}
			out = append(out, stored)
		}
		return nil
	})
	return out, seen, err
}

// changeObject is the use case of every write of one object: it checks the call's precondition, lets write make and
// check the object, stores it with its audit event, and returns it as it now stands. before is nil when there is none.
func changeObject[K comparable, V any](ctx context.Context, s *Service, call *Call, env model.EnvironmentID, k *kind[K, V], key K,
	write func(w *writer, before *V) (V, error),
) (Stored[V], Done, error) {
	var out Stored[V]
	var done Done
	revision, err := s.update(ctx, call, env, func(w *writer) error {
		c := k.in(w.Tx)
		if err := k.admit(w, key); err != nil {
			return err
		}
		var before *V
		found, err := c.Find(key)
		switch {
		case err == nil:
			before = &found
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		after, err := write(w, before)
		if err != nil {
			return err
		}
		done.Result, err = put(w, k.subject, c, key, after)
		if errors.Is(err, store.ErrTaken) {
			return alreadyExists(k.name, k.id(key))
		}
		if err != nil {
			return err
		}
		if done.Version, err = doneVersion(w, c, key, done.Result); err != nil {
			return err
		}
		out.Object, out.Seen, err = find(w.Tx, c, key, k.name, k.id(key))
		return err
	})
	done.Revision = revision
	return out, done, err
}

// removeObject deletes one object, which must exist, with its audit event. last, when not nil, runs before and may
// refuse or clear away what depends on the object.
func removeObject[K comparable, V any](ctx context.Context, s *Service, call *Call, env model.EnvironmentID, k *kind[K, V], key K,
	last func(w *writer, object *V) error,
) (Done, error) {
	done := Done{Result: Deleted}
	var err error
	done.Revision, err = s.update(ctx, call, env, func(w *writer) error {
		c := k.in(w.Tx)
		if err := k.admit(w, key); err != nil {
			return err
		}
		object, err := c.Find(key)
		if errors.Is(err, store.ErrNotFound) {
			return k.notFound(w.Tx, key)
		}
		if err == nil && last != nil {
			err = last(w, &object)
		}
		if err != nil {
			return err
		}
		_, err = remove(w, k.subject, c, key)
		return err
	})
	return done, err
}

// renameObject is the use case of every change of an id: it checks the call's precondition and that the new id is free,
// lets rename give the object its new id and change what names the old one, and stores it under the new id with one audit
// event. An id that stays as it is changes nothing.
func renameObject[K comparable, V any](ctx context.Context, s *Service, call *Call, env model.EnvironmentID, k *kind[K, V], from, to K,
	rename func(w *writer, object *V) error,
) (Done, error) {
	var done Done
	var err error
	if problem := model.CheckExternalID(k.id(to)); problem != "" {
		return done, model.Invalidf("/0/value: %s", problem)
	}
	done.Revision, err = s.update(ctx, call, env, func(w *writer) error {
		c := k.in(w.Tx)
		if err := k.admit(w, from); err != nil {
			return err
		}
		before, err := readObject(w.Tx, k, from)
		if err != nil {
			return err
		}
		done.Version = before.Seen.Version
		if from == to {
			return nil
		}
		if taken, err := exists(c, to); err != nil {
			return err
		} else if taken {
			return alreadyExists(k.name, k.id(to))
		}
		after := before.Object
		if err := rename(w, &after); err != nil {
			return err
		}
		done.Result, done.Version = Updated, version(w.Revision+1)
		return move(w, k.subject, c, from, &before.Object, &after)
	})
	return done, err
}

// move stores under its own key what stood under from, as one change.
func move[K comparable, V any](w *writer, s *subject[V], c store.Collection[K, V], from K, before, after *V) error {
	if _, err := c.Delete(from); err != nil {
		return err
	}
	if _, err := c.Put(*after); err != nil {
		return err
	}
	e := s.event(after, model.EventUpdate)
	e.Before, e.After = string(s.format(before)), string(s.format(after))
	return w.event(e)
}
