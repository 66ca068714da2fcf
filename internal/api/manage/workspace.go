package manage

import (
	"net/http"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
)

const (
	authorizationWorkspaces = environment + "/authorization-workspaces"
	authorizationWorkspace  = authorizationWorkspaces + "/{authWsId}"
	identityWorkspaces      = environment + "/identity-workspaces"
	identityWorkspace       = identityWorkspaces + "/{identityWsId}"
	matcher                 = identityWorkspace + "/matcher"
)

func addWorkspaces(t *router) {
	read, write := manage.RightRead, manage.RightWrite
	const authorization, identity = "AuthorizationWorkspace", "IdentityWorkspace"
	t.add("GET", authorizationWorkspaces, route{resource: authorization, right: read, serve: listAuthorizationWorkspaces})
	t.add("POST", authorizationWorkspaces, route{resource: authorization, right: write, serve: createAuthorizationWorkspace})
	t.add("GET", authorizationWorkspace, route{resource: authorization, right: read, serve: getAuthorizationWorkspace})
	t.add("PUT", authorizationWorkspace, route{resource: authorization, right: write, serve: putAuthorizationWorkspace})
	t.add("PATCH", authorizationWorkspace, route{resource: authorization, right: write, serve: patchAuthorizationWorkspace})
	t.add("DELETE", authorizationWorkspace, route{resource: authorization, right: write, serve: deleteAuthorizationWorkspace})
	t.add("GET", identityWorkspaces, route{resource: identity, right: read, serve: listIdentityWorkspaces})
	t.add("POST", identityWorkspaces, route{resource: identity, right: write, serve: createIdentityWorkspace})
	t.add("GET", identityWorkspace, route{resource: identity, right: read, serve: getIdentityWorkspace})
	t.add("PUT", identityWorkspace, route{resource: identity, right: write, serve: putIdentityWorkspace})
	t.add("PATCH", identityWorkspace, route{resource: identity, right: write, serve: patchIdentityWorkspace})
	t.add("DELETE", identityWorkspace, route{resource: identity, right: write, serve: deleteIdentityWorkspace})
	t.add("GET", matcher, route{resource: "Matcher", right: read, serve: getMatcher})
	t.add("PUT", matcher, route{resource: "Matcher", right: write, serve: putMatcher})
	t.add("DELETE", matcher, route{resource: "Matcher", right: write, serve: deleteMatcher})
}

func (x *exchange) authWsID() model.WorkspaceID { return x.workspaceID("authWsId") }

func (x *exchange) identityWsID() model.WorkspaceID { return x.workspaceID("identityWsId") }

// workspaceID is a workspace of the path, whose form is checked already.
func (x *exchange) workspaceID(name string) model.WorkspaceID {
	id, _ := model.ParseUUID(x.r.PathValue(name))
	return model.WorkspaceID(id)
}

type authorizationWorkspaceBody struct {
	form.Workspace `json:",inline"`
	lifeForm       `json:",inline"`
}

func authorizationWorkspaceOf(w *manage.Stored[model.AuthorizationWorkspace]) authorizationWorkspaceBody {
	return authorizationWorkspaceBody{form.OfAuthorizationWorkspace(&w.Object), life(w.Seen)}
}

type identityWorkspaceBody struct {
	form.IdentityWorkspace `json:",inline"`
	lifeForm               `json:",inline"`
}

func identityWorkspaceOf(w *manage.Stored[model.IdentityWorkspace]) identityWorkspaceBody {
	return identityWorkspaceBody{form.OfIdentityWorkspace(&w.Object), life(w.Seen)}
}

// listStored answers a list of objects in the form that of gives them.
func listStored[V, B any](x *exchange, w window, found []manage.Stored[V], seen manage.Seen, of func(*manage.Stored[V]) B) error {
	x.seen(seen)
	items := make([]B, len(found))
	for i := range found {
		items[i] = of(&found[i])
	}
	return list(x, w, items)
}

// changed answers a write of one object in the form that of gives it.
func changed[V, B any](x *exchange, stored manage.Stored[V], done manage.Done, err error, of func(*manage.Stored[V]) B) error {
	if err != nil {
		return err
	}
	x.done(done)
	return x.data(putStatus(done), of(&stored))
}

