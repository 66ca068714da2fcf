package runtime

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/token"
)

// signer gives a harbour keys in a directory of their own, and publishes them.
type signer struct {
	keys *token.AnswerKeys
	dir  string
}

func newSigner(t testing.TB) *signer {
	t.Helper()
	s := &signer{dir: t.TempDir()}
	var err error
	s.keys, err = token.NewAnswerKeys(token.AnswerKeysOptions{
		File: filepath.Join(t.TempDir(), "answers.pem"), Dir: s.dir, Now: func() time.Time { return noon },
	})
	check(t, err)
	return s
}

func (s *signer) use(set *settings) {
	set.service.Keys, set.service.Issuer = s.keys, "https://pdp.harbour.example"
	set.options.KeySet = func() ([]byte, error) {
		keys, err := s.keys.PublicKeys()
		if err != nil {
			return nil, err
		}
		return json.Marshal(map[string]any{"keys": keys})
	}
}

// file writes a key file with a certificate and gives the certificate's text in the key set.
func (s *signer) file(t testing.TB, name, kid string) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	check(t, err)
	block := &pem.Block{Type: "PRIVATE KEY", Bytes: der, Headers: map[string]string{"Environment": string(harbourID)}}
	if kid != "" {
		block.Headers["Kid"] = kid
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: noon.Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	check(t, err)
	text := append(pem.EncodeToMemory(block), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})...)
	check(t, os.WriteFile(filepath.Join(s.dir, name+".pem"), text, 0o600))
	return base64.StdEncoding.EncodeToString(certificate)
}

// read verifies the token of an answer as a client does, by the key set alone, and gives its head and payload.
func (h *harbour) read(path, body string) (head map[string]any, payload string, lifetime int) {
	h.t.Helper()
	w := h.want(request{path: path, body: body}, http.StatusOK, "")
	var answer struct {
		TokenValidity int `json:"tokenValidity"`
		Response      []struct {
			AccessToken string `json:"accessToken"`
		} `json:"response"`
		ContextData *string `json:"contextData"`
	}
	decoder := json.NewDecoder(w.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&answer); err != nil || len(answer.Response) != 1 || answer.ContextData != nil {
		h.t.Fatalf("%s: %v %+v", body, err, answer)
	}
	keys := h.want(request{method: http.MethodGet, path: "/.well-known/jwks.json", anonymous: true}, http.StatusOK, "")
	if got := keys.Header().Get("Cache-Control"); got != "public, max-age=300" {
		h.t.Errorf("Cache-Control of the keys: %s", got)
	}
	if strings.Contains(keys.Body.String(), `"d":`) {
		h.t.Fatal("the key set shows a private key")
	}
	set, err := jwk.Parse(keys.Body.Bytes())
	check(h.t, err)
	text := answer.Response[0].AccessToken
	verified, err := jws.Verify([]byte(text), jws.WithKeySet(set, jws.WithRequireKid(true)))
	check(h.t, err)
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[0])
	check(h.t, err)
	check(h.t, json.Unmarshal(raw, &head))
	return head, string(verified), answer.TokenValidity
}

