package e2e

import (
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/examples/bank"
)

// docs/api-mappers.md: every command works.
func TestGuideAPIMappers(t *testing.T) {
	s := start(t)
	fillBank(s)
	out := follow(t, "api-mappers.md", t.TempDir(), append(s.variables(), "AMBIT_ENV_ID="+bank.EnvironmentID, "TOKEN="+s.api.token, "WS_ID="+workspaceOf(s, "branch-portal"),
		"AMBIT_CLIENT_ID="+walkScope+bank.EnvironmentID[:4], "AMBIT_CLIENT_SECRET="+walkSecret)...)
	for _, part := range []string{
		`{"data":{"mapperId":"block-card",`, `{"data":{"apiMappersSetId":"branch-portal","applicationIds":["branch-portal"],"apiMappers":[{"mapperId":"account",`,
		`,{"mapperId":"block-card",`, `{"data":{"id":"terminal",`, `{"data":{"result":"PERMIT","response":[{"allowed":[{"path":"acc/PT/001251","action":"view","template":"Accounts"}]`,
	} {
		if !strings.Contains(out, part) {
			t.Errorf("the commands did not print %s:\n%s", part, out)
		}
	}
	if strings.Contains(out, "errors") || strings.Contains(out, "incomplete") {
		t.Errorf("printed\n%s", out)
	}
}
