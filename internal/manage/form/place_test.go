package form_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
)

// A member is where its name begins, an item where its value does; what is not there has no place.
func TestFindPlaces(t *testing.T) {
	for _, tt := range []struct {
		body string
		want map[jsontext.Pointer]model.Position
	}{
		{"{\"a\":1,\n \"é\": 2, \"b\" :[ 1,\n  {\"c\":3}]}", map[jsontext.Pointer]model.Position{
			"/a": {Line: 1, Column: 2}, "/é": {Line: 2, Column: 2}, "/b": {Line: 2, Column: 10}, "/b/1": {Line: 3, Column: 3}, "/b/1/c": {Line: 3, Column: 4},
			"/b/2": {}, "/a/x": {}, "/c": {},
		}},
		{"\ufeff{\"x\":[[]],\n\"data\": {\"a/b\":{}, \"~\":[[1], [2]]}}", map[jsontext.Pointer]model.Position{
			"/a~1b": {Line: 2, Column: 10}, "/~0": {Line: 2, Column: 20}, "/~0/1/0": {Line: 2, Column: 31}, "/x": {}, "/data": {},
		}},
		{"[ 1,\n\"two\"]", map[jsontext.Pointer]model.Position{"/0": {Line: 1, Column: 3}, "/1": {Line: 2, Column: 1}}},
		{"{\"a\":1", map[jsontext.Pointer]model.Position{"/a": {}}},
	} {
		got := map[jsontext.Pointer]model.Position{}
		for pointer := range tt.want {
			got[pointer] = model.Position{}
		}
		form.FindPlaces([]byte(tt.body), got)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.body, diff)
		}
	}
}

// A long name is no work for what stands below it: a file of 10 MiB would keep the store for hours.
func TestFindPlacesBelowLongNames(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"` + strings.Repeat("n", 100_000) + `":{"x":0`)
	for i := range 2000 {
		fmt.Fprintf(&b, `,"m%d":[1]`, i)
	}
	b.WriteString(`},"a":1}`)
	text := []byte(b.String())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	wanted := map[jsontext.Pointer]model.Position{"/a": {}}
	form.FindPlaces(text, wanted)
	runtime.ReadMemStats(&after)
	if at := wanted["/a"]; at.Column != len(text)-5 {
		t.Errorf("found at %v", at)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 50*uint64(len(text)) {
		t.Errorf("%d bytes of memory for %d of text", n, len(text))
	}
}
