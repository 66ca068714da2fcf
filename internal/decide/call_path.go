package decide

import (
	"net/url"
	"slices"
	"strings"
)

// CallPath is the path of a described call (runtime-api.md 13.2).
type CallPath struct {
	full     string   // begins with /, has neither query nor fragment
	elements []string // what [n] counts in; [0] is full
}

// ReadCallPath reads a path as it was sent: the full path and its segments, the full path alone, or segments alone. sent
// must not be empty.
func ReadCallPath(sent []string) CallPath {
	if len(sent) > 1 && !strings.HasPrefix(sent[0], "/") {
		// what splits or ends a path is data within a segment
		data := strings.NewReplacer("/", "%2F", "?", "%3F", "#", "%23")
		segments := make([]string, len(sent))
		for i, s := range sent {
			segments[i] = data.Replace(s)
		}
		full := "/" + strings.Join(segments, "/")
		return CallPath{full: full, elements: append([]string{full}, sent...)}
	}
	full := sent[0]
	if end := strings.IndexAny(full, "?#"); end >= 0 {
		full = full[:end]
	}
	if !strings.HasPrefix(full, "/") {
		full = "/" + full
	}
	p := CallPath{full: full}
	if len(sent) > 1 {
		p.elements = append([]string{full}, sent[1:]...)
	} else {
		p.elements = append([]string{full}, p.split()...)
	}
	return p
}

// String is the full path.
func (p *CallPath) String() string { return p.full }

// element is [n], percent-decoded. Counting segments passes over an empty element after the full path.
func (p *CallPath) element(n int, segments bool) (string, bool) {
	if segments && n > 0 && len(p.elements) > 1 && p.elements[1] == "" {
		n++
	}
	if n >= len(p.elements) {
		return "", false
	}
	return unescaped(p.elements[n]), true
}

// split gives the segments of the full path as they were sent, without what follows one trailing slash.
func (p *CallPath) split() []string {
	if p.full == "/" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(p.full[1:], "/"), "/")
}

// segments gives the segments of the full path, percent-decoded. ok is false for a path that fits no mapper, because
// servers differ in what they make of it: one with an empty segment or with a dot segment, plain or encoded.
func (p *CallPath) segments() (segments []string, ok bool) {
	segments = p.split()
	for i, s := range segments {
		segments[i] = unescaped(s)
		if s == "" || isDotted(segments[i]) {
			return nil, false
		}
	}
	return segments, true
}

// isDotted reports whether a server that decodes a segment before it resolves the path could see . or .. in it. Some
// cut what follows a semicolon.
func isDotted(segment string) bool {
	parts := strings.FieldsFunc(segment, func(r rune) bool { return r == '/' || r == '\\' })
	return slices.ContainsFunc(parts, func(part string) bool {
		name, _, _ := strings.Cut(part, ";")
		return name == "." || name == ".."
	})
}

// unescaped decodes percent escapes once; a faulty one leaves the text as it is.
func unescaped(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}
