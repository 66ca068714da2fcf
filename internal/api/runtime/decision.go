package runtime

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/decide"
)

// Envelopes of Permit/Deny 5.0 answers (runtime-api.md 13.6). "" is EnvelopeBoth.
const (
	EnvelopeBoth = "both"
	EnvelopeData = "data"
	EnvelopeTop  = "top"
)

// decisionCall is a Permit/Deny 5.0 request with what only its answer needs.
type decisionCall struct {
	permitCall
	described decide.APICall
}

// decision answers the Permit/Deny 5.0 call (runtime-api.md 13).
func (x *exchange) decision() error {
	x.parse = x.parseDecision
	f, err := x.fields()
	if err != nil {
		return err
	}
	c := &coercer{fields: f, errs: &x.errs}
	req := c.decision()
	if err := x.errs.OrNil(); err != nil {
		return err
	}
	if req.narrowed {
		return noAssetContext()
	}
	x.recognize("5.0", f, false)
	req.Earlier = x.again.finder()
	answer, err := x.call.PermitCall(x.r.Context(), decide.APIRequest{Situation: req.Situation, Call: req.described})
	req.described = decide.APICall{}
	x.decoded() // only now: the described body lies in it
	if err != nil {
		return err
	}
	incoming.SetRevision(x.w, x.call)
	x.answered()
	x.again.answered(&answer.Outcome)
	x.writeDecision(&req.permitCall, answer)
	return nil
}

// anywhere reports whether a member means anything both at the top level and in runtimeFineTune (runtime-api.md 13.4).
func anywhere(name string) bool {
	switch name {
	case "clientId", "clientSecret", "entityId", "entityTypeId", "entityAttributes", "contextData", "environment",
		"timeZoneOffset", "additionalIdentities", "assetContext":
		return true
	}
	return false
}

// describes reports whether a member means anything at the top level only.
func describes(name string) bool {
	switch name {
	case "method", "uri", "headers", "body", "ipAddress", "remoteIp", "remoteIP", "requestId", "meta":
		return true
	}
	return false
}

// tunes reports whether a member means anything in runtimeFineTune only.
func tunes(name string) bool {
	switch name {
	case "includeDetails", "includeDenyReason", "includeIdentity", "includeAccessPolicy", "includeAccessPolicyId",
		"includeAssetAttributes", "includeContext", "combinedMultiValue", "useCache":
		return true
	}
	return false
}

// parseDecision is parseBody for the form of 5.0: the members of runtimeFineTune come before those of the top level.
func (x *exchange) parseDecision(body []byte) (fields, error) {
	members, err := incoming.Object(body, func(name string) bool { return anywhere(name) || describes(name) })
	if err != nil {
		return nil, malformed()
	}
	out := fields(members)
	c := &coercer{fields: out, errs: &x.errs}
	meta := c.part("meta", func(name string) bool { return name == "runtimeFineTune" || name == "runtimeFinetune" })
	name := "runtimeFineTune"
	if _, ok := meta.fields[name]; !ok {
		name = "runtimeFinetune"
	}
	tune := meta.part(name, func(name string) bool { return anywhere(name) || tunes(name) })
	for name, value := range tune.fields {
		if string(value) != `""` {
			out[name] = value
		}
	}
	x.correlate(c.text("requestId"))
	return out, nil
}

// correlate takes the body's request id when the caller sent no X-Request-ID (runtime-api.md 3.8).
func (x *exchange) correlate(id string) {
	sent := slices.ContainsFunc(x.r.Header.Values("X-Request-Id"), func(v string) bool { return v != "" })
	if id == "" || sent {
		return
	}
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	if len(id) > maxRequestID || strings.ContainsFunc(id, control) {
		x.errs.Add("requestId", "has a control character or more than %d bytes", maxRequestID)
		return
	}
	x.w.Header().Set("X-Request-ID", id)
	x.call.Correlate(id)
}

const (
	// maxRequestID is how long an id of a body may be that is answered in a header, in bytes.
	maxRequestID = 1_024
	// maxCallPath is how long the path of a described call may be, in bytes: every mapper may look at it.
	maxCallPath = 64 << 10
)

