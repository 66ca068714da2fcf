package manage

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/rego"
	"github.com/ambit-authz/ambit/internal/store"
)

// PolicyView is a policy with what its forms show.
type PolicyView struct {
	Policy model.Policy
	// Applications hold one of the policy's asset types, by id. Complete means that every asset type is in one.
	Applications []model.ApplicationID
	Complete     bool
	Seen         Seen

	blocks map[model.BlockID]model.Block
	custom []model.CustomAttribute
	env    model.EnvironmentID
}

// Rego is the policy in the export format of policy-model.md 6.7; extended adds ids and descriptions. Ids that a dry run
// did not make are left out.
func (v *PolicyView) Rego(extended bool) ([]byte, error) {
	return rego.PrintPolicy(v.Policy, func(id model.BlockID) (model.Block, bool) {
		b, ok := v.blocks[id]
		return b, ok
	}, rego.PrintOptions{Extended: extended, SourceEnvironment: v.env, CustomAttributes: v.custom})
}

// CustomAttributes is the JSON object of the policy's custom attributes, in the order of the definitions' display order,
// then by key. Numbers stay as they were written.
func (v *PolicyView) CustomAttributes() jsontext.Value {
	place := map[string]float64{}
	for _, d := range v.custom {
		place[d.Key] = d.DisplayOrder
	}
	values := slices.Clone(v.Policy.CustomAttributes)
	slices.SortFunc(values, func(a, b model.CustomValue) int {
		return cmp.Or(cmp.Compare(place[a.Key], place[b.Key]), cmp.Compare(a.Key, b.Key))
	})
	out := []byte{'{'}
	for i := range values {
		if i > 0 {
			out = append(out, ',')
		}
		out, _ = jsontext.AppendQuote(out, values[i].Key) // texts of policies are UTF-8
		out = appendLiterals(append(out, ':'), &values[i])
	}
	return append(out, '}')
}

func appendLiterals(out []byte, v *model.CustomValue) []byte {
	if v.List {
		out = append(out, '[')
	}
	for i, l := range v.Values {
		if i > 0 {
			out = append(out, ',')
		}
		if number := jsontext.Value(l.Text); l.Number && number.IsValid() {
			out = append(out, number...)
		} else {
			out, _ = jsontext.AppendQuote(out, l.Text)
		}
	}
	if v.List {
		out = append(out, ']')
	}
	return out
}

// viewPolicy collects what the forms of p show. find finds blocks, as rego.PrintPolicy needs it.
func viewPolicy(p *model.Policy, env model.EnvironmentID, cat *catalog, find func(model.BlockID) (model.Block, bool)) PolicyView {
	v := PolicyView{Policy: *p, Complete: true, blocks: map[model.BlockID]model.Block{}, custom: cat.custom, env: env}
	for _, id := range blocksOf(p) {
		if b, ok := find(id); ok {
			v.blocks[id] = b
		}
	}
	for _, use := range p.Rulesets {
		holders := cat.holders[v.blocks[use.BlockID].Template]
		v.Complete = v.Complete && len(holders) > 0
		v.Applications = append(v.Applications, holders...)
	}
	slices.Sort(v.Applications)
	v.Applications = slices.Compact(v.Applications)
	return v
}

// policySubject tells how policies appear in audit events: in their export format.
func policySubject(env model.EnvironmentID, custom []model.CustomAttribute, find func(model.BlockID) (model.Block, bool)) *subject[model.Policy] {
	return &subject[model.Policy]{
		resource: always[model.Policy](resourcePolicy),
		id:       func(p *model.Policy) string { return string(p.ID) },
		name:     func(p *model.Policy) string { return p.Name },
		format: func(p *model.Policy) []byte {
			text, err := rego.PrintPolicy(*p, find, rego.PrintOptions{Extended: true, SourceEnvironment: env, CustomAttributes: custom})
			if err != nil {
				return []byte(p.Name) // its blocks changed in this very commit and have events of their own
			}
			return text
		},
		parent: func(p *model.Policy) (string, string) { return resourceAuthorizationWorkspace, string(p.WorkspaceID) },
	}
}

// storedPolicySubject is policySubject for calls that leave blocks alone.
func storedPolicySubject(tx *store.Tx) (*subject[model.Policy], error) {
	var custom []model.CustomAttribute
	err := each(tx.CustomAttributes.FindAll(), func(a model.CustomAttribute) { custom = append(custom, a) })
	return policySubject(tx.Environment, custom, storedBlock(tx)), err
}

