// Package reference serves the description of the API: as it is written (OpenAPI 3.1), as JSON, and as a page for
// people that is made from it when somebody first asks for it.
//
// Start at Handler, then New. The answers hold nothing of the server that runs, so they need no credential. The
// page works without scripts, loads nothing from elsewhere, and its policy (CSP) forbids both.
//
// The package must never show anything but the description.
package reference

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"
)

// Reference is the description in its three forms. It is immutable; its methods may be called from many goroutines.
type Reference struct {
	files map[string]file // by path
}

type file struct {
	media string
	text  []byte
	tag   string
	csp   string
}

// The paths that a Reference answers.
const (
	pathYAML = "/openapi.yaml"
	pathJSON = "/openapi.json"
	pathPage = "/docs/api"
)

// noContent is for what is no page: should a browser take it for one, it may do nothing.
const noContent = "default-src 'none'; frame-ancestors 'none'"

// New renders an OpenAPI 3.1 description. The error says where the description is wrong.
func New(description string) (*Reference, error) {
	d, err := parse(description)
	if err != nil {
		return nil, err
	}
	page, csp, err := render(d)
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	var whole any
	if err := yaml.Unmarshal([]byte(description), &whole); err != nil {
		return nil, fmt.Errorf("description: %w", err)
	}
	object, err := json.Marshal(whole)
	if err != nil {
		return nil, fmt.Errorf("description: %w", err)
	}
	return &Reference{files: map[string]file{
		pathYAML: newFile("application/yaml", noContent, []byte(description)),
		pathJSON: newFile("application/json", noContent, object),
		pathPage: newFile("text/html; charset=utf-8", csp, page),
	}}, nil
}

func newFile(media, csp string, text []byte) file {
	sum := sha256.Sum256(text)
	return file{media: media, text: text, tag: `"` + hex.EncodeToString(sum[:16]) + `"`, csp: csp}
}

// Serves tells whether a path is one of a Reference.
func Serves(path string) bool {
	switch strings.TrimSuffix(path, "/") {
	case pathYAML, pathJSON, pathPage:
		return true
	}
	return false
}

// Handler answers the paths of the reference and leaves all others to next. The description is one of the build, and a
// test proves that it can be shown; it panics when it cannot.
func Handler(description string, next http.Handler) http.Handler {
	made := sync.OnceValue(func() *Reference {
		ref, err := New(description)
		if err != nil {
			panic(err)
		}
		return ref
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !Serves(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		made().ServeHTTP(w, r)
	})
}

// ServeHTTP answers the paths that Serves names, and no others.
func (ref *Reference) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ours := ref.files[strings.TrimSuffix(r.URL.Path, "/")]
	if !ours {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", f.csp)
	h.Set("Referrer-Policy", "no-referrer")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	h.Set("Content-Type", f.media)
	h.Set("ETag", f.tag)
	h.Set("Cache-Control", "public, max-age=300")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.text))
}
