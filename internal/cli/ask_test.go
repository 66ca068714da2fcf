package cli

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// An answer without a cursor, as an older server gives it, is no cursor to go on from: nothing is printed that a script could take
// for one.
func TestAskWithoutCursor(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(`{"revision":7,"gained":[],"lost":[],"response":[]}`))
	}))
	defer server.Close()
	t.Setenv("AMBIT_URL", server.URL)
	t.Setenv("AMBIT_CLIENT_ID", "X")
	t.Setenv("AMBIT_CLIENT_SECRET", "x")
	r := command("", "ask ann --cursor")
	if r.code != exitFailed || r.out != "" {
		t.Errorf("exit code %d, %q", r.code, r.out)
	}
	holds(t, "ask --cursor", r.err, []string{"the answer has no cursor"})
	if r := command("", "changes ann --since 1"); r.out != "ann: 0 gained, 0 lost, revision 7, cursor none\n" {
		t.Errorf("changes: %q %s", r.out, r.err)
	}
}
