package runtime

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"

	"github.com/ambit-authz/ambit/internal/api/apitest"
)

// answers holds every answer that a test of this package sees against the description of the API.
var answers = sync.OnceValues(apitest.New)

func TestMain(m *testing.M) {
	os.Exit(apitest.Main(m, answers, Handler(Options{Log: slog.New(slog.DiscardHandler)})))
}

// described is called for every answer.
func described(t testing.TB, r *http.Request, w *httptest.ResponseRecorder) {
	t.Helper()
	checker, err := answers()
	if err == nil {
		err = checker.Check(r, w.Code, w.Header(), w.Body.Bytes())
	}
	if err != nil {
		t.Errorf("docs/api/openapi.yaml: %v", err)
	}
}
