// Package server carries HTTP: listeners, TLS, limits, the middleware around every handler, health, metrics and the
// graceful stop. It knows nothing of what the handlers do.
//
// Start at New and Server.Run. It promises that a panic never becomes a short but valid answer, that a slow peer can
// hold a connection only while it makes progress, that query strings and headers never reach the log, and that after a
// stop was asked for running requests are finished before the listeners' owner goes on.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"
)

// limits of the HTTP surface. No setting changes them; tests make them short.
type limits struct {
	readHeader, read time.Duration
	write            time.Duration // for each write, not for the answer
	idle             time.Duration
	headerBytes      int
	bytesPerSecond   int64 // of a body that Stream lets take longer than read
}

func defaultLimits() limits {
	return limits{
		readHeader: 5 * time.Second, read: 15 * time.Second, write: 30 * time.Second, idle: 60 * time.Second,
		headerBytes: 16 << 10, bytesPerSecond: 16 << 10,
	}
}

// Listener is an address with what answers there.
type Listener struct {
	Name    string // in logs and metrics
	Address string // host:port; port 0 = any
	Handler http.Handler
	Metrics bool // serve /metrics here
}

// Options of a Server.
type Options struct {
	Listeners       []Listener
	Cert, Key       string // PEM files; both empty = plain HTTP
	MaxConnections  int    // for each listener
	ShutdownTimeout time.Duration
	Log             *slog.Logger
	AccessLog       bool
	Clock           func() time.Time
	// Ready tells why requests cannot be answered now, nil when they can.
	Ready func(context.Context) error
	// Stopping ends what would not end by itself, until ctx ends: connections that handlers have taken over. nil = nothing.
	Stopping func(ctx context.Context)
	// Fail writes the answer for a handler that panicked before it wrote anything.
	Fail func(http.ResponseWriter, *http.Request, error)
}

// Server serves its listeners until it is stopped. Its methods may be called from many goroutines.
type Server struct {
	options   Options
	limits    limits
	metrics   *Metrics
	clock     clockGuard
	cert      atomic.Pointer[tls.Certificate]
	listeners []net.Listener
	stopping  atomic.Bool
}

// New opens the listeners, so that an address in use is an error here and a request sent after New waits for Run. The
// certificate is read and checked.
func New(o Options, m *Metrics) (*Server, error) {
	s := &Server{options: o, limits: defaultLimits(), metrics: m}
	if o.Cert != "" {
		if err := s.Reload(); err != nil {
			return nil, err
		}
	}
	for _, l := range o.Listeners {
		listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", l.Address)
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("%s listener: %w", l.Name, err)
		}
		s.listeners = append(s.listeners, listener)
	}
	return s, nil
}

// URL is where the n-th listener is reached from this machine.
func (s *Server) URL(n int) string {
	scheme := "http"
	if s.options.Cert != "" {
		scheme = "https"
	}
	host, port, _ := net.SplitHostPort(s.listeners[n].Addr().String())
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// Reload reads the certificate again. On an error the old one stays in use.
func (s *Server) Reload() error {
	if s.options.Cert == "" {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(s.options.Cert, s.options.Key)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	s.cert.Store(&pair)
	return nil
}

// Run serves until ctx ends, then stops: the server is not ready any more, running requests are finished for at most
// ShutdownTimeout, connections are closed. It returns nil after a stop that left no request unfinished.
func (s *Server) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for i, l := range s.options.Listeners {
		hs := s.httpServer(l)
		listener := netutil.LimitListener(s.listeners[i], s.options.MaxConnections)
		group.Go(func() error {
			err := s.serve(hs, listener)
			if errors.Is(err, http.ErrServerClosed) {
				return nil
			}
			return fmt.Errorf("%s listener: %w", l.Name, err)
		})
		group.Go(func() error {
			<-ctx.Done()
			s.stopping.Store(true)
			return s.stop(hs)
		})
	}
	group.Go(func() error {
		s.watchClock(ctx)
		return nil
	})
	return group.Wait()
}

func (s *Server) serve(hs *http.Server, listener net.Listener) error {
	if s.options.Cert == "" {
		return hs.Serve(listener)
	}
	return hs.ServeTLS(listener, "", "")
}

func (s *Server) stop(hs *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.options.ShutdownTimeout)
	defer cancel()
	if s.options.Stopping != nil {
		s.options.Stopping(ctx)
	}
	if err := hs.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("requests were still running after %s: %w", s.options.ShutdownTimeout, err), hs.Close())
	}
	return nil
}

func (s *Server) httpServer(l Listener) *http.Server {
	hs := &http.Server{
		Handler:           s.wrap(l),
		ReadHeaderTimeout: s.limits.readHeader,
		ReadTimeout:       s.limits.read,
		IdleTimeout:       s.limits.idle,
		MaxHeaderBytes:    s.limits.headerBytes,
		ErrorLog:          slog.NewLogLogger(s.options.Log.Handler(), slog.LevelDebug),
	}
	if s.options.Cert != "" {
		hs.TLSConfig = &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.cert.Load(), nil },
		}
	}
	return hs
}

// Close closes the listeners of a server that is not running.
func (s *Server) Close() {
	for _, l := range s.listeners {
		_ = l.Close()
	}
}