// RT-79, RT-81: the payload of runtime-api.md 8.6 byte for byte, under every algorithm.
func TestStandardToken(t *testing.T) {
	h := newHarbour(t, newSigner(t).use)
	body := `{` + mreyes + `,"accessTokenFormat":"standardjwt","resourceTypes":[{"name":"Accounts","attributeList":["tier"]}],"assetList":[{"template":"Accounts","path":"acc-1"}]}`
	id := regexp.MustCompile(`"jti":"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"`)
	for _, algorithm := range []string{model.AlgorithmRS256, model.AlgorithmES256, model.AlgorithmEdDSA} {
		h.changeScope(func(s *model.Scope) {
			s.Response = &model.JWTResponse{Algorithm: algorithm, Audience: "branch-portal"}
		})
		head, payload, lifetime := h.read("", body)
		want := fmt.Sprintf(`{"iss":"https://pdp.harbour.example","sub":"mreyes","aud":"branch-portal","iat":%d,"nbf":%d,"exp":%d,"jti":"?","client_id":%q,`+
			`"access":[{"path":"acc-1","attributes":{"tier":["basic"]},"resourceType":"Accounts","actions":[{"action":"View"},{"action":"Edit"}]}]}`,
			noon.Unix(), noon.Unix(), noon.Unix()+300, client)
		if got := id.ReplaceAllString(payload, `"jti":"?"`); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", algorithm, got, want)
		}
		if head["alg"] != algorithm || head["typ"] != "JWT" || head["kid"] == "" || len(head) != 3 || lifetime != 300 {
			t.Errorf("%s: head %v, lifetime %d", algorithm, head, lifetime)
		}
	}
	h.changeScope(func(s *model.Scope) { s.Response = nil })
	head, first, _ := h.read("", body)
	if _, second, _ := h.read("", body); head["alg"] != "RS256" || id.FindString(first) == id.FindString(second) || !strings.Contains(first, `"aud":"`+string(client)+`"`) {
		t.Errorf("defaults: %v %s", head, first)
	}
	h.changeScope(func(s *model.Scope) {
		s.Response = &model.JWTResponse{Algorithm: "ES256", Issuer: "https://own.example", LifetimeSeconds: 60}
	})
	_, payload, lifetime := h.read("", `{"entityId":"gone","accessTokenFormat":"StandardJWT","includeIdentity":true}`)
	if lifetime != 60 || !strings.Contains(payload, `"iss":"https://own.example"`) || !strings.Contains(payload, `,"access":[],"identity":{"entityId":"gone"`) {
		t.Errorf("nothing allowed: %d %s", lifetime, payload)
	}
	_, payload, _ = h.read(resolutionPath, `{`+mreyes+`,"accessTokenFormat":"StandardJWT","resourceTypes":["Customers"]}`)
	if !strings.Contains(payload, `,"privileges":{"allowed":[{"resourceType":"Customers"`) {
		t.Errorf("resolution: %s", payload)
	}
	_, payload, _ = h.read(usersPath, `{"accessTokenFormat":"StandardJWT","asset":{"resourceType":"Accounts","path":"acc-3"},"includeAsset":true}`)
	if strings.Contains(payload, `"sub"`) || !strings.Contains(payload, `,"access":[{"entityId":"tokafor"`) || !strings.Contains(payload, `,"asset":{"path":"acc-3"`) {
		t.Errorf("user list: %s", payload)
	}
}

// RT-79, RT-88: the claims of the format JWT are the JSON answer to the same question, then the times, for any question.
func TestTokenEqualsAnswer(t *testing.T) {
	h := newHarbour(t, newSigner(t).use)
	h.update(func(tx *store.Tx) error { // an answer of several buffers
		for i := range 3000 {
			path := fmt.Sprintf("more-%d \"é", i)
			if _, err := tx.Assets("Accounts").Put(model.Asset{Path: path, Attributes: model.Attributes{"branch": {"Porto"}, "tier": {strings.Repeat("x", 100)}}}); err != nil {
				return err
			}
		}
		return nil
	})
	flags := []string{"includeIdentity", "includeContext", "includeAccessPolicy", "includeAccessPolicyId", "includeAssetAttributes", "includeAsset", "includeIdentityAttributes"}
	rapid.Check(t, func(r *rapid.T) {
		path := rapid.SampledFrom([]string{"", resolutionPath, usersPath}).Draw(r, "path")
		body := map[string]any{"tokenValidity": 7, "contextData": map[string]any{"shift": []string{"late"}}}
		for _, flag := range flags {
			body[flag] = rapid.Bool().Draw(r, flag)
		}
		if path == usersPath {
			body["asset"] = map[string]any{"resourceType": "Accounts", "path": rapid.SampledFrom([]string{"acc-1", "acc-3", "none"}).Draw(r, "asset")}
		} else {
			body["entityId"] = rapid.SampledFrom([]string{"mreyes", "tokafor", "gone"}).Draw(r, "entity")
			if rapid.Bool().Draw(r, "types") {
				body["resourceTypes"] = rapid.SampledFrom([]string{"Accounts", "Customers", "CustomerColumns"}).Draw(r, "type")
			}
		}
		settings := &model.JWTResponse{Algorithm: rapid.SampledFrom([]string{"RS256", "ES256", "EdDSA"}).Draw(r, "alg")}
		end := `}`
		if rapid.Bool().Draw(r, "audience") {
			settings.Audience, end = "branch", `,"aud":"branch"}`
		}
		h.changeScope(func(s *model.Scope) { s.Response, s.TokenValidity = settings, 42 })
		text, err := json.Marshal(body)
		check(t, err)
		plain := h.want(request{path: path, body: string(text)}, http.StatusOK, "").Body.String()
		body["accessTokenFormat"] = "JWT"
		text, err = json.Marshal(body)
		check(t, err)
		_, payload, _ := h.read(path, string(text))
		want := strings.TrimSuffix(plain, "}") + fmt.Sprintf(`,"iat":%d,"exp":%d`, noon.Unix(), noon.Unix()+300) + end
		if diff := cmp.Diff(want, payload); diff != "" {
			r.Fatalf("%s\n%s", text, diff)
		}
	})
}

