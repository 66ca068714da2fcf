package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// transaction is what the parts of one store.Tx share.
type transaction struct {
	ctx      context.Context //nolint:containedctx // a transaction lives inside the one call that has this context
	conn     *sqlite.Conn
	write    store.Write
	writable bool
	ended    bool
	// failed is the first failure of SQLite. After some failures SQLite has rolled back by itself, and what followed
	// would be committed statement by statement; so nothing follows.
	failed error

	revision model.Revision
	sequence store.Sequence

	changes    changeSet
	events     bool // some were appended
	exists     *bool
	catalogues map[catalogueKey]*catalogue
}

func newTransaction(ctx context.Context, conn *sqlite.Conn, w store.Write, writable bool) (*transaction, error) {
	t := &transaction{
		ctx: ctx, conn: conn, write: w, writable: writable,
		changes: newChangeSet(), catalogues: map[catalogueKey]*catalogue{},
	}
	err := t.exec("begin", `SELECT coalesce((SELECT revision FROM revision WHERE environment = ?), 0),
		coalesce((SELECT max(sequence) FROM feed), 0)`,
		func(row *sqlite.Stmt) error {
			t.revision = model.Revision(row.ColumnInt64(0))
			t.sequence = store.Sequence(row.ColumnInt64(1))
			return nil
		}, w.Environment)
	return t, err
}

// tx is the transaction as its function sees it.
func (t *transaction) tx() *store.Tx {
	return &store.Tx{
		Environment: t.write.Environment,
		Revision:    t.revision,
		Sequence:    t.sequence,

		Environments: environments{open(t, environmentShape())},
		Credentials:  open(t, credentialShape()),
		Revocations:  open(t, revocationShape()),

		AuthorizationWorkspaces: open(t, authorizationWorkspaceShape()),
		IdentityWorkspaces:      open(t, identityWorkspaceShape()),
		IdentityTemplates:       open(t, identityTemplateShape()),
		IdentitySources:         open(t, identitySourceShape()),
		MapperSets:              open(t, mapperSetShape()),
		AssetTemplates:          open(t, assetTemplateShape()),
		Applications:            open(t, applicationShape()),
		RequestAttributes:       open(t, requestAttributeShape()),
		APIMapperSets:           open(t, apiMapperSetShape()),
		CustomAttributes:        open(t, customAttributeShape()),
		Blocks:                  open(t, blockShape()),
		Policies:                open(t, policyShape()),
		Scopes:                  open(t, scopeShape()),
		Reports:                 open(t, reportShape()),
		PAAGroups:               open(t, paaGroupShape()),
		PAASources:              open(t, paaSourceShape()),
		PAAViews:                open(t, paaViewsShape()),
		SigningKeys:             open(t, signingKeyShape()),

		Assets: func(template model.TemplateID) store.Records[model.Asset] {
			return openRecords(t, template, assetForm())
		},
		Identities: func(template model.TemplateID) store.Records[model.Identity] {
			return openRecords(t, template, identityForm())
		},
		MoveRecords: t.moveRecords,
		Events:      events{t},
	}
}

func (t *transaction) end() { t.ended = true }

// readable is the error of reading now.
func (t *transaction) readable() error {
	if t.ended {
		return errEnded
	}
	return t.failed
}

// ready is the error of writing now.
func (t *transaction) ready() error {
	if err := t.readable(); err != nil {
		return err
	}
	if !t.writable {
		return store.ErrReadOnly
	}
	return nil
}

// readyInside is ready for what lies in the environment: that must be there, so that nothing outlives it.
func (t *transaction) readyInside() error {
	if err := t.ready(); err != nil {
		return err
	}
	if t.write.Environment == "" {
		return &model.Error{Op: "sqlite.put", Message: "a transaction of the tenant has no objects of environments"}
	}
	if t.exists == nil {
		found := false
		err := t.exec("put", "SELECT 1 FROM object INDEXED BY object_key WHERE environment = '' AND collection = ? AND owner = '' AND key = ?",
			func(*sqlite.Stmt) error { found = true; return nil }, store.Environments, t.write.Environment)
		if err != nil {
			return err
		}
		t.exists = &found
	}
	if !*t.exists {
		return fmt.Errorf("environment %s: %w", t.write.Environment, store.ErrNotFound)
	}
	return nil
}

// exec runs a statement and remembers its failure. A row that a unique index refused is none: nothing else is lost by
// it.
func (t *transaction) exec(op, query string, row func(*sqlite.Stmt) error, args ...any) error {
	return t.fail(op, sqlitex.Execute(t.conn, query, &sqlitex.ExecOptions{Args: args, ResultFunc: row}))
}

func (t *transaction) fail(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case isDuplicate(err):
		return store.ErrTaken
	}
	err = translate(t.ctx, op, err)
	if t.failed == nil {
		t.failed = err
	}
	return err
}

// commit ends the transaction: with what fn wrote, or with nothing on a dry run, an error or no change.
func (t *transaction) commit(keep int) (store.Commit, error) {
	out := store.Commit{
		Sequence: t.sequence, Environment: t.write.Environment, Revision: t.revision,
		Time: fromMicro(toMicro(t.write.Time)), Changes: t.changes.list(),
	}
	out.Changed = len(out.Changes) > 0
	if err := t.flush(&out, keep); err != nil {
		return store.Commit{}, err
	}
	if t.write.DryRun || !out.Changed && !t.events {
		return out, nil // the connection's release rolls back
	}
	if out.Changed {
		out.Sequence++
		out.Revision++
	}
	// From here on a cancelled context must not leave open whether the commit took place.
	t.conn.SetInterrupt(nil)
	if err := t.exec("commit", "COMMIT", nil); err != nil {
		return store.Commit{}, err
	}
	return out, nil
}

// flush writes what goes with every commit: counters, the feed's row, the ageing of feed and events.
func (t *transaction) flush(c *store.Commit, keep int) error {
	if t.failed != nil {
		return t.failed
	}
	var errs []error
	run := func(query string, args ...any) { errs = append(errs, t.exec("commit", query, nil, args...)) }
	for _, catalogue := range t.catalogues {
		if catalogue.dirty {
			run("UPDATE catalogue SET next = ?, count = ? WHERE id = ?", catalogue.next, catalogue.count, catalogue.id)
		}
	}
	if c.Changed {
		sequence, revision := c.Sequence+1, c.Revision+1
		run("INSERT INTO revision VALUES (?, ?) ON CONFLICT DO UPDATE SET revision = excluded.revision",
			c.Environment, revision)
		run("INSERT INTO feed VALUES (?, ?, ?, ?, ?)",
			sequence, c.Environment, revision, toMicro(c.Time), appendChanges(nil, c.Changes))
		run("DELETE FROM feed WHERE sequence <= ?", sequence-store.Sequence(keep))
	}
	if t.events {
		run("DELETE FROM event WHERE time < ?", toMicro(t.write.Time.Add(-eventAge)))
	}
	return errors.Join(errs...)
}

// Times are stored in microseconds, which every store can keep.
func toMicro(t time.Time) int64   { return t.UnixMicro() }
func fromMicro(n int64) time.Time { return time.UnixMicro(n).UTC() }

// microAfter is the first microsecond that is not before t.
func microAfter(t time.Time) int64 { return t.Add(time.Microsecond - 1).UnixMicro() }
