package manage

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// reported gives the world three policies, two of them with the attribute level.
func (w *world) reported() {
	w.t.Helper()
	text := func(s string) []model.Literal { return []model.Literal{{Text: s}} }
	_, err := w.store.Update(w.t.Context(), store.Write{Environment: envID, Time: w.clock}, func(tx *store.Tx) error {
		for _, a := range []model.CustomAttribute{{Key: "level", Name: "Level", Type: "string", Definition: []byte(`{"key":"level","name":"Level"}`)}} {
			if _, err := tx.CustomAttributes.Put(a); err != nil {
				return err
			}
		}
		var ruleset model.BlockID
		for b, err := range tx.Blocks.FindAll() {
			if err == nil && b.Kind == model.KindRuleset {
				ruleset = b.ID
			}
		}
		description := "=cmd, \"quoted\" (for 北京)"
		for _, p := range []model.Policy{
			{ID: "a", Name: "Alpha", CustomAttributes: []model.CustomValue{{Key: "level", List: true, Values: append(text("high"), text("low")...)}}, Rulesets: []model.RulesetUse{{BlockID: ruleset}}},
			{ID: "b", Name: "Beta (é)", Description: &description, Inactive: true, CustomAttributes: []model.CustomValue{{Key: "level", Values: text("high")}, {Key: "other", Values: text("x")}}},
			{ID: "c", Name: "Gamma", Access: model.Restrict},
		} {
			if p.Access == "" {
				p.Access = model.Allow
			}
			if _, err := tx.Policies.Put(p); err != nil {
				return err
			}
		}
		return nil
	})
	w.must(err)
}

type reportState struct {
	Data struct{ ReportID, Status, DownloadURL, DownloadURLExpiresAt string }
}

func (w *world) report(as, format string) (id string, state reportState) {
	w.t.Helper()
	a := w.do(as, "POST", "/api/1.0/reports/"+envID, `{"type":"policies_by_attribute","attribute":"level","format":"`+format+`"}`).want(w.t, 202, `"status":"PENDING"`, `"createdAt":"`)
	w.must(json.Unmarshal([]byte(a.body), &state, json.MatchCaseInsensitiveNames(true)))
	id = state.Data.ReportID
	a = w.do(as, "GET", "/api/1.0/reports/"+envID+"/"+id, "").want(w.t, 200, `"status":"DONE"`)
	w.must(json.Unmarshal([]byte(a.body), &state, json.MatchCaseInsensitiveNames(true)))
	return id, state
}

func (w *world) download(url string) answer {
	return w.do("", "GET", strings.TrimPrefix(url, "https://ambit.example.org"), "")
}

// MG-80: the report by attribute as JSON and CSV: job, status, link.
func TestReport(t *testing.T) {
	w := newWorld(t)
	w.reported()
	id, state := w.report("viewer", "JSON")
	a := w.download(state.Data.DownloadURL).want(t, 200, `"total": 3`, `"value": "high"`, `"count": 2`, `"percent": 66.6`, `"value": "low"`, `"withoutValue": [`, `"applications": [`, `"claims"`, `"state": "Inactive"`, `"accessType": "Restrict"`)
	if a.Header.Get("Content-Type") != "application/json" || !strings.Contains(a.Header.Get("Content-Disposition"), "policies_by_attribute.json") {
		t.Errorf("headers %v", a.Header)
	}
	again, other := w.report("admin", "JSON")
	if again == id || other.Data.DownloadURL == state.Data.DownloadURL {
		t.Error("a new report has the id or the link of another")
	}
	_, state = w.report("admin", "CSV")
	want := "value,policyId,name,state,accessType,workspace,applications,description\n" +
		"high,a,Alpha,Active,Allow,,claims,\nhigh,b,Beta (é),Inactive,Allow,,,\"'=cmd, \"\"quoted\"\" (for 北京)\"\nlow,a,Alpha,Active,Allow,,claims,\n,c,Gamma,Active,Restrict,,,\n"
	if a := w.download(state.Data.DownloadURL).want(t, 200); a.body != want {
		t.Errorf("CSV\n%s", a.body)
	}
	for body, status := range map[string]int{
		`{}`: 400, `{"type":"x","attribute":"level"}`: 400, `{"type":"policies_by_attribute"}`: 400, `{"type":"policies_by_attribute","attribute":"level","format":"DOC"}`: 400,
		`{"type":"policies_by_attribute","attribute":"none"}`: 404, `{`: 400,
	} {
		w.do("viewer", "POST", "/api/1.0/reports/"+envID, body).want(t, status)
	}
	w.do("viewer", "GET", "/api/1.0/reports/"+envID+"/none", "").want(t, 404, "Report: [none] not found")
	w.do("tenant", "GET", "/api/1.0/reports/"+otherID+"/"+id, "").want(t, 404)
	w.do("viewer", "POST", "/api/1.0/reports/"+envID+"?dryRun=true", `{"type":"policies_by_attribute","attribute":"level"}`).want(t, 202, `"reportId":null`)
}