// RT-81, runtime-api.md 8.6, 8.7: keys of files, with their kid and certificate; a key that is named and cannot be used is 500
// and tells nothing.
func TestKeyFiles(t *testing.T) {
	s := newSigner(t)
	h := newHarbour(t, s.use)
	body := `{` + mreyes + `,"accessTokenFormat":"JWT"}`
	respond := func(r model.JWTResponse) {
		t.Helper()
		h.changeScope(func(s *model.Scope) { s.Response = &r })
	}
	certificate := s.file(t, "quay-portal", "quay-1")
	respond(model.JWTResponse{Algorithm: "EdDSA", KeyName: "quay-portal", KeyID: "quay-1"})
	if head, _, _ := h.read("", body); head["kid"] != "quay-1" {
		t.Errorf("head %v", head)
	}
	keys := h.do(request{method: http.MethodGet, path: "/.well-known/jwks.json"}).Body.String()
	if !strings.Contains(keys, `"x5c":["`+certificate+`"]`) {
		t.Errorf("no certificate in %s", keys)
	}
	s.file(t, string(client), "")
	h.changeScope(func(s *model.Scope) { s.Response = nil })
	if head, _, _ := h.read("", body); head["alg"] != "EdDSA" {
		t.Errorf("a scope that says nothing signs by %v with the key of its name", head["alg"])
	}
	respond(model.JWTResponse{Algorithm: "EdDSA"})
	byClient, _, _ := h.read("", body)
	check(t, os.Remove(filepath.Join(s.dir, string(client)+".pem")))
	if own, _, _ := h.read("", body); own["kid"] == byClient["kid"] {
		t.Error("the file with the name of the client id does not count")
	}
	s.file(t, "quay-portal", "quay-2")
	respond(model.JWTResponse{Algorithm: "EdDSA", KeyName: "quay-portal"})
	if head, _, _ := h.read("", body); head["kid"] != "quay-2" {
		t.Errorf("a file that was changed: %v", head)
	}
	check(t, os.WriteFile(filepath.Join(s.dir, "open.pem"), []byte("x"), 0o644)) //nolint:gosec // the point of the case
	check(t, os.WriteFile(filepath.Join(s.dir, "rubbish.pem"), []byte("secret rubbish"), 0o600))
	for _, r := range []model.JWTResponse{
		{Algorithm: "EdDSA", KeyName: "missing"},
		{Algorithm: "RS256", KeyName: "quay-portal"},
		{Algorithm: "EdDSA", KeyName: "quay-portal", KeyID: "quay-1"},
		{Algorithm: "RS256", KeyID: "x"},
		{Algorithm: "EdDSA", KeyName: "../" + filepath.Base(s.dir) + "/quay-portal"},
		{Algorithm: "EdDSA", KeyName: "open"},
		{Algorithm: "EdDSA", KeyName: "rubbish"},
	} {
		respond(r)
		h.want(request{body: body}, http.StatusInternalServerError, "Internal error")
		h.want(request{body: `{` + mreyes + `}`}, http.StatusOK, "")
		if last := h.records.last(); last.Status != http.StatusOK {
			t.Errorf("audit: %+v", last)
		}
	}
	if got := h.do(request{method: http.MethodGet, path: "/.well-known/jwks.json"}); got.Code != 200 || bytes.Contains(got.Body.Bytes(), []byte("rubbish")) {
		t.Errorf("keys beside a bad file: %d %s", got.Code, got.Body)
	}
	h.want(request{method: http.MethodPost, path: "/.well-known/jwks.json"}, http.StatusMethodNotAllowed, "")
}
