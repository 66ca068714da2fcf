package manage

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

func authorizationWorkspaceKind() *kind[model.WorkspaceID, model.AuthorizationWorkspace] {
	return &kind[model.WorkspaceID, model.AuthorizationWorkspace]{
		name: "AuthorizationWorkspace", subject: authorizationWorkspaceSubject(),
		in: func(tx *store.Tx) store.Collection[model.WorkspaceID, model.AuthorizationWorkspace] {
			return tx.AuthorizationWorkspaces
		},
		id: func(id model.WorkspaceID) string { return string(id) },
	}
}

// FindAuthorizationWorkspace reads one authorization workspace.
func (s *Service) FindAuthorizationWorkspace(ctx context.Context, env model.EnvironmentID, id model.WorkspaceID) (Stored[model.AuthorizationWorkspace], error) {
	return findObject(ctx, s, env, authorizationWorkspaceKind(), id)
}

// FindAuthorizationWorkspaces lists the authorization workspaces by id; name limits the list when it is not empty.
func (s *Service) FindAuthorizationWorkspaces(ctx context.Context, env model.EnvironmentID, name string) ([]Stored[model.AuthorizationWorkspace], Seen, error) {
	return findObjects(ctx, s, env, authorizationWorkspaceKind(), func(w *model.AuthorizationWorkspace) (model.WorkspaceID, bool) {
		return w.ID, name == "" || w.Name == name
	})
}

// CreateAuthorizationWorkspace makes a workspace from the JSON body of management-api.md 17; unless that says bare, with
// the asset type Claims and an application that holds it. An id that only the real write would make is empty.
func (s *Service) CreateAuthorizationWorkspace(ctx context.Context, call Call, env model.EnvironmentID, body []byte) (Stored[model.AuthorizationWorkspace], Done, error) {
	f, made, err := newWorkspaceForm(body)
	if err != nil {
		return Stored[model.AuthorizationWorkspace]{}, Done{}, err
	}
	out, done, err := s.putAuthorizationWorkspace(ctx, call, env, model.WorkspaceID(*f.ID), false, func([]byte) (form.IdentityWorkspace, error) { return f, nil })
	if made && call.DryRun {
		out.Object.ID = ""
	}
	return out, done, err
}

// PutAuthorizationWorkspace replaces a workspace, or makes it as CreateAuthorizationWorkspace does.
func (s *Service) PutAuthorizationWorkspace(ctx context.Context, call Call, env model.EnvironmentID, id model.WorkspaceID, body []byte) (Stored[model.AuthorizationWorkspace], Done, error) {
	return s.putAuthorizationWorkspace(ctx, call, env, id, true, func([]byte) (form.IdentityWorkspace, error) { return workspaceFormOf(body, id) })
}

// PatchAuthorizationWorkspace changes a workspace by a JSON merge patch (RFC 7396).
func (s *Service) PatchAuthorizationWorkspace(ctx context.Context, call Call, env model.EnvironmentID, id model.WorkspaceID, patch []byte) (Stored[model.AuthorizationWorkspace], Done, error) {
	return s.putAuthorizationWorkspace(ctx, call, env, id, true, func(before []byte) (form.IdentityWorkspace, error) {
		if before == nil {
			return form.IdentityWorkspace{}, missingResource("AuthorizationWorkspace", string(id))
		}
		return patchedWorkspace(before, patch, id)
	})
}

// putAuthorizationWorkspace stores what read makes of the form of the stored workspace, nil when there is none.
func (s *Service) putAuthorizationWorkspace(ctx context.Context, call Call, env model.EnvironmentID, id model.WorkspaceID, replace bool,
	read func(before []byte) (form.IdentityWorkspace, error),
) (Stored[model.AuthorizationWorkspace], Done, error) {
	return changeObject(ctx, s, &call, env, authorizationWorkspaceKind(), id, func(w *writer, before *model.AuthorizationWorkspace) (ws model.AuthorizationWorkspace, err error) {
		if before != nil && !replace {
			return ws, alreadyExists("AuthorizationWorkspace", string(id))
		}
		var stored []byte
		if before != nil {
			stored = form.FormatAuthorizationWorkspace(before)
		}
		f, err := read(stored)
		if err != nil {
			return ws, err
		}
		ws = model.AuthorizationWorkspace{ID: id, Name: f.Name, Description: f.Description, LogoURL: f.LogoURL}
		if err := ws.Validate(); err != nil {
			return ws, err
		}
		if err := freeName(w.AuthorizationWorkspaces, "AuthorizationWorkspace", ws.Name, func(o *model.AuthorizationWorkspace) (string, bool) {
			return o.Name, o.ID == ws.ID
		}); err != nil {
			return ws, err
		}
		if before == nil && !f.Bare {
			err = w.addClaims(&ws)
		}
		return ws, err
	})
}

