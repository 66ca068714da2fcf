package runtime

import (
	"maps"
	"net/http"
	"time"

	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/engine"
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
	incoming.SetRevision(x.w, x.call)
	*req = decide.ExplainRequest{}
	s := x.openStream()
	s.explanationHead(answer)
	if answer.Access == nil {
		x.answered()
		s.explanations(answer)
	} else {
		x.explainedList(s, answer)
		x.answered()
	}
	s.buf = append(s.buf, '}')
	x.awaited()
	x.closeStream(s)
	return nil
}

// awaited ends a call for which nobody waits any more: what was compared since says nothing, and what was sent must stay
// visibly incomplete.
func (x *exchange) awaited() {
	if x.r.Context().Err() != nil {
		panic(http.ErrAbortHandler)
	}
}

// maxOffset is how far from UTC a time zone is (README ruling 2).
const maxOffset = 14 * time.Hour

func readExplain(f fields, errs model.Errors) (*decide.ExplainRequest, error) {
	c := &coercer{fields: f, errs: &errs}
	req := &decide.ExplainRequest{}
	if text := c.text("at"); text != "" {
		at, err := time.Parse(time.RFC3339, text)
		_, seconds := at.Zone()
		if err != nil || at.IsZero() || (time.Duration(seconds)*time.Second).Abs() > maxOffset {
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

// explainedList writes the list. Finding the grounds of an entry is work: it is done in turns with other calls, and no turn
// is held while a client reads.
func (x *exchange) explainedList(s *stream, a *decide.ExplainAnswer) {
	room := func() {
		if len(s.buf) <= bufferSize-roomForEntry {
			return
		}
		x.answered()
		x.awaited()
		s.send()
		for x.turn() != nil {
			x.awaited()
		}
	}
	if a.Told {
		s.buf = append(s.buf, `,"policies":[`...)
		for i, id := range a.Granting() {
			s.comma(i)
			if standing, ok := a.Standing(id); ok {
				s.standing(&standing)
			}
			room()
		}
		s.buf = append(s.buf, ']')
	}
	s.buf = append(s.buf, `,"access":[`...)
	sets, grounds, first := a.Access.ActionSets(), a.Grounds(), true
	for e := range a.Access.Entries() {
		if !first {
			s.buf = append(s.buf, ',')
		}
		first = false
		s.member(`{"path":`, e.Path())
		s.member(`,"resourceType":`, string(e.Template()))
		s.buf = append(s.buf, `,"actions":[`...)
		var found [][]engine.Ground
		if a.Told {
			found = grounds.Of(&e)
		}
		for n, granted := range sets[e.Actions] {
			s.comma(n)
			s.member(`{"action":`, granted.Action.Value)
			if a.Told {
				s.grounds(found[n], a.Combinations() > 1)
			}
			s.buf = append(s.buf, '}')
		}
		s.buf = append(s.buf, `]}`...)
		room()
	}
	s.buf = append(s.buf, ']')
}
