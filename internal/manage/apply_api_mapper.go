package manage

import (
	"errors"

	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

func (a *applier) apiMapperSets() error {
	return a.authorizationFiles(kindAPIMapperSets, func(ws *model.AuthorizationWorkspace, file archive.File, body []byte) (string, error) {
		set, err := form.ParseAPIMapperSet(body)
		id := string(set.ID)
		if err != nil {
			return id, err
		}
		if err := a.once(kindAPIMapperSets, id, file.Path); err != nil {
			return id, err
		}
		if err := a.needs(kindApplications, id); err != nil {
			return id, err
		}
		set.WorkspaceID = ws.ID
		var before *model.APIMapperSet
		if found, err := a.w.APIMapperSets.Find(set.ID); err == nil {
			before = &found
		} else if !errors.Is(err, store.ErrNotFound) {
			return id, err
		}
		broken := func(id model.TemplateID) *model.Error { return a.needs(kindAssetTypes, string(id)) }
		if err := a.w.checkMapperSet(before, &set, broken); err != nil {
			return id, err
		}
		result, err := put(a.w, apiMapperSetSubject(), a.w.APIMapperSets, set.ID, set)
		return id, a.applied(kindAPIMapperSets, file.Path, id, result, err)
	})
}

func (a *applier) pruneAPIMapperSets() error {
	inside := a.authorizationIDs(kindAPIMapperSets)
	return pruneOf(a, kindAPIMapperSets, apiMapperSetSubject(), a.w.APIMapperSets,
		func(s *model.APIMapperSet) model.ApplicationID { return s.ID },
		func(s *model.APIMapperSet) string { return string(s.ID) },
		func(s *model.APIMapperSet) bool { return inside[s.WorkspaceID] }, nil)
}
