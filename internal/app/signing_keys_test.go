package app

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"maps"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/config"
	"github.com/ambit-authz/ambit/internal/model"
)

const keysEnvironment = "7e57c0de-9b3f-4a57-8c21-0d6f5b8e4a10"

// signingServer is a server on a port of its own, with an environment whose scopes sign.
type signingServer struct {
	t        *testing.T
	config   config.Config
	url      string
	token    string // of the tenant
	revision string // of the last write
	secrets  map[string]string
	stop     func()
}

func newSigningServer(t *testing.T) *signingServer {
	t.Helper()
	s := &signingServer{t: t, config: config.Default(), secrets: map[string]string{}}
	s.config.Listen, s.config.Data, s.config.KeysDir = "127.0.0.1:0", t.TempDir(), t.TempDir()
	s.config.Admin = config.Admin{ID: "admin", Secret: "a-given-secret"}
	s.config.Keys = map[string]config.Secret{}
	return s
}

// start runs the server until stop.
func (s *signingServer) start() {
	s.t.Helper()
	a := opened(s.t, s.config)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	s.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	}
	grant, err := a.service.Login(s.t.Context(), login("admin", "a-given-secret"))
	s.must(err)
	s.url, s.token = a.URL(), grant.AccessToken
}

func (s *signingServer) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// call makes a management call.
func (s *signingServer) call(method, path string, body any, want int) map[string]any {
	s.t.Helper()
	text, err := json.Marshal(body)
	s.must(err)
	status, answer, header := s.send(method, "/ambit/1.0"+path, string(text), map[string]string{"Authorization": "Bearer " + s.token, "Content-Type": "application/json"})
	if status != want {
		s.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	s.revision = header.Get("Ambit-Revision")
	var out struct{ Data map[string]any }
	if len(answer) > 0 {
		s.must(json.Unmarshal(answer, &out))
	}
	return out.Data
}

func (s *signingServer) send(method, path, body string, headers map[string]string) (int, []byte, http.Header) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	s.must(err)
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	w, err := http.DefaultClient.Do(r)
	s.must(err)
	defer func() { _ = w.Body.Close() }()
	out, err := io.ReadAll(w.Body)
	s.must(err)
	return w.StatusCode, out, w.Header
}

const keysAt = "/environments/" + keysEnvironment

// scope makes or changes a scope.
func (s *signingServer) scope(id string, response map[string]any) {
	s.t.Helper()
	if s.secrets[id] != "" {
		s.call("PUT", keysAt+"/scopes/"+id, map[string]any{"name": id, "jwtResponse": response}, http.StatusOK)
		return
	}
	made := s.call("POST", keysAt+"/scopes", map[string]any{"clientId": id, "name": id, "jwtResponse": response}, http.StatusCreated)
	s.secrets[id], _ = made["secret"].(string)
}

// ask asks as a scope, for a signed answer or a plain one.
func (s *signingServer) ask(id, format string) (int, []byte) {
	s.t.Helper()
	status, answer, _ := s.send("POST", "/api/runtime/token/v3", `{"entityId":"mreyes","entityTypeId":"User","accessTokenFormat":"`+format+`"}`,
		map[string]string{"X-Client-Id": id, "X-Client-Secret": s.secrets[id], "Ambit-Min-Revision": s.revision, "Content-Type": "application/json"})
	return status, answer
}

// signed is the token of an answer, which verifies.
func (s *signingServer) signed(id, algorithm, kid string) string {
	s.t.Helper()
	status, answer := s.ask(id, "StandardJWT")
	var body struct {
		Response []struct{ AccessToken string }
	}
	if err := json.Unmarshal(answer, &body); err != nil || status != http.StatusOK || len(body.Response) != 1 {
		s.t.Fatalf("%s: %d %s", id, status, answer)
	}
	text := body.Response[0].AccessToken
	head, err := s.verify(text)
	if err != nil || head["alg"] != algorithm || head["kid"] != kid || head["typ"] != "JWT" {
		s.t.Errorf("%s by %s of %s: %v, %v", id, algorithm, kid, head, err)
	}
	return text
}

type jsonKey struct {
	Kty, Kid, Alg, Use, Crv, N, E, X, Y string
	X5C                                 []string
	D                                   *string
}

