package engine

// Restricting names the Restrict policies that apply to an asset and an action, for each of the identities' permutations:
// those that make Evaluate deny with ReasonRestricted. It judges like Evaluate.
func (r *Residual) Restricting(a Asset, action string) []PolicyRef {
	t, act, reason := r.target(a.Template, action)
	if reason != "" {
		return nil
	}
	about, known := r.subjectMatter(t, &a)
	if !known {
		return nil
	}
	policies, _ := r.snapshot.onType.get(t.def.ID)
	var out []PolicyRef
	for _, pol := range policies {
		if r.question.stopped() {
			return nil // nobody waits for the answer
		}
		if !pol.restrict || !pol.active(r.reachable) || !pol.coversAction(t.def.ID, act.ID) {
			continue
		}
		for i := range r.permutations {
			if r.permutations[i].stage(pol, t.def.ID, act.ID, about) == ReasonRestricted {
				out = append(out, PolicyRef{pol.src.ID, pol.src.Name})
				break
			}
		}
	}
	return out
}
