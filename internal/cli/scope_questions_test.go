package cli

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

// questionCommands asks what a scope asks: RT-100 (User List), RT-101, RT-102 (Policy List), and what becomes
// of a User Access Token.
func questionCommands(t *testing.T) {
	made := must(t, "", "scopes create --name asker --application workshop")
	for _, m := range regexp.MustCompile(`(AMBIT_\w+)=(\S+)`).FindAllStringSubmatch(made, -1) {
		t.Setenv(m[1], m[2])
	}
	t.Setenv("AMBIT_SAMPLE_USER", "")
	t.Setenv("AMBIT_SAMPLE_TEMPLATE", "")
	must(t, "{\"path\":\"saw\",\"attributes\":{\"team\":\"red\"}}\n{\"path\":\"axe\",\"attributes\":{\"team\":\"blue\"}}\n", "import assets -t Things -")
	put := func(team string) string {
		said := must(t, `{"entityId":"ann","attributes":{"team":["`+team+`"]}}`, "identities put -t Person ann -f -")
		return " --min-revision " + regexp.MustCompile(`revision (\d+)`).FindStringSubmatch(said)[1]
	}
	red := put("red")
	cursor := strings.TrimSpace(must(t, "", "ask ann --cursor"+red))
	follow(t, []step{
		{line: "ask ann --why" + red, out: []string{"Things           saw                          use (Things of the own team)\n", "ann: 1 assets, 1 actions, revision "}},
		{line: "user-list Things:saw" + red, out: []string{"TEMPLATE         USER", "Person           ann                          use\n", "Things:saw: 1 user, revision "}},
		{line: "user-list Things:saw --template Person --action use --json" + red, out: []string{`"entityId":"ann","entityTypeId":"Person","attributes":{"uid":["ann"],"team":["red"]},"actions":[{"action":"use"}]`}},
		{line: "user-list Things:axe --asset-attribute x=y" + red, out: []string{"Things:axe: 0 users, revision "}},
		{line: "user-list Things:axe --asset-attribute x", code: exitUsage, err: []string{"NAME=VALUE", "ambit user-list --help"}},
		{line: "user-list :axe", code: exitUsage, err: []string{"not TYPE:PATH"}},
		{line: "user-list Things:saw --template Robots", code: exitFailed, err: []string{"Identity Templates"}},
		{line: "policy-list ann --asset Things:saw" + red, out: []string{"Allow  Things of the own team (own-things)\n  Things: use\n", "ann, Things:saw: 1 policy, revision "}},
		{line: "policy-list --asset Things:saw" + red, out: []string{"(own-things)", "\nThings:saw: 1 policy"}},
		{line: "policy-list ann --asset Things:axe --json" + red, out: []string{`"policies":[]`}},
		{line: "policy-list", code: exitUsage, err: []string{"nothing to ask about"}},
		{line: "policy-list ann --template Robots", code: exitFailed, err: []string{`asked for is template "Robots"`}},
		{line: "resolution ann --type Things" + red, out: []string{"Things:saw use\n", "ann: 0 filters, 1 asset, revision "}},
		{line: "resolution ann" + red, out: []string{"ann: 0 filters, 0 assets of the types that are isUsedForFiltering (--type names others), revision "}},
		{line: "user-list axe" + red, out: []string{"axe, the type as a whole: 0 users, revision "}},
		{line: "resolution ann --sql-dialect db2", code: exitUsage, err: []string{"postgresql"}},
		{line: "changes ann --since " + cursor, out: []string{"ann: 0 gained, 0 lost, revision "}},
		{line: "changes ann", code: exitUsage, err: []string{"--since"}},
		{line: "changes ann --since 999999", code: exitFailed, err: []string{"; ask for the whole list\n", "!list; ask"}},
	})
	watching(t, cursor, put)
	blue := put("blue")
	follow(t, []step{
		{line: "changes ann --since " + cursor + blue, out: []string{"+ Things:axe  use\n", "- Things:saw  use\n", "ann: 1 gained, 1 lost, revision ", ", cursor "}},
		{line: "changes ann --json --since " + cursor + blue, out: []string{`"gained":[{"path":"axe","attributes":{"team":["blue"],"name":["axe"]`}},
		{line: "identities clear -t Person --yes"},
		{line: "assets clear -t Things --yes"},
	})
}

