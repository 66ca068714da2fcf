package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/model"
)

func sample(i int) Decision {
	return Decision{
		ID: fmt.Sprint("id-", i), ExternalID: "x\"<y>", ClientID: "C", Environment: "e", Endpoint: "POST /t",
		Subjects: []Subject{{"Staff", "mreyes"}, {"Device", "d\n1"}}, SourceIP: "192.0.2.1", Status: 200,
		Result: "2 assets", Revision: 7, Start: time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC), Duration: 1999 * time.Microsecond,
	}
}

// RT-28: the columns of a record, word for word.
func TestRecordLine(t *testing.T) {
	const want = `{"time":"2026-03-04T05:06:07.089Z","id":"id-1","externalId":"x\"<y>","clientId":"C","environmentId":"e",` +
		`"endpoint":"POST /t","identities":[{"entityTypeId":"Staff","entityId":"mreyes"},{"entityTypeId":"Device","entityId":"d\n1"}],` +
		`"sourceIp":"192.0.2.1","status":200,"result":"2 assets","revision":7,"durationMs":1}` + "\n"
	d := sample(1)
	if diff := cmp.Diff(want, string(appendDecision(nil, &d))); diff != "" {
		t.Error(diff)
	}
	d.SimulatedBy = "ADMIN" // MG-77: no decision
	simulated := strings.Replace(want, "}\n", `,"simulated":true,"simulatedBy":"ADMIN"}`+"\n", 1)
	if diff := cmp.Diff(simulated, string(appendDecision(nil, &d))); diff != "" {
		t.Error(diff)
	}
	d = sample(1) // authzen.md 11.5
	d.RequestType, d.Policies = "AuthZEN Evaluation", []model.PolicyID{"p\"1", "p2"}
	authZEN := strings.Replace(want, `"endpoint":"POST /t",`, `"endpoint":"POST /t","requestType":"AuthZEN Evaluation",`, 1)
	authZEN = strings.Replace(authZEN, `"result":"2 assets",`, `"result":"2 assets","policies":["p\"1","p2"],`, 1)
	if diff := cmp.Diff(authZEN, string(appendDecision(nil, &d))); diff != "" {
		t.Error(diff)
	}
}

