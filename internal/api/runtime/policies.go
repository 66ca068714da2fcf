package runtime

import (
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// Types of the objects of a Policy List (runtime-api.md 12.1).
const (
	objectIdentity = "Identity"
	objectAsset    = "Asset"
)

// maxObjects is how many objects one Policy List may ask about: each can be answered with every policy.
const maxObjects = 100

// policyList answers the Policy List call (runtime-api.md 12).
func (x *exchange) policyList() error {
	f, err := x.fields()
	if err != nil {
		return err
	}
	objects, narrowed, err := readObjects(f, x.errs)
	if err == nil && narrowed {
		err = noAssetContext()
	}
	x.decoded()
	if err != nil {
		return err
	}
	if err := x.turn(); err != nil {
		return err
	}
	answer, err := x.call.Policies(x.r.Context(), objects)
	if err != nil {
		return err
	}
	incoming.SetRevision(x.w, x.call)
	x.answered()
	s := x.openStream()
	s.buf = append(s.buf, `{"tokenValidity":0,"response":[`...)
	for i := range objects {
		if i > 0 {
			s.buf = append(s.buf, ',')
		}
		s.object(&objects[i], answer, &answer.Objects[i])
	}
	s.buf = append(s.buf, `],"contextData":null}`...)
	x.closeStream(s)
	return nil
}

// readObjects reads what is asked about. narrowed tells that an assetContext, which is not offered, stands anywhere.
func readObjects(f fields, errs model.Errors) (out []decide.PolicyObject, narrowed bool, err error) {
	c := &coercer{fields: f, errs: &errs}
	narrowed = isSent(f["assetContext"])
	if list := f["objects"]; list.Kind() == jsontext.KindBeginArray && len(errs) == 0 {
		n := 0
		for range incoming.Elements(list) {
			if n++; n > maxObjects { // before they are read: a body may hold very many
				c.fail("objects", fmt.Sprintf("more than %d", maxObjects))
				return nil, narrowed, errs
			}
		}
	}
	c.objects("objects", func(c *coercer) {
		o := decide.PolicyObject{Identity: c.choice("type", objectIdentity, objectAsset) == objectIdentity}
		if c.text("type") == "" {
			c.fail("type", "required")
		}
		n := 0
		c.objects("data", func(c *coercer) {
			n++
			narrowed = narrowed || isSent(c.fields["assetContext"])
			c.policyData(&o)
		}, nil)
		if n != 1 {
			c.fail("data", "one is required")
		}
		out = append(out, o)
	}, nil)
	if len(errs) == 0 && len(out) == 0 {
		c.fail("objects", "required, and not empty")
	}
	return out, narrowed, errs.OrNil()
}

// policyData reads the data of an object.
func (c *coercer) policyData(o *decide.PolicyObject) {
	o.Situation, _ = c.situation()
	n := 0
	c.objects("asset", func(c *coercer) {
		n++
		a := c.asset(model.TemplateID(c.required("resourceType")))
		if !o.Identity {
			c.required("path")
		}
		o.Asset, o.Actions = &a, c.texts("actions")
	}, nil)
	if n > 1 || n == 0 && !o.Identity {
		c.fail("asset", "one is required")
	}
}

// object writes the element of one object (runtime-api.md 12.3).
func (s *stream) object(o *decide.PolicyObject, a *decide.PolicyListAnswer, found *decide.ObjectPolicies) {
	if o.Identity {
		s.member(`{"type":"Identity","entityId":`, found.Identity.EntityID)
		s.member(`,"entityTypeId":`, string(found.Identity.Template.ID))
	} else {
		s.member(`{"type":"Asset","asset":{"path":`, o.Asset.Path)
		s.member(`,"resourceType":`, string(o.Asset.Template))
		s.buf = append(s.buf, '}')
	}
	s.buf = append(s.buf, `,"policies":[`...)
	for i := range found.Policies {
		if i > 0 {
			s.buf = append(s.buf, ',')
		}
		s.concern(&found.Policies[i], a.CustomValues(found.Policies[i].Policy))
		s.full()
	}
	s.buf = append(s.buf, `]}`...)
}

func (s *stream) concern(c *engine.Concern, custom []model.CustomValue) {
	p := c.Policy
	description, access := "", "Allow"
	if p.Description != nil {
		description = *p.Description
	}
	if p.Access == model.Restrict {
		access = "Restrict"
	}
	s.member(`{"permission":`, p.Name)
	s.member(`,"permissionId":`, string(p.ID))
	s.member(`,"description":`, description)
	s.member(`,"accessType":`, access)
	s.buf = append(s.buf, `,"state":"Active","resourceTypes":[`...)
	for i, t := range c.Types() {
		if i > 0 {
			s.buf = append(s.buf, ',')
		}
		s.member(`{"name":`, string(t.Template))
		names := make([]string, len(t.Actions))
		for j, action := range t.Actions {
			names[j] = action.Value
		}
		s.buf = append(s.buf, `,"actions":`...)
		s.list(names)
		s.buf = append(s.buf, '}')
	}
	s.buf = append(s.buf, `],"conditions":[`...)
	for i, state := range c.Conditions {
		if i > 0 {
			s.buf = append(s.buf, ',')
		}
		s.member(`{"name":`, state.Name)
		s.member(`,"kind":`, string(state.Kind))
		s.buf = fmt.Appendf(s.buf, `,"met":%t}`, state.Met)
	}
	s.buf = append(s.buf, `],"customAttributes":{`...)
	for i, v := range custom {
		if i > 0 {
			s.buf = append(s.buf, ',')
		}
		s.buf = quote(s.buf, v.Key)
		s.buf = append(s.buf, ':')
		texts := make([]string, len(v.Values))
		for j, value := range v.Values {
			texts[j] = value.Text
		}
		s.list(texts)
	}
	s.buf = append(s.buf, `}}`...)
}
