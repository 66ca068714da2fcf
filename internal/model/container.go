package model

import (
	"cmp"
	"net/netip"
	"time"
)

// Environment is the container of everything below it (policy-model.md 2.2).
type Environment struct {
	ID             EnvironmentID
	Name           string
	Description    string
	Enabled        bool
	RequireIfMatch bool
	JWT            *JWTSettings
}

// JWTSettings say how incoming tokens are judged (runtime-api.md 4.3).
type JWTSettings struct {
	JWKSURLs      []string
	Issuers       []string
	Audiences     []string
	ClientIDClaim string // JSONPath; "" = the client id is not checked
}

// IsZero reports whether nothing is set.
func (j *JWTSettings) IsZero() bool {
	return len(j.JWKSURLs) == 0 && len(j.Issuers) == 0 && len(j.Audiences) == 0 && j.ClientIDClaim == ""
}

// AuthorizationWorkspace holds applications, asset types, conditions and policies.
type AuthorizationWorkspace struct {
	ID          WorkspaceID
	Name        string // literal: two blanks in a row are kept
	Description *string
	LogoURL     *string
}

// IdentityWorkspace holds exactly one identity template.
type IdentityWorkspace struct {
	ID          WorkspaceID
	Name        string
	Description *string
	LogoURL     *string
	TemplateID  TemplateID
	Matcher     *Matcher
}

// Matcher chooses an identity template and id from a token or from headers (runtime-api.md 5.2).
type Matcher struct {
	TemplateMatcher  string // JSONPath
	MatcherValue     string
	IdentityIDMapper string // JSONPath
	ClaimMappings    map[AttributeID]string
	TokenHeader      string // "" = Authorization
	ValidateJWT      bool
	JWT              *JWTSettings
}

// AuthMethod is a way in which a scope may authenticate (runtime-api.md 4.2).
type AuthMethod string

// The three methods, in the order in which they are tried.
const (
	AuthRequestSecret AuthMethod = "REQUEST_SECRET"
	AuthSecretHeader  AuthMethod = "SECRET_HEADER"
	AuthJWT           AuthMethod = "AUTHORIZATION_JWT"
)

// Values of Scope.IdentityMatching; the empty text means: matcher first, then request.
const (
	MatchRequest = "REQUEST"
	MatchMatcher = "MATCHER"
)

// Algorithms that sign decision tokens.
const (
	AlgorithmRS256 = "RS256" // the default
	AlgorithmES256 = "ES256"
	AlgorithmEdDSA = "EdDSA"
)

// JWTResponse says how decision tokens of a scope are made (policy-model.md 2.4).
type JWTResponse struct {
	Algorithm       string
	Issuer          string
	Audience        string
	LifetimeSeconds int    // 0 = the default of runtime-api.md 8.6
	SecretStore     string // KeysFile, KeysEnvironment, KeysDatabase; "" = KeysFile if the key is there
	KeyName         string // in the key store; "" = the client id
	KeyID           string // "" = the key's own
}

// Scope is what a runtime caller authenticates as (policy-model.md 2.4).
type Scope struct {
	ClientID         ClientID
	EnvironmentID    EnvironmentID
	Name             string
	Description      string
	Enabled          bool
	AuthMethods      []AuthMethod // empty = all three
	IdentityMatching string
	ApplicationIDs   []ApplicationID
	JWT              *JWTSettings // nil = the environment's
	Response         *JWTResponse // nil = every default
	CacheSeconds     int
	TokenValidity    int            // seconds, 0 = none stated
	TrustedProxies   []netip.Prefix // nil = the server's
	AuthZEN          AuthZENSettings
	Secrets          []SecretHash // at most two living
}

// StoredKey is the name of the SigningKey that signs the answers to the scope, "" when none does.
func (s *Scope) StoredKey() string {
	if s.Response == nil || s.Response.SecretStore != KeysDatabase {
		return ""
	}
	return cmp.Or(s.Response.KeyName, string(s.ClientID))
}

// Allows reports whether the scope may authenticate by method m.
func (s *Scope) Allows(m AuthMethod) bool {
	if len(s.AuthMethods) == 0 {
		return true
	}
	for _, a := range s.AuthMethods {
		if a == m {
			return true
		}
	}
	return false
}

// SecretHash is a stored secret: never the secret itself. Form is "hmac-sha256" for Ambit's own 256-bit secrets and
// "argon2id" for those given from outside. Package token makes and checks it.
type SecretHash struct {
	ID        string
	Form      string
	Hash      []byte
	Salt      []byte // argon2id only
	CreatedAt time.Time
	ExpiresAt time.Time // zero = never
}

// Alive reports whether the secret may still be used at t.
func (h *SecretHash) Alive(t time.Time) bool { return h.ExpiresAt.IsZero() || t.Before(h.ExpiresAt) }

// Permission of an API credential.
type Permission string

// The two permissions.
const (
	PermissionAdmin  Permission = "ADMIN"
	PermissionViewer Permission = "VIEWER"
)

// Credential is an API client of the management plane (management-api.md 4). EnvironmentID is empty for the tenant's.
// Generation grows whenever its tokens must end (new secret, changed permission); tokens carry it.
type Credential struct {
	ClientID      ClientID
	EnvironmentID EnvironmentID
	Name          string
	Description   string
	TokenDuration time.Duration
	Permission    Permission
	Secret        SecretHash
	Generation    int64
	CreatedAt     time.Time
}

// Application groups asset types; a policy reaches a scope only through the asset types of the scope's applications.
type Application struct {
	ID               ApplicationID
	WorkspaceID      WorkspaceID
	DisplayName      string
	Description      *string
	LogoURL          *string
	ColorIndication  string // #RRGGBB as stored
	AssetTemplateIDs []TemplateID
}

// CustomAttribute defines an attribute of policies (policy-model.md 3.13). Definition is the whole JSON object, unknown
// keys included; the fields repeat what Ambit checks.
type CustomAttribute struct {
	Key             string
	Name            string
	DisplayOrder    float64
	Type            string // string or number
	Required        bool
	MaxLength       int // 0 = none
	MaxValue        *float64
	AvailableForPDP bool
	OnlyOnCreate    bool
	MultiValue      bool
	ListAttribute   bool
	Options         []string // keys, for ListAttribute
	Definition      []byte
}