// watching follows a watch from a cursor on until it is stopped, and one until the server ends it.
func watching(t *testing.T, cursor string, put func(team string) string) {
	t.Helper()
	watch := func(ctx context.Context, args ...string) (lines func() string, ended chan error) {
		r, w := io.Pipe()
		context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })
		command, err := parserFor(t).Parse(append([]string{"watch", "ann"}, args...))
		if err != nil {
			t.Fatal(err)
		}
		ended = make(chan error, 1)
		go func() {
			ended <- command.Selected().Target.Addr().Interface().(*watchCommand).Run(ctx, Streams{Out: w, Err: io.Discard})
		}()
		buffer := make([]byte, 64<<10)
		return func() string {
			n, err := r.Read(buffer)
			if err != nil {
				t.Fatalf("the watch said nothing: %v", err)
			}
			return string(buffer[:n])
		}, ended
	}
	ctx, stop := context.WithCancel(t.Context())
	next, ended := watch(ctx, "--since", cursor)
	if got := next(); !strings.HasPrefix(got, "ann: watching, revision ") {
		t.Errorf("ready: %s", got)
	}
	put("blue")
	if got := next(); !strings.HasPrefix(got, "+ Things:axe  use\n- Things:saw  use\nann: 1 gained, 1 lost, revision ") {
		t.Errorf("change: %s", got)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("a watch that is stopped: %v", err)
	}
	put("red")

	ctx, stop = context.WithCancel(t.Context())
	defer stop()
	next, ended = watch(ctx, "--json")
	if got := next(); !strings.HasPrefix(got, `{"event":"ready","cursor":"`) || !strings.Contains(got, `,"data":{"revision":`) {
		t.Errorf("ready: %s", got)
	}
	must(t, `{"templateMatcher":"$.kind","matcherValue":"person","identityIdMapper":"$.sub"}`, "identity-workspaces matcher set People -f -")
	if got := next(); !strings.HasPrefix(got, `{"event":"end",`) {
		t.Errorf("end: %s", got)
	}
	if err := <-ended; err == nil || err.Error() != "the server ended the watch: settings" {
		t.Errorf("the end: %v", err)
	}
	must(t, "", "identity-workspaces matcher delete People --yes")
}

