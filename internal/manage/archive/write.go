package archive

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
)

// Entry is one entry of an archive to be written. A folder has a path that ends with a slash, and no content.
// Content may be called more than once and writes the same each time.
type Entry struct {
	Path    string
	Content func(io.Writer) error
}

// entryTime is that of all entries, so that equal content gives equal bytes; zip has none that is earlier.
func entryTime() time.Time { return time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC) }

// Permissions of what is unpacked.
const (
	fileMode   = 0o644
	folderMode = 0o755
)

// Write writes the entries in order of their paths. After an error the archive has no end.
func Write(out io.Writer, kind Kind, entries []Entry) error {
	sortEntries(entries)
	switch kind {
	case Zip:
		return writeZip(out, entries)
	case TarGzip:
		z := gzip.NewWriter(out)
		if err := writeTar(z, entries); err != nil {
			return err
		}
		return sent(z.Close())
	default:
		return writeTar(out, entries)
	}
}

// sortEntries puts the paths in the order of their code points, which is that of their bytes.
func sortEntries(entries []Entry) {
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
}

func writeZip(out io.Writer, entries []Entry) error {
	z := zip.NewWriter(out)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.Path, Method: zip.Deflate, Modified: entryTime()}
		h.SetMode(fileMode)
		if e.Content == nil {
			h.Method = zip.Store
			h.SetMode(folderMode | fs.ModeDir)
		}
		w, err := z.CreateHeader(h)
		if err != nil {
			return sent(err)
		}
		if e.Content == nil {
			continue
		}
		if err := e.Content(w); err != nil {
			return sent(err)
		}
	}
	return sent(z.Close())
}

// writeTar asks every content twice: its size stands before it.
func writeTar(out io.Writer, entries []Entry) error {
	t := tar.NewWriter(out)
	for _, e := range entries {
		h := &tar.Header{Name: e.Path, Typeflag: tar.TypeReg, Mode: fileMode, ModTime: entryTime()}
		if strings.HasSuffix(e.Path, "/") {
			h.Typeflag, h.Mode = tar.TypeDir, folderMode
		}
		if e.Content != nil {
			var n counter
			if err := e.Content(&n); err != nil {
				return sent(err)
			}
			h.Size = int64(n)
		}
		if err := t.WriteHeader(h); err != nil {
			return sent(err)
		}
		if e.Content == nil {
			continue
		}
		if err := e.Content(t); err != nil {
			return sent(err)
		}
	}
	return sent(t.Close())
}

// counter counts what is written to it.
type counter int64

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// sent classifies an error of writing: a full disk is the operator's to help.
func sent(err error) error {
	if err == nil {
		return nil
	}
	if model.KindOf(err) != model.KindInternal {
		return err
	}
	return model.FileError("manage.export", err)
}
