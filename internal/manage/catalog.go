package manage

import (
	"iter"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/rego"
	"github.com/ambit-authz/ambit/internal/store"
)

// catalog is what a Rego import needs to know of an environment, read once. It implements rego.Catalog for the workspace
// that is set.
type catalog struct {
	workspace         model.WorkspaceID
	assetTypes        map[model.TemplateID]model.AssetTemplate
	identityTemplates map[model.TemplateID]model.IdentityTemplate
	requestAttributes map[store.Key]bool
	custom            []model.CustomAttribute
	applications      map[model.ApplicationID]bool
	holders           map[model.TemplateID][]model.ApplicationID // applications that hold the asset type, by id
	types             map[typeKey]model.AttributeType
	mapperSets        []model.APIMapperSet // by id
}

var _ rego.Catalog = (*catalog)(nil)

type typeKey struct {
	side      model.Side
	template  model.TemplateID
	attribute model.AttributeID
}

func readCatalog(tx *store.Tx) (*catalog, error) {
	c := &catalog{
		assetTypes: map[model.TemplateID]model.AssetTemplate{}, identityTemplates: map[model.TemplateID]model.IdentityTemplate{},
		requestAttributes: map[store.Key]bool{}, applications: map[model.ApplicationID]bool{},
		holders: map[model.TemplateID][]model.ApplicationID{}, types: map[typeKey]model.AttributeType{},
	}
	var errs []error
	read := func(err error) { errs = append(errs, err) }
	read(each(tx.AssetTemplates.FindAll(), func(t model.AssetTemplate) {
		c.assetTypes[t.ID] = t
		for _, a := range t.Attributes {
			c.types[typeKey{model.SideAsset, t.ID, a.ID}] = a.Type
		}
	}))
	read(each(tx.IdentityTemplates.FindAll(), func(t model.IdentityTemplate) {
		c.identityTemplates[t.ID] = t
		for _, a := range t.Attributes {
			c.types[typeKey{model.SideIdentity, t.ID, a.ID}] = a.Type
		}
	}))
	read(each(tx.RequestAttributes.FindAll(), func(a model.RequestAttribute) {
		c.requestAttributes[store.Key{Owner: string(a.WorkspaceID), ID: string(a.ID)}] = true
	}))
	read(each(tx.APIMapperSets.FindAll(), func(set model.APIMapperSet) { c.mapperSets = append(c.mapperSets, set) }))
	read(each(tx.CustomAttributes.FindAll(), func(a model.CustomAttribute) { c.custom = append(c.custom, a) }))
	read(each(tx.Applications.FindAll(), func(a model.Application) {
		c.applications[a.ID] = true
		for _, id := range a.AssetTemplateIDs {
			c.holders[id] = append(c.holders[id], a.ID)
		}
	}))
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

// each calls fn for everything that all yields, up to the first error.
func each[V any](all iter.Seq2[V, error], fn func(V)) error {
	for v, err := range all {
		if err != nil {
			return err
		}
		fn(v)
	}
	return nil
}

// IdentityTemplate implements rego.Catalog.
func (c *catalog) IdentityTemplate(id model.TemplateID) (model.IdentityTemplate, bool) {
	t, ok := c.identityTemplates[id]
	return t, ok
}

// AssetTemplate implements rego.Catalog.
func (c *catalog) AssetTemplate(id model.TemplateID) (model.AssetTemplate, bool) {
	t, ok := c.assetTypes[id]
	return t, ok
}

// RequestAttribute implements rego.Catalog.
func (c *catalog) RequestAttribute(id model.AttributeID) bool {
	return c.requestAttributes[store.Key{Owner: string(c.workspace), ID: string(id)}]
}

// CustomAttributes implements rego.Catalog.
func (c *catalog) CustomAttributes() []model.CustomAttribute { return c.custom }

// Application implements rego.Catalog.
func (c *catalog) Application(id model.ApplicationID) bool { return c.applications[id] }

// InApplication implements rego.Catalog.
func (c *catalog) InApplication(id model.TemplateID) bool { return len(c.holders[id]) > 0 }

// rulesKey is the key of a block's rules (policy-model.md 8.1).
func (c *catalog) rulesKey(b *model.Block) string {
	return rego.RulesKey(b, func(ref model.Ref) model.AttributeType {
		if t, ok := c.types[typeKey{ref.Side, b.Template, ref.Attribute}]; ok {
			return t
		}
		return model.String // path, uid
	})
}
