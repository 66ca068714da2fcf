package decide

import (
	"context"
	"fmt"
	"slices"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// PolicyObject is an identity or an asset whose policies are asked for (runtime-api.md 12.1), coerced. Of an identity the
// asset, of an asset the identity may be absent.
type PolicyObject struct {
	Situation
	Identity bool // the object is the identity; else the asset
	Asset    *AssetClaim
	Actions  []string // wire names; empty = any
}

// PolicyListAnswer has one list for each object, in the order of the request, at one revision.
type PolicyListAnswer struct {
	Revision model.Revision
	Objects  []ObjectPolicies
	shown    map[string]bool
}

// ObjectPolicies are the policies that concern one object. Identity is the one it names; nil = none.
type ObjectPolicies struct {
	Identity *Identity
	Policies []engine.Concern
}

// CustomValues are the values of a policy's custom attributes that answers may tell, in the policy's order.
func (a *PolicyListAnswer) CustomValues(p *model.Policy) []model.CustomValue {
	return slices.DeleteFunc(slices.Clone(p.CustomAttributes), func(v model.CustomValue) bool { return !a.shown[v.Key] })
}

// Policies names the policies that concern each object. The call must be authenticated. The audit record is written
// before it returns. Errors: those of Token, for the whole call.
func (c *Call) Policies(ctx context.Context, objects []PolicyObject) (*PolicyListAnswer, error) {
	ctx, cancel, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	answer := &PolicyListAnswer{Revision: c.state.snapshot.Revision(), shown: c.state.shown}
	for i := range objects {
		subjects := c.record.Subjects
		c.record.Subjects = nil
		found, err := c.concerned(ctx, &objects[i])
		c.record.Subjects = append(subjects, c.record.Subjects...)
		if err != nil {
			return nil, err
		}
		answer.Objects = append(answer.Objects, found)
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
	}
	return answer, c.keep(ctx, 200, fmt.Sprintf("policies of %d objects", len(objects)))
}

func (c *Call) concerned(ctx context.Context, o *PolicyObject) (ObjectPolicies, error) {
	var out ObjectPolicies
	var asset *engine.Asset
	if o.Asset != nil {
		asset = new(o.Asset.asset(c.state.snapshot))
	}
	if !o.Identity && o.Primary.EntityID == "" && len(o.Additional) == 0 {
		out.Policies = c.state.snapshot.ConcernsAsset(c.question(ctx, &o.Situation), *asset, o.Actions)
		return out, nil
	}
	identities, err := c.identify(ctx, &o.Situation)
	if err != nil {
		return out, err
	}
	residual, err := c.residual(ctx, &o.Situation, identities)
	if err != nil {
		return out, err
	}
	out.Identity, out.Policies = &identities[0], residual.Concerns(asset, o.Actions)
	return out, nil
}
