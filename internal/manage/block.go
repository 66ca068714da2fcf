package manage

import (
	"cmp"
	"context"
	"slices"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/rego"
	"github.com/ambit-authz/ambit/internal/store"
)

// BlockOwner is the workspace that a call on building blocks is about: exactly one of the two is set.
type BlockOwner struct {
	Authorization model.WorkspaceID // rulesets and conditions
	Identity      model.WorkspaceID // dynamic groups
}

func (o BlockOwner) check(tx *store.Tx) error {
	if o.Identity != "" {
		return identityWorkspace(tx, o.Identity)
	}
	return authorizationWorkspace(tx, o.Authorization)
}

func (o BlockOwner) id() model.WorkspaceID { return cmp.Or(o.Identity, o.Authorization) }

func (o BlockOwner) owns(b *model.Block) bool {
	return b.WorkspaceID == o.id() && (b.Kind == model.KindDynamicGroup) == (o.Identity != "")
}

// BlockSource is a module of building blocks to import.
type BlockSource struct {
	Owner  BlockOwner
	Text   []byte
	ByName bool // evaluateByBBName
}

// ImportedBlocks tells what an import did.
type ImportedBlocks struct {
	Blocks   []model.Block // as stored, in the module's order, each once
	Outcomes []ImportedBlock
	Done     Done // the version is that of the only block, "" when there are several
	Warnings model.Errors
	Affected []model.PolicyID // policies that changed with a block, by id
}

// ImportedBlock is what became of one block.
type ImportedBlock struct {
	BlockOutcome
	Affected []model.PolicyID
}

// RegoOfBlocks is a module of the blocks in the export format (policy-model.md 6.7 rule 13).
func RegoOfBlocks(blocks []model.Block, extended bool) []byte {
	return rego.PrintBlocks(blocks, rego.PrintOptions{Extended: extended})
}

// ImportBlocks stores building blocks (management-api.md 8). A block with the id of a stored one of its kind and owner
// takes its place; all others are resolved as policy-model.md 8 says.
func (s *Service) ImportBlocks(ctx context.Context, call Call, env model.EnvironmentID, in BlockSource) (ImportedBlocks, error) {
	var out ImportedBlocks
	revision, err := s.update(ctx, &call, env, func(w *writer) error {
		if err := in.Owner.check(w.Tx); err != nil {
			return err
		}
		return s.overMirror(ctx, w, in.Owner.Authorization, in.ByName, func(m *mirror, r *resolver) (err error) {
			r.editing = true
			out, err = w.importBlocks(&in, m, r)
			return err
		})
	})
	out.Done.Revision = revision
	return out, err
}

func (w *writer) importBlocks(in *BlockSource, m *mirror, r *resolver) (out ImportedBlocks, err error) {
	target := rego.TargetAuthorization
	if in.Owner.Identity != "" {
		target = rego.TargetIdentity
	}
	module, warnings, err := rego.Parse(in.Text, rego.Options{
		Package: rego.PackageBuildingBlocks, Workspace: in.Owner.Authorization, Target: target, Catalog: r.cat,
	})
	if err != nil {
		return out, err
	}
	for i := range module.Blocks {
		if b := &module.Blocks[i]; b.Block.WorkspaceID != in.Owner.id() {
			return out, rego.Fault("RG-301", b.Positions.Template, string(b.Block.Template))
		}
	}
	if err := w.meetsBlock(module.Blocks); err != nil {
		return out, err
	}
	_, outcomes, err := r.resolveAll(module.Blocks)
	if err != nil {
		return out, err
	}
	out.Warnings, out.Affected = warnings, m.usersOf(r.updated, "")
	listed := map[model.BlockID]bool{}
	for _, o := range outcomes {
		if o.Result != blockReused {
			out.Done.Result = max(out.Done.Result, blockResult(o))
		}
		if listed[o.ID] {
			continue
		}
		listed[o.ID] = true
		b, _ := r.find(o.ID)
		one := ImportedBlock{BlockOutcome: o, Affected: m.usersOf(map[model.BlockID]bool{o.ID: r.updated[o.ID]}, "")}
		if !r.updated[o.ID] {
			one.Affected = nil
		}
		if o.made && w.call.DryRun {
			b.ID, one.ID = "", ""
		}
		out.Blocks, out.Outcomes = append(out.Blocks, b), append(out.Outcomes, one)
	}
	if len(out.Blocks) == 1 {
		out.Done.Version, err = versionOf(w.Blocks, outcomes[0].ID)
	}
	return out, err
}

// meetsBlock checks the call's preconditions, which are about a module's only block.
func (w *writer) meetsBlock(blocks []rego.ParsedBlock) error {
	if len(blocks) != 1 || blocks[0].Block.ID == "" {
		return nil
	}
	b := &blocks[0].Block
	current, err := versionOf(w.Blocks, b.ID)
	if err != nil {
		return err
	}
	return w.meets(current, blockResource(b.Kind), string(b.ID))
}

// BlockCheck is the report of a validation of building blocks.
type BlockCheck struct {
	Errors, Warnings model.Errors
	Blocks           []ImportedBlock
	Revision         model.Revision
}

// CheckBlocks is ImportBlocks without storing anything; what is wrong with the text is part of the report.
func (s *Service) CheckBlocks(ctx context.Context, call Call, env model.EnvironmentID, in BlockSource) (BlockCheck, error) {
	call.DryRun, call.IfMatch, call.IfNoneMatch = true, nil, nil
	out, err := s.ImportBlocks(ctx, call, env, in)
	check := BlockCheck{Warnings: out.Warnings, Blocks: out.Outcomes, Revision: out.Done.Revision}
	if check.Errors, err = textErrors(err); err != nil {
		return check, err
	}
	if len(check.Errors) > 0 {
		check.Blocks = nil
		check.Revision, err = s.Revision(ctx, env)
	}
	return check, err
}

