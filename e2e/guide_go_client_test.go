package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/examples/bank"
)

// programsOf builds the whole programs of a page, in their order.
func programsOf(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../docs", page))
	if err != nil {
		t.Fatal(err)
	}
	var built []string
	for i, m := range regexp.MustCompile("(?s)\n```go\n(package main\n.*?)\n```\n").FindAllStringSubmatch(string(text), -1) {
		dir := t.TempDir()
		source, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
		if err := os.WriteFile(source, []byte(m[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		build := exec.Command("go", "build", "-o", binary, source) // of this module, which the working directory is in
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("program %d of %s: %v\n%s", i+1, page, err, out)
		}
		built = append(built, binary)
	}
	return built
}

// docs/go-client.md: the first program prints what the page says; the second is a server that passes on what is permitted.
func TestGuideGoClient(t *testing.T) {
	s := start(t)
	fillBank(s)
	dir := t.TempDir()
	demoFile(t, s, dir)
	text, err := os.ReadFile(filepath.Join(dir, "bin", "demo.env"))
	if err != nil {
		t.Fatal(err)
	}
	variables := strings.Fields(string(text))
	s.ask(bank.EnvironmentID, walkScope+bank.EnvironmentID[:4], walkSecret, `{"entityId":"mreyes","entityTypeId":"Staff"}`) // at the revision with the secret
	programs := programsOf(t, "go-client.md")
	if len(programs) != 2 {
		t.Fatalf("%d programs", len(programs))
	}
	command := exec.Command(programs[0])
	command.Env = append(os.Environ(), variables...)
	out, err := command.CombinedOutput()
	page, readErr := os.ReadFile("../docs/go-client.md")
	if err != nil || readErr != nil || !strings.Contains(string(page), "```\n"+string(out)+"```\n") {
		t.Errorf("the first program: %v %v\n%s", err, readErr, out)
	}

	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	gate := exec.Command(programs[1])
	gate.Env = append(append(os.Environ(), variables...), "LISTEN="+address, "DEMO_PASSWORD=of-the-demo")
	if err := gate.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gate.Process.Kill(); _ = gate.Wait() })
	for _, c := range []struct {
		user, password, account string
		status                  int
	}{
		{"mreyes", "of-the-demo", "acc/PT/001251", 200},
		{"mreyes", "of-the-demo", "acc/GH/000036", 403},
		{"mreyes", "", "acc/PT/001251", 401},
		{"nobody", "of-the-demo", "acc/PT/001251", 403},
	} {
		status, body := getPatiently(t, fmt.Sprintf("http://%s/accounts/%s", address, c.account), c.user, c.password)
		if status != c.status || strings.Contains(body, "decided at revision") != (status == 200) {
			t.Errorf("%s asks for %s: %d %s, want %d", c.user, c.account, status, body, c.status)
		}
	}
}

// getPatiently asks a server that may be starting.
func getPatiently(t *testing.T, url, user, password string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(user, password)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		res, err := http.DefaultClient.Do(r)
		if err == nil {
			text, _ := io.ReadAll(res.Body)
			res.Body.Close()
			return res.StatusCode, string(text)
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
