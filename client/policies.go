package client

import (
	"context"
	"errors"
)

// PolicyList says which policies concern what was asked about (runtime-api.md 12). It is for explanations, not for
// decisions: conditions are shown and leave nothing out.
type PolicyList struct {
	Meta
	// Objects come in the order of the question.
	Objects []Concerned
}

// Concerned is one object with its policies, by id.
type Concerned struct {
	// Identity was asked about, or Asset, alone or with it.
	Identity Identity
	Asset    Asset
	Policies []Policy
}

// Policy is one that concerns an object.
type Policy struct {
	Name, ID, Description string
	// AccessType is Allow or Restrict.
	AccessType string
	// Types are the asset types of the policy that the scope reaches, with the actions it is about.
	Types []ResourceType
	// Conditions are those of time, address and request, with their present state.
	Conditions []PolicyCondition
	// Custom are its custom attributes.
	Custom map[string][]string
}

// PolicyCondition is a condition of a policy and whether it holds now.
type PolicyCondition struct {
	Name, Kind string
	Met        bool
}

type policiesRequest struct {
	Objects []policyObject `json:"objects"`
}

type policyObject struct {
	Type string     `json:"type"`
	Data policyData `json:"data"`
}

type policyData struct {
	Identity
	situation
	Asset *askedAsset `json:"asset,omitempty"`
}

// Policies asks for the policies that concern an identity, one on each of Query.Assets, or, where Query.Identity is empty,
// whoever asks for each of Query.Assets.
func (c *Client) Policies(ctx context.Context, q Query) (*PolicyList, error) {
	if q.Types != nil || q.Additional != nil {
		return nil, errors.New("ambit: Types and Additional are no part of this question")
	}
	kind := "Identity"
	if q.Identity.ID == "" && q.Identity.Token == "" {
		kind = "Asset"
	}
	var request policiesRequest
	data := policyData{Identity: q.Identity, situation: q.situation()}
	for _, a := range q.Assets {
		data.Asset = &askedAsset{Type: a.Type, Path: a.Path, Attributes: a.Attributes}
		request.Objects = append(request.Objects, policyObject{Type: kind, Data: data})
	}
	if kind == "Identity" && q.Assets == nil {
		request.Objects = []policyObject{{Type: kind, Data: data}}
	}
	if len(request.Objects) == 0 {
		return nil, errors.New("ambit: Policies was asked about nothing")
	}
	list := &PolicyList{}
	err := c.ask(ctx, question{path: "policies/v3", query: &q, request: request}, func(m Meta, r reader) error {
		list.Meta = m
		err := r.response(func() error {
			n := len(list.Objects)
			if n == len(request.Objects) {
				return malformed("more objects than asked about")
			}
			list.Objects = append(list.Objects, Concerned{Identity: q.Identity})
			o := &list.Objects[n]
			if q.Assets != nil {
				o.Asset = q.Assets[n]
			}
			return r.concerned(kind, o)
		})
		if err == nil && len(list.Objects) != len(request.Objects) {
			err = malformed("fewer objects than asked about")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

func (r reader) concerned(want string, o *Concerned) error {
	kind, listed := "", false
	err := r.object(func(name string) (err error) {
		switch name {
		case "type":
			kind, err = r.text()
		case "policies":
			listed = true
			err = r.array(func() error {
				p, err := r.policy()
				o.Policies = append(o.Policies, p)
				return err
			})
		default:
			err = r.skip()
		}
		return err
	})
	if err == nil && (kind != want || !listed) {
		err = malformed("an object that was not asked about")
	}
	return err
}

func (r reader) policy() (Policy, error) {
	var p Policy
	err := r.object(func(name string) (err error) {
		switch name {
		case "permission":
			p.Name, err = r.text()
		case "permissionId":
			p.ID, err = r.text()
		case "description":
			p.Description, err = r.text()
		case "accessType":
			p.AccessType, err = r.text()
		case "resourceTypes":
			err = r.array(func() error {
				t, err := r.policyType()
				p.Types = append(p.Types, t)
				return err
			})
		case "conditions":
			err = r.array(func() error {
				condition, err := r.policyCondition()
				p.Conditions = append(p.Conditions, condition)
				return err
			})
		case "customAttributes":
			p.Custom, err = r.values()
		default:
			err = r.skip()
		}
		return err
	})
	if err == nil && (p.ID == "" || p.AccessType != "Allow" && p.AccessType != "Restrict") {
		err = malformed("a policy without id or access type")
	}
	return p, err
}

func (r reader) policyType() (ResourceType, error) {
	var t ResourceType
	err := r.object(func(name string) (err error) {
		switch name {
		case "name":
			t.Name, err = r.text()
		case "actions":
			t.Actions, err = r.texts()
		default:
			err = r.skip()
		}
		return err
	})
	return t, err
}

func (r reader) policyCondition() (PolicyCondition, error) {
	var c PolicyCondition
	err := r.object(func(name string) (err error) {
		switch name {
		case "name":
			c.Name, err = r.text()
		case "kind":
			c.Kind, err = r.text()
		case "met":
			c.Met, err = r.bool()
		default:
			err = r.skip()
		}
		return err
	})
	return c, err
}