// MG-80: a link ends after 24 hours, a report after 30 days; nobody makes a link or bends one to another report.
func TestReportLinks(t *testing.T) {
	w := newWorld(t)
	w.reported()
	id, state := w.report("viewer", "CSV")
	second, _ := w.report("viewer", "CSV")
	link := state.Data.DownloadURL
	if state.Data.DownloadURLExpiresAt != "2026-07-07T08:00:00Z" {
		t.Errorf("expires %s", state.Data.DownloadURLExpiresAt)
	}
	w.download(strings.Replace(link, id, second, 1)).want(t, 404)
	w.download(strings.Replace(link, envID, otherID, 1)).want(t, 404)
	w.download(link+"x").want(t, 404)
	w.download(strings.Replace(link, "link=", "link=z", 1)).want(t, 404)
	w.download(link[:strings.IndexByte(link, '?')]).want(t, 404)
	w.clock = w.clock.Add(24*time.Hour - time.Second)
	w.download(link).want(t, 200)
	w.clock = w.clock.Add(time.Second)
	w.download(link).want(t, 404)
	w.tokens["viewer"] = w.token("/oauth2/token", "viewer", w.secrets["viewer"])
	a := w.do("viewer", "GET", "/api/1.0/reports/"+envID+"/"+id, "").want(t, 200)
	w.must(json.Unmarshal([]byte(a.body), &state, json.MatchCaseInsensitiveNames(true)))
	w.download(state.Data.DownloadURL).want(t, 200)
	w.clock = w.clock.Add(29*24*time.Hour - time.Second)
	w.tokens["viewer"] = w.token("/oauth2/token", "viewer", w.secrets["viewer"])
	w.do("viewer", "GET", "/api/1.0/reports/"+envID+"/"+id, "").want(t, 200)
	w.clock = w.clock.Add(time.Second)
	w.do("viewer", "GET", "/api/1.0/reports/"+envID+"/"+id, "").want(t, 404)
}

// MG-80: the PDF is one: its table of objects is true, its text is there, and readers take it.
func TestReportPDF(t *testing.T) {
	w := newWorld(t)
	w.reported()
	_, state := w.report("viewer", "PDF")
	a := w.download(state.Data.DownloadURL).want(t, 200, "%PDF-1.4", "(Policies by attribute: Level \\(level\\))", "high: 2 \\(66.6 %\\)", "Beta \\(\xe9\\) \\(b\\)", "<U+5317>", "Gamma")
	if a.Header.Get("Content-Type") != "application/pdf" {
		t.Errorf("headers %v", a.Header)
	}
	body := []byte(a.body)
	start := regexp.MustCompile(`startxref\n(\d+)\n%%EOF\n$`).FindSubmatch(body)
	if start == nil {
		t.Fatal("no end")
	}
	table, _ := strconv.Atoi(string(start[1]))
	if !bytes.HasPrefix(body[table:], []byte("xref\n")) {
		t.Fatal("startxref does not lead to the table")
	}
	for i, entry := range regexp.MustCompile(`(\d{10}) 00000 n \n`).FindAllSubmatch(body[table:], -1) {
		at, _ := strconv.Atoi(string(entry[1]))
		if !bytes.HasPrefix(body[at:], fmt.Appendf(nil, "%d 0 obj\n", i+1)) {
			t.Errorf("object %d is not at %d", i+1, at)
		}
	}
	for _, stream := range regexp.MustCompile(`(?s)<< /Length (\d+) >>\nstream\n(.*?)\nendstream`).FindAllSubmatch(body, -1) {
		if n, _ := strconv.Atoi(string(stream[1])); n != len(stream[2]) {
			t.Errorf("a stream of %d bytes says %d", len(stream[2]), n)
		}
	}
	reader, err := exec.LookPath("pdftotext")
	if err != nil {
		return // the outside judge is not installed; all else has been checked
	}
	file := filepath.Join(t.TempDir(), "r.pdf")
	w.must(os.WriteFile(file, body, 0o600))
	text, err := exec.CommandContext(t.Context(), reader, file, "-").CombinedOutput()
	if err != nil || !strings.Contains(string(text), "Beta (é) (b), Inactive, Allow") {
		t.Errorf("%v: %s", err, text)
	}
}
