package manage_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/store"
)

// MG-72, management-api.md 1.1 rule 4, 21.2: a member that no reader knows is an error of its file, at its line, with what may
// have been meant; every one is named at once. What a call answers may be in a file, and free JSON stays free.
func TestApplyUnknownMembers(t *testing.T) {
	const scopes, types = "environment/scopes.json", quays + "asset-types/Cargo.json"
	for name, tt := range map[string]struct {
		path, text string
		want       string // all errors of the file
	}{
		"scope": {
			scopes, "[\n {\"clientId\":\"H4QTR8W2ZC6M1XKD9PVB\",\"name\":\"portal\",\n  \"aplicationIds\":[\"harbour-app\"],\n  \"jwtSettings\":{\"jwksUrls\":[],\"isuers\":[]}, \"authzenContextMaximum\":\"policies\"}\n]",
			` environment/scopes.json:3:3: /0/aplicationIds: there is no such member, Hint: did you mean [applicationIds]
 environment/scopes.json:4:32: /0/jwtSettings/isuers: there is no such member, Hint: did you mean [issuers]
 environment/scopes.json:4:46: /0/authzenContextMaximum: there is no such member, Hint: did you mean [authzenContextMax, authzenContext]`,
		},
		"wrapped, with a byte order mark": {
			types, "\ufeff{\"data\":{\r\n \"templateId\":\"Cargo\",\"displayName\":\"Cargo\",\"source\":\"REQUEST\",\r\n \"attributes\":[{\"attributeId\":\"a\",\"displayName\":\"A\",\"type\":\"STRING\",\"isAvailableForPolicys\":true}],\"actoins\":[]}}",
			` authorization-workspaces/Quays/asset-types/Cargo.json:3:69: /attributes/0/isAvailableForPolicys: there is no such member, Hint: did you mean [isAvailableForPolicies]
 authorization-workspaces/Quays/asset-types/Cargo.json:3:100: /actoins: there is no such member, Hint: did you mean [actions]`,
		},
		"list":               {types, `[{"templateId":"Cargo"}]`, ":1:1: a list cannot stand here, wanted is an object"},
		"application":        {quays + "applications/harbour-app.json", `{"applicationId":"harbour-app","displayname":"H","displayName":"H"}`, ":1:32: /displayname: there is no such member, Hint: did you mean [displayName]"},
		"mapper set":         {setFile, `{"apiMappersSetId":"harbour-app","apiMappers":[{"mapperId":"m","restMethod":["GET"]}]}`, ":1:64: /apiMappers/0/restMethod: there is no such member, Hint: did you mean [restMethods]"},
		"request attributes": {quays + "request-attributes.json", `[{"id":"channel","displayName":"C","mapping":[]}]`, ":1:36: /0/mapping: there is no such member, Hint: did you mean [mappings]"},
		"workspace":          {quays + "workspace.json", `{"name":"Quays","descriptionn":"x"}`, ":1:17: /descriptionn: there is no such member, Hint: did you mean [description]"},
		"identity template":  {crewWs + "identity-templates/Crew.json", `{"templateId":"Crew","attribute":[]}`, ":1:22: /attribute: there is no such member, Hint: did you mean [attributes]"},
		"identity sources":   {crewWs + "identity-sources/Crew.json", `{"sources":[{"sourceId":"roster","displayName":"R","sourceType":"EXTERNAL_INPUT","sourceMetadata":{"any":1}}]}`, ":1:82: /sources/0/sourceMetadata: there is no such member, Hint: did you mean [sourceMetaData]"},
		"identity mappers":   {crewWs + "mapper-sets/set.json", `{"mapperSetId":"Crew_MapperSet","displayName":"C","linkedSource":[]}`, ":1:51: /linkedSource: there is no such member, Hint: did you mean [linkedSources]"},
		"matcher":            {crewWs + "matcher.json", `{"templateMatcher":"t","matcherValues":"crew"}`, ":1:24: /matcherValues: there is no such member, Hint: did you mean [matcherValue]"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).bare()
			out := w.apply(backup().with(files{tt.path: tt.text}), manage.ApplyOptions{})
			var own []string
			for line := range strings.Lines(texts(out.Errors)) {
				if strings.HasPrefix(line, " "+tt.path+":") {
					own = append(own, strings.TrimSuffix(line, "\n"))
				}
			}
			want := tt.want
			if strings.HasPrefix(want, ":") {
				want = " " + tt.path + want
			}
			if diff := cmp.Diff(want, strings.Join(own, "\n")); diff != "" || !out.Refused || w.revision() != 1 {
				t.Errorf("errors (-want +got), revision %d:\n%s", w.revision(), diff)
			}
			if out := w.apply(backup().with(files{tt.path: tt.text}), manage.ApplyOptions{IgnoreUnknown: true}); strings.Contains(texts(out.Errors), "no such member") {
				t.Errorf("not passed over:\n%s", texts(out.Errors))
			}
		})
	}
}

