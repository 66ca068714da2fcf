package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/rogpeppe/go-internal/diff"
)

type diffCommand struct {
	remote
	matching
	Paths         []string `arg:"" name:"path" help:"A directory in the layout of exports, files of one, or an archive (.zip, .tar, .tar.gz)."`
	Prune         bool     `help:"As in apply: what the directory lacks is a difference, too."`
	IgnoreUnknown bool     `help:"As in apply."`
	Rename        []string `placeholder:"OLD=NEW" help:"As in apply; may be repeated."`
	JSON          bool     `help:"Print the report of the dry run as JSON, with the texts of what differs."`
}

// Help tells the exit codes, which are those of diff(1).
func (diffCommand) Help() string {
	return "Nothing is changed. Exit codes: 0 no difference, 1 differences, 2 trouble."
}

// difference is an object that an apply would change, as the server writes it before and after.
type difference struct {
	File   string  `json:"file"`
	Kind   string  `json:"kind"`
	ID     string  `json:"id"`
	Name   string  `json:"name"`
	Result string  `json:"result"`
	Before *string `json:"before"`
	After  *string `json:"after"`
}

// Run asks for a dry run and prints what it would change.
func (c *diffCommand) Run(ctx context.Context, s Streams) error {
	found, err := c.compare(ctx, s)
	switch {
	case err != nil:
		return &exitError{exitTrouble, err}
	case found > 0:
		return &exitError{exitDifferent, nil}
	}
	return nil
}

func (c *diffCommand) compare(ctx context.Context, s Streams) (found int, err error) {
	if err := c.inEnvironment("diff"); err != nil {
		return 0, err
	}
	source, err := open(c.Paths)
	if err != nil {
		return 0, err
	}
	defer source.body.Close()
	session, err := c.connect(ctx)
	if err != nil {
		return 0, err
	}
	query := url.Values{"dryRun": {"true"}, "changes": {"true"}, "rename": c.Rename}
	for name, set := range map[string]bool{"prune": c.Prune, "evaluateByBBName": c.ByName} {
		if set {
			query.Set(name, "true")
		}
	}
	if c.IgnoreUnknown {
		query.Set("unknownMembers", "ignore")
	}
	raw, refused, err := session.applied(ctx, c.Environment, query, source)
	if err != nil {
		return 0, err
	}
	var r report
	if err := json.Unmarshal(raw, &r); err != nil {
		return 0, fmt.Errorf("reading the report: %w", err)
	}
	if c.JSON {
		if _, err := s.Out.Write(append(raw, '\n')); err != nil {
			return 0, err
		}
		if refused {
			return 0, errors.New("the directory has errors")
		}
		return r.show(io.Discard, source.name)
	}
	r.note(s.notes(), source.name)
	if refused {
		r.complain(s.notes(), source.name)
		return 0, r.refused("%s, nothing was compared")
	}
	return r.show(s.text(), source.name)
}

// show prints every difference and returns how many there are. Records are counted and not shown.
func (r *report) show(out io.Writer, name func(string) string) (found int, err error) {
	for _, d := range r.Data.Changes {
		found++
		place := "directory"
		if d.File != "" {
			place = name(d.File)
		}
		if err := printLine(out, "%s %s %s", d.Result, d.Kind, d.ID); err != nil {
			return found, err
		}
		text := diff.Diff("server", linesOf(d.Before), place, linesOf(d.After))
		if len(text) == 0 {
			text = []byte("(the difference is in what is never shown)\n")
		}
		if _, err := fmt.Fprintf(out, "%s\n", text); err != nil {
			return found, err
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Data.Summary)) {
		counts := r.Data.Summary[kind]
		if n := counts["created"] + counts["updated"] + counts["deleted"]; n > 0 && (kind == "assets" || kind == "identities") {
			found++
			fmt.Fprintf(out, "%s: %d created, %d updated, %d deleted\n", kind, counts["created"], counts["updated"], counts["deleted"])
		}
	}
	if found == 0 {
		_, err = fmt.Fprintln(out, "no differences")
	}
	return found, err
}

// linesOf is a text with an end of its last line, which exports leave out.
func linesOf(text *string) []byte {
	if text == nil || *text == "" {
		return nil
	}
	return []byte(*text + "\n")
}

// applied sends an archive and returns the report. refused tells that it lists errors and nothing was stored.
func (c *client) applied(ctx context.Context, environment string, query url.Values, source source) (raw json.RawMessage, refused bool, err error) {
	_, err = c.call(ctx, request{
		method: http.MethodPost, path: environmentPath(environment) + "/apply", query: query,
		contentType: source.contentType, body: source.body,
	}, &raw)
	r, isRefusal := errors.AsType[*refusal](err)
	if err != nil && (!isRefusal || r.Status != http.StatusBadRequest || len(r.Errors) == 0) {
		return nil, false, err
	}
	if isRefusal {
		return r.Raw, true, nil
	}
	return raw, false, nil
}
