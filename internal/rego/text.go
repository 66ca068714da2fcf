package rego

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
)

// unquote gives the text of a string token: "…" with JSON escapes or `…` without. ok is false for an unknown escape,
// half of a surrogate pair and characters that Rego does not allow in strings.
func unquote(token string) (text string, ok bool) {
	body := token[1 : len(token)-1]
	if token[0] == '`' {
		return body, true
	}
	if strings.ContainsAny(body, "\x00\r\n\ufeff") {
		return "", false
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(body, '\\')
		if i < 0 {
			b.WriteString(body)
			return b.String(), true
		}
		b.WriteString(body[:i])
		r, size := escape(body[i:])
		if size == 0 {
			return "", false
		}
		b.WriteRune(r)
		body = body[i+size:]
	}
}

// escape reads the JSON escape at the start of s; size 0 means that there is none.
func escape(s string) (r rune, size int) {
	if len(s) < 2 {
		return 0, 0
	}
	if i := strings.IndexByte(`"\/bfnrt`, s[1]); i >= 0 {
		return rune("\"\\/\b\f\n\r\t"[i]), 2
	}
	first, ok := hexEscape(s)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(first) {
		return first, 6
	}
	second, ok := hexEscape(s[6:])
	if !ok {
		return 0, 0
	}
	if r = utf16.DecodeRune(first, second); r == unicode.ReplacementChar {
		return 0, 0
	}
	return r, 12
}

func hexEscape(s string) (rune, bool) {
	if len(s) < 6 || s[:2] != `\u` {
		return 0, false
	}
	n, err := strconv.ParseUint(s[2:6], 16, 16)
	return rune(n), err == nil
}

// quote writes a JSON string that escapes only what it must (policy-model.md 6.7 rule 10), and the byte order mark,
// which no Rego parser takes inside a text.
func quote(s string) string { return quoteWith(s, func(r rune) bool { return r == '\ufeff' }) }

// quoteYAML is quote for metadata: characters that YAML breaks lines at or does not take are escaped too.
func quoteYAML(s string) string { return quoteWith(s, isYAMLSpecial) }

func isYAMLSpecial(r rune) bool {
	return r == '\ufeff' || r == '\u2028' || r == '\u2029' || r == '\ufffe' || r == '\uffff'
}

func quoteWith(s string, special func(rune) bool) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case strings.ContainsRune("\b\f\n\r\t", r):
			b.WriteByte('\\')
			b.WriteByte("bfnrt"[strings.IndexRune("\b\f\n\r\t", r)])
		case unicode.IsControl(r) || special(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// plain writes a text of the metadata as a plain YAML scalar where that reads back as the same text, else quoted (rule 4).
func plain(s string) string {
	switch {
	case s == "",
		strings.TrimFunc(s, unicode.IsSpace) != s,
		strings.IndexByte("-?:,[]{}#&*!|>'\"%@`", s[0]) >= 0,
		strings.Contains(s, ": "), strings.Contains(s, " #"), strings.HasSuffix(s, ":"),
		strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || isYAMLSpecial(r) }):
		return quoteYAML(s)
	}
	return s
}
