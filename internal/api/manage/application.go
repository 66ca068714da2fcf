package manage

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
)

const (
	applications = "/api/1.0/applications/{envId}"
	application  = applications + "/{appId}"
)

func addApplications(t *router) {
	const resource = "Application"
	t.add("POST", applications, route{resource: resource, right: manage.RightWrite, serve: importApplication})
	t.add("GET", application, route{resource: resource, right: manage.RightRead, serve: exportApplication})
	t.add("PATCH", application, route{resource: resource, right: manage.RightWrite, serve: renameApplication})
	t.add("DELETE", application, route{resource: resource, right: manage.RightWrite, serve: deleteApplication})
}

func (x *exchange) applicationID() model.ApplicationID {
	return model.ApplicationID(x.r.PathValue("appId"))
}

func importApplication(x *exchange) error {
	workspace, text, err := x.authWsImport()
	if err != nil {
		return err
	}
	stored, done, err := x.api.service.ImportApplication(x.r.Context(), x.call, x.env, workspace, text)
	if err != nil {
		return err
	}
	x.done(done)
	return x.data(putStatus(done), jsontext.Value(form.FormatApplication(&stored.Object)))
}

func exportApplication(x *exchange) error {
	found, err := x.api.service.FindApplication(x.r.Context(), x.env, x.applicationID())
	if err != nil || x.seen(found.Seen) {
		return err
	}
	return x.data(http.StatusOK, jsontext.Value(form.FormatApplication(&found.Object)))
}

func renameApplication(x *exchange) error {
	var to model.ApplicationID
	if err := x.readPatch("/applicationId", &to); err != nil {
		return err
	}
	return x.noContent(x.api.service.RenameApplication(x.r.Context(), x.call, x.env, x.applicationID(), to))
}

func deleteApplication(x *exchange) error {
	return x.noContent(x.api.service.DeleteApplication(x.r.Context(), x.call, x.env, x.applicationID()))
}
