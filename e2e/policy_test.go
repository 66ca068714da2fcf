package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// MG-34, MG-20, MG-30, MG-35: what is done to a policy counts for the next decision that demands its revision: state,
// deletion, import.
func TestPolicyAndDecision(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "demo.env")
	demo := exec.Command(program, "demo", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"), "--env-file", file)
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = demo.Process.Kill(); _ = demo.Wait() })
	vars := waitEnv(t, file)
	c := api{url: vars["AMBIT_URL"]}
	if err := c.login(vars["AMBIT_ADMIN_ID"], vars["AMBIT_ADMIN_SECRET"]); err != nil {
		t.Fatal(err)
	}
	envID := vars["AMBIT_ENV_ID"]
	text, err := c.call("POST", "/api/1.0/policies-search/"+envID+"?limit=100", "application/json", strings.NewReader(`{"state":"active"}`))
	if err != nil {
		t.Fatal(err)
	}
	var page struct {
		Data []struct {
			PolicyID  string `json:"policyId"`
			AuthzWsID string `json:"authzWsId"`
		} `json:"data"`
	}
	if err := json.Unmarshal(text, &page); err != nil {
		t.Fatal(err)
	}
	target := ""
	for _, p := range page.Data {
		if p.PolicyID == "teller-accounts" {
			target = "/api/2.0/policies/" + envID + "?filter[authWsId]=" + p.AuthzWsID
		}
	}
	if target == "" {
		t.Fatalf("no policy teller-accounts: %s", text)
	}
	one := target + "&filter[id]=teller-accounts"
	before := accounts(t, vars, "0")
	if before == 0 {
		t.Fatal("the sample user has no accounts")
	}
	module, _ := c.send(t, "GET", one, "", "")
	for _, step := range []struct {
		method, target, kind, body string
		want                       int
	}{
		{"PATCH", one, "application/json", `[{"op":"replace","path":"/state","value":false}]`, 0},
		{"PATCH", one, "application/json", `[{"op":"replace","path":"/state","value":true}]`, before},
		{"DELETE", one, "", "", 0},
		{"POST", target, "text/plain;language=rego", module, before},
	} {
		_, revision := c.send(t, step.method, step.target, step.kind, step.body)
		if got := accounts(t, vars, revision); got != step.want {
			t.Errorf("%s %s: %d accounts, want %d", step.method, step.body, got, step.want)
		}
	}
}

func waitEnv(t *testing.T, file string) map[string]string {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		out := map[string]string{}
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			out[key] = value
		}
		return out
	}
	t.Fatalf("%s did not appear", file)
	return nil
}

// send makes one call that must succeed, and returns body and revision.
func (a *api) send(t *testing.T, method, target, kind, body string) (text, revision string) {
	t.Helper()
	req, err := http.NewRequest(method, a.url+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Content-Type", kind)
	resp, err := a.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s %v", method, target, resp.StatusCode, out, err)
	}
	return string(out), resp.Header.Get("Ambit-Revision")
}

// accounts counts what a teller may do with accounts, at the revision or later.
func accounts(t *testing.T, vars map[string]string, revision string) int {
	t.Helper()
	q := url.Values{"entityId": {vars["AMBIT_SAMPLE_USER"]}, "entityTypeId": {vars["AMBIT_SAMPLE_TEMPLATE"]}, "resourceTypes": {"Accounts"}}
	req, err := http.NewRequest("GET", vars["AMBIT_URL"]+"/api/runtime/token/v3?"+q.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Client-Id", vars["AMBIT_CLIENT_ID"])
	req.Header.Set("X-Client-Secret", vars["AMBIT_CLIENT_SECRET"])
	req.Header.Set("Ambit-Min-Revision", revision)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%d %s %v", resp.StatusCode, text, err)
	}
	return strings.Count(string(text), `"path":"acc/`)
}
