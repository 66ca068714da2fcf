package runtime

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/casefile"
	"github.com/ambit-authz/ambit/internal/model"
)

// listedUsers is an answer of User List as a test reads it.
type listedUsers struct {
	Response []struct {
		Access []struct {
			EntityID     string
			EntityTypeID model.TemplateID
			Actions      []struct{ Action string }
		}
	}
}

// transposes wants User List to name an identity, with its actions, exactly when Permit/Deny allows that identity some
// action on the asset (RT-100): stored and sent assets, types as a whole, context data, rows by themselves, inactive ones.
func (s *stack) transposes(t *rapid.T, p *planner, x *expectation, asked *plan) {
	t.Helper()
	a := p.asset()
	at := x.types[a.template]
	inactive := p.chance(30, "inactive ones")
	one := *asked
	one.people, one.alone, one.assets, one.listed, one.types, one.identity = nil, false, nil, false, nil, false
	body := one.bodyOf(person{context: asked.people[0].context})
	for _, name := range []string{"entityId", "entityTypeId", "assetList", "resourceTypes"} {
		delete(body, name)
	}
	body["includeInActiveIdentities"] = inactive
	body["asset"] = map[string]any{"resourceType": a.template, "path": a.path, "assetAttributes": a.sent}
	var users listedUsers
	status, answer, _ := s.askAt(usersPath, body)
	if err := json.Unmarshal([]byte(answer), &users); err != nil || status != 200 {
		t.Fatalf("asked %s: %d %s", plainJSON(body), status, answer)
	}
	listed := map[string][]string{}
	for _, r := range users.Response {
		for _, u := range r.Access {
			actions := []string{}
			for _, action := range u.Actions {
				actions = append(actions, action.Action)
			}
			listed[string(u.EntityTypeID)+"/"+u.EntityID] = slices.Compact(actions) // one action may have several policies
			s.listed++
		}
	}
	for range 3 {
		template := pickOf(p, "template", p.who)
		who := person{template: template, record: pickOf(p, "user", x.identities[template]), context: asked.people[0].context}
		got, isListed := listed[string(template)+"/"+who.record.EntityID]
		if who.record.Inactive && inactive {
			continue // nobody can ask as one of them
		}
		want, may := s.allowed(t, &one, at, a, who)
		if may != isListed || may && !cmp.Equal(got, want) {
			t.Fatalf("asked %s\n%s has %q: %v, by itself %q: %v\n%s", plainJSON(body), who.record.EntityID, got, isListed, want, may, answer)
		}
	}
}

// bodyOf is the body of a plan whose only identity is who.
func (p *plan) bodyOf(who person) map[string]any {
	one := *p
	one.people = []person{who}
	return one.body()
}

// allowed are the actions that one identity is allowed on an asset, by Permit/Deny; of a type without actions, whether the
// asset is in the identity's list.
func (s *stack) allowed(t *rapid.T, p *plan, at model.AssetTemplate, a named, who person) (actions []string, may bool) {
	t.Helper()
	body := p.bodyOf(who)
	claim := map[string]any{"path": a.path, "assetAttributes": a.sent}
	if len(at.Actions) == 0 {
		if a.path == "" || at.ID == "" {
			return nil, false
		}
		claim["template"] = a.template
		body["assetList"] = claim
		status, answer, _ := s.ask(body)
		return []string{}, len(s.entries(status, answer)) > 0
	}
	body["includeDetails"] = true
	body["listOfResources"] = map[string]any{"resourceType": a.template, "resources": claim}
	status, answer, _ := s.askAt(permitPath, body)
	var got permitted
	if err := json.Unmarshal([]byte(answer), &got); status != 200 || err != nil || len(got.Response) != 1 {
		t.Fatalf("asked %s: %d %s", plainJSON(body), status, answer)
	}
	for _, pair := range got.Response[0].Allowed {
		actions = append(actions, pair.Action)
	}
	return actions, len(actions) > 0
}

// resolved is an answer of Policy Resolution as a test reads it.
type resolved struct {
	Response []struct {
		Privileges struct {
			Allowed []json.RawMessage
		}
	}
}

