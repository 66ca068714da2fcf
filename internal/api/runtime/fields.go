package runtime

import (
	"bytes"
	"io"
	"iter"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
)

// maxDepth is how many levels of nesting a body may have (README ruling 5).
const maxDepth = 64

// fields are the members of a request by name, as they were sent; those that are null or not known are left out. The
// values lie in the body's memory.
type fields map[string]jsontext.Value

// known reports whether a member of a request means anything to an endpoint of this server. Everything else is ignored, so that
// a body full of unknown members costs no memory.
func known(name string) bool {
	switch name {
	case "entityId", "entityTypeId", "entityAttributes", "contextData", "additionalIdentities", "clientId",
		"clientSecret", "assetList", "resourceTypes", "environment", "remoteIp", "remoteIP", "timeZoneOffset",
		"includeContext", "includeAccessPolicy", "includeAccessPolicyId", "includeIdentity",
		"includeAssetAttributes", "accessTokenFormat", "useCache", "combinedMultiValue", "assetContext",
		"listOfResources", "includeDetails", "includeDenyReason",
		"asset", "entityTypes", "includeAsset", "includeInActiveIdentities", "includeInactiveIdentities",
		"includeIdentityAttributes":
		return true
	}
	return false
}

// nested reports whether a member of an object inside a request means anything, like known.
func nested(name string) bool {
	switch name {
	case "entityId", "entityTypeId", "entityAttributes", "contextData", "template", "path", "assetAttributes", "name",
		"attributeList", "actions", "resourceType", "resources", "action":
		return true
	}
	return false
}

// inQuery reports whether a known field can stand in a query (runtime-api.md 3.4): scalars and resourceTypes.
func inQuery(name string) bool {
	switch name {
	case "entityAttributes", "contextData", "additionalIdentities", "assetList", "environment", "listOfResources", "asset":
		return false
	}
	return known(name)
}

// parseBody checks a whole body (runtime-api.md 3.2) and gives its members. Whatever is wrong with its form is "Malformed
// JSON".
func parseBody(body []byte) (fields, error) {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	if len(bytes.Trim(body, " \t\r\n")) == 0 {
		return fields{}, nil
	}
	if tooDeep(body) {
		return nil, malformed()
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(body))
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != jsontext.KindBeginObject {
		return nil, malformed()
	}
	out := fields{}
	for dec.PeekKind() != jsontext.KindEndObject {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, malformed()
		}
		key := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			return nil, malformed()
		}
		if known(key) && value.Kind() != jsontext.KindNull {
			end := dec.InputOffset()
			out[key] = jsontext.Value(body[end-int64(len(value)) : end])
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, malformed()
	}
	if _, err := dec.ReadToken(); err != io.EOF { //nolint:errorlint // jsontext returns io.EOF itself at the end
		return nil, malformed()
	}
	return out, nil
}

// tooDeep reports whether brackets outside of strings nest deeper than allowed; it says nothing else of the text.
func tooDeep(body []byte) bool {
	depth := 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '{', '[':
			if depth++; depth > maxDepth {
				return true
			}
		case '}', ']':
			depth--
		case '"':
			for i++; i < len(body) && body[i] != '"'; i++ {
				if body[i] == '\\' {
					i++
				}
			}
		}
	}
	return false
}

// queryFields reads the query form. Of a repeated scalar the first value counts.
func queryFields(raw string) (fields, error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, model.Invalidf("query: not readable")
	}
	out := fields{}
	for name, values := range query {
		if !inQuery(name) {
			continue
		}
		for _, v := range values {
			if !utf8.ValidString(v) {
				return nil, model.Invalidf("%s: is not valid UTF-8", name)
			}
		}
		if name == "resourceTypes" {
			if out[name], err = queryTypes(values); err != nil {
				return nil, err
			}
			continue
		}
		out[name] = quoted(values[0])
	}
	return out, nil
}

// queryTypes makes the list that POST would carry: values that begin with a bracket are JSON, others comma lists of names.
func queryTypes(values []string) (jsontext.Value, error) {
	list := []byte{'['}
	add := func(v jsontext.Value) {
		if len(list) > 1 {
			list = append(list, ',')
		}
		list = append(list, v...)
	}
	for _, value := range values {
		if value != "" && (value[0] == '[' || value[0] == '{') {
			v := jsontext.Value(value)
			if tooDeep(v) || !v.IsValid() {
				return nil, malformed()
			}
			if value[0] == '{' {
				add(v)
				continue
			}
			for element := range elements(v) {
				add(element)
			}
			continue
		}
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.TrimSpace(name); name != "" {
				add(quoted(name))
			}
		}
	}
	return append(list, ']'), nil
}

func quoted(s string) jsontext.Value {
	v, _ := jsontext.AppendQuote(nil, s) // UTF-8 was checked
	return v
}

// credentials are those of the request fields. Values that are no texts authenticate nobody.
func (f fields) credentials() decide.Credentials {
	id, _ := scalar(f["clientId"])
	secret, _ := scalar(f["clientSecret"])
	return decide.Credentials{ClientID: model.ClientID(id), Secret: secret}
}

// elements yields the elements of an array that is known to be well formed.
func elements(array jsontext.Value) iter.Seq[jsontext.Value] {
	return func(yield func(jsontext.Value) bool) {
		dec := jsontext.NewDecoder(bytes.NewBuffer(array), jsontext.AllowDuplicateNames(true))
		if _, err := dec.ReadToken(); err != nil {
			return
		}
		for dec.PeekKind() != jsontext.KindEndArray {
			value, err := dec.ReadValue()
			if err != nil || !yield(value) {
				return
			}
		}
	}
}

// members yields the members of an object that is known to be well formed, except those that are null.
func members(object jsontext.Value) iter.Seq2[string, jsontext.Value] {
	return func(yield func(string, jsontext.Value) bool) {
		dec := jsontext.NewDecoder(bytes.NewBuffer(object), jsontext.AllowDuplicateNames(true))
		if _, err := dec.ReadToken(); err != nil {
			return
		}
		for dec.PeekKind() != jsontext.KindEndObject {
			name, err := dec.ReadToken()
			if err != nil {
				return
			}
			key := name.String()
			value, err := dec.ReadValue()
			if err != nil {
				return
			}
			if value.Kind() != jsontext.KindNull && !yield(key, value) {
				return
			}
		}
	}
}

// scalar is the text of a string, number or boolean (runtime-api.md 3.3); numbers keep their literal text.
func scalar(v jsontext.Value) (string, bool) {
	switch v.Kind() {
	case jsontext.KindString:
		text, err := jsontext.AppendUnquote(nil, v)
		return string(text), err == nil
	case jsontext.KindNumber, jsontext.KindTrue, jsontext.KindFalse:
		return string(v), true
	}
	return "", false
}
