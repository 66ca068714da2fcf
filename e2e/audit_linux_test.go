package e2e

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestAuditThatCannotBeKept is F8: on a disk that is full no decision leaves where records are required; else it does, and the
// loss is counted.
func TestAuditThatCannotBeKept(t *testing.T) {
	data := t.TempDir()
	s := start(t, "--data", data)
	fillCertification(s)
	s.stop()
	t.Setenv("AMBIT_AUDIT_FILE", "/dev/full")
	for mode, want := range map[string]int{"required": http.StatusServiceUnavailable, "best-effort": http.StatusOK} {
		t.Setenv("AMBIT_AUDIT_MODE", mode)
		s := start(t, "--data", data)
		send := func(method, path, body string) (int, string) {
			r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Client-Id", certificationPEP)
			r.Header.Set("X-Client-Secret", walkSecret)
			r.Header.Set("Content-Type", "application/json")
			w, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Body.Close()
			text, err := io.ReadAll(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			return w.StatusCode, string(text)
		}
		for path, body := range map[string]string{
			"/api/runtime/token/v3": `{"entityId":"alice","entityTypeId":"user"}`,
			"/access/v1/evaluation": `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"record-1"}}`,
		} {
			status, text := send("POST", path, body)
			if granted := strings.Contains(text, "record-1") || strings.Contains(text, "true"); status != want || granted != (want == http.StatusOK) {
				t.Errorf("%s: %s: %d %s", mode, path, status, text)
			}
		}
		lost := regexp.MustCompile(`(?m)^ambit_audit_lost_total [1-9]`)
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			if _, text := send("GET", "/metrics", ""); lost.MatchString(text) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: no loss is counted in a minute", mode)
			}
		}
		s.stop()
		if !strings.Contains(s.log.String(), "audit records are lost") {
			t.Errorf("%s: the log: %s", mode, s.log)
		}
	}
}
