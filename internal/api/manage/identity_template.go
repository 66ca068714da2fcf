package manage

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
)

const (
	identityTemplates   = "/api/1.0/identity-templates/{envId}"
	identityTemplate    = identityTemplates + "/{identityTemplateId}"
	identityTemplatesV2 = "/api/2.0/identity-templates/{envId}"
)

func addIdentityTemplates(t *router) {
	const resource = "IdentityTemplate"
	read, write := manage.RightRead, manage.RightWrite
	for _, path := range []string{identityTemplates, identityTemplatesV2} {
		t.add("POST", path, route{resource: resource, right: write, serve: importIdentityTemplate})
		t.add("GET", path+"/{identityTemplateId}", route{resource: resource, right: read, serve: exportIdentityTemplate})
	}
	t.add("PATCH", identityTemplate, route{resource: resource, right: write, serve: renameIdentityTemplate})
}

func (x *exchange) identityTemplateID() model.TemplateID {
	return model.TemplateID(x.r.PathValue("identityTemplateId"))
}

func importIdentityTemplate(x *exchange) error {
	q := x.r.URL.Query()
	name := "identityWsId"
	if !q.Has(name) && q.Has("filter[identityWsId]") {
		name = "filter[identityWsId]"
	}
	workspace, err := uuidOf(q, name)
	if err != nil {
		return err
	}
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	stored, done, err := x.api.service.ImportIdentityTemplate(x.r.Context(), x.call, x.env, model.WorkspaceID(workspace), text)
	if err != nil {
		return err
	}
	x.done(done)
	return x.warned(putStatus(done), identityTemplateOf(&stored), stored.Object.CalculationWarnings())
}

func identityTemplateOf(t *manage.Stored[model.IdentityTemplate]) jsontext.Value {
	return form.FormatIdentityTemplate(&t.Object)
}

func exportIdentityTemplate(x *exchange) error {
	found, err := x.api.service.FindIdentityTemplate(x.r.Context(), x.env, x.identityTemplateID())
	if err != nil || x.seen(found.Seen) {
		return err
	}
	return x.data(http.StatusOK, identityTemplateOf(&found))
}

func renameIdentityTemplate(x *exchange) error {
	var id model.TemplateID
	if err := x.readPatch("/templateId", &id); err != nil {
		return err
	}
	return x.noContent(x.api.service.RenameIdentityTemplate(x.r.Context(), x.call, x.env, x.identityTemplateID(), id))
}
