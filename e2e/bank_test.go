package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/ambit-authz/ambit/examples/bank"
)

// question is what an environment is asked, and what it has to hold for that besides its configuration.
type question struct {
	applications []string          // of the scope that asks
	bodies       []string          // of the requests
	records      map[string]string // rows of assets and identities by path below the environment
}

const (
	walkScope  = "WALK0000000000000001"
	walkSecret = "the same secret on both sides"
)

// fill loads the records of an environment and makes the scope that asks.
func fill(s *server, id string, q question) {
	s.t.Helper()
	base := "/ambit/1.0/environments/" + id
	for path, rows := range q.records {
		s.must("POST", base+"/"+path, "application/x-ndjson", rows)
	}
	body, err := json.Marshal(map[string]any{
		"clientId": walkScope + id[:4], "secret": walkSecret, "name": "walk", "applicationIds": q.applications,
		"authMethods": []string{"SECRET_HEADER"}, "identityMatchingType": "REQUEST",
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.must("POST", base+"/scopes", "application/json", string(body))
}

// fillBank makes Harbour Bank, with the first of its people and assets.
func fillBank(s *server) question {
	s.t.Helper()
	s.must("POST", "/ambit/1.0/environments", "application/json", fmt.Sprintf(`{"id":%q,"name":%q,"bare":true}`, bank.EnvironmentID, bank.EnvironmentName))
	s.ambit(bank.EnvironmentID, "apply", "../examples/bank")
	q := question{applications: []string{"branch-portal", "document-archive", "general-ledger"}, records: map[string]string{}}
	for _, template := range bank.AssetTemplates() {
		q.records["asset-templates/"+string(template)+"/assets"] = head(s.t, 2000, func(w io.Writer) error { return bank.WriteAssets(w, template) })
	}
	for _, template := range bank.IdentityTemplates() {
		q.records["identity-templates/"+string(template)+"/identities"] = head(s.t, 1100, func(w io.Writer) error { return bank.WriteIdentities(w, template) })
	}
	for _, person := range []string{bank.SampleUser, bank.SampleManager, bank.SampleAuditor, bank.SampleRisk} {
		q.bodies = append(q.bodies, fmt.Sprintf(`{"entityId":%q,"entityTypeId":"Staff","remoteIp":"10.20.7.15","includeAccessPolicyId":true}`, person))
	}
	fill(s, bank.EnvironmentID, q)
	return q
}

var errEnough = errors.New("enough")

// lines keeps the first lines of what is written.
type lines struct {
	bytes.Buffer
	left int
}

func (l *lines) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		if l.left == 0 {
			return 0, errEnough
		}
		l.Buffer.Write(line)
		if bytes.HasSuffix(line, []byte("\n")) {
			l.left--
		}
	}
	return len(p), nil
}

func head(t testing.TB, n int, write func(io.Writer) error) string {
	t.Helper()
	l := &lines{left: n}
	if err := write(l); err != nil && !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	return l.String()
}