// freeName refuses the name of another object of the collection.
func freeName[K comparable, V any](c store.Collection[K, V], resource, name string, of func(*V) (name string, own bool)) error {
	taken := false
	err := each(c.FindAll(), func(v V) {
		other, own := of(&v)
		taken = taken || !own && other == name
	})
	if err == nil && taken {
		return alreadyExists(resource, name)
	}
	return err
}

// DeleteAuthorizationWorkspace deletes a workspace with everything in it. While it has policies, cascade must be set
// (policy-model.md 3.12).
func (s *Service) DeleteAuthorizationWorkspace(ctx context.Context, call Call, env model.EnvironmentID, id model.WorkspaceID, cascade bool) (Done, error) {
	return removeObject(ctx, s, &call, env, authorizationWorkspaceKind(), id, func(w *writer, ws *model.AuthorizationWorkspace) error {
		return s.overMirror(ctx, w, ws.ID, false, func(m *mirror, r *resolver) error {
			return w.emptyAuthorizationWorkspace(ws, m, r, cascade)
		})
	})
}

func (w *writer) emptyAuthorizationWorkspace(ws *model.AuthorizationWorkspace, m *mirror, r *resolver, cascade bool) error {
	own := map[model.PolicyID]bool{}
	var policies []string
	for i := range m.policies {
		if p := &m.policies[i]; p.workspace == ws.ID {
			own[p.policy.ID] = true
			policies = append(policies, string(p.policy.ID))
		}
	}
	if len(policies) > 0 && !cascade {
		return inUse("AuthorizationWorkspace", string(ws.ID), "policy", policies)
	}
	blocks := slices.DeleteFunc(r.oldestFirst(), func(k *knownBlock) bool { return k.block.WorkspaceID != ws.ID })
	if err := usedElsewhere(ws, m, blocks, own); err != nil {
		return err
	}
	sub, err := storedPolicySubject(w.Tx)
	if err != nil {
		return err
	}
	for _, id := range policies {
		if _, err := remove(w, sub, w.Policies, model.PolicyID(id)); err != nil {
			return err
		}
	}
	if err := w.dropApplications(ws.ID, m, own); err != nil {
		return err
	}
	for _, k := range blocks {
		if err := r.drop(k.block.ID); err != nil {
			return err
		}
	}
	err = removeAll(w, assetTemplateSubject(), w.AssetTemplates, func(t *model.AssetTemplate) (model.TemplateID, bool) {
		return t.ID, t.WorkspaceID == ws.ID
	}, func(t *model.AssetTemplate) error {
		_, err := w.Assets(t.ID).Clear()
		return err
	})
	if err != nil {
		return err
	}
	err = removeAll(w, apiMapperSetSubject(), w.APIMapperSets, func(s *model.APIMapperSet) (model.ApplicationID, bool) {
		return s.ID, s.WorkspaceID == ws.ID
	}, nil)
	if err != nil {
		return err
	}
	return removeAll(w, requestAttributeSubject(), w.RequestAttributes, func(a *model.RequestAttribute) (store.Key, bool) {
		return store.Key{Owner: string(a.WorkspaceID), ID: string(a.ID)}, a.WorkspaceID == ws.ID
	}, nil)
}

// usedElsewhere refuses to lose blocks that policies outside their workspace use.
func usedElsewhere(ws *model.AuthorizationWorkspace, m *mirror, blocks []*knownBlock, own map[model.PolicyID]bool) error {
	var users []string
	for _, k := range blocks {
		for id := range m.users[k.block.ID] {
			if !own[id] {
				users = append(users, string(id))
			}
		}
	}
	if len(users) > 0 {
		return inUse("AuthorizationWorkspace", string(ws.ID), "policy", users)
	}
	return nil
}

// dropApplications deletes the applications of a workspace and what names them outside. Policies that are gone are passed
// over.
func (w *writer) dropApplications(ws model.WorkspaceID, m *mirror, gone map[model.PolicyID]bool) error {
	left := func(yield func(*model.Policy) bool) {
		for p := range m.allPolicies() {
			if !gone[p.ID] && !yield(p) {
				return
			}
		}
	}
	return removeAll(w, applicationSubject(), w.Applications, func(a *model.Application) (model.ApplicationID, bool) {
		return a.ID, a.WorkspaceID == ws
	}, func(a *model.Application) error { return w.swapApplication(a.ID, "", left) })
}

