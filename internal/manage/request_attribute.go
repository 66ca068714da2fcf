package manage

import (
	"context"
	"errors"
	"slices"

	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

func requestAttributeKey(a *model.RequestAttribute) store.Key {
	return store.Key{Owner: string(a.WorkspaceID), ID: string(a.ID)}
}

func requestAttributeKind(workspace model.WorkspaceID) *kind[store.Key, model.RequestAttribute] {
	return &kind[store.Key, model.RequestAttribute]{
		name: "RequestAttribute", subject: requestAttributeSubject(),
		in: func(tx *store.Tx) store.Collection[store.Key, model.RequestAttribute] { return tx.RequestAttributes },
		id: func(k store.Key) string { return k.ID },
		missing: func(tx *store.Tx, k store.Key) error {
			var ids []string
			err := each(tx.RequestAttributes.FindAll(), func(a model.RequestAttribute) {
				if a.WorkspaceID == workspace {
					ids = append(ids, string(a.ID))
				}
			})
			if err != nil {
				return err
			}
			e := missingResource("RequestAttribute", k.ID)
			e.Message += hint(closeTo(k.ID, ids))
			return e
		},
	}
}

// RequestAttributeView is a request attribute with what of it is missing.
type RequestAttributeView struct {
	Attribute model.RequestAttribute
	Mappings  []MappingView
	Seen      Seen
}

// MappingView is one mapping of a request attribute. It is incomplete when no set of the workspace has its mapper: then
// it gives no values (management-api.md 17).
type MappingView struct {
	model.RequestMapping
	Incomplete bool
}

// Incomplete reports whether a mapping of the attribute is.
func (v *RequestAttributeView) Incomplete() bool {
	return slices.ContainsFunc(v.Mappings, func(m MappingView) bool { return m.Incomplete })
}

// mapperIDs are the ids of all mappers of a workspace.
func mapperIDs(tx *store.Tx, workspace model.WorkspaceID) (map[model.MapperID]bool, error) {
	ids := map[model.MapperID]bool{}
	return ids, each(tx.APIMapperSets.FindAll(), func(set model.APIMapperSet) {
		for i := range set.Mappers {
			if set.WorkspaceID == workspace {
				ids[set.Mappers[i].ID] = true
			}
		}
	})
}

func viewRequestAttribute(a model.RequestAttribute, seen Seen, mappers map[model.MapperID]bool) (RequestAttributeView, error) {
	v := RequestAttributeView{Attribute: a, Seen: seen}
	mappings, err := a.RequestMappings()
	for _, m := range mappings {
		v.Mappings = append(v.Mappings, MappingView{m, !mappers[m.MapperID]})
	}
	return v, err
}

// workspaceOf reports an authorization workspace of the path that does not exist (MGT-006).
func workspaceOf(tx *store.Tx, id model.WorkspaceID) error {
	found, err := exists(tx.AuthorizationWorkspaces, id)
	if err == nil && !found {
		err = missingResource("AuthorizationWorkspace", string(id))
	}
	return err
}

// FindRequestAttributes lists the request attributes of an authorization workspace by id.
func (s *Service) FindRequestAttributes(ctx context.Context, env model.EnvironmentID, workspace model.WorkspaceID) ([]RequestAttributeView, Seen, error) {
	out := []RequestAttributeView{}
	var seen Seen
	err := s.view(ctx, env, func(tx *store.Tx) error {
		seen.Revision = tx.Revision
		if err := workspaceOf(tx, workspace); err != nil {
			return err
		}
		mappers, err := mapperIDs(tx, workspace)
		if err != nil {
			return err
		}
		for a, err := range tx.RequestAttributes.FindAll() {
			if err != nil {
				return err
			}
			if a.WorkspaceID != workspace {
				continue
			}
			_, seen, err := find(tx, tx.RequestAttributes, requestAttributeKey(&a), "RequestAttribute", string(a.ID))
			if err != nil {
				return err
			}
			v, err := viewRequestAttribute(a, seen, mappers)
			if err != nil {
				return err
			}
			out = append(out, v)
		}
		return nil
	})
	return out, seen, err
}

// FindRequestAttribute reads one request attribute.
func (s *Service) FindRequestAttribute(ctx context.Context, env model.EnvironmentID, workspace model.WorkspaceID, id model.AttributeID) (RequestAttributeView, error) {
	var out RequestAttributeView
	err := s.view(ctx, env, func(tx *store.Tx) error {
		if err := workspaceOf(tx, workspace); err != nil {
			return err
		}
		found, err := readObject(tx, requestAttributeKind(workspace), store.Key{Owner: string(workspace), ID: string(id)})
		if err != nil {
			return err
		}
		mappers, err := mapperIDs(tx, workspace)
		if err != nil {
			return err
		}
		out, err = viewRequestAttribute(found.Object, found.Seen, mappers)
		return err
	})
	return out, err
}

// PutRequestAttribute makes or replaces a request attribute from its exported form.
func (s *Service) PutRequestAttribute(ctx context.Context, call Call, env model.EnvironmentID, workspace model.WorkspaceID, id model.AttributeID, body []byte) (RequestAttributeView, Done, error) {
	a, err := parseRequestAttributeAs(id, body)
	if err != nil {
		return RequestAttributeView{}, Done{}, err
	}
	a.WorkspaceID = workspace
	var mappers map[model.MapperID]bool
	stored, done, err := changeObject(ctx, s, &call, env, requestAttributeKind(workspace), requestAttributeKey(&a),
		func(w *writer, _ *model.RequestAttribute) (model.RequestAttribute, error) {
			err := workspaceOf(w.Tx, workspace)
			if err == nil {
				mappers, err = mapperIDs(w.Tx, workspace)
			}
			return a, err
		})
	if err != nil {
		return RequestAttributeView{}, done, err
	}
	v, err := viewRequestAttribute(stored.Object, stored.Seen, mappers)
	return v, done, err
}

// parseRequestAttributeAs reads the form of a request attribute whose id is in the path; the one in the body is the same
// or absent.
func parseRequestAttributeAs(id model.AttributeID, body []byte) (model.RequestAttribute, error) {
	var f form.RequestAttribute
	if err := form.Decode(body, &f); err != nil {
		return model.RequestAttribute{}, err
	}
	if f.ID != "" && f.ID != string(id) {
		return model.RequestAttribute{}, model.Errors{{Kind: model.KindInvalid, Message: "/id: differs from that of the path"}}
	}
	f.ID = string(id)
	return f.Model()
}

// DeleteRequestAttribute deletes a request attribute that no rule uses (policy-model.md 3.12).
func (s *Service) DeleteRequestAttribute(ctx context.Context, call Call, env model.EnvironmentID, workspace model.WorkspaceID, id model.AttributeID) (Done, error) {
	key := store.Key{Owner: string(workspace), ID: string(id)}
	return removeObject(ctx, s, &call, env, requestAttributeKind(workspace), key, func(w *writer, a *model.RequestAttribute) error {
		return s.overMirror(ctx, w, workspace, false, func(m *mirror, _ *resolver) error {
			return unusedRequestAttribute(a, m.blocks.oldestFirst())
		})
	})
}

// unusedRequestAttribute refuses one that a rule of its workspace uses.
func unusedRequestAttribute(a *model.RequestAttribute, blocks []*knownBlock) error {
	var names []string
	for _, k := range blocks {
		if k.block.WorkspaceID == a.WorkspaceID && usesRequest(&k.block, a.ID) {
			names = append(names, k.block.Name)
		}
	}
	if len(names) > 0 {
		return inUse("RequestAttribute", string(a.ID), "building block", names)
	}
	return nil
}

func usesRequest(b *model.Block, id model.AttributeID) bool {
	ref := model.Ref{Side: model.SideRequest, Attribute: id}
	return slices.ContainsFunc(b.Branches, func(br model.Branch) bool {
		return slices.ContainsFunc(br.Rules, func(r model.Rule) bool { return r.Left == ref || r.Ref == ref })
	})
}

// renameInRequestAttributes gives a mapper its new id in the request attributes of its workspace. While another set has
// a mapper of the old id, that one's mappings stay beside. set has the new id already.
func (w *writer) renameInRequestAttributes(set *model.APIMapperSet, from, to model.MapperID) error {
	shared := false
	err := each(w.APIMapperSets.FindAll(), func(other model.APIMapperSet) {
		shared = shared || other.ID != set.ID && other.WorkspaceID == set.WorkspaceID && other.Mapper(from) >= 0
	})
	if err != nil {
		return err
	}
	var errs []error
	err = changeAll(w, requestAttributeSubject(), w.RequestAttributes, requestAttributeKey, func(a *model.RequestAttribute) bool {
		if a.WorkspaceID != set.WorkspaceID {
			return false
		}
		mappings, err := a.RequestMappings()
		changed := false
		var out []model.RequestMapping
		for _, m := range mappings {
			renamed := m.MapperID == from
			if changed = changed || renamed; renamed && shared {
				out = append(out, m)
			}
			if renamed {
				m.MapperID = to
			}
			out = append(out, m)
		}
		if err == nil && changed {
			err = a.Map(out)
		}
		errs = append(errs, err)
		return changed
	})
	return errors.Join(append(errs, err)...)
}
