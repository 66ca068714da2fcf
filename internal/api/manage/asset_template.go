package manage

import (
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
)

const (
	assetTemplates = "/api/1.0/asset-templates/{envId}"
	assetTemplate  = assetTemplates + "/{assetTemplateId}"
	assetAction    = assetTemplate + "/actions/{actionId}"
)

func addAssetTemplates(t *router) {
	const resource = "AssetTemplate"
	read, write := manage.RightRead, manage.RightWrite
	t.add("POST", assetTemplates, route{resource: resource, right: write, serve: importAssetTemplate})
	t.add("GET", assetTemplates, route{resource: resource, right: read, serve: listAssetTemplates})
	t.add("GET", assetTemplate, route{resource: resource, right: read, serve: exportAssetTemplate})
	t.add("PATCH", assetTemplate, route{resource: resource, right: write, serve: renameAssetTemplate})
	t.add("DELETE", assetTemplate, route{resource: resource, right: write, serve: deleteAssetTemplate})
	t.add("PATCH", assetAction, route{resource: "Action", right: write, serve: renameAction})
}

func (x *exchange) assetTemplateID() model.TemplateID {
	return model.TemplateID(x.r.PathValue("assetTemplateId"))
}

// authWsImport reads the query and the body of an import into an authorization workspace.
func (x *exchange) authWsImport() (model.WorkspaceID, []byte, error) {
	workspace, err := uuidOf(x.r.URL.Query(), "authWsId")
	if err != nil {
		return "", nil, err
	}
	text, err := x.readJSON()
	return model.WorkspaceID(workspace), text, err
}

func importAssetTemplate(x *exchange) error {
	workspace, text, err := x.authWsImport()
	if err != nil {
		return err
	}
	stored, done, err := x.api.service.ImportAssetTemplate(x.r.Context(), x.call, x.env, workspace, text)
	if err != nil {
		return err
	}
	x.done(done)
	return x.warned(putStatus(done), assetTemplateForm(&stored.Object), stored.Object.CalculationWarnings())
}

func assetTemplateForm(t *model.AssetTemplate) jsontext.Value { return form.FormatAssetTemplate(t) }

func exportAssetTemplate(x *exchange) error {
	found, err := x.api.service.FindAssetTemplate(x.r.Context(), x.env, x.assetTemplateID())
	if err != nil || x.seen(found.Seen) {
		return err
	}
	return x.data(http.StatusOK, assetTemplateForm(&found.Object))
}

// assetTemplateGroup is the part of a list that lies in one workspace. Its items are whole objects when they were asked
// for.
type assetTemplateGroup struct {
	AuthWsID       model.WorkspaceID `json:"authWsId"`
	AssetTemplates []any             `json:"assetTemplates"`
}

type assetTemplateItem struct {
	TemplateID  model.TemplateID `json:"templateId"`
	DisplayName string           `json:"displayName"`
}

func listAssetTemplates(x *exchange) error {
	w, detailed, err := x.detailedWindow()
	if err != nil {
		return err
	}
	found, err := x.api.service.FindAssetTemplates(x.r.Context(), x.env, assetTemplateFilter(x.r.URL.Query()), w.offset, w.limit)
	if err != nil {
		return err
	}
	x.revision(found.Revision)
	return page(x, w, found.Total, groupTemplates(found.Items, detailed))
}

func assetTemplateFilter(q url.Values) *manage.AssetTemplateFilter {
	var f manage.AssetTemplateFilter
	workspaces, _ := valuesOf(q, "authWsId")
	for _, text := range workspaces {
		if id, ok := model.ParseUUID(text); ok {
			text = id
		}
		f.Workspaces = append(f.Workspaces, model.WorkspaceID(text))
	}
	ids, _ := valuesOf(q, "id")
	for _, id := range ids {
		f.IDs = append(f.IDs, model.TemplateID(id))
	}
	f.Names, _ = valuesOf(q, "name")
	return &f
}

// groupTemplates makes groups of templates that are in the order of their workspaces.
func groupTemplates(templates []model.AssetTemplate, detailed bool) []assetTemplateGroup {
	var out []assetTemplateGroup
	for i := range templates {
		t := &templates[i]
		if len(out) == 0 || out[len(out)-1].AuthWsID != t.WorkspaceID {
			out = append(out, assetTemplateGroup{AuthWsID: t.WorkspaceID})
		}
		group := &out[len(out)-1]
		if detailed {
			group.AssetTemplates = append(group.AssetTemplates, assetTemplateForm(t))
		} else {
			group.AssetTemplates = append(group.AssetTemplates, assetTemplateItem{t.ID, t.DisplayName})
		}
	}
	return out
}

func renameAssetTemplate(x *exchange) error {
	var to model.TemplateID
	if err := x.readPatch("/templateId", &to); err != nil {
		return err
	}
	return x.noContent(x.api.service.RenameAssetTemplate(x.r.Context(), x.call, x.env, x.assetTemplateID(), to))
}

func renameAction(x *exchange) error {
	var to model.ActionID
	if err := x.readPatch("/actionId", &to); err != nil {
		return err
	}
	from := model.ActionID(x.r.PathValue("actionId"))
	return x.noContent(x.api.service.RenameAction(x.r.Context(), x.call, x.env, x.assetTemplateID(), from, to))
}

func deleteAssetTemplate(x *exchange) error {
	return x.noContent(x.api.service.DeleteAssetTemplate(x.r.Context(), x.call, x.env, x.assetTemplateID()))
}
