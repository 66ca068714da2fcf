package manage

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/google/uuid"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/rego"
	"github.com/ambit-authz/ambit/internal/store"
)

// BlockOutcome tells which stored block an incoming one became (policy-model.md 8).
type BlockOutcome struct {
	Kind   model.BlockKind
	Name   string
	ID     model.BlockID
	Result string // reused, created or updated
	made   bool   // the id is a new one of Ambit's
}

// Results of block resolution.
const (
	blockReused  = "reused"
	blockCreated = "created"
	blockUpdated = "updated"
)

// resolver finds the stored block that an incoming one means, or makes it. It knows all blocks of the environment and
// keeps up with what it stores, so that a thousand policies of one archive read the blocks once.
type resolver struct {
	w       *writer
	cat     *catalog
	byName  bool // evaluateByBBName
	editing bool // an import of building blocks, which edits a block by its id
	// own are the blocks that an apply brought under their ids: two blocks of one archive are two, whatever their rules,
	// or the archive of an environment would make another one. Nil outside an apply.
	own map[model.BlockID]bool

	*blockIndex

	updated map[model.BlockID]bool // blocks whose rules were changed
}

func newResolver(w *writer, cat *catalog, byName bool) (*resolver, error) {
	r := resolverOver(w, cat, nil, byName)
	return r, each(w.Blocks.FindAll(), func(b model.Block) { r.add(b, cat.rulesKey(&b)) })
}

// resolverOver is a resolver that knows the blocks of base and leaves base as it is.
func resolverOver(w *writer, cat *catalog, base *blockIndex, byName bool) *resolver {
	return &resolver{w: w, cat: cat, byName: byName, blockIndex: newBlockIndex(base), updated: map[model.BlockID]bool{}}
}

// find is the lookup of rego.PrintPolicy.
func (r *resolver) find(id model.BlockID) (model.Block, bool) {
	k := r.block(id)
	if k == nil {
		return model.Block{}, false
	}
	return k.block, true
}

// resolve stores an incoming block or finds the one it means.
func (r *resolver) resolve(in *rego.ParsedBlock) (BlockOutcome, error) {
	out, err := r.match(in)
	if r.own != nil && err == nil && out.ID == in.Block.ID {
		r.own[out.ID] = !r.block(out.ID).block.Predefined // that one stands for all blocks of its rules
	}
	return out, err
}

func (r *resolver) match(in *rego.ParsedBlock) (BlockOutcome, error) {
	b := in.Block
	sameID := r.block(b.ID)
	if b.ID == "" || sameID != nil && !sameOwner(&sameID.block, &b) {
		sameID = nil
	}
	if b.Name == "" && sameID == nil {
		return BlockOutcome{}, rego.Fault("RG-103", in.Positions.Metadata, "name")
	}
	key := r.cat.rulesKey(&b)
	switch {
	case r.byName && b.Name == "":
		return r.overwrite(in, sameID, key)
	case r.byName:
		k := r.named(nameOf(&b, b.Name))
		if k != nil && k.block.Kind == b.Kind && sameOwner(&k.block, &b) {
			return r.overwrite(in, k, key)
		}
		return r.create(b)
	case sameID != nil && sameID.key == key && !r.editing:
		return reused(sameID), nil
	case sameID != nil && r.editing:
		return r.overwrite(in, sameID, key)
	}
	if k := r.sameRules(key, &b); k != nil {
		return reused(k), nil
	}
	if b.Name == "" {
		b.Name = sameID.block.Name
	}
	return r.create(b)
}

func sameOwner(a, b *model.Block) bool {
	return a.Kind == b.Kind && a.WorkspaceID == b.WorkspaceID && a.Template == b.Template
}

func reused(k *knownBlock) BlockOutcome {
	return BlockOutcome{Kind: k.block.Kind, Name: k.block.Name, ID: k.block.ID, Result: blockReused}
}

