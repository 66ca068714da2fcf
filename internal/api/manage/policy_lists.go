package manage

import (
	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
)

const (
	applicationList = "/policy-mgmt/1.0/applications/{envId}"
	policyList      = "/policy-mgmt/1.0/policies/{envId}"
)

func addPolicyLists(t *router) {
	t.add("GET", applicationList, route{resource: "Application", right: manage.RightRead, serve: listApplications})
	t.add("GET", policyList, route{resource: resourcePolicy, right: manage.RightRead, serve: listPolicies})
}

// applicationItem is an item of management-api.md 14.2; the last three keys are those of detailed lists.
type applicationItem struct {
	ID               model.ApplicationID `json:"id"`
	Name             string              `json:"name"`
	AuthWsID         model.WorkspaceID   `json:"authWsId"`
	Description      *string             `json:"description,omitzero"`
	ColorIndication  *string             `json:"colorIndication,omitzero"`
	AssetTemplateIDs []model.TemplateID  `json:"assetTemplateIds,omitzero"`
}

func listApplications(x *exchange) error {
	w, detailed, err := x.detailedWindow()
	if err != nil {
		return err
	}
	apps, revision, err := x.api.service.FindApplications(x.r.Context(), x.env)
	if err != nil {
		return err
	}
	items := make([]applicationItem, len(apps))
	for i := range apps {
		a := &apps[i]
		items[i] = applicationItem{ID: a.ID, Name: a.DisplayName, AuthWsID: a.WorkspaceID}
		if !detailed {
			continue
		}
		items[i].Description, items[i].AssetTemplateIDs = a.Description, a.AssetTemplateIDs
		if a.ColorIndication != "" {
			items[i].ColorIndication = &a.ColorIndication
		}
		if a.AssetTemplateIDs == nil {
			items[i].AssetTemplateIDs = []model.TemplateID{}
		}
	}
	x.revision(revision)
	return list(x, w, items)
}

type policyItem struct {
	ID         model.PolicyID `json:"id"`
	Name       string         `json:"name"`
	State      string         `json:"state"`
	AccessType model.Access   `json:"accessType"`
}

func listPolicies(x *exchange) error {
	q := x.r.URL.Query()
	w, err := windowOf(q, defaultLimit)
	if err != nil {
		return err
	}
	app := q.Get("filter[appId]")
	if app == "" {
		return model.MissingParameter("filter[appId]")
	}
	found, err := x.api.service.PoliciesOf(x.r.Context(), x.env, model.ApplicationID(app), w.offset, w.limit)
	if err != nil {
		return err
	}
	items := make([]policyItem, len(found.Items))
	for i := range found.Items {
		p := &found.Items[i].Policy
		items[i] = policyItem{p.ID, p.Name, stateOf(p), p.Access}
	}
	x.revision(found.Revision)
	return page(x, w, found.Total, items)
}