// Every record that was accepted is in the file, whole, once; the file is its owner's alone.
func TestFileKeepsAll(t *testing.T) {
	for _, required := range []bool{true, false} {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		if err := os.WriteFile(path, []byte(`{"half":`), 0o600); err != nil { // left by a crash
			t.Fatal(err)
		}
		f, err := OpenFile(path, FileOptions{Required: required, Queue: 100_000})
		if err != nil {
			t.Fatal(err)
		}
		const writers, each = 8, 200
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					if err := f.Record(context.Background(), sample(w*each+i)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if err := errors.Join(f.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		data, _ := os.ReadFile(path)
		for line := range bytes.Lines(data) {
			if jsontext.Value(line).IsValid() {
				_, id, _ := strings.Cut(string(line), `"id":"`)
				seen[id[:strings.IndexByte(id, '"')]]++
			}
		}
		if len(seen) != writers*each || f.Lost() != 0 {
			t.Errorf("required %v: %d records, lost %d", required, len(seen), f.Lost())
		}
		if err := f.Record(context.Background(), sample(0)); (err != nil) != required {
			t.Errorf("required %v: record after close: %v", required, err)
		}
	}
}

// disk is an output whose writes or syncs fail while broken.
type disk struct {
	mu                   sync.Mutex
	written              bytes.Buffer
	failWrite, failSync  bool
	syncs, syncedThrough int
	block                chan struct{}
}

func (d *disk) Write(b []byte) (int, error) {
	if d.block != nil {
		<-d.block
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failWrite {
		n, _ := d.written.Write(b[:len(b)/2])
		return n, errors.New("no space")
	}
	return d.written.Write(b)
}

func (d *disk) Sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.syncs++
	if d.failSync {
		return errors.New("sync")
	}
	d.syncedThrough = d.written.Len()
	return nil
}

func (d *disk) Close() error { return nil }

// F8: a required record is synced before Record returns; a failing disk is an error of kind unavailable; writing goes on
// on a new line when the disk is back.
func TestRequired(t *testing.T) {
	d := &disk{}
	f := newFile(d, FileOptions{Required: true, Log: slog.New(slog.DiscardHandler)})
	for _, step := range []struct {
		write, sync bool
		wantErr     bool
	}{{}, {write: true, wantErr: true}, {}, {sync: true, wantErr: true}, {}} {
		d.mu.Lock()
		d.failWrite, d.failSync = step.write, step.sync
		d.mu.Unlock()
		err := f.Record(context.Background(), sample(1))
		if (err != nil) != step.wantErr || err != nil && model.KindOf(err) != model.KindUnavailable {
			t.Fatalf("%+v: %v", step, err)
		}
		d.mu.Lock()
		if err == nil && d.syncedThrough != d.written.Len() {
			t.Errorf("%+v: record returned before it was synced", step)
		}
		d.mu.Unlock()
	}
	if f.Lost() != 2 {
		t.Errorf("lost %d", f.Lost())
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	whole := 0
	for line := range bytes.Lines(d.written.Bytes()) {
		if len(line) > 1 && jsontext.Value(line).IsValid() {
			whole++
		}
	}
	if whole != 4 { // three good ones and the one whose sync failed
		t.Errorf("%d whole lines in %s", whole, d.written.String())
	}
}

// F8: the records of one answer are synced once, all of them, and lost together.
func TestTogether(t *testing.T) {
	d := &disk{}
	f := newFile(d, FileOptions{Required: true, Log: slog.New(slog.DiscardHandler)})
	many := make([]Decision, 1000)
	for i := range many {
		many[i] = sample(i)
	}
	if err := f.Record(context.Background(), many...); err != nil || d.syncs != 1 || d.syncedThrough != d.written.Len() {
		t.Errorf("%v, %d syncs", err, d.syncs)
	}
	if lines := bytes.Count(bytes.TrimSpace(d.written.Bytes()), []byte("\n")) + 1; lines != len(many) {
		t.Errorf("%d lines", lines)
	}
	d.failWrite = true
	if err := f.Record(context.Background(), many...); model.KindOf(err) != model.KindUnavailable || f.Lost() != 1000 {
		t.Errorf("%v, lost %d", err, f.Lost())
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// F8: a full queue refuses required records at once and counts the others as lost; nobody waits.
func TestFullQueue(t *testing.T) {
	for _, required := range []bool{true, false} {
		d := &disk{block: make(chan struct{})}
		f := newFile(d, FileOptions{Required: required, Queue: 2, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(context.Background())
		var waiting sync.WaitGroup
		for range 2 + 64 { // more than the queue and any batch that was taken before the disk blocked
			waiting.Go(func() { _ = f.Record(ctx, sample(1)) })
		}
		deadline := time.Now().Add(10 * time.Second)
		for f.Lost() == 0 && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
		if f.Lost() == 0 {
			t.Errorf("required %v: nothing is lost", required)
		}
		cancel()
		waiting.Wait()
		close(d.block)
		_ = f.Close()
	}
}

// heldDisk tells when a write has come and waits to be let on.
type heldDisk struct {
	disk
	come chan struct{}
}

func (d *heldDisk) Write(b []byte) (int, error) {
	d.come <- struct{}{}
	return d.disk.Write(b)
}

// F8: records that wait are bounded by their number, whether an answer has one or a thousand: what waits behind a slow disk stays
// in memory, also where the caller has left. An answer with more than that is kept when nothing else waits.
func TestFullQueueOfMany(t *testing.T) {
	for _, required := range []bool{true, false} {
		d := &heldDisk{disk: disk{block: make(chan struct{})}, come: make(chan struct{}, 100)}
		f := newFile(d, FileOptions{Required: required, Queue: 100, Log: slog.New(slog.DiscardHandler)})
		left, leave := context.WithCancel(context.Background())
		leave()
		record := func(n, lost int) {
			t.Helper()
			before := f.Lost()
			err := f.Record(left, make([]Decision, n)...)
			if full := errors.Is(err, ErrFull); full != (required && lost > 0) || f.Lost()-before != int64(lost) {
				t.Errorf("required %t: %d records: %v, lost %d, want %d", required, n, err, f.Lost()-before, lost)
			}
		}
		record(1, 0)
		<-d.come
		record(101, 0)
		record(1, 1)
		record(1000, 1000)
		d.block <- struct{}{}
		<-d.come
		record(99, 0)
		record(2, 2)
		record(1, 0)
		record(1, 1)
		close(d.block)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if lines := bytes.Count(d.written.Bytes(), []byte(`{"time"`)); lines != 1+101+99+1 {
			t.Errorf("required %t: %d lines", required, lines)
		}
	}
}
