package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// whyHead is how the server understood the question.
type whyHead struct {
	simulated  bool
	detail     string
	at, ip     string
	identities []struct {
		EntityID     string   `json:"entityId"`
		EntityTypeID string   `json:"entityTypeId"`
		IsActive     *bool    `json:"isActive"`
		Ignored      []string `json:"ignored"`
	}
}

type whyPair struct {
	Path             string       `json:"path"`
	Action           string       `json:"action"`
	Template         string       `json:"template"`
	Allowed          bool         `json:"allowed"`
	Reason           string       `json:"reason"`
	Message          string       `json:"message"`
	Ignored          []string     `json:"ignored"`
	Policies         []whyPolicy  `json:"policies"`
	PoliciesLeft     int          `json:"policiesLeft"`
	Combinations     []whyCombine `json:"combinations"`
	CombinationsLeft int          `json:"combinationsLeft"`
}

type whyCombine struct {
	Rows []struct {
		EntityTypeID string `json:"entityTypeId"`
		Row          int    `json:"row"`
	} `json:"rows"`
	Policies     []whyPolicy `json:"policies"`
	PoliciesLeft int         `json:"policiesLeft"`
}

type whyPolicy struct {
	ID             string     `json:"permissionId"`
	Name           string     `json:"permission"`
	Access         string     `json:"accessType"`
	Applies        bool       `json:"applies"`
	Failed         string     `json:"failed"`
	NoGroupFor     []string   `json:"noGroupFor"`
	Who            []whyBlock `json:"who"`
	What           []whyBlock `json:"what"`
	When           []whyBlock `json:"when"`
	ConditionsLeft int        `json:"conditionsLeft"`
}

type whyBlock struct {
	Name     string   `json:"name"`
	Holds    bool     `json:"holds"`
	Inactive bool     `json:"inactive"`
	Branch   int      `json:"branch"`
	Lines    int      `json:"lines"`
	Held     int      `json:"held"`
	Failed   *whyLine `json:"failed"`
	Compared *whyLine `json:"compared"`
}

type whyLine struct {
	IdentityTemplate string  `json:"identityTemplate"`
	Left             whySide `json:"left"`
	Operator         string  `json:"operator"`
	Right            whySide `json:"right"`
}

type whySide struct {
	Side       string   `json:"side"`
	Attribute  string   `json:"attribute"`
	Values     []string `json:"values"`
	ValuesLeft int      `json:"valuesLeft"`
}

type whyEntry struct {
	Path         string `json:"path"`
	ResourceType string `json:"resourceType"`
	Actions      []struct {
		Action    string `json:"action"`
		GrantedBy []struct {
			ID      string `json:"permissionId"`
			Ruleset struct {
				Name   string `json:"name"`
				Branch int    `json:"branch"`
			} `json:"ruleset"`
		} `json:"grantedBy"`
	} `json:"actions"`
}

// printWhy prints an answer as it arrives, for people, and counts the pairs that are denied. The answer must end as it
// should.
func printWhy(out io.Writer, answer io.Reader) (denied int, err error) {
	var head whyHead
	entries := -1
	d := jsontext.NewDecoder(answer)
	err = members(d, func(name string) error {
		switch name {
		case "simulated":
			return json.UnmarshalDecode(d, &head.simulated)
		case "detail":
			return json.UnmarshalDecode(d, &head.detail)
		case "at":
			return json.UnmarshalDecode(d, &head.at)
		case "remoteIp":
			return json.UnmarshalDecode(d, &head.ip)
		case "identities":
			defer func() { head.print(out) }()
			return json.UnmarshalDecode(d, &head.identities)
		case "explanations":
			return elements(d, func() error {
				var p whyPair
				err := json.UnmarshalDecode(d, &p)
				if err == nil && !p.Allowed {
					denied++
				}
				p.print(out)
				return err
			})
		case "access":
			entries = 0
			return elements(d, func() error {
				var e whyEntry
				err := json.UnmarshalDecode(d, &e)
				entries++
				e.print(out)
				return err
			})
		}
		return d.SkipValue()
	})
	if err != nil {
		return denied, fmt.Errorf("the answer ended early: %w", err)
	}
	if entries >= 0 {
		fmt.Fprintf(out, "%d assets\n", entries)
	}
	return denied, nil
}

func (h *whyHead) print(out io.Writer) {
	for _, id := range h.identities {
		fmt.Fprintf(out, "%s:%s", harmless(id.EntityTypeID), harmless(id.EntityID))
		if id.IsActive != nil && !*id.IsActive {
			fmt.Fprint(out, " (inactive)")
		}
		fmt.Fprintf(out, " at %s from %s", harmless(h.at), harmless(h.ip))
		if h.simulated {
			fmt.Fprint(out, ", simulated")
		}
		switch h.detail {
		case "none":
			fmt.Fprint(out, ", verdicts only: authzenContextMax of the scope is none")
		case "reasons":
			fmt.Fprint(out, ", codes only: authzenContextMax of the scope is not policies")
		}
		fmt.Fprintln(out)
		ignored(out, "", id.Ignored)
	}
}

func ignored(out io.Writer, indent string, names []string) {
	if len(names) > 0 {
		fmt.Fprintf(out, "%signored: %s\n", indent, harmless(strings.Join(names, ", ")))
	}
}

