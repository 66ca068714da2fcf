// Package incoming reads what the families of decision calls have in common: the headers of a call, JSON bodies with
// exact names, without duplicates and within a depth, and the room that big bodies share.
//
// Start at Begin for the headers, at Object for a body and at Room. The package promises that numbers keep their literal text,
// that what is ignored costs no memory, and that small bodies never wait for big ones. It must never decide what a member means.
//
// Wire: runtime-api.md 3, authzen.md 2.
package incoming

import (
	"cmp"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
)

// Begin reads what the headers say of a call (runtime-api.md 3.1), answers with its X-Request-ID, and adds to errs what
// is wrong with the headers.
func Begin(w http.ResponseWriter, r *http.Request, errs *model.Errors) decide.Incoming {
	id, external := SetID(w, r)
	head := r.Header
	in := decide.Incoming{
		Endpoint: r.Method + " " + r.URL.Path, ID: id, ExternalID: external,
		Forwarded: head.Values("X-Forwarded-For"), Headers: head, Authorization: head.Get("Authorization"),
		Credentials: decide.Credentials{
			ClientID: model.ClientID(cmp.Or(head.Get("X-Client-Id"), head.Get("X-Plainid-Client-Id"))),
			Secret:   cmp.Or(head.Get("X-Client-Secret"), head.Get("X-Plainid-Client-Secret")),
		},
	}
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		in.Peer = peer.Addr().WithZone("").Unmap()
	}
	in.MinRevision = model.Revision(number(head, errs, "Ambit-Min-Revision", 0, math.MaxInt64))
	in.Wait = time.Duration(number(head, errs, "Ambit-Wait", 2000, 30_000)) * time.Millisecond
	return in
}

// number reads a header that holds a number from 0 to limit.
func number(head http.Header, errs *model.Errors, name string, def, limit int64) int64 {
	text := head.Get(name)
	if text == "" {
		return def
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > limit {
		errs.Add(name, "must be a number from 0 to %d", limit)
		return def
	}
	return n
}

// SetID answers with the caller's X-Request-ID, or with a new one (runtime-api.md 3.8).
func SetID(w http.ResponseWriter, r *http.Request) (id, external string) {
	id = uuid.NewString()
	for _, value := range r.Header.Values("X-Request-Id") {
		if value != "" {
			external = value
			break
		}
	}
	w.Header().Set("X-Request-Id", cmp.Or(external, id))
	return id, external
}

// SetRevision states the revision that was read (management-api.md 1.7) and, while the store cannot be read, for how many
// seconds it could not: later revisions may be there.
func SetRevision(w http.ResponseWriter, c *decide.Call) {
	if revision := c.Revision(); revision > 0 {
		w.Header().Set("Ambit-Revision", strconv.FormatInt(int64(revision), 10))
		if stale := c.Stale(); stale > 0 {
			w.Header().Set("Ambit-Stale", strconv.FormatInt(int64(math.Ceil(stale.Seconds())), 10))
		}
	}
}
