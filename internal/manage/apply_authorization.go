package manage

import (
	"errors"

	"github.com/google/uuid"

	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

func (a *applier) customAttributes() error {
	for _, file := range a.layout.environment.files[kindCustomAttributes] {
		err := a.file(kindCustomAttributes, file, func(body []byte) (string, error) {
			definitions, err := form.ParseCustomAttributes(body)
			if err != nil {
				return "", err
			}
			for _, d := range definitions {
				if err := a.once(kindCustomAttributes, d.Key, file.Path); err != nil {
					return "", err
				}
				result, err := put(a.w, customAttributeSubject(), a.w.CustomAttributes, d.Key, d)
				if result == Updated {
					a.redefined = append(a.redefined, d)
				}
				if err := a.applied(kindCustomAttributes, file.Path, d.Key, result, err); err != nil {
					return "", err
				}
			}
			return "", nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) authorizationWorkspaces() error {
	stored := map[string]*model.AuthorizationWorkspace{}
	var names []string
	err := each(a.w.AuthorizationWorkspaces.FindAll(), func(ws model.AuthorizationWorkspace) {
		stored[ws.Name] = &ws
		names = append(names, ws.Name)
	})
	if err != nil {
		return err
	}
	for _, f := range a.layout.authorization {
		about, ok, err := a.about(kindAuthorizationWorkspaces, f)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		name := a.workspaceName(f, about, names)
		if !within(a.o.AuthWs, f.nameInArchive(), name) {
			a.skip(f, "authWs")
			continue
		}
		ws, err := a.authorizationWorkspace(f, name, stored[name], about)
		if err != nil {
			return err
		}
		if ws != nil {
			stored[name] = ws // two folders can be renamed to one workspace
			a.authorization[f] = ws
		}
	}
	return nil
}

// authorizationWorkspace makes a workspace that is not there, and gives one that is there what its file says. It returns
// nil when the workspace has errors.
func (a *applier) authorizationWorkspace(f *folder, name string, before *model.AuthorizationWorkspace, about *workspaceAbout) (*model.AuthorizationWorkspace, error) {
	if before != nil && about == nil {
		return before, nil
	}
	ws := model.AuthorizationWorkspace{ID: model.WorkspaceID(uuid.NewString()), Name: name}
	if before != nil {
		ws = *before
	}
	if about != nil {
		ws.Description, ws.LogoURL = about.Description, about.LogoURL
	}
	if err := ws.Validate(); err != nil {
		a.fail(kindAuthorizationWorkspaces, f.path, name, err)
		return nil, nil
	}
	result, err := put(a.w, authorizationWorkspaceSubject(), a.w.AuthorizationWorkspaces, ws.ID, ws)
	return &ws, a.applied(kindAuthorizationWorkspaces, f.path, name, result, err)
}

// authorizationFiles runs fn on all files of a kind below the authorization workspaces.
func (a *applier) authorizationFiles(kind string, fn func(ws *model.AuthorizationWorkspace, file archive.File, body []byte) (string, error)) error {
	for _, f := range a.layout.authorization {
		for _, file := range f.files[kind] {
			err := a.file(kind, file, func(body []byte) (string, error) {
				ws := a.authorization[f]
				if ws == nil {
					return "", follows("needs the workspace %s, which has errors", f.path)
				}
				return fn(ws, file, body)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *applier) assetTypes() error {
	err := a.authorizationFiles(kindAssetTypes, func(ws *model.AuthorizationWorkspace, file archive.File, body []byte) (string, error) {
		t, err := form.ParseAssetTemplate(body)
		id := string(t.ID)
		if err != nil {
			return id, err
		}
		if err := a.once(kindAssetTypes, id, file.Path); err != nil {
			return id, err
		}
		t.WorkspaceID = ws.ID
		before, err := a.w.AssetTemplates.Find(t.ID)
		switch {
		case err == nil:
			if err := mayReplace(&before, &t); err != nil {
				return id, err
			}
			if err := a.replaces(kindAssetTypes, file.Path, assetTemplateChange(&before, &t)); err != nil {
				return id, err
			}
		case !errors.Is(err, store.ErrNotFound):
			return id, err
		}
		result, err := a.w.putAssetTemplate(t)
		if err == nil {
			a.done(kindAssetTypes, file.Path, id, result, placedWarnings(body, t.CalculationWarnings()))
		}
		return id, err
	})
	if err != nil {
		return err
	}
	return a.checkTypeNames()
}

// checkTypeNames: display names of asset types are unique in the environment (policy-model.md 3.2).
func (a *applier) checkTypeNames() error {
	taken := map[string]model.TemplateID{}
	return each(a.w.AssetTemplates.FindAll(), func(t model.AssetTemplate) {
		other, clash := taken[t.DisplayName]
		taken[t.DisplayName] = t.ID
		if !clash {
			return
		}
		for _, id := range []model.TemplateID{t.ID, other} {
			if path, ours := a.seen[objectRef{kindAssetTypes, string(id)}]; ours {
				err := alreadyExists("AssetTemplate", t.DisplayName)
				a.fail(kindAssetTypes, path, string(id), err)
				a.lateFailure(path, string(id), err)
				return
			}
		}
	})
}

func (a *applier) requestAttributes() error {
	return a.authorizationFiles(kindRequestAttributes, func(ws *model.AuthorizationWorkspace, file archive.File, body []byte) (string, error) {
		attributes, err := form.ParseRequestAttributes(body)
		if err != nil {
			return "", err
		}
		for _, attribute := range attributes {
			attribute.WorkspaceID = ws.ID
			key := store.Key{Owner: string(ws.ID), ID: string(attribute.ID)}
			if err := a.once(kindRequestAttributes, key.String(), file.Path); err != nil {
				return "", err
			}
			result, err := put(a.w, requestAttributeSubject(), a.w.RequestAttributes, key, attribute)
			if err := a.applied(kindRequestAttributes, file.Path, string(attribute.ID), result, err); err != nil {
				return "", err
			}
		}
		return "", nil
	})
}

func (a *applier) applications() error {
	return a.authorizationFiles(kindApplications, func(ws *model.AuthorizationWorkspace, file archive.File, body []byte) (string, error) {
		app, err := form.ParseApplication(body)
		id := string(app.ID)
		if err != nil {
			return id, err
		}
		if err := a.once(kindApplications, id, file.Path); err != nil {
			return id, err
		}
		app.WorkspaceID = ws.ID
		var before *model.Application
		if found, err := a.w.Applications.Find(app.ID); err == nil {
			before = &found
		} else if !errors.Is(err, store.ErrNotFound) {
			return id, err
		}
		broken := func(id model.TemplateID) *model.Error { return a.needs(kindAssetTypes, string(id)) }
		if err := a.w.checkApplication(before, &app, broken); err != nil {
			return id, err
		}
		if err := a.w.tieMapperSet(&app); err != nil {
			return id, err
		}
		result, err := put(a.w, applicationSubject(), a.w.Applications, app.ID, app)
		return id, a.applied(kindApplications, file.Path, id, result, err)
	})
}
