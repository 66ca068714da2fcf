package manage

import (
	"context"
	"maps"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

func customAttributeKind() *kind[string, model.CustomAttribute] {
	return &kind[string, model.CustomAttribute]{
		name: "CustomAttribute", subject: customAttributeSubject(),
		in: func(tx *store.Tx) store.Collection[string, model.CustomAttribute] { return tx.CustomAttributes },
		id: func(key string) string { return key },
	}
}

// FindCustomAttributes lists the definitions of the custom attributes of policies, by key (policy-model.md 3.13).
func (s *Service) FindCustomAttributes(ctx context.Context, env model.EnvironmentID) ([]model.CustomAttribute, Seen, error) {
	out := []model.CustomAttribute{}
	var seen Seen
	err := s.view(ctx, env, func(tx *store.Tx) error {
		seen.Revision = tx.Revision
		return each(tx.CustomAttributes.FindAll(), func(a model.CustomAttribute) { out = append(out, a) })
	})
	return out, seen, err
}

// FindCustomAttribute reads one definition.
func (s *Service) FindCustomAttribute(ctx context.Context, env model.EnvironmentID, key string) (Stored[model.CustomAttribute], error) {
	return findObject(ctx, s, env, customAttributeKind(), key)
}

// PutCustomAttribute makes or replaces one definition. What Ambit does not know of it is kept as it is.
func (s *Service) PutCustomAttribute(ctx context.Context, call Call, env model.EnvironmentID, key string, body []byte) (Stored[model.CustomAttribute], Done, error) {
	return changeObject(ctx, s, &call, env, customAttributeKind(), key, func(w *writer, before *model.CustomAttribute) (model.CustomAttribute, error) {
		var definition jsontext.Value
		if err := form.Decode(body, &definition); err != nil {
			return model.CustomAttribute{}, err
		}
		a, err := form.ParseCustomAttribute(definition)
		var errs model.Errors
		if errs.Collect(err); err == nil && a.Key != key {
			errs.Add("/key", "differs from that of the path")
		}
		if len(errs) > 0 || before == nil {
			return a, errs.OrNil()
		}
		misfits, err := w.misfits([]model.CustomAttribute{a})
		if err == nil && misfits[key] != nil {
			err = misfits[key]
		}
		return a, err
	})
}

// PutCustomAttributes makes or replaces the definitions of a list. With prune the others are deleted, with their values on
// policies. It returns all definitions as they now stand.
func (s *Service) PutCustomAttributes(ctx context.Context, call Call, env model.EnvironmentID, body []byte, prune bool) ([]model.CustomAttribute, Done, error) {
	definitions, err := form.ParseCustomAttributes(body)
	if err != nil {
		return nil, Done{}, err
	}
	out := []model.CustomAttribute{}
	var done Done
	done.Revision, err = s.update(ctx, &call, env, func(w *writer) error {
		var updated []model.CustomAttribute
		for _, a := range definitions {
			result, err := put(w, customAttributeSubject(), w.CustomAttributes, a.Key, a)
			if err != nil {
				return err
			}
			if result == Updated {
				updated = append(updated, a)
			}
		}
		misfits, err := w.misfits(updated)
		if err != nil {
			return err
		}
		var errs model.Errors
		for _, a := range updated {
			if e := misfits[a.Key]; e != nil {
				errs = append(errs, e)
			}
		}
		if len(errs) > 0 {
			return errs
		}
		if prune {
			if err := w.pruneCustomAttributes(definitions); err != nil {
				return err
			}
		}
		if w.writes > 0 {
			done.Result = Updated
		}
		return each(w.CustomAttributes.FindAll(), func(a model.CustomAttribute) { out = append(out, a) })
	})
	return out, done, err
}

func (w *writer) pruneCustomAttributes(keep []model.CustomAttribute) error {
	kept := map[string]bool{}
	for i := range keep {
		kept[keep[i].Key] = true
	}
	gone := map[string]bool{}
	err := each(w.CustomAttributes.FindAll(), func(a model.CustomAttribute) {
		if !kept[a.Key] {
			gone[a.Key] = true
		}
	})
	if err == nil {
		err = w.dropStoredCustomValues(gone)
	}
	for _, key := range slices.Sorted(maps.Keys(gone)) {
		if err != nil {
			return err
		}
		_, err = remove(w, customAttributeSubject(), w.CustomAttributes, key)
	}
	return err
}

// DeleteCustomAttribute ends a definition. Its values on policies go with it (policy-model.md 3.12).
func (s *Service) DeleteCustomAttribute(ctx context.Context, call Call, env model.EnvironmentID, key string) (Done, error) {
	return removeObject(ctx, s, &call, env, customAttributeKind(), key, func(w *writer, _ *model.CustomAttribute) error {
		return w.dropStoredCustomValues(map[string]bool{key: true})
	})
}

func (w *writer) dropStoredCustomValues(keys map[string]bool) error {
	s, err := storedPolicySubject(w.Tx)
	if err != nil {
		return err
	}
	return w.dropCustomValues(s, keys)
}

// dropCustomValues removes the values of custom attributes from all policies, which are gone through once however many
// attributes end.
func (w *writer) dropCustomValues(s *subject[model.Policy], keys map[string]bool) error {
	isGone := func(v model.CustomValue) bool { return keys[v.Key] }
	return changeAll(w, s, w.Policies, func(p *model.Policy) model.PolicyID { return p.ID }, func(p *model.Policy) bool {
		if !slices.ContainsFunc(p.CustomAttributes, isGone) {
			return false
		}
		if p.CustomAttributes = slices.DeleteFunc(slices.Clone(p.CustomAttributes), isGone); len(p.CustomAttributes) == 0 {
			p.CustomAttributes = nil
		}
		return true
	})
}

// misfits are the errors of definitions that stored values do not fit, by key: whoever tightens a definition changes the
// policies first, or in the same apply. A value that becomes required is asked for when a policy is written again.
func (w *writer) misfits(definitions []model.CustomAttribute) (map[string]*model.Error, error) {
	if len(definitions) == 0 {
		return nil, nil
	}
	users := map[string][]string{}
	err := each(w.Policies.FindAll(), func(p model.Policy) {
		for i := range definitions {
			key := definitions[i].Key
			if v := customValue(&p, key); v != nil && definitions[i].CheckValue(*v) != "" {
				users[key] = append(users[key], string(p.ID))
			}
		}
	})
	out := map[string]*model.Error{}
	for key, ids := range users {
		out[key] = inUse("CustomAttribute", key, "policy", ids)
	}
	return out, err
}
