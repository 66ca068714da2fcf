package manage_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// PM-54, MG-71: a policy whose text states no change follows its shared block, which another file of the same archive
// changes; all of it is one revision, and the second time nothing.
func TestApplySharedBlock(t *testing.T) {
	w := seniors(t)
	before := w.revision()
	archive := files{
		quays + "policies/P1.rego": groupPolicy("P1", "Senior", seniorID, `identity["rank"] >= 9`),
		quays + "policies/P3.rego": groupPolicy("P3", "Senior", "", `identity["rank"] >= 9`),
	}
	out := w.apply(archive, manage.ApplyOptions{ByName: true})
	if len(out.Errors) > 0 || w.revision() != before+1 || fmt.Sprint(out.Affected) != "[P1 P2 P3]" {
		t.Errorf("revision %d, affected %v, %s", w.revision(), out.Affected, texts(out.Errors))
	}
	if c := counts(out)["policies"]; c.Created != 1 || c.Unchanged != 1 {
		t.Errorf("summary %+v", c)
	}
	w.view(func(tx *store.Tx) {
		b, err := tx.Blocks.Find(seniorID)
		w.must(err)
		if b.Branches[0].Rules[0].Literals[0].Text != "9" {
			t.Errorf("block %+v", b)
		}
		for _, id := range []string{"P1", "P2", "P3"} {
			p, err := tx.Policies.Find(model.PolicyID(id))
			w.must(err)
			if len(p.DynamicGroups) != 1 || p.DynamicGroups[0] != seniorID {
				t.Errorf("%s uses %v", id, p.DynamicGroups)
			}
		}
	})
	again := w.apply(archive, manage.ApplyOptions{ByName: true})
	if len(again.Items)+len(again.Affected) > 0 || w.revision() != before+1 {
		t.Errorf("the second time: %+v, affected %v, revision %d", again.Items, again.Affected, w.revision())
	}
}

// PM-49, PM-53: what a file did to shared blocks before its error is undone with it, also when errors are skipped.
func TestApplyBrokenPolicyLeavesBlocks(t *testing.T) {
	w := seniors(t)
	before := w.revision()
	bad := groupPolicy("P9", "Senior", "", `identity["rank"] >= 9`)
	// the group comes first and is changed; then a ruleset that nobody can resolve: no name, and its id is not stored
	bad = strings.Replace(bad, "#     kind: Ruleset\n#     name: Deck\n", "#     kind: Ruleset\n#     id: cccccccc-51a4-4a0e-8c2d-7e6f5a4b3c21\n", 1)
	for _, skip := range []bool{false, true} {
		out := w.apply(files{quays + "policies/P9.rego": bad}, manage.ApplyOptions{ByName: true, SkipErrors: skip})
		if !strings.Contains(texts(out.Errors), `RG-103 authorization-workspaces/Quays/policies/P9.rego:20:3: metadata key "name" is missing`) {
			t.Errorf("skip %v: %s", skip, texts(out.Errors))
		}
		if w.revision() != before || skip && len(out.Affected)+len(out.Blocks) > 0 {
			t.Errorf("skip %v: revision %d, affected %v, blocks %+v", skip, w.revision(), out.Affected, out.Blocks)
		}
	}
	w.view(func(tx *store.Tx) {
		if b, err := tx.Blocks.Find(seniorID); err != nil || b.Branches[0].Rules[0].Literals[0].Text != "4" {
			t.Errorf("block %+v, %v", b, err)
		}
	})
}

// PM-16: a pruned application leaves the headers of stored policies; one whose file is in the archive keeps what the file
// says, and nothing changes the second time.
func TestApplyPruneApplicationHeaders(t *testing.T) {
	w := seniors(t)
	text := strings.Replace(policyText("H", ""), "#     accessType: Allow", "#     accessType: Allow\n#     applications:\n#       - id: gone\n#       - id: harbour-app", 1)
	w.apply(files{quays + "policies/H.rego": text, quays + "applications/gone.json": `{"applicationId":"gone","displayName":"G"}`}, manage.ApplyOptions{})
	header := func() string {
		var out string
		w.view(func(tx *store.Tx) {
			p, err := tx.Policies.Find("H")
			w.must(err)
			out = fmt.Sprint(p.Applications)
		})
		return out
	}
	keep := files{quays + "applications/harbour-app.json": backup()[quays+"applications/harbour-app.json"]}
	for range 2 {
		w.apply(keep.with(files{quays + "policies/H.rego": text, quays + "policies/P1.rego": groupPolicy("P1", "Senior", seniorID, `identity["rank"] >= 4`)}), manage.ApplyOptions{Prune: true})
		if got := header(); got != "[gone harbour-app]" {
			t.Errorf("with its file: %s", got)
		}
	}
	w.apply(files{quays + "applications/gone.json": `{"applicationId":"gone","displayName":"G"}`}, manage.ApplyOptions{})
	w.apply(keep, manage.ApplyOptions{Prune: true})
	if got := header(); got != "[harbour-app]" {
		t.Errorf("without its file: %s", got)
	}
}

