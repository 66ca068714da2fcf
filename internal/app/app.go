// Package app puts the server together: it opens the store and the keys, makes the parts, gives each its options, and
// runs them until they are told to stop. It decides nothing else.
//
// Start at Open and App.Run. The local operations of the command line (Credentials, ResetAdmin, Backup) are here too,
// since they open the same data directory. A server that returned from Open has its listeners open and its first
// credential stored; it answers once Run has loaded what the store holds.
package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/ambit-authz/ambit/internal/api/authzen"
	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/api/runtime"
	"github.com/ambit-authz/ambit/internal/audit"
	"github.com/ambit-authz/ambit/internal/config"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/identity"
	management "github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/server"
	"github.com/ambit-authz/ambit/internal/token"
)

// Options of an App.
type Options struct {
	Config  config.Config
	Log     *slog.Logger
	Version string
}

// App is a server that is ready to run.
type App struct {
	options   Options
	data      *data
	tokens    *token.Tokens
	answers   *token.AnswerKeys
	service   *management.Service
	deciding  *decide.Service
	directory *decide.Directory
	cache     *runtime.Cache // nil = no answers are kept
	audit     *audit.File    // nil = off
	control   *control
	server    *server.Server
	admin     *Admin
}

// Open opens everything that Run needs; on an error all of it is closed again.
func Open(ctx context.Context, o Options) (a *App, err error) {
	a = &App{options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
			a = nil
		}
	}()
	c := &o.Config
	if keyIsMissing(c.Data) {
		o.Log.Warn("the store is there but its key is not; a new key is made, and all secrets that Ambit made before are refused",
			"missing", filepath.Join(c.Data, secretsFile))
	}
	if c.ResponseCacheBytes > 0 {
		a.cache = runtime.NewCache(c.ResponseCacheBytes)
	}
	if a.data, err = openData(ctx, c.Data); err != nil {
		return a, err
	}
	if err := emptyUploads(c.Data); err != nil {
		return a, err
	}
	if err := a.openManagement(); err != nil {
		return a, err
	}
	if err := a.openAudit(); err != nil {
		return a, err
	}
	a.directory = decide.NewDirectory(decide.DirectoryOptions{Store: a.data.store, Clock: time.Now, Log: o.Log, MaxStaleness: c.MaxStaleness, Past: past(c)})
	proxies, err := c.Proxies()
	if err != nil {
		return a, err
	}
	trust := identity.Trust{Proxies: proxies, All: c.TrustAll}
	if a.control, err = openControl(ctx, c.Data, a.data.store, o.Log); err != nil {
		o.Log.Warn("no control socket: backups need a stopped server", "error", err)
		a.control, err = nil, nil
	}
	incoming, err := a.incoming()
	if err != nil {
		return a, err
	}
	decisions := a.decisions(trust, incoming)
	metrics := server.NewMetrics()
	measureWatches(metrics.Registry, a.deciding, a.directory)
	a.measure(metrics.Registry)
	if a.cache != nil {
		measureCache(metrics.Registry, a.cache)
	}
	a.server, err = server.New(server.Options{
		Listeners: a.listeners(decisions, a.management(trust)),
		Cert:      c.TLS.Cert, Key: c.TLS.Key,
		MaxConnections: c.MaxConnections, ShutdownTimeout: c.ShutdownTimeout,
		Log: o.Log, AccessLog: c.Log.Access, Clock: time.Now,
		Ready:    func(context.Context) error { return a.directory.Ready() },
		Stopping: a.deciding.EndWatches,
		Fail:     fail(o.Log),
	}, metrics)
	if err != nil {
		return a, err
	}
	return a, a.bootstrap(ctx)
}

func (a *App) openManagement() error {
	c := &a.options.Config
	var err error
	if a.tokens, err = openTokens(c); err != nil {
		return err
	}
	if a.answers, err = openAnswers(c, a.data.secrets); err != nil {
		return err
	}
	a.service = management.New(management.Options{
		Store: a.data.store, Secrets: a.data.secrets, Tokens: a.tokens, Answers: a.answers, Now: time.Now, Log: a.options.Log,
		SigningKeys:   func() []model.SigningKey { return a.directory.SigningKeys() },
		Snapshot:      func(id model.EnvironmentID) *engine.Snapshot { return a.directory.Snapshot(id) },
		DropResponses: a.dropResponses,
	})
	return nil
}

