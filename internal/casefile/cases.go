package casefile

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ambit-authz/ambit/internal/model"
)

// caseText is one case of a cases section.
type caseText struct {
	ID          string                           `yaml:"id"`
	Why         string                           `yaml:"why"`
	Only        string                           `yaml:"only"`
	Policies    []policyText                     `yaml:"policies"`
	Scope       []model.ApplicationID            `yaml:"scope"`
	Assets      map[model.TemplateID][]assetText `yaml:"assets"` // stored, besides those of the world
	Identities  []identityText                   `yaml:"identities"`
	Environment valueMap                         `yaml:"environment"`
	IP          string                           `yaml:"ip"`
	Peer        string                           `yaml:"peer"`
	At          string                           `yaml:"at"`
	Offset      *float64                         `yaml:"offset"`
	Combined    bool                             `yaml:"combined"`
	Error       bool                             `yaml:"error"`
	Check       []checkText                      `yaml:"check"`
	List        *listText                        `yaml:"list"`
}

type checkText struct {
	Asset  assetText        `yaml:"asset"`
	Action string           `yaml:"action"`
	Want   string           `yaml:"want"` // allowed, denied or a reason code
	By     []model.PolicyID `yaml:"by"`
}

type listText struct {
	Types  []model.TemplateID `yaml:"types"`
	Assets []assetText        `yaml:"assets"`
	Want   []string           `yaml:"want"` // "Template path: action, action"
}

// defaults of a request that says nothing: a Monday morning in Lisbon, one address.
var defaultInstant = time.Date(2026, 7, 6, 8, 0, 0, 0, time.UTC)

const defaultIP = "192.0.2.50"

func (l *loader) cases(text string) ([]Case, error) {
	var all []caseText
	if err := decode(text, &all); err != nil {
		return nil, err
	}
	var out []Case
	for _, t := range all {
		c, err := l.build(t)
		if err != nil {
			return nil, fmt.Errorf("case %s: %w", t.ID, err)
		}
		out = append(out, c)
	}
	return out, nil
}

func (l *loader) build(t caseText) (Case, error) {
	c := Case{ID: t.ID, Why: t.Why, Only: t.Only, Refused: t.Error}
	if t.ID == "" || !t.Error && len(t.Check) == 0 && t.List == nil {
		return c, fmt.Errorf("a case has an id and expects something")
	}
	var err error
	if c.World, err = l.world.build(); err != nil {
		return c, err
	}
	if err := l.addPolicies(&c.World, t.Policies); err != nil {
		return c, err
	}
	for id, all := range t.Assets {
		for _, a := range all {
			c.World.Assets[id] = append(c.World.Assets[id], model.Asset{Path: a.Path, Name: a.Name, Attributes: a.Attributes.attributes()})
		}
	}
	if c.Request, err = l.request(t, &c.World); err != nil {
		return c, err
	}
	for _, k := range t.Check {
		check, err := l.check(k)
		if err != nil {
			return c, err
		}
		c.Checks = append(c.Checks, check)
	}
	if t.List != nil {
		c.List, err = l.list(*t.List)
	}
	return c, err
}

func (l *loader) request(t caseText, w *World) (Request, error) {
	r := Request{
		Applications: t.Scope, Environment: t.Environment, SourceIP: t.IP, Peer: t.Peer, Instant: defaultInstant,
		ZoneOffset: t.Offset, Combined: t.Combined,
	}
	if t.Scope == nil {
		r.Applications = l.world.Scope
	}
	if t.IP == "" && t.Peer == "" {
		r.SourceIP = defaultIP
	}
	if t.At != "" {
		var err error
		if r.Instant, err = time.Parse(time.RFC3339Nano, t.At); err != nil {
			return r, err
		}
	}
	for _, i := range t.Identities {
		if i.Template == "" {
			i.Template = l.world.Default.Identity
		}
		r.Identities = append(r.Identities, Identity{Template: i.Template, EntityID: i.ID, Sent: i.Sent})
		if !stored(w, i) {
			w.Identities[i.Template] = append(w.Identities[i.Template], i.stored())
		} else if i.Attributes != nil || i.Rows != nil {
			return r, fmt.Errorf("identity %s is in the world already", i.ID)
		}
	}
	return r, nil
}

func stored(w *World, i identityText) bool {
	for _, s := range w.Identities[i.Template] {
		if s.EntityID == i.ID {
			return true
		}
	}
	return false
}

func (l *loader) asset(t assetText) Asset {
	if t.Template == "" {
		t.Template = l.world.Default.Asset
	}
	return Asset{Template: t.Template, Path: t.Path, Attributes: t.Attributes.attributes()}
}

var reasonForm = regexp.MustCompile(`^PID00[1-8]$`)

func (l *loader) check(t checkText) (Check, error) {
	k := Check{Asset: l.asset(t.Asset), Action: t.Action, By: t.By}
	switch {
	case t.Want == "allowed":
		k.Allowed = true
	case reasonForm.MatchString(t.Want):
		k.Reason = t.Want
	case t.Want != "denied":
		return k, fmt.Errorf("want %q: allowed, denied or a code", t.Want)
	}
	return k, nil
}

