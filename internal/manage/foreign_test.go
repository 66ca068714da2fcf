package manage_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// foreign is a directory as other tools write it: below one folder, wrapped and bare, with tabs, byte order marks, CR LF,
// the older Rego, several styles of YAML, two blanks in a name, file names that are not ids, and unknown files and keys.
func foreign() files {
	const ws, people = "backup_2026-03-01/authorization-workspaces/Harbour  Ops/", "backup_2026-03-01/identity-workspaces/Crew/"
	crlf := func(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }
	return files{
		"backup_2026-03-01/metadata/backup.json":                      `{"tool":"x"}`,
		"backup_2026-03-01/environments/env.json":                     `{"id":"abc"}`,
		"backup_2026-03-01/README.md":                                 "# Backup\n",
		"backup_2026-03-01/authorization-workspaces/x":                "stray",
		"backup_2026-03-01/.DS_Store":                                 "\x00",
		ws + "policies/notes.txt":                                     "to do",
		ws + "api/openapi.json":                                       `{}`,
		people + "identity-templates/0001.json":                       "\ufeff" + crlf("{\n\t\"data\" : {\n\t\t\"templateId\" : \"Crew\",\n\t\t\"isNew\": true,\n\t\t\"attributes\" : [\n\t\t\t{\"attributeId\":\"port\",\"displayName\":\"Port\",\"type\":\"STRING\",\"isAvailableForPolicies\":true,\"unit\":null},\n\t\t\t{\"attributeId\":\"uid\",\"displayName\":\"User ID\",\"description\":\"the id\",\"type\":\"STRING\",\"isAvailableForPolicies\":true,\"isUsedInAccessRequest\":true}\n\t\t]\n\t}\n}\n"),
		people + "identity-sources/sources.json":                      `{"data":{"sources":[{"sourceType":"EXTERNAL_INPUT","sourceId":"roster","displayName":"Roster","sourceMetaData":{ "viewName" : "v_roster", "paaGroupId":"north", "n": 1.50 }},{"sourceId":"req","displayName":"Request","sourceType":"REQUEST_INPUT"}]}}`,
		people + "mapper-sets/Crew MapperSet (1).json":                `{"mapperSetId":"Crew_MapperSet","displayName":"Crew_MapperSet","linkedSources":[{"sourceId":"roster","sourceUsedAs":"MAIN","additionalProps":{"isValidateUser":true,"cacheDuration":0},"mappers":[{"type":"IDENTITY_ATTRIBUTES","mappings":[{"origin":"port_no","target":"port"}]}]}]}`,
		ws + "asset-types/tpl-17.json":                                crlf("{\n    \"templateId\": \"Cargo\",\n    \"displayName\": \"Cargo\",\n    \"source\": \"REQUEST\",\n    \"isUsedForFiltering\": true,\n    \"attributes\": [\n        {\"attributeId\": \"class\", \"displayName\": \"Class\", \"type\": \"STRING\", \"isAvailableForPolicies\": true, \"nameForRequest\": \"cls\", \"isCalculated\": false},\n        {\"attributeId\": \"risk\", \"displayName\": \"Risk\", \"type\": \"NUMERIC\", \"isAvailableForPolicies\": false, \"nameForRequest\": \"risk\", \"calculationFunction\": \"max( a , b )\", \"isCalculated\": true}\n    ],\n    \"actions\": [{\"actionId\": \"View\", \"value\": \"view\"}, {\"actionId\": \"Load\", \"value\": \"load\"}]\n}\n"),
		ws + "asset-types/tpl-18.json":                                `{"data":{"templateId":"Crane","displayName":"Crane","description":"","logoUrl":"https://img.example.org/c.png","source":"EXTERNAL","isAttributeSentInRequest":true,"isUsedForFiltering":false,"paaGroupId":"north","viewName":"v_crane","attributes":[{"attributeId":"load","displayName":"Load","type":"NUMERIC","sourceAttribute":"MAX_LOAD","isAvailableForPolicies":true,"nameForRequest":"load","isMultiValue":true,"isCalculated":false}],"actions":[]}}`,
		ws + "applications/harbour-app.json":                          "\ufeff{\"applicationId\":\"harbour app\",\"displayName\":\"Harbour\",\"colorIndication\":\"#A1b2C3\",\"assetTemplateIds\":[\"Cargo\",\"Crane\"]}",
		ws + "applications/empty.json":                                `{ "data" : { "applicationId":"empty","displayName":"Empty","assetTemplateIds":[] } }`,
		"backup_2026-03-01/environment/custom-policy-attributes.json": `{"data":[{"presetSource":"NONE","key":"owner","name":"Owner","type":"string","displayOrder":2,"maxLength":50,"propagationMode":"X","zz":[{"a":1.0}]},{"key":"level","name":"Level","type":"number","displayOrder":1}]}`,
		ws + "policies/1.rego":                                        oldStyle(),
		ws + "policies/2.rego":                                        "\ufeff" + crlf(yamlStyles()),
		ws + "policies/3.rego":                                        newStyle(),
	}
}

