package manage

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/rego"
	"github.com/ambit-authz/ambit/internal/store"
)

// ExportOptions are the query of an export (management-api.md 21.3).
type ExportOptions struct {
	Kind       archive.Kind
	AuthWs     []string // limit to these authorization workspaces, by name or folder; empty = all
	IdentityWs []string // limit to these identity workspaces; empty = all
	Assets     bool
	Identities bool
	Scopes     bool
}

// Export writes the environment to out as an archive in the layout that Apply reads, and returns the revision that it
// shows. Equal content gives equal bytes. Records stream through; everything else is held in memory. An archive
// that an error cut short has no end mark, so that no reader takes it for complete. The transaction is open as long as out
// takes: out must not be a slow peer.
func (s *Service) Export(ctx context.Context, env model.EnvironmentID, o ExportOptions, out io.Writer) (model.Revision, error) {
	var revision model.Revision
	err := s.view(ctx, env, func(tx *store.Tx) error {
		revision = tx.Revision
		x := &exporter{tx: tx, o: o, blocks: map[model.BlockID]model.Block{}}
		if err := x.collect(); err != nil {
			return err
		}
		return archive.Write(out, o.Kind, x.entries)
	})
	return revision, err
}

// exporter collects the entries of one export.
type exporter struct {
	tx      *store.Tx
	o       ExportOptions
	entries []archive.Entry

	custom   []model.CustomAttribute
	blocks   map[model.BlockID]model.Block
	unused   map[model.WorkspaceID][]model.Block // no policy uses them, oldest first
	policies map[model.WorkspaceID][]model.Policy
}

// collect finds out what belongs into the archive, in any order.
func (x *exporter) collect() error {
	for _, step := range []func() error{
		x.readPolicies, x.environmentFiles, x.identityWorkspaces, x.authorizationWorkspaces, x.scopes,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// text adds a file whose content is at hand.
func (x *exporter) text(path string, content []byte) {
	x.entries = append(x.entries, archive.Entry{Path: path, Content: func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	}})
}

// json adds a file of JSON with two blanks of indentation and no newline at the end.
func (x *exporter) json(path string, compact []byte) error {
	text := jsontext.Value(slices.Clone(compact))
	if err := text.Indent(jsontext.WithIndent("  ")); err != nil {
		return model.Internal("manage.export", err)
	}
	x.text(path, text)
	return nil
}

// folder adds a kind that has no files, so that its emptiness is stated (A6).
func (x *exporter) folder(path string) {
	x.entries = append(x.entries, archive.Entry{Path: path})
}

// objectFiles adds one file of JSON for each object of a kind of a workspace, or the empty folder.
func objectFiles[V any](x *exporter, folder string, all []V, id func(*V) string, format func(*V) []byte) error {
	if len(all) == 0 {
		x.folder(folder)
	}
	names := archive.FileNames(idsOf(all, id))
	for i := range all {
		if err := x.json(folder+names[id(&all[i])]+".json", format(&all[i])); err != nil {
			return err
		}
	}
	return nil
}

func idsOf[V any](all []V, id func(*V) string) []string {
	out := make([]string, len(all))
	for i := range all {
		out[i] = id(&all[i])
	}
	return out
}

// jsonList is a JSON list of the exported forms of objects.
func jsonList[V any](all []V, format func(*V) []byte) []byte {
	out := []byte{'['}
	for i := range all {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, format(&all[i])...)
	}
	return append(out, ']')
}

func (x *exporter) readPolicies() error {
	used := map[model.BlockID]bool{}
	x.policies = map[model.WorkspaceID][]model.Policy{}
	err := each(x.tx.Policies.FindAll(), func(p model.Policy) {
		x.policies[p.WorkspaceID] = append(x.policies[p.WorkspaceID], p)
		for _, id := range blocksOf(&p) {
			used[id] = true
		}
	})
	if err != nil {
		return err
	}
	x.unused = map[model.WorkspaceID][]model.Block{}
	return each(x.tx.Blocks.FindAll(), func(b model.Block) {
		x.blocks[b.ID] = b
		if !b.Predefined && !used[b.ID] {
			x.unused[b.WorkspaceID] = append(x.unused[b.WorkspaceID], b)
		}
	})
}

func (x *exporter) environmentFiles() error {
	err := each(x.tx.CustomAttributes.FindAll(), func(a model.CustomAttribute) { x.custom = append(x.custom, a) })
	if err != nil {
		return err
	}
	list := jsonList(x.custom, func(a *model.CustomAttribute) []byte { return a.Definition })
	return x.json(topEnvironment+"/"+fileCustomAttributes, list)
}

