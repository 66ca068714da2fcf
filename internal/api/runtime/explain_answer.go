package runtime

import (
	"strconv"
	"time"

	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// What an explanation tells of texts that a request may bring in any number and length.
const (
	toldNames = 50
	toldRunes = 256
)

func (s *stream) comma(i int) {
	if i > 0 {
		s.buf = append(s.buf, ',')
	}
}

// explanationHead writes what the question was understood to be.
func (s *stream) explanationHead(a *decide.ExplainAnswer) {
	s.buf = strconv.AppendBool(append(s.buf, `{"simulated":`...), a.Simulated)
	s.member(`,"detail":`, string(a.Detail))
	s.member(`,"at":`, a.Instant.UTC().Format(time.RFC3339))
	source := ""
	if a.SourceIP.IsValid() {
		source = a.SourceIP.String()
	}
	s.member(`,"remoteIp":`, source)
	s.buf = strconv.AppendFloat(append(s.buf, `,"timeZoneOffset":`...), a.ZoneOffset.Hours(), 'f', -1, 64)
	s.buf = append(s.buf, `,"identities":[`...)
	for i := range a.Identities {
		id := &a.Identities[i]
		s.comma(i)
		s.member(`{"entityId":`, id.EntityID)
		s.member(`,"entityTypeId":`, string(id.Template.ID))
		if a.TellsPolicies() {
			s.buf = strconv.AppendBool(append(s.buf, `,"isActive":`...), !id.Inactive)
		}
		if a.TellsReasons() {
			s.ignored(id.Ignored)
		}
		s.buf = append(s.buf, '}')
	}
	s.buf = append(s.buf, ']')
}

// ignored writes the names of sent values that do not count.
func (s *stream) ignored(names []string) {
	s.buf = append(s.buf, `,"ignored":`...)
	s.some(names, toldNames)
	s.left(`,"ignoredLeft":`, len(names)-toldNames)
}

// some writes a list of the first texts, and of each the beginning.
func (s *stream) some(texts []string, most int) {
	s.buf = append(s.buf, '[')
	for i, text := range texts[:min(len(texts), most)] {
		s.comma(i)
		s.buf = quote(s.buf, beginning(text))
	}
	s.buf = append(s.buf, ']')
}

// beginning is a text without what is behind the first runes.
func beginning(text string) string {
	n := 0
	for i := range text {
		if n++; n > toldRunes {
			return text[:i] + "…"
		}
	}
	return text
}

// left writes how many were left out, if any.
func (s *stream) left(name string, n int) {
	if n > 0 {
		s.number(name, int64(n))
	}
}

// explanations writes the pairs.
func (s *stream) explanations(a *decide.ExplainAnswer) {
	s.buf = append(s.buf, `,"explanations":[`...)
	for i := range a.Pairs {
		e := &a.Pairs[i]
		s.comma(i)
		s.member(`{"path":`, e.Path)
		s.member(`,"action":`, e.Action)
		s.member(`,"template":`, string(e.Template))
		s.buf = strconv.AppendBool(append(s.buf, `,"allowed":`...), e.Allowed)
		if a.TellsReasons() {
			if !e.Allowed {
				s.member(`,"reason":`, e.Reason)
				s.member(`,"message":`, e.Message)
			}
			s.ignored(e.Ignored)
		}
		if a.TellsPolicies() {
			s.account(&e.Account)
		}
		s.buf = append(s.buf, '}')
		s.full()
	}
	s.buf = append(s.buf, ']')
}

// explainedList writes the list.
func (s *stream) explainedList(a *decide.ExplainAnswer) {
	if a.TellsPolicies() {
		s.buf = append(s.buf, `,"policies":[`...)
		for i := range a.Standing {
			s.comma(i)
			s.standing(&a.Standing[i])
			s.full()
		}
		s.buf = append(s.buf, ']')
	}
	s.buf = append(s.buf, `,"access":[`...)
	first := true
	write := func(e *engine.Entry, grounds [][]engine.Ground) {
		if !first {
			s.buf = append(s.buf, ',')
		}
		first = false
		s.explainedEntry(e, a, grounds)
		s.full()
	}
	if a.Grounds != nil {
		for e, grounds := range a.Grounds.Entries() {
			write(&e, grounds)
		}
	} else {
		for e := range a.Access.Entries() {
			write(&e, nil)
		}
	}
	s.buf = append(s.buf, ']')
}

// explainedEntry writes an entry, with the grounds of each of its actions where policies may be told of.
func (s *stream) explainedEntry(e *engine.Entry, a *decide.ExplainAnswer, grounds [][]engine.Ground) {
	s.member(`{"path":`, e.Path())
	s.member(`,"resourceType":`, string(e.Template()))
	s.buf = append(s.buf, `,"actions":[`...)
	for n, granted := range a.Access.ActionSets()[e.Actions] {
		s.comma(n)
		s.member(`{"action":`, granted.Action.Value)
		if grounds != nil {
			s.grounds(grounds[n], a.Combinations > 1)
		}
		s.buf = append(s.buf, '}')
	}
	s.buf = append(s.buf, `]}`...)
}

// account writes what is told of policies.
func (s *stream) account(a *engine.Account) {
	if a.WholeType {
		s.buf = append(s.buf, `,"wholeType":true`...)
	}
	if a.Allowed {
		s.buf = append(s.buf, `,"grantedBy":[`...)
		for i, p := range a.Policies {
			s.comma(i)
			s.policyRef(p)
			s.buf = append(s.buf, '}')
			s.full()
		}
		s.buf = append(s.buf, ']')
	}
	switch {
	case len(a.Told) == 0: // there was nothing to judge
		s.buf = append(s.buf, `,"policies":[]`...)
		return
	case a.Combinations == 1:
		s.tracedPolicies(&a.Told[0])
		return
	}
	s.buf = append(s.buf, `,"combinations":[`...)
	for i := range a.Told {
		c := &a.Told[i]
		s.comma(i)
		s.number(`{"number":`, int64(c.Number))
		s.buf = append(s.buf, `,"rows":[`...)
		for j, row := range c.Rows {
			s.comma(j)
			s.member(`{"entityTypeId":`, string(row.Template))
			s.number(`,"row":`, int64(row.Row))
			s.buf = append(s.buf, '}')
		}
		s.buf = strconv.AppendBool(append(s.buf, `],"allowed":`...), c.Allowed)
		s.tracedPolicies(c)
		s.buf = append(s.buf, '}')
	}
	s.buf = append(s.buf, ']')
	s.left(`,"combinationsLeft":`, a.Combinations-len(a.Told))
}

// policyRef writes the beginning of an object about a policy.
func (s *stream) policyRef(p engine.PolicyRef) {
	s.member(`{"permissionId":`, string(p.ID))
	s.member(`,"permission":`, p.Name)
}

func (s *stream) tracedPolicies(c *engine.CombinationTrace) {
	s.buf = append(s.buf, `,"policies":[`...)
	for i := range c.Policies {
		p := &c.Policies[i]
		s.comma(i)
		s.policyRef(p.Policy)
		access := model.Allow
		if p.Restrict {
			access = model.Restrict
		}
		s.member(`,"accessType":`, string(access))
		s.buf = strconv.AppendBool(append(s.buf, `,"applies":`...), p.Covers)
		if failed := failedPart(p.Stage); failed != "" {
			s.member(`,"failed":`, failed)
		}
		s.policyParts(p, true)
		s.buf = append(s.buf, '}')
		s.full()
	}
	s.buf = append(s.buf, ']')
	s.left(`,"policiesLeft":`, c.Left)
}

// failedPart is the part of a policy that a deny reason speaks of; "" = none.
func failedPart(reason string) string {
	switch reason {
	case engine.ReasonNotInGroup:
		return "who"
	case engine.ReasonNoRuleset, engine.ReasonUnknownAsset:
		return "what"
	case engine.ReasonCondition:
		return "when"
	}
	return ""
}

// policyParts writes WHO, WHAT and WHEN of a policy.
func (s *stream) policyParts(p *engine.PolicyTrace, what bool) {
	if len(p.Groupless) > 0 && !p.Who {
		s.buf = append(s.buf, `,"noGroupFor":[`...)
		for i, t := range p.Groupless {
			s.comma(i)
			s.buf = quote(s.buf, string(t))
		}
		s.buf = append(s.buf, ']')
	}
	s.blocks(`,"who":[`, p.Groups)
	if what {
		s.blocks(`,"what":[`, p.Rulesets)
	}
	s.blocks(`,"when":[`, p.When)
	s.left(`,"conditionsLeft":`, p.Left)
}

// standing writes what the grants of a policy have in common.
func (s *stream) standing(p *engine.PolicyTrace) {
	s.policyRef(p.Policy)
	s.policyParts(p, false)
	s.buf = append(s.buf, '}')
}

func (s *stream) blocks(name string, list []engine.BlockTrace) {
	s.buf = append(s.buf, name...)
	for i := range list {
		b := &list[i]
		s.comma(i)
		s.member(`{"id":`, string(b.ID))
		s.member(`,"name":`, b.Name)
		s.member(`,"kind":`, string(b.Kind))
		s.buf = strconv.AppendBool(append(s.buf, `,"holds":`...), b.Holds)
		if b.Inactive {
			s.buf = append(s.buf, `,"inactive":true`...)
		}
		if b.Compared != nil {
			s.compared(b)
		}
		if len(b.Branches) > 0 {
			br := &b.Branches[0]
			s.number(`,"branch":`, int64(br.Number))
			s.number(`,"lines":`, int64(br.Lines))
			s.number(`,"held":`, int64(br.Held))
			if br.Failed != nil {
				s.failedLine(br.Failed)
			}
		}
		s.buf = append(s.buf, '}')
	}
	s.buf = append(s.buf, ']')
}

// failedLine writes a line that does not hold with both sides' values.
func (s *stream) failedLine(l *engine.LineTrace) {
	if l.Template != "" {
		s.member(`,"failed":{"identityTemplate":`, string(l.Template))
		s.buf = append(s.buf, '}')
		return
	}
	s.side(`,"failed":{"left":{`, l.Rule.Left.Side.String(), string(l.Rule.Left.Attribute), l.Left, l.LeftMore)
	s.member(`,"operator":`, l.Rule.Op.String())
	s.side(`,"right":{`, l.Rule.Ref.Side.String(), string(l.Rule.Ref.Attribute), l.Right, l.RightMore)
	s.buf = append(s.buf, '}')
}

// compared writes what a date and time or an IP condition compares.
func (s *stream) compared(b *engine.BlockTrace) {
	attribute, operator := "time", "within"
	if b.Kind == model.KindConditionIP {
		if attribute, operator = "sourceIp", "in"; b.Outside {
			operator = "not in"
		}
	}
	s.side(`,"compared":{"left":{`, "env", attribute, b.Compared.Left, b.Compared.LeftMore)
	s.member(`,"operator":`, operator)
	s.side(`,"right":{`, "", "", b.Compared.Right, b.Compared.RightMore)
	s.buf = append(s.buf, '}')
}

// side writes one side of a comparison with its first values; literals have no attribute.
func (s *stream) side(begin, side, attribute string, values []string, more int) {
	s.buf = append(s.buf, begin...)
	if side != "" {
		s.member(`"side":`, side)
		s.member(`,"attribute":`, attribute)
		s.buf = append(s.buf, ',')
	}
	s.buf = append(s.buf, `"values":`...)
	s.some(values, len(values))
	s.left(`,"valuesLeft":`, more)
	s.buf = append(s.buf, '}')
}

// grounds writes the policies that grant an action of an entry, each with the branch that holds.
func (s *stream) grounds(list []engine.Ground, combined bool) {
	s.buf = append(s.buf, `,"grantedBy":[`...)
	for i := range list {
		g := &list[i]
		s.comma(i)
		s.member(`{"permissionId":`, string(g.Policy.ID))
		s.member(`,"ruleset":{"id":`, string(g.Ruleset))
		s.member(`,"name":`, g.Name)
		s.number(`,"branch":`, int64(g.Branch))
		s.buf = append(s.buf, '}')
		if combined {
			s.number(`,"combination":`, int64(g.Combination))
		}
		s.buf = append(s.buf, '}')
	}
	s.buf = append(s.buf, ']')
}
