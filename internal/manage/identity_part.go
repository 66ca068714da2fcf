package manage

import (
	"context"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// Sources and mapper sets are the parts of an identity template: their keys and their subjects name it as the owner.

// partsOf are the parts of one kind that a template has, by id.
func partsOf[V any](tx *store.Tx, k *kind[store.Key, V], template model.TemplateID) ([]V, error) {
	var out []V
	err := each(k.in(tx).FindAll(), func(v V) {
		if _, owner := k.subject.parent(&v); owner == string(template) {
			out = append(out, v)
		}
	})
	return out, err
}

// findParts is partsOf for a call, where the uuid of a workspace stands for its template.
func findParts[V any](ctx context.Context, s *Service, env model.EnvironmentID, k *kind[store.Key, V], template model.TemplateID) (out []V, seen Seen, err error) {
	err = s.view(ctx, env, func(tx *store.Tx) error {
		t, err := readTemplate(tx, template)
		if err != nil {
			return err
		}
		seen.Revision = tx.Revision
		out, err = partsOf(tx, k, t.Object.ID)
		return err
	})
	return out, seen, err
}

// missingPart is the documented error of a part that is not there, with a hint, or that of a template that is not there.
func missingPart[V any](tx *store.Tx, k *kind[store.Key, V], key store.Key, words, code, name string) error {
	template, err := readObject(tx, identityTemplateKind(), model.TemplateID(key.Owner))
	if err != nil {
		return err
	}
	parts, err := partsOf(tx, k, template.Object.ID)
	if err != nil {
		return err
	}
	ids := make([]string, len(parts))
	for i := range parts {
		ids[i] = k.subject.id(&parts[i])
	}
	return &model.Error{
		Kind: model.KindNotFound, Code: code, Name: name, Args: []string{key.ID},
		Message: words + ": [" + key.ID + "] not found" + hint(nearest(key.ID, ids)),
	}
}
