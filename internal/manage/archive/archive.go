// Package archive reads and writes a directory as one file: zip, tar or tar.gz, and says how names and ids stand in file names
// (management-api.md 21.1, 21.2).
//
// Start at Open and Write. Open trusts nothing that an archive says: names, sizes and limits are checked before any content is
// looked at, and nothing is ever unpacked under the names that the archive gives. Errors are *model.Error. What the files of an
// environment mean is not known here: package manage sorts them.
package archive

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ambit-authz/ambit/internal/model"
)

// Kind is the form of an archive: Zip, Tar or TarGzip.
type Kind uint8

// The kinds.
const (
	Zip Kind = iota
	Tar
	TarGzip
)

// Limits of archives (management-api.md 1.9).
const (
	maxUnpacked = 512 << 20
	maxEntries  = 50_000
)

// Reader is a directory in a file: its entries can be opened in any order.
type Reader struct {
	Files []File   // in order of path, no two of one name
	Dirs  []string // folders that have an entry of their own
	spool *os.File // the contents of a tar; nil for a zip
}

// File is one file of an archive. Its path has slashes and stays inside the archive.
type File struct {
	Path string
	size int64
	open func() (io.ReadCloser, error)
}

// Close releases what Open made. The file it was given is the caller's.
func (a *Reader) Close() error {
	if a.spool == nil {
		return nil
	}
	return a.spool.Close()
}

// Open reads the directory of an archive of size bytes, checking every name and the limits before any content is
// looked at: links, devices, absolute paths and ".." are refused (management-api.md 21.2). The contents of a tar go to a
// file without a name in dir ("" = the system's).
func Open(in io.ReaderAt, size int64, kind Kind, dir string) (*Reader, error) {
	switch kind {
	case Zip:
		return openZip(in, size)
	case TarGzip:
		z, err := gzip.NewReader(bufio.NewReader(io.NewSectionReader(in, 0, size)))
		if err != nil {
			return nil, model.Invalidf("the archive is not gzip: %v", err)
		}
		return openTar(z, dir)
	default:
		return openTar(bufio.NewReader(io.NewSectionReader(in, 0, size)), dir)
	}
}

func openZip(in io.ReaderAt, size int64) (*Reader, error) {
	z, err := zip.NewReader(in, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, model.Invalidf("the archive is not zip: %v", err)
	}
	if len(z.File) > maxEntries {
		return nil, model.LimitExceeded("entries of the archive", int64(len(z.File)), maxEntries)
	}
	a := &Reader{}
	total := uint64(0)
	for _, f := range z.File {
		mode := f.Mode()
		name, err := entryName(f.Name, mode.IsDir())
		if err != nil {
			return nil, err
		}
		if mode.IsDir() {
			a.Dirs = append(a.Dirs, name)
			continue
		}
		if !mode.IsRegular() || f.Flags&1 != 0 {
			return nil, unsafeEntry(f.Name, "is a link, a device or encrypted")
		}
		if total += f.UncompressedSize64; f.UncompressedSize64 > maxUnpacked || total > maxUnpacked {
			return nil, model.LimitExceeded("unpacked bytes of the archive", int64(min(total, 1<<62)), maxUnpacked)
		}
		a.Files = append(a.Files, File{Path: name, size: int64(f.UncompressedSize64), open: func() (io.ReadCloser, error) {
			in, err := f.Open()
			return &exact{in, int64(f.UncompressedSize64)}, err
		}})
	}
	return a, a.checkNames()
}

func openTar(in io.Reader, dir string) (*Reader, error) {
	spool, err := os.CreateTemp(dir, "ambit-archive-*")
	if err != nil {
		return nil, model.FileError("manage.openTar", err)
	}
	a := &Reader{spool: spool}
	if err := os.Remove(spool.Name()); err == nil { // open, but without a name: gone with the process
		err = a.readTar(in)
		if err == nil {
			err = a.checkNames()
		}
		if err == nil {
			return a, nil
		}
		return nil, errors.Join(err, spool.Close())
	}
	return nil, model.Internal("manage.openTar", errors.Join(err, spool.Close()))
}

func (a *Reader) readTar(in io.Reader) error {
	end := &endOfTar{in: in}
	limited := &io.LimitedReader{R: end, N: maxUnpacked + maxEntries*1024} // contents and headers
	t := tar.NewReader(limited)
	offset := int64(0)
	for entries := 0; ; {
		h, err := t.Next()
		if err == io.EOF {
			return end.check(limited)
		}
		if limited.N <= 0 {
			return model.LimitExceeded("unpacked bytes of the archive", maxUnpacked+1, maxUnpacked)
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return model.Invalidf("the archive is not tar: %v", err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue // comments, such as git's
		}
		if entries++; entries > maxEntries {
			return model.LimitExceeded("entries of the archive", int64(entries), maxEntries)
		}
		name, err := entryName(h.Name, h.Typeflag == tar.TypeDir)
		if err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeDir:
			a.Dirs = append(a.Dirs, name)
			continue
		case tar.TypeReg:
		default:
			return unsafeEntry(h.Name, "is a link or a device")
		}
		if h.Size > maxUnpacked-offset {
			return model.LimitExceeded("unpacked bytes of the archive", offset+h.Size, maxUnpacked)
		}
		n, err := io.CopyN(a.spool, t, h.Size)
		if _, ours := errors.AsType[*fs.PathError](err); ours {
			return model.FileError("manage.openTar", err)
		}
		if err != nil {
			return model.Invalidf("%s: %v", name, err)
		}
		start := offset
		a.Files = append(a.Files, File{Path: name, size: n, open: func() (io.ReadCloser, error) {
			return io.NopCloser(io.NewSectionReader(a.spool, start, n)), nil
		}})
		offset += n
	}
}

