package identity

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/model"
)

// directory is an environment of a test: templates by id, and their records.
type directory map[model.TemplateID]struct {
	template *model.IdentityTemplate
	records  map[string]model.Identity
}

func (d directory) IdentityTemplates() []*model.IdentityTemplate {
	var out []*model.IdentityTemplate
	for _, id := range []model.TemplateID{"Device", "Staff", "Tenant", "Zone"} {
		if t, ok := d[id]; ok {
			out = append(out, t.template)
		}
	}
	return out
}

func (d directory) IdentityTemplate(id model.TemplateID) (*model.IdentityTemplate, bool) {
	t, ok := d[id]
	return t.template, ok
}

func (d directory) FindIdentity(t model.TemplateID, entityID string) (model.Identity, bool) {
	r, ok := d[t].records[entityID]
	return r, ok
}

// newDirectory has templates whose identities are those named; attributes open, alias (for requests) and closed.
func newDirectory(templates ...model.TemplateID) directory {
	d := directory{}
	for _, id := range templates {
		entry := d[id]
		entry.template = &model.IdentityTemplate{ID: id, Attributes: []model.IdentityAttribute{
			{ID: "uid", IsUsedInAccessRequest: true},
			{ID: "closed"},
			{ID: "open", IsUsedInAccessRequest: true},
			{ID: "alias", IsUsedInAccessRequest: true, NameForRequest: "older"},
			{ID: "clash", IsUsedInAccessRequest: true, NameForRequest: "open"},
		}}
		entry.records = map[string]model.Identity{}
		for _, name := range []string{"ann", "bob"} {
			entry.records[name] = model.Identity{
				EntityID:   name,
				Attributes: model.Attributes{"closed": {"stored"}, "open": {"stored"}},
				Rows:       []model.Attributes{{"alias": {"r1"}, "row": {"1"}}, {"alias": {"r2"}, "row": {"2"}}},
			}
		}
		d[id] = entry
	}
	return d
}

