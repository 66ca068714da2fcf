package authzen

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/api/problem"
	"github.com/ambit-authz/ambit/internal/model"
)

// metadata is the document of authzen.md 10. It comes from the configuration alone, never from a request.
type metadata struct {
	options *Options
	suffix  string // path of the public URL
	members []byte // without the braces

	mu     sync.Mutex
	made   document
	signed time.Time // when
}

// document is the metadata as it goes out.
type document struct {
	body []byte
	etag string
}

// newMetadata makes the document; nil when the public URL is none that a caller could be sent to.
func newMetadata(o *Options) *metadata {
	if o.PublicURL == "" {
		o.Log.Info("no AuthZEN metadata: public_url is not set")
		return nil
	}
	u, err := url.Parse(o.PublicURL)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(o.PublicURL, "/") ||
		u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		o.Log.Warn("no AuthZEN metadata: public_url has to be an https URL without query, fragment or slash at the end")
		return nil
	}
	if u.Scheme != "https" {
		o.Log.Warn("the AuthZEN metadata is not conformant: public_url is not https")
	}
	b := member(nil, "policy_decision_point", o.PublicURL)
	endpoints := [][2]string{
		{"access_evaluation_endpoint", pathEvaluation},
		{"access_evaluations_endpoint", pathEvaluations},
		{"search_subject_endpoint", pathSubjects},
		{"search_resource_endpoint", pathResources},
		{"search_action_endpoint", pathActions},
	}
	if o.NoSearch {
		endpoints = endpoints[:2]
	}
	for _, e := range endpoints {
		b = member(append(b, ','), e[0], o.PublicURL+e[1])
	}
	return &metadata{options: o, suffix: u.EscapedPath(), members: b}
}

// signedFor is how long a signature is given out before it is made anew: the key may have changed.
const signedFor = time.Hour

// document is the metadata as it is now.
func (m *metadata) document() (document, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.options.Clock()
	if age := now.Sub(m.signed); m.made.body != nil && (m.options.Sign == nil || age >= 0 && age < signedFor) {
		return m.made, nil
	}
	body := append([]byte{'{'}, m.members...)
	if m.options.Sign != nil {
		claims := member([]byte{'{'}, "iss", m.options.PublicURL)
		claims = append(fmt.Appendf(claims, `,"iat":%d,`, now.Unix()), m.members...)
		text, err := m.options.Sign(append(claims, '}'))
		if err != nil {
			return document{}, &model.Error{Op: "authzen.metadata", Err: err}
		}
		body, m.signed = member(append(body, ','), "signed_metadata", text), now
	}
	body = append(body, '}')
	sum := sha256.Sum256(body)
	m.made = document{body: body, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
	return m.made, nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// metadata answers the document to everybody.
func (h *handler) metadata(m *metadata) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if m == nil {
			h.refuse(w, r, problem.RouteNotFound())
			return
		}
		d, err := m.document()
		if err != nil {
			h.refuse(w, r, err)
			return
		}
		incoming.SetID(w, r)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(h.options.MetadataMaxAge.Seconds())))
		w.Header().Set("ETag", d.etag)
		if r.Header.Get("If-None-Match") == d.etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(d.body) // net/http leaves the body of HEAD out
	}
}
