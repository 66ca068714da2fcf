package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/client"
)

const hostileSecret = "a-secret-that-nobody-may-see"

// hostile is a server in the place of Ambit that answers as it likes.
func hostile(t testing.TB, answer http.HandlerFunc, change ...func(*client.Options)) *client.Client {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	o := client.Options{URL: s.URL, ClientID: "PORTAL", ClientSecret: hostileSecret, Timeout: time.Minute}
	for _, f := range change {
		f(&o)
	}
	return newClient(t, o)
}

func saying(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// over is a client that gets one answer, without the cost of a connection.
func over(t testing.TB, answer http.HandlerFunc) *client.Client {
	t.Helper()
	return newClient(t, client.Options{URL: "http://ambit.invalid", ClientID: "PORTAL", ClientSecret: hostileSecret, HTTPClient: &http.Client{
		Transport: transport(func(r *http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			answer(w, r)
			res := w.Result()
			res.Request = r
			return res, nil
		}),
	}})
}

var view = client.Resource{Type: "Accounts", Path: "acc-1", Action: "View"}

const (
	goodPermit = `{"result":"PERMIT","response":[{"allowed":[{"path":"acc-1","action":"View","template":"Accounts"}],"denied":[],"not_applicable":[]}]}`
	goodList   = `{"tokenValidity":0,"response":[{"access":[{"path":"acc-1","attributes":{"tier":["basic"]},"resourceType":"Accounts","actions":[{"action":"View"}]},{"path":"acc-2","resourceType":"Accounts","actions":[{"action":"View"}]}]}],"contextData":null}`
	goodUsers  = `{"tokenValidity":0,"response":[{"access":[{"entityId":"mreyes","entityTypeId":"Staff","actions":[{"action":"View"}]}]}],"contextData":null}`
	goodFilter = `{"tokenValidity":0,"response":[{"privileges":{"allowed":[{"resourceType":"Customers","actions":[{"action":"Read","asset-attributes-filter":{"OR":[{"AND":[{"attribute":"country","type":"STRING","operator":"EQUALS","values":["PT"]}]}]}}]}]}}],"contextData":null}`
	goodPolicy = `{"tokenValidity":0,"response":[{"type":"Identity","entityId":"mreyes","entityTypeId":"Staff","policies":[{"permission":"P","permissionId":"pol-1","description":"","accessType":"Allow","state":"Active","resourceTypes":[],"conditions":[],"customAttributes":{}}]}],"contextData":null}`
)

type asking struct {
	name, good string
	// ask tells whether the answer says anything, and the error.
	ask func(context.Context, *client.Client) (says bool, err error)
}

// questions are all that can be asked, with an answer that is good.
func questions() []asking {
	return []asking{
		{"Permit", goodPermit, askPermit},
		{"AccessList", goodList, func(ctx context.Context, c *client.Client) (bool, error) {
			l, err := c.AccessList(ctx, staff("mreyes"))
			return l != nil, err
		}},
		{"Entries", goodList, func(ctx context.Context, c *client.Client) (bool, error) {
			var last error
			for _, last = range c.Entries(ctx, staff("mreyes")) {
				continue
			}
			return last == nil, last
		}},
		{"Users", goodUsers, func(ctx context.Context, c *client.Client) (bool, error) {
			l, err := c.Users(ctx, client.Query{}, view)
			return l != nil, err
		}},
		{"Filter", goodFilter, func(ctx context.Context, c *client.Client) (bool, error) {
			f, err := c.Filter(ctx, staff("mreyes"))
			return f != nil, err
		}},
		{"Policies", goodPolicy, func(ctx context.Context, c *client.Client) (bool, error) {
			l, err := c.Policies(ctx, staff("mreyes"))
			return l != nil, err
		}},
	}
}

func askPermit(ctx context.Context, c *client.Client) (bool, error) {
	d, err := c.Permit(ctx, staff("mreyes"), view)
	return d != nil && d.Permitted, err
}

// RT-19: the good answers are taken, with status 200 only.
func TestStatus(t *testing.T) {
	for _, q := range questions() {
		if says, err := q.ask(t.Context(), hostile(t, saying(q.good))); !says || err != nil {
			t.Errorf("%s: %t %v", q.name, says, err)
		}
		for _, status := range []int{201, 202, 203, 204, 206, 300, 301, 304, 307, 400, 401, 403, 404, 418, 429, 500, 501, 502, 503, 599} {
			says, err := q.ask(t.Context(), over(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				_, _ = w.Write([]byte(q.good))
			}))
			if refused := (*client.Error)(nil); says || !errors.As(err, &refused) || refused.Status != status {
				t.Errorf("%s: %d: %t %v", q.name, status, says, err)
			}
		}
	}
}

