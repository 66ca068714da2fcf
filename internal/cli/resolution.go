package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

type resolutionCommand struct {
	asScope
	asking
	SQLDialect   string `enum:"postgresql,mysql,sqlite,sqlserver," default:"" placeholder:"DIALECT" help:"Show each filter as a condition of SQL: postgresql, mysql (also for MariaDB), sqlite or sqlserver."`
	WithPolicies bool   `name:"why" help:"Name the policies that grant each action."`
}

// privilege is an asset type with its filters or, with a path, one stored asset (runtime-api.md 10.2).
type privilege struct {
	Path         string `json:"path"`
	ResourceType string `json:"resourceType"`
	Actions      []struct {
		Action     string   `json:"action"`
		Permission string   `json:"permission"`
		SQL        string   `json:"sql"`
		Parameters []string `json:"parameters"`
		Filter     *struct {
			Or []struct {
				And []filterLeaf `json:"AND"`
			} `json:"OR"`
		} `json:"asset-attributes-filter"`
	} `json:"actions"`
}

type filterLeaf struct {
	Attribute string   `json:"attribute"`
	Operator  string   `json:"operator"`
	Values    []string `json:"values"`
}

// Run asks for the filters and prints them as they arrive.
func (c *resolutionCommand) Run(ctx context.Context, s Streams) error {
	question := c.question()
	question["includeAccessPolicy"], question["includeAssetAttributes"] = c.WithPolicies, c.JSON
	if c.SQLDialect != "" {
		question["sqlDialect"] = c.SQLDialect
	}
	q, err := postJSON("/api/runtime/resolution/v3", question)
	if err != nil {
		return err
	}
	resp, err := c.send(ctx, q)
	if err != nil {
		return c.explain(err)
	}
	defer resp.Body.Close()
	return c.print(s, resp, func(out io.Writer, d *jsontext.Decoder) error {
		return c.table(out, d, resp.Header.Get("Ambit-Revision"))
	})
}

func (c *resolutionCommand) table(out io.Writer, d *jsontext.Decoder, revision string) error {
	filters, assets := 0, 0
	err := eachPrivilege(d, func(p *privilege) error {
		if p.Path != "" {
			assets++
		} else {
			filters += len(p.Actions)
		}
		return p.print(out)
	})
	if err != nil {
		return err
	}
	about := ""
	if len(c.Type) == 0 && filters+assets == 0 {
		about = " of the types that are isUsedForFiltering (--type names others)"
	}
	return printLine(out, "%s: %s, %s%s, revision %s", c.User, plural(filters, "filter"), plural(assets, "asset"), about, revision)
}

func (p *privilege) print(out io.Writer) error {
	what := p.ResourceType
	if p.Path != "" {
		what += ":" + p.Path
	}
	var errs []error
	for _, a := range p.Actions {
		title := what + " " + a.Action
		if a.Permission != "" {
			title += " (" + a.Permission + ")"
		}
		errs = append(errs, printLine(out, "%s", title))
		switch {
		case p.Path != "":
		case a.SQL != "":
			errs = append(errs, printLine(out, "  where %s", a.SQL))
			if len(a.Parameters) > 0 {
				errs = append(errs, printLine(out, "  with  %s", quotes(a.Parameters)))
			}
		case a.Filter == nil:
			errs = append(errs, printLine(out, "  every row"))
		default:
			word := "where"
			for _, branch := range a.Filter.Or {
				errs = append(errs, printLine(out, "  %-5s %s", word, leaves(branch.And)))
				word = "or"
			}
		}
	}
	return errors.Join(errs...)
}

// eachPrivilege walks {"…":…,"response":[{"privileges":{"allowed":[privilege…]}}],…} without holding it.
func eachPrivilege(d *jsontext.Decoder, visit func(*privilege) error) error {
	inside := func(name string, read func() error) error {
		return members(d, func(member string) error {
			if member != name {
				return d.SkipValue()
			}
			return read()
		})
	}
	one := func() error {
		var p privilege
		if err := json.UnmarshalDecode(d, &p); err != nil {
			return err
		}
		return visit(&p)
	}
	return inside("response", func() error {
		return elements(d, func() error {
			return inside("privileges", func() error {
				return inside("allowed", func() error { return elements(d, one) })
			})
		})
	})
}

func leaves(list []filterLeaf) string {
	texts := make([]string, len(list))
	for i, l := range list {
		texts[i] = fmt.Sprintf("%s %s %s", l.Attribute, l.Operator, quotes(l.Values))
	}
	return strings.Join(texts, " AND ")
}

// quotes are texts in quotes with commas.
func quotes(list []string) string {
	texts := make([]string, len(list))
	for i, text := range list {
		texts[i] = fmt.Sprintf("%q", text)
	}
	return strings.Join(texts, ", ")
}
