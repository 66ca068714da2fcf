package runtime

import (
	"strconv"

	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// cursorHeader names the answer that was given, for the since of a later call.
const cursorHeader = "Ambit-Cursor"

// changes answers what separates the User Access Token list at since from the one now.
func (x *exchange) changes() error {
	req, show, err := x.changesRequest("")
	if err != nil {
		return err
	}
	answer, err := x.call.Changes(x.r.Context(), *req)
	if err != nil {
		return err
	}
	incoming.SetRevision(x.w, x.call)
	x.w.Header().Set(cursorHeader, answer.Now.String())
	s := x.openStream()
	s.changes(show, answer)
	x.closeStream(s)
	return nil
}

// changesRequest reads a request for the changes of a list: that of the list's GET, with since, in whose place header
// counts when it is sent.
func (x *exchange) changesRequest(header string) (*decide.ChangesRequest, shownPolicies, error) {
	f, err := x.fields()
	if err != nil {
		return nil, shownPolicies{}, err
	}
	c := &coercer{fields: f, errs: &x.errs}
	name, text := "since", c.text("since")
	if sent := x.r.Header.Get(header); header != "" && sent != "" {
		name, text = header, sent
	}
	var since *decide.Since
	if text != "" {
		at, ok := decide.ParseSince(text)
		if !ok {
			c.fail(name, "must be a revision, or what "+cursorHeader+" said")
		}
		since = &at
	}
	req, err := readToken(f, x.errs)
	switch {
	case err != nil:
		return nil, shownPolicies{}, err
	case req.narrowed:
		return nil, shownPolicies{}, noAssetContext()
	case req.Signed:
		return nil, shownPolicies{}, &model.Error{Kind: model.KindNotOffered, Message: "accessTokenFormat is not supported"}
	}
	return &decide.ChangesRequest{
		TokenRequest: req.TokenRequest, Told: engine.Told{Names: req.show.names, IDs: req.show.ids}, Since: since,
	}, req.show, nil
}

// changes writes what separates two lists, as one line. The entries are those of the lists (runtime-api.md 8.5).
func (s *stream) changes(show shownPolicies, c *decide.Changes) {
	s.buf = append(s.buf, `{"revision":`...)
	s.buf = strconv.AppendInt(s.buf, int64(c.Now.Revision), 10)
	s.buf = append(s.buf, `,"since":`...)
	s.buf = strconv.AppendInt(s.buf, int64(c.Since), 10)
	list := func(name string, a *engine.Access, before bool) {
		s.buf = append(s.buf, name...)
		s.entries(show, a, func(t model.TemplateID) *engine.Projection { return c.Shown(t, before) })
		s.buf = append(s.buf, ']')
	}
	list(`,"gained":[`, c.Gained, false)
	list(`,"lost":[`, c.Lost, true)
	if c.Changed.Len() > 0 {
		list(`,"changed":[`, c.Changed, false)
	}
	s.buf = append(s.buf, '}')
}