// TestPrivileges: what Policy Resolution answers, as people read it (RT-91).
func TestPrivileges(t *testing.T) {
	const text = `{"tokenValidity":0,"response":[{"privileges":{"allowed":[
  {"path":"customers.iban","attributes":{},"resourceType":"Columns","actions":[{"action":"Mask"}]},
  {"resourceType":"Rows","actions":[
   {"action":"Read","permission":"P","asset-attributes-filter":{"OR":[
    {"AND":[{"attribute":"country","type":"STRING","operator":"IN","values":["PT","ES"]},{"attribute":"risk","type":"INTEGER","operator":"LESS","values":["3"]}]},
    {"AND":[{"attribute":"owner","type":"STRING","operator":"EQUALS","values":["me"]}]}]}},
   {"action":"Count"},
   {"action":"Edit","asset-attributes-filter":{"OR":[]},"sql":"a = $1","parameters":["x"]},
   {"action":"All","sql":"1 = 1","parameters":[]}]}]}}],"contextData":null}`
	var out bytes.Buffer
	c := resolutionCommand{asking: asking{User: "ann"}}
	if err := c.table(&out, jsontext.NewDecoder(strings.NewReader(text)), "7"); err != nil {
		t.Fatal(err)
	}
	want := `Columns:customers.iban Mask
Rows Read (P)
  where country IN "PT", "ES" AND risk LESS "3"
  or    owner EQUALS "me"
Rows Count
  every row
Rows Edit
  where a = $1
  with  "x"
Rows All
  where 1 = 1
ann: 4 filters, 1 asset, revision 7
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	if err := c.table(&out, jsontext.NewDecoder(strings.NewReader(text[:len(text)/2])), "7"); err == nil {
		t.Error("half an answer is taken")
	}
}

// TestHostileTexts: whatever a server or a file says, it neither steers a terminal nor makes a line of its own that looks like the
// program's.
func TestHostileTexts(t *testing.T) {
	const evil = `\u001b[2J\u009b1m\u202e\nforged`
	answers := map[string]string{
		"/api/1.0/api-key/token":             `{"access_token":"t"}`,
		"/api/runtime/token/v3":              `{"response":[{"access":[{"path":"X","resourceType":"X","actions":[{"action":"X","permission":"X"}]}]}]}`,
		"/api/runtime/userlist/v3":           `{"response":[{"access":[{"entityId":"X","entityTypeId":"X","actions":[{"action":"X"}]}]}]}`,
		"/api/runtime/resolution/v3":         `{"response":[{"privileges":{"allowed":[{"resourceType":"X","actions":[{"action":"X","sql":"X","parameters":["X"]}]}]}}]}`,
		"/api/runtime/policies/v3":           `{"response":[{"policies":[{"permission":"X","permissionId":"X","accessType":"X","resourceTypes":[{"name":"X","actions":["X"]}],"conditions":[{"name":"X","kind":"X","met":true}]}]}]}`,
		"/api/runtime/token/v3/changes":      `{"revision":2,"since":1,"gained":[{"path":"X","resourceType":"X","actions":[{"action":"X"}]}],"lost":[],"changed":[{"path":"X"}]}`,
		"/api/runtime/token/v3/watch":        "event: ready\nid: 1\ndata: {\"revision\":1}\n\nevent: change\nid: 2\ndata: {\"revision\":2,\"gained\":[],\"lost\":[{\"path\":\"X\",\"resourceType\":\"X\",\"actions\":[]}]}\n\nevent: end\ndata: {\"reason\":\"X\"}\n\n",
		"/api/runtime/explain/v1":            `{"simulated":false,"detail":"X","at":"X","remoteIp":"X","identities":[{"entityId":"X","entityTypeId":"X","ignored":["X"]}],"explanations":[{"path":"X","action":"X","template":"X","allowed":false,"reason":"X","message":"X","policies":[{"permissionId":"X","permission":"X","accessType":"X","noGroupFor":["X"],"who":[{"name":"X","failed":{"left":{"side":"X","attribute":"X","values":["X"]},"operator":"X","right":{"values":["X"]}}}]}]}]}`,
		"/ambit/1.0/environments/E/apply":    `{"data":{"committed":true,"summary":{"X":{"created":1}},"items":[{"file":"X","kind":"X","id":"X","warnings":[{"code":"X","message":"X"}]}],"changes":[{"kind":"X","id":"X","result":"X","after":"X"}],"notes":["X"]},"errors":[{"message":"X","file":"X"}]}`,
		"/ambit/1.0/environments/E/impact":   `{"summary":{"identities":1,"gained":1,"lost":0},"notes":["X"]}` + "\n" + `{"entityTypeId":"X","entityId":"X","templateId":"X","path":"X","action":"X","change":"gained","policyIds":["X"]}` + "\n",
		"/ambit/1.0/environments/E/scopes/x": `{"data":{"name":"X"},"warnings":[{"code":"X","message":"X"}]}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[strings.ReplaceAll(r.URL.Path, testEnvironment, "E")]
		if !ok {
			http.Error(w, `{"errors":[{"message":"`+evil+`"}]}`, http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, strings.ReplaceAll(answer, "X", evil))
	}))
	defer server.Close()
	for name, value := range map[string]string{
		"AMBIT_URL": server.URL, "AMBIT_ENV_ID": testEnvironment, "AMBIT_ADMIN_ID": "a", "AMBIT_ADMIN_SECRET": "s",
		"AMBIT_CLIENT_ID": "c", "AMBIT_CLIENT_SECRET": "s", "AMBIT_SAMPLE_USER": "", "AMBIT_SAMPLE_TEMPLATE": "T", "AMBIT_WORKSPACE": "", "AMBIT_IDENTITY_WORKSPACE": "",
	} {
		t.Setenv(name, value)
	}
	for _, line := range []string{
		"ask u --why", "user-list T:a", "resolution u", "policy-list u", "changes u --since 1", "watch u", "why --user T:u --asset T:a",
		"impact --delete p", "apply ../../e2e/testdata/world", "diff ../../e2e/testdata/world", "scopes get x", "scopes update x --name y", "scopes delete x",
		"templates get y",
	} {
		r := command("", line)
		if said := r.out + r.err; !strings.Contains(said, "forged") {
			t.Errorf("%s: the answer was not printed: %q", line, said)
		} else if strings.ContainsAny(said, "\x1b\u009b\u202e") {
			t.Errorf("%s: %q", line, said)
		}
		if lines := strings.Contains(r.out, "\nforged"); lines && !strings.HasPrefix(line, "diff") { // a diff shows lines of texts
			t.Errorf("%s: a line of its own: %q", line, r.out)
		}
	}
}
