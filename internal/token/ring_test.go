package token_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/token"
)

// MG-78: keys are rotated again and again; no token is refused before its end, each key is published until the last token
// that it signed has expired, and not much longer.
func TestRotationRefusesNoLiveToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "signing.pem")
	keys, err := token.ReadOrMakeSigningKeys(path, now)
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{now}
	tokens, err := token.NewTokens(token.TokenOptions{Key: keys.Current, Retired: keys.Retired, Issuer: issuer, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	longest := credential()
	longest.TokenDuration = token.MaxLifetime
	type issued struct {
		text string
		end  time.Time
	}
	var live []issued
	for step := range 40 {
		c.at = now.Add(time.Duration(step) * 13 * time.Hour)
		text, err := tokens.Issue(longest)
		if err != nil {
			t.Fatal(err)
		}
		live = append(live, issued{text, c.at.Add(token.MaxLifetime)})
		if step%3 == 2 {
			if keys, err = token.RotateSigningKeys(path, c.at); err != nil {
				t.Fatal(err)
			}
			if !keys.Made.Equal(c.at.Truncate(time.Second)) {
				t.Errorf("made %v at %v", keys.Made, c.at)
			}
			if err := tokens.Use(keys.Current, keys.Retired); err != nil {
				t.Fatal(err)
			}
		}
		restarted, err := token.NewTokens(token.TokenOptions{Key: keys.Current, Retired: keys.Retired, Issuer: issuer, Now: c.now})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range live {
			_, err := tokens.Verify(l.text)
			_, again := restarted.Verify(l.text)
			if good := c.at.Before(l.end); (err == nil) != good || (again == nil) != good {
				t.Errorf("step %d: a token with its end at %v is judged %v, after a restart %v", step, l.end, err, again)
			}
		}
		set, err := tokens.KeySet()
		if err != nil {
			t.Fatal(err)
		}
		if n := set.Len(); n > 6 {
			t.Errorf("step %d: %d keys are published", step, n)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 1 {
		t.Errorf("%d files, %v", len(files), err)
	}
}

// MG-78: while keys are replaced, tokens that are signed and judged at the same moment stay good, and every published set has the
// key of each.
func TestRotationWhileTokensAreJudged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "signing.pem")
	keys, err := token.ReadOrMakeSigningKeys(path, now)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := token.NewTokens(token.TokenOptions{Key: keys.Current, Issuer: issuer, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	var callers sync.WaitGroup
	rotated := make(chan struct{})
	for range 4 {
		callers.Go(func() {
			for again := true; again; {
				select {
				case <-rotated:
					again = false
				default:
				}
				text, err := tokens.Issue(credential())
				if err != nil {
					t.Error(err)
					return
				}
				set, err := tokens.KeySet()
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := jws.Verify([]byte(text), jws.WithKeySet(set)); err != nil {
					t.Errorf("by the published keys: %v", err)
					return
				}
				if _, err := tokens.Verify(text); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 20 {
		if keys, err = token.RotateSigningKeys(path, now); err != nil {
			t.Error(err)
			break
		}
		if err := tokens.Use(keys.Current, keys.Retired); err != nil {
			t.Error(err)
			break
		}
	}
	close(rotated)
	callers.Wait()
}

// A file whose retired part is damaged is refused rather than read in part.
func TestDamagedSigningKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "signing.pem")
	if _, err := token.RotateSigningKeys(path, now); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, rest := range []string{
		"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
		"-----BEGIN PUBLIC KEY-----\nUntil: never\n\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n",
	} {
		if err := os.WriteFile(path, append(text, rest...), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := token.ReadOrMakeSigningKeys(path, now); model.KindOf(err) != model.KindInvalid {
			t.Errorf("%v", err)
		}
	}
}

// MG-78, ruling 6: runtime tokens have another audience, and neither is accepted in the other's place.
func TestRuntimeTokens(t *testing.T) {
	tokens, _, c := newTokens(t)
	scope := &model.Scope{ClientID: "S", EnvironmentID: "5b0c9d52-0f5e-4a77-9c1e-3d0a6f2b8e41"}
	text, err := tokens.IssueRuntime(scope, "secret-1", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := tokens.VerifyRuntime(text)
	if err != nil || claims.ClientID != "S" || claims.SecretID != "secret-1" || claims.EnvironmentID != scope.EnvironmentID || claims.Audience != issuer+"/access" {
		t.Errorf("%+v, %v", claims, err)
	}
	if !tokens.Recognizes(text) || tokens.Recognizes("a.b.c") || tokens.Recognizes("") {
		t.Error("a token of the issuer is not told from others")
	}
	if _, err := tokens.Verify(text); !errors.Is(err, token.ErrRefused) {
		t.Errorf("as a management token: %v", err)
	}
	management, err := tokens.Issue(credential())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.VerifyRuntime(management); !errors.Is(err, token.ErrRefused) {
		t.Errorf("a management token at runtime: %v", err)
	}
	c.at = now.Add(time.Hour)
	if _, err := tokens.VerifyRuntime(text); !errors.Is(err, token.ErrRefused) {
		t.Errorf("after its end: %v", err)
	}
}
