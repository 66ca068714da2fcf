package manage

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/token"
)

// 18, PM-55: what a scope says of its decision tokens is checked, stored and shown; nothing may name a key that is not there.
func TestJWTResponse(t *testing.T) {
	w := newWorld(t)
	one := env + "/scopes/c1"
	w.do("admin", "POST", env+"/scopes", `{"clientId":"c1","name":"portal","jwtResponse":{}}`).want(t, 201,
		`"jwtResponse":{"alg":"RS256","kid":null,"secretStore":null,"keyPath":null,"keyName":null,"certificate":null,"issuer":null,"audience":null,"lifetimeSeconds":null}`)
	const full = `{"alg":"EdDSA","kid":null,"secretStore":null,"keyPath":null,"keyName":null,"certificate":null,"issuer":"https://pdp.example.org","audience":"quay","lifetimeSeconds":86400}`
	w.do("admin", "PUT", one, `{"name":"portal","jwtResponse":`+full+`}`).want(t, 200, `"jwtResponse":`+full)
	shown := w.do("viewer", "GET", one, "").want(t, 200, `"jwtResponse":`+full)
	w.do("admin", "PUT", one, shown.body).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged", "Ambit-Revision: 3")
	w.do("admin", "PATCH", one, `{"jwtResponse":{"alg":"ES256","audience":null}}`).want(t, 200, `"alg":"ES256"`, `"issuer":"https://pdp.example.org","audience":null,"lifetimeSeconds":86400`)
	w.do("admin", "PUT", one, `{"name":"portal","jwtResponse":{"alg":"none","kid":"quay-1","secretStore":"vault","keyPath":"/k","keyName":"","certificate":"x","issuer":" x","audience":"`+strings.Repeat("x", 2049)+`","lifetimeSeconds":0}}`).want(t, 400,
		"/jwtResponse/alg", "/jwtResponse/secretStore", "/jwtResponse/keyPath",
		"/jwtResponse/certificate", "/jwtResponse/issuer", "/jwtResponse/audience", "/jwtResponse/lifetimeSeconds: is not above 0")
	for _, bad := range []string{"-1", "86401", "1.5", `"9"`} {
		w.do("admin", "PATCH", one, `{"jwtResponse":{"lifetimeSeconds":`+bad+`}}`).want(t, 400, "/jwtResponse/lifetimeSeconds")
	}
	w.do("admin", "PATCH", one, `{"jwtResponse":null}`).want(t, 200, `"jwtResponse":null`)
}

