package manage

import (
	"context"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
)

const caches = "/api/1.0/runtime/caches"

// addInvalidation makes the routes that drop what is cached (management-api.md 14.5).
func addInvalidation(t *router) {
	service := t.api.service
	t.add("POST", caches+"/identity/{envId}/invalidate", route{resource: "Cache", right: manage.RightWrite, serve: invalidate(service.InvalidateIdentities)})
	t.add("POST", caches+"/response/{envId}/invalidate", route{resource: "Cache", right: manage.RightWrite, serve: invalidate(service.InvalidateResponses)})
}

func invalidate(drop func(context.Context, manage.Call, model.EnvironmentID, []byte) (manage.Done, error)) func(*exchange) error {
	return func(x *exchange) error {
		text, err := x.readJSON()
		if err != nil {
			return err
		}
		return x.noContent(drop(x.r.Context(), x.call, x.env, text))
	}
}
