package manage

import (
	"cmp"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/model"
)

// ObjectChange is an object that an apply changed, in its exported form before and after: Rego, or JSON with two blanks of
// indentation. An object that was made has no text before, one that was deleted none after. Texts that are equal hide
// what an export never shows.
type ObjectChange struct {
	File   string // that brought the change; empty for what was deleted because the archive lacks it
	Kind   string // as in ApplyItem
	ID     string
	Name   string
	Result Result
	Before string
	After  string
}

// changeLog collects the changes of one apply from its audit events.
type changeLog struct {
	at      map[changeKey]int
	changes []loggedChange
	states  map[model.PolicyID]string // before the apply
}

type changeKey struct{ resource, parent, id string }

type loggedChange struct {
	ObjectChange
	events int
}

// note takes an event that file caused. Several events of an object are one change.
func (l *changeLog) note(file string, e *model.ChangeEvent) {
	kind := kindOfResource(e.ResourceType)
	if kind == "" {
		return
	}
	key := changeKey{kind, e.ParentID, e.ResourceID}
	i, known := l.at[key]
	if !known {
		i = len(l.changes)
		l.at[key] = i
		l.changes = append(l.changes, loggedChange{ObjectChange: ObjectChange{
			Kind: singular(kind), ID: e.ResourceID, Before: e.Before, Result: Updated,
		}})
	}
	c := &l.changes[i]
	c.events++
	c.Name, c.After, c.File = e.ResourceName, e.After, cmp.Or(file, c.File)
	if e.Action == model.EventDelete {
		c.File = file
	}
}

// rememberStates keeps which policies are inactive, for stateChanges.
func (a *applier) rememberStates() (err error) {
	if a.o.Changes {
		a.changes.states, err = a.policyStates()
	}
	return err
}

// stateChanges adds the policies whose state, which stands in no text, is another one at the end.
func (a *applier) stateChanges() error {
	if !a.o.Changes {
		return nil
	}
	now, err := a.policyStates()
	if err != nil {
		return err
	}
	file := ""
	for _, f := range a.layout.environment.files[kindPolicyStates] {
		file = f.Path
	}
	for id, state := range now {
		before := a.changes.states[id]
		if before == state || before == "" && state == stateActive {
			continue
		}
		a.changes.changes = append(a.changes.changes, loggedChange{ObjectChange: ObjectChange{
			File: file, Kind: singular(kindPolicyStates), ID: string(id), Name: string(id), Before: before, After: state, Result: Updated,
		}})
	}
	return nil
}

const (
	stateActive   = "Active"
	stateInactive = "Inactive"
)

func (a *applier) policyStates() (map[model.PolicyID]string, error) {
	out := map[model.PolicyID]string{}
	return out, each(a.w.Policies.FindAll(), func(p model.Policy) {
		if out[p.ID] = stateActive; p.Inactive {
			out[p.ID] = stateInactive
		}
	})
}

// list is what changed in the end, by kind, file and id.
func (l *changeLog) list() []ObjectChange {
	var out []ObjectChange
	for i := range l.changes {
		c := l.changes[i].ObjectChange
		switch {
		case c.Before == c.After && (l.changes[i].events > 1 || c.Kind == singular(kindPolicies)):
			continue // made and deleted, or changed and changed back; a policy's state is a change of its own
		case c.Before == "":
			c.Result = Created
		case c.After == "":
			c.Result = Deleted
		}
		c.Before, c.After = shown(c.Before), shown(c.After)
		out = append(out, c)
	}
	slices.SortStableFunc(out, func(a, b ObjectChange) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.File, b.File), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// shown indents JSON as exports do; Rego stays as it is.
func shown(text string) string {
	value := jsontext.Value(text)
	if value.Kind() != '{' || value.Indent(jsontext.WithIndent("  ")) != nil {
		return text
	}
	return string(value)
}

// kindOfResource is the kind of an archive's objects that an audit event is about; "" for all others: records are counted
// and not listed.
func kindOfResource(resource string) string {
	switch resource {
	case resourceAuthorizationWorkspace:
		return kindAuthorizationWorkspaces
	case resourceIdentityWorkspace:
		return kindIdentityWorkspaces
	case resourceScope:
		return kindScopes
	case resourceApplication:
		return kindApplications
	case resourceAssetTemplate:
		return kindAssetTypes
	case resourceDynamicGroup, resourceRuleset, resourceCondition:
		return kindBuildingBlocks
	case resourceAPIMapperSet:
		return kindAPIMapperSets
	case resourceRequestAttribute:
		return kindRequestAttributes
	case resourceIdentityTemplate:
		return kindIdentityTemplates
	case resourceIdentitySource:
		return kindIdentitySources
	case resourceMapperSet:
		return kindMapperSets
	case resourceCustomAttribute:
		return kindCustomAttributes
	case resourcePolicy:
		return kindPolicies
	}
	return ""
}
