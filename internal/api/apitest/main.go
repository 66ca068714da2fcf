package apitest

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
)

// Main runs the tests of a package and tells the exit code. When all of them ran, an operation of the handler's paths that
// no test saw a success of is a failure.
func Main(m *testing.M, checker func() (*Checker, error), handler http.Handler) int {
	flag.Parse()
	code := m.Run()
	if code != 0 || testing.Short() {
		return code
	}
	for _, some := range []string{"test.run", "test.skip", "test.list", "test.fuzz"} {
		if flag.Lookup(some).Value.String() != "" {
			return code
		}
	}
	c, err := checker()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	unproven := c.Unproven(func(path string) bool {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodOptions, path, nil))
		return w.Code == http.StatusMethodNotAllowed // the path is served, and has no such method
	})
	for _, name := range unproven {
		fmt.Fprintf(os.Stderr, "no test sees a success of %s\n", name)
	}
	return min(len(unproven), 1)
}

// Undescribed lists the routes, as "METHOD /path", that the description does not have. Names of parameters do not count.
func (c *Checker) Undescribed(routes []string) []string {
	known := map[string]bool{}
	for name := range c.operations {
		known[anonymous(name)] = true
	}
	var out []string
	for _, route := range routes {
		if !known[anonymous(route)] {
			out = append(out, route)
		}
	}
	return out
}
