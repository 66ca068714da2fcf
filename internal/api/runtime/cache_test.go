package runtime

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/audit"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// newCached is a harbour whose scope lets answers be given again for a minute.
func newCached(t testing.TB, bytes int64, change ...func(*settings)) (*harbour, *Cache) {
	t.Helper()
	cache := NewCache(bytes)
	h := newHarbour(t, append(change, func(s *settings) { s.options.Cache = cache })...)
	h.changeScope(func(s *model.Scope) { s.CacheSeconds = 60 })
	return h, cache
}

// officeHours makes a policy depend on the time of day.
func (h *harbour) officeHours(id model.PolicyID) {
	h.t.Helper()
	h.update(func(tx *store.Tx) error {
		p, err := tx.Policies.Find(id)
		if err != nil {
			return err
		}
		p.Conditions = []model.BlockID{"c-hours"}
		return errors.Join(put(tx.Policies, p), put(tx.Blocks, model.Block{
			ID: "c-hours", Kind: model.KindCondition, WorkspaceID: "a0", Name: "Office hours",
			Ranges: []model.TimeRange{{Zone: "UTC", Start: 9 * 3600, End: 12*3600 + 59}},
		}))
	})
}

// RT-114: the cache is off unless the scope turns it on; then a question is answered from it until its time is over, unless
// the caller wants a new answer, which is kept.
func TestUseCache(t *testing.T) {
	now := noon
	h, cache := newCached(t, 1<<20, func(s *settings) { s.service.Clock = func() time.Time { return now } })
	ask := func(rest string, hits, misses, entries int64) {
		t.Helper()
		h.want(request{body: `{` + mreyes + rest + `}`}, 200, document(acc1, acc2))
		if s := cache.Stats(); s.Hits != hits || s.Misses != misses || s.Entries != entries {
			t.Errorf("%s: %+v, want %d hits, %d misses, %d entries", rest, s, hits, misses, entries)
		}
	}
	h.changeScope(func(s *model.Scope) { s.CacheSeconds = 0 })
	ask("", 0, 0, 0)
	h.changeScope(func(s *model.Scope) { s.CacheSeconds = 60 })
	ask(`,"useCache":false`, 0, 0, 1)
	ask("", 1, 0, 1)
	ask(`,"useCache":true`, 2, 0, 1)
	ask(`,"useCache":"x"`, 3, 0, 1)
	now = noon.Add(60*time.Second - 1)
	ask("", 4, 0, 1)
	ask(`,"useCache":"false"`, 4, 0, 1) // for a minute from now
	now = noon.Add(119 * time.Second)
	ask("", 5, 0, 1)
	now = noon.Add(120 * time.Second)
	ask("", 5, 1, 1)
	now = noon // a clock set back: the answer is of later
	ask("", 5, 2, 1)
	off := newHarbour(t)
	off.changeScope(func(s *model.Scope) { s.CacheSeconds = 60 })
	off.want(request{body: `{` + mreyes + `}`}, 200, document(acc1, acc2))
}

