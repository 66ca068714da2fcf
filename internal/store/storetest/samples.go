package storetest

import (
	"net/netip"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

func ptr[T any](v T) *T { return &v }

func fullJWT() *model.JWTSettings {
	return &model.JWTSettings{
		JWKSURLs: []string{"https://idp.example/keys"}, Issuers: []string{"https://idp.example"},
		Audiences: []string{"ambit", ""}, ClientIDClaim: "$.azp",
	}
}

func fullEnvironment(id model.EnvironmentID) model.Environment {
	return model.Environment{
		ID: id, Name: "Harbour", Description: "two  blanks, \"quotes\", é, \u2028, 𝄞, <&>", Enabled: true,
		RequireIfMatch: true, JWT: fullJWT(),
	}
}

func fullCredential(id model.ClientID) model.Credential {
	return model.Credential{
		ClientID: id, EnvironmentID: envA, Name: "robot", Description: "d", TokenDuration: 90 * time.Minute,
		Permission: model.PermissionAdmin, Secret: fullSecret(), Generation: 1 << 60, CreatedAt: start(),
	}
}

func fullRevocation(id string) model.Revocation {
	return model.Revocation{TokenID: id, ExpiresAt: start()}
}

func fullReport(id string) model.Report {
	return model.Report{
		ID: id, Type: "policies_by_attribute", Attribute: "level", Format: "PDF", CreatedAt: start(),
		Content: []byte{0, 255},
	}
}

func fullPAAGroup(id string) model.PAAGroup {
	return model.PAAGroup{ID: id, Type: "CLOUD", Agents: 3, HasInactiveSync: true}
}

func fullPAASource(key store.Key) model.PAASource {
	return model.PAASource{GroupID: key.Owner, ID: key.ID, Definition: []byte(`{"adapter":"jdbc"}`)}
}

func fullPAAViews(group string) model.PAAViews {
	return model.PAAViews{GroupID: group, Views: []model.PAAView{{Type: "SQL", PAAID: "p", Text: "select 1\n"}, {}}}
}

func fullSigningKey(key store.Key) model.SigningKey {
	return model.SigningKey{Name: key.Owner, Retired: key.ID, Sealed: []byte{1, 0, 255}, Public: []byte(`{"kty":"OKP"}`), Until: start()}
}

func fullSecret() model.SecretHash {
	return model.SecretHash{
		ID: "s1", Form: "argon2id", Hash: []byte{0, 1, 254, 255}, Salt: []byte("salt"), CreatedAt: start(),
		ExpiresAt: start().Add(time.Hour),
	}
}

func fullScope(id model.ClientID) model.Scope {
	return model.Scope{
		ClientID: id, EnvironmentID: envA, Name: "web", Description: "d", Enabled: true,
		AuthMethods: []model.AuthMethod{model.AuthJWT, model.AuthSecretHeader}, IdentityMatching: model.MatchMatcher,
		ApplicationIDs: []model.ApplicationID{"b", "a"}, JWT: fullJWT(), CacheSeconds: 5, TokenValidity: 60,
		Response:       &model.JWTResponse{Algorithm: model.AlgorithmEdDSA, Issuer: "i", Audience: "a", LifetimeSeconds: 9, SecretStore: model.KeysDatabase, KeyName: "k", KeyID: "i"},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")},
		Secrets:        []model.SecretHash{fullSecret()},
		AuthZEN: model.AuthZENSettings{
			Off: true, SearchOff: true, Detail: model.DetailReasons, DetailMax: model.DetailPolicies, TokenLifetime: 61,
		},
	}
}

func fullAuthorizationWorkspace(id model.WorkspaceID) model.AuthorizationWorkspace {
	return model.AuthorizationWorkspace{ID: id, Name: "Quay  days", Description: ptr(""), LogoURL: ptr("https://l.example")}
}

func fullIdentityWorkspace(id model.WorkspaceID) model.IdentityWorkspace {
	return model.IdentityWorkspace{
		ID: id, Name: "People", Description: ptr("d"), LogoURL: ptr(""), TemplateID: "User",
		Matcher: &model.Matcher{
			TemplateMatcher: "$.iss", MatcherValue: "v", IdentityIDMapper: "$.sub",
			ClaimMappings: map[model.AttributeID]string{"b": "$.b", "a": "$.a"}, TokenHeader: "X-Token", ValidateJWT: true,
			JWT: fullJWT(),
		},
	}
}

func fullIdentityTemplate(id model.TemplateID) model.IdentityTemplate {
	return model.IdentityTemplate{ID: id, WorkspaceID: "w", Attributes: []model.IdentityAttribute{{
		ID:          "uid",
		DisplayName: "User ID", Description: "d", Type: model.Numeric, IsAvailableForPolicies: true,
		IsUsedInAccessRequest: true, NameForRequest: "n", IsCalculated: true, CalculationFunction: ptr("f()"),
	}}}
}

func fullIdentitySource(template model.TemplateID, id string) model.IdentitySource {
	return model.IdentitySource{
		ID: id, TemplateID: template, Name: "n", Type: "EXTERNAL_INPUT",
		Metadata: []byte("{\n \"a\" : 1.0}"),
	}
}

func fullMapperSet(template model.TemplateID, id string) model.MapperSet {
	return model.MapperSet{ID: id, TemplateID: template, Name: "n", LinkedSources: []byte(`[]`)}
}

func fullAssetTemplate(id model.TemplateID) model.AssetTemplate {
	return model.AssetTemplate{
		ID: id, WorkspaceID: "w", DisplayName: "Account", Description: ptr(""), LogoURL: ptr("u"),
		Source: model.SourceExternal, IsAttributeSentInRequest: true, IsUsedForFiltering: true, PAAGroupID: "p", ViewName: "v",
		Attributes: []model.AssetAttribute{{
			ID: "owner", DisplayName: "Owner", Type: model.Numeric,
			IsAvailableForPolicies: true, NameForRequest: "o", IsMultiValue: true, SourceAttribute: "OWNER",
			IsCalculated: true, CalculationFunction: ptr("f()"), DefaultValue: []string{"", "x"}, MaxLength: 7,
			IsRequired: true, CanBeUpdated: model.UpdateNever,
		}},
		Actions: []model.Action{{ID: "r", Value: "READ"}},
	}
}

func fullApplication(id model.ApplicationID) model.Application {
	return model.Application{
		ID: id, WorkspaceID: "w", DisplayName: "Bank", Description: ptr(""), LogoURL: ptr("u"),
		ColorIndication: "#AbCdEf", AssetTemplateIDs: []model.TemplateID{"b", "a"},
	}
}

func fullRequestAttribute(workspace model.WorkspaceID, id model.AttributeID) model.RequestAttribute {
	return model.RequestAttribute{
		ID: id, WorkspaceID: workspace, DisplayName: "n", Description: "d",
		Mappings: []byte(`[{"source":"PATH"}]`),
	}
}

func fullAPIMapperSet(id model.ApplicationID) model.APIMapperSet {
	return model.APIMapperSet{
		ID: id, WorkspaceID: "w", ApplicationIDs: []model.ApplicationID{id}, PathIndexing: model.PathSegments,
		Mappers: []model.APIMapper{{
			ID: "m", DisplayName: "n", IsActive: true, MatchPattern: "/a/*", MatchType: model.MatchWildcards,
			RestMethods: []string{"GET"}, Priority: -1, IsRequireIdentitySourcesFiltering: true,
			FilteringType: model.FilterExclude, IdentitySourceIDs: []string{"s"},
			AssetTemplates: []model.TemplateMapping{{
				TemplateID: "t",
				Attributes: []model.AttributeMapping{{AttributeID: "owner", Source: model.FromPath, Path: "[2]"}},
				Actions:    []model.ActionMapping{{ActionID: "r", Source: model.FromBody, Value: ptr(""), Path: "$.mode"}},
			}},
		}},
	}
}

func fullCustomAttribute(key string) model.CustomAttribute {
	return model.CustomAttribute{
		Key: key, Name: "n", DisplayOrder: 1.5, Type: "number", Required: true, MaxLength: 9,
		MaxValue: ptr(0.1), AvailableForPDP: true, OnlyOnCreate: true, MultiValue: true, ListAttribute: true,
		Options: []string{"b", "a"}, Definition: []byte(`{"key":"k","more":[1]}`),
	}
}

func fullBlock(id model.BlockID) model.Block {
	rule := model.Rule{
		Left: model.Ref{Side: model.SideAsset, Attribute: "owner"}, Op: model.OpGreaterEqual,
		Ref:      model.Ref{Side: model.SideIdentity, Attribute: "uid"},
		Literals: []model.Literal{{Text: "1.0", Number: true}, {Text: ""}},
	}
	return model.Block{
		ID: id, Kind: model.KindRuleset, WorkspaceID: "w", Template: "account", Name: "Own",
		Description: ptr(""), Predefined: true,
		Branches: []model.Branch{{IdentityTemplate: "User", Rules: []model.Rule{rule}}, {}},
		Ranges: []model.TimeRange{{
			Zone: "Europe/Berlin", Days: []time.Weekday{time.Monday, time.Sunday},
			Months: []time.Month{time.May}, Start: 1, End: 86_399,
			StartDate: model.Date{Year: 2026, Month: time.July, Day: 6},
			EndDate:   model.Date{Year: 2027, Month: time.July, Day: 6},
		}, {Start: -1, End: -1}, {}},
		IP: &model.IPCondition{
			Restrict: true, Text: []string{"::ffff:192.0.2.1/128"},
			Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")},
		},
	}
}

func fullPolicy(id model.PolicyID) model.Policy {
	return model.Policy{
		ID: id, WorkspaceID: "w", Name: "Quay days", Description: ptr(""), Access: model.Restrict,
		Use: model.PolicyUseDynamic, Inactive: true, DynamicGroups: []model.BlockID{"b", "a"},
		Rulesets:   []model.RulesetUse{{BlockID: "r", AllActions: true, ActionIDs: []model.ActionID{"x"}}},
		Conditions: []model.BlockID{"c"}, Applications: []model.ApplicationID{"app"},
		CustomAttributes: []model.CustomValue{{
			Key: "k", List: true,
			Values: []model.Literal{{Text: "1", Number: true}},
		}},
	}
}

func fullEvent(id string) model.ChangeEvent {
	return model.ChangeEvent{
		ID: id, Time: start(), Action: model.EventUpdate, ResourceType: "ROLE", ResourceID: "r",
		ResourceName: "n", ParentType: "p", ParentID: "i", EnvironmentID: envA, ClientID: "c", ClientIP: "192.0.2.10",
		RequestID: "q", Revision: 412, Before: "{}\n", After: "é",
	}
}