// headerMatcher hits when the header x-kind says kind, and takes the id from x-user.
func headerMatcher(t *testing.T, template model.TemplateID, kind string) Matcher {
	t.Helper()
	m, err := NewMatcher(template, model.Matcher{
		TemplateMatcher: "$.headers['X-Kind']", MatcherValue: kind,
		IdentityIDMapper: "headers.x-user[0]", ClaimMappings: map[model.AttributeID]string{"open": "$.headers.x-open", "closed": "$.headers.x-open"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// RT-40, RT-41, RT-43 to RT-47, RT-50, RT-52, RT-53: which identities a request is about.
func TestResolve(t *testing.T) {
	one, two := newDirectory("Staff"), newDirectory("Staff", "Device", "Tenant", "Zone")
	staff := func(id string) Claim { return Claim{EntityID: id, Template: "Staff"} }
	headers := func(kind, user string) Evidence {
		ev := Evidence{Headers: map[string][]string{"x-kind": {"other", kind}}}
		if user != "" {
			ev.Headers["x-user"] = []string{user}
		}
		return ev
	}
	const unmatched, missing, unknown = "None of the Identity Templates Matched", "entityId: required", "MemberNotFoundError: identity not found"
	tests := []struct {
		name string
		dir  directory
		req  Request
		want string // identities, or the error
	}{
		{"named", two, Request{Primary: staff("ann")}, "Staff/ann"},
		{"RT-44 the only template", one, Request{Primary: Claim{EntityID: "ann"}}, "Staff/ann"},
		{"RT-44 several templates", two, Request{Primary: Claim{EntityID: "ann"}}, unmatched},
		{"RT-44 no template", directory{}, Request{Primary: Claim{EntityID: "ann"}}, unmatched},
		{"RT-43 unknown template", one, Request{Primary: Claim{EntityID: "ann", Template: "staff"}}, unmatched},
		{"RT-43 before the missing id", one, Request{Primary: Claim{Template: "Crew"}}, unmatched},
		{"RT-46 no id, no token", one, Request{}, missing},
		{"RT-46 no id, token", one, Request{Evidence: Evidence{Token: true}}, unmatched},
		{"RT-46 no id, matcher header", two, Request{Primary: Claim{Template: "Staff"}, Evidence: headers("x", "")}, unmatched},
		{"RT-50 unknown", one, Request{Primary: staff("eve")}, unknown},
		{"RT-41 hit gives both", two, Request{Evidence: headers("dev", "bob")}, "Device/bob"},
		{"RT-41 hit, agreeing fields", two, Request{Primary: Claim{EntityID: "bob", Template: "Device"}, Evidence: headers("dev", "bob")}, "Device/bob"},
		{"RT-45 hit, other id", two, Request{Primary: Claim{EntityID: "ann"}, Evidence: headers("dev", "bob")}, unmatched},
		{"RT-45 hit, other template", two, Request{Primary: Claim{Template: "Staff"}, Evidence: headers("dev", "bob")}, unmatched},
		{"RT-45 hit without id is none", two, Request{Primary: staff("ann"), Evidence: headers("dev", "")}, "Staff/ann"},
		{"RT-45 MATCHER ignores fields", two, Request{Matching: model.MatchMatcher, Primary: staff("ann"), Evidence: headers("dev", "bob")}, "Device/bob"},
		{"RT-45 MATCHER without hit", two, Request{Matching: model.MatchMatcher, Primary: staff("ann")}, unmatched},
		{"RT-45 MATCHER, additional only", two, Request{Matching: model.MatchMatcher, Additional: []Claim{staff("ann")}}, unmatched},
		{"RT-45 REQUEST ignores the hit", two, Request{Matching: model.MatchRequest, Primary: staff("ann"), Evidence: headers("dev", "bob")}, "Staff/ann"},
		{"RT-45 REQUEST without id", two, Request{Matching: model.MatchRequest, Primary: Claim{Template: "Device"}, Evidence: headers("dev", "bob")}, unmatched},
		{"RT-53 additional only", two, Request{Additional: []Claim{staff("ann"), {EntityID: "bob", Template: "Device"}}}, "Staff/ann Device/bob"},
		{"RT-52 three", two, Request{Primary: staff("ann"), Additional: []Claim{{EntityID: "bob", Template: "Tenant"}, {EntityID: "bob", Template: "Device"}}}, "Staff/ann Tenant/bob Device/bob"},
		{
			"RT-52 four", two,
			Request{Primary: staff("ann"), Additional: []Claim{{EntityID: "bob", Template: "Tenant"}, {EntityID: "bob", Template: "Device"}, {EntityID: "bob", Template: "Zone"}}},
			"additionalIdentities: 4 identities, the limit is 3",
		},
		{"RT-52 repeated", two, Request{Primary: staff("ann"), Additional: []Claim{staff("bob")}}, "additionalIdentities: two identities of template Staff"},
		{"5.5 additional without id", two, Request{Primary: staff("ann"), Additional: []Claim{{Template: "Device"}}}, "additionalIdentities[0].entityId: required"},
		{"5.5 additional unknown template", two, Request{Primary: staff("ann"), Additional: []Claim{{EntityID: "bob"}}}, unmatched},
		{"3.6 templates before identities", two, Request{Primary: staff("eve"), Additional: []Claim{{EntityID: "bob", Template: "Crew"}}}, unmatched},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			matchers := []Matcher{headerMatcher(t, "Zone", "dev"), headerMatcher(t, "Device", "dev")}
			SortMatchers(matchers)
			found, err := Resolve(tt.dir, matchers, tt.req)
			var names []string
			for i := range found {
				names = append(names, string(found[i].Template.ID)+"/"+found[i].EntityID)
			}
			got := strings.Join(names, " ")
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// RT-48, RT-49, E13, README ruling 3: where the values of attributes come from.
func TestAttributes(t *testing.T) {
	type values = map[string][]string
	stored := model.Attributes{"closed": {"stored"}, "open": {"stored"}}
	with := func(change ...any) model.Attributes {
		out := stored.Clone()
		for i := 0; i < len(change); i += 2 {
			out[model.AttributeID(change[i].(string))] = change[i+1].([]string)
		}
		return out
	}
	tests := []struct {
		name string
		req  Request
		want model.Attributes
		rows int // rows that still have alias
	}{
		{"stored", Request{}, stored, 2},
		{"sent", Request{Primary: Claim{Attributes: values{"open": {"sent"}}}}, with("open", []string{"sent"}), 2},
		{"context before sent", Request{Primary: Claim{Attributes: values{"open": {"sent"}}, Context: values{"open": {"context"}}}}, with("open", []string{"context"}), 2},
		{"matcher before context", Request{
			Primary:  Claim{Context: values{"open": {"context"}}},
			Evidence: Evidence{Headers: values{"x-kind": {"staff"}, "x-user": {"ann"}, "x-open": {"a", "b", "a"}}},
		}, with("open", []string{"a", "b"}), 2},
		{"RT-47 matcher of another id is dropped", Request{
			Matching: model.MatchRequest,
			Evidence: Evidence{Headers: values{"x-kind": {"staff"}, "x-user": {"bob"}, "x-open": {"a"}}},
		}, stored, 2},
		{"REQUEST with the same id", Request{
			Matching: model.MatchRequest,
			Evidence: Evidence{Headers: values{"x-kind": {"staff"}, "x-user": {"ann"}, "x-open": {"a"}}},
		}, with("open", []string{"a"}), 2},
		{"RT-49 closed, uid, unknown", Request{Primary: Claim{Attributes: values{"closed": {"x"}, "uid": {"x"}, "none": {"x"}}}}, stored, 2},
		{"RT-14 sent without values", Request{Primary: Claim{Attributes: values{"open": {}}}}, with("open", []string{}), 2},
		{"older name replaces rows", Request{Primary: Claim{Attributes: values{"older": {"sent"}}}}, with("alias", []string{"sent"}), 0},
		{"id before older name", Request{Primary: Claim{Attributes: values{"older": {"old"}, "alias": {"id"}}}}, with("alias", []string{"id"}), 0},
		{"older name that is an id", Request{Primary: Claim{Attributes: values{"open": {"sent"}}}}, with("open", []string{"sent"}), 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := newDirectory("Staff")
			tt.req.Primary.EntityID = "ann"
			found, err := Resolve(dir, []Matcher{headerMatcher(t, "Staff", "staff")}, tt.req)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, found[0].Attributes); diff != "" {
				t.Error(diff)
			}
			rows := 0
			for _, row := range found[0].Rows {
				if _, ok := row["alias"]; ok {
					rows++
				}
				if len(row["row"]) != 1 {
					t.Errorf("row %v", row)
				}
			}
			if rows != tt.rows {
				t.Errorf("%d rows with alias, want %d", rows, tt.rows)
			}
			if diff := cmp.Diff(newDirectory("Staff")["Staff"].records, dir["Staff"].records); diff != "" {
				t.Errorf("the directory was changed: %s", diff)
			}
		})
	}
}

// The JSONPath subset of 5.2: forms that are read, and forms that are refused.
func TestParsePath(t *testing.T) {
	for text, header := range map[string]string{
		"$.headers.A-b": "a-b", "headers.x": "x", "$['headers'][\"X y\"][*]": "x y", "$.headers.x[3]": "x",
		"$.claims.x": "", "$": "", "$[0].a": "", "a[*].b": "", "$.headers": "", "$.headers[0]": "",
	} {
		p, err := ParsePath(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if name, _, _ := p.header(); name != header {
			t.Errorf("%s: header %q, want %q", text, name, header)
		}
	}
	for _, text := range []string{"", "$.", "$..a", "$.a[", "$.a[]", "$.a[-1]", "$.a['b", "$.a['b'", "$.a[1", "$.*", "$.a[?(@)]", "$a]", "a['b']c]"} {
		if p, err := ParsePath(text); err == nil {
			t.Errorf("%q was read as %v", text, p)
		}
	}
	if _, err := NewMatcher("T", model.Matcher{TemplateMatcher: "", IdentityIDMapper: "$..", ClaimMappings: map[model.AttributeID]string{"a": "["}}); err == nil ||
		strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("errors of a bad matcher: %v", err)
	}
}
