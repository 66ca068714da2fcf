package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"
)

type impactCommand struct {
	remote
	matching
	Paths            []string `arg:"" optional:"" name:"path" help:"A directory in the layout of exports, files of one, or an archive; or one .rego file with --auth-ws or --identity-ws."`
	AuthWs           string   `name:"auth-ws" placeholder:"NAME" help:"Authorization workspace of the .rego file, by name or id."`
	IdentityWs       string   `name:"identity-ws" placeholder:"NAME" help:"Identity workspace of the .rego file, by name or id."`
	Disable          string   `xor:"change" placeholder:"POLICY" help:"Ask about making a policy inactive."`
	Enable           string   `xor:"change" placeholder:"POLICY" help:"Ask about making a policy active."`
	Delete           string   `xor:"change" placeholder:"POLICY" help:"Ask about deleting a policy."`
	Prune            bool     `help:"As in apply."`
	IgnoreUnknown    bool     `help:"As in apply."`
	Scope            string   `placeholder:"CLIENT-ID" help:"Ask for this scope; else every application counts."`
	IdentityTemplate string   `placeholder:"ID" help:"Only identities of this template."`
	Template         string   `placeholder:"ID" help:"Only assets of this type."`
	Time             string   `placeholder:"RFC3339" help:"Instant of the comparison; now when absent."`
	RemoteIP         string   `name:"remote-ip" placeholder:"ADDRESS" help:"Source address of the comparison; none when absent."`
	Attributes       []string `name:"request" sep:"none" placeholder:"NAME=VALUE" help:"Request attribute; may be repeated."`
	Summary          bool     `help:"Only the counts."`
	JSON             bool     `help:"Print JSON lines: the summary, then every change."`
}

// impactLine is a line of the answer: the first one has a summary, all others are changes.
type impactLine struct {
	Summary *struct {
		Identities int `json:"identities"`
		Gained     int `json:"gained"`
		Lost       int `json:"lost"`
	} `json:"summary"`
	Notes        []string `json:"notes"`
	EntityTypeID string   `json:"entityTypeId"`
	EntityID     string   `json:"entityId"`
	TemplateID   string   `json:"templateId"`
	Path         string   `json:"path"`
	Action       string   `json:"action"`
	Change       string   `json:"change"`
	PolicyIDs    []string `json:"policyIds"`
}

// Run asks the server what a change would do and prints it as it arrives.
func (c *impactCommand) Run(ctx context.Context, k *kong.Context, s Streams) error {
	if err := c.inEnvironment("impact"); err != nil {
		return err
	}
	query, err := c.query()
	if err != nil {
		return err
	}
	change, err := c.change(query)
	if err != nil {
		return err
	}
	defer change.body.Close()
	session, err := c.connect(ctx)
	if err != nil {
		return err
	}
	o := operation{node: k.Selected(), remote: &c.remote, session: session}
	for kind, key := range map[string]string{"authorization": "filter[authWsId]", "identity": "filter[identityWsId]"} {
		if name := query.Get(key); name != "" {
			id, err := o.workspace(ctx, kind, name)
			if err != nil {
				return err
			}
			query.Set(key, id)
		}
	}
	answer, err := session.send(ctx, request{
		method: http.MethodPost, path: environmentPath(c.Environment) + "/impact", query: query,
		contentType: change.contentType, body: change.body, header: http.Header{"Accept": {"application/x-ndjson"}},
	})
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	return c.print(answer.Body, s, change.name)
}

func (c *impactCommand) query() (url.Values, error) {
	q := url.Values{}
	for name, value := range map[string]string{
		"scope": c.Scope, "identityTemplate": c.IdentityTemplate, "templateId": c.Template, "time": c.Time, "remoteIp": c.RemoteIP,
		"filter[authWsId]": c.AuthWs, "filter[identityWsId]": c.IdentityWs,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for name, set := range map[string]bool{"prune": c.Prune, "evaluateByBBName": c.ByName} {
		if set {
			q.Set(name, "true")
		}
	}
	if c.IgnoreUnknown {
		q.Set("unknownMembers", "ignore")
	}
	values := map[string][]string{}
	for _, pair := range c.Attributes {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, &usageError{"impact", fmt.Sprintf("--request %s: not NAME=VALUE", pair)}
		}
		values[name] = append(values[name], value)
	}
	if len(values) > 0 {
		text, err := json.Marshal(values)
		if err != nil {
			return nil, err
		}
		q.Set("environment", string(text))
	}
	return q, nil
}

// change is the body: a state change, a Rego file with its workspace, or a directory.
func (c *impactCommand) change(query url.Values) (source, error) {
	id := c.Delete + c.Disable + c.Enable
	switch {
	case id != "" && len(c.Paths) > 0:
		return source{}, &usageError{"impact", "either files or one of --delete, --disable and --enable"}
	case id != "":
		body := map[string]any{"policyId": id}
		if c.Delete != "" {
			body["delete"] = true
		} else {
			body["state"] = c.Enable != ""
		}
		text, err := json.Marshal(body)
		return source{contentType: "application/json", body: io.NopCloser(bytes.NewReader(text))}, err
	case len(c.Paths) == 0:
		return source{}, &usageError{"impact", "no change: give a file, or one of --delete, --disable and --enable"}
	case query.Has("filter[authWsId]") || query.Has("filter[identityWsId]"):
		if len(c.Paths) > 1 || filepath.Ext(c.Paths[0]) != ".rego" {
			return source{}, &usageError{"impact", "--auth-ws and --identity-ws go with one .rego file"}
		}
		f, err := os.Open(c.Paths[0])
		return source{contentType: "text/plain;language=rego", body: f}, err
	}
	return open(c.Paths)
}

// print shows the summary first. An answer that ends before all of its changes came is an error.
func (c *impactCommand) print(in io.Reader, s Streams, name func(string) string) error {
	out := bufio.NewWriter(s.Out)
	lines := bufio.NewReader(in)
	left := -1
	for {
		text, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(text) == 0 {
			break
		}
		if err != nil {
			return errors.Join(fmt.Errorf("reading the answer: %w", err), out.Flush())
		}
		var line impactLine
		if err := json.Unmarshal(text, &line); err != nil {
			return errors.Join(fmt.Errorf("reading the answer: %w", err), out.Flush())
		}
		switch {
		case line.Summary != nil:
			left = line.Summary.Gained + line.Summary.Lost
			for _, note := range line.Notes {
				_ = printLine(s.notes(), "note: %s", placedNote(note, name)) // there is nobody left to tell
			}
			if !c.JSON {
				text = fmt.Appendf(nil, "%d identities, %d gained, %d lost\n", line.Summary.Identities, line.Summary.Gained, line.Summary.Lost)
			}
			_, err = out.Write(text)
		default:
			left--
			if !c.Summary {
				_, err = out.Write(c.shown(&line, text))
			}
		}
		if err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if left != 0 {
		return errors.New("the answer ended too early")
	}
	return nil
}

func (c *impactCommand) shown(line *impactLine, text []byte) []byte {
	if c.JSON {
		return text
	}
	sign := map[string]string{"gained": "+", "lost": "-"}[line.Change]
	told := fmt.Sprintf("%s %s/%s  %s %s %s  (%s)", sign, line.EntityTypeID, line.EntityID, line.Action, line.TemplateID, line.Path, strings.Join(line.PolicyIDs, ", "))
	return []byte(harmless(told) + "\n")
}
