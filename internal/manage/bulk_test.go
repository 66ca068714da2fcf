package manage_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/bulk"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

const wsID = model.WorkspaceID("7d1e0000-0000-4000-8000-000000000001")

// harbour is an environment with the stored asset type Cargo and the identity template Crew.
func harbour(t testing.TB) *world {
	w := newWorld(t).bare()
	w.write(func(tx *store.Tx) error {
		cargo, err := form.ParseAssetTemplate([]byte(`{"templateId":"Cargo","displayName":"Cargo","source":"PLAINID","attributes":[
			{"attributeId":"berth","displayName":"Berth","type":"STRING","isMultiValue":true},
			{"attributeId":"class","displayName":"Class","type":"STRING","maxLength":5},
			{"attributeId":"tonnes","displayName":"Tonnes","type":"NUMERIC"},
			{"attributeId":"state","displayName":"State","type":"STRING","isRequired":true,"defaultValue":["new"]},
			{"attributeId":"owner","displayName":"Owner","type":"STRING","canBeUpdated":"ONLY_ON_CREATE"},
			{"attributeId":"origin","displayName":"Origin","type":"STRING","canBeUpdated":"NO","defaultValue":["here"]}],
			"actions":[{"actionId":"Load","value":"load"}]}`))
		if err != nil {
			return err
		}
		crew, err := form.ParseIdentityTemplate([]byte(`{"templateId":"Crew","attributes":[
			{"attributeId":"port","displayName":"Port","type":"STRING"},{"attributeId":"rank","displayName":"Rank","type":"NUMERIC"},
			{"attributeId":"cert","displayName":"Cert","type":"STRING"}]}`))
		if err != nil {
			return err
		}
		live := model.AssetTemplate{ID: "Live", WorkspaceID: wsID, DisplayName: "Live", Source: model.SourceRequest}
		for _, put := range []func() error{
			func() error {
				_, err := tx.AuthorizationWorkspaces.Put(model.AuthorizationWorkspace{ID: wsID, Name: "Quays"})
				return err
			},
			func() error { _, err := tx.AssetTemplates.Put(cargo); return err },
			func() error { _, err := tx.AssetTemplates.Put(live); return err },
			func() error { _, err := tx.IdentityTemplates.Put(crew); return err },
		} {
			if err := put(); err != nil {
				return err
			}
		}
		return nil
	})
	return w
}

func (w *world) load(o bulk.Options, body string) manage.Bulk {
	w.t.Helper()
	out, err := w.Assets(envID, "Cargo").Import(w.t.Context(), w.call, o, strings.NewReader(body))
	w.must(err)
	return out
}

func (w *world) assets() map[string]model.Asset {
	w.t.Helper()
	out := map[string]model.Asset{}
	w.view(func(tx *store.Tx) {
		for p, err := range tx.Assets("Cargo").After(0) {
			w.must(err)
			out[p.Record.Path] = p.Record
		}
	})
	return out
}

func errorsOf(b manage.Bulk) string {
	var lines []string
	for _, e := range b.Errors {
		lines = append(lines, e.Key+" | "+e.Err.Text())
	}
	return strings.Join(lines, "\n")
}