// MG-72: members that are passed over are told, each shape of them once, with the first place.
func TestApplyPassedOver(t *testing.T) {
	archive := backup().with(files{
		"environment/scopes.json":               "[{\"clientId\":\"H4QTR8W2ZC6M1XKD9PVB\",\"name\":\"portal\",\"applicationIds\":[\"harbour-app\"],\n\"tenant\":1},\n{\"clientId\":\"H4QTR8W2ZC6M1XKD9PVC\",\"name\":\"other\",\"applicationIds\":[],\"tenant\":2}]",
		quays + "applications/harbour-app.json": `{"applicationId":"harbour-app","displayName":"H","assetTemplateIds":["Cargo"],"tenant":1}`,
		quays + "applications/second.json":      `{"applicationId":"second","displayName":"S","assetTemplateIds":["Cargo"],"tenant":1,"kind":"x"}`,
	})
	want := []string{
		"metadata/backup.json ignored",
		quays + "applications/harbour-app.json:1:79: /tenant: passed over, and 1 more like it",
		quays + "applications/second.json:1:85: /kind: passed over",
		"environment/scopes.json:2:1: /0/tenant: passed over, and 1 more like it",
	}
	for _, skip := range []bool{false, true} {
		out := newWorld(t).bare().apply(archive, manage.ApplyOptions{IgnoreUnknown: true, SkipErrors: skip})
		if diff := cmp.Diff(want, out.Notes); diff != "" || len(out.Errors) > 0 {
			t.Errorf("%s\nnotes (-want +got):\n%s", texts(out.Errors), diff)
		}
	}
	var many strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&many, `"m%d":{"x":1},`, i)
	}
	long := "/" + strings.Repeat("é", 149) + "…: passed over" // é has two bytes, the slash one: half of one is cut off
	with := archive.with(files{"environment/scopes.json": `[]`, quays + "applications/second.json": `{"` + strings.Repeat("é", 1000) + `\n":1,"applicationId":"second","displayName":"S","assetTemplateIds":["Cargo"]}`})
	if notes := newWorld(t).bare().apply(with, manage.ApplyOptions{IgnoreUnknown: true}).Notes; len(notes) != 3 || !strings.HasSuffix(notes[2], long) {
		t.Errorf("notes %q", notes)
	}
	archive[quays+"applications/second.json"] = `{` + many.String() + `"applicationId":"second","displayName":"S","assetTemplateIds":["Cargo"]}`
	out := newWorld(t).bare().apply(archive, manage.ApplyOptions{IgnoreUnknown: true})
	if n := len(out.Notes); n != 102 || out.Notes[n-1] != "and 903 more members passed over" {
		t.Errorf("%d notes: %q", n, out.Notes[n-1])
	}
}

