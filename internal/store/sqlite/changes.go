package sqlite

import (
	"context"
	"slices"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// changeSet gathers what a transaction changes: each object and each catalogue once, in order of first change.
type changeSet struct {
	changes    []store.Change
	objects    map[objectKey]int // index in changes
	catalogues map[recordsKey]*recordChanges
}

type objectKey struct {
	collection store.CollectionName
	key        string
}

type recordsKey struct {
	collection store.CollectionName
	template   model.TemplateID
}

// recordChanges are the changes of one catalogue. Positions may repeat and lack order until they are listed.
type recordChanges struct {
	index     int // in changeSet.changes
	cleared   bool
	positions []int64
	removed   []string
	gone      map[int64]struct{} // put, then removed
}

func newChangeSet() changeSet {
	return changeSet{objects: map[objectKey]int{}, catalogues: map[recordsKey]*recordChanges{}}
}

func (s *changeSet) object(name store.CollectionName, key string, deleted bool) {
	k := objectKey{name, key}
	i, known := s.objects[k]
	if !known {
		i = len(s.changes)
		s.objects[k] = i
		s.changes = append(s.changes, store.Change{Collection: name, Key: key})
	}
	c := &s.changes[i]
	c.Cleared = name == store.Environments && !deleted && (c.Cleared || c.Deleted)
	c.Deleted = deleted
}

func (s *changeSet) records(name store.CollectionName, template model.TemplateID) *recordChanges {
	k := recordsKey{name, template}
	r, known := s.catalogues[k]
	if !known {
		r = &recordChanges{index: len(s.changes), gone: map[int64]struct{}{}}
		s.catalogues[k] = r
		s.changes = append(s.changes, store.Change{Collection: name, Template: template})
	}
	return r
}

func (r *recordChanges) put(position int64) { r.positions = append(r.positions, position) }

func (r *recordChanges) remove(position int64, key string) {
	r.gone[position] = struct{}{}
	r.removed = append(r.removed, key)
}

func (r *recordChanges) clear() {
	r.cleared, r.positions, r.removed = true, nil, nil
	clear(r.gone)
}

// list completes the changes. Positions are never reused, so one that is gone stays gone. The end of an environment comes
// first: what else is named was written after it, or is gone with it.
func (s *changeSet) list() []store.Change {
	for _, r := range s.catalogues {
		if len(r.gone) > 0 {
			r.positions = slices.DeleteFunc(r.positions, func(p int64) bool { _, gone := r.gone[p]; return gone })
		}
		if len(r.positions) == 0 {
			r.positions = nil // as the feed gives it
		}
		slices.Sort(r.positions)
		slices.Sort(r.removed)
		c := &s.changes[r.index]
		c.Cleared, c.Positions, c.Removed = r.cleared, slices.Compact(r.positions), slices.Compact(r.removed)
	}
	later := func(c store.Change) int {
		if c.Collection == store.Environments && (c.Deleted || c.Cleared) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(s.changes, func(a, b store.Change) int { return later(a) - later(b) })
	return s.changes
}

// Flags of a change in the feed.
const (
	flagDeleted = 1 << iota
	flagCleared
)

// appendChanges is the form of changes in the feed: positions as differences, so that a dense million takes a megabyte.
func appendChanges(b []byte, changes []store.Change) []byte {
	b = appendCount(b, len(changes))
	for i := range changes {
		c := &changes[i]
		var flags byte
		if c.Deleted {
			flags |= flagDeleted
		}
		if c.Cleared {
			flags |= flagCleared
		}
		b = append(b, flags)
		b = appendText(b, string(c.Collection))
		b = appendText(b, c.Key)
		b = appendText(b, string(c.Template))
		b = appendCount(b, len(c.Positions))
		last := int64(0)
		for _, p := range c.Positions {
			b = appendCount(b, int(p-last))
			last = p
		}
		b = appendCount(b, len(c.Removed))
		for _, key := range c.Removed {
			b = appendText(b, key)
		}
	}
	return b
}

func decodeChanges(b []byte) ([]store.Change, error) {
	d := newDecoder(0)
	d.reset(b)
	var changes []store.Change
	for range d.count() {
		flags := d.byte()
		c := store.Change{
			Deleted: flags&flagDeleted != 0, Cleared: flags&flagCleared != 0,
			Collection: store.CollectionName(d.text()), Key: d.text(), Template: model.TemplateID(d.text()),
		}
		if n := d.count(); n > 0 {
			c.Positions = make([]int64, 0, n)
			last := int64(0)
			for range n {
				last += int64(d.number())
				c.Positions = append(c.Positions, last)
			}
		}
		for range d.count() {
			c.Removed = append(c.Removed, d.text())
		}
		changes = append(changes, c)
	}
	return changes, d.end()
}

// Feed implements store.Store. A sequence number that this store has not reached gives store.ErrTrimmed too: the
// follower knows another history, such as that of before a backup was restored.
func (s *Store) Feed(ctx context.Context, after store.Sequence, limit int) (commits []store.Commit, err error) {
	err = s.read(ctx, func(conn *sqlite.Conn) error {
		first, last, err := feedBounds(conn)
		if err != nil {
			return translate(ctx, "feed", err)
		}
		if after < first-1 || after > last {
			return store.ErrTrimmed
		}
		err = sqlitex.Execute(conn, `SELECT sequence, environment, revision, time, changes FROM feed WHERE sequence > ?
			ORDER BY sequence LIMIT ?`, &sqlitex.ExecOptions{
			Args: []any{int64(after), max(limit, 0)},
			ResultFunc: func(row *sqlite.Stmt) error {
				changes, err := decodeChanges(columnBytes(row, 4))
				commits = append(commits, store.Commit{
					Sequence:    store.Sequence(row.ColumnInt64(0)),
					Environment: model.EnvironmentID(row.ColumnText(1)), Revision: model.Revision(row.ColumnInt64(2)),
					Time: fromMicro(row.ColumnInt64(3)), Changed: true, Changes: changes,
				})
				return err
			},
		})
		return translate(ctx, "feed", err)
	})
	if err != nil {
		return nil, err
	}
	return commits, nil
}

// feedBounds are the first and last sequence numbers that are kept; 1 and 0 before the first commit.
func feedBounds(conn *sqlite.Conn) (first, last store.Sequence, err error) {
	err = sqlitex.Execute(conn, `SELECT coalesce((SELECT min(sequence) FROM feed), 1),
		coalesce((SELECT max(sequence) FROM feed), 0)`,
		&sqlitex.ExecOptions{ResultFunc: func(row *sqlite.Stmt) error {
			first, last = store.Sequence(row.ColumnInt64(0)), store.Sequence(row.ColumnInt64(1))
			return nil
		}})
	return first, last, err
}
