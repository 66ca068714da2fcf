package app

import (
	"log/slog"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/ambit-authz/ambit/docs/api"
	"github.com/ambit-authz/ambit/internal/api/authzen"
	"github.com/ambit-authz/ambit/internal/api/manage"
	"github.com/ambit-authz/ambit/internal/api/problem"
	"github.com/ambit-authz/ambit/internal/api/reference"
	"github.com/ambit-authz/ambit/internal/identity"
)

// form is the error form of a path's family (management-api.md 1.3, runtime-api.md 3.7).
func form(path string) problem.Form {
	switch {
	case authzen.Serves(path):
		return problem.AuthZEN
	case strings.HasPrefix(path, "/api/runtime/5.0/"), strings.HasPrefix(path, "/runtime/5.0/"):
		return problem.Runtime
	case !isManagement(path):
		return problem.Text
	case strings.HasPrefix(path, "/env-mgmt/"), strings.HasPrefix(path, "/policy-mgmt/"):
		return problem.Flat
	}
	return problem.Envelope
}

// isManagement tells the planes apart by path, for when they share a listener.
func isManagement(path string) bool {
	if reference.Serves(path) {
		return true
	}
	if authzen.Serves(path) {
		return false
	}
	for _, prefix := range []string{"/api/1.0/", "/api/2.0/", "/ambit/", "/env-mgmt/", "/policy-mgmt/", "/internal-assets/", "/auth/", "/oauth2/", "/.well-known/"} {
		if strings.HasPrefix(path, prefix) {
			return !strings.HasPrefix(path, "/api/1.0/runtime/") || strings.HasPrefix(path, "/api/1.0/runtime/caches/")
		}
	}
	return false
}

func split(decisions, management http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isManagement(r.URL.Path) {
			management.ServeHTTP(w, r)
			return
		}
		decisions.ServeHTTP(w, r)
	})
}

// withAuthZEN puts the routes of AuthZEN before those of the Runtime API.
func withAuthZEN(decisions, authZEN http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if authzen.Serves(r.URL.Path) {
			authZEN.ServeHTTP(w, r)
			return
		}
		decisions.ServeHTTP(w, r)
	})
}

// fail answers for a handler that panicked.
func fail(log *slog.Logger) func(http.ResponseWriter, *http.Request, error) {
	return func(w http.ResponseWriter, r *http.Request, err error) {
		problem.Writer{Form: form(r.URL.Path), Log: log}.Write(w, r, err)
	}
}

// management is the handler of the management API and of its description.
func (a *App) management(trust identity.Trust) http.Handler {
	calls := manage.Handler(manage.Options{
		Service: a.service, Log: a.options.Log, TempDir: filepath.Join(a.options.Config.Data, uploadDir),
		ClientIP: func(r *http.Request) string { return clientIP(r, trust) },
	})
	if !a.options.Config.APIReference {
		return calls
	}
	return reference.Handler(api.Description(), calls)
}

// clientIP is the caller's address as trusted proxies tell it, for the administration audit and the limit of failed
// logins.
func clientIP(r *http.Request, trust identity.Trust) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return identity.Source(peer.Addr(), r.Header.Values("X-Forwarded-For"), trust).String()
}
