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

type policyListCommand struct {
	asScope
	User     string `arg:"" optional:"" help:"Id of the user whose policies are asked for."`
	Template string `env:"AMBIT_SAMPLE_TEMPLATE" help:"Identity template of the user."`
	Asset    string `placeholder:"TYPE:PATH" help:"Asset that the policies concern; alone, or for the user."`
	IP       string `name:"ip" placeholder:"ADDRESS" help:"Source address that conditions see; that of this machine by default."`
}

// concerned is an object of the question with its policies (runtime-api.md 12.3).
type concerned struct {
	Policies []struct {
		ID            string `json:"permissionId"`
		Name          string `json:"permission"`
		Access        string `json:"accessType"`
		ResourceTypes []struct {
			Name    string   `json:"name"`
			Actions []string `json:"actions"`
		} `json:"resourceTypes"`
		Conditions []struct {
			Name string `json:"name"`
			Kind string `json:"kind"`
			Met  bool   `json:"met"`
		} `json:"conditions"`
	} `json:"policies"`
}

// Run asks which policies concern a user, an asset, or the user and the asset together.
func (c *policyListCommand) Run(ctx context.Context, s Streams) error {
	question, err := c.question()
	if err != nil {
		return &usageError{"policy-list", err.Error()}
	}
	q, err := postJSON("/api/runtime/policies/v3", question)
	if err != nil {
		return err
	}
	resp, err := c.send(ctx, q)
	if err != nil && status(err) == http.StatusForbidden && c.User != "" {
		return (&asking{Template: c.Template}).explain(err)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return c.print(s, resp, func(out io.Writer, d *jsontext.Decoder) error {
		return c.table(out, d, resp.Header.Get("Ambit-Revision"))
	})
}

func (c *policyListCommand) question() (map[string]any, error) {
	kind, data := "Asset", map[string]any{}
	if c.User != "" {
		kind = "Identity"
		data = (&asking{User: c.User, Template: c.Template}).question()
	}
	if c.IP != "" {
		data["remoteIp"] = c.IP
	}
	switch {
	case c.Asset != "":
		asset, err := assetOf(c.Asset)
		if err != nil {
			return nil, fmt.Errorf("--asset %w", err)
		}
		data["asset"] = asset
	case c.User == "":
		return nil, errors.New("nothing to ask about: give a user, --asset, or both")
	}
	return map[string]any{"objects": []any{map[string]any{"type": kind, "data": data}}}, nil
}

func (c *policyListCommand) table(out io.Writer, d *jsontext.Decoder, revision string) error {
	policies := 0
	err := members(d, func(name string) error {
		if name != "response" {
			return d.SkipValue()
		}
		return elements(d, func() error {
			var object concerned
			if err := json.UnmarshalDecode(d, &object); err != nil {
				return err
			}
			policies += len(object.Policies)
			return object.print(out)
		})
	})
	if err != nil {
		return err
	}
	about := c.User
	switch {
	case about == "":
		about = c.Asset
	case c.Asset != "":
		about += ", " + c.Asset
	}
	return printLine(out, "%s: %s, revision %s", about, policyCount(policies), revision)
}

func policyCount(n int) string {
	if n == 1 {
		return "1 policy"
	}
	return fmt.Sprintf("%d policies", n)
}

func (o *concerned) print(out io.Writer) error {
	var errs []error
	for _, p := range o.Policies {
		errs = append(errs, printLine(out, "%s  %s (%s)", p.Access, p.Name, p.ID))
		for _, t := range p.ResourceTypes {
			errs = append(errs, printLine(out, "  %s: %s", t.Name, strings.Join(t.Actions, ", ")))
		}
		for _, condition := range p.Conditions {
			met := map[bool]string{true: "met", false: "not met"}[condition.Met]
			errs = append(errs, printLine(out, "  %s %q: %s now", condition.Kind, condition.Name, met))
		}
	}
	return errors.Join(errs...)
}
