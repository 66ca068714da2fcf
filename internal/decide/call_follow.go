package decide

import (
	"errors"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// readMappers compiles the API mapper sets that changed, and those whose request attributes did. A mapper that cannot be
// compiled permits nothing; a set whose application is not there takes no part.
func (d *Directory) readMappers(tx *store.Tx, old apiMappers, c *change) (apiMappers, error) {
	if !c.whole && len(c.mapperSets) == 0 && len(c.requestAttributes) == 0 {
		return old, nil
	}
	if c.whole {
		old = nil
	}
	request, err := readRequestMappings(tx)
	if err != nil {
		return nil, err
	}
	changed := apiMappers{}
	compile := func(s *model.APIMapperSet) {
		if changed[s.ID] = nil; len(s.ApplicationIDs) == 0 {
			return
		}
		changed[s.ID] = compileMappers(s, request, func(id model.MapperID, err error) {
			d.options.Log.Error("an API mapper is not readable and permits nothing", "environment", tx.Environment,
				"application", s.ID, "mapper", id, "error", err)
		})
	}
	for id := range c.mapperSets {
		switch s, err := tx.APIMapperSets.Find(id); {
		case errors.Is(err, store.ErrNotFound):
			changed[id] = nil
		case err != nil:
			return nil, err
		default:
			compile(&s)
		}
	}
	if !c.whole && len(c.requestAttributes) == 0 {
		return old.with(changed), nil
	}
	for s, err := range tx.APIMapperSets.FindAll() {
		if err != nil {
			return nil, err
		}
		if c.whole || c.requestAttributes[s.WorkspaceID] {
			compile(&s)
		}
	}
	return old.with(changed), nil
}

// readRequestMappings finds for every mapper the request attributes that it fills.
func readRequestMappings(tx *store.Tx) (requestMappings, error) {
	out := requestMappings{}
	for a, err := range tx.RequestAttributes.FindAll() {
		if err != nil {
			return nil, err
		}
		mappings, err := a.RequestMappings()
		if err != nil {
			return nil, err
		}
		for _, m := range mappings {
			of := out[a.WorkspaceID]
			if of == nil {
				of = map[model.MapperID][]model.AttributeMapping{}
				out[a.WorkspaceID] = of
			}
			of[m.MapperID] = append(of[m.MapperID], model.AttributeMapping{AttributeID: a.ID, Source: m.Source, Path: m.Path})
		}
	}
	return out, nil
}
