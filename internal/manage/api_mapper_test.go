package manage_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// the sample of management-api.md 11
const mapperSet = `{"apiMappersSetId":"harbour-app","applicationIds":["harbour-app"],"apiMappers":[{"mapperId":"cargo-read","displayName":"Read cargo","isActive":true,"matchPattern":"/quays/*/cargo/**","matchType":"WILDCARDS","restMethods":["GET"],"priority":1,"isRequireIdentitySourcesFiltering":false,"filteringType":"INCLUDE","identitySourceIds":[],` +
	`"assetTemplates":[{"templateId":"Cargo","attributes":[{"attributeId":"berth","source":"PATH","path":"[2]"}],"actions":[{"actionId":"View","source":"BODY","value":"view","path":"$.mode"}]}]}]}`

const (
	setFile     = quays + "api-mapper-sets/harbour-app.json"
	channelFile = quays + "request-attributes.json"
)

// withMappers is a backup with an API mapper set, and a request attribute that reads through it.
func withMappers() files {
	return backup().with(files{
		setFile:     `{"data":` + mapperSet + `}`,
		channelFile: `[{"id":"channel","displayName":"Channel","description":"","mappings":[{"source":"QUERY","path":"channel","apiMapperId":"cargo-read"}]}]`,
	})
}

// MG-69, MG-71, MG-14: the sets of a directory are applied with it, the second time unchanged; a dry run stores nothing.
func TestApplyAPIMappers(t *testing.T) {
	w := newWorld(t).bare()
	dry, err := w.Apply(t.Context(), w.dry(), envID, open(t, zipOf(t, withMappers()), archive.Zip), manage.ApplyOptions{})
	w.must(err)
	before := w.revision()
	out := w.apply(withMappers(), manage.ApplyOptions{})
	if d := cmp.Diff(manage.ApplyCounts{Created: 1}, counts(out)["api-mapper-sets"]); d != "" || len(out.Errors) > 0 || w.revision() != before+1 {
		t.Errorf("%s\n%s", d, texts(out.Errors))
	}
	if d := cmp.Diff(counts(dry), counts(out)); d != "" {
		t.Errorf("the dry run tells something else: %s", d)
	}
	w.view(func(tx *store.Tx) {
		sets := all(t, tx.APIMapperSets)
		if len(sets) != 1 || string(form.FormatAPIMapperSet(&sets[0])) != mapperSet {
			t.Fatalf("stored %+v", sets)
		}
		channel := all(t, tx.RequestAttributes)[0]
		mappings, err := channel.RequestMappings()
		want := []model.RequestMapping{{Source: model.FromQuery, Path: "channel", MapperID: "cargo-read"}}
		if d := cmp.Diff(want, mappings); d != "" || err != nil {
			t.Errorf("mappings: %s, %v", d, err)
		}
	})
	if out := w.apply(withMappers(), manage.ApplyOptions{}); len(out.Items) != 0 || w.revision() != before+1 {
		t.Errorf("the second time: %+v", out.Items)
	}
}

// management-api.md 21.2: errors of a set's file name it; what needs a broken file fails with it.
func TestApplyAPIMapperErrors(t *testing.T) {
	edit := func(old, replacement string) files {
		return withMappers().with(files{setFile: strings.Replace(mapperSet, old, replacement, 1)})
	}
	for name, tt := range map[string]struct {
		archive files
		want    string
		skip    bool
	}{
		"syntax":              {edit(`"isActive":true`, `"isActive":tru`), setFile + ":1:", false},
		"a field":             {edit(`"/quays/*/cargo/**"`, `"/quays/**/cargo"`), setFile + ":1:149: /apiMappers/0/matchPattern: has ** before its end", false},
		"unknown attribute":   {edit(`"attributeId":"berth"`, `"attributeId":"x"`), "MGT-006 " + setFile + ": Attribute: [x] not found", false},
		"no application":      {withMappers().with(files{quays + "applications/harbour-app.json": "-", "environment/scopes.json": "-"}), "MGT-006 " + setFile + ": Application: [harbour-app] not found", false},
		"broken application":  {withMappers().with(files{quays + "applications/harbour-app.json": `{"applicationId":"harbour-app"}`}), setFile + ": needs application [harbour-app], but " + quays + "applications/harbour-app.json has errors", true},
		"broken type":         {withMappers().with(files{quays + "asset-types/Cargo.json": `{"templateId":"Cargo"}`, quays + "applications/harbour-app.json": `{"applicationId":"harbour-app","displayName":"H"}`}), setFile + ": needs asset-type [Cargo]", true},
		"twice":               {withMappers().with(files{quays + "api-mapper-sets/second.json": mapperSet}), "api-mapper-set [harbour-app] stands also in", false},
		"set of another":      {withMappers().with(files{setFile: "-", "authorization-workspaces/Docks/api-mapper-sets/x.json": mapperSet}), "MGT-008 authorization-workspaces/Docks/api-mapper-sets/x.json: Application: [harbour-app] already exists", false},
		"limit":               {edit(`"assetTemplates":[`, `"assetTemplates":[`+strings.Repeat(`{"templateId":"Cargo"},`, 5)), "MGT-018 " + setFile + ":1:334: /apiMappers/0/assetTemplates: 6, the limit is 5", false},
		"bad request mapping": {withMappers().with(files{channelFile: `[{"id":"channel","displayName":"C","mappings":[{"source":"PATH","path":"x"}]}]`}), channelFile + `:1:65: /0/mappings/0/path: "x" is not of the form [n]`, false},
	} {
		w := newWorld(t).bare()
		out := w.apply(tt.archive, manage.ApplyOptions{SkipErrors: tt.skip})
		if !strings.Contains(texts(out.Errors), tt.want) || out.Refused == tt.skip || w.revision() != 1 && !tt.skip {
			t.Errorf("%s: want %s, have\n%s", name, tt.want, texts(out.Errors))
		}
	}
	w := newWorld(t).bare()
	out := w.apply(edit(`"attributeId":"berth"`, `"attributeId":"x"`), manage.ApplyOptions{SkipErrors: true})
	if c := counts(out); c["api-mapper-sets"].Failed != 1 || c["applications"].Created != 1 || out.Refused {
		t.Errorf("skip: %+v", c)
	}
}

