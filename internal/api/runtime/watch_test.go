package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// eventually waits for something that comes by itself.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(far); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not after %s", what, far)
		}
	}
}

// TestWatch: RT-1, RT-20, RT-65: a stream tells what alters the user's answer, and nothing else.
func TestWatch(t *testing.T) {
	for _, base := range []string{"/api/runtime/token/v3", "/runtime/token/v3"} {
		l := newLiveHarbour(t)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.server.URL+base+"/watch?"+askMreyes, nil)
		check(t, err)
		r.Header.Set("X-Client-Id", string(client))
		r.Header.Set("X-Client-Secret", l.secret)
		r.Header.Set("X-Request-Id", "mine")
		answer, err := l.server.Client().Do(r)
		check(t, err)
		if h := answer.Header; h.Get("X-Request-Id") != "mine" || h.Get("Ambit-Revision") != number(l.revision()) || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Date") == "" {
			t.Errorf("headers %v", h)
		}
		s := openEvents(t, answer)
		if e := s.next(); e.name != "ready" {
			t.Fatalf("%+v", e)
		}
		// nothing of this concerns mreyes
		l.putAsset("acc-3", "Lagos", "gold")
		l.putIdentity("tokafor", model.Attributes{"branch": {"Porto"}})
		l.putIdentity("mreyes", model.Attributes{"branch": {"Porto"}, "jobTitle": {"Teller"}, "grade": {"3"}, "roles": {"approver"}})
		l.changePolicy("pol-40", func(p *model.Policy) { p.Name = "Small loans of a branch" })
		l.changePolicy("pol-50", func(p *model.Policy) { p.Inactive = true })
		l.changePolicy("pol-10", func(p *model.Policy) { p.Inactive = true }) // pol-20 allows the same
		l.changeScope(func(s *model.Scope) { s.ApplicationIDs = s.ApplicationIDs[:1] })
		before := l.revision()
		l.putAsset("acc-4", "Porto", "gold")
		want := `{"revision":` + number(l.revision()) + `,"since":` + number(before) + `,"gained":[{"path":"acc-4","attributes":{"branch":["Porto"],"tier":["gold"],"balance":["1"],"name":["acc-4"],"path":["acc-4"]},` +
			`"resourceType":"Accounts","actions":[{"action":"View"}]}],"lost":[]}`
		e := s.next()
		if tail := e.data[strings.Index(e.data, `,"gained"`):]; e.name != "change" || !strings.HasSuffix(want, tail) || !strings.HasPrefix(e.id, number(l.revision())+"@") {
			t.Errorf("%+v\nwant %s", e, want)
		}
		if r := l.records.last(); r.Result != "1 gained, 0 lost, 0 changed" || r.ExternalID != "mine" || r.Endpoint != "GET "+base+"/watch" || r.Revision != l.revision() {
			t.Errorf("the audit tells %+v", r)
		}
		check(t, s.body.Close())
	}
}

// TestWatchWire: RT-20: a stream from its first byte to its last.
func TestWatchWire(t *testing.T) {
	for _, base := range []string{"/api/runtime/token/v3", "/runtime/token/v3"} {
		l := newLiveHarbour(t)
		since := number(l.revision())
		l.putAsset("acc-4", "Porto", "gold")
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.server.URL+base+"/watch?"+askMreyes+"&includeAssetAttributes=false&since="+since+"@"+number(noon.UnixMilli()), nil)
		check(t, err)
		r.Header.Set("X-Client-Id", string(client))
		r.Header.Set("X-Client-Secret", l.secret)
		answer, err := l.server.Client().Do(r)
		check(t, err)
		eventually(t, "the change is told", func() bool { return l.service.Watching().Changes == 1 })
		l.service.EndWatches(t.Context())
		body, err := io.ReadAll(answer.Body)
		check(t, err)
		at := func(revision string) string { return revision + "@" + number(noon.UnixMilli()) + "\n" }
		now := number(l.revision())
		want := "event: ready\nid: " + at(since) + "retry: 2000\ndata: {\"revision\":" + since + "}\n\n" +
			"event: change\nid: " + at(now) + `data: {"revision":` + now + `,"since":` + since +
			`,"gained":[{"path":"acc-4","resourceType":"Accounts","actions":[{"action":"View"}]}],"lost":[]}` + "\n\n" +
			"event: end\nid: " + at(now) + "data: {\"reason\":\"shutdown\"}\n\n"
		if d := cmp.Diff(want, string(body)); d != "" {
			t.Error(d)
		}
		checker, err := answers()
		check(t, err)
		check(t, checker.Check(r, answer.StatusCode, answer.Header, body))
	}
}

