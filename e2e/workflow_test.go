package e2e

import (
	"fmt"
	"os"
	"regexp"

	"github.com/rogpeppe/go-internal/testscript"
	"go.yaml.in/yaml/v3"
)

// workflow is: workflow PAGE. It writes the steps of the workflow that a page of the guide shows as scripts JOB-N.sh, so that
// what the page tells to run is what is run.
func workflow(ts *testscript.TestScript, _ bool, args []string) {
	text, err := os.ReadFile(args[0])
	ts.Check(err)
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(text)
	if block == nil {
		ts.Fatalf("%s shows no workflow", args[0])
	}
	var shown struct {
		Jobs map[string]struct {
			Steps []struct{ Run string }
		}
	}
	ts.Check(yaml.Unmarshal(block[1], &shown))
	for name, job := range shown.Jobs {
		n := 0
		for _, step := range job.Steps {
			if step.Run == "" {
				continue
			}
			n++
			ts.Check(os.WriteFile(ts.MkAbs(fmt.Sprintf("%s-%d.sh", name, n)), []byte(step.Run+"\n"), 0o600))
		}
	}
}
