// Package stand sets up what is measured over HTTP: Ambit with its embedded store, its decision service and its handler,
// beside a handler that serves the same bytes from memory and one that loops over structs and writes with
// encoding/json. All three are listeners of one server of the product, so that everything around them is the same.
//
// Start at Open. The package must never take a short cut inside Ambit: the store is a real one in a real directory, and
// every request is authenticated, read, decided and written as in production.
package stand

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/ambit-authz/ambit/bench/peers"
	"github.com/ambit-authz/ambit/bench/workload"
	"github.com/ambit-authz/ambit/internal/api/runtime"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/server"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/store/sqlite"
	"github.com/ambit-authz/ambit/internal/token"
)

// ClientID is the scope that asks.
const ClientID model.ClientID = "BENCH000000000000001"

// readBuffer is how much the client reads at once: an ordinary client's 4 KiB would measure the client.
const readBuffer = 64 << 10

// TokenPath is where Question is sent; the others are those of yes/no questions and of the users of one asset.
const (
	TokenPath  = "/api/runtime/token/v3"
	PermitPath = "/api/runtime/permit-deny/v3"
	UsersPath  = "/api/runtime/userlist/v3"
)

// Contender is one of the listeners.
type Contender int

// The contenders.
const (
	Ambit  Contender = iota // the product
	Memory                  // the recorded answer of the product, from memory
	Empty                   // authenticates like the product and answers a few bytes
	Kept                    // the product with its response cache
	Loop                    // a loop over structs and encoding/json
)

// Question is the body of the user's token call.
func Question(w *workload.World) []byte {
	return fmt.Appendf(nil, `{"entityId":%q,"entityTypeId":%q,"remoteIp":%q}`, w.User.ID, workload.IdentityTemplateID, w.User.Source)
}

// PermitQuestion is the body that asks whether the user may do something with an asset of a type.
func PermitQuestion(w *workload.World, t int, path, action string) []byte {
	return fmt.Appendf(nil, `{"entityId":%q,"entityTypeId":%q,"remoteIp":%q,"listOfResources":[{"resourceType":%q,"resources":[{"path":%q,"action":%q}]}]}`,
		w.User.ID, workload.IdentityTemplateID, w.User.Source, w.TypeID(t), path, action)
}

// UsersQuestion is the body that asks who may use an asset of a type.
func UsersQuestion(w *workload.World, t int, path string) []byte {
	return fmt.Appendf(nil, `{"remoteIp":%q,"asset":{"resourceType":%q,"path":%q}}`, w.User.Source, w.TypeID(t), path)
}

// Stand is a running server. Its methods may be called from many goroutines.
type Stand struct {
	Stored time.Duration // writing the world into the store
	Loaded time.Duration // from an open store to the first answer that could be given

	store     *sqlite.Store
	directory *decide.Directory
	server    *server.Server
	client    *http.Client
	secret    string
	path      string
	question  []byte
	recorded  http.Header
	answer    []byte
	buffers   sync.Pool // of *[]byte, of the client
	stop      func() error
}

// Open writes a world into a store in dir, loads it and serves it. loop may be nil: then nothing serves Loop.
func Open(ctx context.Context, dir string, w *workload.World, loop *peers.Plain) (s *Stand, err error) {
	s = &Stand{path: TokenPath, question: Question(w)}
	s.buffers.New = func() any { return new(make([]byte, readBuffer)) }
	if s.store, err = sqlite.Open(ctx, filepath.Join(dir, "ambit.db"), sqlite.Options{}); err != nil {
		return nil, err
	}
	secrets, err := token.NewSecrets(bytes.Repeat([]byte{7}, token.KeySize))
	if err != nil {
		return nil, err
	}
	secret, hash := secrets.New(time.Now())
	s.secret = secret
	start := time.Now()
	if err := Fill(ctx, s.store, w, false, hash); err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	s.Stored = time.Since(start)
	log := slog.New(slog.NewJSONHandler(io.Discard, nil))
	s.directory = decide.NewDirectory(decide.DirectoryOptions{Store: s.store, Clock: time.Now, Log: log, MaxStaleness: time.Hour})
	start = time.Now()
	if err := s.directory.CatchUp(ctx); err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	s.Loaded = time.Since(start)
	service := decide.New(decide.Options{Directory: s.directory, Secrets: secrets, Clock: time.Now, Log: log})
	handlers := []http.Handler{runtime.Handler(runtime.Options{Service: service, Directory: s.directory, Log: log}), http.HandlerFunc(s.fromMemory), empty(service), runtime.Handler(runtime.Options{Service: service, Directory: s.directory, Log: log, Cache: runtime.NewCache(256 << 20)})}
	if loop != nil {
		handlers = append(handlers, looping(loop))
	}
	if err := s.serve(ctx, handlers, log); err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	return s, s.record(ctx)
}

// serve starts the server.
func (s *Stand) serve(ctx context.Context, handlers []http.Handler, log *slog.Logger) (err error) {
	options := server.Options{
		MaxConnections: 100, ShutdownTimeout: 5 * time.Second, Log: log, AccessLog: true, Clock: time.Now,
		Ready: func(context.Context) error { return nil },
		Fail: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		},
	}
	for i, h := range handlers {
		options.Listeners = append(options.Listeners, server.Listener{Name: fmt.Sprint(i), Address: "127.0.0.1:0", Handler: h})
	}
	if s.server, err = server.New(options, server.NewMetrics()); err != nil {
		return err
	}
	s.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16, DisableCompression: true, ReadBufferSize: readBuffer}}
	running, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.server.Run(running) }()
	s.stop = func() error {
		s.client.CloseIdleConnections()
		cancel()
		return <-done
	}
	return nil
}