func (s *signingServer) keySet() map[string]jsonKey {
	s.t.Helper()
	status, text, _ := s.send("GET", "/.well-known/jwks.json", "", nil)
	var set struct{ Keys []jsonKey }
	if err := json.Unmarshal(text, &set); err != nil || status != http.StatusOK {
		s.t.Fatalf("%d %s", status, text)
	}
	out := map[string]jsonKey{}
	for _, k := range set.Keys {
		if _, twice := out[k.Kid]; twice || k.D != nil || k.Use != "sig" {
			s.t.Errorf("the key set: %s", text)
		}
		out[k.Kid] = k
	}
	return out
}

// verify judges a token by the key set as any other program does: with nothing of the server's code.
func (s *signingServer) verify(text string) (map[string]any, error) {
	s.t.Helper()
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, errors.New("not three parts")
	}
	number := func(text string) *big.Int {
		b, err := base64.RawURLEncoding.DecodeString(text)
		s.must(err)
		return new(big.Int).SetBytes(b)
	}
	var head map[string]any
	raw, err := base64.RawURLEncoding.DecodeString(parts[0])
	s.must(err)
	s.must(json.Unmarshal(raw, &head))
	kid, _ := head["kid"].(string)
	key, there := s.keySet()[kid]
	if !there || key.Alg != head["alg"] {
		return head, errors.New("no such key")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	s.must(err)
	message := []byte(parts[0] + "." + parts[1])
	digest := sha256.Sum256(message)
	good := false
	switch key.Kty {
	case "RSA":
		public := &rsa.PublicKey{N: number(key.N), E: int(number(key.E).Int64())}
		good = rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature) == nil
	case "EC":
		public := &ecdsa.PublicKey{Curve: elliptic.P256(), X: number(key.X), Y: number(key.Y)}
		good = len(signature) == 64 && ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
	case "OKP":
		public, err := base64.RawURLEncoding.DecodeString(key.X)
		s.must(err)
		good = ed25519.Verify(public, message, signature)
	}
	if !good {
		return head, errors.New("the signature is wrong")
	}
	return head, nil
}

// newKey makes a private key in PEM with a certificate.
func newKey(t *testing.T, algorithm string, head map[string]string) (text, certificate string) {
	t.Helper()
	var key crypto.Signer
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
	der, e1 := x509.MarshalPKCS8PrivateKey(key)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "quay"}, NotAfter: time.Now().Add(time.Hour)}
	signed, e2 := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err := errors.Join(e1, e2); err != nil {
		t.Fatal(err)
	}
	text = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Headers: head, Bytes: der})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}))
	return text, base64.StdEncoding.EncodeToString(signed)
}

// give puts a key into a store and returns what a scope says to sign with it.
func (s *signingServer) give(in, algorithm, kid string) (response map[string]any, certificate string) {
	s.t.Helper()
	name := "K_" + algorithm
	head := map[string]string{"Kid": kid}
	if in != model.KeysDatabase {
		head["Environment"] = keysEnvironment
	}
	text, certificate := newKey(s.t, algorithm, head)
	switch in {
	case model.KeysFile:
		s.must(os.WriteFile(filepath.Join(s.config.KeysDir, name+".pem"), []byte(text), 0o600))
	case model.KeysEnvironment:
		s.config.Keys[name] = config.Secret(strings.ReplaceAll(text, "\n", `\n`))
	case model.KeysDatabase:
		s.call("PUT", keysAt+"/signing-keys/"+name, map[string]any{"privateKey": text}, s.putStatus(name))
	}
	return map[string]any{"alg": algorithm, "secretStore": in, "keyName": name}, certificate
}

func (s *signingServer) putStatus(name string) int {
	s.t.Helper()
	status, _, _ := s.send("GET", "/ambit/1.0"+keysAt+"/signing-keys/"+name, "", map[string]string{"Authorization": "Bearer " + s.token})
	return map[bool]int{true: http.StatusOK, false: http.StatusCreated}[status == http.StatusOK]
}

