package agree

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/ambit-authz/ambit/internal/model"
)

// Paths of the Runtime API.
const (
	tokenPath      = "/api/runtime/token/v3"
	permitPath     = "/api/runtime/permit-deny/v3"
	resolutionPath = "/api/runtime/resolution/v3"
	usersPath      = "/api/runtime/userlist/v3"
	policiesPath   = "/api/runtime/policies/v3"
	decisionPath   = "/api/runtime/5.0/decisions/permit-deny"
	explainPath    = "/api/runtime/explain/v1"
)

// stored are all stored assets as a Permit/Deny request names them, an unknown asset, type and action among them.
func (q *question) stored() string {
	var list []string
	for _, t := range q.types {
		var resources []string
		for _, a := range q.assets[t.ID] {
			resources = append(resources, fmt.Sprintf(`{"path":%s}`, text(a.Path)))
		}
		resources = append(resources, `{"path":"x","action":"none"}`)
		if t.Source != model.SourceRequest {
			resources = append(resources, `{"path":"nowhere"}`)
		}
		list = append(list, fmt.Sprintf(`{"resourceType":%s,"resources":[%s]}`, text(t.ID), strings.Join(resources, ",")))
	}
	return strings.Join(append(list, `{"resourceType":"Nothing","resources":[{"path":"x","action":"A"}]}`), ",")
}

func (q *question) typeOf(id string) *model.AssetTemplate {
	for i := range q.types {
		if string(q.types[i].ID) == id {
			return &q.types[i]
		}
	}
	return &model.AssetTemplate{}
}

// everybody wants each identity's list to be the pairs that Permit/Deny allows it, no more and no less.
func (q *question) everybody() {
	q.t.Helper()
	resources, common := q.stored(), q.circumstances()
	for _, w := range q.people {
		head := `{` + q.asker(w) + common
		verdicts := q.verdicts(q.post(permitPath, head+`,"includeDetails":true,"includeDenyReason":true,"listOfResources":[`+resources+`]}`))
		q.permitted[w.key()] = verdicts
		pairs, _ := q.list(q.post(tokenPath, head+`}`))
		listed := map[pair]bool{}
		for _, p := range pairs {
			listed[p] = true
			if !verdicts[p].allowed && p.action != "" {
				q.fail("%s: %+v is listed, Permit/Deny says %q", w.EntityID, p, verdicts[p].reason)
			}
			if p.action == "" { // of a type without actions: what is listed is what there is to compare with
				verdicts[p] = verdict{allowed: true}
			}
		}
		for p, v := range verdicts {
			q.count.reasons[v.reason]++
			if v.reason == "PID001" || v.reason == "PID002" || v.reason == "PID008" {
				continue // of what does not exist
			}
			if q.count.pairs++; v.allowed {
				q.count.granted++
			}
			if v.allowed && !listed[p] {
				q.fail("%s: Permit/Deny allows %+v, which is not listed", w.EntityID, p)
			}
		}
	}
}

// transposed wants User List to name, for about half of the stored assets, whom the lists name them for, with the same actions.
func (q *question) transposed() {
	q.t.Helper()
	tail := fmt.Sprintf(`,"contextData":%s%s}`, text(q.context), q.circumstances())
	for _, t := range q.types {
		for i, a := range q.assets[t.ID] {
			if i > 0 && q.chance(60) {
				continue
			}
			q.usersOf(claim{template: t.ID, path: a.Path}, tail, func(w who1) []string {
				var out []string
				for _, x := range append(slices.Clone(t.Actions), model.Action{}) {
					if q.permitted[w][pair{string(t.ID), a.Path, x.Value}].allowed {
						out = append(out, x.Value)
					}
				}
				return out
			}, true)
		}
	}
}

type usersAnswer struct {
	Response []struct {
		Access []struct {
			EntityID     string           `json:"entityId"`
			EntityTypeID model.TemplateID `json:"entityTypeId"`
			Actions      []action         `json:"actions"`
		} `json:"access"`
	} `json:"response"`
}

