package runtime

import (
	"net/http"

	"github.com/ambit-authz/ambit/internal/api/incoming"
)

// keySet answers with the public keys of signed answers (runtime-api.md 8.7). It is no runtime call: nobody is asked for.
func (h *handler) keySet(w http.ResponseWriter, r *http.Request) {
	incoming.SetID(w, r)
	set, err := h.options.KeySet()
	if err != nil {
		h.problems(r.URL.Path).Write(w, r, err)
		return
	}
	head := w.Header()
	head.Set("Content-Type", "application/json")
	head.Set("Cache-Control", "public, max-age=300")
	head.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(set) // the peer is gone: nobody is left to tell
}
