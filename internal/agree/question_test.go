package agree

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/model"
)

// pair is an action on an asset. The action of a pair without actions is "".
type pair struct{ template, path, action string }

// who is an identity that asks.
type who struct {
	template model.TemplateID
	model.Identity
}

// claim is an asset as a request describes it.
type claim struct {
	template model.TemplateID
	path     string
	values   model.Attributes
}

// question is a world with the circumstances under which all its endpoints are asked.
type question struct {
	*world
	*stack
	*databases
	t *testing.T

	environment model.Attributes
	context     model.Attributes // of every identity
	ip          string
	offset      float64
	combined    bool
	people      []who
	focus       who // asked of by more endpoints than the others
	claims      []claim
	common      string          // what circumstances gives, once it was asked
	askers      map[who1]string // what asker gave

	permitted map[who1]map[pair]verdict // by identity
	by        map[pair][]string         // policies that grant the focus its pairs
	count     *tally
}

// who1 names an identity.
type who1 struct {
	template model.TemplateID
	id       string
}

func (w who) key() who1 { return who1{w.template, w.EntityID} }

// verdict is what Permit/Deny says of a pair.
type verdict struct {
	allowed bool
	reason  string
}

// tally counts what was compared.
type tally struct {
	pairs, granted              int // of Permit/Deny
	asked                       int // requests
	filters, fitting, exact     int // pairs of types in filter form, those that their filters fit, filters that have to be exact
	reasons                     map[string]int
	signed, pages, several, sql int
	followed, changed           int // lists over a few states, and those of which changes told something
	heard, unmodified           int // events of watches, answers 304
}

func (c *tally) add(d *tally) {
	c.pairs += d.pairs
	c.granted += d.granted
	c.asked += d.asked
	c.filters += d.filters
	c.fitting += d.fitting
	c.exact += d.exact
	c.signed += d.signed
	c.pages += d.pages
	c.several += d.several
	c.sql += d.sql
	c.followed += d.followed
	c.changed += d.changed
	c.heard += d.heard
	c.unmodified += d.unmodified
	for code, n := range d.reasons {
		c.reasons[code] += n
	}
}

func newQuestion(t *testing.T, w *world, s *stack, d *databases, count *tally) *question {
	q := &question{
		world: w, stack: s, databases: d, t: t, count: count, environment: model.Attributes{}, context: model.Attributes{},
		ip: pick(w, sources), offset: pick(w, []float64{0, 0, 5.5, -14}), combined: w.chance(30), permitted: map[who1]map[pair]verdict{}, askers: map[who1]string{},
	}
	for _, id := range []model.AttributeID{"s", "n"} {
		typ := model.String
		if id == "n" {
			typ = model.Numeric
		}
		if w.chance(80) {
			q.environment[id] = w.values(typ, 2)
		}
		if w.chance(20) {
			q.context[id] = w.values(typ, 2)
		}
	}
	for _, at := range w.people {
		for _, i := range w.identities[at.ID] {
			q.people = append(q.people, who{at.ID, i})
		}
	}
	q.focus = pick(w, q.people)
	for _, at := range w.types {
		for range w.number(1, 2) {
			c := claim{at.ID, pick(w, paths), model.Attributes{}}
			for _, a := range at.Attributes {
				name := a.ID
				if a.NameForRequest != "" {
					name = model.AttributeID(a.NameForRequest)
				}
				if w.chance(70) {
					c.values[name] = w.values(a.Type, 2)
				}
			}
			if at.Source == model.SourceRequest || at.ID == taken {
				q.claims = append(q.claims, c)
			}
		}
	}
	return q
}

func text(v any) string {
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		panic(err)
	}
	return string(b)
}

// circumstances are the members of a v3 body that all requests have in common, with a comma before them.
func (q *question) circumstances() string {
	if q.common == "" {
		q.common = fmt.Sprintf(`,"environment":%s,"remoteIp":%q,"timeZoneOffset":%v,"combinedMultiValue":%t`, text(q.environment), q.ip, q.offset, q.combined)
	}
	return q.common
}

// asker are the members of a v3 body that name an identity, without a comma.
func (q *question) asker(w who) string {
	named, known := q.askers[w.key()]
	if !known {
		named = fmt.Sprintf(`"entityTypeId":%s,"entityId":%s,"contextData":%s`, text(w.template), text(w.EntityID), text(q.context))
		q.askers[w.key()] = named
	}
	return named
}

func (c claim) asset() string {
	return fmt.Sprintf(`{"template":%s,"path":%s,"assetAttributes":%s}`, text(c.template), text(c.path), text(c.values))
}