// 18, runtime-api.md 8.6, 8.7: the key that a scope names exists and signs by its algorithm, in dry runs and applied directories
// too; what is stored already is not asked for again. Public keys of answers are in the key set.
func TestScopeKeys(t *testing.T) {
	w := newWorld(t)
	w.do("admin", "POST", env+"/scopes", `{"clientId":"c1","name":"portal","jwtResponse":{"keyName":"quay"}}`).want(t, 400, "/jwtResponse/keyName")
	dir := t.TempDir()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	w.must(err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	w.must(err)
	file := filepath.Join(dir, "quay.pem")
	w.must(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Headers: map[string]string{"Kid": "quay-1", "Environment": envID}, Bytes: der}), 0o600))
	w.options.Answers, err = token.NewAnswerKeys(token.AnswerKeysOptions{File: filepath.Join(t.TempDir(), "answers.pem"), Dir: dir, Now: w.options.Now})
	w.must(err)
	service := manage.New(w.options)
	t.Cleanup(service.Close)
	w.handler = Handler(Options{Service: service, Log: w.options.Log, TempDir: t.TempDir()})
	scope := func(response string) string {
		return `{"clientId":"c1","name":"portal","jwtResponse":` + response + `}`
	}
	for response, problem := range map[string]string{
		`{"keyName":"none"}`:                            `/jwtResponse/keyName: there is no key \"none\" in the key store`,
		`{"keyName":"../quay","alg":"EdDSA"}`:           "/jwtResponse/keyName: there is no key",
		`{"keyName":"quay"}`:                            "/jwtResponse/alg: the key signs by EdDSA, not by RS256",
		`{"keyName":"quay","alg":"EdDSA","kid":"quay"}`: `/jwtResponse/kid: the kid of the key is \"quay-1\"`,
		`{"kid":"quay-1"}`:                              "/jwtResponse/kid: the server's own keys have kids of their own",
	} {
		w.do("admin", "POST", env+"/scopes", scope(response)).want(t, 400, problem)
		w.do("admin", "PUT", env+"/scopes/c1?dryRun=true", scope(response)).want(t, 400, problem)
	}
	const good = `{"alg":"EdDSA","kid":"quay-1","secretStore":null,"keyPath":null,"keyName":"quay","certificate":null,"issuer":null,"audience":null,"lifetimeSeconds":null}`
	w.do("admin", "POST", env+"/scopes", scope(good)).want(t, 201, `"jwtResponse":`+good)
	w.do("admin", "PATCH", env+"/scopes/c1", `{"jwtResponse":{"keyName":"none"}}`).want(t, 400, "/jwtResponse/keyName")
	keys := w.do("", "GET", keySetPath, "").want(t, 200, `"kid":"quay-1"`, `"alg":"RS256"`, `"kty":"OKP"`).wantHeaders(t, "Cache-Control: public, max-age=300")
	if strings.Contains(keys.body, `"d":`) {
		t.Error("a private key is published")
	}
	w.must(os.Remove(file))
	w.do("admin", "PATCH", env+"/scopes/c1", `{"description":"still there"}`).want(t, 200, `"keyName":"quay"`)
	w.do("admin", "PATCH", env+"/scopes/c1", `{"jwtResponse":{"audience":"x"}}`).want(t, 400, "/jwtResponse/keyName: there is no key")
}

// MG-17, MG-19, MG-14: secrets are parts of their scope and share its version; making one never needs it.
func TestSecretPreconditions(t *testing.T) {
	w := newWorld(t)
	one := env + "/scopes/c1"
	tag := w.do("admin", "POST", env+"/scopes", `{"clientId":"c1","name":"portal","authMethods":["SECRET_HEADER"]}`).want(t, 201).Header.Get("ETag")
	w.do("admin", "PATCH", env, `{"settings":{"requireIfMatch":true}}`).want(t, 200)
	dry := w.do("admin", "POST", one+"/secrets?dryRun=true", `{"expireOldAfterSeconds":60}`).want(t, 201, `"secret":null`)
	real := w.do("admin", "POST", one+"/secrets", `{"expireOldAfterSeconds":60}`, "If-Match: "+tag).want(t, 201)
	for _, header := range []string{"Ambit-Result", "ETag"} {
		if a, b := dry.Header.Get(header), real.Header.Get(header); a != b || a == "" {
			t.Errorf("%s: %q in the dry run, then %q", header, a, b)
		}
	}
	w.do("admin", "POST", one+"/secrets?dryRun=true", `{"expireOldAfterSeconds":60}`).want(t, 409, "MGT-009", "living secrets")
	w.do("admin", "POST", one+"/secrets", ``, "If-Match: "+tag).want(t, 412)
	id := strings.Split(strings.Split(real.body, `"id":"`)[1], `"`)[0]
	w.do("admin", "DELETE", one+"/secrets/"+id, "").want(t, 428, "MGT-013")
	w.do("admin", "DELETE", one+"/secrets/"+id, "", "If-Match: "+tag).want(t, 412)
	w.do("admin", "DELETE", one+"/secrets/"+id, "", "If-Match: "+real.Header.Get("ETag")).want(t, 204).wantHeaders(t, "Ambit-Result: deleted")
	w.do("admin", "DELETE", one+"/secrets/"+id, "", "If-Match: *").want(t, 404, "Secret")
	w.do("viewer", "GET", one+"/secrets", "").want(t, 200, `"total":1`, `"lastUsedAt":null`)
	w.do("admin", "POST", env+"/scopes/none/secrets", ``).want(t, 404, "Scope: [none] not found")
}
