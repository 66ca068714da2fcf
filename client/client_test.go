package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/client"
	"github.com/ambit-authz/ambit/examples/bank"
)

// TestMain runs the tests and examples against the real program, which serves the sample bank.
func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.fuzz").Value.String() != "" {
		os.Exit(m.Run()) // fuzz targets play the server themselves, in many processes
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "ambit-client-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		stop, err := startBank(dir)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer stop()
		return m.Run()
	}())
}

// startBank builds and starts the program and sets the variables that it writes for its readers.
func startBank(dir string) (stop func(), err error) {
	program, file := filepath.Join(dir, "ambit"), filepath.Join(dir, "demo.env")
	if out, err := exec.Command("go", "build", "-o", program, "../cmd/ambit").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the program: %w\n%s", err, out)
	}
	demo := exec.Command(program, "demo", "--listen", "127.0.0.1:0", "--env-file", file)
	demo.Env = append(os.Environ(), "TMPDIR="+dir)
	demo.Stderr = os.Stderr
	if err := demo.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- demo.Wait() }()
	stop = func() {
		_ = demo.Process.Signal(os.Interrupt)
		<-ended
	}
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-ended:
			return nil, fmt.Errorf("the program ended: %w", err)
		default:
		}
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			if err := os.Setenv(key, value); err != nil {
				stop()
				return nil, err
			}
		}
		return stop, nil
	}
	stop()
	return nil, errors.New("the program was not ready in two minutes")
}

// portal is a client of the bank's portal.
func portal(t testing.TB) *client.Client {
	t.Helper()
	return newClient(t, client.Options{
		URL: os.Getenv("AMBIT_URL"), ClientID: os.Getenv("AMBIT_CLIENT_ID"), ClientSecret: os.Getenv("AMBIT_CLIENT_SECRET"), Timeout: time.Minute,
	})
}

func newClient(t testing.TB, o client.Options) *client.Client {
	t.Helper()
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func staff(id string) client.Query {
	return client.Query{Identity: client.Identity{ID: id, Template: "Staff"}, RemoteIP: "10.20.7.15"}
}

// RT-65, RT-71, RT-75, RT-76: the list is what the wire says, whole or entry by entry, and Permit agrees with it.
func TestAccessList(t *testing.T) {
	c, q := portal(t), staff(bank.SampleUser)
	q.Attributes, q.Policies = true, true
	list, err := c.AccessList(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Entries) < 100 || list.Revision == 0 || list.RequestID == "" {
		t.Errorf("%d entries, %+v", len(list.Entries), list.Meta)
	}
	var wire []client.Entry
	for _, e := range wireEntries(t, `{"entityId":"mreyes","entityTypeId":"Staff","remoteIp":"10.20.7.15","includeAccessPolicy":true,"includeAccessPolicyId":true}`) {
		entry := client.Entry{Type: e.ResourceType, Path: e.Path, Attributes: e.Attributes}
		for _, a := range e.Actions {
			entry.Actions = append(entry.Actions, client.Action{Name: a.Action, Policy: a.Permission, PolicyID: a.PermissionID})
		}
		wire = append(wire, entry)
	}
	if !reflect.DeepEqual(list.Entries, wire) {
		t.Error("the list is not what the server sent")
	}
	var streamed []client.Entry
	for e, err := range c.Entries(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		streamed = append(streamed, e)
	}
	if !reflect.DeepEqual(streamed, wire) {
		t.Error("the entries are not what the server sent")
	}
	var granted []client.Resource
	for _, e := range list.Entries {
		if !list.Can(e.Type, e.Path, e.Actions[0].Name) || list.Can(e.Type, e.Path, "no such action") || list.Can("no such type", e.Path, e.Actions[0].Name) {
			t.Fatalf("Can contradicts %+v", e)
		}
		granted = append(granted, client.Resource{Type: e.Type, Path: e.Path, Action: e.Actions[0].Name})
	}
	if d, err := c.Permit(t.Context(), staff(bank.SampleUser), granted...); err != nil || !d.Permitted || len(d.Allowed) != len(granted) {
		t.Errorf("Permit contradicts the list: %v", err)
	}
	for range c.Entries(t.Context(), q) { // a reader that has enough
		break
	}
}

type wireEntry struct {
	Path, ResourceType string
	Attributes         map[string][]string
	Actions            []struct{ Action, Permission, PermissionID string }
}

// wireEntries asks without the package.
func wireEntries(t *testing.T, question string) []wireEntry {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, os.Getenv("AMBIT_URL")+"/api/runtime/token/v3", strings.NewReader(question))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Client-Id", os.Getenv("AMBIT_CLIENT_ID"))
	r.Header.Set("X-Client-Secret", os.Getenv("AMBIT_CLIENT_SECRET"))
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		Response []struct{ Access []wireEntry }
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || len(answer.Response) != 1 {
		t.Fatal(res.Status, err)
	}
	return answer.Response[0].Access
}

