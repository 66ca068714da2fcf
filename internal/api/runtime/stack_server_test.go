package runtime

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/store/sqlite"
	"github.com/ambit-authz/ambit/internal/token"
)

// The whole way of a question: an environment in a SQLite file, followed by a directory, asked over TCP.

const stackEnvironment model.EnvironmentID = "7c0a1b52-3d4e-4f60-8a91-b2c3d4e5f607"

// stack is a running server on a store in a file. It is for one goroutine.
type stack struct {
	t       testing.TB
	file    string
	secrets *token.Secrets
	scope   model.Scope
	secret  string
	now     atomic.Pointer[time.Time] // the server's clock
	peer    atomic.Pointer[net.TCPAddr]

	store     *sqlite.Store
	directory *decide.Directory
	server    *httptest.Server

	listed              int // users in answers of User List
	filterable, fitting int // pairs of types in filter form that are listed, and those that their filters fit
}

// newStack makes an empty environment, whose one scope is linked to the applications.
func newStack(t testing.TB, applications ...model.ApplicationID) *stack {
	t.Helper()
	secrets, err := token.NewSecrets(bytes.Repeat([]byte{7}, token.KeySize))
	check(t, err)
	s := &stack{t: t, file: filepath.Join(t.TempDir(), "ambit.db"), secrets: secrets}
	s.now.Store(&noon)
	var hash model.SecretHash
	s.secret, hash = secrets.New(noon)
	s.scope = model.Scope{
		ClientID: "STACK000000000000001", EnvironmentID: stackEnvironment, Name: "stack", Enabled: true,
		ApplicationIDs: applications, Secrets: []model.SecretHash{hash},
	}
	s.start()
	t.Cleanup(s.stop)
	s.write("", func(tx *store.Tx) error {
		return put(tx.Environments, model.Environment{ID: stackEnvironment, Name: "Stack", Enabled: true})
	})
	s.write(stackEnvironment, func(tx *store.Tx) error { return put(tx.Scopes, s.scope) })
	return s
}

func (s *stack) clock() time.Time { return *s.now.Load() }

// start opens the store and serves what is in it.
func (s *stack) start() {
	s.t.Helper()
	ctx := context.Background()
	var err error
	s.store, err = sqlite.Open(ctx, s.file, sqlite.Options{})
	check(s.t, err)
	quiet := slog.New(slog.DiscardHandler)
	s.directory = decide.NewDirectory(decide.DirectoryOptions{Store: s.store, Clock: time.Now, Log: quiet, MaxStaleness: time.Hour})
	check(s.t, s.directory.CatchUp(ctx))
	service := decide.New(decide.Options{Directory: s.directory, Secrets: s.secrets, Clock: s.clock, Log: quiet})
	s.server = httptest.NewUnstartedServer(Handler(Options{Service: service, Directory: s.directory, Log: quiet}))
	s.server.Listener = &peers{s.server.Listener, &s.peer}
	s.server.Start()
}

func (s *stack) stop() {
	s.server.Close()
	check(s.t, s.store.Close())
}

// restart closes the store and serves again from the file.
func (s *stack) restart() {
	s.t.Helper()
	s.stop()
	s.start()
}

// write commits to an environment ("" = the tenant) and lets the directory follow.
func (s *stack) write(env model.EnvironmentID, fn func(*store.Tx) error) {
	s.t.Helper()
	commit, err := s.store.Update(context.Background(), store.Write{Environment: env, Time: noon}, fn)
	check(s.t, err)
	check(s.t, s.directory.CatchUp(context.Background()))
	if at, ok := s.directory.Revision(env); env != "" && (!ok || at != commit.Revision) {
		s.t.Fatalf("the directory is at revision %d, the store at %d: the environment does not compile", at, commit.Revision)
	}
}

func (s *stack) snapshot() *engine.Snapshot { return s.directory.Snapshot(stackEnvironment) }

// ask sends a User Access Token request, an object for encoding/json, over TCP.
func (s *stack) ask(body any) (status int, answer, revision string) {
	s.t.Helper()
	return s.askAt("/api/runtime/token/v3", body)
}

// askAt is ask of another endpoint.
func (s *stack) askAt(path string, body any) (status int, answer, revision string) {
	s.t.Helper()
	text, err := json.Marshal(body)
	check(s.t, err)
	r, err := http.NewRequest(http.MethodPost, s.server.URL+path, bytes.NewReader(text))
	check(s.t, err)
	r.Header.Set("X-Client-Id", string(s.scope.ClientID))
	r.Header.Set("X-Client-Secret", s.secret)
	response, err := s.server.Client().Do(r)
	check(s.t, err)
	read, err := io.ReadAll(response.Body)
	check(s.t, errors.Join(err, response.Body.Close()))
	return response.StatusCode, string(read), response.Header.Get("Ambit-Revision")
}

// from makes the following connections come from another address; "" = the real one.
func (s *stack) from(peer string) {
	s.server.Client().CloseIdleConnections()
	if peer == "" {
		s.peer.Store(nil)
		return
	}
	s.peer.Store(&net.TCPAddr{IP: net.ParseIP(peer), Port: 40_000})
}

// peers is a listener whose connections may say that they come from elsewhere: a loopback interface has no others.
type peers struct {
	net.Listener
	peer *atomic.Pointer[net.TCPAddr]
}

func (p *peers) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	if stated := p.peer.Load(); err == nil && stated != nil {
		c = peerConn{c, stated}
	}
	return c, err
}

type peerConn struct {
	net.Conn
	peer *net.TCPAddr
}

func (c peerConn) RemoteAddr() net.Addr { return c.peer }

// tokenDocument is the answer of runtime-api.md 8.5 as a client decodes it.
type tokenDocument struct {
	TokenValidity int `json:"tokenValidity"`
	Response      []struct {
		Access []tokenEntry `json:"access"`
	} `json:"response"`
	ContextData map[string][]string `json:"contextData"`
}

type tokenEntry struct {
	Path         string              `json:"path"`
	Attributes   map[string][]string `json:"attributes"`
	ResourceType model.TemplateID    `json:"resourceType"`
	Actions      []struct {
		Action       string         `json:"action"`
		PermissionID model.PolicyID `json:"permissionId"`
	} `json:"actions"`
}

// entries decodes an answer, which must be a list.
func (s *stack) entries(status int, answer string) []tokenEntry {
	s.t.Helper()
	var d tokenDocument
	decoder := json.NewDecoder(strings.NewReader(answer))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); status != http.StatusOK || err != nil {
		s.t.Fatalf("%d %s: %v", status, answer, err)
	}
	if len(d.Response) == 0 {
		return nil
	}
	return d.Response[0].Access
}
