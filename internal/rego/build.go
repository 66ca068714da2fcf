package rego

import (
	"strconv"

	"github.com/ambit-authz/ambit/internal/model"
)

// builder checks a syntax tree and makes its module.
type builder struct {
	*report
	opt    Options
	tree   *syntax
	module *Module
	drafts []*draft
	byID   map[string]*draft
	byName map[blockName]*draft
	olds   []*branch // old Action blocks
	broken bool      // some function gave no block: what the module lacks is not reported
}

// blockName tells blocks without id apart. For conditions the template plays no part.
type blockName struct {
	kind     model.BlockKind
	template model.TemplateID
	name     string
}

// draft is a block in the making.
type draft struct {
	block    model.Block
	branches []*branch
}

// branch is one function that was understood.
type branch struct {
	*function
	kind       model.BlockKind
	header     *header
	id, name   string
	idAt       position
	nameAt     position
	asset      *line // template lines and action line; nil = none
	identity   *line
	action     *line
	content    model.Branch
	timeRange  model.TimeRange
	addresses  []*line
	assetType  *model.AssetTemplate    // nil = not known
	identities *model.IdentityTemplate // nil = not known
}

func build(tree *syntax, opt Options, r *report) *Module {
	b := &builder{
		report: r, opt: opt, tree: tree, module: &Module{}, broken: tree.broken,
		byID: map[string]*draft{}, byName: map[blockName]*draft{},
	}
	b.head()
	for _, f := range tree.functions {
		if br := b.branch(f); br != nil {
			b.collect(br)
		}
		b.broken = b.broken || f.broken
	}
	for _, d := range b.drafts {
		b.finish(d)
	}
	if b.module.Policy != nil {
		b.oldActions()
		b.policyChecks()
	} else if opt.Package == PackageBuildingBlocks {
		b.count("building", b.drafts, b.opt.Limits.Blocks)
	}
	for _, d := range b.drafts {
		b.module.Blocks = append(b.module.Blocks, b.parsed(d))
	}
	return b.module
}

// head reads the policy's metadata.
func (b *builder) head() {
	t := b.tree
	b.module.Positions.Package = b.place(t.packageAt)
	if b.opt.Package != PackagePolicy {
		if t.metadata != nil {
			b.warn("RW-05", t.metadata.position, "the metadata of the policy")
		}
		return
	}
	if t.packageAt != (position{}) && t.metadata == nil {
		b.fault("RG-101", t.packageAt, "the policy")
	}
	b.module.Policy = b.policyHeader(readHeader(t.metadata, b.report))
}

// branch reads a function's metadata and lines; nil when it is of no use for a block.
func (b *builder) branch(f *function) *branch {
	if f.metadata == nil {
		b.fault("RG-101", f.position, "function "+f.name)
	}
	br := &branch{function: f, header: readHeader(f.metadata, b.report)}
	kind, at, given := br.header.text("kind", b.report)
	br.kind = model.BlockKind(kind)
	switch {
	case given && shapeOfKind(br.kind) == nil:
		b.fault("RG-104", at, kind)
		f.broken = true
		return nil
	case given && shapeOfKind(br.kind) != f.shape:
		b.fault("RG-105", at, kind, f.name)
		f.broken = true
		return nil
	case f.shape == nil:
		b.fault("RG-004", f.position, "function "+strconv.Quote(f.name))
		return nil
	}
	br.kind = f.shape.kind
	b.blockHeader(br)
	b.target(br)
	b.templates(br)
	switch br.kind {
	case model.KindCondition:
		b.timeBranch(br)
	case model.KindConditionIP:
		b.addressBranch(br)
	default:
		b.rules(br)
	}
	return br
}

// blockHeader reads id, name and description keys; the description is read again by the block's first branch.
func (b *builder) blockHeader(br *branch) {
	h := br.header
	id, at, hasID := h.text("id", b.report)
	if hasID {
		uuid, ok := model.ParseUUID(id)
		if !ok {
			b.fault("RG-108", at, id)
			br.broken = true
		}
		br.id, br.idAt = uuid, at
	}
	br.name, br.nameAt, _ = h.limited("name", limitName, b.report)
	if br.kind != kindAction && !hasID {
		h.required("name", b.report)
	}
	h.take("description")
	h.ignored(b.report)
}

