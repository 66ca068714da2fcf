package token_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/token"
)

func answerToken(t *testing.T, k *token.AnswerKeys, algorithm, payload string) []byte {
	t.Helper()
	key, err := k.Choose(&model.Scope{ClientID: "client", Response: &model.JWTResponse{Algorithm: algorithm}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := key.Begin(&out)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(payload) { // byte by byte: the pieces must not show
		if _, err := w.Write([]byte{payload[i]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// RT-81, runtime-api.md 8.7: keys are replaced after 90 days; a new one is published before it signs, and an old one until the
// last token of it has expired. No token in between is refused, on a server that was restarted as on one that was not.
func TestAnswerKeyRotation(t *testing.T) {
	c := &clock{now}
	o := token.AnswerKeysOptions{File: filepath.Join(t.TempDir(), "answers.pem"), Now: c.now}
	keys, err := token.NewAnswerKeys(o)
	if err != nil {
		t.Fatal(err)
	}
	published := func() jwk.Set {
		t.Helper()
		out := jwk.NewSet()
		all, err := keys.PublicKeys()
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range all {
			if private, err := jwk.IsPrivateKey(k); private || err != nil {
				t.Fatal("a private key is published")
			}
			if err := out.AddKey(k); err != nil {
				t.Fatal(err)
			}
		}
		return out
	}
	type issued struct {
		text  []byte
		until time.Time
	}
	var living []issued
	kids := map[string]bool{}
	cached, fetched := published(), c.at // of a client that fetches the set every five minutes
	for end := now.Add(95 * 24 * time.Hour); c.at.Before(end); {
		step := 12 * time.Hour
		if age := c.at.Sub(now); age > 90*24*time.Hour-2*time.Hour && age < 90*24*time.Hour+4*time.Hour {
			step = 4 * time.Minute
		}
		c.at = c.at.Add(step)
		if c.at.Minute()%10 == 0 || step > time.Hour {
			if err := keys.Refresh(); err != nil {
				t.Fatal(err)
			}
		}
		if step > time.Hour || c.at.Sub(fetched) >= 5*time.Minute {
			cached, fetched = published(), c.at
		}
		for _, algorithm := range []string{"ES256", "EdDSA"} {
			text := answerToken(t, keys, algorithm, `{}`)
			message, _ := jws.Parse(text)
			kid, _ := message.Signatures()[0].ProtectedHeaders().KeyID()
			if !kids[kid] || c.at.Minute()%40 == 0 {
				living = append(living, issued{text, c.at.Add(24 * time.Hour)})
			}
			kids[kid] = true
		}
		rest := living[:0]
		for _, l := range living {
			if _, err := jws.Verify(l.text, jws.WithKeySet(cached)); err != nil && c.at.Before(l.until) {
				t.Fatalf("at %s a token that is good until %s is refused: %v", c.at, l.until, err)
			}
			if c.at.Before(l.until) {
				rest = append(rest, l)
			}
		}
		living = rest
	}
	if len(kids) != 4 || published().Len() != 3 {
		t.Errorf("%d keys of two algorithms have signed, %d are published", len(kids), published().Len())
	}
	again, err := token.NewAnswerKeys(o)
	if err != nil {
		t.Fatal(err)
	}
	if before, after := answerToken(t, keys, "EdDSA", "x"), answerToken(t, again, "EdDSA", "x"); !cmp.Equal(before, after) {
		t.Error("another key after a restart")
	}
}

// A key file that others can read, that is broken or that holds no usable key stops the start, and no error shows a key.
func TestAnswerKeyFiles(t *testing.T) {
	dir := t.TempDir()
	own := filepath.Join(dir, "answers.pem")
	open := func(keys string) error {
		_, err := token.NewAnswerKeys(token.AnswerKeysOptions{File: own, Dir: keys, Now: func() time.Time { return now }})
		return err
	}
	if err := open(""); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(own); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of the own keys: %v %v", info, err)
	}
	text, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
	}{
		"others can read it": {string(text), 0o644}, "not PEM": {"SECRET", 0o600}, "several keys": {string(text), 0o600},
		"not a key":          {"-----BEGIN PRIVATE KEY-----\nU0VDUkVU\n-----END PRIVATE KEY-----\n", 0o600},
		"only a certificate": {"-----BEGIN CERTIFICATE-----\nU0VDUkVU\n-----END CERTIFICATE-----\n", 0o600},
	} {
		keys := t.TempDir()
		if err := os.WriteFile(filepath.Join(keys, "portal.pem"), []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		if err := open(keys); err == nil || !strings.Contains(err.Error(), "portal.pem") || strings.Contains(err.Error(), "SECRET") || strings.Contains(err.Error(), "U0VD") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := open(filepath.Join(dir, "none")); err == nil {
		t.Error("a directory that does not exist")
	}
	for name, bad := range map[string]string{"cut": string(text[:len(text)/2]), "empty": "\n", "no date": strings.ReplaceAll(string(text), "Made:", "Born:")} {
		if err := os.WriteFile(own, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := open(""); err == nil {
			t.Errorf("own keys, %s: accepted", name)
		}
	}
}