// PM-18: a required custom attribute must be there, wherever its definition comes from; RG-308 names the value.
func TestApplyCustomAttributes(t *testing.T) {
	w := seniors(t)
	define := func(more string) string {
		return `[{"key":"ticket","name":"Ticket","displayOrder":1,"type":"string",` + more + `}]`
	}
	with := func(id, value string) string {
		return strings.Replace(policyText(id, ""), "#     accessType: Allow", "#     accessType: Allow\n#     customAttributes:\n#       ticket: "+value, 1)
	}
	out := w.apply(files{"environment/custom-policy-attributes.json": define(`"required":true`), quays + "policies/r.rego": policyText("r", "")}, manage.ApplyOptions{})
	if !strings.Contains(texts(out.Errors), `RG-111 authorization-workspaces/Quays/policies/r.rego`) || !strings.Contains(texts(out.Errors), `custom attribute "ticket": is required`) {
		t.Errorf("required: %s", texts(out.Errors))
	}
	// stored policies stay as they are when a definition becomes required; their next import must have the value
	w.apply(files{"environment/custom-policy-attributes.json": define(`"required":true,"onlyOnCreate":true`)}, manage.ApplyOptions{})
	out = w.apply(files{quays + "policies/r.rego": with("r", `"T-1"`)}, manage.ApplyOptions{})
	if len(out.Errors) > 0 {
		t.Fatal(texts(out.Errors))
	}
	for value, want := range map[string]string{`"T-2"`: "cannot be changed after creation", `5`: "must be a text", `["T-1","T-2"]`: "takes one value"} {
		before := w.revision()
		out := w.apply(files{quays + "policies/r.rego": with("r", value)}, manage.ApplyOptions{})
		if !strings.Contains(texts(out.Errors), "RG-111") || !strings.Contains(texts(out.Errors), want) || w.revision() != before {
			t.Errorf("%s: %s", value, texts(out.Errors))
		}
	}
	other := w.apply(files{
		"authorization-workspaces/Other/asset-types/O.json": `{"templateId":"O","displayName":"O","source":"PLAINID","attributes":[{"attributeId":"berth","displayName":"B","type":"STRING"}],"actions":[{"actionId":"Load","value":"load"}]}`,
		"authorization-workspaces/Other/policies/r.rego":    strings.ReplaceAll(with("r", `"T-1"`), `"Cargo"`, `"O"`),
	}, manage.ApplyOptions{})
	if !strings.Contains(texts(other.Errors), `RG-308 authorization-workspaces/Other/policies/r.rego:4:17: policy "r" belongs to another authorization workspace`) {
		t.Errorf("PM-48 RG-308: %s", texts(other.Errors))
	}
}

// policy-model.md 3.12: an identity attribute that is left out takes its values along, also those in rows, so that it comes
// back without values; so does one of an asset type (TestApplyDrops).
func TestApplyDropsIdentityValues(t *testing.T) {
	w := newWorld(t).bare()
	crew := func(extra string) string {
		return `{"templateId":"Crew","attributes":[{"attributeId":"rank","displayName":"Rank","type":"NUMERIC"}` + extra + `]}`
	}
	more := `,{"attributeId":"cert","displayName":"Cert","type":"STRING"},{"attributeId":"port","displayName":"Port","type":"STRING"}`
	rows := `{"entityId":"iris","attributes":{"port":["x"],"rank":[1]},"rows":[{"cert":["A"]},{"cert":["B"]}]}` + "\n" + `{"entityId":"noa","attributes":{"rank":[2]}}`
	steps := []files{
		{crewWs + "identity-templates/Crew.json": crew(more), crewWs + "identities/Crew.ndjson": rows},
		{crewWs + "identity-templates/Crew.json": crew("")},
		{crewWs + "identity-templates/Crew.json": crew(more)},
	}
	for i, step := range steps {
		if out := w.apply(step, manage.ApplyOptions{}); len(out.Errors) > 0 {
			t.Fatalf("step %d: %s", i, texts(out.Errors))
		}
	}
	got, _, err := w.Identities(envID, "Crew").Find(t.Context(), "iris")
	w.must(err)
	if text := string(form.FormatIdentity(&got)); strings.Contains(text, "cert") || strings.Contains(text, "port") || !strings.Contains(text, `"rank":["1"]`) {
		t.Errorf("%s", text)
	}
}