// RT-20: an answer that is cut anywhere is no answer: neither as a shorter document nor by the end of the connection.
func TestCutAnswers(t *testing.T) {
	for _, q := range questions() {
		for n := range len(q.good) {
			if says, err := q.ask(t.Context(), over(t, saying(q.good[:n]))); says || !errors.Is(err, client.ErrAnswer) {
				t.Fatalf("%s: ended after %d bytes: %t %v", q.name, n, says, err)
			}
		}
		for way, answer := range map[string]http.HandlerFunc{
			"short": func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", fmt.Sprint(len(q.good)+1))
				_, _ = w.Write([]byte(q.good))
			},
			"no end of the stream": func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(q.good))
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			},
		} {
			if says, err := q.ask(t.Context(), hostile(t, answer)); says || !errors.Is(err, client.ErrAnswer) {
				t.Errorf("%s: %s: %t %v", q.name, way, says, err)
			}
		}
	}
}

// No answer that is ambiguous, malformed or about something else is taken.
func TestUnusableAnswers(t *testing.T) {
	bodies := map[string][]string{
		"Permit": unusablePermits(), "AccessList": unusableLists(), "Entries": unusableLists(), "Filter": unusableFilters(),
		"Users":    {`{}`, `{"response":[{"access":[{}]}]}`, `{"response":[{"access":[{"entityId":"a","entityId":"mreyes","entityTypeId":"Staff","actions":[]}]}]}`},
		"Policies": {`{}`, `{"response":[]}`, strings.Replace(goodPolicy, "Identity", "Asset", 1), strings.Replace(goodPolicy, "Allow", "Perhaps", 1)},
	}
	for _, q := range questions() {
		for _, body := range bodies[q.name] {
			if says, err := q.ask(t.Context(), over(t, saying(body))); says || !errors.Is(err, client.ErrAnswer) {
				t.Errorf("%s: %s: %t %v", q.name, body, says, err)
			}
		}
	}
}

