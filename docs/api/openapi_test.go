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

	"github.com/ambit-authz/ambit/internal/api/authzen"
	"github.com/ambit-authz/ambit/internal/api/manage"
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
	return strings.Contains(path, "/token/") || strings.Contains(path, "/permit-deny/") || strings.Contains(path, "/userlist/") || strings.Contains(path, "/runtime/explain/") || strings.Contains(path, "/5.0/") ||
		strings.Contains(path, "/resolution/") || strings.Contains(path, "/runtime/policies/") || strings.HasSuffix(path, "/runtime_health_check")
}

func isOperations(path string) bool {
	return path == "/healthz" || path == "/readyz" || path == "/metrics"
}

func isManagement(path string) bool {
	return !isRuntime(path) && !isOperations(path) && !authzen.Serves(path)
}

// TestHandlersServeWhatIsDescribed asks the handlers themselves: a method that no route has is answered with the list
// of those that the path has. So every route described is served, and no described path has a further method.
func TestHandlersServeWhatIsDescribed(t *testing.T) {
	for _, family := range []struct {
		name    string
		handler http.Handler
		is      func(path string) bool
	}{
		{"runtime", runtime.Handler(runtime.Options{}), isRuntime},
		{"authzen", authzen.Handler(authzen.Options{}), authzen.Serves},
		{"manage", manage.Handler(manage.Options{}), isManagement},
	} {
		t.Run(family.name, func(t *testing.T) {
			want := described(t, family.is)
			if d := cmp.Diff(want, served(t, family.handler, pathsOf(want))); d != "" {
				t.Errorf("described and served differ:\n%s", d)
			}
		})
	}
}

// served lists what the handler serves under the given paths.
func served(t *testing.T, handler http.Handler, paths []string) []string {
	t.Helper()
	var out []string
	for _, path := range paths {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodOptions, path, nil))
		if w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s is described and not served: %d", path, w.Code)
			continue
		}
		for _, method := range strings.Split(w.Header().Get("Allow"), ", ") {
			if method != http.MethodHead {
				out = append(out, method+" "+path)
			}
		}
	}
	slices.Sort(out)
	return out
}

func pathsOf(routes []string) []string {
	var out []string
	for _, r := range routes {
		_, path, _ := strings.Cut(r, " ")
		out = append(out, path)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
