package manage

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/token"
)

// keyed gives the server keys of answers, and a directory that follows the store, so that the key set is what decisions sign
// with.
func (w *world) keyed(o token.AnswerKeysOptions) {
	w.t.Helper()
	var err error
	o.File, o.Now = filepath.Join(w.t.TempDir(), "answers.pem"), w.options.Now
	w.options.Answers, err = token.NewAnswerKeys(o)
	w.must(err)
	directory := decide.NewDirectory(decide.DirectoryOptions{Store: w.store, Clock: w.options.Now, Log: w.options.Log, MaxStaleness: time.Hour})
	w.options.SigningKeys = func() []model.SigningKey {
		w.must(directory.CatchUp(context.Background()))
		return directory.SigningKeys()
	}
	service := manage.New(w.options)
	w.t.Cleanup(service.Close)
	w.handler = Handler(Options{Service: service, Log: w.options.Log, TempDir: w.t.TempDir()})
}

// newPEM makes a private key that signs by the algorithm.
func newPEM(t testing.TB, algorithm string, head map[string]string) string {
	t.Helper()
	var key any
	var err error
	switch algorithm {
	case model.AlgorithmES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case model.AlgorithmEdDSA:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Headers: head, Bytes: der}))
}

func keyBody(t testing.TB, text string) string {
	t.Helper()
	out, err := json.Marshal(map[string]string{"privateKey": text})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// lines are the lines of base64 of a key, which nothing may show.
func lines(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); len(line) >= 20 && !strings.Contains(line, "-----") {
			out = append(out, line)
		}
	}
	return out
}

// runtime-api.md 8.6, 8.7, MG-53: keys of the database are written, never read: not by any call, event, export or log, nor in the
// bytes of the store. One that is replaced or deleted stays published for as long as what it signed is good, unless it is revoked.
func TestSigningKeys(t *testing.T) {
	w := newWorld(t)
	w.keyed(token.AnswerKeysOptions{Secrets: w.options.Secrets})
	one := env + "/signing-keys/quay"
	first, second := newPEM(t, model.AlgorithmEdDSA, map[string]string{"Kid": "quay-1"}), newPEM(t, model.AlgorithmEdDSA, map[string]string{"Kid": "quay-2"})
	w.do("admin", "PUT", one, keyBody(t, first)).want(t, 403, "MGT-005")
	w.do("tenant", "PUT", one, `{"privateKey":"***"}`).want(t, 400, "/privateKey", "there is none")
	w.do("tenant", "PUT", one, keyBody(t, first)).want(t, 201, `"privateKey":"***"`, `"alg":"EdDSA"`, `"kid":"quay-1"`)
	again := w.do("viewer", "GET", one, "").want(t, 200, `"privateKey":"***"`)
	w.do("tenant", "PUT", one, again.body).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged")
	w.do("tenant", "PUT", one, keyBody(t, first)).want(t, 200).wantHeaders(t, "Ambit-Result: unchanged")
	scope := func(settings string) string {
		return `{"clientId":"c1","name":"portal","jwtResponse":{"alg":"EdDSA","secretStore":"DATABASE"` + settings + `}}`
	}
	w.do("admin", "POST", env+"/scopes", scope(`,"keyName":"none"`)).want(t, 400, "/jwtResponse/keyName")
	w.do("admin", "POST", env+"/scopes", scope(``)).want(t, 400, "/jwtResponse/keyName") // that of the client id
	w.do("tenant", "POST", environments+"/"+otherID+"/scopes", scope(`,"keyName":"quay"`)).want(t, 400, "/jwtResponse/keyName: there is no key")
	w.do("admin", "POST", env+"/scopes", scope(`,"keyName":"quay"`)).want(t, 201, `"secretStore":"DATABASE"`, `"keyName":"quay"`)
	w.do("tenant", "PUT", one, keyBody(t, newPEM(t, model.AlgorithmES256, nil))).want(t, 400, "/privateKey: scope c1 signs with it")
	w.do("tenant", "PUT", one, keyBody(t, newPEM(t, model.AlgorithmEdDSA, map[string]string{"Kid": "quay-1"}))).want(t, 409, "Kid: [quay-1] already exists")
	w.do("tenant", "PUT", environments+"/"+otherID+"/signing-keys/x", keyBody(t, newPEM(t, model.AlgorithmEdDSA, map[string]string{"Kid": "quay-1"}))).want(t, 409)
	w.do("tenant", "DELETE", one, "").want(t, 409, "MGT-009", "c1")
	published := func(kids ...string) {
		t.Helper()
		set := w.do("", "GET", keySetPath, "").want(t, 200).body
		for _, kid := range []string{"quay-1", "quay-2"} {
			want := 0
			for _, k := range kids {
				want += strings.Count(k, kid)
			}
			if got := strings.Count(set, `"kid":"`+kid+`"`); got != want {
				t.Errorf("%s is published %d times, want %d: %s", kid, got, want, set)
			}
		}
	}
	published("quay-1")
	w.do("tenant", "PUT", one, keyBody(t, second)).want(t, 200, `"kid":"quay-2"`)
	published("quay-1", "quay-2")
	w.clock = w.clock.Add(25 * time.Hour)
	w.signIn()
	published("quay-1", "quay-2")
	w.clock = w.clock.Add(24 * time.Hour)
	w.signIn()
	published("quay-2")
	w.do("tenant", "PUT", one+"?revoke=true", keyBody(t, first)).want(t, 200, `"kid":"quay-1"`)
	published("quay-1")
	w.do("tenant", "PUT", one+"?revoke=maybe", keyBody(t, first)).want(t, 400, "revoke")
	w.do("admin", "DELETE", env+"/scopes/c1", "").want(t, 204)
	w.do("tenant", "DELETE", one, "").want(t, 204)
	w.do("viewer", "GET", one, "").want(t, 404, "SigningKey: [quay] not found")
	w.do("viewer", "GET", env+"/signing-keys", "").want(t, 200, `"data":[],"total":0`)
	published("quay-1")
	w.do("tenant", "PUT", one, keyBody(t, second)).want(t, 201)
	w.do("tenant", "DELETE", one+"?revoke=true", "").want(t, 204)
	published()
	w.hides(append(lines(first), lines(second)...))
}