// MG-63, PM-10: the same assets by NDJSON and by CSV; the second time nothing changes.
func TestBulkFormats(t *testing.T) {
	want := map[string]model.Asset{
		"quay/7": {Path: "quay/7", Name: "Crane oil", Attributes: model.Attributes{"berth": {"A", "B"}, "tonnes": {"12.50"}, "state": {"new"}, "origin": {"here"}}},
		"quay/8": {Path: "quay/8", Attributes: model.Attributes{"berth": {"A"}, "tonnes": {"9"}, "state": {"old"}, "origin": {"here"}}},
		"ü %/9":  {Path: "ü %/9", Attributes: model.Attributes{"berth": {`a|b`, `c\`, "true"}, "state": {"new"}, "origin": {"here"}}},
	}
	bodies := map[bulk.Format]string{
		bulk.NDJSON: "\ufeff" + `{"path":"quay/7","name":"Crane oil","attributes":{"berth":["A","B","A"],"tonnes":["12.50"]}}` + "\r\n\n" +
			`{"op":"upsert","attributes":{"berth":"A","tonnes":9,"state":"old","class":null},"path":"quay/8"}` + "\n" +
			`{"path":"ü %/9","name":"ü %/9","attributes":{"berth":["a|b","c\\",true,null,["x"],{"y":1}],"path":"ü %/9"}}`,
		bulk.CSV: "\ufeffpath,name,berth,tonnes,state,class,op\r\n" +
			"quay/7,Crane oil,A|B|A,12.50,,,\r\n" +
			"quay/8,,A,9,old,,upsert\r\n" +
			`ü %/9,,"a\|b|c\\|true",,,,` + "\n",
	}
	for format, body := range bodies {
		w := harbour(t)
		before := w.revision()
		out := w.load(bulk.Options{Format: format}, body)
		if diff := cmp.Diff(manage.BulkReport{Received: 3, Created: 3}, out.Report); diff != "" || out.Refused {
			t.Errorf("format %d: %s\n%s", format, diff, errorsOf(out))
		}
		if diff := cmp.Diff(want, w.assets()); diff != "" {
			t.Errorf("format %d (-want +got):\n%s", format, diff)
		}
		if out.Revision != before+1 || w.revision() != before+1 {
			t.Errorf("one revision: %d after %d", out.Revision, before)
		}
		events := len(w.events(envID))
		out = w.load(bulk.Options{Format: format}, body)
		if out.Report.Unchanged != 3 || w.revision() != before+1 || len(w.events(envID)) != events {
			t.Errorf("MG-15: the second run: %+v at %d", out.Report, w.revision())
		}
	}
}

// MG-64: row errors name line and key; an atomic body with a bad row stores nothing.
func TestBulkRowErrors(t *testing.T) {
	body := `{"path":"good"}
{"path":"a","attributes":{"tonnes":"heavy"}}

{"path":"b","attributes":{"nope":"x"}}
{"path":"c","attributes":{"class":"sixsix"}}
{"path":"d","attributes":{"class":["x","y"]}}
{"path":"e","colour":"red"}
{"attributes":{}}
{"path":""}
{"path":"f"
[1]
{"path":"g"} {"path":"h"}
{"path":"good"}
{"path":"i","path":"j"}
{"op":"drop","path":"k"}
{"path":"l","attributes":{"path":"m"}}
{"path":7}
{"path":"n","attributes":[]}
`
	want := `a | 2: Invalid value for tonnes: "heavy" is not a number
b | 4: Invalid value for nope: the attribute is not declared
c | 5: Invalid value for class: a value has 6 characters, the limit is 5
d | 6: Invalid value for class: has 2 values, the attribute takes one
e | 7: Invalid value for colour: the name is not known
 | 8: path is missing
 | 9: path is missing
f | 10: the object is not complete
 | 11: a row is an object
g | 12: data after the end of the object
good | 13: "good" stands more than once in the body
i | 14: byte 12: duplicate object member name
 | 15: Invalid value for op: "drop" is not upsert or delete
l | 16: Invalid value for path: differs from the id of the record
 | 17: Invalid value for path: a text is needed
n | 18: Invalid value for attributes: an object is needed`
	w := harbour(t)
	before := w.revision()
	out := w.load(bulk.Options{}, body)
	if diff := cmp.Diff(want, errorsOf(out)); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(manage.BulkReport{Received: 17, Created: 1, Failed: 16}, out.Report); diff != "" || !out.Refused {
		t.Errorf("refused %v %s", out.Refused, diff)
	}
	if len(w.assets()) != 0 || w.revision() != before || out.Revision != before {
		t.Errorf("stored %v at revision %d", w.assets(), w.revision())
	}
	out = w.load(bulk.Options{Partial: true}, body)
	if out.Refused || out.Report.Created != 1 || out.Report.Failed != 16 || len(w.assets()) != 1 {
		t.Errorf("MG-63 partial: %+v", out)
	}
}

func TestBulkCSVErrors(t *testing.T) {
	w := harbour(t)
	out := w.load(bulk.Options{Format: bulk.CSV}, "path,berth,tonnes\na,x\nb,x,\"y\nz\"\nc,\"x\"y,1\n,x,1\nd,x,1\n")
	want := ` | 2: wrong number of fields
b | 3: Invalid value for tonnes: "y\nz" is not a number
 | 5: extraneous or missing " in quoted-field
 | 6: path is missing`
	if diff := cmp.Diff(want, errorsOf(out)); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	for body, part := range map[string]string{
		"":                   "header line is missing",
		"name\n":             "Missing required parameter: path",
		"path,,berth\n":      "1: a column has no name",
		"path,nope\n":        "1: Invalid value for nope",
		"path,berth,berth\n": "stands more than once",
		"path,berth\na,\"" + strings.Repeat("x", 2<<20): "more than 1 MiB",
	} {
		_, err := w.Assets(envID, "Cargo").Import(t.Context(), w.call, bulk.Options{Format: bulk.CSV}, strings.NewReader(body))
		if model.KindOf(err) != model.KindInvalid || !strings.Contains(err.Error(), part) {
			t.Errorf("%.40q: %v", body, err)
		}
	}
}

// MG-64: bytes that are no UTF-8 would be stored and could never be read again as JSON: they are errors of their row, which is
// refused as a whole, wherever they stand.
func TestBulkCSVEncoding(t *testing.T) {
	w := newWorld(t).bare()
	w.apply(backup(), manage.ApplyOptions{})
	for name, body := range map[string]string{
		"path": "path,berth\nok,A\nx\xff,A\n", "value": "path,berth\nok,A\nx,\xc3(\n",
		"name": "path,name\nok,A\nx,\xed\xa0\x80\n", "op": "path,op\nok,\nx,\xff\n",
	} {
		out, err := w.Assets(envID, "Cargo").Import(t.Context(), w.call, bulk.Options{Format: bulk.CSV}, strings.NewReader(body))
		w.must(err)
		if !out.Refused || len(out.Errors) != 1 || out.Errors[0].Key != "" || !strings.Contains(out.Errors[0].Err.Error(), "not valid UTF-8") || out.Errors[0].Err.Pos.Line != 3 {
			t.Errorf("%s: %+v", name, out)
		}
	}
	_, err := w.Assets(envID, "Cargo").Import(t.Context(), w.call, bulk.Options{Format: bulk.CSV}, strings.NewReader("path,\xff\na,b\n"))
	wantError(t, err, model.KindInvalid, "", "not valid UTF-8")
}

// MG-63: merge, delete rows, prune, duplicates, dry run.
func TestBulkModes(t *testing.T) {
	w := harbour(t)
	w.load(bulk.Options{}, `{"path":"a","name":"Anna","attributes":{"berth":["A"],"tonnes":1,"state":"s"}}`+"\n"+`{"path":"b"}`+"\n"+`{"path":"c"}`)

	out := w.load(bulk.Options{Merge: true}, `{"path":"a","attributes":{"berth":["B"],"tonnes":[]}}`+"\n"+`{"path":"b","op":"delete"}`+"\n"+`{"path":"zz","op":"delete"}`)
	if diff := cmp.Diff(manage.BulkReport{Received: 3, Updated: 1, Deleted: 1, Unchanged: 1}, out.Report); diff != "" {
		t.Errorf("merge: %s\n%s", diff, errorsOf(out))
	}
	want := model.Asset{Path: "a", Name: "Anna", Attributes: model.Attributes{"berth": {"B"}, "state": {"s"}, "origin": {"here"}}}
	if diff := cmp.Diff(want, w.assets()["a"]); diff != "" {
		t.Errorf("merged: %s", diff)
	}
	out = w.load(bulk.Options{Format: bulk.CSV, Merge: true}, "path,name,berth,state\na,,,t\n")
	want.Attributes["state"] = []string{"t"}
	if diff := cmp.Diff(want, w.assets()["a"]); diff != "" {
		t.Errorf("an empty CSV cell in a merge: %s %s", diff, errorsOf(out))
	}

	revision := w.revision()
	dry, err := w.Assets(envID, "Cargo").Import(t.Context(), w.dry(), bulk.Options{Prune: true}, strings.NewReader(`{"path":"n"}`))
	w.must(err)
	if diff := cmp.Diff(manage.BulkReport{Received: 1, Created: 1, Deleted: 2, DryRun: true}, dry.Report); diff != "" || w.revision() != revision || len(w.assets()) != 2 {
		t.Errorf("MG-14: %s, %v", diff, w.assets())
	}
	out = w.load(bulk.Options{Prune: true}, `{"path":"c"}`)
	if out.Report.Deleted != 1 || len(w.assets()) != 1 {
		t.Errorf("prune: %+v %v", out.Report, w.assets())
	}
	out = w.load(bulk.Options{Duplicates: bulk.DuplicatesLast}, `{"path":"d","attributes":{"class":"1"}}`+"\n"+`{"path":"d","attributes":{"class":"2"}}`)
	if out.Report.Failed != 0 || w.assets()["d"].Attributes["class"][0] != "2" {
		t.Errorf("duplicates=last: %+v", out)
	}
	_, err = w.Assets(envID, "Cargo").Import(t.Context(), w.call, bulk.Options{Prune: true, Partial: true}, strings.NewReader(""))
	wantError(t, err, model.KindInvalid, "MGT-003")
	_, err = w.Assets(envID, "Nope").Import(t.Context(), w.call, bulk.Options{}, strings.NewReader(""))
	wantError(t, err, model.KindNotFound, "MGT-006")
	_, err = w.Assets(envID, "Live").Import(t.Context(), w.call, bulk.Options{}, strings.NewReader(""))
	wantError(t, err, model.KindConflict, "MGT-009")
}

// PM-10: canBeUpdated.
func TestBulkFixedAttributes(t *testing.T) {
	w := harbour(t)
	w.load(bulk.Options{}, `{"path":"a","attributes":{"owner":"x"}}`)
	out := w.load(bulk.Options{}, `{"path":"a","attributes":{"owner":"y"}}`)
	if errorsOf(out) != "a | 1: Invalid value for owner: the attribute cannot be changed" {
		t.Errorf("ONLY_ON_CREATE: %q", errorsOf(out))
	}
	out = w.load(bulk.Options{}, `{"path":"b","attributes":{"origin":"there"}}`)
	if errorsOf(out) != "b | 1: Invalid value for origin: the attribute cannot be changed" {
		t.Errorf("NO: %q", errorsOf(out))
	}
	out = w.load(bulk.Options{}, `{"path":"a","attributes":{"owner":"x","origin":"here","class":"c"}}`+"\n"+`{"path":"c"}`)
	if out.Refused || w.assets()["a"].Attributes["class"][0] != "c" {
		t.Errorf("the same values: %q", errorsOf(out))
	}
	out = w.load(bulk.Options{}, `{"path":"a"}`)
	if out.Refused || w.assets()["a"].Attributes["owner"][0] != "x" {
		t.Errorf("an unnamed fixed attribute is lost: %v", w.assets()["a"])
	}
}

// MG-68: identities by NDJSON and by CSV lines; uid cannot be written; attributes and rows exclude each other.
func TestBulkIdentities(t *testing.T) {
	w := harbour(t)
	people := w.Identities(envID, "Crew")
	load := func(o bulk.Options, body string) manage.Bulk {
		out, err := people.Import(t.Context(), w.call, o, strings.NewReader(body))
		w.must(err)
		return out
	}
	iris := model.Identity{
		EntityID: "iris", Attributes: model.Attributes{"port": {"north"}},
		Rows: []model.Attributes{{"rank": {"4"}, "cert": {"A"}}, {"rank": {"2"}, "cert": {"B"}}},
	}
	check := func(name string, want model.Identity) {
		t.Helper()
		got, _, err := people.Find(t.Context(), want.EntityID)
		w.must(err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	out := load(bulk.Options{}, `{"entityId":"iris","attributes":{"port":["north"],"uid":"iris"},"rows":[{"rank":["4"],"cert":["A"]},{"rank":2,"cert":"B"}]}
{"entityId":"olaf","isActive":false}`)
	if out.Report.Created != 2 {
		t.Fatalf("%+v %s", out.Report, errorsOf(out))
	}
	check("NDJSON", iris)
	check("inactive", model.Identity{EntityID: "olaf", Inactive: true})
	rows := bulk.Options{Format: bulk.CSV, Duplicates: bulk.DuplicatesRows, Shared: []string{"port"}}
	out = load(rows, "entityId,isActive,port,rank,cert\niris,true,north,4,A\niris,true,north,2,B\nolaf,false,,,\n")
	if out.Report.Unchanged != 1 || out.Report.Updated != 1 { // olaf gets an empty row
		t.Errorf("lines as rows: %+v %s", out.Report, errorsOf(out))
	}
	check("CSV lines", iris)
	out = load(rows, "entityId,port,rank\na,x,1\na,y,2\nb,x,1\na,x,3\n")
	if errorsOf(out) != "a | 3: Invalid value for port: differs between the lines of one identity\na | 5: the lines of one identity must stand together" &&
		errorsOf(out) != "a | 3: Invalid value for port: differs between the lines of one identity" {
		t.Errorf("lines that differ: %q", errorsOf(out))
	}
	for body, want := range map[string]string{
		`{"entityId":"a","attributes":{"uid":"b"}}`:                        "a | 1: Invalid value for uid: differs from the id of the record",
		`{"entityId":"a","attributes":{"rank":"x"}}`:                       `a | 1: Invalid value for rank: "x" is not a number`,
		`{"entityId":"a","attributes":{"port":"n"},"rows":[{"port":"s"}]}`: "a | 1: Invalid value for port: stands in attributes and in rows",
		`{"entityId":"a","isActive":"yes"}`:                                "a | 1: Invalid value for isActive: a boolean is needed",
		`{"path":"a"}`:                                                     " | 1: Invalid value for path: the name is not known",
		`{"entityId":"a","rows":[` + strings.Repeat(`{},`, 1000) + `{}]}`:  "a | 1: Invalid value for rows: has 1001 items, the limit is 1000",
		`{"entityId":"` + strings.Repeat("x", 513) + `"}`:                  strings.Repeat("x", 513) + " | 1: Invalid value for entityId: has 513 characters, the limit is 512",
	} {
		if got := errorsOf(load(bulk.Options{}, body)); got != want {
			t.Errorf("%.60s: %q, want %q", body, got, want)
		}
	}
	load(bulk.Options{Merge: true}, `{"entityId":"iris","rows":[{"rank":9}]}`)
	iris.Rows = []model.Attributes{{"rank": {"9"}}}
	check("merge replaces all rows", iris)
}

// What is read back from the wire form is what was stored, by NDJSON.
func TestBulkRoundTrip(t *testing.T) {
	w := harbour(t)
	text := rapid.StringN(0, 20, 40).Filter(func(s string) bool { return !strings.ContainsAny(s, "\x00\ufffd") })
	rapid.Check(t, func(rt *rapid.T) {
		want := model.Asset{Path: "p", Attributes: model.Attributes{"origin": {"here"}, "state": {"new"}}}
		if berths := rapid.SliceOfNDistinct(text, 0, 4, rapid.ID[string]).Draw(rt, "berths"); len(berths) > 0 {
			want.Attributes["berth"] = berths
		}
		out, err := w.Assets(envID, "Cargo").Import(t.Context(), w.call, bulk.Options{}, bytes.NewReader(form.FormatAsset(&want)))
		if err != nil || out.Refused {
			rt.Fatalf("%v %s", err, errorsOf(out))
		}
		if diff := cmp.Diff(want, w.assets()["p"]); diff != "" {
			rt.Fatal(diff)
		}
	})
}

// rowsOf is an endless body, cut at n rows, that is never in memory as a whole.
func rowsOf(n int) io.Reader {
	r, out := io.Pipe()
	go func() {
		b := bufio.NewWriterSize(out, 64<<10)
		for i := range n {
			fmt.Fprintf(b, `{"path":"quay/%d","name":"Cargo %d","attributes":{"berth":["A%d","B%d"],"class":"c%d","tonnes":%d.5,"owner":"o%d"}}`+"\n", i, i, i%50, i%7, i%9, i%1000, i%3)
		}
		_ = b.Flush()
		_ = out.Close()
	}()
	return r
}

// MG-67: rows are streamed: a large import needs memory for the hashes of its keys, not for its rows.
func TestBulkIsStreamed(t *testing.T) {
	w := harbour(t)
	n := 60_000
	if os.Getenv("AMBIT_TEST_MILLION") != "" {
		n = 1_000_000
	}
	start := time.Now()
	out, err := w.Assets(envID, "Cargo").Import(t.Context(), w.call, bulk.Options{}, rowsOf(n))
	w.must(err)
	took := time.Since(start)
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("%d rows in %v, %d MiB of the system", n, took, m.Sys>>20)
	if out.Report.Created != int64(n) || out.Refused {
		t.Errorf("%+v %s", out.Report, errorsOf(out))
	}
	if limit := uint64(64<<20) + uint64(n)*200; m.Sys > limit {
		t.Errorf("%d MiB of memory, want at most %d", m.Sys>>20, limit>>20)
	}
}

// A partial call is several commits: what others write between two of them is merged with, not overwritten.
func TestBulkPartialMerge(t *testing.T) {
	w := newWorld(t).bare()
	w.apply(backup().with(files{quays + "assets/Cargo.csv": "-"}), manage.ApplyOptions{})
	cargo := w.Assets(envID, "Cargo")
	var body strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&body, "{\"path\":\"%d\"}\n", i)
	}
	written := make(chan error, 1)
	meanwhile := readFunc(func([]byte) (int, error) { // the store gives the next transaction to whom waits
		go func() {
			_, _, err := cargo.Put(t.Context(), w.call, "late", []byte(`{"attributes":{"berth":"B"}}`), false)
			written <- err
		}()
		time.Sleep(200 * time.Millisecond)
		return 0, io.EOF
	})
	out, err := cargo.Import(t.Context(), w.call, bulk.Options{Partial: true, Merge: true},
		io.MultiReader(strings.NewReader(body.String()[:80_000]), meanwhile, strings.NewReader(body.String()[80_000:]+`{"path":"late","name":"N"}`)))
	w.must(err)
	w.must(<-written)
	late, _, err := cargo.Find(t.Context(), "late")
	w.must(err)
	if late.Name != "N" || !slices.Equal(late.Attributes["berth"], []string{"B"}) || out.Report.Updated != 1 {
		t.Errorf("%+v %+v", late, out.Report)
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// One identity of far too many lines is refused without being gathered.
func TestBulkCSVManyRows(t *testing.T) {
	w := newWorld(t).bare()
	w.apply(backup(), manage.ApplyOptions{})
	var before, after runtime.MemStats
	load := func(lines int) manage.Bulk {
		out, err := w.Identities(envID, "Crew").Import(t.Context(), w.call, bulk.Options{Format: bulk.CSV, Duplicates: bulk.DuplicatesRows},
			strings.NewReader("entityId,rank\n"+strings.Repeat("zoe,1\n", lines)))
		w.must(err)
		return out
	}
	if out := load(model.MaxRows); out.Refused {
		t.Errorf("at the limit: %+v", out.Errors)
	}
	runtime.ReadMemStats(&before)
	out := load(100_000)
	runtime.ReadMemStats(&after)
	if !out.Refused || !strings.Contains(out.Errors[0].Err.Error(), "the limit is 1000") {
		t.Errorf("above it: %+v", out)
	}
	if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 16<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}
