package manage

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
)

const (
	customAttributes = environment + "/custom-attributes"
	customAttribute  = customAttributes + "/{key}"
)

// addCustomAttributes makes the routes of the custom attributes of policies (management-api.md 16).
func addCustomAttributes(t *router) {
	read, write := manage.RightRead, manage.RightWrite
	t.add("GET", customAttributes, route{resource: "CustomAttribute", right: read, serve: listCustomAttributes})
	t.add("PUT", customAttributes, route{resource: "CustomAttribute", right: write, serve: putCustomAttributes})
	t.add("GET", customAttribute, route{resource: "CustomAttribute", right: read, serve: getCustomAttribute})
	t.add("PUT", customAttribute, route{resource: "CustomAttribute", right: write, serve: putCustomAttribute})
	t.add("DELETE", customAttribute, route{resource: "CustomAttribute", right: write, serve: deleteCustomAttribute})
}

// definitionsOf are the definitions as they were given: nothing is added to them, so that what was read can be put again.
func definitionsOf(attributes []model.CustomAttribute) []jsontext.Value {
	out := make([]jsontext.Value, len(attributes))
	for i := range attributes {
		out[i] = attributes[i].Definition
	}
	return out
}

func listCustomAttributes(x *exchange) error {
	// what was read is put back with prune: a short first page would end all other definitions
	w, err := windowOf(x.r.URL.Query(), maxLimit)
	if err != nil {
		return err
	}
	attributes, seen, err := x.api.service.FindCustomAttributes(x.r.Context(), x.env)
	if err != nil {
		return err
	}
	x.seen(seen)
	return list(x, w, definitionsOf(attributes))
}

func putCustomAttributes(x *exchange) error {
	q := x.r.URL.Query()
	prune, err := flag(q, "prune", false)
	if err != nil {
		return err
	}
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	attributes, done, err := x.api.service.PutCustomAttributes(x.r.Context(), x.call, x.env, text, prune)
	if err != nil {
		return err
	}
	x.done(done)
	return x.data(http.StatusOK, definitionsOf(attributes))
}

func getCustomAttribute(x *exchange) error {
	a, err := x.api.service.FindCustomAttribute(x.r.Context(), x.env, x.r.PathValue("key"))
	if err != nil || x.seen(a.Seen) {
		return err
	}
	return x.data(http.StatusOK, jsontext.Value(a.Object.Definition))
}

func putCustomAttribute(x *exchange) error {
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	a, done, err := x.api.service.PutCustomAttribute(x.r.Context(), x.call, x.env, x.r.PathValue("key"), text)
	if err != nil {
		return err
	}
	x.done(done)
	return x.data(putStatus(done), jsontext.Value(a.Object.Definition))
}

func deleteCustomAttribute(x *exchange) error {
	return x.noContent(x.api.service.DeleteCustomAttribute(x.r.Context(), x.call, x.env, x.r.PathValue("key")))
}
