package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/token"
)

// Admin is a credential with its secret, to be shown once.
type Admin struct{ ID, Secret string }

// NewAdmin makes a credential for a server that has not been started yet; it is to be given in the configuration of the
// first start. The directory must exist.
func NewAdmin(dir string) (Admin, error) {
	secrets, err := openSecrets(dir)
	if err != nil {
		return Admin{}, err
	}
	secret, _ := secrets.New(time.Now())
	return Admin{ID: string(token.NewClientID()), Secret: secret}, nil
}

// Credentials lists the API credentials of a data directory; their secrets are hashes. No server may have it open.
func Credentials(ctx context.Context, dir string) ([]model.Credential, error) {
	d, err := openExisting(ctx, dir)
	if err != nil {
		return nil, err
	}
	var all []model.Credential
	err = d.view(ctx, func(tx *store.Tx) error {
		for c, err := range tx.Credentials.FindAll() {
			if err != nil {
				return err
			}
			all = append(all, c)
		}
		return nil
	})
	return all, closeAfter(err, d.store)
}

// ResetAdmin gives a tenant credential a new secret; the old one and the tokens made with it end. An empty id means the
// only one there is. No server may have the directory open. The change is recorded in the administration audit.
func ResetAdmin(ctx context.Context, dir, id string) (Admin, error) {
	d, err := openExisting(ctx, dir)
	if err != nil {
		return Admin{}, err
	}
	var made Admin
	now := time.Now()
	_, err = d.store.Update(ctx, store.Write{Time: now}, func(tx *store.Tx) error {
		c, err := pick(tx, id)
		if err != nil {
			return err
		}
		made.ID = string(c.ClientID)
		made.Secret, c.Secret = d.secrets.New(now)
		c.Generation++
		if _, err := tx.Credentials.Put(c); err != nil {
			return err
		}
		return tx.Events.Append(model.ChangeEvent{
			ID: uuid.NewString(), Time: now, Action: model.EventUpdate, ResourceType: "API_CREDENTIAL",
			ResourceID: made.ID, ResourceName: c.Name, ClientID: "local", Revision: tx.Revision + 1,
		})
	})
	return made, closeAfter(err, d.store)
}

func pick(tx *store.Tx, id string) (model.Credential, error) {
	admins, err := tenantAdmins(tx)
	if err != nil {
		return model.Credential{}, err
	}
	for _, c := range admins {
		if string(c.ClientID) == id || id == "" && len(admins) == 1 {
			return c, nil
		}
	}
	if id == "" && len(admins) > 1 {
		return model.Credential{}, fmt.Errorf("the tenant has %d credentials: name one by its id", len(admins))
	}
	if id == "" {
		return model.Credential{}, errors.New("the tenant has no credential yet: start the server once")
	}
	return model.Credential{}, fmt.Errorf("the tenant has no credential %q", id)
}

// Backup writes a consistent copy of the store of a data directory to a new file. When a server has the directory open
// the server is asked to do it, and goes on serving meanwhile.
func Backup(ctx context.Context, dir, target string) error {
	if _, err := os.Lstat(target); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s exists already", target)
	}
	asked, err := askForBackup(ctx, dir, target)
	if asked {
		return err
	}
	d, err := openExisting(ctx, dir)
	if err != nil {
		return err
	}
	return closeAfter(d.store.Backup(ctx, target), d.store)
}

// openExisting is openData for a directory that a server has made: a wrong path must not make a new, empty one.
func openExisting(ctx context.Context, dir string) (*data, error) {
	if _, err := os.Stat(filepath.Join(dir, storeFile)); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not a data directory of Ambit: %s is not there", dir, storeFile)
	}
	return openData(ctx, dir)
}

func closeAfter(err error, c interface{ Close() error }) error { return errors.Join(err, c.Close()) }
