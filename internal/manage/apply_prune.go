package manage

import (
	"slices"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// prune deletes what the archive lacks, within the workspaces and kinds that occur in it, in the reverse order of
// creation. A kind of which a file failed is left alone: what the file would have brought is not known.
func (a *applier) prune() error {
	if !a.o.Prune {
		return nil
	}
	for _, step := range []func() error{
		a.pruneScopes, a.prunePolicies, a.pruneBlocks, a.pruneAPIMapperSets, a.pruneApplications,
		a.pruneRequestAttributes, a.pruneAssetTypes, a.pruneMapperSets, a.pruneSources, a.pruneCustomAttributes,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// covers reports whether a kind of a folder is to be pruned.
func (a *applier) covers(f *folder, kind string) bool {
	if f == nil || !f.present[kind] {
		return false
	}
	for _, file := range f.files[kind] {
		if a.bad[file.Path] {
			a.report.Notes = append(a.report.Notes, f.path+"/"+kind+" not pruned, because "+file.Path+" has errors")
			return false
		}
	}
	return true
}

// authorizationIDs are the authorization workspaces of which a kind is to be pruned.
func (a *applier) authorizationIDs(kind string) map[model.WorkspaceID]bool {
	out := map[model.WorkspaceID]bool{}
	for f, ws := range a.authorization {
		if a.covers(f, kind) {
			out[ws.ID] = true
		}
	}
	return out
}

// identityIDs are the identity templates of whose workspaces a kind is to be pruned.
func (a *applier) identityIDs(kind string) map[model.TemplateID]bool {
	out := map[model.TemplateID]bool{}
	for f, ws := range a.identity {
		if a.covers(f, kind) {
			out[ws.TemplateID] = true
		}
	}
	return out
}

// pruneOf deletes the objects of a collection that lie where the kind is pruned and that no file brought.
func pruneOf[K comparable, V any](a *applier, kind string, s *subject[V], c store.Collection[K, V], key func(*V) K,
	id func(*V) string, inside func(*V) bool, prepare func(*V) error,
) error {
	var gone []V
	err := each(c.FindAll(), func(v V) {
		if inside(&v) && a.seen[objectRef{kind, id(&v)}] == "" {
			gone = append(gone, v)
		}
	})
	if err != nil {
		return err
	}
	for i := range gone {
		v := &gone[i]
		if prepare != nil {
			if err := prepare(v); err != nil {
				if err := a.settle(kind, "", id(v), err, false); err != nil {
					return err
				}
				continue
			}
		}
		result, err := remove(a.w, s, c, key(v))
		if err := a.applied(kind, "", s.id(v), result, err); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) pruneScopes() error {
	if !a.covers(&a.layout.environment, kindScopes) {
		return nil
	}
	return pruneOf(a, kindScopes, scopeSubject(), a.w.Scopes, func(s *model.Scope) model.ClientID { return s.ClientID },
		func(s *model.Scope) string { return string(s.ClientID) }, func(*model.Scope) bool { return true }, nil)
}

func (a *applier) prunePolicies() error {
	inside := a.authorizationIDs(kindPolicies)
	return pruneOf(a, kindPolicies, a.policySubject(), a.w.Policies, func(p *model.Policy) model.PolicyID { return p.ID },
		func(p *model.Policy) string { return string(p.ID) },
		func(p *model.Policy) bool { return inside[p.WorkspaceID] }, nil)
}

// pruneBlocks deletes the blocks of workspaces with a file of blocks that neither the file nor a policy uses.
func (a *applier) pruneBlocks() error {
	inside := a.authorizationIDs(kindBuildingBlocks)
	for f, ws := range a.identity {
		if a.covers(f, kindBuildingBlocks) {
			inside[ws.ID] = true
		}
	}
	if len(inside) == 0 {
		return nil
	}
	users, err := a.usage()
	if err != nil {
		return err
	}
	for _, k := range a.resolver.oldestFirst() {
		b := &k.block
		if b.Predefined || !inside[b.WorkspaceID] || len(users.ofBlock(b.ID)) > 0 ||
			a.seen[objectRef{kindBuildingBlocks, string(b.ID)}] != "" {
			continue
		}
		if err := a.resolver.drop(b.ID); err != nil {
			return err
		}
		a.done(kindBuildingBlocks, "", string(b.ID), Deleted, nil)
	}
	return nil
}

func (a *applier) pruneApplications() error {
	inside := a.authorizationIDs(kindApplications)
	return pruneOf(a, kindApplications, applicationSubject(), a.w.Applications,
		func(app *model.Application) model.ApplicationID { return app.ID },
		func(app *model.Application) string { return string(app.ID) },
		func(app *model.Application) bool { return inside[app.WorkspaceID] }, a.unlink)
}

// unlink takes a deleted application out of what refers to it. The policies of the archive keep what their files say, so
// that a second apply changes nothing.
func (a *applier) unlink(app *model.Application) error {
	var policies []*model.Policy
	err := each(a.w.Policies.FindAll(), func(p model.Policy) {
		if slices.Contains(p.Applications, app.ID) && a.seen[objectRef{kindPolicies, string(p.ID)}] == "" {
			policies = append(policies, &p)
		}
	})
	if err != nil {
		return err
	}
	if a.seen[objectRef{kindAPIMapperSets, string(app.ID)}] != "" { // the set would go with the application
		return inUse("Application", string(app.ID), "API mapper set", []string{string(app.ID)})
	}
	return a.w.swapApplication(app.ID, "", slices.Values(policies))
}

func (a *applier) pruneRequestAttributes() error {
	inside := a.authorizationIDs(kindRequestAttributes)
	return pruneOf(a, kindRequestAttributes, requestAttributeSubject(), a.w.RequestAttributes, requestAttributeKey,
		func(r *model.RequestAttribute) string { return requestAttributeKey(r).String() },
		func(r *model.RequestAttribute) bool { return inside[r.WorkspaceID] },
		func(r *model.RequestAttribute) error { return unusedRequestAttribute(r, a.resolver.oldestFirst()) })
}

func (a *applier) pruneAssetTypes() error {
	inside := a.authorizationIDs(kindAssetTypes)
	if len(inside) == 0 {
		return nil
	}
	users, err := a.usage()
	if err != nil {
		return err
	}
	brought := slices.DeleteFunc(slices.Clone(users.sets), func(s model.APIMapperSet) bool {
		return a.seen[objectRef{kindAPIMapperSets, string(s.ID)}] == ""
	})
	return pruneOf(a, kindAssetTypes, assetTemplateSubject(), a.w.AssetTemplates,
		func(t *model.AssetTemplate) model.TemplateID { return t.ID },
		func(t *model.AssetTemplate) string { return string(t.ID) },
		func(t *model.AssetTemplate) bool { return inside[t.WorkspaceID] },
		func(t *model.AssetTemplate) error {
			// a set that the archive brings would not be stored as it stands there
			mappers := mapperUses(brought, t.ID, func(*model.TemplateMapping) bool { return true })
			if len(mappers) > 0 {
				return inUse("AssetTemplate", string(t.ID), "API mapper", mappers)
			}
			return a.resolver.emptyAssetType(t.ID, users)
		})
}

func (a *applier) pruneMapperSets() error {
	inside := a.identityIDs(kindMapperSets)
	key := func(m *model.MapperSet) store.Key { return ownedKey(m.TemplateID, m.ID) }
	return pruneOf(a, kindMapperSets, mapperSetSubject(), a.w.MapperSets, key,
		func(m *model.MapperSet) string { return key(m).String() },
		func(m *model.MapperSet) bool { return inside[m.TemplateID] }, nil)
}

// pruneSources deletes sources that no mapper set links.
func (a *applier) pruneSources() error {
	inside := a.identityIDs(kindIdentitySources)
	if len(inside) == 0 {
		return nil
	}
	linked, err := linkedBy(a.w.Tx)
	if err != nil {
		return err
	}
	key := func(s *model.IdentitySource) store.Key { return ownedKey(s.TemplateID, s.ID) }
	return pruneOf(a, kindIdentitySources, identitySourceSubject(), a.w.IdentitySources, key,
		func(s *model.IdentitySource) string { return key(s).String() },
		func(s *model.IdentitySource) bool { return inside[s.TemplateID] },
		func(s *model.IdentitySource) error { return unusedSource(s, linked) })
}

// pruneCustomAttributes deletes definitions with their values on policies.
func (a *applier) pruneCustomAttributes() error {
	if !a.covers(&a.layout.environment, kindCustomAttributes) {
		return nil
	}
	gone := map[string]bool{}
	key := func(c *model.CustomAttribute) string { return c.Key }
	err := pruneOf(a, kindCustomAttributes, customAttributeSubject(), a.w.CustomAttributes, key, key,
		func(*model.CustomAttribute) bool { return true },
		func(c *model.CustomAttribute) error {
			gone[c.Key] = true
			return nil
		})
	if err != nil || len(gone) == 0 {
		return err
	}
	return a.w.dropCustomValues(a.policySubject(), gone)
}
