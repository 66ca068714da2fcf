package decide

import "github.com/ambit-authz/ambit/internal/engine"

// ReasonText says in a few words what a deny reason means (policy-model.md 4.8); "" for a code that there is not.
func ReasonText(code string) string {
	switch code {
	case engine.ReasonNotInScope:
		return "No application of the scope has the type"
	case engine.ReasonNoSuchAction:
		return "The type or the action is unknown"
	case engine.ReasonNoPolicy:
		return "No active policy covers the type and the action"
	case engine.ReasonNotInGroup:
		return "The identity is in none of the policies' groups"
	case engine.ReasonNoRuleset:
		return "No ruleset covers the asset"
	case engine.ReasonCondition:
		return "A condition is not met"
	case engine.ReasonRestricted:
		return "A restrictive policy applies"
	case engine.ReasonUnknownAsset:
		return "The asset is unknown"
	}
	return ""
}
