package manage

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
)

// MG-57, RT-116, RT-117: cache invalidation needs ADMIN and one of its fields, and answers 204.
func TestInvalidation(t *testing.T) {
	w := newWorld(t)
	identity, response := caches+"/identity/"+envID+"/invalidate", caches+"/response/"+envID+"/invalidate"
	for _, body := range []string{`{"identityTemplate":"User"}`, `{"identityId":"iris"}`, `{"identityTemplate":"User","identitySourceId":"s"}`, `{"identityId":"iris","sourceId":"s"}`, `{"identityId":"nobody","attributeSourceId":"s"}`} {
		w.do("admin", "POST", identity, body).want(t, 204)
		w.do("tenant", "POST", identity, body).want(t, 204)
		w.do("viewer", "POST", identity, body).want(t, 403, `{"errors":[{"code":"MGT-005"`)
	}
	for _, body := range []string{``, `{}`, `{"identitySourceId":"s"}`, `{"identityId":1}`, `{`, `[]`} {
		w.do("admin", "POST", identity, body).want(t, 400, `{"errors":[{"code":`)
	}
	for _, body := range []string{`{}`, `{"clientId":"C"}`, `{"clientId":["C","D"]}`, `{"clientIds":["C"],"entityId":"iris"}`, `{"identityId":"iris"}`} {
		w.do("admin", "POST", response, body).want(t, 204)
		w.do("viewer", "POST", response, body).want(t, 403)
	}
	for _, body := range []string{``, `{"clientId":7}`, `{"clientId":[7]}`, `{"clientId":""}`, `x`} {
		w.do("admin", "POST", response, body).want(t, 400)
	}
	w.do("", "POST", response, `{}`).want(t, 401)
	w.do("admin", "POST", caches+"/response/"+otherID+"/invalidate", `{}`).want(t, 403)
	w.do("tenant", "POST", caches+"/response/"+goneID+"/invalidate", `{}`).want(t, 404)
	w.do("tenant", "POST", caches+"/response/x/invalidate", `{}`).want(t, 422)
	a := w.do("admin", "POST", response+"?dryRun=true", `{}`).want(t, 204)
	if a.Header.Get("Ambit-Dry-Run") != "true" || a.Header.Get("Ambit-Revision") != "1" {
		t.Errorf("headers %v", a.Header)
	}
	w.do("admin", "GET", auditPath+"/"+envID+"?filter[action][eq]=INVALIDATE&limit=1", "").want(t, 200, `"total":15,`, `"resourceName":"response cache"`, `"before":null,"after":"{\"identityId\":\"iris\"}"`)
}

// RT-117: what is dropped is told with its scopes and identities before the call is answered; a call that is refused, or a
// trial, drops nothing.
func TestInvalidationDrops(t *testing.T) {
	w := newWorld(t)
	var dropped []string
	options := w.options
	options.DropResponses = func(env model.EnvironmentID, clients []model.ClientID, identities []string) {
		dropped = append(dropped, fmt.Sprint(env == envID, clients, identities))
	}
	service := manage.New(options)
	defer service.Close()
	w.handler = Handler(Options{Service: service, Log: slog.New(slog.DiscardHandler), TempDir: t.TempDir()})
	response := caches + "/response/" + envID + "/invalidate"
	for body, want := range map[string]string{
		`{}`:                                 "true [] []",
		`{"clientId":"C"}`:                   "true [C] []",
		`{"clientIds":["C","D"]}`:            "true [C D] []",
		`{"identityId":"iris"}`:              "true [] [iris]",
		`{"clientId":"C","entityId":"iris"}`: "true [C] [iris]",
	} {
		dropped = nil
		w.do("admin", "POST", response, body).want(t, 204)
		if len(dropped) != 1 || dropped[0] != want {
			t.Errorf("%s drops %q, want %s", body, dropped, want)
		}
	}
	dropped = nil
	w.do("viewer", "POST", response, `{}`).want(t, 403)
	w.do("admin", "POST", response, ``).want(t, 400)
	w.do("admin", "POST", response+"?dryRun=true", `{}`).want(t, 204)
	w.do("admin", "POST", caches+"/identity/"+envID+"/invalidate", `{"identityId":"iris"}`).want(t, 204)
	if dropped != nil {
		t.Errorf("dropped %q", dropped)
	}
}
