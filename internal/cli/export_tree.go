package cli

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// exportTree is a directory that an export is written to. Nothing outside it can be reached, whatever the archive says.
type exportTree struct {
	root    *os.Root
	include []string
	files   map[string]bool // that the archive has
	folders map[string]bool // that the archive has, with all above them

	written, unchanged, removed int
}

// plan takes note of an entry. One that is not of the layout is refused before anything is written.
func (t *exportTree) plan(h *tar.Header, _ io.Reader) error {
	name := strings.TrimSuffix(h.Name, "/")
	top, _, _ := strings.Cut(name, "/")
	isFile := h.Typeflag == tar.TypeReg
	if !fs.ValidPath(name) || !slices.Contains(layoutRoots(), top) || !isFile && h.Typeflag != tar.TypeDir {
		return fmt.Errorf("the archive has %q, which is no part of an export", h.Name)
	}
	if isFile {
		t.files[name] = true
		name = path.Dir(name)
	}
	for ; name != "."; name = path.Dir(name) {
		t.folders[name] = true
	}
	return nil
}

// checkLimits refuses to write some workspaces into a directory that has others: the list of inactive policies would be
// that of some of them only, and the next apply would switch on the rest.
func (t *exportTree) checkLimits(c *exportCommand) error {
	for top, limits := range map[string][]string{"authorization-workspaces": c.AuthWs, "identity-workspaces": c.IdentityWs} {
		entries, err := fs.ReadDir(t.root.FS(), top)
		if len(limits) == 0 || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			if p := top + "/" + e.Name(); e.IsDir() && !t.folders[p] {
				return fmt.Errorf("%s has %s, which this export leaves out; choose another directory", c.Directory, p)
			}
		}
	}
	return nil
}

// put writes one entry; a file that has the content already is left alone.
func (t *exportTree) put(h *tar.Header, in io.Reader) error {
	name := strings.TrimSuffix(h.Name, "/")
	if h.Typeflag == tar.TypeDir {
		return t.root.MkdirAll(name, 0o777)
	}
	if err := t.root.MkdirAll(path.Dir(name), 0o777); err != nil {
		return err
	}
	draft := path.Join(path.Dir(name), ".ambit-export.tmp")
	same, err := t.draft(draft, name, in)
	switch {
	case err != nil:
		return errors.Join(err, t.root.RemoveAll(draft))
	case same:
		t.unchanged++
		return t.root.Remove(draft)
	}
	t.written++
	return t.root.Rename(draft, name)
}

// draft writes the content beside the file and reports whether the file has it already.
func (t *exportTree) draft(draft, name string, in io.Reader) (same bool, err error) {
	if err := t.root.RemoveAll(draft); err != nil { // of an export that was killed
		return false, err
	}
	f, err := t.root.OpenFile(draft, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return false, err
	}
	old, err := t.root.Open(name)
	if err != nil {
		_, err = io.Copy(f, in)
		return false, errors.Join(err, f.Close())
	}
	c := &comparer{old: old, same: true}
	_, err = io.Copy(io.MultiWriter(f, c), in)
	same = c.finish()
	return same, errors.Join(err, f.Close(), old.Close())
}

// comparer tells whether what is written to it is what old has.
type comparer struct {
	old  io.Reader
	same bool
	part []byte
}

// Write implements io.Writer.
func (c *comparer) Write(p []byte) (int, error) {
	if c.same {
		c.part = slices.Grow(c.part[:0], len(p))[:len(p)]
		_, err := io.ReadFull(c.old, c.part)
		c.same = err == nil && bytes.Equal(c.part, p)
	}
	return len(p), nil
}

func (c *comparer) finish() bool {
	n, err := c.old.Read(make([]byte, 1))
	return c.same && n == 0 && errors.Is(err, io.EOF)
}

// removeStale deletes the files of the layout that the archive lacks, and the folders that become empty: a folder would
// bring its workspace back. Everything else in the directory stays: hidden files, tests, notes, and records when the
// export was not asked for them.
func (t *exportTree) removeStale() error {
	var stale, folders []string
	for _, top := range layoutRoots() {
		err := fs.WalkDir(t.root.FS(), top, func(p string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist) && p == top:
				return nil
			case err != nil:
				return err
			case d.IsDir() && strings.HasPrefix(d.Name(), "."):
				return fs.SkipDir
			case d.IsDir():
				folders = append(folders, p)
			case !t.files[p] && t.exports(p):
				stale = append(stale, p)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, p := range stale {
		if err := t.root.Remove(p); err != nil {
			return err
		}
		t.removed++
	}
	for _, p := range slices.Backward(folders) {
		entries, err := fs.ReadDir(t.root.FS(), p)
		if err == nil && len(entries) == 0 && !t.folders[p] {
			err = t.root.Remove(p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// exports reports whether an export like this one writes files of such a name (management-api.md 21.1).
func (t *exportTree) exports(p string) bool {
	parts := strings.Split(p, "/")
	name := parts[len(parts)-1]
	ending := path.Ext(name)
	if strings.HasPrefix(name, ".") {
		return false
	}
	switch {
	case len(parts) == 2 && parts[0] == "environment":
		return name == "custom-policy-attributes.json" || name == "policy-states.json" || name == "scopes.json" && t.includes("scopes")
	case len(parts) == 3 && parts[0] != "environment":
		return slices.Contains([]string{"workspace.json", "building-blocks.rego", "request-attributes.json", "matcher.json"}, name)
	case len(parts) != 4:
		return false
	}
	switch parts[2] {
	case "applications", "asset-types", "api-mapper-sets", "identity-templates", "identity-sources", "mapper-sets":
		return ending == ".json"
	case "policies":
		return ending == ".rego"
	case "assets", "identities":
		return t.includes(parts[2]) && (ending == ".ndjson" || ending == ".csv")
	}
	return false
}

func (t *exportTree) includes(kind string) bool {
	return slices.ContainsFunc(t.include, func(list string) bool { return slices.Contains(strings.Split(list, ","), kind) })
}
