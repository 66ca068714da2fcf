package manage

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// MG-63, MG-65: GET with the media types of bulk bodies gives everything, which can be sent back as it is.
func TestListStreams(t *testing.T) {
	w := newWorld(t)
	all := env + "/asset-templates/Claims/assets"
	const ndjson, csv = "Content-Type: application/x-ndjson", "Content-Type: text/csv"
	wantNDJSON, wantCSV := "Accept: application/x-ndjson", "Accept: text/csv, application/json;q=0.5"
	w.do("viewer", "GET", all, "", wantNDJSON).want(t, 200)
	var body strings.Builder
	for i := range 2500 { // more than a page, and more than a buffer
		fmt.Fprintf(&body, `{"path":"p/%04d","name":"N, \"%d\"","attributes":{"claimKey":["k%d"]}}`+"\n", i, i, i%2)
	}
	w.do("admin", "POST", all, body.String(), ndjson).want(t, 200, `"created":2500`)
	lines := w.do("viewer", "GET", all+"?limit=7", "", wantNDJSON).want(t, 200)
	if lines.body != body.String() || lines.Header.Get("Content-Type") != "application/x-ndjson" || lines.Header.Get("Ambit-Revision") == "" {
		t.Errorf("%d bytes, headers %v", len(lines.body), lines.Header)
	}
	w.do("admin", "POST", all+"?prune=true", lines.body, ndjson).want(t, 200, `"unchanged":2500`, `"created":0,"updated":0,"unchanged":2500,"deleted":0`)
	table := w.do("viewer", "GET", all+"?separator=;", "", wantCSV).want(t, 200, "path,name,claimKey").want(t, 200, "\np/0000,\"N, \"\"0\"\"\",k0")
	if got := table.Header.Get("Content-Type"); got != "text/csv; charset=utf-8; header=present" {
		t.Errorf("Content-Type %q", got)
	}
	w.do("admin", "POST", all+"?prune=true&separator=;", table.body, csv).want(t, 200, `"created":0,"updated":0,"unchanged":2500,"deleted":0`)

	if got := w.do("viewer", "GET", all+"?fields=path&filter[path][startswith]=p/000&filter[attributes.claimKey]=k1", "", wantNDJSON).want(t, 200).body; strings.Count(got, "\n") != 5 || !strings.HasPrefix(got, `{"path":"p/0001"}`+"\n") {
		t.Errorf("filtered keys %q", got)
	}
	head := w.do("viewer", "HEAD", all, "", wantNDJSON).want(t, 200)
	if head.body != "" || head.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("HEAD: %q %v", head.body, head.Header)
	}
	w.do("viewer", "GET", all, "", "Accept: */*").want(t, 200, `"nextCursor"`)
	w.do("viewer", "GET", all, "", "Accept: text/csv;q=0.1, application/json").want(t, 200, `"nextCursor"`)
	w.do("viewer", "GET", all, "", "Accept: text/html").want(t, 406)
	w.do("viewer", "GET", all+"?path=p/0001", "", wantNDJSON).want(t, 406)
	w.do("viewer", "GET", all+"/p%2F0001", "", wantNDJSON).want(t, 406)
	w.do("viewer", "GET", all+"?separator=ab", "", wantCSV).want(t, 400, "separator")
	w.do("viewer", "GET", all+"?separator=%5C", "", wantCSV).want(t, 400, "separator")
	w.do("viewer", "GET", all+"?fields=name", "", wantNDJSON).want(t, 400, "fields")
	w.do("viewer", "GET", env+"/asset-templates/None/assets", "", wantNDJSON).want(t, 404)
}

// MG-68: identities stream as assets do; rows are for NDJSON.
func TestIdentityStreams(t *testing.T) {
	h := newHarbour(t)
	people := env + "/identity-templates/Crew/identities?filter[entityId]="
	h.do("admin", "POST", people, `{"entityId":"plain","isActive":false}`+"\n"+`{"entityId":"rows","rows":[{"rank":["4"]}]}`, "Content-Type: application/x-ndjson").want(t, 200, `"created":2`)
	h.do("viewer", "GET", people+"rows", "", "Accept: text/csv").want(t, 406, "rows")
	h.do("viewer", "GET", people+"plain", "", "Accept: text/csv").want(t, 200, "entityId,isActive,", "\nplain,false,")
	h.do("viewer", "GET", people+"rows", "", "Accept: application/x-ndjson").want(t, 200, `{"entityId":"rows","isActive":true,"attributes":{},"rows":[{"rank":["4"]}]}`+"\n")
}

// Reliability 1.10: a stream that fails after its beginning is broken off: no client takes it for the whole, and the log says why.
func TestStreamIsBrokenOff(t *testing.T) {
	w := newWorld(t)
	all := env + "/asset-templates/Claims/assets"
	var body strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&body, `{"path":"p%d","attributes":{"claimKey":["%050d"]}}`+"\n", i, i)
	}
	w.do("admin", "POST", all, body.String()+`{"path":"last","name":"a\r\nb"}`, "Content-Type: application/x-ndjson").want(t, 200, `"created":5001`)
	server := httptest.NewServer(w.handler)
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+all, http.NoBody)
	w.must(err)
	req.Header.Set("Authorization", "Bearer "+w.tokens["viewer"])
	req.Header.Set("Accept", "text/csv")
	resp, err := server.Client().Do(req)
	w.must(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 || len(text) < streamBuffer || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("status %d, %d bytes, error %v", resp.StatusCode, len(text), err)
	}
	if log := w.log.String(); !strings.Contains(log, "broken off") || !strings.Contains(log, `\"last\" has a carriage return`) {
		t.Errorf("the log says %s", log)
	}
}