// usersOf wants User List to say of an asset what allowed says; of the focus alone unless all are known.
func (q *question) usersOf(c claim, tail string, allowed func(who1) []string, all bool) {
	q.t.Helper()
	body := fmt.Sprintf(`{"asset":{"resourceType":%s,"path":%s,"assetAttributes":%s}`, text(c.template), text(c.path), text(c.values)) + tail
	b := q.post(usersPath, body)
	var got, want []string
	for _, r := range read[usersAnswer](q, b).Response {
		for _, u := range r.Access {
			line := fmt.Sprint(u.EntityTypeID, " ", u.EntityID)
			if len(u.Actions) == 0 {
				line += " "
			}
			for _, a := range u.Actions {
				line += " " + a.Action
			}
			if all || (who1{u.EntityTypeID, u.EntityID}) == q.focus.key() {
				got = append(got, line)
			}
		}
	}
	for _, w := range q.people {
		if !all && w.key() != q.focus.key() {
			continue
		}
		if actions := allowed(w.key()); len(actions) > 0 {
			want = append(want, fmt.Sprint(w.template, " ", w.EntityID, " ", strings.Join(actions, " ")))
		}
	}
	if !slices.Equal(got, want) {
		q.fail("%s\nusers %q\nby themselves %q", body, got, want)
	}
}

// described wants assets that a request describes to be judged alike in the list, in Permit/Deny and in User List; it
// returns what Permit/Deny says of each claim's actions.
func (q *question) described() []map[string]bool {
	q.t.Helper()
	out := make([]map[string]bool, len(q.claims))
	head := `{` + q.asker(q.focus) + q.circumstances()
	for i, c := range q.claims {
		b := q.post(permitPath, fmt.Sprintf(`%s,"includeDetails":true,"includeDenyReason":true,"listOfResources":[{"resourceType":%s,"resources":[{"path":%s,"assetAttributes":%s}]}]}`,
			head, text(c.template), text(c.path), text(c.values)))
		var want, listed []string
		out[i] = map[string]bool{}
		for p, v := range q.verdicts(b) {
			if out[i][p.action] = v.allowed; v.allowed {
				want = append(want, p.action)
			}
		}
		pairs, _ := q.list(q.post(tokenPath, head+`,"assetList":[`+c.asset()+`]}`))
		for _, p := range pairs {
			listed = append(listed, p.action)
		}
		if slices.Sort(want); !slices.Equal(slices.Sorted(slices.Values(listed)), want) {
			q.fail("%s: listed %q, permitted %q", c.asset(), listed, want)
		}
		tail := fmt.Sprintf(`,"contextData":%s%s}`, text(q.context), q.circumstances())
		q.usersOf(c, tail, func(who1) []string { return listed }, false)
	}
	return out
}

// forms wants the other forms of the focus's list and filters to say what they say: GET, the other versions, both JWT
// formats. Some states ask for the list, some for the filters.
func (q *question) forms() {
	q.t.Helper()
	path, name := tokenPath, "access"
	others := []string{"/api/runtime/token/v1", "/api/runtime/token/v4", "/runtime/token/v3"}
	if q.chance(40) {
		path, name, others = resolutionPath, "privileges", []string{"/runtime/resolution/v3"}
	}
	head := `{` + q.asker(q.focus) + q.circumstances()
	plain := q.post(path, head+`}`)
	if other := pick(q.world, others); q.chance(30) && !same(q.post(other, head+`}`), plain) {
		q.fail("%s differs from %s: %s", other, path, plain)
	}
	q.signed(path, name, head, plain)
	scalars := fmt.Sprintf(`"entityTypeId":%s,"entityId":%s,"remoteIp":%q,"timeZoneOffset":%v,"combinedMultiValue":%t`,
		text(q.focus.template), text(q.focus.EntityID), q.ip, q.offset, q.combined)
	query := url.Values{
		"entityTypeId": {string(q.focus.template)}, "entityId": {q.focus.EntityID}, "remoteIP": {q.ip},
		"timeZoneOffset": {fmt.Sprint(q.offset)}, "combinedMultiValue": {fmt.Sprint(q.combined)},
	}
	got := q.call("GET", path+"?"+query.Encode(), "")
	if want := q.post(path, `{`+scalars+`}`); got.status != 200 || !same(got.body, want) {
		q.fail("GET %s: %d %s\nPOST %s", path, got.status, got.body, want)
	}
}

