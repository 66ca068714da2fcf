package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"time"

	api "github.com/ambit-authz/ambit/internal/api/manage"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/store/sqlite"
	"github.com/ambit-authz/ambit/internal/token"
)

// Ids of what every part works on.
const (
	environment model.EnvironmentID = "5b0c9d52-0f5e-4a77-9c1e-3d0a6f2b8e41"
	quays       model.WorkspaceID   = "7d1e0000-0000-4000-8000-000000000001"
	crew        model.WorkspaceID   = "7d1e0000-0000-4000-8000-000000000002"
)

// plane is a running management plane.
type plane struct {
	dir       string
	store     *sqlite.Store
	secrets   *token.Secrets
	secret    string
	directory *decide.Directory
	service   *manage.Service
	server    *httptest.Server
	token     string
}

func open(ctx context.Context, dir string) (p *plane, err error) {
	p = &plane{dir: dir}
	if p.store, err = sqlite.Open(ctx, filepath.Join(dir, "ambit.db"), sqlite.Options{}); err != nil {
		return nil, err
	}
	if p.secrets, err = token.NewSecrets(bytes.Repeat([]byte{7}, token.KeySize)); err != nil {
		return nil, err
	}
	if err := p.fill(ctx); err != nil {
		return nil, err
	}
	return p, p.start(ctx)
}

// fill stores the environment and the credential that asks.
func (p *plane) fill(ctx context.Context) error {
	secret, hash := p.secrets.New(time.Now())
	p.secret = secret
	_, err := p.store.Update(ctx, store.Write{Time: time.Now()}, func(tx *store.Tx) error {
		_, err := tx.Environments.Put(model.Environment{ID: environment, Name: "Bench", Enabled: true})
		_, credential := tx.Credentials.Put(model.Credential{
			ClientID: "BENCH", EnvironmentID: environment, Name: "Bench", Permission: model.PermissionAdmin,
			TokenDuration: 12 * time.Hour, Generation: 1, Secret: hash,
		})
		return errors.Join(err, credential)
	})
	if err != nil {
		return err
	}
	return p.write(ctx, func(tx *store.Tx) error {
		var errs []error
		note := func(_ store.Result, err error) { errs = append(errs, err) }
		note(tx.AuthorizationWorkspaces.Put(model.AuthorizationWorkspace{ID: quays, Name: "Quays"}))
		note(tx.IdentityWorkspaces.Put(model.IdentityWorkspace{ID: crew, Name: "Crew", TemplateID: "Crew"}))
		note(tx.IdentityTemplates.Put(model.IdentityTemplate{ID: "Crew", Attributes: []model.IdentityAttribute{{ID: "rank", DisplayName: "Rank", Type: model.Numeric}}}))
		note(tx.AssetTemplates.Put(model.AssetTemplate{
			ID: "Cargo", WorkspaceID: quays, DisplayName: "Cargo", Source: model.SourcePlainID,
			Attributes: []model.AssetAttribute{{ID: "berth", DisplayName: "Berth", Type: model.String, IsMultiValue: true}},
			Actions:    []model.Action{{ID: "Load", Value: "load"}},
		}))
		note(tx.Applications.Put(model.Application{ID: "app", WorkspaceID: quays, DisplayName: "App", AssetTemplateIDs: []model.TemplateID{"Cargo"}}))
		note(tx.CustomAttributes.Put(model.CustomAttribute{Key: "reviewer", Name: "Reviewer", Type: model.CustomString, MultiValue: true}))
		return errors.Join(errs...)
	})
}

func (p *plane) write(ctx context.Context, fn func(*store.Tx) error) error {
	_, err := p.store.Update(ctx, store.Write{Environment: environment, Time: time.Now()}, fn)
	return err
}

// start starts what a start of the program starts, on the store as it is.
func (p *plane) start(ctx context.Context) error {
	log := slog.New(slog.DiscardHandler)
	p.directory = decide.NewDirectory(decide.DirectoryOptions{Store: p.store, Clock: time.Now, Log: log, MaxStaleness: time.Hour})
	key, err := token.ReadOrMakeSigningKey(filepath.Join(p.dir, "signing.pem"))
	if err != nil {
		return err
	}
	tokens, err := token.NewTokens(token.TokenOptions{Key: key, Issuer: "https://ambit.example.org", Now: time.Now})
	if err != nil {
		return err
	}
	p.service = manage.New(manage.Options{
		Store: p.store, Secrets: p.secrets, Tokens: tokens, Now: time.Now, Log: log, Snapshot: p.directory.Snapshot,
	})
	p.server = httptest.NewServer(api.Handler(api.Options{Service: p.service, Log: log, TempDir: p.dir}))
	grant, err := p.service.Login(ctx, manage.Login{ClientID: "BENCH", Secrets: []string{p.secret}})
	p.token = grant.AccessToken
	return err
}

func (p *plane) stop() {
	p.server.Close()
	p.service.Close()
}

func (p *plane) close() error {
	p.stop()
	return p.store.Close()
}

// ask sends a request, hands the answer's body to use, and fails unless the status is 2xx.
func (p *plane) ask(ctx context.Context, method, path, body string, use func(io.Reader) error, headers ...string) error {
	req, err := http.NewRequestWithContext(ctx, method, p.server.URL+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := p.server.Client().Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("%s %s: status %d: %s", method, path, resp.StatusCode, text)
	}
	return use(resp.Body)
}

// contains reads an answer to its end and fails unless it has the text: no time is reported for a wrong answer.
func contains(text string) func(io.Reader) error {
	return func(r io.Reader) error {
		body, err := io.ReadAll(r)
		if err == nil && !bytes.Contains(body, []byte(text)) {
			err = fmt.Errorf("the answer lacks %s: %.200s", text, body)
		}
		return err
	}
}