// RT-114: what may never come from the cache, though the question looks the same. Each line asks twice; none may hit.
func TestNothingIsShared(t *testing.T) {
	i := newIssuer(t)
	h, cache := newCached(t, 1<<20)
	h.trust(i)
	h.changeScope(func(s *model.Scope) { s.IdentityMatching = "" })
	h.mappers("loan-desk", "", approve())
	other, hash := h.secrets.New(noon)
	h.update(func(tx *store.Tx) error {
		return put(tx.Scopes, model.Scope{
			ClientID: "HARBOURPORTAL0000002", EnvironmentID: harbourID, Name: "other", Enabled: true, CacheSeconds: 60,
			ApplicationIDs: []model.ApplicationID{"loan-desk"}, Secrets: []model.SecretHash{hash},
		})
	})
	body := `{"entityId":"mreyes","entityTypeId":"Staff"}`
	user := func(changes ...any) []string {
		return []string{"Authorization: Bearer " + i.sign(t, i.claims(changes...))}
	}
	call := func(path, headers string) request {
		return request{path: decisionPath, body: fmt.Sprintf(`{"method":"POST","uri":{"path":%q},"headers":{%s},"body":{"loan":{"branch":"Porto","amount":1}},"meta":{"runtimeFineTune":{%s}}}`, path, headers, mreyes)}
	}
	for name, pair := range map[string][2]request{
		"scopes":                          {{body: body}, {body: body, anonymous: true, headers: []string{"X-Client-Id: HARBOURPORTAL0000002", "X-Client-Secret: " + other}}},
		"identities":                      {{body: body}, {body: strings.Replace(body, "mreyes", "tokafor", 1)}},
		"attributes":                      {{body: `{` + mreyes + `,"entityAttributes":{"shift":["a","b"]}}`}, {body: `{` + mreyes + `,"entityAttributes":{"shift":["a,b"]}}`}},
		"addresses of peers":              {{body: body, peer: "198.51.100.7:1"}, {body: body, peer: "10.1.1.1:1"}},
		"stated addresses":                {{body: `{` + mreyes + `,"remoteIp":"198.51.100.9"}`}, {body: `{` + mreyes + `,"remoteIp":"10.0.0.9"}`}},
		"claims":                          {{body: `{}`, headers: user("shift", "late")}, {body: `{}`, headers: user("shift", "early")}},
		"users of claims":                 {{body: `{}`, headers: user()}, {body: `{}`, headers: user("sub", "mreyes")}},
		"numbers":                         {{body: `{` + mreyes + `,"contextData":{"shift":[12345678901234567890]}}`}, {body: `{` + mreyes + `,"contextData":{"shift":[12345678901234567891]}}`}},
		"numbers and their text in lists": {{body: `{` + mreyes + `,"resourceTypes":[{"name":"Accounts","actions":[1]}]}`}, {body: `{` + mreyes + `,"resourceTypes":[{"name":"Accounts","actions":[1.0]}]}`}},
		"endpoints":                       {{body: body}, {body: body, path: "/api/runtime/resolution/v3"}},
		"described paths":                 {call("/v1/loans/7/approve", ""), call("/v1/loans/8/approve", "")},
		"echoed order":                    {{body: `{` + mreyes + `,"includeContext":true,"contextData":{"a":["1"],"b":["2"]}}`}, {body: `{` + mreyes + `,"includeContext":true,"contextData":{"b":["2"],"a":["1"]}}`}},
	} {
		t.Run(name, func(t *testing.T) {
			h.t = t
			cache.Drop(harbourID, nil, nil)
			before := cache.Stats()
			first, second := h.want(pair[0], 200, ""), h.want(pair[1], 200, "")
			s := cache.Stats()
			if s.Hits != before.Hits || s.Entries != 2 {
				t.Errorf("%+v after %+v", s, before)
			}
			a, b := h.want(pair[0], 200, first.Body.String()), h.want(pair[1], 200, second.Body.String())
			if got := cache.Stats().Hits - s.Hits; got != 2 {
				t.Errorf("asked again: %d hits", got)
			}
			if tag := a.Header().Get("ETag"); tag != "" && tag == b.Header().Get("ETag") {
				t.Errorf("one ETag %s for both", tag)
			}
		})
	}
	// what does not count must not keep a question from being recognized
	before := cache.Stats().Hits
	h.t = t
	for _, q := range []request{
		call("/v1/loans/9/approve", `"x-trace":"1","b":"2"`), call("/v1/loans/9/approve", `"x-trace":"2"`),
		{body: `{"entityTypeId":"Staff","entityId":"mreyes","entityAttributes":{"a":["1"],"b":["2"]}}`},
		{body: ` { "entityAttributes":{"b":["2"], "a":["1"]},"entityId":"mreyes","clientId":"x","clientSecret":"y","entityTypeId":"Staff"}`},
	} {
		h.want(q, 200, "")
	}
	if got := cache.Stats().Hits - before; got != 2 {
		t.Errorf("%d hits of 2", got)
	}
}

