// Package e2e starts the real program and talks to it as users do: by its commands and over HTTP. The scripts lie in
// testdata/script; the commands that they have beside those of testscript are below.
package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// program is the path of the binary under test.
var program string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "ambit-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "ambit")
		build := exec.Command("go", "build", "-o", program, "../cmd/ambit")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building the program: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(program)+string(os.PathListSeparator)+env.Getenv("PATH"))
			world, err := filepath.Abs("testdata/world")
			env.Setenv("WORLD", world)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"http": httpCommand, "loadenv": loadenv, "waitfile": waitfile, "waitready": waitready,
			"copytree": copytree, "freeport": freeport, "api": apiCommand, "secret": secret, "workflow": workflow,
			"field": field, "header": header, "revision": revision, "expiring": expiring, "refused": refused,
		},
	})
}

// httpCommand is: http METHOD URL [Header:value]… [@file]. It prints the status, the headers and the body.
func httpCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: http METHOD URL [Header:value]... [@file]")
	}
	var body io.Reader
	req, err := http.NewRequest(args[0], args[1], nil)
	ts.Check(err)
	for _, arg := range args[2:] {
		if file, ok := strings.CutPrefix(arg, "@"); ok {
			body = strings.NewReader(ts.ReadFile(file))
			req.Body = io.NopCloser(body)
			continue
		}
		name, value, _ := strings.Cut(arg, ":")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	out := ts.Stdout()
	fmt.Fprintln(out, "status", resp.StatusCode)
	ts.Check(resp.Header.Write(out))
	fmt.Fprintf(out, "\n%s\n", text)
}

// loadenv is: loadenv FILE. It sets the variables of KEY=value lines.
func loadenv(ts *testscript.TestScript, _ bool, args []string) {
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		key, value, found := strings.Cut(strings.TrimSpace(line), "=")
		if !found {
			ts.Fatalf("%q is not KEY=value", line)
		}
		ts.Setenv(key, value)
	}
}

// waitfile is: waitfile FILE. It waits up to a minute until the file is there.
func waitfile(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
	}
	ts.Fatalf("%s did not appear", args[0])
}

// copytree is: copytree SOURCE TARGET.
func copytree(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(args[0])))
}

// freeport is: freeport NAME. It sets NAME to a local address that nobody listens on.
func freeport(ts *testscript.TestScript, _ bool, args []string) {
	address, err := freeAddress()
	ts.Check(err)
	ts.Setenv(args[0], address)
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// waitready waits up to a minute until the server at AMBIT_URL is ready.
func waitready(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(ready(ts.Getenv("AMBIT_URL")))
}

func ready(url string) error {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		resp, err := http.Get(url + "/readyz")
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
	return fmt.Errorf("%s was not ready in a minute", url)
}

// apiCommand is: api METHOD PATH JSON. It logs in with the admin credential of the environment and prints the body of a
// good answer.
func apiCommand(ts *testscript.TestScript, _ bool, args []string) {
	c := api{url: ts.Getenv("AMBIT_URL")}
	ts.Check(c.login(ts.Getenv("AMBIT_ADMIN_ID"), ts.Getenv("AMBIT_ADMIN_SECRET")))
	text, err := c.call(args[0], args[1], "application/json", strings.NewReader(args[2]))
	ts.Check(err)
	ts.Setenv("ANSWER", string(text))
	_, err = ts.Stdout().Write(text)
	ts.Check(err)
}

// secret is: secret NAME. It sets NAME to the secret in the last answer of api.
func secret(ts *testscript.TestScript, _ bool, args []string) {
	var answer struct{ Data struct{ Secret string } }
	ts.Check(json.Unmarshal([]byte(ts.Getenv("ANSWER")), &answer))
	ts.Setenv(args[0], answer.Data.Secret)
}

// api is a session with the management API.
type api struct {
	url, token string
	client     http.Client
}

func (a *api) login(id, secret string) error {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}
	text, err := a.call(http.MethodPost, "/api/1.0/api-key/token", "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	err = json.Unmarshal(text, &answer)
	a.token = answer.AccessToken
	return err
}

func (a *api) call(method, path, contentType string, body io.Reader) ([]byte, error) {
	req, err := http.NewRequest(method, a.url+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode, text)
	}
	return text, err
}
