package manage

import (
	"net/http"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
)

const (
	requestAttributes = environment + "/authorization-workspaces/{authWsId}/request-attributes"
	requestAttribute  = requestAttributes + "/{id}"
)

func addRequestAttributes(t *router) {
	const resource = "RequestAttribute"
	t.add("GET", requestAttributes, route{resource: resource, right: manage.RightRead, serve: listRequestAttributes})
	t.add("GET", requestAttribute, route{resource: resource, right: manage.RightRead, serve: getRequestAttribute})
	t.add("PUT", requestAttribute, route{resource: resource, right: manage.RightWrite, serve: putRequestAttribute})
	t.add("DELETE", requestAttribute, route{resource: resource, right: manage.RightWrite, serve: deleteRequestAttribute})
}

// requestAttributeBody is incomplete when one of its mappings is (management-api.md 17).
type requestAttributeBody struct {
	ID          model.AttributeID    `json:"id"`
	DisplayName string               `json:"displayName"`
	Description string               `json:"description"`
	Mappings    []requestMappingBody `json:"mappings"`
	Incomplete  bool                 `json:"incomplete,omitzero"`
	lifeForm    `json:",inline"`
}

type requestMappingBody struct {
	Source      model.MappingSource `json:"source"`
	Path        string              `json:"path"`
	APIMapperID model.MapperID      `json:"apiMapperId,omitzero"`
	Incomplete  bool                `json:"incomplete,omitzero"`
}

func requestAttributeOf(v *manage.RequestAttributeView) requestAttributeBody {
	a := &v.Attribute
	out := requestAttributeBody{
		ID: a.ID, DisplayName: a.DisplayName, Description: a.Description, Mappings: make([]requestMappingBody, len(v.Mappings)),
		Incomplete: v.Incomplete(), lifeForm: life(v.Seen),
	}
	for i, m := range v.Mappings {
		out.Mappings[i] = requestMappingBody{m.Source, m.Path, m.MapperID, m.Incomplete}
	}
	return out
}

// requestAttributeKey is the path of the call; the form of the workspace's id is checked already.
func (x *exchange) requestAttributeKey() (model.WorkspaceID, model.AttributeID) {
	workspace, _ := model.ParseUUID(x.r.PathValue("authWsId"))
	return model.WorkspaceID(workspace), model.AttributeID(x.r.PathValue("id"))
}

func listRequestAttributes(x *exchange) error {
	w, err := windowOf(x.r.URL.Query(), defaultLimit)
	if err != nil {
		return err
	}
	workspace, _ := x.requestAttributeKey()
	views, seen, err := x.api.service.FindRequestAttributes(x.r.Context(), x.env, workspace)
	if err != nil {
		return err
	}
	x.seen(seen)
	items := make([]requestAttributeBody, len(views))
	for i := range views {
		items[i] = requestAttributeOf(&views[i])
	}
	return list(x, w, items)
}

func getRequestAttribute(x *exchange) error {
	workspace, id := x.requestAttributeKey()
	v, err := x.api.service.FindRequestAttribute(x.r.Context(), x.env, workspace, id)
	if err != nil || x.seen(v.Seen) {
		return err
	}
	return x.data(http.StatusOK, requestAttributeOf(&v))
}

func putRequestAttribute(x *exchange) error {
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	workspace, id := x.requestAttributeKey()
	v, done, err := x.api.service.PutRequestAttribute(x.r.Context(), x.call, x.env, workspace, id, text)
	if err != nil {
		return err
	}
	x.done(done)
	return x.data(putStatus(done), requestAttributeOf(&v))
}

func deleteRequestAttribute(x *exchange) error {
	workspace, id := x.requestAttributeKey()
	return x.noContent(x.api.service.DeleteRequestAttribute(x.r.Context(), x.call, x.env, workspace, id))
}
