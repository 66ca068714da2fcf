package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// logBuffer is a log that a test can read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

type fixture struct {
	*Server
	url  string
	log  *logBuffer
	stop func() error
}

func start(t *testing.T, handler http.HandlerFunc, change func(*Options), limit func(*limits)) *fixture {
	t.Helper()
	log := &logBuffer{}
	o := Options{
		Listeners:       []Listener{{Name: "runtime", Address: "127.0.0.1:0", Handler: handler, Metrics: true}},
		MaxConnections:  100,
		ShutdownTimeout: 5 * time.Second,
		Log:             slog.New(slog.NewJSONHandler(log, nil)),
		AccessLog:       true,
		Clock:           time.Now,
		Ready:           func(context.Context) error { return nil },
		Fail: func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.Error(w, "Internal error", http.StatusInternalServerError)
		},
	}
	if change != nil {
		change(&o)
	}
	s, err := New(o, NewMetrics())
	if err != nil {
		t.Fatal(err)
	}
	if limit != nil {
		limit(&s.limits)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop := sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = stop() })
	return &fixture{Server: s, url: s.URL(0), log: log, stop: stop}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestPanicBeforeAnswer is F1: a defect is an error status, and its cause stays inside.
func TestPanicBeforeAnswer(t *testing.T) {
	f := start(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "999")
		panic("the secret cause")
	}, nil, nil)
	status, text := get(t, f.url+"/x")
	if status != 500 || text != "Internal error\n" {
		t.Errorf("got %d %q", status, text)
	}
	if !strings.Contains(f.log.String(), "the secret cause") {
		t.Error("the cause is not in the log")
	}
}

// TestPanicInsideAnswer is F1 and reliability 1.10: an answer that fails midway is visibly broken.
func TestPanicInsideAnswer(t *testing.T) {
	for name, cause := range map[string]any{"defect": "boom", "abort": http.ErrAbortHandler} {
		t.Run(name, func(t *testing.T) {
			f := start(t, func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, `{"access":[`)
				_ = http.NewResponseController(w).Flush()
				panic(cause)
			}, nil, nil)
			resp, err := http.Get(f.url)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if text, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("the answer %q ended as if it were whole", text)
			}
		})
	}
}

