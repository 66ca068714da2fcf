package agree

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ambit-authz/ambit/internal/model"
)

// Paths of AuthZEN.
const (
	evaluationPath  = "/access/v1/evaluation"
	evaluationsPath = "/access/v1/evaluations"
	subjectsPath    = "/access/v1/search/subject"
	resourcesPath   = "/access/v1/search/resource"
	actionsPath     = "/access/v1/search/action"
)

type decision struct {
	Decision bool `json:"decision"`
	Context  struct {
		Reasons []struct {
			Code string `json:"code"`
		} `json:"reasons"`
		Policies []struct {
			ID string `json:"id"`
		} `json:"policies"`
	} `json:"context"`
}

// verdict is the decision as Permit/Deny would say it; of a type's missing action only that it is denied.
func (d decision) verdict() verdict {
	v := verdict{allowed: d.Decision}
	if len(d.Context.Reasons) == 1 {
		v.reason = d.Context.Reasons[0].Code
	}
	return v
}

// subject is the member subject of the focus.
func (q *question) subject() string {
	return fmt.Sprintf(`"subject":{"type":%s,"id":%s,"properties":%s}`, text(q.focus.template), text(q.focus.EntityID), text(q.context))
}

// surroundings is the member context: request attributes, source address and zone.
func (q *question) surroundings() string {
	return fmt.Sprintf(`"context":%s,"ip":%q,"timeZoneOffset":%v}`,
		strings.TrimSuffix(strings.Replace(text(q.environment), "{}", `{"none":[]}`, 1), "}"), q.ip, q.offset)
}

// plain asks with the identities' rows pooled, as AuthZEN always does.
func (q *question) plain() *question {
	one := *q
	one.combined, one.common = false, ""
	return &one
}

// evaluation is an element of a batch with the verdict that is wanted of it.
type evaluation struct {
	members string
	want    verdict
	by      []string // policies that grant it; nil = not known
}

// elements are the pairs and claims of the focus, with what Permit/Deny says of them.
func (q *question) elements() []evaluation {
	q.t.Helper()
	one := q.plain()
	verdicts, by := q.permitted[q.focus.key()], q.by
	if q.combined {
		by = nil
		verdicts = one.verdicts(one.post(permitPath, `{`+one.asker(q.focus)+one.circumstances()+`,"includeDetails":true,"includeDenyReason":true,"listOfResources":[`+one.stored()+`]}`))
	}
	var out []evaluation
	pairs := slices.SortedFunc(maps.Keys(verdicts), func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.template, b.template), cmp.Compare(a.path, b.path), cmp.Compare(a.action, b.action))
	})
	for _, p := range pairs {
		known := !slices.Contains([]string{"PID001", "PID002", "PID008"}, verdicts[p].reason)
		if p.action != "" && (known || q.chance(20)) {
			out = append(out, evaluation{
				fmt.Sprintf(`"action":{"name":%s},"resource":{"type":%s,"id":%s}`, text(p.action), text(p.template), text(p.path)), verdicts[p], by[p],
			})
		}
	}
	for _, c := range q.claims {
		b := one.post(permitPath, fmt.Sprintf(`{%s%s,"includeDetails":true,"includeDenyReason":true,"listOfResources":[{"resourceType":%s,"resources":[{"path":%s,"assetAttributes":%s}]}]}`,
			one.asker(q.focus), one.circumstances(), text(c.template), text(c.path), text(c.values)))
		of := one.verdicts(b)
		for _, a := range q.typeOf(string(c.template)).Actions {
			out = append(out, evaluation{
				fmt.Sprintf(`"action":{"name":%s},"resource":{"type":%s,"id":%s,"properties":%s}`, text(a.Value), text(c.template), text(c.path), text(c.values)),
				of[pair{string(c.template), c.path, a.Value}], nil,
			})
		}
	}
	return out
}

// evaluations wants AuthZEN to decide as Permit/Deny: one by one, and in batches of all three semantics.
func (q *question) evaluations() []evaluation {
	q.t.Helper()
	all := q.elements()
	if len(all) == 0 {
		return nil
	}
	head := `{` + q.subject() + `,` + q.surroundings() + `,"options":{"ambit_context":"policies"`
	one := pick(q.world, all)
	if got := read[decision](q, q.post(evaluationPath, head+`},`+one.members+`}`)).verdict(); got != one.want {
		q.fail("%s: AuthZEN says %+v, Permit/Deny %+v", one.members, got, one.want)
	}
	some := all[q.r.IntN(len(all)):]
	some = some[:min(12, len(some))]
	q.batch(head, "execute_all", some, some)
	for _, semantic := range []string{"deny_on_first_deny", "permit_on_first_permit"} {
		want := some
		last := slices.IndexFunc(some, func(e evaluation) bool { return e.want.allowed == (semantic == "permit_on_first_permit") })
		if last >= 0 {
			want = some[:last+1]
		}
		q.batch(head, semantic, some, want)
	}
	return all
}

