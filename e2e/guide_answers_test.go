package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// demoBank starts the sample bank with all its records, as `make run` does, and gives the variables of bin/demo.env.
func demoBank(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "demo.env")
	demo := exec.Command(program, "demo", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"), "--env-file", file)
	var log bytes.Buffer
	demo.Stderr = &log
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = demo.Process.Signal(os.Interrupt)
		if err := demo.Wait(); err != nil {
			t.Errorf("the demo ended with %v\n%s", err, &log)
		}
	})
	var variables []string
	for name, value := range waitEnv(t, file) {
		variables = append(variables, name+"="+value)
	}
	return variables
}

// answersOf are the JSON documents of a text, without what differs from hour to hour: whether it is opening time.
func answersOf(t *testing.T, text string) []any {
	t.Helper()
	text = regexp.MustCompile(`("name":"Branch hours","kind":"Condition","met":)(true|false)`).ReplaceAllString(text, `${1}null`)
	var all []any
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		var one any
		if err := d.Decode(&one); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		all = append(all, one)
	}
}

// onlyInPart says whether a page shows so little of an answer that it cannot be compared: … stands for more than a text.
func onlyInPart(shown string) bool {
	d := json.NewDecoder(strings.NewReader(shown))
	for {
		var one any
		if err := d.Decode(&one); err != nil {
			return !errors.Is(err, io.EOF) && strings.Contains(shown, "…")
		}
	}
}

// TestGuideAnswers: where a page shows a question and the answer below it, that is the answer which the sample bank gives.
func TestGuideAnswers(t *testing.T) {
	variables := append(os.Environ(), demoBank(t)...)
	variables = append(variables, "PATH="+filepath.Dir(program)+string(os.PathListSeparator)+os.Getenv("PATH"))
	const preparation = `TOKEN=$(curl -s --fail-with-body $AMBIT_URL/oauth2/token -u "$AMBIT_ADMIN_ID:$AMBIT_ADMIN_SECRET" -d grant_type=client_credentials |
  sed 's/.*"access_token":"\([^"]*\)".*/\1/')
E=$AMBIT_URL/ambit/1.0/environments/$AMBIT_ENV_ID
`
	// What a page writes with … in it, such as tokens, differs from call to call.
	elided := cmp.FilterValues(func(a, b string) bool { return strings.Contains(a+b, "…") }, cmp.Ignore())
	blocks := regexp.MustCompile("(?s)\n```(sh|json)\n(.*?)\n```(?:\n|$)")
	for page, least := range map[string]int{"ask.md": 6, "authzen.md": 6, "api-mappers.md": 1, "jwt.md": 1} {
		text, err := os.ReadFile(filepath.Join("../docs", page))
		if err != nil {
			t.Fatal(err)
		}
		// The commands of a page run in one shell: later ones use what earlier ones set. What comes after a mark is an answer.
		script, shown := preparation, []string(nil)
		found := blocks.FindAllStringSubmatchIndex(string(text), -1)
		for i, m := range found {
			kind, body := string(text[m[2]:m[3]]), string(text[m[4]:m[5]])
			answered := i+1 < len(found) && string(text[found[i+1][2]:found[i+1][3]]) == "json" && strings.TrimSpace(string(text[m[1]:found[i+1][0]])) == "" &&
				!onlyInPart(string(text[found[i+1][4]:found[i+1][5]]))
			switch {
			case kind == "sh" && answered:
				script += "echo; echo '=== answer'\n" + body + "\necho; echo '=== end'\n"
				shown = append(shown, string(text[found[i+1][4]:found[i+1][5]]))
			case kind == "sh" && (page == "jwt.md" || page == "ask.md") && !strings.Contains(body, "demo.env"):
				script += body + "\n"
			}
		}
		command := exec.Command("bash", "-eu", "-o", "pipefail", "-c", script)
		command.Env, command.Dir = variables, t.TempDir()
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", page, err, out)
		}
		given := regexp.MustCompile("(?s)\n=== answer\n(.*?)\n=== end").FindAllStringSubmatch(string(out), -1)
		if len(shown) < least || len(given) != len(shown) {
			t.Fatalf("%s shows %d answers, %d were given, want at least %d", page, len(shown), len(given), least)
		}
		for i := range shown {
			got, want := answersOf(t, given[i][1]), answersOf(t, shown[i])
			if difference := cmp.Diff(got, want, elided); len(want) == 0 || difference != "" {
				t.Errorf("%s shows (+) what the answer is not (-):\n%s", page, difference)
			}
		}
	}
}
