// Package decide is the runtime use case: it follows the store into snapshots, authenticates the calling scope, finds
// out who is asking, puts the question to the engine and records what was answered.
//
// Start at Directory (the snapshots of all environments and the scopes that may ask them), then Service.Begin, which
// opens a Call, and Call.Token. A Call is authenticated before it can ask anything: an answer without a checked
// credential, a snapshot and, where it is required, a durable audit record does not exist.
//
// A file is one topic. The snapshots: directory, follow, change, read. Who calls, and for whom: scope, authzen, access, simulate,
// question. The questions: token (with choose and sign), permit, evaluation, call (an HTTP call told by API mappers, with the
// call_ files), users, resolution (with sql), policies, search, explain. Answers that were given: earlier gives them again;
// past, changes, watch and live tell what became of a list.
//
// The package fails closed: whatever goes wrong is an error, never a shorter answer. One call sees one revision of one
// environment. It must never put a secret or a token into an error, a log or an audit record.
package decide

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/ambit-authz/ambit/internal/audit"
	"github.com/ambit-authz/ambit/internal/identity"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/token"
)

// Secrets checks client secrets in constant time. A nil list of hashes stands for a client that is not known and costs
// as much as a wrong secret.
type Secrets interface {
	Check(hashes []model.SecretHash, secret string, now time.Time) (bool, error)
}

// Tokens judges the tokens of applications and users; token.Incoming does. ErrRefused of package token means that a token is
// not good; every other error ends the call.
type Tokens interface {
	Verify(ctx context.Context, text string, settings *model.JWTSettings) (map[string]any, token.VerifiedBy, error)
	// Stands is nil while the key of a token that was good is its issuer's, as far as is known without waiting.
	Stands(by token.VerifiedBy) error
	Read(text string) (map[string]any, error)
}

// Identity is an identity of an answer: the directory's record with the attributes of the request merged in.
type Identity = identity.Bound

// Claim is one identity as a request states it.
type Claim = identity.Claim

// Trust says which peers may state on whose behalf they call.
type Trust = identity.Trust

// Options configure a Service. Directory, Secrets and Clock are needed.
type Options struct {
	Directory *Directory
	Secrets   Secrets
	Clock     func() time.Time
	Tokens    Tokens       // nil = no token is good
	Access    AccessTokens // nil = scopes have no access tokens
	Keys      Keys         // that sign answers; nil = a signed answer is an error
	Issuer    string       // of signed answers whose scope has none; "" = "ambit"
	Audit     audit.Sink   // nil = off
	Log       *slog.Logger
	Trust     Trust // of scopes that have no list of their own
	// RateLimit is how many calls a second one client id may make from one address; 0 = no limit.
	RateLimit float64
	// Managers judges access tokens of the management plane, with which explanations may be asked for; nil = none is good.
	Managers Managers
	// MaxBranches is how many branches one filter of a Policy Resolution may have; 0 = 10,000.
	MaxBranches int
	Watches     Watches
}

// Service answers runtime calls. It is safe for concurrent use.
type Service struct {
	options Options
	limits  *limits
	live    *live
}

// New makes a service.
func New(o Options) *Service {
	if o.Audit == nil {
		o.Audit = audit.Off{}
	}
	o.Log = cmp.Or(o.Log, slog.Default())
	o.MaxBranches = cmp.Or(o.MaxBranches, 10_000)
	return &Service{options: o, limits: newLimits(o.RateLimit), live: newLive(&o)}
}

// Incoming is what a call's transport says, before its body is read.
type Incoming struct {
	Endpoint    string // for the audit: method and path
	RequestType string // for the audit, of AuthZEN calls
	ID          string // own request id, a uuid
	ExternalID  string // X-Request-ID of the caller; "" = none
	Peer        netip.Addr
	Forwarded   []string            // X-Forwarded-For headers in order
	Headers     map[string][]string // all, as net/http gives them; read by identity matchers only
	Credentials                     // of the headers
	// Authorization is the Authorization header.
	Authorization string
	MinRevision   model.Revision // answer at this revision or later; 0 = any
	Wait          time.Duration  // how long to wait for MinRevision
}

