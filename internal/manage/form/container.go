package form

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
)

// JWTSettings is the exported form of JWT settings (management-api.md 16).
type JWTSettings struct {
	JWKSURLs      []string `json:"jwksUrls"`
	Issuers       []string `json:"issuers"`
	Audiences     []string `json:"audiences"`
	ClientIDClaim *string  `json:"clientIdClaim"`
}

// OfJWTSettings is the exported form of j, nil for nil.
func OfJWTSettings(j *model.JWTSettings) *JWTSettings {
	if j == nil {
		return nil
	}
	return &JWTSettings{
		JWKSURLs: List(j.JWKSURLs), Issuers: List(j.Issuers), Audiences: List(j.Audiences),
		ClientIDClaim: optional(j.ClientIDClaim, ""),
	}
}

// Model turns the form into settings, nil into nil. They are checked with what has them.
func (f *JWTSettings) Model() *model.JWTSettings {
	if f == nil {
		return nil
	}
	return &model.JWTSettings{
		JWKSURLs: convert[string](f.JWKSURLs), Issuers: convert[string](f.Issuers),
		Audiences: convert[string](f.Audiences), ClientIDClaim: OrDefault(f.ClientIDClaim, ""),
	}
}

// Environment is the exported form of an environment without its counters (management-api.md 16).
type Environment struct {
	ID          *string             `json:"id"` // nil when it would be made, in a dry run
	Name        string              `json:"name"`
	Description string              `json:"description"`
	Settings    EnvironmentSettings `json:"settings"`
}

// EnvironmentSettings are the switches of an environment.
type EnvironmentSettings struct {
	Enabled        bool `json:"enabled"`
	RequireIfMatch bool `json:"requireIfMatch"`
}

// OfEnvironment is the exported form of e.
func OfEnvironment(e *model.Environment) Environment {
	id := string(e.ID)
	return Environment{
		ID: &id, Name: e.Name, Description: e.Description,
		Settings: EnvironmentSettings{Enabled: e.Enabled, RequireIfMatch: e.RequireIfMatch},
	}
}

// Scope is the exported form of a scope: scopes.json and the wire have the same keys, never a secret
// (management-api.md 18).
type Scope struct {
	ClientID             *string      `json:"clientId"` // nil when it would be made, in a dry run
	EnvironmentID        string       `json:"environmentId,omitzero"`
	Name                 string       `json:"name"`
	Description          string       `json:"description"`
	Enabled              *bool        `json:"enabled"`
	AuthMethods          []string     `json:"authMethods"`
	IdentityMatchingType *string      `json:"identityMatchingType"`
	ApplicationIDs       []string     `json:"applicationIds"`
	JWTSettings          *JWTSettings `json:"jwtSettings"`
	JWTResponse          *JWTResponse `json:"jwtResponse"`
	TrustedProxies       *[]string    `json:"trustedProxies"`
	CacheSeconds         int          `json:"cacheSeconds"`
	TokenValidity        int          `json:"tokenValidity"`
	AuthZEN              `json:",inline"`
}

// JWTResponse is the exported form of how decision tokens are made. KeyPath and Certificate are null: a key store has no
// folders, and keys hold their certificates.
type JWTResponse struct {
	Algorithm       *string `json:"alg"`
	KID             *string `json:"kid"`
	SecretStore     *string `json:"secretStore"`
	KeyPath         *string `json:"keyPath"`
	KeyName         *string `json:"keyName"`
	Certificate     *string `json:"certificate"`
	Issuer          *string `json:"issuer"`
	Audience        *string `json:"audience"`
	LifetimeSeconds *int    `json:"lifetimeSeconds"`
}

func ofJWTResponse(j *model.JWTResponse) *JWTResponse {
	if j == nil {
		return nil
	}
	return &JWTResponse{
		Algorithm: &j.Algorithm, Issuer: optional(j.Issuer, ""), Audience: optional(j.Audience, ""),
		LifetimeSeconds: optional(j.LifetimeSeconds, 0), SecretStore: optional(j.SecretStore, ""), KeyName: optional(j.KeyName, ""), KID: optional(j.KeyID, ""),
	}
}