func listAuthorizationWorkspaces(x *exchange) error {
	q := x.r.URL.Query()
	w, err := windowOf(q, defaultLimit)
	if err != nil {
		return err
	}
	found, seen, err := x.api.service.FindAuthorizationWorkspaces(x.r.Context(), x.env, q.Get("filter[name]"))
	if err != nil {
		return err
	}
	return listStored(x, w, found, seen, authorizationWorkspaceOf)
}

func createAuthorizationWorkspace(x *exchange) error {
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	stored, done, err := x.api.service.CreateAuthorizationWorkspace(x.r.Context(), x.call, x.env, text)
	if id := stored.Object.ID; err == nil && id != "" {
		x.w.Header().Set("Location", environments+"/"+string(x.env)+"/authorization-workspaces/"+string(id))
	}
	return changed(x, stored, done, err, authorizationWorkspaceOf)
}

func getAuthorizationWorkspace(x *exchange) error {
	found, err := x.api.service.FindAuthorizationWorkspace(x.r.Context(), x.env, x.authWsID())
	if err != nil || x.seen(found.Seen) {
		return err
	}
	return x.data(http.StatusOK, authorizationWorkspaceOf(&found))
}

func putAuthorizationWorkspace(x *exchange) error {
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	stored, done, err := x.api.service.PutAuthorizationWorkspace(x.r.Context(), x.call, x.env, x.authWsID(), text)
	return changed(x, stored, done, err, authorizationWorkspaceOf)
}

func patchAuthorizationWorkspace(x *exchange) error {
	text, err := x.readJSON(mergePatch)
	if err != nil {
		return err
	}
	stored, done, err := x.api.service.PatchAuthorizationWorkspace(x.r.Context(), x.call, x.env, x.authWsID(), text)
	return changed(x, stored, done, err, authorizationWorkspaceOf)
}

func deleteAuthorizationWorkspace(x *exchange) error {
	cascade, err := flag(x.r.URL.Query(), "cascade", false)
	if err != nil {
		return err
	}
	return x.noContent(x.api.service.DeleteAuthorizationWorkspace(x.r.Context(), x.call, x.env, x.authWsID(), cascade))
}

func listIdentityWorkspaces(x *exchange) error {
	q := x.r.URL.Query()
	w, err := windowOf(q, defaultLimit)
	if err != nil {
		return err
	}
	found, seen, err := x.api.service.FindIdentityWorkspaces(x.r.Context(), x.env, q.Get("filter[name]"))
	if err != nil {
		return err
	}
	return listStored(x, w, found, seen, identityWorkspaceOf)
}

func createIdentityWorkspace(x *exchange) error {
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	stored, done, err := x.api.service.CreateIdentityWorkspace(x.r.Context(), x.call, x.env, text)
	if id := stored.Object.ID; err == nil && id != "" {
		x.w.Header().Set("Location", environments+"/"+string(x.env)+"/identity-workspaces/"+string(id))
	}
	return changed(x, stored, done, err, identityWorkspaceOf)
}

func getIdentityWorkspace(x *exchange) error {
	found, err := x.api.service.FindIdentityWorkspace(x.r.Context(), x.env, x.identityWsID())
	if err != nil || x.seen(found.Seen) {
		return err
	}
	return x.data(http.StatusOK, identityWorkspaceOf(&found))
}

func putIdentityWorkspace(x *exchange) error {
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	stored, done, err := x.api.service.PutIdentityWorkspace(x.r.Context(), x.call, x.env, x.identityWsID(), text)
	return changed(x, stored, done, err, identityWorkspaceOf)
}

func patchIdentityWorkspace(x *exchange) error {
	text, err := x.readJSON(mergePatch)
	if err != nil {
		return err
	}
	stored, done, err := x.api.service.PatchIdentityWorkspace(x.r.Context(), x.call, x.env, x.identityWsID(), text)
	return changed(x, stored, done, err, identityWorkspaceOf)
}

func deleteIdentityWorkspace(x *exchange) error {
	return x.noContent(x.api.service.DeleteIdentityWorkspace(x.r.Context(), x.call, x.env, x.identityWsID()))
}
