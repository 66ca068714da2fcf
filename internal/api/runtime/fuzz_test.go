package runtime

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/model"
)

// FuzzBody: no body panics; what is read is valid JSON of an object without duplicates; every error is of kind invalid;
// the texts that are read are UTF-8; and lists hold no text twice (RT-7, RT-12, RT-14).
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `[]`, `{"entityId":"a","entityTypeId":"b","contextData":{"a":[1,1.0,true,null,"x","x"]}}`,
		`{"entityId":1e5,"entityAttributes":[1],"additionalIdentities":{"entityId":"x"}}`,
		`{"assetList":{"type":[{"template":"T","path":"p","assetAttributes":{"a":"b"}}]},"resourceTypes":"x"}`,
		`{"resourceTypes":[{"name":"T","attributeList":"-a, -b","actions":"x"},"y",null],"timeZoneOffset":"-5.5"}`,
		`{"remoteIp":"1.2.3.4","accessTokenFormat":"jwt","combinedMultiValue":"TRUE","assetContext":{}}`,
		`{"a":1,"a":2}`, "{\"a\":\"\xff\"}", `{"entityId":"\ud800"}`, "\ufeff{}", `{"clientId":"c","clientSecret":"s"} `,
		`{"at":"2026-07-06T09:30:00+02:00","listOfResources":{"resourceType":"T","resources":{}},"accessTokenFormat":"x"}`, `{"at":"0001-01-01T00:00:00Z"}`,
		`{"asset":{"resourceType":"T","path":"p","actions":["a",1],"assetAttributes":{"b":1}},"entityTypes":["P"],"includeInActiveIdentities":"TRUE"}`,
		`{"objects":[{"type":"identity","data":{"entityId":"a","asset":{"resourceType":"T"}}},{"type":"Asset","data":{"asset":{"resourceType":"T","path":"p"}}}]}`,
		`{"listOfResources":[{"resourceType":"T","resources":[{"path":"p","action":"a","assetAttributes":{"b":1}},{}]},{"resources":{}}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		sent := bytes.Clone(body)
		got, err := parseBody(body)
		if err != nil {
			if model.KindOf(err) != model.KindInvalid {
				t.Fatalf("kind of %v", err)
			}
			return
		}
		trimmed := bytes.TrimPrefix(body, []byte("\ufeff"))
		if len(bytes.TrimSpace(trimmed)) > 0 && (!jsontext.Value(trimmed).IsValid() || !json.Valid(trimmed)) {
			t.Fatalf("read %q", body)
		}
		got.credentials()
		if permit, err := readPermit(got, nil); err == nil && len(permit.Resources) == 0 {
			t.Fatal("a question about nothing was read")
		}
		why, err := readExplain(got, nil)
		if err == nil && (why.Pairs == (len(why.Resources) == 0) || why.Pairs && why.Assets != nil) {
			t.Fatalf("read %+v", why)
		}
		users, err := readUsers(got, nil)
		if err == nil && users.Asset.Template == "" || err != nil && model.KindOf(err) != model.KindInvalid {
			t.Fatalf("users of %+v, %v", users, err)
		}
		objects, _, err := readObjects(got, nil)
		if err == nil && (len(objects) == 0 || len(objects) > maxObjects) || err != nil && model.KindOf(err) != model.KindInvalid {
			t.Fatalf("policies of %d objects, %v", len(objects), err)
		}
		req, err := readToken(got, nil)
		if !bytes.Equal(sent, body) {
			t.Fatal("the body was changed")
		}
		if err != nil {
			var list model.Errors
			if !errors.As(err, &list) || model.KindOf(err) != model.KindInvalid || len(list) > 20*maxErrors {
				t.Fatalf("error %v", err)
			}
			return
		}
		for _, e := range req.context {
			seen := map[string]bool{}
			for _, v := range e.values {
				if seen[v] || !utf8.ValidString(v) {
					t.Fatalf("values %q", e.values)
				}
				seen[v] = true
			}
		}
	})
}

// FuzzQuery: no query panics; every error is of kind invalid; only scalars and resourceTypes come out (3.4).
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"", "entityId=a&entityId=b", "resourceTypes=a,b&resourceTypes=[\"c\",{\"name\":\"d\"}]", "resourceTypes={}",
		"resourceTypes=[", "a=%zz", "entityId=%ff", "assetList=x&environment={}", "timeZoneOffset=5.5&includeIdentity=TRUE;x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		got, err := queryFields(query)
		if err != nil {
			if model.KindOf(err) != model.KindInvalid {
				t.Fatalf("kind of %v", err)
			}
			return
		}
		for name, v := range got {
			if !v.IsValid() || name != "resourceTypes" && v.Kind() != jsontext.KindString {
				t.Fatalf("%s: %s", name, v)
			}
		}
		got.credentials()
		if _, err := readToken(got, nil); err != nil && model.KindOf(err) != model.KindInvalid {
			t.Fatalf("kind of %v", err)
		}
	})
}
