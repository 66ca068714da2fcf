package authzen

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/api/incoming"
)

func newRequest(path, body string, header http.Header) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header = header
	return r
}

func newRecorder() *httptest.ResponseRecorder { return httptest.NewRecorder() }

// FuzzBody: no body panics or is changed; what is read is JSON; the values of an attribute are UTF-8 and no text is there
// twice; a context never gives a property of the action; errors name no value that was sent (authzen.md 2, 4, 11.2, az-03,
// az-14).
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `[]`, aliceReads, `{"subject":{"type":"user","id":"a","properties":{"a":[1,1.50,true,null,"x","x",{"b":[{"c":1},{"c":2}]}]}}}`,
		`{"context":{"action":{"soft":1},"action.x":2,"ip":"::1","timeZoneOffset":-5.5,"geo":{"land":"PT"},"geo.land":"ES"}}`,
		`{"evaluations":[{},7,{"subject":[]}],"options":{"evaluations_semantic":"deny_on_first_deny"}}`,
		`{"page":{"limit":1e2,"token":"x","properties":{}},"a":{"b":1,"b":2}}`, "{\"a\":\"\xff\"}", `{"subject":{"type":"\ud800"}}`,
	} {
		f.Add([]byte(seed))
	}
	h := Handler(Options{}).(*handler)
	f.Fuzz(func(t *testing.T, body []byte) {
		sent := bytes.Clone(body)
		got, err := incoming.Object(body, known)
		if err != nil {
			return
		}
		if text := bytes.TrimPrefix(body, []byte("\ufeff")); len(bytes.TrimSpace(text)) > 0 && !jsontext.Value(text).IsValid() {
			t.Fatalf("read %q", body)
		}
		r := &reader{fields: got}
		q := r.question()
		r.page()
		r.missing(q)
		e := q.evaluation()
		for name, values := range e.Environment {
			seen := map[string]bool{}
			for _, v := range values {
				if seen[v] || !utf8.ValidString(v) {
					t.Fatalf("values %q", values)
				}
				seen[v] = true
			}
			if q.action == nil && strings.HasPrefix(name, "action.") {
				t.Fatalf("the context gave %q", name)
			}
		}
		if _, err := digestOf(got); err != nil {
			t.Fatalf("digest: %v", err)
		}
		if b, err := h.batch(got); err == nil {
			for range b.each() { //nolint:revive // reading it is the test
			}
		}
		if !bytes.Equal(sent, body) {
			t.Fatal("the body was changed")
		}
	})
}

// Names of nested members are joined: however short they are, their text together stays near that of the body.
func TestManyJoinedNames(t *testing.T) {
	body := []byte(`{"` + strings.Repeat("n", 1000) + `":{`)
	for i := range 10_000 {
		body = fmt.Appendf(body, `"%x":1,`, i)
	}
	body = append(body, `"last":1}}`...)
	if values, ok := readValues(body); ok || len(values) > 1100 {
		t.Errorf("%t: %d names of 1,000 bytes", ok, len(values))
	}
	short := bytes.Replace(body, bytes.Repeat([]byte("n"), 1000), []byte("n"), 1)
	if values, ok := readValues(short); !ok || len(values) != 10_001 {
		t.Errorf("%t: %d short names", ok, len(values))
	}
}

// Defaults with very many values are refused for very many elements, wherever they stand; each alone is answered.
func TestBatchWork(t *testing.T) {
	w := newWorld(t)
	values := `{"v":[` + strings.Repeat("0,", 9_999) + `0],"many":[0`
	for i := range 10_100 {
		values += fmt.Sprintf(",%d", i)
	}
	values += `]}`
	elements := func(n int) string { return `"evaluations":[` + strings.Repeat("{},", n-1) + `{}]` }
	for _, where := range []string{"subject", "action", "resource", "context"} {
		parts := map[string]string{
			"subject": `"subject":{"type":"user","id":"alice"}`, "action": `"action":{"name":"read"}`,
			"resource": `"resource":{"type":"record","id":"record-1"}`, "context": `"context":{}`,
		}
		if parts[where] = strings.TrimSuffix(parts[where], "}") + `,"properties":` + values + `}`; where == "context" {
			parts[where] = `"context":` + values
		}
		body := `{` + parts["subject"] + `,` + parts["action"] + `,` + parts["resource"] + `,` + parts["context"] + `,`
		w.refuses(pathEvaluations, body+elements(1000)+`}`, 400, "evaluations has too many elements for the values of the defaults")
		if got := w.post(pathEvaluations, body+elements(2)+`}`); got.status != 200 {
			t.Errorf("%s: %d", where, got.status)
		}
	}
}
