package manage

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// FindMatcher reads the matcher of an identity workspace.
func (s *Service) FindMatcher(ctx context.Context, env model.EnvironmentID, id model.WorkspaceID) (Stored[model.Matcher], error) {
	var out Stored[model.Matcher]
	err := s.view(ctx, env, func(tx *store.Tx) error {
		ws, err := readObject(tx, identityWorkspaceKind(), id)
		if err == nil && ws.Object.Matcher == nil {
			err = missingResource("Matcher", string(id))
		}
		if err != nil {
			return err
		}
		out = Stored[model.Matcher]{Object: *ws.Object.Matcher, Seen: ws.Seen}
		return nil
	})
	return out, err
}

// PutMatcher gives an identity workspace the matcher of the JSON body of management-api.md 17.
func (s *Service) PutMatcher(ctx context.Context, call Call, env model.EnvironmentID, id model.WorkspaceID, body []byte) (Stored[model.Matcher], Done, error) {
	m, err := form.ParseMatcher(body)
	if err != nil {
		return Stored[model.Matcher]{}, Done{}, err
	}
	ws, done, err := s.changeMatcher(ctx, call, env, id, m)
	if err != nil {
		return Stored[model.Matcher]{}, done, err
	}
	return Stored[model.Matcher]{Object: *m, Seen: ws.Seen}, done, nil
}

// DeleteMatcher takes the matcher of an identity workspace away.
func (s *Service) DeleteMatcher(ctx context.Context, call Call, env model.EnvironmentID, id model.WorkspaceID) (Done, error) {
	_, done, err := s.changeMatcher(ctx, call, env, id, nil)
	return done, err
}

// changeMatcher sets or, with nil, removes a matcher. It is a part of its workspace and has its version.
func (s *Service) changeMatcher(ctx context.Context, call Call, env model.EnvironmentID, id model.WorkspaceID, m *model.Matcher) (Stored[model.IdentityWorkspace], Done, error) {
	var out Stored[model.IdentityWorkspace]
	var done Done
	revision, err := s.update(ctx, &call, env, func(w *writer) error {
		ws, err := readObject(w.Tx, identityWorkspaceKind(), id)
		if err != nil {
			return err
		}
		had := ws.Object.Matcher != nil
		current := ""
		if had {
			current = ws.Seen.Version
		}
		if err := w.meets(current, "Matcher", string(id)); err != nil {
			return err
		}
		if m == nil && !had {
			return missingResource("Matcher", string(id))
		}
		ws.Object.Matcher = m
		if err := w.checkMatcher(&ws.Object); err != nil {
			return err
		}
		result, err := put(w, identityWorkspaceSubject(), w.IdentityWorkspaces, id, ws.Object)
		if err != nil {
			return err
		}
		switch {
		case m == nil:
			result = Deleted
		case !had:
			result = Created
		}
		done.Result = result
		if done.Version, err = doneVersion(w, w.IdentityWorkspaces, id, result); err != nil {
			return err
		}
		out, err = readObject(w.Tx, identityWorkspaceKind(), id)
		return err
	})
	done.Revision = revision
	return out, done, err
}

// checkMatcher checks what the matcher of a workspace refers to: its claims go to attributes of the template, and its pair
// of path and value is the only one in the environment (policy-model.md 3.4).
func (w *writer) checkMatcher(ws *model.IdentityWorkspace) error {
	if ws.Matcher == nil {
		return nil
	}
	errs, err := unknownClaims(w.Tx, ws)
	if err != nil {
		return err
	}
	other, err := matcherTwin(w.Tx, ws)
	if err != nil {
		return err
	}
	if other != nil {
		errs = append(errs, matcherTaken(ws.Matcher))
	}
	return errs.OrNil()
}

// unknownClaims reports claims for attributes that the template of the workspace does not have.
func unknownClaims(tx *store.Tx, ws *model.IdentityWorkspace) (model.Errors, error) {
	var errs model.Errors
	if len(ws.Matcher.ClaimMappings) == 0 {
		return nil, nil
	}
	t, err := tx.IdentityTemplates.Find(ws.TemplateID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(ws.Matcher.ClaimMappings)) {
		if _, known := t.Attribute(id); !known {
			errs.Add("/claimMappings", "identity template %q has no attribute %q", ws.TemplateID, id)
		}
	}
	return errs, nil
}

// matcherTwin is another workspace whose matcher looks for the same value at the same path, nil when there is none.
func matcherTwin(tx *store.Tx, ws *model.IdentityWorkspace) (*model.IdentityWorkspace, error) {
	var twin *model.IdentityWorkspace
	err := each(tx.IdentityWorkspaces.FindAll(), func(other model.IdentityWorkspace) {
		m := other.Matcher
		if other.ID != ws.ID && m != nil && m.TemplateMatcher == ws.Matcher.TemplateMatcher && m.MatcherValue == ws.Matcher.MatcherValue {
			twin = &other
		}
	})
	return twin, err
}

func matcherTaken(m *model.Matcher) *model.Error {
	return alreadyExists("Matcher", m.TemplateMatcher+" = "+m.MatcherValue)
}
