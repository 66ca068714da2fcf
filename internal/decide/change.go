package decide

import (
	"slices"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// change gathers what several commits changed in one environment: names only, since a reader fetches what is there now.
// whole stands for everything.
type change struct {
	whole             bool
	scopes            bool
	signingKeys       bool
	revocations       bool
	matchers          bool
	customAttributes  bool
	mapperSets        map[model.ApplicationID]bool
	requestAttributes map[model.WorkspaceID]bool
	assetTemplates    map[model.TemplateID]bool
	identityTemplates map[model.TemplateID]bool
	applications      map[model.ApplicationID]bool
	blocks            map[model.BlockID]bool
	policies          map[model.PolicyID]bool
	assets            map[model.TemplateID]*records
	identities        map[model.TemplateID]*records
}

// records are changes of the records of one template.
type records struct {
	cleared   bool
	removed   []string
	positions []int64
}

// add gathers the changes of a commit that concern decisions.
func (c *change) add(changes []store.Change) {
	for i := range changes {
		ch := &changes[i]
		switch ch.Collection {
		case store.Environments:
			// its end says nothing of what was in it: if it was made again since, all of that is gone nevertheless
			c.whole = c.whole || ch.Deleted || ch.Cleared
		case store.Scopes:
			c.scopes = true
		case store.SigningKeys:
			c.signingKeys = true
		case store.Revocations:
			c.revocations = true
		case store.IdentityWorkspaces:
			c.matchers = true
		case store.CustomAttributes:
			c.customAttributes = true
		case store.APIMapperSets:
			mark(&c.mapperSets, model.ApplicationID(ch.Key))
		case store.RequestAttributes:
			mark(&c.requestAttributes, model.WorkspaceID(store.ParseKey(ch.Key).Owner))
		case store.AssetTemplates:
			mark(&c.assetTemplates, model.TemplateID(ch.Key))
		case store.IdentityTemplates:
			mark(&c.identityTemplates, model.TemplateID(ch.Key))
		case store.Applications:
			mark(&c.applications, model.ApplicationID(ch.Key))
		case store.Blocks:
			mark(&c.blocks, model.BlockID(ch.Key))
		case store.Policies:
			mark(&c.policies, model.PolicyID(ch.Key))
		case store.Assets:
			gather(&c.assets, ch)
		case store.Identities:
			gather(&c.identities, ch)
		}
	}
}

func mark[K comparable](set *map[K]bool, key K) {
	if *set == nil {
		*set = map[K]bool{}
	}
	(*set)[key] = true
}

func gather(to *map[model.TemplateID]*records, ch *store.Change) {
	if *to == nil {
		*to = map[model.TemplateID]*records{}
	}
	r := (*to)[ch.Template]
	if r == nil {
		r = &records{}
		(*to)[ch.Template] = r
	}
	if ch.Cleared {
		*r = records{cleared: true}
	}
	r.removed = append(r.removed, ch.Removed...)
	r.positions = append(r.positions, ch.Positions...)
}

// sorted gives the positions ascending, each once.
func (r *records) sorted() []int64 {
	slices.Sort(r.positions)
	r.positions = slices.Compact(r.positions)
	return r.positions
}
