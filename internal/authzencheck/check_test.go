package authzencheck

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestCanFail: a server that does nothing right passes no test, and no two tests share an id. That a good server passes
// all of them is tested in internal/api/authzen.
func TestCanFail(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	defer server.Close()
	report, err := Run(t.Context(), Options{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range report.Results {
		if r.Problem == "" {
			t.Errorf("%s passes", r.ID)
		}
		if seen[r.ID] {
			t.Errorf("%s is there twice", r.ID)
		}
		seen[r.ID] = true
	}
	if report.Failed() < 60 {
		t.Errorf("%d failed", report.Failed())
	}
}

// TestNoServer: where nobody listens there is no report of failed tests but one error.
func TestNoServer(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	if report, err := Run(t.Context(), Options{URL: server.URL}); err == nil {
		t.Errorf("%d tests failed", report.Failed())
	}
}

// TestTakesNoWrongDecision: a server that permits everything, or denies everything, fails what tells them apart.
func TestTakesNoWrongDecision(t *testing.T) {
	for answer, ids := range map[string][]string{
		`{"decision":true}`:                             {"c-2-2-2", "c-2-2-4", "c-2-2-7", "c-2-4-1", "c-3-2-1", "c-4-2-1"},
		`{"decision":false}`:                            {"c-2-2-1", "c-2-2-5", "c-2-2-6", "c-2-3-1", "c-3-4-2"},
		`{"decision":"true"}`:                           {"c-2-2-1", "c-2-3-1", "c-2-3-2"},
		`{"signed_metadata":"a.b.c","capabilities":[]}`: {"c-6-4"},
		`{"signed_metadata":"e30.e30.e30"}`:             {"c-6-4"},
		`{"signed_metadata":"a.b"}`:                     {"c-6-4"},
		`{"results":[]}`:                                {"c-4-2-1", "c-4-3-1", "c-4-4-1", "c-4-5-1", "c-2-2-1"},
	} {
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(answer))
		}))
		report, err := Run(t.Context(), Options{URL: server.URL, Client: server.Client()})
		server.Close()
		if err != nil {
			t.Fatal(err)
		}
		failed := map[string]bool{}
		for _, r := range report.Results {
			failed[r.ID] = r.Problem != ""
		}
		for _, id := range ids {
			if !failed[id] {
				t.Errorf("%s passes with %s", id, answer)
			}
		}
	}
}
