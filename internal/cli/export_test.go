package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func tgz(t *testing.T, entries ...*tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for _, h := range entries {
		text := ""
		if h.Typeflag == tar.TypeReg {
			text = "[]"
		}
		h.Size = int64(len(text))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// MG-73: what is no part of an export is refused before anything is written; links in the directory lead nowhere else.
func TestExportStaysInside(t *testing.T) {
	good := &tar.Header{Name: "environment/custom-policy-attributes.json", Typeflag: tar.TypeReg}
	for _, bad := range []*tar.Header{
		{Name: "../x.json", Typeflag: tar.TypeReg},
		{Name: "environment/../../x.json", Typeflag: tar.TypeReg},
		{Name: "/tmp/x.json", Typeflag: tar.TypeReg},
		{Name: "environment//x.json", Typeflag: tar.TypeReg},
		{Name: ".git/config", Typeflag: tar.TypeReg},
		{Name: "environment/link", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink},
	} {
		dir := filepath.Join(t.TempDir(), "out")
		c := exportCommand{Directory: dir}
		if _, err := c.write(bytes.NewReader(tgz(t, good, bad))); err == nil || !strings.Contains(err.Error(), "no part of an export") {
			t.Errorf("%s: %v", bad.Name, err)
		}
		if found, _ := filepath.Glob(filepath.Join(dir, "*")); len(found) > 0 {
			t.Errorf("%s: %q were written", bad.Name, found)
		}
	}
	outside, dir := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "environment")); err != nil {
		t.Fatal(err)
	}
	c := exportCommand{Directory: dir}
	if _, err := c.write(bytes.NewReader(tgz(t, good))); err == nil {
		t.Error("a link out of the directory was followed")
	}
	if found, _ := os.ReadDir(outside); len(found) > 0 {
		t.Error("something was written outside the directory")
	}
}

// MG-74: an answer that breaks off changes nothing.
func TestExportCutOff(t *testing.T) {
	whole := tgz(t, &tar.Header{Name: "environment/custom-policy-attributes.json", Typeflag: tar.TypeReg})
	for _, n := range []int{0, 10, len(whole) / 2, len(whole) - 1} {
		dir := t.TempDir()
		old := filepath.Join(dir, "environment", "policy-states.json")
		if err := os.MkdirAll(filepath.Dir(old), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(old, []byte("[]"), 0o600); err != nil {
			t.Fatal(err)
		}
		c := exportCommand{Directory: dir}
		if _, err := c.write(bytes.NewReader(whole[:n])); err == nil {
			t.Errorf("%d of %d bytes are taken for an export", n, len(whole))
		}
		found, err := os.ReadDir(filepath.Dir(old))
		if err != nil || len(found) != 1 || found[0].Name() != "policy-states.json" {
			t.Errorf("%d of %d bytes: the directory became %v", n, len(whole), found)
		}
	}
}
