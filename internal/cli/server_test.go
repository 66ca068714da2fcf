package cli

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/app"
	"github.com/ambit-authz/ambit/internal/config"
)

const testEnvironment = "11111111-2222-4333-8444-555555555555"

// startServer runs a whole server in this process and points the commands at it.
func startServer(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	admin, err := app.NewAdmin(dir)
	if err != nil {
		t.Fatal(err)
	}
	settings, err := config.Load(config.Sources{Flags: map[string]string{
		"listen": "127.0.0.1:0", "data": dir, "admin.id": admin.ID, "admin.secret": admin.Secret,
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	a, err := app.Open(ctx, app.Options{Config: settings, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if err := waitReady(ctx, a.URL()); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"AMBIT_URL": a.URL(), "AMBIT_ADMIN_ID": admin.ID, "AMBIT_ADMIN_SECRET": admin.Secret, "AMBIT_ENV_ID": testEnvironment,
		"AMBIT_WORKSPACE": "", "AMBIT_IDENTITY_WORKSPACE": "",
	} {
		t.Setenv(name, value)
	}
}

// ran is a command that ended.
type ran struct {
	code     int
	out, err string
}

// command runs a command line of words without blanks inside.
func command(stdin, line string) ran {
	return run(stdin, strings.Fields(line)...)
}

func run(stdin string, args ...string) ran {
	var out, complaint bytes.Buffer
	code := Main(args, Streams{In: strings.NewReader(stdin), Out: &out, Err: &complaint})
	return ran{code, out.String(), complaint.String()}
}

// must runs a command that has to succeed and returns what it printed.
func must(t *testing.T, stdin, line string) string {
	t.Helper()
	r := command(stdin, line)
	if r.code != exitDone {
		t.Fatalf("%s: exit code %d: %s%s", line, r.code, r.out, r.err)
	}
	return r.out
}

// step is a command and what it has to say; parts that begin with ! must not be there.
type step struct {
	line  string
	stdin string
	code  int
	out   []string
	err   []string
}

func follow(t *testing.T, steps []step) {
	t.Helper()
	for _, s := range steps {
		r := command(s.stdin, s.line)
		if r.code != s.code {
			t.Errorf("%s: exit code %d, want %d\n%s%s", s.line, r.code, s.code, r.out, r.err)
		}
		holds(t, s.line, r.out, s.out)
		holds(t, s.line+" (standard error)", r.err, s.err)
	}
}

func holds(t *testing.T, what, text string, parts []string) {
	t.Helper()
	for _, part := range parts {
		unwanted, not := strings.CutPrefix(part, "!")
		if strings.Contains(text, unwanted) == not {
			t.Errorf("%s: %q is there: %t\n%s", what, unwanted, not, text)
		}
	}
}

// loadWorld makes the environment of the end-to-end tests.
func loadWorld(t *testing.T) {
	t.Helper()
	must(t, "", "environments create --name World --bare --id "+testEnvironment)
	must(t, "", "apply ../../e2e/testdata/world")
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCommands uses the management plane by its commands alone (MG-8, MG-14, MG-15, MG-17, MG-28, MG-30, MG-32 to MG-35, MG-40,
// MG-52, MG-61, MG-63).
func TestCommands(t *testing.T) {
	startServer(t)
	loadWorld(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"policies", policyCommands},
		{"blocks", blockCommands},
		{"scopes", scopeCommands},
		{"credentials", credentialCommands},
		{"records", recordCommands},
		{"model", modelCommands},
		{"administration", administrationCommands},
		{"reports", reportCommands},
		{"misspelt", misspeltCommands},
		{"questions", questionCommands},
		{"empty", emptyCommands},
		{"errors", errorCommands},
	} {
		t.Run(test.name, test.run)
	}
}

func policyCommands(t *testing.T) {
	rego := must(t, "", "policies get own-things")
	good := file(t, "good.rego", rego)
	bad := file(t, "bad.rego", strings.Replace(rego, "import rego.v1", "import rego.v1\nx y", 1))
	other := strings.Replace(rego, "policyId: own-things", "policyId: a,b", 1)
	form := file(t, "form.yaml", must(t, "", "policies get own-things -o yaml"))
	version := strings.TrimSpace(must(t, "", "policies get own-things --etag"))
	follow(t, []step{
		{line: "policies list", out: []string{"ID ", "own-things  Things of the own team", "Active", "workshop"}},
		{line: "policies list --state inactive -o json", out: []string{"[]\n"}},
		{line: "policies list --application nope -o yaml", out: []string{"[]\n"}},
		{line: "policies list --workspace Main --with-rego -o yaml", out: []string{"- policyId: own-things", "structuredRego"}},
		{line: "policies list --attribute owner=x", out: []string{"!own-things"}},
		{line: "policies list --attribute owner", code: exitUsage, err: []string{"KEY=VALUE"}},
		{line: "policies get own-things -w Main --no-extended", out: []string{"package policy", "!sourceEnvironmentId"}},
		{line: "policies get own-things -o json", out: []string{`"policyId": "own-things"`, `"structuredRego": "`}},
		{line: "policies get nothing", code: exitFailed, err: []string{"exist in the environment: nothing"}},
		{line: "policies import -f " + good, out: []string{good + ": unchanged"}},
		{line: "policies import -f " + form, out: []string{"unchanged"}},
		{line: "policies import -f -", stdin: other, out: []string{"standard input: created"}},
		{line: "policies import -f - -o json --dry-run", stdin: other, out: []string{`"policyId": "a,b"`}, err: []string{"unchanged", "dry run"}},
		{line: "policies import -f " + bad, code: exitFailed, err: []string{bad + ":14:"}},
		{line: "policies import", code: exitUsage, err: []string{"--file"}},
		{line: "policies import -f nowhere.rego", code: exitFailed, err: []string{"nowhere.rego"}},
		{line: "policies validate -f " + good, out: []string{"valid, an import would give: unchanged"}},
		{line: "policies validate -f " + bad, code: exitFailed, err: []string{bad + ":14:", "RG-", "1 error"}},
		{line: "policies validate -o json -f " + bad, code: exitFailed, out: []string{`"isPolicyCompleted": false`}},
		{line: "policies disable own-things --dry-run", out: []string{"own-things: updated", "dry run"}},
		{line: "policies disable own-things --if-match 1000", code: exitFailed, err: []string{"has changed", "hint: "}},
		{line: "policies disable own-things --if-match " + version, out: []string{"own-things: updated"}},
		{line: "policies disable own-things", out: []string{"own-things: unchanged"}},
		{line: "policies list --state inactive", out: []string{"own-things"}},
		{line: "policies enable own-things", out: []string{"own-things: updated"}},
		{line: "policies of-application workshop", out: []string{"own-things"}},
		{line: "policies delete a,b nothing", code: exitFailed, err: []string{": nothing"}},
		{line: "policies get a,b", out: []string{"policyId: a,b"}},
		{line: "policies delete a,b --dry-run", out: []string{"deleted", "dry run"}},
		{line: "policies delete a,b", out: []string{"a,b: deleted"}},
		{line: "policies get a,b", code: exitFailed},
		{line: "policies list -w Nowhere", code: exitFailed, err: []string{`no authorization workspace "Nowhere"`}},
	})
}

func blockCommands(t *testing.T) {
	r := run("", "blocks", "get", "-w", "Main", "--name", "Own things")
	text := file(t, "blocks.rego", r.out)
	follow(t, []step{
		{line: "blocks list -w Main --kind ruleset", out: []string{"KIND ", "Ruleset", "Own things"}},
		{line: "blocks list --identity-workspace People -o json", out: []string{`"kind": "DynamicGroup"`, `"name": "Everybody with a team"`}},
		{line: "blocks list", code: exitUsage, err: []string{"--identity-workspace", `"ambit blocks list --help"`}},
		{line: "blocks get -w Main --kind ruleset --name Own_things", code: exitFailed, out: []string{"!package"}, err: []string{"ambit blocks list"}},
		{line: "blocks get -w Main --kind condition", out: []string{"package building_blocks"}},
		{line: "blocks list -w Main --kind brick", code: exitUsage, err: []string{"ruleset"}},
		{line: "blocks get -w Main --template Things", out: []string{"package building_blocks", "name: Own things"}},
		{line: "blocks import -w Main -f " + text, out: []string{"unchanged"}},
		{line: "blocks import -w Main -f " + text + " -o json", err: []string{"unchanged"}},
		{line: "blocks validate -w Main -f " + text, out: []string{"1 building block"}},
		{line: "blocks validate -w Main -f -", stdin: "package other", code: exitFailed, err: []string{"standard input:"}},
		{line: "blocks delete -w Main --kind ruleset --template Things", code: exitFailed, err: []string{"is used by policy: [own-things]"}},
	})
}

func scopeCommands(t *testing.T) {
	made := must(t, "", "scopes create --name portal --application workshop --auth-method SECRET_HEADER --client-id PORTAL00000000000001")
	lines := strings.Split(made, "\n")
	if len(lines) != 3 || lines[0] != "AMBIT_CLIENT_ID=PORTAL00000000000001" || !strings.HasPrefix(lines[1], "AMBIT_CLIENT_SECRET=ambit_") {
		t.Fatalf("made %q", made)
	}
	follow(t, []step{
		{line: "scopes get PORTAL00000000000001 -o yaml", out: []string{"name: portal", "- workshop", "!secret"}},
		{line: "scopes get PORTAL00000000000001", out: []string{"name ", "portal"}},
		{line: "scopes list --name portal", out: []string{"PORTAL00000000000001  portal", "!WORKSHOP"}},
		{line: "scopes list --limit 1", out: []string{"PORTAL", "!WORKSHOP"}, err: []string{"1 of 2; --all"}},
		{line: "scopes list --limit 1 --all -o yaml", out: []string{"clientId: PORTAL", "clientId: WORKSHOP"}, err: []string{"!--all"}},
		{line: "scopes list --limit 1 --offset 1", out: []string{"!PORTAL", "WORKSHOP"}, err: []string{"!--all"}},
		{line: "scopes list --limit=-1", code: exitFailed, err: []string{"limit"}},
		{line: "scopes create --name second --dry-run", out: []string{"created", "dry run", "!SECRET"}},
		{line: "scopes create -f - --name fourth --dry-run -o json", stdin: `{"data":{"name":"third","description":"d"}}`, out: []string{`"name": "fourth"`, `"description": "d"`}},
		{line: "scopes create", code: exitUsage, err: []string{"nothing to write"}},
		{line: "scopes create -f - --name x", stdin: "[1]", code: exitFailed, err: []string{"a list stands where an object is wanted"}},
		{line: "scopes create -f -", stdin: "a: b: c", code: exitFailed, err: []string{"standard input"}},
		{line: "scopes update PORTAL00000000000001 --enabled=false", out: []string{"updated"}},
		{line: "scopes get PORTAL00000000000001 -o json", out: []string{`"enabled": false`, `"name": "portal"`}},
		{line: "scopes update PORTAL00000000000001 -f - -o yaml", stdin: "cacheSeconds: 5\n", out: []string{"cacheSeconds: 5", "enabled: false"}, err: []string{"updated"}},
		{line: "scopes unlink PORTAL00000000000001 workshop", out: []string{"updated"}},
		{line: "scopes link PORTAL00000000000001 nothing", code: exitFailed, err: []string{"Application: [nothing] not found"}},
		{line: "scopes link PORTAL00000000000001 workshop", out: []string{"updated"}},
		{line: "scopes secrets new PORTAL00000000000001 --keep-old 60", out: []string{"AMBIT_CLIENT_SECRET=ambit_"}, err: []string{"PORTAL00000000000001: ", "revision"}},
		{line: "scopes secrets new PORTAL00000000000001 --keep-old 60", code: exitFailed, err: []string{"secret"}},
		{line: "scopes secrets list PORTAL00000000000001", out: []string{"ID ", "20"}},
		{line: "scopes secrets end PORTAL00000000000001 nothing", code: exitFailed},
		{line: "scopes delete ..", code: exitUsage, err: []string{"not an id"}},
		{line: "scopes delete PORTAL00000000000001", out: []string{"deleted"}},
		{line: "scopes get PORTAL00000000000001", code: exitFailed, err: []string{"not found"}},
	})
}

// emptyCommands: a shell variable that is not set never widens what a command is about.
func emptyCommands(t *testing.T) {
	for _, args := range [][]string{
		{"scopes", "delete", ""},
		{"workspaces", "delete", ""},
		{"policies", "delete", "own-things", ""},
		{"policies", "delete", ""},
		{"policies", "get", "own-things", "-w", ""},
		{"policies", "list", "--workspace", ""},
		{"blocks", "delete", "-w", "Main", "--kind", "ruleset", "--template", "Things", "--name", ""},
		{"blocks", "delete", "-w", "Main", "--kind", "ruleset", "--template", "Things", "--id", ""},
		{"assets", "delete", "-t", "Things", ""},
		{"assets", "list", "-t", "Things", "--prefix", ""},
		{"audit", "--user", ""},
		{"environments", "delete", "", "--name", "World"},
		{"templates", "rename", "Things", ""},
	} {
		if r := run("", args...); r.code != exitUsage || !strings.Contains(r.err, "is empty") {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

func credentialCommands(t *testing.T) {
	made := must(t, "", "credentials create --name pipeline --permission VIEWER")
	id, secret := "", ""
	for line := range strings.Lines(made) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "AMBIT_ADMIN_ID":
			id = value
		case "AMBIT_ADMIN_SECRET":
			secret = value
		}
	}
	follow(t, []step{
		{line: "credentials list", out: []string{id, "pipeline", "VIEWER", testEnvironment, "!" + secret}},
		{line: "credentials list --env -", out: []string{"!pipeline", "ADMIN"}},
		{line: "credentials get " + id + " -o json", out: []string{`"secret": null`, `"ownerType": "ENVIRONMENT"`}},
		{line: "credentials create --name pipeline", code: exitFailed, err: []string{"client pipeline already exists"}},
		{line: "credentials create --name other --env= ", code: exitUsage, err: []string{"--env -"}},
		{line: "credentials create --name boss --env - --dry-run -o json", out: []string{`"ownerType": "TENANT"`}},
		{line: "credentials update " + id + " --description nightly", out: []string{"updated"}},
	})
	t.Run("as viewer", func(t *testing.T) {
		t.Setenv("AMBIT_ADMIN_ID", id)
		t.Setenv("AMBIT_ADMIN_SECRET", secret)
		follow(t, []step{
			{line: "whoami", out: []string{"VIEWER"}},
			{line: "policies disable own-things", code: exitFailed, err: []string{"not permitted", "hint: ", "whoami"}},
			{line: "policies list", out: []string{"own-things"}},
		})
	})
	renewed := must(t, "", "credentials new-secret "+id)
	if strings.Contains(renewed, secret) || !strings.Contains(renewed, "AMBIT_ADMIN_SECRET=ambit_") {
		t.Errorf("new secret: %s", renewed)
	}
	follow(t, []step{{line: "credentials delete " + id, out: []string{"deleted"}}})
}

func recordCommands(t *testing.T) {
	follow(t, []step{
		{line: "import assets --template Things -", stdin: "{\"path\":\"a/b c%\",\"attributes\":{\"team\":\"red\"}}\n{\"path\":\"saw\",\"attributes\":{\"team\":\"blue\"}}\n{\"path\":\"set\"}\n"},
		{line: "import assets -t Things -", stdin: "path,team\nsaw,red\n", code: exitFailed, err: []string{"--format=csv"}},
		{line: "import assets -t Things -", stdin: "{\"path\":\"vice\",\"attributes\":{\"team\":\"red\"}}\n{\"pth\":\"saw\"}\n", code: exitFailed, err: []string{"!--format=csv"}},
		{line: "assets list -t Things", out: []string{"PATH ", "a/b c%", `{"team":["red"]}`, "set"}},
		{line: "assets list -t Things --attribute team=red -o json", out: []string{"a/b c%", "!saw"}},
		{line: "assets list -t Things --attribute team", code: exitUsage, err: []string{"ID=VALUE"}},
		{line: "assets list -t Things --prefix s --limit 1", out: []string{"saw", "!set"}, err: []string{"there are more"}},
		{line: "assets list -t Things --prefix s --limit 1 --all", out: []string{"saw", "set"}, err: []string{"!more"}},
		{line: "assets list -t Things --offset 1", code: exitUsage, err: []string{"--offset"}},
		{line: "assets count -t Things", out: []string{"3\n"}},
		{line: "assets count -t Things --prefix s", out: []string{"2\n"}},
		{line: "assets put -t Things saw -f -", stdin: "path: saw\nattributes: {team: [green]}\n", out: []string{"saw: updated"}},
		{line: "assets get -t Things saw -o yaml", out: []string{"- green"}},
		{line: "assets get -t Things nothing", code: exitFailed, err: []string{"not found"}},
		{line: "assets delete -t Things saw", out: []string{"deleted"}},
		{line: "assets list", code: exitUsage, err: []string{"--template"}},
		{line: "assets clear -t Things --dry-run", out: []string{"dry run"}},
		{line: "identities put -t Person ann -f -", stdin: `{"entityId":"ann","attributes":{"team":["red"]}}`, out: []string{"ann: created"}},
		{line: "identities list -t Person --active", out: []string{"ann"}},
		{line: "identities list -t Person --active=false", out: []string{"!ann"}},
		{line: "identities get -t Person ann -o json", out: []string{`"entityId": "ann"`}},
		{line: "identities count -t Person", out: []string{"1\n"}},
		{line: "identities delete -t Person ann", out: []string{"deleted"}},
	})
	for _, args := range [][]string{{"get", "-t", "Things", "a/b c%"}, {"delete", "-t", "Things", "a/b c%"}} {
		if r := run("", append([]string{"assets"}, args...)...); r.code != exitDone {
			t.Errorf("%v: %+v", args, r)
		}
	}
	follow(t, []step{
		{line: "assets clear -t Things", out: []string{"deleted"}},
		{line: "assets count -t Things", out: []string{"0\n"}},
	})
}

func administrationCommands(t *testing.T) {
	follow(t, []step{
		{line: "environments list", out: []string{"World", testEnvironment}},
		{line: "environments get", out: []string{"name ", "World"}},
		{line: "environments get --etag", out: []string{"\n"}},
		{line: "environments update " + testEnvironment + " --description tools", out: []string{"updated"}},
		{line: "environments get -o json", out: []string{`"description": "tools"`}},
		{line: "environments delete " + testEnvironment, code: exitUsage, err: []string{"--name"}},
		{line: "environments delete " + testEnvironment + " --name Wurld", code: exitFailed, err: []string{"name"}},
		{line: "environments delete " + testEnvironment + " --name World --dry-run", out: []string{"dry run"}},
		{line: "audit", out: []string{"TIME ", "PAA_GROUP", "Z  "}, err: []string{"50 of"}},
		{line: "audit --all", out: []string{"TIME ", "APPLY"}},
		{line: "audit --action APPLY -o json", out: []string{`"action": "APPLY"`, `!"action": "UPDATE"`}},
		{line: "audit --since 2001-01-01 --until 2001-01-02", out: []string{"!APPLY"}},
		{line: "audit --since yesterday", code: exitUsage, err: []string{"30d"}},
		{line: "audit --env - --action CREATE --resource-type API_CREDENTIAL", out: []string{"API_CREDENTIAL"}},
		{line: "caches responses", out: []string{"forgotten"}},
		{line: "caches responses --dry-run", out: []string{"dry run", "!forgotten"}},
		{line: "caches identities --template Person", out: []string{"forgotten"}},
		{line: "caches identities", code: exitFailed, err: []string{"identityTemplate"}},
		{line: "custom-attributes set risk -f -", stdin: `{"key":"risk","name":"Risk","type":"string"}`, out: []string{"risk: created"}},
		{line: "custom-attributes import -f - -o json", stdin: `[{"key":"level","name":"Level","type":"number"}]`, out: []string{`"key": "level"`}},
		{line: "custom-attributes list", out: []string{"risk   Risk   string"}},
		{line: "custom-attributes delete level", out: []string{"deleted"}},
		{line: "reports create --attribute risk --dry-run -o json", out: []string{`"reportId": null`}},
		{line: "reports create --attribute nothing", code: exitFailed, err: []string{"nothing"}},
		{line: "reports create --attribute x --format DOC", code: exitUsage, err: []string{"CSV"}},
		{line: "applications list", out: []string{"workshop", "Things"}},
	})
}

// reportCommands order a report, wait for it and write it, once (MG-80).
func reportCommands(t *testing.T) {
	made := must(t, "", "reports create --attribute risk --format CSV")
	_, id, _ := strings.Cut(strings.TrimSpace(made), "AMBIT_REPORT_ID=")
	path := filepath.Join(t.TempDir(), "report.csv")
	follow(t, []step{
		{line: "reports get " + id, out: []string{"status", "downloadUrl"}},
		{line: "reports download " + id + " --to " + path, out: []string{"written to"}},
		{line: "reports download " + id + " --to " + path, code: exitFailed, err: []string{"exists"}},
		{line: "reports download " + id, out: []string{"own-things"}},
		{line: "reports download nothing", code: exitFailed, err: []string{"not found"}},
	})
	if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), "own-things") {
		t.Errorf("the report: %s %v", text, err)
	}
}

// TestServerWithoutDryRun: a server that does not say that it changed nothing did change something.
func TestServerWithoutDryRun(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/token") {
			_, _ = w.Write([]byte(`{"access_token":"x"}`))
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	t.Setenv("AMBIT_ADMIN_ID", "a")
	t.Setenv("AMBIT_ADMIN_SECRET", "b")
	follow(t, []step{{
		line: "scopes delete x --dry-run --env " + testEnvironment + " --url " + server.URL,
		code: exitFailed, out: []string{"!dry run"}, err: []string{"the change was made"},
	}})
}

func errorCommands(t *testing.T) {
	follow(t, []step{
		{line: "policies list --env=", code: exitUsage, err: []string{"AMBIT_ENV_ID"}},
		{line: "policies list --url http://127.0.0.1:9", code: exitFailed, err: []string{"is the server running"}},
		{line: "policies list -o xml", code: exitUsage, err: []string{"yaml"}},
		{line: "policies list --env World", code: exitUsage, err: []string{"ambit environments list"}},
		{line: "apply --env World .", code: exitUsage, err: []string{"ambit environments list"}},
		{line: "policies", code: exitUsage, err: []string{"\"ambit policies --help\""}},
		{line: "polices", code: exitUsage, err: []string{"\"ambit --help\""}},
	})
	t.Setenv("AMBIT_ADMIN_SECRET", "canary-secret")
	follow(t, []step{{line: "whoami", code: exitFailed, err: []string{"logging in", "hint: AMBIT_ADMIN_ID", "!canary"}}})
}
