package app

import (
	"context"
	"path/filepath"
	"time"

	"github.com/ambit-authz/ambit/internal/config"
	"github.com/ambit-authz/ambit/internal/token"
)

// Rotation of the key that signs access tokens (management-api.md 2.4).
const (
	signingKeyAge = 90 * 24 * time.Hour
	keyCheckEvery = time.Hour
)

// openTokens reads the signing keys and replaces the one that signs when it is old. Live tokens of the old one stay good.
func openTokens(c *config.Config) (*token.Tokens, error) {
	keys, err := youngKeys(c.Data, time.Now())
	if err != nil {
		return nil, err
	}
	return token.NewTokens(token.TokenOptions{Key: keys.Current, Retired: keys.Retired, Issuer: issuer(c), Now: time.Now})
}

// openAnswers reads the keys that sign answers.
func openAnswers(c *config.Config, secrets *token.Secrets) (*token.AnswerKeys, error) {
	variables := map[string]string{}
	for name, text := range c.Keys {
		variables[name] = string(text)
	}
	return token.NewAnswerKeys(token.AnswerKeysOptions{
		File: filepath.Join(c.Data, answersFile), Dir: c.KeysDir, Variables: variables, Secrets: secrets, Now: time.Now,
	})
}

// youngKeys rotates the keys of a data directory when the one that signs is too old, or does not say when it was made.
func youngKeys(dir string, now time.Time) (token.SigningKeys, error) {
	path := filepath.Join(dir, signingFile)
	keys, err := token.ReadOrMakeSigningKeys(path, now)
	if err != nil || now.Sub(keys.Made) < signingKeyAge {
		return keys, err
	}
	return token.RotateSigningKeys(path, now)
}

// keepKeysYoung rotates while the server runs.
func (a *App) keepKeysYoung(ctx context.Context) {
	check := time.NewTicker(keyCheckEvery)
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-check.C:
			keys, err := youngKeys(a.options.Config.Data, now)
			if err == nil {
				err = a.tokens.Use(keys.Current, keys.Retired)
			}
			if err != nil {
				a.options.Log.Error("the keys that sign access tokens stay as they are", "error", err)
			}
			if err := a.answers.Refresh(); err != nil {
				a.options.Log.Error("the keys that sign answers stay as they are", "error", err)
			}
		}
	}
}
