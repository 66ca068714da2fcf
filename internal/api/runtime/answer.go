package runtime

import (
	"cmp"
	"io"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

const (
	// bufferSize is how much of an answer is gathered before it is sent.
	bufferSize = 256 << 10
	// roomForEntry is kept free in the buffer, so that an entry of common size does not make it grow.
	roomForEntry = 4 << 10
	// clientLimit is what one public client reads of an answer at most (runtime-api.md 3.5).
	clientLimit = 4 << 20
)

// stream sends an answer through one buffer. An answer that fits into it goes out with its length.
type stream struct {
	w      io.Writer
	head   http.Header
	buf    []byte
	pooled *[]byte // where buf came from
	sent   int64
	begun  bool
	kept   *keeping // of what is written; nil = nothing
	most   int      // bytes to gather; 0 = bufferSize
}

// full sends the buffer when little room is left.
func (s *stream) full() {
	if len(s.buf) > cmp.Or(s.most, bufferSize)-roomForEntry {
		s.send()
	}
}

// send writes the buffer. A write that fails ends the connection: what was sent must stay visibly incomplete.
func (s *stream) send() {
	s.begun = true
	s.pass()
	n, err := s.w.Write(s.buf)
	s.sent += int64(n)
	s.buf = s.buf[:0]
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

func (s *stream) end() {
	if !s.begun {
		s.head.Set("Content-Length", strconv.Itoa(len(s.buf)))
	}
	s.send()
}

// writeToken writes the answer to a User Access Token call (runtime-api.md 8.5).
func (x *exchange) writeToken(req *tokenCall, a *decide.TokenAnswer) {
	d := req.answer(a.TokenValidity, a.Identities)
	d.name, d.none = "access", a.Access != nil && a.Access.Len() == 0
	d.value = func(s *stream) {
		s.buf = append(s.buf, '[')
		s.entries(req.show, a.Access, a.Projection)
		s.buf = append(s.buf, ']')
	}
	x.write(d, req.format, a.Signature)
}

// answer is what is common to the answers of a request: all but the element of response.
func (r *tokenCall) answer(validity int, identities []decide.Identity) answerBody {
	d := answerBody{validity: validity, more: func(s *stream) {
		if r.identity {
			s.identities(identities)
		}
	}}
	if r.echo {
		d.context = r.context
	}
	return d
}

// openStream begins a JSON answer (runtime-api.md 3.5).
func (x *exchange) openStream() *stream {
	h := x.w.Header()
	answerHead(h)
	return x.h.newStream(x.w, h)
}

func answerHead(h http.Header) {
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
}

func (h *handler) newStream(w io.Writer, head http.Header) *stream {
	pooled := h.buffers.Get().(*[]byte)
	return &stream{w: w, head: head, buf: (*pooled)[:0], pooled: pooled}
}

// closeStream sends the rest of an answer, which then may be kept.
func (x *exchange) closeStream(s *stream) {
	s.end()
	if s.sent > clientLimit {
		x.h.options.Log.Info("an answer is larger than some clients read", "bytes", s.sent,
			"request_id", x.w.Header().Get("X-Request-ID"))
	}
	x.h.drop(s)
	x.again.keep()
}

// drop gives the buffer of a stream back.
func (h *handler) drop(s *stream) {
	if cap(s.buf) <= 4*bufferSize {
		*s.pooled = s.buf
		h.buffers.Put(s.pooled)
	}
}

// context writes the member contextData.
func (s *stream) context(m valueMap) {
	s.buf = append(s.buf, `,"contextData":`...)
	if m == nil {
		s.buf = append(s.buf, "null"...)
		return
	}
	s.values(m)
}

// entries writes the entries of an answer; shown says which attributes those of a type have.
func (s *stream) entries(show shownPolicies, a *engine.Access, shown func(model.TemplateID) *engine.Projection) {
	sets := a.ActionSets()
	encoded := make([][]byte, len(sets))
	var template model.TemplateID
	var projection *engine.Projection
	first := true
	for e := range a.Entries() {
		if t := e.Template(); first || t != template {
			template, projection = t, shown(t)
		}
		if !first {
			s.buf = append(s.buf, ',')
		}
		first = false
		s.buf = e.Append(s.buf, projection)
		if encoded[e.Actions] == nil {
			encoded[e.Actions] = show.appendActions(nil, sets[e.Actions])
		}
		s.buf = append(s.buf, encoded[e.Actions]...)
		s.buf = append(s.buf, '}')
		s.full()
	}
}

// shownPolicies says what actions tell of the policies that grant them.
type shownPolicies struct{ names, ids bool }

func (c *coercer) shownPolicies() shownPolicies {
	return shownPolicies{names: c.flag("includeAccessPolicy", false), ids: c.flag("includeAccessPolicyId", false)}
}

func (p shownPolicies) any() bool { return p.names || p.ids }

// appendActions writes an action list: one object an action or, when policies are asked for, one a granting policy.
func (p shownPolicies) appendActions(b []byte, set engine.ActionSet) []byte {
	b = append(b, '[')
	first := true
	for _, g := range set {
		refs := g.Policies
		if !p.any() {
			refs = make([]engine.PolicyRef, 1)
		}
		for _, ref := range refs {
			if !first {
				b = append(b, ',')
			}
			first = false
			b = append(b, `{"action":`...)
			b = quote(b, g.Action.Value)
			b = p.appendRef(b, ref)
			b = append(b, '}')
		}
	}
	return append(b, ']')
}

// appendRef writes the members permission and permissionId, as far as they are asked for.
func (p shownPolicies) appendRef(b []byte, ref engine.PolicyRef) []byte {
	if p.names {
		b = append(b, `,"permission":`...)
		b = quote(b, ref.Name)
	}
	if p.ids {
		b = append(b, `,"permissionId":`...)
		b = quote(b, string(ref.ID))
	}
	return b
}

// identities writes the member identity and, when there are several, additionalIdentities.
func (s *stream) identities(ids []decide.Identity) {
	s.buf = append(s.buf, `,"identity":`...)
	s.identity(&ids[0])
	if len(ids) == 1 {
		return
	}
	s.buf = append(s.buf, `,"additionalIdentities":[`...)
	for i := range ids[1:] {
		if i > 0 {
			s.buf = append(s.buf, ',')
		}
		s.identity(&ids[1+i])
	}
	s.buf = append(s.buf, ']')
}

// identity writes an identity with its attributes.
func (s *stream) identity(id *decide.Identity) {
	s.member(`{"entityId":`, id.EntityID)
	s.member(`,"entityTypeId":`, string(id.Template.ID))
	s.member(`,"typeName":`, string(id.Template.ID)) // identity templates have no display name of their own
	s.identityAttributes(id.Template, &id.Identity)
	s.buf = append(s.buf, '}')
}

// identityAttributes writes the member attributes: every declared one, without values as [].
func (s *stream) identityAttributes(t *model.IdentityTemplate, id *model.Identity) {
	s.buf = append(s.buf, `,"attributes":{"uid":`...)
	s.list([]string{id.EntityID})
	pooled := id.Pooled()
	for _, a := range t.Attributes {
		if a.ID == model.AttributeUID {
			continue
		}
		s.buf = append(s.buf, ',')
		s.buf = quote(s.buf, string(a.ID))
		s.buf = append(s.buf, ':')
		s.list(identityValues(t, id, pooled, &a))
	}
	s.buf = append(s.buf, '}')
}

// identityValues are those of an attribute other than uid, calculated of the pooled ones where it is calculated.
func identityValues(t *model.IdentityTemplate, id *model.Identity, pooled model.Attributes, a *model.IdentityAttribute) []string {
	calculation, err := t.Calculation(a)
	switch {
	case err != nil:
		return nil
	case calculation == nil:
		return pooled[a.ID]
	case calculation.Argument == model.AttributeUID:
		return calculation.Values([]string{id.EntityID})
	}
	return calculation.Values(pooled[calculation.Argument])
}

// member writes the beginning of a member and its text.
func (s *stream) member(name, text string) {
	s.buf = append(s.buf, name...)
	s.buf = quote(s.buf, text)
}

func (s *stream) values(m valueMap) {
	s.buf = append(s.buf, '{')
	for i, e := range m {
		if i > 0 {
			s.buf = append(s.buf, ',')
		}
		s.buf = quote(s.buf, e.name)
		s.buf = append(s.buf, ':')
		s.list(e.values)
	}
	s.buf = append(s.buf, '}')
}

func (s *stream) list(values []string) {
	s.buf = append(s.buf, '[')
	for i, v := range values {
		if i > 0 {
			s.buf = append(s.buf, ',')
		}
		s.buf = quote(s.buf, v)
		s.full()
	}
	s.buf = append(s.buf, ']')
}

// quote writes a JSON string; invalid UTF-8, which no store and no request lets in, would become U+FFFD.
func quote(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}
