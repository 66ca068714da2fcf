package manage

import (
	"context"
	"errors"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/token"
)

// defaultTokenDuration is PT1440M (management-api.md 4).
const defaultTokenDuration = 24 * time.Hour

// BootstrapOptions say how the first start goes. Both texts or none must be given.
type BootstrapOptions struct {
	AdminID     string // 1 to 128 characters; "" = made
	AdminSecret string // 8 to 256 characters; "" = made
}

// Bootstrapped is what the first start made. The zero value tells that it was not the first.
type Bootstrapped struct {
	ClientID      model.ClientID
	Secret        string // to be shown once; empty when it was given
	EnvironmentID model.EnvironmentID
}

// Bootstrap prepares an empty store: the environment Default and one tenant admin credential (management-api.md 4,
// policy-model.md 2.2). On a store that has a tenant credential it does nothing. It may be repeated after a crash.
func (s *Service) Bootstrap(ctx context.Context, o BootstrapOptions) (Bootstrapped, error) {
	if (o.AdminID == "") != (o.AdminSecret == "") {
		return Bootstrapped{}, model.Invalidf("the id and the secret of the admin credential must be given together")
	}
	if problem := model.CheckExternalID(o.AdminID); o.AdminID != "" && problem != "" {
		return Bootstrapped{}, model.Invalidf("the id of the admin credential %s", problem)
	}
	started, existing, err := s.started(ctx)
	if err != nil || started {
		return Bootstrapped{}, err
	}
	out := Bootstrapped{EnvironmentID: existing}
	call := Call{}
	if existing == "" {
		made, err := s.CreateEnvironment(ctx, call, NewEnvironment{Name: "Default"})
		if err != nil {
			return Bootstrapped{}, err
		}
		out.EnvironmentID = made.Environment.ID
	}
	c := model.Credential{
		ClientID: model.ClientID(o.AdminID), Name: "admin", Description: "made at the first start",
		TokenDuration: defaultTokenDuration, Permission: model.PermissionAdmin, Generation: 1, CreatedAt: s.now(),
	}
	if o.AdminID == "" {
		c.ClientID = token.NewClientID()
		out.Secret, c.Secret = s.secrets.New(s.now())
	} else if c.Secret, err = s.secrets.Hash(o.AdminSecret, s.now()); err != nil {
		return Bootstrapped{}, err
	}
	out.ClientID = c.ClientID
	_, err = s.update(ctx, &call, "", func(w *writer) error {
		_, err := put(w, credentialSubject(), w.Credentials, c.ClientID, c)
		return err
	})
	if err != nil {
		return Bootstrapped{}, err
	}
	return out, nil
}

// started reports whether a tenant credential exists, and else an environment that an interrupted first start left.
func (s *Service) started(ctx context.Context) (started bool, environment model.EnvironmentID, err error) {
	err = s.view(ctx, "", func(tx *store.Tx) error {
		for c, err := range tx.Credentials.FindAll() {
			if err != nil {
				return err
			}
			started = started || c.EnvironmentID == ""
		}
		for e, err := range tx.Environments.FindAll() {
			if err != nil {
				return err
			}
			environment = e.ID
		}
		return nil
	})
	return started, environment, err
}

// putAssetTemplate stores an asset type and its predefined ruleset (policy-model.md 3.7).
func (w *writer) putAssetTemplate(t model.AssetTemplate) (Result, error) {
	result, err := put(w, assetTemplateSubject(), w.AssetTemplates, t.ID, t)
	if err != nil {
		return result, err
	}
	return result, w.putPredefined(predefinedRuleset(&t))
}

func predefinedRuleset(t *model.AssetTemplate) model.Block {
	return model.Block{
		ID: model.PredefinedBlockID(model.KindRuleset, t.ID), Kind: model.KindRuleset, WorkspaceID: t.WorkspaceID,
		Template: t.ID, Name: "All", Predefined: true, Branches: []model.Branch{{}},
	}
}

// putPredefined stores a predefined block as a part of its template, whose event tells of it. Another block that was
// given its id is not replaced: its policies would grant more.
func (w *writer) putPredefined(b model.Block) error {
	other, err := w.Blocks.Find(b.ID)
	switch {
	case err == nil && !other.Predefined:
		return alreadyExists(blockResource(b.Kind), string(b.ID))
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return err
	}
	_, err = w.Blocks.Put(b)
	return err
}

func exists[K comparable, V any](c store.Collection[K, V], key K) (bool, error) {
	_, err := c.Find(key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// ownedKey is the key of what belongs to an identity template.
func ownedKey(template model.TemplateID, id string) store.Key {
	return store.Key{Owner: string(template), ID: id}
}
