package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// readme gives the blocks of the certification example's page.
func readme(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../examples/authzen-certification/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile("(?s)\n```sh\n(.*?)\n```\n").FindAllStringSubmatch(string(text), -1) {
		out = append(out, m[1])
	}
	if len(out) != 4 {
		t.Fatalf("%d blocks of commands", len(out))
	}
	return out
}

// scenario is the example as its page sets it up, on a port that is free.
type scenario struct {
	t         *testing.T
	dir, url  string
	variables []string
}

// run runs commands of the page.
func (c *scenario) run(commands string) string {
	c.t.Helper()
	command := c.command(commands)
	out, err := command.CombinedOutput()
	if err != nil {
		c.t.Fatalf("%v\n%s\n%s", err, commands, out)
	}
	return string(out)
}

func (c *scenario) command(commands string) *exec.Cmd {
	example, err := filepath.Abs("../examples/authzen-certification")
	if err != nil {
		c.t.Fatal(err)
	}
	commands = strings.ReplaceAll(commands, "localhost:8443", strings.TrimPrefix(c.url, "https://"))
	command := exec.Command("bash", "-eu", "-o", "pipefail", "-c", commands)
	command.Dir = c.dir
	command.Env = append(os.Environ(), "PATH="+filepath.Dir(program)+string(os.PathListSeparator)+os.Getenv("PATH"), "EXAMPLE="+example)
	command.Env = append(command.Env, c.variables...)
	return command
}

// client trusts the certificate that the page made.
func (c *scenario) client() *http.Client {
	pem, err := os.ReadFile(filepath.Join(c.dir, "cert.pem"))
	if err != nil {
		c.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
}

// value is what a line NAME=value of an output says.
func (c *scenario) value(output, name string) string {
	c.t.Helper()
	m := regexp.MustCompile(`(?m)^\s*(?:export )?` + name + `=(\S+)`).FindStringSubmatch(output)
	if m == nil {
		c.t.Fatalf("no %s in\n%s", name, output)
	}
	return m[1]
}

// startScenario follows the page up to the loaded scenario. more are further settings of the server.
func startScenario(t *testing.T, blocks []string, more string) *scenario {
	t.Helper()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(address, ":")
	c := &scenario{t: t, dir: t.TempDir(), url: "https://localhost:" + port}
	makeCertificate, serve, found := strings.Cut(blocks[0], "\nambit serve")
	if !found {
		t.Fatal(blocks[0])
	}
	c.run(makeCertificate)
	printed, err := os.Create(filepath.Join(c.dir, "printed"))
	if err != nil {
		t.Fatal(err)
	}
	server := c.command("exec ambit serve" + serve + more)
	server.Stdout, server.Stderr = printed, printed
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(os.Interrupt)
		if err := server.Wait(); err != nil || t.Failed() {
			text, _ := os.ReadFile(printed.Name())
			t.Logf("the server ended with %v:\n%s", err, text)
		}
		_ = printed.Close()
	})
	client := c.client()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if w, err := client.Get(c.url + "/readyz"); err == nil {
			_ = w.Body.Close()
			if w.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("not ready in a minute")
		}
	}
	text, err := os.ReadFile(printed.Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"AMBIT_ADMIN_ID", "AMBIT_ADMIN_SECRET"} {
		c.variables = append(c.variables, name+"="+c.value(string(text), name))
	}
	loaded := c.run(blocks[1])
	c.variables = append(c.variables, "AMBIT_CLIENT_SECRET="+c.value(loaded, "AMBIT_CLIENT_SECRET"))
	return c
}

// grant gets an access token for an id and a secret.
func (c *scenario) grant(id, secret string) string {
	c.t.Helper()
	r, err := http.NewRequest(http.MethodPost, c.url+"/oauth2/token", strings.NewReader(url.Values{"grant_type": {"client_credentials"}}.Encode()))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(id, secret)
	w, err := c.client().Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer w.Body.Close()
	var out struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
	}
	if err := json.NewDecoder(w.Body).Decode(&out); err != nil || w.StatusCode != http.StatusOK || out.TokenType != "Bearer" {
		c.t.Fatalf("%s: %d %v %+v", id, w.StatusCode, err, out)
	}
	return out.AccessToken
}

