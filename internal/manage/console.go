package manage

import (
	"context"

	"github.com/google/uuid"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// VisibleEnvironments lists the environments that the caller sees, by id, without counting what they hold. The revision is
// the tenant's.
func (s *Service) VisibleEnvironments(ctx context.Context, caller *Caller) ([]model.Environment, model.Revision, error) {
	var out []model.Environment
	var revision model.Revision
	err := s.view(ctx, "", func(tx *store.Tx) error {
		revision = tx.Revision
		return each(tx.Environments.FindAll(), func(e model.Environment) {
			if caller.May(RightRead, e.ID) {
				out = append(out, e)
			}
		})
	})
	return out, revision, err
}

// NumberedAssetType is an asset type with a uuid: the same as long as its id and its environment are.
type NumberedAssetType struct {
	model.AssetTemplate
	UUID string
}

// AssetTypesOf lists the asset types of an authorization workspace by id. The caller does not say which environment it
// is in, so those that the caller sees are searched, in order of their ids; one that is in none is PAC-001.
func (s *Service) AssetTypesOf(ctx context.Context, caller *Caller, workspace model.WorkspaceID) ([]NumberedAssetType, model.Revision, error) {
	environments, _, err := s.VisibleEnvironments(ctx, caller)
	if err != nil {
		return nil, 0, err
	}
	for i := range environments {
		env := environments[i].ID
		var out []NumberedAssetType
		var revision model.Revision
		err := s.view(ctx, env, func(tx *store.Tx) error {
			if err := authorizationWorkspace(tx, workspace); err != nil {
				return err
			}
			revision = tx.Revision
			return each(tx.AssetTemplates.FindAll(), func(t model.AssetTemplate) {
				if t.WorkspaceID == workspace {
					out = append(out, NumberedAssetType{t, assetTypeUUID(env, t.ID)})
				}
			})
		})
		switch model.KindOf(err) {
		case model.KindInvalid, model.KindNotFound: // not here, or deleted in between
			continue
		}
		return out, revision, err
	}
	return nil, 0, authorizationWorkspaceMissing(string(workspace))
}

// assetTypeUUID is a version 5 uuid of the environment's name space.
func assetTypeUUID(env model.EnvironmentID, id model.TemplateID) string {
	space, err := uuid.Parse(string(env))
	if err != nil {
		space = uuid.Nil // ids of environments are uuids
	}
	return uuid.NewSHA1(space, []byte("asset type "+id)).String()
}
