package manage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/bulk"
	"github.com/ambit-authz/ambit/internal/model"
)

func streamed[R any](t rapid.TB, c manage.Catalogue[R], f manage.Filter, o bulk.StreamOptions) (string, error) {
	t.Helper()
	var out bytes.Buffer
	seen := 0
	err := c.Stream(context.Background(), f, o, func(manage.Seen) { seen++ }, &out)
	if err == nil && seen != 1 {
		t.Errorf("seen was called %d times", seen)
	}
	return out.String(), err
}

// MG-63, MG-67, MG-68: what a stream wrote is what is stored: importing it into an empty catalogue gives the same records, and
// importing it again changes nothing, with prune too.
func TestStreamRoundTrip(t *testing.T) {
	w := harbour(t)
	text := rapid.OneOf(
		rapid.SampledFrom([]string{"", "a", "|", `\`, `\|`, "||", `"`, ",", "\n", " x ", "Ü", "a,b\"c", "\r\n", "=1+1", `\.`}),
		rapid.StringN(0, 4, -1),
	)
	values := rapid.SliceOfN(text, 0, 3)
	id := rapid.OneOf(rapid.SampledFrom([]string{"a/b", `"q"`, "x,y", "ü |", "=z"}), rapid.StringMatching(`[a-z]{1,3}`))
	refused := 0
	rapid.Check(t, func(t *rapid.T) {
		o := bulk.StreamOptions{
			Format:    rapid.SampledFrom([]bulk.Format{bulk.NDJSON, bulk.CSV}).Draw(t, "format"),
			Separator: rapid.SampledFrom([]string{"", "|", ";", ",", `"`, "→"}).Draw(t, "separator"),
		}
		rows := map[string]string{}
		for range rapid.IntRange(0, 5).Draw(t, "records") {
			key := id.Draw(t, "key")
			port := model.Attributes{"port": values.Draw(t, "port")}
			if rapid.IntRange(0, 9).Draw(t, "rows") == 0 {
				rows[key] = line(t, map[string]any{"entityId": key, "rows": []model.Attributes{port}})
			} else {
				rows[key] = line(t, map[string]any{"entityId": key, "isActive": rapid.Bool().Draw(t, "active"), "attributes": port})
			}
		}
		if roundTrip(t, w, w.Identities(envID, "Crew"), rows, o) {
			refused++
		}
		rows = map[string]string{}
		for range rapid.IntRange(0, 5).Draw(t, "records") {
			key := id.Draw(t, "key")
			rows[key] = line(t, map[string]any{"path": key, "name": text.Draw(t, "name"), "attributes": map[string]any{
				"berth": values.Draw(t, "berth"), "tonnes": rapid.SampledFrom([]any{1.5, "1.50", nil}).Draw(t, "tonnes"),
				"owner": rapid.SampledFrom([]any{"o", "", nil}).Draw(t, "owner"),
			}})
		}
		if roundTrip(t, w, w.Assets(envID, "Cargo"), rows, o) {
			refused++
		}
	})
	if refused == 0 {
		t.Error("no list was refused as CSV: the test lost its edge")
	}
}

