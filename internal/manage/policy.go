package manage

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/rego"
	"github.com/ambit-authz/ambit/internal/store"
)

// PolicySource is a policy to import.
type PolicySource struct {
	Workspace model.WorkspaceID
	Text      []byte
	// ID is the policy's when the text names none; one that differs from the text's is an error.
	ID     model.PolicyID
	ByName bool // evaluateByBBName
}

// ImportedPolicy tells what an import did.
type ImportedPolicy struct {
	View     PolicyView
	Done     Done
	Warnings model.Errors
	Affected []model.PolicyID // other policies that changed with a shared block, by id
}

// ImportPolicy creates the policy or replaces the one of its id (management-api.md 5). Building blocks become stored ones
// as policy-model.md 8 says. Errors of the text are all reported, with code and position.
func (s *Service) ImportPolicy(ctx context.Context, call Call, env model.EnvironmentID, in PolicySource) (ImportedPolicy, error) {
	var out ImportedPolicy
	revision, err := s.update(ctx, &call, env, func(w *writer) error {
		if err := authorizationWorkspace(w.Tx, in.Workspace); err != nil {
			return err
		}
		return s.overMirror(ctx, w, in.Workspace, in.ByName, func(m *mirror, r *resolver) (err error) {
			out, err = w.importPolicy(&in, m, r)
			return err
		})
	})
	out.Done.Revision, out.View.Seen.Revision = revision, revision
	return out, err
}

