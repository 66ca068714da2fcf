package engine

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ambit-authz/ambit/internal/model"
)

// Bounds limit what an Account keeps: combinations of a pair, policies of a combination, conditions of a policy, values of one
// side of a line, bytes of a value.
type Bounds struct {
	Combinations, Policies, Conditions, Values, Bytes int
	// Texts has the long texts that were kept already, so that equal ones, in whichever line of whichever pair, are kept once.
	// It is written to; nil = each is kept by itself.
	Texts map[string]string
}

// longText is from how many bytes on it pays to keep a text once.
const longText = 64

// keep gives the text that is kept for one; whole tells that nothing but it is in its memory.
func (b *Bounds) keep(text string, whole bool) string {
	if kept, ok := b.Texts[text]; ok {
		return kept
	}
	if !whole {
		text = strings.Clone(text)
	}
	if b.Texts != nil && len(text) >= longText {
		b.Texts[text] = text
	}
	return text
}

// Account is what a person wants to hear about one pair: of an allowed pair the policies that grant it, else the Restrict
// policies that take it away and the Allow policies that come nearest to granting it. Alternatives are cut down to the one
// that holds or comes nearest.
type Account struct {
	Decision
	UnknownType  bool // else an unknown action, with ReasonNoSuchAction
	UnknownAsset bool // of a stored type
	WholeType    bool // the question is about a stored type as a whole
	Combinations int  // of identity rows
	Told         []CombinationTrace
}

// CombinationTrace is one combination of rows, with the nearest policies first.
type CombinationTrace struct {
	Number   int // from 1
	Rows     []RowRef
	Allowed  bool
	Policies []PolicyTrace
	Left     int // how many policies Bounds left out
	nearness nearness
}

// RowRef says which row of an identity a combination has; Row counts from 1, 0 = all of them together.
type RowRef struct {
	Template model.TemplateID
	Row      int
}

// Account judges one asset and one action like Evaluate and keeps the nearest policies. Nearest is who got furthest: WHO,
// WHAT, WHEN; among equals the one with more lines that hold, then the lower policy id. What it says once the question's
// Done is closed is of no account.
func (r *Residual) Account(a Asset, action string, most Bounds) Account {
	out := Account{Decision: r.Evaluate(a, action), Combinations: len(r.permutations)}
	t, act, reason := r.target(a.Template, action)
	if reason != "" {
		out.UnknownType = t == nil
		return out
	}
	about, known := r.subjectMatter(t, &a)
	out.UnknownAsset, out.WholeType = !known, about.whole
	for i := range r.permutations {
		if r.question.stopped() {
			return out
		}
		c := r.combination(i, t, act.ID, about, most)
		if c.Allowed || !out.Allowed {
			out.Told = insertNearest(out.Told, c, most.Combinations, func(c *CombinationTrace) nearness { return c.nearness })
		}
	}
	return out
}

// combination traces one combination of rows.
func (r *Residual) combination(i int, t *assetType, action model.ActionID, about matter, most Bounds) CombinationTrace {
	p := &r.permutations[i]
	out := CombinationTrace{Number: i + 1}
	for _, sub := range p.subjects {
		out.Rows = append(out.Rows, RowRef{sub.template, sub.number})
	}
	all, granting, restricting := 0, 0, 0
	for pol := range r.covering(t, action) {
		if r.question.stopped() {
			break
		}
		trace := p.trace(pol, t.def.ID, action, about, nearestBranch)
		trace.narrow(most)
		switch {
		case !trace.Restrict:
			out.nearness = out.nearness.or(trace.nearness)
			if trace.Covers {
				granting++
			}
		case trace.Covers:
			restricting++
		default:
			continue // it neither gives nor takes
		}
		all++
		out.Policies = insertNearest(out.Policies, trace, most.Policies, func(t *PolicyTrace) nearness { return t.nearness })
	}
	if out.Allowed = granting > 0 && restricting == 0; out.Allowed {
		all = granting // which are nearer than all others
		out.Policies = out.Policies[:min(len(out.Policies), granting)]
	}
	out.Left = all - len(out.Policies)
	return out
}

// nearness is how far a policy got: the part, and the lines that hold in the parts that decide.
type nearness struct{ part, lines int }

