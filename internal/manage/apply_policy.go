package manage

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/rego"
	"github.com/ambit-authz/ambit/internal/store"
)

// readCatalog takes stock of what policies may name. Templates whose files are broken are not there.
func (a *applier) readCatalog() error {
	cat, err := readCatalog(a.w.Tx)
	if err != nil {
		return err
	}
	for ref := range a.failed {
		switch ref.kind {
		case kindAssetTypes:
			delete(cat.assetTypes, model.TemplateID(ref.id))
		case kindIdentityTemplates:
			delete(cat.identityTemplates, model.TemplateID(ref.id))
		}
	}
	a.cat = cat
	if a.resolver, err = newResolver(a.w, cat, a.o.ByName); err == nil {
		a.resolver.own = map[model.BlockID]bool{}
	}
	return err
}

// regoError adds to errors about what is missing that the files are broken which should bring it.
func (a *applier) regoError(err error) error {
	var errs model.Errors
	if !errors.As(err, &errs) {
		return err
	}
	out := slices.Clone(errs)
	for i, e := range errs {
		kind := kindAssetTypes
		switch e.Code {
		case "RG-110":
			out[i] = a.because(e, a.layout.environment.files[kindCustomAttributes])
			continue
		case "RG-301":
			kind = kindIdentityTemplates
		case "RG-302":
		default:
			continue
		}
		if path, broken := a.failed[objectRef{kind, e.Args[2]}]; broken { // args: line, column, template
			out[i] = following(e, path)
		}
	}
	return out
}

func (a *applier) buildingBlocks() error {
	a.resolver.editing = true
	defer func() { a.resolver.editing = false }()
	err := a.identityFiles(kindBuildingBlocks, func(_ *folder, ws *model.IdentityWorkspace, file archive.File, body []byte) (string, error) {
		return a.blockFile(file.Path, body, rego.TargetIdentity, "", ws.ID)
	})
	if err != nil {
		return err
	}
	return a.authorizationFiles(kindBuildingBlocks, func(ws *model.AuthorizationWorkspace, file archive.File, body []byte) (string, error) {
		return a.blockFile(file.Path, body, rego.TargetAuthorization, ws.ID, ws.ID)
	})
}

func (a *applier) blockFile(path string, body []byte, target rego.Target, checked, owner model.WorkspaceID) (string, error) {
	a.cat.workspace = checked
	m, warnings, err := rego.Parse(body, rego.Options{
		Package: rego.PackageBuildingBlocks, File: path, Workspace: checked,
		Target: target, Catalog: a.cat, Limits: rego.Limits{Bytes: maxBlocksFile, Blocks: maxFileBlocks},
	})
	if err != nil {
		return "", a.regoError(err)
	}
	for i := range m.Blocks {
		b := &m.Blocks[i]
		if b.Block.WorkspaceID != owner {
			return "", &model.Error{
				Kind: model.KindInvalid, Pos: b.Positions.Template,
				Message: "the template belongs to another workspace",
			}
		}
		out, err := a.resolver.resolve(b)
		if err != nil {
			return "", err
		}
		a.noteBlock(out)
		a.seen[objectRef{kindBuildingBlocks, string(out.ID)}] = path
		a.done(kindBuildingBlocks, path, string(out.ID), blockResult(out), warnings)
		warnings = nil
	}
	return "", nil
}

func blockResult(out BlockOutcome) Result {
	switch out.Result {
	case blockCreated:
		return Created
	case blockUpdated:
		return Updated
	}
	return Unchanged
}

// noteBlock lists a block once, with the strongest thing that happened to it.
func (a *applier) noteBlock(out BlockOutcome) {
	i, listed := a.blocks[out.ID]
	if !listed {
		a.blocks[out.ID] = len(a.report.Blocks)
		a.report.Blocks = append(a.report.Blocks, out)
		return
	}
	if a.report.Blocks[i].Result == blockReused {
		a.report.Blocks[i] = out
	}
}

