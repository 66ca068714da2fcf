package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// asScope is the scope that a question is asked as.
type asScope struct {
	URL      string `name:"url" env:"AMBIT_URL" default:"http://127.0.0.1:8010" help:"Server."`
	ClientID string `env:"AMBIT_CLIENT_ID" help:"Client id of the scope; its secret is taken from AMBIT_CLIENT_SECRET."`
	Revision int64  `name:"min-revision" placeholder:"N" help:"Answer at this revision or a later one, as a write printed it."`
	JSON     bool   `help:"Print the answer as it came."`
}

// send asks. The caller closes the answer.
func (c *asScope) send(ctx context.Context, q request) (*http.Response, error) {
	secret := os.Getenv("AMBIT_CLIENT_SECRET")
	if c.ClientID == "" || secret == "" {
		return nil, errors.New("no scope: set AMBIT_CLIENT_ID and AMBIT_CLIENT_SECRET")
	}
	q.header = http.Header{"X-Client-Id": {c.ClientID}, "X-Client-Secret": {secret}}
	if c.Revision > 0 {
		q.header.Set("Ambit-Min-Revision", strconv.FormatInt(c.Revision, 10))
	}
	return (&client{base: strings.TrimRight(c.URL, "/"), http: &http.Client{}}).send(ctx, q)
}

// print copies the answer, or makes a table of it while it comes. An answer that does not end as it should is an error.
func (c *asScope) print(s Streams, resp *http.Response, table func(io.Writer, *jsontext.Decoder) error) error {
	out := bufio.NewWriter(s.Out)
	if c.JSON {
		_, err := io.Copy(out, resp.Body)
		fmt.Fprintln(out)
		return errors.Join(err, out.Flush())
	}
	err := table(people{out}, jsontext.NewDecoder(resp.Body))
	if err != nil {
		err = fmt.Errorf("the answer ended early: %w", err)
	}
	return errors.Join(err, out.Flush())
}

// asking is who is asked about, and what.
type asking struct {
	User     string   `arg:"" env:"AMBIT_SAMPLE_USER" help:"Id of the user."`
	Template string   `env:"AMBIT_SAMPLE_TEMPLATE" help:"Identity template of the user."`
	Type     []string `help:"Asset types to ask for; all by default."`
	IP       string   `name:"ip" help:"Source address to ask for; that of this machine by default."`
}

// question is the body of a question; what was not given is not in it.
func (c *asking) question() map[string]any {
	out := map[string]any{"entityId": c.User}
	if c.Template != "" {
		out["entityTypeId"] = c.Template
	}
	if c.IP != "" {
		out["remoteIp"] = c.IP
	}
	if len(c.Type) > 0 {
		types := make([]map[string]string, len(c.Type))
		for i, name := range c.Type {
			types[i] = map[string]string{"name": name}
		}
		out["resourceTypes"] = types
	}
	return out
}

// query is the question as that of a GET (runtime-api.md 3.4).
func (c *asking) query() url.Values {
	out := url.Values{"entityId": {c.User}}
	if c.Template != "" {
		out.Set("entityTypeId", c.Template)
	}
	if c.IP != "" {
		out.Set("remoteIP", c.IP)
	}
	if len(c.Type) > 0 {
		out["resourceTypes"] = c.Type
	}
	return out
}

// explain adds to a refusal what may be missing.
func (c *asking) explain(err error) error {
	switch {
	case status(err) == http.StatusForbidden && c.Template == "":
		return fmt.Errorf("%w (name the user's identity template with --template)", err)
	case status(err) == http.StatusForbidden:
		return fmt.Errorf("%w (asked for is template %q, by --template or AMBIT_SAMPLE_TEMPLATE)", err, c.Template)
	}
	return err
}

// assetOf reads TYPE:PATH; TYPE alone is the type as a whole.
func assetOf(text string) (map[string]any, error) {
	kind, path, has := strings.Cut(text, ":")
	if kind == "" || has && path == "" {
		return nil, fmt.Errorf("%s: not TYPE:PATH", text)
	}
	out := map[string]any{"resourceType": kind}
	if has {
		out["path"] = path
	}
	return out, nil
}
