package manage

import (
	"github.com/ambit-authz/ambit/internal/model"

	"github.com/ambit-authz/ambit/internal/manage/form"
)

// Resource types of audit events (management-api.md 14.1).
const (
	resourceEnvironment            = "ENVIRONMENT"
	resourceAuthorizationWorkspace = "AUTHORIZATION_WORKSPACE"
	resourceIdentityWorkspace      = "IDENTITY_WORKSPACE"
	resourceScope                  = "SCOPE"
	resourceApplication            = "APPLICATION"
	resourceAssetTemplate          = "ASSET_TEMPLATE"
	resourceAsset                  = "ASSET"
	resourceDynamicGroup           = "DYNAMIC_GROUP"
	resourceRuleset                = "RULESET"
	resourceCondition              = "CONDITION"
	resourceRequestAttribute       = "REQUEST_ATTRIBUTE"
	resourceAPIMapperSet           = "API_MAPPER_SET"
	resourceIdentityTemplate       = "IDENTITY_TEMPLATE"
	resourceIdentitySource         = "IDENTITY_SOURCE"
	resourceMapperSet              = "MAPPER_SET"
	resourceIdentity               = "IDENTITY"
	resourceCustomAttribute        = "CUSTOM_ATTRIBUTE"
	resourceCredential             = "API_CREDENTIAL"
	resourcePAAGroup               = "PAA_GROUP"
	resourcePAASource              = "PAA_SOURCE"
	resourcePAAViews               = "PAA_VIEWS"
	resourceSigningKey             = "SIGNING_KEY"
	resourcePolicy                 = "ROLE"
)

func always[V any](resource string) func(*V) string { return func(*V) string { return resource } }

func environmentSubject() *subject[model.Environment] {
	return &subject[model.Environment]{
		resource: always[model.Environment](resourceEnvironment),
		id:       func(e *model.Environment) string { return string(e.ID) },
		name:     func(e *model.Environment) string { return e.Name },
		format: func(e *model.Environment) []byte {
			return form.Encode(struct {
				form.Environment `json:",inline"`
				JWTSettings      *form.JWTSettings `json:"jwtSettings"`
			}{form.OfEnvironment(e), form.OfJWTSettings(e.JWT)})
		},
	}
}

func credentialSubject() *subject[model.Credential] {
	return &subject[model.Credential]{
		resource: always[model.Credential](resourceCredential),
		id:       func(c *model.Credential) string { return string(c.ClientID) },
		name:     func(c *model.Credential) string { return c.Name },
		format:   form.FormatCredential,
	}
}

func authorizationWorkspaceSubject() *subject[model.AuthorizationWorkspace] {
	return &subject[model.AuthorizationWorkspace]{
		resource: always[model.AuthorizationWorkspace](resourceAuthorizationWorkspace),
		id:       func(w *model.AuthorizationWorkspace) string { return string(w.ID) },
		name:     func(w *model.AuthorizationWorkspace) string { return w.Name },
		format:   form.FormatAuthorizationWorkspace,
	}
}

func identityWorkspaceSubject() *subject[model.IdentityWorkspace] {
	return &subject[model.IdentityWorkspace]{
		resource: always[model.IdentityWorkspace](resourceIdentityWorkspace),
		id:       func(w *model.IdentityWorkspace) string { return string(w.ID) },
		name:     func(w *model.IdentityWorkspace) string { return w.Name },
		format:   form.FormatIdentityWorkspace,
	}
}

func scopeSubject() *subject[model.Scope] {
	return &subject[model.Scope]{
		resource: always[model.Scope](resourceScope),
		id:       func(s *model.Scope) string { return string(s.ClientID) },
		name:     func(s *model.Scope) string { return s.Name },
		format:   func(s *model.Scope) []byte { return form.Encode(form.OfScope(s)) },
	}
}

func assetTemplateSubject() *subject[model.AssetTemplate] {
	return &subject[model.AssetTemplate]{
		resource: always[model.AssetTemplate](resourceAssetTemplate),
		id:       func(t *model.AssetTemplate) string { return string(t.ID) },
		name:     func(t *model.AssetTemplate) string { return t.DisplayName },
		format:   form.FormatAssetTemplate, parent: func(t *model.AssetTemplate) (string, string) {
			return resourceAuthorizationWorkspace, string(t.WorkspaceID)
		},
	}
}

