package runtime

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
)

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
		"includeAssetAttributes", "accessTokenFormat", "sqlDialect", "useCache", "combinedMultiValue", "assetContext",
		"listOfResources", "includeDetails", "includeDenyReason",
		"asset", "entityTypes", "includeAsset", "includeInActiveIdentities", "includeInactiveIdentities",
		"includeIdentityAttributes", "objects", "at":
		return true
	case "since": // of the changes of a list
		return true
	}
	return false
}

// nested reports whether a member of an object inside a request means anything, like known.
func nested(name string) bool {
	switch name {
	case "entityId", "entityTypeId", "entityAttributes", "contextData", "template", "path", "assetAttributes", "name",
		"attributeList", "actions", "resourceType", "resources", "action", "type", "data", "asset", "environment",
		"remoteIp", "remoteIP", "timeZoneOffset", "combinedMultiValue", "additionalIdentities", "assetContext":
		return true
	}
	return false
}

// inQuery reports whether a known field can stand in a query (runtime-api.md 3.4): scalars and resourceTypes.
func inQuery(name string) bool {
	switch name {
	case "entityAttributes", "contextData", "additionalIdentities", "assetList", "environment", "listOfResources", "asset",
		"objects":
		return false
	}
	return known(name)
}

// parseBody checks a whole body (runtime-api.md 3.2) and gives its members. Whatever is wrong with its form is "Malformed
// JSON".
func parseBody(body []byte) (fields, error) {
	members, err := incoming.Object(body, known)
	if err != nil {
		return nil, malformed()
	}
	return members, nil
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
			if incoming.TooDeep(v) || !v.IsValid() {
				return nil, malformed()
			}
			if value[0] == '{' {
				add(v)
				continue
			}
			for element := range incoming.Elements(v) {
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
	id, _ := incoming.Scalar(f["clientId"])
	secret, _ := incoming.Scalar(f["clientSecret"])
	return decide.Credentials{ClientID: model.ClientID(id), Secret: secret}
}
