package manage_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/bulk"
	"github.com/ambit-authz/ambit/internal/model"
)

// MG-65: the pages of a list are the list of the first page's revision, for every limit and filter, whatever is written,
// deleted or cleared between them, and also when several walks are under way.
func TestPagesShowOneRevision(t *testing.T) {
	w := harbour(t)
	cargo := w.Assets(envID, "Cargo")
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		write := func() {
			var body strings.Builder
			for range rapid.IntRange(1, 4).Draw(t, "rows") {
				path := rapid.IntRange(0, 12).Draw(t, "path")
				if rapid.Bool().Draw(t, "delete") {
					fmt.Fprintf(&body, `{"op":"delete","path":"p%d"}`+"\n", path)
				} else {
					fmt.Fprintf(&body, `{"path":"p%d","attributes":{"berth":["%d"]}}`+"\n", path, rapid.IntRange(0, 1).Draw(t, "berth"))
				}
			}
			if _, err := cargo.Import(ctx, w.call, bulk.Options{Duplicates: bulk.DuplicatesLast}, strings.NewReader(body.String())); err != nil {
				t.Fatal(err)
			}
			if rapid.IntRange(0, 9).Draw(t, "clear") == 0 {
				if _, err := cargo.Clear(ctx, w.call); err != nil {
					t.Fatal(err)
				}
			}
		}
		write()
		write()
		type walk struct {
			caller    *manage.Caller
			filter    manage.Filter
			want, got []model.Asset
			cursor    string
			revision  model.Revision
			limit     int
		}
		page := func(k *walk) {
			p, err := cargo.Page(ctx, k.caller, k.filter, k.cursor, k.limit)
			if err != nil {
				t.Fatal(err)
			}
			if k.got = append(k.got, p.Records...); k.cursor == "" {
				k.revision = p.Revision
			}
			if k.cursor = p.Next; p.Revision != k.revision {
				t.Fatalf("a page of revision %d after %d", p.Revision, k.revision)
			}
		}
		var walks []*walk
		for n := range rapid.IntRange(1, 3).Draw(t, "walks") {
			k := &walk{caller: &manage.Caller{ClientID: model.ClientID(fmt.Sprint(n))}, limit: rapid.IntRange(1, 5).Draw(t, "limit")}
			if rapid.Bool().Draw(t, "filter") {
				k.filter.Attributes = map[model.AttributeID]string{"berth": "1"}
			}
			all := *k
			all.limit = 1000
			page(&all)
			k.want = all.got
			page(k)
			walks = append(walks, k)
			if rapid.Bool().Draw(t, "write") {
				write()
			}
		}
		for _, k := range walks {
			for k.cursor != "" {
				write()
				page(k)
			}
			if diff := cmp.Diff(k.want, k.got); diff != "" {
				t.Fatalf("the pages differ from the list of their revision (-want +got):\n%s", diff)
			}
		}
	})
}

// MG-65: a cursor ends after 15 minutes, with its process, and when others begin too many lists; the last page can be asked
// for again.
func TestCursorEnds(t *testing.T) {
	w := harbour(t)
	cargo := w.Assets(envID, "Cargo")
	w.load(bulk.Options{}, "{\"path\":\"a\"}\n{\"path\":\"b\"}\n{\"path\":\"c\"}")
	first := func(as model.ClientID) string {
		t.Helper()
		p, err := cargo.Page(t.Context(), &manage.Caller{ClientID: as}, manage.Filter{}, "", 2)
		w.must(err)
		return p.Next
	}
	next := func(c manage.Catalogue[model.Asset], as model.ClientID, cursor string) error {
		p, err := c.Page(t.Context(), &manage.Caller{ClientID: as}, manage.Filter{}, cursor, 2)
		if err == nil && (len(p.Records) != 1 || p.Records[0].Path != "c" || p.Next != "") {
			t.Errorf("the last page is %+v", p)
		}
		return err
	}
	cursor := first("A")
	w.must(next(cargo, "A", cursor))
	w.load(bulk.Options{}, `{"path":"d"}`)
	w.must(next(cargo, "A", cursor)) // the answer may have been lost
	w.load(bulk.Options{}, `{"op":"delete","path":"d"}`)

	cursor = first("A")
	w.clock = w.clock.Add(15 * time.Minute)
	w.must(next(cargo, "A", cursor))
	w.clock = w.clock.Add(time.Second)
	wantError(t, next(cargo, "A", cursor), model.KindInvalid, "MGT-003")

	cursor = first("A")
	restarted := manage.New(manage.Options{Store: w.store, Now: func() time.Time { return w.clock }})
	wantError(t, next(restarted.Assets(envID, "Cargo"), "A", cursor), model.KindInvalid, "MGT-003")
	restarted.Close()

	greedy := []string{}
	for n := range 40 { // each at a revision of its own
		w.load(bulk.Options{}, fmt.Sprintf(`{"path":"a","name":"%d"}`, n))
		greedy = append(greedy, first("B"))
	}
	w.must(next(cargo, "A", cursor)) // another caller's lists go on
	wantError(t, next(cargo, "B", greedy[0]), model.KindInvalid, "MGT-003")
	w.must(next(cargo, "B", greedy[39]))

	cursor = first("A")
	w.Close()
	wantError(t, next(cargo, "A", cursor), model.KindInvalid, "MGT-003")
}
