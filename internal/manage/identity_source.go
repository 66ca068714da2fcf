package manage

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

func identitySourceKind() *kind[store.Key, model.IdentitySource] {
	return &kind[store.Key, model.IdentitySource]{
		name: "IdentitySource", subject: identitySourceSubject(),
		in:      func(tx *store.Tx) store.Collection[store.Key, model.IdentitySource] { return tx.IdentitySources },
		id:      func(key store.Key) string { return key.ID },
		missing: missingSource,
	}
}

// missingSource is EMIS-001, or the error of a template that is not there.
func missingSource(tx *store.Tx, key store.Key) error {
	return missingPart(tx, identitySourceKind(), key, "Identity Source", "EMIS-001", "IdentitySourceNotFoundError")
}

// FindIdentitySources reads the sources of an identity template, by id; with external only those of type EXTERNAL_INPUT,
// which are all that a template can get from outside. The uuid of a workspace stands for its template.
func (s *Service) FindIdentitySources(ctx context.Context, env model.EnvironmentID, template model.TemplateID, external bool) ([]model.IdentitySource, Seen, error) {
	out, seen, err := findParts(ctx, s, env, identitySourceKind(), template)
	if external {
		out = slices.DeleteFunc(out, func(s model.IdentitySource) bool { return s.Type != model.SourceExternalInput })
	}
	return out, seen, err
}

// PutIdentitySources stores the sources of a body and returns all that the template then has. With prune those that the
// body lacks are deleted; one that a mapper set links cannot be (management-api.md 12).
func (s *Service) PutIdentitySources(ctx context.Context, call Call, env model.EnvironmentID, template model.TemplateID, body []byte, prune bool) ([]model.IdentitySource, Done, error) {
	sources, err := form.ParseIdentitySources(body)
	if err != nil {
		return nil, Done{}, err
	}
	var out []model.IdentitySource
	var done Done
	revision, err := s.update(ctx, &call, env, func(w *writer) error {
		if _, err := readObject(w.Tx, identityTemplateKind(), template); err != nil {
			return err
		}
		named := map[string]bool{}
		for i := range sources {
			sources[i].TemplateID = template
			named[sources[i].ID] = true
			_, err := put(w, identitySourceSubject(), w.IdentitySources, ownedKey(template, sources[i].ID), sources[i])
			if err != nil {
				return err
			}
		}
		if prune {
			if err := w.pruneSources(template, named); err != nil {
				return err
			}
		}
		if err := repeatedType(w.Tx, template); err != nil {
			return err
		}
		if w.writes > 0 {
			done.Result = Updated
		}
		out, err = partsOf(w.Tx, identitySourceKind(), template)
		return err
	})
	done.Revision = revision
	return out, done, err
}

// pruneSources deletes the sources of a template that are not named.
func (w *writer) pruneSources(template model.TemplateID, named map[string]bool) error {
	stored, err := partsOf(w.Tx, identitySourceKind(), template)
	if err != nil {
		return err
	}
	linked, err := linkedBy(w.Tx)
	if err != nil {
		return err
	}
	var errs model.Errors
	for i := range stored {
		source := &stored[i]
		if named[source.ID] {
			continue
		}
		if err := unusedSource(source, linked); err != nil {
			errs.Collect(err)
			continue
		}
		if _, err := remove(w, identitySourceSubject(), w.IdentitySources, ownedKey(template, source.ID)); err != nil {
			return err
		}
	}
	return errs.OrNil()
}

// linkedBy are the mapper sets that link sources of identity templates, by the keys of those.
func linkedBy(tx *store.Tx) (map[store.Key][]string, error) {
	out := map[store.Key][]string{}
	err := each(tx.MapperSets.FindAll(), func(m model.MapperSet) {
		linked, _ := form.LinkedSources(&m) // stored ones can be read
		for i := range linked {
			key := ownedKey(m.TemplateID, linked[i].SourceID)
			if sets := out[key]; len(sets) == 0 || sets[len(sets)-1] != m.ID {
				out[key] = append(sets, m.ID)
			}
		}
	})
	return out, err
}

// unusedSource refuses to lose a source that a mapper set links.
func unusedSource(source *model.IdentitySource, linked map[store.Key][]string) error {
	if sets := linked[ownedKey(source.TemplateID, source.ID)]; len(sets) > 0 {
		return inUse("IdentitySource", source.ID, "mapper set", sets)
	}
	return nil
}

