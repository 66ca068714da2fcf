package engine

import (
	"github.com/ambit-authz/ambit/internal/engine/index"
	"github.com/ambit-authz/ambit/internal/model"
)

// Beyond estimates the bytes that s holds and other does not share: what it costs to keep s beside it. The work is in
// proportion to what differs.
func (s *Snapshot) Beyond(other *Snapshot) int {
	const rest = 4 << 10 // maps, and the way to what changed in the tries
	n := rest + s.policiesBeyond(other) + s.groupsBeyond(other)
	for id, t := range s.assets {
		if o, ok := other.assets[id]; !ok {
			n += t.table.Beyond(index.New(nil))
		} else if o.table != t.table {
			n += t.table.Beyond(o.table)
		}
	}
	for id, t := range s.identities {
		if o, ok := other.identities[id]; !ok {
			n += t.table.Beyond(index.New(nil))
		} else if o.table != t.table {
			n += t.table.Beyond(o.table)
		}
	}
	return n
}

// policiesBeyond is the part of Beyond that policies and blocks have. One changed block is enough for all policies that use
// it to be linked again, and one changed policy for the lists that it stands in to be made again.
func (s *Snapshot) policiesBeyond(other *Snapshot) int {
	const pointer = 8
	n := 0
	types, blocks := map[model.TemplateID]bool{}, map[model.BlockID]bool{}
	for p := range apart(&s.policies, &other.policies) {
		n += p.bytes()
		for _, t := range p.assetTypes() {
			types[t] = true
		}
		for _, b := range blocksOf(p.src) {
			blocks[b] = true
		}
	}
	for b := range apart(&s.blocks, &other.blocks) {
		n += b.bytes()
	}
	for p := range apart(&other.policies, &s.policies) { // a new one stands in lists of other, in whose place are shorter ones here
		for _, t := range p.assetTypes() {
			types[t] = true
		}
		for _, b := range blocksOf(p.src) {
			blocks[b] = true
		}
	}
	for t := range types {
		list, _ := s.onType.get(t)
		n += pointer * cap(list)
	}
	for b := range blocks {
		list, _ := s.users.get(b)
		n += pointer * cap(list)
	}
	return n
}

// groupsBeyond is the part of Beyond that the ways from values to groups have: a changed group makes the lists anew that it
// stands in, and a change of any group the list of those without an equality.
func (s *Snapshot) groupsBeyond(other *Snapshot) int {
	const pointer = 8
	n := 0
	for t, w := range s.who {
		if w != other.who[t] {
			n += pointer * cap(w.rest)
		}
	}
	type place struct {
		template model.TemplateID
		anchor   anchor
	}
	seen := map[place]bool{}
	for _, side := range [2][2]*Snapshot{{s, other}, {other, s}} {
		for b := range apart(&side[0].blocks, &side[1].blocks) {
			w := s.who[b.src.Template]
			if b.src.Kind != model.KindDynamicGroup || w == nil {
				continue
			}
			for _, br := range b.branches {
				for _, a := range br.anchors() {
					if at := (place{b.src.Template, a}); !seen[at] {
						seen[at] = true
						list, _ := w.anchored.get(a)
						n += pointer * cap(list)
					}
				}
			}
		}
	}
	return n
}

// bytes estimates what a policy holds of its own, with its place in a trie.
func (p *policy) bytes() int {
	const own, each = 160, 32
	return own + each*(len(p.groups)+len(p.templates)+len(p.uses)+len(p.conditions))
}

// bytes estimates what a block holds.
func (b *block) bytes() int {
	const own, each, literal = 512, 384, 64
	n := own + each*len(b.ranges)
	for _, br := range b.src.Branches {
		n += each
		for i := range br.Rules {
			n += each
			for _, l := range br.Rules[i].Literals {
				n += literal + len(l.Text)
			}
		}
	}
	if b.src.IP != nil {
		n += each * (1 + len(b.src.IP.Text))
	}
	return n
}
