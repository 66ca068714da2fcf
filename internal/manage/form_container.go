package manage

import (
	"net/netip"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
)

// JWTSettingsForm is the exported form of JWT settings (management-api.md 16).
type JWTSettingsForm struct {
	JWKSURLs      []string `json:"jwksUrls"`
	Issuers       []string `json:"issuers"`
	Audiences     []string `json:"audiences"`
	ClientIDClaim *string  `json:"clientIdClaim"`
}

func jwtForm(j *model.JWTSettings) *JWTSettingsForm {
	if j == nil {
		return nil
	}
	return &JWTSettingsForm{
		JWKSURLs: list(j.JWKSURLs), Issuers: list(j.Issuers), Audiences: list(j.Audiences),
		ClientIDClaim: optional(j.ClientIDClaim, ""),
	}
}

func (f *JWTSettingsForm) settings() *model.JWTSettings {
	if f == nil {
		return nil
	}
	return &model.JWTSettings{
		JWKSURLs: convert[string](f.JWKSURLs), Issuers: convert[string](f.Issuers),
		Audiences: convert[string](f.Audiences), ClientIDClaim: orDefault(f.ClientIDClaim, ""),
	}
}

// EnvironmentForm is the exported form of an environment without its counters (management-api.md 16).
type EnvironmentForm struct {
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

func environmentForm(e *model.Environment) EnvironmentForm {
	id := string(e.ID)
	return EnvironmentForm{
		ID: &id, Name: e.Name, Description: e.Description,
		Settings: EnvironmentSettings{Enabled: e.Enabled, RequireIfMatch: e.RequireIfMatch},
	}
}

// ScopeForm is the exported form of a scope: scopes.json and the wire have the same keys, never a secret
// (management-api.md 18).
type ScopeForm struct {
	ClientID             *string          `json:"clientId"` // nil when it would be made, in a dry run
	EnvironmentID        string           `json:"environmentId,omitzero"`
	Name                 string           `json:"name"`
	Description          string           `json:"description"`
	Enabled              *bool            `json:"enabled"`
	AuthMethods          []string         `json:"authMethods"`
	IdentityMatchingType *string          `json:"identityMatchingType"`
	ApplicationIDs       []string         `json:"applicationIds"`
	JWTSettings          *JWTSettingsForm `json:"jwtSettings"`
	JWTResponse          *JWTResponseForm `json:"jwtResponse"`
	TrustedProxies       *[]string        `json:"trustedProxies"`
	CacheSeconds         int              `json:"cacheSeconds"`
	TokenValidity        int              `json:"tokenValidity"`
	AuthZENForm          `json:",inline"`
}

// JWTResponseForm is the exported form of how decision tokens are made. KeyPath and Certificate are null: a key store has no
// folders, and keys hold their certificates.
type JWTResponseForm struct {
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

func responseForm(j *model.JWTResponse) *JWTResponseForm {
	if j == nil {
		return nil
	}
	return &JWTResponseForm{
		Algorithm: &j.Algorithm, Issuer: optional(j.Issuer, ""), Audience: optional(j.Audience, ""),
		LifetimeSeconds: optional(j.LifetimeSeconds, 0), SecretStore: optional(j.SecretStore, ""), KeyName: optional(j.KeyName, ""), KID: optional(j.KeyID, ""),
	}
}

// response refuses what names a key elsewhere: ignored, it would sign with another one.
func (f *JWTResponseForm) response(errs *model.Errors) *model.JWTResponse {
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
		Algorithm: orDefault(f.Algorithm, model.AlgorithmRS256), Issuer: orDefault(f.Issuer, ""),
		Audience: orDefault(f.Audience, ""), LifetimeSeconds: orDefault(f.LifetimeSeconds, 0),
		SecretStore: orDefault(f.SecretStore, ""), KeyName: orDefault(f.KeyName, ""), KeyID: orDefault(f.KID, ""),
	}
}

func scopeForm(s *model.Scope) ScopeForm {
	id := string(s.ClientID)
	f := ScopeForm{
		ClientID: &id, EnvironmentID: string(s.EnvironmentID), Name: s.Name,
		Description: s.Description, Enabled: &s.Enabled, AuthMethods: list(convert[string](s.AuthMethods)),
		IdentityMatchingType: optional(s.IdentityMatching, ""), ApplicationIDs: list(convert[string](s.ApplicationIDs)),
		JWTSettings: jwtForm(s.JWT), CacheSeconds: s.CacheSeconds, TokenValidity: s.TokenValidity,
		JWTResponse: responseForm(s.Response), AuthZENForm: authZENForm(&s.AuthZEN),
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

// scope turns the form into a scope without secrets and checks it.
func (f *ScopeForm) scope(env model.EnvironmentID) (model.Scope, error) {
	s := model.Scope{
		ClientID: model.ClientID(orDefault(f.ClientID, "")), EnvironmentID: env, Name: f.Name, Description: f.Description,
		Enabled: orDefault(f.Enabled, true), AuthMethods: convert[model.AuthMethod](f.AuthMethods),
		IdentityMatching: orDefault(f.IdentityMatchingType, ""), ApplicationIDs: convert[model.ApplicationID](f.ApplicationIDs),
		JWT: f.JWTSettings.settings(), CacheSeconds: f.CacheSeconds, TokenValidity: f.TokenValidity,
	}
	var errs model.Errors
	s.AuthZEN = f.settings(&errs)
	s.Response = f.JWTResponse.response(&errs)
	if f.TrustedProxies != nil {
		s.TrustedProxies = []netip.Prefix{}
		for i, text := range *f.TrustedProxies {
			p, err := parsePrefix(text)
			if err != nil {
				errs.Add(pointerTo("trustedProxies", i), "%q is not an address block", text)
			}
			s.TrustedProxies = append(s.TrustedProxies, p)
		}
	}
	collect(&errs, s.Validate())
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

// MatcherForm is the exported form of a matcher (management-api.md 17).
type MatcherForm struct {
	TemplateMatcher  string            `json:"templateMatcher"`
	MatcherValue     string            `json:"matcherValue"`
	IdentityIDMapper string            `json:"identityIdMapper"`
	ClaimMappings    map[string]string `json:"claimMappings"`
	TokenHeader      *string           `json:"tokenHeader"`
	ValidateJWT      *bool             `json:"validateJwt"`
	JWTSettings      *JWTSettingsForm  `json:"jwtSettings"`
}

const defaultTokenHeader = "Authorization"

// ParseMatcher reads the exported form of a matcher and checks it.
func ParseMatcher(body []byte) (*model.Matcher, error) {
	var f MatcherForm
	if err := decode(body, &f); err != nil {
		return nil, err
	}
	return f.matcher()
}

// matcher turns the form into a matcher and checks it.
func (f *MatcherForm) matcher() (*model.Matcher, error) {
	m := &model.Matcher{
		TemplateMatcher: f.TemplateMatcher, MatcherValue: f.MatcherValue, IdentityIDMapper: f.IdentityIDMapper,
		TokenHeader: orDefault(f.TokenHeader, ""), ValidateJWT: orDefault(f.ValidateJWT, true), JWT: f.JWTSettings.settings(),
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
func FormatMatcher(m *model.Matcher) []byte { return encode(MatcherFormOf(m)) }

// MatcherFormOf is the exported form of m.
func MatcherFormOf(m *model.Matcher) MatcherForm {
	f := MatcherForm{
		TemplateMatcher: m.TemplateMatcher, MatcherValue: m.MatcherValue, IdentityIDMapper: m.IdentityIDMapper,
		ClaimMappings: map[string]string{}, ValidateJWT: &m.ValidateJWT, JWTSettings: jwtForm(m.JWT),
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

type credentialForm struct {
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

func formatCredential(c *model.Credential) []byte { return encode(credentialFormOf(c)) }

func credentialFormOf(c *model.Credential) credentialForm {
	f := credentialForm{
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
		return "PT" + decimal(int64(text/time.Minute)) + "M"
	}
	return "PT" + decimal(int64(text/time.Second)) + "S"
}
