package manage

import (
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// identityWorkspaces brings workspaces and their templates: each folder has exactly one template file, unless the
// workspace is there already (management-api.md 21.1 rule 3).
func (a *applier) identityWorkspaces() error {
	stored := map[string]*model.IdentityWorkspace{}
	ofTemplate := map[string]string{}
	var names []string
	err := each(a.w.IdentityWorkspaces.FindAll(), func(ws model.IdentityWorkspace) {
		stored[ws.Name] = &ws
		ofTemplate[string(ws.TemplateID)] = ws.Name
		names = append(names, ws.Name)
	})
	if err != nil {
		return err
	}
	for _, f := range a.layout.identity {
		about, ok, err := a.about(kindIdentityWorkspaces, f)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		name := a.workspaceName(f, about, names)
		if existing, ok := ofTemplate[f.name]; ok && f.byTemplate {
			name = existing
		}
		if !within(a.o.IdentityWs, f.nameInArchive(), name) {
			a.skip(f, "identityWs")
			continue
		}
		if err := a.identityWorkspace(f, name, stored[name], about); err != nil {
			return err
		}
		stored[name] = a.identity[f] // two folders can be renamed to one workspace
	}
	return nil
}

// identityWorkspace brings one workspace: what its file says, if it is there, and its template. One that is not there is
// made together with its template.
func (a *applier) identityWorkspace(f *folder, name string, ws *model.IdentityWorkspace, about *workspaceAbout) error {
	templates := f.files[kindIdentityTemplates]
	switch {
	case ws == nil && len(templates) == 0:
		a.fail(kindIdentityWorkspaces, f.path, f.name, model.Invalidf("the workspace is new and has no identity template"))
		return nil
	case ws == nil:
		made := model.IdentityWorkspace{Name: name}
		about.describe(&made)
		ws = &made
	default:
		next := *ws
		about.describe(&next)
		if err := next.Validate(); err != nil {
			a.fail(kindIdentityWorkspaces, f.path, name, err)
			return nil
		}
		if about != nil {
			result, err := put(a.w, identityWorkspaceSubject(), a.w.IdentityWorkspaces, ws.ID, next)
			if err := a.applied(kindIdentityWorkspaces, f.path, name, result, err); err != nil {
				return err
			}
		}
		ws = &next
		a.identity[f] = ws
	}
	for i, file := range templates {
		err := a.file(kindIdentityTemplates, file, func(body []byte) (string, error) {
			if i > 0 {
				return "", model.Invalidf("an identity workspace has one identity template, the first is %s", templates[0].Path)
			}
			return a.identityTemplate(f, file.Path, ws, body)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// identityTemplate stores the template of a workspace; one without an id is made.
func (a *applier) identityTemplate(f *folder, path string, ws *model.IdentityWorkspace, body []byte) (string, error) {
	t, err := form.ParseIdentityTemplate(body)
	id := string(t.ID)
	if err != nil {
		return id, err
	}
	if err := a.once(kindIdentityTemplates, id, path); err != nil {
		return id, err
	}
	var before *model.IdentityTemplate
	stored, err := a.w.IdentityTemplates.Find(t.ID)
	if err == nil {
		before = &stored
	} else if !errors.Is(err, store.ErrNotFound) {
		return id, err
	}
	if err := ownTemplate(ws, before, t.ID); err != nil {
		return id, err
	}
	if ws.ID == "" {
		ws.ID, ws.TemplateID = model.WorkspaceID(uuid.NewString()), t.ID
		if err := ws.Validate(); err != nil {
			return id, err
		}
		result, err := put(a.w, identityWorkspaceSubject(), a.w.IdentityWorkspaces, ws.ID, *ws)
		if err != nil {
			return id, err
		}
		a.done(kindIdentityWorkspaces, f.path, ws.Name, result, nil)
		a.identity[f] = ws
	}
	t.WorkspaceID = ws.ID
	if before != nil {
		if err := a.replaces(kindIdentityTemplates, path, identityTemplateChange(before, &t)); err != nil {
			return id, err
		}
	}
	result, err := a.w.putIdentityTemplate(ws, t)
	if err != nil {
		return id, err
	}
	stated, err := form.StatedIdentityTemplate(body)
	a.done(kindIdentityTemplates, path, id, result, placedWarnings(body, stated.CalculationWarnings()))
	return id, err
}

// identityFiles runs fn on all files of a kind below the identity workspaces. Files of a workspace whose template is
// broken fail with that reason.
func (a *applier) identityFiles(kind string, fn func(f *folder, ws *model.IdentityWorkspace, file archive.File, body []byte) (string, error)) error {
	for _, f := range a.layout.identity {
		for _, file := range f.files[kind] {
			err := a.file(kind, file, func(body []byte) (string, error) {
				ws, err := a.identityWorkspaceOf(f)
				if err != nil {
					return "", err
				}
				return fn(f, ws, file, body)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *applier) identityWorkspaceOf(f *folder) (*model.IdentityWorkspace, error) {
	ws := a.identity[f]
	if ws == nil {
		return nil, follows("needs the workspace %s, which has errors", f.path)
	}
	if err := a.needs(kindIdentityTemplates, string(ws.TemplateID)); err != nil {
		return nil, err
	}
	return ws, nil
}

func (a *applier) identitySources() error {
	return a.identityFiles(kindIdentitySources, func(_ *folder, ws *model.IdentityWorkspace, file archive.File, body []byte) (string, error) {
		sources, err := form.ParseIdentitySources(body)
		if err != nil {
			return "", err
		}
		for _, source := range sources {
			source.TemplateID = ws.TemplateID
			key := ownedKey(ws.TemplateID, source.ID)
			if err := a.once(kindIdentitySources, key.String(), file.Path); err != nil {
				return "", err
			}
			result, err := put(a.w, identitySourceSubject(), a.w.IdentitySources, key, source)
			if err := a.applied(kindIdentitySources, file.Path, source.ID, result, err); err != nil {
				return "", err
			}
		}
		return string(ws.TemplateID), nil
	})
}

func (a *applier) mapperSets() error {
	return a.identityFiles(kindMapperSets, func(f *folder, ws *model.IdentityWorkspace, file archive.File, body []byte) (string, error) {
		set, err := form.ParseMapperSet(body)
		if err != nil {
			return set.ID, err
		}
		set.TemplateID = ws.TemplateID
		key := ownedKey(ws.TemplateID, set.ID)
		if err := a.once(kindMapperSets, key.String(), file.Path); err != nil {
			return set.ID, err
		}
		if err := checkLinks(a.w.Tx, &set); err != nil {
			return set.ID, a.sourcesMissing(f, err)
		}
		result, err := put(a.w, mapperSetSubject(), a.w.MapperSets, key, set)
		return set.ID, a.applied(kindMapperSets, file.Path, set.ID, result, err)
	})
}

// sourcesMissing adds to errors about sources of a folder that are missing that their file is broken.
func (a *applier) sourcesMissing(f *folder, err error) error {
	var errs model.Errors
	if !errors.As(err, &errs) {
		return err
	}
	out := slices.Clone(errs)
	for i, e := range errs {
		if e.Code == "EMIS-001" {
			out[i] = a.because(e, f.files[kindIdentitySources])
		}
	}
	return out
}

// checkSources looks at the sources of the templates that the archive brought sources of, once those that it lacks are gone.
func (a *applier) checkSources() error {
	for _, f := range a.layout.identity {
		for _, file := range f.files[kindIdentitySources] {
			ws := a.identity[f]
			if ws == nil || a.bad[file.Path] {
				continue
			}
			err := repeatedType(a.w.Tx, ws.TemplateID)
			if err := a.settle(kindIdentitySources, file.Path, string(ws.TemplateID), err, true); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *applier) matchers() error {
	err := a.identityFiles(kindMatchers, func(f *folder, ws *model.IdentityWorkspace, file archive.File, body []byte) (string, error) {
		m, err := form.ParseMatcher(body)
		if err != nil {
			return ws.Name, err
		}
		next := *ws
		next.Matcher = m
		unknown, err := unknownClaims(a.w.Tx, &next)
		if err := errors.Join(err, unknown.OrNil()); err != nil {
			return ws.Name, err
		}
		result, err := put(a.w, identityWorkspaceSubject(), a.w.IdentityWorkspaces, ws.ID, next)
		if err == nil {
			a.identity[f] = &next
			a.seen[objectRef{kindMatchers, string(ws.ID)}] = file.Path
		}
		return ws.Name, a.applied(kindMatchers, file.Path, ws.Name, result, err)
	})
	if err != nil {
		return err
	}
	return a.checkMatchers()
}

// checkMatchers looks at the matchers that the archive brought once all of them are stored, since they may swap. Of
// files that bring the same one none is taken: which one is meant cannot be known.
func (a *applier) checkMatchers() error {
	for _, f := range a.layout.identity {
		for _, file := range f.files[kindMatchers] {
			ws := a.identity[f]
			if ws == nil || a.bad[file.Path] {
				continue
			}
			twin, err := matcherTwin(a.w.Tx, ws)
			if err == nil && twin != nil {
				err = matcherTaken(ws.Matcher)
			}
			if err := a.settle(kindMatchers, file.Path, ws.Name, err, true); err != nil {
				return err
			}
		}
	}
	return nil
}