// response refuses what names a key elsewhere: ignored, it would sign with another one.
func (f *JWTResponse) response(errs *model.Errors) *model.JWTResponse {
	if f == nil {
		return nil
	}
	for _, named := range []struct {
		field string
		text  *string
	}{
		{"keyPath", f.KeyPath}, {"certificate", f.Certificate},
	} {
		if named.text != nil {
			errs.Add("/jwtResponse/"+named.field, "keyName names the key, which holds its certificate; this must be null")
		}
	}
	if f.LifetimeSeconds != nil && *f.LifetimeSeconds == 0 {
		errs.Add("/jwtResponse/lifetimeSeconds", "is not above 0")
	}
	return &model.JWTResponse{
		Algorithm: OrDefault(f.Algorithm, model.AlgorithmRS256), Issuer: OrDefault(f.Issuer, ""),
		Audience: OrDefault(f.Audience, ""), LifetimeSeconds: OrDefault(f.LifetimeSeconds, 0),
		SecretStore: OrDefault(f.SecretStore, ""), KeyName: OrDefault(f.KeyName, ""), KeyID: OrDefault(f.KID, ""),
	}
}

// OfScope is the exported form of s.
func OfScope(s *model.Scope) Scope {
	id := string(s.ClientID)
	f := Scope{
		ClientID: &id, EnvironmentID: string(s.EnvironmentID), Name: s.Name,
		Description: s.Description, Enabled: &s.Enabled, AuthMethods: List(convert[string](s.AuthMethods)),
		IdentityMatchingType: optional(s.IdentityMatching, ""), ApplicationIDs: List(convert[string](s.ApplicationIDs)),
		JWTSettings: OfJWTSettings(s.JWT), CacheSeconds: s.CacheSeconds, TokenValidity: s.TokenValidity,
		JWTResponse: ofJWTResponse(s.Response), AuthZEN: ofAuthZEN(&s.AuthZEN),
	}
	if s.TrustedProxies != nil {
		texts := []string{}
		for _, p := range s.TrustedProxies {
			texts = append(texts, p.String())
		}
		f.TrustedProxies = &texts
	}
	return f
}

// Model turns the form into a scope without secrets and checks it.
func (f *Scope) Model(env model.EnvironmentID) (model.Scope, error) {
	s := model.Scope{
		ClientID: model.ClientID(OrDefault(f.ClientID, "")), EnvironmentID: env, Name: f.Name, Description: f.Description,
		Enabled: OrDefault(f.Enabled, true), AuthMethods: convert[model.AuthMethod](f.AuthMethods),
		IdentityMatching: OrDefault(f.IdentityMatchingType, ""), ApplicationIDs: convert[model.ApplicationID](f.ApplicationIDs),
		JWT: f.JWTSettings.Model(), CacheSeconds: f.CacheSeconds, TokenValidity: f.TokenValidity,
	}
	var errs model.Errors
	s.AuthZEN = f.settings(&errs)
	s.Response = f.JWTResponse.response(&errs)
	if f.TrustedProxies != nil {
		s.TrustedProxies = []netip.Prefix{}
		for i, text := range *f.TrustedProxies {
			p, err := parsePrefix(text)
			if err != nil {
				errs.Add(Pointer("trustedProxies", i), "%q is not an address block", text)
			}
			s.TrustedProxies = append(s.TrustedProxies, p)
		}
	}
	errs.Collect(s.Validate())
	return s, errs.OrNil()
}

