package bank

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/model"
)

// want is what a person may see by type, computed here in plain Go from the sentences of README.md: a second opinion
// that shares nothing with the engine. It covers the actions that hold at any time and from 127.0.0.1.
type want map[model.TemplateID]map[string][]string // type, path, action values in the order of the type

func has(a model.Asset, id model.AttributeID, values ...string) bool {
	return slices.ContainsFunc(a.Attributes[id], func(v string) bool { return slices.Contains(values, v) })
}

func (w want) grant(template model.TemplateID, a model.Asset, actions ...string) {
	if len(actions) == 0 {
		return
	}
	if w[template] == nil {
		w[template] = map[string][]string{}
	}
	w[template][a.Path] = actions
}

func atMost(a model.Asset, id model.AttributeID, limit string) bool {
	n, _ := model.ParseNumber(a.Attributes[id][0])
	m, _ := model.ParseNumber(limit)
	return n.Compare(m) <= 0
}

func wantPortal(w want, claims []model.Asset, title, grade string) {
	for _, a := range claims {
		if has(a, "audience", "Everybody") || strings.HasPrefix(a.Path, "portal/help/") || has(a, "audience", title) && atMost(a, "minimumGrade", grade) {
			w.grant("PortalClaims", a, "access")
		}
	}
}

// branchPapers is what tellers and managers read: papers of low sensitivity but memos and audit reports, and whatever
// the counter needs.
func branchPapers(a model.Asset) bool {
	return !has(a, "docType", "audit report", "internal memo") && atMost(a, "sensitivity", "2") || has(a, "tags", "counter")
}

func wantTeller(records map[model.TemplateID][]model.Asset) want {
	w := want{}
	for _, a := range records["Accounts"] {
		if has(a, "branch", "Porto-07") && has(a, "segment", "personal", "student") {
			w.grant("Accounts", a, "view")
		}
	}
	for _, a := range records["Documents"] {
		if has(a, "branch", "Porto-07") && branchPapers(a) {
			w.grant("Documents", a, "read")
		}
	}
	wantPortal(w, records["PortalClaims"], "Teller", "3")
	return w
}

// wantManager pools the rows of cover duty: one of level 6 lifts both covered branches.
func wantManager(records map[model.TemplateID][]model.Asset, covered ...string) want {
	w := want{}
	for _, a := range records["Accounts"] {
		frozen := has(a, "status", "frozen", "closed")
		switch {
		case has(a, "branch", "Lagos-03") && frozen, has(a, "branch", covered...) && frozen:
			w.grant("Accounts", a, "view")
		case has(a, "branch", "Lagos-03"):
			w.grant("Accounts", a, "view", "update", "block", "close")
		case has(a, "branch", covered...):
			w.grant("Accounts", a, "view", "update")
		}
	}
	for _, a := range records["Documents"] {
		var actions []string
		held := has(a, "tags", "legal-hold")
		branch, contract := has(a, "branch", "Lagos-03"), signable(a, "Lagos-03")
		if branch && (branchPapers(a) || atMost(a, "sensitivity", "3")) || contract {
			actions = append(actions, "read")
		}
		if branch && atMost(a, "sensitivity", "3") && !held {
			actions = append(actions, "download", "share")
		}
		if contract && !held {
			actions = append(actions, "sign")
		}
		w.grant("Documents", a, actions...)
	}
	wantPortal(w, records["PortalClaims"], "Branch Manager", "7")
	return w
}

func signable(a model.Asset, branch string) bool {
	return has(a, "branch", branch) && has(a, "docType", "contract") && strings.HasSuffix(a.Attributes["fileName"][0], ".pdf")
}

func wantAuditor(records map[model.TemplateID][]model.Asset) want {
	w := want{}
	cases := []string{"AC-2026-017", "AC-2026-042", "AC-2026-108"}
	for _, a := range records["Accounts"] {
		if has(a, "auditCases", cases...) {
			w.grant("Accounts", a, "view")
		}
	}
	for _, a := range records["Documents"] {
		if has(a, "auditCases", cases...) && has(a, "tags", "legal-hold") {
			w.grant("Documents", a, "read")
		} else if has(a, "auditCases", cases...) {
			w.grant("Documents", a, "read", "download")
		}
	}
	for _, a := range records["LedgerRows"] {
		if has(a, "auditCases", cases...) {
			w.grant("LedgerRows", a, "read")
		}
	}
	wantPortal(w, records["PortalClaims"], "Internal Auditor", "6")
	return w
}

func allAssets(t *testing.T) map[model.TemplateID][]model.Asset {
	t.Helper()
	records := map[model.TemplateID][]model.Asset{}
	for _, id := range AssetTemplates() {
		records[id] = collectAssets(t, id)
	}
	return records
}

// TestReadmeNumbers: the table of the front page is what the sentences below it mean.
func TestReadmeNumbers(t *testing.T) {
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	records := allAssets(t)
	for user, w := range map[string]want{
		SampleUser: wantTeller(records), SampleManager: wantManager(records, "Abuja-01", "Accra-02"), SampleAuditor: wantAuditor(records),
	} {
		cells := fmt.Sprintf("| %d | %d | %d | %d |", len(w["Accounts"]), len(w["Documents"]), len(w["LedgerRows"]), len(w["PortalClaims"]))
		row := regexp.MustCompile("(?m)^\\| `" + user + "` \\|.*$").FindString(string(page))
		if !strings.HasSuffix(row, cells) {
			t.Errorf("README.md has %q, want it to end in %q", row, cells)
		}
	}
	assets := 0
	for _, list := range records {
		assets += len(list)
	}
	policies := len(glob(t, "authorization-workspaces/*/policies/*.rego"))
	for _, claim := range []string{
		fmt.Sprintf("%d,%03d assets, %d policies", assets/1000, assets%1000, policies),
		fmt.Sprintf("he sees %d accounts", len(wantManager(records, "Abuja-01")["Accounts"])),
		fmt.Sprintf("has %d branches", len(branches())),
	} {
		if !strings.Contains(string(page), claim) {
			t.Errorf("README.md does not say %q", claim)
		}
	}
}