// RT-66, RT-68, RT-69, RT-70, RT-71: a list of what was asked about.
func TestAccessListNarrowed(t *testing.T) {
	c, q := portal(t), staff(bank.SampleUser)
	q.Types = []client.ResourceType{{Name: "Accounts", Attributes: []string{"branch"}, Actions: []string{"view"}}}
	q.Attributes = true
	list, err := c.AccessList(t.Context(), q)
	if err != nil || len(list.Entries) == 0 {
		t.Fatal(list, err)
	}
	for _, e := range list.Entries {
		if e.Type != "Accounts" || len(e.Attributes) != 1 || len(e.Attributes["branch"]) != 1 || !slices.Equal(e.Actions, []client.Action{{Name: "view"}}) {
			t.Fatalf("%+v", e)
		}
	}
	q = staff(bank.SampleUser)
	q.Assets = []client.Asset{{Type: "Accounts", Path: "acc/PT/001251"}, {Type: "Accounts", Path: "no such account"}}
	if list, err = c.AccessList(t.Context(), q); err != nil || len(list.Entries) != 1 || !list.Can("Accounts", "acc/PT/001251", "view") || list.Entries[0].Attributes != nil {
		t.Errorf("%+v %v", list, err)
	}
	q.Assets = []client.Asset{} // no asset, which is not every asset
	if list, err = c.AccessList(t.Context(), q); err != nil || len(list.Entries) != 0 || list.Can("Accounts", "acc/PT/001251", "view") {
		t.Errorf("%+v %v", list, err)
	}
}

// RT-52, RT-85, RT-86, RT-89, RT-90: a batch, with verdicts and reasons.
func TestPermit(t *testing.T) {
	c, q := portal(t), staff(bank.SampleUser)
	q.Policies, q.Attributes = true, true
	view, shut := client.Resource{Type: "Accounts", Path: "acc/PT/001251", Action: "view"}, client.Resource{Type: "Accounts", Path: "acc/PT/001251", Action: "close"}
	row := client.Resource{Type: "No such type", Path: "1", Action: "read"}
	d, err := c.Permit(t.Context(), q, view, row, shut, view)
	if err != nil {
		t.Fatal(err)
	}
	if d.Permitted || len(d.Allowed) != 2 || len(d.Denied) != 1 || len(d.NotApplicable) != 1 || d.Denied[0].Reason != "PID004" || d.NotApplicable[0].Reason != "PID002" {
		t.Errorf("%+v", d)
	}
	if v := d.Allowed[0]; v.PolicyID != "teller-accounts" || v.Policy == "" || len(v.Attributes["branch"]) != 1 {
		t.Errorf("%+v", v)
	}
	if !d.Allows("Accounts", "acc/PT/001251", "view") || d.Allows("Accounts", "acc/PT/001251", "close") || d.Allows("No such type", "1", "read") || d.Allows("Accounts", "acc/PT/001783", "view") {
		t.Error("Allows contradicts the verdicts")
	}
	if d, err := c.Permit(t.Context(), staff(bank.SampleUser), view); err != nil || !d.Permitted || d.Revision == 0 {
		t.Errorf("%+v %v", d, err)
	}
	d, err = c.Permit(t.Context(), staff(bank.SampleUser), client.Resource{Type: "Accounts", Path: "acc/PT/001251"}, shut)
	if err != nil || d.Permitted || len(d.Allowed) == 0 || len(d.Denied) < 3 {
		t.Errorf("every action: %+v %v", d, err)
	}
	device := staff(bank.SampleManager)
	device.Additional = []client.Identity{{ID: "LT-TOKAFOR", Template: "Device", Context: map[string][]string{"posture": {"personal"}}}}
	with, err := c.AccessList(t.Context(), device)
	if err != nil {
		t.Fatal(err)
	}
	without, err := c.AccessList(t.Context(), staff(bank.SampleManager))
	if err != nil || len(with.Entries) >= len(without.Entries) {
		t.Errorf("a personal device: %d of %d entries, %v", len(with.Entries), len(without.Entries), err)
	}
}