func unusablePermits() []string {
	const verdict = `{"path":"acc-1","action":"View","template":"Accounts"}`
	answer := func(result, allowed, denied string) string {
		return `{"result":` + result + `,"response":[{"allowed":[` + allowed + `],"denied":[` + denied + `],"not_applicable":[]}]}`
	}
	all := []string{
		``, `null`, `[]`, `"PERMIT"`, `{}`, `{"result":"PERMIT"}`, goodPermit + `{}`, goodPermit + goodPermit, "\ufeff" + goodPermit,
		answer(`"DENY","result":"PERMIT"`, verdict, ``), answer(`"PERMIT","result":"PERMIT"`, verdict, ``), answer(`"DENY","r\u0065sult":"PERMIT"`, verdict, ``),
		strings.Replace(goodPermit, `"result"`, `"Result"`, 1), `{"data":` + goodPermit + `}`,
		answer(`"PERMIT"`, ``, ``), answer(`"PERMIT"`, verdict, verdict), answer(`"PERMIT"`, ``, verdict), answer(`"DENY"`, verdict, ``),
		answer(`"PERMIT"`, verdict+`,`+verdict, ``), answer(`"PERMIT"`, strings.Replace(verdict, "acc-1", "acc-2", 1), ``),
		answer(`"PERMIT"`, strings.Replace(verdict, "View", "view", 1), ``), answer(`"PERMIT"`, strings.Replace(verdict, "Accounts", "Loans", 1), ``),
		answer(`"PERMIT"`, `{"path":"acc-2","path":"acc-1","action":"View","template":"Accounts"}`, ``), answer(`"PERMIT"`, `{}`, ``), answer(`"PERMIT"`, `null`, ``),
		`{"result":"PERMIT","response":[]}`, `{"result":"PERMIT","response":[{"allowed":[` + verdict + `]}]}`,
		strings.Replace(goodPermit, `"denied":[]`, `"denied":[],"denied":[]`, 1), strings.Replace(goodPermit, `acc-1`, "acc-\xff", 1),
		strings.Replace(goodPermit, `"response"`, `"deep":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+`,"response"`, 1),
	}
	for _, word := range []string{`"permit"`, `"Permit"`, `"ALLOW"`, `"PERMIT "`, `true`, `1`, `["PERMIT"]`, `null`, `""`} {
		all = append(all, answer(word, verdict, ``))
	}
	return all
}

func unusableLists() []string {
	all := []string{
		``, `{}`, `{"Response":[]}`, `{"response":null}`, `{"response":{}}`, `{"response":[],"response":[{"access":[]}]}`, `{"response":[{}]}`,
		`{"response":[{"access":[]},{"access":[]}]}`, `{"response":[{"accessToken":"e30.e30.e30"}]}`, goodList + `]`, goodList + "\x00", goodList + "\xff",
	}
	for _, entry := range []string{
		`{}`, `null`, `{"path":"acc-1","resourceType":"Accounts"}`, `{"path":"acc-1","actions":[]}`, `{"resourceType":"Accounts","actions":[]}`,
		`{"path":"acc-9","path":"acc-1","resourceType":"Accounts","actions":[{"action":"View"}]}`,
		`{"path":"acc-1","resourceType":"Accounts","actions":["View"]}`, `{"path":"acc-1","resourceType":"Accounts","actions":[{}]}`,
		`{"path":"acc-1","resourceType":"Accounts","actions":[{"action":"Read","action":"View"}]}`,
	} {
		all = append(all, `{"response":[{"access":[`+entry+`]}]}`)
	}
	return all
}

func unusableFilters() []string {
	all := []string{
		`{}`, `{"response":[]}`, `{"response":[{}]}`, `{"response":[{"privileges":{}}]}`,
		`{"response":[{"privileges":{"allowed":[]}},{"privileges":{"allowed":[]}}]}`, strings.Replace(goodFilter, `"resourceType"`, `"path":"c","resourceType"`, 1),
	}
	filters := []string{`null`, `{}`, `{"OR":[]}`, `[]`, `{"AND":[]}`, `{"OR":[{}]}`, `{"OR":[{"AND":[]}]}`, `{"OR":[{"OR":[]}]}`, `{"OR":[{"AND":[{}]}]}`}
	for _, condition := range []string{
		`{"attribute":"a","type":"STRING","operator":"EQUAL","values":["x"]}`, `{"attribute":"a","type":"STRING","operator":"equals","values":["x"]}`,
		`{"attribute":"a","type":"DATE","operator":"EQUALS","values":["x"]}`, `{"attribute":"a","type":"STRING","operator":"EQUALS","values":[]}`,
		`{"attribute":"a","type":"STRING","operator":"EQUALS","values":["x","y"]}`, `{"attribute":"a","type":"STRING","operator":"IN","values":[]}`,
		`{"attribute":"a","type":"STRING","operator":"EQUALS","values":[1]}`, `{"attribute":"a","type":"STRING","operator":"EQUALS","values":["x"],"not":true}`,
		`{"attribute":"a","type":"STRING","operator":"EQUALS","values":["x"],"values":["y"]}`, `{"type":"STRING","operator":"EQUALS","values":["x"]}`,
	} {
		filters = append(filters, `{"OR":[{"AND":[`+condition+`]}]}`)
	}
	for _, f := range filters {
		all = append(all, `{"response":[{"privileges":{"allowed":[{"resourceType":"Customers","actions":[{"action":"Read","asset-attributes-filter":`+f+`}]}]}}]}`)
	}
	return all
}

// An asset that stands twice, or has no path, is not granted by the list: Can cannot know which is meant.
func TestCanIsCautious(t *testing.T) {
	const entry = `{"path":%q,"resourceType":"Loans","actions":[{"action":"approve"}]}`
	l, err := over(t, saying(fmt.Sprintf(`{"response":[{"access":[`+entry+`,`+entry+`,`+entry+`]}]}`, "", "loan-1", "loan-1"))).AccessList(t.Context(), staff("mreyes"))
	if err != nil || len(l.Entries) != 3 || l.Can("Loans", "", "approve") || l.Can("Loans", "loan-1", "approve") {
		t.Errorf("%+v %v", l, err)
	}
	if (&client.AccessList{}).Can("Loans", "loan-1", "approve") || (*client.AccessList)(nil).Can("Loans", "loan-1", "approve") || (*client.Decision)(nil).Allows("Loans", "loan-1", "approve") {
		t.Error("nothing grants something")
	}
}

// Questions that would be about something else than their caller meant are not sent.
func TestRefusedQuestions(t *testing.T) {
	c := over(t, func(w http.ResponseWriter, _ *http.Request) {
		t.Error("a question was sent")
		w.WriteHeader(http.StatusForbidden)
	})
	change := func(f func(*client.Query)) client.Query {
		q := staff("mreyes")
		f(&q)
		return q
	}
	cases := map[string]client.Query{
		"nobody":             {},
		"template only":      {Identity: client.Identity{Template: "Staff"}},
		"device only":        {Additional: []client.Identity{{ID: "LT-1", Template: "Device"}}},
		"nameless device":    change(func(q *client.Query) { q.Additional = []client.Identity{{Template: "Device"}} }),
		"two tokens":         change(func(q *client.Query) { q.Additional = []client.Identity{{ID: "LT-1", Token: "e30"}} }),
		"no token":           change(func(q *client.Query) { q.Identity.TokenHeader = "X-User" }),
		"the secret's place": change(func(q *client.Query) { q.Identity.Token, q.Identity.TokenHeader = "e30", "x-client-secret" }),
		"no UTF-8":           change(func(q *client.Query) { q.Identity.ID = "mreyes\xff" }),
	}
	for name, q := range cases {
		d, err := c.Permit(t.Context(), q, view)
		if d != nil || err == nil {
			t.Errorf("%s: %v %v", name, d, err)
		}
		if l, err := c.AccessList(t.Context(), q); l != nil || err == nil {
			t.Errorf("%s: %v %v", name, l, err)
		}
	}
	for name, resources := range map[string][]client.Resource{"nothing": nil, "no type": {{Path: "acc-1", Action: "View"}}, "no UTF-8": {{Type: "Accounts", Path: "\xc3"}}} {
		if d, err := c.Permit(t.Context(), staff("mreyes"), resources...); d != nil || err == nil {
			t.Errorf("%s: %v %v", name, d, err)
		}
	}
	lines := change(func(q *client.Query) { q.RequestID = "a\r\nX-Client-Id: b" })
	if d, err := hostile(t, func(http.ResponseWriter, *http.Request) { t.Error("a header was smuggled in") }).Permit(t.Context(), lines, view); d != nil || err == nil {
		t.Errorf("two lines: %v %v", d, err)
	}
	twice := client.Asset{Type: "Accounts", Path: "acc-1"}
	if l, err := c.AccessList(t.Context(), change(func(q *client.Query) { q.Assets = []client.Asset{twice, twice} })); l != nil || err == nil {
		t.Errorf("an asset twice: %v %v", l, err)
	}
}