// signIn renews the tokens of the callers.
func (w *world) signIn() {
	w.t.Helper()
	for id := range w.tokens {
		grant, err := w.service.Login(w.t.Context(), manage.Login{ClientID: model.ClientID(id), Secrets: []string{w.secrets[id]}})
		w.must(err)
		w.tokens[id] = grant.AccessToken
	}
}

// hides wants that no event, no export, no log and no byte of the store shows one of the texts.
func (w *world) hides(texts []string) {
	w.t.Helper()
	places := map[string][]byte{
		"events": []byte(w.do("tenant", "GET", auditPath+"/"+envID+"?limit=100", "").want(w.t, 200, "SIGNING_KEY").body),
		"export": []byte(w.do("tenant", "GET", env+"/export?format=tar&include=assets,identities,scopes", "").want(w.t, 200).body),
		"log":    w.log.Bytes(),
	}
	copied := filepath.Join(w.t.TempDir(), "copy.db")
	w.must(w.store.Backup(w.t.Context(), copied))
	var err error
	places["store"], err = os.ReadFile(copied)
	w.must(err)
	if len(texts) == 0 {
		w.t.Fatal("nothing to look for")
	}
	for place, bytesThere := range places {
		for _, text := range append(texts, "PRIVATE KEY") {
			if bytes.Contains(bytesThere, []byte(text)) {
				w.t.Errorf("%s: a private key can be seen", place)
			}
		}
	}
}

// runtime-api.md 8.6: what cannot sign is refused, and no answer repeats it.
func TestBadSigningKeys(t *testing.T) {
	w := newWorld(t)
	one := env + "/signing-keys/quay"
	good := newPEM(t, model.AlgorithmEdDSA, nil)
	w.do("tenant", "PUT", one, keyBody(t, good)).want(t, 400, "this server has no key store")
	w.keyed(token.AnswerKeysOptions{Secrets: w.options.Secrets})
	for name, text := range map[string]string{
		"empty": "", "not PEM": "SECRETTEXT", "two": good + newPEM(t, model.AlgorithmEdDSA, nil), "cut": good[:len(good)/2],
		"not a key":           "-----BEGIN PRIVATE KEY-----\nU0VDUkVUVEVYVA==\n-----END PRIVATE KEY-----\n",
		"of an environment":   newPEM(t, model.AlgorithmEdDSA, map[string]string{"Environment": envID}),
		"a kid with a blank":  newPEM(t, model.AlgorithmEdDSA, map[string]string{"Kid": "a b"}),
		"a kid without end":   newPEM(t, model.AlgorithmEdDSA, map[string]string{"Kid": strings.Repeat("k", 129)}),
		"another certificate": good + "-----BEGIN CERTIFICATE-----\nU0VDUkVUVEVYVA==\n-----END CERTIFICATE-----\n",
	} {
		a := w.do("tenant", "PUT", one, keyBody(t, text)).want(t, 400, "/privateKey: ")
		if strings.Contains(a.body, "SECRETTEXT") || strings.Contains(a.body, "U0VDUkVU") {
			t.Errorf("%s: the answer repeats it: %s", name, a.body)
		}
	}
	w.do("tenant", "PUT", one, `{"privateKey":"`+strings.Repeat("x", 70_000)+`"}`).want(t, 400, "MGT-018")
	w.do("tenant", "PUT", one, `{"name":"other","privateKey":"x"}`).want(t, 400, "/name")
	w.do("tenant", "PUT", env+"/signing-keys/"+strings.Repeat("x", 200), keyBody(t, good)).want(t, 400, "/name")
}

