package app

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	management "github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/policytest"
	"github.com/ambit-authz/ambit/internal/store/sqlite"
	"github.com/ambit-authz/ambit/internal/token"
)

// TestPolicies applies a directory, packed as tar and gzip, to an environment of its own that lives in a temporary place,
// and runs the tests on it. Errors of the directory are model.Errors with their files; the notes, which come with errors, too,
// are those of the apply.
func TestPolicies(ctx context.Context, packed io.Reader, ignoreUnknown bool, tests []*policytest.File) (report *policytest.Report, notes []string, err error) {
	dir, err := os.MkdirTemp("", "ambit-test-")
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	compiled, notes, err := compileDirectory(ctx, dir, packed, ignoreUnknown)
	if err != nil {
		return nil, notes, err
	}
	return policytest.Run(compiled.Snapshot, compiled.Policies, compiled.Blocks, tests, time.Now), notes, nil
}

func compileDirectory(ctx context.Context, dir string, packed io.Reader, ignoreUnknown bool) (_ management.Compiled, notes []string, err error) {
	var none management.Compiled
	f, err := os.Create(filepath.Join(dir, "directory.tar.gz"))
	if err != nil {
		return none, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := io.Copy(f, packed)
	if err != nil {
		return none, nil, err
	}
	archive, err := archive.Open(f, size, archive.TarGzip, dir)
	if err != nil {
		return none, nil, err
	}
	defer func() { err = errors.Join(err, archive.Close()) }()
	s, err := sqlite.Open(ctx, filepath.Join(dir, storeFile), sqlite.Options{Readers: 1})
	if err != nil {
		return none, nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	key := make([]byte, token.KeySize)
	_, _ = rand.Read(key) // never fails
	secrets, err := token.NewSecrets(key)
	if err != nil {
		return none, nil, err
	}
	// nobody logs in here, so there are no tokens
	service := management.New(management.Options{Store: s, Secrets: secrets, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	defer service.Close()
	env := model.EnvironmentID(uuid.NewString())
	if _, err := service.CreateEnvironment(ctx, management.Call{}, management.NewEnvironment{ID: string(env), Name: "Test", Bare: true}); err != nil {
		return none, nil, err
	}
	applied, err := service.Apply(ctx, management.Call{}, env, archive, management.ApplyOptions{IgnoreUnknown: ignoreUnknown})
	if err != nil {
		return none, nil, err
	}
	if applied.Refused {
		return none, applied.Notes, applied.Errors
	}
	compiled, err := service.Compile(ctx, env)
	return compiled, applied.Notes, err
}