// BlockFilter limits lists of blocks; empty parts ask for nothing, the others must all hold.
type BlockFilter struct {
	Owner    BlockOwner
	Kind     model.BlockKind
	IDs      []model.BlockID
	Name     string
	Template model.TemplateID
}

func (f *BlockFilter) passes(b *model.Block) bool {
	return f.Owner.owns(b) && (f.Kind == "" || f.Kind == b.Kind) && (f.Name == "" || f.Name == b.Name) &&
		(f.Template == "" || f.Template == b.Template) && (f.IDs == nil || slices.Contains(f.IDs, b.ID))
}

// FindBlocks lists blocks in the order in which they were made. Seen has a version when there is one block only.
func (s *Service) FindBlocks(ctx context.Context, env model.EnvironmentID, f *BlockFilter) ([]model.Block, Seen, error) {
	var out []model.Block
	var seen Seen
	err := s.view(ctx, env, f.Owner.check)
	if err != nil {
		return nil, seen, err
	}
	err = s.look(ctx, env, func(m *mirror) error {
		seen.Revision = m.revision
		out = m.findBlocks(f)
		return nil
	})
	if err != nil || len(out) != 1 || len(f.IDs) != 1 {
		return out, seen, err
	}
	err = s.view(ctx, env, func(tx *store.Tx) error {
		seen.Version, err = versionOf(tx.Blocks, out[0].ID)
		return err
	})
	return out, seen, err
}

func (m *mirror) findBlocks(f *BlockFilter) []model.Block {
	var known []*knownBlock
	if f.IDs != nil {
		for _, id := range f.IDs {
			if k := m.blocks.block(id); k != nil && f.passes(&k.block) && !slices.Contains(known, k) {
				known = append(known, k)
			}
		}
	} else {
		for _, k := range m.blocks.blocks {
			if f.passes(&k.block) {
				known = append(known, k)
			}
		}
	}
	slices.SortFunc(known, olderFirst)
	out := make([]model.Block, len(known))
	for i, k := range known {
		out[i] = k.block
	}
	return out
}

// DeletedBlocks counts what a delete removed.
type DeletedBlocks struct {
	Groups, Rulesets, Conditions int
	Done                         Done
}

// DeleteBlocks deletes the blocks that the filter finds: all of them or, when one is predefined or in use, none. An id
// that the filter does not find is an error.
func (s *Service) DeleteBlocks(ctx context.Context, call Call, env model.EnvironmentID, f *BlockFilter) (DeletedBlocks, error) {
	var out DeletedBlocks
	revision, err := s.update(ctx, &call, env, func(w *writer) error {
		if err := f.Owner.check(w.Tx); err != nil {
			return err
		}
		return s.overMirror(ctx, w, f.Owner.Authorization, false, func(m *mirror, _ *resolver) error {
			blocks := m.findBlocks(f)
			if err := w.deletable(m, f, blocks); err != nil {
				return err
			}
			for i := range blocks {
				if err := out.remove(w, &blocks[i]); err != nil {
					return err
				}
			}
			return nil
		})
	})
	out.Done.Revision = revision
	return out, err
}

func (d *DeletedBlocks) remove(w *writer, b *model.Block) error {
	switch {
	case b.Kind == model.KindDynamicGroup:
		d.Groups++
	case b.Kind == model.KindRuleset:
		d.Rulesets++
	default:
		d.Conditions++
	}
	d.Done.Result = Deleted
	_, err := remove(w, blockSubject(), w.Blocks, b.ID)
	return err
}

// deletable reports every block that is missing, predefined or in use.
func (w *writer) deletable(m *mirror, f *BlockFilter, blocks []model.Block) error {
	var errs model.Errors
	for _, id := range f.IDs {
		if !slices.ContainsFunc(blocks, func(b model.Block) bool { return b.ID == id }) {
			errs = append(errs, missingResource(blockResource(f.Kind), string(id)))
		}
	}
	if len(f.IDs) == 1 && (len(blocks) == 1 || len(w.call.IfMatch) > 0) {
		current := ""
		if len(blocks) == 1 {
			var err error
			if current, err = versionOf(w.Blocks, blocks[0].ID); err != nil {
				return err
			}
		}
		if err := w.meets(current, blockResource(f.Kind), string(f.IDs[0])); err != nil {
			return err
		}
	}
	for i := range blocks {
		b := &blocks[i]
		resource, id := blockResource(b.Kind), string(b.ID)
		if b.Predefined {
			errs = append(errs, predefined(resource, id))
			continue
		}
		var users []string
		for policy := range m.users[b.ID] {
			users = append(users, string(policy))
		}
		if len(users) > 0 {
			errs = append(errs, inUse(resource, id, "policy", users))
		}
	}
	return errs.OrNil()
}

// blockResource is how errors name a block of the kind.
func blockResource(kind model.BlockKind) string {
	switch {
	case kind == model.KindDynamicGroup, kind == model.KindRuleset:
		return string(kind)
	case kind.IsCondition():
		return "Condition"
	}
	return "BuildingBlock"
}

// predefined is MGT-010.
func predefined(resource, id string) *model.Error {
	return &model.Error{
		Kind: model.KindConflict, Code: "MGT-010", Name: "PredefinedError", Args: []string{resource, id},
		Message: resource + ": [" + id + "] is predefined",
	}
}