// signed wants the claims of both JWT formats to be those of the JSON answer.
func (q *question) signed(path, name, head string, plain []byte) {
	q.t.Helper()
	for _, format := range []string{"JWT", "StandardJWT"}[q.r.IntN(2):] { // the latter twice as often: it is made otherwise
		b := q.post(path, head+`,"accessTokenFormat":"`+format+`"}`)
		answer := read[struct {
			Response []struct {
				AccessToken string `json:"accessToken"`
			} `json:"response"`
		}](q, b)
		if len(answer.Response) != 1 {
			q.fail("%s: no token in %s", path, b)
		}
		parts := strings.Split(answer.Response[0].AccessToken, ".")
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil || len(parts) != 3 {
			q.fail("%s: %v in %s", path, err, b)
		}
		if q.count.signed++; q.count.signed%16 == 0 {
			q.verify(answer.Response[0].AccessToken)
		}
		want := q.member(plain, "response")
		if format == "JWT" {
			if got := q.member(payload, "response"); !same(got, want) || !same(q.member(payload, "contextData"), q.member(plain, "contextData")) {
				q.fail("%s: a JWT claims %s, the answer is %s", path, payload, plain)
			}
			continue
		}
		inner := []byte("[]")
		if string(want) != "[]" {
			inner = q.member(want[1:len(want)-1], name)
		}
		if name == "privileges" && string(want) != "[]" && string(inner) == "" {
			q.fail("no privileges in %s", plain)
		}
		if got := q.member(payload, name); !same(got, inner) {
			q.fail("%s: a StandardJWT claims %s, the answer is %s", path, payload, plain)
		}
	}
}

// several wants two identities' list, verdicts and filters to agree, in either order.
func (q *question) several() {
	q.t.Helper()
	if len(q.world.people) < 2 {
		return
	}
	var second who
	for _, w := range q.people {
		if w.template != q.focus.template {
			second = w
		}
	}
	if second.template == "" {
		return
	}
	q.count.several++
	body := func(a, b who) string {
		return fmt.Sprintf(`{%s,"additionalIdentities":[{"entityTypeId":%s,"entityId":%s,"contextData":%s}]%s`,
			q.asker(a), text(b.template), text(b.EntityID), text(q.context), q.circumstances())
	}
	list := q.post(tokenPath, body(q.focus, second)+`}`)
	if turned := q.post(tokenPath, body(second, q.focus)+`}`); !same(list, turned) {
		q.fail("%s before %s: %s\nturned %s", q.focus.EntityID, second.EntityID, list, turned)
	}
	verdicts := q.verdicts(q.post(permitPath, body(q.focus, second)+`,"includeDetails":true,"includeDenyReason":true,"listOfResources":[`+q.stored()+`]}`))
	// a line that reads the second identity may grant what the first alone is not granted (E6, E30)
	readsOther := slices.ContainsFunc(q.blocks, func(b model.Block) bool {
		return b.Kind == model.KindConditionIdentity && b.Template == second.template ||
			slices.ContainsFunc(b.Branches, func(branch model.Branch) bool { return branch.IdentityTemplate == second.template })
	})
	pairs, _ := q.list(list)
	listed := map[pair]bool{}
	for _, p := range pairs {
		if listed[p] = true; p.action != "" && !verdicts[p].allowed {
			q.fail("%s with %s: %+v is listed, Permit/Deny says %q", q.focus.EntityID, second.EntityID, p, verdicts[p].reason)
		}
		if one := q.permitted[q.focus.key()]; !readsOther && p.action != "" && !one[p].allowed {
			q.fail("%s is allowed %+v only with %s", q.focus.EntityID, p, second.EntityID)
		}
	}
	for p, v := range verdicts {
		if v.allowed && !listed[p] {
			q.fail("%s with %s: Permit/Deny allows %+v, which is not listed", q.focus.EntityID, second.EntityID, p)
		}
	}
	q.filtered(body(q.focus, second), listed)
}

type policiesAnswer struct {
	Response []struct {
		Policies []struct {
			PermissionID string `json:"permissionId"`
			AccessType   string `json:"accessType"`
			Conditions   []struct {
				Met bool `json:"met"`
			} `json:"conditions"`
		} `json:"policies"`
	} `json:"response"`
}

