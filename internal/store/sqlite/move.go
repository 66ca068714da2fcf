package sqlite

import (
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// moveRecords implements store.Tx.MoveRecords. Records know their catalogue and not their template, so it is the
// catalogue that gets another name. Positions go on growing under both names, so that none is given twice.
func (t *transaction) moveRecords(kind store.CollectionName, from, to model.TemplateID) (int64, error) {
	if err := t.readyInside(); err != nil {
		return 0, err
	}
	if kind != store.Assets && kind != store.Identities {
		return 0, &model.Error{Op: "sqlite.move", Err: fmt.Errorf("%q are no records", kind)}
	}
	source, err := t.findCatalogue(catalogueKey{kind, from})
	if err != nil || source == nil || source.count == 0 || from == to {
		return 0, err
	}
	target, err := t.findCatalogue(catalogueKey{kind, to})
	if err != nil {
		return 0, err
	}
	if target != nil {
		if target.count > 0 {
			return 0, store.ErrTaken
		}
		if err := t.exec("move", "DELETE FROM catalogue WHERE id = ?", nil, target.id); err != nil {
			return 0, err
		}
		source.next = max(source.next, target.next)
	}
	if err := t.exec("move", "UPDATE catalogue SET template = ? WHERE id = ?", nil, to, source.id); err != nil {
		return 0, err
	}
	source.dirty = true
	t.catalogues[catalogueKey{kind, to}] = source
	delete(t.catalogues, catalogueKey{kind, from})
	left, err := t.makeCatalogue(catalogueKey{kind, from})
	if err != nil {
		return 0, err
	}
	left.next, left.dirty = source.next, true
	t.changes.records(kind, from).clear()
	return source.count, t.putAll(kind, to, source)
}

// putAll names all records of a catalogue as put.
func (t *transaction) putAll(kind store.CollectionName, template model.TemplateID, c *catalogue) error {
	changes := t.changes.records(kind, template)
	changes.clear()
	changes.positions = make([]int64, 0, c.count)
	return t.exec("move", "SELECT id FROM record WHERE id BETWEEN ? AND ? ORDER BY id", func(row *sqlite.Stmt) error {
		changes.put(row.ColumnInt64(0) & maxPosition)
		return nil
	}, c.id<<positionBits, c.id<<positionBits|maxPosition)
}
