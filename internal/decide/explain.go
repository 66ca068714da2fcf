package decide

import (
	"cmp"
	"context"
	"errors"
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

// ExplainAnswer says why, at one revision. It does not change.
type ExplainAnswer struct {
	Simulated  bool         // no decision: asked with a management token
	Detail     model.Detail // how much may be told beside the verdict
	Instant    time.Time
	SourceIP   netip.Addr
	ZoneOffset time.Duration
	Identities []Identity
	Pairs      []Explained // in the order of the request
	// Of a question about the list, else nil. Grounds and Standing are there only where policies may be told of.
	Access   *engine.Access
	Grounds  *engine.Grounds
	Standing []engine.PolicyTrace // WHO and WHEN of the policies that grant anything in the list, by id
	// Combinations is how many combinations of identity rows are judged.
	Combinations int
}

// TellsPolicies reports whether policies may be told of.
func (a *ExplainAnswer) TellsPolicies() bool { return a.Detail.Tells(model.DetailPolicies) }

// TellsReasons reports whether more than the verdicts may be told.
func (a *ExplainAnswer) TellsReasons() bool { return a.Detail.Tells(model.DetailReasons) }

// One call explains so many pairs, or a list of so many entries. All that is told of a list is found before the answer
// begins, so that a list that takes too long is an error and no broken answer: there is room for so many different grounds.
const (
	maxExplained        = 1000
	maxExplainedEntries = 100_000
	maxGrounds          = 1_000_000
)

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
		Simulated: c.manager != nil, Detail: c.explainedDetail(),
		Instant: c.instant(&req.Situation), SourceIP: c.source(req.RemoteIP), ZoneOffset: req.ZoneOffset,
		Identities: b.identities, Combinations: b.residual.Combinations(),
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

// explainedDetail is how much an explanation tells: all that the scope may be told at all, and everything to a manager.
func (c *Call) explainedDetail() model.Detail {
	if c.manager != nil {
		return model.DetailPolicies
	}
	return c.Detail(model.DetailPolicies)
}

func (c *Call) explainPairs(ctx context.Context, req *ExplainRequest, b *binding, answer *ExplainAnswer) (string, error) {
	if pairsOf(b.snapshot, req.Resources) > maxExplained {
		return "", model.Invalidf("listOfResources: more than %d pairs of an asset and an action", maxExplained)
	}
	reached, told := b.residual.Types(), told
	told.Texts = map[string]string{}
	for i := range req.Resources {
		r := &req.Resources[i]
		asset := r.asset(b.snapshot)
		t, _ := b.snapshot.AssetTemplate(r.Template)
		taking := t
		if !answer.TellsPolicies() && !slices.Contains(reached, r.Template) {
			taking = nil // what a type takes is not for scopes that do not have it
		}
		ignored := ignoredValues(taking, r.Attributes)
		for _, action := range asked(t, r.Action) {
			if err := context.Cause(ctx); err != nil {
				return "", err
			}
			e := Explained{Template: r.Template, Path: r.Path, Action: action, Ignored: ignored}
			if answer.TellsPolicies() {
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

func (c *Call) explainList(ctx context.Context, req *ExplainRequest, b *binding, answer *ExplainAnswer) (_ string, err error) {
	selection := engine.Selection{Policies: answer.TellsPolicies()}
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
	if answer.Access.Len() > maxExplainedEntries {
		return "", model.Invalidf("resourceTypes: the list has more than %d entries; name fewer types, or some of the assets", maxExplainedEntries)
	}
	if answer.TellsPolicies() {
		if err := answer.explainGrants(ctx, b.residual); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("explained a list of %d assets", answer.Access.Len()), nil
}

// explainGrants finds by what the entries of the list are allowed, and how the policies stand that grant them.
func (a *ExplainAnswer) explainGrants(ctx context.Context, residual *engine.Residual) (err error) {
	a.Grounds, err = residual.Grounds(a.Access, maxGrounds)
	if errors.Is(err, engine.ErrTooManyGrounds) {
		return model.Invalidf("resourceTypes: the list has too many different grounds; name fewer types, or some of the assets")
	}
	if err != nil {
		return err
	}
	for _, id := range a.granting() {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if trace, ok := residual.Standing(id, told); ok {
			a.Standing = append(a.Standing, trace)
		}
	}
	return nil
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

// granting are the policies that grant anything in the list, by id.
func (a *ExplainAnswer) granting() []model.PolicyID {
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
