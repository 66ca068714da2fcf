package manage

import (
	"maps"
	"slices"

	"github.com/ambit-authz/ambit/internal/model"
)

// blockIndex finds blocks by id, by rules and by name. One that is laid over another sees what is below and keeps its own
// changes to itself, so that a transaction can be given up, or read beside, without a trace.
type blockIndex struct {
	base   *blockIndex // below; entries that are nil here hide those there
	blocks map[model.BlockID]*knownBlock
	rules  map[string][]*knownBlock // oldest first
	names  map[nameKey]*knownBlock
	next   int // age of the next block
}

// knownBlock is never changed: another one takes its place.
type knownBlock struct {
	block model.Block
	key   string
	age   int // the oldest has 0
}

// nameKey is where a block's name is unique (policy-model.md 3.7).
type nameKey struct {
	group string // DynamicGroup, Ruleset or Condition, whatever the condition's kind
	owner string
	name  string
}

func nameOf(b *model.Block, name string) nameKey {
	switch {
	case b.Kind == model.KindDynamicGroup:
		return nameKey{string(b.Kind), string(b.WorkspaceID), name}
	case b.Kind == model.KindRuleset:
		return nameKey{string(b.Kind), string(b.Template), name}
	}
	return nameKey{string(model.KindCondition), string(b.WorkspaceID), name}
}

func newBlockIndex(base *blockIndex) *blockIndex {
	x := &blockIndex{
		base: base, blocks: map[model.BlockID]*knownBlock{}, rules: map[string][]*knownBlock{},
		names: map[nameKey]*knownBlock{},
	}
	if base != nil {
		x.next = base.next
	}
	return x
}

func (x *blockIndex) block(id model.BlockID) *knownBlock {
	if k, own := x.blocks[id]; own || x.base == nil {
		return k
	}
	return x.base.block(id)
}

func (x *blockIndex) named(name nameKey) *knownBlock {
	if k, own := x.names[name]; own || x.base == nil {
		return k
	}
	return x.base.named(name)
}

// withRules are the blocks with the rules, oldest first.
func (x *blockIndex) withRules(key string) []*knownBlock {
	if list, own := x.rules[key]; own || x.base == nil {
		return list
	}
	return x.base.withRules(key)
}

// oldestFirst lists all blocks in order of first insertion.
func (x *blockIndex) oldestFirst() []*knownBlock {
	all := x.blocks
	if x.base != nil {
		all = map[model.BlockID]*knownBlock{}
		for _, k := range x.base.oldestFirst() {
			all[k.block.ID] = k
		}
		maps.Copy(all, x.blocks)
	}
	out := make([]*knownBlock, 0, len(all))
	for _, k := range all {
		if k != nil {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, olderFirst)
	return out
}

func olderFirst(a, b *knownBlock) int { return a.age - b.age }

func (x *blockIndex) add(b model.Block, key string) {
	x.insert(&knownBlock{block: b, key: key, age: x.next})
	x.next++
}

func (x *blockIndex) insert(k *knownBlock) {
	x.blocks[k.block.ID] = k
	x.names[nameOf(&k.block, k.block.Name)] = k
	list := append(slices.Clone(x.withRules(k.key)), k)
	slices.SortFunc(list, olderFirst)
	x.rules[k.key] = list
}

// replace gives a block new content; its age stays.
func (x *blockIndex) replace(k *knownBlock, next model.Block, key string) {
	x.remove(k)
	x.insert(&knownBlock{block: next, key: key, age: k.age})
}

func (x *blockIndex) remove(k *knownBlock) {
	id, name := k.block.ID, nameOf(&k.block, k.block.Name)
	same := func(other *knownBlock) bool { return other.block.ID == id }
	x.rules[k.key] = slices.DeleteFunc(slices.Clone(x.withRules(k.key)), same)
	x.blocks[id] = nil
	named := x.named(name) // another block may have taken the name in the same commit
	if named == nil || same(named) {
		x.names[name] = nil
	}
	if x.base == nil {
		delete(x.blocks, id)
		if x.names[name] == nil {
			delete(x.names, name)
		}
		if len(x.rules[k.key]) == 0 {
			delete(x.rules, k.key)
		}
	}
}