func (l *loader) list(t listText) (*List, error) {
	out := &List{Types: t.Types}
	if t.Assets != nil {
		out.Assets = []Asset{}
	}
	for _, a := range t.Assets {
		out.Assets = append(out.Assets, l.asset(a))
	}
	for _, text := range t.Want {
		at := strings.LastIndex(text, ":")
		if at < 0 {
			return nil, fmt.Errorf("list entry %q: write Template path: action, action", text)
		}
		head, tail := text[:at], strings.TrimSpace(text[at+1:])
		template, p, _ := strings.Cut(head, " ")
		e := Entry{Template: model.TemplateID(template), Path: p}
		if tail != "" {
			e.Actions = strings.Split(tail, ", ")
		}
		out.Want = append(out.Want, e)
	}
	return out, nil
}

// tableRows gives the rows of a table: cells between bars, with blanks around them removed; # starts a comment line.
func tableRows(text string, cells int) ([][]string, error) {
	var out [][]string
	for i, row := range strings.Split(text, "\n") {
		row = strings.TrimSpace(row)
		if row == "" || strings.HasPrefix(row, "#") {
			continue
		}
		parts := strings.Split(row, " | ")
		for j := range parts {
			parts[j] = strings.TrimSpace(parts[j])
		}
		if len(parts) != cells {
			return nil, fmt.Errorf("row %d has %d cells, not %d: %s", i+1, len(parts), cells, row)
		}
		out = append(out, parts)
	}
	return out, nil
}

// rulePlaces are where a rule with one literal side can stand, with the left side that it then has.
var rulePlaces = []struct{ name, left string }{
	{"ruleset", `asset["%s"]`}, {"group", `identity["%s"]`}, {"identity condition", `identity["%s"]`}, {"request condition", `requestParams["%s"]`},
}

// ruleTable makes of each row (id, values, rule with _ for the attribute, result) one case for each place where the rule
// can stand. The world has attributes text and number on both sides.
func (l *loader) ruleTable(kind model.AttributeType, text string) ([]Case, error) {
	rows, err := tableRows(text, 4)
	if err != nil {
		return nil, err
	}
	attribute := map[model.AttributeType]string{model.String: "text", model.Numeric: "number"}[kind]
	var out []Case
	for _, row := range rows {
		for _, place := range rulePlaces {
			rule := strings.Replace(row[2], "_", fmt.Sprintf(place.left, attribute), 1)
			t := caseText{ID: row[0] + " " + place.name, Why: strings.Join(row[1:], " | ")}
			var values valueMap
			if row[1] != "missing" {
				if err := yaml.Unmarshal([]byte("{"+attribute+": "+row[1]+"}"), &values); err != nil {
					return nil, fmt.Errorf("%s: %w", row[0], err)
				}
			}
			t.Policies, t.Identities = []policyText{{Allow: "p", Who: []blockText{{"all"}}, What: []blockText{{"all"}}}}, []identityText{{ID: "iris"}}
			asset := assetText{Path: "x"}
			switch p := &t.Policies[0]; place.name {
			case "ruleset":
				p.What, asset.Attributes = []blockText{{rule}}, values
			case "group":
				p.Who, t.Identities[0].Attributes = []blockText{{rule}}, values
			case "identity condition":
				p.When, t.Identities[0].Attributes = []blockText{{rule}}, values
			default:
				p.When, t.Environment = []blockText{{rule}}, values
			}
			if t.Check, err = verdictOf(row[3], asset); err != nil {
				return nil, fmt.Errorf("%s: %w", row[0], err)
			}
			c, err := l.build(t)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.ID, err)
			}
			out = append(out, c)
		}
	}
	return out, nil
}

func verdictOf(result string, asset assetText) ([]checkText, error) {
	want, ok := map[string]string{"true": "allowed", "false": "denied", "yes": "allowed", "no": "denied"}[result]
	if !ok {
		return nil, fmt.Errorf("result %q", result)
	}
	return []checkText{{Asset: asset, Action: "do", Want: want}}, nil
}

// conditionTable makes a case of each row (id, condition, request, met). Rows of the form "name = text" name a condition
// for the rows below; branches are separated by " || ".
func (l *loader) conditionTable(text string) ([]Case, error) {
	names := map[string]string{}
	var table []string
	for _, row := range strings.Split(text, "\n") {
		if name, lines, ok := strings.Cut(row, " := "); ok {
			names[strings.TrimSpace(name)] = strings.TrimSpace(lines)
			continue
		}
		table = append(table, row)
	}
	rows, err := tableRows(strings.Join(table, "\n"), 4)
	if err != nil {
		return nil, err
	}
	var out []Case
	for _, row := range rows {
		var t caseText
		if err := yaml.Unmarshal([]byte(row[2]), &t); err != nil {
			return nil, fmt.Errorf("%s: %w", row[0], err)
		}
		condition := row[1]
		if named, ok := names[condition]; ok {
			condition = named
		}
		t.ID, t.Why, t.Identities = row[0], row[1]+" "+row[2], []identityText{{ID: "iris"}}
		t.Policies = []policyText{{Allow: "p", Who: []blockText{{"all"}}, What: []blockText{{"all"}}, When: []blockText{strings.Split(condition, " || ")}}}
		if t.Check, err = verdictOf(row[3], assetText{Path: "x"}); err != nil {
			return nil, fmt.Errorf("%s: %w", row[0], err)
		}
		c, err := l.build(t)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.ID, err)
		}
		out = append(out, c)
	}
	return out, nil
}
