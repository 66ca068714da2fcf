package authzen

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/api/runtime"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// putPeople adds identities and assets enough for pages: every third is an editor, an admin, nobody in particular.
func (w *world) putPeople(n int) {
	w.update(func(tx *store.Tx) error {
		for i := range n {
			attributes := []model.Attributes{{"team": {"editors"}}, {"role": {"admin"}}, {}}[i%3]
			if _, err := tx.Identities("user").Put(model.Identity{EntityID: fmt.Sprintf("p%02d", i), Inactive: i%7 == 6, Attributes: attributes}); err != nil {
				return err
			}
			status := []model.Attributes{{"status": {"active"}}, {"status": {"archived"}}, {}}[i%3]
			if _, err := tx.Assets("record").Put(model.Asset{Path: fmt.Sprintf("r%02d", i), Attributes: status}); err != nil {
				return err
			}
		}
		return nil
	})
}

type searchAnswer struct {
	Page *struct {
		Token string `json:"next_token"`
		Count int    `json:"count"`
	} `json:"page"`
	Results []struct{ ID, Name string }
}

func (w *world) search(path, body string) (searchAnswer, []string) {
	w.t.Helper()
	got := w.post(path, body)
	var out searchAnswer
	if err := json.Unmarshal([]byte(got.body), &out); err != nil || got.status != 200 {
		w.t.Fatalf("%s %s: %d %s", path, body, got.status, got.body)
	}
	names := []string{}
	for _, r := range out.Results {
		names = append(names, r.ID+r.Name)
	}
	return out, names
}

func page(body, members string) string {
	return strings.TrimSuffix(body, "}") + `,"page":{` + members + `}}`
}

// walk gathers all pages of a size.
func (w *world) walk(path, body string, limit int) []string {
	w.t.Helper()
	var all []string
	members := fmt.Sprintf(`"limit":%d`, limit)
	for range 10_000 {
		answer, names := w.search(path, page(body, members))
		if answer.Page == nil || answer.Page.Count != len(names) || len(names) > limit {
			w.t.Fatalf("page %+v of %d results", answer.Page, len(names))
		}
		all = append(all, names...)
		if answer.Page.Token == "" {
			return all
		}
		members = fmt.Sprintf(`"token":%q`, answer.Page.Token)
	}
	w.t.Fatal("no end")
	return nil
}

// TestPaging is az-08: every result once, whatever the size of pages, though each page judges one identity only.
func TestPaging(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.ScanLimit = 1 })
	w.putPeople(9)
	for path, body := range map[string]string{
		pathSubjects:  `{"subject":{"type":"user"},"action":{"name":"write"},"resource":{"type":"record","id":"record-1"}}`,
		pathResources: `{"subject":{"type":"user","id":"p01"},"action":{"name":"write"},"resource":{"type":"record"}}`,
		pathActions:   `{"subject":{"type":"user","id":"alice"},"resource":{"type":"record","id":"record-1"}}`,
	} {
		want := w.walk(path, body, 1000)
		if len(want) < 2 {
			t.Fatalf("%s: found %q", path, want)
		}
		for limit := 1; limit <= len(want); limit++ {
			if got := w.walk(path, body, limit); !slices.Equal(got, want) {
				t.Errorf("%s, pages of %d: %q, want %q", path, limit, got, want)
			}
		}
		first, names := w.search(path, page(body, `"limit":0`))
		if len(names) != 0 || path != pathSubjects && first.Page.Token == "" {
			t.Errorf("%s: a page of nothing: %+v %q", path, first.Page, names)
		}
	}
}

