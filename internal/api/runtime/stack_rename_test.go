package runtime

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/examples/bank"
	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// answers asks what some of the staff may do.
func (s *stack) answers() []string {
	s.t.Helper()
	var ids []string
	for p, err := range s.all(bank.IdentityTemplates()[0]) {
		check(s.t, err)
		if ids = append(ids, p.Record.EntityID); len(ids) == 12 {
			break
		}
	}
	var out []string
	for _, id := range ids {
		status, answer, _ := s.ask(map[string]any{"entityId": id, "entityTypeId": bank.IdentityTemplates()[0], "includeAccessPolicyId": true})
		s.entries(status, answer)
		out = append(out, answer)
	}
	return out
}

// all reads the identities of a template.
func (s *stack) all(template model.TemplateID) func(func(store.Positioned[model.Identity], error) bool) {
	return func(yield func(store.Positioned[model.Identity], error) bool) {
		check(s.t, s.store.View(s.t.Context(), stackEnvironment, func(tx *store.Tx) error {
			tx.Identities(template).After(0)(yield)
			return nil
		}))
	}
}

// renameBank renames every asset type, action and application of the bank, one call each, and returns how many calls
// there were. Ids keep their order, and so do answers.
func (s *stack) renameBank(to func(string) string) (calls int) {
	s.t.Helper()
	var types []model.AssetTemplate
	var apps []model.ApplicationID
	check(s.t, s.store.View(s.t.Context(), stackEnvironment, func(tx *store.Tx) error {
		for t, err := range tx.AssetTemplates.FindAll() {
			check(s.t, err)
			types = append(types, t)
		}
		for a, err := range tx.Applications.FindAll() {
			check(s.t, err)
			apps = append(apps, a.ID)
		}
		return nil
	}))
	done := func(d manage.Done, err error) {
		s.t.Helper()
		if calls++; err != nil || d.Result != manage.Updated {
			s.t.Fatalf("rename: %v %v", d, err)
		}
	}
	s.manage(func(service *manage.Service, call manage.Call) {
		for _, t := range types {
			for _, a := range t.Actions {
				done(service.RenameAction(s.t.Context(), call, stackEnvironment, t.ID, a.ID, model.ActionID(to(string(a.ID)))))
			}
			done(service.RenameAssetTemplate(s.t.Context(), call, stackEnvironment, t.ID, model.TemplateID(to(string(t.ID)))))
		}
		for _, id := range apps {
			done(service.RenameApplication(s.t.Context(), call, stackEnvironment, id, model.ApplicationID(to(string(id)))))
		}
	})
	return calls
}

// newRenamedBank is the bank with policies on the predefined rulesets of all types, whose ids follow those of the types:
// one takes some actions back, one allows others.
func newRenamedBank(t *testing.T) *stack {
	s := newBank(t, 400, 40)
	s.write(stackEnvironment, func(tx *store.Tx) error {
		for _, id := range bank.AssetTemplates() {
			at, err := tx.AssetTemplates.Find(id)
			check(t, err)
			if len(at.Actions) < 2 {
				continue
			}
			for i, access := range []model.Access{model.Allow, model.Restrict} {
				check(t, put(tx.Policies, model.Policy{
					ID: model.PolicyID(fmt.Sprint(access, " all ", id)), WorkspaceID: at.WorkspaceID, Name: "All", Access: access, Use: model.PolicyUseDynamic,
					DynamicGroups: []model.BlockID{model.PredefinedBlockID(model.KindDynamicGroup, bank.IdentityTemplates()[0])},
					Rulesets: []model.RulesetUse{{
						BlockID: model.PredefinedBlockID(model.KindRuleset, id), ActionIDs: []model.ActionID{at.Actions[i].ID},
					}},
				}))
			}
		}
		return nil
	})
	return s
}

// TestRenamesKeepDecisions is MG-43: after every asset type, action and application of the bank has got another id, its
// staff may do what they might before, under the new names; so it is when the store is read anew, and when all is called
// as before. Answers name actions by their values, which stay.
func TestRenamesKeepDecisions(t *testing.T) {
	s := newRenamedBank(t)
	before := s.answers()
	entries := 0
	for _, a := range before {
		entries += len(s.entries(200, a))
	}
	if entries < 1000 {
		t.Fatalf("the staff may do too little to compare: %d entries", entries)
	}
	const mark = `R/ "é" `
	inAnswers := strings.NewReplacer(`"resourceType":"`, `"resourceType":"R/ \"é\" `)
	var want []string
	for _, a := range before {
		want = append(want, inAnswers.Replace(a))
	}
	if calls := s.renameBank(func(id string) string { return mark + id }); calls < 10 {
		t.Fatalf("%d renames", calls)
	}
	followed := s.answers()
	if d := cmp.Diff(want, followed); d != "" {
		t.Errorf("after the renames (-want +got):\n%.2000s", d)
	}
	s.restart()
	if d := cmp.Diff(followed, s.answers()); d != "" {
		t.Errorf("followed and read anew differ:\n%.2000s", d)
	}
	s.renameBank(func(id string) string { return strings.TrimPrefix(id, mark) })
	if d := cmp.Diff(before, s.answers()); d != "" {
		t.Errorf("after the renames back (-want +got):\n%.2000s", d)
	}
}

// TestDeletedApplicationGrantsNothing is MG-45: what only the deleted application made reachable is granted no more,
// although its policies stay; everything else is granted as before.
func TestDeletedApplicationGrantsNothing(t *testing.T) {
	s := newBank(t, 400, 40)
	before := s.answers()
	s.manage(func(service *manage.Service, call manage.Call) {
		if _, err := service.DeleteApplication(t.Context(), call, stackEnvironment, "general-ledger"); err != nil {
			t.Fatal(err)
		}
	})
	lost := 0
	for i, answer := range s.answers() {
		want := s.entries(200, before[i])
		all := len(want)
		want = slices.DeleteFunc(want, func(e tokenEntry) bool { return e.ResourceType == "LedgerRows" })
		lost += all - len(want)
		if d := cmp.Diff(want, s.entries(200, answer)); d != "" {
			t.Errorf("answer %d (-want +got):\n%.2000s", i, d)
		}
	}
	if lost == 0 {
		t.Error("nobody had anything to lose")
	}
	s.manage(func(service *manage.Service, call manage.Call) {
		view, err := service.SearchPolicies(t.Context(), stackEnvironment, &manage.PolicyFilter{}, 0, 1000)
		check(t, err)
		incomplete := 0
		for i := range view.Items {
			if !view.Items[i].Complete {
				incomplete++
			}
		}
		if incomplete == 0 || incomplete == view.Total {
			t.Errorf("%d of %d policies are incomplete", incomplete, view.Total)
		}
	})
}
