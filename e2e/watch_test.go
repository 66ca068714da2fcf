package e2e

import (
	"bufio"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/examples/bank"
)

// TestWatchAndStop: RT-20, MG-20: the program tells a watch of a change that came over the management API, and a stop ends it
// at once with its reason: nothing waits for streams.
func TestWatchAndStop(t *testing.T) {
	s := start(t)
	fillBank(s)
	dir := t.TempDir()
	demoFile(t, s, dir)
	env, err := os.ReadFile(filepath.Join(dir, "bin", "demo.env"))
	if err != nil {
		t.Fatal(err)
	}
	_, secret, _ := strings.Cut(string(env), "AMBIT_CLIENT_SECRET=")
	secret, _, _ = strings.Cut(secret, "\n")
	r, err := http.NewRequest(http.MethodGet, s.url+"/api/runtime/token/v3/watch?entityId=mreyes&entityTypeId=Staff&resourceTypes=Accounts", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Client-Id", bank.PortalClientID)
	r.Header.Set("X-Client-Secret", secret)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 16<<20)
	wait := func(prefix string) string {
		t.Helper()
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), prefix) {
				return lines.Text()
			}
		}
		t.Fatalf("the stream ended before %q: %v", prefix, lines.Err())
		return ""
	}
	wait("event: ready")
	s.must("PUT", "/ambit/1.0/environments/"+bank.EnvironmentID+"/identity-templates/Staff/identities?entityId=mreyes", "application/json",
		`{"entityId":"mreyes","attributes":{"branch":["Lisbon-01"],"jobTitle":["Teller"]}}`)
	wait("event: change")
	if data := wait("data: "); !strings.Contains(data, `"lost":[{"path":"acc/`) {
		t.Errorf("%.200s", data)
	}
	begun := time.Now()
	s.stop()
	if took := time.Since(begun); took > 15*time.Second { // shutdown_timeout is 20 s
		t.Errorf("the stop took %s", took)
	}
	wait("event: end")
	if data := wait("data: "); data != `data: {"reason":"shutdown"}` {
		t.Error(data)
	}
	if lines.Scan() && lines.Text() != "" {
		t.Errorf("after the end: %s", lines.Text())
	}
}
