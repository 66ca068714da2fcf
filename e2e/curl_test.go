package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// These commands read what curl has written to files.

// field is: field NAME FILE PATH. It sets NAME to the text at the path of a JSON file; the parts of a path are joined by
// points, elements of lists are counted from 0.
func field(ts *testscript.TestScript, _ bool, args []string) {
	var value any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &value))
	for part := range strings.SplitSeq(args[2], ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[part]
		case []any:
			n, err := strconv.Atoi(part)
			ts.Check(err)
			if n >= len(v) {
				ts.Fatalf("%s has %d elements", args[2], len(v))
			}
			value = v[n]
		}
	}
	text, ok := value.(string)
	if !ok || text == "" {
		ts.Fatalf("%s: %s is %v", args[1], args[2], value)
	}
	ts.Setenv(args[0], text)
}

// header is: header NAME FILE HEADER. It sets NAME to a header that curl -D has written.
func header(ts *testscript.TestScript, _ bool, args []string) {
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		name, value, _ := strings.Cut(line, ":")
		if textproto.CanonicalMIMEHeaderKey(name) == textproto.CanonicalMIMEHeaderKey(args[2]) {
			ts.Setenv(args[0], strings.TrimSpace(value))
			return
		}
	}
	ts.Fatalf("%s has no header %s", args[1], args[2])
}

// revision is: revision NAME URL AUTHORIZATION. It sets NAME to the revision that the environment at the URL has.
func revision(ts *testscript.TestScript, _ bool, args []string) {
	r, err := http.NewRequest(http.MethodGet, args[1]+"/revision", nil)
	ts.Check(err)
	_, credentials, _ := strings.Cut(args[2], ": ")
	r.Header.Set("Authorization", credentials)
	res, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer res.Body.Close()
	var state struct {
		Data struct{ Revision json.Number }
	}
	ts.Check(json.NewDecoder(res.Body).Decode(&state))
	ts.Setenv(args[0], state.Data.Revision.String())
}

// expiring is: expiring NAME FILE. It sets NAME to the id of the one secret of a list that ends.
func expiring(ts *testscript.TestScript, _ bool, args []string) {
	var list struct {
		Data []struct {
			ID        string
			ExpiresAt *time.Time
		}
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &list))
	var ends []string
	for _, s := range list.Data {
		if s.ExpiresAt != nil {
			ends = append(ends, s.ID)
		}
	}
	if len(list.Data) != 2 || len(ends) != 1 {
		ts.Fatalf("%d secrets, of which %v end", len(list.Data), ends)
	}
	ts.Setenv(args[0], ends[0])
}

// refused is: refused URL CLIENT SECRET BODY. It waits up to a minute until the scope is refused: there is no revision to
// ask for once the environment is gone.
func refused(ts *testscript.TestScript, _ bool, args []string) {
	status := 0
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		r, err := http.NewRequest(http.MethodPost, args[0], strings.NewReader(args[3]))
		ts.Check(err)
		r.Header.Set("X-Client-Id", args[1])
		r.Header.Set("X-Client-Secret", args[2])
		res, err := http.DefaultClient.Do(r)
		ts.Check(err)
		res.Body.Close()
		if status = res.StatusCode; status == http.StatusUnauthorized {
			return
		}
	}
	ts.Check(fmt.Errorf("the scope still gets %d", status))
}
