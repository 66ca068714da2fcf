package decide

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ambit-authz/ambit/internal/audit"
	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/identity"
	"github.com/ambit-authz/ambit/internal/model"
)

// Situation is who asks, and in which circumstances: what every question has in common (runtime-api.md 5, 6).
type Situation struct {
	explained bool      // keep what did not count
	instant   time.Time // of a simulation; zero = the call's own

	Primary    Claim
	Additional []Claim
	// Environment holds the request attributes.
	Environment map[string][]string
	// RemoteIP is the source address that the caller states; the zero Addr = none stated.
	RemoteIP           netip.Addr
	ZoneOffset         time.Duration
	CombinedMultiValue bool
	// Described are the headers of the call that the request describes, by lower-case name. Identity matchers look into
	// them before they look into the request's own (runtime-api.md 13.5).
	Described map[string][]string
	// Earlier may have the answer already; nil = it is always found anew.
	Earlier Earlier
	meaning []byte             // of a described call, for Earlier
	types   []model.TemplateID // all that the question is about; nil = any
}

// maxDecision is how long one decision may take. An answer that was not found by then is an error, never a part.
const maxDecision = 30 * time.Second

var errNoAnswer = notReady(fmt.Errorf("no answer within %s", maxDecision))

// binding is a question whose identities and circumstances are bound: what is left to ask are assets and actions. There is
// no residual when outcome says that there is an earlier answer.
type binding struct {
	snapshot   *engine.Snapshot
	identities []Identity
	residual   *engine.Residual
	outcome    Outcome
}

// open settles the call. The returned context ends when the caller leaves or the decision takes too long; cancel releases
// it once the answer is found.
func (c *Call) open(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if err := c.settle(ctx); err != nil {
		return ctx, nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, maxDecision, errNoAnswer)
	return ctx, cancel, nil
}

// question is what the engine is asked in a situation, still without identities.
func (c *Call) question(ctx context.Context, s *Situation) engine.Question {
	return engine.Question{
		Applications: c.scope.ApplicationIDs, Environment: s.Environment,
		SourceIP: c.source(s.RemoteIP), Instant: c.instant(s), ZoneOffset: s.ZoneOffset,
		CombinedMultiValue: s.CombinedMultiValue, Types: s.types, Done: ctx.Done(),
	}
}

// bind opens the call, finds the identities and, unless there is an earlier answer, binds them.
func (c *Call) bind(ctx context.Context, s *Situation) (_ context.Context, cancel context.CancelFunc, b binding, err error) {
	ctx, cancel, err = c.open(ctx)
	if err != nil {
		return ctx, nil, b, err
	}
	defer func() {
		if err != nil {
			cancel()
		}
	}()
	b.snapshot = c.state.snapshot
	if b.identities, err = c.identify(ctx, s); err != nil {
		return ctx, cancel, b, err
	}
	if b.outcome, err = c.earlier(s, b.identities); err != nil || b.outcome.Again {
		return ctx, cancel, b, err
	}
	if b.residual, err = c.residual(ctx, s, b.identities); err == nil && s.Earlier != nil {
		b.outcome.Until, _ = b.residual.Until()
	}
	return ctx, cancel, b, err
}

// residual is what the policies say once the identities and the circumstances are known.
func (c *Call) residual(ctx context.Context, s *Situation, identities []Identity) (*engine.Residual, error) {
	question := c.question(ctx, s)
	for i := range identities {
		question.Identities = append(question.Identities, asking(&identities[i]))
	}
	residual, err := c.state.snapshot.Bind(question)
	if errors.Is(err, engine.ErrStopped) {
		err = context.Cause(ctx)
	}
	return residual, err
}

// asking is an identity as the engine binds it.
func asking(id *Identity) engine.Identity {
	return engine.Identity{
		Template: id.Template.ID, EntityID: id.EntityID, Inactive: id.Inactive, Attributes: id.Attributes, Rows: id.Rows,
	}
}

// settle waits for the revision that the caller demands and sees to it that the call is authenticated at the revision
// that will answer: what was revoked meanwhile is refused.
func (c *Call) settle(ctx context.Context) error {
	if c.scope == nil {
		return &model.Error{Op: "decide", Err: errors.New("the call is not authenticated")}
	}
	if c.Behind() {
		wait, cancel := context.WithTimeout(ctx, c.in.Wait)
		defer cancel()
		if err := c.service.options.Directory.WaitRevision(wait, c.env.id, c.in.MinRevision); err != nil {
			return err
		}
		env, st, scope := c.service.options.Directory.find(c.scope.ClientID)
		if scope == nil || env != c.env {
			return c.unknownClient()
		}
		if err := c.checkAgain(ctx, st, scope); err != nil {
			return err
		}
		c.state, c.scope = st, scope
	}
	if c.state.snapshot == nil {
		return notReady(errors.New("the environment has never compiled"))
	}
	return nil
}

