package manage_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/manage/bulk"
	"github.com/ambit-authz/ambit/internal/model"
)

// everything is the export with all that can be included.
func everything() manage.ExportOptions {
	return manage.ExportOptions{Assets: true, Identities: true, Scopes: true}
}

func (w *world) export(o manage.ExportOptions) []byte {
	w.t.Helper()
	var out bytes.Buffer
	revision, err := w.Export(w.t.Context(), envID, o, &out)
	w.must(err)
	if revision != w.revision() {
		w.t.Errorf("the export says revision %d, it is %d", revision, w.revision())
	}
	return out.Bytes()
}

// tree is the export as files.
func (w *world) tree(o manage.ExportOptions) files {
	w.t.Helper()
	o.Kind = archive.Zip
	return unzip(w.t, w.export(o))
}

func unzip(t testing.TB, body []byte) files {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	out := files{}
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		out[f.Name] = string(text)
	}
	return out
}

// same applies a tree to the environment that it was exported from: nothing happens.
func (w *world) same(tree files, o manage.ApplyOptions) {
	w.t.Helper()
	before := w.revision()
	report := w.apply(tree, o)
	if len(report.Errors) > 0 {
		w.t.Fatalf("the export is refused:\n%s", texts(report.Errors))
	}
	changed := slices.ContainsFunc(report.Items, func(i manage.ApplyItem) bool { return i.Result != "unchanged" })
	if report.Revision != before || changed || len(report.Notes) > 0 {
		w.t.Fatalf("the export changes revision %d to %d: %+v, notes %q", before, report.Revision, report.Items, report.Notes)
	}
}

// MG-74: the export of an environment, applied to itself, is unchanged; applied to a bare one it gives the same bytes.
func checkRound(t *testing.T, w *world) files {
	t.Helper()
	tree := w.tree(everything())
	w.same(tree, manage.ApplyOptions{Prune: true})
	other := newWorld(t).bare()
	report := other.apply(tree, manage.ApplyOptions{Prune: true})
	if len(report.Errors) > 0 || len(report.Notes) > 0 {
		t.Fatalf("a bare environment refuses it:\n%s\nnotes %q", texts(report.Errors), report.Notes)
	}
	if diff := cmp.Diff(tree, other.tree(everything())); diff != "" {
		t.Fatalf("exports (-from +into):\n%s", diff)
	}
	return tree
}

