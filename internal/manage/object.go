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
		out.Object, out.Seen, err = find(tx, k.in(tx), key, k.name, k.id(key))
		return err
	})
	return out, err
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
		if err := precondition(w, c, key, k.name, k.id(key)); err != nil {
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
		if err := precondition(w, c, key, k.name, k.id(key)); err != nil {
			return err
		}
		object, err := c.Find(key)
		if errors.Is(err, store.ErrNotFound) {
			return missingResource(k.name, k.id(key))
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