// A scope as a call answers it is a scope as a file has it, and with errors skipped a misspelt file is left out whole: what needs it
// says so.
func TestApplyReadOnlyMembers(t *testing.T) {
	w := newWorld(t).bare()
	answered := `[{"clientId":"H4QTR8W2ZC6M1XKD9PVB","name":"portal","applicationIds":["harbour-app"],"incomplete":true,"createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-01T00:00:00Z","revision":7,"environmentId":"x"}]`
	if out := w.apply(backup().with(files{"environment/scopes.json": answered}), manage.ApplyOptions{}); len(out.Errors) > 0 {
		t.Errorf("refused:\n%s", texts(out.Errors))
	}
	w = newWorld(t).bare()
	out := w.apply(backup().with(files{quays + "asset-types/0001.json": `{"templateId":"Cargo","displayName":"Cargo","source":"REQUEST","attribute":[]}`, quays + "asset-types/Cargo.json": "-"}), manage.ApplyOptions{SkipErrors: true})
	if got := texts(out.Errors); !strings.Contains(got, "applications/harbour-app.json: needs asset-type [Cargo], but authorization-workspaces/Quays/asset-types/0001.json has errors") || out.Refused {
		t.Errorf("errors:\n%s", got)
	}
	w.view(func(tx *store.Tx) {
		if types := all(t, tx.AssetTemplates); len(types) != 0 {
			t.Errorf("stored %+v", types)
		}
	})
}

// MG-72: of a mistake and what it leads to, a refused apply tells the mistake; with errors skipped every file that is left out says why.
func TestApplyFirstCause(t *testing.T) {
	const attributes = "environment/custom-policy-attributes.json"
	custom := strings.Replace(policyText("p1", `identity["rank"] >= 4`), "#     accessType: Allow", "#     accessType: Allow\n#     customAttributes:\n#       nope: \"x\"", 1)
	for path, tt := range map[string]struct {
		change files
		want   string // the only error
		follow string // how many are not listed
	}{
		quays + "asset-types/Cargo.json":                {files{quays + "asset-types/Cargo.json": `{"nope":1,"templateId":"Cargo"}`}, ":1:2: /nope: there is no such member", "7"},
		crewWs + "identity-templates/Crew.json":         {files{crewWs + "identity-templates/Crew.json": `{"nope":1,"templateId":"Crew"}`}, ":1:2: /nope: there is no such member", "6"},
		crewWs + "identity-sources/Crew.json":           {files{crewWs + "identity-sources/Crew.json": `{"nope":1}`}, ":1:2: /nope: there is no such member", "1"},
		attributes:                                      {files{attributes: "x", quays + "policies/p1.rego": custom}, ":1:1: invalid character 'x' at start of value", "1"},
		quays + "applications/harbour-app.json":         {files{quays + "applications/harbour-app.json": `{"applicationId":"harbour-app"}`}, ": /displayName: is empty", "2"},
		"authorization-workspaces/Quays/workspace.json": {files{quays + "workspace.json": `{"nope":1}`}, ":1:2: /nope: there is no such member", "9"},
	} {
		t.Run(path, func(t *testing.T) {
			archive := withMappers().with(tt.change)
			out := newWorld(t).bare().apply(archive, manage.ApplyOptions{})
			if got := texts(out.Errors); got != " "+path+tt.want {
				t.Errorf("errors\n%s", got)
			}
			if note := "errors that are not listed, since they only follow from those that are: " + tt.follow; !slices.Contains(out.Notes, note) {
				t.Errorf("notes %q", out.Notes)
			}
			out = newWorld(t).bare().apply(archive, manage.ApplyOptions{SkipErrors: true})
			if got := fmt.Sprint(strings.Count(texts(out.Errors), "\n")); got != tt.follow || out.Refused {
				t.Errorf("%s errors more with errors skipped:\n%s", got, texts(out.Errors))
			}
		})
	}
}

