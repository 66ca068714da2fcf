package manage_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/manage"
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
		body := tarOf(t, files{"environment/scopes.json": "[]"}, h)
		_, err := manage.OpenArchive(bytes.NewReader(body), int64(len(body)), manage.ArchiveTar, t.TempDir())
		if model.KindOf(err) != model.KindInvalid || !strings.Contains(err.Error(), "entry") {
			t.Errorf("tar, %s: %v", name, err)
		}
	}
	for _, name := range []string{"../x.json", "/etc/x", `a\..\x`, "a//b", "a/./b"} {
		body := zipOf(t, files{name: "x"})
		_, err := manage.OpenArchive(bytes.NewReader(body), int64(len(body)), manage.ArchiveZip, "")
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
	if _, err := manage.OpenArchive(bytes.NewReader(link.Bytes()), int64(link.Len()), manage.ArchiveZip, ""); model.KindOf(err) != model.KindInvalid {
		t.Errorf("zip, symbolic link: %v", err)
	}
}

// MG-73: a tar that is cut off at any place is refused, also between two entries, where readers see a shorter archive:
// with prune the rest would be deleted. The same for a gzip whose checksum is cut or wrong.
func TestArchiveCut(t *testing.T) {
	whole := tarOf(t, backup())
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(whole); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	refuse := func(name string, body []byte, kind manage.ArchiveKind) {
		if a, err := manage.OpenArchive(bytes.NewReader(body), int64(len(body)), kind, t.TempDir()); err == nil {
			t.Errorf("%s: accepted", name)
			_ = a.Close()
		} else if model.KindOf(err) != model.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for size := 0; size < len(whole)-1024; size += 512 {
		refuse(fmt.Sprintf("%d of %d bytes", size, len(whole)), whole[:size], manage.ArchiveTar)
	}
	for size := packed.Len() - 20; size < packed.Len(); size++ {
		refuse(fmt.Sprintf("%d of %d packed bytes", size, packed.Len()), packed.Bytes()[:size], manage.ArchiveTarGzip)
	}
	wrong := slices.Clone(packed.Bytes())
	wrong[len(wrong)-8] ^= 1
	refuse("checksum", wrong, manage.ArchiveTarGzip)
	open(t, append(whole, make([]byte, 9*512)...), manage.ArchiveTar) // filled up to a record of ten kilobytes
}

// MG-73: an entry that holds more than its header says is refused, in files that are read whole and in streamed ones.
func TestArchiveUnderstated(t *testing.T) {
	for _, path := range []string{"environment/scopes.json", quays + "assets/Cargo.ndjson"} {
		text := strings.Repeat(" ", 1000)
		body := zipOf(t, backup().with(files{path: text, quays + "assets/Cargo.csv": "-"}))
		// the size stands in the central directory, behind the name's entry
		at := bytes.LastIndex(body, []byte(path)) - 46 + 24
		body[at], body[at+1] = 10, 0
		w := newWorld(t).bare()
		out, err := w.Apply(t.Context(), w.call, envID, open(t, body, manage.ArchiveZip), manage.ApplyOptions{})
		if model.KindOf(err) != model.KindInvalid && (err != nil || !out.Refused) {
			t.Errorf("%s: %v %+v", path, err, counts(out))
		}
	}
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
	_, err = manage.OpenArchive(bytes.NewReader(zipped.Bytes()), int64(zipped.Len()), manage.ArchiveZip, "")
	wantError(t, err, model.KindInvalid, "MGT-018")

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
	_, err = manage.OpenArchive(bytes.NewReader(packed.Bytes()), int64(packed.Len()), manage.ArchiveTarGzip, t.TempDir())
	wantError(t, err, model.KindInvalid, "MGT-018")
}

func FuzzArchive(f *testing.F) {
	small := files{"environment/scopes.json": "[]", quays + "policies/p.rego": policyText("p", "")}
	f.Add(zipOf(f, small), uint8(manage.ArchiveZip))
	f.Add(tarOf(f, small), uint8(manage.ArchiveTar))
	var packed bytes.Buffer
	g := gzip.NewWriter(&packed)
	if _, err := g.Write(tarOf(f, small)); err != nil || g.Close() != nil {
		f.Fatal(err)
	}
	f.Add(packed.Bytes(), uint8(manage.ArchiveTarGzip))
	w := newWorld(f).bare()
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, body []byte, kind uint8) {
		a, err := manage.OpenArchive(bytes.NewReader(body), int64(len(body)), manage.ArchiveKind(kind%3), dir)
		if err != nil {
			if model.KindOf(err) == model.KindInternal {
				t.Error(err)
			}
			return
		}
		defer func() { _ = a.Close() }()
		if _, err := w.Apply(t.Context(), w.dry(), envID, a, manage.ApplyOptions{SkipErrors: true}); err != nil && model.KindOf(err) == model.KindInternal {
			t.Error(err)
		}
	})
}