// workspace adds what workspaces of both sorts have: the file about itself, where the folder does not say everything, and
// the blocks that no policy uses. It returns the workspace's folder.
func (x *exporter) workspace(top, folder string, about workspaceAbout, id model.WorkspaceID) (string, error) {
	path := top + "/" + folder + "/"
	if about != (workspaceAbout{Name: folder}) {
		if err := x.json(path+fileWorkspace, form.Encode(about)); err != nil {
			return "", err
		}
	}
	if blocks := x.unused[id]; len(blocks) > 0 {
		x.text(path+fileBuildingBlocks, rego.PrintBlocks(blocks, x.printOptions()))
	}
	return path, nil
}

func (x *exporter) printOptions() rego.PrintOptions {
	return rego.PrintOptions{Extended: true, SourceEnvironment: x.tx.Environment, CustomAttributes: x.custom}
}

// grouped are the objects of each owner, in their order.
func grouped[K comparable, V any](all iter.Seq2[V, error], owner func(*V) K) (map[K][]V, error) {
	out := map[K][]V{}
	return out, each(all, func(v V) { out[owner(&v)] = append(out[owner(&v)], v) })
}

// chosen are the workspaces that the export is about, with their folders. A name that is asked for and not there is an
// error: the archive of a misspelt name would be empty.
func chosen[W any](all []W, name func(*W) string, wanted []string, missing func(string) error) ([]W, map[string]string, error) {
	folders := archive.FileNames(idsOf(all, name))
	found := map[string]bool{}
	var out []W
	for i := range all {
		n := name(&all[i])
		found[n], found[folders[n]] = true, true
		if within(wanted, folders[n], n) {
			out = append(out, all[i])
		}
	}
	var errs model.Errors
	for _, n := range wanted {
		if !found[n] {
			errs.Collect(missing(n))
		}
	}
	return out, folders, errs.OrNil()
}

