package cli

import (
	"context"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

type userListCommand struct {
	asScope
	Asset           string   `arg:"" placeholder:"TYPE:PATH" help:"Asset type and asset, as TYPE:PATH; TYPE alone is the type as a whole."`
	Action          []string `sep:"none" placeholder:"ACTION" help:"Only users with this action; may be repeated."`
	Template        []string `sep:"none" placeholder:"ID" help:"Look through this identity template; may be repeated. All by default."`
	IP              string   `name:"ip" placeholder:"ADDRESS" help:"Source address to ask for; that of this machine by default."`
	AssetAttributes []string `name:"asset-attribute" sep:"none" placeholder:"NAME=VALUE" help:"Attribute that the request says of the asset; may be repeated."`
	Inactive        bool     `help:"List inactive identities as if they were active."`
	WithPolicies    bool     `name:"why" help:"Name the policies that grant each action."`
}

// Run asks who may use the asset and prints the users as they arrive.
func (c *userListCommand) Run(ctx context.Context, s Streams) error {
	asset, err := assetOf(c.Asset)
	if err != nil {
		return &usageError{"user-list", err.Error()}
	}
	values, err := valuesOf("--asset-attribute", c.AssetAttributes)
	if err != nil {
		return &usageError{"user-list", err.Error()}
	}
	if len(values) > 0 {
		asset["assetAttributes"] = values
	}
	if len(c.Action) > 0 {
		asset["actions"] = c.Action
	}
	question := map[string]any{
		"asset": asset, "entityTypes": c.Template, "includeInActiveIdentities": c.Inactive,
		"includeAccessPolicy": c.WithPolicies, "includeIdentityAttributes": c.JSON,
	}
	if c.IP != "" {
		question["remoteIp"] = c.IP
	}
	q, err := postJSON("/api/runtime/userlist/v3", question)
	if err != nil {
		return err
	}
	resp, err := c.send(ctx, q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return c.print(s, resp, func(out io.Writer, d *jsontext.Decoder) error {
		return c.table(out, d, resp.Header.Get("Ambit-Revision"))
	})
}

func (c *userListCommand) table(out io.Writer, d *jsontext.Decoder, revision string) error {
	users := 0
	err := eachEntry(d, func(e *entry) error {
		if users == 0 {
			_ = printLine(out, "%-16s %-28s %s", "TEMPLATE", "USER", "ACTIONS") // the next line has the same error
		}
		users++
		return printLine(out, "%-16s %-28s %s", e.EntityTypeID, e.EntityID, e.actions())
	})
	if err != nil {
		return err
	}
	asked := c.Asset
	if !strings.Contains(asked, ":") {
		asked += ", the type as a whole"
	}
	return printLine(out, "%s: %s, revision %s", asked, plural(users, "user"), revision)
}