// parsePrefix reads an address block or a lone address, masked.
func parsePrefix(text string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// Matcher is the exported form of a matcher (management-api.md 17).
type Matcher struct {
	TemplateMatcher  string            `json:"templateMatcher"`
	MatcherValue     string            `json:"matcherValue"`
	IdentityIDMapper string            `json:"identityIdMapper"`
	ClaimMappings    map[string]string `json:"claimMappings"`
	TokenHeader      *string           `json:"tokenHeader"`
	ValidateJWT      *bool             `json:"validateJwt"`
	JWTSettings      *JWTSettings      `json:"jwtSettings"`
}

const defaultTokenHeader = "Authorization"

// ParseMatcher reads the exported form of a matcher and checks it.
func ParseMatcher(body []byte) (*model.Matcher, error) {
	var f Matcher
	if err := Decode(body, &f); err != nil {
		return nil, err
	}
	return f.Model()
}

// Model turns the form into a matcher and checks it.
func (f *Matcher) Model() (*model.Matcher, error) {
	m := &model.Matcher{
		TemplateMatcher: f.TemplateMatcher, MatcherValue: f.MatcherValue, IdentityIDMapper: f.IdentityIDMapper,
		TokenHeader: OrDefault(f.TokenHeader, ""), ValidateJWT: OrDefault(f.ValidateJWT, true), JWT: f.JWTSettings.Model(),
	}
	if m.TokenHeader == defaultTokenHeader {
		m.TokenHeader = ""
	}
	for id, path := range f.ClaimMappings {
		if m.ClaimMappings == nil {
			m.ClaimMappings = map[model.AttributeID]string{}
		}
		m.ClaimMappings[model.AttributeID(id)] = path
	}
	return m, m.Validate()
}

// FormatMatcher writes the exported form of a matcher, compact and bare.
func FormatMatcher(m *model.Matcher) []byte { return Encode(OfMatcher(m)) }

// OfMatcher is the exported form of m.
func OfMatcher(m *model.Matcher) Matcher {
	f := Matcher{
		TemplateMatcher: m.TemplateMatcher, MatcherValue: m.MatcherValue, IdentityIDMapper: m.IdentityIDMapper,
		ClaimMappings: map[string]string{}, ValidateJWT: &m.ValidateJWT, JWTSettings: OfJWTSettings(m.JWT),
	}
	header := m.TokenHeader
	if header == "" {
		header = defaultTokenHeader
	}
	f.TokenHeader = &header
	for id, path := range m.ClaimMappings {
		f.ClaimMappings[string(id)] = path
	}
	return f
}

// Credential is the exported form of an API credential, never with a secret.
type Credential struct {
	ID            string  `json:"id"`
	OwnerID       *string `json:"ownerId"`
	OwnerType     string  `json:"ownerType"`
	Name          string  `json:"name"`
	Description   string  `json:"description"`
	TokenDuration string  `json:"tokenDuration"`
	Permission    string  `json:"permission"`
}

// Owner types of credentials.
const (
	OwnerTenant      = "TENANT"
	OwnerEnvironment = "ENVIRONMENT"
)

// FormatCredential writes the exported form of a credential, compact and bare.
func FormatCredential(c *model.Credential) []byte { return Encode(OfCredential(c)) }

// OfCredential is the exported form of c.
func OfCredential(c *model.Credential) Credential {
	f := Credential{
		ID: string(c.ClientID), OwnerType: OwnerTenant, Name: c.Name, Description: c.Description,
		TokenDuration: isoDuration(c.TokenDuration), Permission: string(c.Permission),
	}
	if c.EnvironmentID != "" {
		owner := string(c.EnvironmentID)
		f.OwnerType, f.OwnerID = OwnerEnvironment, &owner
	}
	return f
}

// isoDuration writes a duration of whole minutes as PT…M (management-api.md 4).
func isoDuration(d time.Duration) string {
	text := d.Truncate(time.Second)
	if text%time.Minute == 0 {
		return "PT" + strconv.FormatInt(int64(text/time.Minute), 10) + "M"
	}
	return "PT" + strconv.FormatInt(int64(text/time.Second), 10) + "S"
}
