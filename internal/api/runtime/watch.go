package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/decide"
)

const (
	// eventBuffer is how much of an event is gathered before it is sent.
	eventBuffer = 32 << 10
	// retryAfter is after how many milliseconds a client whose stream has ended opens it again.
	retryAfter = 2000
	// eventTime is how long a client may take to read an event.
	eventTime = 10 * time.Second
)

// lastEventID is the header in which a client names the last event that it has seen.
const lastEventID = "Last-Event-ID"

// watch answers with a stream of server-sent events that tell what becomes of the User Access Token list.
func (x *exchange) watch() error {
	req, show, err := x.changesRequest(lastEventID)
	if err != nil {
		return err
	}
	watch, err := x.call.Watch(x.r.Context(), *req)
	if err != nil {
		return err
	}
	started := false
	defer func() {
		if !started {
			watch.Stop()
		}
	}()
	incoming.SetRevision(x.w, x.call)
	h := x.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no") // a proxy that gathers answers would hold the events back
	e := &events{show: show, timeout: x.h.options.EventTime, left: make(chan struct{})}
	conn, err := e.open(x.w, x.r)
	if err != nil {
		return err
	}
	cursor := watch.Cursor()
	ready := func(s *stream) {
		s.event("ready", cursor)
		s.buf = fmt.Appendf(s.buf, "retry: %d\n", retryAfter)
		s.revision(cursor)
		if watch.Gone() {
			s.event("reset", cursor)
			s.revision(cursor)
		}
	}
	if e.send(ready) != nil {
		e.Close()
		panic(http.ErrAbortHandler) // the answer has begun, and the peer is gone
	}
	started = true
	watch.Start(e)
	if conn != nil {
		go untilClosed(conn, watch.Stop)
		return nil
	}
	select {
	case <-x.r.Context().Done():
		watch.Stop()
		<-e.left // nobody writes any more
	case <-e.left:
	}
	return nil
}

// mostSaid is how often a stream reads what its client says. The client of a watch has nothing to say: this is for a body or a
// request that came after its own.
const mostSaid = 1000

// untilClosed calls gone when the peer has closed the connection. It is all that a stream keeps a goroutine for. What the peer
// says is forgotten. Of one that says more than a little, only a write that fails tells that it has closed the connection.
func untilClosed(conn net.Conn, gone func()) {
	var said [8]byte
	for range mostSaid {
		if n, _ := conn.Read(said[:]); n == 0 {
			gone()
			return
		}
	}
}

// events is an open stream. On a connection of HTTP/1.1 it needs no buffers and next to no stack while nothing is told: the
// connection is taken out of the server's hands.
type events struct {
	out     output
	show    shownPolicies
	timeout time.Duration
	left    chan struct{} // closed by Close
}

// output is where events go.
type output interface {
	io.WriteCloser
	SetWriteDeadline(at time.Time) error
}

// open sends the head of the answer. It gives the connection that is now the stream's own; nil = the handler has to stay for as
// long as the stream is open.
func (e *events) open(w http.ResponseWriter, r *http.Request) (net.Conn, error) {
	control := http.NewResponseController(w)
	if r.ProtoMajor == 1 {
		switch conn, _, err := control.Hijack(); {
		case err == nil:
			var head bytes.Buffer
			head.WriteString("HTTP/1.1 200 OK\r\nConnection: close\r\nDate: " + time.Now().UTC().Format(http.TimeFormat) + "\r\n")
			_ = w.Header().Write(&head) // to memory
			head.WriteString("\r\n")
			e.out = conn
			_ = conn.SetWriteDeadline(time.Now().Add(e.timeout))
			if _, err := conn.Write(head.Bytes()); err != nil {
				_ = conn.Close()
				panic(http.ErrAbortHandler) // there is no connection to answer on
			}
			return conn, nil
		case !errors.Is(err, http.ErrNotSupported):
			return nil, err
		}
	}
	e.out = &shared{w: w, control: control}
	return nil, nil //nolint:nilnil // there is no connection of its own
}

// shared is the output of a stream that others share the connection with (HTTP/2).
type shared struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (s *shared) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	return n, errors.Join(err, s.control.Flush())
}

func (s *shared) SetWriteDeadline(at time.Time) error { return s.control.SetWriteDeadline(at) }

// Close does nothing: the answer ends when its handler returns.
func (s *shared) Close() error { return nil }

// Close ends the stream.
func (e *events) Close() {
	_ = e.out.Close()
	close(e.left)
}

var errReader = errors.New("the reader of the events is gone, or too slow")

// send writes what fill makes, in the time that one event has.
func (e *events) send(fill func(*stream)) (err error) {
	defer func() {
		switch cause := recover(); cause {
		case nil:
		case http.ErrAbortHandler:
			err = errReader
		default:
			panic(cause)
		}
	}()
	if err := e.out.SetWriteDeadline(time.Now().Add(e.timeout)); err != nil {
		return err
	}
	s := &stream{w: e.out, most: eventBuffer}
	fill(s)
	s.send()
	// on a shared connection a deadline ends the stream even when nothing is being written
	return e.out.SetWriteDeadline(time.Time{})
}

// Tell sends one event.
func (e *events) Tell(n *decide.News) error {
	return e.send(func(s *stream) {
		switch n.Kind {
		case decide.NewsBeat:
			// a comment, with the cursor: a client that comes back asks from there
			s.buf = append(s.buf, ":\nid: "...)
			s.buf = append(s.buf, n.Cursor.String()...)
			s.buf = append(s.buf, "\n\n"...)
		case decide.NewsChanges:
			s.event("change", n.Cursor)
			s.buf = append(s.buf, "data: "...)
			s.changes(e.show, n.Changes)
			s.buf = append(s.buf, "\n\n"...)
		case decide.NewsReset:
			s.event("reset", n.Cursor)
			s.revision(n.Cursor)
		case decide.NewsEnd:
			s.event("end", n.Cursor)
			s.member(`data: {"reason":`, n.Reason)
			s.buf = append(s.buf, "}\n\n"...)
		}
	})
}

// event begins an event.
func (s *stream) event(name string, cursor decide.Since) {
	s.buf = append(append(s.buf, "event: "...), name...)
	s.buf = append(append(s.buf, "\nid: "...), cursor.String()...)
	s.buf = append(s.buf, '\n')
}

// revision ends an event that tells a revision.
func (s *stream) revision(cursor decide.Since) {
	s.buf = append(s.buf, `data: {"revision":`...)
	s.buf = strconv.AppendInt(s.buf, int64(cursor.Revision), 10)
	s.buf = append(s.buf, "}\n\n"...)
}
