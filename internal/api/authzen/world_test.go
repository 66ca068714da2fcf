package authzen

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/api/apitest"
	"github.com/ambit-authz/ambit/internal/audit"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/store/sqlite"
	"github.com/ambit-authz/ambit/internal/token"
)

// answers holds every answer that a test of this package sees against the description of the API.
var answers = sync.OnceValues(apitest.New)

func TestMain(m *testing.M) {
	os.Exit(apitest.Main(m, answers, Handler(Options{Log: slog.New(slog.DiscardHandler)})))
}

const (
	certification                     = "../../../examples/authzen-certification"
	environmentID model.EnvironmentID = "0b6c1e52-8a4d-4c7e-9d1f-5a2b3c4d5e6f"
	clientID      model.ClientID      = "AUTHZENCERTIFICATION"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// world is a server over TLS on a real store that holds the certification's scenario.
type world struct {
	t         testing.TB
	store     *sqlite.Store
	directory *decide.Directory
	server    *httptest.Server
	secrets   *token.Secrets
	secret    string
	tokens    *token.Tokens
	service   *decide.Service

	mu      sync.Mutex
	now     time.Time
	records []audit.Decision
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) Record(_ context.Context, ds ...audit.Decision) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records = append(w.records, ds...)
	return nil
}

// taken gives the audit records since it was last asked.
func (w *world) taken() []audit.Decision {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.records
	w.records = nil
	return out
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newWorld loads examples/authzen-certification as a user does: the directory is applied, then the records are put.
func newWorld(t testing.TB, change ...func(*Options)) *world {
	t.Helper()
	ctx := context.Background()
	w := &world{t: t, now: noon}
	var err error
	w.store, err = sqlite.Open(ctx, filepath.Join(t.TempDir(), "ambit.db"), sqlite.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, w.store.Close()) })
	w.secrets, err = token.NewSecrets(bytes.Repeat([]byte{7}, token.KeySize))
	check(t, err)
	w.load(ctx)
	quiet := w.quiet()
	w.directory = decide.NewDirectory(decide.DirectoryOptions{Store: w.store, Clock: time.Now, Log: quiet, MaxStaleness: time.Hour})
	check(t, w.directory.CatchUp(ctx))
	w.server = httptest.NewUnstartedServer(nil)
	url := "https://" + w.server.Listener.Addr().String()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	w.tokens, err = token.NewTokens(token.TokenOptions{Key: key, Issuer: url, Now: w.clock})
	check(t, err)
	w.service = decide.New(decide.Options{
		Directory: w.directory, Secrets: w.secrets, Access: w.tokens, Clock: w.clock, Audit: w, Log: quiet,
	})
	o := Options{Service: w.service, Sealer: w.secrets, Clock: w.clock, Log: quiet, PublicURL: url}
	for _, c := range change {
		c(&o)
	}
	w.server.Config.Handler = w.described(Handler(o))
	w.server.StartTLS()
	t.Cleanup(w.server.Close)
	return w
}

func (w *world) load(ctx context.Context) {
	t := w.t
	service := manage.New(manage.Options{Store: w.store, Secrets: w.secrets, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	defer service.Close()
	call := manage.Call{Caller: manage.Caller{ClientID: "TESTER", Permission: model.PermissionAdmin}, ClientIP: "192.0.2.1", RequestID: "r1"}
	_, err := service.CreateEnvironment(ctx, call, manage.NewEnvironment{ID: string(environmentID), Name: "authzen-certification", Bare: true})
	check(t, err)
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	root := os.DirFS(certification)
	check(t, z.AddFS(root))
	check(t, z.Close())
	archive, err := archive.Open(bytes.NewReader(b.Bytes()), int64(b.Len()), archive.Zip, t.TempDir())
	check(t, err)
	defer archive.Close()
	report, err := service.Apply(ctx, call, environmentID, archive, manage.ApplyOptions{})
	check(t, err)
	if report.Refused || len(report.Errors) > 0 {
		t.Fatalf("the directory is refused: %v", report.Errors)
	}
	w.secret, _, _, err = service.MakeScopeSecret(ctx, call, environmentID, clientID, 0)
	check(t, err)
	_, err = w.store.Update(ctx, store.Write{Environment: environmentID, Time: noon}, func(tx *store.Tx) error {
		for _, row := range rows[identityRow](t, "identities.ndjson") {
			if _, err := tx.Identities("user").Put(model.Identity{EntityID: row.EntityID, Attributes: row.Attributes}); err != nil {
				return err
			}
		}
		for _, row := range rows[assetRow](t, "assets.ndjson") {
			if _, err := tx.Assets("record").Put(model.Asset{Path: row.Path, Name: row.Name, Attributes: row.Attributes}); err != nil {
				return err
			}
		}
		return nil
	})
	check(t, err)
}

type identityRow struct {
	EntityID   string           `json:"entityId"`
	Attributes model.Attributes `json:"attributes"`
}

type assetRow struct {
	Path, Name string
	Attributes model.Attributes
}

func rows[R any](t testing.TB, name string) []R {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(certification, "records", name))
	check(t, err)
	var out []R
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var row R
		check(t, json.Unmarshal(lines.Bytes(), &row))
		out = append(out, row)
	}
	return out
}