// TestWatchEnds: F7, RT-31 to RT-38, RT-50: a stream ends as soon as it would not be opened any more, and says why.
func TestWatchEnds(t *testing.T) {
	tenant := func(l *liveHarbour, edit func(*model.Environment)) {
		l.t.Helper()
		_, err := l.store.Update(context.Background(), store.Write{Time: noon}, func(tx *store.Tx) error {
			env, err := tx.Environments.Find(harbourID)
			edit(&env)
			return cmpErr(err, put(tx.Environments, env))
		})
		check(l.t, err)
		check(l.t, l.directory.CatchUp(context.Background()))
	}
	for _, tt := range []struct {
		name, reason string
		do           func(*liveHarbour)
	}{
		{"scope disabled", "scope", func(l *liveHarbour) { l.changeScope(func(s *model.Scope) { s.Enabled = false }) }},
		{"scope deleted", "scope", func(l *liveHarbour) {
			l.update(func(tx *store.Tx) error { _, err := tx.Scopes.Delete(client); return err })
		}},
		{"environment disabled", "environment", func(l *liveHarbour) { tenant(l, func(e *model.Environment) { e.Enabled = false }) }},
		{"environment deleted", "environment", func(l *liveHarbour) {
			_, err := l.store.Update(context.Background(), store.Write{Time: noon}, func(tx *store.Tx) error {
				_, err := tx.Environments.Delete(harbourID)
				return err
			})
			check(l.t, err)
			check(l.t, l.directory.CatchUp(context.Background()))
		}},
		{"secret revoked", "credentials", func(l *liveHarbour) {
			l.changeScope(func(s *model.Scope) { _, hash := l.secrets.New(noon); s.Secrets = []model.SecretHash{hash} })
		}},
		{"method not allowed", "credentials", func(l *liveHarbour) {
			l.changeScope(func(s *model.Scope) { s.AuthMethods = []model.AuthMethod{model.AuthRequestSecret} })
		}},
		{"other matching", "settings", func(l *liveHarbour) { l.changeScope(func(s *model.Scope) { s.IdentityMatching = model.MatchRequest }) }},
		{"other tokens", "settings", func(l *liveHarbour) {
			tenant(l, func(e *model.Environment) { e.JWT = &model.JWTSettings{Issuers: []string{"x"}} })
		}},
		{"a matcher", "settings", func(l *liveHarbour) { l.match() }},
		{"another template", "settings", func(l *liveHarbour) {
			l.update(func(tx *store.Tx) error {
				return put(tx.IdentityTemplates, model.IdentityTemplate{ID: "Device", WorkspaceID: "i0", Attributes: []model.IdentityAttribute{{ID: "uid", Type: model.String}}})
			})
		}},
		{"identity deleted", "identity", func(l *liveHarbour) {
			l.update(func(tx *store.Tx) error { _, err := tx.Identities("Staff").Delete("mreyes"); return err })
		}},
		{"store away for too long", "notReady", func(l *liveHarbour) { l.advance(2000 * time.Hour) }},
		{"shutdown", "shutdown", func(l *liveHarbour) { l.service.EndWatches(context.Background()) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLiveHarbour(t)
			s, _ := l.watch(askMreyes)
			tt.do(l)
			s.ended(tt.reason)
			eventually(t, "the watch is forgotten", func() bool { return l.service.Watching().Open == 0 })
		})
	}
}

