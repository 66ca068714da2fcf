package manage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

func apiMapperSetKind() *kind[model.ApplicationID, model.APIMapperSet] {
	return &kind[model.ApplicationID, model.APIMapperSet]{
		name: "APIMapperSet", subject: apiMapperSetSubject(),
		in: func(tx *store.Tx) store.Collection[model.ApplicationID, model.APIMapperSet] { return tx.APIMapperSets },
		id: func(id model.ApplicationID) string { return string(id) },
	}
}

func apiMapperSetSubject() *subject[model.APIMapperSet] {
	return &subject[model.APIMapperSet]{
		resource: always[model.APIMapperSet](resourceAPIMapperSet),
		id:       func(s *model.APIMapperSet) string { return string(s.ID) },
		name:     func(s *model.APIMapperSet) string { return string(s.ID) },
		format:   form.FormatAPIMapperSet, parent: func(s *model.APIMapperSet) (string, string) {
			return resourceAuthorizationWorkspace, string(s.WorkspaceID)
		},
	}
}

// emptyMapperSet is the set of an application that has none stored (management-api.md 11).
func emptyMapperSet(app *model.Application) model.APIMapperSet {
	return model.APIMapperSet{ID: app.ID, WorkspaceID: app.WorkspaceID, ApplicationIDs: []model.ApplicationID{app.ID}}
}

// FindAPIMapperSet reads the API mapper set of an application. One without mappers has an empty set, which has no
// version while it was never stored.
func (s *Service) FindAPIMapperSet(ctx context.Context, env model.EnvironmentID, id model.ApplicationID) (Stored[model.APIMapperSet], error) {
	var out Stored[model.APIMapperSet]
	err := s.view(ctx, env, func(tx *store.Tx) (err error) {
		out, err = findMapperSet(tx, id)
		return err
	})
	return out, err
}

func findMapperSet(tx *store.Tx, id model.ApplicationID) (Stored[model.APIMapperSet], error) {
	stored, err := exists(tx.APIMapperSets, id)
	if err != nil {
		return Stored[model.APIMapperSet]{}, err
	}
	if !stored {
		app, err := tx.Applications.Find(id)
		if err == nil {
			return Stored[model.APIMapperSet]{Object: emptyMapperSet(&app), Seen: Seen{Revision: tx.Revision}}, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return Stored[model.APIMapperSet]{}, err
		}
	}
	return readObject(tx, apiMapperSetKind(), id)
}

// APIMapperSetFilter limits a list of API mapper sets; parts that are nil ask for nothing, the others must all hold.
type APIMapperSetFilter struct {
	Workspaces   []model.WorkspaceID
	Applications []model.ApplicationID
	IDs          []model.ApplicationID
}

func (f *APIMapperSetFilter) passes(s *model.APIMapperSet) bool {
	return (f.Workspaces == nil || slices.Contains(f.Workspaces, s.WorkspaceID)) && (f.IDs == nil || slices.Contains(f.IDs, s.ID)) &&
		(f.Applications == nil || len(s.ApplicationIDs) > 0 && slices.Contains(f.Applications, s.ID))
}

