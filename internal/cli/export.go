package cli

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

type exportCommand struct {
	remote
	Directory  string   `arg:"" optional:"" help:"Directory to write. What an earlier export left there and the environment no longer has is removed."`
	Output     string   `placeholder:"FILE" help:"Write one archive instead: .zip, .tar or .tar.gz."`
	Include    []string `placeholder:"KIND" help:"Export assets, identities and scopes (never secrets) too; separated by commas or repeated."`
	AuthWs     []string `name:"auth-ws" sep:"none" placeholder:"NAME" help:"Only this authorization workspace; may be repeated."`
	IdentityWs []string `name:"identity-ws" sep:"none" placeholder:"NAME" help:"Only this identity workspace; may be repeated."`
	Force      bool     `help:"Write into a directory that has other files and no earlier export."`
}

// Run fetches the whole archive before it writes anything, so that a broken connection changes nothing.
func (c *exportCommand) Run(ctx context.Context, s Streams) error {
	query, err := c.query()
	if err != nil {
		return err
	}
	if c.Output == "" {
		if err := checkTarget(c.Directory, c.Force); err != nil {
			return err
		}
	}
	session, err := c.connect(ctx)
	if err != nil {
		return err
	}
	answer, err := session.send(ctx, request{method: http.MethodGet, path: environmentPath(c.Environment) + "/export", query: query})
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	at := "revision " + answer.Header.Get("Ambit-Revision")
	if c.Output != "" {
		if err := replaceFile(c.Output, answer.Body); err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.text(), "%s: %s\n", c.Output, at)
		return err
	}
	t, err := c.write(answer.Body)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.text(), "%s: %s, %d written, %d unchanged, %d removed\n", c.Directory, at, t.written, t.unchanged, t.removed)
	return err
}

func (c *exportCommand) query() (url.Values, error) {
	if err := c.inEnvironment("export"); err != nil {
		return nil, err
	}
	if (c.Directory == "") == (c.Output == "") {
		return nil, &usageError{"export", "give a directory or --output"}
	}
	q := url.Values{"format": {"tgz"}, "authWs": c.AuthWs, "identityWs": c.IdentityWs, "include": c.Include}
	if c.Output != "" {
		formats := map[string]string{"application/zip": "zip", "application/x-tar": "tar", "application/gzip": "tgz"}
		format := formats[archiveType(c.Output)]
		if format == "" {
			return nil, &usageError{"export", fmt.Sprintf("--output %s: ends with none of .zip, .tar, .tar.gz and .tgz", c.Output)}
		}
		q.Set("format", format)
	}
	return q, nil
}

// checkTarget refuses a directory that has files but is no earlier export: it was hardly meant. Hidden files, such as
// those of git, do not count.
func checkTarget(dir string, force bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || force && err == nil {
		return nil
	}
	if err != nil {
		return err
	}
	other := ""
	for _, e := range entries {
		if e.IsDir() && slices.Contains(layoutRoots(), e.Name()) {
			return nil
		}
		if !strings.HasPrefix(e.Name(), ".") {
			other = e.Name()
		}
	}
	if other != "" {
		return fmt.Errorf("%s has %s and is no earlier export; choose another directory, or say --force", dir, other)
	}
	return nil
}

// replaceFile writes a file that appears complete or not at all.
func replaceFile(name string, in io.Reader) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".ambit-export-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, in)
	if err == nil {
		err = f.Chmod(0o600)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// write unpacks an archive into the directory.
func (c *exportCommand) write(packed io.Reader) (*exportTree, error) {
	spool, err := os.CreateTemp("", "ambit-export-*")
	if err != nil {
		return nil, err
	}
	defer func() {
		_ = spool.Close() // of no use any more
		_ = os.Remove(spool.Name())
	}()
	if _, err := io.Copy(spool, packed); err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if err := os.MkdirAll(c.Directory, 0o777); err != nil { //nolint:gosec // like every other program, what the umask leaves
		return nil, err
	}
	root, err := os.OpenRoot(c.Directory)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }() // nothing is left to be written
	t := &exportTree{root: root, include: c.Include, folders: map[string]bool{}, files: map[string]bool{}}
	if err := t.each(spool, t.plan); err != nil {
		return nil, err
	}
	if err := t.checkLimits(c); err != nil {
		return nil, err
	}
	if err := t.each(spool, t.put); err != nil {
		return nil, err
	}
	return t, t.removeStale()
}

// each reads the archive from its beginning and calls do for every entry.
func (t *exportTree) each(spool *os.File, do func(*tar.Header, io.Reader) error) error {
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return err
	}
	zip, err := gzip.NewReader(spool)
	if err != nil {
		return fmt.Errorf("reading the archive: %w", err)
	}
	for archive := tar.NewReader(zip); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			_, err := io.Copy(io.Discard, zip) //nolint:gosec // nothing is kept; the checksum is at the end
			return err
		}
		if err != nil {
			return fmt.Errorf("reading the archive: %w", err)
		}
		if err := do(h, archive); err != nil {
			return err
		}
	}
}
