package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/examples/bank"
)

// commands are the blocks of a page that a reader copies: those marked sh, in their order. Blocks marked otherwise, as
// console, are not for a running server.
func commands(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../docs", page))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, m := range regexp.MustCompile("(?s)\n```sh\n(.*?)\n```\n").FindAllStringSubmatch(string(text), -1) {
		out.WriteString(m[1] + "\necho\n")
	}
	if out.Len() == 0 {
		t.Fatalf("%s has no commands", page)
	}
	return out.String()
}

// follow runs the commands of a page in one shell, which stops at the first that fails, and gives what they print.
func follow(t *testing.T, page, dir string, variables ...string) string {
	t.Helper()
	command := exec.Command("bash", "-eu", "-o", "pipefail", "-c", commands(t, page))
	command.Dir = dir
	command.Env = append(os.Environ(), "PATH="+filepath.Dir(program)+string(os.PathListSeparator)+os.Getenv("PATH"))
	command.Env = append(command.Env, variables...)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", page, err, out)
	}
	return string(out)
}

// bankDirectory copies the sample bank to dir/backup.
func bankDirectory(t *testing.T, dir string) {
	t.Helper()
	if err := os.CopyFS(filepath.Join(dir, "backup"), bank.Files()); err != nil {
		t.Fatal(err)
	}
}

func (s *server) variables() []string {
	return []string{"AMBIT_URL=" + s.url, "AMBIT_ADMIN_ID=" + s.admin, "AMBIT_ADMIN_SECRET=" + s.secret}
}

// workspaceOf is the workspace of an application of the bank.
func workspaceOf(s *server, application string) string {
	s.t.Helper()
	list := string(s.must("GET", "/policy-mgmt/1.0/applications/"+bank.EnvironmentID, "", ""))
	m := regexp.MustCompile(`"id":"` + application + `"[^}]*"authWsId":"([^"]*)"`).FindStringSubmatch(list)
	if m == nil {
		s.t.Fatal(list)
	}
	return m[1]
}

// docs/migrate.md: every command works. The other side of the calls is a server that speaks them.
func TestGuideMigrate(t *testing.T) {
	old, s := start(t), start(t)
	old.must("POST", "/ambit/1.0/environments", "application/json", fmt.Sprintf(`{"id":%q,"name":"Old","bare":true}`, bank.EnvironmentID))
	old.ambit(bank.EnvironmentID, "apply", "../examples/bank")
	dir := t.TempDir()
	bankDirectory(t, dir)
	// What is brought call by call is missing in the backup.
	for _, path := range []string{"authorization-workspaces/Finance", "environment/scopes.json"} {
		if err := os.RemoveAll(filepath.Join(dir, "backup", path)); err != nil {
			t.Fatal(err)
		}
	}
	out := follow(t, "migrate.md", dir, append(s.variables(), "PLAINID_URL="+old.url, "PLAINID_TOKEN="+old.api.token,
		"PLAINID_ENV_ID="+bank.EnvironmentID, "PLAINID_WS_ID="+workspaceOf(old, "general-ledger"))...)
	for _, part := range []string{"dry run", `"committed":false`, "1 received: 1 created", `"unchanged":1`, `"path":"acc/PT/001251"`, `"action":"view"`, `"templateId":"LedgerRows"`, `policyId: ledger-audit`} {
		if !strings.Contains(out, part) {
			t.Errorf("the commands did not print %s:\n%s", part, out)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "production.tgz")); err != nil || info.Size() < 1000 {
		t.Errorf("the backup: %v %v", info, err)
	}
}

// docs/preview-a-change.md: every command works, and shows what it says.
func TestGuidePreview(t *testing.T) {
	s := start(t)
	fillBank(s)
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "examples/bank"), bank.Files()); err != nil {
		t.Fatal(err)
	}
	out := follow(t, "preview-a-change.md", dir, append(s.variables(), "AMBIT_ENV_ID="+bank.EnvironmentID, "TOKEN="+s.api.token)...)
	if strings.Count(out, "0 identities, 0 gained, 0 lost") != 1 || !regexp.MustCompile(`(?m)^- Staff/\S+ +view Accounts acc/\S+ +\(teller-accounts\)$`).MatchString(out) || !strings.Contains(out, `"change":"lost"`) {
		t.Errorf("printed\n%s", out)
	}
}

// docs/rotate-a-secret.md: every command works, and what it says of the living secrets is so.
func TestGuideRotate(t *testing.T) {
	s := start(t)
	fillBank(s)
	base := "/ambit/1.0/environments/" + bank.EnvironmentID + "/scopes/" + bank.PortalClientID + "/secrets"
	s.must("POST", base, "application/json", "{}")
	s.must("POST", "/env-mgmt/1.0/api-key/clients", "application/json", fmt.Sprintf(`{"ownerId":%q,"ownerType":"ENVIRONMENT","name":"pipeline","permission":"ADMIN"}`, bank.EnvironmentID))
	out := follow(t, "rotate-a-secret.md", t.TempDir(), append(s.variables(), "AMBIT_ENV_ID="+bank.EnvironmentID, "TOKEN="+s.api.token)...)
	if !strings.Contains(out, `"total":2`) || strings.Count(out, `"secret":"ambit_`) != 3 {
		t.Errorf("printed\n%s", out)
	}
	if list := string(s.must("GET", base, "", "")); !strings.Contains(list, `"total":1`) {
		t.Errorf("secrets in the end: %s", list)
	}
	clients := string(s.must("GET", "/env-mgmt/1.0/api-key/clients?filter[ownerId]="+bank.EnvironmentID, "", ""))
	if !strings.Contains(clients, `"name":"pipeline-2"`) || strings.Contains(clients, `"name":"pipeline"`) {
		t.Errorf("credentials in the end: %s", clients)
	}
}