// runtime-api.md 8.6: keys of files and variables serve the scopes of the environments that they name, else only the scope of
// their name, and nobody but the tenant gives a scope that name. A directory that is applied is no way around.
func TestWhoseKeysTheyAre(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	put := func(name string, head map[string]string) string {
		text := newPEM(t, model.AlgorithmEdDSA, head)
		w.must(os.WriteFile(filepath.Join(dir, name+".pem"), []byte(text), 0o600))
		return text
	}
	put("portal", nil)
	put("ours", map[string]string{"Environment": envID})
	put("theirs", map[string]string{"Environment": otherID})
	put("both", map[string]string{"Environment": otherID + ", " + envID})
	w.keyed(token.AnswerKeysOptions{Dir: dir, Variables: map[string]string{
		"GATE": newPEM(t, model.AlgorithmEdDSA, nil), "OURS": strings.ReplaceAll(newPEM(t, model.AlgorithmEdDSA, map[string]string{"Environment": envID}), "\n", `\n`),
	}})
	scope := func(id, settings string) string {
		return `{"clientId":"` + id + `","name":"` + id + `","jwtResponse":{"alg":"EdDSA"` + settings + `}}`
	}
	for settings, there := range map[string]bool{
		`,"keyName":"ours"`: true, `,"keyName":"both"`: true, `,"secretStore":"FILE","keyName":"both"`: true, `,"secretStore":"ENVIRONMENT","keyName":"OURS"`: true,
		`,"keyName":"theirs"`: false, `,"keyName":"portal"`: false, `,"secretStore":"ENVIRONMENT","keyName":"GATE"`: false, `,"secretStore":"ENVIRONMENT","keyName":"ours"`: false,
		`,"secretStore":"FILE"`: false, `,"secretStore":"DATABASE","keyName":"ours"`: false, `,"keyName":"OURS"`: false,
	} {
		a := w.do("admin", "POST", env+"/scopes?dryRun=true", scope("c1", settings))
		if there {
			a.want(t, 201)
			continue
		}
		a.want(t, 400, "/jwtResponse/keyName: there is no key")
		(&harbour{world: w}).apply(t, map[string]string{"environment/scopes.json": `[` + scope("c1", settings) + `]`}).want(t, 400, "/jwtResponse/keyName: there is no key")
	}
	w.do("admin", "POST", env+"/scopes?dryRun=true", scope("c1", `,"secretStore":"VAULT"`)).want(t, 400, `/jwtResponse/secretStore: \"VAULT\" is not FILE, ENVIRONMENT or DATABASE`)
	for _, id := range []string{"portal", "GATE"} {
		for _, body := range []string{`{"clientId":"` + id + `","name":"x"}`, scope(id, "")} {
			w.do("admin", "POST", env+"/scopes", body).want(t, 400, "/clientId: the key store has a key of that name")
			w.do("admin", "PUT", env+"/scopes/"+id, body).want(t, 400, "/clientId: the key store has a key of that name")
		}
		w.do("tenant", "POST", env+"/scopes", scope(id, "")).want(t, 201)
		w.do("admin", "PATCH", env+"/scopes/"+id, `{"description":"x"}`).want(t, 200)
	}
	w.do("admin", "POST", env+"/scopes", `{"clientId":"ours","name":"x"}`).want(t, 201)
}

// MG-71, MG-74: a directory names keys and never holds them: applied where they are it changes nothing, and where they are not it
// is refused whole until they have been put there.
func TestSigningKeysAndDirectories(t *testing.T) {
	w := newWorld(t)
	w.keyed(token.AnswerKeysOptions{Secrets: w.options.Secrets})
	body := keyBody(t, newPEM(t, model.AlgorithmEdDSA, nil))
	w.do("tenant", "PUT", env+"/signing-keys/quay", body).want(t, 201)
	w.do("admin", "POST", env+"/scopes", `{"clientId":"c1","name":"portal","jwtResponse":{"alg":"EdDSA","secretStore":"DATABASE","keyName":"quay"}}`).want(t, 201)
	archive := w.do("admin", "GET", env+"/export?format=zip&include=scopes", "").want(t, 200).body
	w.do("admin", "POST", env+"/apply?prune=true", archive, "Content-Type: application/zip").want(t, 200, `"unchanged":1`).wantHeaders(t, "Ambit-Result: unchanged")
	w.do("viewer", "GET", env+"/signing-keys", "").want(t, 200, `"total":1`, `"name":"quay"`)
	w.do("tenant", "DELETE", env+"/scopes/c1", "").want(t, 204)
	other := environments + "/" + otherID
	apply := func() answer { return w.do("tenant", "POST", other+"/apply", archive, "Content-Type: application/zip") }
	apply().want(t, 400, "/0/jwtResponse/keyName: there is no key")
	w.do("tenant", "PUT", other+"/signing-keys/quay", body).want(t, 201) // the same key may serve two environments
	apply().want(t, 200, `"committed":true`)
	w.do("tenant", "GET", other+"/scopes/c1", "").want(t, 200, `"secretStore":"DATABASE"`)
}
