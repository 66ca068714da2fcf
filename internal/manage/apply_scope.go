package manage

import (
	"errors"
	"strings"

	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/manage/bulk"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

func (a *applier) scopes() error {
	for _, file := range a.layout.environment.files[kindScopes] {
		err := a.file(kindScopes, file, func(body []byte) (string, error) { return "", a.scopeFile(file.Path, body) })
		if err != nil {
			return err
		}
	}
	return nil
}

// scopeFile stores the scopes of scopes.json: one that exists keeps its secrets, a new one has none.
func (a *applier) scopeFile(path string, body []byte) error {
	var forms []form.Scope
	if err := form.Decode(body, &forms); err != nil {
		return err
	}
	var errs model.Errors
	var scopes []model.Scope
	names := map[string]model.ClientID{}
	for i := range forms {
		scope, err := forms[i].Model(a.w.Environment)
		errs.CollectUnder(form.Pointer("", i), err)
		errs.CollectUnder(form.Pointer("", i), a.once(kindScopes, string(scope.ClientID), path))
		before, err := a.w.Scopes.Find(scope.ClientID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		scope.Secrets = before.Secrets
		errs.CollectUnder(form.Pointer("", i), a.s.checkKey(a.w, &before, &scope))
		if other, taken := names[scope.Name]; taken && other != scope.ClientID {
			errs.Add(form.Pointer("", i)+"/name", "%q is also the name of %s", scope.Name, other)
		}
		names[scope.Name] = scope.ClientID
		for _, id := range scope.ApplicationIDs {
			if err := a.needs(kindApplications, string(id)); err != nil {
				errs = append(errs, err)
				continue
			}
			found, err := exists(a.w.Applications, id)
			if err != nil {
				return err
			}
			if !found {
				errs = append(errs, missingResource("Application", string(id)))
			}
		}
		scopes = append(scopes, scope)
	}
	err := each(a.w.Scopes.FindAll(), func(stored model.Scope) {
		id, taken := names[stored.Name]
		if taken && id != stored.ClientID && a.seen[objectRef{kindScopes, string(stored.ClientID)}] == "" {
			errs = append(errs, alreadyExists("Scope", stored.Name))
		}
	})
	if err != nil || len(errs) > 0 {
		return errors.Join(err, errs.OrNil())
	}
	for _, scope := range scopes {
		result, err := a.w.putScope(scope)
		if err := a.applied(kindScopes, path, string(scope.ClientID), result, err); err != nil {
			return err
		}
	}
	return nil
}

// records stores the assets and identities of the archive.
func (a *applier) records() error {
	types := map[model.WorkspaceID][]string{}
	err := each(a.w.AssetTemplates.FindAll(), func(t model.AssetTemplate) {
		types[t.WorkspaceID] = append(types[t.WorkspaceID], string(t.ID))
	})
	if err != nil {
		return err
	}
	for _, f := range a.layout.authorization {
		var known []string
		if ws := a.authorization[f]; ws != nil {
			known = types[ws.ID]
		}
		for _, file := range f.files[kindAssets] {
			template := templateOf(file, known)
			err := importFile(a, kindAssets, file, template, resourceAsset, func() (bulk.Schema[model.Asset], store.Records[model.Asset], error) {
				if err := a.needs(kindAssetTypes, string(template)); err != nil {
					return nil, nil, err
				}
				t, err := a.w.AssetTemplates.Find(template)
				if ws := a.authorization[f]; err == nil && (ws == nil || t.WorkspaceID != ws.ID) {
					return nil, nil, missingResource("AssetTemplate", string(template))
				}
				return openAssets(a.w.Tx, template)
			})
			if err != nil {
				return err
			}
		}
	}
	for _, f := range a.layout.identity {
		for _, file := range f.files[kindIdentities] {
			var known []string
			if ws := a.identity[f]; ws != nil {
				known = []string{string(ws.TemplateID)}
			}
			template := templateOf(file, known)
			err := importFile(a, kindIdentities, file, template, resourceIdentity, func() (bulk.Schema[model.Identity], store.Records[model.Identity], error) {
				ws, err := a.identityWorkspaceOf(f)
				if err != nil {
					return nil, nil, err
				}
				if template != ws.TemplateID {
					return nil, nil, missingResource("IdentityTemplate", string(template))
				}
				return openIdentities(a.w.Tx, ws.TemplateID)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// templateOf is the template whose records a file has: its name says it.
func templateOf(file archive.File, known []string) model.TemplateID {
	id := baseID(file.Path)
	if name, ok := archive.NameOf(id, known); ok {
		id = name
	}
	return model.TemplateID(id)
}

// importFile stores one file of records. When errors are skipped it is read twice, so that nothing of a bad file stays.
func importFile[R any](a *applier, kind string, file archive.File, template model.TemplateID, resource string,
	open func() (bulk.Schema[R], store.Records[R], error),
) error {
	id := string(template)
	if b, left := a.broken[file.Path]; left {
		a.fail(kind, file.Path, b.id, b.errs)
		return nil
	}
	schema, records, err := open()
	if err == nil {
		err = a.once(kind, id, file.Path)
	}
	if err == nil && a.o.SkipErrors {
		_, err = importRecords(a, file, schema, records, false)
	}
	var report BulkReport
	if err == nil {
		report, err = importRecords(a, file, schema, records, true)
	}
	if err != nil {
		return a.settle(kind, file.Path, id, err, false)
	}
	c := a.count(kind)
	c.Created += report.Created
	c.Updated += report.Updated
	c.Unchanged += report.Unchanged
	c.Deleted += report.Deleted
	result := Unchanged
	if report.Created+report.Updated+report.Deleted > 0 {
		result = Updated
	}
	a.item(kind, file.Path, id, result, nil)
	return a.w.bulkEvent(resource, id, BulkReport{}, report)
}

// importRecords reads the file once, with write storing its rows. Errors of rows come as one list.
func importRecords[R any](a *applier, file archive.File, s bulk.Schema[R], records store.Records[R], write bool) (BulkReport, error) {
	in, err := file.Open()
	if err != nil {
		return BulkReport{}, model.Invalidf("cannot be unpacked: %v", err)
	}
	defer func() { _ = in.Close() }() // reading only
	o := bulk.Options{Prune: a.o.Prune}
	if strings.HasSuffix(file.Path, ".csv") {
		o.Format = bulk.CSV
	}
	rows, err := bulk.NewReader(o, s, in)
	if err != nil {
		return BulkReport{}, err
	}
	im := newImporter(s, o, rows)
	if err := im.run(records, 0, write); err != nil {
		return BulkReport{}, err
	}
	var errs model.Errors
	for _, e := range im.errors {
		errs = append(errs, e.Err)
	}
	if len(errs) > 0 {
		return BulkReport{}, errs
	}
	if o.Prune && write {
		err = im.prune(records)
	}
	return im.report, err
}
