package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ambit-authz/ambit/examples/bank"
	"github.com/ambit-authz/ambit/internal/app"
	"github.com/ambit-authz/ambit/internal/config"
	"github.com/ambit-authz/ambit/internal/model"
)

type demoCommand struct {
	Listen   string `default:"127.0.0.1:8010" help:"Address to listen on."`
	Data     string `help:"Directory to keep the data in; a temporary one by default."`
	EnvFile  string `help:"File to write the URL, the ids and the secrets to, as KEY=value lines, once the demo is ready."`
	LogLevel string `default:"warn" help:"debug, info, warn or error."`
}

// Run starts a server, loads the sample bank through the public interface, and serves until SIGINT or SIGTERM.
func (c *demoCommand) Run(ctx context.Context, s Streams) error {
	if c.Data == "" {
		dir, err := os.MkdirTemp("", "ambit-demo-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		c.Data = dir
	}
	kept, err := openDemo(c.Data)
	if err != nil {
		return err
	}
	settings, err := config.Load(config.Sources{Flags: map[string]string{
		"listen": c.Listen, "data": c.Data, "log.level": c.LogLevel, "admin.id": kept.AdminID, "admin.secret": kept.AdminSecret,
	}})
	if err != nil {
		return err
	}
	log, err := logger(s.Err, settings.Log.Level)
	if err != nil {
		return err
	}
	a, err := app.Open(ctx, app.Options{Config: settings, Log: log, Version: Version})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.Run(ctx) })
	group.Go(func() error {
		if err := c.prepare(ctx, s, kept, a.URL()); ctx.Err() == nil {
			return err
		}
		return nil // stopped while the bank was being loaded
	})
	return group.Wait()
}

// demo is what a demo keeps beside its data, so that a restart gives the same ids and secrets.
type demo struct {
	dir                    string
	AdminID, AdminSecret   string
	ClientID, ClientSecret string
}

const demoFile = "demo.env"

// openDemo reads the kept secrets of a data directory, or makes a new admin and keeps it before the server first sees
// it.
func openDemo(dir string) (*demo, error) {
	d := &demo{dir: dir, ClientID: bank.PortalClientID}
	text, err := os.ReadFile(filepath.Join(dir, demoFile))
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		admin, err := app.NewAdmin(dir)
		if err != nil {
			return nil, err
		}
		d.AdminID, d.AdminSecret = admin.ID, admin.Secret
		return d, d.keep()
	}
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "AMBIT_ADMIN_ID":
			d.AdminID = value
		case "AMBIT_ADMIN_SECRET":
			d.AdminSecret = value
		case "AMBIT_CLIENT_SECRET":
			d.ClientSecret = value
		}
	}
	return d, nil
}

func (d *demo) keep() error {
	return writeFile(filepath.Join(d.dir, demoFile), fmt.Sprintf("AMBIT_ADMIN_ID=%s\nAMBIT_ADMIN_SECRET=%s\nAMBIT_CLIENT_SECRET=%s\n",
		d.AdminID, d.AdminSecret, d.ClientSecret))
}

// prepare loads the bank, unless it was loaded before, and says how to ask.
func (c *demoCommand) prepare(ctx context.Context, s Streams, kept *demo, base string) error {
	if err := waitReady(ctx, base); err != nil {
		return err
	}
	r := remote{URL: base, AdminID: kept.AdminID, AdminSecret: kept.AdminSecret}
	session, err := r.connect(ctx)
	if status(err) == http.StatusUnauthorized {
		return fmt.Errorf("%s holds the data of another server: give the demo a directory of its own", c.Data)
	}
	if err != nil {
		return err
	}
	loaded, err := session.hasBank(ctx)
	if err != nil {
		return err
	}
	if !loaded || kept.ClientSecret == "" {
		if err := kept.load(ctx, s, session); err != nil {
			return err
		}
	}
	if c.EnvFile != "" {
		if err := writeFile(c.EnvFile, kept.environment(base)); err != nil {
			return err
		}
	}
	return c.welcome(s, kept, base)
}

// hasBank says whether there is the bank's environment.
func (c *client) hasBank(ctx context.Context) (bool, error) {
	_, err := c.call(ctx, request{method: http.MethodGet, path: environmentPath(bank.EnvironmentID) + "/revision"}, nil)
	if status(err) == http.StatusNotFound {
		return false, nil
	}
	return err == nil, err
}

// load brings the bank in and makes the secret of its scope. The secret is kept last: with it nothing is loaded again, so
// that a restart leaves what was edited, and without it every step may find its work done, by a demo that was stopped in
// the middle.
func (d *demo) load(ctx context.Context, s Streams, session *client) error {
	fmt.Fprintln(s.Err, "loading the sample bank …")
	if err := session.loadBank(ctx, s); err != nil {
		return fmt.Errorf("loading the sample bank: %w", err)
	}
	secret, revision, err := session.newScopeSecret(ctx, d.ClientID)
	if err != nil {
		return fmt.Errorf("making the scope's secret: %w", err)
	}
	d.ClientSecret = secret
	if err := d.ask(ctx, session.base, revision); err != nil {
		return fmt.Errorf("asking the first question: %w", err)
	}
	return d.keep()
}

