package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"
)

// wrap puts the middleware around a listener's handler, outermost first: count and log, deadlines, recover.
func (s *Server) wrap(l Listener) http.Handler {
	inner := s.recovered(s.operations(l))
	inFlight := s.metrics.inFlight.WithLabelValues(l.Name)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		inFlight.Inc()
		a := &answer{ResponseWriter: w, control: http.NewResponseController(w), limits: &s.limits}
		a.extend()
		r, body := a.watchBody(r)
		completed := false
		defer func() {
			a.extend() // the last bytes leave after the handler has returned
			inFlight.Dec()
			took := time.Since(started)
			s.metrics.observe(l.Name, r, a.code(), took)
			if s.options.AccessLog {
				s.logAccess(l.Name, r, a, body, took, completed)
			}
		}()
		inner.ServeHTTP(a, r)
		completed = true
	})
}

// logAccess writes one line. The query is left out, since GET requests may carry secrets in it (runtime-api.md 3.4).
func (s *Server) logAccess(listener string, r *http.Request, a *answer, b *body, took time.Duration, completed bool) {
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		peer = r.RemoteAddr
	}
	s.options.Log.LogAttrs(context.Background(), slog.LevelInfo, "request", slog.String("listener", listener),
		slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", a.code()),
		slog.Int64("bytesIn", b.bytes), slog.Int64("bytesOut", a.bytes), slog.Int64("microseconds", took.Microseconds()),
		slog.String("peer", peer), slog.String("requestId", a.Header().Get("X-Request-Id")),
		slog.String("errorId", a.Header().Get("X-Error-Id")), slog.Bool("completed", completed))
}

// recovered turns a panic into an error answer when nothing was written yet, else into a broken connection: a short
// answer must never look whole.
func (s *Server) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(http.ErrAbortHandler)
			}
			s.metrics.panics.Inc()
			s.options.Log.Error("panic", "method", r.Method, "path", r.URL.Path, "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
			if a, ok := w.(*answer); ok && a.status != 0 {
				panic(http.ErrAbortHandler)
			}
			for name := range w.Header() {
				w.Header().Del(name)
			}
			s.options.Fail(w, r, fmt.Errorf("panic: %v", cause))
		}()
		next.ServeHTTP(w, r)
	})
}

// answer records what was written and gives every write a deadline of its own, so that an answer of any length can be
// streamed while a peer that stops reading is let go.
type answer struct {
	http.ResponseWriter
	control  *http.ResponseController
	limits   *limits
	status   int
	bytes    int64
	extended time.Time
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader passes the status on and remembers it.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
	}
	a.extend()
	a.ResponseWriter.WriteHeader(status)
}

// Write passes p on.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	a.extend()
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	return n, err
}

func (a *answer) code() int {
	if a.status == 0 {
		return http.StatusOK
	}
	return a.status
}

// extend moves the write deadline, but not for every small write: that would cost more than the write.
func (a *answer) extend() {
	now := time.Now()
	if now.Sub(a.extended) < a.limits.write/8 {
		return
	}
	a.extended = now
	// A connection that cannot set deadlines is one of a test; nothing is lost.
	_ = a.control.SetWriteDeadline(now.Add(a.limits.write))
}

// watchBody counts the body and lifts the read deadline once the body has been read: net/http goes on reading to notice
// a closed connection, and would take the deadline for one while a long answer is being written. The request to go on with
// is a copy: by the body of its own net/http tells, when the answer begins, whether to read the rest of it or to close the
// connection, as after a body that was not asked for (Expect), is too long to wait for or has a broken trailer.
func (a *answer) watchBody(r *http.Request) (*http.Request, *body) {
	b := &body{ReadCloser: r.Body, control: a.control, limits: a.limits}
	if r.Body == nil || r.Body == http.NoBody {
		b.lift()
		return r, b
	}
	r = r.WithContext(r.Context())
	r.Body = b
	return r, b
}

type body struct {
	io.ReadCloser
	control *http.ResponseController
	limits  *limits
	bytes   int64
	started time.Time // set by Stream: the time allowed grows with what has arrived
	ended   bool
}

func (b *body) Read(p []byte) (int, error) {
	if !b.started.IsZero() && !b.ended {
		earned := time.Duration(b.bytes) * time.Second / time.Duration(b.limits.bytesPerSecond)
		_ = b.control.SetReadDeadline(b.started.Add(b.limits.read + earned))
	}
	n, err := b.ReadCloser.Read(p)
	b.bytes += int64(n)
	if errors.Is(err, io.EOF) && !b.ended {
		b.ended = true
		b.lift()
	}
	return n, err
}

func (b *body) lift() { _ = b.control.SetReadDeadline(time.Time{}) }

// Stream lets request bodies for next take longer than the usual limit as long as they arrive at a rate of at least
// 16 KiB a second on the whole: for uploads whose senders are authenticated before the body is read.
func Stream(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b, ok := r.Body.(*body); ok {
			b.started = time.Now()
		}
		next.ServeHTTP(w, r)
	})
}
