package decide

import (
	"cmp"
	"encoding/binary"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
)

// Earlier finds an answer that was given earlier to the same question, nil when there is none (runtime-api.md 14.1). It is
// called once the call is authenticated at the revision that answers and the identities are known, and before any work on
// the answer itself. An error ends the call.
type Earlier func(*Asked) (*Given, error)

// Asked is a question that only waits for its answer. It is good during the call of Earlier.
type Asked struct {
	Environment model.EnvironmentID
	Client      model.ClientID
	Entities    []string  // ids of the identities; none = the question is about everybody
	Instant     time.Time // of the decision
	// Keep is how long the scope lets an answer be given again; 0 = not at all.
	Keep       time.Duration
	state      *state
	source     netip.Addr
	meaning    []byte
	identities []Identity
}

// Given is an answer that Earlier found, as the audit tells of it.
type Given struct {
	Status int
	Result string
}

// Outcome is what an answer tells a later call of itself.
type Outcome struct {
	// Again says that Earlier had the answer: the rest of this one tells only what is new.
	Again  bool
	Result string // for the audit
	// Until is when time may change the answer at the earliest; zero = time has no part in it.
	Until  time.Time
	status int
}

// AppendKey appends all that the answer depends on beside the request's own fields and the clock. Every part has its length
// before it, so that questions that differ in any of it never look alike.
func (a *Asked) AppendKey(b []byte) []byte {
	b = appendText(append(b, 'e'), string(a.Environment))
	b = appendText(append(b, 'c'), string(a.Client))
	b = binary.AppendUvarint(append(b, 'r'), uint64(a.state.snapshot.Revision()))
	b = binary.AppendUvarint(append(b, 's'), a.state.number)
	b = appendText(append(b, 'a'), a.source.String())
	b = appendText(append(b, 'm'), string(a.meaning))
	b = binary.AppendUvarint(append(b, 'i'), uint64(len(a.identities)))
	for i := range a.identities {
		id := &a.identities[i]
		b = appendText(b, string(id.Template.ID))
		b = appendText(b, id.EntityID)
		inactive := byte(0)
		if id.Inactive {
			inactive = 1
		}
		b = appendValues(append(b, inactive), id.Attributes)
		b = binary.AppendUvarint(b, uint64(len(id.Rows)))
		for _, row := range id.Rows {
			b = appendValues(b, row)
		}
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendValues[K ~string](b []byte, attributes map[K][]string) []byte {
	b = binary.AppendUvarint(b, uint64(len(attributes)))
	for _, id := range slices.Sorted(maps.Keys(attributes)) {
		b = appendText(b, string(id))
		b = binary.AppendUvarint(b, uint64(len(attributes[id])))
		for _, v := range attributes[id] {
			b = appendText(b, v)
		}
	}
	return b
}

// meaning is what a described call was taken for: all of the call that its answer depends on.
func (r *PermitRequest) meaning() []byte {
	b := appendValues(nil, r.Environment)
	b = binary.AppendUvarint(b, uint64(len(r.Resources)))
	for i := range r.Resources {
		claim := &r.Resources[i]
		b = appendText(b, string(claim.Template))
		b = appendText(b, claim.Path)
		b = appendValues(b, claim.Attributes)
		b = appendText(b, claim.Action)
		untold := byte(0)
		if claim.Untold {
			untold = 1
		}
		b = append(b, untold)
	}
	return b
}

// earlier asks for an earlier answer. The outcome is that of the answer that was found, else that of one to be found.
func (c *Call) earlier(s *Situation, identities []Identity) (Outcome, error) {
	if s.Earlier == nil || c.manager != nil {
		return Outcome{status: http.StatusOK}, nil
	}
	a := Asked{
		Environment: c.env.id, Client: c.scope.ClientID, Instant: c.started,
		Keep:  time.Duration(c.scope.CacheSeconds) * time.Second,
		state: c.state, source: c.source(s.RemoteIP), meaning: s.meaning, identities: identities,
	}
	for i := range identities {
		a.Entities = append(a.Entities, identities[i].EntityID)
	}
	found, err := s.Earlier(&a)
	if found == nil || err != nil {
		return Outcome{status: http.StatusOK}, err
	}
	return Outcome{Again: true, Result: found.Result, status: cmp.Or(found.Status, http.StatusOK)}, nil
}

// KeepsAnswers reports whether the scope lets answers be given again. The call must be authenticated.
func (c *Call) KeepsAnswers() bool { return c.scope != nil && c.scope.CacheSeconds > 0 }
