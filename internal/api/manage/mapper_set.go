package manage

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
)

const (
	mapperSets = identityTemplate + "/mapper-sets"
	mapperSet  = mapperSets + "/{identityMapperSetId}"
)

func addMapperSets(t *router) {
	const resource = "MapperSet"
	read, write := manage.RightRead, manage.RightWrite
	t.add("GET", mapperSets, route{resource: resource, right: read, serve: listMapperSets})
	t.add("POST", mapperSets, route{resource: resource, right: write, serve: importMapperSet})
	t.add("GET", mapperSet, route{resource: resource, right: read, serve: getMapperSet})
	t.add("PATCH", mapperSet, route{resource: resource, right: write, serve: renameMapperSet})
	t.add("DELETE", mapperSet, route{resource: resource, right: write, serve: deleteMapperSet})
}

func (x *exchange) mapperSetID() string { return x.r.PathValue("identityMapperSetId") }

func mapperSetOf(m *manage.Stored[model.MapperSet]) jsontext.Value {
	return form.FormatMapperSet(&m.Object)
}

func listMapperSets(x *exchange) error {
	w, detailed, err := x.detailedWindow()
	if err != nil {
		return err
	}
	sets, seen, err := x.api.service.FindMapperSets(x.r.Context(), x.env, x.identityTemplateID())
	if err != nil {
		return err
	}
	x.seen(seen)
	if detailed {
		items := make([]jsontext.Value, len(sets))
		for i := range sets {
			items[i] = form.FormatMapperSet(&sets[i])
		}
		return list(x, w, items)
	}
	type item struct {
		MapperSetID string `json:"mapperSetId"`
		DisplayName string `json:"displayName"`
	}
	items := make([]item, len(sets))
	for i := range sets {
		items[i] = item{sets[i].ID, sets[i].Name}
	}
	return list(x, w, items)
}

func importMapperSet(x *exchange) error {
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	stored, done, err := x.api.service.ImportMapperSet(x.r.Context(), x.call, x.env, x.identityTemplateID(), text)
	return changed(x, stored, done, err, mapperSetOf)
}

func getMapperSet(x *exchange) error {
	found, err := x.api.service.FindMapperSet(x.r.Context(), x.env, x.identityTemplateID(), x.mapperSetID())
	if err != nil || x.seen(found.Seen) {
		return err
	}
	return x.data(http.StatusOK, mapperSetOf(&found))
}

func renameMapperSet(x *exchange) error {
	var id string
	if err := x.readPatch("/mapperSetId", &id); err != nil {
		return err
	}
	return x.noContent(x.api.service.RenameMapperSet(x.r.Context(), x.call, x.env, x.identityTemplateID(), x.mapperSetID(), id))
}

func deleteMapperSet(x *exchange) error {
	return x.noContent(x.api.service.DeleteMapperSet(x.r.Context(), x.call, x.env, x.identityTemplateID(), x.mapperSetID()))
}
