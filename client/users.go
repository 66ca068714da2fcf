package client

import (
	"context"
	"errors"
)

// UserList is everybody who may use an asset (runtime-api.md 11).
type UserList struct {
	Meta
	// Users come by template, then in the order of the directory.
	Users []User
}

// User is an identity with the actions that it may use.
type User struct {
	ID, Template string
	// Attributes are there only when asked for.
	Attributes map[string][]string
	Actions    []Action
}

type usersRequest struct {
	situation
	Context    map[string][]string `json:"contextData,omitempty"`
	Templates  []string            `json:"entityTypes,omitempty"`
	Asset      askedAsset          `json:"asset"`
	Attributes bool                `json:"includeIdentityAttributes"`
	Policy     bool                `json:"includeAccessPolicy"`
	PolicyID   bool                `json:"includeAccessPolicyId"`
}

type askedAsset struct {
	Type       string              `json:"resourceType"`
	Path       string              `json:"path,omitempty"`
	Actions    []string            `json:"actions,omitempty"`
	Attributes map[string][]string `json:"assetAttributes,omitempty"`
}

// Users asks who may use a resource. Of Query.Identity, Template narrows the answer to one kind of identity and Context
// counts for each of them; it has no ID. The list is complete, or there is an error.
func (c *Client) Users(ctx context.Context, q Query, resource Resource) (*UserList, error) {
	if err := q.unlisted(); err != nil {
		return nil, err
	}
	who := q.Identity
	if who.ID != "" || who.Token != "" || who.Attributes != nil || q.Additional != nil {
		return nil, errors.New("ambit: Users is about everybody: Identity has a Template and a Context only")
	}
	request := usersRequest{
		situation: q.situation(), Context: who.Context, Attributes: q.Attributes, Policy: q.Policies, PolicyID: q.Policies,
		Asset: askedAsset{Type: resource.Type, Path: resource.Path, Attributes: resource.Attributes},
	}
	if who.Template != "" {
		request.Templates = []string{who.Template}
	}
	if resource.Action != "" {
		request.Asset.Actions = []string{resource.Action}
	}
	list := &UserList{}
	err := c.ask(ctx, question{path: "userlist/v3", query: &q, request: request}, func(m Meta, r reader) error {
		list.Meta = m
		return r.access(func() error {
			u, err := r.user()
			list.Users = append(list.Users, u)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

func (r reader) user() (User, error) {
	var u User
	acts := false
	err := r.object(func(name string) (err error) {
		switch name {
		case "entityId":
			u.ID, err = r.text()
		case "entityTypeId":
			u.Template, err = r.text()
		case "attributes":
			u.Attributes, err = r.values()
		case "actions":
			acts = true
			u.Actions, err = r.actions()
		default:
			err = r.skip()
		}
		return err
	})
	if err == nil && (u.ID == "" || u.Template == "" || !acts) {
		err = malformed("a user without id, template or actions")
	}
	return u, err
}