// Behind reports whether the call demands a revision that it has not seen yet: its question would wait.
func (c *Call) Behind() bool { return c.Revision() < c.in.MinRevision }

// Await waits for the revision that the caller demands, as the call's question would, and with its errors; not at all while the
// call is not authenticated. Who takes what others wait for calls it before.
func (c *Call) Await(ctx context.Context) error {
	if c.scope == nil || !c.Behind() {
		return nil
	}
	return c.settle(ctx)
}

// checkAgain checks at a later state what was checked before.
func (c *Call) checkAgain(ctx context.Context, st *state, scope *model.Scope) error {
	switch {
	case c.manager != nil:
		return c.authenticateManager(ctx)
	case !scope.Allows(c.proof.method):
		return wrongSecret()
	}
	return c.check(ctx, c.proof, st, scope)
}

// identify finds out who is asking and notes it for the audit.
func (c *Call) identify(ctx context.Context, s *Situation) (found []Identity, err error) {
	who, err := c.whoAsks(ctx, s)
	if err == nil {
		found, err = c.lookUp(who)
	}
	if err != nil {
		c.source(s.RemoteIP) // so that the record of a refusal tells it
	}
	return found, err
}

// lookUp finds the identities that a call is about and notes them for the audit.
func (c *Call) lookUp(who []identity.Choice) ([]Identity, error) {
	found, err := identity.BindAll(c.state.snapshot, who)
	if err != nil {
		return nil, err
	}
	c.record.Subjects = c.record.Subjects[:0]
	for _, id := range found {
		c.record.Subjects = append(c.record.Subjects, audit.Subject{Template: id.Template.ID, EntityID: id.EntityID})
	}
	return found, nil
}

// whoAsks settles template and id of the identities that a call is about, which are not looked up yet.
func (c *Call) whoAsks(ctx context.Context, s *Situation) ([]identity.Choice, error) {
	// what was asked for is noted first, so that the record of a refusal tells it
	c.note(&s.Primary)
	for i := range s.Additional {
		c.note(&s.Additional[i])
	}
	byToken := c.proof.method == model.AuthJWT || c.HoldsAccessToken()
	evidence := identity.Evidence{
		Token: tokenOf(c.in.Authorization) != "" && !byToken, ScopeToken: byToken,
		Claims: func(m *identity.Matcher) (map[string]any, error) {
			return c.claims(ctx, m, firstOf(http.Header(c.in.Headers).Values(m.TokenHeader())))
		},
	}
	var told identity.Evidence // by the described call; it never authenticated the scope
	if s.Described != nil {
		first := func(name string) string { return firstOf(s.Described[name]) }
		told.Token = tokenOf(first("authorization")) != ""
		told.Claims = func(m *identity.Matcher) (map[string]any, error) { return c.claims(ctx, m, first(m.TokenHeader())) }
	}
	if len(c.state.matchers) > 0 {
		evidence.Headers, told.Headers = lowerHeaders(c.in.Headers), lowerHeaders(s.Described)
	}
	matchers, request := c.state.matchers, identity.Request{
		Matching: c.scope.IdentityMatching, Primary: s.Primary, Additional: s.Additional, Evidence: evidence, Described: told,
		Explain: s.explained, ExplainMapped: s.explained && c.explainedDetail().Tells(model.DetailPolicies),
	}
	if c.manager != nil { // says who the user is: his token is not the user's
		matchers, request.Matching = nil, model.MatchRequest
		request.Evidence, request.Described, request.Simulated = identity.Evidence{}, identity.Evidence{}, true
	}
	return identity.Choose(c.state.snapshot, matchers, request)
}

// note puts an identity that a request states into the record of the call.
func (c *Call) note(claim *Claim) {
	if claim.EntityID != "" {
		c.record.Subjects = append(c.record.Subjects, subjectOf(claim))
	}
}

func lowerHeaders(headers map[string][]string) map[string][]string {
	out := make(map[string][]string, len(headers))
	for name, values := range headers {
		values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
		if len(values) > 0 {
			out[strings.ToLower(name)] = values
		}
	}
	return out
}

// source is the address that the question comes from (E29), by the scope's own list of proxies if it has one.
func (c *Call) source(stated netip.Addr) netip.Addr {
	source := stated.Unmap()
	if !source.IsValid() {
		trust := c.service.options.Trust
		if c.scope.TrustedProxies != nil {
			trust = Trust{Proxies: c.scope.TrustedProxies}
		}
		source = identity.Source(c.in.Peer, c.in.Forwarded, trust)
	}
	c.record.SourceIP = addressText(source)
	return source
}
