package sqlite

import (
	"context"
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// errEnded is the error of a store.Tx, or of something read from it, that is used after its function returned.
var errEnded = errors.New("the transaction has ended")

// translate makes of an error of SQLite what callers can act on: the context's error when that interrupted the
// statement, store.ErrFull for a full disk; both full and locked databases are unavailable, the rest is internal.
func translate(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	op = "sqlite." + op
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultInterrupt:
		if cause := ctx.Err(); cause != nil {
			return fmt.Errorf("%s: %w", op, cause)
		}
	case sqlite.ResultFull:
		return &model.Error{
			Kind: model.KindUnavailable, Op: op, Message: store.ErrFull.Error(),
			Err: errors.Join(store.ErrFull, err),
		}
	case sqlite.ResultBusy, sqlite.ResultLocked:
		return &model.Error{Kind: model.KindUnavailable, Op: op, Message: "the database is locked", Err: err}
	}
	return &model.Error{Op: op, Err: err}
}

// isDuplicate reports whether a unique index refused the row.
func isDuplicate(err error) bool {
	code := sqlite.ErrCode(err)
	return code == sqlite.ResultConstraintUnique || code == sqlite.ResultConstraintPrimaryKey
}
