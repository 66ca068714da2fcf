package decide

import (
	"context"
	"slices"
	"strconv"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// PermitRequest is the question of a Permit/Deny call (runtime-api.md 9.1), coerced. Nothing asked is never permitted.
type PermitRequest struct {
	Situation
	Resources []ResourceClaim
}

// ResourceClaim is one entry of resources. Action is the wire name, "" = every action of the type.
type ResourceClaim struct {
	AssetClaim
	Action string
	Untold bool // which action is meant cannot be told: the pair is never allowed. Action is ""
}

// Pair is an asset and an action that were asked about, with the verdict and the first granting policy. Action is as the
// request spells it, or the wire name of the action when the request asked for every one.
type Pair struct {
	Template model.TemplateID
	Path     string
	Action   string
	Decision engine.Decision
	asset    engine.Asset
}

// PermitAnswer is the verdict on every pair, in the order of the request, at one revision.
type PermitAnswer struct {
	Outcome
	Revision   model.Revision
	Identities []Identity
	Pairs      []Pair
	snapshot   *engine.Snapshot
}

// Permitted reports whether every pair is allowed.
func (a *PermitAnswer) Permitted() bool {
	for i := range a.Pairs {
		if !a.Pairs[i].Decision.Allowed {
			return false
		}
	}
	return len(a.Pairs) > 0
}

// AppendAttributes appends the JSON object of the attributes of a pair's asset, {} for a type as a whole.
func (a *PermitAnswer) AppendAttributes(dst []byte, p *Pair) []byte {
	return a.snapshot.AppendAttributes(dst, p.asset)
}

// Permit judges every pair of req. The call must be authenticated. The audit record is written before it returns. Errors:
// those of Token.
func (c *Call) Permit(ctx context.Context, req PermitRequest) (*PermitAnswer, error) {
	req.types = typesOf(req.Resources)
	ctx, cancel, b, err := c.bind(ctx, &req.Situation)
	if err != nil {
		return nil, err
	}
	defer cancel()
	answer := &PermitAnswer{Outcome: b.outcome, Revision: b.snapshot.Revision(), Identities: b.identities, snapshot: b.snapshot}
	if !answer.Again {
		if err := answer.judge(ctx, &b, req.Resources); err != nil {
			return nil, err
		}
	}
	return answer, c.finish(ctx, answer.Outcome)
}

// judge judges every pair that the resources stand for.
func (a *PermitAnswer) judge(ctx context.Context, b *binding, resources []ResourceClaim) error {
	if pairsOf(b.snapshot, resources) > maxPairs {
		return model.Invalidf("listOfResources: more than %d pairs of an asset and an action", maxPairs)
	}
	for i := range resources {
		r := &resources[i]
		asset := r.asset(b.snapshot)
		t, _ := b.snapshot.AssetTemplate(r.Template)
		if r.Untold {
			a.Pairs = append(a.Pairs, Pair{
				Template: r.Template, Path: r.Path, Decision: engine.Decision{Reason: engine.ReasonNoSuchAction}, asset: asset,
			})
			continue
		}
		for _, action := range asked(t, r.Action) {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			decision := b.residual.Evaluate(asset, action)
			if len(decision.Policies) > 1 { // only the first is told, and very many may grant each of very many pairs
				decision.Policies = slices.Clone(decision.Policies[:1])
			}
			a.Pairs = append(a.Pairs, Pair{
				Template: r.Template, Path: r.Path, Action: action, Decision: decision, asset: asset,
			})
		}
	}
	verdict := "DENY"
	if a.Permitted() {
		verdict = "PERMIT"
	}
	a.Result = verdict + " of " + strconv.Itoa(len(a.Pairs)) + " pairs"
	return context.Cause(ctx)
}

// typesOf are the types of the resources, each once: only the policies on them are bound.
func typesOf(resources []ResourceClaim) []model.TemplateID {
	out := make([]model.TemplateID, len(resources))
	for i := range resources {
		out[i] = resources[i].Template
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// maxPairs is how many pairs one call may ask about: an entry without an action stands for every action of its type, so
// that a body of the usual size could ask for any amount of work.
const maxPairs = 100_000

// pairsOf is how many pairs some resources ask about.
func pairsOf(s *engine.Snapshot, resources []ResourceClaim) int {
	n := 0
	for i := range resources {
		r := &resources[i]
		n++
		if t, ok := s.AssetTemplate(r.Template); ok && r.Action == "" && !r.Untold {
			n += max(len(t.Actions), 1) - 1
		}
	}
	return n
}

// asked are the actions that a claim asks about: the one it names, else every one of the type, else "" (9.2).
func asked(t *model.AssetTemplate, action string) []string {
	if action != "" || t == nil || len(t.Actions) == 0 {
		return []string{action}
	}
	all := make([]string, len(t.Actions))
	for i, a := range t.Actions {
		all[i] = a.Value
	}
	return all
}