// TestPageLimits is az-08: a page ends when it has judged as many identities, or for as long, as it may, and says that more may
// follow; the pages together give each result once. A line between two attributes of a subject is judged one by one.
func TestPageLimits(t *testing.T) {
	const body = `{"subject":{"type":"user"},"action":{"name":"write"},"resource":{"type":"record","id":"record-2"}}`
	fill := func(w *world) {
		w.putPeople(30)
		role := model.Ref{Side: model.SideIdentity, Attribute: "role"}
		w.update(func(tx *store.Tx) error {
			var groups []model.Block
			for b, err := range tx.Blocks.FindAll() {
				if err != nil {
					return err
				}
				if b.Kind == model.KindDynamicGroup {
					groups = append(groups, b)
				}
			}
			for _, b := range groups {
				for i := range b.Branches {
					b.Branches[i].Rules = append(b.Branches[i].Rules, model.Rule{Left: role, Op: model.OpEqual, Ref: role})
				}
				if _, err := tx.Blocks.Put(b); err != nil {
					return err
				}
			}
			return nil
		})
	}
	whole := newWorld(t)
	fill(whole)
	want := whole.walk(pathSubjects, body, 1000)
	for name, change := range map[string]func(*Options){
		"scan": func(o *Options) { o.ScanLimit = 1 },
		"time": func(o *Options) { o.SearchTime = time.Nanosecond },
	} {
		w := newWorld(t, change)
		fill(w)
		answer, names := w.search(pathSubjects, body)
		if answer.Page == nil || answer.Page.Token == "" || len(names) > 1 {
			t.Errorf("%s: a page that is cut short: %+v %q", name, answer.Page, names)
		}
		if got := w.walk(pathSubjects, body, 1000); !slices.Equal(got, want) || len(got) < 8 {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestPagesFollow: what was deleted meanwhile drops out, what was made comes at the end (authzen.md 9.5), also when the
// last result of a page is gone.
func TestPagesFollow(t *testing.T) {
	w := newWorld(t)
	const body = `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record"}}`
	w.putPeople(4)
	first, names := w.search(pathResources, page(body, `"limit":3`))
	if !slices.Equal(names, []string{"record-1", "record-2", "r00"}) {
		t.Fatalf("first page %q", names)
	}
	w.update(func(tx *store.Tx) error {
		for _, path := range []string{"r00", "r02"} {
			if _, err := tx.Assets("record").Delete(path); err != nil {
				return err
			}
		}
		_, err := tx.Assets("record").Put(model.Asset{Path: "new"})
		return err
	})
	second, names := w.search(pathResources, page(body, fmt.Sprintf(`"token":%q`, first.Page.Token)))
	if !slices.Equal(names, []string{"r01", "r03", "new"}) || second.Page.Token != "" {
		t.Errorf("second page %q, %+v", names, second.Page)
	}
}

// TestPageTokens is az-09: a token is good for one route, scope and request, unchanged, and for a while.
func TestPageTokens(t *testing.T) {
	w := newWorld(t)
	const body = `{"subject":{"type":"user"},"action":{"name":"read"},"resource":{"type":"record","id":"record-1"},"context":{"a":1,"b":2}}`
	answer, _ := w.search(pathSubjects, page(body, `"limit":1`))
	token := answer.Page.Token
	with := func(token string) string { return fmt.Sprintf(`"token":%q`, token) }
	bad := func(path, body, text string) {
		t.Helper()
		w.refuses(path, body, 400, text)
	}
	for i := range token {
		other := "A"
		if token[i] == 'A' {
			other = "B"
		}
		bad(pathSubjects, page(body, with(token[:i]+other+token[i+1:])), "invalid page token")
	}
	bad(pathSubjects, page(body, with("x")), "invalid page token")
	bad(pathSubjects, page(strings.Replace(body, `"a":1`, `"a":2`, 1), with(token)), "invalid page token")
	bad(pathResources, page(strings.Replace(body, `"user"`, `"user","id":"alice"`, 1), with(token)), "invalid page token")
	// one body that every route takes: only the route differs
	everywhere := strings.Replace(body, `"user"`, `"user","id":"alice"`, 1)
	routes := []string{pathSubjects, pathResources, pathActions}
	for _, from := range routes {
		answer, _ := w.search(from, page(everywhere, `"limit":1`))
		for _, to := range routes {
			if to != from {
				bad(to, page(everywhere, with(answer.Page.Token)), "invalid page token")
			}
		}
	}
	bad(pathSubjects, page(body, with(token)+`,"limit":2`), "page.limit must stay as it was on the page before")
	for _, limit := range []string{"-1", "1.5", `"1"`, "1e1", "[]"} {
		bad(pathSubjects, page(body, `"limit":`+limit), "page.limit must be a whole number of at least 0")
	}
	bad(pathSubjects, strings.TrimSuffix(body, "}")+`,"page":[]}`, "page must be an object")
	bad(pathSubjects, page(body, `"token":7`), "page.token must be a string")

	// order of members and white space are no difference
	same := `{"context": {"b": 2, "a": 1}, "resource":{"id":"record-1","type":"record"},"action":{"name":"read"},"subject":{"type":"user"}}`
	if _, names := w.search(pathSubjects, page(same, with(token)+`,"limit":1`)); !slices.Equal(names, []string{"bob"}) {
		t.Errorf("second page %q", names)
	}

	var other string
	w.update(func(tx *store.Tx) error {
		scope, err := tx.Scopes.Find(clientID)
		if err != nil {
			return err
		}
		var hash model.SecretHash
		other, hash = w.secrets.New(noon)
		scope.ClientID, scope.Name, scope.Secrets = "AUTHZENOTHER00000001", "other", []model.SecretHash{hash}
		_, err = tx.Scopes.Put(scope)
		return err
	})
	if got := w.post(pathSubjects, page(body, with(token)), "X-Client-Id", "AUTHZENOTHER00000001", "X-Client-Secret", other); got.status != 400 || got.body != "invalid page token" {
		t.Errorf("another scope: %d %s", got.status, got.body)
	}
	w.mu.Lock()
	w.now = noon.Add(time.Hour + time.Second)
	w.mu.Unlock()
	bad(pathSubjects, page(body, with(token)), "invalid page token")
}

// TestSearchIsEvaluation is az-07: what a search finds evaluates to true, what it leaves out to false. And az-11: an
// evaluation is what permit-deny answers to the translated request.
func TestSearchIsEvaluation(t *testing.T) {
	w := newWorld(t)
	w.putPeople(6)
	permits := runtime.Handler(runtime.Options{Service: w.service, Directory: w.directory, Log: w.quiet()})
	var users, paths []string
	for i := range 6 {
		users, paths = append(users, fmt.Sprintf("p%02d", i)), append(paths, fmt.Sprintf("r%02d", i))
	}
	users, paths = append(users, "alice", "bob", "nobody"), append(paths, "record-1", "record-2", "nothing")
	actions := []string{"read", "write", "delete", "fly"}
	rapid.Check(t, func(t *rapid.T) {
		q := translated{
			user: rapid.SampledFrom(users).Draw(t, "user"), path: rapid.SampledFrom(paths).Draw(t, "path"), action: rapid.SampledFrom(actions).Draw(t, "action"),
			role:   rapid.SampledFrom([]string{"", `"admin"`, `["admin","x"]`, `[]`}).Draw(t, "role"),
			status: rapid.SampledFrom([]string{"", `"active"`, `["archived"]`, `[]`}).Draw(t, "status"),
			soft:   rapid.SampledFrom([]string{"", "true", `"true"`, "[false]", "false"}).Draw(t, "soft"),
		}
		allowed := w.allows(q)
		got := httpAsk(permits, w.credentials(), q.permitDeny())
		if permit := strings.HasPrefix(got, `{"result":"PERMIT"`); permit != allowed {
			t.Fatalf("%s: %t, permit-deny %s", q.evaluation(), allowed, got)
		}
		for path, candidates := range map[string][]string{pathSubjects: users, pathResources: paths, pathActions: actions} {
			if path == pathActions {
				q.soft = "" // it searches without properties of actions
			}
			_, found := w.search(path, q.evaluation())
			for _, c := range candidates {
				one := q
				switch path {
				case pathSubjects:
					one.user = c
				case pathResources:
					one.path = c
				default:
					one.action = c
				}
				if want := w.allows(one); slices.Contains(found, c) != want {
					t.Fatalf("%s %s: found %q, %s evaluates to %t", path, q.evaluation(), found, c, want)
				}
			}
		}
	})
}

// translated is one question in the words of both APIs (authzen.md 11.4).
type translated struct{ user, action, path, role, status, soft string }

func property(name, value string) string {
	if value == "" {
		return "{}"
	}
	return fmt.Sprintf(`{%q:%s}`, name, value)
}

func (q translated) evaluation() string {
	return fmt.Sprintf(`{"subject":{"type":"user","id":%q,"properties":%s},"action":{"name":%q,"properties":%s},"resource":{"type":"record","id":%q,"properties":%s}}`,
		q.user, property("role", q.role), q.action, property("soft", q.soft), q.path, property("status", q.status))
}

func (q translated) permitDeny() string {
	return fmt.Sprintf(`{"entityTypeId":"user","entityId":%q,"entityAttributes":%s,"environment":%s,"listOfResources":[{"resourceType":"record","resources":[{"path":%q,"action":%q,"assetAttributes":%s}]}]}`,
		q.user, property("role", q.role), property("action.soft", q.soft), q.path, q.action, property("status", q.status))
}

func (w *world) allows(q translated) bool {
	w.t.Helper()
	switch got := w.post(pathEvaluation, q.evaluation()); got.body {
	case `{"decision":true}`:
		return true
	case `{"decision":false}`:
		return false
	default:
		w.t.Fatalf("%s: %d %s", q.evaluation(), got.status, got.body)
		return false
	}
}

// httpAsk asks permit-deny; an unknown identity is an error there, which is no permit.
func httpAsk(h http.Handler, header http.Header, body string) string {
	r := newRequest("/api/runtime/permit-deny/v3", body, header)
	w := newRecorder()
	h.ServeHTTP(w, r)
	return w.Body.String()
}

// TestPageSizes: authzen.md 9, 15: a page has at most as many results as the server's settings say, whether its size was asked for or
// not; an answer that is not the whole set says so.
func TestPageSizes(t *testing.T) {
	const body = `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record"}}`
	for _, tt := range []struct{ size, most, asked, want int }{{3, 5, -1, 3}, {3, 2, -1, 2}, {3, 5, 7, 5}, {100, 100, -1, 8}} {
		w := newWorld(t, func(o *Options) { o.PageSize, o.PageMax = tt.size, tt.most })
		w.putPeople(6)
		asked := body
		if tt.asked >= 0 {
			asked = page(body, fmt.Sprintf(`"limit":%d`, tt.asked))
		}
		answer, names := w.search(pathResources, asked)
		whole := tt.want == 8
		if len(names) != tt.want || (answer.Page == nil) != (whole && tt.asked < 0) || answer.Page != nil && (answer.Page.Token == "") != whole {
			t.Errorf("%+v: %d results, page %+v", tt, len(names), answer.Page)
		}
		if !whole { // the next page asks for as many again, in the same words
			if _, names := w.search(pathResources, page(body, fmt.Sprintf(`"token":%q`, answer.Page.Token))); len(names) != min(tt.want, 8-tt.want) {
				t.Errorf("%+v: %d results on the second page", tt, len(names))
			}
		}
	}
}
