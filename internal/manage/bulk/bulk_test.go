package bulk_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/manage/bulk"
	"github.com/ambit-authz/ambit/internal/model"
)

func cargo() bulk.Schema[model.Asset] {
	return bulk.AssetSchema(&model.AssetTemplate{ID: "Cargo", Source: model.SourcePlainID, Attributes: []model.AssetAttribute{
		{ID: "berth", Type: model.String, IsMultiValue: true},
		{ID: "class", Type: model.String, MaxLength: 5},
		{ID: "tonnes", Type: model.Numeric},
		{ID: "state", Type: model.String, IsRequired: true, DefaultValue: []string{"new"}},
	}})
}

func crew() bulk.Schema[model.Identity] {
	return bulk.IdentitySchema(&model.IdentityTemplate{ID: "Crew", Attributes: []model.IdentityAttribute{
		{ID: "port", Type: model.String}, {ID: "rank", Type: model.Numeric},
	}})
}

// read reads a whole body: the records of its rows, and how many rows have faults. The error is that of the body.
func read[R any](t rapid.TB, o bulk.Options, s bulk.Schema[R], body string) (records []R, faults int, err error) {
	t.Helper()
	rows, err := bulk.NewReader(o, s, strings.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	for line := 0; ; {
		row, err := rows.Next()
		if err == io.EOF {
			return records, faults, nil
		}
		if f, ok := errors.AsType[*bulk.Fault](err); ok {
			if faults++; f.Line < 1 || f.Err.Pos.Line != f.Line || f.Err.Kind != model.KindInvalid {
				t.Errorf("%q: %v", body, f)
			}
			continue
		}
		if err != nil {
			return records, faults, err
		}
		if row.Key == "" || row.Line <= line {
			t.Errorf("%q: after line %d %+v", body, line, row)
		}
		line = row.Line
		if row.Remove {
			continue
		}
		record, problem := s.Apply(row, nil, false)
		if problem != nil {
			faults++
			continue
		}
		records = append(records, record)
	}
}

// MG-63, MG-68: what was written is what is read, in both formats.
func TestRoundTrip(t *testing.T) {
	text := rapid.OneOf(rapid.SampledFrom([]string{"a", "|", `\`, `\|`, "||", `"`, ",", "\n", " x ", "Ü", `a,b"c`, "=1+1"}), rapid.StringN(1, 4, -1))
	written := func(t rapid.TB, o bulk.StreamOptions, s bulk.Schema[model.Asset], assets []model.Asset) string {
		var out strings.Builder
		write, err := bulk.NewWriter(s, o, func(a *model.Asset) []byte { return line(t, a) }, &out)
		if err != nil {
			t.Fatal(err)
		}
		for i := range assets {
			if err := write(&assets[i]); err != nil {
				t.Fatal(err)
			}
		}
		if err := write(nil); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	rapid.Check(t, func(t *rapid.T) {
		valid := text.Filter(func(s string) bool { return !strings.ContainsAny(s, "\r\x00") })
		var assets []model.Asset
		for _, path := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z/ ]{0,6}[a-z]`), 0, 4, rapid.ID).Draw(t, "paths") {
			assets = append(assets, model.Asset{Path: path, Attributes: model.Attributes{
				"berth": model.Distinct(rapid.SliceOfN(valid, 1, 3).Draw(t, "berth")), "state": {"s"},
			}})
		}
		for _, format := range []bulk.Format{bulk.NDJSON, bulk.CSV} {
			body := written(t, bulk.StreamOptions{Format: format}, cargo(), assets)
			got, faults, err := read(t, bulk.Options{Format: format}, cargo(), body)
			if diff := cmp.Diff(assets, got); diff != "" || faults > 0 || err != nil {
				t.Fatalf("%s: %d faults, %v (-want +got):\n%s", body, faults, err, diff)
			}
		}
	})
}

// line is an asset as a line of NDJSON.
func line(t rapid.TB, a *model.Asset) []byte {
	out, err := json.Marshal(map[string]any{"path": a.Path, "attributes": a.Attributes})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func FuzzNDJSON(f *testing.F) {
	for _, seed := range []string{`{"path":"a"}`, `{"path":"a","attributes":{"berth":["A",1,null,{}]}}`, "{\"op\":\"delete\",\"path\":\"x\"}\n\n[", `{"a`, "\ufeff{}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if _, _, err := read(t, bulk.Options{}, cargo(), body); err != nil {
			t.Errorf("%q: %v", body, err)
		}
	})
}

func FuzzCSV(f *testing.F) {
	for _, seed := range []string{"entityId,port\na,x\n", "entityId,port,rank\r\na,\"x\r\ny\",1\n", "entityId,op\na,delete", "entityId\n\"", "\ufeffentityId,isActive\nb,FALSE"} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, body string, asRows bool) {
		o := bulk.Options{Format: bulk.CSV}
		if asRows {
			o.Duplicates = bulk.DuplicatesRows
		}
		if _, _, err := read(t, o, crew(), body); err != nil && model.KindOf(err) != model.KindInvalid {
			t.Errorf("%q: %v", body, err)
		}
	})
}