// RT-115: errors are not kept, nor answers in which a time condition took part, of any endpoint; others are.
func TestWhatIsKept(t *testing.T) {
	h, cache := newCached(t, 1<<20)
	h.mappers("teller-desk", "", mapper("view", "/a/*", model.MatchWildcards, accountAt(2, "View")))
	questions := []request{
		{body: `{` + mreyes + `}`},
		{path: "/api/runtime/permit-deny/v3", body: `{` + mreyes + `,"listOfResources":[{"resourceType":"Accounts","resources":[{"action":"View","path":"acc-1"}]}]}`},
		{path: "/api/runtime/resolution/v3", body: `{` + mreyes + `}`},
		{path: "/api/runtime/userlist/v3", body: `{"asset":{"resourceType":"Accounts","path":"acc-1"}}`},
		{path: decisionPath, body: `{"method":"GET","uri":"/a/acc-1","meta":{"runtimeFineTune":{` + mreyes + `}}}`},
	}
	for _, q := range questions {
		for range 2 {
			h.want(q, 200, "")
		}
	}
	if s := cache.Stats(); s.Entries != 5 || s.Hits != 5 {
		t.Errorf("%+v, want 5 entries and hits", s)
	}
	h.want(request{body: `{"entityId":"nobody","entityTypeId":"Staff"}`}, 404, "")
	h.want(request{path: "/api/runtime/policies/v3", body: `{"objects":[{"type":"Identity","data":{` + mreyes + `}}]}`}, 200, "")
	if s := cache.Stats(); s.Entries != 5 {
		t.Errorf("%+v: an error or a policy list is kept", s)
	}
	h.officeHours("pol-10")
	cache.Drop(harbourID, nil, nil)
	before := cache.Stats()
	for _, q := range questions {
		for range 2 {
			h.want(q, 200, "")
		}
	}
	// the resolution is of types that the policy says nothing about, but its condition was judged
	if s := cache.Stats(); s.Entries != 0 || s.Hits != before.Hits {
		t.Errorf("%+v: a timed answer is kept", s)
	}
}

// RT-114, RT-79: the decision of a signed answer comes from the cache, its signature, times and id never do.
func TestSignedAnswersFromTheCache(t *testing.T) {
	now := noon
	signer := newSigner(t)
	h, cache := newCached(t, 1<<20, signer.use, func(s *settings) { s.service.Clock = func() time.Time { return now } })
	fresh := newHarbour(t, signer.use, func(s *settings) { s.service.Clock = func() time.Time { return now } })
	hits := int64(0)
	for _, path := range []string{"/api/runtime/token/v3", "/api/runtime/resolution/v3", "/api/runtime/userlist/v3"} {
		for _, format := range []string{"JWT", "StandardJWT"} {
			body := fmt.Sprintf(`{%s,"includeIdentity":true,"accessTokenFormat":%q,"asset":{"resourceType":"Accounts","path":"acc-1"}}`, mreyes, format)
			var ids []any
			for n := range 3 {
				now = noon.Add(time.Duration(n) * 7 * time.Second)
				_, payload, _ := h.read(path, body)
				_, want, _ := fresh.read(path, body)
				var a, b map[string]any
				check(t, errors.Join(json.Unmarshal([]byte(payload), &a), json.Unmarshal([]byte(want), &b)))
				ids = append(ids, a["jti"])
				delete(a, "jti")
				delete(b, "jti")
				if !reflect.DeepEqual(a, b) || a["iat"] != float64(now.Unix()) {
					t.Errorf("%s %s at %s: %s\nwant %s", path, format, now, payload, want)
				}
				if cut := func(s string) string { i := strings.Index(s, `"jti"`); return s[:max(i, 0)] }; cut(payload) != cut(want) {
					t.Errorf("the members stand in another order: %s\n%s", payload, want)
				}
			}
			if format == "StandardJWT" && (ids[0] == ids[1] || ids[1] == ids[2]) {
				t.Errorf("%s: one jti for several tokens: %v", path, ids)
			}
			if hits += 2; cache.Stats().Hits != hits {
				t.Errorf("%s %s: %+v, want %d hits", path, format, cache.Stats(), hits)
			}
		}
	}
}

// traffic makes requests of few kinds, so that the same ones come again, with members in any order.
type traffic struct{ *rand.Rand }

func (r traffic) of(texts ...string) string { return texts[r.IntN(len(texts))] }

