package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

type changesCommand struct {
	asScope
	asking
	Since string `required:"" placeholder:"CURSOR" help:"The answer to compare with: what ask --cursor printed, or the cursor of earlier changes."`
}

// Run asks what the user has gained and lost and prints it as it arrives.
func (c *changesCommand) Run(ctx context.Context, s Streams) error {
	resp, err := c.listen(ctx, &c.asScope, "changes", c.Since)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return c.print(s, resp, func(out io.Writer, d *jsontext.Decoder) error {
		return c.printChange(out, d, resp.Header.Get("Ambit-Cursor"))
	})
}

// listen asks for what becomes of the list from since on.
func (c *asking) listen(ctx context.Context, scope *asScope, what, since string) (*http.Response, error) {
	query := c.query()
	query.Set("includeAssetAttributes", strconv.FormatBool(scope.JSON))
	if since != "" {
		query.Set("since", since)
	}
	resp, err := scope.send(ctx, request{method: http.MethodGet, path: "/api/runtime/token/v3/" + what, query: query})
	return resp, c.explain(err)
}

// printChange prints what separates two lists: + gained, - lost, ~ shown otherwise.
func (c *asking) printChange(out io.Writer, d *jsontext.Decoder, cursor string) error {
	var revision uint64
	counts := map[string]int{}
	signs := map[string]string{"gained": "+", "lost": "-", "changed": "~"}
	err := members(d, func(name string) error {
		sign, isList := signs[name]
		switch {
		case name == "revision":
			return json.UnmarshalDecode(d, &revision)
		case !isList:
			return d.SkipValue()
		}
		return listEntries(d, func(e *entry) error {
			counts[name]++
			return printLine(out, "%s %s:%s  %s", sign, e.ResourceType, e.Path, e.actions())
		})
	})
	if err != nil {
		return err
	}
	told := fmt.Sprintf("%d gained, %d lost", counts["gained"], counts["lost"])
	if n := counts["changed"]; n > 0 {
		told += fmt.Sprintf(", %d changed", n)
	}
	return c.printEnd(out, told, strconv.FormatUint(revision, 10), cursor)
}

// printEnd prints the line that ends an answer; one without a cursor says so.
func (c *asking) printEnd(out io.Writer, told, revision, cursor string) error {
	return printLine(out, "%s: %s, revision %s, cursor %s", c.User, told, revision, cmp.Or(cursor, "none"))
}

type watchCommand struct {
	asScope
	asking
	Since string `placeholder:"CURSOR" help:"Go on from this answer: what ask --cursor printed, or the cursor of earlier changes. From now on by default."`
}

// Help tells how a watch ends.
func (watchCommand) Help() string {
	return "Goes on until it is stopped (exit code 0), or the server ends it or is gone (1). --json prints a line of JSON for each event."
}

// silence is after how long without a sign of life a watch is given up; the server gives one every 15 seconds.
const silence = time.Minute

// maxEvent bounds one event; a change tells 10,000 entries at most.
const maxEvent = 64 << 20

var errSilent = errors.New("the server was silent for a minute")

// Run prints each change when it happens.
func (c *watchCommand) Run(ctx context.Context, s Streams) error {
	stopped := ctx
	ctx, give := context.WithCancelCause(ctx)
	defer give(nil)
	alive := time.AfterFunc(silence, func() { give(errSilent) })
	defer alive.Stop()
	resp, err := c.listen(ctx, &c.asScope, "watch", c.Since)
	if err == nil {
		defer resp.Body.Close()
		err = c.follow(s, resp.Body, func() { alive.Reset(silence) })
	}
	if stopped.Err() != nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return err
}

// serverEvent is an event of the stream; one without a name is a sign of life.
type serverEvent struct {
	Event  string         `json:"event"`
	Cursor string         `json:"cursor"`
	Data   jsontext.Value `json:"data"`
}

// follow prints events until the stream ends, which is always an error.
func (c *watchCommand) follow(s Streams, stream io.Reader, heard func()) error {
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, maxEvent)
	var e serverEvent
	for lines.Scan() {
		heard()
		name, value, _ := bytes.Cut(lines.Bytes(), []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "event":
			e.Event = string(value)
		case "id":
			e.Cursor = string(value)
		case "data":
			e.Data = bytes.Clone(value)
		case "":
			if len(lines.Bytes()) > 0 || e.Event == "" { // a comment, or the end of nothing
				continue
			}
			if err := c.tell(s, &e); err != nil {
				return err
			}
			e = serverEvent{}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("the watch broke off: %w", err)
	}
	return errors.New("the watch broke off")
}

func (c *watchCommand) tell(s Streams, e *serverEvent) error {
	out := bufio.NewWriter(s.Out)
	var err error
	if c.JSON {
		var line []byte
		line, err = json.Marshal(e)
		fmt.Fprintf(out, "%s\n", line)
	} else {
		err = c.show(people{out}, e)
	}
	if err = errors.Join(err, out.Flush()); err != nil {
		return fmt.Errorf("reading an event: %w", err)
	}
	if e.Event == "end" {
		return fmt.Errorf("the server ended the watch: %s", member(e.Data, "reason"))
	}
	return nil
}

func (c *watchCommand) show(out io.Writer, e *serverEvent) error {
	var text string
	switch e.Event {
	case "change":
		return c.printChange(out, jsontext.NewDecoder(bytes.NewReader(e.Data)), e.Cursor)
	case "ready":
		text = "watching"
	case "reset":
		text = "what changed is not told, ask for the whole list"
	default:
		return nil
	}
	return c.printEnd(out, text, string(lookup(e.Data, "revision")), e.Cursor)
}
