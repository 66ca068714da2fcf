package model

import (
	"strings"
	"testing"
)

// problems are those of one mapper, after it was normalized.
func problems(m APIMapper) string {
	if m.ID == "" {
		m.ID = "m"
	}
	m.DisplayName = "M"
	m.Normalize()
	if err := m.Validate(); err != nil {
		return err.Error()
	}
	return ""
}

// policy-model.md 3.10, runtime-api.md 13.3: patterns that can be read, and those that no path could fit.
func TestMapperPatterns(t *testing.T) {
	for _, tt := range []struct{ matchType, pattern, want string }{
		{MatchExact, "/", ""},
		{MatchExact, "/a/b/", ""},
		{MatchExact, "/a b/%2F/é", ""},
		{MatchExact, "/a/...", ""},
		{MatchExact, "/**", ""},
		{MatchExact, "/a/**/b", "** before its end"}, // read as WILDCARDS
		{MatchWildcards, "/a/*/b*c/**", ""},
		{MatchWildcard, "/a/**/", ""},
		{MatchWildcards, "/**/a", "** before its end"},
		{MatchExact, "", "is empty"},
		{MatchExact, "a/b", "does not begin with /"},
		{MatchExact, "//", "empty segment"},
		{MatchWildcards, "/a//b", "empty segment"},
		{MatchExact, "/a/../b", `segment ".."`},
		{MatchExact, "/a/%2E%2e/", `segment "%2E%2e"`},
		{MatchWildcards, "/.", `segment "."`},
		{MatchExact, "/a?b=1", "patterns see the path only"},
		{MatchExact, "/" + strings.Repeat("a", 2048), "the limit is 2048"},
		{MatchExact, "/\x00", "control character"},
		{MatchExpression, `/a/(b|c)\d+`, ""},
		{MatchRegexp, `/a/[^/]+`, ""},
		{MatchExpression, `/a)|(b`, "regular expression"},
		{MatchExpression, `/(?=a)`, "regular expression"},
		{MatchExpression, `(a{1000}){1000}`, "regular expression"},
		{"SOUNDEX", "anything // at all", ""}, // kept, fits nothing (1.2 rule 7)
		{"", "/a", "/matchType: is empty"},
	} {
		got := problems(APIMapper{MatchType: tt.matchType, MatchPattern: tt.pattern})
		if got != "" && tt.want == "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s %.60s: %q, want %q", tt.matchType, tt.pattern, got, tt.want)
		}
	}
	m := APIMapper{MatchType: MatchExpression, MatchPattern: "/a|/b"}
	whole, err := m.Expression()
	if err != nil || !whole.MatchString("/b") || whole.MatchString("/bc") || whole.MatchString("x/a") || whole.MatchString("/a\n") {
		t.Errorf("an expression matches whole paths only: %v, %v", whole, err)
	}
}

// runtime-api.md 13.2, 13.3: where mappings may read.
func TestMapperSources(t *testing.T) {
	text := "v"
	for _, tt := range []struct {
		source MappingSource
		path   string
		want   string
	}{
		{FromPath, "[0]", ""},
		{FromPath, "[12]", ""},
		{FromPath, "[-1]", "not of the form [n]"},
		{FromPath, "2", "not of the form [n]"},
		{FromPath, "[99999999999]", "not of the form [n]"},
		{FromQuery, "a[b] c", ""},
		{FromQuery, "", "is empty"},
		{"header", "X-Mode", ""}, // any case is read
		{FromHeader, "X Mode", "not the name of a header"},
		{FromHeader, "", "not the name of a header"},
		{FromBody, "$.a['b'][*].c[0]", ""},
		{FromBody, "$", ""},
		{FromBody, "$..a", "not a path"},
		{FromBody, "", "empty"},
		{FromMethod, "", ""},
		{FromMethod, "x", "must be empty"},
		{"COOKIE", "x", `"COOKIE" is not PATH`},
		{FromQuery, strings.Repeat("q", 1025), "the limit is 1024"},
	} {
		attribute := TemplateMapping{TemplateID: "T", Attributes: []AttributeMapping{{AttributeID: "a", Source: tt.source, Path: tt.path}}}
		action := TemplateMapping{TemplateID: "T", Actions: []ActionMapping{{ActionID: "a", Source: tt.source, Value: &text, Path: tt.path}}}
		for _, m := range []TemplateMapping{attribute, action} {
			got := problems(APIMapper{MatchType: MatchExact, MatchPattern: "/", AssetTemplates: []TemplateMapping{m}})
			if got != "" && tt.want == "" || !strings.Contains(got, tt.want) {
				t.Errorf("%s %.40q: %q, want %q", tt.source, tt.path, got, tt.want)
			}
		}
	}
	for _, tt := range []struct {
		action ActionMapping
		want   string
	}{
		{ActionMapping{ActionID: "a"}, ""}, // always
		{ActionMapping{ActionID: "a", Value: &text}, ""},
		{ActionMapping{ActionID: "a", Path: "$.x"}, "/actions/0/source: is missing"},
		{ActionMapping{Source: FromMethod}, "/actions/0/actionId: is empty"},
	} {
		m := TemplateMapping{TemplateID: "T", Actions: []ActionMapping{tt.action}}
		got := problems(APIMapper{MatchType: MatchExact, MatchPattern: "/", AssetTemplates: []TemplateMapping{m}})
		if got != "" && tt.want == "" || !strings.Contains(got, tt.want) {
			t.Errorf("%+v: %q, want %q", tt.action, got, tt.want)
		}
	}
}

// policy-model.md 3.10: what else a mapper and a set must be.
func TestMapperFields(t *testing.T) {
	exact := APIMapper{MatchType: MatchExact, MatchPattern: "/"}
	for want, change := range map[string]func(*APIMapper){
		"/mapperId: begins or ends with a blank": func(m *APIMapper) { m.ID = " m" },
		"/restMethods/1":                         func(m *APIMapper) { m.RestMethods = []string{"get", "GET"} },
		"/restMethods/0":                         func(m *APIMapper) { m.RestMethods = []string{""} },
		"/identitySourceIds/1":                   func(m *APIMapper) { m.IdentitySourceIDs = []string{"s", "s"} },
		"/assetTemplates/1/templateId":           func(m *APIMapper) { m.AssetTemplates = []TemplateMapping{{TemplateID: "T"}, {TemplateID: "T"}} },
		"/filteringType":                         func(m *APIMapper) { m.FilteringType = strings.Repeat("x", 129) },
	} {
		m := exact
		change(&m)
		if got := problems(m); !strings.Contains(got, want) {
			t.Errorf("%q, want %s", got, want)
		}
	}
	set := APIMapperSet{ID: "a", ApplicationIDs: []ApplicationID{"a", "a"}, PathIndexing: "x"}
	if err := set.Validate(); err == nil || !strings.Contains(err.Error(), "/applicationIds/1") || !strings.Contains(err.Error(), "/pathIndexing") {
		t.Errorf("%v", err)
	}
}
