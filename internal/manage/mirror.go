package manage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// mirrors are copies in memory of what the calls on single policies and blocks ask of an environment, one for each
// environment that was asked about. They are filled from the store and follow its feed, so they are never older than the
// transaction that asks, and a restart misses nothing.
type mirrors struct {
	mu  sync.Mutex
	all map[model.EnvironmentID]*mirrorSlot
}

// mirrorSlot is the place of an environment's mirror, nil until somebody asks. An environment that is read for the first
// time, which may take seconds, holds up nobody who asks about another one.
type mirrorSlot struct {
	mu     sync.Mutex // held while the mirror follows; never waited for inside a view, which would hold a connection
	mirror *mirror
}

// mirror is one environment. What it holds is not changed in place: readers keep what they found.
type mirror struct {
	environment model.EnvironmentID
	sequence    store.Sequence // guarded by mirrorSlot.mu

	mu       sync.RWMutex // guards what follows
	revision model.Revision
	catalog  *catalog
	blocks   *blockIndex
	policies []mirrored // by id, ascending
	users    map[model.BlockID]map[model.PolicyID]bool

	templates  [][]model.TemplateID // the different lists of asset types that policies have, each ascending
	lists      map[string]int       // where a list stands in templates
	workspaces map[model.WorkspaceID]model.WorkspaceID
}

// mirrored is a policy with what searches ask most. They go through all policies, so it lies side by side and is shared.
type mirrored struct {
	policy    *model.Policy
	workspace model.WorkspaceID
	list      int // of the asset types of its rulesets, in mirror.templates
	inactive  bool
}

// look runs fn on the environment's mirror, which shows everything that was committed before the call. fn must not keep
// the mirror.
func (s *Service) look(ctx context.Context, env model.EnvironmentID, fn func(*mirror) error) error {
	m, err := s.mirrorNow(ctx, env)
	if err != nil {
		return err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return fn(m)
}

// mirrorNow is the mirror at the current state.
func (s *Service) mirrorNow(ctx context.Context, env model.EnvironmentID) (*mirror, error) {
	slot := s.mirrors.slot(env)
	slot.mu.Lock()
	defer slot.mu.Unlock()
	for again := true; again; {
		// before the view: one that waits for a second connection may wait for others that do the same
		n, err := s.newsOf(ctx, slot.mirror)
		if err != nil {
			return nil, storeError("manage.look", err)
		}
		err = s.view(ctx, env, func(tx *store.Tx) error {
			if again = slot.mirror != nil && !n.reload && n.until < tx.Sequence; again {
				return nil // others have written in between
			}
			return slot.follow(tx, &n)
		})
		if err != nil {
			return nil, err
		}
	}
	return slot.mirror, nil
}

// mirrorOf is the mirror at the state of a writing transaction, beside which nobody writes.
func (s *Service) mirrorOf(ctx context.Context, tx *store.Tx) (*mirror, error) {
	slot := s.mirrors.slot(tx.Environment)
	slot.mu.Lock()
	defer slot.mu.Unlock()
	n, err := s.newsOf(ctx, slot.mirror)
	if err == nil {
		err = slot.follow(tx, &n)
	}
	return slot.mirror, err
}

// Warm reads what searches and imports need of every environment, which else the first of them would wait for. It is for
// the background: errors are logged, and the next call that needs it tries again.
func (s *Service) Warm(ctx context.Context) {
	var all []model.EnvironmentID
	err := s.view(ctx, "", func(tx *store.Tx) error {
		return each(tx.Environments.FindAll(), func(e model.Environment) { all = append(all, e.ID) })
	})
	for _, env := range all {
		err = errors.Join(err, s.look(ctx, env, func(*mirror) error { return nil }))
	}
	if err != nil && ctx.Err() == nil {
		s.log.Warn("policies could not be read ahead", "error", err)
	}
}

func (all *mirrors) slot(env model.EnvironmentID) *mirrorSlot {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.all[env] == nil {
		if all.all == nil {
			all.all = map[model.EnvironmentID]*mirrorSlot{}
		}
		all.all[env] = &mirrorSlot{}
	}
	return all.all[env]
}

// forget drops the mirror of an environment that is gone.
func (all *mirrors) forget(env model.EnvironmentID) {
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.all, env)
}

