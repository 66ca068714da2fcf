package decide

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ambit-authz/ambit/internal/audit"
	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/identity"
	"github.com/ambit-authz/ambit/internal/model"
)

// TokenRequest is the question of a User Access Token call (runtime-api.md 8.1), coerced.
type TokenRequest struct {
	Primary    Claim
	Additional []Claim
	// Environment holds the request attributes.
	Environment map[string][]string
	// RemoteIP is the source address that the caller states; the zero Addr = none stated.
	RemoteIP           netip.Addr
	ZoneOffset         time.Duration
	CombinedMultiValue bool
	Assets             []AssetClaim // nil = discover; else only these
	Types              []TypeChoice // nil = all types with all attributes
	// Policies keeps which policies grant each action.
	Policies bool
	// Attributes off = entries have no attributes at all.
	Attributes bool
}

// AssetClaim is an entry of assetList. Attributes are by request name; a value list holds no text twice.
type AssetClaim struct {
	Template   model.TemplateID
	Path       string
	Attributes map[string][]string
}

// TypeChoice is an entry of resourceTypes (runtime-api.md 8.3). Entries of Attributes that begin with "-" exclude.
type TypeChoice struct {
	Name       model.TemplateID
	Attributes []string // empty = only name and path
	Actions    []string // empty = all
}

// TokenAnswer is a complete answer at one revision, not yet written.
type TokenAnswer struct {
	Revision      model.Revision
	TokenValidity int // seconds
	Identities    []Identity
	Access        *engine.Access
	projections   map[model.TemplateID]*engine.Projection
	none          bool
}

// noAttributes is the projection of entries without attributes.
var noAttributes = engine.Projection{None: true}

// Projection says which attributes the entries of a type show; nil = all.
func (a *TokenAnswer) Projection(t model.TemplateID) *engine.Projection {
	if a.none {
		return &noAttributes
	}
	return a.projections[t]
}

// maxDecision is how long one decision may take. An answer that was not found by then is an error, never a part.
const maxDecision = 30 * time.Second

// Token answers what the identities of req may do. The call must be authenticated. The audit record is written before
// it returns. Errors: those of identity.Resolve and engine.Bind, 503 when the environment or the audit is not ready or
// MinRevision is not reached.
func (c *Call) Token(ctx context.Context, req TokenRequest) (*TokenAnswer, error) {
	if err := c.settle(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, maxDecision, notReady(fmt.Errorf("no answer within %s", maxDecision)))
	defer cancel()
	snapshot := c.state.snapshot
	identities, err := c.identify(req)
	if err != nil {
		return nil, err
	}
	question := engine.Question{
		Applications: c.scope.ApplicationIDs, Environment: req.Environment,
		SourceIP: c.source(req.RemoteIP), Instant: c.started, ZoneOffset: req.ZoneOffset,
		CombinedMultiValue: req.CombinedMultiValue, Done: ctx.Done(),
	}
	for _, id := range identities {
		question.Identities = append(question.Identities, engine.Identity{
			Template: id.Template.ID,
			EntityID: id.EntityID, Inactive: id.Inactive, Attributes: id.Attributes, Rows: id.Rows,
		})
	}
	residual, err := snapshot.Bind(question)
	if errors.Is(err, engine.ErrStopped) {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	answer := &TokenAnswer{
		Revision: snapshot.Revision(), TokenValidity: c.scope.TokenValidity, Identities: identities,
		none: !req.Attributes,
	}
	selection := engine.Selection{Policies: req.Policies}
	if req.Types != nil {
		selection.Templates, answer.projections = chooseTypes(snapshot, req.Types)
	}
	if req.Assets != nil {
		if selection.Assets, err = chooseAssets(snapshot, req.Assets, selection.Templates); err != nil {
			return nil, err
		}
	}
	if answer.Access, err = residual.Select(selection); err != nil {
		return nil, cmp.Or(context.Cause(ctx), err)
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return answer, c.keep(ctx, 200, fmt.Sprintf("%d assets", answer.Access.Len()))
}

// settle waits for the revision that the caller demands and sees to it that the call is authenticated at the revision
// that will answer: what was revoked meanwhile is refused.
func (c *Call) settle(ctx context.Context) error {
	if c.scope == nil {
		return &model.Error{Op: "decide", Err: errors.New("the call is not authenticated")}
	}
	if c.Revision() < c.in.MinRevision {
		wait, cancel := context.WithTimeout(ctx, c.in.Wait)
		defer cancel()
		if err := c.service.options.Directory.WaitRevision(wait, c.env.id, c.in.MinRevision); err != nil {
			return err
		}
		env, st, scope := c.service.options.Directory.find(c.scope.ClientID)
		if scope == nil || env != c.env {
			return unknownClient()
		}
		if !c.service.options.Secrets.Check(scope.Secrets, c.secret, c.service.options.Clock()) {
			return wrongSecret()
		}
		c.state, c.scope = st, scope
	}
	if c.state.snapshot == nil {
		return notReady(errors.New("the environment has never compiled"))
	}
	return nil
}

// identify finds out who is asking and notes it for the audit.
func (c *Call) identify(req TokenRequest) ([]Identity, error) {
	// what was asked for is noted first, so that the record of a refusal tells it
	for _, claim := range append([]Claim{req.Primary}, req.Additional...) {
		if claim.EntityID != "" {
			c.record.Subjects = append(c.record.Subjects, audit.Subject{
				Template: model.TemplateID(firstRunes(string(claim.Template), 128)), EntityID: firstRunes(claim.EntityID, 512),
			})
		}
	}
	evidence := identity.Evidence{Token: hasToken(c.in.Authorization)}
	if len(c.state.matchers) > 0 {
		evidence.Headers = lowerHeaders(c.in.Headers)
	}
	found, err := identity.Resolve(c.state.snapshot, c.state.matchers, identity.Request{
		Matching: c.scope.IdentityMatching, Primary: req.Primary, Additional: req.Additional, Evidence: evidence,
	})
	if err != nil {
		return nil, err
	}
	c.record.Subjects = c.record.Subjects[:0]
	for _, id := range found {
		c.record.Subjects = append(c.record.Subjects, audit.Subject{Template: id.Template.ID, EntityID: id.EntityID})
	}
	return found, nil
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
	c.setSource(source)
	return source
}
