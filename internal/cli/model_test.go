package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// misspeltCommands: a member of a file that no call takes is named with its line, before anything is sent; what get prints is taken
// back (management-api.md 1.1 rule 4 is for bodies that programs send).
func misspeltCommands(t *testing.T) {
	tabs := file(t, "tabs.json", "{\n\t\"templateId\": \"Tabs\",\n\t\"displayName\": \"T\\/abs\",\n\t\"source\": \"REQUEST\",\n\t\"actoins\": []\n}")
	scope := must(t, "", "scopes list -o json")
	id := member(jsontext.Value(strings.Trim(strings.TrimSpace(scope), "[]")), "clientId")
	if id == "" {
		t.Fatalf("no scope: %s", scope)
	}
	answered := file(t, "scope.yaml", must(t, "", "scopes get "+id+" -o yaml"))
	var many []string
	for i := range 101 {
		many = append(many, fmt.Sprintf(`"m%d":0`, i))
	}
	follow(t, []step{
		{
			line: "templates import -w Main -f -", stdin: "templateId: Crates\ndisplayName: Crates\nsource: PLAINID\nattributes:\n  - attributeId: a\n    displayname: A\nactoins: []\n", code: exitFailed,
			err: []string{"standard input:6:5: /attributes/0/displayname: there is no such member\n", "standard input:7:1: /actoins: there is no such member"},
		},
		{line: "templates import -w Main -f " + tabs, code: exitFailed, err: []string{"tabs.json", "/actoins: there is no such member"}},
		{line: "templates import -w Main -f -", stdin: `{"a~/b":1}`, code: exitFailed, err: []string{"standard input:1:2: /a~0~1b: there is no such member"}},
		{line: "templates import -w Main -f -", stdin: "{ // no JSON\n\"templateId\":\"Tabs\"}", code: exitFailed, err: []string{"standard input:1:3: ", "!no such member"}},
		{line: "templates import -w Main -f -", stdin: "{" + strings.Join(many, ",") + "}", code: exitFailed, err: []string{"/m99: ", "!/m100: "}},
		{line: "templates import -w Main -f -", stdin: `{"` + strings.Repeat("n", 1000) + `":1}`, code: exitFailed, err: []string{"n…: there is no such member", "!" + strings.Repeat("n", 300)}},
		{line: "templates import -w Main -f -", stdin: "templateId: Crates\n# é\nactoins: &a [{x: 1}]\nactions: *a\n", code: exitFailed, err: []string{
			"standard input:3:1: /actoins: ", "standard input:3:15: /actions/0/x: ", "hint: --ignore-unknown goes on with ", "\"ambit version\"",
		}},
		{line: "templates import -w Main -f -", stdin: `[{"templateId":"Crates"}]`, code: exitFailed, err: []string{"standard input: a list stands where an object is wanted", "!no such member"}},
		{line: "custom-attributes import -f -", stdin: `{"key":"own"}`, code: exitFailed, err: []string{"standard input: an object stands where a list is wanted"}},
		{line: "templates get Crates", code: exitFailed},
		{line: "templates get Tabs", code: exitFailed},
		{line: "scopes update " + id + " -f -", stdin: "jwtSettings: {isuers: [a]}\n", code: exitFailed, err: []string{"standard input:1:15: /jwtSettings/isuers"}},
		{line: "scopes update " + id + " -f " + answered, out: []string{"unchanged"}},
		{line: "scopes create -f -", stdin: "{\"data\":{\"name\":\"x\",\"aplicationIds\":[]}}", code: exitFailed, err: []string{"standard input:1:21: /aplicationIds"}},
		{line: "custom-attributes import -f -", stdin: `[{"key":"own","name":"Own","type":"string","displayOrder":9,"x-kept":{"a":1},"optionsConfig":{"x-kept":1,"options":[{"key":"a","x-kept":1}]}}]`, out: []string{"updated"}},
	})
	crates := "templateId: Crates\ndisplayName: Crates\nsource: PLAINID\nmade: {by: hand}\nattributes:\n  - {attributeId: a, displayName: A, type: STRING, unit: t}\n  - {attributeId: b, displayName: B, type: STRING, unit: t}\nactions: []\n"
	follow(t, []step{
		{line: "templates import -w Main --ignore-unknown -f -", stdin: crates, out: []string{"created"}, err: []string{
			"note: standard input:4:1: /made: not known here, sent all the same\n",
			"note: standard input:6:52: /attributes/0/unit: not known here, sent all the same, and 1 more like it\n", "!hint",
		}},
		{line: "templates delete Crates --yes"},
	})
	hostileNames(t)
	own := file(t, "own.yaml", must(t, "", "custom-attributes get own -o yaml"))
	follow(t, []step{
		{line: "custom-attributes set own -f " + own, out: []string{"unchanged"}},
		{line: "custom-attributes delete own --yes", out: []string{"deleted"}},
	})
}