// follow brings the mirror to the transaction's state with the news up to it, or reads it anew.
func (slot *mirrorSlot) follow(tx *store.Tx, n *news) (err error) {
	switch m := slot.mirror; {
	case m == nil || n.reload:
		m, err = readMirror(tx)
		slot.mirror = m
	case m.sequence < tx.Sequence:
		err = m.follow(tx, n)
	}
	if err != nil {
		slot.mirror = nil // it may be half-way
	}
	return err
}

// news is what a mirror has to read again.
type news struct {
	until    store.Sequence
	reload   bool
	catalog  bool
	policies map[model.PolicyID]bool
	blocks   []store.Change // in their order, so that new ones get their age in that order
}

// newsOf collects what was committed since the mirror's state. A feed that does not reach back so far is a reason to read
// everything anew.
func (s *Service) newsOf(ctx context.Context, m *mirror) (news, error) {
	out := news{policies: map[model.PolicyID]bool{}}
	if m == nil {
		return out, nil
	}
	for out.until = m.sequence; ; {
		commits, err := s.store.Feed(ctx, out.until, 256)
		if errors.Is(err, store.ErrTrimmed) {
			out.reload, err = true, nil
		}
		if err != nil || len(commits) == 0 {
			return out, err
		}
		for i := range commits {
			out.until = commits[i].Sequence
			out.note(&commits[i], m.environment)
		}
	}
}

func (n *news) note(c *store.Commit, env model.EnvironmentID) {
	for i := range c.Changes {
		switch change := &c.Changes[i]; {
		case change.Collection == store.Environments:
			n.reload = n.reload || (change.Deleted || change.Cleared) && change.Key == string(env)
		case c.Environment != env:
		case change.Collection == store.Policies:
			n.policies[model.PolicyID(change.Key)] = true
		case change.Collection == store.Blocks:
			n.blocks = append(n.blocks, *change)
		case change.Collection == store.AssetTemplates, change.Collection == store.IdentityTemplates,
			change.Collection == store.RequestAttributes, change.Collection == store.CustomAttributes,
			change.Collection == store.Applications, change.Collection == store.APIMapperSets:
			n.catalog = true
		}
	}
}

func readMirror(tx *store.Tx) (*mirror, error) {
	cat, err := readCatalog(tx)
	if err != nil {
		return nil, err
	}
	m := &mirror{
		environment: tx.Environment, sequence: tx.Sequence, revision: tx.Revision, catalog: cat, blocks: newBlockIndex(nil),
		users: map[model.BlockID]map[model.PolicyID]bool{}, lists: map[string]int{},
		workspaces: map[model.WorkspaceID]model.WorkspaceID{},
	}
	if err := each(tx.Blocks.FindAll(), func(b model.Block) { m.blocks.add(b, cat.rulesKey(&b)) }); err != nil {
		return nil, err
	}
	err = each(tx.Policies.FindAll(), func(p model.Policy) {
		m.policies = append(m.policies, m.mirrored(&p))
		m.use(&p)
	})
	slices.SortFunc(m.policies, func(a, b mirrored) int { return strings.Compare(string(a.policy.ID), string(b.policy.ID)) })
	return m, err
}

// follow brings the mirror to the transaction's state.
func (m *mirror) follow(tx *store.Tx, n *news) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n.catalog {
		if err := m.readCatalog(tx); err != nil {
			return err
		}
	}
	for i := range n.blocks {
		if err := m.readBlock(tx, &n.blocks[i]); err != nil {
			return err
		}
	}
	for id := range n.policies {
		if err := m.readPolicy(tx, id); err != nil {
			return err
		}
	}
	m.sequence, m.revision = tx.Sequence, tx.Revision
	return nil
}

