package manage

import (
	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
)

// The calls of the console that public tools use (management-api.md 14.4).
const (
	consoleEnvironments            = "/env-mgmt/environment"
	consoleAuthorizationWorkspaces = "/env-mgmt/1.0-int.1/authorization-workspaces/{envId}"
	consoleIdentityWorkspaces      = "/env-mgmt/1.0/identity-workspaces/{envId}"
	consoleAssetTypes              = "/internal-assets/4.0/asset-types"
)

// consoleLimit is how many items a page has that does not say.
const consoleLimit = 100

func addConsole(t *router) {
	t.add("GET", consoleEnvironments, route{resource: "Environment", anyone: true, serve: consoleListEnvironments})
	t.add("GET", consoleAuthorizationWorkspaces, route{resource: "AuthorizationWorkspace", right: manage.RightRead, serve: consoleListAuthorizationWorkspaces})
	t.add("GET", consoleIdentityWorkspaces, route{resource: "IdentityWorkspace", right: manage.RightRead, serve: consoleListIdentityWorkspaces})
	t.add("GET", consoleAssetTypes, route{resource: "AssetTemplate", anyone: true, serve: consoleListAssetTypes})
}

type consoleItem struct {
	ID                 string           `json:"id"`
	Name               string           `json:"name"`
	IdentityTemplateID model.TemplateID `json:"identityTemplateId,omitzero"`
}

// consoleListEnvironments: callers ask for all environments at once, so a page holds as many as it may.
func consoleListEnvironments(x *exchange) error {
	w, err := windowOf(x.r.URL.Query(), maxLimit)
	if err != nil {
		return err
	}
	found, revision, err := x.api.service.VisibleEnvironments(x.r.Context(), &x.caller)
	if err != nil {
		return err
	}
	x.revision(revision)
	items := make([]consoleItem, len(found))
	for i := range found {
		items[i] = consoleItem{ID: string(found[i].ID), Name: found[i].Name}
	}
	return list(x, w, items)
}

func consoleListAuthorizationWorkspaces(x *exchange) error {
	w, err := windowOf(x.r.URL.Query(), consoleLimit)
	if err != nil {
		return err
	}
	found, seen, err := x.api.service.FindAuthorizationWorkspaces(x.r.Context(), x.env, "")
	if err != nil {
		return err
	}
	return listStored(x, w, found, seen, func(ws *manage.Stored[model.AuthorizationWorkspace]) consoleItem {
		return consoleItem{ID: string(ws.Object.ID), Name: ws.Object.Name}
	})
}

func consoleListIdentityWorkspaces(x *exchange) error {
	w, err := windowOf(x.r.URL.Query(), consoleLimit)
	if err != nil {
		return err
	}
	found, seen, err := x.api.service.FindIdentityWorkspaces(x.r.Context(), x.env, "")
	if err != nil {
		return err
	}
	return listStored(x, w, found, seen, func(ws *manage.Stored[model.IdentityWorkspace]) consoleItem {
		return consoleItem{string(ws.Object.ID), ws.Object.Name, ws.Object.TemplateID}
	})
}

type assetTypeItem struct {
	ID          string            `json:"id"`
	ExternalID  model.TemplateID  `json:"externalId"`
	Name        string            `json:"name"`
	Description *string           `json:"description"`
	OwnerID     model.WorkspaceID `json:"ownerId"`
}

func consoleListAssetTypes(x *exchange) error {
	q := x.r.URL.Query()
	w, err := windowOf(q, consoleLimit)
	if err != nil {
		return err
	}
	owner, err := uuidOf(q, "filter[ownerId]")
	if err != nil {
		return err
	}
	found, revision, err := x.api.service.AssetTypesOf(x.r.Context(), &x.caller, model.WorkspaceID(owner))
	if err != nil {
		return err
	}
	x.revision(revision)
	items := make([]assetTypeItem, len(found))
	for i := range found {
		t := &found[i]
		items[i] = assetTypeItem{t.UUID, t.ID, t.DisplayName, t.Description, t.WorkspaceID}
	}
	return list(x, w, items)
}
