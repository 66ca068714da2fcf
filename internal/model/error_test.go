package model

import (
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

// reliability.md 4, disk full: whichever file had no room, the caller is told so and that trying later can help.
func TestNoSpace(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		err := FileError("test", fmt.Errorf("copy: %w", &fs.PathError{Op: "write", Path: "/srv/uploads/x", Err: cause}))
		if KindOf(err) != KindUnavailable || !strings.Contains(err.Error(), "no disk space left; nothing was stored") {
			t.Errorf("%v: %v", cause, err)
		}
	}
	if err := FileError("test", &fs.PathError{Err: syscall.EIO}); KindOf(err) != KindInternal {
		t.Error(err)
	}
	if err := FileError("test", Invalidf("cut")); KindOf(err) != KindInvalid || !strings.Contains(err.Error(), "cut") {
		t.Error(err)
	}
}