// status is how a call with a bearer token ends.
func (c *scenario) status(method, path, body, bearer string) (int, string) {
	c.t.Helper()
	r, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+bearer)
	w, err := c.client().Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer w.Body.Close()
	text, err := io.ReadAll(w.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return w.StatusCode, string(text)
}

const aliceReads = `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"record-1"}}`

// follows waits until decisions have followed the writes: they know a new secret.
func (c *scenario) follows(secret string) {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if status, _ := c.status("POST", "/access/v1/evaluation", aliceReads, c.grant("AUTHZENCERTIFICATION", secret)); status == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatal("the new secret is not good after a minute")
		}
	}
}

func (c *scenario) variable(name string) string {
	for _, v := range c.variables {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	c.t.Fatalf("no %s", name)
	return ""
}

// examples/authzen-certification/README.md: every command works as it is written, and every test of the certification passes
// (authzen.md 17), by the client's secret and by an access token. Ruling 6, az-01: a management token decides nothing and an
// access token manages nothing; it ends with its secret.
func TestAuthZENCertificationOfTheProgram(t *testing.T) {
	blocks := readme(t)
	c := startScenario(t, blocks, " --set authzen.signed_metadata=true")
	secret := c.variable("AMBIT_CLIENT_SECRET")
	c.follows(secret)
	const passed = " 0 failed\n"
	if out := c.run(blocks[2]); !strings.HasSuffix(out, passed) || strings.Count(out, "\n") < 60 {
		t.Errorf("by the secret:\n%s", out)
	}
	if out := c.run("export AMBIT_CLIENT_ID=AUTHZENCERTIFICATION\n" + blocks[3]); !strings.HasSuffix(out, passed) {
		t.Errorf("by an access token:\n%s", out)
	}
	const permit = `{"entityTypeId":"user","entityId":"alice","listOfResources":[{"resourceType":"record","resources":[{"path":"record-1","action":"read"}]}]}`
	token := c.grant("AUTHZENCERTIFICATION", secret)
	management := c.grant(c.variable("AMBIT_ADMIN_ID"), c.variable("AMBIT_ADMIN_SECRET"))
	wants := func(what string, want int, method, path, body, bearer string) {
		t.Helper()
		if status, text := c.status(method, path, body, bearer); status != want {
			t.Errorf("%s: %s %s is %d, want %d: %s", what, method, path, status, want, text)
		}
	}
	wants("access token", 200, "POST", "/access/v1/evaluation", aliceReads, token)
	wants("access token", 200, "POST", "/api/runtime/permit-deny/v3", permit, token)
	wants("access token", 401, "GET", "/ambit/1.0/environments", "", token)
	wants("management token", 200, "GET", "/ambit/1.0/environments", "", management)
	wants("management token", 401, "POST", "/access/v1/evaluation", aliceReads, management)
	wants("management token", 401, "POST", "/api/runtime/permit-deny/v3", permit, management)
	status, text := c.status("GET", "/.well-known/authzen-configuration", "", token)
	if status != 200 || !strings.Contains(text, `"policy_decision_point":"`+c.url+`"`) || !strings.Contains(text, `"signed_metadata":"ey`) {
		t.Errorf("metadata: %d %s", status, text)
	}
	made := c.run("export AMBIT_URL=https://localhost:8443 SSL_CERT_FILE=cert.pem AMBIT_ENV_ID=0b6c1e52-8a4d-4c7e-9d1f-5a2b3c4d5e6f\nambit scopes secrets new AUTHZENCERTIFICATION")
	fresh := c.value(made, "AMBIT_CLIENT_SECRET")
	c.follows(fresh)
	wants("token of a secret that has ended", 401, "POST", "/access/v1/evaluation", aliceReads, token)
}
