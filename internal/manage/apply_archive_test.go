package manage_test

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/model"
)

// MG-73: an entry that holds more than its header says is refused, in files that are read whole and in streamed ones.
func TestArchiveUnderstated(t *testing.T) {
	for _, path := range []string{"environment/scopes.json", quays + "assets/Cargo.ndjson"} {
		text := strings.Repeat(" ", 1000)
		body := zipOf(t, backup().with(files{path: text, quays + "assets/Cargo.csv": "-"}))
		// the size stands in the central directory, behind the name's entry
		at := bytes.LastIndex(body, []byte(path)) - 46 + 24
		body[at], body[at+1] = 10, 0
		w := newWorld(t).bare()
		out, err := w.Apply(t.Context(), w.call, envID, open(t, body, archive.Zip), manage.ApplyOptions{})
		if model.KindOf(err) != model.KindInvalid && (err != nil || !out.Refused) {
			t.Errorf("%s: %v %+v", path, err, counts(out))
		}
	}
}

func FuzzArchive(f *testing.F) {
	small := files{"environment/scopes.json": "[]", quays + "policies/p.rego": policyText("p", "")}
	f.Add(zipOf(f, small), uint8(archive.Zip))
	f.Add(tarOf(f, small), uint8(archive.Tar))
	var packed bytes.Buffer
	g := gzip.NewWriter(&packed)
	if _, err := g.Write(tarOf(f, small)); err != nil || g.Close() != nil {
		f.Fatal(err)
	}
	f.Add(packed.Bytes(), uint8(archive.TarGzip))
	w := newWorld(f).bare()
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, body []byte, kind uint8) {
		a, err := archive.Open(bytes.NewReader(body), int64(len(body)), archive.Kind(kind%3), dir)
		if err != nil {
			if model.KindOf(err) == model.KindInternal {
				t.Error(err)
			}
			return
		}
		defer func() { _ = a.Close() }()
		if _, err := w.Apply(t.Context(), w.dry(), envID, a, manage.ApplyOptions{SkipErrors: true}); err != nil && model.KindOf(err) == model.KindInternal {
			t.Error(err)
		}
	})
}
