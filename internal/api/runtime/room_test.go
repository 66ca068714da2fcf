package runtime

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/api/incoming"
)

// bigHarbour limits bodies to twice what counts as small, so that a few of them fill the room.
func bigHarbour(t *testing.T, patience time.Duration) *harbour {
	h := newHarbour(t, func(s *settings) { s.options.MaxBytes = 2 * incoming.SmallBody })
	h.handler.(*handler).room.Patience = patience
	return h
}

func bigBody() string {
	return `{` + mreyes + `,"assetList":[],"x":"` + strings.Repeat("x", 2*incoming.SmallBody-100) + `"}`
}

// send begins a call and tells when it has ended. A body of unknown length is sent in chunks.
func (h *harbour) send(body io.Reader, length int64, w http.ResponseWriter) (done chan struct{}) {
	r := httptest.NewRequest(http.MethodPost, "/api/runtime/token/v3", body)
	r.ContentLength = length
	r.Header.Set("X-Client-Id", string(client))
	r.Header.Set("X-Client-Secret", h.secret)
	done = make(chan struct{})
	go func() {
		defer close(done)
		h.handler.ServeHTTP(w, r)
	}()
	return done
}

// RT-7, reliability 3 (parser bombs): however many big bodies arrive at once, only so many are in memory; the others are
// told to come again, small ones never wait, and what was admitted is answered.
func TestRoomForBodies(t *testing.T) {
	h := bigHarbour(t, 50*time.Millisecond)
	half, body := 2*incoming.SmallBody-50, bigBody()
	var open []*io.PipeWriter
	var answers []*httptest.ResponseRecorder
	var done []chan struct{}
	for i := range max(incoming.HeldBodies, runtime.GOMAXPROCS(0)/2) {
		r, w := io.Pipe()
		length := int64(len(body))
		if i%2 == 1 {
			length = -1
		}
		answers = append(answers, httptest.NewRecorder())
		done = append(done, h.send(r, length, answers[i]))
		open = append(open, w)
		_, err := io.WriteString(w, body[:half])
		check(t, err)
	}
	h.want(request{body: body}, 503, "Not ready")
	h.want(request{body: `{` + mreyes + `,"assetList":[]}`}, 200, empty)
	for i, w := range open {
		_, err := io.WriteString(w, body[half:])
		check(t, err)
		check(t, w.Close())
		<-done[i]
		if answers[i].Code != 200 || answers[i].Body.String() != empty {
			t.Errorf("admitted call %d: %d %s", i, answers[i].Code, answers[i].Body)
		}
	}
	for range 3 * incoming.HeldBodies {
		h.want(request{body: body}, 200, empty)
	}
}

// stuck is a client that does not read its answer.
type stuck struct {
	*httptest.ResponseRecorder
	writing chan struct{}
	resume  chan struct{}
}

func (s *stuck) Write(b []byte) (int, error) {
	s.writing <- struct{}{}
	<-s.resume
	return s.ResponseRecorder.Write(b)
}

// Reliability 3 (stuck peers): big requests whose clients do not read their answers keep nobody else from being answered.
func TestStuckReadersOfBigRequests(t *testing.T) {
	h := bigHarbour(t, 5*time.Second)
	n := min(max(1, runtime.GOMAXPROCS(0)/2), incoming.HeldBodies-1) // all that may be worked on together
	resume := make(chan struct{})
	var done []chan struct{}
	for range n {
		w := &stuck{httptest.NewRecorder(), make(chan struct{}, 1), resume}
		done = append(done, h.send(strings.NewReader(bigBody()), int64(len(bigBody())), w))
		<-w.writing
	}
	h.want(request{body: bigBody()}, 200, empty)
	close(resume)
	for i := range done {
		<-done[i]
	}
}

// RT-14: an error about a name that fills the body tells the beginning of the name only.
func TestLongNamesInErrors(t *testing.T) {
	h := newHarbour(t)
	for _, name := range []string{strings.Repeat("x", 100_000), strings.Repeat("é", 50_000)} {
		w := h.want(request{body: fmt.Sprintf(`{%s,"contextData":{"%s":{}}}`, mreyes, name)}, 400, "")
		if got := w.Body.String(); len(got) > 300 || !strings.HasPrefix(got, "contextData."+name[:150]) ||
			!strings.HasSuffix(got, "…: must be a list of strings, numbers or booleans") || strings.ContainsRune(got, '\uFFFD') {
			t.Errorf("%d bytes: %.300s", len(got), got)
		}
	}
}

// RT-67: entries without a path stand for whole types; a small request cannot ask for any number of whole types. Entries
// of REQUEST types stand for themselves.
func TestWholeTypes(t *testing.T) {
	h := newHarbour(t)
	list := func(n int, entry string) string {
		return `{` + mreyes + `,"remoteIp":"198.51.100.1","assetList":[` + strings.TrimSuffix(strings.Repeat(entry+",", n), ",") + `]}`
	}
	const accounts = `{"template":"Accounts"}`
	w := h.want(request{body: list(100, accounts)}, 200, "")
	if n := strings.Count(w.Body.String(), `"path":"acc-1"`); n != 100 {
		t.Errorf("acc-1 comes %d times", n)
	}
	h.want(request{body: list(101, accounts)}, 400, "assetList: more than 100 entries without a path")
	w = h.want(request{body: list(300, `{"template":"Loans","assetAttributes":{"branch":"Porto","amount":1}}`)}, 200, "")
	if n := strings.Count(w.Body.String(), `"resourceType":"Loans"`); n != 300 {
		t.Errorf("%d loans", n)
	}
}

// Reliability 3 (stuck peers): calls that wait for a revision, which they may choose, keep no big body and no turn from others.
func TestWaitingHoldsNoRoom(t *testing.T) {
	h := bigHarbour(t, 700*time.Millisecond)
	wait := []string{"Ambit-Min-Revision: 1000", "Ambit-Wait: 1500"}
	inBody := fmt.Sprintf(`{"clientId":%q,"clientSecret":%q,`, client, h.secret) + strings.TrimPrefix(bigBody(), "{")
	var waiting sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		for _, q := range []request{
			{body: bigBody(), headers: wait},
			{body: inBody[:len(inBody)-300] + `"}`, headers: wait, anonymous: true},
			{path: "/api/runtime/explain/v1", body: `{` + mreyes + `}`, headers: wait},
		} {
			waiting.Go(func() {
				if w := h.do(q); w.Code != 503 {
					t.Errorf("revision 1000: %d %s", w.Code, w.Body)
				}
			})
		}
	}
	for range 20 {
		h.want(request{body: bigBody()}, 200, empty)
		h.want(request{path: "/api/runtime/explain/v1", body: `{` + mreyes + `}`}, 200, "")
		time.Sleep(10 * time.Millisecond)
	}
	waiting.Wait()
}
