package runtime

import (
	"net/http"
	"strconv"

	"github.com/ambit-authz/ambit/internal/api/incoming"
)

// health answers 200 while decisions can be answered, else 503 (runtime-api.md 15). A store that is away shows in the
// checks only.
func (h *handler) health(w http.ResponseWriter, r *http.Request) {
	incoming.SetID(w, r)
	up := func(ok bool) string {
		if ok {
			return "UP"
		}
		return "DOWN"
	}
	ready := h.options.Directory.Ready() == nil
	b := append([]byte(nil), `{"status":"`+up(ready)+`","version":`...)
	b = quote(b, h.options.Version)
	b = append(b, `,"checks":{"configuration":"`+up(ready)+`","storage":"`+up(h.options.Directory.StorageUp())+`"}}`...)
	head := w.Header()
	head.Set("Content-Type", "application/json")
	head.Set("Cache-Control", "no-store")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Content-Length", strconv.Itoa(len(b)))
	if !ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	if r.Method != http.MethodHead {
		_, _ = w.Write(b) // the peer is gone: nobody is left to tell
	}
}
