package runtime

import (
	"flag"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// TestChanges: RT-1, RT-4, RT-16, RT-18, RT-20, RT-76: the wire form of changes, in every shape of an entry.
func TestChanges(t *testing.T) {
	l := newLiveHarbour(t)
	start := number(l.revision())
	l.putIdentity("mreyes", model.Attributes{"branch": {"Lagos"}, "jobTitle": {"Teller"}, "grade": {"3"}})
	head := `{"revision":` + number(l.revision()) + `,"since":` + start + `,`
	acc := func(path, tier, balance, branch string) string {
		return `{"path":"` + path + `","attributes":{"branch":["` + branch + `"],"tier":["` + tier + `"],"balance":["` + balance + `"],"name":["` + path + `"],"path":["` + path +
			`"]},"resourceType":"Accounts","actions":[{"action":"View"},{"action":"Edit"}]}`
	}
	for _, tt := range []struct{ name, query, want string }{
		{
			"all", "", head + `"gained":[` + acc("acc-3", "basic", "310", "Lagos") + `],"lost":[` + acc("acc-1", "basic", "1200.50", "Porto") + `,` +
				strings.Replace(acc("acc-2", "gold", "98000", "Porto"), `,{"action":"Edit"}`, "", 1) + `]}`,
		},
		{
			"bare", "&includeAssetAttributes=false", head + `"gained":[{"path":"acc-3","resourceType":"Accounts","actions":[{"action":"View"},{"action":"Edit"}]}],"lost":[` +
				`{"path":"acc-1","resourceType":"Accounts","actions":[{"action":"View"},{"action":"Edit"}]},{"path":"acc-2","resourceType":"Accounts","actions":[{"action":"View"}]}]}`,
		},
		{
			"one action, one attribute, with policies",
			"&includeAccessPolicyId=true&" + queryOf("resourceTypes", `{"name":"Accounts","attributeList":["tier"],"actions":["Edit"]}`),
			head + `"gained":[{"path":"acc-3","attributes":{"tier":["basic"]},"resourceType":"Accounts","actions":[{"action":"Edit","permissionId":"pol-20"}]}],` +
				`"lost":[{"path":"acc-1","attributes":{"tier":["basic"]},"resourceType":"Accounts","actions":[{"action":"Edit","permissionId":"pol-20"}]}]}`,
		},
		{"another type", "&resourceTypes=CustomerColumns", head + `"gained":[],"lost":[]}`},
	} {
		for _, base := range []string{"/api/runtime", "/runtime"} {
			w := l.want(request{method: http.MethodGet, path: base + "/token/v3/changes?" + askMreyes + "&since=" + start + tt.query}, 200, tt.want)
			h := w.Header()
			if h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" || h.Get("Ambit-Revision") != number(l.revision()) ||
				!strings.HasPrefix(h.Get("Ambit-Cursor"), number(l.revision())+"@") {
				t.Errorf("%s: headers %v", tt.name, h)
			}
		}
	}
	cursor := number(l.revision())
	if _, _, body := l.read("/changes", askMreyes+"&since="+cursor); body != `{"revision":`+cursor+`,"since":`+cursor+`,"gained":[],"lost":[]}` {
		t.Errorf("nothing has changed: %s", body)
	}
	l.putAsset("acc-3", "Lagos", "silver")
	want := `"gained":[],"lost":[],"changed":[` + acc("acc-3", "silver", "1", "Lagos") + `]}`
	if _, _, body := l.read("/changes", askMreyes+"&since="+cursor); !strings.HasSuffix(body, want) {
		t.Errorf("attributes have changed: %s", body)
	}
	if r := l.records.last(); r.Result != "0 gained, 0 lost, 1 changed" || r.Status != 200 || r.Endpoint != "GET /api/runtime/token/v3/changes" || r.Subjects[0].EntityID != "mreyes" {
		t.Errorf("the audit tells %+v", r)
	}
}

// TestChangesRefusals: RT-4, RT-22, RT-29, RT-31, RT-33, RT-50: what is refused, and with what.
func TestChangesRefusals(t *testing.T) {
	l := newLiveHarbour(t)
	now := number(l.revision())
	for _, tt := range []struct {
		name   string
		q      request
		status int
		body   string
	}{
		{"no since", request{path: "?" + askMreyes}, 400, "since: required"},
		{"empty since", request{path: "?" + askMreyes + "&since="}, 400, "since: required"},
		{"text", request{path: "?" + askMreyes + "&since=now"}, 400, "since: must be a revision, or what Ambit-Cursor said"},
		{"negative", request{path: "?" + askMreyes + "&since=-1"}, 400, "since: must be a revision, or what Ambit-Cursor said"},
		{"too long", request{path: "?" + askMreyes + "&since=" + strings.Repeat("9", 30)}, 400, "since: must be a revision, or what Ambit-Cursor said"},
		{"no instant", request{path: "?" + askMreyes + "&since=" + now + "@"}, 400, "since: must be a revision, or what Ambit-Cursor said"},
		{"two instants", request{path: "?" + askMreyes + "&since=" + now + "@1@2"}, 400, "since: must be a revision, or what Ambit-Cursor said"},
		{"zero", request{path: "?" + askMreyes + "&since=0"}, 410, "since: the changes since revision 0 are not known; ask for the whole list"},
		{"future", request{path: "?" + askMreyes + "&since=1000000"}, 410, "since: the changes since revision 1000000 are not known; ask for the whole list"},
		{"instant before the revision", request{path: "?" + askMreyes + "&since=" + now + "@1"}, 410, ""},
		{"instant to come", request{path: "?" + askMreyes + "&since=" + now + "@" + number(noon.Add(time.Hour).UnixMilli())}, 410, ""},
		{"no identity", request{path: "?since=" + now}, 400, "entityId: required"},
		{"unknown identity", request{path: "?entityId=x&entityTypeId=Staff&since=" + now}, 404, "MemberNotFoundError: identity not found"},
		{"nobody", request{path: "?" + askMreyes + "&since=" + now, anonymous: true}, 401, "Invalid clientId"},
		{"wrong secret", request{path: "?" + askMreyes + "&since=" + now, headers: []string{"X-Client-Secret: wrong", "X-Client-Id: " + string(client)}, anonymous: true}, 401, "Invalid api key"},
		{"signed", request{path: "?" + askMreyes + "&accessTokenFormat=JWT&since=" + now}, 501, "accessTokenFormat is not supported"},
		{"narrowed", request{path: "?" + askMreyes + "&assetContext=x&since=" + now}, 501, "assetContext is not supported"},
		{"POST", request{method: "POST", path: "?" + askMreyes + "&since=" + now}, 405, "Method not allowed"},
		{"HEAD", request{method: "HEAD", path: "?" + askMreyes + "&since=" + now}, 405, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, path := range []string{"/api/runtime/token/v3/changes", "/api/runtime/token/v3/watch"} {
				q, status, body := tt.q, tt.status, tt.body
				if q.method == "" {
					q.method = http.MethodGet
				}
				if strings.HasSuffix(path, "watch") && (status == 410 || body == "since: required") {
					continue // opens, see TestWatchResumes
				}
				q.path = path + q.path
				w := l.want(q, status, body)
				if status == 405 && w.Header().Get("Allow") != "GET" {
					t.Errorf("Allow: %s", w.Header().Get("Allow"))
				}
			}
		})
	}
	w := l.do(request{method: "GET", path: "/api/runtime/token/v3/changes?" + askMreyes + "&since=99", headers: []string{"Accept: application/problem+json"}})
	if !strings.Contains(w.Body.String(), `"status":410,`) || !strings.Contains(w.Body.String(), `"code":"AMB-410","name":"RevisionGone"`) {
		t.Errorf("410: %s", w.Body)
	}
	if n := l.service.Watching().Open; n != 0 {
		t.Errorf("%d watches are open", n)
	}
}