// RT-91, RT-93, RT-94, RT-95, RT-97: filters, of which none is never everything.
func TestFilter(t *testing.T) {
	c, q := portal(t), staff(bank.SampleAuditor)
	q.Types, q.Policies = []client.ResourceType{{Name: "LedgerRows"}}, true
	answer, err := c.Filter(t.Context(), q)
	if err != nil || len(answer.Assets) != 0 || len(answer.Filters) != 1 {
		t.Fatalf("%+v %v", answer, err)
	}
	f := answer.Filters[0]
	want := client.Condition{Attribute: "auditCases", Operator: "IN", Values: []string{"AC-2026-017", "AC-2026-042", "AC-2026-108"}}
	if f.Type != "LedgerRows" || f.Name != "read" || f.PolicyID != "ledger-audit" || f.All || len(f.Any) != 1 || !reflect.DeepEqual(f.Any[0], []client.Condition{want}) {
		t.Errorf("%+v", f)
	}
	q.Identity.ID = bank.SampleRisk
	if answer, err = c.Filter(t.Context(), q); err != nil || !slices.ContainsFunc(answer.Filters, func(f client.Filter) bool { return f.All && f.Any == nil && f.Name == "read" }) {
		t.Errorf("the whole ledger: %+v %v", answer, err)
	}
	q.Identity.ID = bank.SampleUser
	if answer, err = c.Filter(t.Context(), q); err != nil || len(answer.Filters) != 0 {
		t.Errorf("nothing: %+v %v", answer, err)
	}
	q.Types = []client.ResourceType{{Name: "Accounts"}}
	q.Assets = []client.Asset{{Type: "Accounts", Path: "acc/PT/001251"}}
	if answer, err = c.Filter(t.Context(), q); err != nil || len(answer.Filters) != 0 || len(answer.Assets) != 1 || answer.Assets[0].Path != "acc/PT/001251" {
		t.Errorf("assets: %+v %v", answer, err)
	}
}

