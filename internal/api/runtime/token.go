package runtime

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
)

// Formats of accessTokenFormat.
const (
	formatJSON        = "JSON"
	formatJWT         = "JWT"
	formatStandardJWT = "StandardJWT"
)

// tokenCall is a token request with what only its answer needs.
type tokenCall struct {
	decide.TokenRequest
	format   string
	context  valueMap
	show     shownPolicies
	identity bool
	echo     bool // of the context
	narrowed bool // by an assetContext, which is not offered
}

// token answers the User Access Token call (runtime-api.md 8).
func (x *exchange) token() error {
	req, err := x.tokenRequest("token")
	if err != nil {
		return err
	}
	answer, err := x.call.Token(x.r.Context(), req.TokenRequest)
	if err != nil {
		return err
	}
	incoming.SetRevision(x.w, x.call)
	x.w.Header().Set(cursorHeader, x.call.Cursor().String())
	x.answered()
	if x.again.answered(&answer.Outcome) {
		return nil
	}
	req.forget()
	x.writeToken(req, answer)
	return nil
}

// tokenRequest reads the request of a User Access Token, which is that of a Policy Resolution, too. It refuses options
// that would change the answer and are not there (runtime-api.md 3.9).
func (x *exchange) tokenRequest(endpoint string) (*tokenCall, error) {
	f, err := x.fields()
	if err != nil {
		return nil, err
	}
	req, err := readToken(f, x.errs)
	if err == nil && endpoint == "resolution" {
		req.SQL, err = readDialect(f)
	}
	if err == nil && req.narrowed {
		err = noAssetContext()
	}
	if err == nil {
		x.recognize(endpoint, f, endpoint == "token" && req.format == formatJSON)
		req.Earlier = x.again.finder()
	}
	x.decoded()
	return req, err
}

// forget drops what the answer does not need, so that a client that reads it slowly holds little.
func (r *tokenCall) forget() {
	r.TokenRequest = decide.TokenRequest{Policies: r.Policies}
	if !r.echo {
		r.context = nil
	}
}

// isSent reports whether an optional object holds anything.
func isSent(v jsontext.Value) bool {
	switch v.Kind() {
	case jsontext.KindBeginObject:
		for range incoming.Members(v) {
			return true
		}
		return false
	case jsontext.KindBeginArray:
		for range incoming.Elements(v) {
			return true
		}
		return false
	case jsontext.KindString:
		text, _ := incoming.Scalar(v)
		return text != ""
	}
	return len(v) > 0
}

// readToken coerces the fields; errs are errors that are known already.
func readToken(f fields, errs model.Errors) (*tokenCall, error) {
	c := &coercer{fields: f, errs: &errs}
	req := &tokenCall{
		format:   c.format(),
		show:     c.shownPolicies(),
		identity: c.flag("includeIdentity", false),
		echo:     c.flag("includeContext", false),
		narrowed: isSent(f["assetContext"]),
	}
	req.Situation, req.context = c.situation()
	req.Policies, req.Signed = req.show.any(), req.format != formatJSON
	req.Attributes = c.flag("includeAssetAttributes", true)
	c.types(req)
	c.assets(req)
	return req, errs.OrNil()
}

// format reads accessTokenFormat; absent = JSON.
func (c *coercer) format() string {
	if format := c.choice("accessTokenFormat", formatJSON, formatJWT, formatStandardJWT); format != "" {
		return format
	}
	return formatJSON
}

// types reads resourceTypes (runtime-api.md 8.3); absent or empty = all.
func (c *coercer) types(req *tokenCall) {
	c.objects("resourceTypes", func(c *coercer) {
		req.Types = append(req.Types, decide.TypeChoice{
			Name:       model.TemplateID(c.required("name")),
			Attributes: c.attributeList(), Actions: c.texts("actions"),
		})
	}, func(name string) {
		req.Types = append(req.Types, decide.TypeChoice{Name: model.TemplateID(name)})
	})
}

// attributeList reads an array of names, or a text split at commas or, without any, at blanks.
func (c *coercer) attributeList() []string {
	v := c.fields["attributeList"]
	if v.Kind() != jsontext.KindString {
		return c.texts("attributeList")
	}
	text := c.text("attributeList")
	if !strings.Contains(text, ",") {
		return strings.Fields(text)
	}
	var out []string
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// assets reads assetList (runtime-api.md 8.2), also in the older form {"type":[…]}. A list that was sent empty names no
// assets, which is not the same as none sent.
func (c *coercer) assets(req *tokenCall) {
	v, sent := c.fields["assetList"]
	if !sent {
		return
	}
	if v.Kind() == jsontext.KindBeginObject {
		for name, inner := range incoming.Members(v) {
			if name == "type" && inner.Kind() == jsontext.KindBeginArray {
				c = &coercer{fields: fields{"assetList": inner}, prefix: c.prefix, errs: c.errs}
				break
			}
		}
	}
	req.Assets = []decide.AssetClaim{}
	c.objects("assetList", func(c *coercer) {
		req.Assets = append(req.Assets, c.asset(model.TemplateID(c.required("template"))))
	}, nil)
}
