package manage_test

import (
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/manage"
)

// MG-49, MG-60, MG-44, MG-72: apply refuses of identity workspaces what the single calls refuse, whatever the order of
// files, and stores nothing.
func TestApplyIdentityErrors(t *testing.T) {
	const ws = "identity-workspaces/Crew people/"
	const tugs = "identity-workspaces/Tugs/"
	matcher := func(value, rest string) string {
		return `{"templateMatcher":"$.kind","matcherValue":"` + value + `","identityIdMapper":"$.sub"` + rest + `}`
	}
	other := files{tugs + "identity-templates/Tug.json": `{"templateId":"Tug","attributes":[]}`}
	tests := []struct {
		name   string
		change files
		want   string
	}{
		{
			"two sources of a type",
			files{ws + "identity-sources/Crew.json": `{"sources":[{"sourceId":"roster","displayName":"R","sourceType":"EXTERNAL_INPUT"},{"sourceId":"other","displayName":"O","sourceType":"CALCULATED"}]}`},
			ws + "identity-sources/Crew.json: IdentitySource: [CALCULATED] already exists",
		},
		{
			"source that is not there",
			files{ws + "mapper-sets/Crew_MapperSet.json": `{"mapperSetId":"Crew_MapperSet","displayName":"C","linkedSources":[{"sourceId":"rooster","sourceUsedAs":"MAIN"}]}`},
			"Identity Source: [rooster] not found, Hint: did you mean [roster, sum]",
		},
		{"attribute that a mapper set uses", files{ws + "identity-templates/Crew.json": `{"templateId":"Crew","attributes":[]}`}, "Attribute: [port] is used by mapper set: [Ports]"},
		{"attribute that the matcher uses", files{ws + "identity-templates/Crew.json": `{"templateId":"Crew","attributes":[]}`}, "Attribute: [port] is used by matcher: ["},
		{"claim for no attribute", files{ws + "matcher.json": matcher("crew", `,"claimMappings":{"rank":"$.rank"}`)}, `identity template "Crew" has no attribute "rank"`},
		{"path", files{ws + "matcher.json": strings.Replace(matcher("crew", ""), "$.sub", "$..sub", 1)}, "/identityIdMapper: not a path of the supported form"},
		{"matcher taken", other.with(files{tugs + "matcher.json": matcher("crew", "")}), tugs + "matcher.json: Matcher: [$.kind = crew] already exists"},
		{"other template", files{ws + "identity-templates/Crew.json": `{"templateId":"Sailor","attributes":[]}`}, "IdentityTemplate: [Crew] already exists"},
	}
	w := newWorld(t).bare()
	first := w.apply(files{
		ws + "identity-templates/Crew.json": `{"templateId":"Crew","attributes":[{"attributeId":"port","displayName":"Port","type":"STRING"}]}`,
		ws + "identity-sources/Crew.json":   `{"sources":[{"sourceId":"roster","displayName":"R","sourceType":"EXTERNAL_INPUT"},{"sourceId":"sum","displayName":"S","sourceType":"CALCULATED"}]}`,
		ws + "mapper-sets/Ports.json":       `{"mapperSetId":"Ports","displayName":"P","linkedSources":[{"sourceId":"roster","sourceUsedAs":"MAIN","mappers":[{"type":"IDENTITY_ATTRIBUTES","mappings":[{"origin":"p","target":"port"}]}]}]}`,
		ws + "matcher.json":                 matcher("crew", `,"claimMappings":{"port":"$.port"}`),
	}, manage.ApplyOptions{})
	if len(first.Errors) > 0 {
		t.Fatal(texts(first.Errors))
	}
	for _, tt := range tests {
		for _, skip := range []bool{false, true} {
			before := w.revision()
			call := w.apply(tt.change, manage.ApplyOptions{SkipErrors: skip})
			if !strings.Contains(texts(call.Errors), tt.want) {
				t.Errorf("%s: %s", tt.name, texts(call.Errors))
			}
			if after := w.revision(); !skip && after != before {
				t.Errorf("%s: revision %d became %d", tt.name, before, after)
			}
		}
	}
	swapped := w.apply(other.with(files{tugs + "matcher.json": matcher("tug", "")}), manage.ApplyOptions{})
	if len(swapped.Errors) > 0 {
		t.Fatal(texts(swapped.Errors))
	}
	swapped = w.apply(files{tugs + "matcher.json": matcher("crew", ""), ws + "matcher.json": matcher("tug", "")}, manage.ApplyOptions{})
	if len(swapped.Errors) > 0 {
		t.Errorf("two matchers that swap: %s", texts(swapped.Errors))
	}
	replaced := w.apply(files{ws + "identity-sources/Crew.json": `{"sources":[{"sourceId":"roster","displayName":"R","sourceType":"EXTERNAL_INPUT"},{"sourceId":"other","displayName":"O","sourceType":"CALCULATED"}]}`}, manage.ApplyOptions{Prune: true})
	if len(replaced.Errors) > 0 {
		t.Errorf("a source in the place of one that the archive lacks: %s", texts(replaced.Errors))
	}
}