// TestWatchExpires: RT-36, RT-37, RT-40: a stream lives no longer than the token or the secret that it was opened with.
func TestWatchExpires(t *testing.T) {
	t.Run("secret", func(t *testing.T) {
		l := newLiveHarbour(t)
		l.changeScope(func(s *model.Scope) { s.Secrets[0].ExpiresAt = noon.Add(time.Hour) })
		s, _ := l.watch(askMreyes)
		l.advance(59 * time.Minute)
		l.putAsset("acc-4", "Porto", "basic")
		if e := s.next(); e.name != "change" {
			t.Fatalf("%+v", e)
		}
		l.advance(time.Minute)
		s.ended("expired")
	})
	for name, header := range map[string]string{"token of the user": "X-Identity-Token: ", "token of the application": "Authorization: Bearer "} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t)
			l := newLiveHarbour(t)
			query, headers := "", []string{header + i.sign(t, i.claims("sub", "mreyes", "exp", noon.Add(10*time.Minute).Unix()))}
			if strings.HasPrefix(header, "X-") {
				l.trust(i, func(m *model.Matcher) { m.TokenHeader = "X-Identity-Token" })
			} else {
				l.changeScope(func(s *model.Scope) { s.JWT, s.AuthMethods = i.settings(), []model.AuthMethod{model.AuthJWT} })
				query = askMreyes
			}
			s, _ := l.watch(query, headers...)
			l.advance(9 * time.Minute)
			l.putAsset("acc-4", "Porto", "basic")
			if e := s.next(); e.name != "change" {
				t.Fatalf("%+v", e)
			}
			l.advance(time.Minute)
			s.ended("expired")
		})
	}
}

// TestWatchResumes: a stream goes on from the last event that its client has seen, and tells when that is not possible.
func TestWatchResumes(t *testing.T) {
	l := newLiveHarbour(t, func(s *settings) { s.past = decide.Past{Revisions: 4} })
	old := number(l.revision())
	l.putAsset("acc-4", "Porto", "basic")
	_, ready := l.watch(askMreyes)
	l.putAsset("acc-5", "Porto", "basic")

	s, first := l.watch(askMreyes+"&since="+old, "Last-Event-ID: "+ready.id) // the header is newer than the address
	if e := s.next(); first.id != ready.id || e.name != "change" || strings.Contains(e.data, "acc-4") || !strings.Contains(e.data, "acc-5") {
		t.Errorf("from the last event: %+v, %+v", first, e)
	}
	s, _ = l.watch(askMreyes + "&since=" + old)
	if e := s.next(); e.name != "change" || !strings.Contains(e.data, "acc-4") || !strings.Contains(e.data, "acc-5") {
		t.Errorf("from a revision: %+v", e)
	}
	for i := range 5 {
		l.putAsset("acc-6", "Lagos", number(i))
	}
	for _, since := range []string{old, "0", "1000000", ready.id} {
		s, first = l.watch(askMreyes + "&since=" + since)
		if e := s.next(); e.name != "reset" || e.data != first.data || e.id != first.id || first.data != `{"revision":`+number(l.revision())+`}` {
			t.Errorf("since %s: %+v, %+v", since, first, e)
		}
	}
	l.putAsset("acc-7", "Porto", "basic")
	if e := s.next(); e.name != "change" || !strings.Contains(e.data, "acc-7") || strings.Contains(e.data, "acc-5") {
		t.Errorf("after a reset: %+v", e)
	}
	if status, _, body := l.read("/watch", askMreyes, "Last-Event-ID: x"); status != 400 || body != "Last-Event-ID: must be a revision, or what Ambit-Cursor said" {
		t.Errorf("%d %s", status, body)
	}
}

