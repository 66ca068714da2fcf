package authzen

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/authzencheck"
	"github.com/ambit-authz/ambit/internal/token"
)

// TestHeavyCallsTakeTurns: searches, big batches and big bodies never have all processors, nor the memory of many bodies; one
// that waits too long is 503. Other calls pass by.
func TestHeavyCallsTakeTurns(t *testing.T) {
	room := incoming.NewRoom(1 << 20)
	room.Patience = 10 * time.Millisecond
	w := newWorld(t, func(o *Options) { o.Room = room })
	elements := func(n int) string {
		return `{"evaluations":[` + strings.TrimSuffix(strings.Repeat(aliceReads+",", n), ",") + `]}`
	}
	with := func(member string) string { return strings.TrimSuffix(aliceReads, "}") + "," + member + "}" }
	many := `"context":{"a":["v","w"]}`
	heavy := map[string][2]string{
		"subject search":  {pathSubjects, `{"subject":{"type":"user"},"action":{"name":"read"},"resource":{"type":"record","id":"record-1"}}`},
		"resource search": {pathResources, `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record"}}`},
		"big batch":       {pathEvaluations, elements(bigBatch + 1)},
		"big body":        {pathEvaluation, with(`"foo":"` + strings.Repeat("x", incoming.SmallBody) + `"`)},
	}
	light := map[string][2]string{
		"evaluation":    {pathEvaluation, with(many)},
		"batch":         {pathEvaluations, elements(bigBatch)},
		"action search": {pathActions, aliceReads},
	}
	all := func(calls map[string][2]string, status int) {
		t.Helper()
		for name, c := range calls {
			if got := w.post(c[0], c[1]); got.status != status || status == 503 && got.header.Get("Retry-After") == "" {
				t.Errorf("%s: %d %.100s %v", name, got.status, got.body, got.header)
			}
		}
	}
	for range 3 {
		all(heavy, 200) // each gives its turn back
	}
	var ends []func()
	for range max(1, runtime.GOMAXPROCS(0)/2) {
		end, err := room.Turn(t.Context())
		check(t, err)
		ends = append(ends, end)
	}
	all(heavy, 503)
	all(light, 200)
	for _, end := range ends {
		end()
	}
	all(heavy, 200)
	held, err := room.Hold(t.Context(), 1<<20)
	check(t, err)
	defer held()
	for range max(incoming.HeldBodies, runtime.GOMAXPROCS(0)/2) - 1 {
		held, err := room.Hold(t.Context(), 1<<20)
		check(t, err)
		defer held()
	}
	all(map[string][2]string{"big body": heavy["big body"]}, 503)
	all(light, 200)
}

// c-6-4, authzen.md 10: the signed metadata verifies by the published keys and says what the document says.
func TestSignedMetadata(t *testing.T) {
	now := func() time.Time { return noon }
	keys, err := token.NewAnswerKeys(token.AnswerKeysOptions{File: filepath.Join(t.TempDir(), "answers.pem"), Now: now})
	check(t, err)
	w := newWorld(t, func(o *Options) { o.Sign = keys.Sign })
	read := func() (map[string]any, string) {
		t.Helper()
		got := w.send(http.MethodGet, pathMetadata, "", nil)
		out := map[string]any{}
		if err := json.Unmarshal([]byte(got.body), &out); err != nil || got.status != 200 {
			t.Fatalf("%d %s", got.status, got.body)
		}
		return out, got.header.Get("ETag")
	}
	document, tag := read()
	text, _ := document["signed_metadata"].(string)
	delete(document, "signed_metadata")
	public, err := keys.PublicKeys()
	check(t, err)
	set := jwk.NewSet()
	for _, k := range public {
		check(t, set.AddKey(k))
	}
	payload, err := jws.Verify([]byte(text), jws.WithKeySet(set))
	check(t, err)
	claims := map[string]any{}
	check(t, json.Unmarshal(payload, &claims))
	if claims["iss"] != w.server.URL || claims["iat"] != float64(noon.Unix()) {
		t.Errorf("claims %v", claims)
	}
	delete(claims, "iss")
	delete(claims, "iat")
	if diff := cmp.Diff(document, claims); diff != "" {
		t.Error(diff)
	}
	if _, err := jws.Verify([]byte(text), jws.WithKey(jwa.RS256(), []byte("other"))); err == nil {
		t.Error("it verifies by any key")
	}
	if _, again := read(); again != tag {
		t.Error("a signature that is young is made anew")
	}
	report, err := authzencheck.Run(t.Context(), authzencheck.Options{URL: w.server.URL, Client: w.server.Client(), Header: w.credentials()})
	check(t, err)
	for _, r := range report.Results {
		if strings.HasPrefix(r.ID, "c-6-") && r.Problem != "" {
			t.Errorf("%s: %s", r.ID, r.Problem)
		}
	}
	w.now = w.now.Add(signedFor)
	if later, again := read(); again == tag || later["signed_metadata"] == text {
		t.Error("a signature that is old is given out")
	}
}