// removeAll deletes the objects of a collection that which chooses, each with its event and after prepare, which may be
// nil.
func removeAll[K comparable, V any](w *writer, s *subject[V], c store.Collection[K, V], which func(*V) (K, bool), prepare func(*V) error) error {
	var chosen []V
	err := each(c.FindAll(), func(v V) {
		if _, ok := which(&v); ok {
			chosen = append(chosen, v)
		}
	})
	for i := range chosen {
		if err == nil && prepare != nil {
			err = prepare(&chosen[i])
		}
		if err != nil {
			return err
		}
		key, _ := which(&chosen[i])
		_, err = remove(w, s, c, key)
	}
	return err
}

// addAuthorizationWorkspace makes a workspace; unless bare, with what addClaims makes.
func (w *writer) addAuthorizationWorkspace(name string, bare bool) (model.AuthorizationWorkspace, error) {
	ws := model.AuthorizationWorkspace{ID: model.WorkspaceID(uuid.NewString()), Name: name}
	if _, err := put(w, authorizationWorkspaceSubject(), w.AuthorizationWorkspaces, ws.ID, ws); err != nil || bare {
		return ws, err
	}
	return ws, w.addClaims(&ws)
}

// addClaims makes the asset type Claims and an application holding it. Ids and names that are taken in the environment are
// passed over (policy-model.md 2.2).
func (w *writer) addClaims(ws *model.AuthorizationWorkspace) error {
	claims := model.AssetTemplate{
		ID: "Claims", WorkspaceID: ws.ID, DisplayName: "Claims", Source: model.SourcePlainID,
		Attributes: []model.AssetAttribute{
			{ID: "claimKey", DisplayName: "Claim Key", Type: model.String, IsAvailableForPolicies: true},
			{ID: "claimValue", DisplayName: "Claim Value", Type: model.String, IsAvailableForPolicies: true},
			{ID: model.AttributePath, DisplayName: "Asset ID", Type: model.String, IsAvailableForPolicies: true},
		},
		Actions: []model.Action{{ID: "Access", Value: "Access"}},
	}
	taken := false
	err := each(w.AssetTemplates.FindAll(), func(t model.AssetTemplate) {
		taken = taken || t.ID == claims.ID || t.DisplayName == claims.DisplayName
	})
	if err != nil || taken {
		return err
	}
	if _, err := w.putAssetTemplate(claims); err != nil {
		return err
	}
	if taken, err := exists(w.Applications, "claims"); err != nil || taken {
		return err
	}
	app := model.Application{
		ID: "claims", WorkspaceID: ws.ID, DisplayName: "claims", ColorIndication: model.DefaultColor,
		AssetTemplateIDs: []model.TemplateID{claims.ID},
	}
	_, err = put(w, applicationSubject(), w.Applications, app.ID, app)
	return err
}

// newWorkspaceForm reads the form of a workspace of either kind that a call makes. made tells that the id is a new one.
func newWorkspaceForm(body []byte) (f form.IdentityWorkspace, made bool, err error) {
	if err := form.Decode(body, &f); err != nil {
		return f, false, err
	}
	if made = f.ID == nil; made {
		id := uuid.NewString()
		f.ID = &id
	}
	id, ok := model.ParseUUID(*f.ID)
	if !ok {
		return f, made, NotUUID(*f.ID)
	}
	f.ID = &id
	return f, made, nil
}

// workspaceFormOf reads the form of the workspace of that id; the id in the body is the same, or absent.
func workspaceFormOf(body []byte, id model.WorkspaceID) (f form.IdentityWorkspace, err error) {
	if err := form.Decode(body, &f); err != nil {
		return f, err
	}
	if f.ID != nil && !strings.EqualFold(*f.ID, string(id)) {
		return f, model.Errors{{Kind: model.KindInvalid, Message: "/id: differs from that of the path"}}
	}
	return f, nil
}

// patchedWorkspace is the form before with a JSON merge patch.
func patchedWorkspace(before, patch []byte, id model.WorkspaceID) (form.IdentityWorkspace, error) {
	merged, err := form.Patch(before, patch)
	if err != nil {
		return form.IdentityWorkspace{}, err
	}
	return workspaceFormOf(merged, id)
}
