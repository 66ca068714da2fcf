package model

import "fmt"

const maxScopeSeconds = 86_400

// MaxSecrets is how many secrets of one scope may live at a time (policy-model.md 2.4).
const MaxSecrets = 2

// Validate checks a scope but for its applications, which are looked up where the store is (policy-model.md 2.4).
func (s *Scope) Validate() error {
	var es Errors
	es.check("/clientId", checkText(string(s.ClientID), 128, true))
	es.check("/name", CheckDisplayName(s.Name))
	es.check("/description", CheckDescription(s.Description))
	methods := distinct{}
	for i, m := range s.AuthMethods {
		field := fmt.Sprintf("/authMethods/%d", i)
		if m != AuthRequestSecret && m != AuthSecretHeader && m != AuthJWT {
			es.Add(field, "%q is not REQUEST_SECRET, SECRET_HEADER or AUTHORIZATION_JWT", m)
		}
		methods.check(&es, field, string(m), i)
	}
	if s.IdentityMatching != "" && s.IdentityMatching != MatchRequest && s.IdentityMatching != MatchMatcher {
		es.Add("/identityMatchingType", "%q is not REQUEST or MATCHER", s.IdentityMatching)
	}
	ids := distinct{}
	for i, id := range s.ApplicationIDs {
		field := fmt.Sprintf("/applicationIds/%d", i)
		es.check(field, CheckExternalID(string(id)))
		ids.check(&es, field, string(id), i)
	}
	if s.JWT != nil {
		es.checkJWT("/jwtSettings", s.JWT)
	}
	if s.Response != nil {
		s.Response.check(&es)
	}
	s.AuthZEN.check(&es)
	for _, f := range []struct {
		field string
		value int
	}{{"/cacheSeconds", s.CacheSeconds}, {"/tokenValidity", s.TokenValidity}} {
		if f.value < 0 || f.value > maxScopeSeconds {
			es.Add(f.field, "is not between 0 and %d", maxScopeSeconds)
		}
	}
	if len(s.Secrets) > MaxSecrets {
		es.Add("/secrets", "has %d items, the limit is %d", len(s.Secrets), MaxSecrets)
	}
	return es.OrNil()
}

func (j *JWTResponse) check(es *Errors) {
	if j.Algorithm != AlgorithmRS256 && j.Algorithm != AlgorithmES256 && j.Algorithm != AlgorithmEdDSA {
		es.Add("/jwtResponse/alg", "%q is not RS256, ES256 or EdDSA", j.Algorithm)
	}
	switch j.SecretStore {
	case "", KeysFile, KeysEnvironment, KeysDatabase:
	default:
		es.Add("/jwtResponse/secretStore", "%q is not FILE, ENVIRONMENT or DATABASE", j.SecretStore)
	}
	for _, f := range []struct{ field, text string }{{"/jwtResponse/issuer", j.Issuer}, {"/jwtResponse/audience", j.Audience}} {
		if f.text != "" {
			es.check(f.field, checkText(f.text, maxURLLength, true))
		}
	}
	for _, f := range []struct{ field, text string }{{"/jwtResponse/keyName", j.KeyName}, {"/jwtResponse/kid", j.KeyID}} {
		if f.text != "" {
			es.check(f.field, checkText(f.text, 128, true))
		}
	}
	if j.LifetimeSeconds < 0 || j.LifetimeSeconds > maxScopeSeconds {
		es.Add("/jwtResponse/lifetimeSeconds", "is not between 1 and %d", maxScopeSeconds)
	}
}
