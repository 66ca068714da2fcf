package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/term"
)

// listing is the verb of commands that list.
type listing struct {
	remote
	form
	All    bool `help:"Every page, not only the first."`
	Limit  int  `placeholder:"N" help:"At most N on a page."`
	Offset int  `placeholder:"N" help:"Leave out the first N."`
}

// Run prints the list while its pages arrive.
func (c *listing) Run(ctx context.Context, k *kong.Context, s Streams) error {
	o, err := c.begin(ctx, k, s)
	if err != nil {
		return err
	}
	if c.All && c.Limit == 0 {
		c.Limit = 1000 // lowered by the server where that is too much
	}
	for name, n := range map[string]int{"limit": c.Limit, "offset": c.Offset} {
		if n != 0 {
			o.query.Set(name, strconv.Itoa(n))
		}
	}
	out := bufio.NewWriter(s.Out)
	rows := newRows(out, c.Output, o.tag("columns"))
	left := ""
	err = o.pages(ctx, c.All, o.tag("rows"), func(p page) error {
		left = p.left
		return errors.Join(rows.print(p.rows), out.Flush())
	})
	if err == nil {
		err = rows.end()
	}
	if left != "" && err == nil {
		fmt.Fprintf(s.notes(), "%s; --all lists everything\n", left)
	}
	return errors.Join(err, out.Flush())
}

// page is a part of a list. left says what comes behind it; it is empty on the last one.
type page struct {
	rows []jsontext.Value
	left string
}

// pages visits a list page by page: the first one, or all of them. Lists have counters or a cursor (management-api.md 1.2,
// 19).
func (o *operation) pages(ctx context.Context, all bool, nested string, visit func(page) error) error {
	for {
		var answer struct {
			Data  []jsontext.Value `json:"data"`
			Total *int             `json:"total"`
			Meta  struct {
				NextCursor string `json:"nextCursor"`
			} `json:"meta"`
		}
		if _, err := o.session.call(ctx, o.request(), &answer); err != nil {
			return err
		}
		p := page{rows: answer.Data}
		if nested != "" {
			var err error
			if p.rows, err = ungroup(answer.Data, nested); err != nil {
				return err
			}
		}
		offset, _ := strconv.Atoi(o.query.Get("offset")) // "" is 0
		next := offset + len(p.rows)
		switch {
		case answer.Total == nil && offset != 0:
			return o.usage("--offset: this list goes on from page to page only")
		case answer.Meta.NextCursor != "":
			p.left = "there are more"
			o.query.Set("cursor", answer.Meta.NextCursor)
		case answer.Total != nil && len(p.rows) > 0 && next < *answer.Total:
			p.left = fmt.Sprintf("%d of %d", len(p.rows), *answer.Total)
			o.query.Set("offset", strconv.Itoa(next))
		}
		if err := visit(p); err != nil || p.left == "" || !all {
			return err
		}
	}
}

// ungroup makes one list of the rows inside groups; each row begins with the other members of its group.
func ungroup(groups []jsontext.Value, name string) ([]jsontext.Value, error) {
	var out []jsontext.Value
	for _, group := range groups {
		var members map[string]jsontext.Value
		var rows []map[string]jsontext.Value
		if err := json.Unmarshal(group, &members); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(members[name], &rows); err != nil {
			return nil, err
		}
		delete(members, name)
		for _, row := range rows {
			for key, value := range members {
				if _, own := row[key]; !own {
					row[key] = value
				}
			}
			text, err := json.Marshal(row, json.Deterministic(true))
			if err != nil {
				return nil, err
			}
			out = append(out, text)
		}
	}
	return out, nil
}

// showing is the verb of commands that print one object.
type showing struct {
	remote
	form
	Etag bool `help:"Print the version of the object only, for --if-match."`
}

// Run prints the object.
func (c *showing) Run(ctx context.Context, k *kong.Context, s Streams) error {
	o, err := c.begin(ctx, k, s)
	if err != nil {
		return err
	}
	return o.show(ctx, s, c.Output, c.Etag)
}

// module is showing for objects whose usual form is Rego.
type module struct {
	remote
	Output string `short:"o" enum:"rego,json,yaml" default:"rego" help:"rego, or the JSON form as json or yaml."`
	Etag   bool   `help:"Print the version of the object only, for --if-match."`
}

// Run prints the module or its JSON form.
func (c *module) Run(ctx context.Context, k *kong.Context, s Streams) error {
	o, err := c.begin(ctx, k, s)
	if err != nil {
		return err
	}
	o.header.Set("Accept", map[bool]string{true: typeRego, false: typeJSON}[c.Output == "rego"])
	return o.show(ctx, s, c.Output, c.Etag)
}

func (o *operation) show(ctx context.Context, s Streams, form string, etag bool) error {
	header, body, err := o.do(ctx)
	if err != nil {
		return err
	}
	return shown(s, form, etag, header, body)
}

// shown prints an object, or only its version.
func shown(s Streams, form string, etag bool, header http.Header, body []byte) error {
	if etag {
		version := strings.Trim(header.Get("ETag"), `"`)
		if version == "" {
			return errors.New("the object has no version")
		}
		_, err := fmt.Fprintln(s.Out, version)
		return err
	}
	if form == "rego" {
		_, err := fmt.Fprintf(s.Out, "%s\n", bytes.TrimRight(body, "\n"))
		return err
	}
	return printObject(s.Out, form, unwrapped(body))
}

