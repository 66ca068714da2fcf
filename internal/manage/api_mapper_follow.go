package manage

import (
	"errors"
	"slices"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// What becomes of API mapper sets when something that they belong to or name changes. Each of these is called in the
// transaction of that change.

// tieMapperSet makes a set that waits for the application its own. Whoever stores an application calls it before.
func (w *writer) tieMapperSet(app *model.Application) error {
	set, err := w.APIMapperSets.Find(app.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if set.WorkspaceID != app.WorkspaceID {
		return alreadyExists("APIMapperSet", string(set.ID))
	}
	set.ApplicationIDs = []model.ApplicationID{app.ID}
	_, err = put(w, apiMapperSetSubject(), w.APIMapperSets, set.ID, set)
	return err
}

// moveMapperSet gives the set of an application, if it has one, the application's new id; with "" it deletes the set.
// Request attributes that read through its mappers become incomplete then.
func (w *writer) moveMapperSet(from, to model.ApplicationID) error {
	if to == "" {
		_, err := remove(w, apiMapperSetSubject(), w.APIMapperSets, from)
		return err
	}
	before, err := w.APIMapperSets.Find(from)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if taken, err := exists(w.APIMapperSets, to); err != nil {
		return err
	} else if taken {
		return alreadyExists("APIMapperSet", string(to))
	}
	after := before
	after.ID, after.ApplicationIDs = to, []model.ApplicationID{to}
	return move(w, apiMapperSetSubject(), w.APIMapperSets, from, &before, &after)
}

// changeMappings stores what change makes of the mappings onto an asset type, or takes those away for which it is false.
// change gets copies, lists included.
func (w *writer) changeMappings(template model.TemplateID, change func(*model.TemplateMapping) (keep bool)) error {
	key := func(set *model.APIMapperSet) model.ApplicationID { return set.ID }
	return changeAll(w, apiMapperSetSubject(), w.APIMapperSets, key, func(set *model.APIMapperSet) (changed bool) {
		set.Mappers = slices.Clone(set.Mappers)
		for i := range set.Mappers {
			m := &set.Mappers[i]
			at := slices.IndexFunc(m.AssetTemplates, func(t model.TemplateMapping) bool { return t.TemplateID == template })
			if at < 0 {
				continue
			}
			changed = true
			m.AssetTemplates = slices.Clone(m.AssetTemplates)
			t := &m.AssetTemplates[at]
			t.Attributes, t.Actions = slices.Clone(t.Attributes), slices.Clone(t.Actions)
			if change(t) {
				continue
			}
			if m.AssetTemplates = slices.Delete(m.AssetTemplates, at, at+1); len(m.AssetTemplates) == 0 {
				m.AssetTemplates = nil // as one that was imported without any
			}
		}
		return changed
	})
}

// dropMappings takes an asset type out of the mappers. One that then has none stays: it fits its calls still, and as it
// asks for nothing, permits none of them (policy-model.md 3.12).
func (w *writer) dropMappings(template model.TemplateID) error {
	return w.changeMappings(template, func(*model.TemplateMapping) bool { return false })
}

// renameMappedTemplate gives an asset type its new id in the mappers.
func (w *writer) renameMappedTemplate(from, to model.TemplateID) error {
	return w.changeMappings(from, func(t *model.TemplateMapping) bool {
		t.TemplateID = to
		return true
	})
}

// renameMappedAction gives an action its new id in the mappers. What a request must say for it stays.
func (w *writer) renameMappedAction(template model.TemplateID, from, to model.ActionID) error {
	return w.changeMappings(template, func(t *model.TemplateMapping) bool {
		for i := range t.Actions {
			if t.Actions[i].ActionID == from {
				t.Actions[i].ActionID = to
			}
		}
		return true
	})
}

// mapperUses are the mappers, as set/mapper, that have a mapping onto an asset type for which uses holds.
func mapperUses(sets []model.APIMapperSet, template model.TemplateID, uses func(*model.TemplateMapping) bool) []string {
	var out []string
	for i := range sets {
		for j := range sets[i].Mappers {
			m := &sets[i].Mappers[j]
			if slices.ContainsFunc(m.AssetTemplates, func(t model.TemplateMapping) bool { return t.TemplateID == template && uses(&t) }) {
				out = append(out, string(sets[i].ID)+"/"+string(m.ID))
			}
		}
	}
	return out
}