// RT-81, runtime-api.md 8.6, 8.7: every store of keys with every algorithm, verified by the key set alone, with the certificate
// of the key; replaced keys and those that are gone stay published, also over restarts; a key that cannot be read is 500.
func TestSignedByEveryStore(t *testing.T) {
	s := newSigningServer(t)
	algorithms := []string{model.AlgorithmRS256, model.AlgorithmES256, model.AlgorithmEdDSA}
	stores := []string{model.KeysFile, model.KeysEnvironment, model.KeysDatabase}
	old := map[string]string{} // tokens by scope
	settings, certificates := map[string]map[string]any{}, map[string]string{}
	for _, algorithm := range algorithms {
		for _, in := range stores[:2] {
			id := in + algorithm
			settings[id], certificates[id] = s.give(in, algorithm, id+"-1")
		}
	}
	s.start()
	s.call("POST", "/environments", map[string]any{"id": keysEnvironment, "name": "Signed"}, http.StatusCreated)
	s.call("PUT", keysAt+"/identity-templates/User/identities/mreyes", map[string]any{}, http.StatusCreated)
	for _, algorithm := range algorithms {
		id := model.KeysDatabase + algorithm
		settings[id], certificates[id] = s.give(model.KeysDatabase, algorithm, id+"-1")
		for _, in := range stores {
			id := in + algorithm
			s.scope(id, settings[id])
			old[id] = s.signed(id, algorithm, id+"-1")
			if got := s.keySet()[id+"-1"]; len(got.X5C) != 1 || got.X5C[0] != certificates[id] {
				t.Errorf("%s: the certificate is not published: %v", id, got.X5C)
			}
		}
	}
	next := maps.Clone(old)
	for _, algorithm := range algorithms { // files and the database change while the server runs
		for _, in := range []string{model.KeysFile, model.KeysDatabase} {
			id := in + algorithm
			s.give(in, algorithm, id+"-2")
			next[id] = s.signed(id, algorithm, id+"-2")
		}
	}
	s.stillGood(old, next)
	s.stop()
	for _, algorithm := range algorithms { // the variables change while it does not
		s.give(model.KeysEnvironment, algorithm, model.KeysEnvironment+algorithm+"-2")
	}
	s.must(os.Remove(filepath.Join(s.config.KeysDir, "K_EdDSA.pem")))
	s.start()
	s.stillGood(old, next)
	for _, algorithm := range algorithms {
		id := model.KeysEnvironment + algorithm
		s.signed(id, algorithm, id+"-2")
		id = model.KeysDatabase + algorithm
		s.signed(id, algorithm, id+"-2")
	}
	s.refuses("FILEEdDSA")
	s.stop()
	s.must(os.Remove(filepath.Join(s.config.Data, "secrets.key")))
	s.start()
	defer s.stop()
	for id := range old { // scope secrets went with the key
		s.secrets[id], _ = s.call("POST", keysAt+"/scopes/"+id+"/secrets", map[string]any{}, http.StatusCreated)["secret"].(string)
	}
	s.stillGood(old, next)
	s.refuses("DATABASERS256")
	s.signed("FILERS256", "RS256", "FILERS256-2")
}

// stillGood wants that tokens verify.
func (s *signingServer) stillGood(tokens ...map[string]string) {
	s.t.Helper()
	for _, some := range tokens {
		for id, text := range some {
			if head, err := s.verify(text); err != nil {
				s.t.Errorf("an older token of %s, %v: %v", id, head, err)
			}
		}
	}
}

// refuses wants no signed answer to a scope, and no unsigned one in its place.
func (s *signingServer) refuses(id string) {
	s.t.Helper()
	if status, answer := s.ask(id, "StandardJWT"); status != http.StatusInternalServerError || bytes.Contains(answer, []byte("access")) {
		s.t.Errorf("%s: %d %s", id, status, answer)
	}
	if status, answer := s.ask(id, "JSON"); status != http.StatusOK {
		s.t.Errorf("%s, plain: %d %s", id, status, answer)
	}
}

// runtime-api.md 8.6: a key of the database lies nowhere in the data directory as it came.
func TestSigningKeysAreSealed(t *testing.T) {
	s := newSigningServer(t)
	s.start()
	s.call("POST", "/environments", map[string]any{"id": keysEnvironment, "name": "Signed"}, http.StatusCreated)
	text, _ := newKey(t, model.AlgorithmRS256, nil)
	s.call("PUT", keysAt+"/signing-keys/quay", map[string]any{"privateKey": text}, http.StatusCreated)
	s.stop()
	block, _ := pem.Decode([]byte(text))
	files, err := os.ReadDir(s.config.Data)
	s.must(err)
	looked := 0
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(s.config.Data, f.Name()))
		if f.IsDir() || err != nil {
			continue
		}
		looked++
		middle := block.Bytes[len(block.Bytes)/2:]
		for _, part := range [][]byte{[]byte(strings.Split(text, "\n")[12]), middle[:64], []byte(base64.StdEncoding.EncodeToString(block.Bytes)[800:864])} {
			if bytes.Contains(content, part) {
				t.Errorf("%s holds the key", f.Name())
			}
		}
	}
	if looked < 4 {
		t.Errorf("only %d files", looked)
	}
}