// Credentials are a scope's client id and secret as one part of a request holds them.
type Credentials struct {
	ClientID model.ClientID
	Secret   string
}

// Call is one runtime call. It is for one goroutine.
type Call struct {
	service  *Service
	in       Incoming
	started  time.Time
	address  netip.Addr // by the server's own trust; for the rate limit
	looked   bool       // at the store, for a caller that asks for a revision
	decided  bool       // authenticated or refused
	state    *state
	env      *environment
	scope    *model.Scope
	proof    proof     // that authenticated the scope
	manager  *manager  // who asks in the scope's place; nil = the scope itself
	access   access    // that the call carries; accessToken gives it
	keysBy   time.Time // when the call stops to wait for key sets; zero = it needed none yet
	expires  time.Time // when the first of the tokens that were verified ends; zero = none was
	verified []token.VerifiedBy
	recorded bool
	record   audit.Decision
}

// Begin opens a call at the server's clock, which is the instant of its decision (E22).
func (s *Service) Begin(in Incoming) *Call {
	c := &Call{service: s, in: in, started: s.options.Clock()}
	c.address = identity.Source(in.Peer, in.Forwarded, s.options.Trust)
	c.record = audit.Decision{
		ID: in.ID, ExternalID: firstRunes(in.ExternalID, 128), ClientID: in.ClientID,
		Endpoint: in.Endpoint, RequestType: in.RequestType, Start: c.started,
	}
	return c
}

// Revision is the environment revision that the call reads; 0 before it is authenticated.
func (c *Call) Revision() model.Revision {
	if c.state == nil || c.state.snapshot == nil {
		return 0
	}
	return c.state.snapshot.Revision()
}

// Stale is how long before the call the store was read, 0 while it can be.
func (c *Call) Stale() time.Duration { return c.service.options.Directory.Stale(c.started) }

// Environment and Client say whose call it is; both are empty before it is authenticated.
func (c *Call) Environment() model.EnvironmentID { return c.record.Environment }

// Client is the scope that asks.
func (c *Call) Client() model.ClientID {
	if c.scope == nil {
		return ""
	}
	return c.scope.ClientID
}

// Correlate gives the call the caller's own id when its transport had none.
func (c *Call) Correlate(id string) { c.record.ExternalID = firstRunes(id, 128) }

// Refused records a call that is answered with an error. It does nothing for a call that is recorded already.
func (c *Call) Refused(ctx context.Context, status int, result string) {
	if err := c.keep(ctx, status, result); err != nil {
		// the error answer tells nothing that a record has to precede
		c.service.options.Log.Error("no audit record of a refused call", "request_id", c.in.ID, "error", err)
	}
}

// End records a call that nobody has recorded: one that ended in a defect of the program. It is to be deferred.
func (c *Call) End(ctx context.Context) { c.Refused(ctx, http.StatusInternalServerError, "panic") }

// finish keeps the record of an answer.
func (c *Call) finish(ctx context.Context, o Outcome) error { return c.keep(ctx, o.status, o.Result) }

// keep writes the call's audit record, once.
func (c *Call) keep(ctx context.Context, status int, result string) error {
	if c.recorded {
		return nil
	}
	c.recorded = true
	c.complete(&c.record, status, result)
	return c.service.options.Audit.Record(ctx, c.record)
}

// complete gives a record what is known at the end of the call only.
func (c *Call) complete(d *audit.Decision, status int, result string) {
	d.Status, d.Result, d.Revision = status, result, c.Revision()
	d.Duration = c.service.options.Clock().Sub(c.started)
	if d.SourceIP == "" { // nothing was asked
		d.SourceIP = addressText(c.address)
	}
}

// addressText is an address as it is recorded, "" when it is not known.
func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// firstRunes cuts s after n code points. What is cut off is not held by what is left: a record may wait for its disk.
func firstRunes(s string, n int) string {
	for i := range s {
		if n--; n < 0 {
			return strings.Clone(s[:i])
		}
	}
	return s
}

func notReady(err error) error {
	return &model.Error{Kind: model.KindUnavailable, Code: "AMB-503", Name: "NotReady", Message: "Not ready", Err: err}
}