// TestChangesSinceIsExact: PM-34: what the server does not hold, or what is not the same question any more, is 410 and never
// an incomplete answer.
func TestChangesSinceIsExact(t *testing.T) {
	gone := func(l *liveHarbour, since string, want bool) {
		l.t.Helper()
		if status, _, body := l.read("/changes", askMreyes+"&since="+since); (status == 410) != want || !want && status != 200 {
			l.t.Errorf("since %s: %d %s", since, status, body)
		}
	}
	t.Run("too many revisions", func(t *testing.T) {
		l := newLiveHarbour(t, func(s *settings) { s.past = decide.Past{Revisions: 3} })
		first := int64(l.revision())
		for i := range 5 {
			l.putAsset("acc-9", "Porto", number(i))
		}
		for n := first; n <= first+5; n++ {
			gone(l, number(n), n < first+2)
		}
	})
	t.Run("too long ago", func(t *testing.T) {
		l := newLiveHarbour(t)
		first := number(l.revision())
		l.advance(time.Hour) // it is still what the environment is
		gone(l, first, false)
		l.putAsset("acc-9", "Porto", "basic")
		l.advance(9 * time.Minute)
		gone(l, first, false)
		l.advance(2 * time.Minute)
		gone(l, first, true)
	})
	t.Run("too much memory", func(t *testing.T) {
		l := newLiveHarbour(t, func(s *settings) { s.past = decide.Past{Bytes: 1} })
		first := number(l.revision())
		gone(l, first, false)
		l.putAsset("acc-9", "Porto", "basic")
		gone(l, first, true)
		gone(l, number(l.revision()), false)
		if l.directory.PastBytes() != 0 {
			t.Errorf("%d bytes are held", l.directory.PastBytes())
		}
	})
	t.Run("another way to recognize users", func(t *testing.T) {
		for name, edit := range map[string]func(*model.Scope){
			"matching": func(s *model.Scope) { s.IdentityMatching = model.MatchRequest },
			"disabled": func(s *model.Scope) { s.Enabled = false },
		} {
			l := newLiveHarbour(t)
			first := number(l.revision())
			l.changeScope(edit)
			if name == "disabled" {
				between := number(l.revision())
				l.changeScope(func(s *model.Scope) { s.Enabled = true })
				gone(l, between, true) // no list was given then
				gone(l, first, false)
				continue
			}
			gone(l, first, true)
		}
		l := newLiveHarbour(t)
		first := number(l.revision())
		l.match()
		gone(l, first, true)
	})
	t.Run("a revision with two states", func(t *testing.T) {
		l := newLiveHarbour(t)
		first := number(l.revision())
		_, err := l.store.Update(t.Context(), store.Write{Time: noon}, func(tx *store.Tx) error { // of the tenant: the environment's revision stays
			env, err := tx.Environments.Find(harbourID)
			env.Name = "Another name"
			return cmpErr(err, put(tx.Environments, env))
		})
		check(t, err)
		check(t, l.directory.CatchUp(t.Context()))
		gone(l, first, false) // nothing that an answer shows
		_, err = l.store.Update(t.Context(), store.Write{Time: noon}, func(tx *store.Tx) error {
			env, err := tx.Environments.Find(harbourID)
			env.JWT = &model.JWTSettings{JWKSURLs: []string{"https://keys.example/jwks"}, Issuers: []string{"i"}, Audiences: []string{"a"}}
			return cmpErr(err, put(tx.Environments, env))
		})
		check(t, err)
		check(t, l.directory.CatchUp(t.Context()))
		gone(l, first, true)
	})
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestChangesOverTime: RT-57, PM-33: time has its part in changes. With the cursor of a list they are exact; with a revision
// alone they are 410: the list may be of another time, by another server or by one that was started again since.
func TestChangesOverTime(t *testing.T) {
	l := newLiveHarbour(t)
	l.update(func(tx *store.Tx) error {
		hours := model.Block{ID: "c-hours", Kind: model.KindCondition, WorkspaceID: "a0", Name: "Office hours", Ranges: []model.TimeRange{{Start: 8 * 3600, End: 18*3600 - 1, Zone: "UTC"}}}
		p, err := tx.Policies.Find("pol-70")
		p.Conditions = append(p.Conditions, "c-hours")
		columns := model.Asset{Path: "name", Attributes: model.Attributes{"table": {"customers"}}}
		_, err2 := tx.Assets("CustomerColumns").Put(columns)
		return cmpErr(err, err2, put(tx.Blocks, hours), put(tx.Policies, p))
	})
	revision := number(l.revision())
	before, cursor := l.list(askMreyes)
	if len(before) != 3 {
		t.Fatalf("at noon: %v", before)
	}
	for range 7 { // from noon to 19:00
		if status, _, _ := l.read("/changes", askMreyes+"&since="+revision); status != 410 {
			t.Errorf("the list may be of any time: %d", status)
		}
		l.advance(time.Hour)
	}
	if status, _, body := l.read("/changes", "entityId=tokafor&entityTypeId=Staff&since="+revision); status != 200 {
		t.Errorf("of one whom no condition concerns: %d %s", status, body)
	}
	status, _, body := l.read("/changes", askMreyes+"&since="+cursor)
	if c := before.apply(t, body); status != 200 || len(c.Lost) != 1 || c.Lost[0].Path != "name" {
		t.Errorf("at 19:00, since the list at noon: %d %s", status, body)
	}
	after, _ := l.list(askMreyes)
	if d := cmp.Diff(after, before); d != "" {
		t.Error(d)
	}
}

// liveSteps are the writes of random histories.
func (l *liveHarbour) step(pick func(string, int) int) {
	branch := []string{"Porto", "Lagos", "Evora"}[pick("branch", 3)]
	path := "acc-" + number(1+pick("path", 6))
	switch pick("kind", 12) {
	case 0, 1, 2:
		l.putAsset(path, branch, []string{"basic", "gold"}[pick("tier", 2)])
	case 3:
		l.update(func(tx *store.Tx) error {
			_, err := tx.Assets("Accounts").Delete(path)
			return err
		})
	case 4, 5:
		l.putIdentity("mreyes", model.Attributes{"branch": {branch}, "jobTitle": {[]string{"Teller", "Guard"}[pick("title", 2)]}, "grade": {number(pick("grade", 5))}})
	case 6:
		l.putIdentity("tokafor", model.Attributes{"branch": {branch}, "grade": {"7"}})
	case 7, 8:
		id := []model.PolicyID{"pol-10", "pol-20", "pol-30", "pol-70"}[pick("policy", 4)]
		l.changePolicy(id, func(p *model.Policy) { p.Inactive = !p.Inactive })
	case 9:
		l.update(func(tx *store.Tx) error {
			b, err := tx.Blocks.Find("r-gold")
			b.Branches = branches(rule(model.SideAsset, "tier", model.OpEqual, []string{"gold", "basic"}[pick("what", 2)]))
			return cmpErr(err, put(tx.Blocks, b))
		})
	case 10:
		l.update(func(tx *store.Tx) error {
			at, err := tx.AssetTemplates.Find("Accounts")
			at.Actions = []model.Action{{ID: "View", Value: []string{"View", "Look"}[pick("value", 2)]}, {ID: "Edit", Value: "Edit"}}
			slices.Reverse(at.Attributes)
			return cmpErr(err, put(tx.AssetTemplates, at))
		})
	case 11:
		l.changeScope(func(s *model.Scope) {
			s.ApplicationIDs = [][]model.ApplicationID{{"teller-desk"}, {"loan-desk"}, {"teller-desk", "loan-desk"}}[pick("applications", 3)]
		})
	}
}

// TestLiveHistories: RT-16, RT-65, RT-70, RT-76, PM-34: over random histories, the changes since any earlier list, and the
// sum of all events of a watch, make of that list the list that the server gives now.
func TestLiveHistories(t *testing.T) {
	queries := []string{
		askMreyes, askMreyes + "&includeAccessPolicyId=true", askMreyes + "&includeAssetAttributes=false", askMreyes + "&includeAccessPolicy=true&resourceTypes=Accounts",
		askMreyes + "&" + queryOf("resourceTypes", `{"name":"Accounts","attributeList":["tier"],"actions":["Edit"]}`),
	}
	told := 0
	few := flag.Lookup("rapid.checks")
	if before := few.Value.String(); before == few.DefValue {
		check(t, few.Value.Set("30")) // each has a store of its own
		defer func() { check(t, few.Value.Set(before)) }()
	}
	rapid.Check(t, func(rt *rapid.T) {
		l := newLiveHarbour(t)
		defer l.server.CloseClientConnections()
		pick := func(label string, n int) int { return rapid.IntRange(0, n-1).Draw(rt, label) }
		query := queries[pick("query", len(queries))]
		type kept struct {
			list   liveList
			cursor string
		}
		first, cursor := l.list(query)
		past := []kept{{first, cursor}}
		watch, _ := l.watch(query + "&" + queryOf("since", cursor))
		watched := first.clone()
		for range rapid.IntRange(2, 10).Draw(rt, "steps") {
			l.step(pick)
			l.advance(time.Second)
			now, cursor := l.list(query)
			past = append(past, kept{now, cursor})
			from := past[pick("from", len(past))]
			status, _, body := l.read("/changes", query+"&"+queryOf("since", from.cursor))
			if status != 200 {
				rt.Fatalf("%d %s", status, body)
			}
			got := from.list.clone()
			got.apply(t, body)
			if d := cmp.Diff(now, got); d != "" {
				rt.Fatalf("since %s: %s (-list +changes):\n%s", from.cursor, body, d)
			}
		}
		// the last event is one that is known to come
		l.changePolicy("pol-70", func(p *model.Policy) { p.Inactive = false })
		l.changeScope(func(s *model.Scope) { s.ApplicationIDs = []model.ApplicationID{"teller-desk"} })
		l.update(func(tx *store.Tx) error {
			at, err := tx.AssetTemplates.Find("Accounts")
			at.Actions = []model.Action{{ID: "View", Value: "View"}, {ID: "Edit", Value: "Edit"}}
			return cmpErr(err, put(tx.AssetTemplates, at))
		})
		l.changePolicy("pol-20", func(p *model.Policy) { p.Inactive = false })
		l.putIdentity("mreyes", model.Attributes{"branch": {"Last"}, "grade": {"9"}})
		l.putAsset("last", "Last", "none")
		want, _ := l.list(query)
		for _, there := watched["Accounts/last"]; !there; _, there = watched["Accounts/last"] {
			e := watch.next()
			if e.name != "change" {
				rt.Fatalf("%+v", e)
			}
			if c := watched.apply(t, e.data); len(c.Gained)+len(c.Lost)+len(c.Changed) == 0 {
				rt.Fatalf("an event that tells nothing: %s", e.data)
			}
			told++
		}
		if d := cmp.Diff(want, watched); d != "" {
			rt.Fatalf("-list +watched:\n%s", d)
		}
	})
	if told == 0 {
		t.Error("nothing was ever told")
	}
}