// Fill writes a world into a new store, its assets unless bare, with one scope that has the given secret.
func Fill(ctx context.Context, to *sqlite.Store, w *workload.World, bare bool, hash model.SecretHash) error {
	now := time.Now()
	_, err := to.Update(ctx, store.Write{Time: now}, func(tx *store.Tx) error {
		_, err := tx.Environments.Put(model.Environment{ID: workload.EnvironmentID, Name: "Bench", Enabled: true})
		return err
	})
	if err != nil {
		return err
	}
	_, err = to.Update(ctx, store.Write{Environment: workload.EnvironmentID, Time: now}, func(tx *store.Tx) error {
		if err := putConfiguration(tx, w, hash); err != nil || bare {
			return err
		}
		return putAssets(tx, w)
	})
	return err
}

func putConfiguration(tx *store.Tx, w *workload.World, hash model.SecretHash) error {
	c := w.Configuration()
	scope := model.Scope{
		ClientID: ClientID, EnvironmentID: workload.EnvironmentID, Name: "Bench", Enabled: true,
		ApplicationIDs: []model.ApplicationID{workload.ApplicationID}, Secrets: []model.SecretHash{hash}, CacheSeconds: 3600,
	}
	people := tx.Identities(workload.IdentityTemplateID)
	for u := range w.Users() {
		if _, err := people.Put(u.Identity()); err != nil {
			return err
		}
	}
	return errors.Join(putAll(tx.AssetTemplates, c.AssetTemplates), putAll(tx.IdentityTemplates, c.IdentityTemplates),
		putAll(tx.Applications, c.Applications), putAll(tx.Blocks, c.Blocks), putAll(tx.Policies, c.Policies),
		putAll(tx.Scopes, []model.Scope{scope}))
}

func putAssets(tx *store.Tx, w *workload.World) error {
	for t := range w.Types {
		records := tx.Assets(model.TemplateID(w.TypeID(t)))
		for a := range w.Assets(t) {
			if _, err := records.Put(a.AmbitAsset()); err != nil {
				return err
			}
		}
	}
	return nil
}

func putAll[K comparable, V any](c store.Collection[K, V], values []V) error {
	for _, v := range values {
		if _, err := c.Put(v); err != nil {
			return err
		}
	}
	return nil
}

// record keeps Ambit's answer for the handler that serves it from memory.
func (s *Stand) record(ctx context.Context) error {
	var buf bytes.Buffer
	header, err := s.ask(ctx, Ambit, "", &buf)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	s.recorded, s.answer = header, buf.Bytes()
	return nil
}

// Pose makes another question the one that is asked, and its answer the recorded one. Nobody may be asking meanwhile.
func (s *Stand) Pose(ctx context.Context, path string, question []byte) error {
	s.path, s.question = path, question
	return s.record(ctx)
}

// Bytes is Ambit's answer.
func (s *Stand) Bytes() []byte { return s.answer }

// Ask asks once, reads the whole answer and throws it away.
func (s *Stand) Ask(ctx context.Context, c Contender) error {
	_, err := s.ask(ctx, c, "", nowhere{})
	return err
}

// Know asks for an answer that is known by its ETag, and is an error when the answer comes whole.
func (s *Stand) Know(ctx context.Context, c Contender, tag string) error {
	_, err := s.ask(ctx, c, tag, nowhere{})
	return err
}

// Tag is the ETag of Ambit's answer.
func (s *Stand) Tag() string { return s.recorded.Get("ETag") }

// nowhere is io.Discard without its small buffer.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

// Read asks once and returns it.
func (s *Stand) Read(ctx context.Context, c Contender) ([]byte, error) {
	var buf bytes.Buffer
	_, err := s.ask(ctx, c, "", &buf)
	return buf.Bytes(), err
}

func (s *Stand) ask(ctx context.Context, c Contender, known string, to io.Writer) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.server.URL(int(c))+s.path, bytes.NewReader(s.question))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Client-Id", string(ClientID))
	req.Header.Set("X-Client-Secret", s.secret)
	want := http.StatusOK
	if known != "" {
		req.Header.Set("If-None-Match", known)
		want = http.StatusNotModified
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != want {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return nil, fmt.Errorf("status %d: %s", resp.StatusCode, text)
	}
	buf := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buf)
	_, err = io.CopyBuffer(to, resp.Body, *buf)
	return resp.Header, err
}

// fromMemory serves the recorded answer with its headers.
func (s *Stand) fromMemory(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
	header := w.Header()
	maps.Copy(header, s.recorded)
	header.Del("Date")
	if _, err := w.Write(s.answer); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// empty does what every call must: it reads the body, checks the secret and has the call recorded.
func empty(service *decide.Service) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call := service.Begin(decide.Incoming{Credentials: decide.Credentials{
			ClientID: model.ClientID(r.Header.Get("X-Client-Id")), Secret: r.Header.Get("X-Client-Secret"),
		}})
		_, err := io.Copy(io.Discard, r.Body)
		if err = errors.Join(err, call.AuthenticateHeaders(r.Context())); err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "application/json")
		if _, err := io.WriteString(w, `{"result":"PERMIT"}`); err != nil {
			panic(http.ErrAbortHandler)
		}
	})
}

func looping(p *peers.Plain) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
		text, err := p.JSON()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "application/json")
		if _, err := w.Write(text); err != nil {
			panic(http.ErrAbortHandler)
		}
	})
}

// Close stops the server and closes the store.
func (s *Stand) Close() error { return errors.Join(s.stop(), s.store.Close()) }