// oldStyle is the older Rego: tabs in the metadata, future.keywords, action(asset), numbers behind function names.
func oldStyle() string {
	return `# METADATA
# custom:
#	plainid:
#		policyId: deck_views
#		name: Deck views
#		accessType: Allow
#		applications:
#			- harbour app
package policy
import future.keywords

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: North crew
dynamic_group(identity){
	identity.template == "Crew"
	identity.port == "north"
}
# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: South crew
dynamic_group1(identity){
    identity.port == "south"; identity.template == "Crew"
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Deck cargo
ruleset(asset, identity){
	asset["class"] == ` + "`deck`" + `
	asset.template == "Cargo"
}
# METADATA
# custom:
#   plainid:
#     kind: Action
#     name: Cargo actions
action(asset){
	asset.template == "Cargo"
	asset.action in ["View"]
}
`
}

// yamlStyles has quoted, flow and folded YAML, comments, and attributes that are indented below applications.
func yamlStyles() string {
	return `# A comment that nobody keeps.
# METADATA
# title: ignored
# custom:
#     plainid:
#         name: 'Hold: "cargo"'
#         policyId: "hold cargo"
#         accessType: Restrict
#         description: >-
#             Two
#             lines.
#         sourceEnvironmentId: 00000000-0000-0000-0000-00000000abcd
#         applications: [{id: harbour app}, {id: gone}]
#         customAttributes: {owner: 'Ports, "north"', level: 1.50}
package policy

import rego.v1

# METADATA
# custom:
#   plainid: {kind: DynamicGroup, name: "North crew", id: 0D7C3B1E-51A4-4A0E-8C2D-7E6F5A4B3C21}
dynamic_group(identity) if {
  identity["port"] == "north"    # trailing
  identity.template == "Crew"
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Not deck
ruleset(asset, identity, requestParams, action) if {
  asset.template == "Cargo"
  not asset["class"] in [
    "deck",
    "dry",
  ]
}

# METADATA
# custom:
#   plainid:
#     kind: Condition IP
#     name: Port net
condition_ip(env) if { net.cidr_contains("10.1.0.0/16", env.sourceIp) }
`
}

// newStyle has a block that an earlier promotion numbered, and another with the very same rules.
func newStyle() string {
	group := func(name, id string) string {
		return "\n\n# METADATA\n# custom:\n#   plainid:\n#     kind: DynamicGroup\n#     name: " + name + "\n#     id: " + id +
			"\ndynamic_group(identity) if {\n\tidentity.template == \"Crew\"\n\tidentity[\"port\"] == \"west\"\n}"
	}
	return "# METADATA\n# custom:\n#   plainid:\n#     policyId: cranes\n#     name: Cranes\n#     accessType: Allow\npackage policy\nimport rego.v1" +
		group("West crew (1)", "11111111-51a4-4a0e-8c2d-7e6f5a4b3c21") + group("West people", "22222222-51a4-4a0e-8c2d-7e6f5a4b3c21") +
		"\n\n# METADATA\n# custom:\n#   plainid:\n#     kind: Ruleset\n#     name: Every crane\n#     id: 33333333-51a4-4a0e-8c2d-7e6f5a4b3c21\nruleset(asset) if {\n\tasset.template == \"Crane\"\n}"
}