// bootstrap comes last, since the secret that it makes is shown only when everything else went well.
func (a *App) bootstrap(ctx context.Context) error {
	c := &a.options.Config
	first, err := a.service.Bootstrap(ctx, management.BootstrapOptions{AdminID: c.Admin.ID, AdminSecret: string(c.Admin.Secret)})
	if err == nil && first.Secret != "" {
		a.admin = &Admin{ID: string(first.ClientID), Secret: first.Secret}
	}
	return err
}

func (a *App) openAudit() error {
	c := &a.options.Config
	if c.Audit.Mode == "off" {
		return nil
	}
	path := c.Audit.File
	if path == "" {
		path = filepath.Join(c.Data, auditFile)
	}
	file, err := audit.OpenFile(path, audit.FileOptions{Required: c.Audit.Mode == "required", Log: a.options.Log})
	a.audit = file
	return err
}

// issuer is the issuer of access tokens: the public URL, else where the server listens. It has to stay the same for
// tokens to outlive a restart.
func issuer(c *config.Config) string {
	if c.PublicURL != "" {
		return c.PublicURL
	}
	host, port, _ := net.SplitHostPort(c.Listen)
	if host == "" {
		host = "localhost"
	}
	scheme := "http"
	if c.TLS.Cert != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// incoming judges the tokens of applications and users.
func (a *App) incoming() (*token.Incoming, error) {
	return token.NewIncoming(token.IncomingOptions{
		Client: token.KeyFetch(), Now: time.Now, Leeway: a.options.Config.JWTLeeway,
		Failed: func(url string, err error) {
			a.options.Log.Error("the keys of a token issuer cannot be fetched", "url", url, "error", err)
		},
	})
}

// decisions is the handler of the decision API.
func (a *App) decisions(trust identity.Trust, tokens *token.Incoming) http.Handler {
	c := &a.options.Config
	var sink audit.Sink
	if a.audit != nil {
		sink = a.audit
	}
	a.deciding = decide.New(decide.Options{
		Directory: a.directory, Secrets: a.data.secrets, Clock: time.Now, Tokens: tokens, Access: a.tokens, Keys: a.answers, Issuer: c.PublicURL, Audit: sink, Log: a.options.Log,
		Trust: trust, RateLimit: c.RateLimit, MaxBranches: c.ResolutionMaxBranches, Managers: a.service.Reader,
		Watches: watches(c),
	})
	room := incoming.NewRoom(max(c.MaxRequestBytes, c.AuthZEN.MaxBodyBytes))
	return withAuthZEN(runtime.Handler(runtime.Options{
		Service: a.deciding, Directory: a.directory, MaxBytes: c.MaxRequestBytes, Room: room, ErrorsJSON: c.V3Errors == "json",
		Envelope: c.V5Envelope, Cache: a.cache,
		Version: a.options.Version, Log: a.options.Log, KeySet: a.service.KeySet,
	}), authzen.Handler(a.authZEN(a.deciding, room)))
}

func (a *App) authZEN(service *decide.Service, room *incoming.Room) authzen.Options {
	c := &a.options.Config.AuthZEN
	o := authzen.Options{
		Service: service, Sealer: a.data.secrets, Clock: time.Now, Log: a.options.Log, Room: room, PublicURL: a.options.Config.PublicURL,
		NoSearch: !c.SearchEnabled, MaxBytes: c.MaxBodyBytes, MaxEvaluations: c.MaxEvaluations,
		PageSize: c.SearchPageSize, PageMax: c.SearchPageMax, ScanLimit: c.SearchScanLimit, SearchTime: c.SearchTimeLimit,
		TokenTTL: c.PageTokenTTL, MetadataMaxAge: c.MetadataMaxAge,
	}
	if c.SignedMetadata {
		o.Sign = a.answers.Sign
	}
	return o
}

// listeners puts both planes on one address, or each on its own.
func (a *App) listeners(decisions, management http.Handler) []server.Listener {
	c := &a.options.Config
	management = server.Stream(management)
	if c.ManagementListen == "" {
		return []server.Listener{{Name: "shared", Address: c.Listen, Handler: split(decisions, management), Metrics: true}}
	}
	return []server.Listener{
		{Name: "runtime", Address: c.Listen, Handler: decisions},
		{Name: "management", Address: c.ManagementListen, Handler: management, Metrics: true},
	}
}

func (a *App) measure(r *prometheus.Registry) {
	r.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ambit_ready", Help: "1 while decisions can be answered."},
			func() float64 { return oneIf(a.directory.Ready() == nil) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ambit_store_up", Help: "1 while the store can be read."},
			func() float64 { return oneIf(a.directory.StorageUp()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ambit_store_stale_seconds", Help: "Since when the store cannot be read; 0 while it can be."},
			func() float64 { return a.directory.Stale(time.Now()).Seconds() }),
		newRevisions(a.directory),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "ambit_audit_lost_total", Help: "Decision records that could not be kept."},
			func() float64 {
				if a.audit == nil {
					return 0
				}
				return float64(a.audit.Lost())
			}))
}