// post asks and wants 200 at the revision that was written.
func (q *question) post(path, text string) []byte {
	q.t.Helper()
	a := q.call("POST", path, text)
	if a.status != 200 {
		q.fail("%s answers %d %s", path+" "+text, a.status, a.body)
	}
	if revision := a.header.Get("Ambit-Revision"); revision != fmt.Sprint(q.revision) {
		q.fail("%s answers at revision %s, %d was written", path, revision, q.revision)
	}
	return a.body
}

func (q *question) fail(format string, args ...any) {
	q.t.Helper()
	q.t.Fatalf(format+"\n%s", append(args, q.describe())...)
}

// describe is the world and the question as a failure shows them.
func (q *question) describe() string {
	w := q.world
	return fmt.Sprintf("types %s\nblocks %s\npolicies %s\nassets %s\nidentities %s\nfocus %s %s%s\ncontext %s\nclaims %+v",
		text(w.types), text(w.blocks), text(w.policies), text(w.assets), text(w.identities), q.focus.template, q.focus.EntityID, q.circumstances(),
		text(q.context), q.claims)
}

func read[V any](q *question, b []byte) V {
	q.t.Helper()
	var v V
	if err := json.Unmarshal(b, &v); err != nil {
		q.fail("%v in %s", err, b)
	}
	return v
}

// Answers as the tests read them. Members that a test does not name are passed over.
type (
	action struct {
		Action       string `json:"action"`
		PermissionID string `json:"permissionId"`
	}
	tokenEntry struct {
		Path         string   `json:"path"`
		ResourceType string   `json:"resourceType"`
		Actions      []action `json:"actions"`
	}
	tokenAnswer struct {
		Response []struct {
			Access []tokenEntry `json:"access"`
		} `json:"response"`
	}
	permitEntry struct {
		Path         string `json:"path"`
		Action       string `json:"action"`
		Template     string `json:"template"`
		Reason       string `json:"reason"`
		PermissionID string `json:"permissionId"`
	}
	permitAnswer struct {
		Result   string   `json:"result"`
		Reason   []string `json:"reason"`
		Response []struct {
			Allowed       []permitEntry `json:"allowed"`
			Denied        []permitEntry `json:"denied"`
			NotApplicable []permitEntry `json:"not_applicable"`
		} `json:"response"`
	}
)

// list reads an answer of User Access Token: the pairs in order, and which policies grant each.
func (q *question) list(b []byte) (pairs []pair, by map[pair][]string) {
	q.t.Helper()
	by = map[pair][]string{}
	for _, r := range read[tokenAnswer](q, b).Response {
		for _, e := range r.Access {
			for _, a := range e.Actions {
				p := pair{e.ResourceType, e.Path, a.Action}
				if _, known := by[p]; !known {
					pairs = append(pairs, p)
				}
				by[p] = append(by[p], a.PermissionID)
			}
			if len(e.Actions) == 0 {
				p := pair{e.ResourceType, e.Path, ""}
				pairs = append(pairs, p)
				by[p] = nil
			}
		}
	}
	return pairs, by
}

// verdicts reads an answer of Permit/Deny with details and reasons, and wants result and reason to be those of the pairs.
func (q *question) verdicts(b []byte) map[pair]verdict {
	q.t.Helper()
	a := read[permitAnswer](q, b)
	out := map[pair]verdict{}
	var codes []string
	if len(a.Response) != 1 {
		q.fail("no details: %s", b)
	}
	for _, e := range a.Response[0].Allowed {
		out[pair{e.Template, e.Path, e.Action}] = verdict{allowed: true}
	}
	for i, e := range slices.Concat(a.Response[0].Denied, a.Response[0].NotApplicable) {
		out[pair{e.Template, e.Path, e.Action}] = verdict{reason: e.Reason}
		codes = append(codes, e.Reason)
		if inapplicable := e.Reason == "PID001" || e.Reason == "PID002" || e.Reason == "PID003"; e.Reason == "" || inapplicable != (i >= len(a.Response[0].Denied)) {
			q.fail("%q stands in the wrong list: %s", e.Reason, b)
		}
	}
	slices.Sort(codes)
	codes = slices.Compact(codes)
	if want := map[bool]string{true: "PERMIT", false: "DENY"}[len(codes) == 0]; a.Result != want || !slices.Equal(a.Reason, codes) {
		q.fail("result %s, reasons %q, of the pairs %s, %q: %s", a.Result, a.Reason, want, codes, b)
	}
	return out
}

// member is a member of a JSON object as it was written.
func (q *question) member(b []byte, name string) jsontext.Value {
	q.t.Helper()
	return read[map[string]jsontext.Value](q, b)[name]
}

func same(a, b []byte) bool { return bytes.Equal(a, b) }