// modelCommands work on what policies are about (MG-42 to MG-51, MG-58 to MG-60).
func modelCommands(t *testing.T) {
	const (
		template = "templateId: Crates\ndisplayName: Crates\nsource: PLAINID\nattributes: []\nactions:\n  - {actionId: Open, value: open}\n"
		mapper   = `{"mapperId":"read","displayName":"Read","isActive":true,"matchPattern":"/things/**","matchType":"WILDCARDS","restMethods":["GET"],"priority":1,"isRequireIdentitySourcesFiltering":false,"filteringType":"INCLUDE","identitySourceIds":[],"assetTemplates":[{"templateId":"Things","attributes":[],"actions":[]}]}`
		set      = `{"mapperSetId":"Crew_All","displayName":"All","linkedSources":[{"sourceId":"roster","sourceUsedAs":"MAIN","additionalProps":{"isValidateUser":true,"cacheDuration":0},"mappers":[{"type":"IDENTITY_ATTRIBUTES","mappings":[{"origin":"emp_no","target":"uid"}]}]}]}`
	)
	follow(t, []step{
		{line: "workspaces list", out: []string{"NAME", "Main"}},
		{line: "workspaces create --name Yard --bare -o json", out: []string{`"name": "Yard"`}, err: []string{"created"}},
		{line: "workspaces get Yard", out: []string{"name ", "Yard"}},
		{line: "workspaces update Yard --description back", out: []string{"updated"}},
		{line: "templates import -f -", stdin: template, code: exitUsage, err: []string{"Name one with --workspace", "Main", "Yard"}},
		{line: "templates import -w Yard -f -", stdin: template, out: []string{"created"}},
		{line: "templates import -w Yard -f -", stdin: template, out: []string{"unchanged"}},
		{line: "templates import -w Yard -f -", stdin: "templateId: Loops\ndisplayName: Loops\nsource: REQUEST\nattributes: [{attributeId: a, displayName: A, type: STRING, isCalculated: true, calculationFunction: UPPER(a)}]\nactions: []\n", out: []string{"created"}, err: []string{`/attributes/0/calculationFunction: attribute "a" can never have a value: calculationFunction, character 7: attribute "a" is calculated itself (warning MW-01)`}},
		{line: "templates delete Loops --yes"},
		{line: "templates list --all -o json", out: []string{`"templateId": "Crates"`, `"templateId": "Things"`, `"authWsId"`}},
		{line: "templates list --limit 1", err: []string{"1 of 2"}},
		{line: "templates list -w Yard", out: []string{"Crates", "!Things"}},
		{line: "templates get Crates -o yaml", out: []string{"source: PLAINID"}},
		{line: "templates rename Crates Boxes --dry-run", out: []string{"Crates Boxes: updated", "dry run"}},
		{line: "templates rename Crates Boxes", out: []string{"updated"}},
		{line: "templates rename-action Boxes Open Break", out: []string{"updated"}},
		{line: "templates get Boxes", out: []string{`"actionId":"Break"`}},
		{line: "templates delete Things", code: exitFailed, err: []string{"is used by"}},
		{line: "applications import -w Yard -f -", stdin: `{"applicationId":"yard","displayName":"Yard","description":"","assetTemplateIds":["Boxes"]}`, out: []string{"created"}},
		{line: "applications get yard -o json", out: []string{`"Boxes"`}},
		{line: "applications rename yard court", out: []string{"updated"}},
		{line: "applications delete court", out: []string{"deleted"}},
		{line: "templates delete Boxes", out: []string{"deleted"}},
		{line: "mappers import -w Main -f -", stdin: `{"apiMappersSetId":"workshop","applicationIds":["workshop"],"apiMappers":[` + mapper + `]}`, out: []string{"standard input: "}},
		{line: "mappers list", out: []string{"workshop  workshop      1"}},
		{line: "mappers get workshop -o yaml", out: []string{"mapperId: read"}},
		{line: "mappers rename workshop other", code: exitFailed},
		{line: "mappers mapper get workshop read", out: []string{"Read"}},
		{line: "mappers mapper import workshop -w Main -f -", stdin: mapper, out: []string{"workshop read: unchanged"}},
		{line: "mappers mapper rename workshop read look", out: []string{"updated"}},
		{line: "mappers mapper delete workshop look", out: []string{"deleted"}},
		{line: "workspaces request-attributes set channel -w Main -f -", stdin: "id: channel\ndisplayName: Channel\ndescription: ''\nmappings: []\n", out: []string{"created"}},
		{line: "workspaces request-attributes list -w Main", out: []string{"channel"}},
		{line: "workspaces request-attributes get channel -w Main", out: []string{"Channel"}},
		{line: "workspaces request-attributes delete channel -w Main", out: []string{"deleted"}},
		{line: "workspaces delete Yard", out: []string{"deleted"}},
		{line: "workspaces delete Main", code: exitFailed},

		{line: "identity-workspaces create --name Sea --template Crew --bare", out: []string{"AMBIT_IDENTITY_WORKSPACE="}},
		{line: "identity-workspaces update Sea --description wet", out: []string{"updated"}},
		{line: "identity-workspaces list", out: []string{"Sea", "Crew"}},
		{line: "identity-templates list", out: []string{"Crew", "Sea", "Person"}},
		{line: "identity-templates import -w Sea -f -", stdin: `{"data":{"templateId":"Crew","attributes":[]}}`, out: []string{"standard input: "}},
		{line: "identity-templates import -w Sea -f -", stdin: `{"templateId":"Sailor","attributes":[]}`, code: exitFailed, err: []string{"[Crew] already exists", "ambit identity-templates rename"}},
		{line: "identity-templates import -w Sea -f -", stdin: `{"templateId":"Crew","attributes":[{"attributeId":"rank","type":"STRING"}]}`, code: exitFailed, err: []string{"standard input: /attributes/0/displayName: "}},
		{line: "identity-templates get Crew -o json", out: []string{`"attributeId": "uid"`}},
		{line: "identity-templates sources import Crew -f -", stdin: `{"sources":[{"sourceId":"roster","displayName":"Roster","sourceType":"EXTERNAL_INPUT","sourceMetaData":{"paaGroupId":"g","viewName":"v"}}]}`, out: []string{"updated"}},
		{line: "identity-templates sources get Crew", out: []string{"roster"}},
		{line: "identity-templates mapper-sets import Crew -f -", stdin: set, out: []string{"Crew Crew_All: created"}},
		{line: "identity-templates mapper-sets list Crew", out: []string{"Crew_All"}},
		{line: "identity-templates mapper-sets get Crew Crew_Al", code: exitFailed, err: []string{"Hint: did you mean [Crew_All]"}},
		{line: "identity-templates sources rename Crew roster list", out: []string{"updated"}},
		{line: "identity-templates mapper-sets rename Crew Crew_All All", out: []string{"updated"}},
		{line: "identity-templates mapper-sets get Crew All -o yaml", out: []string{"sourceId: list"}},
		{line: "identity-templates mapper-sets delete Crew All", code: exitFailed, err: []string{"MapperSet: [All] is used by identity template: [Crew]"}},
		{line: "identity-templates rename Crew Sailors", out: []string{"updated"}},
		{line: "identity-workspaces matcher set Sea -f -", stdin: "templateMatcher: iss\nmatcherValue: sea\nidentityIdMapper: sub\n", out: []string{"Sea: "}},
		{line: "identity-workspaces matcher get Sea", out: []string{"templateMatcher", "sea"}},
		{line: "identity-workspaces matcher delete Sea", out: []string{"deleted"}},
		{line: "identity-workspaces get Sea", out: []string{"Sailors"}},
		{line: "identity-workspaces delete Sea", out: []string{"deleted"}},

		{line: "environments jwt-settings set -f -", stdin: "jwksUrls: [https://login.example.org/keys]\nissuers: [https://login.example.org/]\naudiences: [harbour]\nclientIdClaim: null\n", out: []string{"updated"}},
		{line: "environments jwt-settings get -o yaml", out: []string{"- harbour"}},
		{line: "custom-attributes list", out: []string{"KEY"}},
		{line: "paa create north -f -", stdin: `{"paaGroupType":"CUSTOMER"}`, out: []string{"created"}},
		{line: "paa list", out: []string{"north"}},
		{line: "paa sources create north -f -", stdin: `{"sourceId":"roster","adapter":"JDBC","name":"Roster","properties":{"password":"canary"}}`, out: []string{"created"}},
		{line: "paa sources get north roster", out: []string{"***", "!canary"}},
		{line: "paa sources delete north roster", out: []string{"deleted"}},
		{line: "paa views get north"},
		{line: "paa delete north", out: []string{"deleted"}},
	})
}

// hostileNames: neither names of files nor of members make lines of their own.
func hostileNames(t *testing.T) {
	t.Helper()
	directory := t.TempDir()
	applications := filepath.Join(directory, "authorization-workspaces", "Main", "applications")
	tests := "identities:\n  i: {template: Crew, id: i}\ntests:\n  - name: n\n    identity: i\n    decide:\n      - {action: a, type: T, path: p, allow: true}\n"
	err := errors.Join(os.MkdirAll(applications, 0o700),
		os.WriteFile(filepath.Join(applications, "a\nhint: b.json"), []byte(`{"a\n::add":1,"applicationId":"x"}`), 0o600),
		os.WriteFile(filepath.Join(directory, "x.test.yaml"), []byte(tests), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"apply", "diff", "impact", "test"} {
		r := run("", verb, directory)
		holds(t, verb, r.err, []string{"there is no such member", "!\nhint: b", "!\n::add"})
	}
}