func line(t *rapid.T, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// roundTrip reports whether the list could not be CSV.
func roundTrip[R any](t *rapid.T, w *world, c manage.Catalogue[R], rows map[string]string, o bulk.StreamOptions) (refused bool) {
	load := func(body string, b bulk.Options) manage.Bulk {
		out, err := c.Import(context.Background(), w.call, b, strings.NewReader(body))
		if err != nil || out.Refused {
			t.Fatalf("%q: %v %s", body, err, errorsOf(out))
		}
		return out
	}
	var body strings.Builder
	for _, row := range rows {
		body.WriteString(row + "\n")
	}
	empty := func() {
		if _, err := c.Clear(context.Background(), w.call); err != nil {
			t.Fatal(err)
		}
	}
	empty()
	load(body.String(), bulk.Options{})
	want, err := streamed(t, c, manage.Filter{}, bulk.StreamOptions{})
	if err != nil || strings.Count(want, "\n") != len(rows) {
		t.Fatalf("%d rows became %q, %v", len(rows), want, err)
	}
	got, err := streamed(t, c, manage.Filter{}, o)
	if e, ok := errors.AsType[*model.Error](err); ok && o.Format == bulk.CSV && e.Name == "NotAcceptableError" {
		return true
	}
	if err != nil {
		t.Fatal(err)
	}
	b := bulk.Options{Format: o.Format, Separator: o.Separator, Prune: true}
	if r := load(got, b).Report; r.Unchanged != int64(len(rows)) || r.Created+r.Updated+r.Deleted != 0 {
		t.Errorf("%q again: %+v", got, r)
	}
	empty()
	load(got, b)
	again, err := streamed(t, c, manage.Filter{}, bulk.StreamOptions{})
	if diff := cmp.Diff(want, again); diff != "" || err != nil {
		t.Errorf("%q into an empty catalogue (-want +got): %s %v", got, diff, err)
	}
	return false
}

// MG-65: a stream shows one state, filtered, in order of insertion, whatever is written while it runs; what CSV cannot show is
// an error that names it, and no more than eight run at once.
func TestStream(t *testing.T) {
	w := harbour(t)
	cargo := w.Assets(envID, "Cargo")
	var body strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&body, `{"path":"p%04d","attributes":{"berth":["B%d"],"state":"s"}}`+"\n", i, i%2)
	}
	w.load(bulk.Options{}, body.String())
	revision := w.revision()
	writes := 0
	var out strings.Builder
	err := cargo.Stream(t.Context(), manage.Filter{Attributes: map[model.AttributeID]string{"berth": "B1"}}, bulk.StreamOptions{}, func(s manage.Seen) {
		if s.Revision != revision {
			t.Errorf("revision %d, want %d", s.Revision, revision)
		}
	}, writeFunc(func(p []byte) {
		out.Write(p)
		if writes++; writes%100 == 1 {
			w.load(bulk.Options{}, `{"op":"delete","path":"p2999"}`+"\n"+`{"path":"late","attributes":{"berth":"B1"}}`+"\n"+`{"path":"p2001","attributes":{"berth":"B0"}}`)
		}
	}))
	w.must(err)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 1500 {
		t.Fatalf("%d lines", len(lines))
	}
	for i, l := range lines {
		if want := fmt.Sprintf(`{"path":"p%04d",`, 2*i+1); !strings.HasPrefix(l, want) || !strings.Contains(l, `"berth":["B1"]`) {
			t.Fatalf("line %d is %s", i, l)
		}
	}
	keys, err := streamed(t, cargo, manage.Filter{KeyPrefix: "p000"}, bulk.StreamOptions{Format: bulk.CSV, KeysOnly: true})
	if err != nil || keys != "path\np0000\np0001\np0002\np0003\np0004\np0005\np0006\np0007\np0008\np0009\n" {
		t.Errorf("keys %q, %v", keys, err)
	}
	if keys, err = streamed(t, cargo, manage.Filter{Key: "p0001"}, bulk.StreamOptions{KeysOnly: true}); err != nil || keys != `{"path":"p0001"}`+"\n" {
		t.Errorf("keys %q, %v", keys, err)
	}
	_, err = streamed(t, cargo, manage.Filter{}, bulk.StreamOptions{Format: bulk.CSV, Separator: "||"})
	wantError(t, err, model.KindInvalid, "MGT-003")
	_, err = streamed(t, w.Assets(envID, "Live"), manage.Filter{}, bulk.StreamOptions{})
	wantError(t, err, model.KindConflict, "MGT-009")
	_, err = streamed(t, w.Assets(envID, "None"), manage.Filter{}, bulk.StreamOptions{})
	wantError(t, err, model.KindNotFound, "MGT-006")
	w.load(bulk.Options{}, `{"path":"crlf","name":"a\r\nb"}`)
	text, err := streamed(t, cargo, manage.Filter{KeyPrefix: "c"}, bulk.StreamOptions{Format: bulk.CSV})
	if err == nil || !strings.Contains(err.Error(), `"crlf"`) || strings.Contains(text, "crlf") {
		t.Errorf("%q, %v", text, err)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	w := harbour(t)
	w.load(bulk.Options{}, `{"path":"a"}`)
	cargo := w.Assets(envID, "Cargo")
	goOn, inside, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	const share = 4
	for range share {
		go func() {
			ended <- cargo.Stream(t.Context(), manage.Filter{}, bulk.StreamOptions{}, func(manage.Seen) {}, writeFunc(func([]byte) {
				inside <- struct{}{}
				<-goOn
			}))
		}()
		<-inside
	}
	_, err := streamed(t, cargo, manage.Filter{}, bulk.StreamOptions{})
	wantError(t, err, model.KindTooMany, "MGT-014")
	_, err = streamed(t, w.Assets("another", "Cargo"), manage.Filter{}, bulk.StreamOptions{})
	wantError(t, err, model.KindNotFound, "MGT-006") // which has places left
	w.load(bulk.Options{}, `{"path":"b"}`)           // others read and write all the same
	close(goOn)
	for range share {
		w.must(<-ended)
	}
	_, err = streamed(t, cargo, manage.Filter{}, bulk.StreamOptions{})
	w.must(err)
}

// MG-67: a stream needs no memory for its length.
func TestStreamMemory(t *testing.T) {
	w := harbour(t)
	n := 60_000
	_, err := w.Assets(envID, "Cargo").Import(t.Context(), w.call, bulk.Options{}, rowsOf(n))
	w.must(err)
	for _, format := range []bulk.Format{bulk.NDJSON, bulk.CSV} {
		runtime.GC()
		var before, now runtime.MemStats
		runtime.ReadMemStats(&before)
		bytes, peak, start := 0, uint64(0), time.Now()
		w.must(w.Assets(envID, "Cargo").Stream(t.Context(), manage.Filter{}, bulk.StreamOptions{Format: format}, func(manage.Seen) {}, writeFunc(func(p []byte) {
			if last := bytes >> 20; (bytes+len(p))>>20 != last {
				runtime.GC()
				runtime.ReadMemStats(&now)
				peak = max(peak, now.HeapAlloc)
			}
			bytes += len(p)
		})))
		t.Logf("%d bytes in %v", bytes, time.Since(start))
		if bytes < n*40 || peak > before.HeapAlloc+8<<20 {
			t.Errorf("%d bytes, %d KiB of heap above the start", bytes, (int64(peak)-int64(before.HeapAlloc))>>10)
		}
	}
}

// writeFunc is an io.Writer that never fails.
type writeFunc func([]byte)

func (f writeFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}
