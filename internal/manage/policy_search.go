package manage

import (
	"context"
	"slices"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// PolicyFilter limits a list of policies (management-api.md 7). Empty parts ask for nothing; the others must all hold.
type PolicyFilter struct {
	Applications []model.ApplicationID // the policy has an asset type in one of them
	Workspaces   []model.WorkspaceID
	Active       *bool
	// Custom holds for every key the values of which the policy must have one. Numbers are compared by value.
	Custom map[string][]model.Literal
}

// Part is the part of a list that is asked for.
type Part[V any] struct {
	Items    []V
	Total    int // of the whole list
	Revision model.Revision
}

// SearchPolicies lists policies by id. A workspace that does not exist is PAC-001.
func (s *Service) SearchPolicies(ctx context.Context, env model.EnvironmentID, f *PolicyFilter, offset, limit int) (Part[PolicyView], error) {
	var out Part[PolicyView]
	if err := s.authorizationWorkspaces(ctx, env, f.Workspaces); err != nil {
		return out, err
	}
	err := s.look(ctx, env, func(m *mirror) error {
		out.Revision = m.revision
		var found []*model.Policy
		found, out.Total = m.search(f, offset, limit)
		for _, p := range found {
			out.Items = append(out.Items, viewPolicy(p, env, m.catalog, m.block))
		}
		return nil
	})
	return out, err
}

// PoliciesOf lists the policies of one application, which must exist (management-api.md 14.3).
func (s *Service) PoliciesOf(ctx context.Context, env model.EnvironmentID, app model.ApplicationID, offset, limit int) (Part[PolicyView], error) {
	err := s.view(ctx, env, func(tx *store.Tx) error {
		_, _, err := find(tx, tx.Applications, app, "Application", string(app))
		return err
	})
	if err != nil {
		return Part[PolicyView]{}, err
	}
	return s.SearchPolicies(ctx, env, &PolicyFilter{Applications: []model.ApplicationID{app}}, offset, limit)
}

// FindApplications lists the applications, by id.
func (s *Service) FindApplications(ctx context.Context, env model.EnvironmentID) ([]model.Application, model.Revision, error) {
	var out []model.Application
	var revision model.Revision
	err := s.view(ctx, env, func(tx *store.Tx) error {
		revision = tx.Revision
		return each(tx.Applications.FindAll(), func(a model.Application) { out = append(out, a) })
	})
	return out, revision, err
}

// search finds the policies that pass the filter, by id: those from offset on, at most limit, and how many there are.
func (m *mirror) search(f *PolicyFilter, offset, limit int) (found []*model.Policy, total int) {
	if len(f.Applications) == 0 && len(f.Workspaces) == 0 && f.Active == nil && len(f.Custom) == 0 {
		from := min(offset, len(m.policies))
		for _, e := range m.policies[from:min(from+limit, len(m.policies))] {
			found = append(found, e.policy)
		}
		return found, len(m.policies)
	}
	lists := m.listsOf(f.Applications)
	for i := range m.policies {
		e := &m.policies[i]
		if !lists[e.list] || !e.passes(f) {
			continue
		}
		if total++; total > offset && len(found) < limit {
			found = append(found, e.policy)
		}
	}
	return found, total
}

// listsOf tells which of the mirror's lists of asset types have one that the applications hold; without applications, all.
func (m *mirror) listsOf(applications []model.ApplicationID) []bool {
	held := func(template model.TemplateID) bool {
		return slices.ContainsFunc(m.catalog.holders[template], func(id model.ApplicationID) bool { return slices.Contains(applications, id) })
	}
	out := make([]bool, len(m.templates))
	for i, list := range m.templates {
		out[i] = len(applications) == 0 || slices.ContainsFunc(list, held)
	}
	return out
}

// passes reports whether a policy passes the filter, but for its applications.
func (e *mirrored) passes(f *PolicyFilter) bool {
	if f.Active != nil && e.inactive == *f.Active || len(f.Workspaces) > 0 && !slices.Contains(f.Workspaces, e.workspace) {
		return false
	}
	for key, wanted := range f.Custom {
		v := customValue(e.policy, key)
		if v == nil || !slices.ContainsFunc(v.Values, func(have model.Literal) bool { return oneOf(have, wanted) }) {
			return false
		}
	}
	return true
}

// oneOf reports whether a value is one of those wanted.
func oneOf(have model.Literal, wanted []model.Literal) bool {
	return slices.ContainsFunc(wanted, func(w model.Literal) bool {
		if have.Number != w.Number {
			return false
		}
		if have.Number {
			x, xOK := model.ParseNumber(have.Text)
			y, yOK := model.ParseNumber(w.Text)
			return xOK && yOK && x.String() == y.String()
		}
		return have.Text == w.Text
	})
}
