package manage_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/form"
)

// MG-49, MG-50: a mapper set that is accepted is given back as it is, and renaming a source in it changes nothing else.
func FuzzMapperSet(f *testing.F) {
	for _, seed := range []string{
		`{"mapperSetId":"Ranks","displayName":"Ranks"}`,
		`{"data":{"mapperSetId":"Ranks","displayName":"Ranks","linkedSources":[{"sourceId":"roster","sourceUsedAs":"MAIN","additionalProps":{"isValidateUser":true,"cacheDuration":0},"mappers":[{"type":"IDENTITY_ATTRIBUTES","mappings":[{"origin":"emp_no","target":"uid"}]}]}]}}`,
		`{"mapperSetId":"x","displayName":"x","linkedSources":[{"sourceUsedAs":"AUX","x":{"sourceId":"roster"},"y":["sourceId","roster"],"sourceId":"roster","n":1.50e3}]}`,
		`{"mapperSetId":"x","displayName":"x","linkedSources":[{"sourceUsedAs":"AUX","sourceId":"sourceId"},{"sourceUsedAs":"AUX","sourceId":""}]}`,
		`{"mapperSetId":"x","displayName":"x","linkedSources":{"sourceId":"roster"}}`,
	} {
		f.Add([]byte(seed), "roster")
	}
	f.Fuzz(func(t *testing.T, body []byte, source string) {
		set, err := form.ParseMapperSet(body)
		if err != nil {
			return
		}
		again, err := form.ParseMapperSet(form.FormatMapperSet(&set))
		if diff := cmp.Diff(set, again); err != nil || diff != "" {
			t.Fatalf("%v\n%s", err, diff)
		}
		const fresh = "another source"
		if strings.Contains(string(set.LinkedSources), fresh) {
			return
		}
		same, err := manage.Relink(set.LinkedSources, source, source)
		if err != nil {
			t.Fatal(err)
		}
		there, err := manage.Relink(set.LinkedSources, source, fresh)
		if err != nil {
			t.Fatal(err)
		}
		back, err := manage.Relink(there, fresh, source)
		if diff := cmp.Diff(string(same), string(back)); err != nil || diff != "" {
			t.Fatalf("%v\n%s", err, diff)
		}
		set.LinkedSources = there
		if _, err := form.ParseMapperSet(form.FormatMapperSet(&set)); err != nil {
			t.Fatalf("after a rename: %v", err)
		}
	})
}
