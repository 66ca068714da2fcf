package rego

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/ambit-authz/ambit/internal/model"
)

// limited reads a text of 1 (or, for a description, 0) to limit code points.
func (h *header) limited(name string, limit int, r *report) (text string, at position, ok bool) {
	if text, at, ok = h.text(name, r); !ok {
		return "", at, false
	}
	if n := utf8.RuneCountInString(text); n > limit || n == 0 {
		r.fault("RG-106", at, name, strconv.Itoa(n), strconv.Itoa(limit))
		return text, at, false
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		r.fault("RG-102", position{at.line, 1}, strconv.Quote(name)+" contains a control character")
		return text, at, false
	}
	return text, at, true
}

func (h *header) description(r *report) *string {
	text, at, ok := h.text("description", r)
	if !ok {
		return nil
	}
	if n := utf8.RuneCountInString(text); n > limitDescription {
		r.fault("RG-106", at, "description", strconv.Itoa(n), strconv.Itoa(limitDescription))
	}
	return &text
}

// required reports a key that is missing; a block that could not be read is not blamed twice.
func (h *header) required(name string, r *report) {
	if n, _ := h.take(name); n == nil && !h.broken {
		r.fault("RG-103", h.at, name)
	}
}

// policyHeader reads the metadata of a policy.
func (b *builder) policyHeader(h *header) *model.Policy {
	p := &model.Policy{WorkspaceID: b.opt.Workspace, Use: model.PolicyUseDynamic}
	if id, at, ok := h.limited("policyId", limitID, b.report); ok {
		p.ID, b.module.Positions.ID = model.PolicyID(id), b.place(at)
		if strings.TrimFunc(id, unicode.IsSpace) != id {
			b.fault("RG-102", position{at.line, 1}, `"policyId" begins or ends with a blank`)
		}
	}
	p.Name, _, _ = h.limited("name", limitName, b.report)
	h.required("name", b.report)
	p.Description = h.description(b.report)
	access, at, ok := h.text("accessType", b.report)
	h.required("accessType", b.report)
	p.Access = model.Access(access)
	if ok && p.Access != model.Allow && p.Access != model.Restrict {
		b.fault("RG-107", at, access)
	}
	if use, at, ok := h.text("policyUse", b.report); ok && use != model.PolicyUseDynamic {
		b.fault("RG-112", at, use)
	}
	h.take("sourceEnvironmentId")
	p.Applications = b.applications(h)
	p.CustomAttributes = b.customAttributes(h)
	h.ignored(b.report)
	return p
}

// applications reads a list of ids or of maps with an id.
func (b *builder) applications(h *header) []model.ApplicationID {
	n, at := h.take("applications")
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		b.fault("RG-102", position{at.line, 1}, `"applications" must be a list`)
		return nil
	}
	var ids []model.ApplicationID
	for _, item := range n.Content {
		if item.Kind == yaml.MappingNode {
			item = b.applicationID(h, item)
		}
		if item == nil || item.Kind != yaml.ScalarNode || isEmpty(item) {
			b.fault("RG-102", h.source.lineStart(n.Line), "an application must be an id or a map with an id")
			continue
		}
		at := h.source.place(item.Line, item.Column)
		id := model.ApplicationID(item.Value)
		if size := utf8.RuneCountInString(item.Value); size > limitID || size == 0 {
			b.fault("RG-106", at, "id", strconv.Itoa(size), strconv.Itoa(limitID))
		} else if problem := model.CheckExternalID(item.Value); problem != "" {
			b.fault("RG-102", position{at.line, 1}, `"id" `+problem)
		}
		if b.opt.Catalog != nil && !b.opt.Catalog.Application(id) {
			b.warn("RW-03", at, item.Value)
		}
		ids = append(ids, id)
	}
	return ids
}

// applicationID finds the id in an item of applications and warns of its other keys.
func (b *builder) applicationID(h *header, item *yaml.Node) (id *yaml.Node) {
	for i := 0; i < len(item.Content); i += 2 {
		key := item.Content[i]
		if key.Value == "id" {
			id = item.Content[i+1]
			continue
		}
		b.warn("RW-05", h.source.place(key.Line, key.Column), "metadata key "+strconv.Quote(key.Value))
	}
	return id
}

// customAttributes reads the map of values and, with a catalog, checks it (policy-model.md 3.13). That an
// attribute may not change on update is for package manage to check: it knows what is stored.
func (b *builder) customAttributes(h *header) []model.CustomValue {
	n, at := h.take("customAttributes")
	if n != nil && n.Kind != yaml.MappingNode {
		b.fault("RG-102", position{at.line, 1}, `"customAttributes" must be a map`)
		return nil
	}
	var definitions []model.CustomAttribute
	if b.opt.Catalog != nil {
		definitions = b.opt.Catalog.CustomAttributes()
	}
	var values []model.CustomValue
	if n != nil {
		for i := 0; i < len(n.Content); i += 2 {
			if v, ok := b.customAttribute(h, n.Content[i], n.Content[i+1], definitions); ok {
				values = append(values, v)
			}
		}
	}
	for _, d := range definitions {
		given := slices.ContainsFunc(values, func(v model.CustomValue) bool { return v.Key == d.Key })
		if d.Required && !given && !h.broken {
			b.fault("RG-111", h.at, d.Key, "is required; the policy's customAttributes lack it")
		}
	}
	return values
}

func (b *builder) customAttribute(h *header, key, value *yaml.Node, definitions []model.CustomAttribute) (model.CustomValue, bool) {
	v := model.CustomValue{Key: key.Value, List: value.Kind == yaml.SequenceNode}
	items := []*yaml.Node{value}
	if v.List {
		items = value.Content
	}
	at := h.source.place(value.Line, value.Column)
	if isEmpty(value) {
		at = h.source.place(key.Line, key.Column)
	}
	for _, item := range items {
		if item.Kind != yaml.ScalarNode || isEmpty(item) {
			b.fault("RG-111", at, v.Key, "must be a text, a number or a list of them")
			return v, true
		}
		v.Values = append(v.Values, model.Literal{Text: item.Value, Number: item.Style == 0 && isJSONNumber(item.Value)})
	}
	if len(v.Values) == 0 {
		b.fault("RG-111", at, v.Key, "has no value")
		return v, true
	}
	if b.opt.Catalog == nil {
		return v, true
	}
	i := slices.IndexFunc(definitions, func(d model.CustomAttribute) bool { return d.Key == v.Key })
	if i < 0 {
		b.fault("RG-110", h.source.place(key.Line, key.Column), v.Key)
		return v, false
	}
	if problem := definitions[i].CheckValue(v); problem != "" {
		b.fault("RG-111", at, v.Key, problem)
	}
	return v, true
}
