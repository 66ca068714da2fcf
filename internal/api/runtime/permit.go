package runtime

import (
	"maps"
	"slices"

	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// permitCall is a Permit/Deny request with what only its answer needs.
type permitCall struct {
	decide.PermitRequest
	context    valueMap
	show       shownPolicies
	details    bool
	reasons    bool
	identity   bool
	attributes bool
	echo       bool // of the context
	narrowed   bool // by an assetContext, which is not offered
}

// permit answers the Permit/Deny call (runtime-api.md 9).
func (x *exchange) permit() error {
	f, err := x.fields()
	if err != nil {
		return err
	}
	req, err := readPermit(f, x.errs)
	if err == nil && req.narrowed {
		err = noAssetContext()
	}
	if err == nil {
		x.recognize("permit-deny", f, false)
		req.Earlier = x.again.finder()
	}
	x.decoded()
	if err != nil {
		return err
	}
	answer, err := x.call.Permit(x.r.Context(), req.PermitRequest)
	if err != nil {
		return err
	}
	incoming.SetRevision(x.w, x.call)
	x.answered()
	x.again.answered(&answer.Outcome)
	req.PermitRequest = decide.PermitRequest{}
	x.writePermit(req, answer)
	return nil
}

func readPermit(f fields, errs model.Errors) (*permitCall, error) {
	c := &coercer{fields: f, errs: &errs}
	req := c.permitFlags()
	lists := 0
	c.objects("listOfResources", func(c *coercer) {
		lists++
		template := model.TemplateID(c.required("resourceType"))
		before, failed := len(req.Resources), len(*c.errs)
		c.objects("resources", func(c *coercer) {
			req.Resources = append(req.Resources, decide.ResourceClaim{AssetClaim: c.asset(template), Action: c.text("action")})
		}, nil)
		if len(req.Resources) == before && len(*c.errs) == failed {
			c.fail("resources", "required, and not empty")
		}
	}, nil)
	if lists == 0 && len(errs) == 0 {
		c.fail("listOfResources", "required, and not empty")
	}
	return &req, errs.OrNil()
}

// permitFlags reads what the forms of Permit/Deny have in common: all but what is asked about.
func (c *coercer) permitFlags() permitCall {
	req := permitCall{
		show:       c.shownPolicies(),
		details:    c.flag("includeDetails", false),
		reasons:    c.flag("includeDenyReason", false),
		identity:   c.flag("includeIdentity", false),
		attributes: c.flag("includeAssetAttributes", false),
		echo:       c.flag("includeContext", false),
		narrowed:   isSent(c.fields["assetContext"]),
	}
	req.Situation, req.context = c.situation()
	return req
}

// Lists of the member response; every pair that is not allowed is in one of the last two.
const (
	listAllowed = iota
	listDenied
	listNotApplicable
)

// listOf says where a pair goes (runtime-api.md 9.4).
func listOf(d *engine.Decision) int {
	switch {
	case d.Allowed:
		return listAllowed
	case d.Reason == engine.ReasonNotInScope || d.Reason == engine.ReasonNoSuchAction || d.Reason == engine.ReasonNoPolicy:
		return listNotApplicable
	}
	return listDenied
}

// writePermit writes the answer (runtime-api.md 9.3).
func (x *exchange) writePermit(req *permitCall, a *decide.PermitAnswer) {
	if body := x.again.ready(); body != nil {
		x.replay(body)
		return
	}
	s := x.openStream()
	s.keep(x.again.keeping())
	s.buf = append(s.buf, '{')
	s.verdict(req, a)
	s.buf = append(s.buf, '}')
	x.closeStream(s)
}

// verdict writes the members of an answer.
func (s *stream) verdict(req *permitCall, a *decide.PermitAnswer) {
	verdict := `"result":"DENY"`
	if a.Permitted() {
		verdict = `"result":"PERMIT"`
	}
	s.buf = append(s.buf, verdict...)
	if req.reasons && !a.Permitted() {
		s.buf = append(s.buf, `,"reason":`...)
		s.list(reasonsOf(a.Pairs))
	}
	if req.details {
		s.buf = append(s.buf, `,"response":[{`...)
		for list, name := range []string{`"allowed":[`, `],"denied":[`, `],"not_applicable":[`} {
			s.buf = append(s.buf, name...)
			s.pairs(req, a, list)
		}
		s.buf = append(s.buf, `]}]`...)
	}
	if req.identity {
		s.identities(a.Identities)
	}
	if req.echo {
		s.context(req.context)
	}
}

// reasonsOf are the codes of all pairs that are not allowed, each once, ascending.
func reasonsOf(pairs []decide.Pair) []string {
	codes := map[string]bool{}
	for i := range pairs {
		if d := &pairs[i].Decision; !d.Allowed {
			codes[d.Reason] = true
		}
	}
	return slices.Sorted(maps.Keys(codes))
}

// pairs writes the entries of one list in the order of the request.
func (s *stream) pairs(req *permitCall, a *decide.PermitAnswer, list int) {
	first := true
	for i := range a.Pairs {
		p := &a.Pairs[i]
		if listOf(&p.Decision) != list {
			continue
		}
		if !first {
			s.buf = append(s.buf, ',')
		}
		first = false
		s.member(`{"path":`, p.Path)
		s.member(`,"action":`, p.Action)
		s.member(`,"template":`, string(p.Template))
		switch {
		case list != listAllowed && req.reasons:
			s.member(`,"reason":`, p.Decision.Reason)
		case list == listAllowed:
			s.extras(req, a, p)
		}
		s.buf = append(s.buf, '}')
		s.full()
	}
}

// extras writes what was asked for of an allowed pair: the first granting policy by id, and the attributes.
func (s *stream) extras(req *permitCall, a *decide.PermitAnswer, p *decide.Pair) {
	if granting := p.Decision.Policies; len(granting) > 0 {
		s.buf = req.show.appendRef(s.buf, granting[0])
	}
	if req.attributes {
		s.buf = append(s.buf, `,"attributes":`...)
		s.buf = a.AppendAttributes(s.buf, p)
	}
}
