package agree

import (
	"maps"
	"slices"
)

type grantedBy []struct {
	PermissionID string `json:"permissionId"`
}

func (g grantedBy) ids() []string {
	var out []string
	for _, p := range g {
		out = append(out, p.PermissionID)
	}
	return out
}

// explainAnswer is an answer of Explain in both of its forms.
type explainAnswer struct {
	Explanations []struct {
		Path      string    `json:"path"`
		Action    string    `json:"action"`
		Template  string    `json:"template"`
		Allowed   bool      `json:"allowed"`
		Reason    string    `json:"reason"`
		GrantedBy grantedBy `json:"grantedBy"`
	} `json:"explanations"`
	Access []struct {
		Path         string `json:"path"`
		ResourceType string `json:"resourceType"`
		Actions      []struct {
			Action    string    `json:"action"`
			GrantedBy grantedBy `json:"grantedBy"`
		} `json:"actions"`
	} `json:"access"`
}

// explained wants Explain to give the verdicts of Permit/Deny and, in every other state, the grounds of the list, policy by policy.
func (q *question) explained() {
	q.t.Helper()
	head := `{` + q.asker(q.focus) + q.circumstances()
	pairs, by := q.list(q.post(tokenPath, head+`,"includeAccessPolicyId":true}`))
	q.by = by
	b := q.post(explainPath, head+`,"listOfResources":[`+q.stored()+`]}`)
	got, want := map[pair]verdict{}, map[pair]verdict{}
	for p, v := range q.permitted[q.focus.key()] {
		if p.action != "" || !v.allowed { // what everybody listed of a type without actions is no verdict
			want[p] = v
		}
	}
	for _, e := range read[explainAnswer](q, b).Explanations {
		p := pair{e.Template, e.Path, e.Action}
		if got[p] = (verdict{e.Allowed, e.Reason}); p.action == "" {
			delete(got, p)
			delete(want, p)
		}
		if e.Allowed && !slices.Equal(e.GrantedBy.ids(), by[p]) {
			q.fail("%+v is explained by %q, the list says %q: %s", p, e.GrantedBy.ids(), by[p], b)
		}
	}
	if !maps.Equal(got, want) {
		q.fail("explained as %+v\npermit says %+v", got, want)
	}
	if q.chance(50) {
		return
	}
	b = q.post(explainPath, head+`}`)
	var listed []pair
	for _, e := range read[explainAnswer](q, b).Access {
		for _, a := range e.Actions {
			p := pair{e.ResourceType, e.Path, a.Action}
			if listed = append(listed, p); !slices.Equal(slices.Compact(a.GrantedBy.ids()), by[p]) {
				q.fail("%+v is listed as granted by %q, the list says %q: %s", p, a.GrantedBy.ids(), by[p], b)
			}
		}
		if len(e.Actions) == 0 {
			listed = append(listed, pair{e.ResourceType, e.Path, ""})
		}
	}
	if !slices.Equal(listed, pairs) {
		q.fail("explained %+v\nlisted    %+v", listed, pairs)
	}
}
