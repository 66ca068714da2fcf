package manage

import (
	"context"
	"strings"
	"unicode"

	"github.com/google/uuid"

	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

func identityWorkspaceKind() *kind[model.WorkspaceID, model.IdentityWorkspace] {
	return &kind[model.WorkspaceID, model.IdentityWorkspace]{
		name: "IdentityWorkspace", subject: identityWorkspaceSubject(),
		in: func(tx *store.Tx) store.Collection[model.WorkspaceID, model.IdentityWorkspace] {
			return tx.IdentityWorkspaces
		},
		id: func(id model.WorkspaceID) string { return string(id) },
	}
}

// FindIdentityWorkspace reads one identity workspace.
func (s *Service) FindIdentityWorkspace(ctx context.Context, env model.EnvironmentID, id model.WorkspaceID) (Stored[model.IdentityWorkspace], error) {
	return findObject(ctx, s, env, identityWorkspaceKind(), id)
}

// FindIdentityWorkspaces lists the identity workspaces by id; name limits the list when it is not empty.
func (s *Service) FindIdentityWorkspaces(ctx context.Context, env model.EnvironmentID, name string) ([]Stored[model.IdentityWorkspace], Seen, error) {
	return findObjects(ctx, s, env, identityWorkspaceKind(), func(w *model.IdentityWorkspace) (model.WorkspaceID, bool) {
		return w.ID, name == "" || w.Name == name
	})
}

// CreateIdentityWorkspace makes a workspace from the JSON body of management-api.md 17, with its template; unless the body
// says bare, with an empty mapper set. An id that only the real write would make is empty.
func (s *Service) CreateIdentityWorkspace(ctx context.Context, call Call, env model.EnvironmentID, body []byte) (Stored[model.IdentityWorkspace], Done, error) {
	f, made, err := newWorkspaceForm(body)
	if err != nil {
		return Stored[model.IdentityWorkspace]{}, Done{}, err
	}
	out, done, err := s.putIdentityWorkspace(ctx, call, env, model.WorkspaceID(*f.ID), false, func([]byte) (form.IdentityWorkspace, error) { return f, nil })
	if made && call.DryRun {
		out.Object.ID = ""
	}
	return out, done, err
}

// PutIdentityWorkspace replaces a workspace, or makes it as CreateIdentityWorkspace does. Its template keeps its id, which
// is changed by renaming the template.
func (s *Service) PutIdentityWorkspace(ctx context.Context, call Call, env model.EnvironmentID, id model.WorkspaceID, body []byte) (Stored[model.IdentityWorkspace], Done, error) {
	return s.putIdentityWorkspace(ctx, call, env, id, true, func([]byte) (form.IdentityWorkspace, error) { return workspaceFormOf(body, id) })
}

// PatchIdentityWorkspace changes a workspace by a JSON merge patch (RFC 7396).
func (s *Service) PatchIdentityWorkspace(ctx context.Context, call Call, env model.EnvironmentID, id model.WorkspaceID, patch []byte) (Stored[model.IdentityWorkspace], Done, error) {
	return s.putIdentityWorkspace(ctx, call, env, id, true, func(before []byte) (form.IdentityWorkspace, error) {
		if before == nil {
			return form.IdentityWorkspace{}, missingResource("IdentityWorkspace", string(id))
		}
		return patchedWorkspace(before, patch, id)
	})
}

// putIdentityWorkspace stores what read makes of the form of the stored workspace, nil when there is none.
func (s *Service) putIdentityWorkspace(ctx context.Context, call Call, env model.EnvironmentID, id model.WorkspaceID, replace bool,
	read func(before []byte) (form.IdentityWorkspace, error),
) (Stored[model.IdentityWorkspace], Done, error) {
	return changeObject(ctx, s, &call, env, identityWorkspaceKind(), id, func(w *writer, before *model.IdentityWorkspace) (ws model.IdentityWorkspace, err error) {
		if before != nil && !replace {
			return ws, alreadyExists("IdentityWorkspace", string(id))
		}
		var stored []byte
		if before != nil {
			stored = form.FormatIdentityWorkspace(before)
		}
		f, err := read(stored)
		if err != nil {
			return ws, err
		}
		if ws, err = f.Model(id, before); err != nil {
			return ws, err
		}
		if err := freeName(w.IdentityWorkspaces, "IdentityWorkspace", ws.Name, func(o *model.IdentityWorkspace) (string, bool) {
			return o.Name, o.ID == ws.ID
		}); err != nil {
			return ws, err
		}
		if before == nil {
			err = w.addIdentityTemplate(&ws, f.Bare)
		} else {
			err = w.keepIdentityTemplate(before, &ws)
		}
		if err != nil {
			return ws, err
		}
		return ws, w.checkMatcher(&ws)
	})
}

// addIdentityTemplate makes the template of a new workspace, which has no attribute but uid.
func (w *writer) addIdentityTemplate(ws *model.IdentityWorkspace, bare bool) error {
	if taken, err := exists(w.IdentityTemplates, ws.TemplateID); err != nil {
		return err
	} else if taken {
		return alreadyExists("IdentityTemplate", string(ws.TemplateID))
	}
	t := model.IdentityTemplate{ID: ws.TemplateID, WorkspaceID: ws.ID}
	t.Normalize()
	if _, err := w.putIdentityTemplate(ws, t); err != nil || bare {
		return err
	}
	return w.addMapperSet(ws)
}

// keepIdentityTemplate: the template of a workspace is not exchanged. Its predefined group has the workspace's name.
func (w *writer) keepIdentityTemplate(before, ws *model.IdentityWorkspace) error {
	if before.TemplateID != ws.TemplateID {
		return alreadyExists("IdentityTemplate", string(before.TemplateID))
	}
	if before.Name == ws.Name {
		return nil
	}
	group := predefinedGroup(ws)
	err := freeName(w.Blocks, blockResource(group.Kind), group.Name, func(b *model.Block) (string, bool) {
		return b.Name, b.ID == group.ID || b.WorkspaceID != ws.ID
	})
	if err != nil {
		return err
	}
	return w.putPredefined(group)
}

// predefinedGroup holds everybody of the workspace's template (policy-model.md 3.7).
func predefinedGroup(ws *model.IdentityWorkspace) model.Block {
	return model.Block{
		ID: model.PredefinedBlockID(model.KindDynamicGroup, ws.TemplateID), Kind: model.KindDynamicGroup, WorkspaceID: ws.ID,
		Template: ws.TemplateID, Name: ws.Name + " All Users", Predefined: true, Branches: []model.Branch{{}},
	}
}

// addIdentityWorkspace makes a workspace with its template, predefined group and empty mapper set (policy-model.md 3.4).
func (w *writer) addIdentityWorkspace(name string, t model.IdentityTemplate) (model.IdentityWorkspace, error) {
	ws := model.IdentityWorkspace{ID: model.WorkspaceID(uuid.NewString()), Name: name, TemplateID: t.ID}
	if _, err := put(w, identityWorkspaceSubject(), w.IdentityWorkspaces, ws.ID, ws); err != nil {
		return ws, err
	}
	t.WorkspaceID = ws.ID
	if _, err := w.putIdentityTemplate(&ws, t); err != nil {
		return ws, err
	}
	return ws, w.addMapperSet(&ws)
}

// addMapperSet makes the empty mapper set of a new template.
func (w *writer) addMapperSet(ws *model.IdentityWorkspace) error {
	const end = "_MapperSet"
	name := []rune(ws.Name)
	set := model.MapperSet{
		TemplateID: ws.TemplateID, Name: string(name[:min(len(name), maxDisplayName-len(end))]) + end, LinkedSources: []byte("[]"),
	}
	set.ID = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return '_'
		}
		return r
	}, set.Name)
	_, err := put(w, mapperSetSubject(), w.MapperSets, ownedKey(ws.TemplateID, set.ID), set)
	return err
}

