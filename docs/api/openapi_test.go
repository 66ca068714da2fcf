// Package api holds the OpenAPI description of Ambit and the tests that keep it and the guide true: the description is
// valid and lists the routes that the handlers serve, and what the guide shows can be used.
package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/api/runtime"
)

func load(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestDescriptionIsValid(t *testing.T) {
	if err := load(t).Validate(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// described lists the routes of the description that a family serves, as "METHOD /path". HEAD goes with GET and is not
// listed.
func described(t *testing.T, family func(path string) bool) []string {
	t.Helper()
	var out []string
	for path, item := range load(t).Paths.Map() {
		for method := range item.Operations() {
			if family(path) {
				out = append(out, method+" "+path)
			}
		}
	}
	slices.Sort(out)
	return out
}

func isRuntime(path string) bool {
	return strings.Contains(path, "/token/") || strings.HasSuffix(path, "/runtime_health_check")
}

// TestRuntimeServesWhatIsDescribed asks the handler itself: a method that no route has is answered with the list of
// those that the path has.
func TestRuntimeServesWhatIsDescribed(t *testing.T) {
	handler := runtime.Handler(runtime.Options{})
	want := described(t, isRuntime)
	var got []string
	for _, path := range slices.Compact(pathsOf(want)) {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodOptions, path, nil))
		if w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s is described and not served: %d", path, w.Code)
			continue
		}
		for _, method := range strings.Split(w.Header().Get("Allow"), ", ") {
			if method != http.MethodHead {
				got = append(got, method+" "+path)
			}
		}
	}
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("described and served differ:\n%s", d)
	}
}

func pathsOf(routes []string) []string {
	var out []string
	for _, r := range routes {
		_, path, _ := strings.Cut(r, " ")
		out = append(out, path)
	}
	slices.Sort(out)
	return out
}
