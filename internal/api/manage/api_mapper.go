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
	apiMapperSets = "/api/1.0/api-mapper-sets/{envId}"
	apiMapperSet  = apiMapperSets + "/{apiMapperSetId}"
	apiMappers    = apiMapperSet + "/mappers"
	apiMapper     = apiMappers + "/{mapperId}"
	// attributeMapping is what PlainID has for the mapping of single attributes (management-api.md 14.7).
	attributeMapping = "/internal-assets/4.0/api-mapping"
)

func addAPIMappers(t *router) {
	const set, mapper = "APIMapperSet", "APIMapper"
	read, write := manage.RightRead, manage.RightWrite
	t.add("POST", apiMapperSets, route{resource: set, right: write, serve: importAPIMapperSet})
	t.add("PUT", apiMapperSets, route{resource: set, right: write, serve: importAPIMapperSet})
	t.add("GET", apiMapperSets, route{resource: set, right: read, serve: listAPIMapperSets})
	t.add("GET", apiMapperSet, route{resource: set, right: read, serve: exportAPIMapperSet})
	t.add("PATCH", apiMapperSet, route{resource: set, right: write, serve: renameAPIMapperSet})
	t.add("POST", apiMappers, route{resource: mapper, right: write, serve: importAPIMapper})
	t.add("GET", apiMapper, route{resource: mapper, right: read, serve: exportAPIMapper})
	t.add("PATCH", apiMapper, route{resource: mapper, right: write, serve: renameAPIMapper})
	t.add("DELETE", apiMapper, route{resource: mapper, right: write, serve: deleteAPIMapper})
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		for _, path := range []string{attributeMapping, attributeMapping + "/{rest...}"} {
			t.add(method, path, route{resource: "APIMapping", anyone: true, serve: attributeMappingNotOffered})
		}
	}
}

func attributeMappingNotOffered(*exchange) error {
	return manage.NotOffered("API mapping of single attributes")
}

func (x *exchange) apiMapperSetID() model.ApplicationID {
	return model.ApplicationID(x.r.PathValue("apiMapperSetId"))
}

func (x *exchange) mapperID() model.MapperID { return model.MapperID(x.r.PathValue("mapperId")) }

func apiMapperSetForm(s *model.APIMapperSet) jsontext.Value { return form.FormatAPIMapperSet(s) }

func apiMapperForm(m *model.APIMapper) jsontext.Value { return form.FormatAPIMapper(m) }

// importAPIMapperSet answers 200 for a new set too: every application has one, if only an empty one.
func importAPIMapperSet(x *exchange) error {
	workspace, text, err := x.authWsImport()
	if err != nil {
		return err
	}
	stored, done, err := x.api.service.ImportAPIMapperSet(x.r.Context(), x.call, x.env, workspace, text)
	if err != nil {
		return err
	}
	x.done(done)
	return x.data(http.StatusOK, apiMapperSetForm(&stored.Object))
}

func listAPIMapperSets(x *exchange) error {
	q := x.r.URL.Query()
	w, err := windowOf(q, defaultLimit)
	if err != nil {
		return err
	}
	sets, seen, err := x.api.service.FindAPIMapperSets(x.r.Context(), x.env, apiMapperSetFilter(q))
	if err != nil {
		return err
	}
	x.seen(seen)
	items := make([]jsontext.Value, len(sets))
	for i := range sets {
		items[i] = apiMapperSetForm(&sets[i])
	}
	return list(x, w, items)
}

func apiMapperSetFilter(q url.Values) *manage.APIMapperSetFilter {
	var f manage.APIMapperSetFilter
	if ids, named := valuesOf(q, "authWsId"); named {
		f.Workspaces = []model.WorkspaceID{}
		for _, text := range ids {
			if id, ok := model.ParseUUID(text); ok {
				text = id
			}
			f.Workspaces = append(f.Workspaces, model.WorkspaceID(text))
		}
	}
	f.Applications, f.IDs = applicationIDsOf(q, "applicationId"), applicationIDsOf(q, "id")
	return &f
}

// applicationIDsOf are the values of a filter, nil when the query does not have it.
func applicationIDsOf(q url.Values, name string) []model.ApplicationID {
	texts, named := valuesOf(q, name)
	if !named {
		return nil
	}
	ids := make([]model.ApplicationID, len(texts))
	for i, text := range texts {
		ids[i] = model.ApplicationID(text)
	}
	return ids
}

func exportAPIMapperSet(x *exchange) error {
	found, err := x.api.service.FindAPIMapperSet(x.r.Context(), x.env, x.apiMapperSetID())
	if err != nil || x.seen(found.Seen) {
		return err
	}
	return x.data(http.StatusOK, apiMapperSetForm(&found.Object))
}

func renameAPIMapperSet(x *exchange) error {
	var to model.ApplicationID
	if err := x.readPatch("/apiMappersSetId", &to); err != nil {
		return err
	}
	return x.noContent(x.api.service.RenameAPIMapperSet(x.r.Context(), x.call, x.env, x.apiMapperSetID(), to))
}

func importAPIMapper(x *exchange) error {
	workspace, text, err := x.authWsImport()
	if err != nil {
		return err
	}
	stored, done, err := x.api.service.ImportAPIMapper(x.r.Context(), x.call, x.env, workspace, x.apiMapperSetID(), text)
	if err != nil {
		return err
	}
	x.done(done)
	return x.data(putStatus(done), apiMapperForm(&stored.Object))
}

func exportAPIMapper(x *exchange) error {
	found, err := x.api.service.FindAPIMapper(x.r.Context(), x.env, x.apiMapperSetID(), x.mapperID())
	if err != nil || x.seen(found.Seen) {
		return err
	}
	return x.data(http.StatusOK, apiMapperForm(&found.Object))
}

func renameAPIMapper(x *exchange) error {
	var to model.MapperID
	if err := x.readPatch("/mapperId", &to); err != nil {
		return err
	}
	return x.noContent(x.api.service.RenameAPIMapper(x.r.Context(), x.call, x.env, x.apiMapperSetID(), x.mapperID(), to))
}

func deleteAPIMapper(x *exchange) error {
	return x.noContent(x.api.service.DeleteAPIMapper(x.r.Context(), x.call, x.env, x.apiMapperSetID(), x.mapperID()))
}
