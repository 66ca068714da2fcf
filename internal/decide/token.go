package decide

import (
	"cmp"
	"context"
	"fmt"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/engine/sqltext"
	"github.com/ambit-authz/ambit/internal/model"
)

// TokenRequest is the question of a User Access Token call (runtime-api.md 8.1), coerced.
type TokenRequest struct {
	Situation
	Assets []AssetClaim // nil = discover; else only these
	Types  []TypeChoice // nil = all types with all attributes
	// Policies keeps which policies grant each action.
	Policies bool
	// Attributes off = entries have no attributes at all.
	Attributes bool
	Signed     bool // the answer gets a signature
	// SQL is the dialect in which a Policy Resolution prints its filters, too; 0 = none.
	SQL sqltext.Dialect
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
	Outcome
	Revision      model.Revision
	TokenValidity int // seconds
	Identities    []Identity
	Access        *engine.Access
	Signature     *Signature // of a signed answer
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

// Token answers what the identities of req may do. The call must be authenticated. The audit record is written before
// it returns. Errors: those of identity.Resolve and engine.Bind, 503 when the environment or the audit is not ready or
// MinRevision is not reached.
func (c *Call) Token(ctx context.Context, req TokenRequest) (*TokenAnswer, error) {
	ctx, cancel, b, err := c.bind(ctx, &req.Situation)
	if err != nil {
		return nil, err
	}
	defer cancel()
	answer := &TokenAnswer{
		Outcome: b.outcome, Revision: b.snapshot.Revision(), TokenValidity: c.scope.TokenValidity, Identities: b.identities,
		none: !req.Attributes,
	}
	if !answer.Again {
		if err := answer.find(ctx, &b, &req); err != nil {
			return nil, err
		}
	}
	if answer.Signature, err = c.sign(req.Signed, b.identities[0].EntityID); err != nil {
		return nil, err
	}
	return answer, c.finish(ctx, answer.Outcome)
}

// find selects what is allowed.
func (a *TokenAnswer) find(ctx context.Context, b *binding, req *TokenRequest) (err error) {
	selection := engine.Selection{Policies: req.Policies}
	if req.Types != nil {
		selection.Templates, a.projections = chooseTypes(b.snapshot, req.Types)
	}
	if req.Assets != nil {
		if selection.Assets, err = chooseAssets(b.snapshot, req.Assets, selection.Templates); err != nil {
			return err
		}
	}
	if a.Access, err = b.residual.Select(selection); err != nil {
		return cmp.Or(context.Cause(ctx), err)
	}
	a.Result = fmt.Sprintf("%d assets", a.Access.Len())
	return context.Cause(ctx)
}
