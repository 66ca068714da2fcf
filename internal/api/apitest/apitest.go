// Package apitest holds answers of the real handlers against the description of the API: every answer that a test of the
// API sees is checked, so that the description cannot promise what the server does not give.
//
// Start at New, then Checker.Check. The package is for tests only.
package apitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/ambit-authz/ambit/docs/api"
)

// Checker knows the description and which operations have been answered with success. Its methods may be called from
// many goroutines.
type Checker struct {
	mux        *http.ServeMux
	operations map[string]*openapi3.Operation // by "METHOD /path"

	mu     sync.Mutex
	proven map[string]bool
}

var parameter = regexp.MustCompile(`\{[^}]*\}`)

// New reads the description of this build.
func New() (*Checker, error) {
	doc, err := openapi3.NewLoader().LoadFromData([]byte(api.Description()))
	if err != nil {
		return nil, err
	}
	c := &Checker{mux: http.NewServeMux(), operations: map[string]*openapi3.Operation{}, proven: map[string]bool{}}
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			name := method + " " + path
			c.operations[name] = operation
			c.mux.Handle(name, http.NotFoundHandler())
		}
	}
	return c, nil
}

// Check tells how an answer differs from the description. Answers to what the description does not have, 405 among them,
// and answers without a body of their own (304, HEAD), are not judged.
func (c *Checker) Check(r *http.Request, status int, header http.Header, body []byte) error {
	plain := r.Clone(r.Context())
	plain.URL.Path = strings.TrimSuffix(plain.URL.Path, "/")
	plain.URL.RawPath = strings.TrimSuffix(plain.URL.RawPath, "/")
	_, name := c.mux.Handler(plain)
	operation := c.operations[name]
	if operation == nil || r.Method == http.MethodHead || status == http.StatusNotModified || status == http.StatusMethodNotAllowed {
		return nil
	}
	response := operation.Responses.Value(strconv.Itoa(status))
	if response == nil {
		return fmt.Errorf("%s: the description has no status %d", name, status)
	}
	if err := checkBody(response.Value, header.Get("Content-Type"), body); err != nil {
		return fmt.Errorf("%s: %d: %w", name, status, err)
	}
	if status < 300 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.proven[name] = true
	}
	return nil
}

func checkBody(response *openapi3.Response, media string, body []byte) error {
	if len(response.Content) == 0 {
		if len(body) > 0 {
			return fmt.Errorf("the description has no body, the answer has %d bytes", len(body))
		}
		return nil
	}
	content, err := find(response.Content, media)
	if err != nil {
		return err
	}
	if base, _, _ := mime.ParseMediaType(media); base != "application/json" && !strings.HasSuffix(base, "+json") || content.Schema == nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return err
	}
	if err := content.Schema.Value.VisitJSON(value, openapi3.EnableJSONSchema2020()); err != nil {
		return fmt.Errorf("%w\nin %.2000s", err, body)
	}
	return nil
}

// find takes the media type whose parameters the answer has all; what it has besides, as charset, does not matter.
func find(contents openapi3.Content, media string) (*openapi3.MediaType, error) {
	base, parameters, err := mime.ParseMediaType(media)
	if err != nil {
		return nil, fmt.Errorf("Content-Type %q: %w", media, err)
	}
	for key, content := range contents {
		b, wanted, err := mime.ParseMediaType(key)
		if err != nil || b != base {
			continue
		}
		fits := true
		for k, v := range wanted {
			fits = fits && parameters[k] == v
		}
		if fits {
			return content, nil
		}
	}
	return nil, fmt.Errorf("the description does not have the media type %s", media)
}

// Unproven lists the operations on paths of a family that no checked answer had success on, as "METHOD /path". Operations
// that are described without success are not among them.
func (c *Checker) Unproven(family func(path string) bool) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for name, operation := range c.operations {
		_, path, _ := strings.Cut(name, " ")
		if family(path) && !c.proven[name] && canSucceed(operation) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func canSucceed(operation *openapi3.Operation) bool {
	for status := range operation.Responses.Map() {
		if strings.HasPrefix(status, "2") {
			return true
		}
	}
	return false
}

// anonymous is a route without the names of its parameters.
func anonymous(route string) string { return parameter.ReplaceAllString(route, "{}") }
