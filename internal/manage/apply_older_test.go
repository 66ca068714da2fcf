package manage_test

import (
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/store"
)

// olderBackup has the objects of backup in the older layout: a policy stands under each of its applications.
func olderBackup() files {
	const root = "Staging_5b0c9d52-0f5e-4a77-9c1e-3d0a6f2b8e41/"
	now := backup()
	return files{
		root + "identity-template-Crew.json":              now[crewWs+"identity-templates/Crew.json"],
		root + "paa-group_7.json":                         `{}`,
		root + "Quays/asset-template_1.json":              now[quays+"asset-types/Cargo.json"],
		root + "Quays/harbour-app/application.json":       now[quays+"applications/harbour-app.json"],
		root + "Quays/harbour-app/policy_1.srego":         now[quays+"policies/p1.rego"],
		root + "Quays/harbour-app/policy_2.srego":         now[quays+"policies/p2.rego"],
		root + "Quays/second/application.json":            `{"applicationId":"second","displayName":"Second","assetTemplateIds":["Cargo"]}`,
		root + "Quays/second/policy_1.srego":              now[quays+"policies/p2.rego"] + "\n",
		root + "Quays/second/.hidden/application.json":    `{`,
		root + "Quays/harbour-app/nested/policy_9.srego":  `{`,
		root + "Quays/harbour-app/policy_3.srego.swp":     `{`,
		root + "Quays/harbour-app/readme-application.txt": `{`,
	}
}

// MG-70: the older layout is applied, into a bare environment and into one whose workspace has another name.
func TestApplyOlderLayout(t *testing.T) {
	for _, existing := range []bool{false, true} {
		w := newWorld(t).bare()
		workspace := "Crew"
		if existing {
			workspace = "Crew people"
			w.apply(files{crewWs + "identity-templates/Crew.json": backup()[crewWs+"identity-templates/Crew.json"]}, manage.ApplyOptions{})
		}
		before := w.revision()
		out := w.apply(olderBackup(), manage.ApplyOptions{})
		if len(out.Errors) > 0 || w.revision() != before+1 || out.Summary["policies"].Created != 2 || out.Summary["applications"].Created != 2 {
			t.Errorf("existing %v: revision %d, %+v\n%s", existing, w.revision(), counts(out), texts(out.Errors))
		}
		if len(out.Notes) != 5 || !strings.HasSuffix(out.Notes[len(out.Notes)-1], "paa-group_7.json ignored") {
			t.Errorf("notes %q", out.Notes)
		}
		w.view(func(tx *store.Tx) {
			people, quays := all(t, tx.IdentityWorkspaces), all(t, tx.AuthorizationWorkspaces)
			if len(people) != 1 || people[0].Name != workspace || len(quays) != 1 || quays[0].Name != "Quays" {
				t.Errorf("workspaces %+v %+v", people, quays)
			}
		})
		if out := w.apply(olderBackup(), manage.ApplyOptions{}); len(out.Items) != 0 || w.revision() != before+1 {
			t.Errorf("the second time: %+v", out.Items)
		}
	}
	w := newWorld(t).bare()
	differs := files{}
	for path, text := range olderBackup() {
		if strings.HasSuffix(path, "second/policy_1.srego") {
			text = strings.Replace(text, `>= 4.0`, `>= 5`, 1)
		}
		differs[path] = text
	}
	if out := w.apply(differs, manage.ApplyOptions{}); !strings.Contains(texts(out.Errors), "policy [p2] stands also in") || w.revision() != 1 {
		t.Errorf("one policy, two texts: %s", texts(out.Errors))
	}
}
