package token_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/token"
)

var now = time.Date(2026, 7, 6, 8, 0, 0, 0, time.UTC)

func newSecrets(t testing.TB) *token.Secrets {
	t.Helper()
	s, err := token.NewSecrets(bytes.Repeat([]byte{7}, token.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func accepts(t rapid.TB, s *token.Secrets, hashes []model.SecretHash, secret string, at time.Time) bool {
	t.Helper()
	good, err := s.Check(hashes, secret, at)
	if err != nil {
		t.Error(err)
	}
	return good
}

// PM-6, MG-28: own secrets are 256 bits with prefix and checksum, kept as a keyed hash.
func TestOwnSecret(t *testing.T) {
	s := newSecrets(t)
	secret, hash := s.New(now)
	other, otherHash := s.New(now)
	if secret == other || hash.ID == otherHash.ID {
		t.Fatal("two secrets are the same")
	}
	if !strings.HasPrefix(secret, "ambit_") || len(secret) != 55 || !token.IsOwn(secret) {
		t.Errorf("form of %q", secret)
	}
	if hash.Form != token.FormHMAC || bytes.Contains(hash.Hash, []byte(secret)) || len(hash.Hash) != 32 {
		t.Errorf("hash %+v", hash)
	}
	if !accepts(t, s, []model.SecretHash{otherHash, hash}, secret, now) {
		t.Error("the second living secret is refused")
	}
	if accepts(t, s, []model.SecretHash{otherHash}, secret, now) || accepts(t, s, nil, secret, now) {
		t.Error("a secret matches without its hash")
	}
	foreign, err := token.NewSecrets(bytes.Repeat([]byte{8}, token.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	if accepts(t, foreign, []model.SecretHash{hash}, secret, now) {
		t.Error("a hash matches under another key")
	}
}

// reliability: every prefix and every one-byte change of a secret is refused.
func TestOwnSecretAltered(t *testing.T) {
	s := newSecrets(t)
	secret, hash := s.New(now)
	for i := range len(secret) {
		changed := []byte(secret)
		changed[i] ^= 1
		if token.IsOwn(secret[:i]) || token.IsOwn(string(changed)) {
			t.Errorf("altered at %d, the checksum still fits", i)
		}
	}
	for _, wrong := range []string{"", secret[:54], secret + "0", strings.ToUpper(secret)} {
		if accepts(t, s, []model.SecretHash{hash}, wrong, now) {
			t.Errorf("%q is accepted", wrong)
		}
	}
}

// MG-28: a secret that was given out stays one: the checksum is the CRC-32 of the rest in base 62.
func TestOwnSecretForm(t *testing.T) {
	for _, secret := range []string{
		"ambit_ZzZzZzZzZzZzZzZzZzZzZzZzZzZzZzZzZzZzZzZzZz02rHuX0", "ambit_00000000000000000000000000000000000000079204wJcwA",
		"ambit_00000000000000000000000000000000000001663000XjDuw", "ambit_00000000000000000000000000000000000001821380CJKBb",
	} {
		if !token.IsOwn(secret) {
			t.Errorf("%s is not taken for a secret of ours", secret)
		}
	}
}

func TestGivenSecret(t *testing.T) {
	s := newSecrets(t)
	long := strings.Repeat("ü", 255)
	for _, given := range []string{"12345678", "päßwört und mehr", long + "x"} {
		hash, err := s.Hash(given, now)
		if err != nil {
			t.Fatal(err)
		}
		if hash.Form != token.FormArgon2 || len(hash.Salt) != 16 {
			t.Errorf("form of %q is %q", given, hash.Form)
		}
		for range 2 { // the second time from memory
			if !accepts(t, s, []model.SecretHash{hash}, given, now) {
				t.Errorf("%q is refused", given)
			}
		}
		if accepts(t, s, []model.SecretHash{hash}, given[:len(given)-1]+"y", now) {
			t.Errorf("%q with another end is accepted", given)
		}
	}
	for _, bad := range []string{"", "1234567", strings.Repeat("x", 257), "1234567\xff8"} {
		if _, err := s.Hash(bad, now); model.KindOf(err) != model.KindInvalid {
			t.Errorf("Hash(%q) = %v", bad, err)
		} else if bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
	own, _ := s.New(now)
	if hash, err := s.Hash(own, now); err != nil || hash.Form != token.FormHMAC {
		t.Errorf("an own secret given from outside is kept as %q, %v", hash.Form, err)
	}
}

// MG-61: an ended secret is refused from its end on, also when its check is remembered.
func TestSecretEnds(t *testing.T) {
	s := newSecrets(t)
	own, ownHash := s.New(now)
	given := "chosen by a person"
	givenHash, err := s.Hash(given, now)
	if err != nil {
		t.Fatal(err)
	}
	end := now.Add(time.Minute)
	ownHash.ExpiresAt, givenHash.ExpiresAt = end, end
	hashes := []model.SecretHash{ownHash, givenHash}
	for _, secret := range []string{own, given} {
		if !accepts(t, s, hashes, secret, end.Add(-1)) {
			t.Errorf("%q is refused before its end", secret)
		}
		if accepts(t, s, hashes, secret, end) {
			t.Errorf("%q is accepted at its end", secret)
		}
	}
}

// README ruling 8: a successful argon2id check is remembered; a replaced secret is not.
func TestGivenSecretRemembered(t *testing.T) {
	s := newSecrets(t)
	given := "chosen by a person"
	first, _ := s.Hash(given, now)
	start := time.Now()
	accepts(t, s, []model.SecretHash{first}, given, now)
	one := time.Since(start)
	start = time.Now()
	for range 1000 {
		if !accepts(t, s, []model.SecretHash{first}, given, now) {
			t.Fatal("refused")
		}
	}
	if took := time.Since(start); took > 100*one {
		t.Errorf("1,000 remembered checks took %v, the first alone %v", took, one)
	}
	second, _ := s.Hash("another one", now)
	if accepts(t, s, []model.SecretHash{second}, given, now) {
		t.Error("the old secret still works")
	}
}

// MG-24: a client that is not known costs as much as a wrong secret. The factor is wide because the machine is shared.
func TestUnknownClientCostsTheSame(t *testing.T) {
	s := newSecrets(t)
	hash, _ := s.Hash("chosen by a person", now)
	_, ownHash := s.New(now)
	all := map[string][]model.SecretHash{"wrong": {hash}, "unknown": nil, "own form": {ownHash}}
	best := map[string]time.Duration{"wrong": time.Hour, "unknown": time.Hour, "own form": time.Hour}
	for range 7 { // in turns: what else the machine does then slows all of them
		for name, hashes := range all {
			start := time.Now()
			accepts(t, s, hashes, "a wrong secret", now)
			best[name] = min(best[name], time.Since(start))
		}
	}
	for name, d := range best {
		if d < best["wrong"]/3 || d > best["wrong"]*3 {
			t.Errorf("%s costs %v, a wrong secret %v", name, d, best["wrong"])
		}
	}
}

func TestSecretForms(t *testing.T) {
	s := newSecrets(t)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		if token.IsOwn(text) {
			t.Fatalf("%q is taken for a secret of ours", text)
		}
		secret, hash := s.New(now)
		if !accepts(t, s, []model.SecretHash{hash}, secret, now) {
			t.Fatalf("%q is refused", secret)
		}
	})
}

func TestNewClientID(t *testing.T) {
	seen := map[model.ClientID]bool{}
	for range 200 {
		id := token.NewClientID()
		if len(id) != 20 || strings.Trim(string(id), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" || seen[id] {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets.key")
	var wg sync.WaitGroup
	keys := make([][]byte, 8)
	for i := range keys {
		wg.Go(func() {
			key, err := token.ReadOrMakeKey(path)
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	wg.Wait()
	for _, key := range keys {
		if !bytes.Equal(key, keys[0]) || len(key) != token.KeySize {
			t.Error("several first starts got different keys")
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	files, _ := os.ReadDir(filepath.Dir(path))
	if len(files) != 1 {
		t.Errorf("%d files are left behind", len(files))
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := token.ReadOrMakeKey(path); model.KindOf(err) != model.KindInvalid {
		t.Errorf("a key that others can read: %v", err)
	}
	if _, err := token.ReadOrMakeKey(filepath.Join(path, "no", "dir")); err == nil {
		t.Error("no error for a directory that does not exist")
	}
	broken := filepath.Join(t.TempDir(), "broken.key")
	if err := os.WriteFile(broken, []byte("zz"), 0o600); err != nil {
		t.Fatal(err)
	}
	var e *model.Error
	if _, err := token.ReadOrMakeKey(broken); !errors.As(err, &e) {
		t.Errorf("a broken key: %v", err)
	}
	if _, err := token.ReadOrMakeSigningKey(broken); !errors.As(err, &e) {
		t.Errorf("a broken signing key: %v", err)
	}
}