// FindAPIMapperSets lists API mapper sets by id, the empty ones of applications without mappers included. A workspace
// that does not exist is PAC-001.
func (s *Service) FindAPIMapperSets(ctx context.Context, env model.EnvironmentID, f *APIMapperSetFilter) ([]model.APIMapperSet, Seen, error) {
	out := []model.APIMapperSet{}
	var seen Seen
	err := s.view(ctx, env, func(tx *store.Tx) error {
		seen.Revision = tx.Revision
		if err := authorizationWorkspaces(tx, f.Workspaces); err != nil {
			return err
		}
		stored := map[model.ApplicationID]bool{}
		add := func(set model.APIMapperSet) {
			if f.passes(&set) {
				out = append(out, set)
			}
		}
		err := each(tx.APIMapperSets.FindAll(), func(set model.APIMapperSet) {
			stored[set.ID] = true
			add(set)
		})
		if err != nil {
			return err
		}
		return each(tx.Applications.FindAll(), func(app model.Application) {
			if !stored[app.ID] {
				add(emptyMapperSet(&app))
			}
		})
	})
	slices.SortFunc(out, func(a, b model.APIMapperSet) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return out, seen, err
}

// ImportAPIMapperSet stores an API mapper set of the workspace from its exported form, in the place of the one that has
// its id (management-api.md 11). A set without an application of its id is kept for one that may come.
func (s *Service) ImportAPIMapperSet(ctx context.Context, call Call, env model.EnvironmentID, workspace model.WorkspaceID, body []byte) (Stored[model.APIMapperSet], Done, error) {
	set, err := form.ParseAPIMapperSet(body)
	if err != nil {
		return Stored[model.APIMapperSet]{}, Done{}, err
	}
	set.WorkspaceID = workspace
	return changeObject(ctx, s, &call, env, apiMapperSetKind(), set.ID, func(w *writer, before *model.APIMapperSet) (model.APIMapperSet, error) {
		if err := authorizationWorkspace(w.Tx, workspace); err != nil {
			return set, err
		}
		err := w.checkMapperSet(before, &set, nil)
		return set, err
	})
}

// checkMapperSet ties a set to its application and checks that what its mappers name exists in its workspace. broken,
// when not nil, gives the error of an asset type that cannot be used for a reason of its own.
func (w *writer) checkMapperSet(before, set *model.APIMapperSet, broken func(model.TemplateID) *model.Error) error {
	if err := w.placeMapperSet(before, set); err != nil {
		return err
	}
	var errs model.Errors
	for i := range set.Mappers {
		if err := w.checkMapper(&errs, form.Pointer("apiMappers", i), set.WorkspaceID, &set.Mappers[i], broken); err != nil {
			return err
		}
	}
	return errs.OrNil()
}

// placeMapperSet: a set stays in its workspace, which is that of its application.
func (w *writer) placeMapperSet(before, set *model.APIMapperSet) error {
	if before != nil && before.WorkspaceID != set.WorkspaceID {
		return alreadyExists("APIMapperSet", string(set.ID))
	}
	app, err := w.Applications.Find(set.ID)
	switch {
	case errors.Is(err, store.ErrNotFound) && len(set.ApplicationIDs) > 0:
		return missingResource("Application", string(set.ID))
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	case app.WorkspaceID != set.WorkspaceID:
		return alreadyExists("Application", string(set.ID))
	}
	set.ApplicationIDs = []model.ApplicationID{app.ID}
	return nil
}

func (w *writer) checkMapper(errs *model.Errors, field string, workspace model.WorkspaceID, m *model.APIMapper,
	broken func(model.TemplateID) *model.Error,
) error {
	for i := range m.AssetTemplates {
		at := field + form.Pointer("assetTemplates", i)
		if err := w.checkMapping(errs, at, workspace, &m.AssetTemplates[i], broken); err != nil {
			return err
		}
	}
	return nil
}

// checkMapping looks up the asset type of a mapping, its attributes and its actions.
func (w *writer) checkMapping(errs *model.Errors, field string, workspace model.WorkspaceID, m *model.TemplateMapping,
	broken func(model.TemplateID) *model.Error,
) error {
	if broken != nil {
		if err := broken(m.TemplateID); err != nil {
			*errs = append(*errs, err)
			return nil
		}
	}
	t, err := w.AssetTemplates.Find(m.TemplateID)
	if errors.Is(err, store.ErrNotFound) || err == nil && t.WorkspaceID != workspace {
		*errs = append(*errs, missingAt(field+"/templateId", "AssetTemplate", string(m.TemplateID)))
		return nil
	}
	if err != nil {
		return err
	}
	for i, a := range m.Attributes {
		if _, ok := t.Attribute(a.AttributeID); !ok {
			*errs = append(*errs, missingAt(fmt.Sprintf("%s/attributes/%d/attributeId", field, i), "Attribute", string(a.AttributeID)))
		}
	}
	for i, a := range m.Actions {
		if _, ok := t.Action(a.ActionID); !ok {
			*errs = append(*errs, missingAt(fmt.Sprintf("%s/actions/%d/actionId", field, i), "Action", string(a.ActionID)))
		}
	}
	return nil
}

// missingAt is MGT-006 for what a field of the body names.
func missingAt(field, resource, id string) *model.Error {
	e := missingResource(resource, id)
	e.Message += ", named at " + field
	return e
}

// RenameAPIMapperSet gives a set without an application another id. The set of an application has the application's id
// and is renamed with it: MGT-009. A set that gets the id of an application becomes that application's.
func (s *Service) RenameAPIMapperSet(ctx context.Context, call Call, env model.EnvironmentID, from, to model.ApplicationID) (Done, error) {
	k := apiMapperSetKind()
	k.missing = func(tx *store.Tx, id model.ApplicationID) error { // the empty set of an application has not been stored
		if err := untied(tx, id); err != nil {
			return err
		}
		return apiMapperSetKind().notFound(tx, id)
	}
	return renameObject(ctx, s, &call, env, k, from, to, func(w *writer, set *model.APIMapperSet) error {
		if err := untied(w.Tx, from); err != nil {
			return err
		}
		set.ID = to
		return w.checkMapperSet(nil, set, nil)
	})
}

// untied refuses the set of an application.
func untied(tx *store.Tx, id model.ApplicationID) error {
	tied, err := exists(tx.Applications, id)
	if err == nil && tied {
		err = inUse("APIMapperSet", string(id), "application", []string{string(id)})
	}
	return err
}

// FindAPIMapper reads one mapper of a set. Its version is that of its set, whose revision and times it has too.
func (s *Service) FindAPIMapper(ctx context.Context, env model.EnvironmentID, set model.ApplicationID, id model.MapperID) (Stored[model.APIMapper], error) {
	var out Stored[model.APIMapper]
	err := s.view(ctx, env, func(tx *store.Tx) error {
		found, err := findMapperSet(tx, set)
		if err != nil {
			return err
		}
		at := found.Object.Mapper(id)
		if at < 0 {
			return missingMapper(&found.Object, id)
		}
		out = Stored[model.APIMapper]{Object: found.Object.Mappers[at], Seen: found.Seen}
		return nil
	})
	return out, err
}

func missingMapper(set *model.APIMapperSet, id model.MapperID) error {
	ids := make([]string, len(set.Mappers))
	for i := range set.Mappers {
		ids[i] = string(set.Mappers[i].ID)
	}
	e := missingResource("APIMapper", string(id))
	e.Message += hint(closeTo(string(id), ids))
	return e
}

// ImportAPIMapper stores a mapper of a set from its exported form, in the place of the one that has its id; a new one
// comes last. The set is one that exists or that of an application of the workspace.
func (s *Service) ImportAPIMapper(ctx context.Context, call Call, env model.EnvironmentID, workspace model.WorkspaceID, set model.ApplicationID, body []byte) (Stored[model.APIMapper], Done, error) {
	m, err := form.ParseAPIMapper(body)
	if err != nil {
		return Stored[model.APIMapper]{}, Done{}, err
	}
	result := Created
	done, err := s.changeMapper(ctx, call, env, set, m.ID, func(w *writer, set *model.APIMapperSet, at int) error {
		if err := authorizationWorkspace(w.Tx, workspace); err != nil {
			return err
		}
		if set.WorkspaceID != workspace {
			return alreadyExists("APIMapperSet", string(set.ID))
		}
		if at >= 0 {
			result = Updated
			set.Mappers[at] = m
		} else {
			set.Mappers = append(set.Mappers, m)
		}
		if err := set.Validate(); err != nil { // the number of mappers
			return err
		}
		var errs model.Errors
		if err := w.checkMapper(&errs, "", workspace, &m, nil); err != nil {
			return err
		}
		return errs.OrNil()
	})
	if done.Result != Unchanged {
		done.Result = result
	}
	if err != nil {
		return Stored[model.APIMapper]{}, done, err
	}
	return Stored[model.APIMapper]{Object: m, Seen: Seen{Revision: done.Revision, Version: done.Version}}, done, nil
}

// RenameAPIMapper gives a mapper another id; request attributes that read through it follow in the same commit.
func (s *Service) RenameAPIMapper(ctx context.Context, call Call, env model.EnvironmentID, set model.ApplicationID, from, to model.MapperID) (Done, error) {
	if problem := model.CheckExternalID(string(to)); problem != "" {
		return Done{}, model.Invalidf("/0/value: %s", problem)
	}
	return s.changeMapper(ctx, call, env, set, from, func(w *writer, set *model.APIMapperSet, at int) error {
		switch {
		case at < 0:
			return missingMapper(set, from)
		case from == to:
			return nil
		case set.Mapper(to) >= 0:
			return alreadyExists("APIMapper", string(to))
		}
		set.Mappers[at].ID = to
		return w.renameInRequestAttributes(set, from, to)
	})
}

// DeleteAPIMapper deletes one mapper of a set. Request attributes that read through it become incomplete.
func (s *Service) DeleteAPIMapper(ctx context.Context, call Call, env model.EnvironmentID, set model.ApplicationID, id model.MapperID) (Done, error) {
	done, err := s.changeMapper(ctx, call, env, set, id, func(_ *writer, set *model.APIMapperSet, at int) error {
		if at < 0 {
			return missingMapper(set, id)
		}
		if set.Mappers = slices.Delete(set.Mappers, at, at+1); len(set.Mappers) == 0 {
			set.Mappers = nil
		}
		return nil
	})
	done.Result, done.Version = Deleted, ""
	return done, err
}

// changeMapper is the use case of a write of one mapper: change gets a set of which it may change the list of mappers,
// and the place of the mapper, -1 when there is none. Preconditions are about the mapper.
func (s *Service) changeMapper(ctx context.Context, call Call, env model.EnvironmentID, id model.ApplicationID, mapper model.MapperID,
	change func(w *writer, set *model.APIMapperSet, at int) error,
) (Done, error) {
	ofSet := call
	ofSet.IfMatch, ofSet.IfNoneMatch = nil, nil
	_, done, err := changeObject(ctx, s, &ofSet, env, apiMapperSetKind(), id, func(w *writer, _ *model.APIMapperSet) (model.APIMapperSet, error) {
		found, err := findMapperSet(w.Tx, id)
		if err != nil {
			return found.Object, err
		}
		set := found.Object
		set.Mappers = slices.Clone(set.Mappers)
		at, current := set.Mapper(mapper), found.Seen.Version
		if at < 0 {
			current = ""
		}
		onMapper := *w
		onMapper.call = &call
		if err := onMapper.meets(current, "APIMapper", string(mapper)); err != nil {
			return set, err
		}
		return set, change(w, &set, at)
	})
	return done, err
}