type resolvedEntry struct {
	Path         *string
	ResourceType model.TemplateID
	Actions      []struct {
		Action string
		Filter *readFilter `json:"asset-attributes-filter"`
	}
}

// fitting are the stored assets and actions that the filters of an entry fit.
func (e *resolvedEntry) fitting(x *expectation) map[string]bool {
	out := map[string]bool{}
	for _, action := range e.Actions {
		for path, asset := range x.assets[e.ResourceType] {
			if action.Filter == nil || action.Filter.fits(asset) {
				out[string(e.ResourceType)+"\n"+path+"\n"+action.Action] = true
			}
		}
	}
	return out
}

type readFilter struct {
	Or []struct {
		And []struct {
			Attribute, Type, Operator string
			Values                    []string
		} `json:"AND"`
	} `json:"OR"`
}

func (f *readFilter) fits(a model.Asset) bool {
	for _, branch := range f.Or {
		fits := true
		for _, l := range branch.And {
			fits = fits && leafFits(a, l.Attribute, l.Type, l.Operator, l.Values)
		}
		if fits {
			return true
		}
	}
	return false
}

// resolves wants Policy Resolution to answer types in asset form with the entries of the list, byte by byte, and the
// stored assets of types in filter form, read through the filter, to be in the list (RT-91 to RT-98).
func (s *stack) resolves(t *rapid.T, x *expectation, asked *plan) {
	t.Helper()
	one := *asked
	one.listed, one.types = false, nil
	for _, id := range slices.Sorted(maps.Keys(x.types)) {
		one.types = append(one.types, wish{name: id})
	}
	body := one.body()
	status, list, _ := s.ask(body)
	var document struct {
		Response []struct{ Access []json.RawMessage }
	}
	if err := json.Unmarshal([]byte(list), &document); status != 200 || err != nil {
		t.Fatalf("asked %s: %d %s", plainJSON(body), status, list)
	}
	may := map[string]bool{} // type, path and action, of types in filter form
	var want []string
	for _, r := range document.Response {
		for _, entry := range r.Access {
			var e tokenEntry
			if err := json.Unmarshal(entry, &e); err != nil {
				t.Fatal(err)
			}
			if !x.types[e.ResourceType].IsUsedForFiltering {
				want = append(want, string(entry))
			}
			for _, action := range e.Actions {
				may[string(e.ResourceType)+"\n"+e.Path+"\n"+action.Action] = true
			}
		}
	}
	var got resolved
	status, answer, _ := s.askAt(resolutionPath, body)
	if err := json.Unmarshal([]byte(answer), &got); status != 200 || err != nil || len(got.Response) != 1 {
		t.Fatalf("asked %s: %d %s", plainJSON(body), status, answer)
	}
	var assets []string
	for _, raw := range got.Response[0].Privileges.Allowed {
		var e resolvedEntry
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatal(err)
		}
		if e.Path != nil {
			assets = append(assets, string(raw))
			continue
		}
		for key := range e.fitting(x) {
			if s.fitting++; !may[key] {
				t.Fatalf("asked %s\na filter fits %q, which is not listed: %s\n%s", plainJSON(body), key, answer, list)
			}
		}
	}
	for key := range may {
		if id, _, _ := strings.Cut(key, "\n"); x.types[model.TemplateID(id)].IsUsedForFiltering {
			s.filterable++
		}
	}
	if d := cmp.Diff(want, assets); d != "" {
		t.Fatalf("asked %s\nassets (-list +resolution):\n%s", plainJSON(body), d)
	}
}

