package engine

import "github.com/ambit-authz/ambit/internal/engine/index"

// mostMarked is how many actions mark gathers at once.
const mostMarked = 64

// mark makes a run of what the only permutation of a question grants when nobody asks by which policies: an entry's actions
// are gathered as a mask, so that the sets of the rulesets are never united action by action.
func (c *collector) mark(p *permutation) {
	if c.residual.question.stopped() {
		return
	}
	terms := p.terms[c.asset.def.ID]
	allowed := c.allowed(terms)
	if len(allowed) == 0 {
		return
	}
	found := all(allowed)
	ordinals := found.Ordinals()
	masks := make([]uint64, len(ordinals))
	for i := range allowed {
		allowed[i].set.Mark(masks, ordinals, c.bits(allowed[i].use))
	}
	for _, s := range c.restricted(terms, found) {
		s.set.Unmark(masks, ordinals, c.bits(s.use))
	}
	c.run(ordinals, masks)
}

// bits are the wanted actions that a use covers.
func (c *collector) bits(u *use) uint64 {
	bits := uint64(0)
	for a := range c.actions {
		if u.covers(c.actions[a].ID) {
			bits |= 1 << a
		}
	}
	return bits
}

// run makes a run of the ordinals that have an action.
func (c *collector) run(ordinals []index.Ordinal, masks []uint64) {
	labels := make([]label, len(c.actions))
	for a := range labels {
		labels[a].action = a
	}
	out := run{asset: c.asset, ordinals: make([]index.Ordinal, 0, len(ordinals)), sets: make([]uint32, 0, len(ordinals)), sent: c.sent}
	made := newSteps(0, len(labels))
	for i, mask := range masks {
		if mask == 0 {
			continue
		}
		id := made.at(0, mask)
		if *id == 0 {
			*id = uint32(c.intern(chosen(nil, mask, labels))) + 1
		}
		out.ordinals, out.sets = append(out.ordinals, ordinals[i]), append(out.sets, *id-1)
	}
	if len(out.ordinals) > 0 {
		c.access.runs = append(c.access.runs, out)
	}
}
