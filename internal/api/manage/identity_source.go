package manage

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
)

const (
	identitySources = identityTemplate + "/identity-sources"
	identitySource  = identitySources + "/{identitySourceId}"
)

func addIdentitySources(t *router) {
	const resource = "IdentitySource"
	t.add("PUT", identitySources, route{resource: resource, right: manage.RightWrite, serve: putIdentitySources})
	t.add("GET", identitySources, route{resource: resource, right: manage.RightRead, serve: exportIdentitySources})
	t.add("PATCH", identitySource, route{resource: resource, right: manage.RightWrite, serve: renameIdentitySource})
}

// answerSources writes the sources of a template (management-api.md 12).
func (x *exchange) answerSources(sources []model.IdentitySource) error {
	items := make([]jsontext.Value, len(sources))
	for i := range sources {
		items[i] = form.FormatIdentitySource(&sources[i])
	}
	return x.data(http.StatusOK, struct {
		Sources []jsontext.Value `json:"sources"`
	}{items})
}

func putIdentitySources(x *exchange) error {
	prune, err := flag(x.r.URL.Query(), "prune", false)
	if err != nil {
		return err
	}
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	sources, done, err := x.api.service.PutIdentitySources(x.r.Context(), x.call, x.env, x.identityTemplateID(), text, prune)
	if err != nil {
		return err
	}
	x.done(done)
	return x.answerSources(sources)
}

func exportIdentitySources(x *exchange) error {
	others, err := flag(x.r.URL.Query(), "includeUnimportableSources", false)
	if err != nil {
		return err
	}
	sources, seen, err := x.api.service.FindIdentitySources(x.r.Context(), x.env, x.identityTemplateID(), !others)
	if err != nil {
		return err
	}
	x.seen(seen)
	return x.answerSources(sources)
}

func renameIdentitySource(x *exchange) error {
	var id string
	if err := x.readPatch("/sourceId", &id); err != nil {
		return err
	}
	return x.noContent(x.api.service.RenameIdentitySource(x.r.Context(), x.call, x.env, x.identityTemplateID(), x.r.PathValue("identitySourceId"), id))
}