// sameRules is a block with the rules of b: the one of b's name, else the oldest (8.2 rule 2).
func (r *resolver) sameRules(key string, b *model.Block) *knownBlock {
	list := r.withRules(key)
	if b.ID != "" && r.block(b.ID) == nil {
		list = slices.DeleteFunc(slices.Clone(list), func(k *knownBlock) bool { return r.own[k.block.ID] })
	}
	for _, k := range list {
		if k.block.Name == b.Name {
			return k
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

// overwrite gives a stored block the incoming rules, and the incoming name and description where there are any. All
// policies that share the block change with it (8.3 rule 2).
func (r *resolver) overwrite(in *rego.ParsedBlock, k *knownBlock, key string) (BlockOutcome, error) {
	next := k.block
	if in.Block.Description != nil {
		next.Description = in.Block.Description
	}
	sameRules := key == k.key
	if !sameRules {
		next.Branches, next.Ranges, next.IP = in.Block.Branches, in.Block.Ranges, in.Block.IP
	}
	if name := in.Block.Name; name != "" && name != next.Name {
		next.Name = name
		if r.named(nameOf(&next, name)) != nil {
			next.Name = r.freeName(&next, name)
		}
	}
	if k.block.Predefined {
		if sameRules {
			return reused(k), nil
		}
		return BlockOutcome{}, rego.Fault("RG-405", in.Positions.Name, k.block.Name)
	}
	result, err := put(r.w, blockSubject(), r.w.Blocks, next.ID, next)
	if err != nil || result == Unchanged {
		return reused(k), err
	}
	r.replace(k, next, key)
	if !sameRules {
		r.updated[next.ID] = true
	}
	return BlockOutcome{Kind: next.Kind, Name: next.Name, ID: next.ID, Result: blockUpdated}, nil
}

// create stores a new block (8.2 rule 3, 8.3 rule 3). It keeps its id when that is free, and its name when that is free.
func (r *resolver) create(b model.Block) (BlockOutcome, error) {
	made := b.ID == "" || r.block(b.ID) != nil
	if made {
		b.ID = model.BlockID(uuid.NewString())
	}
	if r.named(nameOf(&b, b.Name)) != nil {
		b.Name = r.freeName(&b, b.Name)
	}
	if _, err := put(r.w, blockSubject(), r.w.Blocks, b.ID, b); err != nil {
		return BlockOutcome{}, err
	}
	r.add(b, r.cat.rulesKey(&b))
	return BlockOutcome{Kind: b.Kind, Name: b.Name, ID: b.ID, Result: blockCreated, made: made}, nil
}

var numberedName = regexp.MustCompile(` \([0-9]+\)$`)

// maxDisplayName is policy-model.md 1.2 rule 4.
const maxDisplayName = 100

// freeName removes a trailing number in parentheses and appends the smallest free one. A name that would become too long
// is cut before the number.
func (r *resolver) freeName(b *model.Block, name string) string {
	base := []rune(numberedName.ReplaceAllString(name, ""))
	for n := 1; ; n++ {
		number := fmt.Sprintf(" (%d)", n)
		candidate := string(base[:min(len(base), maxDisplayName-len(number))]) + number
		if r.named(nameOf(b, candidate)) == nil {
			return candidate
		}
	}
}

// drop deletes a block that nothing uses.
func (r *resolver) drop(id model.BlockID) error {
	k := r.block(id)
	if _, err := remove(r.w, blockSubject(), r.w.Blocks, id); err != nil {
		return err
	}
	r.remove(k)
	return nil
}

func blockSubject() *subject[model.Block] {
	return &subject[model.Block]{
		resource: func(b *model.Block) string {
			switch {
			case b.Kind == model.KindDynamicGroup:
				return resourceDynamicGroup
			case b.Kind == model.KindRuleset:
				return resourceRuleset
			}
			return resourceCondition
		},
		id:   func(b *model.Block) string { return string(b.ID) },
		name: func(b *model.Block) string { return b.Name },
		format: func(b *model.Block) []byte {
			return rego.PrintBlocks([]model.Block{*b}, rego.PrintOptions{Extended: true})
		},
		parent: func(b *model.Block) (string, string) {
			if b.Kind == model.KindDynamicGroup {
				return resourceIdentityWorkspace, string(b.WorkspaceID)
			}
			return resourceAuthorizationWorkspace, string(b.WorkspaceID)
		},
	}
}

// affected lists the policies that use an updated block, by id (8.3 rule 2).
func (r *resolver) affected(policies store.Collection[model.PolicyID, model.Policy]) ([]model.PolicyID, error) {
	if len(r.updated) == 0 {
		return nil, nil
	}
	var out []model.PolicyID
	err := each(policies.FindAll(), func(p model.Policy) {
		if slices.ContainsFunc(blocksOf(&p), func(id model.BlockID) bool { return r.updated[id] }) {
			out = append(out, p.ID)
		}
	})
	return out, err
}

// blocksOf are the ids of all blocks of a policy.
func blocksOf(p *model.Policy) []model.BlockID {
	ids := slices.Concat(p.DynamicGroups, p.Conditions)
	for _, use := range p.Rulesets {
		ids = append(ids, use.BlockID)
	}
	return ids
}