// TestWatchSurvivesANewSecret: whoever opens a stream from before a secret was made new is not ended for that secret.
func TestWatchSurvivesANewSecret(t *testing.T) {
	l := newLiveHarbour(t)
	old := number(l.revision())
	var hash model.SecretHash
	l.secret, hash = l.secrets.New(noon)
	l.changeScope(func(s *model.Scope) { s.Secrets = []model.SecretHash{hash} })
	l.putAsset("acc-4", "Porto", "basic")
	s, _ := l.watch(askMreyes + "&since=" + old)
	if e := s.next(); e.name != "change" || !strings.Contains(e.data, "acc-4") {
		t.Errorf("%+v", e)
	}
}

// TestWatchTime: PM-33: a date-and-time condition that turns is told like a change, though nothing was written.
func TestWatchTime(t *testing.T) {
	l := newLiveHarbour(t)
	l.update(func(tx *store.Tx) error {
		p, err := tx.Policies.Find("pol-20")
		p.Conditions = append(p.Conditions, "c-hours")
		return cmpErr(err, put(tx.Policies, p), put(tx.Blocks, model.Block{
			ID: "c-hours", Kind: model.KindCondition, WorkspaceID: "a0", Name: "Office hours", Ranges: []model.TimeRange{{Start: 8 * 3600, End: 18*3600 - 1, Zone: "UTC"}},
		}))
	})
	list, _ := l.list(askMreyes)
	s, _ := l.watch(askMreyes)
	for _, step := range []struct {
		by         time.Duration
		kind, body string
	}{{7 * time.Hour, "lost", "Edit"}, {15 * time.Hour, "gained", "Edit"}} {
		l.advance(step.by)
		e := s.next()
		c := list.apply(t, e.data)
		if e.name != "change" || c.Revision != c.Since || (step.kind == "lost") != (len(c.Lost) == 1) || len(c.Lost)+len(c.Gained) != 1 {
			t.Fatalf("%s after %s: %+v", step.kind, step.by, e)
		}
		now, _ := l.list(askMreyes)
		if d := cmp.Diff(now, list); d != "" {
			t.Fatal(d)
		}
	}
}

// TestWatchLimits: streams of one scope, and in all, are bounded; a stream whose client has gone makes
// room.
func TestWatchLimits(t *testing.T) {
	l := newLiveHarbour(t, func(s *settings) {
		s.clock = time.Now // heartbeats come by themselves
		s.service.Watches = decide.Watches{Max: 3, MaxScope: 2, Heartbeat: 20 * time.Millisecond}
	})
	l.update(func(tx *store.Tx) error {
		s, err := tx.Scopes.Find(client)
		s.ClientID, s.Name = "OTHER000000000000001", "other"
		return cmpErr(err, put(tx.Scopes, s))
	})
	other := "X-Client-Id: OTHER000000000000001"
	first, ready := l.watch(askMreyes)
	if e := first.sign(); e.name != "" || e.id != ready.id || e.data != "" {
		t.Errorf("the heartbeat: %+v", e)
	}
	second, _ := l.watch(askMreyes)
	if status, head, _ := l.read("/watch", askMreyes); status != 429 || head.Get("Retry-After") == "" {
		t.Errorf("a third one of the scope: %d", status)
	}
	l.watch(askMreyes, other)
	if status, _, _ := l.read("/watch", askMreyes, other); status != 503 {
		t.Errorf("a fourth one in all: %d", status)
	}
	check(t, first.body.Close())
	check(t, second.body.Close())
	eventually(t, "room", func() bool { return l.service.Watching().Open == 1 })
	l.watch(askMreyes)
}

