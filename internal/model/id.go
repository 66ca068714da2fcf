package model

import (
	"crypto/sha1" //nolint:gosec // version 5 uuids are defined by SHA-1; nothing is protected by it
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Identifiers that could be confused have types of their own. All are opaque, case-sensitive texts unless said
// otherwise (policy-model.md 1.2).
type (
	// EnvironmentID is a lower-case uuid.
	EnvironmentID string
	// WorkspaceID is the lower-case uuid of an authorization or identity workspace.
	WorkspaceID string
	// TemplateID is the external id of an asset type or of an identity template.
	TemplateID string
	// AttributeID is the external id of an attribute; unique in its template only.
	AttributeID string
	// ActionID is the external id of an action, used in policies. On the wire actions travel by their value.
	ActionID string
	// ApplicationID is the external id of an application.
	ApplicationID string
	// BlockID is the lower-case uuid of a dynamic group, ruleset or condition.
	BlockID string
	// PolicyID is 1 to 128 code points, unique in its environment.
	PolicyID string
	// ClientID names a scope or an API credential.
	ClientID string
	// Revision counts the committed writes of one environment, from 1.
	Revision int64
)

// Built-in attributes (V9). Their values are the ids of the records and nothing replaces them.
const (
	AttributePath AttributeID = "path" // of every asset: its id
	AttributeUID  AttributeID = "uid"  // of every identity: its entity id
	AttributeName AttributeID = "name" // pseudo-attribute of answers: an asset's display name
)

// ParseUUID reads a uuid in canonical form, either case, and returns it in lower case. ok is false for anything else.
func ParseUUID(s string) (id string, ok bool) {
	if len(s) != 36 {
		return "", false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return "", false
			}
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
		default:
			return "", false
		}
	}
	return strings.ToLower(s), true
}

// predefinedSpace is the name space of the ids of predefined blocks: fixed, so that they are the same everywhere.
const predefinedSpace = "ambit.predefined:"

// PredefinedBlockID is the id of the predefined block of a kind and template: a version 5 uuid made from both, so that
// it is the same in every environment (policy-model.md 3.7).
func PredefinedBlockID(kind BlockKind, template TemplateID) BlockID {
	h := sha1.New() //nolint:gosec // see the import
	h.Write(fmt.Appendf(nil, "%s%d:%s:%s", predefinedSpace, len(kind), kind, template))
	var b [16]byte
	copy(b[:], h.Sum(nil))
	b[6] = b[6]&0x0f | 0x50
	b[8] = b[8]&0x3f | 0x80
	return BlockID(fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16]))
}

// CheckExternalID says what is wrong with an external id (1 to 128 code points, no control character, no blank at
// either end), or "" when nothing is.
func CheckExternalID(s string) string { return checkText(s, 128, true) }

// CheckDisplayName is CheckExternalID's pendant for display names: 1 to 100 code points, no control characters.
func CheckDisplayName(s string) string { return checkText(s, 100, false) }

// CheckDescription is the same for descriptions: 0 to 4,000 code points of any kind.
func CheckDescription(s string) string {
	if n := utf8.RuneCountInString(s); n > 4000 {
		return fmt.Sprintf("has %d characters, the limit is 4000", n)
	}
	return ""
}

func checkText(s string, high int, trimmed bool) string {
	if !utf8.ValidString(s) {
		return "is not valid UTF-8"
	}
	n := utf8.RuneCountInString(s)
	switch {
	case n == 0:
		return "is empty"
	case n > high:
		return fmt.Sprintf("has %d characters, the limit is %d", n, high)
	case strings.ContainsFunc(s, unicode.IsControl):
		return "contains a control character"
	case trimmed && strings.TrimFunc(s, unicode.IsSpace) != s:
		return "begins or ends with a blank"
	}
	return ""
}