// batch wants a batch of a semantic to be answered with the decisions of want.
func (q *question) batch(head, semantic string, all, want []evaluation) {
	q.t.Helper()
	members := make([]string, len(all))
	for i, e := range all {
		members[i] = `{` + e.members + `}`
	}
	b := q.post(evaluationsPath, head+`,"evaluations_semantic":"`+semantic+`"},"evaluations":[`+strings.Join(members, ",")+`]}`)
	got := read[struct {
		Evaluations []decision `json:"evaluations"`
	}](q, b).Evaluations
	if len(got) != len(want) {
		q.fail("%s: %d decisions, want %d: %s", semantic, len(got), len(want), b)
	}
	for i := range want {
		if got[i].verdict() != want[i].want {
			q.fail("%s: %s: AuthZEN says %+v, Permit/Deny %+v", semantic, want[i].members, got[i].verdict(), want[i].want)
		}
		var by []string
		for _, p := range got[i].Context.Policies {
			by = append(by, p.ID)
		}
		if got[i].Decision && want[i].by != nil && !slices.Equal(by, want[i].by) {
			q.fail("%s: AuthZEN says that %q grant it, the list says %q", want[i].members, by, want[i].by)
		}
	}
}

// allowed tells of a stored asset whether the evaluations allow an action.
func allowed(all []evaluation, t model.TemplateID, path, action string) bool {
	members := fmt.Sprintf(`"action":{"name":%s},"resource":{"type":%s,"id":%s}`, text(action), text(t), text(path))
	i := slices.IndexFunc(all, func(e evaluation) bool { return e.members == members })
	return i >= 0 && all[i].want.allowed
}

// searches wants the three searches, all pages together, to find what evaluations allow, in the order of the catalogue.
func (q *question) searches(all []evaluation) {
	q.t.Helper()
	for _, t := range q.types {
		for i, a := range t.Actions {
			if (t.ID != q.types[0].ID || i > 0) && q.chance(70) {
				continue
			}
			var want []string
			for _, asset := range q.assets[t.ID] {
				if allowed(all, t.ID, asset.Path, a.Value) {
					want = append(want, asset.Path)
				}
			}
			q.finds(resourcesPath, fmt.Sprintf(`{%s,%s,"action":{"name":%s},"resource":{"type":%s}`, q.subject(), q.surroundings(), text(a.Value), text(t.ID)), want)
		}
	}
	t := pick(q.world, q.types)
	if len(q.assets[t.ID]) == 0 {
		return
	}
	asset := pick(q.world, q.assets[t.ID])
	var want []string
	for _, a := range t.Actions {
		if allowed(all, t.ID, asset.Path, a.Value) {
			want = append(want, a.Value)
		}
	}
	resource := fmt.Sprintf(`"resource":{"type":%s,"id":%s}`, text(t.ID), text(asset.Path))
	q.finds(actionsPath, `{`+q.subject()+`,`+q.surroundings()+`,`+resource, want)
	if len(t.Actions) > 0 {
		q.subjects(t, asset, resource)
	}
}

// subjects wants Subject Search to find whom User List names.
func (q *question) subjects(t model.AssetTemplate, asset model.Asset, resource string) {
	q.t.Helper()
	a := pick(q.world, t.Actions)
	one := q.plain()
	b := one.post(usersPath, fmt.Sprintf(`{"asset":{"resourceType":%s,"path":%s,"actions":[%s]},"contextData":%s%s}`,
		text(t.ID), text(asset.Path), text(a.Value), text(q.context), one.circumstances()))
	for _, at := range q.world.people {
		var want []string
		for _, r := range read[usersAnswer](q, b).Response {
			for _, u := range r.Access {
				if u.EntityTypeID == at.ID {
					want = append(want, u.EntityID)
				}
			}
		}
		q.finds(subjectsPath, fmt.Sprintf(`{"subject":{"type":%s,"properties":%s},%s,"action":{"name":%s},%s`,
			text(at.ID), text(q.context), q.surroundings(), text(a.Value), resource), want)
	}
}

type searchAnswer struct {
	Page struct {
		Token string `json:"next_token"`
		Count int    `json:"count"`
	} `json:"page"`
	Results []struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"results"`
}

// finds wants a search to find exactly that; body lacks its closing brace. Some are asked page by page.
func (q *question) finds(path, body string, want []string) {
	q.t.Helper()
	limit, page := 100, "}"
	if q.chance(30) {
		limit = q.number(1, 2)
		page = fmt.Sprintf(`,"page":{"limit":%d}}`, limit)
	}
	var got []string
	for {
		b := q.post(path, body+page)
		answer := read[searchAnswer](q, b)
		for _, r := range answer.Results {
			got = append(got, r.ID+r.Name)
		}
		if len(answer.Results) > limit || page != "}" && answer.Page.Count != len(answer.Results) {
			q.fail("a page of %d: %s", limit, b)
		}
		if answer.Page.Token == "" {
			break
		}
		if q.count.pages++; len(got) > 100 {
			q.fail("%s: no end: %s", body, b)
		}
		page = fmt.Sprintf(`,"page":{"token":%s}}`, text(answer.Page.Token))
	}
	if !slices.Equal(got, want) {
		q.fail("%s %s\nfound %q\nwant  %q", path, body, got, want)
	}
}