func applicationSubject() *subject[model.Application] {
	return &subject[model.Application]{
		resource: always[model.Application](resourceApplication),
		id:       func(a *model.Application) string { return string(a.ID) },
		name:     func(a *model.Application) string { return a.DisplayName },
		format:   form.FormatApplication, parent: func(a *model.Application) (string, string) {
			return resourceAuthorizationWorkspace, string(a.WorkspaceID)
		},
	}
}

func requestAttributeSubject() *subject[model.RequestAttribute] {
	return &subject[model.RequestAttribute]{
		resource: always[model.RequestAttribute](resourceRequestAttribute),
		id:       func(a *model.RequestAttribute) string { return string(a.ID) },
		name:     func(a *model.RequestAttribute) string { return a.DisplayName },
		format:   form.FormatRequestAttribute, parent: func(a *model.RequestAttribute) (string, string) {
			return resourceAuthorizationWorkspace, string(a.WorkspaceID)
		},
	}
}

func identityTemplateSubject() *subject[model.IdentityTemplate] {
	return &subject[model.IdentityTemplate]{
		resource: always[model.IdentityTemplate](resourceIdentityTemplate),
		id:       func(t *model.IdentityTemplate) string { return string(t.ID) },
		name:     func(t *model.IdentityTemplate) string { return string(t.ID) },
		format:   form.FormatIdentityTemplate, parent: func(t *model.IdentityTemplate) (string, string) {
			return resourceIdentityWorkspace, string(t.WorkspaceID)
		},
	}
}

func identitySourceSubject() *subject[model.IdentitySource] {
	return &subject[model.IdentitySource]{
		resource: always[model.IdentitySource](resourceIdentitySource),
		id:       func(s *model.IdentitySource) string { return s.ID },
		name:     func(s *model.IdentitySource) string { return s.Name },
		// the metadata may hold how to reach a source; what an audit event shows is who it is
		format: func(s *model.IdentitySource) []byte {
			return form.FormatIdentitySource(&model.IdentitySource{ID: s.ID, Name: s.Name, Type: s.Type})
		},
		parent: func(s *model.IdentitySource) (string, string) { return resourceIdentityTemplate, string(s.TemplateID) },
	}
}

func mapperSetSubject() *subject[model.MapperSet] {
	return &subject[model.MapperSet]{
		resource: always[model.MapperSet](resourceMapperSet),
		id:       func(m *model.MapperSet) string { return m.ID },
		name:     func(m *model.MapperSet) string { return m.Name },
		format:   form.FormatMapperSet, parent: func(m *model.MapperSet) (string, string) { return resourceIdentityTemplate, string(m.TemplateID) },
	}
}

func customAttributeSubject() *subject[model.CustomAttribute] {
	return &subject[model.CustomAttribute]{
		resource: always[model.CustomAttribute](resourceCustomAttribute),
		id:       func(a *model.CustomAttribute) string { return a.Key },
		name:     func(a *model.CustomAttribute) string { return a.Name },
		format:   func(a *model.CustomAttribute) []byte { return a.Definition },
	}
}

func paaGroupSubject() *subject[model.PAAGroup] {
	return &subject[model.PAAGroup]{
		resource: always[model.PAAGroup](resourcePAAGroup),
		id:       func(g *model.PAAGroup) string { return g.ID },
		name:     func(g *model.PAAGroup) string { return g.ID },
		format:   func(g *model.PAAGroup) []byte { return form.Encode(PAAGroupFormOf(g)) },
	}
}

func paaSourceSubject() *subject[model.PAASource] {
	return &subject[model.PAASource]{
		resource: always[model.PAASource](resourcePAASource),
		id:       func(s *model.PAASource) string { return s.ID },
		name:     func(s *model.PAASource) string { return s.ID },
		format:   func(s *model.PAASource) []byte { return maskedSource(s) },
		parent:   func(s *model.PAASource) (string, string) { return resourcePAAGroup, s.GroupID },
	}
}

func paaViewsSubject() *subject[model.PAAViews] {
	return &subject[model.PAAViews]{
		resource: always[model.PAAViews](resourcePAAViews),
		id:       func(v *model.PAAViews) string { return v.GroupID },
		name:     func(v *model.PAAViews) string { return v.GroupID },
		format:   func(v *model.PAAViews) []byte { return form.Encode(viewDigests(v)) },
		parent:   func(v *model.PAAViews) (string, string) { return resourcePAAGroup, v.GroupID },
	}
}
