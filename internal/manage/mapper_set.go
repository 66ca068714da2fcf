package manage

import (
	"context"
	"errors"
	"slices"

	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

func mapperSetKind() *kind[store.Key, model.MapperSet] {
	return &kind[store.Key, model.MapperSet]{
		name: "MapperSet", subject: mapperSetSubject(),
		in:      func(tx *store.Tx) store.Collection[store.Key, model.MapperSet] { return tx.MapperSets },
		id:      func(key store.Key) string { return key.ID },
		missing: missingMapperSet,
	}
}

// missingMapperSet is EMTMS-001, or the error of a template that is not there.
func missingMapperSet(tx *store.Tx, key store.Key) error {
	return missingPart(tx, mapperSetKind(), key, "Template Mapper Set", "EMTMS-001", "TemplateMapperSetNotFoundError")
}

// FindMapperSets lists the mapper sets of an identity template, by id. The uuid of a workspace stands for its template.
func (s *Service) FindMapperSets(ctx context.Context, env model.EnvironmentID, template model.TemplateID) ([]model.MapperSet, Seen, error) {
	return findParts(ctx, s, env, mapperSetKind(), template)
}

// FindMapperSet reads one mapper set of an identity template, which the uuid of its workspace can stand for.
func (s *Service) FindMapperSet(ctx context.Context, env model.EnvironmentID, template model.TemplateID, id string) (Stored[model.MapperSet], error) {
	var out Stored[model.MapperSet]
	err := s.view(ctx, env, func(tx *store.Tx) error {
		t, err := readTemplate(tx, template)
		if err != nil {
			return err
		}
		out, err = readObject(tx, mapperSetKind(), ownedKey(t.Object.ID, id))
		return err
	})
	return out, err
}

// ImportMapperSet creates a mapper set or replaces the one of its id.
func (s *Service) ImportMapperSet(ctx context.Context, call Call, env model.EnvironmentID, template model.TemplateID, body []byte) (Stored[model.MapperSet], Done, error) {
	set, err := form.ParseMapperSet(body)
	if err != nil {
		return Stored[model.MapperSet]{}, Done{}, err
	}
	set.TemplateID = template
	return changeObject(ctx, s, &call, env, mapperSetKind(), ownedKey(template, set.ID), func(w *writer, _ *model.MapperSet) (model.MapperSet, error) {
		return set, checkLinks(w.Tx, &set)
	})
}

// maxMissing is how many unknown sources of a mapper set are told at once.
const maxMissing = 10

// checkLinks checks the references of a mapper set (management-api.md 12 rule 3).
func checkLinks(tx *store.Tx, set *model.MapperSet) error {
	t, err := readObject(tx, identityTemplateKind(), set.TemplateID)
	if err != nil {
		return err
	}
	linked, err := form.LinkedSources(set)
	if err != nil {
		return model.Invalidf("/linkedSources: cannot be read")
	}
	var errs model.Errors
	missing := 0
	for i := range linked {
		if missing == maxMissing { // all sources of the template are looked through for a hint, each time
			break
		}
		_, err := tx.IdentitySources.Find(ownedKey(set.TemplateID, linked[i].SourceID))
		if errors.Is(err, store.ErrNotFound) {
			err = missingSource(tx, ownedKey(set.TemplateID, linked[i].SourceID))
			missing++
		}
		if err != nil && model.KindOf(err) == model.KindInternal {
			return err
		}
		errs.Collect(err)
		linked[i].EachTarget(func(place, attribute string) {
			if _, known := t.Object.Attribute(model.AttributeID(attribute)); !known {
				errs.Add(form.Pointer("linkedSources", i)+place, "identity template %q has no attribute %q", t.Object.ID, attribute)
			}
		})
	}
	return errs.OrNil()
}

// mapsAttribute reports whether the set gives values to one of the attributes.
func mapsAttribute(m *model.MapperSet, id model.AttributeID) bool {
	linked, _ := form.LinkedSources(m) // stored ones can be read
	return slices.ContainsFunc(linked, func(l form.LinkedSource) (found bool) {
		l.EachTarget(func(_, attribute string) { found = found || attribute == string(id) })
		return found
	})
}

// RenameMapperSet gives a mapper set another id.
func (s *Service) RenameMapperSet(ctx context.Context, call Call, env model.EnvironmentID, template model.TemplateID, from, to string) (Done, error) {
	return renameObject(ctx, s, &call, env, mapperSetKind(), ownedKey(template, from), ownedKey(template, to),
		func(_ *writer, set *model.MapperSet) error {
			set.ID = to
			return nil
		})
}

// DeleteMapperSet deletes a mapper set. The only one that links sources is what its template reads them by, and stays as
// long as the template has sources (management-api.md 12 rule 4). Scopes name no mapper sets.
func (s *Service) DeleteMapperSet(ctx context.Context, call Call, env model.EnvironmentID, template model.TemplateID, id string) (Done, error) {
	return removeObject(ctx, s, &call, env, mapperSetKind(), ownedKey(template, id), func(w *writer, set *model.MapperSet) error {
		sets, err := partsOf(w.Tx, mapperSetKind(), template)
		if err != nil {
			return err
		}
		isLinking := func(m model.MapperSet) bool {
			linked, err := form.LinkedSources(&m)
			return err == nil && len(linked) > 0
		}
		others := slices.DeleteFunc(sets, func(m model.MapperSet) bool { return m.ID == id })
		if isLinking(*set) && !slices.ContainsFunc(others, isLinking) {
			return inUse("MapperSet", id, "identity template", []string{string(template)})
		}
		return nil
	})
}