// putIdentityTemplate stores a template and the predefined group of its workspace.
func (w *writer) putIdentityTemplate(ws *model.IdentityWorkspace, t model.IdentityTemplate) (Result, error) {
	result, err := put(w, identityTemplateSubject(), w.IdentityTemplates, t.ID, t)
	if err != nil {
		return result, err
	}
	return result, w.putPredefined(predefinedGroup(ws))
}

// DeleteIdentityWorkspace deletes a workspace with its template, sources, mapper sets, groups and identities. It is
// refused while a policy uses one of its groups, or a ruleset or condition names its template (policy-model.md 3.12).
func (s *Service) DeleteIdentityWorkspace(ctx context.Context, call Call, env model.EnvironmentID, id model.WorkspaceID) (Done, error) {
	return removeObject(ctx, s, &call, env, identityWorkspaceKind(), id, func(w *writer, ws *model.IdentityWorkspace) error {
		return s.overMirror(ctx, w, "", false, func(m *mirror, r *resolver) error {
			groups, err := unusedGroups(ws, m)
			if err != nil {
				return err
			}
			for _, group := range groups {
				if err := r.drop(group); err != nil {
					return err
				}
			}
			return w.emptyIdentityWorkspace(ws)
		})
	})
}

// unusedGroups are the groups of a workspace, when nothing uses them or the template.
func unusedGroups(ws *model.IdentityWorkspace, m *mirror) ([]model.BlockID, error) {
	var groups []model.BlockID
	var policies, names []string
	users := m.usage()
	for _, k := range users.blocks {
		switch {
		case k.block.WorkspaceID == ws.ID && k.block.Kind == model.KindDynamicGroup:
			groups = append(groups, k.block.ID)
			policies = append(policies, users.ofBlock(k.block.ID)...)
		case namesIdentity(k.block, ws.TemplateID):
			names = append(names, k.block.Name)
		}
	}
	var errs model.Errors
	if len(policies) > 0 {
		errs = append(errs, inUse("IdentityWorkspace", string(ws.ID), "policy", policies))
	}
	if len(names) > 0 {
		errs = append(errs, inUse("IdentityTemplate", string(ws.TemplateID), "building block", names))
	}
	return groups, errs.OrNil()
}

func (w *writer) emptyIdentityWorkspace(ws *model.IdentityWorkspace) error {
	err := removeAll(w, mapperSetSubject(), w.MapperSets, func(m *model.MapperSet) (store.Key, bool) {
		return ownedKey(m.TemplateID, m.ID), m.TemplateID == ws.TemplateID
	}, nil)
	if err != nil {
		return err
	}
	err = removeAll(w, identitySourceSubject(), w.IdentitySources, func(s *model.IdentitySource) (store.Key, bool) {
		return ownedKey(s.TemplateID, s.ID), s.TemplateID == ws.TemplateID
	}, nil)
	if err != nil {
		return err
	}
	if _, err := w.Identities(ws.TemplateID).Clear(); err != nil {
		return err
	}
	_, err = remove(w, identityTemplateSubject(), w.IdentityTemplates, ws.TemplateID)
	return err
}