// endOfTar tells a tar that was written to its end from one that was cut between two entries, which readers take for
// complete: what the rest would have brought would be missing without an error, and pruned.
type endOfTar struct {
	in    io.Reader
	zeros int // how many of the bytes read last are zero
}

// Read implements io.Reader.
func (e *endOfTar) Read(p []byte) (int, error) {
	n, err := e.in.Read(p)
	tail := len(p[:n]) - len(bytes.TrimRight(p[:n], "\x00"))
	if tail < n {
		e.zeros = 0
	}
	e.zeros += tail
	return n, err
}

// check wants the block of zeros that ends a tar, and reads on to the end of rest, where gzip has its checksum.
func (e *endOfTar) check(rest *io.LimitedReader) error {
	const block = 512
	if e.zeros < block {
		return model.Invalidf("the archive is not tar: it is cut off, its end mark is missing")
	}
	if _, err := io.Copy(io.Discard, rest); err != nil {
		return model.Invalidf("the archive is not complete: %v", err)
	}
	if rest.N <= 0 {
		return model.LimitExceeded("unpacked bytes of the archive", maxUnpacked+1, maxUnpacked)
	}
	return nil
}

// entryName checks the name of an entry and brings it into the one form with slashes.
func entryName(name string, isDir bool) (string, error) {
	clean := strings.TrimPrefix(name, "./")
	if isDir {
		clean = strings.TrimRight(clean, "/")
	}
	if clean == "" || clean == "." {
		if isDir {
			return ".", nil
		}
		return "", unsafeEntry(name, "has no name")
	}
	switch {
	case !utf8.ValidString(name):
		return "", unsafeEntry(name, "is not UTF-8")
	case strings.ContainsAny(clean, "\x00\\"):
		return "", unsafeEntry(name, "has a character that names cannot have")
	case strings.HasPrefix(clean, "/") || len(clean) > 1 && clean[1] == ':':
		return "", unsafeEntry(name, "is an absolute path")
	case path.Clean(clean) != clean || slices.Contains(strings.Split(clean, "/"), ".."):
		return "", unsafeEntry(name, "leads out of the archive or is not in its shortest form")
	}
	return clean, nil
}

func unsafeEntry(name, problem string) error {
	return &model.Error{Kind: model.KindInvalid, Message: fmt.Sprintf("entry %q %s", name, problem)}
}

// checkNames refuses two files of one name, of which readers would see either.
func (a *Reader) checkNames() error {
	slices.SortFunc(a.Files, func(x, y File) int { return strings.Compare(x.Path, y.Path) })
	for i := 1; i < len(a.Files); i++ {
		if a.Files[i].Path == a.Files[i-1].Path {
			return unsafeEntry(a.Files[i].Path, "stands more than once")
		}
	}
	return nil
}

// Open reads the content as a stream. What the entry holds beyond its size is an error of the reader.
func (f *File) Open() (io.ReadCloser, error) { return f.open() }

// Read gives the whole content of a file of at most limit bytes.
func (f *File) Read(limit int64) ([]byte, error) {
	if f.size > limit {
		return nil, model.LimitExceeded("bytes of "+f.Path, f.size, limit)
	}
	in, err := f.open()
	if err != nil {
		return nil, model.Invalidf("cannot be unpacked: %v", err)
	}
	defer func() { _ = in.Close() }() // reading only
	body, err := io.ReadAll(io.LimitReader(in, f.size+1))
	if err != nil || int64(len(body)) != f.size {
		return nil, model.Invalidf("cannot be unpacked: %d of %d bytes, %v", len(body), f.size, err)
	}
	return body, nil
}

// exact ends an entry that holds more than its header says, on which the limits were judged.
type exact struct {
	io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (e *exact) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	if e.left -= int64(n); e.left < 0 {
		return 0, model.Invalidf("the entry is larger than the archive says")
	}
	_, corrupt := errors.AsType[flate.CorruptInputError](err)
	if corrupt || errors.Is(err, zip.ErrFormat) || errors.Is(err, zip.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = model.Invalidf("the entry cannot be unpacked: %v", err)
	}
	return n, err
}