// loadBank makes the environment, applies its directory and loads its records.
func (c *client) loadBank(ctx context.Context, s Streams) error {
	environment, err := postJSON("/ambit/1.0/environments",
		map[string]any{"id": bank.EnvironmentID, "name": bank.EnvironmentName, "bare": true})
	if err != nil {
		return err
	}
	if _, err := c.call(ctx, environment, nil); err != nil && status(err) != http.StatusConflict {
		return err
	}
	quiet := Streams{In: s.In, Out: io.Discard, Err: s.Err}
	directory := pack(bank.Files(), nil, func(inside string) string { return inside })
	if err := c.apply(ctx, bank.EnvironmentID, url.Values{}, directory, quiet, false); err != nil {
		return err
	}
	for _, t := range bank.IdentityTemplates() {
		if err := c.loadRecords(ctx, "/identity-templates/", t, "/identities", bank.WriteIdentities); err != nil {
			return err
		}
	}
	for _, t := range bank.AssetTemplates() {
		if err := c.loadRecords(ctx, "/asset-templates/", t, "/assets", bank.WriteAssets); err != nil {
			return err
		}
	}
	return nil
}

// loadRecords sends the generated records of one template unless there are some already.
func (c *client) loadRecords(ctx context.Context, kind string, t model.TemplateID, records string, write func(io.Writer, model.TemplateID) error) error {
	path := environmentPath(bank.EnvironmentID) + kind + url.PathEscape(string(t)) + records
	var have struct {
		Data struct {
			Count int64 `json:"count"`
		} `json:"data"`
	}
	if _, err := c.call(ctx, request{method: http.MethodGet, path: path + "/count"}, &have); err != nil {
		return err
	}
	if have.Data.Count > 0 {
		return nil
	}
	r, w := io.Pipe()
	go func() {
		buffered := bufio.NewWriterSize(w, 1<<16)
		w.CloseWithError(errors.Join(write(buffered, t), buffered.Flush()))
	}()
	defer func() { _ = r.Close() }() // ends the writer when the server stops reading
	n, err := c.load(ctx, request{method: http.MethodPost, path: path, contentType: "application/x-ndjson", body: r})
	if len(n.Errors) > 0 {
		err = errors.Join(err, fmt.Errorf("%s: %s", t, n.Errors[0].String()))
	}
	return err
}

// newScopeSecret gives a scope a secret; older ones end.
func (c *client) newScopeSecret(ctx context.Context, clientID string) (secret, revision string, err error) {
	q, err := postJSON(environmentPath(bank.EnvironmentID)+"/scopes/"+url.PathEscape(clientID)+"/secrets", map[string]any{})
	if err != nil {
		return "", "", err
	}
	var made struct {
		Data struct {
			Secret string `json:"secret"`
		} `json:"data"`
	}
	header, err := c.call(ctx, q, &made)
	if err == nil && made.Data.Secret == "" {
		err = errors.New("the answer holds no secret")
	}
	return made.Data.Secret, header.Get("Ambit-Revision"), err
}

// ask asks the sample question at the revision that holds everything, the secret included.
func (d *demo) ask(ctx context.Context, base, revision string) error {
	q, err := postJSON("/api/runtime/token/v3", map[string]string{"entityId": bank.SampleUser, "entityTypeId": bank.SampleTemplate})
	if err != nil {
		return err
	}
	q.header = http.Header{
		"X-Client-Id": {d.ClientID}, "X-Client-Secret": {d.ClientSecret},
		"Ambit-Min-Revision": {revision}, "Ambit-Wait": {"30000"},
	}
	resp, err := (&client{base: base, http: http.DefaultClient}).send(ctx, q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && !bytes.Contains(answer, []byte(`"access"`)) {
		err = errors.New("the sample user may do nothing")
	}
	return err
}

func (d *demo) environment(base string) string {
	return fmt.Sprintf(`AMBIT_URL=%s
AMBIT_ENV_ID=%s
AMBIT_CLIENT_ID=%s
AMBIT_CLIENT_SECRET=%s
AMBIT_ADMIN_ID=%s
AMBIT_ADMIN_SECRET=%s
AMBIT_SAMPLE_USER=%s
AMBIT_SAMPLE_TEMPLATE=%s
`, base, bank.EnvironmentID, d.ClientID, d.ClientSecret, d.AdminID, d.AdminSecret, bank.SampleUser, bank.SampleTemplate)
}

func (c *demoCommand) welcome(s Streams, kept *demo, base string) error {
	next := "\nOther people to ask for: " + bank.SampleManager + ", " + bank.SampleAuditor + ", " + bank.SampleRisk + ". Policies: examples/bank. Guide: README.md, docs/.\n"
	if c.EnvFile != "" {
		next += "Everything needed to go on is in " + c.EnvFile + ":\n\n  set -a; . " + c.EnvFile + "; set +a\n  " + os.Args[0] + " ask\n"
	}
	_, err := fmt.Fprintf(s.Out, `Ambit serves Harbour Bank at %s. What may %s do?

curl -s %s/api/runtime/token/v3 \
  -H 'X-Client-Id: %s' -H 'X-Client-Secret: %s' \
  -d '{"entityId":"%s","entityTypeId":"%s"}'
%s
Stop with Ctrl-C.
`, base, bank.SampleUser, base, kept.ClientID, kept.ClientSecret, bank.SampleUser, bank.SampleTemplate, next)
	return err
}

// writeFile writes a file that only its owner can read, whole or not at all.
func writeFile(path, text string) error {
	temporary := fmt.Sprintf("%s.%d", path, time.Now().UnixNano())
	if err := os.WriteFile(temporary, []byte(text), 0o600); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return nil
}
