package token_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/token"
)

func edKey(t testing.TB, seed byte, head map[string]string) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Headers: head, Bytes: der}))
}

// runtime-api.md 8.7: a key of a file that is replaced, or gone, while the server runs or stands still, is published until the
// last token of it has expired, and then no more.
func TestReplacedKeyFiles(t *testing.T) {
	c := &clock{now}
	dir := t.TempDir()
	o := token.AnswerKeysOptions{File: filepath.Join(t.TempDir(), "answers.pem"), Dir: dir, Now: c.now}
	put := func(seed byte, kid string) {
		t.Helper()
		path := filepath.Join(dir, "client.pem")
		if err := os.WriteFile(path, []byte(edKey(t, seed, map[string]string{"Kid": kid})), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, c.at, c.at); err != nil {
			t.Fatal(err)
		}
	}
	open := func() *token.AnswerKeys {
		t.Helper()
		keys, err := token.NewAnswerKeys(o)
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	published := func(keys *token.AnswerKeys) string {
		t.Helper()
		all, err := keys.PublicKeys()
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, k := range all {
			if kid, _ := k.KeyID(); strings.HasPrefix(kid, "k") && len(kid) == 2 {
				out = append(out, kid)
			}
		}
		return strings.Join(out, " ")
	}
	want := func(keys *token.AnswerKeys, kids string) {
		t.Helper()
		if got := published(keys); got != kids {
			t.Errorf("at %s %q is published, want %q", c.at, got, kids)
		}
	}
	put(1, "k1")
	keys := open()
	want(keys, "k1")
	c.at = c.at.Add(30 * time.Minute)
	put(2, "k2") // and answers are signed with it before anybody asks for the set
	if text := answerToken(t, keys, "", "{}"); len(text) == 0 {
		t.Fatal("no answer")
	}
	want(keys, "k2 k1")
	keys = open() // after a crash
	want(keys, "k2 k1")
	c.at = c.at.Add(time.Hour)
	if err := os.Remove(filepath.Join(dir, "client.pem")); err != nil {
		t.Fatal(err)
	}
	keys = open()
	want(keys, "k1 k2")
	c.at = c.at.Add(23*time.Hour + 29*time.Minute)
	want(keys, "k1 k2")
	c.at = c.at.Add(4 * time.Hour)
	want(keys, "")
	if err := keys.Refresh(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(o.File)
	if err != nil || bytes.Contains(text, []byte("Kid")) {
		t.Errorf("what is over is kept: %s, %v", text, err)
	}
}

// runtime-api.md 8.6: what is sealed opens in its environment under its name, and nowhere else, however often it was opened there.
func TestSealedAnswerKeys(t *testing.T) {
	secrets, err := token.NewSecrets(make([]byte, token.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := token.NewAnswerKeys(token.AnswerKeysOptions{File: filepath.Join(t.TempDir(), "answers.pem"), Secrets: secrets, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	stored, err := keys.Seal("e1", "quay", edKey(t, 1, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	scope := func(env model.EnvironmentID, name string) *model.Scope {
		return &model.Scope{ClientID: "c", EnvironmentID: env, Response: &model.JWTResponse{SecretStore: model.KeysDatabase, KeyName: name}}
	}
	moved, cut := stored, stored
	moved.Name, cut.Sealed = "other", stored.Sealed[:len(stored.Sealed)-1]
	for _, c := range []struct {
		what  string
		scope *model.Scope
		key   *model.SigningKey
		good  bool
	}{
		{"its own", scope("e1", "quay"), &stored, true},
		{"another environment", scope("e2", "quay"), &stored, false},
		{"another name", scope("e1", "other"), &moved, false},
		{"not the one named", scope("e1", "other"), &stored, false},
		{"none", scope("e1", "quay"), nil, false},
		{"cut", scope("e1", "quay"), &cut, false},
	} {
		if _, err := keys.Choose(c.scope, c.key); (err == nil) != c.good {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	if again, err := keys.Seal("e1", "quay", edKey(t, 1, nil), &stored); err != nil || !bytes.Equal(again.Sealed, stored.Sealed) {
		t.Errorf("the same key again is another one: %v", err)
	}
}

// Whatever a key text is: it makes a key that signs and is published without its private part, or an error that shows nothing.
func FuzzAnswerKey(f *testing.F) {
	good := edKey(f, 1, nil)
	for _, text := range []string{
		good, edKey(f, 2, map[string]string{"Kid": "quay-1", "Environment": "5b0c9d52-0f5e-4a77-9c1e-3d0a6f2b8e41"}), edKey(f, 2, map[string]string{"Kid": "a b"}), good + good,
		strings.ReplaceAll(good, "\n", `\n`), "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "",
	} {
		f.Add(text)
	}
	secrets, err := token.NewSecrets(make([]byte, token.KeySize))
	if err != nil {
		f.Fatal(err)
	}
	keys, err := token.NewAnswerKeys(token.AnswerKeysOptions{File: filepath.Join(f.TempDir(), "answers.pem"), Secrets: secrets, Now: func() time.Time { return now }})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		stored, err := keys.Seal("e", "k", text, nil)
		if err != nil {
			if len(err.Error()) > 200 {
				t.Errorf("a long error: %v", err)
			}
			return
		}
		if bytes.Contains(stored.Public, []byte(`"d":`)) || bytes.Contains(stored.Sealed, []byte("PRIVATE")) {
			t.Error("the private key can be seen")
		}
		all, err := keys.PublicKeys(stored)
		if err != nil || len(all) != 4 {
			t.Errorf("%d keys are published, %v", len(all), err)
		}
		scope := &model.Scope{ClientID: "c", EnvironmentID: "e", Response: &model.JWTResponse{SecretStore: model.KeysDatabase, KeyName: "k"}}
		key, err := keys.Choose(scope, &stored)
		if err != nil {
			t.Fatal(err)
		}
		w, err := key.Begin(&bytes.Buffer{})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}
