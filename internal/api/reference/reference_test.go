package reference

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/ambit-authz/ambit/docs/api"
)

func serve(t *testing.T, description string) http.Handler {
	t.Helper()
	if _, err := New(description); err != nil {
		t.Fatal(err)
	}
	return Handler(description, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
}

func get(t *testing.T, h http.Handler, method, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	text, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Result(), string(text)
}

// The three forms are served with a tag that saves the second transfer; everything else is left to the next handler.
func TestServe(t *testing.T) {
	h := serve(t, api.Description())
	for path, media := range map[string]string{
		"/openapi.yaml": "application/yaml", "/openapi.json": "application/json",
		"/docs/api": "text/html; charset=utf-8", "/docs/api/": "text/html; charset=utf-8",
	} {
		res, text := get(t, h, "GET", path)
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != media || len(text) < 10_000 {
			t.Errorf("%s: %d %v, %d bytes", path, res.StatusCode, res.Header, len(text))
		}
		if res, text = get(t, h, "GET", path, "If-None-Match", res.Header.Get("ETag")); res.StatusCode != 304 || text != "" {
			t.Errorf("%s again: %d, %d bytes", path, res.StatusCode, len(text))
		}
		if res, text = get(t, h, "HEAD", path); res.StatusCode != 200 || text != "" {
			t.Errorf("HEAD %s: %d, %d bytes", path, res.StatusCode, len(text))
		}
		if res, _ = get(t, h, "POST", path); res.StatusCode != 405 || res.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %d %v", path, res.StatusCode, res.Header)
		}
		if !Serves(path) {
			t.Errorf("Serves(%s) is false", path)
		}
	}
	for _, path := range []string{"/", "/docs", "/docs/api/x", "/openapi.yml", "/ambit/1.0/whoami"} {
		if res, _ := get(t, h, "GET", path); res.StatusCode != 418 || Serves(path) {
			t.Errorf("%s: %d, Serves %v", path, res.StatusCode, Serves(path))
		}
	}
	if _, text := get(t, h, "GET", "/openapi.yaml"); text != api.Description() {
		t.Error("the YAML is not what is written")
	}
	var object struct {
		OpenAPI string
		Paths   map[string]map[string]any
	}
	_, text := get(t, h, "GET", "/openapi.json")
	if err := json.Unmarshal([]byte(text), &object); err != nil || object.OpenAPI != "3.1.0" || len(object.Paths) < 20 {
		t.Errorf("JSON: %v, %s, %d paths", err, object.OpenAPI, len(object.Paths))
	}
}

// page reads the page as a browser does.
func page(t *testing.T, description string) (*http.Response, string, []*html.Node) {
	t.Helper()
	res, text := get(t, serve(t, description), "GET", "/docs/api")
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var nodes []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			nodes = append(nodes, n)
		}
	}
	return res, text, nodes
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// The page shows every operation once, each with a command; its ids are unique and its links lead somewhere.
func TestPageIsComplete(t *testing.T) {
	_, text, nodes := page(t, api.Description())
	ids, articles := map[string]bool{}, 0
	for _, n := range nodes {
		if id := attribute(n, "id"); id != "" {
			if ids[id] {
				t.Errorf("the id %s is there twice", id)
			}
			ids[id] = true
		}
		if n.Data == "article" && !strings.HasPrefix(attribute(n, "id"), "schema-") {
			articles++
		}
	}
	for _, n := range nodes {
		if to, local := strings.CutPrefix(attribute(n, "href"), "#"); local && !ids[to] {
			t.Errorf("#%s leads nowhere", to)
		}
	}
	operations := strings.Count(api.Description(), "\n      operationId: ")
	if articles != operations || strings.Count(text, "curl -sg") != operations {
		t.Errorf("%d articles and %d commands for %d operations", articles, strings.Count(text, "curl -sg"), operations)
	}
	if strings.Contains(text, "ZgotmplZ") {
		t.Error("the template refused a value")
	}
}

// The page runs no script, loads nothing, and its policy forbids both.
func TestPageIsSelfContained(t *testing.T) {
	res, _, nodes := page(t, api.Description())
	csp := res.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-") || strings.Contains(csp, "unsafe") {
		t.Errorf("policy %s", csp)
	}
	for _, n := range nodes {
		switch n.Data {
		case "script", "img", "link", "iframe", "object", "form", "base":
			t.Errorf("the page has a %s", n.Data)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src" {
				t.Errorf("%s has %s", n.Data, a.Key)
			}
		}
		if to := attribute(n, "href"); to != "" && !strings.HasPrefix(to, "#") && !strings.HasPrefix(to, "/openapi.") {
			t.Errorf("the page leads to %s", to)
		}
	}
}