func (n nearness) compare(m nearness) int {
	return cmp.Or(cmp.Compare(n.part, m.part), cmp.Compare(n.lines, m.lines))
}

func (n nearness) or(m nearness) nearness {
	if m.compare(n) > 0 {
		return m
	}
	return n
}

// insertNearest keeps the nearest of a list in their order; equals stay in the order in which they came.
func insertNearest[T any](list []T, one T, most int, of func(*T) nearness) []T {
	at := len(list)
	for at > 0 && of(&one).compare(of(&list[at-1])) > 0 {
		at--
	}
	if at >= most {
		return list
	}
	return slices.Insert(list[:min(len(list), most-1)], at, one)
}

// narrow cuts every list of alternatives down to the one that holds or comes nearest, and finds out how near the policy
// comes. Of the conditions it keeps a few, those first that do not hold.
func (t *PolicyTrace) narrow(most Bounds) {
	t.Groups = nearestBlocks(slices.DeleteFunc(t.Groups, func(g BlockTrace) bool { // of other templates: ignored (E5)
		return slices.ContainsFunc(g.Branches, func(b BranchTrace) bool { return b.Failed != nil && b.Failed.Template != "" })
	}))
	t.Rulesets = nearestBlocks(t.Rulesets)
	lines := 0
	for _, list := range [][]BlockTrace{t.Groups, t.Rulesets, t.When} {
		for i := range list {
			lines += list[i].held()
		}
	}
	t.nearness = nearness{reasonRank(t.Stage), lines}
	slices.SortStableFunc(t.When, func(a, b BlockTrace) int { return cmp.Compare(truth(a.Holds), truth(b.Holds)) })
	t.Left = max(0, len(t.When)-most.Conditions)
	t.When = slices.Clip(t.When[:len(t.When)-t.Left])
	for i := range t.Rulesets {
		if b := &t.Rulesets[i]; b.Holds && len(b.Branches) > 0 && !b.Branches[0].Holds {
			b.Branches = nil // of a Restrict policy against a type as a whole: whatever its lines
		}
	}
	if t.Stage == ReasonUnknownAsset {
		t.Rulesets = nil // there was nothing to judge
	}
	if t.Restrict {
		t.nearness.part++
	}
	for _, list := range [][]BlockTrace{t.Groups, t.Rulesets, t.When} {
		for i := range list {
			list[i].cut(most)
		}
	}
}

// cut keeps the first values of each line and the beginning of each. Calculated values are made anew for each line, and a
// request may bring very many and very long ones: whole, they would be held once for each line of each pair.
func (b *BlockTrace) cut(most Bounds) {
	lines := []*LineTrace{b.Compared}
	for i := range b.Branches {
		lines = append(lines, b.Branches[i].Failed)
	}
	for _, l := range lines {
		if l != nil {
			l.Left, l.LeftMore = firstValues(l.Left, most)
			l.Right, l.RightMore = firstValues(l.Right, most)
		}
	}
}

// firstValues shares no memory with texts that are cut, or left out.
func firstValues(values []string, most Bounds) (first []string, more int) {
	more = max(0, len(values)-most.Values)
	first = slices.Clone(values[:len(values)-more])
	for i, v := range first {
		end := len(v)
		if end > most.Bytes {
			end = most.Bytes
			for end > 0 && !utf8.RuneStart(v[end]) {
				end--
			}
		}
		first[i] = most.keep(v[:end], end == len(v))
	}
	return first, more
}

// nearestBlocks keeps one block of each template.
func nearestBlocks(all []BlockTrace) []BlockTrace {
	var out []BlockTrace
	for i := range all {
		at := slices.IndexFunc(out, func(b BlockTrace) bool { return b.Template == all[i].Template })
		switch {
		case at < 0:
			out = append(out, all[i])
		case !out[at].Holds && (all[i].Holds || all[i].held() > out[at].held()):
			out[at] = all[i]
		}
	}
	return out
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// held is how many lines hold in the nearest branch, and 1 more for a block that holds.
func (b *BlockTrace) held() int {
	n := truth(b.Holds)
	if len(b.Branches) > 0 {
		n += b.Branches[0].Held
	}
	return n
}

// Combinations is how many combinations of rows the question has.
func (r *Residual) Combinations() int { return len(r.permutations) }