// target checks that the kind of block fits the kind of workspace.
func (b *builder) target(br *branch) {
	group := br.kind == model.KindDynamicGroup
	switch {
	case b.opt.Target == TargetIdentity && !group:
		b.fault("RG-404", br.position, string(br.kind), "an identity")
	case b.opt.Target == TargetAuthorization && group:
		b.fault("RG-404", br.position, string(br.kind), "an authorization")
	}
}

// templates finds the template lines and the action line of a branch and what they name.
func (b *builder) templates(br *branch) {
	for _, l := range br.lines {
		switch l.kind {
		case lineAsset:
			b.once(&br.asset, l)
		case lineIdentity:
			b.once(&br.identity, l)
		case lineAction, lineOldAction:
			b.once(&br.action, l)
		}
	}
	needsAsset := br.kind == model.KindRuleset || br.kind == kindAction
	needsIdentity := br.kind == model.KindDynamicGroup || br.kind == model.KindConditionIdentity
	switch {
	case br.broken:
	case needsAsset && br.asset == nil:
		b.fault("RG-201", br.position, br.function.name, "asset")
	case needsIdentity && br.identity == nil:
		b.fault("RG-201", br.position, br.function.name, "identity")
	case br.kind == kindAction && br.action == nil:
		b.fault("RG-001", br.position, strconv.Quote(br.function.name), "an asset.action line in its body")
	}
	b.findTemplates(br)
	if br.kind == model.KindRuleset && br.identity != nil {
		br.content.IdentityTemplate = model.TemplateID(br.identity.values[0].text)
	}
	if br.action != nil {
		b.actions(br)
	}
}

func (b *builder) once(slot **line, l *line) {
	if *slot != nil {
		b.fault("RG-202", l.position, l.kind.String())
		return
	}
	*slot = l
}

func (b *builder) findTemplates(br *branch) {
	if b.opt.Catalog == nil {
		return
	}
	if br.asset != nil {
		name := br.asset.values[0]
		t, ok := b.opt.Catalog.AssetTemplate(model.TemplateID(name.text))
		switch {
		case !ok:
			b.fault("RG-302", name.position, name.text)
		case b.opt.Workspace != "" && t.WorkspaceID != b.opt.Workspace:
			b.fault("RG-307", name.position, name.text)
		default:
			br.assetType = &t
			if !b.opt.Catalog.InApplication(t.ID) && b.opt.Package == PackagePolicy && br.kind == model.KindRuleset {
				b.warn("RW-04", name.position, name.text)
			}
		}
	}
	if br.identity != nil {
		name := br.identity.values[0]
		if t, ok := b.opt.Catalog.IdentityTemplate(model.TemplateID(name.text)); ok {
			br.identities = &t
		} else {
			b.fault("RG-301", name.position, name.text)
		}
	}
}

// actions checks the ids of an action line against the asset type.
func (b *builder) actions(br *branch) {
	if b.opt.Package != PackagePolicy {
		b.warn("RW-09", br.action.position)
		return
	}
	if br.assetType == nil {
		return
	}
	for _, id := range br.action.values {
		if _, ok := br.assetType.Action(model.ActionID(id.text)); ok {
			continue
		}
		known := make([]string, len(br.assetType.Actions))
		for i, a := range br.assetType.Actions {
			known[i] = string(a.ID)
		}
		b.hinted(known, "RG-305", id.position, string(br.assetType.ID), id.text)
	}
}

// collect puts a branch into the block it belongs to (policy-model.md 6.6 rules 1 and 2).
func (b *builder) collect(br *branch) {
	if br.kind == kindAction {
		b.olds = append(b.olds, br)
		return
	}
	template := br.template()
	name := blockName{kind: br.kind, template: template, name: br.name}
	if br.kind.IsCondition() {
		name.template = ""
	}
	var d *draft
	switch {
	case br.id != "":
		d = b.byID[br.id]
	case br.name != "":
		d = b.byName[name]
	}
	if d != nil {
		if b.fits(d, br) {
			b.join(d, br)
		} else {
			b.broken = true
		}
		return
	}
	d = &draft{block: model.Block{ID: model.BlockID(br.id), Kind: br.kind, Template: template}}
	d.block.Description = br.header.description(b.report)
	b.drafts = append(b.drafts, d)
	if br.id != "" {
		b.byID[br.id] = d
	} else {
		b.byName[name] = d
	}
	b.join(d, br)
}

