package app

import (
	"os"
	"path/filepath"
	"testing"
)

// A store that was put back without its key is noticed; an empty directory and a complete one are not.
func TestKeyIsMissing(t *testing.T) {
	dir := t.TempDir()
	if keyIsMissing(dir) {
		t.Error("an empty directory misses nothing")
	}
	data, err := openData(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := data.store.Close(); err != nil {
		t.Fatal(err)
	}
	if keyIsMissing(dir) {
		t.Error("the key is there")
	}
	if err := os.Remove(filepath.Join(dir, secretsFile)); err != nil {
		t.Fatal(err)
	}
	if !keyIsMissing(dir) {
		t.Error("not noticed")
	}
}
