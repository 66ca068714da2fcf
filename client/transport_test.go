package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/client"
)

// Credentials reach no other server: redirects are not followed, also by a client that would.
func TestRedirects(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		t.Error("the other server was asked")
		fmt.Fprint(w, goodPermit)
	}))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		c := hostile(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+r.URL.Path, status) },
			func(o *client.Options) {
				o.HTTPClient = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
			})
		_, err := askPermit(t.Context(), c)
		if refused := (*client.Error)(nil); !errors.As(err, &refused) || refused.Status != status {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// An answer above MaxBytes is an error, however long it goes on.
func TestTooLarge(t *testing.T) {
	endless := func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"response":[{"access":[`)
		for {
			if _, err := w.Write([]byte(`{"path":"acc-1","resourceType":"Accounts","actions":[{"action":"View"}],"entityId":"a","entityTypeId":"b"},`)); err != nil {
				return
			}
		}
	}
	small := func(o *client.Options) { o.MaxBytes = 10_000 }
	for _, q := range questions()[1:4] {
		if says, err := q.ask(t.Context(), hostile(t, endless, small)); says || !errors.Is(err, client.ErrTooLarge) {
			t.Errorf("%s: %t %v", q.name, says, err)
		}
	}
	huge := func(o *client.Options) { o.MaxBytes = math.MaxInt64 }
	if says, err := askPermit(t.Context(), hostile(t, saying(goodPermit), huge)); !says || err != nil {
		t.Error(says, err)
	}
	exact := func(o *client.Options) { o.MaxBytes = int64(len(goodPermit)) }
	if says, err := askPermit(t.Context(), hostile(t, saying(goodPermit), exact)); !says || err != nil {
		t.Error(says, err)
	}
	if says, err := askPermit(t.Context(), hostile(t, saying(goodPermit+" "), exact)); says || !errors.Is(err, client.ErrTooLarge) {
		t.Error(says, err)
	}
}

// A server that does not answer, or not to the end, meets the timeout, and a caller who gives up is let go.
func TestTimeouts(t *testing.T) {
	silent := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that the client is gone
		<-r.Context().Done()
	}
	half := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, goodList[:len(goodList)/2])
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	for name, answer := range map[string]http.HandlerFunc{"silent": silent, "half": half} {
		c := hostile(t, answer, func(o *client.Options) { o.Timeout = 50 * time.Millisecond })
		for _, q := range questions()[:3] {
			if says, err := q.ask(t.Context(), c); says || err == nil || q.name != "Permit" && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %s: %t %v", name, q.name, says, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if says, err := askPermit(ctx, hostile(t, answer)); says || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %t %v", name, says, err)
		}
	}
}

// Nothing is asked twice unless that is wanted, and then only what may pass, and no longer than the timeout.
func TestRetry(t *testing.T) {
	cases := []struct {
		name     string
		status   int // 0 breaks the connection
		after    string
		failures int64
		retry    int
		calls    int64
		permit   bool
	}{
		{"off", 503, "", 1, 0, 1, false},
		{"off, broken connection", 0, "", 1, 0, 1, false},
		{"unavailable", 503, "", 2, 3, 3, true},
		{"gateway", 502, "", 1, 1, 2, true},
		{"limited", 429, "0", 1, 1, 2, true},
		{"limited until", 429, "Mon, 01 Jan 2024 00:00:00 GMT", 1, 1, 2, true},
		{"limited for long", 429, "3600", 1, 5, 1, false},
		{"too often", 503, "", 9, 2, 3, false},
		{"broken connection", 0, "", 1, 1, 2, true},
		{"internal", 500, "", 1, 5, 1, false},
		{"gateway timeout", 504, "", 1, 5, 1, false},
		{"unauthorized", 401, "0", 1, 5, 1, false},
		{"forbidden", 403, "", 1, 5, 1, false},
		{"unusable", 200, "", 1, 5, 1, false},
	}
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			var calls atomic.Int64
			c := hostile(t, func(w http.ResponseWriter, _ *http.Request) {
				switch {
				case calls.Add(1) > x.failures:
					fmt.Fprint(w, goodPermit)
				case x.status == 0:
					panic(http.ErrAbortHandler)
				default:
					w.Header().Set("Retry-After", x.after)
					w.WriteHeader(x.status)
				}
			}, func(o *client.Options) { o.Retry = x.retry })
			says, err := askPermit(t.Context(), c)
			if says != x.permit || (err == nil) != x.permit || calls.Load() != x.calls {
				t.Errorf("%t %v after %d calls", says, err, calls.Load())
			}
		})
	}
}

// The revision of an answer is checked by the client, too.
func TestRevisionOfAnswers(t *testing.T) {
	q := staff("mreyes")
	q.MinRevision = 7
	for revision, good := range map[string]bool{"": false, "6": false, "7": true, "8": true, "-8": false, "8x": false, "99999999999999999999": false} {
		c := over(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Ambit-Min-Revision") != "7" {
				t.Error("the revision was not asked for")
			}
			w.Header().Set("Ambit-Revision", revision)
			fmt.Fprint(w, goodPermit)
		})
		if d, err := c.Permit(t.Context(), q, view); (err == nil) != good || good != (d != nil && d.Permitted) {
			t.Errorf("revision %q: %v %v", revision, d, err)
		}
	}
}

// RT-36, RT-37, RT-40: where credentials travel.
func TestCredentials(t *testing.T) {
	var got http.Header
	keep := func(w http.ResponseWriter, r *http.Request) { got = r.Header; fmt.Fprint(w, goodPermit) }
	from := func(f func(context.Context) (string, error)) func(*client.Options) {
		return func(o *client.Options) { o.ClientSecret, o.TokenSource = "", f }
	}
	secret := hostile(t, keep)
	source := hostile(t, keep, from(func(context.Context) (string, error) { return "app", nil }))
	cases := []struct {
		name                string
		c                   *client.Client
		identity            client.Identity
		secret, auth, other string
	}{
		{"secret", secret, client.Identity{ID: "mreyes"}, hostileSecret, "", ""},
		{"user's token", secret, client.Identity{Token: "user"}, hostileSecret, "Bearer user", ""},
		{"user's token elsewhere", secret, client.Identity{Token: "user", TokenHeader: "X-Identity-Token"}, hostileSecret, "", "user"},
		{"application's token", source, client.Identity{ID: "mreyes"}, "", "Bearer app", ""},
		{"both tokens", source, client.Identity{Token: "user", TokenHeader: "X-Identity-Token"}, "", "Bearer app", "user"},
	}
	for _, x := range cases {
		if _, err := x.c.Permit(t.Context(), client.Query{Identity: x.identity}, view); err != nil {
			t.Fatal(x.name, err)
		}
		if got.Get("X-Client-Id") != "PORTAL" || got.Get("X-Client-Secret") != x.secret || got.Get("Authorization") != x.auth || got.Get("X-Identity-Token") != x.other {
			t.Errorf("%s: %v", x.name, got)
		}
	}
	got = nil
	if _, err := source.Permit(t.Context(), client.Query{Identity: client.Identity{Token: "user"}}, view); err == nil || got != nil {
		t.Error("one header held two tokens")
	}
	lost := errors.New("no token today")
	if _, err := askPermit(t.Context(), hostile(t, keep, from(func(context.Context) (string, error) { return "app", lost }))); !errors.Is(err, lost) || got != nil {
		t.Error("asked with a failing source", err)
	}
	if _, err := askPermit(t.Context(), hostile(t, keep, from(func(context.Context) (string, error) { return "", nil }))); err == nil || got != nil {
		t.Error("asked without a token")
	}
}

// Secrets stand in no error, also if the server sends them back, and in nothing that is printed.
func TestSecretsStayInside(t *testing.T) {
	const token = "eyJhbGciOiJub25lIn0.e30.of-the-user"
	o := client.Options{URL: "http://user:" + hostileSecret + "@127.0.0.1", ClientID: "P", ClientSecret: hostileSecret}
	q := client.Query{Identity: client.Identity{ID: "mreyes", Token: token}}
	_, broken := client.New(o)
	o.URL = "http://127.0.0.1:%zz" + hostileSecret
	_, unreadable := client.New(o)
	echo := hostile(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", r.Header.Get("X-Client-Secret"))
		w.Header().Set("X-Error-Id", r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusBadRequest)
		detail, _ := json.Marshal(fmt.Sprint("\n\x1b[31m", r.Header, strings.Repeat("x", 5000)))
		fmt.Fprintf(w, `{"code":%q,"detail":%s}`, token, detail)
	})
	_, refused := echo.Permit(t.Context(), q, view)
	_, unsent := newClient(t, client.Options{URL: "http://127.0.0.1:1", ClientID: "P", ClientSecret: hostileSecret}).Permit(t.Context(), q, view)
	if broken == nil || unreadable == nil || refused == nil || unsent == nil {
		t.Fatal(broken, unreadable, refused, unsent)
	}
	if text := refused.Error(); len(text) > 2000 || strings.ContainsAny(text, "\n\x1b") || !strings.Contains(text, "[redacted]") {
		t.Errorf("%q", text)
	}
	var out bytes.Buffer
	plain, structured := slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))
	for _, v := range []any{o, &o, q, &q, q.Identity, echo, *echo, broken, unreadable, refused, unsent, struct{ c *client.Client }{echo}, struct{ c client.Client }{*echo}} {
		fmt.Fprintf(&out, "%v %+v %#v %s %q %d\n", v, v, v, v, v, v)
		plain.Info("x", "v", v)
		structured.Info("x", "v", v)
		text, _ := json.Marshal(v)
		out.Write(text)
	}
	for _, hidden := range []string{hostileSecret, token} {
		if i := strings.Index(out.String(), hidden); i >= 0 {
			t.Errorf("a secret was printed: %s", out.String()[max(0, i-300):i+len(hidden)])
		}
	}
	if !strings.Contains(out.String(), "mreyes") || !strings.Contains(echo.String(), "PORTAL") {
		t.Error("nothing else was printed")
	}
}

// What cannot be a server or a credential is refused when the client is made.
func TestNewRefuses(t *testing.T) {
	good := client.Options{URL: "https://ambit.example", ClientID: "P", ClientSecret: "s"}
	change := func(f func(*client.Options)) client.Options {
		o := good
		f(&o)
		return o
	}
	cases := map[string]client.Options{
		"nothing":    {},
		"no id":      change(func(o *client.Options) { o.ClientID = "" }),
		"no secret":  change(func(o *client.Options) { o.ClientSecret = "" }),
		"both":       change(func(o *client.Options) { o.TokenSource = func(context.Context) (string, error) { return "", nil } }),
		"timeout":    change(func(o *client.Options) { o.Timeout = -1 }),
		"bytes":      change(func(o *client.Options) { o.MaxBytes = -1 }),
		"retry":      change(func(o *client.Options) { o.Retry = -1 }),
		"much retry": change(func(o *client.Options) { o.Retry = 11 }),
	}
	for _, address := range []string{
		"ambit.example", "file:///etc/passwd", "https://a:b@ambit.example", "https://ambit.example?x=1", "https://ambit.example#x",
		"https://ambit.example/%zz", "https://ambit.example/?", "https://", "//ambit.example",
	} {
		cases[address] = change(func(o *client.Options) { o.URL = address })
	}
	for name, o := range cases {
		if c, err := client.New(o); c != nil || err == nil {
			t.Errorf("%s: %v %v", name, c, err)
		}
	}
	var path string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { path = r.URL.Path; fmt.Fprint(w, goodPermit) }))
	defer s.Close()
	c := newClient(t, client.Options{URL: s.URL + "/authz/", ClientID: "P", ClientSecret: "s"})
	if _, err := askPermit(t.Context(), c); err != nil || path != "/authz/api/runtime/permit-deny/v3" {
		t.Error(path, err)
	}
}