// readStates reads the list of inactive policies, which counts for the policies of the archive.
func (a *applier) readStates() error {
	for _, file := range a.layout.environment.files[kindPolicyStates] {
		err := a.file(kindPolicyStates, file, func(body []byte) (string, error) {
			var ids []string
			if err := form.Decode(body, &ids); err != nil {
				return "", err
			}
			for _, id := range ids {
				a.inactive[model.PolicyID(id)] = true
			}
			a.hasStates = true
			return "", nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) policies() error { return a.authorizationFiles(kindPolicies, a.policy) }

// affected lists the policies that share a changed block, as they are at the end: none that was deleted.
func (a *applier) affected() (err error) {
	a.report.Affected, err = a.resolver.affected(a.w.Policies)
	return err
}

func (a *applier) policy(ws *model.AuthorizationWorkspace, file archive.File, body []byte) (string, error) {
	a.cat.workspace = ws.ID
	m, warnings, err := rego.Parse(body, rego.Options{File: file.Path, Workspace: ws.ID, Catalog: a.cat})
	if err != nil {
		return "", a.regoError(err)
	}
	p := m.Policy
	p.WorkspaceID = ws.ID
	if p.ID == "" {
		// made from where it stands, so that a second apply finds it again
		space := uuid.NewSHA1(uuid.NameSpaceURL, []byte("ambit.policy:"+string(a.w.Environment)))
		p.ID = model.PolicyID(uuid.NewSHA1(space, []byte(string(ws.ID)+"/"+file.Path)).String())
	}
	id := string(p.ID)
	if err := a.once(kindPolicies, id, file.Path); err != nil {
		return id, err
	}
	if err := a.w.replacePolicy(m, a.cat.custom); err != nil {
		return id, err
	}
	if a.hasStates {
		p.Inactive = a.inactive[p.ID]
	}
	ids := make([]model.BlockID, len(m.Blocks))
	var outcomes []BlockOutcome
	for i := range m.Blocks {
		out, err := a.resolver.resolve(&m.Blocks[i])
		if err != nil {
			return id, err
		}
		ids[i] = out.ID
		outcomes = append(outcomes, out)
	}
	result, err := put(a.w, a.policySubject(), a.w.Policies, p.ID, m.Resolve(ids))
	if err != nil {
		return id, err
	}
	for _, out := range outcomes {
		a.noteBlock(out)
	}
	a.done(kindPolicies, file.Path, id, result, warnings)
	return id, nil
}

// replacePolicy checks what an import may change of the stored policy, and keeps its state (policy-model.md 3.11, 3.13).
func (w *writer) replacePolicy(m *rego.Module, custom []model.CustomAttribute) error {
	p := m.Policy
	// they are a map: the order in which a text has them must not make another policy of it
	slices.SortFunc(p.CustomAttributes, func(x, y model.CustomValue) int { return strings.Compare(x.Key, y.Key) })
	before, err := w.Policies.Find(p.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if before.WorkspaceID != p.WorkspaceID {
		return rego.Fault("RG-308", m.Positions.ID, string(p.ID))
	}
	p.Inactive = before.Inactive
	for _, d := range custom {
		if d.OnlyOnCreate && !sameValue(customValue(&before, d.Key), customValue(p, d.Key)) {
			return rego.Fault("RG-111", m.Positions.ID, d.Key, "cannot be changed after creation")
		}
	}
	return nil
}

func customValue(p *model.Policy, key string) *model.CustomValue {
	for i := range p.CustomAttributes {
		if p.CustomAttributes[i].Key == key {
			return &p.CustomAttributes[i]
		}
	}
	return nil
}

func sameValue(x, y *model.CustomValue) bool {
	if x == nil || y == nil {
		return x == y
	}
	return slices.Equal(x.Values, y.Values)
}

func (a *applier) policySubject() *subject[model.Policy] {
	return policySubject(a.w.Environment, a.cat.custom, a.resolver.find)
}

// states makes policies inactive that the archive names but does not bring.
func (a *applier) states() error {
	for _, file := range a.layout.environment.files[kindPolicyStates] {
		if len(a.o.AuthWs) > 0 { // the list is of the whole environment, the call is not
			a.report.Notes = append(a.report.Notes, file.Path+" counts only for the policies that are applied, because authWs limits them")
			continue
		}
		if _, left := a.broken[file.Path]; left {
			continue
		}
		var errs model.Errors
		writes := a.w.writes
		for _, id := range slices.Sorted(maps.Keys(a.inactive)) {
			ref := objectRef{kindPolicies, string(id)}
			if a.seen[ref] != "" || a.failed[ref] != "" {
				continue
			}
			p, err := a.w.Policies.Find(id)
			if errors.Is(err, store.ErrNotFound) {
				errs = append(errs, missingResource("Policy", string(id)))
				continue
			}
			if err != nil {
				return err
			}
			p.Inactive = true
			result, err := put(a.w, a.policySubject(), a.w.Policies, p.ID, p)
			if err := a.applied(kindPolicyStates, file.Path, string(id), result, err); err != nil {
				return err
			}
		}
		// policies of the archive took their state from the list already, so it has to be left out as a whole
		stored := a.w.writes > writes || a.hasStates
		if err := a.settle(kindPolicyStates, file.Path, "", errs.OrNil(), stored); err != nil {
			return err
		}
	}
	return nil
}