// storedBlock finds blocks where they are stored. One that cannot be read counts as missing.
func storedBlock(tx *store.Tx) func(model.BlockID) (model.Block, bool) {
	return func(id model.BlockID) (model.Block, bool) {
		b, err := tx.Blocks.Find(id)
		return b, err == nil
	}
}

// policyStamp is the life of a policy together with the blocks that it shares (management-api.md 1.6 rule 2): the last
// change of any of them is the policy's. A policy that is not there has the zero stamp.
func policyStamp(tx *store.Tx, id model.PolicyID) (store.Stamp, error) {
	stamp, err := tx.Policies.Stamp(id)
	if errors.Is(err, store.ErrNotFound) {
		return store.Stamp{}, nil
	}
	if err != nil {
		return stamp, err
	}
	p, err := tx.Policies.Find(id)
	if err != nil {
		return stamp, err
	}
	for _, block := range blocksOf(&p) {
		s, err := tx.Blocks.Stamp(block)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return stamp, err
		}
		if s.Revision > stamp.Revision {
			stamp.Revision, stamp.UpdatedAt = s.Revision, s.UpdatedAt
		}
	}
	return stamp, nil
}

// policyVersion is the version of a stored policy, "" when it is not there.
func policyVersion(tx *store.Tx, id model.PolicyID) (string, error) {
	stamp, err := policyStamp(tx, id)
	if err != nil || stamp.Revision == 0 {
		return "", err
	}
	return version(stamp.Revision), nil
}

func policyNotFound(env model.EnvironmentID, id model.PolicyID) *model.Error {
	return &model.Error{
		Kind: model.KindNotFound, Code: "PUA-033", Name: "PolicyNotFoundError", Args: []string{string(env), string(id)},
		Message: "Policy Id doesn't exist in the environment",
	}
}

// findPolicy reads a policy of the workspace, or of any when workspace is empty.
func findPolicy(tx *store.Tx, workspace model.WorkspaceID, id model.PolicyID) (model.Policy, error) {
	if workspace != "" {
		if err := authorizationWorkspace(tx, workspace); err != nil {
			return model.Policy{}, err
		}
	}
	p, err := tx.Policies.Find(id)
	if errors.Is(err, store.ErrNotFound) || err == nil && workspace != "" && p.WorkspaceID != workspace {
		return p, policyNotFound(tx.Environment, id)
	}
	return p, err
}

// authorizationWorkspace reports a workspace that does not exist (PAC-001).
func authorizationWorkspace(tx *store.Tx, id model.WorkspaceID) error {
	_, err := tx.AuthorizationWorkspaces.Find(id)
	if errors.Is(err, store.ErrNotFound) {
		return authorizationWorkspaceMissing(string(id))
	}
	return err
}

// authorizationWorkspaces reports every workspace of a filter that does not exist.
func authorizationWorkspaces(tx *store.Tx, ids []model.WorkspaceID) error {
	var errs model.Errors
	for _, id := range ids {
		errs.Collect(authorizationWorkspace(tx, id))
	}
	return errs.OrNil()
}

func (s *Service) authorizationWorkspaces(ctx context.Context, env model.EnvironmentID, ids []model.WorkspaceID) error {
	return s.view(ctx, env, func(tx *store.Tx) error { return authorizationWorkspaces(tx, ids) })
}

func authorizationWorkspaceMissing(id string) error {
	return &model.Error{
		Kind: model.KindInvalid, Code: "PAC-001", Name: "AuthorizationWsNotFound", Args: []string{id},
		Message: "AuthorizationWs: [" + id + "] not found",
	}
}

// identityWorkspace reports a workspace that does not exist (PAC-005).
func identityWorkspace(tx *store.Tx, id model.WorkspaceID) error {
	_, err := tx.IdentityWorkspaces.Find(id)
	if errors.Is(err, store.ErrNotFound) {
		return identityWorkspaceMissing(string(id))
	}
	return err
}

func identityWorkspaceMissing(id string) error {
	return &model.Error{
		Kind: model.KindInvalid, Code: "PAC-005", Name: "IdentityWsNotFound", Args: []string{id},
		Message: "IdentityWs: [" + id + "] not found",
	}
}