// fits checks that a branch that names block d is of its kind and template.
func (b *builder) fits(d *draft, br *branch) bool {
	template := br.template()
	switch {
	case d.block.Kind != br.kind:
		b.fault("RG-109", br.idAt, br.id, string(d.block.Kind), string(br.kind))
	case d.block.Template == template || template == "" || d.block.Template == "":
		return true
	case br.id != "":
		b.fault("RG-109", br.idAt, br.id, owned(d.block.Kind, d.block.Template), owned(br.kind, template))
	default:
		b.fault("RG-202", br.identity.position, "the identity template of condition "+strconv.Quote(br.name))
	}
	return false
}

func owned(kind model.BlockKind, template model.TemplateID) string {
	return string(kind) + " on " + strconv.Quote(string(template))
}

// template is the template that owns the branch's block, empty when the branch names none.
func (br *branch) template() model.TemplateID {
	switch {
	case br.kind == model.KindRuleset && br.asset != nil:
		return model.TemplateID(br.asset.values[0].text)
	case br.kind != model.KindRuleset && br.identity != nil:
		return model.TemplateID(br.identity.values[0].text)
	}
	return ""
}

func (b *builder) join(d *draft, br *branch) {
	d.branches = append(d.branches, br)
	if br.name == "" {
		return
	}
	if d.block.Name == "" {
		d.block.Name = br.name
	}
	if br.name != d.block.Name {
		b.warn("RW-06", br.nameAt, br.id, d.block.Name)
	}
}

// finish makes the block's content of its branches.
func (b *builder) finish(d *draft) {
	if n, limit := len(d.branches), b.opt.Limits.Branches; n > limit {
		b.tooMany(d.branches[limit].position, n, "branches of "+strconv.Quote(d.block.Name), limit)
	}
	first := d.branches[0]
	switch d.block.Kind {
	case model.KindCondition:
		ranges := make([]model.TimeRange, len(d.branches))
		for i, br := range d.branches {
			ranges[i] = br.timeRange
		}
		d.block.Ranges = joinMidnight(ranges)
	case model.KindConditionIP:
		d.block.IP = b.addresses(d)
	default:
		for _, br := range d.branches {
			d.block.Branches = append(d.block.Branches, br.content)
		}
	}
	switch {
	case d.block.Kind == model.KindRuleset && first.assetType != nil:
		d.block.WorkspaceID = first.assetType.WorkspaceID
	case d.block.Kind == model.KindDynamicGroup && first.identities != nil:
		d.block.WorkspaceID = first.identities.WorkspaceID
	case d.block.Kind.IsCondition():
		d.block.WorkspaceID = b.opt.Workspace
	}
}

func (b *builder) parsed(d *draft) ParsedBlock {
	first := d.branches[0]
	p := ParsedBlock{Block: d.block}
	p.Positions.Function = b.place(first.position)
	p.Positions.Metadata = b.place(first.header.at)
	if first.name != "" {
		p.Positions.Name = b.place(first.nameAt)
	}
	if first.id != "" {
		p.Positions.ID = b.place(first.idAt)
	}
	for _, l := range []*line{first.identity, first.asset} {
		if l != nil {
			p.Positions.Template = b.place(l.values[0].position)
		}
	}
	if d.block.Kind == model.KindRuleset && b.module.Policy != nil {
		p.Use = d.use()
	}
	return p
}

// use is the policy's use of the ruleset: that of its branches, which do not differ.
func (d *draft) use() model.RulesetUse {
	l := d.branches[0].action
	if l == nil {
		return model.RulesetUse{AllActions: true}
	}
	return model.RulesetUse{ActionIDs: l.actionIDs()}
}

func (l *line) actionIDs() []model.ActionID {
	ids := make([]model.ActionID, len(l.values))
	for i, v := range l.values {
		ids[i] = model.ActionID(v.text)
	}
	return actionSet(ids)
}
