package decide

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// ExplainRequest asks why: about pairs, or about all that the list holds. It is coerced.
type ExplainRequest struct {
	Situation
	Pairs     bool // the question is about Resources, else about the list
	Resources []ResourceClaim
	Assets    []AssetClaim // of the list, as in TokenRequest
	Types     []TypeChoice // of the list, as in TokenRequest
	At        time.Time    // of a simulation; zero = now
	AtOffset  bool         // the request states no time zone: that of At counts
}

// Explained is one pair with what there is to say about it.
type Explained struct {
	Template model.TemplateID
	Path     string
	Action   string // as the request spells it, or the wire name when it asked for every one
	Message  string // what the deny reason means; "" = allowed
	Ignored  []string
	engine.Account
}

// ExplainAnswer says why, at one revision. It is for one goroutine. What it says once the context of Explain has ended is of no
// account.
type ExplainAnswer struct {
	Simulated  bool // no decision: asked with a management token
	Told       bool // policies may be told of; else only codes
	Instant    time.Time
	SourceIP   netip.Addr
	ZoneOffset time.Duration
	Identities []Identity
	Pairs      []Explained    // in the order of the request
	Access     *engine.Access // the list; nil = the question was about pairs
	residual   *engine.Residual
}

// maxExplained is how many pairs one call explains.
const maxExplained = 1000

// told is how much of an explanation is kept: a pair is explained by its nearest policies. Of a value there are more bytes
// than are shown of it, so that it shows that it goes on.
var told = engine.Bounds{Combinations: 3, Policies: 10, Conditions: 10, Values: 20, Bytes: 2_000}

// Explain says why pairs are allowed or not, or by what each entry of the list is allowed. It agrees with Permit and Token.
// The call must be authenticated. The audit record is written before it returns. Errors: those of Token, and 403 for a time
// that is stated without a management token.
func (c *Call) Explain(ctx context.Context, req ExplainRequest) (*ExplainAnswer, error) {
	if c.manager == nil && !req.At.IsZero() {
		return nil, &model.Error{
			Kind: model.KindForbidden, Code: "MGT-005", Name: "ForbiddenError",
			Message: "at: only with a management token",
		}
	}
	req.explained, req.instant = true, req.At
	if req.AtOffset && !req.At.IsZero() {
		_, seconds := req.At.Zone()
		req.ZoneOffset = time.Duration(seconds) * time.Second
	}
	if req.Pairs {
		req.types = typesOf(req.Resources)
	}
	ctx, cancel, b, err := c.bind(ctx, &req.Situation)
	if err != nil {
		return nil, err
	}
	defer cancel()
	answer := &ExplainAnswer{
		Simulated: c.manager != nil, Told: c.manager != nil || c.Detail(model.DetailPolicies) == model.DetailPolicies,
		Instant: c.instant(&req.Situation), SourceIP: c.source(req.RemoteIP), ZoneOffset: req.ZoneOffset,
		Identities: b.identities, residual: b.residual,
	}
	var result string
	if req.Pairs {
		result, err = c.explainPairs(ctx, &req, &b, answer)
	} else {
		result, err = c.explainList(ctx, &req, &b, answer)
	}
	if err = cmp.Or(context.Cause(ctx), err); err != nil {
		return nil, err
	}
	return answer, c.keep(ctx, 200, result)
}

func (c *Call) explainPairs(ctx context.Context, req *ExplainRequest, b *binding, answer *ExplainAnswer) (string, error) {
	if pairsOf(b.snapshot, req.Resources) > maxExplained {
		return "", model.Invalidf("listOfResources: more than %d pairs of an asset and an action", maxExplained)
	}
	for i := range req.Resources {
		r := &req.Resources[i]
		asset := r.asset(b.snapshot)
		t, _ := b.snapshot.AssetTemplate(r.Template)
		ignored := ignoredValues(t, r.Attributes)
		for _, action := range asked(t, r.Action) {
			if err := context.Cause(ctx); err != nil {
				return "", err
			}
			e := Explained{Template: r.Template, Path: r.Path, Action: action, Ignored: ignored}
			if answer.Told {
				e.Account = b.residual.Account(asset, action, told)
			} else {
				e.Decision = b.residual.Evaluate(asset, action)
				e.Policies = nil
			}
			e.Message = messageOf(t, &e)
			answer.Pairs = append(answer.Pairs, e)
		}
	}
	return fmt.Sprintf("explained %d pairs", len(answer.Pairs)), nil
}

func (c *Call) explainList(_ context.Context, req *ExplainRequest, b *binding, answer *ExplainAnswer) (_ string, err error) {
	selection := engine.Selection{Policies: answer.Told}
	if req.Types != nil {
		selection.Templates, _ = chooseTypes(b.snapshot, req.Types)
	}
	if req.Assets != nil {
		if selection.Assets, err = chooseAssets(b.snapshot, req.Assets, selection.Templates); err != nil {
			return "", err
		}
	}
	if answer.Access, err = b.residual.Select(selection); err != nil {
		return "", err
	}
	return fmt.Sprintf("explained a list of %d assets", answer.Access.Len()), nil
}

// messageOf says what the reason of a denial means for this pair.
func messageOf(t *model.AssetTemplate, e *Explained) string {
	switch {
	case e.Allowed:
		return ""
	case e.Reason == engine.ReasonNoSuchAction && t == nil:
		return "The type is unknown"
	case e.Reason == engine.ReasonNoSuchAction && len(t.Actions) == 0:
		return "The type has no actions"
	case e.Reason == engine.ReasonNoSuchAction:
		return "The type has no such action"
	}
	return ReasonText(e.Reason)
}

// ignoredValues are the names of sent values that do not count for an asset of a type (E12), in their order.
func ignoredValues(t *model.AssetTemplate, sent map[string][]string) []string {
	var out []string
	for name := range sent {
		if t != nil && (t.Source == model.SourceRequest || t.IsAttributeSentInRequest) {
			if a, ok := t.RequestAttribute(name); ok && !a.IsCalculated {
				continue
			}
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// Grounds finds by what the entries of the list are allowed.
func (a *ExplainAnswer) Grounds() *engine.Grounds { return a.residual.Grounds(a.Access) }

// Granting are the policies that grant anything in the list, by id.
func (a *ExplainAnswer) Granting() []model.PolicyID {
	known := map[model.PolicyID]bool{}
	for _, set := range a.Access.ActionSets() {
		for _, granted := range set {
			for _, p := range granted.Policies {
				known[p.ID] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(known))
}

// Standing shows WHO and WHEN of a policy in the situation that was asked about.
func (a *ExplainAnswer) Standing(id model.PolicyID) (engine.PolicyTrace, bool) {
	return a.residual.Standing(id, told)
}

// Combinations is how many combinations of identity rows are judged.
func (a *ExplainAnswer) Combinations() int { return a.residual.Combinations() }
