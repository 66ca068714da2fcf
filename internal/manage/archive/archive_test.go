package archive_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/model"
)

// A9, MG-73: unsafe entries are refused before anything is read.
func TestArchiveRefused(t *testing.T) {
	reg := func(name string) *tar.Header { return &tar.Header{Name: name, Typeflag: tar.TypeReg} }
	for name, h := range map[string]*tar.Header{
		"parent": reg("../x.json"), "inner parent": reg("a/../../x.json"), "absolute": reg("/etc/x"), "drive": reg("C:/x"),
		"backslash": reg(`a\x.json`), "symbolic link": {Name: "x", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		"hard link": {Name: "x", Typeflag: tar.TypeLink, Linkname: "y"}, "device": {Name: "x", Typeflag: tar.TypeChar},
		"pipe": {Name: "x", Typeflag: tar.TypeFifo}, "twice": reg("environment/scopes.json"),
	} {
		body := tarOf(t, h)
		_, err := archive.Open(bytes.NewReader(body), int64(len(body)), archive.Tar, t.TempDir())
		if model.KindOf(err) != model.KindInvalid || !strings.Contains(err.Error(), "entry") {
			t.Errorf("tar, %s: %v", name, err)
		}
	}
	for _, name := range []string{"../x.json", "/etc/x", `a\..\x`, "a//b", "a/./b"} {
		body := zipOf(t, name)
		_, err := archive.Open(bytes.NewReader(body), int64(len(body)), archive.Zip, "")
		if model.KindOf(err) != model.KindInvalid {
			t.Errorf("zip, %s: %v", name, err)
		}
	}
	var link bytes.Buffer
	z := zip.NewWriter(&link)
	h := &zip.FileHeader{Name: "x"}
	h.SetMode(fs.ModeSymlink | 0o777)
	if _, err := z.CreateHeader(h); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	if _, err := archive.Open(bytes.NewReader(link.Bytes()), int64(link.Len()), archive.Zip, ""); model.KindOf(err) != model.KindInvalid {
		t.Errorf("zip, symbolic link: %v", err)
	}
}

// MG-73: a tar that is cut off at any place is refused, also between two entries, where readers see a shorter archive:
// with prune the rest would be deleted. The same for a gzip whose checksum is cut or wrong.
func TestArchiveCut(t *testing.T) {
	whole := written(t, archive.Tar)
	packed := written(t, archive.TarGzip)
	refuse := func(name string, body []byte, kind archive.Kind) {
		if a, err := archive.Open(bytes.NewReader(body), int64(len(body)), kind, t.TempDir()); err == nil {
			t.Errorf("%s: accepted", name)
			_ = a.Close()
		} else if model.KindOf(err) != model.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for size := 0; size < len(whole)-1024; size += 512 {
		refuse(fmt.Sprintf("%d of %d bytes", size, len(whole)), whole[:size], archive.Tar)
	}
	for size := len(packed) - 20; size < len(packed); size++ {
		refuse(fmt.Sprintf("%d of %d packed bytes", size, len(packed)), packed[:size], archive.TarGzip)
	}
	wrong := slices.Clone(packed)
	wrong[len(wrong)-8] ^= 1
	refuse("checksum", wrong, archive.TarGzip)
	filled := append(whole, make([]byte, 9*512)...) // up to a record of ten kilobytes
	a, err := archive.Open(bytes.NewReader(filled), int64(len(filled)), archive.Tar, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	_ = a.Close() // was only read
}

// MG-73: a bomb ends at the limit, not in memory or on the disk.
func TestArchiveBomb(t *testing.T) {
	bomb := func(write func([]byte) error) {
		block := make([]byte, 1<<20)
		for range 513 {
			if err := write(block); err != nil {
				return
			}
		}
	}
	var zipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	out, err := z.Create("environment/scopes.json")
	if err != nil {
		t.Fatal(err)
	}
	bomb(func(b []byte) error { _, err := out.Write(b); return err })
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = archive.Open(bytes.NewReader(zipped.Bytes()), int64(zipped.Len()), archive.Zip, "")
	wantLimit(t, err)

	var packed bytes.Buffer
	g := gzip.NewWriter(&packed)
	w := tar.NewWriter(g)
	if err := w.WriteHeader(&tar.Header{Name: "x", Typeflag: tar.TypeReg, Size: 513 << 20}); err != nil {
		t.Fatal(err)
	}
	bomb(func(b []byte) error { _, err := w.Write(b); return err })
	if err := w.Close(); err != nil || g.Close() != nil {
		t.Fatal(err)
	}
	_, err = archive.Open(bytes.NewReader(packed.Bytes()), int64(packed.Len()), archive.TarGzip, t.TempDir())
	wantLimit(t, err)
}

// written is an archive of some files of several sizes.
func written(t *testing.T, kind archive.Kind) []byte {
	t.Helper()
	var entries []archive.Entry
	for i := range 12 {
		path := fmt.Sprintf("environment/%02d.json", i)
		entries = append(entries, archive.Entry{Path: path, Content: func(out io.Writer) error {
			_, err := out.Write(bytes.Repeat([]byte("x"), i*100))
			return err
		}})
	}
	var out bytes.Buffer
	if err := archive.Write(&out, kind, entries); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// tarOf is a tar of one good file and an entry without content.
func tarOf(t *testing.T, h *tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	good := &tar.Header{Name: "environment/scopes.json", Mode: 0o644, Typeflag: tar.TypeReg}
	if err := errors.Join(w.WriteHeader(good), w.WriteHeader(h), w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// zipOf is a zip of one empty file.
func zipOf(t *testing.T, name string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	if _, err := z.Create(name); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func wantLimit(t *testing.T, err error) {
	t.Helper()
	if e, ok := errors.AsType[*model.Error](err); !ok || e.Kind != model.KindInvalid || e.Code != "MGT-018" {
		t.Errorf("error %v, want MGT-018", err)
	}
}