// policies wants the policies that the list names to be those that Policy List makes responsible, and the reason of each
// denied pair to follow from them.
func (q *question) policies() {
	q.t.Helper()
	head := `{` + q.asker(q.focus) + q.circumstances()
	if q.focus.Inactive || q.combined && len(q.focus.Rows) > 1 {
		return // nobody's policies, and policies of one row or another
	}
	verdicts := q.permitted[q.focus.key()]
	var pairs []pair
	var objects []string
	data := strings.TrimPrefix(head, "{")
	for p, v := range verdicts {
		if p.action == "" || v.reason == "PID001" || v.reason == "PID002" || v.reason == "PID008" || len(pairs) > 0 && q.chance(65) {
			continue
		}
		pairs = append(pairs, p)
		objects = append(objects, fmt.Sprintf(`{"type":"Identity","data":{%s,"asset":{"resourceType":%s,"path":%s,"actions":[%s]}}}`,
			data, text(p.template), text(p.path), text(p.action)))
	}
	if len(pairs) == 0 {
		return
	}
	b := q.post(policiesPath, `{"objects":[`+strings.Join(objects, ",")+`]}`)
	answers := read[policiesAnswer](q, b).Response
	if len(answers) != len(pairs) {
		q.fail("%d objects, %d answers: %s", len(pairs), len(answers), b)
	}
	for i, p := range pairs {
		var allow, restrict []string
		unmet := 0
		for _, policy := range answers[i].Policies {
			met := true
			for _, c := range policy.Conditions {
				met = met && c.Met
			}
			switch {
			case policy.AccessType == "Restrict" && met:
				restrict = append(restrict, policy.PermissionID)
			case policy.AccessType == "Allow" && met:
				allow = append(allow, policy.PermissionID)
			case policy.AccessType == "Allow":
				unmet++
			}
		}
		q.explains(p, verdicts[p], allow, restrict, unmet, q.by[p])
	}
}

// explains wants a verdict to follow from the policies that concern the pair: those that allow it, take it away, or would
// allow it if their conditions were met.
func (q *question) explains(p pair, v verdict, allow, restrict []string, unmet int, by []string) {
	q.t.Helper()
	fits := false
	switch v.reason {
	case "":
		fits = len(allow) > 0 && len(restrict) == 0 && slices.Equal(allow, by)
	case "PID007":
		fits = len(restrict) > 0
	case "PID006":
		fits = len(allow) == 0 && unmet > 0
	case "PID003", "PID004", "PID005":
		fits = len(allow) == 0 && unmet == 0
	}
	if !fits {
		q.fail("%s: %+v is judged %+v by %q, but %q allow it, %q take it away, %d have conditions that are not met",
			q.focus.EntityID, p, v, by, allow, restrict, unmet)
	}
}

// calls wants Permit/Deny 5.0 to judge the pairs of a call as Permit/Deny judges them.
func (q *question) calls() {
	q.t.Helper()
	tune := fmt.Sprintf(`"meta":{"runtimeFineTune":{%s%s,"includeDetails":true,"includeDenyReason":"true"}}`, q.asker(q.focus),
		strings.Replace(q.circumstances(), `"remoteIp"`, `"ignored"`, 1))
	for _, t := range q.mapped() {
		if len(t.Actions) == 0 || len(q.assets[t.ID]) == 0 {
			continue
		}
		var named, actions []string
		for _, a := range q.assets[t.ID] {
			if q.chance(60) || len(named) == 0 {
				named = append(named, a.Path)
			}
		}
		for _, a := range t.Actions {
			if q.chance(60) || len(actions) == 0 {
				actions = append(actions, string(a.ID))
			}
		}
		b := q.post(decisionPath, fmt.Sprintf(`{"method":"get","ipAddress":%q,"uri":{"path":["/call/%s"],"query":{"path":%s,"action":%s}},%s}`,
			q.ip, t.ID, text(named), text(actions), tune))
		data := q.member(b, "data")
		if !same(data, append([]byte("{"), b[len(`{"data":`)+len(data)+1:]...)) {
			q.fail("data is not what stands beside it: %s", b)
		}
		got, want := q.verdicts(data), map[pair]verdict{}
		for _, path := range named {
			for _, id := range actions {
				a, _ := t.Action(model.ActionID(id))
				p := pair{string(t.ID), path, a.Value}
				want[p] = q.permitted[q.focus.key()][p]
			}
		}
		if !maps.Equal(got, want) {
			q.fail("5.0 says %+v, v3 %+v", got, want)
		}
	}
}

// mapped are the types of the application that has mappers, by a set of its own.
func (q *question) mapped() []model.AssetTemplate {
	var out []model.AssetTemplate
	for i, t := range q.types {
		if i%2 == 0 && t.ID != hidden {
			out = append(out, t)
		}
	}
	return out
}
