package manage

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// MG-74, MG-75: the export over the wire, in each form; applied again it changes nothing.
func TestExport(t *testing.T) {
	h := newHarbour(t)
	h.do("admin", "POST", env+"/asset-templates/Cargo/assets", `{"path":"quay/7"}`, "Content-Type: application/x-ndjson").want(t, 200)
	target := env + "/export"
	for _, c := range []struct{ query, accept, media, begin string }{
		{"", "", "application/zip", "PK"},
		{"", "*/*", "application/zip", "PK"},
		{"", "application/x-tar", "application/x-tar", "authorization-workspaces/"},
		{"", "application/x-gzip", "application/gzip", "\x1f\x8b"},
		{"", "application/zip;q=0.1, application/x-tar, application/gzip;q=0.5", "application/x-tar", "authorization-workspaces/"},
		{"?format=tgz", "application/json", "application/gzip", "\x1f\x8b"},
		{"?format=tar&include=assets,identities&include=scopes", "application/gzip", "application/x-tar", "authorization-workspaces/"},
	} {
		a := h.do("viewer", "GET", target+c.query, "", "Accept: "+c.accept).want(t, 200)
		a.wantHeaders(t, "Content-Type: "+c.media, "Ambit-Revision: 3", "Cache-Control: no-store")
		if !strings.HasPrefix(a.body, c.begin) {
			t.Errorf("%s %s begins with %q", c.query, c.accept, a.body[:20])
		}
		if !strings.HasPrefix(a.Header.Get("Content-Disposition"), `attachment; filename="ambit-`+envID+`-3.`) {
			t.Errorf("Content-Disposition %q", a.Header.Get("Content-Disposition"))
		}
		again := h.do("admin", "POST", env+"/apply?prune=true", a.body, "Content-Type: "+c.media).want(t, 200, `"items":[]`, `"notes":[]`)
		again.wantHeaders(t, "Ambit-Result: unchanged", "Ambit-Revision: 3")
	}
	if a := h.do("viewer", "GET", target+"?format=tar&include=assets", "").want(t, 200); !strings.Contains(a.body, `{"path":"quay/7",`) {
		t.Error("the assets are missing")
	}
	h.do("viewer", "HEAD", target, "").want(t, 200).wantHeaders(t, "Content-Type: application/zip")
}

// MG-7, MG-72: what cannot be exported is an error and no archive.
func TestExportRefused(t *testing.T) {
	w := newWorld(t)
	target := env + "/export"
	w.do("viewer", "GET", target+"?format=rar", "").want(t, 400, "MGT-003", "format")
	w.do("viewer", "GET", target+"?include=secrets", "").want(t, 400, "MGT-003", "include")
	w.do("viewer", "GET", target+"?authWs=Nowhere", "").want(t, 400, "PAC-001", "Nowhere")
	w.do("viewer", "GET", target+"?identityWs=Nobody", "").want(t, 400, "PAC-005", "Nobody")
	w.do("viewer", "GET", target, "", "Accept: application/json").want(t, 406, "MGT-007")
	w.do("viewer", "GET", target, "", "Accept: image/png").want(t, 406, "MGT-007")
	w.do("viewer", "GET", target, "", "Ambit-Min-Revision: 99", "Ambit-Wait: 1").want(t, 503, "MGT-017")
	w.do("viewer", "POST", target, "").want(t, 405, "MGT-007")
}

// MG-74: a connection that breaks while the archive is sent does not look like its end.
func TestExportCut(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.handler.ServeHTTP(&cutWriter{rw, 300}, r)
	}))
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+env+"/export", nil)
	w.must(err)
	r.Header.Set("Authorization", "Bearer "+w.tokens["viewer"])
	resp, err := server.Client().Do(r)
	if err != nil {
		return // it broke so early that there is no answer at all
	}
	defer func() { _ = resp.Body.Close() }() // only read
	if text, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("%d bytes are taken for an archive", len(text))
	}
}

// cutWriter writes so many bytes of the body and then fails.
type cutWriter struct {
	http.ResponseWriter
	left int
}

// Write implements io.Writer.
func (c *cutWriter) Write(p []byte) (int, error) {
	n, err := io.Copy(c.ResponseWriter, io.LimitReader(bytes.NewReader(p), int64(c.left)))
	if c.left -= int(n); err == nil && int(n) < len(p) {
		err = io.ErrShortWrite
	}
	return int(n), err
}

// MG-14, MG-71: changes=true lists the texts of what an apply would change.
func TestApplyChanges(t *testing.T) {
	h := newHarbour(t)
	h.put(regoPolicy("p1", "4", "A"))
	exported := h.do("viewer", "GET", env+"/export?format=tar", "").want(t, 200)
	h.do("admin", "DELETE", h.policies("&filter[id]=p1"), "").want(t, 204)
	a := h.do("admin", "POST", env+"/apply?dryRun=true&changes=true", exported.body, "Content-Type: application/x-tar")
	a.want(t, 200, `"changes":[{"file":"authorization-workspaces/Quays/policies/p1.rego","kind":"policy","id":"p1","name":"Policy p1","result":"created","before":null,"after":"# METADATA\n`)
	a = h.do("admin", "POST", env+"/apply?dryRun=true&changes=maybe", exported.body, "Content-Type: application/x-tar")
	a.want(t, 400, "MGT-003", "changes")
	if a := h.do("admin", "POST", env+"/apply?dryRun=true", exported.body, "Content-Type: application/x-tar"); strings.Contains(a.body, `"changes"`) {
		t.Error("changes are listed without being asked for")
	}
}
