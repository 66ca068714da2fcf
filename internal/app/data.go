package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/store/sqlite"
	"github.com/ambit-authz/ambit/internal/token"
)

// Files of a data directory.
const (
	storeFile   = "ambit.db"
	secretsFile = "secrets.key" // keys the hashes of secrets
	signingFile = "signing.pem" // signs access tokens
	answersFile = "answers.pem" // signs answers in JWT form
	auditFile   = "audit.jsonl"
	controlFile = "control.sock"
	uploadDir   = "uploads" // bodies while they are read
)

// data is an open data directory.
type data struct {
	store   *sqlite.Store
	secrets *token.Secrets
}

// openData opens the store and the key of the secrets; both are made when they are not there.
func openData(ctx context.Context, dir string) (*data, error) {
	s, err := sqlite.Open(ctx, filepath.Join(dir, storeFile), sqlite.Options{})
	if err != nil {
		return nil, err
	}
	secrets, err := openSecrets(dir)
	if err != nil {
		return nil, closeAfter(err, s)
	}
	return &data{store: s, secrets: secrets}, nil
}

func openSecrets(dir string) (*token.Secrets, error) {
	key, err := token.ReadOrMakeKey(filepath.Join(dir, secretsFile))
	if err != nil {
		return nil, err
	}
	return token.NewSecrets(key)
}

// keyIsMissing reports a store without the key of its secrets, as after a restore that forgot it.
func keyIsMissing(dir string) bool {
	_, storeErr := os.Stat(filepath.Join(dir, storeFile))
	_, keyErr := os.Stat(filepath.Join(dir, secretsFile))
	return storeErr == nil && errors.Is(keyErr, fs.ErrNotExist)
}

// view reads the tenant.
func (d *data) view(ctx context.Context, fn func(*store.Tx) error) error {
	return d.store.View(ctx, "", fn)
}

func tenantAdmins(tx *store.Tx) ([]model.Credential, error) {
	var admins []model.Credential
	for c, err := range tx.Credentials.FindAll() {
		if err != nil {
			return nil, err
		}
		if c.EnvironmentID == "" {
			admins = append(admins, c)
		}
	}
	return admins, nil
}

// emptyUploads makes the directory of uploads, without what a server that was killed has left there.
func emptyUploads(dir string) error {
	path := filepath.Join(dir, uploadDir)
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return os.Mkdir(path, 0o700)
}
