package decide

import (
	"cmp"
	"context"
	"iter"
	"net/http"

	"github.com/google/uuid"

	"github.com/ambit-authz/ambit/internal/audit"
	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/identity"
	"github.com/ambit-authz/ambit/internal/model"
)

// Evaluation asks whether one identity may do one thing with one asset (authzen.md 6). Of Situation only Primary says who
// asks: neither matchers nor further identities count.
type Evaluation struct {
	Situation
	Resource AssetClaim
	Action   string // wire name
}

// Verdict is the answer to one Evaluation. Err tells why the question could not be put; then nothing is allowed.
type Verdict struct {
	engine.Decision
	Err *model.Error
}

// Batch is what Evaluate is asked.
type Batch struct {
	// Questions in their order. One that comes with an error is not put: the error is its verdict.
	Questions iter.Seq2[*Evaluation, *model.Error]
	// Last ends the batch after the first verdict for which it is true; nil = never.
	Last func(allowed bool) bool
	// Detail is the level that the request asks for. Of a denial that restrictive policies are the cause of, the verdict
	// names these where the level in force tells policies, or the audit wants to know.
	Detail model.Detail
}

// Evaluate judges questions in their order at one revision and one reading of the clock, as Permit would judge each
// alone. The call must be authenticated. One audit record a verdict is written before it returns, which names the policies
// whatever may be told. Errors: those of Token and AdmitAuthZEN, but that an identity or its template is not known is a
// verdict.
func (c *Call) Evaluate(ctx context.Context, b Batch) ([]Verdict, error) {
	ctx, cancel, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	if err := c.AdmitAuthZEN(false); err != nil {
		return nil, err
	}
	var verdicts []Verdict
	var records []audit.Decision
	_, off := c.service.options.Audit.(audit.Off)
	named, opened := !off || c.Detail(b.Detail).Tells(model.DetailPolicies), c.record
	for q, problem := range b.Questions {
		c.record = opened // nothing of the question before, also where there is no answer
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		v := Verdict{Err: problem}
		if problem == nil {
			if v, err = c.verdict(ctx, q, named); err != nil {
				return nil, err
			}
		}
		c.record.Result, c.record.Policies = v.result(q), idsOf(v.Policies)
		verdicts, records = append(verdicts, v), append(records, c.record)
		if b.Last != nil && b.Last(v.Allowed) {
			break
		}
	}
	c.record = opened
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return verdicts, c.keepAll(ctx, records)
}

// verdict puts one question. An empty id or name names nothing (authzen.md 2). With named it tells the policies that
// restrict, too.
func (c *Call) verdict(ctx context.Context, q *Evaluation, named bool) (Verdict, error) {
	residual, unknown, err := c.stated(ctx, &q.Situation)
	if err != nil || unknown != nil {
		return Verdict{Err: unknown}, err
	}
	asset, reason := c.stateAsset(q.Resource, q.Action)
	if reason != "" {
		return Verdict{Decision: engine.Decision{Reason: reason}}, nil
	}
	v := Verdict{Decision: residual.Evaluate(asset, q.Action)}
	if named && v.Reason == engine.ReasonRestricted {
		v.Policies = residual.Restricting(asset, q.Action)
	}
	v.Policies = byID(v.Policies)
	return v, nil
}

// stateAsset is the asset that a claim names, or why it and the action name nothing.
func (c *Call) stateAsset(claim AssetClaim, action string) (asset engine.Asset, reason string) {
	_, ok := c.state.snapshot.AssetTemplate(claim.Template)
	switch {
	case !ok || action == "":
		return asset, engine.ReasonNoSuchAction
	case claim.Path == "":
		return asset, engine.ReasonUnknownAsset
	}
	return claim.asset(c.state.snapshot), ""
}

// stated binds the one identity that a situation states. unknown is the error of an identity that is not there.
func (c *Call) stated(ctx context.Context, s *Situation) (residual *engine.Residual, unknown *model.Error, err error) {
	c.record.Subjects = []audit.Subject{subjectOf(&s.Primary)}
	var found []Identity
	switch {
	case s.Primary.Template == "":
		err = identity.Unmatched()
	case s.Primary.EntityID == "":
		err = identity.Unknown()
	default:
		found, err = identity.Resolve(c.state.snapshot, nil, identity.Request{Matching: model.MatchRequest, Primary: s.Primary})
	}
	if e, ok := err.(*model.Error); ok && (e.Kind == model.KindForbidden || e.Kind == model.KindNotFound) { //nolint:errorlint // of Resolve itself
		c.source(s.RemoteIP) // for the record
		return nil, e, nil
	}
	if err != nil {
		return nil, nil, err
	}
	residual, err = c.residual(ctx, s, found)
	return residual, nil, err
}

func subjectOf(claim *Claim) audit.Subject {
	return audit.Subject{
		Template: model.TemplateID(firstRunes(string(claim.Template), 128)), EntityID: firstRunes(claim.EntityID, 512),
	}
}

// result is the verdict on q in the audit.
func (v *Verdict) result(q *Evaluation) string {
	outcome := "PERMIT"
	switch {
	case v.Err != nil && v.Err.Code != "":
		outcome = "DENY " + v.Err.Code
	case v.Err != nil:
		return "DENY, not a question"
	case !v.Allowed:
		outcome = "DENY " + v.Reason
	}
	return outcome + " for " + q.wanted()
}

// wanted says in the audit what is asked for.
func (q *Evaluation) wanted() string {
	return firstRunes(cmp.Or(q.Action, "any action")+" "+string(q.Resource.Template)+" "+q.Resource.Path, 256)
}

func idsOf(policies []engine.PolicyRef) []model.PolicyID {
	if len(policies) == 0 {
		return nil
	}
	out := make([]model.PolicyID, len(policies))
	for i := range policies {
		out[i] = policies[i].ID
	}
	return out
}

// keepAll writes the records of a call with several together, each under an id of its own: the first has the call's.
func (c *Call) keepAll(ctx context.Context, records []audit.Decision) error {
	c.recorded = true
	for i := range records {
		if i > 0 {
			records[i].ID = uuid.NewString()
		}
		c.complete(&records[i], http.StatusOK, records[i].Result)
	}
	return c.service.options.Audit.Record(ctx, records...)
}
