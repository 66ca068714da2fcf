package form_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
)

// FuzzAPIMapperSet: no body makes the parser fail in another way than with an error of the caller's, and what it reads is
// written in a form that reads the same.
func FuzzAPIMapperSet(f *testing.F) {
	f.Add([]byte(`{"apiMappersSetId":"harbour-app","applicationIds":["harbour-app"],"apiMappers":[{"mapperId":"cargo-read","displayName":"Read cargo","isActive":true,"matchPattern":"/quays/*/cargo/**","matchType":"WILDCARDS","restMethods":["GET"],"priority":1,"isRequireIdentitySourcesFiltering":false,"filteringType":"INCLUDE","identitySourceIds":[],` +
		`"assetTemplates":[{"templateId":"Cargo","attributes":[{"attributeId":"berth","source":"PATH","path":"[2]"}],"actions":[{"actionId":"View","source":"BODY","value":"view","path":"$.mode"}]}]}]}`))
	f.Add([]byte(`{"data":{"apiMappersSetId":"a","pathIndexing":"SEGMENTS","apiMappers":[{"mapperId":"m","displayName":"M","matchType":"REGEX","matchPattern":"/a/(b|c)","assetTemplates":[{"templateId":"T","actions":[{"actionId":"A"},{"actionId":"B","source":"METHOD","value":""}]}]}]}}`))
	f.Add([]byte(`{"apiMappersSetId":"a","apiMappers":[{"mapperId":"m","displayName":"M","matchType":"EXACT","matchPattern":"/%2e%2E/%zz","restMethods":["get"]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		set, err := form.ParseAPIMapperSet(body)
		if err != nil {
			if model.KindOf(err) != model.KindInvalid {
				t.Errorf("%v", err)
			}
			return
		}
		text := form.FormatAPIMapperSet(&set)
		again, err := form.ParseAPIMapperSet(text)
		if err != nil {
			t.Fatalf("%s is written as %s, which is refused: %v", body, text, err)
		}
		if !bytes.Equal(text, form.FormatAPIMapperSet(&again)) || !cmp.Equal(set, again) {
			t.Errorf("%s is written as %s and then as %s", body, text, form.FormatAPIMapperSet(&again))
		}
		for i := range set.Mappers {
			if m := &set.Mappers[i]; m.IsExpression() {
				if _, err := m.Expression(); err != nil {
					t.Errorf("%s: %v", m.MatchPattern, err)
				}
			}
		}
	})
}
