package engine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/ambit-authz/ambit/internal/model"
)

// Snapshot is one environment at one revision, compiled. It never changes.
type Snapshot struct {
	environment  model.EnvironmentID
	enabled      bool
	revision     model.Revision
	assets       map[model.TemplateID]*assetType
	identities   map[model.TemplateID]*identityType
	applications map[model.ApplicationID]model.Application
	blocks       trie[model.BlockID, *block]
	policies     trie[model.PolicyID, *policy]
	users        trie[model.BlockID, []*policy]    // policies that use a block, by policy id
	onType       trie[model.TemplateID, []*policy] // policies that have a ruleset on an asset type, by policy id
	few          map[model.TemplateID]grouped      // policies of onType by group, of types with few of them
	who          map[model.TemplateID]*who
}

// New compiles a configuration. The snapshot holds no assets and identities yet: they come with Next. Errors are
// *model.Error of kind KindInvalid and name the block or policy that does not compile.
func New(c Configuration) (*Snapshot, error) {
	s := &Snapshot{
		environment: c.Environment, assets: map[model.TemplateID]*assetType{}, identities: map[model.TemplateID]*identityType{},
		applications: map[model.ApplicationID]model.Application{}, who: map[model.TemplateID]*who{},
		blocks: newTrie[model.BlockID, *block](), policies: newTrie[model.PolicyID, *policy](),
		users: newTrie[model.BlockID, []*policy](), onType: newTrie[model.TemplateID, []*policy](),
		few: map[model.TemplateID]grouped{},
	}
	return s.Next(Delta{
		Enabled:           &c.Enabled,
		AssetTemplates:    Change[model.TemplateID, model.AssetTemplate]{Put: c.AssetTemplates},
		IdentityTemplates: Change[model.TemplateID, model.IdentityTemplate]{Put: c.IdentityTemplates},
		Applications:      Change[model.ApplicationID, model.Application]{Put: c.Applications},
		Blocks:            Change[model.BlockID, model.Block]{Put: c.Blocks},
		Policies:          Change[model.PolicyID, model.Policy]{Put: c.Policies},
	})
}

// Revision is the environment revision that the snapshot shows.
func (s *Snapshot) Revision() model.Revision { return s.revision }

// Environment is the environment's id.
func (s *Snapshot) Environment() model.EnvironmentID { return s.environment }

// Enabled reports whether the environment answers decisions at all.
func (s *Snapshot) Enabled() bool { return s.enabled }

// AssetTemplate finds an asset type. It must not be changed.
func (s *Snapshot) AssetTemplate(id model.TemplateID) (*model.AssetTemplate, bool) {
	t, ok := s.assets[id]
	if !ok {
		return nil, false
	}
	return &t.def, true
}

// IdentityTemplate finds an identity template. It must not be changed.
func (s *Snapshot) IdentityTemplate(id model.TemplateID) (*model.IdentityTemplate, bool) {
	t, ok := s.identities[id]
	if !ok {
		return nil, false
	}
	return &t.def, true
}

// IdentityTemplates lists the identity templates by id.
func (s *Snapshot) IdentityTemplates() []*model.IdentityTemplate {
	out := make([]*model.IdentityTemplate, 0, len(s.identities))
	for _, id := range slices.Sorted(maps.Keys(s.identities)) {
		out = append(out, &s.identities[id].def)
	}
	return out
}

// FindIdentity reads an identity of the directory.
func (s *Snapshot) FindIdentity(t model.TemplateID, entityID string) (model.Identity, bool) {
	it, ok := s.identities[t]
	if !ok {
		return model.Identity{}, false
	}
	o, ok := it.table.Find(entityID)
	if !ok {
		return model.Identity{}, false
	}
	return it.identity(it.table.Record(o)), true
}

// FindAsset reads a stored asset.
func (s *Snapshot) FindAsset(t model.TemplateID, path string) (model.Asset, bool) {
	at, ok := s.assets[t]
	if !ok {
		return model.Asset{}, false
	}
	o, ok := at.table.Find(path)
	if !ok {
		return model.Asset{}, false
	}
	return at.asset(at.table.Record(o)), true
}

// CountAssets is the number of stored assets of a type.
func (s *Snapshot) CountAssets(t model.TemplateID) int {
	if at, ok := s.assets[t]; ok {
		return at.table.Len()
	}
	return 0
}

