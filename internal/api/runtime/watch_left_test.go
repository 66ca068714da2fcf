package runtime

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/token"
)

// TestWatchFreesItsPlace: a stream that its client has closed makes room at once. The clock stands, so that no
// heartbeat can find out.
func TestWatchFreesItsPlace(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint("TLS ", secure), func(t *testing.T) {
			l := newLiveHarbour(t, func(s *settings) { s.service.Watches = decide.Watches{MaxScope: 2} })
			if secure {
				l.server.Close()
				l.server = httptest.NewTLSServer(l.handler) // of HTTP/1.1
			}
			for range 5 {
				first, _ := l.watch(askMreyes)
				second, _ := l.watch(askMreyes)
				if status, _, _ := l.read("/watch", askMreyes); status != 429 {
					t.Errorf("a third stream: %d", status)
				}
				check(t, first.body.Close())
				check(t, second.body.Close())
				eventually(t, "room", func() bool { return l.service.Watching().Open == 0 })
			}
		})
	}
}

// TestWatchOfATalkerFreesItsPlace: so does one whose client has said something: the body of its request, or another
// request, before the stream is open or after.
func TestWatchOfATalkerFreesItsPlace(t *testing.T) {
	l := newLiveHarbour(t)
	for _, c := range []struct{ header, with, after string }{
		{header: "Content-Length: 3\r\n", with: "abc"},
		{with: "GET / HTTP/1.1\r\n"},
		{after: "x"},
		{after: strings.Repeat("x", 5000)},
		{header: "Content-Length: 9\r\n", with: "abc", after: "def"},
	} {
		conn, err := net.Dial("tcp", l.server.Listener.Addr().String())
		check(t, err)
		_, err = fmt.Fprintf(conn, "GET /api/runtime/token/v3/watch?%s HTTP/1.1\r\nHost: x\r\nX-Client-Id: %s\r\nX-Client-Secret: %s\r\n%s\r\n%s",
			askMreyes, client, l.secret, c.header, c.with)
		check(t, err)
		eventually(t, "a stream", func() bool { return l.service.Watching().Open == 1 })
		_, err = fmt.Fprint(conn, c.after)
		check(t, err)
		check(t, conn.Close())
		eventually(t, fmt.Sprintf("room after %+v", c), func() bool { return l.service.Watching().Open == 0 })
	}
}

// TestWatchOfATalker: a client that sends more than its request is told of changes like any other.
func TestWatchOfATalker(t *testing.T) {
	l := newLiveHarbour(t)
	conn, err := net.Dial("tcp", l.server.Listener.Addr().String())
	check(t, err)
	defer func() { _ = conn.Close() }()
	say := func(text string) {
		t.Helper()
		_, err := fmt.Fprint(conn, text)
		check(t, err)
	}
	hear := func(want string) {
		t.Helper()
		check(t, conn.SetReadDeadline(time.Now().Add(far)))
		text, part := "", make([]byte, 4096)
		for !strings.Contains(text, want) {
			n, err := conn.Read(part)
			if text += string(part[:n]); err != nil {
				t.Fatalf("%v before %q in %q", err, want, text)
			}
		}
	}
	say("GET /api/runtime/token/v3/watch?" + askMreyes + "&resourceTypes=Accounts HTTP/1.1\r\nHost: x\r\nX-Client-Id: " + string(client) + "\r\nX-Client-Secret: " + l.secret + "\r\n\r\n")
	hear("event: ready")
	say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	l.putAsset("acc-4", "Porto", "basic")
	hear("acc-4")
	say(strings.Repeat("x", 20_000))
	l.putAsset("acc-5", "Porto", "basic")
	hear("acc-5")
}

// TestWatchKeysOfIssuers: RT-36 to RT-38, F7: a stream ends when the issuer has withdrawn the key of its token, or has not been
// heard of for an hour. Its keys are fetched once for all streams, and no oftener than for other calls.
func TestWatchKeysOfIssuers(t *testing.T) {
	for _, ofUser := range []bool{true, false} {
		for _, away := range []bool{true, false} {
			t.Run(fmt.Sprintf("of the user %t, away %t", ofUser, away), func(t *testing.T) { watchKeysOfIssuers(t, ofUser, away) })
		}
	}
}

