package runtime

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// What a token call must answer, byte for byte, by encoding/json: who may do what is the engine's word, which other tests
// lay beside a reference; everything else of the document is worked out here from runtime-api.md 5.3 and 8.2 to 8.5.

// catalog is what an environment holds, as its store tells it.
type catalog struct {
	types      map[model.TemplateID]model.AssetTemplate
	assets     map[model.TemplateID]map[string]model.Asset
	paths      map[model.TemplateID][]string
	people     map[model.TemplateID]model.IdentityTemplate
	identities map[model.TemplateID][]model.Identity
}

func readCatalog(s *stack) *catalog {
	s.t.Helper()
	c := &catalog{
		types: map[model.TemplateID]model.AssetTemplate{}, assets: map[model.TemplateID]map[string]model.Asset{}, paths: map[model.TemplateID][]string{},
		people: map[model.TemplateID]model.IdentityTemplate{}, identities: map[model.TemplateID][]model.Identity{},
	}
	check(s.t, s.store.View(context.Background(), stackEnvironment, func(tx *store.Tx) error {
		for t, err := range tx.AssetTemplates.FindAll() {
			if err != nil {
				return err
			}
			c.types[t.ID], c.assets[t.ID] = t, map[string]model.Asset{}
			for a, err := range tx.Assets(t.ID).After(0) {
				if err != nil {
					return err
				}
				c.assets[t.ID][a.Record.Path] = a.Record
				c.paths[t.ID] = append(c.paths[t.ID], a.Record.Path)
			}
		}
		for t, err := range tx.IdentityTemplates.FindAll() {
			if err != nil {
				return err
			}
			c.people[t.ID] = t
			for i, err := range tx.Identities(t.ID).After(0) {
				if err != nil {
					return err
				}
				c.identities[t.ID] = append(c.identities[t.ID], i.Record)
			}
		}
		return nil
	}))
	return c
}

// plan is one request in plain words.
type plan struct {
	people      []person // the first is the primary
	alone       bool     // additional identities alone: there is no primary
	environment map[string][]string
	ip          string
	offset      float64
	combined    bool
	listed      bool // an assetList is sent
	assets      []named
	types       []wish // nil = absent
	names, ids  bool   // of granting policies
	identity    bool
	echo        bool
	bare        bool // no attributes
}

type person struct {
	template      model.TemplateID
	record        model.Identity
	sent, context map[string][]string
}

// named is an entry of assetList.
type named struct {
	template model.TemplateID
	path     string
	sent     map[string][]string
}

// wish is an entry of resourceTypes. asText writes the attribute list as one text.
type wish struct {
	name       model.TemplateID
	attributes []string
	asText     bool
	actions    []string
}

// body is the request on the wire.
func (p *plan) body() map[string]any {
	body := map[string]any{}
	additional := []map[string]any{}
	for i, x := range p.people {
		claim := map[string]any{"entityId": x.record.EntityID, "entityTypeId": x.template}
		if x.sent != nil {
			claim["entityAttributes"] = x.sent
		}
		if x.context != nil {
			claim["contextData"] = x.context
		}
		if i > 0 || p.alone {
			additional = append(additional, claim)
		} else {
			body = claim
		}
	}
	if len(additional) > 0 {
		body["additionalIdentities"] = additional
	}
	for name, on := range map[string]bool{
		"includeAccessPolicy": p.names, "includeAccessPolicyId": p.ids, "includeIdentity": p.identity,
		"includeContext": p.echo, "combinedMultiValue": p.combined,
	} {
		if on {
			body[name] = true
		}
	}
	if p.bare {
		body["includeAssetAttributes"] = "False"
	}
	body["environment"], body["remoteIp"], body["timeZoneOffset"] = p.environment, p.ip, p.offset
	if p.listed {
		list := []map[string]any{}
		for _, a := range p.assets {
			list = append(list, map[string]any{"template": a.template, "path": a.path, "assetAttributes": a.sent})
		}
		body["assetList"] = list
	}
	if p.types != nil {
		list := []map[string]any{}
		for _, w := range p.types {
			entry := map[string]any{"name": w.name, "attributeList": w.attributes, "actions": w.actions}
			if w.asText {
				entry["attributeList"] = strings.Join(w.attributes, ",")
			}
			list = append(list, entry)
		}
		body["resourceTypes"] = list
	}
	return body
}

// expectation works out answers.
type expectation struct {
	*catalog
	t        testing.TB
	snapshot *engine.Snapshot
	scope    model.Scope
	now      time.Time
	entries  int // expected so far
}