// do sends the call and reads the whole answer.
func (o *operation) do(ctx context.Context) (http.Header, []byte, error) {
	resp, err := o.session.send(ctx, o.request())
	if err != nil {
		return nil, nil, o.explain(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the answer: %w", err)
	}
	return resp.Header, body, nil
}

// unwrapped is the object of an answer without its envelope.
func unwrapped(body []byte) jsontext.Value {
	var answer struct {
		Data jsontext.Value `json:"data"`
	}
	if json.Unmarshal(body, &answer) == nil && len(answer.Data) > 0 {
		return answer.Data
	}
	return body
}

// writing is the verb of commands that change something.
type writing struct {
	remote
	form
	DryRun  bool   `help:"Make all checks and change nothing."`
	IfMatch string `placeholder:"ETAG" help:"Only if this is still the version; get --etag prints it."`
}

// Run writes and prints what became of it.
func (c *writing) Run(ctx context.Context, k *kong.Context, s Streams) error {
	o, err := c.begin(ctx, k, s)
	if err != nil {
		return err
	}
	return c.write(ctx, o, s)
}

func (c *writing) write(ctx context.Context, o *operation, s Streams) error {
	if c.DryRun {
		o.query.Set("dryRun", "true")
	}
	if c.IfMatch != "" {
		o.header.Set("If-Match", `"`+strings.Trim(c.IfMatch, `"`)+`"`)
	}
	if c.Output != tableForm {
		o.header.Set("Accept", typeJSON+", text/plain;q=0.5") // building blocks have no other form
	}
	header, body, err := o.do(ctx)
	if err != nil {
		return err
	}
	notes, printed := s.text(), false
	switch object := unwrapped(body); {
	case c.Output != tableForm && (object.Kind() == '{' || object.Kind() == '['):
		err, printed = printObject(s.Out, c.Output, object), true
	case o.tag("prints") != "" && !c.DryRun:
		err, printed = printVariables(s.Out, o.tag("prints"), object), true
	}
	if printed || c.Output != tableForm {
		notes = s.notes()
	}
	fmt.Fprintln(notes, o.outcome(header, unwrapped(body)))
	if list := header.Get("Ambit-Affected-Policies"); list != "" {
		fmt.Fprintln(notes, "policies that changed with it:", strings.ReplaceAll(list, ",", ", "))
	}
	o.warn(s, header, body)
	if c.DryRun && err == nil && header.Get("Ambit-Dry-Run") != "true" {
		err = errors.New("the server does not know --dry-run: the change was made")
	}
	return err
}

// warn prints the warnings about what was written, or how many there are where the answer does not list them.
func (o *operation) warn(s Streams, header http.Header, body []byte) {
	var answer struct {
		Warnings []fault `json:"warnings"`
	}
	if json.Unmarshal(body, &answer) == nil && len(answer.Warnings) > 0 {
		for _, w := range answer.Warnings {
			fmt.Fprintf(s.notes(), "%s (warning %s)\n", w.Message, w.Code)
		}
		return
	}
	if n, _ := strconv.Atoi(header.Get("Ambit-Warnings")); n > 0 {
		fmt.Fprintf(s.notes(), "%s; validate lists them\n", plural(n, "warning"))
	}
}

// outcome is what became of a write: "quay_days: updated, revision 12". What an object is called that the arguments do not
// name, its answer tells.
func (o *operation) outcome(header http.Header, object jsontext.Value) string {
	about := o.about
	if name := o.tag("names"); name != "" && object.Kind() == '{' {
		about = append(slices.Clone(about), member(object, name))
	}
	for _, v := range o.tagged("file") {
		if len(about) == 0 {
			about = []string{fileName(textsOf(v)[0])}
		}
	}
	text := header.Get("Ambit-Result")
	if text == "" {
		text = "done"
	}
	// what a call does beside the environment is no change of it
	if done := o.tag("unchanged"); done != "" && text == "unchanged" && header.Get("Ambit-Dry-Run") != "true" {
		text = done
	}
	if len(about) > 0 {
		text = strings.Join(about, " ") + ": " + text
	}
	if revision := header.Get("Ambit-Revision"); revision != "" {
		text += ", revision " + revision
	}
	if header.Get("Ambit-Dry-Run") == "true" {
		text += " (dry run: nothing was changed)"
	}
	return text
}

// removing is the verb of commands that delete.
type removing struct {
	writing
	Yes bool `short:"y" help:"Do not ask; without a terminal nobody is asked anyway."`
}

// Run deletes, on a terminal after asking.
func (c *removing) Run(ctx context.Context, k *kong.Context, s Streams) error {
	o, err := c.begin(ctx, k, s)
	if err != nil {
		return err
	}
	if in, ok := s.In.(*os.File); ok && term.IsTerminal(int(in.Fd())) && !c.Yes && !c.DryRun {
		if err := confirm(s, o); err != nil {
			return err
		}
	}
	return c.write(ctx, o, s)
}

// confirm asks whether to go on; everything but yes is no.
func confirm(s Streams, o *operation) error {
	where := ""
	if o.remote.Environment != "" {
		where = " (environment " + o.remote.Environment + ")"
	}
	fmt.Fprintf(s.notes(), "%s %s%s: sure? [y/N] ", o.name(), strings.Join(o.about, " "), where)
	answer, err := bufio.NewReader(s.In).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was deleted")
}
