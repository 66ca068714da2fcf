package client_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzAnswer: whatever a server sends, it is taken only if encoding/json reads it, too, and a verdict only if the result
// is PERMIT in the one reading that it has.
func FuzzAnswer(f *testing.F) {
	for _, q := range questions() {
		f.Add(q.good)
	}
	f.Add(strings.Replace(goodPermit, "PERMIT", `PERM\u0049T`, 1))
	for _, body := range unusablePermits() {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, q := range questions() {
			says, err := q.ask(t.Context(), over(t, saying(body)))
			if says == (err != nil) && q.name != "Permit" {
				t.Errorf("%s: %t %v", q.name, says, err)
			}
			if !says {
				continue
			}
			if !json.Valid([]byte(body)) || err != nil {
				t.Errorf("%s: took what is no JSON, %v", q.name, err)
			}
			var members map[string]json.RawMessage
			var result string
			if q.name == "Permit" && (json.Unmarshal([]byte(body), &members) != nil || json.Unmarshal(members["result"], &result) != nil || result != "PERMIT") {
				t.Errorf("took %s for PERMIT", body)
			}
		}
	})
}