func (m *mirror) readCatalog(tx *store.Tx) error {
	before := m.catalog
	cat, err := readCatalog(tx)
	if err != nil {
		return err
	}
	m.catalog = cat
	if maps.Equal(before.types, cat.types) {
		return nil
	}
	blocks := newBlockIndex(nil) // the keys of rules depend on the types
	for _, k := range m.blocks.oldestFirst() {
		blocks.insert(&knownBlock{block: k.block, key: cat.rulesKey(&k.block), age: k.age})
	}
	blocks.next = m.blocks.next
	m.blocks = blocks
	return nil
}

// readBlock follows one change. A block that was deleted and made again is the youngest.
func (m *mirror) readBlock(tx *store.Tx, change *store.Change) error {
	id := model.BlockID(change.Key)
	b, err := tx.Blocks.Find(id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	gone := err != nil || change.Deleted
	known := m.blocks.block(id)
	switch {
	case gone && known != nil:
		m.blocks.remove(known)
	case gone:
		return nil
	case known != nil:
		m.blocks.replace(known, b, m.catalog.rulesKey(&b))
	default:
		m.blocks.add(b, m.catalog.rulesKey(&b))
	}
	if gone || known == nil || known.block.Template != b.Template {
		m.retemplate(id)
	}
	return nil
}

func (m *mirror) readPolicy(tx *store.Tx, id model.PolicyID) error {
	p, err := tx.Policies.Find(id)
	gone := errors.Is(err, store.ErrNotFound)
	if err != nil && !gone {
		return err
	}
	at, listed := m.place(id)
	if listed {
		m.leave(m.policies[at].policy)
	}
	switch {
	case gone && listed:
		m.policies = slices.Delete(m.policies, at, at+1)
	case gone:
	case listed:
		m.policies[at] = m.mirrored(&p)
	default:
		m.policies = slices.Insert(m.policies, at, m.mirrored(&p))
	}
	if !gone {
		m.use(&p)
	}
	return nil
}

// place is where a policy stands or would stand.
func (m *mirror) place(id model.PolicyID) (at int, listed bool) {
	return slices.BinarySearchFunc(m.policies, id, func(e mirrored, id model.PolicyID) int {
		return strings.Compare(string(e.policy.ID), string(id))
	})
}

func (m *mirror) mirrored(p *model.Policy) mirrored {
	var list []model.TemplateID
	for _, use := range p.Rulesets {
		if k := m.blocks.block(use.BlockID); k != nil {
			list = append(list, k.block.Template)
		}
	}
	slices.Sort(list)
	list = slices.Compact(list)
	key := fmt.Sprintf("%q", list)
	at, known := m.lists[key]
	if !known {
		at = len(m.templates)
		m.lists[key], m.templates = at, append(m.templates, list)
	}
	if _, known := m.workspaces[p.WorkspaceID]; !known {
		m.workspaces[p.WorkspaceID] = p.WorkspaceID
	}
	return mirrored{policy: p, workspace: m.workspaces[p.WorkspaceID], list: at, inactive: p.Inactive}
}

// retemplate follows a ruleset that came, went, or whose asset type got another id.
func (m *mirror) retemplate(block model.BlockID) {
	for id := range m.users[block] {
		if at, listed := m.place(id); listed {
			m.policies[at] = m.mirrored(m.policies[at].policy)
		}
	}
}

// use notes which blocks a policy uses.
func (m *mirror) use(p *model.Policy) {
	for _, id := range blocksOf(p) {
		if m.users[id] == nil {
			m.users[id] = map[model.PolicyID]bool{}
		}
		m.users[id][p.ID] = true
	}
}

// leave is the opposite of use.
func (m *mirror) leave(p *model.Policy) {
	for _, block := range blocksOf(p) {
		if delete(m.users[block], p.ID); len(m.users[block]) == 0 {
			delete(m.users, block)
		}
	}
}

// block is the lookup of rego.PrintPolicy.
func (m *mirror) block(id model.BlockID) (model.Block, bool) {
	k := m.blocks.block(id)
	if k == nil {
		return model.Block{}, false
	}
	return k.block, true
}
