package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

func TestWireErrorNamesItsPlaceOnce(t *testing.T) {
	cases := []struct {
		in   wireError
		want string
	}{
		{wireError{Message: "gone"}, "gone"},
		{wireError{Message: "2: bad", Line: 2}, "2: bad"},
		{wireError{Message: "bad", File: "a.rego", Line: 2, Column: 3}, "a.rego:2:3: bad"},
		{wireError{Message: "2:3: bad", File: "a.rego", Line: 2, Column: 3}, "a.rego:2:3: bad"},
		{wireError{Message: "a.rego:2:3: bad", File: "a.rego", Line: 2, Column: 3}, "a.rego:2:3: bad"},
		{wireError{Message: "a.json: bad", File: "a.json"}, "a.json: bad"},
	}
	for _, c := range cases {
		if got := c.in.String(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.in, got, c.want)
		}
	}
}

func TestRefusal(t *testing.T) {
	r := &refusal{Status: 500, ID: "E12345", Raw: []byte("Internal error\n")}
	if got, want := r.Error(), "500 Internal Server Error Internal error (E12345 in the server's log)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if status(fmt.Errorf("wrapped: %w", r)) != 500 || status(errors.New("other")) != 0 {
		t.Error("status")
	}
}

const answer = `{"tokenValidity":0,"response":[{"access":[
  {"path":"a","attributes":{"x":["1"]},"resourceType":"T","actions":[{"action":"View"},{"action":"Edit"}]},
  {"path":"b","resourceType":"T","actions":[]}]}],"identity":{"attributes":{"access":[{"path":"no"}]}},"contextData":null}`

func entries(text string) ([]string, error) {
	var got []string
	err := eachEntry(jsontext.NewDecoder(strings.NewReader(text)), func(e *entry) error {
		got = append(got, e.Path+": "+e.actions())
		return nil
	})
	return got, err
}

func TestEntries(t *testing.T) {
	got, err := entries(answer)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a: View, Edit", "b: "}, got); diff != "" {
		t.Error(diff)
	}
	if got, err := entries(`{"tokenValidity":0,"response":[],"contextData":null}`); err != nil || len(got) != 0 {
		t.Errorf("nothing allowed: %v %v", got, err)
	}
}

// TestTruncatedAnswer takes no prefix of an answer for an answer.
func TestTruncatedAnswer(t *testing.T) {
	done := make(chan int)
	go func() {
		defer close(done)
		for n := range len(answer) {
			if got, err := entries(answer[:n]); err == nil {
				t.Errorf("the first %d bytes are taken for an answer: %v", n, got)
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("reading a truncated answer does not end")
	}
}

func unpack(t *testing.T, s source) map[string]string {
	t.Helper()
	zip, err := gzip.NewReader(s.body)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for archive := tar.NewReader(zip); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(text)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) string {
		t.Helper()
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	policy := write("company/authorization-workspaces/Two  blanks/policies/p.rego")
	write("company/environment/scopes.json")
	write("company/.git/config")
	write("company/authorization-workspaces/.hidden")
	stray := write("stray.rego")
	zip := write("archive.zip")

	whole, err := open([]string{filepath.Join(dir, "company")})
	if err != nil {
		t.Fatal(err)
	}
	files := unpack(t, whole)
	want := []string{"authorization-workspaces/Two  blanks/policies/p.rego", "environment/scopes.json"}
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	if got := whole.name(want[0]); got != policy {
		t.Errorf("named %s, want %s", got, policy)
	}

	one, err := open([]string{policy})
	if err != nil {
		t.Fatal(err)
	}
	if files := unpack(t, one); len(files) != 1 || files[want[0]] == "" || one.name(want[0]) != policy {
		t.Errorf("one file: %v", files)
	}

	asIs, err := open([]string{zip})
	if err != nil || asIs.contentType != "application/zip" {
		t.Fatalf("%v %v", asIs.contentType, err)
	}
	if text, err := io.ReadAll(asIs.body); err != nil || string(text) != "archive.zip" {
		t.Errorf("%q %v", text, err)
	}

	for name, paths := range map[string][]string{
		"outside the layout": {stray}, "missing": {filepath.Join(dir, "none")}, "two roots": {filepath.Join(dir, "company"), policy},
		"archive among files": {policy, zip}, "same file twice": {policy, policy}, "nothing of an export": {t.TempDir()},
	} {
		if _, err := open(paths); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestExitCodes(t *testing.T) {
	cases := []struct {
		args []string
		want int
	}{
		{[]string{"--help"}, exitDone},
		{[]string{"import", "assets", "--help"}, exitDone},
		{[]string{"version"}, exitDone},
		{[]string{"no-such-command"}, exitUsage},
		{[]string{"serve", "--no-such-flag"}, exitUsage},
		{[]string{"serve", "--set", "nope=1"}, exitFailed},
		{[]string{"credentials", "show", "--data", filepath.Join(t.TempDir(), "none")}, exitFailed},
	}
	for _, c := range cases {
		var out, complaint bytes.Buffer
		if got := Main(c.args, Streams{In: strings.NewReader(""), Out: &out, Err: &complaint}); got != c.want {
			t.Errorf("%v: exit code %d, want %d\n%s", c.args, got, c.want, &complaint)
		}
		if c.want != exitDone && complaint.Len() == 0 {
			t.Errorf("%v: nothing was said", c.args)
		}
	}
}

// TestWriteFile is the env file of the demo: whole, and for its owner only.
func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "demo.env")
	for _, text := range []string{"A=1\n", "A=2\n"} {
		if err := writeFile(path, text); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("%q %v", got, err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// TestReportOfAnApply: warnings stand at the caller's own path, and building blocks are counted.
func TestReportOfAnApply(t *testing.T) {
	var r report
	err := json.Unmarshal([]byte(`{"data":{"committed":true,"summary":{"policies":{"updated":1}},
	  "items":[{"file":"p.rego","result":"updated","warnings":[{"code":"RW-01","line":2,"column":8,"message":"p.rego:2:8: not marked"}]}],
	  "buildingBlocks":[{"result":"reused"},{"result":"updated"},{"result":"created"}]},"errors":[]}`), &r)
	if err != nil {
		t.Fatal(err)
	}
	var out, complaint bytes.Buffer
	if err := r.print(Streams{Out: &out, Err: &complaint}, func(path string) string { return "dir/" + path }); err != nil {
		t.Fatal(err)
	}
	if got, want := complaint.String(), "dir/p.rego:2:8: not marked (warning RW-01)\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if want := "building-blocks          1 created, 1 updated, 1 unchanged, 0 deleted, 0 failed\n"; !strings.Contains(out.String(), want) {
		t.Errorf("no %q in\n%s", want, &out)
	}
}
