package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"zombiezen.com/go/sqlite"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

const (
	// positionBits of a record's id are its position, those above its catalogue.
	positionBits = 40
	maxPosition  = 1<<positionBits - 1
	// recordPage is how many records are in memory at once.
	recordPage = 512
)

// catalogue holds the records of one kind and template.
type catalogue struct {
	id    int64
	next  int64 // position of the next new record
	count int64
	dirty bool // next or count differ from the table
}

type catalogueKey struct {
	kind     store.CollectionName
	template model.TemplateID
}

// findCatalogue returns nil when there is none.
func (t *transaction) findCatalogue(key catalogueKey) (*catalogue, error) {
	if err := t.readable(); err != nil {
		return nil, err
	}
	if c, known := t.catalogues[key]; known {
		return c, nil
	}
	var c *catalogue
	err := t.exec("find", "SELECT id, next, count FROM catalogue WHERE environment = ? AND kind = ? AND template = ?",
		func(row *sqlite.Stmt) error {
			c = &catalogue{id: row.ColumnInt64(0), next: row.ColumnInt64(1), count: row.ColumnInt64(2)}
			return nil
		}, t.write.Environment, key.kind, key.template)
	if err == nil && c != nil {
		t.catalogues[key] = c
	}
	return c, err
}

func (t *transaction) makeCatalogue(key catalogueKey) (*catalogue, error) {
	c, err := t.findCatalogue(key)
	if c != nil || err != nil {
		return c, err
	}
	err = t.exec("put", "INSERT INTO catalogue (environment, kind, template, next, count) VALUES (?, ?, ?, 1, 0)", nil,
		t.write.Environment, key.kind, key.template)
	if err != nil {
		return nil, err
	}
	c = &catalogue{id: t.conn.LastInsertRowID(), next: 1}
	t.catalogues[key] = c
	return c, nil
}

// deleteCatalogues deletes all records of an environment.
func (t *transaction) deleteCatalogues(environment model.EnvironmentID) error {
	var ids []int64
	err := t.exec("delete", "SELECT id FROM catalogue WHERE environment = ?", func(row *sqlite.Stmt) error {
		ids = append(ids, row.ColumnInt64(0))
		return nil
	}, environment)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := t.emptyCatalogue(id); err != nil {
			return err
		}
	}
	if environment == t.write.Environment {
		clear(t.catalogues)
		for _, r := range t.changes.catalogues {
			r.clear() // if the environment is made again, its positions begin anew
		}
	}
	return t.exec("delete", "DELETE FROM catalogue WHERE environment = ?", nil, environment)
}

func (t *transaction) emptyCatalogue(id int64) error {
	return t.exec("delete", "DELETE FROM record WHERE id BETWEEN ? AND ?", nil, id<<positionBits,
		id<<positionBits|maxPosition)
}

// records implements store.Records. It keeps what its calls reuse, as one transaction is used by one goroutine.
type records[R any] struct {
	form[R]
	t        *transaction
	template model.TemplateID
	body     []byte
	stored   []byte
	ids      []model.AttributeID
}

func openRecords[R any](t *transaction, template model.TemplateID, f form[R]) *records[R] {
	return &records[R]{form: f, t: t, template: template}
}

func (r *records[R]) catalogueKey() catalogueKey { return catalogueKey{r.kind, r.template} }

// Find implements store.Records.
func (r *records[R]) Find(key string) (R, error) {
	var record R
	c, err := r.t.findCatalogue(r.catalogueKey())
	if err != nil {
		return record, err
	}
	if c == nil {
		return record, store.ErrNotFound
	}
	position, err := r.lookup(c, key)
	if err != nil {
		return record, err
	}
	if position == 0 {
		return record, store.ErrNotFound
	}
	d := newDecoder(0)
	d.reset(r.stored)
	r.decode(d, key, &record)
	return record, r.damage(d.end(), position)
}

