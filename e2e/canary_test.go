package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// disguised are the forms in which a secret could leave.
func disguised(secret string) map[string]string {
	return map[string]string{
		"plain": secret, "hex": hex.EncodeToString([]byte(secret)), "query": url.QueryEscape(secret), "path": url.PathEscape(secret),
		"Base64": strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="), "Base64 for URLs": base64.RawURLEncoding.EncodeToString([]byte(secret)),
	}
}

// TestCanaries is reliability.md 3 (secret leaks and side doors), 1.3, RT-28: secrets that are known texts are sent right and wrong,
// in every place that takes one; afterwards they are in no answer, no metric, no log, no export, and no file of the server.
func TestCanaries(t *testing.T) {
	data := t.TempDir()
	t.Setenv("AMBIT_LOG_ACCESS", "true")
	t.Setenv("AMBIT_AUDIT_MODE", "required")
	s := start(t, "--data", data, "--log-level", "debug")
	fillCertification(s)
	const wrong, custom, claim = "CANARY wrong/secret+1", "CANARY custom~secret=2", "CANARY-token-claim-3"
	base := "/ambit/1.0/environments/" + certification
	s.must("POST", base+"/scopes", "application/json", fmt.Sprintf(`{"clientId":"CANARY00000000000001","secret":%q,"name":"canary","applicationIds":["records-app"]}`, custom))
	s.ask(certification, "CANARY00000000000001", custom, `{"entityId":"alice","entityTypeId":"user"}`) // from here on decisions have followed
	jwt := "eyJhbGciOiJFUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"`+claim+`"}`)) + ".c2lnbmF0dXJl"
	basic := func(secret string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte("CANARY00000000000001:"+secret))
	}
	var answers bytes.Buffer
	ask := func(method, path, body string, headers ...string) int {
		r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		_ = answer.Header.Write(&answers)
		if _, err := io.Copy(&answers, answer.Body); err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode
	}
	for _, secret := range []string{custom, wrong} {
		want := map[string]int{custom: 200, wrong: 401}[secret]
		const question = `"entityId":"alice","entityTypeId":"user"`
		const evaluation = `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"record-1"}}`
		query := url.Values{"entityId": {"alice"}, "clientId": {"CANARY00000000000001"}, "clientSecret": {secret}}.Encode()
		for name, status := range map[string]int{
			"header":  ask("POST", "/api/runtime/token/v3", `{`+question+`}`, "X-Client-Id", "CANARY00000000000001", "X-Client-Secret", secret, "Authorization", "Bearer "+jwt),
			"alias":   ask("POST", "/api/runtime/token/v3", `{`+question+`}`, "X-PlainID-Client-Id", "CANARY00000000000001", "X-PlainID-Client-Secret", secret),
			"body":    ask("POST", "/api/runtime/token/v3", fmt.Sprintf(`{%s,"clientId":"CANARY00000000000001","clientSecret":%q}`, question, secret)),
			"query":   ask("GET", "/api/runtime/token/v3?"+query, ""),
			"5.0":     ask("POST", "/api/runtime/5.0/decisions", fmt.Sprintf(`{"method":"GET","uri":"/","meta":{"runtimeFineTune":{%s,"clientId":"CANARY00000000000001","clientSecret":%q}}}`, question, secret)),
			"Basic":   ask("POST", "/access/v1/evaluation", evaluation, "Authorization", basic(secret)),
			"AuthZEN": ask("POST", "/access/v1/evaluation", evaluation, "X-Client-Id", "CANARY00000000000001", "X-Client-Secret", secret),
		} {
			if status != want {
				t.Errorf("%s with %s: %d", name, secret, status)
			}
		}
		ask("POST", "/nowhere?clientSecret="+url.QueryEscape(secret), secret, "X-Client-Secret", secret)
		ask("POST", "/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"admin"}, "client_secret": {secret}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
		ask("POST", "/api/1.0/api-key/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"admin"}, "client_secret": {secret}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
		ask("GET", "/ambit/1.0/environments?secret="+url.QueryEscape(secret), "", "Authorization", "Bearer "+secret)
		ask("POST", "/ambit/1.0/environments", `{"secret":"`+secret+`"`, "Authorization", "Bearer "+s.api.token)
	}
	ask("GET", base+"/scopes", "", "Authorization", "Bearer "+s.api.token)
	ask("GET", base+"/export", "", "Authorization", "Bearer "+s.api.token)
	ask("GET", "/metrics", "")
	s.stop()
	secrets := map[string]string{"the admin's": s.secret, "a scope's": custom, "a wrong one": wrong, "a claim": claim, "a token": jwt, "an access token": s.api.token}
	looked, audited := 0, false
	look := func(where string, text []byte) {
		looked += len(text)
		audited = audited || where == "audit.jsonl" && bytes.Contains(text, []byte("CANARY00000000000001"))
		for name, secret := range secrets {
			for form, hidden := range disguised(secret) {
				if at := bytes.Index(text, []byte(hidden)); at >= 0 {
					t.Errorf("%s: the secret of %s, %s: …%q", where, name, form, text[max(0, at-80):min(len(text), at+80)])
				}
			}
		}
	}
	look("answers", answers.Bytes())
	look("the log", s.log.Bytes())
	err := filepath.WalkDir(data, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		look(filepath.Base(path), text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(s.log.Bytes(), []byte("/api/runtime/token/v3")) || !audited || looked < 100_000 {
		t.Errorf("%d bytes were looked at, the log: %.500s", looked, s.log)
	}
}