func (p *whyPair) print(out io.Writer) {
	verdict := "allowed"
	if !p.Allowed {
		verdict = "denied"
	}
	if p.Reason != "" {
		verdict += ", " + harmless(p.Reason+": "+p.Message)
	}
	pair := harmless(p.Template) + ":" + harmless(p.Path)
	if p.Action != "" { // a type that is unknown has no actions
		pair += " " + harmless(p.Action)
	}
	fmt.Fprintf(out, "\n%s: %s\n", pair, verdict)
	ignored(out, "  ", p.Ignored)
	printPolicies(out, p.Allowed, p.Policies, p.PoliciesLeft)
	for _, c := range p.Combinations {
		var rows []string
		for _, r := range c.Rows {
			if r.Row > 0 {
				rows = append(rows, fmt.Sprintf("%s row %d", harmless(r.EntityTypeID), r.Row))
			}
		}
		fmt.Fprintf(out, "  with %s\n", strings.Join(rows, ", "))
		printPolicies(out, p.Allowed, c.Policies, c.PoliciesLeft)
	}
	if p.CombinationsLeft > 0 {
		fmt.Fprintf(out, "  and %s more\n", plural(p.CombinationsLeft, "combination"))
	}
}

func printPolicies(out io.Writer, allowed bool, list []whyPolicy, left int) {
	for i := range list {
		p := &list[i]
		does := "does not apply"
		switch {
		case p.Applies && p.Access == "Restrict":
			does = "takes it away"
		case p.Applies && allowed:
			does = "grants it"
		case p.Applies:
			does = "would grant it"
		}
		fmt.Fprintf(out, "  %s (%s) %s\n", harmless(p.Name), harmless(p.ID), does)
		for _, t := range p.NoGroupFor {
			fmt.Fprintf(out, "    who   no   no group for %s\n", harmless(t))
		}
		p.parts(out)
	}
	if left > 0 {
		fmt.Fprintf(out, "  and %d more that are not nearer\n", left)
	}
}

// parts prints the building blocks in aligned rows.
func (p *whyPolicy) parts(out io.Writer) {
	width := 0
	parts := []struct {
		name string
		list []whyBlock
	}{{"who", p.Who}, {"what", p.What}, {"when", p.When}}
	for _, part := range parts {
		for i := range part.list {
			width = max(width, utf8.RuneCountInString(part.list[i].title()))
		}
	}
	for _, part := range parts {
		for i := range part.list {
			b := &part.list[i]
			holds := map[bool]string{true: "yes", false: "no"}[b.Holds]
			title := b.title()
			line := fmt.Sprintf("    %-4s  %-3s  %s%s", part.name, holds, title, strings.Repeat(" ", width-utf8.RuneCountInString(title)))
			fmt.Fprintln(out, strings.TrimRight(line+"  "+b.detail(), " "))
		}
	}
	if p.ConditionsLeft > 0 {
		fmt.Fprintf(out, "    and %s more\n", plural(p.ConditionsLeft, "condition"))
	}
}

// title names the block and the branch, and how near it comes.
func (b *whyBlock) title() string {
	text := harmless(b.Name)
	if b.Branch > 0 {
		text += fmt.Sprintf(", branch %d", b.Branch)
	}
	if b.Branch > 0 && !b.Holds && b.Lines > 1 {
		text += fmt.Sprintf(", %d of %d lines", b.Held, b.Lines)
	}
	return text
}

// detail is the line that failed with what was compared.
func (b *whyBlock) detail() string {
	switch {
	case b.Inactive:
		return "the identity is inactive"
	case b.Failed != nil && b.Failed.IdentityTemplate != "":
		return "no identity of " + harmless(b.Failed.IdentityTemplate) + " asks"
	case b.Failed != nil:
		return b.Failed.text()
	case b.Compared != nil && !b.Holds:
		return b.Compared.text()
	}
	return ""
}

func (l *whyLine) text() string {
	return fmt.Sprintf("%s %s %s", l.Left.text(), harmless(l.Operator), l.Right.text())
}

// text is an attribute with its values, or the values of a literal.
func (s *whySide) text() string {
	values := make([]string, len(s.Values))
	for i, v := range s.Values {
		values[i] = harmless(fmt.Sprintf("%q", v))
	}
	list := strings.Join(values, ", ")
	if s.ValuesLeft > 0 {
		list += fmt.Sprintf(", and %d more", s.ValuesLeft)
	}
	switch {
	case s.Side == "" && len(values) == 1:
		return list
	case s.Side == "":
		return "[" + list + "]"
	case len(values) == 0:
		list = "missing"
	}
	return fmt.Sprintf("%s.%s (%s)", harmless(s.Side), harmless(s.Attribute), list)
}

func (e *whyEntry) print(out io.Writer) {
	fmt.Fprintf(out, "\n%s:%s\n", harmless(e.ResourceType), harmless(e.Path))
	width := 0
	for _, a := range e.Actions {
		width = max(width, utf8.RuneCountInString(harmless(a.Action)))
	}
	for _, a := range e.Actions {
		name := harmless(a.Action)
		name += strings.Repeat(" ", width-utf8.RuneCountInString(name))
		if len(a.GrantedBy) == 0 {
			fmt.Fprintf(out, "  %s\n", strings.TrimRight(name, " "))
		}
		for _, g := range a.GrantedBy {
			fmt.Fprintf(out, "  %s  %s: %s, branch %d\n", name, harmless(g.ID), harmless(g.Ruleset.Name), g.Ruleset.Branch)
		}
	}
}