// lookup gives the position of a key, 0 when it is not stored, and leaves the body in r.stored.
func (r *records[R]) lookup(c *catalogue, key string) (position int64, err error) {
	stmt, err := r.t.conn.Prepare("SELECT id, body FROM record WHERE catalogue = ? AND key = ?")
	if err != nil {
		return 0, r.t.fail("find", err)
	}
	stmt.BindInt64(1, c.id)
	stmt.BindText(2, key)
	found, err := stmt.Step()
	if found {
		position = stmt.ColumnInt64(0) & maxPosition
		r.stored = readColumn(stmt, 1, r.stored)
	}
	return position, r.t.fail("find", errors.Join(err, stmt.Reset()))
}

// Put implements store.Records. It returns store.ErrNotFound when the transaction's environment does not exist.
func (r *records[R]) Put(record R) (store.Result, error) {
	if err := r.t.readyInside(); err != nil {
		return store.Unchanged, err
	}
	c, err := r.t.makeCatalogue(r.catalogueKey())
	if err != nil {
		return store.Unchanged, err
	}
	key := r.key(&record)
	r.body, r.ids = r.encode(r.body[:0], &record, r.ids)
	created, err := r.insert(c, key)
	if err != nil {
		return store.Unchanged, err
	}
	if created {
		r.changes().put(c.next)
		c.next++
		c.count++
		c.dirty = true
		return store.Created, nil
	}
	position, err := r.lookup(c, key)
	if err != nil || bytes.Equal(r.stored, r.body) {
		return store.Unchanged, err
	}
	err = r.t.exec("put", "UPDATE record SET body = ? WHERE id = ?", nil, r.body, c.id<<positionBits|position)
	if err != nil {
		return store.Unchanged, err
	}
	r.changes().put(position)
	return store.Updated, nil
}

// insert stores r.body at the next position unless the key is stored already. Trying this before looking for the key
// halves the work of an import.
func (r *records[R]) insert(c *catalogue, key string) (created bool, err error) {
	stmt, err := r.t.conn.Prepare(`INSERT INTO record (id, catalogue, key, body) VALUES (?, ?, ?, ?)
		ON CONFLICT (catalogue, key) DO NOTHING`)
	if err != nil {
		return false, r.t.fail("put", err)
	}
	stmt.BindInt64(1, c.id<<positionBits|c.next)
	stmt.BindInt64(2, c.id)
	stmt.BindText(3, key)
	stmt.BindBytes(4, r.body)
	_, err = stmt.Step()
	created = err == nil && r.t.conn.Changes() > 0
	return created, r.t.fail("put", errors.Join(err, stmt.Reset()))
}

// Delete implements store.Records.
func (r *records[R]) Delete(key string) (store.Result, error) {
	if err := r.t.ready(); err != nil {
		return store.Unchanged, err
	}
	c, err := r.t.findCatalogue(r.catalogueKey())
	if c == nil || err != nil {
		return store.Unchanged, err
	}
	position, err := r.lookup(c, key)
	if position == 0 || err != nil {
		return store.Unchanged, err
	}
	err = r.t.exec("delete", "DELETE FROM record WHERE id = ?", nil, c.id<<positionBits|position)
	if err != nil {
		return store.Unchanged, err
	}
	r.changes().remove(position, key)
	c.count--
	c.dirty = true
	return store.Deleted, nil
}

// Clear implements store.Records. Positions go on growing.
func (r *records[R]) Clear() (int64, error) {
	if err := r.t.ready(); err != nil {
		return 0, err
	}
	c, err := r.t.findCatalogue(r.catalogueKey())
	if c == nil || err != nil || c.count == 0 {
		return 0, err
	}
	if err := r.t.emptyCatalogue(c.id); err != nil {
		return 0, err
	}
	r.changes().clear()
	count := c.count
	c.count = 0
	c.dirty = true
	return count, nil
}

// Count implements store.Records; it does not count but knows.
func (r *records[R]) Count() (int64, error) {
	c, err := r.t.findCatalogue(r.catalogueKey())
	if c == nil || err != nil {
		return 0, err
	}
	return c.count, nil
}

