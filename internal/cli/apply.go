package cli

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

type applyCommand struct {
	remote
	matching
	Paths         []string `arg:"" name:"path" help:"A directory in the layout of exports, files of one, or an archive (.zip, .tar, .tar.gz)."`
	DryRun        bool     `help:"Say what would happen and change nothing."`
	Prune         bool     `help:"Delete what the directory lacks, within the workspaces and kinds that it has."`
	OnError       string   `enum:"abort,skip" default:"abort" help:"abort: an error anywhere changes nothing. skip: leave out what has errors."`
	IgnoreUnknown bool     `help:"Pass over members of JSON files that their kind does not have, as other tools may write them."`
	Rename        []string `placeholder:"OLD=NEW" help:"Apply a workspace of the directory under another name; may be repeated."`
	JSON          bool     `help:"Print the report as JSON."`
}

// report is what apply answers (management-api.md 21.2).
type report struct {
	Data struct {
		DryRun    bool                      `json:"dryRun"`
		Committed bool                      `json:"committed"`
		Summary   map[string]map[string]int `json:"summary"`
		Items     []struct {
			File     string      `json:"file"`
			Kind     string      `json:"kind"`
			ID       string      `json:"id"`
			Result   string      `json:"result"`
			Warnings []wireError `json:"warnings"`
		} `json:"items"`
		BuildingBlocks []struct {
			Result string `json:"result"`
		} `json:"buildingBlocks"`
		Changes []difference `json:"changes"`
		Notes   []string     `json:"notes"`
	} `json:"data"`
	Errors []wireError `json:"errors"`
}

// Run sends the files as one archive, so that they take effect together or not at all.
func (c *applyCommand) Run(ctx context.Context, s Streams) error {
	if err := c.inEnvironment("apply"); err != nil {
		return err
	}
	source, err := open(c.Paths)
	if err != nil {
		return err
	}
	defer source.body.Close()
	session, err := c.connect(ctx)
	if err != nil {
		return err
	}
	query := url.Values{"onError": {c.OnError}, "rename": c.Rename}
	for name, set := range map[string]bool{"dryRun": c.DryRun, "prune": c.Prune, "evaluateByBBName": c.ByName} {
		if set {
			query.Set(name, "true")
		}
	}
	if c.IgnoreUnknown {
		query.Set("unknownMembers", "ignore")
	}
	return session.apply(ctx, c.Environment, query, source, s, c.JSON)
}

// apply sends an archive and prints the report. Errors are named by the caller's own paths.
func (c *client) apply(ctx context.Context, environment string, query url.Values, source source, s Streams, asJSON bool) error {
	raw, refused, err := c.applied(ctx, environment, query, source)
	if err != nil {
		return err
	}
	if asJSON {
		_, err := s.Out.Write(append(raw, '\n'))
		if err == nil && refused {
			err = errors.New("nothing was changed")
		}
		return err
	}
	var r report
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("reading the report: %w", err)
	}
	return r.print(s, source.name)
}

func (r *report) print(s Streams, name func(string) string) error {
	r.note(s.notes(), name)
	for _, item := range r.Data.Items {
		for _, warning := range item.Warnings {
			warning.File = item.File
			fmt.Fprintf(s.notes(), "%s (warning %s)\n", warning.placed(name), warning.Code)
		}
	}
	r.complain(s.notes(), name)
	r.countBlocks()
	for _, kind := range slices.Sorted(maps.Keys(r.Data.Summary)) {
		counts := r.Data.Summary[kind]
		err := printLine(s.Out, "%-24s %d created, %d updated, %d unchanged, %d deleted, %d failed", kind,
			counts["created"], counts["updated"], counts["unchanged"], counts["deleted"], counts["failed"])
		if err != nil {
			return err
		}
	}
	switch {
	case r.Data.DryRun:
		fmt.Fprintln(s.text(), "dry run: nothing was changed")
	case !r.Data.Committed && len(r.Errors) > 0:
		return r.refused("%s, nothing was changed")
	}
	if len(r.Errors) > 0 {
		return r.refused("%s")
	}
	return nil
}

// note prints the notes, by the caller's own paths.
func (r *report) note(out io.Writer, name func(string) string) {
	for _, note := range r.Data.Notes {
		_ = printLine(out, "note: %s", placedNote(note, name)) // there is nobody left to tell
	}
}

// placedNote is a note with its file as the caller named it, where it begins with one and a line.
func placedNote(note string, name func(string) string) string {
	file, rest, _ := strings.Cut(note, ":")
	var line, column int
	if n, _ := fmt.Sscanf(rest, "%d:%d:", &line, &column); n < 2 || name == nil {
		return note
	}
	return name(file) + ":" + rest
}

// complain prints the errors, by the caller's own paths.
func (r *report) complain(out io.Writer, name func(string) string) {
	for _, e := range r.Errors {
		fmt.Fprintln(out, e.placed(name))
	}
}

// refused is an error after what was printed of the errors, with the hint that they allow.
func (r *report) refused(format string) error {
	err := fmt.Errorf(format, plural(len(r.Errors), "error"))
	if slices.ContainsFunc(r.Errors, isUnknown) {
		return &hinted{err, unknownHint}
	}
	return err
}

// isUnknown says that an error is about a member that the server does not know.
func isUnknown(e wireError) bool { return strings.Contains(e.Message, ": there is no such member") }

// placed is the text of an error with its file as the caller named it.
func (e wireError) placed(name func(string) string) string {
	if e.File != "" {
		e.Message = strings.TrimPrefix(strings.TrimPrefix(e.Message, e.File+":"), " ")
		e.File = name(e.File)
	}
	return e.String()
}