func (w *world) quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// update commits a change of the environment and lets the directory follow.
func (w *world) update(fn func(*store.Tx) error) {
	w.t.Helper()
	_, err := w.store.Update(context.Background(), store.Write{Environment: environmentID, Time: noon}, fn)
	check(w.t, err)
	check(w.t, w.directory.CatchUp(context.Background()))
}

// described holds every answer against the description.
func (w *world) described(h http.Handler) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		kept := httptest.NewRecorder()
		h.ServeHTTP(kept, r)
		checker, err := answers()
		if err == nil {
			err = checker.Check(r, kept.Code, kept.Header(), kept.Body.Bytes())
		}
		if err != nil {
			w.t.Errorf("docs/api/openapi.yaml: %v", err)
		}
		for name, values := range kept.Header() {
			out.Header()[name] = values
		}
		out.WriteHeader(kept.Code)
		_, _ = out.Write(kept.Body.Bytes())
	})
}

// bearer is the header with an access token that the scope got with its first secret, as it is now.
func (w *world) bearer() string {
	w.t.Helper()
	scope := w.scope()
	text, err := w.tokens.IssueRuntime(&scope, scope.Secrets[0].ID, scope.AuthZEN.Lifetime())
	check(w.t, err)
	return "Bearer " + text
}

func (w *world) scope() (out model.Scope) {
	w.t.Helper()
	check(w.t, w.store.View(context.Background(), environmentID, func(tx *store.Tx) (err error) {
		out, err = tx.Scopes.Find(clientID)
		return err
	}))
	return out
}

func (w *world) changeScope(fn func(*model.Scope)) {
	w.t.Helper()
	scope := w.scope()
	fn(&scope)
	w.update(func(tx *store.Tx) error {
		_, err := tx.Scopes.Put(scope)
		return err
	})
}

func (w *world) credentials() http.Header {
	return http.Header{"X-Client-Id": {string(clientID)}, "X-Client-Secret": {w.secret}}
}

// reply is an answer.
type reply struct {
	status int
	header http.Header
	body   string
}

// send asks with the given headers only.
func (w *world) send(method, path, body string, header http.Header) reply {
	w.t.Helper()
	r, err := http.NewRequest(method, w.server.URL+path, strings.NewReader(body))
	check(w.t, err)
	for name, values := range header {
		r.Header[name] = values
	}
	got, err := w.server.Client().Do(r)
	check(w.t, err)
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	check(w.t, err)
	return reply{got.StatusCode, got.Header, string(text)}
}

// post asks as the scope; more are headers as name and value.
func (w *world) post(path, body string, more ...string) reply {
	w.t.Helper()
	header := w.credentials()
	header.Set("Content-Type", "application/json")
	for i := 0; i < len(more); i += 2 {
		header.Set(more[i], more[i+1])
	}
	return w.send(http.MethodPost, path, body, header)
}

// wants fails unless the answer is a 200 with exactly this body.
func (w *world) wants(path, body, want string) {
	w.t.Helper()
	if got := w.post(path, body); got.status != 200 || got.body != want {
		w.t.Errorf("%s %s:\n got %d %s\nwant %s", path, body, got.status, got.body, want)
	}
}

// refuses fails unless the answer is this error.
func (w *world) refuses(path, body string, status int, text string) {
	w.t.Helper()
	if got := w.post(path, body); got.status != status || got.body != text {
		w.t.Errorf("%s %.200s:\n got %d %s\nwant %d %s", path, body, got.status, got.body, status, text)
	}
}