func (r traffic) object(members ...string) string {
	r.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return "{" + strings.Join(slices.DeleteFunc(members, func(m string) bool { return m == "" }), ",") + "}"
}

func (r traffic) resources() string {
	pair := func() string {
		return r.object(r.of(`"path":"acc-1"`, `"path":"acc-2"`, `"path":"acc-9"`, ""), r.of(`"action":"View"`, `"action":"Edit"`, ""),
			r.of("", `"assetAttributes":{"branch":["Porto"],"amount":[4200]}`, `"assetAttributes":{"amount":["4200"],"branch":["Porto"]}`))
	}
	return `[{"resourceType":` + r.of(`"Accounts"`, `"Loans"`, `"None"`) + `,"resources":[` + pair() + `,` + pair() + `]}]`
}

func (r traffic) request() request {
	who := []string{
		`"entityId":"` + r.of("mreyes", "mreyes", "tokafor", "gone", "nobody") + `"`, r.of(`"entityTypeId":"Staff"`, ""),
		r.of("", "", `"entityAttributes":{"shift":["a","b"],"x":[]}`, `"entityAttributes":{"x":[],"shift":["a\u0000b"]}`, `"entityAttributes":{"shift":"a|b"}`),
		r.of("", "", `"contextData":{"shift":["late"],"y":[1.0]}`, `"contextData":{"y":[1.00],"shift":["late"]}`),
		r.of("", "", `"environment":{"kind":["x"],"n":[1]}`, `"environment":{"n":["1"],"kind":["x"]}`), r.of("", `"timeZoneOffset":5.5`),
		r.of("", `"includeContext":true`), r.of("", `"includeIdentity":true`, `"includeIdentity":"true"`), r.of("", "", "", `"useCache":false`),
	}
	flags := []string{r.of("", `"includeAccessPolicyId":true`), r.of("", `"includeDetails":true,"includeDenyReason":true`)}
	ip := r.of("", `"remoteIp":"198.51.100.9"`, `"remoteIp":"10.0.0.9"`)
	q := request{peer: r.of("192.0.2.1:7", "198.51.100.20:7"), headers: []string{"X-Request-ID: x"}}
	switch r.IntN(6) {
	case 0:
		q.method, q.path = http.MethodGet, "/runtime/token/v3?entityId="+r.of("mreyes", "tokafor")+r.of("", "&remoteIP=198.51.100.9")+r.of("", "&includeIdentity=true")
	case 1:
		q.path, q.body = "/api/runtime/permit-deny/v3", r.object(append(append(who, flags...), ip, `"listOfResources":`+r.resources())...)
	case 2:
		q.path, q.body = "/api/runtime/resolution/v3", r.object(append(who, flags[0], ip)...)
	case 3:
		q.path, q.body = "/api/runtime/userlist/v3", r.object(who[3], who[5], flags[0], ip, r.of("", `"includeIdentityAttributes":true`),
			`"asset":{"resourceType":`+r.of(`"Accounts"`, `"Loans"`)+`,"path":"`+r.of("acc-1", "acc-2")+`"}`)
	case 4:
		q.path = decisionPath
		q.body = `{"method":"` + r.of("POST", "get") + `","uri":{"path":["/v1/loans/` + r.of("7", "8") + `/approve"]},"headers":{"trace":"` + strconv.Itoa(r.IntN(9)) +
			`"},"body":{"loan":{"branch":"` + r.of("Porto", "Lagos") + `","amount":42}},"ipAddress":"` + r.of("198.51.100.9", "10.0.0.9") + `","requestId":"r","meta":{"runtimeFineTune":` +
			r.object(append(who, flags...)...) + `}}`
	default:
		q.body = r.object(append(who, flags[0], ip, r.of("", `"resourceTypes":[{"name":"Accounts","attributeList":["tier"]}]`),
			r.of("", `"assetList":[{"template":"Accounts","path":"acc-2"}]`))...)
	}
	return q
}

