package manage

import (
	"context"
	"errors"
	"slices"

	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

func identityTemplateKind() *kind[model.TemplateID, model.IdentityTemplate] {
	return &kind[model.TemplateID, model.IdentityTemplate]{
		name: "IdentityTemplate", subject: identityTemplateSubject(),
		in: func(tx *store.Tx) store.Collection[model.TemplateID, model.IdentityTemplate] {
			return tx.IdentityTemplates
		},
		id: func(id model.TemplateID) string { return string(id) },
	}
}

// readTemplate reads an identity template by its id or, where there is none of that id, by the uuid of its workspace
// (management-api.md 12).
func readTemplate(tx *store.Tx, id model.TemplateID) (Stored[model.IdentityTemplate], error) {
	out, err := readObject(tx, identityTemplateKind(), id)
	if model.KindOf(err) != model.KindNotFound {
		return out, err
	}
	workspace, _ := model.ParseUUID(string(id))
	ws, unknown := tx.IdentityWorkspaces.Find(model.WorkspaceID(workspace))
	if errors.Is(unknown, store.ErrNotFound) {
		return out, err
	}
	if unknown != nil {
		return out, unknown
	}
	return readObject(tx, identityTemplateKind(), ws.TemplateID)
}

// FindIdentityTemplate reads an identity template, which the uuid of its workspace can stand for.
func (s *Service) FindIdentityTemplate(ctx context.Context, env model.EnvironmentID, id model.TemplateID) (Stored[model.IdentityTemplate], error) {
	var out Stored[model.IdentityTemplate]
	err := s.view(ctx, env, func(tx *store.Tx) (err error) {
		out, err = readTemplate(tx, id)
		return err
	})
	return out, err
}

// ImportIdentityTemplate replaces the definition of the template of a workspace (management-api.md 12). Values of
// attributes that the definition leaves out go; an attribute in use cannot be left out.
func (s *Service) ImportIdentityTemplate(ctx context.Context, call Call, env model.EnvironmentID, workspace model.WorkspaceID, body []byte) (Stored[model.IdentityTemplate], Done, error) {
	t, err := form.ParseIdentityTemplate(body)
	if err != nil {
		return Stored[model.IdentityTemplate]{}, Done{}, err
	}
	k := identityTemplateKind()
	k.first = func(tx *store.Tx) error { return identityWorkspace(tx, workspace) }
	return changeObject(ctx, s, &call, env, k, t.ID, func(w *writer, before *model.IdentityTemplate) (model.IdentityTemplate, error) {
		ws, err := w.IdentityWorkspaces.Find(workspace)
		if err == nil {
			err = ownTemplate(&ws, before, t.ID)
		}
		if err != nil {
			return t, err
		}
		t.WorkspaceID = ws.ID
		if before == nil {
			return t, w.putPredefined(predefinedGroup(&ws))
		}
		return t, w.replaceIdentityTemplate(ctx, s, before, &t)
	})
}

// ownTemplate: an identity workspace has one template, and no other has one of that id. A workspace that is still to be
// made has no ids; before is nil for a template that is.
func ownTemplate(ws *model.IdentityWorkspace, before *model.IdentityTemplate, id model.TemplateID) error {
	if ws.ID != "" && ws.TemplateID != id {
		return alreadyExists("IdentityTemplate", string(ws.TemplateID))
	}
	if before != nil && before.WorkspaceID != ws.ID {
		return alreadyExists("IdentityTemplate", string(id))
	}
	return nil
}

// replaceIdentityTemplate makes everything ready for another definition of a template, which must not take away what is
// in use.
func (w *writer) replaceIdentityTemplate(ctx context.Context, s *Service, before, t *model.IdentityTemplate) error {
	c := identityTemplateChange(before, t)
	if len(c.altered) == 0 {
		return nil
	}
	err := s.overMirror(ctx, w, "", false, func(m *mirror, _ *resolver) error {
		mapped, err := c.filled(w.Tx)
		if err != nil {
			return err
		}
		return append(c.conflicts(m.usage()), mapped...).OrNil()
	})
	if err != nil {
		return err
	}
	return c.dropValues(w.Tx)
}

// filled names the mapper sets and matchers that give values to attributes which the new definition of an identity template
// leaves out. They would not be accepted any more as they are.
func (c *templateChange) filled(tx *store.Tx) (model.Errors, error) {
	if c.side != model.SideIdentity || len(c.gone) == 0 {
		return nil, nil
	}
	sets, err := partsOf(tx, mapperSetKind(), c.id)
	if err != nil {
		return nil, err
	}
	var errs model.Errors
	for _, id := range c.gone {
		var users []string
		for i := range sets {
			if mapsAttribute(&sets[i], id) {
				users = append(users, sets[i].ID)
			}
		}
		if len(users) > 0 {
			errs = append(errs, inUse("Attribute", string(id), "mapper set", users))
		}
	}
	err = each(tx.IdentityWorkspaces.FindAll(), func(ws model.IdentityWorkspace) {
		if ws.TemplateID != c.id || ws.Matcher == nil {
			return
		}
		for _, id := range c.gone {
			if _, claimed := ws.Matcher.ClaimMappings[id]; claimed {
				errs = append(errs, inUse("Attribute", string(id), "matcher", []string{string(ws.ID)}))
			}
		}
	})
	return errs, err
}

// RenameIdentityTemplate gives a template another id. Its workspace, groups, sources, mapper sets and identities follow, and
// so do the conditions, rulesets and policies that name it.
func (s *Service) RenameIdentityTemplate(ctx context.Context, call Call, env model.EnvironmentID, from, to model.TemplateID) (Done, error) {
	return renameObject(ctx, s, &call, env, identityTemplateKind(), from, to, func(w *writer, t *model.IdentityTemplate) error {
		t.ID = to
		ws, err := w.IdentityWorkspaces.Find(t.WorkspaceID)
		if err != nil {
			return err
		}
		ws.TemplateID = to
		if _, err := put(w, identityWorkspaceSubject(), w.IdentityWorkspaces, ws.ID, ws); err != nil {
			return err
		}
		if err := w.reownSources(from, to); err != nil {
			return err
		}
		err = s.overMirror(ctx, w, "", false, func(m *mirror, _ *resolver) error { return w.renameIdentity(m, from, &ws) })
		if err != nil {
			return err
		}
		_, err = w.MoveRecords(store.Identities, from, to)
		if errors.Is(err, store.ErrTaken) {
			return alreadyExists("IdentityTemplate", string(to))
		}
		return err
	})
}

// reownSources gives the sources and mapper sets of a template to its new id. Their forms do not show it, so they have no
// events beside that of the template.
func (w *writer) reownSources(from, to model.TemplateID) error {
	sources, err := partsOf(w.Tx, identitySourceKind(), from)
	if err != nil {
		return err
	}
	for _, source := range sources {
		source.TemplateID = to
		if err := rekey(w.IdentitySources, ownedKey(from, source.ID), source); err != nil {
			return err
		}
	}
	sets, err := partsOf(w.Tx, mapperSetKind(), from)
	if err != nil {
		return err
	}
	for _, set := range sets {
		set.TemplateID = to
		if err := rekey(w.MapperSets, ownedKey(from, set.ID), set); err != nil {
			return err
		}
	}
	return nil
}

func rekey[K comparable, V any](c store.Collection[K, V], from K, v V) error {
	if _, err := c.Delete(from); err != nil {
		return err
	}
	_, err := c.Put(v)
	return err
}

// renameIdentityIn changes the id of an identity template where a block names it, and reports whether it does.
func renameIdentityIn(b *model.Block, from, to model.TemplateID) bool {
	switch b.Kind {
	case model.KindDynamicGroup, model.KindConditionIdentity:
		if b.Template != from {
			return false
		}
		b.Template = to
		return true
	case model.KindRuleset:
		named := false
		b.Branches = slices.Clone(b.Branches)
		for i := range b.Branches {
			if b.Branches[i].IdentityTemplate == from {
				b.Branches[i].IdentityTemplate, named = to, true
			}
		}
		return named
	}
	return false
}

// namesIdentity reports whether a block is about an identity template.
func namesIdentity(b model.Block, id model.TemplateID) bool { return renameIdentityIn(&b, id, id) }

// renameIdentity makes the blocks that name an identity template name the workspace's template instead. The id of the
// predefined group is made from the template's, so it changes, and its policies with it.
func (w *writer) renameIdentity(m *mirror, from model.TemplateID, ws *model.IdentityWorkspace) error {
	old, group := model.PredefinedBlockID(model.KindDynamicGroup, from), predefinedGroup(ws)
	if err := w.putPredefined(group); err != nil {
		return err
	}
	for _, k := range m.blocks.oldestFirst() {
		if b := k.block; renameIdentityIn(&b, from, ws.TemplateID) && !b.Predefined {
			if _, err := put(w, blockSubject(), w.Blocks, b.ID, b); err != nil {
				return err
			}
		}
	}
	sub, err := storedPolicySubject(w.Tx)
	if err != nil {
		return err
	}
	for _, id := range m.usersOf(map[model.BlockID]bool{old: true}, "") {
		at, _ := m.place(id)
		p := *m.policies[at].policy
		p.DynamicGroups, _ = swap(p.DynamicGroups, old, group.ID)
		if _, err := put(w, sub, w.Policies, id, p); err != nil {
			return err
		}
	}
	_, err = w.Blocks.Delete(old) // part of its template's event
	return err
}