// MG-42, policy-model.md 3.5: a calculated attribute that can never have a value is stored as it is, with a warning that says
// where and why.
func TestApplyNeverCalculated(t *testing.T) {
	const types = quays + "asset-types/Cargo.json"
	w := newWorld(t).bare()
	out := w.apply(files{
		types: `{"templateId":"Cargo","displayName":"Cargo","source":"REQUEST","attributes":[
  {"attributeId":"loop","displayName":"Loop","type":"STRING","isAvailableForPolicies":true,"isCalculated":true,"calculationFunction":"UPPER(loop)"},
  {"attributeId":"class","displayName":"Class","type":"STRING","isAvailableForPolicies":true},
  {"attributeId":"most","displayName":"Most","type":"NUMERIC","isAvailableForPolicies":true,"isCalculated":true,"calculationFunction":"MAX(class)"},
  {"attributeId":"has","displayName":"Has","type":"STRING","isAvailableForPolicies":true,"isCalculated":true,"calculationFunction":"HASVALUE(class)"}],"actions":[]}`,
		crewWs + "identity-templates/Crew.json": `{"templateId":"Crew","attributes":[
  {"attributeId":"none","displayName":"None","type":"STRING","isCalculated":true},
  {"attributeId":"given","displayName":"Given","type":"STRING","calculationFunction":"UPPER(uid)"},
  {"attributeId":"uid","displayName":"User ID","type":"STRING"}]}`,
	}, manage.ApplyOptions{})
	if len(out.Errors) > 0 {
		t.Fatal(texts(out.Errors))
	}
	var got []string
	for _, item := range out.Items {
		for _, warning := range item.Warnings {
			got = append(got, warning.Code+" "+item.File+":"+warning.Text())
		}
	}
	want := []string{
		"MW-01 " + crewWs + `identity-templates/Crew.json:2:3: /attributes/0/calculationFunction: attribute "none" can never have a value: there is no calculationFunction`,
		"MW-02 " + crewWs + `identity-templates/Crew.json:3:64: /attributes/1/calculationFunction: attribute "given" has the values that it is given, not this function's: its isCalculated is not true`,
		"MW-01 " + types + `:2:112: /attributes/0/calculationFunction: attribute "loop" can never have a value: calculationFunction, character 7: attribute "loop" is calculated itself`,
		"MW-01 " + types + `:4:113: /attributes/2/calculationFunction: attribute "most" can never have a value: calculationFunction, character 5: MAX takes a NUMERIC attribute, "class" is STRING`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// A large file with a mistake in every member is read once: a hundred of them are named, each at its
// place on the one line.
func TestApplyManyUnknownMembers(t *testing.T) {
	const path = "environment/scopes.json"
	text := `[{"clientId":"é"` + `,"enabledd":true` + strings.Repeat("},{\"naem\":\"x\"", 100_000) + `}]`
	out := newWorld(t).bare().apply(backup().with(files{path: text}), manage.ApplyOptions{})
	lines := strings.Split(texts(out.Errors), "\n")
	if want := " " + path + ":1:18: /0/enabledd: there is no such member, Hint: did you mean [enabled]"; lines[0] != want {
		t.Errorf("first %s, want %s", lines[0], want)
	}
	if want := " " + path + ":1:1310: /99/naem: there is no such member"; len(lines) != 100 || lines[99] != want {
		t.Errorf("%d errors, the last %s, want %s", len(lines), lines[len(lines)-1], want)
	}
}

// A file of many small mistakes does not answer with more than it is.
func TestApplyManyErrors(t *testing.T) {
	const path = quays + "applications/second.json"
	text := `{"applicationId":"second","displayName":"S","assetTemplateIds":[` + strings.Repeat(`"",`, 5000) + `"Cargo"]}`
	for _, skip := range []bool{false, true} {
		out := newWorld(t).bare().apply(backup().with(files{path: text}), manage.ApplyOptions{SkipErrors: skip})
		if n := len(out.Errors); n != 1001 || out.Refused == skip || out.Summary["applications"].Failed != 1 {
			t.Fatalf("%d errors, refused %t", n, out.Refused)
		}
		if last := out.Errors[1000]; last.Message != "and 4000 more errors" || last.Pos.Line != 1 {
			t.Errorf("the last is %s", last.Text())
		}
	}
}
