package manage

import (
	"net/http"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
)

const (
	signingKeys = environment + "/signing-keys"
	signingKey  = signingKeys + "/{keyName}"
)

// addSigningKeys makes the routes of the keys of an environment that sign answers (runtime-api.md 8.6). Who holds a key can
// sign in the name of every scope of the server for those who believe the whole key set: so only the tenant may write one.
func addSigningKeys(t *router) {
	t.add("GET", signingKeys, route{resource: "SigningKey", right: manage.RightRead, serve: listSigningKeys})
	t.add("GET", signingKey, route{resource: "SigningKey", right: manage.RightRead, serve: getSigningKey})
	t.add("PUT", signingKey, route{resource: "SigningKey", right: manage.RightTenant, serve: putSigningKey})
	t.add("DELETE", signingKey, route{resource: "SigningKey", right: manage.RightTenant, serve: deleteSigningKey})
}

type signingKeyBody struct {
	manage.SigningKeyForm `json:",inline"`
	lifeForm              `json:",inline"`
}

func signingKeyOf(k *manage.Stored[model.SigningKey]) signingKeyBody {
	return signingKeyBody{manage.SigningKeyFormOf(&k.Object), life(k.Seen)}
}

func (x *exchange) keyName() string { return x.r.PathValue("keyName") }

// revoke reads whether a key is to be published no more.
func (x *exchange) revoke() (bool, error) {
	text := x.r.URL.Query().Get("revoke")
	if text == "" {
		return false, nil
	}
	return parseBool("revoke", text)
}

func listSigningKeys(x *exchange) error {
	w, err := windowOf(x.r.URL.Query(), defaultLimit)
	if err != nil {
		return err
	}
	keys, seen, err := x.api.service.FindSigningKeys(x.r.Context(), x.env)
	if err != nil {
		return err
	}
	x.seen(seen)
	items := make([]signingKeyBody, len(keys))
	for i := range keys {
		items[i] = signingKeyOf(&keys[i])
	}
	return list(x, w, items)
}

func getSigningKey(x *exchange) error {
	k, err := x.api.service.FindSigningKey(x.r.Context(), x.env, x.keyName())
	if err != nil || x.seen(k.Seen) {
		return err
	}
	return x.data(http.StatusOK, signingKeyOf(&k))
}

func putSigningKey(x *exchange) error {
	revoke, err := x.revoke()
	if err != nil {
		return err
	}
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	k, done, err := x.api.service.PutSigningKey(x.r.Context(), x.call, x.env, x.keyName(), revoke, text)
	if err != nil {
		return err
	}
	x.done(done)
	return x.data(putStatus(done), signingKeyOf(&k))
}

func deleteSigningKey(x *exchange) error {
	revoke, err := x.revoke()
	if err != nil {
		return err
	}
	return x.noContent(x.api.service.DeleteSigningKey(x.r.Context(), x.call, x.env, x.keyName(), revoke))
}
