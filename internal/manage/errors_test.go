package manage_test

import (
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// reliability.md 4, disk full: whichever file had no room, the caller is told so and that trying later can help.
func TestNoSpace(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		err := fmt.Errorf("copy: %w", &fs.PathError{Op: "write", Path: "/srv/uploads/x", Err: cause})
		wantError(t, manage.FileError("test", err), model.KindUnavailable, "", "no disk space left; nothing was stored")
	}
	wantError(t, manage.FileError("test", &fs.PathError{Err: syscall.EIO}), model.KindInternal, "")
	wantError(t, manage.FileError("test", model.Invalidf("cut")), model.KindInvalid, "", "cut")
	wantError(t, manage.StoreError("test", fmt.Errorf("put: %w", store.ErrFull)), model.KindUnavailable, "", "no disk space left")
}
