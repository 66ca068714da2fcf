package manage

import (
	"net/http"
	"net/url"
	"time"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
)

type scopeBody struct {
	form.Scope `json:",inline"`
	Incomplete bool `json:"incomplete,omitzero"`
	lifeForm   `json:",inline"`
}

// newScopeBody is the one answer that shows a secret.
type newScopeBody struct {
	scopeBody `json:",inline"`
	Secret    *string `json:"secret"`
}

func scopeOf(v *manage.ScopeView) scopeBody {
	return scopeBody{Scope: v.Form(), Incomplete: v.Incomplete(), lifeForm: life(v.Seen)}
}

func (x *exchange) clientID() model.ClientID { return model.ClientID(x.r.PathValue("clientId")) }

func listScopes(x *exchange) error {
	q := x.r.URL.Query()
	w, err := windowOf(q, defaultLimit)
	if err != nil {
		return err
	}
	views, seen, err := x.api.service.FindScopes(x.r.Context(), x.env, q.Get("filter[name]"),
		model.ApplicationID(q.Get("filter[applicationId]")))
	if err != nil {
		return err
	}
	x.seen(seen)
	items := make([]scopeBody, len(views))
	for i := range views {
		items[i] = scopeOf(&views[i])
	}
	return list(x, w, items)
}

func createScope(x *exchange) error {
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	v, secret, err := x.api.service.CreateScope(x.r.Context(), x.call, x.env, text)
	if err != nil {
		return err
	}
	out := newScopeBody{scopeBody: scopeOf(&v)}
	if secret != "" {
		out.Secret = &secret
	}
	if out.ClientID != nil {
		x.w.Header().Set("Location", environments+"/"+string(x.env)+"/scopes/"+url.PathEscape(*out.ClientID))
	}
	x.done(manage.Done{Result: manage.Created, Revision: v.Seen.Revision, Version: v.Seen.Version})
	return x.data(http.StatusCreated, out)
}

func getScope(x *exchange) error {
	v, err := x.api.service.FindScope(x.r.Context(), x.env, x.clientID())
	if err != nil || x.seen(v.Seen) {
		return err
	}
	return x.data(http.StatusOK, scopeOf(&v))
}

func putScope(x *exchange) error {
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	v, done, err := x.api.service.PutScope(x.r.Context(), x.call, x.env, x.clientID(), text)
	return changedScope(x, v, done, err)
}

func patchScope(x *exchange) error {
	text, err := x.readJSON(mergePatch)
	if err != nil {
		return err
	}
	v, done, err := x.api.service.PatchScope(x.r.Context(), x.call, x.env, x.clientID(), text)
	return changedScope(x, v, done, err)
}

func changedScope(x *exchange, v manage.ScopeView, done manage.Done, err error) error {
	if err != nil {
		return err
	}
	x.done(done)
	return x.data(putStatus(done), scopeOf(&v))
}

// putStatus is 201 for what a PUT made, else 200.
func putStatus(done manage.Done) int {
	if done.Result == manage.Created {
		return http.StatusCreated
	}
	return http.StatusOK
}

func deleteScope(x *exchange) error {
	return x.noContent(x.api.service.DeleteScope(x.r.Context(), x.call, x.env, x.clientID()))
}

type secretBody struct {
	ID        *string `json:"id"`
	CreatedAt *string `json:"createdAt"`
	ExpiresAt *string `json:"expiresAt"`
	// LastUsedAt is always null: every write takes a revision, so that a decision would change what it was made at.
	LastUsedAt *string `json:"lastUsedAt"`
}

func secretOf(v *manage.SecretView) secretBody {
	var out secretBody
	if v.ID != "" {
		out.ID = &v.ID
	}
	for text, at := range map[**string]time.Time{&out.CreatedAt: v.CreatedAt, &out.ExpiresAt: v.ExpiresAt} {
		if s := stamp(at); s != "" {
			*text = &s
		}
	}
	return out
}

func listSecrets(x *exchange) error {
	w, err := windowOf(x.r.URL.Query(), defaultLimit)
	if err != nil {
		return err
	}
	views, seen, err := x.api.service.FindScopeSecrets(x.r.Context(), x.env, x.clientID())
	if err != nil || x.seen(seen) {
		return err
	}
	items := make([]secretBody, len(views))
	for i := range views {
		items[i] = secretOf(&views[i])
	}
	return list(x, w, items)
}

// maxExpireOld keeps an old secret alive for at most a year.
const maxExpireOld = 366 * 24 * 3600

func makeSecret(x *exchange) error {
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	var f struct {
		ExpireOldAfterSeconds int64 `json:"expireOldAfterSeconds"`
	}
	if len(text) > 0 {
		if err := form.Decode(text, &f); err != nil {
			return err
		}
	}
	if f.ExpireOldAfterSeconds < 0 || f.ExpireOldAfterSeconds > maxExpireOld {
		return model.InvalidParameter("expireOldAfterSeconds", "it is not between 0 and %d", maxExpireOld)
	}
	secret, view, done, err := x.api.service.MakeScopeSecret(x.r.Context(), x.call, x.env, x.clientID(),
		time.Duration(f.ExpireOldAfterSeconds)*time.Second)
	if err != nil {
		return err
	}
	out := struct {
		secretBody `json:",inline"`
		Secret     *string `json:"secret"`
	}{secretBody: secretOf(&view)}
	if secret != "" {
		out.Secret = &secret
	}
	x.done(done)
	return x.data(http.StatusCreated, out)
}

func deleteSecret(x *exchange) error {
	return x.noContent(x.api.service.DeleteScopeSecret(x.r.Context(), x.call, x.env, x.clientID(), x.r.PathValue("secretId")))
}

func linkApplication(x *exchange) error {
	return x.noContent(x.api.service.LinkApplication(x.r.Context(), x.call, x.env, x.clientID(),
		model.ApplicationID(x.r.PathValue("appId")), true))
}

func unlinkApplication(x *exchange) error {
	return x.noContent(x.api.service.LinkApplication(x.r.Context(), x.call, x.env, x.clientID(),
		model.ApplicationID(x.r.PathValue("appId")), false))
}