// CountIdentities is the number of identities of a template.
func (s *Snapshot) CountIdentities(t model.TemplateID) int {
	if it, ok := s.identities[t]; ok {
		return it.table.Len()
	}
	return 0
}

// draft is the next snapshot while it is made.
type draft struct {
	Snapshot
	stale    map[model.BlockID]bool  // blocks to compile again
	relink   map[model.PolicyID]bool // policies to link again
	ownedWho map[model.TemplateID]bool
}

// Next makes the snapshot after a change; s goes on unchanged. An error leaves nothing behind: it is that of an
// iterator, or a *model.Error of kind KindInvalid that names what does not compile.
func (s *Snapshot) Next(d Delta) (*Snapshot, error) {
	n := &draft{Snapshot: *s, stale: map[model.BlockID]bool{}, relink: map[model.PolicyID]bool{}, ownedWho: map[model.TemplateID]bool{}}
	n.revision = max(s.revision, d.Revision)
	if d.Enabled != nil {
		n.enabled = *d.Enabled
	}
	for _, step := range []func(*Delta) error{
		n.putTemplates, n.putRecords, n.putApplications, n.putBlocks, n.putPolicies, n.dropTemplates,
	} {
		if err := step(&d); err != nil {
			return nil, err
		}
	}
	for t := range n.ownedWho {
		n.who[t].flush()
	}
	out := n.Snapshot
	return &out, nil
}

func (n *draft) putTemplates(d *Delta) (err error) {
	if len(d.AssetTemplates.Put)+len(d.AssetTemplates.Deleted)+len(d.Assets) > 0 {
		n.assets = maps.Clone(n.assets)
	}
	if len(d.IdentityTemplates.Put)+len(d.IdentityTemplates.Deleted)+len(d.Identities) > 0 {
		n.identities = maps.Clone(n.identities)
	}
	touched := map[model.TemplateID]bool{}
	for _, def := range d.AssetTemplates.Put {
		if err := checkAssetTemplate(&def); err != nil {
			return err
		}
		touched[def.ID] = true
		if old, ok := n.assets[def.ID]; ok {
			n.assets[def.ID], err = old.redefine(def)
		} else {
			n.assets[def.ID] = newAssetType(def)
		}
		if err != nil {
			return err
		}
	}
	for _, def := range d.IdentityTemplates.Put {
		if err := checkIdentityTemplate(&def); err != nil {
			return err
		}
		touched[def.ID] = true
		if old, ok := n.identities[def.ID]; ok {
			n.identities[def.ID], err = old.redefine(def)
		} else {
			n.identities[def.ID] = newIdentityType(def)
		}
		if err != nil {
			return err
		}
	}
	if len(touched) > 0 {
		for id, b := range n.blocks.all() {
			if touched[b.src.Template] {
				n.stale[id] = true
			}
		}
	}
	return nil
}

// dropTemplates comes last: what used them is gone or refused by then.
func (n *draft) dropTemplates(d *Delta) error {
	for _, id := range d.AssetTemplates.Deleted {
		delete(n.assets, id)
	}
	for _, id := range d.IdentityTemplates.Deleted {
		delete(n.identities, id)
	}
	return nil
}

func (n *draft) putRecords(d *Delta) error {
	for id, change := range d.Assets {
		t, ok := n.assets[id]
		if !ok {
			return &model.Error{Kind: model.KindInvalid, Op: "engine.next", Message: fmt.Sprintf("asset template %q does not exist", id)}
		}
		next, err := t.next(change)
		if err != nil {
			return err
		}
		n.assets[id] = next
	}
	for id, change := range d.Identities {
		t, ok := n.identities[id]
		if !ok {
			return &model.Error{Kind: model.KindInvalid, Op: "engine.next", Message: fmt.Sprintf("identity template %q does not exist", id)}
		}
		next, err := t.next(change)
		if err != nil {
			return err
		}
		n.identities[id] = next
	}
	return nil
}

func (n *draft) putApplications(d *Delta) error {
	if len(d.Applications.Put)+len(d.Applications.Deleted) == 0 {
		return nil
	}
	n.applications = maps.Clone(n.applications)
	for _, a := range d.Applications.Put {
		n.applications[a.ID] = a
	}
	for _, id := range d.Applications.Deleted {
		delete(n.applications, id)
	}
	return nil
}

