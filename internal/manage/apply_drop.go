package manage

import "github.com/ambit-authz/ambit/internal/model"

// changedTemplate is a template that a file of the archive changed.
type changedTemplate struct {
	templateChange
	kind, path string
}

// replaces notes what the new definition no longer has, and removes stored values.
func (a *applier) replaces(kind, path string, c templateChange) error {
	a.changed = append(a.changed, changedTemplate{c, kind, path})
	return c.dropValues(a.w.Tx)
}

// checkUses refuses templates that dropped or changed what a rule or a policy still uses at the end (MG-44). It looks at
// the final state, so that an archive may drop an attribute together with the last rule on it.
func (a *applier) checkUses() error {
	u, err := a.usage()
	if err != nil {
		return err
	}
	for i := range a.changed {
		c := &a.changed[i]
		filled, err := c.filled(a.w.Tx)
		if err != nil {
			return err
		}
		errs := append(c.conflicts(u), filled...)
		if err := a.settle(c.kind, c.path, string(c.id), errs.OrNil(), true); err != nil {
			return err
		}
	}
	return a.checkSources()
}

// checkCustomValues is checkUses for the custom attributes of policies.
func (a *applier) checkCustomValues() error {
	misfits, err := a.w.misfits(a.redefined)
	for _, d := range a.redefined {
		if e := misfits[d.Key]; e != nil {
			path := a.seen[objectRef{kindCustomAttributes, d.Key}]
			a.fail(kindCustomAttributes, path, d.Key, e)
			a.lateFailure(path, d.Key, e)
		}
	}
	return err
}

// usage is that of what the transaction shows now.
func (a *applier) usage() (*usage, error) {
	ofBlock, ofAction := map[model.BlockID][]string{}, map[actionKey][]string{}
	err := each(a.w.Policies.FindAll(), func(p model.Policy) {
		for _, id := range blocksOf(&p) {
			ofBlock[id] = append(ofBlock[id], string(p.ID))
		}
		for _, use := range p.Rulesets {
			b, _ := a.resolver.find(use.BlockID)
			for _, action := range use.ActionIDs {
				key := actionKey{b.Template, action}
				ofAction[key] = append(ofAction[key], string(p.ID))
			}
		}
	})
	if err != nil {
		return nil, err
	}
	var sets []model.APIMapperSet
	err = each(a.w.APIMapperSets.FindAll(), func(set model.APIMapperSet) { sets = append(sets, set) })
	return &usage{
		blocks:   a.resolver.oldestFirst(),
		ofBlock:  func(id model.BlockID) []string { return ofBlock[id] },
		ofAction: func(key actionKey) []string { return ofAction[key] },
		sets:     sets,
	}, err
}
