package manage

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"regexp"
	"time"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// Proposal is a change whose impact is asked for: exactly one of its parts is set (management-api.md 22).
type Proposal struct {
	Policy  *PolicySource
	Blocks  *BlockSource
	State   *PolicyState
	Delete  model.PolicyID
	Archive *archive.Reader
	Apply   ApplyOptions // of Archive
}

// PolicyState is a policy with the state that it would get.
type PolicyState struct {
	ID     model.PolicyID
	Active bool
}

// ImpactQuery fixes what the impact is computed for. The zero value asks about everybody and everything, now.
type ImpactQuery struct {
	Scope            model.ClientID // its applications; "" = every application
	IdentityTemplate model.TemplateID
	AssetTemplate    model.TemplateID
	Time             time.Time // zero = now; its zone is the zone of the request
	SourceIP         netip.Addr
	Environment      map[string][]string
}

// ImpactReport tells what a change would give and take at a revision.
type ImpactReport struct {
	Revision                 model.Revision
	Identities, Gained, Lost int
	Notes                    []string
	Changes                  iter.Seq[ImpactChange] // by identity template, identity, asset type, action, catalogue
}

// ImpactChange is one identity, asset and action that is gained or lost.
type ImpactChange = engine.ImpactChange

// Impact makes a change in a transaction that is rolled back, with all checks of the real one, and compares what every
// stored identity may do before and after it, exactly. Errors are those of the change.
func (s *Service) Impact(ctx context.Context, call Call, env model.EnvironmentID, p Proposal, q ImpactQuery) (ImpactReport, error) {
	asked := engine.ImpactQuestion{
		IdentityTemplate: q.IdentityTemplate, AssetTemplate: q.AssetTemplate,
		Environment: q.Environment, SourceIP: q.SourceIP.Unmap(), Instant: q.Time, Done: ctx.Done(),
	}
	if q.Time.IsZero() {
		asked.Instant = s.now()
	} else {
		_, offset := q.Time.Zone()
		asked.ZoneOffset = time.Duration(offset) * time.Second
	}
	t := &trial{s: s, ctx: ctx}
	t.begin = func(tx *store.Tx) (err error) {
		if q.Scope == "" {
			return nil
		}
		asked.Before, err = applicationsOf(tx, q.Scope)
		if asked.Before == nil && err == nil {
			return missingResource("Scope", string(q.Scope))
		}
		return err
	}
	t.end = func(tx *store.Tx) (err error) {
		if q.Scope == "" {
			return nil
		}
		if asked.After, err = applicationsOf(tx, q.Scope); asked.After == nil {
			asked.After = []model.ApplicationID{} // the change deletes the scope
		}
		return err
	}
	call.trial, call.DryRun = t, true
	notes, err := s.try(ctx, call, env, &p)
	if err != nil {
		return ImpactReport{}, err
	}
	if err := knownTemplates(t, &q); err != nil {
		return ImpactReport{}, err
	}
	impact, err := t.before.Impact(t.after, asked)
	if errors.Is(err, engine.ErrStopped) {
		return ImpactReport{}, &model.Error{Kind: model.KindUnavailable, Op: "manage.Impact", Err: ctx.Err()}
	}
	if err != nil {
		return ImpactReport{}, err
	}
	out := ImpactReport{
		Revision: t.before.Revision(), Identities: impact.Identities, Gained: impact.Gained, Lost: impact.Lost,
		Changes: impact.Changes(), Notes: notes,
	}
	for _, id := range impact.LeftOut {
		out.Notes = append(out.Notes, fmt.Sprintf("asset type %s is left out: its assets come with requests", id))
	}
	return out, nil
}

// applicationsOf are a scope's applications, nil when there is no such scope.
func applicationsOf(tx *store.Tx, id model.ClientID) ([]model.ApplicationID, error) {
	scope, err := tx.Scopes.Find(id)
	if errors.Is(err, store.ErrNotFound) || err == nil && scope.EnvironmentID != tx.Environment {
		return nil, nil
	}
	return append([]model.ApplicationID{}, scope.ApplicationIDs...), err
}

func knownTemplates(t *trial, q *ImpactQuery) error {
	in := func(find func(*engine.Snapshot) bool) bool { return find(t.before) || find(t.after) }
	var errs model.Errors
	if q.IdentityTemplate != "" && !in(func(s *engine.Snapshot) bool { _, ok := s.IdentityTemplate(q.IdentityTemplate); return ok }) {
		errs = append(errs, model.InvalidParameter("identityTemplate", "%q does not exist", q.IdentityTemplate))
	}
	if q.AssetTemplate != "" && !in(func(s *engine.Snapshot) bool { _, ok := s.AssetTemplate(q.AssetTemplate); return ok }) {
		errs = append(errs, model.InvalidParameter("templateId", "%q does not exist", q.AssetTemplate))
	}
	return errs.OrNil()
}

// try makes the change of a proposal. The notes are those of an apply.
func (s *Service) try(ctx context.Context, call Call, env model.EnvironmentID, p *Proposal) (notes []string, err error) {
	switch {
	case p.Policy != nil:
		_, err = s.ImportPolicy(ctx, call, env, *p.Policy)
	case p.Blocks != nil:
		_, err = s.ImportBlocks(ctx, call, env, *p.Blocks)
	case p.State != nil:
		_, err = s.SetPolicyState(ctx, call, env, "", p.State.ID, p.State.Active)
	case p.Delete != "":
		_, err = s.DeletePolicies(ctx, call, env, "", []model.PolicyID{p.Delete})
	default:
		var report ApplyReport
		if report, err = s.Apply(ctx, call, env, p.Archive, p.Apply); err == nil && report.Refused {
			err = report.Errors
		}
		notes = report.Notes
	}
	return notes, err
}

var blockPackage = regexp.MustCompile(`(?m)^[ \t]*package[ \t]+building_blocks[ \t]*(#.*)?\r?$`)

// IsBlocks reports whether a Rego text is a module of building blocks rather than a policy.
func IsBlocks(text []byte) bool { return blockPackage.Match(text) }