// RT-100: everybody who may.
func TestUsers(t *testing.T) {
	c := portal(t)
	q := client.Query{Identity: client.Identity{Template: "Staff"}, Attributes: true, Policies: true}
	list, err := c.Users(t.Context(), q, client.Resource{Type: "Accounts", Path: "acc/PT/001251", Action: "view"})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list.Users, func(u client.User) bool { return u.ID == bank.SampleUser })
	if i < 0 || list.Users[i].Template != "Staff" || list.Users[i].Actions[0].PolicyID != "teller-accounts" || !slices.Equal(list.Users[i].Attributes["uid"], []string{bank.SampleUser}) {
		t.Errorf("%+v", list)
	}
	if list, err = c.Users(t.Context(), q, client.Resource{Type: "Accounts", Path: "no such account"}); err != nil || len(list.Users) != 0 {
		t.Errorf("nobody: %+v %v", list, err)
	}
	for name, q := range map[string]client.Query{"an id": staff(bank.SampleUser), "a list": {Types: []client.ResourceType{{Name: "Accounts"}}}} {
		if _, err := c.Users(t.Context(), q, client.Resource{Type: "Accounts"}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// RT-101, RT-102: which policies concern an identity, an identity on an asset, and an asset.
func TestPolicies(t *testing.T) {
	c, q := portal(t), staff(bank.SampleUser)
	has := func(o client.Concerned) bool {
		return slices.ContainsFunc(o.Policies, func(p client.Policy) bool {
			return p.ID == "teller-accounts" && p.AccessType == "Allow" && p.Types[0].Name == "Accounts" && slices.Contains(p.Types[0].Actions, "view")
		})
	}
	all, err := c.Policies(t.Context(), q)
	if err != nil || len(all.Objects) != 1 || !has(all.Objects[0]) {
		t.Fatalf("%+v %v", all, err)
	}
	q.Assets = []client.Asset{{Type: "Accounts", Path: "acc/PT/001251"}, {Type: "Accounts", Path: "no such account"}}
	list, err := c.Policies(t.Context(), q)
	if err != nil || len(list.Objects) != 2 || !has(list.Objects[0]) || has(list.Objects[1]) || list.Objects[1].Asset.Path != "no such account" {
		t.Errorf("%+v %v", list, err)
	}
	q.Identity = client.Identity{}
	if list, err = c.Policies(t.Context(), q); err != nil || len(list.Objects) != 2 || !has(list.Objects[0]) {
		t.Errorf("%+v %v", list, err)
	}
	if !slices.ContainsFunc(all.Objects[0].Policies, func(p client.Policy) bool { return len(p.Conditions) > 0 }) {
		t.Error("no policy shows a condition")
	}
}

// RT-20: a question that names the revision of a write sees it; one that names a revision to come gets nothing.
func TestMinRevision(t *testing.T) {
	c := portal(t)
	q := client.Query{Identity: client.Identity{ID: "newcomer", Template: "Staff"}, MaxWait: 30 * time.Second}
	var refused *client.Error
	if _, err := c.AccessList(t.Context(), q); !errors.As(err, &refused) || refused.Status != http.StatusNotFound || refused.Code != "AMB-020" {
		t.Fatalf("before the write: %v", err)
	}
	revision := write(t, "/identity-templates/Staff/identities", `{"entityId":"newcomer","attributes":{"branch":["Porto-07"],"jobTitle":["Teller"]}}`)
	q.MinRevision = revision
	list, err := c.AccessList(t.Context(), q)
	if err != nil || list.Revision < revision {
		t.Errorf("after the write: %+v %v", list, err)
	}
	q.MinRevision, q.MaxWait = revision+1000, time.Millisecond
	if d, err := c.Permit(t.Context(), q, client.Resource{Type: "Accounts", Path: "acc/PT/001251", Action: "view"}); d != nil || !errors.As(err, &refused) || refused.Status != http.StatusServiceUnavailable {
		t.Errorf("a revision to come: %v %v", d, err)
	}
}

// write loads records of the bank and returns the revision that holds them.
func write(t *testing.T, path, rows string) uint64 {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {os.Getenv("AMBIT_ADMIN_ID")}, "client_secret": {os.Getenv("AMBIT_ADMIN_SECRET")}}
	var login struct {
		Token string `json:"access_token"`
	}
	send(t, "/api/1.0/api-key/token", "application/x-www-form-urlencoded", "", form.Encode(), &login)
	var state struct{ Data struct{ Revision uint64 } }
	base := "/ambit/1.0/environments/" + bank.EnvironmentID
	send(t, base+path, "application/x-ndjson", login.Token, rows, nil)
	send(t, base+"/revision", "", login.Token, "", &state)
	return state.Data.Revision
}

func send(t *testing.T, path, contentType, token, body string, answer any) {
	t.Helper()
	method := http.MethodPost
	if contentType == "" {
		method = http.MethodGet
	}
	r, err := http.NewRequest(method, os.Getenv("AMBIT_URL")+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && answer != nil {
		err = json.Unmarshal(text, answer)
	}
	if err != nil || res.StatusCode >= 300 || strings.Contains(string(text), `"errors":[{`) {
		t.Fatalf("%s: %s %v %s", path, res.Status, err, text)
	}
}

// RT-24, RT-25, RT-27, RT-33, RT-36, RT-43, RT-50: refusals are errors with status, code, message and ids.
func TestRefusals(t *testing.T) {
	address, id, secret := os.Getenv("AMBIT_URL"), os.Getenv("AMBIT_CLIENT_ID"), os.Getenv("AMBIT_CLIENT_SECRET")
	good := client.Options{URL: address, ClientID: id, ClientSecret: secret, Timeout: time.Minute}
	token := func(context.Context) (string, error) { return "e30.e30.e30", nil }
	with := func(change func(*client.Query)) client.Query {
		q := staff(bank.SampleUser)
		q.RequestID = "walk-17"
		change(&q)
		return q
	}
	cases := []struct {
		name    string
		options client.Options
		query   client.Query
		status  int
		code    string
		message string
	}{
		{"wrong secret", client.Options{URL: address, ClientID: id, ClientSecret: secret + "x", Timeout: time.Minute}, with(func(*client.Query) {}), 401, "AMB-011", "Invalid api key"},
		{"unknown scope", client.Options{URL: address, ClientID: "NOBODY", ClientSecret: secret, Timeout: time.Minute}, with(func(*client.Query) {}), 401, "AMB-010", "Invalid clientId"},
		{"bad token", client.Options{URL: address, ClientID: id, TokenSource: token, Timeout: time.Minute}, with(func(*client.Query) {}), 401, "", "Invalid"},
		{"unknown identity", good, with(func(q *client.Query) { q.Identity.ID = "nobody" }), 404, "AMB-020", "MemberNotFoundError: identity not found"},
		{"unknown template", good, with(func(q *client.Query) { q.Identity.Template = "Nobodies" }), 403, "RT-087", "None of the Identity Templates Matched"},
		{"bad address", good, with(func(q *client.Query) { q.RemoteIP = "here" }), 400, "AMB-002", "remoteIp: "},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := newClient(t, c.options).Permit(t.Context(), c.query, client.Resource{Type: "Accounts", Path: "acc/PT/001251", Action: "view"})
			var refused *client.Error
			if !errors.As(err, &refused) || refused.Status != c.status || c.code != "" && refused.Code != c.code || !strings.HasPrefix(refused.Message, c.message) || refused.RequestID != "walk-17" || refused.ID == "" {
				t.Errorf("%v", err)
			}
			for _, hidden := range []string{secret, "e30.e30"} {
				if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), hidden) {
					t.Errorf("the error holds a secret: %v", err)
				}
			}
		})
	}
}
