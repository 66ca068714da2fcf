package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/ambit-authz/ambit/internal/api/runtime"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/server"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/store/sqlite"
	"github.com/ambit-authz/ambit/internal/token"
)

const (
	environment model.EnvironmentID = "7c0a1b52-3d4e-4f60-8a91-b2c3d4e5f607"
	scope       model.ClientID      = "LIVE0000000000000001"
	perBranch                       = 10 // users of one branch
)

// world is a running server with its streams.
type world struct {
	users, assets int
	store         *sqlite.Store
	directory     *decide.Directory
	server        *server.Server
	secret        string
	stop          func()
	streams       []*stream
	revisions     int
}

func branch(i int) string { return fmt.Sprint("b", i) }

func (w *world) branches() int { return (w.users + perBranch - 1) / perBranch }

func (w *world) user(i int) model.Identity {
	return model.Identity{EntityID: fmt.Sprint("u", i), Attributes: model.Attributes{
		"branch": {branch(i / perBranch)}, "title": {[]string{"teller", "manager"}[i%2]}, "grade": {fmt.Sprint(i % 9)},
	}}
}

func (w *world) asset(i int, note string) model.Asset {
	return model.Asset{Path: fmt.Sprint("acc-", i), Attributes: model.Attributes{
		"branch": {branch(i % w.branches())}, "tier": {[]string{"basic", "silver", "gold"}[i%3]}, "note": {note},
	}}
}

func open(ctx context.Context, dir string, s settings) (*world, error) {
	w := &world{users: s.streams, assets: s.assets}
	var err error
	if w.store, err = sqlite.Open(ctx, filepath.Join(dir, "ambit.db"), sqlite.Options{}); err != nil {
		return nil, err
	}
	secrets, err := token.NewSecrets(bytes.Repeat([]byte{7}, token.KeySize))
	if err != nil {
		return nil, err
	}
	var hash model.SecretHash
	w.secret, hash = secrets.New(time.Now())
	if err := w.fill(ctx, hash); err != nil {
		return nil, err
	}
	log := slog.New(slog.NewJSONHandler(io.Discard, nil))
	w.directory = decide.NewDirectory(decide.DirectoryOptions{Store: w.store, Clock: time.Now, Log: log, MaxStaleness: time.Hour, Past: decide.Past{Revisions: s.past, Age: time.Hour}})
	if err := w.directory.CatchUp(ctx); err != nil {
		return nil, err
	}
	service := decide.New(decide.Options{
		Directory: w.directory, Secrets: secrets, Clock: time.Now, Log: log,
		Watches: decide.Watches{Max: 2 * s.streams, MaxScope: 2 * s.streams},
	})
	w.server, err = server.New(server.Options{
		Listeners: []server.Listener{{
			Name: "runtime", Address: "127.0.0.1:0",
			Handler: runtime.Handler(runtime.Options{Service: service, Directory: w.directory, Log: log}),
		}},
		MaxConnections: 2*s.streams + 100, ShutdownTimeout: 5 * time.Second, Log: log, AccessLog: true, Clock: time.Now,
		Ready:    func(context.Context) error { return nil },
		Stopping: service.EndWatches,
		Fail: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		},
	}, server.NewMetrics())
	if err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { _ = w.server.Run(running) })
	group.Go(func() { w.directory.Run(running) })
	w.stop = func() { cancel(); group.Wait() }
	return w, nil
}

func (w *world) close() {
	w.stop()
	_ = w.store.Close()
}

// write commits and tells the environment's revision and when it was acknowledged.
func (w *world) write(ctx context.Context, fn func(*store.Tx) error) (model.Revision, time.Time, error) {
	commit, err := w.store.Update(ctx, store.Write{Environment: environment, Time: time.Now()}, fn)
	return commit.Revision, time.Now(), err
}

