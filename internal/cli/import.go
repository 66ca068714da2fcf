package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"
)

type importCommand struct {
	Assets     importAssets     `cmd:"" help:"Load assets of one asset type."`
	Identities importIdentities `cmd:"" help:"Load identities of one identity template."`
}

type importAssets struct{ bulk }

type importIdentities struct {
	bulk
	Shared []string `help:"CSV with --duplicates=rows: columns that belong to the identity and not to its rows."`
}

// bulk is what the two imports have in common (management-api.md 19.1).
type bulk struct {
	remote
	File       string `arg:"" help:"NDJSON or CSV, also compressed (.gz); - reads standard input."`
	Template   string `short:"t" required:"" help:"Asset type or identity template."`
	Format     string `enum:"auto,ndjson,csv" default:"auto" help:"auto goes by the file's name: .csv is CSV, all else NDJSON."`
	Mode       string `enum:"atomic,partial" default:"atomic" help:"atomic: all rows or none. partial: good rows are stored, bad ones reported."`
	Merge      bool   `help:"Keep attributes that a row does not name."`
	Prune      bool   `help:"Delete what the file lacks."`
	Duplicates string `enum:"error,last,rows" default:"error" help:"A key that comes twice: error, last, or (identities in CSV) rows."`
	Separator  string `default:"|" help:"CSV: between the values of one cell."`
	DryRun     bool   `help:"Say what would happen and change nothing."`
}

// Run sends the file.
func (c *importAssets) Run(ctx context.Context, s Streams) error {
	if c.Duplicates == "rows" {
		return &usageError{"import assets", "--duplicates=rows is for identities"}
	}
	return c.run(ctx, s, "import assets", "/asset-templates/"+url.PathEscape(c.Template)+"/assets", url.Values{})
}

// Run sends the file.
func (c *importIdentities) Run(ctx context.Context, s Streams) error {
	query := url.Values{}
	if len(c.Shared) > 0 {
		query.Set("shared", strings.Join(c.Shared, ","))
	}
	return c.run(ctx, s, "import identities", "/identity-templates/"+url.PathEscape(c.Template)+"/identities", query)
}

func (c *bulk) run(ctx context.Context, s Streams, command, path string, query url.Values) error {
	if err := c.inEnvironment(command); err != nil {
		return err
	}
	rows, size, err := c.openRows(s.In)
	if err != nil {
		return err
	}
	defer rows.Close()
	session, err := c.connect(ctx)
	if err != nil {
		return err
	}
	query.Set("mode", c.Mode)
	query.Set("duplicates", c.Duplicates)
	query.Set("separator", c.Separator)
	if c.Merge {
		query.Set("update", "merge")
	}
	for name, set := range map[string]bool{"prune": c.Prune, "dryRun": c.DryRun} {
		if set {
			query.Set(name, "true")
		}
	}
	q := request{method: http.MethodPost, path: environmentPath(c.Environment) + path, query: query, contentType: c.contentType(), body: rows}
	if strings.HasSuffix(c.File, ".gz") {
		q.encoding = "gzip"
	}
	if p := newProgress(s.Err, size); p != nil {
		q.body = io.TeeReader(rows, p)
		defer p.end()
	}
	counts, err := session.load(ctx, q)
	for _, problem := range counts.Errors {
		fmt.Fprintf(s.notes(), "%s:%s\n", c.File, problem.String())
	}
	if err != nil && c.guessed() && counts.Data.Failed == counts.Data.Received && counts.Data.Failed > 0 {
		return fmt.Errorf("%w (they were read as NDJSON; --format=csv reads CSV)", err)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.text(), counts)
	if err == nil && counts.Data.Failed > 0 {
		err = fmt.Errorf("%s refused", plural(counts.Data.Failed, "row"))
	}
	return err
}

func (c *bulk) contentType() string {
	if c.Format == "csv" || c.Format == "auto" && strings.HasSuffix(strings.TrimSuffix(c.File, ".gz"), ".csv") {
		return "text/csv"
	}
	return "application/x-ndjson"
}

// guessed says that rows are read as NDJSON although nobody said so: neither a flag nor the name of the file.
func (c *bulk) guessed() bool {
	extension := filepath.Ext(strings.TrimSuffix(c.File, ".gz"))
	return c.Format == "auto" && !slices.Contains([]string{".csv", ".ndjson", ".jsonl", ".json"}, extension)
}

// openRows opens the file; size is -1 when it is not known.
func (c *bulk) openRows(stdin io.Reader) (rows io.ReadCloser, size int64, err error) {
	if c.File == "-" {
		return io.NopCloser(stdin), -1, nil
	}
	f, err := os.Open(c.File)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// counts is what a bulk load answers.
type counts struct {
	Data struct {
		Received  int  `json:"received"`
		Created   int  `json:"created"`
		Updated   int  `json:"updated"`
		Unchanged int  `json:"unchanged"`
		Deleted   int  `json:"deleted"`
		Failed    int  `json:"failed"`
		DryRun    bool `json:"dryRun"`
	} `json:"data"`
	Errors []wireError `json:"errors"`
}

// String is one line for people.
func (c counts) String() string {
	d := c.Data
	text := fmt.Sprintf("%d received: %d created, %d updated, %d unchanged, %d deleted, %d failed",
		d.Received, d.Created, d.Updated, d.Unchanged, d.Deleted, d.Failed)
	if d.DryRun {
		text += " (dry run: nothing was changed)"
	}
	return text
}

// load sends rows. A refusal that has counts, or names lines, keeps its errors in them.
func (c *client) load(ctx context.Context, q request) (counts, error) {
	var n counts
	_, err := c.call(ctx, q, &n)
	refused, ok := errors.AsType[*refusal](err)
	if !ok {
		return n, err
	}
	if json.Unmarshal(refused.Raw, &n) == nil && n.Data.Failed > 0 {
		return n, fmt.Errorf("%d of %d rows are wrong, nothing was stored", n.Data.Failed, n.Data.Received)
	}
	if slices.ContainsFunc(refused.Errors, beginsWithLine) {
		return counts{Errors: refused.Errors}, errors.New("nothing was stored")
	}
	return counts{}, err
}

// beginsWithLine says that an error is about a line of the file, such as the header of a CSV, and not about the call.
func beginsWithLine(e wireError) bool {
	line, _, found := strings.Cut(e.Message, ": ")
	_, err := strconv.Atoi(line)
	return found && err == nil
}

// progress draws how much of a file was sent.
type progress struct {
	out        io.Writer
	sent, size int64
	started    time.Time
	drawn      time.Time
}

// newProgress is nil unless out is a terminal.
func newProgress(out io.Writer, size int64) *progress {
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return &progress{out: out, size: size, started: time.Now()}
}

// Write counts p.
func (p *progress) Write(b []byte) (int, error) {
	p.sent += int64(len(b))
	if time.Since(p.drawn) > 100*time.Millisecond {
		p.draw()
	}
	return len(b), nil
}

func (p *progress) draw() {
	p.drawn = time.Now()
	const width = 30
	bar := ""
	if p.size > 0 {
		done := int(min(width, width*p.sent/p.size))
		bar = "[" + strings.Repeat("#", done) + strings.Repeat(" ", width-done) + "] "
	}
	megabytes := float64(p.sent) / 1e6
	fmt.Fprintf(p.out, "\r%s%.1f MB, %.1f MB/s ", bar, megabytes, megabytes/max(0.001, time.Since(p.started).Seconds()))
}

func (p *progress) end() {
	p.draw()
	fmt.Fprintln(p.out)
}