// leafFits reads a leaf as an application would.
func leafFits(a model.Asset, attribute, typ, operator string, operands []string) bool {
	values := a.Attributes[model.AttributeID(attribute)]
	if attribute == "path" {
		values = []string{a.Path}
	}
	present, hit := false, false
	for _, v := range values {
		x, isNumber := model.ParseNumber(v)
		if typ == "INTEGER" && !isNumber {
			continue
		}
		present = true
		for _, w := range operands {
			y, _ := model.ParseNumber(w)
			order := x.Compare(y)
			switch operator {
			case "EQUALS", "IN", "NOTEQUALS", "NOT_IN":
				hit = hit || typ == "INTEGER" && order == 0 || typ == "STRING" && v == w
			case "LESS":
				hit = hit || order < 0
			case "LESS_EQUALS":
				hit = hit || order <= 0
			case "GREATE":
				hit = hit || order > 0
			case "GREAT_EQUALS":
				hit = hit || order >= 0
			case "CONTAINS":
				hit = hit || strings.Contains(v, w)
			case "STARTWITH":
				hit = hit || strings.HasPrefix(v, w)
			case "ENDWITH":
				hit = hit || strings.HasSuffix(v, w)
			}
		}
	}
	return present && hit != strings.HasPrefix(operator, "NOT")
}

// users asks a check of the corpus the other way round: the identity is among the users of the asset exactly when the
// check allows it the action. What an identity sends of itself is sent as the context of all.
func (r *caseRun) users(k casefile.Check) {
	r.t.Helper()
	q := r.c.Request
	if len(q.Identities) != 1 || k.Action == "" {
		return
	}
	id := q.Identities[0]
	if !slices.ContainsFunc(r.c.World.Identities[id.Template], func(i model.Identity) bool { return i.EntityID == id.EntityID }) {
		return // nobody who is not stored is listed
	}
	body := r.body()
	delete(body, "entityId")
	delete(body, "entityTypeId")
	delete(body, "entityAttributes")
	body["contextData"] = id.Sent
	body["asset"] = map[string]any{"resourceType": k.Asset.Template, "path": k.Asset.Path, "assetAttributes": k.Asset.Attributes, "actions": []string{k.Action}}
	status, answer, _ := r.askAt(usersPath, body)
	var users listedUsers
	if err := json.Unmarshal([]byte(answer), &users); err != nil || status != 200 {
		r.t.Fatalf("%s: asked %s: %d %s", r.c.Why, plainJSON(body), status, answer)
	}
	listed := false
	for _, list := range users.Response {
		for _, u := range list.Access {
			listed = listed || u.EntityID == id.EntityID && u.EntityTypeID == id.Template
		}
	}
	if listed != k.Allowed {
		r.t.Errorf("%s: %s on %+v: among the users %v, want %v: %s", r.c.Why, k.Action, k.Asset, listed, k.Allowed, answer)
	}
	r.counted["users"]++
}

// filter asks for a check of the corpus as a filter: the asset, read through it, fits only when the check allows the
// action.
func (r *caseRun) filter(k casefile.Check) {
	r.t.Helper()
	t, known := r.template(k.Asset.Template)
	value, ok := r.actionValue(k)
	if !known || !ok || k.Action == "" || t.Source != model.SourceRequest {
		return
	}
	asset := model.Asset{Path: k.Asset.Path, Attributes: model.Attributes{}}
	for name, values := range k.Asset.Attributes {
		if a, ok := t.RequestAttribute(string(name)); ok {
			asset.Attributes[a.ID] = values
		}
	}
	body := r.body()
	body["resourceTypes"] = t.ID
	status, answer, _ := r.askAt(resolutionPath, body)
	var got resolved
	if err := json.Unmarshal([]byte(answer), &got); status != 200 || err != nil {
		r.t.Fatalf("%s: %d %s", r.c.Why, status, answer)
	}
	fits := false
	for _, raw := range got.Response[0].Privileges.Allowed {
		var e resolvedEntry
		check(r.t, json.Unmarshal(raw, &e))
		for _, action := range e.Actions {
			fits = fits || action.Action == value && (action.Filter == nil || action.Filter.fits(asset))
		}
	}
	if fits && !k.Allowed {
		r.t.Errorf("%s: the filter of %s fits %+v, which is denied: %s", r.c.Why, k.Action, k.Asset, answer)
	}
	if k.Allowed {
		r.counted["allowed"]++
	}
	if fits {
		r.counted["fits"]++
	}
}
