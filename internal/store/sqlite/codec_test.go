package sqlite

import (
	"encoding/hex"
	"errors"
	"maps"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// TestRecordForm freezes the form of stored records: databases in use hold it. A new form gets a new number.
func TestRecordForm(t *testing.T) {
	asset := model.Asset{Path: "/a", Name: "A", Attributes: model.Attributes{"owner": {"o", "p"}, "none": nil, "empty": {}}}
	body, _ := encodeAsset(nil, &asset, nil)
	const frozenAsset = "01" + "0141" + "04" + "05656d707479" + "01" + "046e6f6e65" + "00" + "056f776e6572" + "03016f0170"
	if got := hex.EncodeToString(body); got != frozenAsset {
		t.Errorf("asset: %s, want %s", got, frozenAsset)
	}
	identity := model.Identity{EntityID: "x", Inactive: true, Rows: []model.Attributes{{"r": {"1"}}, {}, nil}}
	body, _ = encodeIdentity(nil, &identity, nil)
	const frozenIdentity = "01" + "01" + "00" + "04" + "020172020131" + "01" + "00"
	if got := hex.EncodeToString(body); got != frozenIdentity {
		t.Errorf("identity: %s, want %s", got, frozenIdentity)
	}
}

// attributes draws attributes, nil and empty ones among them.
func attributes() *rapid.Generator[model.Attributes] {
	texts := rapid.OneOf(rapid.String(), rapid.StringN(60, 70, -1), rapid.SampledFrom([]string{"", "a", "\x00", "\xff"}))
	return rapid.Custom(func(r *rapid.T) model.Attributes {
		if rapid.Bool().Draw(r, "nil") {
			return nil
		}
		a := model.Attributes{}
		for range rapid.IntRange(0, 5).Draw(r, "attributes") {
			id := model.AttributeID(texts.Draw(r, "id"))
			a[id] = rapid.SliceOfN(texts, 0, 4).Draw(r, "values")
			if rapid.Bool().Draw(r, "nil list") {
				a[id] = nil
			}
		}
		return a
	})
}

// TestRecordRoundTrip: what is encoded is decoded again, by one decoder that remembers texts; and equal records are equal
// bytes whatever the order of the map.
func TestRecordRoundTrip(t *testing.T) {
	shared := newDecoder(1 << 20)
	rapid.Check(t, func(r *rapid.T) {
		identity := model.Identity{
			EntityID: "id", Inactive: rapid.Bool().Draw(r, "inactive"),
			Attributes: attributes().Draw(r, "attributes"), Rows: rapid.SliceOfN(attributes(), 0, 4).Draw(r, "rows"),
		}
		body, _ := encodeIdentity(nil, &identity, nil)
		again := identity
		again.Attributes = maps.Clone(identity.Attributes)
		if other, _ := encodeIdentity(nil, &again, nil); !slices.Equal(body, other) {
			r.Fatal("equal identities, other bytes")
		}
		var got model.Identity
		shared.reset(body)
		decodeIdentity(shared, "id", &got)
		if diff := cmp.Diff(identity, got); diff != "" || shared.end() != nil {
			r.Fatal(diff, shared.end())
		}
		asset := model.Asset{Path: "p", Name: rapid.String().Draw(r, "name"), Attributes: identity.Attributes}
		body, _ = encodeAsset(body[:0], &asset, nil)
		var gotAsset model.Asset
		shared.reset(body)
		decodeAsset(shared, "p", &gotAsset)
		if diff := cmp.Diff(asset, gotAsset); diff != "" || shared.end() != nil {
			r.Fatal(diff, shared.end())
		}
		for n := range body { // every shorter text is damage
			shared.reset(body[:n])
			if decodeAsset(shared, "p", &gotAsset); !errors.Is(shared.end(), errDamaged) {
				r.Fatalf("%x cut after %d bytes is read", body, n)
			}
		}
	})
}

// TestChangesRoundTrip: the feed gives back the changes that it was given.
func TestChangesRoundTrip(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var changes []store.Change
		for range rapid.IntRange(0, 5).Draw(r, "changes") {
			positions := rapid.SliceOfNDistinct(rapid.Int64Range(1, maxPosition), 0, 20, rapid.ID).Draw(r, "positions")
			slices.Sort(positions)
			c := store.Change{
				Collection: store.CollectionName(rapid.String().Draw(r, "collection")),
				Key:        rapid.String().Draw(r, "key"), Deleted: rapid.Bool().Draw(r, "deleted"),
				Template: model.TemplateID(rapid.String().Draw(r, "template")), Cleared: rapid.Bool().Draw(r, "cleared"),
				Removed: rapid.SliceOf(rapid.String()).Draw(r, "removed"),
			}
			if len(positions) > 0 {
				c.Positions = positions
			}
			if len(c.Removed) == 0 {
				c.Removed = nil
			}
			changes = append(changes, c)
		}
		got, err := decodeChanges(appendChanges(nil, changes))
		if diff := cmp.Diff(changes, got); diff != "" || err != nil {
			r.Fatal(diff, err)
		}
	})
}

// FuzzDecode reads any bytes as every form: an error or a value, no panic, and memory in proportion to the bytes.
func FuzzDecode(f *testing.F) {
	asset := benchAsset(1)
	body, _ := encodeAsset(nil, &asset, nil)
	f.Add(body)
	body, _ = encodeIdentity(nil, &model.Identity{Rows: []model.Attributes{{"a": {"b"}}}}, nil)
	f.Add(body)
	f.Add(appendChanges(nil, []store.Change{{Collection: store.Assets, Positions: []int64{1, 5}, Removed: []string{"k"}}}))
	f.Add([]byte{recordForm, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		d := newDecoder(0)
		var a model.Asset
		d.reset(data)
		if decodeAsset(d, "", &a); d.end() == nil {
			// A foreign encoder may order and repeat ids otherwise, so the bytes may differ; the value must not.
			again, _ := encodeAsset(nil, &a, nil)
			var b model.Asset
			d.reset(again)
			if decodeAsset(d, "", &b); d.end() != nil || !cmp.Equal(a, b) {
				t.Errorf("%+v became %+v, %v", a, b, d.end())
			}
		}
		var i model.Identity
		d.reset(data)
		decodeIdentity(d, "", &i)
		_, _ = decodeChanges(data)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20+uint64(len(data))*2_000 {
			t.Errorf("%d bytes for %d", used, len(data))
		}
	})
}
