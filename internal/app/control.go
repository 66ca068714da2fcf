package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/ambit-authz/ambit/internal/store"
)

// control answers on a socket in the data directory, which only the server's own user can reach, what the command line
// asks of a running server.
type control struct {
	server   *http.Server
	listener net.Listener
}

// openControl listens. The store's lock is held, so a socket that lies there is a dead server's.
func openControl(ctx context.Context, dir string, s store.Store, log *slog.Logger) (*control, error) {
	path := filepath.Join(dir, controlFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /backup", func(w http.ResponseWriter, r *http.Request) {
		target := r.URL.Query().Get("target")
		started := time.Now()
		if err := s.Backup(r.Context(), target); err != nil {
			log.Error("backup", "target", target, "error", err)
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		log.Info("backup", "target", target, "milliseconds", time.Since(started).Milliseconds())
		w.WriteHeader(http.StatusNoContent)
	})
	return &control{listener: listener, server: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}}, nil
}

// run serves until ctx ends; a backup that is being written is finished or given up with its own caller.
func (c *control) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = c.server.Close() })
	defer stop()
	if err := c.server.Serve(c.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("control socket: %w", err)
	}
	return nil
}

// close ends connections and removes the socket; it may be called whether or not run was.
func (c *control) close() error {
	err := c.server.Close()
	if e := c.listener.Close(); e != nil && !errors.Is(e, net.ErrClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// askForBackup asks the server of a data directory; asked is false when there is none.
func askForBackup(ctx context.Context, dir, target string) (asked bool, err error) {
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, controlFile))
		},
	}}
	address := "http://ambit/backup?" + url.Values{"target": {target}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, nil)
	if err != nil {
		return true, err
	}
	resp, err := client.Do(req)
	if _, noServer := errors.AsType[*net.OpError](err); noServer {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent {
		return true, nil
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return true, errors.Join(fmt.Errorf("the server could not write the backup: %s", text), err)
}
