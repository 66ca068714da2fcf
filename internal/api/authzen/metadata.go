package authzen

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/api/problem"
)

// metadata is the document of authzen.md 10. It comes from the configuration alone, never from a request.
type metadata struct {
	suffix string // path of the public URL
	body   []byte
	etag   string
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
	b := member([]byte{'{'}, "policy_decision_point", o.PublicURL)
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
	b = append(b, '}')
	sum := sha256.Sum256(b)
	return &metadata{suffix: u.EscapedPath(), body: b, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
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
		incoming.SetID(w, r)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(h.options.MetadataMaxAge.Seconds())))
		w.Header().Set("ETag", m.etag)
		if r.Header.Get("If-None-Match") == m.etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(m.body) // net/http leaves the body of HEAD out
	}
}
