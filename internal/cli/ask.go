package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

type askCommand struct {
	User         string   `arg:"" env:"AMBIT_SAMPLE_USER" help:"Id of the user."`
	URL          string   `name:"url" env:"AMBIT_URL" default:"http://127.0.0.1:8010" help:"Server."`
	ClientID     string   `env:"AMBIT_CLIENT_ID" help:"Client id of the scope; its secret is taken from AMBIT_CLIENT_SECRET."`
	Template     string   `env:"AMBIT_SAMPLE_TEMPLATE" help:"Identity template of the user."`
	Type         []string `help:"Asset types to ask for; all by default."`
	IP           string   `name:"ip" help:"Source address to ask for; that of this machine by default."`
	WithPolicies bool     `name:"why" help:"Name the policies that grant each action."`
	JSON         bool     `help:"Print the answer as it came."`
}

// Run asks for the user's access and prints it, row by row as it arrives.
func (c *askCommand) Run(ctx context.Context, s Streams) error {
	secret := os.Getenv("AMBIT_CLIENT_SECRET")
	if c.ClientID == "" || secret == "" {
		return errors.New("no scope: set AMBIT_CLIENT_ID and AMBIT_CLIENT_SECRET")
	}
	question := map[string]any{"entityId": c.User, "includeAssetAttributes": c.JSON, "includeAccessPolicy": c.WithPolicies}
	if c.Template != "" {
		question["entityTypeId"] = c.Template
	}
	if c.IP != "" {
		question["remoteIp"] = c.IP
	}
	if len(c.Type) > 0 {
		types := make([]map[string]string, len(c.Type))
		for i, name := range c.Type {
			types[i] = map[string]string{"name": name}
		}
		question["resourceTypes"] = types
	}
	q, err := postJSON("/api/runtime/token/v3", question)
	if err != nil {
		return err
	}
	q.header = http.Header{"X-Client-Id": {c.ClientID}, "X-Client-Secret": {secret}}
	session := client{base: strings.TrimRight(c.URL, "/"), http: &http.Client{}}
	resp, err := session.send(ctx, q)
	if status(err) == http.StatusForbidden && c.Template == "" {
		return fmt.Errorf("%w (name the user's identity template with --template)", err)
	}
	if status(err) == http.StatusForbidden {
		return fmt.Errorf("%w (asked for is template %q, by --template or AMBIT_SAMPLE_TEMPLATE)", err, c.Template)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	out := bufio.NewWriter(s.Out)
	if c.JSON {
		_, err = io.Copy(out, resp.Body)
		fmt.Fprintln(out)
	} else {
		err = c.table(out, resp.Body, resp.Header.Get("Ambit-Revision"))
	}
	return errors.Join(err, out.Flush())
}

// entry is one asset of the answer (runtime-api.md 8.5).
type entry struct {
	Path         string `json:"path"`
	ResourceType string `json:"resourceType"`
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
func (c *askCommand) table(out io.Writer, answer io.Reader, revision string) error {
	assets, pairs := 0, 0
	d := jsontext.NewDecoder(answer)
	err := eachEntry(d, func(e *entry) error {
		if assets == 0 {
			fmt.Fprintf(out, "%-16s %-28s %s\n", "TYPE", "ASSET", "ACTIONS")
		}
		assets++
		pairs += len(e.Actions)
		_, err := fmt.Fprintf(out, "%-16s %-28s %s\n", e.ResourceType, e.Path, e.actions())
		return err
	})
	if err != nil {
		return fmt.Errorf("the answer ended early: %w", err)
	}
	_, err = fmt.Fprintf(out, "%s: %d assets, %d actions, revision %s\n", c.User, assets, pairs, revision)
	return err
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
				return elements(d, func() error {
					var e entry
					if err := json.UnmarshalDecode(d, &e); err != nil {
						return err
					}
					return visit(&e)
				})
			})
		})
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
