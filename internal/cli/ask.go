package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

type askCommand struct {
	asScope
	asking
	WithPolicies bool `name:"why" help:"Name the policies that grant each action."`
	Cursor       bool `help:"Print the cursor of the answer only, for the --since of changes and watch."`
}

// Run asks for the user's access and prints it, row by row as it arrives.
func (c *askCommand) Run(ctx context.Context, s Streams) error {
	question := c.question()
	question["includeAssetAttributes"], question["includeAccessPolicy"] = c.JSON, c.WithPolicies
	q, err := postJSON("/api/runtime/token/v3", question)
	if err != nil {
		return err
	}
	resp, err := c.send(ctx, q)
	if err != nil {
		return c.explain(err)
	}
	defer resp.Body.Close()
	if c.Cursor {
		cursor := resp.Header.Get("Ambit-Cursor")
		if cursor == "" {
			return errors.New("the answer has no cursor: changes and watch cannot go on from it")
		}
		_, err := fmt.Fprintln(s.Out, cursor)
		return err
	}
	return c.print(s, resp, func(out io.Writer, d *jsontext.Decoder) error {
		return c.table(out, d, resp.Header)
	})
}

// entry is one asset of an answer, or in a list of users one user (runtime-api.md 8.5, 11.2).
type entry struct {
	Path         string `json:"path"`
	ResourceType string `json:"resourceType"`
	EntityID     string `json:"entityId"`
	EntityTypeID string `json:"entityTypeId"`
	Actions      []struct {
		Action     string `json:"action"`
		Permission string `json:"permission"`
	} `json:"actions"`
}

func (e *entry) actions() string {
	names := make([]string, len(e.Actions))
	for i, a := range e.Actions {
		names[i] = a.Action
		if a.Permission != "" {
			names[i] += " (" + a.Permission + ")"
		}
	}
	return strings.Join(names, ", ")
}

// table prints entries while they arrive: answers can be large. The answer must end as it should.
func (c *askCommand) table(out io.Writer, d *jsontext.Decoder, header http.Header) error {
	assets, pairs := 0, 0
	err := eachEntry(d, func(e *entry) error {
		if assets == 0 {
			_ = printLine(out, "%-16s %-28s %s", "TYPE", "ASSET", "ACTIONS") // the next line has the same error
		}
		assets++
		pairs += len(e.Actions)
		return printLine(out, "%-16s %-28s %s", e.ResourceType, e.Path, e.actions())
	})
	if err != nil {
		return err
	}
	return printLine(out, "%s: %d assets, %d actions, revision %s", c.User, assets, pairs, header.Get("Ambit-Revision"))
}

// eachEntry walks {"…":…,"response":[{"access":[entry…]}],…} without holding it.
func eachEntry(d *jsontext.Decoder, visit func(*entry) error) error {
	return members(d, func(name string) error {
		if name != "response" {
			return d.SkipValue()
		}
		return elements(d, func() error {
			return members(d, func(name string) error {
				if name != "access" {
					return d.SkipValue()
				}
				return listEntries(d, visit)
			})
		})
	})
}

// listEntries walks a list of entries without holding it.
func listEntries(d *jsontext.Decoder, visit func(*entry) error) error {
	return elements(d, func() error {
		var e entry
		if err := json.UnmarshalDecode(d, &e); err != nil {
			return err
		}
		return visit(&e)
	})
}

func members(d *jsontext.Decoder, visit func(name string) error) error {
	if err := expect(d, '{'); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		if err := visit(name.String()); err != nil {
			return err
		}
	}
	return expect(d, '}')
}

func elements(d *jsontext.Decoder, visit func() error) error {
	if err := expect(d, '['); err != nil {
		return err
	}
	for d.PeekKind() != ']' {
		if d.PeekKind() == 0 {
			break
		}
		if err := visit(); err != nil {
			return err
		}
	}
	return expect(d, ']')
}

func expect(d *jsontext.Decoder, kind jsontext.Kind) error {
	token, err := d.ReadToken()
	if err != nil {
		return err
	}
	if token.Kind() != kind {
		return fmt.Errorf("%q where %q should be", token.Kind(), kind)
	}
	return nil
}