// MG-74: a world with every kind of object.
func TestExportRound(t *testing.T) {
	w := newWorld(t).bare()
	if report := w.apply(backup(), manage.ApplyOptions{}); report.Refused {
		t.Fatal(texts(report.Errors))
	}
	tree := checkRound(t, w)
	for path, want := range map[string]string{
		"environment/custom-policy-attributes.json": "[\n  {\n    \"key\": \"note\",\n    \"name\": \"Note\",\n    \"displayOrder\": 1,\n    \"type\": \"string\",\n    \"x-kept\": {\n      \"a\": [\n        1\n      ]\n    }\n  }\n]",
		"environment/policy-states.json":            "[\n  \"p2\"\n]",
		quays + "applications/harbour-app.json": "{\n  \"data\": {\n    \"applicationId\": \"harbour-app\",\n    \"displayName\": \"Harbour\",\n    \"colorIndication\": \"#808080\",\n" +
			"    \"assetTemplateIds\": [\n      \"Cargo\"\n    ]\n  }\n}",
		crewWs + "identities/Crew.ndjson": "{\"entityId\":\"iris\",\"isActive\":true,\"attributes\":{\"rank\":[\"5\"]}}\n",
		quays + "assets/Cargo.ndjson": "{\"path\":\"quay/1\",\"name\":\"quay/1\",\"attributes\":{\"berth\":[\"A\"]}}\n" +
			"{\"path\":\"quay/2\",\"name\":\"quay/2\",\"attributes\":{\"berth\":[\"B\"]}}\n",
	} {
		if diff := cmp.Diff(want, tree[path]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	for path, text := range tree {
		if strings.Contains(text, "secret") || strings.Contains(path, ".json") && strings.HasSuffix(text, "\n") {
			t.Errorf("%s:\n%s", path, text)
		}
	}
	plain := w.tree(manage.ExportOptions{})
	for _, part := range []string{"/assets/", "/identities/", "scopes.json"} {
		for path := range plain {
			if strings.Contains(path, part) {
				t.Errorf("%s is there without being asked for", path)
			}
		}
	}
}

// MG-74: three forms, each the same twice, with the same files in the order of their paths at a fixed time.
func TestExportForms(t *testing.T) {
	w := newWorld(t).bare()
	w.apply(backup().with(files{quays + "policies/p1.rego": "-", quays + "policies/p2.rego": "-", "environment/policy-states.json": "-"}), manage.ApplyOptions{})
	all := everything()
	var trees []files
	for _, kind := range []archive.Kind{archive.Zip, archive.Tar, archive.TarGzip} {
		all.Kind = kind
		body := w.export(all)
		if !bytes.Equal(body, w.export(all)) {
			t.Errorf("form %d differs the second time", kind)
		}
		paths, tree := entriesOf(t, body, kind)
		if !slices.IsSorted(paths) || !slices.Contains(paths, quays+"policies/") {
			t.Errorf("paths %q", paths)
		}
		trees = append(trees, tree)
		w.same(tree, manage.ApplyOptions{Prune: true})
		report, err := w.Apply(t.Context(), w.call, envID, open(t, body, kind), manage.ApplyOptions{Prune: true})
		if w.must(err); report.Revision != 2 || len(report.Errors) > 0 {
			t.Errorf("form %d: revision %d\n%s", kind, report.Revision, texts(report.Errors))
		}
	}
	if diff := cmp.Diff(trees[0], trees[1]) + cmp.Diff(trees[0], trees[2]); diff != "" {
		t.Error(diff)
	}
}

func entriesOf(t *testing.T, body []byte, kind archive.Kind) (paths []string, tree files) {
	t.Helper()
	tree = files{}
	in := io.Reader(bytes.NewReader(body))
	if kind == archive.Zip {
		z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range z.File {
			if paths = append(paths, f.Name); f.Modified.Year() != 1980 {
				t.Errorf("%s is of %v", f.Name, f.Modified)
			}
		}
		return paths, unzip(t, body)
	}
	if kind == archive.TarGzip {
		z, err := gzip.NewReader(in)
		if err != nil {
			t.Fatal(err)
		}
		in = z
	}
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if err == io.EOF {
			return paths, tree
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if paths, tree[h.Name] = append(paths, h.Name), string(text); h.ModTime.Year() != 1980 {
			t.Errorf("%s is of %v", h.Name, h.ModTime)
		}
	}
}

// MG-73, MG-74: an archive that an error cut short is not taken for a whole one.
func TestExportBroken(t *testing.T) {
	w := newWorld(t).bare()
	w.apply(backup(), manage.ApplyOptions{})
	for _, kind := range []archive.Kind{archive.Zip, archive.Tar, archive.TarGzip} {
		o := everything()
		o.Kind = kind
		whole := w.export(o)
		for _, left := range []int{0, 1, len(whole) / 2, len(whole) - 1} {
			out := &full{left: left}
			if _, err := w.Export(t.Context(), envID, o, out); err == nil {
				t.Errorf("form %d: no error after %d bytes", kind, left)
			}
			a, err := archive.Open(bytes.NewReader(out.Bytes()), int64(out.Len()), kind, t.TempDir())
			if err == nil {
				t.Errorf("form %d: %d of %d bytes are taken for an archive", kind, out.Len(), len(whole))
				_ = a.Close()
			}
		}
	}
}

// full is a disk with so many bytes left.
type full struct {
	bytes.Buffer
	left int
}

// Write implements io.Writer.
func (f *full) Write(p []byte) (int, error) {
	n := min(len(p), f.left)
	f.Buffer.Write(p[:n])
	if f.left -= n; n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

// MG-74: limits name workspaces; one that is not there is an error, for the archive of a misspelt name would be empty.
func TestExportLimits(t *testing.T) {
	w := newWorld(t).bare()
	w.apply(backup().with(files{"authorization-workspaces/Do  cks/asset-types/Crane.json": `{"templateId":"Crane","displayName":"Crane","source":"REQUEST","attributes":[],"actions":[]}`}), manage.ApplyOptions{})
	tree := w.tree(manage.ExportOptions{AuthWs: []string{"Do  cks"}})
	for path := range tree {
		if strings.HasPrefix(path, quays) || path == "environment/policy-states.json" {
			t.Errorf("%s is not of the workspace asked for", path)
		}
	}
	if tree["authorization-workspaces/Do  cks/asset-types/Crane.json"] == "" || tree[crewWs+"identity-templates/Crew.json"] == "" {
		t.Errorf("the export lacks files: %v", tree)
	}
	_, err := w.Export(t.Context(), envID, manage.ExportOptions{AuthWs: []string{"Quays", "Do cks"}, IdentityWs: []string{"Crew people"}}, io.Discard)
	wantError(t, err, model.KindInvalid, "PAC-001", "Do cks")
	_, err = w.Export(t.Context(), envID, manage.ExportOptions{IdentityWs: []string{"Nobody"}}, io.Discard)
	wantError(t, err, model.KindInvalid, "PAC-005", "Nobody")
}

// MG-69, A11: names that file names cannot have, and names that look alike, come back as they were.
func TestExportNames(t *testing.T) {
	long := strings.Repeat("長", 100)
	names := []string{
		"a/b", "a:b", "a_b", "Ops", "ops", "OPS", ".hidden", "__MACOSX", "..", " blank ", "two  blanks", long, long[:297] + "短", "é", "e\u0301", "a_b~0a1b2c3d", "~", "x~12345678",
	}
	tree := files{}
	for i, name := range names {
		folder := "authorization-workspaces/w" + string(rune('a'+i)) + "/"
		id := strings.TrimSpace(name)
		tree[folder+"workspace.json"] = string(must(t, map[string]any{"name": name, "description": "of " + name, "logoUrl": "https://logos.example.org/" + string(rune('a'+i))}))
		tree[folder+"asset-types/x.json"] = string(must(t, map[string]any{
			"templateId": id, "displayName": folder, "source": "PLAINID", "attributes": []any{}, "actions": []any{},
		}))
		tree[folder+"asset-types/y.json"] = string(must(t, map[string]any{
			"templateId": id + "?", "displayName": folder + "?", "source": "PLAINID", "attributes": []any{}, "actions": []any{},
		}))
		tree[folder+"asset-types/z.json"] = string(must(t, map[string]any{
			"templateId": id + "*", "displayName": folder + "*", "source": "PLAINID", "attributes": []any{}, "actions": []any{},
		}))
		tree["identity-workspaces/i"+string(rune('a'+i))+"/workspace.json"] = string(must(t, map[string]any{"name": name}))
		tree["identity-workspaces/i"+string(rune('a'+i))+"/identity-templates/t.json"] = string(must(t, map[string]any{"templateId": id, "attributes": []any{}}))
	}
	w := newWorld(t).bare()
	if report := w.apply(tree, manage.ApplyOptions{}); report.Refused {
		t.Fatal(texts(report.Errors))
	}
	for _, name := range names {
		id := strings.TrimSpace(name)
		for _, id := range []string{id, id + "?", id + "*"} {
			_, _, err := w.Assets(envID, model.TemplateID(id)).Put(t.Context(), w.call, "path of "+id, []byte(`{}`), false)
			w.must(err)
		}
		_, _, err := w.Identities(envID, model.TemplateID(id)).Put(t.Context(), w.call, "entity of "+id, []byte(`{}`), false)
		w.must(err)
	}
	out := checkRound(t, w)
	folded := map[string]string{}
	for path := range out {
		for part := range strings.SplitSeq(path, "/") {
			if len(part) > 255 || strings.HasPrefix(part, ".") || strings.ContainsAny(part, `\:*?"<>|`) {
				t.Errorf("%q is no file name", part)
			}
		}
		if other, taken := folded[strings.ToLower(path)]; taken {
			t.Errorf("%q and %q are one file on some disks", path, other)
		}
		folded[strings.ToLower(path)] = path
	}
	if _, ok := out["authorization-workspaces/two  blanks/asset-types/two  blanks.json"]; !ok {
		t.Error("two blanks are not two")
	}
	// without workspace.json the folder finds its workspace again
	bare := files{}
	for path, text := range out {
		if !strings.HasSuffix(path, "/workspace.json") {
			bare[path] = text
		}
	}
	w.same(bare, manage.ApplyOptions{Prune: true})
}

func must(t testing.TB, v any) []byte {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// MG-69: limits and renames go by the name that a workspace's file states, not by the folder that it hides in.
func TestApplyWorkspaceFile(t *testing.T) {
	w := newWorld(t).bare()
	w.apply(backup(), manage.ApplyOptions{})
	before := w.revision()
	disguised := files{
		"authorization-workspaces/Sandbox/workspace.json":         `{"name":"Quays","description":"taken over"}`,
		"authorization-workspaces/Sandbox/applications/evil.json": `{"applicationId":"evil","displayName":"Evil"}`,
	}
	report := w.apply(disguised, manage.ApplyOptions{AuthWs: []string{"Sandbox"}})
	if report.Revision != before || len(report.Items) > 0 {
		t.Errorf("a folder passes for another workspace: %+v", report.Items)
	}
	report = w.apply(disguised, manage.ApplyOptions{AuthWs: []string{"Piers"}, Rename: map[string]string{"Quays": "Piers"}})
	if len(report.Errors) > 0 || report.Summary["authorization-workspaces"].Created != 1 {
		t.Errorf("%+v\n%s", report.Items, texts(report.Errors))
	}
	for _, text := range []string{`{"name":"a\u0007"}`, `{"name":""`, `[]`, `{"name":"x","logoUrl":"javascript:alert(1)"}`} {
		report := w.apply(files{"authorization-workspaces/Bad/workspace.json": text, "authorization-workspaces/Bad/policies/p1.rego": policyText("p8", `identity["rank"] >= 4`)}, manage.ApplyOptions{SkipErrors: true})
		if len(report.Errors) != 2 || report.Summary["policies"].Failed != 1 {
			t.Errorf("%s: %s", text, texts(report.Errors))
		}
	}
}

// MG-74: records stream through an export: what it holds in memory does not follow their number.
func TestExportIsStreamed(t *testing.T) {
	w := newWorld(t).bare()
	w.apply(backup(), manage.ApplyOptions{})
	var rows strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&rows, `{"path":"p/%d","name":"%s"}`+"\n", i, strings.Repeat("long ", 200))
	}
	_, err := w.Assets(envID, "Cargo").Import(t.Context(), w.call, bulk.Options{}, strings.NewReader(rows.String()))
	w.must(err)
	rows.Reset()
	for _, kind := range []archive.Kind{archive.Zip, archive.Tar} {
		m := &memoryWatch{step: 1 << 20, base: liveMemory()}
		if kind == archive.Zip {
			m.step = 1 << 10 // packed
		}
		_, err := w.Export(t.Context(), envID, manage.ExportOptions{Kind: kind, Assets: true}, m)
		if w.must(err); m.looks < 5 || m.most > m.base+8<<20 {
			t.Errorf("form %d: %d looks, %d KiB, then up to %d KiB", kind, m.looks, m.base>>10, m.most>>10)
		}
	}
}

func liveMemory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// memoryWatch looks at the memory in use once for every step bytes written to it, at most 20 times.
type memoryWatch struct {
	step, written, next int
	looks               int
	base, most          uint64
}

// Write implements io.Writer.
func (m *memoryWatch) Write(p []byte) (int, error) {
	if m.written += len(p); m.written >= m.next && m.looks < 20 {
		m.next = m.written + m.step
		m.looks++
		m.most = max(m.most, liveMemory())
	}
	return len(p), nil
}
