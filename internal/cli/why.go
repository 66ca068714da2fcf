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
)

// exitDenied is the exit code of why for a pair that is not allowed.
const exitDenied = 3

type whyCommand struct {
	form
	URL             string   `name:"url" env:"AMBIT_URL" default:"http://127.0.0.1:8010" help:"Server."`
	ClientID        string   `env:"AMBIT_CLIENT_ID" help:"Client id of the scope."`
	AdminID         string   `name:"admin-id" env:"AMBIT_ADMIN_ID" help:"Credential that asks in the scope's place; its secret is taken from AMBIT_ADMIN_SECRET. Without it the scope asks, with AMBIT_CLIENT_SECRET."`
	AsScope         bool     `help:"Ask as the scope although there is a credential: it is told what it may be told, and cannot set time or attributes."`
	User            string   `required:"" placeholder:"TEMPLATE:ID" help:"Identity template and id of the user."`
	Asset           []string `sep:"none" placeholder:"TYPE:PATH" help:"Asset type and asset; may be repeated. Without it all that the user may do is explained."`
	Action          string   `placeholder:"ACTION" help:"Action on the assets; every one of the type when absent."`
	At              string   `placeholder:"RFC3339" help:"Instant to judge at; now when absent. Needs a credential."`
	IP              string   `name:"ip" placeholder:"ADDRESS" help:"Source address to judge; that of this machine when absent."`
	Attributes      []string `name:"attribute" sep:"none" placeholder:"NAME=VALUE" help:"Identity attribute in place of the stored one; may be repeated."`
	AssetAttributes []string `name:"asset-attribute" sep:"none" placeholder:"NAME=VALUE" help:"Attribute that the request says of the assets; may be repeated."`
	Request         []string `name:"request" sep:"none" placeholder:"NAME=VALUE" help:"Request attribute; may be repeated."`
	Rows            bool     `help:"Judge the rows of the user one by one."`
}

// Help tells the exit codes.
func (whyCommand) Help() string {
	return "Exit code 0: allowed, or a list; 3: denied. An answer to a credential is a simulation, never a decision."
}

// Run asks the server and prints its answer.
func (c *whyCommand) Run(ctx context.Context, s Streams) error {
	question, err := c.question()
	if err != nil {
		return &usageError{"why", err.Error()}
	}
	q, err := postJSON("/api/runtime/explain/v1", question)
	if err != nil {
		return err
	}
	session, header, err := c.session(ctx)
	if err != nil {
		return err
	}
	q.header = header
	resp, err := session.send(ctx, q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	out := bufio.NewWriter(s.Out)
	var denied int
	if c.Output == tableForm {
		denied, err = printWhy(people{out}, resp.Body)
	} else {
		var body []byte
		if body, err = io.ReadAll(resp.Body); err == nil {
			err = printObject(out, c.Output, body)
		}
		denied = countDenied(body)
	}
	if err = errors.Join(err, out.Flush()); err == nil && denied > 0 {
		return &exitError{code: exitDenied}
	}
	return err
}

// session is a session of the credential or of the scope.
func (c *whyCommand) session(ctx context.Context) (*client, http.Header, error) {
	if c.ClientID == "" {
		return nil, nil, errors.New("no scope: set AMBIT_CLIENT_ID")
	}
	if c.AdminID != "" && !c.AsScope {
		session, err := (&remote{URL: c.URL, AdminID: c.AdminID}).connect(ctx)
		return session, http.Header{"X-Client-Id": {c.ClientID}}, err
	}
	secret := os.Getenv("AMBIT_CLIENT_SECRET")
	if secret == "" {
		return nil, nil, errors.New("nobody who may ask: set AMBIT_ADMIN_ID and AMBIT_ADMIN_SECRET, or AMBIT_CLIENT_SECRET")
	}
	session := &client{base: strings.TrimRight(c.URL, "/"), http: &http.Client{}}
	return session, http.Header{"X-Client-Id": {c.ClientID}, "X-Client-Secret": {secret}}, nil
}

func (c *whyCommand) question() (map[string]any, error) {
	template, id, ok := strings.Cut(c.User, ":")
	if !ok || id == "" {
		return nil, fmt.Errorf("--user %s: not TEMPLATE:ID", c.User)
	}
	question := map[string]any{"entityId": id}
	for name, text := range map[string]string{"entityTypeId": template, "at": c.At, "remoteIp": c.IP} {
		if text != "" {
			question[name] = text
		}
	}
	if c.Rows {
		question["combinedMultiValue"] = true
	}
	for name, list := range map[string]struct {
		flag  string
		pairs []string
	}{"entityAttributes": {"--attribute", c.Attributes}, "environment": {"--request", c.Request}} {
		values, err := valuesOf(list.flag, list.pairs)
		if err != nil {
			return nil, err
		}
		if len(values) > 0 {
			question[name] = values
		}
	}
	resources, err := c.resources()
	if err == nil && len(resources) > 0 {
		question["listOfResources"] = resources
	}
	return question, err
}

func (c *whyCommand) resources() ([]any, error) {
	if len(c.Asset) == 0 && c.Action+strings.Join(c.AssetAttributes, "") != "" {
		return nil, errors.New("--action and --asset-attribute go with --asset")
	}
	values, err := valuesOf("--asset-attribute", c.AssetAttributes)
	if err != nil {
		return nil, err
	}
	var out []any
	for _, asset := range c.Asset {
		kind, path, ok := strings.Cut(asset, ":")
		if !ok || kind == "" {
			return nil, fmt.Errorf("--asset %s: not TYPE:PATH", asset)
		}
		out = append(out, map[string]any{
			"resourceType": kind, "resources": map[string]any{"path": path, "action": c.Action, "assetAttributes": values},
		})
	}
	return out, nil
}

// valuesOf reads pairs of a name and a value.
func valuesOf(flag string, pairs []string) (map[string][]string, error) {
	out := map[string][]string{}
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%s %s: not NAME=VALUE", flag, pair)
		}
		out[name] = append(out[name], value)
	}
	return out, nil
}

// countDenied counts the pairs of an answer that are not allowed.
func countDenied(body []byte) int {
	n := 0
	var answer struct {
		Explanations []struct {
			Allowed bool `json:"allowed"`
		} `json:"explanations"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return 0
	}
	for _, e := range answer.Explanations {
		if !e.Allowed {
			n++
		}
	}
	return n
}
