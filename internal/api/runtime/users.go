package runtime

import (
	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
)

// usersCall is a User List request with what only its answer needs.
type usersCall struct {
	decide.UsersRequest
	format     string
	context    valueMap
	show       shownPolicies
	asset      bool
	attributes bool
	echo       bool // of the context
	narrowed   bool // by an assetContext, which is not offered
}

// userList answers the User List call (runtime-api.md 11).
func (x *exchange) userList() error {
	f, err := x.fields()
	if err != nil {
		return err
	}
	req, err := readUsers(f, x.errs)
	if err == nil && req.narrowed {
		err = noAssetContext()
	}
	if err == nil {
		x.recognize("userlist", f, false)
	}
	x.decoded()
	if err != nil {
		return err
	}
	req.Earlier = func(asked *decide.Asked) (*decide.Given, error) {
		found, err := x.again.earlier(asked)
		if found == nil && err == nil {
			err = x.turn()
		}
		return found, err
	}
	answer, err := x.call.Users(x.r.Context(), req.UsersRequest)
	if err != nil {
		return err
	}
	incoming.SetRevision(x.w, x.call)
	x.answered()
	x.again.answered(&answer.Outcome)
	x.writeUsers(req, answer)
	return nil
}

func readUsers(f fields, errs model.Errors) (*usersCall, error) {
	c := &coercer{fields: f, errs: &errs}
	req := &usersCall{
		format:     c.format(),
		show:       c.shownPolicies(),
		asset:      c.flag("includeAsset", false),
		attributes: c.flag("includeIdentityAttributes", false),
		echo:       c.flag("includeContext", false),
		narrowed:   isSent(f["assetContext"]),
	}
	req.context = c.values("contextData")
	req.Primary.Context = req.context.byName()
	c.circumstances(&req.Situation)
	req.Policies, req.Signed = req.show.any(), req.format != formatJSON
	req.Inactive = c.flag("includeInActiveIdentities", false) || c.flag("includeInactiveIdentities", false)
	for _, id := range c.texts("entityTypes") {
		req.Templates = append(req.Templates, model.TemplateID(id))
	}
	n := 0
	c.objects("asset", func(c *coercer) {
		n++
		req.Asset, req.Actions = c.asset(model.TemplateID(c.required("resourceType"))), c.texts("actions")
	}, nil)
	if n != 1 && len(errs) == 0 {
		c.fail("asset", "one is required")
	}
	return req, errs.OrNil()
}

// writeUsers writes the answer (runtime-api.md 11.2).
func (x *exchange) writeUsers(req *usersCall, a *decide.UsersAnswer) {
	d := answerBody{
		validity: a.TokenValidity, name: "access", none: a.Users != nil && a.Users.Len() == 0,
		value: func(s *stream) { s.users(req, a) },
		more: func(s *stream) {
			if !req.asset {
				return
			}
			s.member(`,"asset":{"path":`, req.Asset.Path)
			s.buf = append(s.buf, `,"attributes":`...)
			s.buf = a.AppendAttributes(s.buf)
			s.member(`,"resourceType":`, string(req.Asset.Template))
			s.buf = append(s.buf, '}')
		},
	}
	if req.echo {
		d.context = req.context
	}
	x.write(d, req.format, a.Signature)
}

// users writes an entry for each identity. What entries of one template or of one action list share is made once.
func (s *stream) users(req *usersCall, a *decide.UsersAnswer) {
	s.buf = append(s.buf, '[')
	sets := a.Users.ActionSets()
	encoded := make([][]byte, len(sets))
	var template *model.IdentityTemplate
	var entityType []byte
	begin := `{"entityId":`
	for u := range a.Users.Entries() {
		if id := u.Template(); template == nil || template.ID != id {
			template = a.Template(id)
			entityType = quote([]byte(`,"entityTypeId":`), string(id))
		}
		s.member(begin, u.EntityID())
		begin = `,{"entityId":`
		s.buf = append(s.buf, entityType...)
		if req.attributes {
			i := u.Identity()
			s.identityAttributes(template, &i)
		}
		if encoded[u.Actions] == nil {
			encoded[u.Actions] = append(req.show.appendActions([]byte(`,"actions":`), sets[u.Actions]), '}')
		}
		s.buf = append(s.buf, encoded[u.Actions]...)
		s.full()
	}
	s.buf = append(s.buf, ']')
}