// After implements store.Records. The caller may write while it goes through the records; what it sees of that is not
// defined within the next recordPage of them.
func (r *records[R]) After(position int64) iter.Seq2[store.Positioned[R], error] {
	return func(yield func(store.Positioned[R], error) bool) {
		count, err := r.Count()
		if err != nil {
			yield(store.Positioned[R]{}, err)
			return
		}
		p := newPager(r, count)
		for from := max(position, 0) + 1; ; {
			page, err := p.between(from, maxPosition)
			if err != nil {
				yield(store.Positioned[R]{}, err)
				return
			}
			for i := range page {
				if !yield(page[i], nil) {
					return
				}
			}
			if len(page) < recordPage {
				return
			}
			from = page[len(page)-1].Position + 1
		}
	}
}

// At implements store.Records. Positions that lie close together are read in one go.
func (r *records[R]) At(positions []int64) iter.Seq2[store.Positioned[R], error] {
	return func(yield func(store.Positioned[R], error) bool) {
		p := newPager(r, int64(len(positions)))
		for len(positions) > 0 {
			n := runLength(positions)
			page, err := p.between(positions[0], positions[n-1])
			if err != nil {
				yield(store.Positioned[R]{}, err)
				return
			}
			for i, next := 0, 0; i < len(page); i++ {
				for positions[next] < page[i].Position {
					next++
				}
				if positions[next] == page[i].Position && !yield(page[i], nil) {
					return
				}
			}
			positions = positions[n:]
		}
	}
}

// runLength is how many of the first positions span no more than a page and are, but for a few, half of their span.
func runLength(positions []int64) int {
	n := 1
	for n < len(positions) {
		span := positions[n] - positions[0]
		if span >= recordPage || span > int64(2*n+8) {
			break
		}
		n++
	}
	return n
}

// pager reads records in pages, into the same memory each time.
type pager[R any] struct {
	r       *records[R]
	decoder *decoder
	body    []byte
	page    []store.Positioned[R]
}

func newPager[R any](r *records[R], records int64) *pager[R] {
	return &pager[R]{r: r, decoder: newDecoder(records)}
}

// between reads the first recordPage of the records from one position to another.
func (p *pager[R]) between(from, to int64) ([]store.Positioned[R], error) {
	c, err := p.r.t.findCatalogue(p.r.catalogueKey())
	if c == nil || err != nil {
		return nil, err
	}
	stmt, err := p.r.t.conn.Prepare("SELECT id, key, body FROM record WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?")
	if err != nil {
		return nil, p.r.t.fail("find", err)
	}
	stmt.BindInt64(1, c.id<<positionBits|min(from, maxPosition))
	stmt.BindInt64(2, c.id<<positionBits|min(to, maxPosition))
	stmt.BindInt64(3, recordPage)
	p.page = p.page[:0]
	for {
		found, err := stmt.Step()
		if err != nil || !found {
			return p.page, p.r.t.fail("find", errors.Join(err, stmt.Reset()))
		}
		if err := p.read(stmt); err != nil {
			return nil, p.r.t.fail("find", errors.Join(err, stmt.Reset()))
		}
	}
}

func (p *pager[R]) read(row *sqlite.Stmt) error {
	p.page = append(p.page, store.Positioned[R]{Position: row.ColumnInt64(0) & maxPosition})
	last := &p.page[len(p.page)-1]
	p.body = readColumn(row, 2, p.body)
	p.decoder.reset(p.body)
	p.r.decode(p.decoder, row.ColumnText(1), &last.Record)
	return p.r.damage(p.decoder.end(), last.Position)
}

func (r *records[R]) changes() *recordChanges { return r.t.changes.records(r.kind, r.template) }

func (r *records[R]) damage(err error, position int64) error {
	if err == nil {
		return nil
	}
	return &model.Error{Op: "sqlite.find", Err: fmt.Errorf("%s at position %d of %s: %w", r.kind, position, r.template, err)}
}

// readColumn copies a blob into b, which grows as needed.
func readColumn(row *sqlite.Stmt, column int, b []byte) []byte {
	n := row.ColumnLen(column)
	if cap(b) < n {
		b = make([]byte, n+n/2)
	}
	b = b[:n]
	row.ColumnBytes(column, b)
	return b
}