// MG-69, MG-74, MG-75, A11, A12: a directory that another tool wrote is taken whole; its export applies to an
// empty environment and is exported from there byte for byte; nothing is lost and nothing invented.
func TestForeignDirectory(t *testing.T) {
	w := newWorld(t).bare()
	report := w.apply(foreign(), manage.ApplyOptions{IgnoreUnknown: true})
	if len(report.Errors) > 0 {
		t.Fatal(texts(report.Errors))
	}
	wantNotes := []string{
		"backup_2026-03-01/.DS_Store ignored", "backup_2026-03-01/README.md ignored", "backup_2026-03-01/authorization-workspaces/Harbour  Ops/api/openapi.json ignored",
		"backup_2026-03-01/authorization-workspaces/Harbour  Ops/policies/notes.txt ignored", "backup_2026-03-01/authorization-workspaces/x ignored",
		"backup_2026-03-01/environments/env.json ignored", "backup_2026-03-01/metadata/backup.json ignored",
		"backup_2026-03-01/identity-workspaces/Crew/identity-templates/0001.json:4:3: /isNew: passed over",
		"backup_2026-03-01/identity-workspaces/Crew/identity-templates/0001.json:6:93: /attributes/0/unit: passed over",
	}
	if diff := cmp.Diff(wantNotes, report.Notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	if again := w.apply(foreign(), manage.ApplyOptions{IgnoreUnknown: true}); again.Revision != report.Revision || len(again.Items) > 3 {
		t.Errorf("the second time: revision %d, %+v", again.Revision, again.Items) // two policies and a calculated attribute have warnings
	}
	tree := checkRound(t, w)
	checkForeign(t, w)
	want, ids := foreignExport(), regexp.MustCompile(`#     id: [0-9a-f-]{36}`)
	for path, text := range tree {
		if !strings.HasSuffix(path, ".rego") || text == "" {
			continue
		}
		// the ids of blocks that had none are made
		got := ids.ReplaceAllStringFunc(text, func(line string) string {
			if strings.Contains(line, "-51a4-4a0e-8c2d-7e6f5a4b3c21") {
				return line
			}
			return "#     id: made"
		})
		if diff := cmp.Diff(want[path], got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		delete(want, path)
	}
	for path, text := range want {
		if diff := cmp.Diff(text, tree[path]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

// checkForeign compares what is stored with what the files say.
func checkForeign(t *testing.T, w *world) {
	t.Helper()
	w.view(func(tx *store.Tx) {
		cargo, err := tx.AssetTemplates.Find("Cargo")
		w.must(err)
		text := "max( a , b )"
		want := model.AssetTemplate{
			ID: "Cargo", WorkspaceID: cargo.WorkspaceID, DisplayName: "Cargo", Source: model.SourceRequest, IsUsedForFiltering: true,
			Attributes: []model.AssetAttribute{
				{ID: "class", DisplayName: "Class", Type: model.String, IsAvailableForPolicies: true, NameForRequest: "cls"},
				{ID: "risk", DisplayName: "Risk", Type: model.Numeric, IsCalculated: true, CalculationFunction: &text},
			},
			Actions: []model.Action{{ID: "View", Value: "view"}, {ID: "Load", Value: "load"}},
		}
		for i := range cargo.Attributes {
			if a := &cargo.Attributes[i]; a.NameForRequest == string(a.ID) {
				a.NameForRequest = ""
			}
		}
		if diff := cmp.Diff(want, cargo); diff != "" {
			t.Errorf("Cargo (-want +got):\n%s", diff)
		}
		if ws := all(t, tx.AuthorizationWorkspaces); len(ws) != 1 || ws[0].Name != "Harbour  Ops" {
			t.Errorf("workspaces %+v", ws)
		}
		deck, err := tx.Policies.Find("deck_views")
		w.must(err)
		if len(deck.DynamicGroups) != 2 || len(deck.Rulesets) != 1 || deck.Rulesets[0].AllActions || deck.Rulesets[0].ActionIDs[0] != "View" {
			t.Errorf("deck_views %+v", deck)
		}
		cranes, err := tx.Policies.Find("cranes")
		w.must(err)
		if len(cranes.DynamicGroups) != 2 || cranes.DynamicGroups[0] == cranes.DynamicGroups[1] {
			t.Errorf("cranes %+v: two blocks of one archive became one", cranes)
		}
	})
}

// foreignExport is what the export of foreign must be, by hand. Ids of blocks that had none are left out.
func foreignExport() files {
	const ws, people = "authorization-workspaces/Harbour  Ops/", "identity-workspaces/Crew/"
	head := "# METADATA\n# custom:\n#   plainid:\n#     policyId: "
	tail := "#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE\n#     sourceEnvironmentId: " + envID + "\n"
	block := func(kind, name, id, function, body string) string {
		return "\n\n# METADATA\n# custom:\n#   plainid:\n#     kind: " + kind + "\n#     name: " + name + "\n#     id: " + id + "\n" + function + " if {\n" + body + "}"
	}
	group := func(name, id, port string) string {
		return block("DynamicGroup", name, id, "dynamic_group(identity)", "\tidentity.template == \"Crew\"\n\tidentity[\"port\"] == \""+port+"\"\n")
	}
	ruleset := func(name, body string) string {
		return block("Ruleset", name, "made", "ruleset(asset, identity, requestParams, action)", body)
	}
	return files{
		ws + "policies/deck_views.rego": head + "deck_views\n#     name: Deck views\n#     accessType: Allow\n" + tail + "#     applications: \n#       - id: harbour app\npackage policy\nimport rego.v1" +
			group("North crew", "made", "north") + group("South crew", "made", "south") +
			ruleset("Deck cargo", "\tasset.template == \"Cargo\"\n\tasset[\"class\"] == \"deck\"\n\taction.id in [\"View\"]\n"),
		ws + "policies/hold cargo.rego": head + "hold cargo\n#     name: \"Hold: \\\"cargo\\\"\"\n#     description: \"Two lines.\"\n#     accessType: Restrict\n" + tail +
			"#     applications: \n#       - id: harbour app\n#       - id: gone\n#     customAttributes:\n#       level: 1.50\n#       owner: \"Ports, \\\"north\\\"\"\npackage policy\nimport rego.v1" +
			group("North crew", "made", "north") + ruleset("Not deck", "\tasset.template == \"Cargo\"\n\tnot asset[\"class\"] in [\"deck\", \"dry\"]\n") +
			block("Condition IP", "Port net", "made", "condition_ip(env)", "\tnet.cidr_contains(\"10.1.0.0/16\", env.sourceIp)\n"),
		ws + "policies/cranes.rego": head + "cranes\n#     name: Cranes\n#     accessType: Allow\n" + tail + "package policy\nimport rego.v1" +
			group("West crew (1)", "11111111-51a4-4a0e-8c2d-7e6f5a4b3c21", "west") + group("West people", "22222222-51a4-4a0e-8c2d-7e6f5a4b3c21", "west") +
			ruleset("All", "\tasset.template == \"Crane\"\n"),
		ws + "applications/harbour app.json": "{\n  \"data\": {\n    \"applicationId\": \"harbour app\",\n    \"displayName\": \"Harbour\",\n    \"colorIndication\": \"#A1b2C3\",\n    \"assetTemplateIds\": [\n      \"Cargo\",\n      \"Crane\"\n    ]\n  }\n}",
		ws + "applications/empty.json":       "{\n  \"data\": {\n    \"applicationId\": \"empty\",\n    \"displayName\": \"Empty\",\n    \"colorIndication\": \"#808080\",\n    \"assetTemplateIds\": []\n  }\n}",
		ws + "asset-types/Crane.json": "{\n  \"templateId\": \"Crane\",\n  \"displayName\": \"Crane\",\n  \"description\": \"\",\n  \"logoUrl\": \"https://img.example.org/c.png\",\n  \"source\": \"EXTERNAL\",\n  \"isAttributeSentInRequest\": true,\n  \"isUsedForFiltering\": false,\n  \"paaGroupId\": \"north\",\n  \"viewName\": \"v_crane\",\n" +
			"  \"attributes\": [\n    {\n      \"attributeId\": \"load\",\n      \"displayName\": \"Load\",\n      \"type\": \"NUMERIC\",\n      \"sourceAttribute\": \"MAX_LOAD\",\n      \"isAvailableForPolicies\": true,\n      \"nameForRequest\": \"load\",\n      \"isMultiValue\": true,\n      \"isCalculated\": false\n    }\n  ],\n  \"actions\": []\n}",
		people + "identity-templates/Crew.json": "{\n  \"templateId\": \"Crew\",\n  \"attributes\": [\n    {\n      \"attributeId\": \"uid\",\n      \"displayName\": \"User ID\",\n      \"description\": \"the id\",\n      \"type\": \"STRING\",\n      \"isAvailableForPolicies\": true,\n      \"isUsedInAccessRequest\": true\n    },\n" +
			"    {\n      \"attributeId\": \"port\",\n      \"displayName\": \"Port\",\n      \"description\": \"\",\n      \"type\": \"STRING\",\n      \"isAvailableForPolicies\": true,\n      \"isUsedInAccessRequest\": false\n    }\n  ]\n}",
		people + "identity-sources/Crew.json":       "{\n  \"sources\": [\n    {\n      \"sourceId\": \"req\",\n      \"displayName\": \"Request\",\n      \"sourceType\": \"REQUEST_INPUT\"\n    },\n    {\n      \"sourceId\": \"roster\",\n      \"displayName\": \"Roster\",\n      \"sourceType\": \"EXTERNAL_INPUT\",\n      \"sourceMetaData\": {\n        \"viewName\": \"v_roster\",\n        \"paaGroupId\": \"north\",\n        \"n\": 1.50\n      }\n    }\n  ]\n}",
		"environment/custom-policy-attributes.json": "[\n  {\n    \"key\": \"level\",\n    \"name\": \"Level\",\n    \"type\": \"number\",\n    \"displayOrder\": 1\n  },\n  {\n    \"presetSource\": \"NONE\",\n    \"key\": \"owner\",\n    \"name\": \"Owner\",\n    \"type\": \"string\",\n    \"displayOrder\": 2,\n    \"maxLength\": 50,\n    \"propagationMode\": \"X\",\n    \"zz\": [\n      {\n        \"a\": 1.0\n      }\n    ]\n  }\n]",
	}
}