func (x *exporter) identityWorkspaces() error {
	var all []model.IdentityWorkspace
	if err := each(x.tx.IdentityWorkspaces.FindAll(), func(ws model.IdentityWorkspace) { all = append(all, ws) }); err != nil {
		return err
	}
	sources, errSources := grouped(x.tx.IdentitySources.FindAll(), func(s *model.IdentitySource) model.TemplateID { return s.TemplateID })
	sets, errSets := grouped(x.tx.MapperSets.FindAll(), func(m *model.MapperSet) model.TemplateID { return m.TemplateID })
	if err := errors.Join(errSources, errSets); err != nil {
		return err
	}
	all, folders, err := chosen(all, func(ws *model.IdentityWorkspace) string { return ws.Name }, x.o.IdentityWs, identityWorkspaceMissing)
	if err != nil {
		return err
	}
	for i := range all {
		ws := &all[i]
		about := workspaceAbout{Name: ws.Name, Description: ws.Description, LogoURL: ws.LogoURL}
		path, err := x.workspace(topIdentity, folders[ws.Name], about, ws.ID)
		if err == nil {
			err = x.identityWorkspace(path, ws, sources[ws.TemplateID], sets[ws.TemplateID])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (x *exporter) identityWorkspace(path string, ws *model.IdentityWorkspace, sources []model.IdentitySource, sets []model.MapperSet) error {
	t, err := x.tx.IdentityTemplates.Find(ws.TemplateID)
	if err != nil {
		return model.Internal("manage.export", err)
	}
	file := archive.FileName(string(t.ID))
	if err := x.json(path+kindIdentityTemplates+"/"+file+".json", form.FormatIdentityTemplate(&t)); err != nil {
		return err
	}
	list := slices.Concat([]byte(`{"sources":`), jsonList(sources, form.FormatIdentitySource), []byte{'}'})
	if err := x.json(path+kindIdentitySources+"/"+file+".json", list); err != nil {
		return err
	}
	err = objectFiles(x, path+kindMapperSets+"/", sets, func(m *model.MapperSet) string { return m.ID }, form.FormatMapperSet)
	if err != nil {
		return err
	}
	if ws.Matcher != nil {
		if err := x.json(path+fileMatcher, form.FormatMatcher(ws.Matcher)); err != nil {
			return err
		}
	}
	if !x.o.Identities {
		return nil
	}
	return recordFile(x, path+kindIdentities+"/"+file+".ndjson", x.tx.Identities(t.ID), form.FormatIdentity)
}

// recordFile adds the records of one template, when there are any. They are read while the archive is written.
func recordFile[R any](x *exporter, path string, records store.Records[R], format func(*R) []byte) error {
	n, err := records.Count()
	if err != nil || n == 0 {
		return err
	}
	x.entries = append(x.entries, archive.Entry{Path: path, Content: func(w io.Writer) error {
		out := bufio.NewWriterSize(w, 64<<10)
		for p, err := range records.After(0) {
			if err != nil {
				return err
			}
			if _, err := out.Write(append(format(&p.Record), '\n')); err != nil {
				return err
			}
		}
		return out.Flush()
	}})
	return nil
}

func (x *exporter) authorizationWorkspaces() error {
	var all []model.AuthorizationWorkspace
	if err := each(x.tx.AuthorizationWorkspaces.FindAll(), func(ws model.AuthorizationWorkspace) { all = append(all, ws) }); err != nil {
		return err
	}
	types, errTypes := grouped(x.tx.AssetTemplates.FindAll(), func(t *model.AssetTemplate) model.WorkspaceID { return t.WorkspaceID })
	apps, errApps := grouped(x.tx.Applications.FindAll(), func(a *model.Application) model.WorkspaceID { return a.WorkspaceID })
	requests, errRequests := grouped(x.tx.RequestAttributes.FindAll(), func(a *model.RequestAttribute) model.WorkspaceID { return a.WorkspaceID })
	mappers, errMappers := grouped(x.tx.APIMapperSets.FindAll(), func(s *model.APIMapperSet) model.WorkspaceID { return s.WorkspaceID })
	if err := errors.Join(errTypes, errApps, errRequests, errMappers); err != nil {
		return err
	}
	all, folders, err := chosen(all, func(ws *model.AuthorizationWorkspace) string { return ws.Name }, x.o.AuthWs, authorizationWorkspaceMissing)
	if err != nil {
		return err
	}
	inactive := []string{}
	for i := range all {
		ws := &all[i]
		about := workspaceAbout{Name: ws.Name, Description: ws.Description, LogoURL: ws.LogoURL}
		path, err := x.workspace(topAuthorization, folders[ws.Name], about, ws.ID)
		if err == nil {
			err = x.authorizationWorkspace(path, types[ws.ID], apps[ws.ID], requests[ws.ID])
		}
		if sets := mappers[ws.ID]; err == nil && len(sets) > 0 {
			err = objectFiles(x, path+kindAPIMapperSets+"/", sets, func(s *model.APIMapperSet) string { return string(s.ID) }, form.FormatAPIMapperSet)
		}
		if err != nil {
			return err
		}
		inactive = append(inactive, x.policyFiles(path, x.policies[ws.ID])...)
	}
	if len(inactive) == 0 {
		return nil
	}
	slices.Sort(inactive)
	return x.json(topEnvironment+"/"+filePolicyStates, form.Encode(inactive))
}

func (x *exporter) authorizationWorkspace(path string, types []model.AssetTemplate, apps []model.Application, requests []model.RequestAttribute) error {
	id := func(t *model.AssetTemplate) string { return string(t.ID) }
	if err := objectFiles(x, path+kindAssetTypes+"/", types, id, form.FormatAssetTemplate); err != nil {
		return err
	}
	err := objectFiles(x, path+kindApplications+"/", apps, func(a *model.Application) string { return string(a.ID) },
		func(a *model.Application) []byte {
			return slices.Concat([]byte(`{"data":`), form.FormatApplication(a), []byte{'}'})
		})
	if err != nil {
		return err
	}
	if len(requests) > 0 {
		if err := x.json(path+fileRequestAttributes, jsonList(requests, form.FormatRequestAttribute)); err != nil {
			return err
		}
	}
	if !x.o.Assets {
		return nil
	}
	names := archive.FileNames(idsOf(types, id))
	for i := range types {
		file := path + kindAssets + "/" + names[id(&types[i])] + ".ndjson"
		if err := recordFile(x, file, x.tx.Assets(types[i].ID), form.FormatAsset); err != nil {
			return err
		}
	}
	return nil
}

// policyFiles adds the policies of a workspace and returns the ids of the inactive ones.
func (x *exporter) policyFiles(path string, policies []model.Policy) (inactive []string) {
	folder := path + kindPolicies + "/"
	if len(policies) == 0 {
		x.folder(folder)
	}
	names := archive.FileNames(idsOf(policies, func(p *model.Policy) string { return string(p.ID) }))
	find := func(id model.BlockID) (model.Block, bool) {
		b, ok := x.blocks[id]
		return b, ok
	}
	for _, p := range policies {
		if p.Inactive {
			inactive = append(inactive, string(p.ID))
		}
		x.entries = append(x.entries, archive.Entry{Path: folder + names[string(p.ID)] + ".rego", Content: func(w io.Writer) error {
			text, err := rego.PrintPolicy(p, find, x.printOptions())
			if err != nil {
				return err
			}
			_, err = w.Write(text)
			return err
		}})
	}
	return inactive
}

func (x *exporter) scopes() error {
	if !x.o.Scopes {
		return nil
	}
	var all []model.Scope
	if err := each(x.tx.Scopes.FindAll(), func(s model.Scope) { all = append(all, s) }); err != nil || len(all) == 0 {
		return err
	}
	return x.json(topEnvironment+"/"+fileScopes, jsonList(all, func(s *model.Scope) []byte {
		f := form.OfScope(s)
		f.EnvironmentID = "" // the archive is for any environment
		return form.Encode(f)
	}))
}