func put[K comparable, V any](from store.Collection[K, V], vs ...V) error {
	for _, v := range vs {
		if _, err := from.Put(v); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) fill(ctx context.Context, hash model.SecretHash) error {
	_, err := w.store.Update(ctx, store.Write{Time: time.Now()}, func(tx *store.Tx) error {
		return put(tx.Environments, model.Environment{ID: environment, Name: "Live", Enabled: true})
	})
	if err != nil {
		return err
	}
	_, _, err = w.write(ctx, func(tx *store.Tx) error {
		err := errors.Join(
			put(tx.Scopes, model.Scope{ClientID: scope, EnvironmentID: environment, Name: "live", Enabled: true, ApplicationIDs: []model.ApplicationID{"desk"}, Secrets: []model.SecretHash{hash}}),
			put(tx.AuthorizationWorkspaces, model.AuthorizationWorkspace{ID: "a0", Name: "Bank"}),
			put(tx.IdentityWorkspaces, model.IdentityWorkspace{ID: "i0", Name: "Staff", TemplateID: "Staff"}),
			put(tx.Applications, model.Application{ID: "desk", WorkspaceID: "a0", DisplayName: "Desk", AssetTemplateIDs: []model.TemplateID{"Accounts"}}),
			put(tx.AssetTemplates, model.AssetTemplate{
				ID: "Accounts", WorkspaceID: "a0", DisplayName: "Accounts", Source: model.SourcePlainID,
				Attributes: []model.AssetAttribute{{ID: "branch", Type: model.String}, {ID: "tier", Type: model.String}, {ID: "note", Type: model.String}},
				Actions:    []model.Action{{ID: "View", Value: "View"}, {ID: "Edit", Value: "Edit"}},
			}),
			put(tx.IdentityTemplates, model.IdentityTemplate{ID: "Staff", WorkspaceID: "i0", Attributes: []model.IdentityAttribute{
				{ID: "uid", Type: model.String}, {ID: "branch", Type: model.String}, {ID: "title", Type: model.String}, {ID: "grade", Type: model.Numeric},
			}}),
			w.policies(tx),
		)
		for i := range w.users {
			if _, e := tx.Identities("Staff").Put(w.user(i)); e != nil {
				return e
			}
		}
		for i := range w.assets {
			if _, e := tx.Assets("Accounts").Put(w.asset(i, "first")); e != nil {
				return e
			}
		}
		return err
	})
	return err
}

// policies: tellers view what is of their branch, managers edit it, gold is frozen for small grades, and a hundred policies
// for single branches, of which one concerns perBranch users.
func (w *world) policies(tx *store.Tx) error {
	text := func(side model.Side, id model.AttributeID, op model.Operator, texts ...string) model.Rule {
		r := model.Rule{Left: model.Ref{Side: side, Attribute: id}, Op: op}
		for _, t := range texts {
			_, number := model.ParseNumber(t)
			r.Literals = append(r.Literals, model.Literal{Text: t, Number: number})
		}
		return r
	}
	block := func(id model.BlockID, kind model.BlockKind, rules ...model.Rule) error {
		b := model.Block{ID: id, Kind: kind, WorkspaceID: "i0", Template: "Staff", Name: string(id), Branches: []model.Branch{{Rules: rules}}}
		if kind == model.KindRuleset {
			b.WorkspaceID, b.Template, b.Branches[0].IdentityTemplate = "a0", "Accounts", "Staff"
		}
		return put(tx.Blocks, b)
	}
	policy := func(id model.PolicyID, access model.Access, group, ruleset model.BlockID, actions ...model.ActionID) error {
		return put(tx.Policies, model.Policy{
			ID: id, WorkspaceID: "a0", Name: string(id), Access: access, Use: model.PolicyUseDynamic,
			DynamicGroups: []model.BlockID{group}, Rulesets: []model.RulesetUse{{BlockID: ruleset, ActionIDs: actions}},
		})
	}
	own := model.Rule{
		Left: model.Ref{Side: model.SideAsset, Attribute: "branch"}, Op: model.OpEqual,
		Ref: model.Ref{Side: model.SideIdentity, Attribute: "branch"},
	}
	err := errors.Join(
		block("g-all", model.KindDynamicGroup), block("g-manager", model.KindDynamicGroup, text(model.SideIdentity, "title", model.OpEqual, "manager")),
		block("g-small", model.KindDynamicGroup, text(model.SideIdentity, "grade", model.OpLess, "4")),
		block("r-own", model.KindRuleset, own), block("r-gold", model.KindRuleset, text(model.SideAsset, "tier", model.OpEqual, "gold")),
		policy("view", model.Allow, "g-all", "r-own", "View"), policy("edit", model.Allow, "g-manager", "r-own", "Edit"),
		policy("freeze", model.Restrict, "g-small", "r-gold", "Edit"),
	)
	for i := range min(100, w.branches()) {
		id := fmt.Sprint(i)
		err = errors.Join(err, block(model.BlockID("g-"+id), model.KindDynamicGroup, text(model.SideIdentity, "branch", model.OpEqual, branch(i))),
			block(model.BlockID("r-"+id), model.KindRuleset, text(model.SideAsset, "path", model.OpEqual, fmt.Sprint("acc-", (i+1)%w.branches()))),
			policy(model.PolicyID("extra-"+id), model.Allow, model.BlockID("g-"+id), model.BlockID("r-"+id), "View"))
	}
	return err
}

// stream is one client.
type stream struct {
	conn   net.Conn
	mu     sync.Mutex
	events []event
}

// event is what a stream was told, and when.
type event struct {
	Revision, Since model.Revision
	at              time.Time
}

// dial opens a stream and reads it up to the end of its first event, byte by byte so that the client keeps no buffer.
func (w *world) dial(user string) (net.Conn, error) {
	address := strings.TrimPrefix(w.server.URL(0), "http://")
	conn, err := net.Dial("tcp", address) //nolint:noctx // to this process
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(conn, "GET /api/runtime/token/v3/watch?entityId=%s&entityTypeId=Staff HTTP/1.1\r\nHost: %s\r\nX-Client-Id: %s\r\nX-Client-Secret: %s\r\nAccept: text/event-stream\r\nUser-Agent: live\r\n\r\n", user, address, scope, w.secret)
	if err != nil {
		return nil, err
	}
	var head []byte
	var one [1]byte
	for !bytes.Contains(head, []byte("}\n\n")) {
		if _, err := conn.Read(one[:]); err != nil {
			return nil, fmt.Errorf("%w after %s", err, head)
		}
		head = append(head, one[0])
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200")) {
		return nil, fmt.Errorf("watch: %s", head)
	}
	return conn, nil
}

// warm asks once, so that what is made at the first call counts for no stream.
func (w *world) warm() error {
	for range 20 {
		conn, err := w.dial("u0")
		if err != nil {
			return err
		}
		if err := conn.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) connect() error {
	w.streams = make([]*stream, w.users)
	for i := range w.streams {
		conn, err := w.dial(fmt.Sprint("u", i))
		if err != nil {
			return fmt.Errorf("stream %d: %w", i, err)
		}
		w.streams[i] = &stream{conn: conn}
	}
	return nil
}

// listen reads events until the connection ends.
func (s *stream) listen() {
	lines := bufio.NewScanner(s.conn)
	lines.Buffer(make([]byte, 0, 4096), 16<<20)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !ok || !bytes.Contains(data, []byte(`"since"`)) {
			continue
		}
		e := event{at: time.Now()}
		head := data[:bytes.IndexByte(data, '[')] // up to the first list
		head = head[:bytes.LastIndexByte(head, ',')]
		if json.Unmarshal(append(bytes.Clone(head), '}'), &e) != nil {
			continue
		}
		s.mu.Lock()
		s.events = append(s.events, e)
		s.mu.Unlock()
	}
}

// take gives what was told since the last time.
func (s *stream) take() []event {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.events
	s.events = nil
	return out
}