// TestWatchSlowReader: a client that does not read is let go, and what it missed is held by nobody.
func TestWatchSlowReader(t *testing.T) {
	l := newLiveHarbour(t, func(s *settings) { s.options.EventTime = 3 * time.Second })
	l.update(func(tx *store.Tx) error {
		for i := range 4000 {
			if _, err := tx.Assets("Accounts").Put(model.Asset{Path: fmt.Sprint("many-", i), Attributes: model.Attributes{"branch": {"Porto"}}}); err != nil {
				return err
			}
		}
		return nil
	})
	address := l.server.Listener.Addr().String()
	conn, err := net.Dial("tcp", address)
	check(t, err)
	defer func() { _ = conn.Close() }()
	check(t, conn.(*net.TCPConn).SetReadBuffer(1024))
	_, err = fmt.Fprintf(conn, "GET /api/runtime/token/v3/watch?%s HTTP/1.1\r\nHost: x\r\nX-Client-Id: %s\r\nX-Client-Secret: %s\r\n\r\n", askMreyes, client, l.secret)
	check(t, err)
	eventually(t, "the stream is open", func() bool { return l.service.Watching().Open == 1 })
	good, _ := l.watch(askMreyes)
	off := false
	eventually(t, "the slow reader is gone", func() bool {
		time.Sleep(20 * time.Millisecond)
		off = !off
		for _, id := range []model.PolicyID{"pol-10", "pol-20"} {
			l.changePolicy(id, func(p *model.Policy) { p.Inactive = off })
		}
		return l.service.Watching().Open == 1
	})
	l.putAsset("end", "Porto", "basic")
	l.changePolicy("pol-20", func(p *model.Policy) { p.Inactive = false })
	for e := good.next(); !strings.Contains(e.data, `"end"`); e = good.next() {
		if e.name != "change" {
			t.Fatalf("the other reader: %+v", e)
		}
	}
}

// TestWatchResetsWhatIsTooMuch: more than 10,000 entries are not told: the client asks for the list.
func TestWatchResetsWhatIsTooMuch(t *testing.T) {
	l := newLiveHarbour(t)
	s, _ := l.watch(askMreyes)
	l.update(func(tx *store.Tx) error {
		for i := range 10_001 {
			if _, err := tx.Assets("Accounts").Put(model.Asset{Path: fmt.Sprint("many-", i), Attributes: model.Attributes{"branch": {"Porto"}}}); err != nil {
				return err
			}
		}
		return nil
	})
	if e := s.next(); e.name != "reset" || e.data != `{"revision":`+number(l.revision())+`}` {
		t.Errorf("%.200v", e)
	}
	l.putAsset("acc-4", "Porto", "basic")
	if e := s.next(); e.name != "change" || !strings.Contains(e.data, "acc-4") {
		t.Errorf("%.200v", e)
	}
}

// TestWatchCombinations: RT-64: combinations of rows are watched up to a number, whenever they come to be too many.
func TestWatchCombinations(t *testing.T) {
	l := newLiveHarbour(t)
	rows := func(n int) {
		l.update(func(tx *store.Tx) error {
			i := model.Identity{EntityID: "mreyes", Attributes: model.Attributes{"grade": {"3"}}}
			for r := range n {
				i.Rows = append(i.Rows, model.Attributes{"branch": {[]string{"Porto", "Lagos"}[r%2]}, "roles": {number(r)}})
			}
			_, err := tx.Identities("Staff").Put(i)
			return err
		})
	}
	rows(100)
	s, _ := l.watch(askMreyes + "&combinedMultiValue=true")
	l.putAsset("acc-4", "Lagos", "basic")
	if e := s.next(); e.name != "change" || !strings.Contains(e.data, "acc-4") {
		t.Errorf("%+v", e)
	}
	rows(101)
	s.ended("notReady")
	if status, _, body := l.read("/watch", askMreyes+"&combinedMultiValue=true"); status != 400 || !strings.HasPrefix(body, "combinedMultiValue: ") {
		t.Errorf("%d %s", status, body)
	}
	eventually(t, "nothing is open", func() bool { return l.service.Watching().Open == 0 })
	l.watch(askMreyes) // pooled, they are one
}

// TestWatchAudit: RT-28, F7: where the audit is required, an event that cannot be recorded is not told, and ends its stream.
func TestWatchAudit(t *testing.T) {
	l := newLiveHarbour(t)
	s, ready := l.watch(askMreyes)
	l.records.mu.Lock()
	l.records.fail = errors.New("full")
	l.records.mu.Unlock()
	l.putAsset("acc-4", "Porto", "basic")
	if e := s.next(); e.name != "end" || e.data != `{"reason":"notReady"}` || e.id != ready.id { // from there it goes on
		t.Errorf("%+v", e)
	}
	if status, _, body := l.read("/watch", askMreyes); status == 200 {
		t.Errorf("%d %s", status, body)
	}
	eventually(t, "nothing is open", func() bool { return l.service.Watching().Open == 0 })
}

