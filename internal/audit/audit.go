// Package audit keeps the record of what was asked and what was answered: one Decision per runtime call, in a Sink that
// either keeps every record before the answer leaves (required) or as many as it can, counting what it lost.
//
// Start at Decision and Sink; OpenFile is the sink that writes JSON lines. The package promises that a required record
// is durable when Record returns nil. Records have no field that could hold a secret, a token or a request body, and
// none may ever be added.
package audit

import (
	"context"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
)

// Decision is the record of one runtime call (runtime-api.md 3.8).
type Decision struct {
	ID          string // the request's own id, a uuid
	ExternalID  string // X-Request-ID as the caller sent it, at most 128 characters; "" = none
	ClientID    model.ClientID
	Environment model.EnvironmentID // "" = the scope is not known
	Endpoint    string              // method and path
	RequestType string              // of AuthZEN calls, such as "AuthZEN Evaluation" (authzen.md 11.5); else ""
	Subjects    []Subject
	SourceIP    string
	Status      int    // HTTP status
	Result      string // what was answered, such as "12 assets" or the error's code
	// Policies are those that an AuthZEN evaluation was decided by: that grant, or that restrict. They are recorded whatever
	// the caller is told.
	Policies []model.PolicyID
	Revision model.Revision
	Start    time.Time
	Duration time.Duration // kept in whole milliseconds
	// SimulatedBy is the API credential that asked what a scope would be told, perhaps at another time or with other
	// attributes: no decision was made. "" = a real question.
	SimulatedBy model.ClientID
}

// Subject is an identity of a decision.
type Subject struct {
	Template model.TemplateID
	EntityID string
}

// Sink keeps decisions. It is safe for concurrent use.
type Sink interface {
	// Record keeps the records of one answer, together. An error means that they are not all kept although the sink promises
	// to keep every record: the answer must not leave. A sink without that promise counts its losses and returns nil.
	Record(ctx context.Context, ds ...Decision) error
}

// Off is the sink of a server with auditing switched off: it writes nothing.
type Off struct{}

// Record does nothing.
func (Off) Record(context.Context, ...Decision) error { return nil }
