package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// putAccounts replaces the accounts by n of Porto, with names of growing length.
func (h *harbour) putAccounts(n int) {
	h.t.Helper()
	h.update(func(tx *store.Tx) error {
		if _, err := tx.Assets("Accounts").Clear(); err != nil {
			return err
		}
		for i := range n {
			tier := "basic"
			if i%3 == 0 {
				tier = "gold"
			}
			_, err := tx.Assets("Accounts").Put(model.Asset{
				Path: fmt.Sprintf("acc-%06d", i), Name: strings.Repeat("é<", i%40),
				Attributes: model.Attributes{"branch": {"Porto"}, "tier": {tier}, "balance": {fmt.Sprint(i)}},
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// RT-20, reliability 3 (sizes around the buffer): every entry is there, in order, whatever the size of the answer.
func TestAnswerSizes(t *testing.T) {
	h := newHarbour(t)
	for _, n := range []int{1, 200, 291, 292, 293, 294, 295, 2000} {
		h.putAccounts(n)
		w := h.do(request{body: `{` + mreyes + `}`})
		body := w.Body.Bytes()
		if w.Code != 200 || !jsontext.Value(body).IsValid() {
			t.Fatalf("%d accounts: %d, valid %v", n, w.Code, jsontext.Value(body).IsValid())
		}
		rest := body
		for i := range n {
			_, after, ok := bytes.Cut(rest, fmt.Appendf(nil, `{"path":"acc-%06d","attributes":{"branch":["Porto"],`, i))
			if !ok {
				t.Fatalf("%d accounts: number %d is missing", n, i)
			}
			rest = after
		}
		if got := bytes.Count(body, []byte(`"resourceType"`)); got != n {
			t.Errorf("%d accounts: %d entries", n, got)
		}
		if fits := len(body) <= bufferSize-roomForEntry; fits != (w.Header().Get("Content-Length") != "") {
			t.Errorf("%d bytes: Content-Length %q", len(body), w.Header().Get("Content-Length"))
		}
	}
}

// cutOff is a connection that fails after some bytes.
type cutOff struct {
	*httptest.ResponseRecorder
	left int
}

func (c *cutOff) Write(b []byte) (int, error) {
	if len(b) > c.left {
		n, _ := c.ResponseRecorder.Write(b[:c.left])
		c.left = 0
		return n, errors.New("connection reset")
	}
	c.left -= len(b)
	return c.ResponseRecorder.Write(b)
}

// RT-20, F1: an answer that cannot be written whole aborts the connection and never is valid JSON.
func TestBrokenWrite(t *testing.T) {
	h := newHarbour(t)
	h.putAccounts(2000)
	whole := h.do(request{body: `{` + mreyes + `}`}).Body.Len()
	for _, left := range []int{0, 1, 70_000, whole / 2, whole - 1} {
		r := httptest.NewRequest(http.MethodPost, "/api/runtime/token/v3", strings.NewReader(`{`+mreyes+`}`))
		r.Header.Set("X-Client-Id", string(client))
		r.Header.Set("X-Client-Secret", h.secret)
		w := &cutOff{ResponseRecorder: httptest.NewRecorder(), left: left}
		cause := func() (cause any) {
			defer func() { cause = recover() }()
			h.handler.ServeHTTP(w, r)
			return nil
		}()
		if cause != http.ErrAbortHandler || w.Body.Len() != left || jsontext.Value(w.Body.Bytes()).IsValid() {
			t.Errorf("cut after %d: %v, %d bytes", left, cause, w.Body.Len())
		}
	}
}

// The same over a real connection: a client sees the whole answer or an error, chunked or with its length.
func TestOverTheWire(t *testing.T) {
	h := newHarbour(t)
	h.putAccounts(2000)
	server := httptest.NewServer(h.handler)
	defer server.Close()
	want := h.do(request{body: `{` + mreyes + `}`}).Body.Bytes()
	for range 3 {
		r, _ := http.NewRequest(http.MethodPost, server.URL+"/runtime/token/v4", strings.NewReader(`{`+mreyes+`}`))
		r.Header.Set("x-client-id", string(client))
		r.Header.Set("x-client-secret", h.secret)
		answer, err := server.Client().Do(r)
		check(t, err)
		body, err := io.ReadAll(answer.Body)
		check(t, errors.Join(err, answer.Body.Close()))
		if !bytes.Equal(body, want) {
			t.Errorf("%d bytes, want %d", len(body), len(want))
		}
	}
}

// sink is a response that is thrown away.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(int)             {}

// Performance 3, allocation: what an answer allocates does not grow with its entries.
func TestAllocations(t *testing.T) {
	h := newHarbour(t)
	measure := func(n int) float64 {
		h.putAccounts(n)
		return testing.AllocsPerRun(50, func() {
			r := httptest.NewRequest(http.MethodPost, "/api/runtime/token/v3", strings.NewReader(`{`+mreyes+`}`))
			r.Header.Set("X-Client-Id", string(client))
			r.Header.Set("X-Client-Secret", h.secret)
			h.handler.ServeHTTP(&sink{http.Header{}}, r)
			h.records.all = h.records.all[:0]
		})
	}
	small, large := measure(100), measure(3000)
	t.Logf("%.0f allocations for 100 entries, %.0f for 3000", small, large)
	if large > small+60 {
		t.Errorf("%.0f allocations for 100 entries, %.0f for 3000", small, large)
	}
}

// Performance 3, W6: a yes/no question about one pair allocates little more than its request and answer. The bound leaves room
// for the race detector, under which pools lose things.
func TestPermitAllocations(t *testing.T) {
	h := newHarbour(t)
	body := `{` + mreyes + `,"listOfResources":[` + accounts(`{"path":"acc-1","action":"View"}`) + `]}`
	h.want(request{path: permitPath, body: body}, 200, `{"result":"PERMIT"}`)
	n := testing.AllocsPerRun(200, func() {
		r := httptest.NewRequest(http.MethodPost, permitPath, strings.NewReader(body))
		r.Header.Set("X-Client-Id", string(client))
		r.Header.Set("X-Client-Secret", h.secret)
		h.handler.ServeHTTP(&sink{http.Header{}}, r)
		h.records.all = h.records.all[:0]
	})
	t.Logf("%.0f allocations", n)
	if n > 135 {
		t.Errorf("%.0f allocations", n)
	}
}

func BenchmarkToken(b *testing.B) {
	for _, n := range []int{10, 500, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h := newHarbour(b)
			h.putAccounts(n)
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(http.MethodPost, "/api/runtime/token/v3", strings.NewReader(`{`+mreyes+`}`))
				r.Header.Set("X-Client-Id", string(client))
				r.Header.Set("X-Client-Secret", h.secret)
				h.handler.ServeHTTP(&sink{http.Header{}}, r)
				h.records.all = h.records.all[:0]
			}
		})
	}
}
