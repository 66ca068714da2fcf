package manage

import (
	"net/http"
	"net/url"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
)

const (
	paaGroups     = "/api/1.0/paa-groups/{envId}"
	paaSources    = paaGroups + "/{paaGroupId}/sources"
	paaSource     = paaSources + "/{sourceId}"
	paaViews      = paaGroups + "/{paaGroupId}/views"
	ownedPAAGroup = environment + "/paa-groups/{paaGroupId}"
)

// addPAA makes the routes of PAA groups, their sources and their views (management-api.md 13).
func addPAA(t *router) {
	read, write := manage.RightRead, manage.RightWrite
	t.add("GET", paaGroups, route{resource: "PAAGroup", right: read, serve: listPAAGroups})
	t.add("GET", ownedPAAGroup, route{resource: "PAAGroup", right: read, serve: getPAAGroup})
	t.add("PUT", ownedPAAGroup, route{resource: "PAAGroup", right: write, serve: putPAAGroup})
	t.add("DELETE", ownedPAAGroup, route{resource: "PAAGroup", right: write, serve: deletePAAGroup})
	t.add("GET", paaSources, route{resource: "PAASource", right: read, serve: listPAASources})
	t.add("POST", paaSources, route{resource: "PAASource", right: write, serve: createPAASource})
	t.add("GET", paaSource, route{resource: "PAASource", right: read, serve: getPAASource})
	t.add("PUT", paaSource, route{resource: "PAASource", right: write, serve: putPAASource})
	t.add("DELETE", paaSource, route{resource: "PAASource", right: write, serve: deletePAASource})
	t.add("GET", paaViews, route{resource: "PAAViews", right: read, serve: listPAAViews})
	t.add("PUT", paaViews, route{resource: "PAAViews", right: write, serve: putPAAViews})
}

func (x *exchange) paaGroup() string { return x.r.PathValue("paaGroupId") }

func listPAAGroups(x *exchange) error {
	w, detailed, err := x.detailedWindow()
	if err != nil {
		return err
	}
	groups, seen, err := x.api.service.FindPAAGroups(x.r.Context(), x.env)
	if err != nil {
		return err
	}
	x.seen(seen)
	items := make([]any, len(groups))
	for i := range groups {
		if items[i] = manage.PAAGroupFormOf(&groups[i]); !detailed {
			items[i] = struct {
				ID string `json:"id"`
			}{groups[i].ID}
		}
	}
	return list(x, w, items)
}

func getPAAGroup(x *exchange) error {
	g, err := x.api.service.FindPAAGroup(x.r.Context(), x.env, x.paaGroup())
	if err != nil || x.seen(g.Seen) {
		return err
	}
	return x.data(http.StatusOK, paaGroupOf(&g.Object, g.Seen))
}

// paaGroupBody is a group on Ambit's own calls.
type paaGroupBody struct {
	manage.PAAGroupForm `json:",inline"`
	lifeForm            `json:",inline"`
}

func paaGroupOf(g *model.PAAGroup, seen manage.Seen) paaGroupBody {
	return paaGroupBody{manage.PAAGroupFormOf(g), life(seen)}
}

func putPAAGroup(x *exchange) error {
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	g, done, err := x.api.service.PutPAAGroup(x.r.Context(), x.call, x.env, x.paaGroup(), text)
	if err != nil {
		return err
	}
	x.done(done)
	return x.data(http.StatusOK, paaGroupOf(&g.Object, g.Seen))
}

func deletePAAGroup(x *exchange) error {
	return x.noContent(x.api.service.DeletePAAGroup(x.r.Context(), x.call, x.env, x.paaGroup()))
}

func listPAASources(x *exchange) error {
	w, detailed, err := x.detailedWindow()
	if err != nil {
		return err
	}
	sources, seen, err := x.api.service.FindPAASources(x.r.Context(), x.env, x.paaGroup())
	if err != nil {
		return err
	}
	x.seen(seen)
	items := make([]any, len(sources))
	for i := range sources {
		if items[i] = sources[i].Definition; !detailed {
			items[i] = struct {
				ID string `json:"sourceId"`
			}{sources[i].ID}
		}
	}
	return list(x, w, items)
}

func getPAASource(x *exchange) error {
	v, err := x.api.service.FindPAASource(x.r.Context(), x.env, x.paaGroup(), x.r.PathValue("sourceId"))
	if err != nil || x.seen(v.Seen) {
		return err
	}
	return x.data(http.StatusOK, v.Definition)
}

func createPAASource(x *exchange) error {
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	v, done, err := x.api.service.CreatePAASource(x.r.Context(), x.call, x.env, x.paaGroup(), text)
	if err != nil {
		return err
	}
	if v.ID != "" {
		x.w.Header().Set("Location", x.r.URL.EscapedPath()+"/"+url.PathEscape(v.ID))
	}
	x.done(done)
	return x.data(http.StatusCreated, v.Definition)
}

func putPAASource(x *exchange) error {
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	v, done, err := x.api.service.PutPAASource(x.r.Context(), x.call, x.env, x.paaGroup(), x.r.PathValue("sourceId"), text)
	if err != nil {
		return err
	}
	x.done(done)
	return x.data(http.StatusOK, v.Definition)
}

func deletePAASource(x *exchange) error {
	return x.noContent(x.api.service.DeletePAASource(x.r.Context(), x.call, x.env, x.paaGroup(), x.r.PathValue("sourceId")))
}

func listPAAViews(x *exchange) error {
	w, err := windowOf(x.r.URL.Query(), maxLimit)
	if err != nil {
		return err
	}
	views, seen, err := x.api.service.FindPAAViews(x.r.Context(), x.env, x.paaGroup())
	if err != nil || x.seen(seen) {
		return err
	}
	return list(x, w, views)
}

func putPAAViews(x *exchange) error {
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	views, done, err := x.api.service.PutPAAViews(x.r.Context(), x.call, x.env, x.paaGroup(), text)
	if err != nil {
		return err
	}
	x.done(done)
	return list(x, window{limit: maxLimit}, views)
}
