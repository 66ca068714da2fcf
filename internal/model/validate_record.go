package model

import (
	"fmt"
	"unicode/utf8"
)

// CheckValues says what is wrong with the values of the attribute, or "": number of values, length, and form of a number
// (policy-model.md 3.2, V7).
func (a *AssetAttribute) CheckValues(values []string) string {
	if len(values) > 1 && !a.IsMultiValue {
		return fmt.Sprintf("has %d values, the attribute takes one", len(values))
	}
	limit := a.MaxLength
	if limit == 0 {
		limit = MaxValueLength
	}
	return checkValues(values, a.Type, limit)
}

// CheckValues says what is wrong with the values of the attribute, or "".
func (a *IdentityAttribute) CheckValues(values []string) string {
	return checkValues(values, a.Type, MaxValueLength)
}

func checkValues(values []string, t AttributeType, limit int) string {
	if len(values) > MaxValues {
		return fmt.Sprintf("has %d values, the limit is %d", len(values), MaxValues)
	}
	for _, v := range values {
		// the byte count is an upper bound of the code points and cheap
		if len(v) > limit && utf8.RuneCountInString(v) > limit {
			return fmt.Sprintf("a value has %d characters, the limit is %d", utf8.RuneCountInString(v), limit)
		}
		if t == Numeric {
			if _, ok := ParseNumber(v); !ok {
				return fmt.Sprintf("%q is not a number", shorten(v))
			}
		}
	}
	return ""
}

// shorten keeps an error message readable when a value is a book.
func shorten(s string) string {
	const limit = 80
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit]) + "…"
}

// CheckPath says what is wrong with an asset's path, or "" (policy-model.md 3.3).
func CheckPath(path string) string { return checkText(path, MaxPathLength, false) }

// CheckEntityID says what is wrong with an identity's id, or "" (policy-model.md 3.6).
func CheckEntityID(id string) string { return checkText(id, MaxEntityIDLength, false) }