// part reads the members of an object that mean anything; none when it is absent.
func (c *coercer) part(name string, known func(string) bool) *coercer {
	out := &coercer{fields: fields{}, prefix: c.prefix + name + ".", errs: c.errs}
	v, ok := c.fields[name]
	if !ok {
		return out
	}
	if v.Kind() != jsontext.KindBeginObject {
		c.fail(name, "must be an object")
		return out
	}
	for key, value := range incoming.Members(v) {
		if known(key) {
			out.fields[key] = value
		}
	}
	return out
}

// decision reads the fields of a 5.0 request (runtime-api.md 13.1).
func (c *coercer) decision() *decisionCall {
	if ip, ok := c.fields["ipAddress"]; ok && string(ip) != `""` { // comes before the others, which then do not count
		delete(c.fields, "remoteIp")
		delete(c.fields, "remoteIP")
	}
	req := &decisionCall{permitCall: c.permitFlags()}
	if ip := c.address("ipAddress"); ip.IsValid() {
		req.RemoteIP = ip
	}
	d := &req.described
	d.Method = strings.ToUpper(c.required("method"))
	d.Path, d.Query = c.uri()
	d.Headers = map[string][]string{}
	for _, h := range c.values("headers") {
		name := strings.ToLower(h.name)
		d.Headers[name] = append(d.Headers[name], h.values...)
	}
	if body := c.fields["body"]; string(body) != `""` {
		d.Body = body
	}
	return req
}

// uri reads what is called.
func (c *coercer) uri() (decide.CallPath, map[string][]string) {
	v, ok := c.fields["uri"]
	if !ok {
		c.fail("uri", "required")
		return decide.CallPath{}, nil
	}
	if v.Kind() == jsontext.KindString {
		return c.url()
	}
	part := c.part("uri", func(name string) bool { return name == "path" || name == "query" })
	if v.Kind() != jsontext.KindBeginObject {
		return decide.CallPath{}, nil
	}
	query, before := part.values("query").byName(), len(*c.errs)
	sent := part.texts("path")
	if list := part.fields["path"]; list.Kind() == jsontext.KindBeginArray {
		for element := range incoming.Elements(list) {
			if element.Kind() == jsontext.KindNull {
				part.fail("path", "must not hold null: the elements after it would move")
				break
			}
		}
	}
	if len(*c.errs) > before {
		return decide.CallPath{}, query
	}
	return part.callPath(sent), query
}

// url reads a URL, or a path with a query, as the line of a request has it: // at its start is no host.
func (c *coercer) url() (decide.CallPath, map[string][]string) {
	text, _, _ := strings.Cut(c.text("uri"), "#")
	u, err := url.ParseRequestURI(text)
	if err != nil || u.Opaque != "" {
		c.fail("uri", "must be a URL or a path that begins with /")
		return decide.CallPath{}, nil
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		c.fail("uri", "has a query that is not readable")
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return c.callPath([]string{path}), query
}

func (c *coercer) callPath(sent []string) decide.CallPath {
	size := 0
	for _, s := range sent {
		size += len(s) + 1
	}
	switch {
	case len(sent) == 0, len(sent) == 1 && sent[0] == "":
		c.fail("path", "required")
	case size > maxCallPath:
		c.fail("path", "is too long")
	default:
		return decide.ReadCallPath(sent)
	}
	return decide.CallPath{}
}

// writeDecision writes the answer (runtime-api.md 13.6).
func (x *exchange) writeDecision(req *permitCall, a *decide.PermitAnswer) {
	if body := x.again.ready(); body != nil {
		x.replay(body)
		return
	}
	s := x.openStream()
	s.keep(x.again.keeping())
	s.buf = append(s.buf, '{')
	envelope := x.h.options.Envelope
	if envelope != EnvelopeTop {
		s.buf = append(s.buf, `"data":{`...)
		s.verdict(req, a)
		s.buf = append(s.buf, '}')
	}
	if envelope != EnvelopeData && envelope != EnvelopeTop {
		s.buf = append(s.buf, ',')
	}
	if envelope != EnvelopeData {
		s.verdict(req, a)
	}
	s.buf = append(s.buf, '}')
	x.closeStream(s)
}

// decisionRoutes are the routes of Permit/Deny 5.0 under a base.
func (h *handler) decisionRoutes(base string) {
	for _, path := range []string{"/5.0/decisions/permit-deny", "/5.0/decisions"} {
		h.routes[base+path] = methods{http.MethodPost: h.call((*exchange).decision)}
	}
}