// revisions measures at which revision each environment is answered.
type revisions struct {
	directory *decide.Directory
	desc      *prometheus.Desc
}

func newRevisions(d *decide.Directory) revisions {
	return revisions{d, prometheus.NewDesc("ambit_environment_revision", "Revision that an environment is answered at.", []string{"environment"}, nil)}
}

// Describe is of prometheus.Collector.
func (r revisions) Describe(out chan<- *prometheus.Desc) { out <- r.desc }

// Collect is of prometheus.Collector.
func (r revisions) Collect(out chan<- prometheus.Metric) {
	for id, revision := range r.directory.Revisions() {
		out <- prometheus.MustNewConstMetric(r.desc, prometheus.GaugeValue, float64(revision), string(id))
	}
}

// dropResponses forgets answers that are kept (runtime-api.md 14.3).
func (a *App) dropResponses(env model.EnvironmentID, clients []model.ClientID, identities []string) {
	if a.cache != nil {
		a.cache.Drop(env, clients, identities)
	}
}

// measureCache tells of the answers that are kept.
func measureCache(r *prometheus.Registry, cache *runtime.Cache) {
	counter := func(name, help string, of func(runtime.CacheStats) int64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help},
			func() float64 { return float64(of(cache.Stats())) }))
	}
	gauge := func(name, help string, of func(runtime.CacheStats) int64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
			func() float64 { return float64(of(cache.Stats())) }))
	}
	counter("ambit_response_cache_hits_total", "Questions of scopes with cacheSeconds that were answered from the cache.",
		func(s runtime.CacheStats) int64 { return s.Hits })
	counter("ambit_response_cache_misses_total", "Questions of scopes with cacheSeconds that the cache had no answer to.",
		func(s runtime.CacheStats) int64 { return s.Misses })
	gauge("ambit_response_cache_entries", "Answers that are kept.", func(s runtime.CacheStats) int64 { return s.Entries })
	gauge("ambit_response_cache_bytes", "Memory of the answers that are kept.", func(s runtime.CacheStats) int64 { return s.Bytes })
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// URL is where the first listener is reached from this machine.
func (a *App) URL() string { return a.server.URL(0) }

// FirstAdmin is the admin credential that this very first start made, to be shown once; nil when none was made.
func (a *App) FirstAdmin() *Admin { return a.admin }

// Run serves until ctx ends and then stops gracefully: running requests are finished, audit records are written, the
// store is closed. SIGHUP reads the certificate again.
func (a *App) Run(ctx context.Context) error {
	stopReload := a.reloadOnHangup()
	defer stopReload()
	// Requests that are being finished still need the directory, so it outlives the server.
	follow, stopFollowing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopFollowing()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer stopFollowing()
		return a.server.Run(ctx)
	})
	group.Go(func() error {
		a.directory.Run(follow)
		return nil
	})
	group.Go(func() error {
		a.keepKeysYoung(ctx)
		return nil
	})
	group.Go(func() error {
		a.warm(ctx)
		return nil
	})
	if a.control != nil {
		group.Go(func() error { return a.control.run(ctx) })
	}
	a.options.Log.Info("listening", "url", a.URL(), "version", a.options.Version)
	return errors.Join(group.Wait(), a.close())
}

// warm reads ahead for the management plane once decisions can be answered: it must not delay them.
func (a *App) warm(ctx context.Context) {
	for a.directory.Ready() != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
	a.service.Warm(ctx)
}

func (a *App) reloadOnHangup() (stop func()) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	go func() {
		for range hangup {
			if err := a.server.Reload(); err != nil {
				a.options.Log.Error("reload: the old certificate stays in use", "error", err)
				continue
			}
			a.options.Log.Info("reloaded")
		}
	}()
	return func() {
		signal.Stop(hangup)
		close(hangup)
	}
}

// close closes what was opened, in reverse.
func (a *App) close() error {
	var errs []error
	if a.server != nil {
		a.server.Close()
	}
	if a.control != nil {
		errs = append(errs, a.control.close())
	}
	if a.service != nil {
		a.service.Close()
	}
	if a.audit != nil {
		errs = append(errs, a.audit.Close())
	}
	if a.data != nil {
		errs = append(errs, a.data.store.Close())
	}
	return errors.Join(errs...)
}