// TestWatchHTTP2: streams on a shared connection.
func TestWatchHTTP2(t *testing.T) {
	l := newLiveHarbour(t, func(s *settings) { s.options.EventTime = 100 * time.Millisecond })
	server := httptest.NewUnstartedServer(l.handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	l.server.Close()
	l.server = server
	s, _ := l.watch(askMreyes)
	gone, _ := l.watch(askMreyes)
	check(t, gone.body.Close())
	eventually(t, "the stream that was closed is forgotten", func() bool { return l.service.Watching().Open == 1 })
	time.Sleep(300 * time.Millisecond) // the time of an event ends nothing once the event is there
	l.putAsset("acc-4", "Porto", "basic")
	if e := s.next(); e.name != "change" || !strings.Contains(e.data, "acc-4") {
		t.Errorf("%+v", e)
	}
	l.service.EndWatches(t.Context())
	s.ended("shutdown")
}

// TestWatchMany: 300 streams of as many users, each told of its own changes alone, while assets and policies change.
func TestWatchMany(t *testing.T) {
	const streams = 300
	l := newLiveHarbour(t)
	user := func(i int) string { return fmt.Sprint("u", i) }
	own := func(i int) model.Attributes {
		return model.Attributes{"branch": {user(i)}, "jobTitle": {"Teller"}, "grade": {"3"}}
	}
	l.update(func(tx *store.Tx) error {
		for i := range streams {
			if _, err := tx.Identities("Staff").Put(model.Identity{EntityID: user(i), Attributes: own(i)}); err != nil {
				return err
			}
		}
		return nil
	})
	all := make([]*eventStream, streams)
	for i := range all {
		all[i], _ = l.watch("entityId=" + user(i) + "&entityTypeId=Staff")
	}
	for i := range 60 {
		l.putAsset(fmt.Sprint("of-", i), user(i), "basic")
		if i%20 == 0 {
			l.changePolicy("pol-70", func(p *model.Policy) { p.Inactive = !p.Inactive })
		}
	}
	l.putAsset("of-all", "x", "basic")
	l.update(func(tx *store.Tx) error {
		branch := []string{}
		for i := range streams {
			branch = append(branch, user(i))
		}
		_, err := tx.Assets("Accounts").Put(model.Asset{Path: "of-all", Attributes: model.Attributes{"branch": branch}})
		return err
	})
	var group sync.WaitGroup
	for i, s := range all {
		group.Go(func() {
			list := liveList{}
			for list["Accounts/of-all"] == nil {
				e := <-s.events
				if e.name != "change" {
					t.Errorf("stream %d: %+v", i, e)
					return
				}
				list.apply(t, e.data)
			}
			want := 1
			if i < 60 {
				want = 2
			}
			if len(list) != want || (want == 2) != (list[fmt.Sprint("Accounts/of-", i)] != nil) {
				t.Errorf("stream %d has %v", i, list)
			}
		})
	}
	group.Wait()
}

// TestWatchStops: after the end of all watches none is opened, and nothing waits for them.
func TestWatchStops(t *testing.T) {
	l := newLiveHarbour(t)
	var streams []*eventStream
	for range 20 {
		s, _ := l.watch(askMreyes)
		streams = append(streams, s)
	}
	l.service.EndWatches(t.Context())
	if n := l.service.Watching(); n.Open != 0 || n.Ended != 20 {
		t.Errorf("%+v", n)
	}
	for _, s := range streams {
		s.ended("shutdown")
	}
	if status, _, _ := l.read("/watch", askMreyes); status != 503 {
		t.Errorf("a new one: %d", status)
	}
	if status, _, _ := l.read("", askMreyes); status != 200 {
		t.Errorf("the list: %d", status)
	}
}
