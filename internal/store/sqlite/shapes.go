package sqlite

import (
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// single is the parts of a key that is one text.
func single[K ~string](k K) (owner, id string) { return "", string(k) }

func double(k store.Key) (owner, id string) { return k.Owner, k.ID }

func environmentShape() shape[model.EnvironmentID, model.Environment] {
	return shape[model.EnvironmentID, model.Environment]{
		name: store.Environments, tenant: true,
		key: func(v *model.Environment) model.EnvironmentID { return v.ID }, parts: single[model.EnvironmentID],
	}
}

func credentialShape() shape[model.ClientID, model.Credential] {
	return shape[model.ClientID, model.Credential]{
		name: store.Credentials, tenant: true,
		key: func(v *model.Credential) model.ClientID { return v.ClientID }, parts: single[model.ClientID],
		replaces: func(old, v *model.Credential) bool { return old.EnvironmentID == v.EnvironmentID },
	}
}

func revocationShape() shape[string, model.Revocation] {
	return shape[string, model.Revocation]{
		name: store.Revocations, tenant: true,
		key: func(v *model.Revocation) string { return v.TokenID }, parts: single[string],
	}
}

func reportShape() shape[string, model.Report] {
	return shape[string, model.Report]{
		name: store.Reports,
		key:  func(v *model.Report) string { return v.ID }, parts: single[string],
	}
}

func authorizationWorkspaceShape() shape[model.WorkspaceID, model.AuthorizationWorkspace] {
	return shape[model.WorkspaceID, model.AuthorizationWorkspace]{
		name: store.AuthorizationWorkspaces,
		key:  func(v *model.AuthorizationWorkspace) model.WorkspaceID { return v.ID }, parts: single[model.WorkspaceID],
	}
}

func identityWorkspaceShape() shape[model.WorkspaceID, model.IdentityWorkspace] {
	return shape[model.WorkspaceID, model.IdentityWorkspace]{
		name: store.IdentityWorkspaces,
		key:  func(v *model.IdentityWorkspace) model.WorkspaceID { return v.ID }, parts: single[model.WorkspaceID],
	}
}

func identityTemplateShape() shape[model.TemplateID, model.IdentityTemplate] {
	return shape[model.TemplateID, model.IdentityTemplate]{
		name: store.IdentityTemplates,
		key:  func(v *model.IdentityTemplate) model.TemplateID { return v.ID }, parts: single[model.TemplateID],
	}
}

func identitySourceShape() shape[store.Key, model.IdentitySource] {
	return shape[store.Key, model.IdentitySource]{
		name: store.IdentitySources, parts: double,
		key: func(v *model.IdentitySource) store.Key { return store.Key{Owner: string(v.TemplateID), ID: v.ID} },
	}
}

func mapperSetShape() shape[store.Key, model.MapperSet] {
	return shape[store.Key, model.MapperSet]{
		name: store.MapperSets, parts: double,
		key: func(v *model.MapperSet) store.Key { return store.Key{Owner: string(v.TemplateID), ID: v.ID} },
	}
}

func assetTemplateShape() shape[model.TemplateID, model.AssetTemplate] {
	return shape[model.TemplateID, model.AssetTemplate]{
		name: store.AssetTemplates,
		key:  func(v *model.AssetTemplate) model.TemplateID { return v.ID }, parts: single[model.TemplateID],
	}
}

func applicationShape() shape[model.ApplicationID, model.Application] {
	return shape[model.ApplicationID, model.Application]{
		name: store.Applications,
		key:  func(v *model.Application) model.ApplicationID { return v.ID }, parts: single[model.ApplicationID],
	}
}

func requestAttributeShape() shape[store.Key, model.RequestAttribute] {
	return shape[store.Key, model.RequestAttribute]{
		name: store.RequestAttributes, parts: double,
		key: func(v *model.RequestAttribute) store.Key {
			return store.Key{Owner: string(v.WorkspaceID), ID: string(v.ID)}
		},
	}
}

func apiMapperSetShape() shape[model.ApplicationID, model.APIMapperSet] {
	return shape[model.ApplicationID, model.APIMapperSet]{
		name: store.APIMapperSets,
		key:  func(v *model.APIMapperSet) model.ApplicationID { return v.ID }, parts: single[model.ApplicationID],
	}
}

func customAttributeShape() shape[string, model.CustomAttribute] {
	return shape[string, model.CustomAttribute]{
		name: store.CustomAttributes,
		key:  func(v *model.CustomAttribute) string { return v.Key }, parts: single[string],
	}
}

func blockShape() shape[model.BlockID, model.Block] {
	return shape[model.BlockID, model.Block]{
		name: store.Blocks, inserted: true,
		key: func(v *model.Block) model.BlockID { return v.ID }, parts: single[model.BlockID],
	}
}

func policyShape() shape[model.PolicyID, model.Policy] {
	return shape[model.PolicyID, model.Policy]{
		name: store.Policies,
		key:  func(v *model.Policy) model.PolicyID { return v.ID }, parts: single[model.PolicyID],
	}
}

func scopeShape() shape[model.ClientID, model.Scope] {
	return shape[model.ClientID, model.Scope]{
		name: store.Scopes,
		key:  func(v *model.Scope) model.ClientID { return v.ClientID }, parts: single[model.ClientID],
	}
}

func paaGroupShape() shape[string, model.PAAGroup] {
	return shape[string, model.PAAGroup]{
		name: store.PAAGroups,
		key:  func(v *model.PAAGroup) string { return v.ID }, parts: single[string],
	}
}

func paaSourceShape() shape[store.Key, model.PAASource] {
	return shape[store.Key, model.PAASource]{
		name: store.PAASources, parts: double,
		key: func(v *model.PAASource) store.Key { return store.Key{Owner: v.GroupID, ID: v.ID} },
	}
}

func paaViewsShape() shape[string, model.PAAViews] {
	return shape[string, model.PAAViews]{
		name: store.PAAViews,
		key:  func(v *model.PAAViews) string { return v.GroupID }, parts: single[string],
	}
}

func signingKeyShape() shape[store.Key, model.SigningKey] {
	return shape[store.Key, model.SigningKey]{
		name: store.SigningKeys, parts: double,
		key: func(v *model.SigningKey) store.Key { return store.Key{Owner: v.Name, ID: v.Retired} },
	}
}
