package manage

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
)

const (
	credentialsPath = "/env-mgmt/1.0/api-key/clients" //nolint:gosec // a path, no secret
	credentialPath  = credentialsPath + "/{id}"
)

// maxCredentials is the most that a page of credentials holds (management-api.md 4).
const maxCredentials = 50

// addCredentials makes the routes of API credentials. Whose a credential is does not stand in the path, so the use cases
// decide who may.
func addCredentials(t *router) {
	t.add("POST", credentialsPath, route{resource: "Client", anyone: true, serve: createCredential})
	t.add("GET", credentialsPath, route{resource: "Client", anyone: true, serve: listCredentials})
	t.add("GET", credentialPath, route{resource: "Client", anyone: true, serve: getCredential})
	t.add("PUT", credentialPath, route{resource: "Client", anyone: true, serve: putCredential})
	t.add("DELETE", credentialPath, route{resource: "Client", anyone: true, serve: deleteCredential})
	t.add("POST", credentialPath+"/secrets", route{resource: "Client", anyone: true, serve: makeCredentialSecret})
}

func (x *exchange) credentialID() model.ClientID { return model.ClientID(x.r.PathValue("id")) }

// credential answers one credential: bare, as the family has it (management-api.md 1.2 has the envelope for others).
func (x *exchange) credential(status int, v manage.CredentialView) error {
	return x.answer(status, v.Body())
}

func createCredential(x *exchange) error {
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	v, done, err := x.api.service.CreateCredential(x.r.Context(), x.call, text)
	if err != nil {
		return err
	}
	if id := v.Body().ID; id != nil {
		x.w.Header().Set("Location", credentialsPath+"/"+url.PathEscape(*id))
	}
	x.done(done)
	return x.credential(http.StatusCreated, v)
}

func listCredentials(x *exchange) error {
	q := x.r.URL.Query()
	f := manage.CredentialFilter{ID: q.Get("filter[id]"), Name: q.Get("filter[name]"), Permission: q.Get("filter[permission]")}
	switch owner := q.Get("filter[ownerId]"); owner {
	case "":
		return &model.Error{
			Kind: model.KindInvalid, Code: "MGT-002", Name: "MissingRequiredFilterParameterError", Args: []string{"ownerId"},
			Message: "Missing required filter parameter: ownerId",
		}
	case "null", "-":
	default:
		id, ok := model.ParseUUID(owner)
		if !ok {
			return manage.NotUUID(owner)
		}
		f.Owner = model.EnvironmentID(id)
	}
	w, err := windowUpTo(q, maxCredentials, maxCredentials)
	if err != nil {
		return err
	}
	switch sort := q.Get("sort"); {
	case sort == "" || strings.EqualFold(sort, "ASC"):
	case strings.EqualFold(sort, "DESC"):
		f.Descending = true
	default:
		return model.InvalidParameter("sort", "%q is not ASC or DESC", sort)
	}
	views, seen, err := x.api.service.FindCredentials(x.r.Context(), &x.caller, f)
	if err != nil {
		return err
	}
	x.seen(seen)
	items := make([]manage.CredentialBody, len(views))
	for i := range views {
		items[i] = views[i].Body()
	}
	return list(x, w, items)
}

func getCredential(x *exchange) error {
	v, err := x.api.service.FindCredential(x.r.Context(), &x.caller, x.credentialID())
	if err != nil || x.seen(v.Seen) {
		return err
	}
	return x.credential(http.StatusOK, v)
}

func putCredential(x *exchange) error {
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	v, done, err := x.api.service.PutCredential(x.r.Context(), x.call, x.credentialID(), text)
	if err != nil {
		return err
	}
	x.done(done)
	return x.credential(http.StatusOK, v)
}

func deleteCredential(x *exchange) error {
	return x.noContent(x.api.service.DeleteCredential(x.r.Context(), x.call, x.credentialID()))
}

func makeCredentialSecret(x *exchange) error {
	v, done, err := x.api.service.MakeCredentialSecret(x.r.Context(), x.call, x.credentialID())
	if err != nil {
		return err
	}
	x.done(done)
	return x.credential(http.StatusOK, v)
}