func watchKeysOfIssuers(t *testing.T, ofUser, away bool) {
	i := newIssuer(t)
	var asked, withdrawn atomic.Int64
	published := i.server.Config.Handler
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer asked.Add(1)
		if withdrawn.Load() > 0 {
			fmt.Fprint(w, `{"keys":[]}`)
			return
		}
		published.ServeHTTP(w, r)
	}))
	defer keys.Close()
	trusted := i.settings()
	trusted.JWKSURLs = []string{keys.URL}
	l := newLiveHarbour(t, func(s *settings) {
		var err error
		s.service.Tokens, err = token.NewIncoming(token.IncomingOptions{Client: token.KeyFetch(), Now: s.clock})
		check(t, err)
	})
	query, header := askMreyes, "Authorization: Bearer "
	if ofUser {
		l.changeScope(func(s *model.Scope) { s.JWT = trusted })
		l.match(func(m *model.Matcher) { m.TokenHeader = "X-Identity-Token" })
		query, header = "", "X-Identity-Token: "
	} else {
		l.changeScope(func(s *model.Scope) { s.JWT, s.AuthMethods = trusted, []model.AuthMethod{model.AuthJWT} })
	}
	header += i.sign(t, i.claims("sub", "mreyes", "exp", noon.Add(2000*time.Hour).Unix()))
	streams := make([]*eventStream, 20)
	for n := range streams {
		streams[n], _ = l.watch(query, header)
	}
	for n := range 2 {
		path := fmt.Sprint("good-", n)
		l.putAsset(path, "Porto", "basic")
		for _, s := range streams {
			if e := s.next(); e.name != "change" || !strings.Contains(e.data, path) {
				t.Fatalf("%+v", e)
			}
		}
		l.advance(6 * time.Minute) // after which they are fetched again, behind what is told
	}
	reason := "credentials"
	if away {
		i.down.Store(true)
		reason = "notReady"
	} else {
		withdrawn.Store(1)
	}
	rounds := int64(0)
	eventually(t, "the streams end", func() bool {
		rounds++
		l.putAsset(fmt.Sprint("late-", rounds), "Porto", "basic")
		l.advance(6 * time.Minute)
		return l.service.Watching().Open == 0
	})
	for _, s := range streams {
		s.ended(reason)
	}
	if n := asked.Load(); n > 3+rounds {
		t.Errorf("%d fetches in %d rounds", n, rounds)
	}
}

// TestWatchKeysOfTheServer: authzen.md 3: a stream ends when the server's own key, under which its access token was signed, is
// withdrawn, and at a heartbeat at the latest.
func TestWatchKeysOfTheServer(t *testing.T) {
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		check(t, err)
		return k
	}
	old := key()
	var tokens *token.Tokens
	l := newLiveHarbour(t, func(s *settings) {
		var err error
		tokens, err = token.NewTokens(token.TokenOptions{Key: old, Issuer: "https://ambit.example", Now: s.clock})
		check(t, err)
		s.service.Access = tokens
	})
	var text string
	check(t, l.store.View(t.Context(), harbourID, func(tx *store.Tx) error {
		scope, err := tx.Scopes.Find(client)
		if err == nil {
			text, err = tokens.IssueRuntime(&scope, scope.Secrets[0].ID, time.Hour)
		}
		return err
	}))
	s, _ := l.watch(askMreyes, "X-Client-Secret: ", "Authorization: Bearer "+text)
	other, _ := l.watch(askMreyes)
	retired := []token.RetiredKey{{Public: &old.PublicKey, Until: noon.Add(time.Hour)}}
	check(t, tokens.Use(key(), retired))
	l.advance(16 * time.Second)
	l.putAsset("acc-4", "Porto", "basic")
	for _, s := range []*eventStream{s, other} {
		if e := s.next(); e.name != "change" {
			t.Fatalf("%+v", e)
		}
	}
	check(t, tokens.Use(key(), nil))
	l.advance(16 * time.Second) // nothing is written: the heartbeat finds out
	s.ended("credentials")
	l.putAsset("acc-5", "Porto", "basic")
	if e := other.next(); e.name != "change" {
		t.Errorf("the stream of the secret: %+v", e)
	}
}

// TestWatchOpenedInARound: a stream that is opened while the others are being looked at is never told what was before it: an asset
// that is there, and the next moment not.
func TestWatchOpenedInARound(t *testing.T) {
	var armed atomic.Bool
	begun, goOn := make(chan struct{}), make(chan struct{})
	l := newLiveHarbour(t, func(s *settings) {
		clock := s.clock
		s.clock = func() time.Time {
			at, _, _, _ := runtime.Caller(1)
			if strings.HasSuffix(runtime.FuncForPC(at).Name(), "(*feed).round") && armed.CompareAndSwap(true, false) {
				begun <- struct{}{}
				<-goOn
			}
			return clock()
		}
	})
	l.watch(askMreyes)
	armed.Store(true)
	l.watch(askMreyes) // so that they are looked at now
	select {
	case <-begun:
	case <-time.After(far):
		t.Fatal("nobody looks at the streams")
	}
	l.putAsset("acc-4", "Porto", "basic")
	late, _ := l.watch(askMreyes)
	time.Sleep(20 * time.Millisecond) // it is looked after a moment after it is open
	close(goOn)
	l.putAsset("acc-5", "Porto", "basic")
	if e := late.next(); e.name != "change" || strings.Contains(e.data, "acc-4") || !strings.Contains(e.data, "acc-5") {
		t.Errorf("%+v", e)
	}
}