// object is a JSON object in the order of its members.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON writes the members in order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(plainJSON(m.name))
		b.WriteByte(':')
		b.Write(plainJSON(m.value))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// plainJSON is encoding/json without escapes that RFC 8259 does not ask for.
func plainJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // the values are strings, numbers, lists and objects of them
	}
	text := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	return bytes.ReplaceAll(bytes.ReplaceAll(text, []byte(`\u2028`), []byte("\u2028")), []byte(`\u2029`), []byte("\u2029"))
}

// answer is the whole document.
func (x *expectation) answer(p *plan) string {
	x.t.Helper()
	document := object{{"tokenValidity", x.scope.TokenValidity}}
	access := x.access(p)
	x.entries += len(access)
	response := []any{}
	if len(access) > 0 {
		response = append(response, object{{"access", access}})
	}
	document = append(document, member{"response", response})
	if p.identity {
		var shown []object
		for _, who := range p.people {
			shown = append(shown, x.identity(who))
		}
		document = append(document, member{"identity", shown[0]})
		if len(shown) > 1 {
			document = append(document, member{"additionalIdentities", shown[1:]})
		}
	}
	var context any
	if c := p.people[0].context; p.echo && !p.alone && c != nil {
		context = c
	}
	return string(plainJSON(append(document, member{"contextData", context})))
}

// merged is an identity with what the request may say of it (5.3).
func (x *expectation) merged(who person) model.Identity {
	out := model.Identity{EntityID: who.record.EntityID, Inactive: who.record.Inactive, Attributes: who.record.Attributes.Clone()}
	if out.Attributes == nil {
		out.Attributes = model.Attributes{}
	}
	for _, row := range who.record.Rows {
		out.Rows = append(out.Rows, row.Clone())
	}
	t := x.people[who.template]
	for _, a := range t.Attributes {
		if !a.IsUsedInAccessRequest {
			continue
		}
		for _, from := range []map[string][]string{who.sent, who.context} { // the later one wins
			for _, name := range []string{a.NameForRequest, string(a.ID)} {
				values, ok := from[name]
				if !ok || name == "" {
					continue
				}
				out.Attributes[a.ID] = values
				for _, row := range out.Rows {
					delete(row, a.ID)
				}
			}
		}
	}
	return out
}

func (x *expectation) identity(who person) object {
	id := x.merged(who)
	pooled := id.Pooled()
	attributes := object{}
	for _, a := range x.people[who.template].Attributes {
		values := append([]string{}, pooled[a.ID]...)
		if a.ID == model.AttributeUID {
			values = []string{id.EntityID}
		}
		attributes = append(attributes, member{string(a.ID), values})
	}
	return object{{"entityId", id.EntityID}, {"entityTypeId", who.template}, {"typeName", who.template}, {"attributes", attributes}}
}

// access lists the entries: discovered ones, or those of each listed asset by itself, types ascending (8.2, 8.4).
func (x *expectation) access(p *plan) []object {
	x.t.Helper()
	q := engine.Question{
		Applications: x.scope.ApplicationIDs, Environment: p.environment, SourceIP: netip.MustParseAddr(p.ip), Instant: x.now,
		ZoneOffset: time.Duration(p.offset * float64(time.Hour)), CombinedMultiValue: p.combined,
	}
	for _, who := range p.people {
		id := x.merged(who)
		q.Identities = append(q.Identities, engine.Identity{Template: who.template, EntityID: id.EntityID, Inactive: id.Inactive, Attributes: id.Attributes, Rows: id.Rows})
	}
	r, err := x.snapshot.Bind(q)
	check(x.t, err)
	if !p.listed {
		return x.selected(p, r, engine.Selection{Policies: true}, nil)
	}
	assets := slices.Clone(p.assets)
	slices.SortStableFunc(assets, func(a, b named) int { return cmp.Compare(a.template, b.template) })
	var out []object
	for _, a := range assets {
		sent := x.sentValues(a)
		sel := engine.Selection{Policies: true, Assets: []engine.Asset{{Template: a.template, Path: a.path, Attributes: sent}}}
		out = append(out, x.selected(p, r, sel, sent)...)
	}
	return out
}

// sentValues are the values of a listed asset that count, by attribute id (1.2, 6.4).
func (x *expectation) sentValues(a named) model.Attributes {
	out := model.Attributes{}
	t := x.types[a.template]
	if t.Source != model.SourceRequest && !t.IsAttributeSentInRequest {
		return out
	}
	for _, d := range t.Attributes {
		if d.ID == model.AttributePath {
			continue
		}
		if values, ok := a.sent[string(d.ID)]; ok && !slices.ContainsFunc(t.Attributes, func(o model.AssetAttribute) bool { return o.NameForRequest == string(d.ID) && o.ID != d.ID }) {
			out[d.ID] = values
		}
		if values, ok := a.sent[d.NameForRequest]; ok && d.NameForRequest != "" {
			out[d.ID] = values
		}
	}
	return out
}

