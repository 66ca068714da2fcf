package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// maxClockStep is how far the wall clock may go back before answers that depend on time are in doubt (F9).
const maxClockStep = 60 * time.Second

// clockGuard remembers the latest wall clock time that was seen.
type clockGuard struct{ latest atomic.Int64 }

// back is how far now lies before the latest time seen, 0 when it does not.
func (g *clockGuard) back(now time.Time) time.Duration {
	for wall := now.UnixNano(); ; {
		latest := g.latest.Load()
		if wall <= latest {
			return time.Duration(latest - wall)
		}
		if g.latest.CompareAndSwap(latest, wall) {
			return 0
		}
	}
}

func (s *Server) clockError() error {
	if s.clock.back(s.options.Clock()) > maxClockStep {
		return errors.New("the clock went back")
	}
	return nil
}

// watchClock looks at the clock every second, so that a jump is seen even when nobody asks, and alarms once a jump.
func (s *Server) watchClock(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	jumped := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := s.clockError()
		switch {
		case err != nil && !jumped:
			s.options.Log.Error("the clock went back more than a minute; not ready until it has caught up or a restart")
			s.metrics.clockJumps.Inc()
		case err == nil && jumped:
			s.options.Log.Info("the clock has caught up")
		}
		jumped = err != nil
	}
}

// Ready tells why requests cannot be answered now, nil when they can: stopping, a clock that went back, or what the
// owner says.
func (s *Server) Ready(ctx context.Context) error {
	if s.stopping.Load() {
		return errors.New("stopping")
	}
	if err := s.clockError(); err != nil {
		return err
	}
	return s.options.Ready(ctx)
}

// operations serves /healthz, /readyz and, where they belong, /metrics; the listener's handler gets everything else.
func (s *Server) operations(l Listener) http.Handler {
	mux := http.NewServeMux()
	if l.Metrics {
		mux.Handle("GET /metrics", s.metrics.Handler())
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := s.Ready(r.Context()); err != nil {
			s.options.Log.Warn("not ready", "reason", err)
			plain(w, http.StatusServiceUnavailable, "not ready\n")
			return
		}
		plain(w, http.StatusOK, "ready\n")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path := r.URL.Path; path == "/healthz" || path == "/readyz" || path == "/metrics" && l.Metrics {
			mux.ServeHTTP(w, r)
			return
		}
		l.Handler.ServeHTTP(w, r)
	})
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}
