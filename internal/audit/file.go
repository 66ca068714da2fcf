package audit

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/model"
)

// Errors of a required sink.
var (
	ErrFull   = errors.New("the audit queue is full")
	ErrClosed = errors.New("the audit file is closed")
)

// FileOptions configure OpenFile.
type FileOptions struct {
	Required bool // records are written and synced before Record returns
	Queue    int  // records waiting to be written; 0 = 8,192
	Log      *slog.Logger
}

// File is a Sink that appends JSON lines to a file, many records a write. A write that fails leaves no half line behind
// that a reader could take for a record: the next line begins on a line of its own.
type File struct {
	options FileOptions
	file    output
	queue   chan entry
	waiting atomic.Int64 // records in queue
	lost    atomic.Int64
	end     sync.RWMutex // held by writers of queue; Close takes it whole
	closed  bool
	done    chan struct{}
	torn    bool // the last write failed: the file may end inside a line
	failing bool // losses are being logged already
}

// output is the part of *os.File that the sink uses.
type output interface {
	io.WriteCloser
	Sync() error
}

// entry are the records of an answer on their way, with who waits for them.
type entry struct {
	decisions []Decision
	kept      chan error // nil = nobody waits
}

func (e *entry) append(b []byte) []byte {
	for i := range e.decisions {
		b = appendDecision(b, &e.decisions[i])
	}
	return b
}

// OpenFile appends to the file at path, which it makes with mode 0600 when there is none. Close it to write what is
// waiting.
func OpenFile(path string, o FileOptions) (*File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, &model.Error{Kind: model.KindUnavailable, Op: "audit.open", Message: "the audit file cannot be opened", Err: err}
	}
	return newFile(f, o), nil
}

func newFile(out output, o FileOptions) *File {
	if o.Queue <= 0 {
		o.Queue = 8192
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	// torn: what another process left at the end of the file may be half a line
	f := &File{options: o, file: out, queue: make(chan entry, o.Queue), done: make(chan struct{}), torn: true}
	go f.run()
	return f
}

// Lost is how many records could not be kept since the file was opened.
func (f *File) Lost() int64 { return f.lost.Load() }

// Record queues the records of an answer and, when records are required, waits until all are durable. It never waits for room
// in the queue.
func (f *File) Record(ctx context.Context, ds ...Decision) error {
	e := entry{decisions: ds}
	if f.options.Required {
		e.kept = make(chan error, 1)
	}
	if err := f.enqueue(e); err != nil {
		f.lost.Add(int64(len(ds)))
		if !f.options.Required {
			return nil
		}
		return &model.Error{Kind: model.KindUnavailable, Op: "audit.record", Err: err}
	}
	if !f.options.Required {
		return nil
	}
	select {
	case err := <-e.kept:
		return err
	case <-ctx.Done():
		return &model.Error{Kind: model.KindUnavailable, Op: "audit.record", Err: ctx.Err()}
	}
}

func (f *File) enqueue(e entry) error {
	f.end.RLock()
	defer f.end.RUnlock()
	if f.closed {
		return ErrClosed
	}
	n := int64(len(e.decisions))
	waiting := f.waiting.Add(n)
	// An answer may have very many records, and its caller may have left: what bounds the memory behind a slow disk is their
	// number. An answer with more than that is let in alone.
	if waiting <= int64(f.options.Queue) || waiting == n {
		select {
		case f.queue <- e:
			return nil
		default:
		}
	}
	f.waiting.Add(-n)
	return ErrFull
}

// Close writes what waits and closes the file. Records that come later are refused.
func (f *File) Close() error {
	f.end.Lock()
	again := f.closed
	f.closed = true
	f.end.Unlock()
	if !again {
		close(f.queue)
	}
	<-f.done
	if again {
		return nil
	}
	return f.file.Close()
}

// run writes what is queued, a batch at a time, until the queue is closed.
func (f *File) run() {
	defer close(f.done)
	const batchBytes = 256 << 10
	var buf []byte
	var batch []entry
	for e := range f.queue {
		f.waiting.Add(-int64(len(e.decisions)))
		batch, buf = append(batch[:0], e), buf[:0]
		if f.torn {
			buf = append(buf, '\n')
		}
		buf = e.append(buf)
		for more := true; more && len(buf) < batchBytes; {
			select {
			case e, open := <-f.queue:
				if more = open; open {
					f.waiting.Add(-int64(len(e.decisions)))
					batch, buf = append(batch, e), e.append(buf)
				}
			default:
				more = false
			}
		}
		f.finish(batch, f.write(buf))
		clear(batch)
	}
}

func (f *File) write(buf []byte) error {
	_, err := f.file.Write(buf)
	f.torn = err != nil
	if err == nil && f.options.Required {
		err = f.file.Sync()
	}
	return err
}

// finish tells those who wait, and counts and logs losses: once until writing works again.
func (f *File) finish(batch []entry, err error) {
	if err != nil {
		for i := range batch {
			f.lost.Add(int64(len(batch[i].decisions)))
		}
		if !f.failing {
			f.options.Log.Error("audit records are lost", "lost", f.lost.Load(), "error", err)
		}
		err = &model.Error{Kind: model.KindUnavailable, Op: "audit.record", Err: err}
	} else if f.failing {
		f.options.Log.Info("audit records are kept again", "lost", f.lost.Load())
	}
	f.failing = err != nil
	for _, e := range batch {
		if e.kept != nil {
			e.kept <- err
		}
	}
}

// appendDecision writes one line.
func appendDecision(b []byte, d *Decision) []byte {
	b = append(b, `{"time":"`...)
	b = d.Start.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = member(append(b, '"'), "id", d.ID)
	b = member(b, "externalId", d.ExternalID)
	b = member(b, "clientId", string(d.ClientID))
	b = member(b, "environmentId", string(d.Environment))
	b = member(b, "endpoint", d.Endpoint)
	if d.RequestType != "" {
		b = member(b, "requestType", d.RequestType)
	}
	b = append(b, `,"identities":[`...)
	for i, s := range d.Subjects {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"entityTypeId":`...)
		b = quote(b, string(s.Template))
		b = append(member(b, "entityId", s.EntityID), '}')
	}
	b = member(append(b, ']'), "sourceIp", d.SourceIP)
	b = strconv.AppendInt(append(b, `,"status":`...), int64(d.Status), 10)
	b = member(b, "result", d.Result)
	b = appendPolicies(b, d.Policies)
	b = strconv.AppendInt(append(b, `,"revision":`...), int64(d.Revision), 10)
	b = strconv.AppendInt(append(b, `,"durationMs":`...), int64(d.Duration/time.Millisecond), 10)
	if d.SimulatedBy != "" {
		b = member(append(b, `,"simulated":true`...), "simulatedBy", string(d.SimulatedBy))
	}
	return append(b, '}', '\n')
}

func appendPolicies(b []byte, ids []model.PolicyID) []byte {
	if len(ids) == 0 {
		return b
	}
	b = append(b, `,"policies":[`...)
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = quote(b, string(id))
	}
	return append(b, ']')
}

func member(b []byte, name, value string) []byte {
	b = append(b, `,"`...)
	b = append(b, name...)
	b = append(b, `":`...)
	return quote(b, value)
}

// quote writes a JSON string; invalid UTF-8 becomes U+FFFD.
func quote(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}
