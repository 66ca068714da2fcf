package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// server is a running program with an admin of the tenant.
type server struct {
	t                  testing.TB
	url, admin, secret string
	log                *bytes.Buffer
	pid                int
	stop               func()
	api                api
}

// start runs the program on a free address with an empty store; it ends with the test.
func start(t testing.TB, arguments ...string) *server {
	t.Helper()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, url: "http://" + address, admin: "admin", secret: "a-secret-of-this-test", log: &bytes.Buffer{}}
	command := exec.Command(program, append([]string{"serve", "--listen", address, "--data", t.TempDir(), "--log-level", "error"}, arguments...)...)
	command.Env = append(os.Environ(), "AMBIT_ADMIN_ID="+s.admin, "AMBIT_ADMIN_SECRET="+s.secret)
	command.Stderr = s.log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	s.pid = command.Process.Pid
	s.stop = sync.OnceFunc(func() {
		_ = command.Process.Signal(os.Interrupt)
		if err := command.Wait(); err != nil || t.Failed() {
			t.Logf("the server ended with %v, its log:\n%s", err, s.log)
		}
	})
	t.Cleanup(s.stop)
	if err := ready(s.url); err != nil {
		t.Fatalf("%v\n%s", err, s.log)
	}
	s.api.url = s.url
	if err := s.api.login(s.admin, s.secret); err != nil {
		t.Fatal(err)
	}
	return s
}

// must makes a call that has to succeed.
func (s *server) must(method, path, contentType, body string) []byte {
	s.t.Helper()
	text, err := s.api.call(method, path, contentType, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// ambit runs a command of the program against the server.
func (s *server) ambit(environment string, arguments ...string) string {
	s.t.Helper()
	command := exec.Command(program, arguments...)
	command.Env = append(os.Environ(), "AMBIT_URL="+s.url, "AMBIT_ADMIN_ID="+s.admin, "AMBIT_ADMIN_SECRET="+s.secret, "AMBIT_ENV_ID="+environment)
	out, err := command.CombinedOutput()
	if err != nil {
		s.t.Fatalf("ambit %v: %v\n%s", arguments, err, out)
	}
	return string(out)
}

// ask puts a question of a scope at the revision that the environment has now, and gives the answer without its layout.
func (s *server) ask(environment, client, secret, body string) any {
	s.t.Helper()
	var state struct {
		Data struct{ Revision json.Number }
	}
	if err := json.Unmarshal(s.must("GET", "/ambit/1.0/environments/"+environment+"/revision", "", ""), &state); err != nil {
		s.t.Fatal(err)
	}
	r, err := http.NewRequest("POST", s.url+"/api/runtime/token/v3", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("X-Client-Id", client)
	r.Header.Set("X-Client-Secret", secret)
	r.Header.Set("Ambit-Min-Revision", state.Data.Revision.String())
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var answer any
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != 200 {
		s.t.Fatalf("%s: %d %v %v", body, res.StatusCode, err, answer)
	}
	return answer
}
