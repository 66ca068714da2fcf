package manage

import (
	"net/http"
	"strconv"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
)

func whoami(x *exchange) error {
	revision, err := x.api.service.Revision(x.r.Context(), "")
	if err != nil {
		return err
	}
	out := struct {
		ClientID   string  `json:"clientId"`
		Name       string  `json:"name"`
		OwnerType  string  `json:"ownerType"`
		OwnerID    *string `json:"ownerId"`
		Permission string  `json:"permission"`
		ExpiresAt  string  `json:"expiresAt"`
	}{
		ClientID: string(x.caller.ClientID), Name: x.caller.Name, OwnerType: form.OwnerTenant,
		Permission: string(x.caller.Permission), ExpiresAt: stamp(x.caller.ExpiresAt),
	}
	if id := string(x.caller.EnvironmentID); id != "" {
		out.OwnerType, out.OwnerID = form.OwnerEnvironment, &id
	}
	x.revision(revision)
	return x.data(http.StatusOK, out)
}

type environmentBody struct {
	form.Environment `json:",inline"`
	Counts           manage.Counts `json:"counts"`
	lifeForm         `json:",inline"`
}

func environmentOf(v *manage.EnvironmentView) environmentBody {
	out := environmentBody{Environment: v.Form(), Counts: v.Counts, lifeForm: life(v.Seen)}
	out.Revision = v.Seen.Revision // the environment's own counter (management-api.md 16)
	return out
}

func listEnvironments(x *exchange) error {
	q := x.r.URL.Query()
	w, err := windowOf(q, defaultLimit)
	if err != nil {
		return err
	}
	views, err := x.api.service.FindEnvironments(x.r.Context(), &x.caller, q.Get("filter[name]"))
	if err != nil {
		return err
	}
	revision, err := x.api.service.Revision(x.r.Context(), "")
	if err != nil {
		return err
	}
	x.revision(revision)
	items := make([]environmentBody, len(views))
	for i := range views {
		items[i] = environmentOf(&views[i])
	}
	return list(x, w, items)
}

func createEnvironment(x *exchange) error {
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	var f struct {
		ID          string `json:"id"`
		Name        string `json:"name"`
		Description string `json:"description"`
		Bare        bool   `json:"bare"`
	}
	if err := form.Decode(text, &f); err != nil {
		return err
	}
	v, err := x.api.service.CreateEnvironment(x.r.Context(), x.call,
		manage.NewEnvironment{ID: f.ID, Name: f.Name, Description: f.Description, Bare: f.Bare})
	if err != nil {
		return err
	}
	out := environmentOf(&v)
	if out.ID != nil {
		x.w.Header().Set("Location", environments+"/"+*out.ID)
	}
	x.doneAs(manage.Done{Result: manage.Created, Revision: v.Seen.Revision, Version: v.Seen.Version}, variant(&v))
	return x.data(http.StatusCreated, out)
}

// addEnvironments makes the routes of single environments and their token settings (management-api.md 16).
func addEnvironments(t *router) {
	write := manage.RightWrite
	t.add("GET", environment, route{resource: "Environment", right: manage.RightRead, serve: getEnvironment})
	t.add("PUT", environment, route{resource: "Environment", right: write, serve: putEnvironment})
	t.add("PATCH", environment, route{resource: "Environment", right: write, serve: patchEnvironment})
	t.add("DELETE", environment, route{resource: "Environment", right: manage.RightTenant, serve: deleteEnvironment})
	t.add("GET", environment+"/jwt-settings", route{resource: "JWTSettings", right: manage.RightRead, serve: getJWTSettings})
	t.add("PUT", environment+"/jwt-settings", route{resource: "JWTSettings", right: write, serve: putJWTSettings})
}

// variant tells two answers about one version of the environment apart: its counters and its revision move with what is
// inside.
func variant(v *manage.EnvironmentView) string { return strconv.FormatInt(int64(v.Seen.Revision), 10) }

func getEnvironment(x *exchange) error {
	v, err := x.api.service.FindEnvironment(x.r.Context(), x.env)
	if err != nil || x.seenAs(v.Seen, variant(&v)) {
		return err
	}
	return x.data(http.StatusOK, environmentOf(&v))
}

func putEnvironment(x *exchange) error {
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	v, done, err := x.api.service.PutEnvironment(x.r.Context(), x.call, x.env, text)
	return changedEnvironment(x, &v, done, err)
}

func patchEnvironment(x *exchange) error {
	text, err := x.readJSON(mergePatch)
	if err != nil {
		return err
	}
	v, done, err := x.api.service.PatchEnvironment(x.r.Context(), x.call, x.env, text)
	return changedEnvironment(x, &v, done, err)
}

func changedEnvironment(x *exchange, v *manage.EnvironmentView, done manage.Done, err error) error {
	if err != nil {
		return err
	}
	x.doneAs(done, variant(v))
	return x.data(http.StatusOK, environmentOf(v))
}

func deleteEnvironment(x *exchange) error {
	q := x.r.URL.Query()
	if !q.Has("name") {
		return model.MissingParameter("name")
	}
	return x.noContent(x.api.service.DeleteEnvironment(x.r.Context(), x.call, x.env, q.Get("name")))
}

func getJWTSettings(x *exchange) error {
	settings, seen, err := x.api.service.FindJWTSettings(x.r.Context(), x.env)
	if err != nil || x.seen(seen) {
		return err
	}
	return x.data(http.StatusOK, settings)
}

func putJWTSettings(x *exchange) error {
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	settings, done, err := x.api.service.PutJWTSettings(x.r.Context(), x.call, x.env, text)
	if err != nil {
		return err
	}
	x.done(done)
	return x.data(http.StatusOK, settings)
}

func getRevision(x *exchange) error {
	revision, at, err := x.api.service.LastChange(x.r.Context(), x.env)
	if err != nil {
		return err
	}
	x.revision(revision)
	return x.data(http.StatusOK, struct {
		EnvironmentID model.EnvironmentID `json:"environmentId"`
		Revision      model.Revision      `json:"revision"`
		UpdatedAt     string              `json:"updatedAt"`
	}{x.env, revision, stamp(at)})
}
