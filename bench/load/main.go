// Command load measures how fast the real program takes in a large catalogue through its interface and how soon it
// answers after a restart. It builds the program, prepares a data directory without assets, starts it, uploads NDJSON,
// asks until the answer is the expected one, stops it, starts it again and asks again. It prints Markdown lines.
//
//	go run ./load                    1,000,000 assets
//	go run ./load -assets 100000
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/ambit-authz/ambit/bench/peers"
	"github.com/ambit-authz/ambit/bench/stand"
	"github.com/ambit-authz/ambit/bench/workload"
	"github.com/ambit-authz/ambit/internal/store/sqlite"
	"github.com/ambit-authz/ambit/internal/token"
)

func main() {
	assets := flag.Int("assets", 1_000_000, "number of assets")
	binary := flag.String("binary", "", "program to measure; built from ../cmd/ambit when not given")
	mode := flag.String("mode", "atomic", "atomic or partial")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *assets, *binary, *mode); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, assets int, binary, mode string) (err error) {
	dir, err := os.MkdirTemp("", "ambit-load-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if binary == "" {
		binary = filepath.Join(dir, "ambit")
		build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/ambit") //nolint:gosec // a name in a new directory
		// the product's own module, with its own versions
		build.Dir = ".."
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("building the program: %w\n%s", err, out)
		}
	}
	w := workload.W4(assets)
	p := &program{binary: binary, data: filepath.Join(dir, "data"), log: &bytes.Buffer{}}
	if p.secret, err = prepare(ctx, p.data, w); err != nil {
		return err
	}
	rows := filepath.Join(dir, "assets.ndjson")
	size, err := writeRows(rows, w)
	if err != nil {
		return err
	}
	want, err := peers.NewExpected(w).JSON()
	if err != nil {
		return err
	}
	if err := p.start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	fmt.Printf("\n### Load: %d assets, %d MiB of NDJSON, mode=%s\n\n", assets, size>>20, mode)
	took, err := p.upload(ctx, rows, w.TypeID(0), mode, assets)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, p.log)
	}
	verdict("upload ≤ 60 s for 1,000,000", took, 60*time.Second)
	visible, err := p.await(ctx, w, want)
	if err != nil {
		return err
	}
	fmt.Printf("- visible in answers %s after that; memory %s\n", visible.Round(time.Millisecond), p.memory())
	if err := p.end(); err != nil {
		return err
	}
	start := time.Now()
	if err := p.start(ctx); err != nil {
		return err
	}
	if _, err := p.await(ctx, w, want); err != nil {
		return err
	}
	verdict("restart to first answer ≤ 10 s for 1,000,000", time.Since(start), 10*time.Second)
	fmt.Printf("- memory after the restart %s\n", p.memory())
	return nil
}

func verdict(target string, took, limit time.Duration) {
	word := "met"
	if took > limit {
		word = "**missed**"
	}
	fmt.Printf("- %s: %s – %s\n", target, took.Round(10*time.Millisecond), word)
}

// prepare makes a data directory with the world but its assets, and returns the scope's secret.
func prepare(ctx context.Context, dir string, w *workload.World) (secret string, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	key, err := token.ReadOrMakeKey(filepath.Join(dir, "secrets.key"))
	if err != nil {
		return "", err
	}
	secrets, err := token.NewSecrets(key)
	if err != nil {
		return "", err
	}
	s, err := sqlite.Open(ctx, filepath.Join(dir, "ambit.db"), sqlite.Options{})
	if err != nil {
		return "", err
	}
	secret, hash := secrets.New(time.Now())
	return secret, errors.Join(stand.Fill(ctx, s, w, true, hash), s.Close())
}

// writeRows writes the assets as NDJSON (management-api.md 19.1).
func writeRows(path string, w *workload.World) (size int64, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buf := bufio.NewWriterSize(f, 1<<20)
	enc := json.NewEncoder(buf)
	for a := range w.Assets(0) {
		row := struct {
			Path       string              `json:"path"`
			Attributes map[string][]string `json:"attributes"`
		}{a.Path, map[string][]string{}}
		for _, name := range workload.AssetAttributes() {
			row.Attributes[name] = a.Values(name)
		}
		if err := enc.Encode(row); err != nil {
			return 0, err
		}
	}
	if err := buf.Flush(); err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// await asks until the answer is the wanted one.
func (p *program) await(ctx context.Context, w *workload.World, want []byte) (time.Duration, error) {
	start := time.Now()
	for {
		got, err := p.ask(ctx, w)
		if err == nil && bytes.Equal(got, want) {
			return time.Since(start), nil
		}
		if time.Since(start) > 5*time.Minute {
			return 0, fmt.Errorf("after five minutes the answer has %d bytes instead of %d: %w\n%s", len(got), len(want), err, p.log)
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (p *program) ask(ctx context.Context, w *workload.World) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+stand.TokenPath, bytes.NewReader(stand.Question(w)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Client-Id", string(stand.ClientID))
	req.Header.Set("X-Client-Secret", p.secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}