// countBlocks adds the building blocks to the summary, which the server lists one by one.
func (r *report) countBlocks() {
	counts := map[string]int{}
	for _, b := range r.Data.BuildingBlocks {
		if b.Result == "reused" {
			b.Result = "unchanged"
		}
		counts[b.Result]++
	}
	if len(counts) > 0 && r.Data.Summary != nil {
		r.Data.Summary["building-blocks"] = counts
	}
}

// plural is a count with its noun: "1 error", "2 errors".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// source is an archive to send; name turns a path inside it into the path that the user knows.
type source struct {
	contentType string
	body        io.ReadCloser
	name        func(string) string
}

// open makes one archive of the paths: an archive is taken as it is, a directory becomes the root, and a file keeps its
// place below the nearest folder of the layout.
func open(paths []string) (source, error) {
	if len(paths) == 1 {
		if contentType := archiveType(paths[0]); contentType != "" {
			f, err := os.Open(paths[0])
			return source{contentType, f, func(inside string) string { return paths[0] + ":" + inside }}, err
		}
		if info, err := os.Stat(paths[0]); err == nil && info.IsDir() {
			if err := checkLayout(paths[0]); err != nil {
				return source{}, err
			}
			return pack(os.DirFS(paths[0]), nil, func(inside string) string { return filepath.Join(paths[0], inside) }), nil
		}
	}
	places := map[string]string{} // inside -> on disk
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return source{}, err
		}
		if info.IsDir() || archiveType(p) != "" {
			return source{}, fmt.Errorf("%s: a directory or an archive is applied alone", p)
		}
		inside, err := placeInLayout(p)
		if err != nil {
			return source{}, err
		}
		if other, taken := places[inside]; taken {
			return source{}, fmt.Errorf("%s and %s are the same file of the layout", other, p)
		}
		places[inside] = p
	}
	return pack(nil, places, func(inside string) string {
		if p, ok := places[inside]; ok {
			return p
		}
		return inside
	}), nil
}

func archiveType(p string) string {
	switch {
	case strings.HasSuffix(p, ".zip"):
		return "application/zip"
	case strings.HasSuffix(p, ".tar"):
		return "application/x-tar"
	case strings.HasSuffix(p, ".tar.gz"), strings.HasSuffix(p, ".tgz"):
		return "application/gzip"
	}
	return ""
}

// layoutRoots are the top folders of an export (management-api.md 21.1).
func layoutRoots() []string {
	return []string{"authorization-workspaces", "identity-workspaces", "environment"}
}

// checkLayout refuses a directory that holds nothing of an export, before anything is sent: the root of a disk is
// easily given by mistake.
func checkLayout(dir string) error {
	for _, pattern := range []string{"", "*"} {
		for _, top := range layoutRoots() {
			if found, _ := filepath.Glob(filepath.Join(dir, pattern, top)); len(found) > 0 {
				return nil
			}
		}
	}
	if old, _ := filepath.Glob(filepath.Join(dir, "*_*-*-*-*-*")); len(old) > 0 {
		return nil
	}
	return fmt.Errorf("%s: none of the folders %s is there", dir, strings.Join(layoutRoots(), ", "))
}

func placeInLayout(p string) (string, error) {
	whole, err := filepath.Abs(p)
	if err != nil {
		return "", err
	}
	parts := strings.Split(filepath.ToSlash(whole), "/")
	for i := len(parts) - 2; i >= 0; i-- {
		if slices.Contains(layoutRoots(), parts[i]) {
			return path.Join(parts[i:]...), nil
		}
	}
	return "", fmt.Errorf("%s: not below a folder %s", p, strings.Join(layoutRoots(), ", "))
}

// pack streams the files of a directory, or those of places, as a compressed archive.
func pack(dir fs.FS, places map[string]string, name func(string) string) source {
	r, w := io.Pipe()
	go func() {
		zip := gzip.NewWriter(w)
		archive := tar.NewWriter(zip)
		var err error
		if dir != nil {
			err = packDirectory(archive, dir)
		} else {
			err = packPlaces(archive, places)
		}
		w.CloseWithError(errors.Join(err, archive.Close(), zip.Close()))
	}()
	return source{"application/gzip", r, name}
}

func packDirectory(archive *tar.Writer, dir fs.FS) error {
	return fs.WalkDir(dir, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if hidden := p != "." && strings.HasPrefix(d.Name(), "."); hidden && d.IsDir() {
			return fs.SkipDir
		} else if hidden {
			return nil
		}
		if d.IsDir() {
			return packFolder(archive, dir, p)
		}
		text, err := fs.ReadFile(dir, p)
		if err != nil {
			return err
		}
		return packFile(archive, p, text)
	})
}

// packFolder sends a folder that is empty: it says that there is nothing of its kind (management-api.md 21.4, A6).
func packFolder(archive *tar.Writer, dir fs.FS, p string) error {
	entries, err := fs.ReadDir(dir, p)
	if err != nil || len(entries) > 0 || p == "." {
		return err
	}
	return archive.WriteHeader(&tar.Header{Name: p + "/", Typeflag: tar.TypeDir, Mode: 0o700})
}

func packPlaces(archive *tar.Writer, places map[string]string) error {
	for _, inside := range slices.Sorted(maps.Keys(places)) {
		text, err := os.ReadFile(places[inside])
		if err != nil {
			return err
		}
		if err := packFile(archive, inside, text); err != nil {
			return err
		}
	}
	return nil
}

func packFile(archive *tar.Writer, inside string, text []byte) error {
	if err := archive.WriteHeader(&tar.Header{Name: inside, Mode: 0o600, Size: int64(len(text))}); err != nil {
		return err
	}
	_, err := archive.Write(text)
	return err
}