// PM-16, A6: sets are pruned where their folder occurs, and go with their applications.
func TestApplyPruneAPIMappers(t *testing.T) {
	prune := manage.ApplyOptions{Prune: true}
	left := func(w *world) (n int) {
		w.view(func(tx *store.Tx) { n = len(all(t, tx.APIMapperSets)) })
		return n
	}
	w := newWorld(t).bare()
	w.apply(withMappers(), manage.ApplyOptions{})
	if out := w.apply(backup(), prune); left(w) != 1 || len(out.Errors) > 0 {
		t.Errorf("without the folder: %d sets\n%s", left(w), texts(out.Errors))
	}
	if out := w.apply(backup().with(files{quays + "api-mapper-sets/": ""}), prune); counts(out)["api-mapper-sets"].Deleted != 1 || left(w) != 0 {
		t.Errorf("with the folder: %+v, %d sets\n%s", counts(out), left(w), texts(out.Errors))
	}
	w.apply(withMappers(), manage.ApplyOptions{})
	const types = quays + "asset-types/Cargo.json"
	noView := backup()[types]
	noView = strings.Replace(noView, `,{"actionId":"View","value":"view"}`, "", 1)
	out := w.apply(backup().with(files{types: noView}), manage.ApplyOptions{})
	if !strings.Contains(texts(out.Errors), "MGT-009 "+types+": Action: [View] is used by API mapper: [harbour-app/cargo-read]") {
		t.Errorf("a mapped action is dropped: %s", texts(out.Errors))
	}
	out = w.apply(backup().with(files{types: noView, setFile: `{"apiMappersSetId":"harbour-app","apiMappers":[]}`}), manage.ApplyOptions{})
	if len(out.Errors) > 0 {
		t.Errorf("dropped together with its mapping: %s", texts(out.Errors))
	}
	w.apply(withMappers(), manage.ApplyOptions{})
	noType := files{"environment/scopes.json": "[]", quays + "policies/": "", quays + "asset-types/": ""}
	out = w.apply(noType.with(files{setFile: mapperSet, quays + "applications/harbour-app.json": `{"applicationId":"harbour-app","displayName":"H"}`}), prune)
	if !strings.Contains(texts(out.Errors), "AssetTemplate: [Cargo] is used by API mapper: [harbour-app/cargo-read]") {
		t.Errorf("a set that the archive brings loses a mapping: %s", texts(out.Errors))
	}
	out = w.apply(noType, prune)
	w.view(func(tx *store.Tx) {
		for _, set := range all(t, tx.APIMapperSets) {
			if len(set.Mappers) != 1 || len(set.Mappers[0].AssetTemplates) != 0 || len(out.Errors) > 0 {
				t.Errorf("with its asset types: %+v\n%s", set, texts(out.Errors))
			}
		}
	})
	w.apply(withMappers(), manage.ApplyOptions{})
	gone := files{"environment/scopes.json": "[]", quays + "applications/": ""}
	out = w.apply(gone.with(files{setFile: mapperSet}), prune)
	if !strings.Contains(texts(out.Errors), "Application: [harbour-app] is used by API mapper set") || left(w) != 1 {
		t.Errorf("a set that the archive brings loses its application: %s", texts(out.Errors))
	}
	if out = w.apply(gone, prune); left(w) != 0 || len(out.Errors) > 0 {
		t.Errorf("with its application: %d sets\n%s", left(w), texts(out.Errors))
	}
}

// MG-70: the set of an application of the older layout.
func TestApplyOlderAPIMappers(t *testing.T) {
	w := newWorld(t).bare()
	const file = "Staging_5b0c9d52-0f5e-4a77-9c1e-3d0a6f2b8e41/Quays/harbour-app/api-mapper-set.json"
	out := w.apply(olderBackup().with(files{file: mapperSet}), manage.ApplyOptions{})
	if counts(out)["api-mapper-sets"].Created != 1 || len(out.Errors) > 0 {
		t.Errorf("%+v\n%s", counts(out), texts(out.Errors))
	}
}
