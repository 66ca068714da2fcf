package engine

import (
	"slices"

	"github.com/ambit-authz/ambit/internal/model"
)

// Projection says which attributes the entries of a type show (runtime-api.md 8.3).
type Projection struct {
	None  bool                // no attributes member at all
	Names []model.AttributeID // in the order of answers; may hold the pseudo-attributes name and path; unknown ones are left out
}

// appendText appends a JSON string. Only the quote, the backslash and control characters are escaped (runtime-api.md
// 3.5); the text is valid UTF-8.
func appendText(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func appendTexts(dst []byte, vs []string) []byte {
	dst = append(dst, '[')
	for i, v := range vs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(dst, v)
	}
	return append(dst, ']')
}

// appendRecord appends "path":"…","attributes":{…}, the part of an answer entry that does not depend on the question.
// Attributes without a value are left out. A nil projection shows all.
func (t *assetType) appendRecord(dst []byte, path string, p *Projection, values func(model.AttributeID) []string) []byte {
	dst = append(dst, `"path":`...)
	dst = appendText(dst, path)
	if p != nil && p.None {
		return dst
	}
	dst = append(dst, `,"attributes":{`...)
	start := len(dst)
	for _, id := range t.order {
		if p == nil || slices.Contains(p.Names, id) {
			dst = appendMember(dst, start, id, values(id))
		}
	}
	return append(dst, '}')
}

// AppendAttributes appends the JSON object of an asset's attributes as answers show it, {} for an asset that is not
// known and for a type as a whole.
func (s *Snapshot) AppendAttributes(dst []byte, a Asset) []byte {
	dst = append(dst, '{')
	if full, ok := s.complete(&a); ok {
		t, start := s.assets[a.Template], len(dst)
		for _, id := range t.order {
			dst = appendMember(dst, start, id, t.assetValues(full, id))
		}
	}
	return append(dst, '}')
}

// appendMember appends an attribute with its values to an object that began at start, if it has any.
func appendMember(dst []byte, start int, id model.AttributeID, vs []string) []byte {
	if len(vs) == 0 {
		return dst
	}
	if len(dst) > start {
		dst = append(dst, ',')
	}
	dst = appendText(dst, string(id))
	dst = append(dst, ':')
	return appendTexts(dst, vs)
}

// appendStored appends what is kept encoded of a stored asset: its record up to the pseudo-attributes that only repeat
// the path, which finish puts back.
func (t *assetType) appendStored(dst []byte, a *model.Asset) []byte {
	dst = append(dst, `"path":`...)
	dst = appendText(dst, a.Path)
	dst = append(dst, `,"attributes":{`...)
	start := len(dst)
	for _, id := range t.order {
		if id == model.AttributePath || id == model.AttributeName && t.nameIsPath(a.Name == "" || a.Name == a.Path) {
			continue
		}
		dst = appendMember(dst, start, id, t.assetValues(a, id))
	}
	return dst
}

// nameIsPath reports whether the pseudo-attribute name shows the path: when the asset has no other display name and the
// type declares no attribute of that id.
func (t *assetType) nameIsPath(unnamed bool) bool { return unnamed && !t.declaresName }

// finish completes an encoded stored asset at the end of dst.
func (t *assetType) finish(dst, stored []byte, unnamed bool) []byte {
	path := pathOnly(stored)[len(`"path":`):]
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	if t.nameIsPath(unnamed) {
		dst = append(dst, `"name":[`...)
		dst = append(dst, path...)
		dst = append(dst, `],`...)
	}
	dst = append(dst, `"path":[`...)
	dst = append(dst, path...)
	return append(dst, `]}`...)
}

// pathOnly cuts an encoded record after its path.
func pathOnly(record []byte) []byte {
	const start = len(`"path":"`)
	i := start
	for record[i] != '"' {
		if record[i] == '\\' {
			i++
		}
		i++
	}
	return record[:i+1]
}

// Append appends the entry up to its action list: {"path":…,"attributes":{…},"resourceType":…,"actions": with the
// attributes that proj shows, nil = all.
func (e *Entry) Append(dst []byte, proj *Projection) []byte {
	dst = append(dst, '{')
	switch {
	case e.described != nil:
		dst = e.asset.appendRecord(dst, e.described.Path, proj, e.shown)
	case proj == nil:
		e.among.fetch()
		stored := e.record.Blob()
		dst = e.asset.finish(append(dst, stored...), stored, !e.record.Has(e.asset.nameColumn()))
	case proj.None:
		dst = append(dst, pathOnly(e.record.Blob())...)
	default:
		stored := e.record.Values(nil, 0)
		dst = e.asset.appendRecord(dst, stored[0], proj, e.shown)
	}
	return append(dst, e.asset.tail...)
}

// shown are the values of an attribute as answers show them.
func (e *Entry) shown(id model.AttributeID) []string {
	if e.described != nil {
		return e.asset.assetValues(e.described, id)
	}
	if vs := e.asset.values(e.record, id); len(vs) > 0 || id != model.AttributeName {
		return vs
	}
	if _, declared := e.asset.columns[id]; declared {
		return nil
	}
	if name := e.record.Values(nil, e.asset.nameColumn()); len(name) > 0 {
		return name
	}
	return e.record.Values(nil, 0)
}
