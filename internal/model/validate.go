package model

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of policy-model.md 9 and 1.2, in code points or items.
const (
	MaxValueLength    = 9_999
	MaxValues         = 10_000 // of one attribute of a record
	MaxAttributes     = 500
	MaxActions        = 200
	MaxRows           = 1_000 // of an identity
	MaxPathLength     = 2_048
	MaxEntityIDLength = 512
	maxURLLength      = 2_048
	maxNameForRequest = 128
)

// Validate methods of this package collect every error of an object; fields are JSON pointers into its exported form.
// They look at the object alone: references and uniqueness among objects are checked where the store is.

func (es *Errors) check(field, problem string) {
	if problem != "" {
		es.Add(field, "%s", problem)
	}
}

func (es *Errors) checkDescription(field string, s *string) {
	if s != nil {
		es.check(field, CheckDescription(*s))
	}
}

func (es *Errors) checkLogo(s *string) {
	if s == nil {
		return
	}
	if n := utf8.RuneCountInString(*s); n > maxURLLength {
		es.Add("/logoUrl", "has %d characters, the limit is %d", n, maxURLLength)
		return
	}
	u, err := url.Parse(*s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		es.Add("/logoUrl", "is not an absolute http or https URL")
	}
}

// distinct reports at field the first repetition of each value in its list.
type distinct map[string]int

func (d distinct) check(es *Errors, field, value string, index int) {
	if value == "" {
		return // is an error of its own
	}
	if first, taken := d[value]; taken {
		es.Add(field, "%q stands also at /%d", value, first)
		return
	}
	d[value] = index
}

// Validate checks the fields of an authorization workspace (policy-model.md 2.3).
func (w *AuthorizationWorkspace) Validate() error {
	var es Errors
	es.checkWorkspace(w.ID, w.Name, w.Description, w.LogoURL)
	return es.OrNil()
}

// Validate checks the fields of an identity workspace (policy-model.md 2.3, 3.4).
func (w *IdentityWorkspace) Validate() error {
	var es Errors
	es.checkWorkspace(w.ID, w.Name, w.Description, w.LogoURL)
	es.check("/identityTemplateId", CheckExternalID(string(w.TemplateID)))
	if w.Matcher != nil {
		if err := w.Matcher.Validate(); err != nil {
			es = append(es, err.(Errors)...) //nolint:errorlint // Validate returns Errors and nothing else
		}
	}
	return es.OrNil()
}

func (es *Errors) checkWorkspace(id WorkspaceID, name string, description, logo *string) {
	if canonical, ok := ParseUUID(string(id)); !ok || canonical != string(id) {
		es.Add("/id", "is not a uuid")
	}
	es.check("/name", CheckDisplayName(name))
	es.checkDescription("/description", description)
	es.checkLogo(logo)
}

// checkPathText says what is wrong with a path into the claims of a token or the headers of a request, or "".
func checkPathText(text string) string {
	if problem := checkText(text, 1024, false); problem != "" {
		return problem
	}
	if _, err := ParsePath(text); err != nil {
		return err.Message
	}
	return ""
}

// Validate checks a matcher but for the attributes that it gives values to (policy-model.md 3.4, runtime-api.md 5.2).
func (m *Matcher) Validate() error {
	var es Errors
	es.check("/templateMatcher", checkPathText(m.TemplateMatcher))
	es.check("/matcherValue", checkText(m.MatcherValue, 1024, false))
	es.check("/identityIdMapper", checkPathText(m.IdentityIDMapper))
	for _, id := range slices.Sorted(maps.Keys(m.ClaimMappings)) {
		field := "/claimMappings/" + pointer(string(id))
		es.check(field, CheckExternalID(string(id)))
		es.check(field, checkPathText(m.ClaimMappings[id]))
		if id == AttributeUID {
			es.Add(field, "uid is always the id of the identity")
		}
	}
	if m.TokenHeader != "" && strings.Trim(m.TokenHeader, tokenCharacters) != "" {
		es.Add("/tokenHeader", "is not the name of a header")
	}
	if m.JWT != nil {
		es.checkJWT("/jwtSettings", m.JWT)
	}
	return es.OrNil()
}

// tokenCharacters are those of RFC 9110 5.6.2.
const tokenCharacters = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" //nolint:gosec // an alphabet

// pointer escapes one reference token of a JSON pointer (RFC 6901).
func pointer(s string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(s) }

// Validate checks an environment (policy-model.md 2.2).
func (e *Environment) Validate() error {
	var es Errors
	if canonical, ok := ParseUUID(string(e.ID)); !ok || canonical != string(e.ID) {
		es.Add("/id", "is not a uuid")
	}
	es.check("/name", CheckDisplayName(e.Name))
	es.check("/description", CheckDescription(e.Description))
	if e.JWT != nil {
		es.checkJWT("/jwtSettings", e.JWT)
	}
	return es.OrNil()
}

