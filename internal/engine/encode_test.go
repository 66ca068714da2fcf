package engine

import (
	"encoding/json"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/ambit-authz/ambit/internal/engine/index"
	"github.com/ambit-authz/ambit/internal/model"
)

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "a", `"`, `\`, "\x00\x1f\x7f", "a\nb\r\t\b\f", "<>&", "é日本\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return // texts are valid UTF-8 by the time they are encoded
		}
		b := appendText(nil, s)
		var back string
		if err := json.Unmarshal(b, &back); err != nil || back != s {
			t.Fatalf("%q is written as %s: %v", s, b, err)
		}
		record := newAssetType(model.AssetTemplate{ID: "T"}).appendRecord(nil, s, nil, func(model.AttributeID) []string { return []string{s} })
		want := append([]byte(`"path":`), b...)
		if got := pathOnly(record); !slices.Equal(got, want) {
			t.Fatalf("the path of %s is cut to %s", record, got)
		}
	})
}

// TestRowsOfIdentities: what the blob of an identity holds comes back, and an identity without rows costs nothing.
func TestRowsOfIdentities(t *testing.T) {
	it := newIdentityType(model.IdentityTemplate{ID: "T", Attributes: []model.IdentityAttribute{{ID: "uid"}, {ID: "a"}, {ID: "b"}, {ID: "c"}}})
	in := model.Identity{
		EntityID: "iris", Inactive: true, Attributes: model.Attributes{"c": {"x", ""}},
		Rows: []model.Attributes{{"a": {"1"}, "b": {"p", "q"}}, {}, {"a": {"2", ""}}},
	}
	next, err := it.next(Records[model.Identity]{Put: func(yield func(model.Identity, error) bool) {
		_ = yield(in, nil) && yield(model.Identity{EntityID: "tom"}, nil)
	}})
	if err != nil {
		t.Fatal(err)
	}
	read := func(id string) (model.Identity, index.Record) {
		o, ok := next.table.Find(id)
		if !ok {
			t.Fatalf("%s is not found", id)
		}
		return next.identity(next.table.Record(o)), next.table.Record(o)
	}
	got, _ := read("iris")
	if got.EntityID != in.EntityID || !got.Inactive || len(got.Rows) != 3 || len(got.Attributes) != 1 ||
		!slices.Equal(got.Attributes["c"], in.Attributes["c"]) {
		t.Fatalf("read back %+v", got)
	}
	for i, row := range in.Rows {
		for id, vs := range row {
			if !slices.Equal(got.Rows[i][id], vs) {
				t.Errorf("row %d %s = %q, want %q", i, id, got.Rows[i][id], vs)
			}
		}
	}
	plain, record := read("tom")
	if plain.Inactive || len(plain.Rows) > 0 || len(record.Blob()) > 0 {
		t.Fatalf("read back %+v with %d bytes", plain, len(record.Blob()))
	}
}
