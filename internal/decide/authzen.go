package decide

import (
	"slices"
	"strings"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// AdmitAuthZEN refuses (403) the calls of a scope that has switched AuthZEN off and, with search, those of one that has
// switched its searches off (authzen.md 3). The call must be authenticated. Evaluate and the searches ask again, at the
// revision that answers.
func (c *Call) AdmitAuthZEN(search bool) error {
	var message string
	switch settings := &c.scope.AuthZEN; {
	case settings.Off:
		message = "AuthZEN is not enabled for this scope"
	case search && settings.SearchOff:
		message = "Search is not enabled for this scope"
	default:
		return nil
	}
	return &model.Error{Kind: model.KindForbidden, Name: "ForbiddenError", Message: message}
}

// Detail is how much of the call's decisions may be told when the request asks for a level (authzen.md 13).
func (c *Call) Detail(asked model.Detail) model.Detail { return c.scope.AuthZEN.DetailFor(asked) }

// byID orders the policies of a verdict.
func byID(policies []engine.PolicyRef) []engine.PolicyRef {
	out := slices.Clone(policies)
	slices.SortFunc(out, func(a, b engine.PolicyRef) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return slices.Compact(out)
}
