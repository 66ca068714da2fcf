package agree

import (
	"encoding/json"
	"strings"
	"testing"
)

// runtimeEndpoints are those of the Runtime API.
func runtimeEndpoints() []endpoint {
	var out []endpoint
	for _, e := range endpoints() {
		if !isAuthZEN(e.path) {
			out = append(out, e)
		}
	}
	return out
}

// TestOneWire: RT-1, RT-4, RT-18, RT-20, RT-27: under both bases, with and without a slash at the end, every endpoint gives the same
// compact answer with the headers that all answers have.
func TestOneWire(t *testing.T) {
	s := small(t)
	s.header = s.header.Clone()
	s.header.Set("X-Request-Id", "mine")
	for _, e := range endpoints() {
		first := s.call("POST", e.path, e.body)
		paths := []string{e.path}
		if !isAuthZEN(e.path) {
			short := strings.TrimPrefix(e.path, "/api")
			paths = append(paths, short, e.path+"/", short+"/")
		}
		for _, path := range paths {
			a := s.call("POST", path, e.body)
			if a.status != 200 || string(a.body) != string(first.body) {
				t.Errorf("%s: %d %s\nwant %s", path, a.status, a.body, first.body)
			}
			var compact strings.Builder
			if encoder := json.NewEncoder(&compact); encoder.Encode(json.RawMessage(a.body)) != nil || compact.Len() != len(a.body)+1 {
				t.Errorf("%s is not compact: %s", path, a.body)
			}
			for name, want := range map[string]string{
				"Content-Type": "application/json", "Cache-Control": "no-store", "Ambit-Revision": "2", "X-Request-Id": "mine",
				"X-Content-Type-Options": map[bool]string{false: "nosniff"}[isAuthZEN(path)], "Ambit-Stale": "",
			} {
				if got := a.header.Get(name); got != want {
					t.Errorf("%s: %s %q, want %q", path, name, got, want)
				}
			}
			if w := s.call("PUT", path, e.body); w.status != 405 || !strings.Contains(w.header.Get("Allow"), "POST") {
				t.Errorf("PUT %s: %d, Allow %q", path, w.status, w.header.Get("Allow"))
			}
		}
	}
}

// TestOneWireOfErrors: RT-24, RT-25, RT-27: a refusal of every endpoint is problem details for those who ask for them, and has the
// headers of a refusal.
func TestOneWireOfErrors(t *testing.T) {
	s := small(t)
	s.header = s.header.Clone()
	s.header.Set("X-Request-Id", "mine")
	s.header.Set("X-Client-Secret", "wrong")
	s.header.Set("Accept", "text/html;q=0.5, application/problem+json")
	for _, e := range endpoints() {
		a := s.call("POST", e.path, e.body)
		var p struct {
			Title, Detail string
			Status        int
		}
		if err := json.Unmarshal(a.body, &p); err != nil || a.status != 401 || p.Status != 401 || p.Title != "Unauthorized" || p.Detail != "Invalid api key" ||
			a.header.Get("Content-Type") != "application/problem+json" || a.header.Get("X-Error-Id") == "" || a.header.Get("X-Request-Id") != "mine" ||
			!strings.Contains(a.header.Get("WWW-Authenticate"), `Bearer realm="ambit"`) {
			t.Errorf("%s: %v %d %s %v", e.path, err, a.status, a.body, a.header)
		}
	}
}

// TestOptions: RT-29: an assetContext that says anything is refused wherever it can stand; one that says nothing, and the options
// without effect (RT-30), change nothing.
func TestOptions(t *testing.T) {
	s := small(t)
	for _, e := range runtimeEndpoints() {
		first := string(s.call("POST", e.path, e.body).body)
		for member, status := range map[string]int{
			`"assetContext":{"a":["b"]}`: 501, `"assetContext":["b"]`: 501, `"assetContext":"b"`: 501, `"assetContext":true`: 501,
			`"assetContext":{}`: 200, `"assetContext":[]`: 200, `"assetContext":null`: 200, `"assetContext":""`: 200,
			`"calculateCorrelationAttributes":["a"],"prefetch":true,"responseType":"x","includeAttributes":true,"authenticationMethod":"token"`: 200,
			`"skipUnneededOrUnavailableIdentitySources":true,"includePartialIdentitySourcesIndication":"true"`:                                  200,
		} {
			places := []string{strings.Replace(e.body, `{`, `{`+member+`,`, 1)}
			switch e.path {
			case decisionPath:
				places = append(places, strings.Replace(e.body, `"runtimeFineTune":{`, `"runtimeFineTune":{`+member+`,`, 1))
			case policiesPath:
				places = append(places, strings.Replace(e.body, `"data":{`, `"data":{`+member+`,`, 1))
			case permitPath:
				if status == 200 {
					places = append(places, strings.Replace(e.body, `"listOfResources":{`, `"listOfResources":{`+member+`,`, 1))
				}
			}
			for _, body := range places {
				a := s.call("POST", e.path, body)
				if a.status != status || status == 200 && string(a.body) != first || status == 501 && !strings.Contains(string(a.body), "assetContext is not supported") {
					t.Errorf("%s %s: %d %s, want %d %s", e.path, body, a.status, a.body, status, first)
				}
			}
		}
	}
}