const small = `openapi: 3.1.0
info: {title: T, version: '1', summary: S, description: 'Say ` + "`<b>`" + `.'}
tags: [{name: one, description: The one}]
paths:
  /things/{thingId}:
    put:
      operationId: putThing
      tags: [one]
      summary: <script>alert(1)</script>
      security: [{managementToken: []}]
      parameters:
        - {$ref: '#/components/parameters/thingId'}
        - {name: 'filter[authWsId]', in: query, required: true, schema: {type: string}}
      requestBody:
        required: true
        content:
          application/json:
            schema: {$ref: '#/components/schemas/Thing'}
            example: {name: it's, age: 3, at: 2026-01-05T09:00:00Z}
      responses:
        '204': {description: Done}
        '404': {$ref: '#/components/responses/Gone'}
components:
  parameters:
    thingId: {name: thingId, in: path, required: true, schema: {type: string, maxLength: 3}}
  responses:
    Gone: {description: Not there, content: {application/json: {schema: {type: string}}}}
  schemas:
    Thing: {type: object, required: [name], properties: {name: {type: string}, age: {type: [integer, 'null'], minimum: 0}, parts: {type: array, items: {$ref: '#/components/schemas/Thing'}}}}
`

func TestPageOfASmallDescription(t *testing.T) {
	_, text, nodes := page(t, small)
	for _, part := range []string{
		"&lt;script&gt;alert(1)&lt;/script&gt;", "<code>&lt;b&gt;</code>", `<a href="#schema-Thing">Thing</a>`, "integer or null, from 0",
		`<strong>404</strong> Not there`, "list of <a", "at most this many characters: 3",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("the page lacks %s", part)
		}
	}
	want := "curl -sg \\\n  -X PUT \\\n  \"$AMBIT_URL/things/$THING_ID?filter[authWsId]=$AUTH_WS_ID\" \\\n" +
		"  -H \"Authorization: Bearer $TOKEN\" \\\n  -H 'Content-Type: application/json' \\\n" +
		`  -d '{"name":"it'\''s","age":3,"at":"2026-01-05T09:00:00Z"}'`
	for _, n := range nodes {
		if n.Data == "code" && strings.HasPrefix(n.FirstChild.Data, "curl") {
			if n.FirstChild.Data != want {
				t.Errorf("command\n%s\nwant\n%s", n.FirstChild.Data, want)
			}
			return
		}
	}
	t.Error("no command")
}

// A description that cannot be shown is refused, with its line where there is one.
func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, message string }{
		"no YAML":         {"a: [", "line 1"},
		"empty":           {"", "empty"},
		"a lost link":     {strings.Replace(small, "schemas/Thing'}\n", "schemas/Nothing'}\n", 1), `18: #/components/schemas/Nothing leads nowhere`},
		"a circle":        {strings.Replace(small, "Gone: {", "Gone: {$ref: '#/components/responses/Gone'}\n    Lost: {", 1), "circle"},
		"a wrong type":    {strings.Replace(small, "required: true", "required: [1]", 1), "cannot unmarshal"},
		"a foreign file":  {strings.Replace(small, "#/components/responses/Gone", "other.yaml#/x", 1), "leads nowhere"},
		"a list of paths": {strings.Replace(small, "paths:", "paths: []\nx:", 1), "mapping"},
	} {
		if _, err := New(c.text); err == nil || !regexp.MustCompile(c.message).MatchString(err.Error()) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		if _, err := New(api.Description()); err != nil {
			b.Fatal(err)
		}
	}
}

// The contents name every call so that it can be told from the others.
func TestContents(t *testing.T) {
	_, text := get(t, serve(t, api.Description()), "GET", "/docs/api")
	contents, _, _ := strings.Cut(text, "</nav>")
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(`<li><a href="#[^"]*"><span class="method">(.*)</a></li>`).FindAllStringSubmatch(contents, -1) {
		if seen[m[1]] || strings.Contains(m[1], "</span> The same") || strings.Contains(m[1], "</span> Same") {
			t.Errorf("%s: does not say which call it is", m[1])
		}
		seen[m[1]] = true
	}
	if len(seen) < 100 {
		t.Errorf("%d calls", len(seen))
	}
}
