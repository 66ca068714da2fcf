package runtime

import (
	"maps"
	"time"

	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
)

// explain answers the Explain call: why pairs are allowed or not or, when the request names none, by what every entry of the
// list is allowed (docs/explain.md). It takes the bodies of Permit/Deny and of the User Access Token.
func (x *exchange) explain() error {
	x.call.AllowSimulation()
	f, err := x.fields()
	if err != nil {
		return err
	}
	req, err := readExplain(f, x.errs)
	x.decoded()
	if err != nil {
		return err
	}
	if err := x.turn(); err != nil {
		return err
	}
	answer, err := x.call.Explain(x.r.Context(), *req)
	if err != nil {
		return err
	}
	x.answered()
	incoming.SetRevision(x.w, x.call)
	*req = decide.ExplainRequest{}
	s := x.openStream()
	s.explanationHead(answer)
	if answer.Access == nil {
		s.explanations(answer)
	} else {
		s.explainedList(answer)
	}
	s.buf = append(s.buf, '}')
	x.closeStream(s)
	return nil
}

// maxOffset is how far from UTC a time zone is (README ruling 2).
const maxOffset = 14 * time.Hour

func readExplain(f fields, errs model.Errors) (*decide.ExplainRequest, error) {
	c := &coercer{fields: f, errs: &errs}
	req := &decide.ExplainRequest{}
	if text := c.text("at"); text != "" {
		at, err := time.Parse(time.RFC3339, text)
		_, seconds := at.Zone()
		if err != nil || at.IsZero() || at.UTC().Year() < 1 || at.UTC().Year() > 9999 || (time.Duration(seconds)*time.Second).Abs() > maxOffset {
			c.fail("at", "must be a time like 2026-07-06T09:30:00+02:00")
		}
		req.At = at
	}
	_, stated := f["timeZoneOffset"]
	req.AtOffset = !stated
	_, pairs := f["listOfResources"]
	if _, list := f["assetList"]; pairs && list {
		c.fail("assetList", "not together with listOfResources")
	}
	var narrowed bool
	if req.Pairs = pairs; pairs {
		permit, err := readPermit(f, errs)
		if err != nil {
			return nil, err
		}
		req.Situation, req.Resources, narrowed = permit.Situation, permit.Resources, permit.narrowed
	} else {
		f = maps.Clone(f)
		delete(f, "accessTokenFormat") // means nothing here
		token, err := readToken(f, errs)
		if err != nil {
			return nil, err
		}
		req.Situation, req.Assets, req.Types, narrowed = token.Situation, token.Assets, token.Types, token.narrowed
	}
	if narrowed {
		return nil, noAssetContext()
	}
	return req, nil
}