// change changes something that answers depend on, and the time.
func (r traffic) change(h *harbour, now *time.Time, n int) {
	*now = now.Add(time.Duration(r.IntN(40)) * time.Second)
	h.update(func(tx *store.Tx) error {
		switch r.IntN(5) {
		case 0:
			_, err := tx.Assets("Accounts").Put(model.Asset{Path: "acc-" + strconv.Itoa(r.IntN(12)), Attributes: model.Attributes{"branch": {r.of("Porto", "Lagos")}, "tier": {r.of("basic", "gold")}, "balance": {strconv.Itoa(n)}}})
			return err
		case 1:
			_, err := tx.Identities("Staff").Put(model.Identity{EntityID: "mreyes", Attributes: model.Attributes{"branch": {r.of("Porto", "Lagos")}, "jobTitle": {"Teller"}, "grade": {r.of("1", "5")}}})
			return err
		case 2:
			s, err := tx.Scopes.Find(client)
			s.TokenValidity, s.CacheSeconds = n, r.IntN(90)
			return errors.Join(err, put(tx.Scopes, s))
		}
		p, err := tx.Policies.Find(model.PolicyID(r.of("pol-10", "pol-20", "pol-30", "pol-40")))
		p.Inactive = !p.Inactive
		return errors.Join(err, put(tx.Policies, p))
	})
}

// RT-114, RT-115, reliability.md 3 (cache-key collision): whatever is asked and changed, an answer from the cache has the
// headers and the body of a fresh one, and leaves the same record. AMBIT_COMPARISONS sets the number of questions.
func TestCachedEqualsFresh(t *testing.T) {
	n := 20_000
	if text := os.Getenv("AMBIT_COMPARISONS"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		check(t, err)
	}
	now := noon
	h, cache := newCached(t, 128<<10, func(s *settings) { s.service.Clock = func() time.Time { return now } })
	h.mappers("loan-desk", "", approve())
	h.officeHours("pol-20")
	fresh := Handler(Options{Service: h.service, Directory: h.directory, Log: slog.New(slog.DiscardHandler)})
	fresh.(*handler).tags = h.handler.(*handler).tags
	r := traffic{rand.New(rand.NewPCG(3, 4))}
	secret := h.secret
	ask := func(handler http.Handler, q request) (*httptest.ResponseRecorder, audit.Decision) {
		w := httptest.NewRecorder()
		hr := httptest.NewRequest(cmp.Or(q.method, "POST"), cmp.Or(q.path, "/api/runtime/token/v3"), strings.NewReader(q.body))
		hr.RemoteAddr = q.peer
		hr.Header = http.Header{"X-Client-Id": {string(client)}, "X-Client-Secret": {secret}, "X-Request-Id": {"x"}}
		handler.ServeHTTP(w, hr)
		w.Header().Del("X-Error-Id")
		return w, h.records.last()
	}
	known := make([]request, 150)
	for i := range known {
		known[i] = r.request()
	}
	granted, timed := 0, 0
	for i := range n {
		if i%400 == 399 {
			r.change(h, &now, i)
		}
		if i%10 == 0 {
			known[r.IntN(len(known))] = r.request()
		}
		q := known[r.IntN(len(known))]
		got, record := ask(h.handler, q)
		want, wanted := ask(fresh, q)
		same := got.Body.String() == want.Body.String() || got.Code != 200
		if got.Code != want.Code || !same || !reflect.DeepEqual(got.Header(), want.Header()) {
			t.Fatalf("%s %s\ngot  %d %v %s\nwant %d %v %s", q.path, q.body, got.Code, got.Header(), got.Body, want.Code, want.Header(), want.Body)
		}
		record.ID, record.Duration = wanted.ID, wanted.Duration
		if !reflect.DeepEqual(record, wanted) {
			t.Fatalf("%s %s: the record %+v, want %+v", q.path, q.body, record, wanted)
		}
		h.records.all = h.records.all[:0]
		if strings.Contains(got.Body.String(), `"action":`) {
			granted++
		}
		if strings.Count(got.Header().Get("ETag"), ".") > 0 {
			timed++
		}
	}
	s := cache.Stats()
	t.Logf("%d questions, %d with entries, %d timed: %+v", n, granted, timed, s)
	if s.Hits < int64(n)/10 || s.Misses < int64(n)/20 || granted < n/10 || timed < n/100 {
		t.Error("the comparison says little")
	}
}