// repeatedType: every type of source but EXTERNAL_INPUT may occur once in a template (policy-model.md 3.4).
func repeatedType(tx *store.Tx, template model.TemplateID) error {
	sources, err := partsOf(tx, identitySourceKind(), template)
	if err != nil {
		return err
	}
	seen := map[string]bool{model.SourceExternalInput: false}
	var errs model.Errors
	for _, s := range sources {
		if seen[s.Type] {
			errs = append(errs, alreadyExists("IdentitySource", s.Type))
		}
		seen[s.Type] = s.Type != model.SourceExternalInput
	}
	return errs.OrNil()
}

// RenameIdentitySource gives a source another id; mapper sets and API mappers follow.
func (s *Service) RenameIdentitySource(ctx context.Context, call Call, env model.EnvironmentID, template model.TemplateID, from, to string) (Done, error) {
	return renameObject(ctx, s, &call, env, identitySourceKind(), ownedKey(template, from), ownedKey(template, to),
		func(w *writer, source *model.IdentitySource) error {
			source.ID = to
			if err := w.renameLinkedSource(template, from, to); err != nil {
				return err
			}
			return w.renameMappedSource(template, from, to)
		})
}

// renameLinkedSource changes the id of a source in the mapper sets of its template.
func (w *writer) renameLinkedSource(template model.TemplateID, from, to string) error {
	var broken error
	err := changeAll(w, mapperSetSubject(), w.MapperSets, func(m *model.MapperSet) store.Key { return ownedKey(m.TemplateID, m.ID) },
		func(m *model.MapperSet) bool {
			if m.TemplateID != template || !links(m, from) {
				return false
			}
			linked, err := relink(m.LinkedSources, from, to)
			broken = errors.Join(broken, err)
			m.LinkedSources = linked
			return err == nil
		})
	return errors.Join(err, broken)
}

func links(m *model.MapperSet, source string) bool {
	linked, err := form.LinkedSources(m)
	return err == nil && slices.ContainsFunc(linked, func(l form.LinkedSource) bool { return l.SourceID == source })
}

// relink changes the id of a source in the JSON of linked sources and leaves everything else as it is.
func relink(linked []byte, from, to string) ([]byte, error) {
	d := jsontext.NewDecoder(strings.NewReader(string(linked)))
	var out strings.Builder
	e := jsontext.NewEncoder(&out)
	for {
		t, err := d.ReadToken()
		if errors.Is(err, io.EOF) {
			return []byte(strings.TrimSuffix(out.String(), "\n")), nil
		}
		if err != nil {
			return nil, err
		}
		const inEntry = 2 // of the list
		_, n := d.StackIndex(d.StackDepth())
		isValue := d.StackDepth() == inEntry && n%2 == 0 && d.StackPointer().LastToken() == "sourceId"
		if isValue && t.Kind() == '"' && t.String() == from {
			t = jsontext.String(to)
		}
		if err := e.WriteToken(t); err != nil {
			return nil, err
		}
	}
}

// renameMappedSource changes the id of a source in the lists of API mappers. Those name sources of all templates: an id
// that another template's source has too stays beside the new one.
func (w *writer) renameMappedSource(template model.TemplateID, from, to string) error {
	elsewhere := false
	err := each(w.IdentitySources.FindAll(), func(s model.IdentitySource) {
		elsewhere = elsewhere || s.ID == from && s.TemplateID != template
	})
	if err != nil {
		return err
	}
	return changeAll(w, apiMapperSetSubject(), w.APIMapperSets, func(set *model.APIMapperSet) model.ApplicationID { return set.ID },
		func(set *model.APIMapperSet) bool {
			named := func(m model.APIMapper) bool { return slices.Contains(m.IdentitySourceIDs, from) }
			if !slices.ContainsFunc(set.Mappers, named) {
				return false
			}
			set.Mappers = slices.Clone(set.Mappers)
			for i := range set.Mappers {
				set.Mappers[i].IdentitySourceIDs = renamedIn(set.Mappers[i].IdentitySourceIDs, from, to, elsewhere)
			}
			return true
		})
}

// renamedIn is ids with to in the place of from, and with keep beside it.
func renamedIn(ids []string, from, to string, keep bool) []string {
	if keep && slices.Contains(ids, from) {
		return model.Union(ids, []string{to})
	}
	ids, _ = swap(ids, from, to)
	return ids
}
