package sqlite

import (
	"bytes"
	"fmt"
	"iter"

	"github.com/go-json-experiment/json"
	jsonv1 "github.com/go-json-experiment/json/v1"
	"zombiezen.com/go/sqlite"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// shape is what tells one collection from another.
type shape[K comparable, V any] struct {
	name  store.CollectionName
	key   func(*V) K
	parts func(K) (owner, id string)
	// tenant collections are not limited to the transaction's environment.
	tenant bool
	// inserted collections are listed in order of first insertion, the others by key.
	inserted bool
	// replaces, when set, tells whether v may take the place of old; else the id is taken.
	replaces func(old, v *V) bool
}

// collection implements store.Collection on the table object. Its queries name their index: else SQLite weighs the partial index
// object_client, which depends on the collection's name, and prepares the statement anew each time one is bound.
type collection[K comparable, V any] struct {
	shape[K, V]
	t           *transaction
	environment model.EnvironmentID
}

func open[K comparable, V any](t *transaction, s shape[K, V]) collection[K, V] {
	c := collection[K, V]{shape: s, t: t}
	if !s.tenant {
		c.environment = t.write.Environment
	}
	return c
}

// object is a row of the table.
type object struct {
	ordinal int64
	body    []byte
	stamp   store.Stamp
}

// load reads one row; found is false when there is none.
func (c collection[K, V]) load(key K) (o object, found bool, err error) {
	if err := c.t.readable(); err != nil {
		return o, false, err
	}
	owner, id := c.parts(key)
	err = c.t.exec("find", `SELECT ordinal, body, created_at, updated_at, revision FROM object INDEXED BY object_key
		WHERE environment = ? AND collection = ? AND owner = ? AND key = ?`,
		func(row *sqlite.Stmt) error {
			found = true
			o = object{ordinal: row.ColumnInt64(0), body: columnBytes(row, 1), stamp: store.Stamp{
				CreatedAt: fromMicro(row.ColumnInt64(2)), UpdatedAt: fromMicro(row.ColumnInt64(3)),
				Revision: model.Revision(row.ColumnInt64(4)),
			}}
			return nil
		}, c.environment, c.name, owner, id)
	return o, found, err
}

// Find implements store.Collection.
func (c collection[K, V]) Find(key K) (V, error) {
	var v V
	o, found, err := c.load(key)
	if err != nil {
		return v, err
	}
	if !found {
		return v, store.ErrNotFound
	}
	return v, c.decode(o.body, &v)
}

// FindAll implements store.Collection. The rows are read before the first one is yielded, so the caller may write and
// list again while it goes through them.
func (c collection[K, V]) FindAll() iter.Seq2[V, error] {
	return func(yield func(V, error) bool) {
		var zero V
		bodies, err := c.bodies()
		if err != nil {
			yield(zero, err)
			return
		}
		for _, body := range bodies {
			if err := c.t.readable(); err != nil {
				yield(zero, err)
				return
			}
			var v V
			if err := c.decode(body, &v); !yield(v, err) || err != nil {
				return
			}
		}
	}
}

func (c collection[K, V]) bodies() (out [][]byte, err error) {
	if err := c.t.readable(); err != nil {
		return nil, err
	}
	query := "SELECT body FROM object INDEXED BY object_key WHERE environment = ? AND collection = ? ORDER BY owner, key"
	if c.inserted {
		query = "SELECT body FROM object INDEXED BY object_key WHERE environment = ? AND collection = ? ORDER BY ordinal"
	}
	err = c.t.exec("find", query, func(row *sqlite.Stmt) error {
		out = append(out, columnBytes(row, 0))
		return nil
	}, c.environment, c.name)
	return out, err
}

// Put implements store.Collection. It returns store.ErrNotFound when the transaction's environment does not exist.
func (c collection[K, V]) Put(v V) (store.Result, error) {
	if err := c.writable(); err != nil {
		return store.Unchanged, err
	}
	body, err := encode(&v)
	if err != nil {
		return store.Unchanged, &model.Error{Op: "sqlite.put", Err: fmt.Errorf("%s: %w", c.name, err)}
	}
	key := c.key(&v)
	old, found, err := c.load(key)
	switch {
	case err != nil:
		return store.Unchanged, err
	case !found:
		return c.insert(key, body)
	case bytes.Equal(old.body, body):
		return store.Unchanged, nil
	}
	if c.replaces != nil {
		var before V
		if err := c.decode(old.body, &before); err != nil {
			return store.Unchanged, err
		}
		if !c.replaces(&before, &v) {
			return store.Unchanged, store.ErrTaken
		}
	}
	err = c.t.exec("put", "UPDATE object SET body = ?, updated_at = ?, revision = ? WHERE ordinal = ?", nil,
		body, toMicro(c.t.write.Time), c.t.revision+1, old.ordinal)
	if err != nil {
		return store.Unchanged, err
	}
	c.changed(key, false)
	return store.Updated, nil
}

func (c collection[K, V]) insert(key K, body []byte) (store.Result, error) {
	owner, id := c.parts(key)
	now := toMicro(c.t.write.Time)
	err := c.t.exec("put", `INSERT INTO object (environment, collection, owner, key, body, created_at, updated_at, revision)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, nil, c.environment, c.name, owner, id, body, now, now, c.t.revision+1)
	if err != nil {
		return store.Unchanged, err
	}
	c.changed(key, false)
	return store.Created, nil
}

// Delete implements store.Collection.
func (c collection[K, V]) Delete(key K) (store.Result, error) {
	if err := c.t.ready(); err != nil {
		return store.Unchanged, err
	}
	old, found, err := c.load(key)
	if err != nil || !found {
		return store.Unchanged, err
	}
	if err := c.t.exec("delete", "DELETE FROM object WHERE ordinal = ?", nil, old.ordinal); err != nil {
		return store.Unchanged, err
	}
	c.changed(key, true)
	return store.Deleted, nil
}

// Stamp implements store.Collection.
func (c collection[K, V]) Stamp(key K) (store.Stamp, error) {
	o, found, err := c.load(key)
	if err == nil && !found {
		err = store.ErrNotFound
	}
	return o.stamp, err
}

func (c collection[K, V]) writable() error {
	if c.tenant {
		return c.t.ready()
	}
	return c.t.readyInside()
}

func (c collection[K, V]) changed(key K, deleted bool) {
	_, id := c.parts(key)
	if k, ok := any(key).(store.Key); ok {
		id = k.String()
	}
	c.t.changes.object(c.name, id, deleted)
}

func (c collection[K, V]) decode(body []byte, v *V) error {
	if err := json.Unmarshal(body, v, json.RejectUnknownMembers(true), formatDuration()); err != nil {
		return &model.Error{Op: "sqlite.find", Err: fmt.Errorf("stored %s: %w", c.name, err)}
	}
	return nil
}

// encode writes equal values as equal bytes and refuses texts that are not UTF-8. Zero fields are left out, which keeps nil
// apart from empty.
func encode(v any) ([]byte, error) {
	return json.Marshal(v, json.Deterministic(true), json.OmitZeroStructFields(true), formatDuration())
}

// formatDuration writes a time.Duration as nanoseconds.
func formatDuration() json.Options { return jsonv1.FormatDurationAsNano(true) }

// columnBytes copies a blob out of the row, which SQLite reuses.
func columnBytes(row *sqlite.Stmt, column int) []byte {
	out := make([]byte, row.ColumnLen(column))
	row.ColumnBytes(column, out)
	return out
}

// environments is the collection of environments: deleting one deletes everything in it.
type environments struct {
	collection[model.EnvironmentID, model.Environment]
}

// Put implements store.Collection.
func (c environments) Put(v model.Environment) (store.Result, error) {
	if v.ID == "" {
		return store.Unchanged, &model.Error{Op: "sqlite.put", Message: "an environment without an id"} // "" is the tenant
	}
	c.t.exists = nil
	return c.collection.Put(v)
}

// Delete implements store.Collection. Only the environment itself appears in the feed. Its events stay.
func (c environments) Delete(key model.EnvironmentID) (store.Result, error) {
	c.t.exists = nil
	result, err := c.collection.Delete(key)
	if err != nil || result != store.Deleted {
		return result, err
	}
	if err := c.t.deleteCatalogues(key); err != nil {
		return store.Unchanged, err
	}
	if err := c.t.exec("delete", "DELETE FROM object WHERE environment = ?", nil, key); err != nil {
		return store.Unchanged, err
	}
	credentials := open(c.t, credentialShape())
	for credential, err := range credentials.FindAll() {
		if err != nil {
			return store.Unchanged, err
		}
		if credential.EnvironmentID != key {
			continue
		}
		if err := c.t.exec("delete", "DELETE FROM object WHERE environment = '' AND collection = ? AND key = ?", nil,
			store.Credentials, credential.ClientID); err != nil {
			return store.Unchanged, err
		}
	}
	return store.Deleted, nil
}