func TestAccessLogHidesQuery(t *testing.T) {
	f := start(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Request-Id", "req-1")
		w.WriteHeader(http.StatusTeapot)
	}, nil, nil)
	get(t, f.url+"/token?clientSecret=canary-1")
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"path":"/token"`, `"status":418`, `"requestId":"req-1"`, `"completed":true`} {
		if !strings.Contains(f.log.String(), want) {
			t.Errorf("no %s in %s", want, f.log)
		}
	}
	if strings.Contains(f.log.String(), "canary") {
		t.Errorf("the query is in the log: %s", f.log)
	}
}

// TestHealth is F4 and F9: not ready while the owner says so, and while the clock is more than a minute behind what it was.
func TestHealth(t *testing.T) {
	var mu sync.Mutex
	now, owner := time.Now(), error(nil)
	f := start(t, http.NotFound, func(o *Options) {
		o.Clock = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
		o.Ready = func(context.Context) error { mu.Lock(); defer mu.Unlock(); return owner }
	}, nil)
	expect := func(want int, change func()) {
		t.Helper()
		mu.Lock()
		change()
		mu.Unlock()
		if status, text := get(t, f.url+"/readyz"); status != want {
			t.Errorf("readyz: %d %s", status, text)
		}
		if status, _ := get(t, f.url+"/healthz"); status != 200 {
			t.Errorf("healthz: %d", status)
		}
	}
	expect(200, func() {})
	expect(503, func() { owner = errors.New("no snapshot") })
	expect(200, func() { owner = nil })
	expect(200, func() { now = now.Add(-59 * time.Second) })
	expect(503, func() { now = now.Add(-2 * time.Second) })
	expect(200, func() { now = now.Add(2 * time.Second) })
	if status, _ := get(t, f.url+"/readyz/x"); status != 404 {
		t.Errorf("a path below readyz: %d", status)
	}
	resp, err := http.Post(f.url+"/readyz", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 405 {
		t.Errorf("POST: %d", resp.StatusCode)
	}
}

// TestClockAlarm is F9: a clock that went back more than a minute raises one alarm, though nobody asks.
func TestClockAlarm(t *testing.T) {
	var now atomic.Int64
	now.Store(time.Now().UnixNano())
	f := start(t, http.NotFound, func(o *Options) { o.Clock = func() time.Time { return time.Unix(0, now.Load()) } }, nil)
	get(t, f.url+"/readyz") // the time is seen
	now.Add(-int64(61 * time.Second))
	jumps := func() bool {
		_, text := get(t, f.url+"/metrics")
		return strings.Contains(text, "\nambit_clock_jumps_total 1\n")
	}
	for deadline := time.Now().Add(time.Minute); !jumps(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no alarm in a minute")
		}
	}
	if !strings.Contains(f.log.String(), "the clock went back") {
		t.Errorf("the log: %s", f.log)
	}
}

func TestMetrics(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /things/{id}", func(http.ResponseWriter, *http.Request) {})
	f := start(t, mux.ServeHTTP, nil, nil)
	get(t, f.url+"/things/1")
	get(t, f.url+"/things/2")
	get(t, f.url+"/elsewhere")
	_, text := get(t, f.url+"/metrics")
	for _, want := range []string{
		`ambit_http_requests_total{listener="runtime",method="GET",route="GET /things/{id}",status="200"} 2`,
		`ambit_http_requests_total{listener="runtime",method="GET",route="other",status="404"} 1`,
		"go_goroutines", "ambit_http_request_duration_seconds_bucket",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in:\n%s", want, text)
		}
	}
}

// TestLongAnswer streams for longer than the read and write limits: only a peer that stops reading is let go.
func TestLongAnswer(t *testing.T) {
	f := start(t, func(w http.ResponseWriter, r *http.Request) {
		for range 12 {
			if r.Context().Err() != nil {
				return
			}
			_, _ = io.WriteString(w, "piece\n")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(50 * time.Millisecond)
		}
	}, nil, func(l *limits) { l.read, l.write = 200*time.Millisecond, 200*time.Millisecond })
	if _, text := get(t, f.url); strings.Count(text, "piece") != 12 {
		t.Errorf("got %q", text)
	}
}

func TestStuckReaderIsLetGo(t *testing.T) {
	ended := make(chan error, 1)
	f := start(t, func(w http.ResponseWriter, _ *http.Request) {
		piece := make([]byte, 64<<10)
		for {
			if _, err := w.Write(piece); err != nil {
				ended <- err
				return
			}
		}
	}, nil, func(l *limits) { l.write = 300 * time.Millisecond })
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("a peer that does not read holds the handler")
	}
}

// upload sends a body piece by piece and returns the status, 0 when the server gave up.
func upload(t *testing.T, url string, pieces int, size int, pause time.Duration) int {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	for range pieces {
		if _, err := io.WriteString(conn, chunk(size)); err != nil {
			return 0
		}
		time.Sleep(pause)
	}
	_, _ = io.WriteString(conn, "0\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func chunk(size int) string {
	const digits = "0123456789abcdef"
	var hex []byte
	for n := size; n > 0; n /= 16 {
		hex = append([]byte{digits[n%16]}, hex...)
	}
	return string(hex) + "\r\n" + strings.Repeat("x", size) + "\r\n"
}

func TestUploads(t *testing.T) {
	read := func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusRequestTimeout)
			return
		}
		time.Sleep(300 * time.Millisecond) // longer than the read limit: what follows the body is not limited by it
		if r.Context().Err() != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}
	short := func(l *limits) { l.read, l.bytesPerSecond = 200*time.Millisecond, 1000 }
	plain := start(t, read, nil, short)
	streaming := start(t, Stream(http.HandlerFunc(read)).ServeHTTP, nil, short)
	cases := []struct {
		name string
		url  string
		size int
		want int
	}{
		{"a quick body outlives the limit", plain.url, 0, 200},
		{"a slow body ends at the limit", plain.url, 500, 408},
		{"a streamed body may go on", streaming.url, 500, 200},
		{"a trickle is no stream", streaming.url, 1, 408},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			pieces := 8
			if c.size == 0 {
				pieces = 0
			}
			if got := upload(t, c.url, pieces, c.size, 60*time.Millisecond); got != c.want && (c.want == 200 || got != 0) {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestHeaderLimit(t *testing.T) {
	f := start(t, func(http.ResponseWriter, *http.Request) {}, nil, nil)
	req, err := http.NewRequestWithContext(t.Context(), "GET", f.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Big", strings.Repeat("x", 40<<10))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 431 {
		t.Errorf("got %d", resp.StatusCode)
	}
}

// TestGracefulStop lets a running request finish, refuses new ones and reports not ready meanwhile.
func TestGracefulStop(t *testing.T) {
	inside, release := make(chan struct{}), make(chan struct{})
	f := start(t, func(w http.ResponseWriter, _ *http.Request) {
		close(inside)
		<-release
		_, _ = io.WriteString(w, "whole")
	}, nil, nil)
	got := make(chan string, 1)
	go func() {
		resp, err := http.Get(f.url)
		if err != nil {
			got <- err.Error()
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		got <- string(text)
	}()
	<-inside
	stopped := make(chan error, 1)
	go func() { stopped <- f.stop() }()
	for f.Ready(t.Context()) == nil {
		time.Sleep(time.Millisecond)
	}
	close(release)
	if text := <-got; text != "whole" {
		t.Errorf("the running request got %q", text)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if _, err := http.Get(f.url); err == nil {
		t.Error("a stopped server answers")
	}
}

func TestStopGivesUp(t *testing.T) {
	inside, release := make(chan struct{}), make(chan struct{})
	f := start(t, func(http.ResponseWriter, *http.Request) { close(inside); <-release },
		func(o *Options) { o.ShutdownTimeout = 50 * time.Millisecond }, nil)
	go func() {
		if resp, err := http.Get(f.url); err == nil {
			resp.Body.Close()
		}
	}()
	<-inside
	if err := f.stop(); err == nil {
		t.Error("an unfinished request is not reported")
	}
	close(release)
}

func TestConnectionLimit(t *testing.T) {
	f := start(t, func(http.ResponseWriter, *http.Request) {}, func(o *Options) { o.MaxConnections = 1 }, nil)
	address := strings.TrimPrefix(f.url, "http://")
	first, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	client := &http.Client{Timeout: 200 * time.Millisecond, Transport: &http.Transport{}}
	if resp, err := client.Get(f.url); err == nil {
		resp.Body.Close()
		t.Error("a second connection is served")
	}
	first.Close()
	client.Timeout = 5 * time.Second
	resp, err := client.Get(f.url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

// certificate writes a self-signed certificate for name and returns its files.
func certificate(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificate(t, dir, "first")
	f := start(t, func(http.ResponseWriter, *http.Request) {}, func(o *Options) { o.Cert, o.Key = cert, key }, nil)
	served := func() string {
		t.Helper()
		conn, err := tls.Dial("tcp", strings.TrimPrefix(f.url, "https://"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if got := served(); got != "first" {
		t.Errorf("got %s", got)
	}
	certificate(t, dir, "second")
	if err := f.Reload(); err != nil || served() != "second" {
		t.Errorf("after the reload: %v", err)
	}
	if err := os.WriteFile(cert, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Reload(); err == nil || served() != "second" {
		t.Errorf("a broken certificate replaced a good one: %v", err)
	}
	old := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}
	if conn, err := tls.Dial("tcp", strings.TrimPrefix(f.url, "https://"), old); err == nil {
		conn.Close()
		t.Error("TLS 1.1 is accepted")
	}
}

func TestAddressInUse(t *testing.T) {
	f := start(t, http.NotFound, nil, nil)
	_, err := New(Options{Listeners: []Listener{{Name: "runtime", Address: strings.TrimPrefix(f.url, "http://")}}}, NewMetrics())
	if err == nil || !strings.Contains(err.Error(), "runtime listener") {
		t.Errorf("got %v", err)
	}
}
