package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/examples/bank"
)

// demoFile writes what `make run` leaves for its readers: bin/demo.env, beside the sample bank.
func demoFile(t *testing.T, s *server, dir string) {
	t.Helper()
	made := string(s.must("POST", "/ambit/1.0/environments/"+bank.EnvironmentID+"/scopes/"+bank.PortalClientID+"/secrets", "application/json", "{}"))
	secret := regexp.MustCompile(`"secret":"([^"]*)"`).FindStringSubmatch(made)
	if secret == nil {
		t.Fatal(made)
	}
	lines := append(s.variables(), "AMBIT_ENV_ID="+bank.EnvironmentID, "AMBIT_CLIENT_ID="+bank.PortalClientID, "AMBIT_CLIENT_SECRET="+secret[1],
		"AMBIT_SAMPLE_USER="+bank.SampleUser, "AMBIT_SAMPLE_TEMPLATE=Staff")
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bin", "demo.env"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"examples/bank", "policies"} {
		if err := os.CopyFS(filepath.Join(dir, name), bank.Files()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGuidePages: every command of these pages works, in the order in which a reader comes to it, and prints what the page says.
func TestGuidePages(t *testing.T) {
	s := start(t)
	fillBank(s)
	dir := t.TempDir()
	demoFile(t, s, dir)
	variables := append(s.variables(), "AMBIT_ENV_ID="+bank.EnvironmentID, "TOKEN="+s.api.token)
	cases := []struct {
		page string
		want []string
	}{
		{"ask.md", []string{
			"HTTP/1.1 304 Not Modified",
			`"denied":[{"path":"acc/PT/001251","action":"close","template":"Accounts","reason":"PID004"}]`,
			`{"privileges":{"allowed":[{"resourceType":"LedgerRows","actions":[{"action":"read","asset-attributes-filter":{"OR":[{"AND":[`,
			"COLLATE BINARY IN (?, ?, ?))", "Accounts:acc/PT/001251: 1 user, revision ", "LedgerRows read\n  where auditCases IN \"AC-2026-017\", \"AC-2026-042\", \"AC-2026-108\"\n",
			`COLLATE "C" IN ($2, $3, $4)`, "  with  \"treasury\", \"EUR\"", "mreyes, Accounts:acc/PT/001251: 2 policies, revision ", "view (Tellers serve the accounts of their branch)\n", `"parameters":["treasury","EUR","GBP","USD","100000","treasury","FX "]`,
		}},
		{"watch.md", []string{
			`"gained":[],"lost":[]}`, `"lost":[{"path":"acc/PT/`, "event: ready", "event: change", "retry: 2000", "\n- Accounts:acc/", " lost, revision ",
		}},
		{"explain.md", []string{
			"Accounts:acc/PT/001251 close: denied, PID004", "Accounts:acc/PT/001251 update: allowed", `identity.branch ("Lisbon")`, `"simulated":false,"detail":"reasons"`,
			`"ignored":["jobTitle"]`, `"actions":[{"action":"view","grantedBy":[{"permissionId":"teller-accounts"`, `"simulated":true,"detail":"policies"`, `"at":"2026-07-06T21:00:00Z"`,
		}},
		{"operate.md", []string{"ambit_response_cache_hits_total 2", "ambit_response_cache_misses_total 1", "ambit_response_cache_entries 1"}},
		{"authzen.md", []string{
			`{"decision":true}`, `{"code":"PID004","message":"The identity is in none of the policies' groups"}`, `{"evaluations":[{"decision":true},{"decision":false}]}`,
			`"next_token":"`, `"token_type":"Bearer"`, `"policies":[{"id":"`, `"authzenContextMax":"policies"`,
		}},
		{"first-environment.md", []string{
			"4 of 4 branches of 2 policies held (100 %)", "3 received: 3 created", "ana: 1 assets, 2 actions", "eva: 1 assets, 1 actions", "tom: 0 assets",
			"updated building-block", "0 identities, 0 gained, 0 lost", "building-blocks          0 created, 1 updated, 3 unchanged", "deleted",
		}},
		{"access.md", []string{`"active":true`, `"name":"pipeline"`, `"action":"CREATE"`, `"reportId"`}},
		{"asset-types.md", []string{`"templateId":"Vaults"`, `"applicationId":"vault-desk"`, `"calculationFunction":"HASVALUE(branch)","isCalculated":true`}},
		{"workspaces.md", []string{`"templateId":"Auditor"`, `"matcherValue":"auditor"`}},
		{"environments.md", []string{`"enabled":false`, `"enabled":true`, `"audiences":["harbour"]`, `"key":"reviewer"`}},
		{"jwt.md", []string{`{"tokenValidity":300,"response":[{"accessToken":"eyJ`, `"alg":"RS256"`, `"alg":"ES256","kid":null`, `"lifetimeSeconds":120`, "quay  EdDSA"}},
		{"policy-tests.md", []string{"0 failed; ", "0 gained, 0 lost"}},
		{"cli.md", []string{"night-desk: updated", "Ruleset", "mreyes", "acc/PT/001251", "dry run: nothing was changed", "written to report.csv", "EXPIRES"}},
	}
	for _, c := range cases {
		t.Run(c.page, func(t *testing.T) {
			out := follow(t, c.page, dir, variables...)
			for _, part := range c.want {
				if !strings.Contains(out, part) {
					t.Errorf("the commands did not print %s:\n%s", part, out)
				}
			}
			for _, part := range []string{`"errors":`, "ambit: ", "Ward staff (1)"} {
				if strings.Contains(out, part) {
					t.Errorf("the commands printed %s:\n%s", part, out)
				}
			}
		})
	}
}

// docs/write-a-policy.md: its whole policy, also with the conditions that it shows, is one that the sample bank takes.
func TestGuideWriteAPolicy(t *testing.T) {
	s := start(t)
	fillBank(s)
	text, err := os.ReadFile("../docs/write-a-policy.md")
	if err != nil {
		t.Fatal(err)
	}
	policy := ""
	for _, m := range regexp.MustCompile("(?s)```rego\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		if strings.HasPrefix(m[1], "# METADATA") {
			policy += m[1] + "\n"
		}
	}
	path := filepath.Join(t.TempDir(), "policy.rego")
	if err := os.WriteFile(path, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := s.ambit(bank.EnvironmentID, "policies", "validate", "-w", "Retail Banking", "-f", path); !strings.Contains(out, "valid") {
		t.Error(out)
	}
}
