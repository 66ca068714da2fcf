package agree

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/api/authzen"
	"github.com/ambit-authz/ambit/internal/api/runtime"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/store/sqlite"
	"github.com/ambit-authz/ambit/internal/token"
)

const (
	environment model.EnvironmentID = "5d1f8a02-77c3-4b6e-9a10-c4e2b7d90f31"
	client      model.ClientID      = "AGREE000000000000001"
	issuer                          = "https://pdp.agree.example"
)

// stack is a store with the handlers that answer from it. It is for one goroutine.
type stack struct {
	store     *sqlite.Store
	directory *decide.Directory
	runtime   http.Handler
	authzen   http.Handler
	keys      *token.AnswerKeys
	header    http.Header
	now       *atomic.Int64 // in nanoseconds; open watches look at it
	tick      int64         // by how much every look at the clock moves it
	revision  model.Revision
	asked     int
}

// noon is when states are written and asked about, unless a follower lets time pass.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func (s *stack) clock() time.Time { return time.Unix(0, s.now.Add(s.tick)).UTC() }

// storeDir is where a store's commits cost least: nothing here outlives the test.
func storeDir(t *testing.T) string {
	if dir, err := os.MkdirTemp("/dev/shm", "agree"); err == nil {
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		return dir
	}
	return t.TempDir()
}

func newStack(t *testing.T, change ...func(*decide.Options)) *stack {
	t.Helper()
	s, dir := &stack{now: &atomic.Int64{}}, storeDir(t)
	var err error
	s.store, err = sqlite.Open(t.Context(), filepath.Join(dir, "ambit.db"), sqlite.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, s.store.Close()) })
	secrets, err := token.NewSecrets(bytes.Repeat([]byte{9}, token.KeySize))
	check(t, err)
	s.now.Store(noon.UnixNano())
	clock := s.clock
	s.keys, err = token.NewAnswerKeys(token.AnswerKeysOptions{File: filepath.Join(dir, "answers.pem"), Now: clock})
	check(t, err)
	quiet := slog.New(slog.DiscardHandler)
	s.directory = decide.NewDirectory(decide.DirectoryOptions{Store: s.store, Clock: clock, Log: quiet, MaxStaleness: time.Hour})
	options := decide.Options{Directory: s.directory, Secrets: secrets, Clock: clock, Keys: s.keys, Issuer: issuer, Log: quiet}
	for _, c := range change {
		c(&options)
	}
	options.Watches.Heartbeat = 1 // see compareStates
	service := decide.New(options)
	s.runtime = runtime.Handler(runtime.Options{Service: service, Directory: s.directory, Log: quiet})
	s.authzen = authzen.Handler(authzen.Options{Service: service, Sealer: secrets, Clock: clock, Log: quiet, PublicURL: issuer})

	secret, hash := secrets.New(noon)
	s.header = http.Header{"X-Client-Id": {string(client)}, "X-Client-Secret": {secret}, "Content-Type": {"application/json"}}
	check(t, s.commit("", func(tx *store.Tx) error {
		return put(tx.Environments, model.Environment{ID: environment, Name: "Agree", Enabled: true})
	}))
	check(t, s.commit(environment, func(tx *store.Tx) error {
		for _, id := range []model.WorkspaceID{"a0", "a1"} {
			if err := put(tx.AuthorizationWorkspaces, model.AuthorizationWorkspace{ID: id, Name: string(id)}); err != nil {
				return err
			}
		}
		for _, id := range []model.TemplateID{"P", "Q"} {
			if err := put(tx.IdentityWorkspaces, model.IdentityWorkspace{ID: model.WorkspaceID("i" + id), Name: string(id), TemplateID: id}); err != nil {
				return err
			}
		}
		return put(tx.Scopes, model.Scope{
			ClientID: client, EnvironmentID: environment, Name: "agree", Enabled: true, ApplicationIDs: []model.ApplicationID{"one", "two"},
			Secrets: []model.SecretHash{hash}, Response: &model.JWTResponse{Algorithm: model.AlgorithmEdDSA}, AuthZEN: model.AuthZENSettings{DetailMax: model.DetailPolicies},
		})
	}))
	return s
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// commit writes, and lets the directory follow.
func (s *stack) commit(env model.EnvironmentID, fn func(*store.Tx) error) error {
	commit, err := s.store.Update(context.Background(), store.Write{Environment: env, Time: s.clock()}, fn)
	if err != nil {
		return err
	}
	s.revision = commit.Revision
	return s.directory.CatchUp(context.Background())
}

// answer is what a handler answered.
type answer struct {
	header http.Header
	status int
	body   []byte
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.body = append(a.body, p...)
	return len(p), nil
}

// body is a request's body without the cost of wrapping.
type body struct{ *strings.Reader }

func (body) Close() error { return nil }

// call asks a handler. GET has its query in the path.
func (s *stack) call(method, path, text string) *answer {
	h := s.runtime
	if strings.HasPrefix(path, "/access/") {
		h = s.authzen
	}
	a := &answer{header: http.Header{}}
	h.ServeHTTP(a, s.request(method, path, text))
	return a
}

func (s *stack) request(method, path, text string) *http.Request {
	s.asked++
	address, query, _ := strings.Cut(path, "?")
	return &http.Request{
		Method: method, URL: &url.URL{Path: address, RawQuery: query}, Header: s.header, Host: "pdp.agree.example", RemoteAddr: "192.0.2.9:1",
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: body{strings.NewReader(text)}, ContentLength: int64(len(text)), RequestURI: path,
	}
}
