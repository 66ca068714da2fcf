package manage

import (
	"net/http"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
)

type matcherBody struct {
	form.Matcher `json:",inline"`
	lifeForm     `json:",inline"`
}

// matcherOf is a matcher with the life of its workspace, of which it is a part.
func matcherOf(m *manage.Stored[model.Matcher]) matcherBody {
	return matcherBody{form.OfMatcher(&m.Object), life(m.Seen)}
}

func getMatcher(x *exchange) error {
	found, err := x.api.service.FindMatcher(x.r.Context(), x.env, x.identityWsID())
	if err != nil || x.seen(found.Seen) {
		return err
	}
	return x.data(http.StatusOK, matcherOf(&found))
}

func putMatcher(x *exchange) error {
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	stored, done, err := x.api.service.PutMatcher(x.r.Context(), x.call, x.env, x.identityWsID(), text)
	return changed(x, stored, done, err, matcherOf)
}

func deleteMatcher(x *exchange) error {
	return x.noContent(x.api.service.DeleteMatcher(x.r.Context(), x.call, x.env, x.identityWsID()))
}
