package decide

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/engine/sqltext"
	"github.com/ambit-authz/ambit/internal/model"
)

// fullPath is the request attribute that names the types wanted of a Policy Resolution (runtime-api.md 10.1).
const fullPath = "resourceFullPath"

// ResolutionAnswer is what a Policy Resolution says (runtime-api.md 10), complete, at one revision and not yet written.
type ResolutionAnswer struct {
	Outcome
	Revision      model.Revision
	TokenValidity int // seconds
	Identities    []Identity
	Parts         []ResolutionPart // by type
	Signature     *Signature       // of a signed answer
}

// ResolutionPart is what is granted of one type: filters of rows that live elsewhere or, when Access is not nil, stored
// assets, of which Projection says the attributes shown. SQL has the conditions of the filters in their order, when a
// dialect was asked for.
type ResolutionPart struct {
	Template   model.TemplateID
	Filters    []engine.Filter
	SQL        []sqltext.Condition
	Access     *engine.Access
	Projection *engine.Projection
}

// maxFilters is about how many bytes the filters of one answer have at most, and again their SQL. Values of a request stand in every branch
// of every action, so that a small request could ask for any amount of memory.
const maxFilters = 32 << 20

// Resolve answers which rows the identities of req may see, as filters. The call must be authenticated. The audit
// record is written before it returns. Errors: those of Token; one of kind internal for a filter with more branches
// than Options.MaxBranches, and for filters or SQL longer than maxFilters together; one of kind invalid for a filter that the
// dialect cannot say.
func (c *Call) Resolve(ctx context.Context, req TokenRequest) (*ResolutionAnswer, error) {
	ctx, cancel, b, err := c.bind(ctx, &req.Situation)
	if err != nil {
		return nil, err
	}
	defer cancel()
	answer := &ResolutionAnswer{
		Outcome: b.outcome, Revision: b.snapshot.Revision(), TokenValidity: c.scope.TokenValidity, Identities: b.identities,
	}
	if !answer.Again {
		room := engine.FilterRoom{Branches: c.service.options.MaxBranches, Bytes: maxFilters}
		if err := answer.find(ctx, &b, &req, &room); err != nil {
			return nil, err
		}
	}
	if answer.Signature, err = c.sign(req.Signed, b.identities[0].EntityID); err != nil {
		return nil, err
	}
	return answer, c.finish(ctx, answer.Outcome)
}

// find finds the parts of the answer.
func (a *ResolutionAnswer) find(ctx context.Context, b *binding, req *TokenRequest, room *engine.FilterRoom) (err error) {
	types, projections := resolvedTypes(b, req)
	sqlRoom := maxFilters
	var assets []engine.Asset
	if req.Assets != nil {
		if assets, err = chooseAssets(b.snapshot, req.Assets, types); err != nil {
			return err
		}
	}
	for _, t := range types {
		part := ResolutionPart{Template: t.Template, Projection: projections[t.Template]}
		if !req.Attributes {
			part.Projection = &noAttributes
		}
		def, _ := b.snapshot.AssetTemplate(t.Template)
		if req.Assets == nil && (def.IsUsedForFiltering || def.Source != model.SourcePlainID) {
			if part.Filters, err = b.residual.Filters(t, req.Policies, room); err == nil && req.SQL != 0 {
				part.SQL, err = conditions(req.SQL, def, part.Filters, &sqlRoom)
			}
		} else {
			part.Access, err = b.residual.Select(engine.Selection{
				Templates: []engine.TemplateSelection{t}, Assets: assets, Policies: req.Policies,
			})
		}
		if errors.Is(err, engine.ErrTooManyBranches) || errors.Is(err, sqltext.ErrTooLong) {
			return model.Internal("decide.Resolve", fmt.Errorf("type %s: %w", t.Template, err))
		}
		if err != nil {
			return cmp.Or(context.Cause(ctx), err)
		}
		a.Parts = append(a.Parts, part)
	}
	a.Result = fmt.Sprintf("filters of %d types", len(a.Parts))
	return context.Cause(ctx)
}

// resolvedTypes are the types to answer: those that every narrowing names, without any those used for filtering.
func resolvedTypes(b *binding, req *TokenRequest) ([]engine.TemplateSelection, map[model.TemplateID]*engine.Projection) {
	var wanted []engine.TemplateSelection
	var projections map[model.TemplateID]*engine.Projection
	if req.Types != nil {
		wanted, projections = chooseTypes(b.snapshot, req.Types)
	} else {
		for _, id := range b.residual.Types() {
			wanted = append(wanted, engine.TemplateSelection{Template: id})
		}
	}
	paths, narrowed := req.Environment[fullPath]
	drop := func(t engine.TemplateSelection) bool {
		def, ok := b.snapshot.AssetTemplate(t.Template)
		switch {
		case !ok,
			narrowed && !slices.Contains(paths, string(t.Template)),
			req.Assets != nil && !slices.ContainsFunc(req.Assets, func(a AssetClaim) bool { return a.Template == t.Template }):
			return true
		}
		return req.Types == nil && req.Assets == nil && !narrowed && !def.IsUsedForFiltering
	}
	return slices.DeleteFunc(wanted, drop), projections
}
