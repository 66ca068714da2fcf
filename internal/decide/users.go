package decide

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/identity"
	"github.com/ambit-authz/ambit/internal/model"
)

// UsersRequest is the question of a User List call (runtime-api.md 11.1), coerced. Of Situation only Primary.Context is
// looked at of the identities: it applies to every one.
type UsersRequest struct {
	Situation
	Asset     AssetClaim
	Actions   []string           // wire names; empty = all
	Templates []model.TemplateID // empty = every identity template
	Inactive  bool               // judge inactive identities as if they were active
	Policies  bool               // keep which policies grant each action
	Signed    bool               // the answer gets a signature
}

// UsersAnswer is a complete answer at one revision, not yet written.
type UsersAnswer struct {
	Outcome
	Revision      model.Revision
	TokenValidity int // seconds
	Users         *engine.Users
	Signature     *Signature // of a signed answer
	snapshot      *engine.Snapshot
	asset         engine.Asset
	foreign       bool // no application of the scope holds the asset's type
}

// Template is the definition of an identity's template.
func (a *UsersAnswer) Template(id model.TemplateID) *model.IdentityTemplate {
	t, _ := a.snapshot.IdentityTemplate(id)
	return t
}

// AppendAttributes appends the JSON object of the asset's attributes, {} when it is not known, or not to this scope.
func (a *UsersAnswer) AppendAttributes(dst []byte) []byte {
	if a.foreign {
		return append(dst, "{}"...)
	}
	return a.snapshot.AppendAttributes(dst, a.asset)
}

// Users answers who may use an asset. The call must be authenticated. The audit record is written before it returns.
// Errors: RT-087 for an identity template that does not exist, else those of Token.
func (c *Call) Users(ctx context.Context, req UsersRequest) (*UsersAnswer, error) {
	ctx, cancel, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	snapshot := c.state.snapshot
	answer := &UsersAnswer{
		Revision: snapshot.Revision(), TokenValidity: c.scope.TokenValidity, snapshot: snapshot, asset: req.Asset.asset(snapshot),
		foreign: !snapshot.Reaches(c.scope.ApplicationIDs, req.Asset.Template),
	}
	if answer.Outcome, err = c.earlier(&req.Situation, nil); err != nil {
		return nil, err
	}
	if !answer.Again {
		if err := answer.find(ctx, c.question(ctx, &req.Situation), &req); err != nil {
			return nil, err
		}
	}
	if answer.Signature, err = c.sign(req.Signed, ""); err != nil {
		return nil, err
	}
	return answer, c.finish(ctx, answer.Outcome)
}

// find finds the identities.
func (a *UsersAnswer) find(ctx context.Context, circumstances engine.Question, req *UsersRequest) (err error) {
	for _, id := range req.Templates {
		if _, ok := a.snapshot.IdentityTemplate(id); !ok {
			return identity.Unmatched()
		}
	}
	question := engine.UserQuestion{
		Question: circumstances, Asset: a.asset, Actions: req.Actions,
		Templates: slices.Clip(req.Templates), Inactive: req.Inactive, Policies: req.Policies,
		Said: map[model.TemplateID]model.Attributes{},
	}
	describe := map[model.TemplateID]func(model.Identity) model.Identity{}
	for _, t := range a.snapshot.IdentityTemplates() {
		describe[t.ID], question.Said[t.ID] = identity.Describe(t, req.Primary)
	}
	question.Describe = func(t model.TemplateID, i model.Identity) model.Identity { return describe[t](i) }
	a.Users, err = a.snapshot.Users(question)
	if errors.Is(err, engine.ErrStopped) || context.Cause(ctx) != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	a.Until, _ = a.Users.Until()
	a.Result = fmt.Sprintf("%d identities for %s", a.Users.Len(), firstRunes(string(a.asset.Template)+" "+a.asset.Path, 256))
	return nil
}