// selected shows what the engine found, as far as resourceTypes wants it (8.3).
func (x *expectation) selected(p *plan, r *engine.Residual, sel engine.Selection, sent model.Attributes) []object {
	x.t.Helper()
	access, err := r.Select(sel)
	check(x.t, err)
	var out []object
	sets := access.ActionSets()
	for e := range access.Entries() {
		t := x.types[e.Template()]
		wishes := slices.DeleteFunc(slices.Clone(p.types), func(w wish) bool { return w.name != t.ID })
		if p.types != nil && len(wishes) == 0 {
			continue
		}
		actions, any := shownActions(p, t, wishes, sets[e.Actions])
		if !any {
			continue
		}
		entry := object{{"path", e.Path()}}
		if !p.bare {
			entry = append(entry, member{"attributes", x.attributes(p, t, wishes, e.Path(), sent)})
		}
		out = append(out, append(entry, member{"resourceType", t.ID}, member{"actions", actions}))
	}
	return out
}

// shownActions are the action objects of an entry; any is false when the wishes leave none.
func shownActions(p *plan, t model.AssetTemplate, wishes []wish, set engine.ActionSet) (out []object, any bool) {
	all := p.types == nil
	wanted := map[model.ActionID]bool{}
	for _, w := range wishes {
		all = all || len(w.actions) == 0
		for _, name := range w.actions {
			byValue := slices.IndexFunc(t.Actions, func(a model.Action) bool { return a.Value == name })
			byID := slices.IndexFunc(t.Actions, func(a model.Action) bool { return string(a.ID) == name })
			if at := byValue; at >= 0 {
				wanted[t.Actions[at].ID] = true
			} else if byID >= 0 {
				wanted[t.Actions[byID].ID] = true
			}
		}
	}
	out = []object{}
	if len(t.Actions) == 0 {
		return out, all
	}
	for _, g := range set {
		if !all && !wanted[g.Action.ID] {
			continue
		}
		refs := g.Policies
		if !p.names && !p.ids {
			refs = refs[:1]
		}
		for _, ref := range refs {
			o := object{{"action", g.Action.Value}}
			if p.names {
				o = append(o, member{"permission", ref.Name})
			}
			if p.ids {
				o = append(o, member{"permissionId", ref.ID})
			}
			out = append(out, o)
		}
	}
	return out, len(out) > 0
}

// attributes is the value map of an entry (8.3, 8.4, 8.5).
func (x *expectation) attributes(p *plan, t model.AssetTemplate, wishes []wish, path string, sent model.Attributes) object {
	stored := x.assets[t.ID][path]
	out := object{}
	declared := []model.AttributeID{}
	nameDeclared := false
	for _, a := range t.Attributes {
		if a.ID == model.AttributeName {
			nameDeclared = true
		} else if a.ID != model.AttributePath {
			declared = append(declared, a.ID)
		}
	}
	for _, id := range append(declared, model.AttributeName, model.AttributePath) {
		values, replaced := sent[id]
		switch {
		case id == model.AttributePath:
			values = []string{path}
		case replaced:
		case id == model.AttributeName && !nameDeclared:
			values = []string{cmp.Or(stored.Name, path)}
		default:
			values = stored.Attributes[id]
		}
		pseudo := id == model.AttributePath || id == model.AttributeName && !nameDeclared
		if len(values) == 0 || pseudo && path == "" || p.types != nil && !slices.ContainsFunc(wishes, func(w wish) bool { return w.shows(t, id) }) {
			continue
		}
		out = append(out, member{string(id), values})
	}
	return out
}

// shows reports whether one entry of resourceTypes shows an attribute.
func (w wish) shows(t model.AssetTemplate, id model.AttributeID) bool {
	means := func(name string) bool {
		for _, a := range t.Attributes {
			if a.NameForRequest == name && name != "" {
				return a.ID == id
			}
		}
		return string(id) == name
	}
	if len(w.attributes) == 0 {
		return id == model.AttributeName || id == model.AttributePath
	}
	selects, selected := false, false
	for _, entry := range w.attributes {
		name, minus := strings.CutPrefix(entry, "-")
		switch {
		case minus && means(name):
			return false
		case !minus:
			selects = true
			selected = selected || means(name)
		}
	}
	return selected || !selects
}