func (n *draft) putBlocks(d *Delta) error {
	puts := d.Blocks.Put
	fresh := map[model.BlockID]bool{}
	for i := range puts {
		fresh[puts[i].ID] = true
	}
	for _, id := range d.Blocks.Deleted {
		if old, ok := n.blocks.get(id); ok && !fresh[id] {
			n.leave(old)
			n.blocks = n.blocks.without(id)
			n.markUsers(id)
		}
		delete(n.stale, id)
	}
	for id := range n.stale {
		if b, ok := n.blocks.get(id); ok && !fresh[id] {
			puts = append(slices.Clip(puts), *b.src)
		}
	}
	for i := range puts {
		src := puts[i]
		b, err := n.compileBlock(&src)
		if err != nil {
			return err
		}
		if old, ok := n.blocks.get(src.ID); ok {
			n.leave(old)
		}
		n.blocks = n.blocks.with(src.ID, b)
		n.enter(b)
		n.markUsers(src.ID)
	}
	return nil
}

func (n *draft) markUsers(id model.BlockID) {
	users, _ := n.users.get(id)
	for _, p := range users {
		n.relink[p.src.ID] = true
	}
}

// whoOf gives the group index of a template, copied on first use.
func (n *draft) whoOf(t model.TemplateID) *who {
	if !n.ownedWho[t] {
		if len(n.ownedWho) == 0 {
			n.who = maps.Clone(n.who)
		}
		n.ownedWho[t] = true
		if old, ok := n.who[t]; ok {
			n.who[t] = old.clone()
		} else {
			n.who[t] = newWho()
		}
	}
	return n.who[t]
}

func (n *draft) enter(b *block) {
	if b.src.Kind == model.KindDynamicGroup {
		n.whoOf(b.src.Template).add(b)
	}
}

func (n *draft) leave(b *block) {
	if b.src.Kind == model.KindDynamicGroup {
		n.whoOf(b.src.Template).remove(b)
	}
}

func (n *draft) putPolicies(d *Delta) error {
	users, onType := edit(&n.users), edit(&n.onType)
	unlink := func(id model.PolicyID) {
		p, ok := n.policies.get(id)
		if !ok {
			return
		}
		for _, b := range blocksOf(p.src) {
			users.put(b, removed(users.get(b), p))
		}
		for _, t := range p.assetTypes() {
			onType.put(t, removed(onType.get(t), p))
		}
	}
	for _, id := range d.Policies.Deleted {
		unlink(id)
		n.policies = n.policies.without(id)
		delete(n.relink, id)
	}
	puts := map[model.PolicyID]*model.Policy{}
	for id := range n.relink {
		if p, ok := n.policies.get(id); ok {
			puts[id] = p.src
		}
	}
	for i := range d.Policies.Put {
		src := d.Policies.Put[i]
		puts[src.ID] = &src
	}
	for _, id := range slices.Sorted(maps.Keys(puts)) {
		p, err := n.link(puts[id])
		if err != nil {
			return err
		}
		unlink(id)
		n.policies = n.policies.with(id, p)
		for _, b := range blocksOf(p.src) {
			users.put(b, inserted(users.get(b), p))
		}
		for _, t := range p.assetTypes() {
			onType.put(t, inserted(onType.get(t), p))
		}
	}
	users.flush()
	if len(onType.owned) > 0 {
		n.few = maps.Clone(n.few)
	}
	for t, list := range onType.owned {
		if delete(n.few, t); len(list) <= fewPolicies {
			n.few[t] = groupedBy(list)
		}
	}
	onType.flush()
	return nil
}

// assetTypes are the types of the policy's rulesets.
func (p *policy) assetTypes() []model.TemplateID {
	var out []model.TemplateID
	for i := range p.uses {
		if t := p.uses[i].ruleset.src.Template; !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

func comparePolicies(a, b *policy) int { return cmp.Compare(a.src.ID, b.src.ID) }

// inserted and removed keep a list ordered by policy id; they change it in place.
func inserted(list []*policy, p *policy) []*policy {
	at, found := slices.BinarySearchFunc(list, p, comparePolicies)
	if found {
		list[at] = p
		return list
	}
	return slices.Insert(list, at, p)
}

func removed(list []*policy, p *policy) []*policy {
	at, found := slices.BinarySearchFunc(list, p, comparePolicies)
	if !found {
		return list
	}
	return slices.Delete(list, at, at+1)
}