// Validate checks settings on their own (management-api.md 16).
func (j *JWTSettings) Validate() error {
	var es Errors
	es.checkJWT("", j)
	return es.OrNil()
}

// checkJWT refuses settings that would leave a check out: URLs need issuers and audiences (management-api.md 16).
func (es *Errors) checkJWT(field string, j *JWTSettings) {
	for i, text := range j.JWKSURLs {
		es.check(fmt.Sprintf("%s/jwksUrls/%d", field, i), CheckKeyURL(text))
	}
	if len(j.JWKSURLs) > maxKeyURLs {
		es.Add(field+"/jwksUrls", "has %d items, the limit is %d", len(j.JWKSURLs), maxKeyURLs)
	}
	if len(j.JWKSURLs) > 0 && len(j.Issuers) == 0 {
		es.Add(field+"/issuers", "is empty; tokens of any issuer would be accepted")
	}
	if len(j.JWKSURLs) > 0 && len(j.Audiences) == 0 {
		es.Add(field+"/audiences", "is empty; tokens for any audience would be accepted")
	}
	for i, s := range j.Issuers {
		es.check(fmt.Sprintf("%s/issuers/%d", field, i), checkText(s, maxURLLength, true))
	}
	for i, s := range j.Audiences {
		es.check(fmt.Sprintf("%s/audiences/%d", field, i), checkText(s, maxURLLength, true))
	}
	if j.ClientIDClaim != "" {
		es.check(field+"/clientIdClaim", checkPathText(j.ClientIDClaim))
	}
}

// maxKeyURLs bounds how many key sets one token can make us fetch.
const maxKeyURLs = 10

// CheckKeyURL says what is wrong with the URL of a key set, "" = nothing: it is https, or http on a loopback address,
// without user information, which would be a secret in plain sight (runtime-api.md 4.3, management-api.md 16).
func CheckKeyURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil || len(text) > maxURLLength:
		return "is not an absolute URL without user information"
	case u.Scheme == "https":
		return ""
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		return ""
	}
	return "is not https (or http on a loopback address)"
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// Validate checks the definition of a policy custom attribute (policy-model.md 3.13).
func (a *CustomAttribute) Validate() error {
	var es Errors
	es.check("/key", CheckExternalID(a.Key))
	es.check("/name", CheckDisplayName(a.Name))
	if a.Type != CustomString && a.Type != CustomNumber {
		es.Add("/type", "%q is not string or number", a.Type)
	}
	if a.MaxLength < 0 || a.MaxLength > MaxValueLength {
		es.Add("/maxLength", "is not between 1 and %d", MaxValueLength)
	}
	if a.ListAttribute && len(a.Options) == 0 {
		es.Add("/optionsConfig/options", "is empty")
	}
	keys := distinct{}
	for i, key := range a.Options {
		field := fmt.Sprintf("/optionsConfig/options/%d/key", i)
		es.check(field, checkText(key, MaxValueLength, false))
		keys.check(&es, field, key, i)
	}
	return es.OrNil()
}

// Types of policy custom attributes.
const (
	CustomString = "string"
	CustomNumber = "number"
)

// CheckValue says what is wrong with a policy's value for the attribute, or "" (policy-model.md 3.13). Whether a missing
// or changed value is wrong depends on the policy and is not seen here.
func (a *CustomAttribute) CheckValue(v CustomValue) string {
	if len(v.Values) > 1 && !a.MultiValue {
		return "takes one value"
	}
	for _, l := range v.Values {
		if problem := a.checkLiteral(l); problem != "" {
			return problem
		}
	}
	return ""
}

func (a *CustomAttribute) checkLiteral(l Literal) string {
	n, isNumber := utf8.RuneCountInString(l.Text), a.Type == CustomNumber
	switch {
	case isNumber && !l.Number:
		return strconv.Quote(l.Text) + " must be a number"
	case !isNumber && l.Number:
		return l.Text + " must be a text; write it in quotes"
	case !isNumber && a.MaxLength > 0 && n > a.MaxLength:
		return fmt.Sprintf("a value has %d characters, the limit is %d", n, a.MaxLength)
	case isNumber && a.MaxValue != nil && above(l.Text, *a.MaxValue):
		return l.Text + " is above the limit of " + strconv.FormatFloat(*a.MaxValue, 'f', -1, 64)
	case a.ListAttribute && !slices.Contains(a.Options, l.Text):
		return strconv.Quote(l.Text) + " is not one of its options"
	}
	return ""
}

func above(text string, limit float64) bool {
	n, ok := ParseNumber(text)
	m, _ := ParseNumber(strconv.FormatFloat(limit, 'f', -1, 64))
	return !ok || n.Compare(m) > 0
}

// hasControl reports whether s has a control character.
func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }
