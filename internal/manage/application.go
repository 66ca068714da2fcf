package manage

import (
	"context"
	"errors"
	"iter"

	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

func applicationKind() *kind[model.ApplicationID, model.Application] {
	return &kind[model.ApplicationID, model.Application]{
		name: "Application", subject: applicationSubject(),
		in: func(tx *store.Tx) store.Collection[model.ApplicationID, model.Application] { return tx.Applications },
		id: func(id model.ApplicationID) string { return string(id) },
	}
}

// ImportApplication makes an application of the workspace from its exported form, or replaces the whole definition of the
// one that has its id (management-api.md 10).
func (s *Service) ImportApplication(ctx context.Context, call Call, env model.EnvironmentID, workspace model.WorkspaceID, body []byte) (Stored[model.Application], Done, error) {
	app, err := form.ParseApplication(body)
	if err != nil {
		return Stored[model.Application]{}, Done{}, err
	}
	app.WorkspaceID = workspace
	k := applicationKind()
	k.first = func(tx *store.Tx) error { return authorizationWorkspace(tx, workspace) }
	return changeObject(ctx, s, &call, env, k, app.ID, func(w *writer, before *model.Application) (model.Application, error) {
		if err := w.checkApplication(before, &app, nil); err != nil {
			return app, err
		}
		return app, w.tieMapperSet(&app)
	})
}

// checkApplication: an application stays in its workspace, and its asset types are of that workspace (management-api.md 10,
// A8). broken, when not nil, gives the error of an asset type that cannot be used for a reason of its own.
func (w *writer) checkApplication(before, app *model.Application, broken func(model.TemplateID) *model.Error) error {
	if before != nil && before.WorkspaceID != app.WorkspaceID {
		return alreadyExists("Application", string(app.ID))
	}
	var errs model.Errors
	for _, id := range app.AssetTemplateIDs {
		if broken != nil {
			if err := broken(id); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		t, err := w.AssetTemplates.Find(id)
		if errors.Is(err, store.ErrNotFound) || err == nil && t.WorkspaceID != app.WorkspaceID {
			errs = append(errs, missingResource("AssetTemplate", string(id)))
		} else if err != nil {
			return err
		}
	}
	return errs.OrNil()
}

// FindApplication reads one application.
func (s *Service) FindApplication(ctx context.Context, env model.EnvironmentID, id model.ApplicationID) (Stored[model.Application], error) {
	return findObject(ctx, s, env, applicationKind(), id)
}

// RenameApplication gives an application another id: scopes, the headers of policies and its API mapper set follow in the
// same commit.
func (s *Service) RenameApplication(ctx context.Context, call Call, env model.EnvironmentID, from, to model.ApplicationID) (Done, error) {
	return renameObject(ctx, s, &call, env, applicationKind(), from, to, func(w *writer, app *model.Application) error {
		app.ID = to
		return s.overMirror(ctx, w, app.WorkspaceID, false, func(m *mirror, _ *resolver) error {
			if err := w.swapApplication(from, to, m.allPolicies()); err != nil {
				return err
			}
			return w.tieMapperSet(app) // one that waited for the new id
		})
	})
}

// DeleteApplication deletes an application with its links to scopes, its id in the headers of policies and its API mapper
// set. Policies stay; what only this application made reachable is granted no more.
func (s *Service) DeleteApplication(ctx context.Context, call Call, env model.EnvironmentID, id model.ApplicationID) (Done, error) {
	return removeObject(ctx, s, &call, env, applicationKind(), id, func(w *writer, app *model.Application) error {
		return s.overMirror(ctx, w, app.WorkspaceID, false, func(m *mirror, _ *resolver) error {
			return w.swapApplication(id, "", m.allPolicies())
		})
	})
}

// swapApplication puts another application, or with "" none, in the place of one in scopes and in the headers of the
// given policies; its API mapper set follows (policy-model.md 3.12).
func (w *writer) swapApplication(from, to model.ApplicationID, policies iter.Seq[*model.Policy]) error {
	if err := w.moveMapperSet(from, to); err != nil {
		return err
	}
	for scope, err := range w.Scopes.FindAll() {
		if err != nil {
			return err
		}
		var linked bool
		if scope.ApplicationIDs, linked = swap(scope.ApplicationIDs, from, to); !linked {
			continue
		}
		if _, err := w.putScope(scope); err != nil {
			return err
		}
	}
	sub, err := storedPolicySubject(w.Tx)
	if err != nil {
		return err
	}
	for stored := range policies {
		p := *stored
		var named bool
		if p.Applications, named = swap(p.Applications, from, to); !named {
			continue
		}
		if _, err := put(w, sub, w.Policies, p.ID, p); err != nil {
			return err
		}
	}
	return nil
}

// allPolicies are those of the mirror, by id.
func (m *mirror) allPolicies() iter.Seq[*model.Policy] {
	return func(yield func(*model.Policy) bool) {
		for i := range m.policies {
			if !yield(m.policies[i].policy) {
				return
			}
		}
	}
}
