package manage_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/bulk"
	"github.com/ambit-authz/ambit/internal/model"
)

// MG-66, MG-65: single records with strange ids; pages give every record once while others write.
func TestRecords(t *testing.T) {
	w := harbour(t)
	cargo := w.Assets(envID, "Cargo")
	ctx := t.Context()
	for _, path := range []string{"a/b", "a b", "100%", "ü", "a\"b"} {
		_, done, err := cargo.Put(ctx, w.call, path, []byte(`{"data":{"attributes":{"tonnes":1.50}}}`), false)
		w.must(err)
		if done.Result != manage.Created {
			t.Errorf("%q: %+v", path, done)
		}
		_, done, err = cargo.Put(ctx, w.call, path, []byte(`{"attributes":{"tonnes":null,"class":"x"}}`), true)
		w.must(err)
		got, _, err := cargo.Find(ctx, path)
		w.must(err)
		if done.Result != manage.Updated || got.Attributes["class"][0] != "x" || got.Attributes["tonnes"] != nil {
			t.Errorf("%q: %+v %+v", path, done, got)
		}
	}
	_, err := cargo.Delete(ctx, w.call, "a b")
	w.must(err)
	_, err = cargo.Delete(ctx, w.call, "a b")
	wantError(t, err, model.KindNotFound, "MGT-006")
	_, _, err = cargo.Put(ctx, w.call, "x", []byte(`{"path":"y"}`), false)
	wantError(t, err, model.KindInvalid, "MGT-003")
	_, _, err = cargo.Put(ctx, w.call, "x", []byte(`{}`), true)
	wantError(t, err, model.KindNotFound, "MGT-006")
	_, err = cargo.Clear(ctx, w.call)
	w.must(err)

	var body strings.Builder
	for i := range 250 {
		fmt.Fprintf(&body, `{"path":"p%03d","attributes":{"class":"c%d"}}`+"\n", i, i%2)
	}
	w.load(bulk.Options{}, body.String())
	caller := &manage.Caller{ClientID: "A"}
	seen := map[string]int{}
	cursor, first, pages := "", model.Revision(0), 0
	for {
		page, err := cargo.Page(ctx, caller, manage.Filter{}, cursor, 100)
		w.must(err)
		for _, a := range page.Records {
			seen[a.Path]++
		}
		if pages++; pages == 1 {
			first = page.Revision
			for other, question := range map[*manage.Caller]manage.Filter{{ClientID: "B"}: {}, caller: {Key: "x"}} {
				_, err := cargo.Page(ctx, other, question, page.Next, 100)
				wantError(t, err, model.KindInvalid, "MGT-003")
			}
			for i := range len(page.Next) {
				changed := []byte(page.Next)
				changed[i] ^= 1
				_, err := cargo.Page(ctx, caller, manage.Filter{}, string(changed), 100)
				wantError(t, err, model.KindInvalid, "MGT-003")
			}
		}
		if page.Revision != first {
			t.Errorf("page of revision %d after %d", page.Revision, first)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
		w.load(bulk.Options{}, fmt.Sprintf(`{"path":"p000","attributes":{"class":"n%d"}}`, pages))
	}
	if len(seen) != 250 || pages != 3 {
		t.Errorf("%d records in %d pages", len(seen), pages)
	}
	for path, n := range seen {
		if n != 1 {
			t.Errorf("%s %d times", path, n)
		}
	}
	n, _, err := cargo.Count(ctx, manage.Filter{Attributes: map[model.AttributeID]string{"class": "c1"}})
	w.must(err)
	if n != 125 {
		t.Errorf("count %d", n)
	}
	unknown := manage.Filter{Attributes: map[model.AttributeID]string{"klass": "c1"}}
	_, _, err = cargo.Count(ctx, unknown)
	wantError(t, err, model.KindInvalid, "MGT-003", "filter[attributes.klass]", "did you mean [class]")
	_, err = cargo.Page(ctx, caller, unknown, "", 10)
	wantError(t, err, model.KindInvalid, "MGT-003")
	wantError(t, cargo.Stream(ctx, unknown, bulk.StreamOptions{}, func(manage.Seen) { t.Error("a stream began") }, io.Discard), model.KindInvalid, "MGT-003")
	page, err := cargo.Page(ctx, caller, manage.Filter{}, "", 10)
	w.must(err)
	w.clock = w.clock.Add(15*time.Minute + time.Second)
	_, err = cargo.Page(ctx, caller, manage.Filter{}, page.Next, 10)
	wantError(t, err, model.KindInvalid, "MGT-003")
}

// MG-17: a record's version is that of its content; a write that demands another one changes nothing.
func TestRecordPreconditions(t *testing.T) {
	w := harbour(t)
	cargo := w.Assets(envID, "Cargo")
	when := func(match, none string) manage.Call {
		call := w.call
		if match != "" {
			call.IfMatch = []string{match}
		}
		if none != "" {
			call.IfNoneMatch = []string{none}
		}
		return call
	}
	put := func(call manage.Call, body string, merge bool) (manage.Done, error) {
		_, done, err := cargo.Put(t.Context(), call, "a", []byte(body), merge)
		return done, err
	}
	_, err := put(when("*", ""), `{"name":"0"}`, false)
	wantError(t, err, model.KindPrecondition, "MGT-011", "Asset: [a] has changed")
	_, err = put(when("*", ""), `{"name":"0"}`, true)
	wantError(t, err, model.KindPrecondition, "MGT-011")
	_, err = cargo.Delete(t.Context(), when("x", ""), "a")
	wantError(t, err, model.KindPrecondition, "MGT-011")
	one, err := put(when("", "*"), `{"name":"1","attributes":{"berth":["B","A"]}}`, false)
	w.must(err)
	_, err = put(when("", "*"), `{"name":"0"}`, false)
	wantError(t, err, model.KindPrecondition, "MGT-011")
	_, seen, err := cargo.Find(t.Context(), "a")
	w.must(err)
	if seen.Version == "" || seen.Version != one.Version {
		t.Errorf("version %q after the write, %q read", one.Version, seen.Version)
	}
	two, err := put(when(one.Version, ""), `{"name":"2"}`, true)
	w.must(err)
	for _, call := range []manage.Call{when(one.Version, ""), when("", two.Version)} {
		_, err = put(call, `{"name":"3"}`, true)
		wantError(t, err, model.KindPrecondition, "MGT-011")
		_, err = cargo.Delete(t.Context(), call, "a")
		wantError(t, err, model.KindPrecondition, "MGT-011")
	}
	got, _, err := cargo.Find(t.Context(), "a")
	w.must(err)
	if got.Name != "2" || two.Version == one.Version {
		t.Errorf("%+v, version %q after %q", got, two.Version, one.Version)
	}
	_, err = cargo.Delete(t.Context(), when(two.Version, ""), "a")
	w.must(err)
}
