package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/ambit-authz/ambit/bench/workload"
)

// Credential of the first start. It guards nothing but the directory that this command makes and removes.
const (
	adminID     = "bench"
	adminSecret = "bench-only-secret"
)

// program is the real program on a data directory.
type program struct {
	binary, data string
	url          string
	secret       string // of the scope
	log          *bytes.Buffer
	cmd          *exec.Cmd
}

// start starts the program and waits until it is ready.
func (p *program) start(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return err
	}
	p.url = "http://" + address
	p.cmd = exec.Command(p.binary, "serve", "--data", p.data, "--listen", address, "--log-level", "warn") //nolint:noctx,gosec // ended by end; the program is the one that is measured
	p.cmd.Env = append(os.Environ(), "AMBIT_ADMIN_ID="+adminID, "AMBIT_ADMIN_SECRET="+adminSecret)
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		return err
	}
	for range 60_000 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/readyz", nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
	return fmt.Errorf("the program is not ready:\n%s", p.log)
}

// end stops the program and waits for it. It does nothing when it has ended already.
func (p *program) end() error {
	if p.cmd == nil {
		return nil
	}
	http.DefaultClient.CloseIdleConnections()
	cmd := p.cmd
	p.cmd = nil
	return errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait())
}

// upload sends the rows and returns how long it took until the program acknowledged them all.
func (p *program) upload(ctx context.Context, rows, template, mode string, assets int) (time.Duration, error) {
	bearer, err := p.login(ctx)
	if err != nil {
		return 0, err
	}
	f, err := os.Open(rows)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }() // only read
	target := fmt.Sprintf("%s/ambit/1.0/environments/%s/asset-templates/%s/assets?mode=%s", p.url, workload.EnvironmentID, template, mode)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, f)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	req.Header.Set("Authorization", "Bearer "+bearer)
	var report struct {
		Data struct {
			Created int `json:"created"`
		} `json:"data"`
	}
	start := time.Now()
	if err := do(req, &report); err != nil {
		return 0, err
	}
	took := time.Since(start)
	if report.Data.Created != assets {
		return 0, fmt.Errorf("%d assets were created instead of %d", report.Data.Created, assets)
	}
	return took, nil
}

func (p *program) login(ctx context.Context) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {adminID}, "client_secret": {adminSecret}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/api/1.0/api-key/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	err = do(req, &answer)
	return answer.AccessToken, err
}

func do(req *http.Request, out any) error {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %d %s", req.Method, req.URL.Path, resp.StatusCode, bytes.TrimSpace(text))
	}
	return json.Unmarshal(text, out)
}

// memory is what the operating system says the program holds and has held, where it says so.
func (p *program) memory() string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return "unknown"
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		for _, name := range []string{"VmRSS:", "VmHWM:"} {
			if rest, ok := strings.CutPrefix(line, name); ok {
				out = append(out, strings.TrimSuffix(name, ":")+" "+strings.TrimSpace(rest))
			}
		}
	}
	return strings.Join(out, ", ")
}