// overMirror runs fn with a resolver over the blocks of the environment's mirror, which stays as it is.
func (s *Service) overMirror(ctx context.Context, w *writer, workspace model.WorkspaceID, byName bool, fn func(*mirror, *resolver) error) error {
	m, err := s.mirrorOf(ctx, w.Tx)
	if err != nil {
		return err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	cat := *m.catalog
	cat.workspace = workspace
	return fn(m, resolverOver(w, &cat, m.blocks, byName))
}

func (w *writer) importPolicy(in *PolicySource, m *mirror, r *resolver) (out ImportedPolicy, err error) {
	module, warnings, err := rego.Parse(in.Text, rego.Options{Workspace: in.Workspace, Catalog: r.cat})
	if err != nil {
		return out, err
	}
	p := module.Policy
	p.WorkspaceID = in.Workspace
	made, err := namePolicy(p, in.ID)
	if err != nil {
		return out, err
	}
	before, err := policyVersion(w.Tx, p.ID)
	if err != nil {
		return out, err
	}
	if err := w.meets(before, "Policy", string(p.ID)); err != nil {
		return out, err
	}
	if err := w.replacePolicy(module, r.cat.custom); err != nil {
		return out, err
	}
	ids, outcomes, err := r.resolveAll(module.Blocks)
	if err != nil {
		return out, err
	}
	stored := module.Resolve(ids)
	out.Done.Result, err = put(w, policySubject(w.Environment, r.cat.custom, r.find), w.Policies, stored.ID, stored)
	if err != nil {
		return out, err
	}
	if out.Done.Result == Unchanged && slices.ContainsFunc(outcomes, func(o BlockOutcome) bool { return o.Result != blockReused }) {
		out.Done.Result = Updated
	}
	if out.Done.Version, err = policyVersion(w.Tx, stored.ID); err != nil {
		return out, err
	}
	out.Warnings, out.Affected = warnings, m.usersOf(r.updated, stored.ID)
	out.View = viewPolicy(&stored, w.Environment, r.cat, r.find)
	out.View.Seen.Version = out.Done.Version
	if w.call.DryRun {
		out.View.forget(made, outcomes)
	}
	return out, nil
}

// namePolicy gives a policy without an id the caller's or a new one.
func namePolicy(p *model.Policy, wanted model.PolicyID) (made bool, err error) {
	if problem := model.CheckExternalID(string(wanted)); wanted != "" && problem != "" {
		return false, model.Invalidf("/policyId: %s", problem)
	}
	switch {
	case wanted != "" && p.ID != "" && p.ID != wanted:
		return false, model.Invalidf("/policyId: differs from %q, the policyId of the Rego", p.ID)
	case p.ID == "" && wanted == "":
		p.ID, made = model.PolicyID(uuid.NewString()), true
	case p.ID == "":
		p.ID = wanted
	}
	return made, nil
}

// resolveAll resolves blocks in their order; it collects the errors of all of them.
func (r *resolver) resolveAll(blocks []rego.ParsedBlock) (ids []model.BlockID, outcomes []BlockOutcome, err error) {
	var errs model.Errors
	for i := range blocks {
		out, err := r.resolve(&blocks[i])
		if err != nil && model.KindOf(err) == model.KindInternal {
			return nil, nil, err
		}
		errs.Collect(err)
		ids, outcomes = append(ids, out.ID), append(outcomes, out)
	}
	return ids, outcomes, errs.OrNil()
}

// forget takes out the ids that only the real write would make (management-api.md 1.5).
func (v *PolicyView) forget(made bool, outcomes []BlockOutcome) {
	if made {
		v.Policy.ID = ""
	}
	for _, o := range outcomes {
		if b, ok := v.blocks[o.ID]; ok && o.made {
			b.ID = ""
			v.blocks[o.ID] = b
		}
	}
}

// usersOf are the policies that use one of the blocks, by id, without except.
func (m *mirror) usersOf(blocks map[model.BlockID]bool, except model.PolicyID) []model.PolicyID {
	var out []model.PolicyID
	for block := range blocks {
		for id := range m.users[block] {
			if id != except {
				out = append(out, id)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// PolicyCheck is the report of a validation (management-api.md 5.2).
type PolicyCheck struct {
	Errors, Warnings model.Errors
	Complete         bool   // false when there are errors
	Result           Result // what an import would do; meaningless when there are errors
	Revision         model.Revision
}

// CheckPolicy is ImportPolicy without storing anything: what is wrong with the text is part of the report, all other
// errors are errors.
func (s *Service) CheckPolicy(ctx context.Context, call Call, env model.EnvironmentID, in PolicySource) (PolicyCheck, error) {
	call.DryRun, call.IfMatch, call.IfNoneMatch = true, nil, nil
	out, err := s.ImportPolicy(ctx, call, env, in)
	check := PolicyCheck{
		Warnings: out.Warnings, Complete: err == nil && out.View.Complete, Result: out.Done.Result, Revision: out.Done.Revision,
	}
	if check.Errors, err = textErrors(err); err != nil {
		return check, err
	}
	if len(check.Errors) > 0 {
		check.Revision, err = s.Revision(ctx, env)
	}
	return check, err
}

// textErrors takes errors about the Rego text out of err; any other error stays.
func textErrors(err error) (model.Errors, error) {
	if err == nil {
		return nil, nil
	}
	var errs model.Errors
	errs.Collect(err)
	for _, e := range errs {
		if !strings.HasPrefix(e.Code, "RG-") {
			return nil, err
		}
	}
	return errs, nil
}

// FindPolicy reads a policy of the workspace, or of any workspace when that is empty.
func (s *Service) FindPolicy(ctx context.Context, env model.EnvironmentID, workspace model.WorkspaceID, id model.PolicyID) (PolicyView, error) {
	var out PolicyView
	err := s.view(ctx, env, func(tx *store.Tx) error {
		p, err := findPolicy(tx, workspace, id)
		if err != nil {
			return err
		}
		cat, err := readCatalog(tx)
		if err != nil {
			return err
		}
		stamp, err := policyStamp(tx, id)
		if err != nil {
			return err
		}
		out = viewPolicy(&p, env, cat, storedBlock(tx))
		out.Seen = Seen{
			Revision: tx.Revision, Version: version(stamp.Revision), CreatedAt: stamp.CreatedAt,
			UpdatedAt: stamp.UpdatedAt, Changed: stamp.Revision,
		}
		return nil
	})
	return out, err
}

// SetPolicyState switches a policy of the workspace, or of any when that is empty, on or off.
func (s *Service) SetPolicyState(ctx context.Context, call Call, env model.EnvironmentID, workspace model.WorkspaceID, id model.PolicyID, active bool) (Done, error) {
	var done Done
	revision, err := s.update(ctx, &call, env, func(w *writer) error {
		p, err := w.policyToChange(workspace, id)
		if err != nil {
			return err
		}
		p.Inactive = !active
		sub, err := storedPolicySubject(w.Tx)
		if err != nil {
			return err
		}
		if done.Result, err = put(w, sub, w.Policies, p.ID, p); err != nil {
			return err
		}
		done.Version, err = policyVersion(w.Tx, id)
		return err
	})
	done.Revision = revision
	return done, err
}

// policyToChange finds one policy that a call is about and checks the call's preconditions.
func (w *writer) policyToChange(workspace model.WorkspaceID, id model.PolicyID) (model.Policy, error) {
	p, err := findPolicy(w.Tx, workspace, id)
	missing := model.KindOf(err) == model.KindNotFound
	if err != nil && (!missing || len(w.call.IfMatch) == 0) {
		return p, err
	}
	current := ""
	if !missing {
		if current, err = policyVersion(w.Tx, id); err != nil {
			return p, err
		}
	}
	if err := w.meets(current, "Policy", string(id)); err != nil {
		return p, err
	}
	return p, err
}

// DeletePolicies deletes policies of the workspace, or of any when that is empty: all of them or, when one is missing,
// none. Their blocks stay.
func (s *Service) DeletePolicies(ctx context.Context, call Call, env model.EnvironmentID, workspace model.WorkspaceID, ids []model.PolicyID) (Done, error) {
	done := Done{Result: Deleted}
	ids = slices.Clone(ids)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	revision, err := s.update(ctx, &call, env, func(w *writer) error {
		var errs model.Errors
		for _, id := range ids {
			var err error
			if len(ids) == 1 {
				_, err = w.policyToChange(workspace, id)
			} else {
				_, err = findPolicy(w.Tx, workspace, id)
			}
			if k := model.KindOf(err); err != nil && k != model.KindNotFound {
				return err
			}
			errs.Collect(err)
		}
		if len(errs) > 0 {
			return errs
		}
		sub, err := storedPolicySubject(w.Tx)
		for _, id := range ids {
			if err != nil {
				return err
			}
			_, err = remove(w, sub, w.Policies, id)
		}
		return err
	})
	done.Revision = revision
	return done, err
}
