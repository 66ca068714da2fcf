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

// Lines and columns begin at 1, columns count code points, and a text that is read in parts ends where the whole does.
func TestPositionAfter(t *testing.T) {
	first := Position{File: "f", Line: 1, Column: 1}
	for text, want := range map[string]string{"": "f:1:1", "a": "f:1:2", "aé€": "f:1:4", "a\n": "f:2:1", "\r\nbé": "f:2:3", "a\n\n\nbc": "f:4:3"} {
		if got := first.After([]byte(text)).String(); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
		for i := range text {
			if got := first.After([]byte(text[:i])).After([]byte(text[i:])).String(); got != want {
				t.Errorf("%q, cut at %d: %s, want %s", text, i, got, want)
			}
		}
	}
}
