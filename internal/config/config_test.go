package config

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ambit.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsAreValid(t *testing.T) {
	got, err := Load(Sources{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), got); diff != "" {
		t.Error(diff)
	}
}

func TestLaterSourcesWin(t *testing.T) {
	file := write(t, "listen: \":1\"\ndata: from-file\nmax_staleness: 5m\ntls: {cert: a.pem, key: b.pem}\ntrusted_proxies: [10.0.0.0/8]\nlog:\n  access: false\n")
	got, err := Load(Sources{
		File:    file,
		Environ: []string{"AMBIT_LISTEN=:2", "AMBIT_TLS_CERT=c.pem", "AMBIT_MAX_REQUEST_BYTES=1024", "AMBIT_TRUSTED_PROXIES=192.0.2.1,2001:db8::/32", "AMBIT_V3_ERRORS=", "HOME=/x", "AMBIT_URL=http://ignored"},
		Flags:   map[string]string{"listen": ":3", "log.level": "debug"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Listen, want.Data, want.MaxStaleness, want.MaxRequestBytes = ":3", "from-file", 5*time.Minute, 1024
	want.TLS = TLS{Cert: "c.pem", Key: "b.pem"}
	want.Log = Log{Level: "debug"}
	want.TrustedProxies = []string{"192.0.2.1", "2001:db8::/32"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	proxies, err := got.Proxies()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"192.0.2.1/32", "2001:db8::/32"}, texts(proxies)); diff != "" {
		t.Error(diff)
	}
}

func texts(blocks []netip.Prefix) []string {
	var out []string
	for _, b := range blocks {
		out = append(out, b.String())
	}
	return out
}

func TestRefused(t *testing.T) {
	cases := []struct {
		name, file string
		environ    []string
		flags      map[string]string
		want       []string
	}{
		{name: "unknown keys with their places", file: "listen: \":1\"\nlissten: x\ntls:\n  certificate: y\n", want: []string{":2:1: unknown setting \"lissten\"", ":4:3: unknown setting \"tls.certificate\""}},
		{name: "repeated key", file: "data: a\ndata: b\n", want: []string{"already defined"}},
		{name: "not a mapping", file: "- listen\n", want: []string{":1:1: "}},
		{name: "group as text", file: "tls: x\n", want: []string{":1:6: "}},
		{name: "broken YAML", file: "a: [", want: []string{"ambit.yaml"}},
		{name: "unknown flag", flags: map[string]string{"nope": "1"}, want: []string{"unknown setting \"nope\""}},
		{name: "not a number", environ: []string{"AMBIT_MAX_REQUEST_BYTES=many"}, want: []string{"setting max_request_bytes: cannot parse"}},
		{name: "not a duration", flags: map[string]string{"max_staleness": "soon"}, want: []string{"max_staleness"}},
		{
			name: "all values checked", flags: map[string]string{"listen": "here", "audit.mode": "maybe", "log.level": "loud", "v3_errors": "xml", "v5_envelope": "none", "trusted_proxies": "10.0.0.0/8,proxy", "public_url": "ftp://x", "tls.cert": "a", "admin.id": "b", "max_connections": "0"},
			want: []string{"listen:", "audit.mode:", "log.level:", "v3_errors:", "v5_envelope:", "trusted_proxies: \"proxy\"", "public_url:", "tls:", "admin:", "max_connections:"},
		},
		{
			name: "bounds of live answers", file: "live: {max_streams: 0, max_streams_per_scope: -1, heartbeat: 10ms, past_revisions: 0, past_age: 0s, past_bytes: 0}\n",
			want: []string{"live.max_streams:", "live.max_streams_per_scope:", "live.heartbeat:", "live.past_revisions:", "live.past_age:", "live.past_bytes:"},
		},
		{name: "an unknown setting of AuthZEN", file: "authzen:\n  search_limit: 7\n", want: []string{":2:3: unknown setting \"authzen.search_limit\""}},
		{
			name: "limits of AuthZEN", file: "authzen: {max_body_bytes: 0, max_evaluations: -1, search_page_size: 0, search_page_max: 0, search_scan_limit: 0, search_time_limit: 0s, page_token_ttl: 1ms, metadata_max_age: 0s}\n",
			want: []string{
				"authzen.max_body_bytes:", "authzen.max_evaluations:", "authzen.search_page_size:", "authzen.search_page_max:", "authzen.search_scan_limit:",
				"authzen.search_time_limit:", "authzen.page_token_ttl:", "authzen.metadata_max_age:",
			},
		},
		{name: "a switch that is none", file: "authzen: {signed_metadata: perhaps}\n", want: []string{"authzen.signed_metadata"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := Sources{Environ: c.environ, Flags: c.flags}
			if c.file != "" {
				s.File = write(t, c.file)
			}
			_, err := Load(s)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in:\n%v", want, err)
				}
			}
		})
	}
}

// authzen.md 15: every setting of the deployment and its default.
func TestAuthZENSettings(t *testing.T) {
	want := AuthZEN{
		MaxBodyBytes: 1048576, MaxEvaluations: 1000, SearchEnabled: true, SearchPageSize: 500, SearchPageMax: 5000, SearchScanLimit: 100000,
		SearchTimeLimit: 2 * time.Second, PageTokenTTL: time.Hour, MetadataMaxAge: time.Hour,
	}
	if diff := cmp.Diff(want, Default().AuthZEN); diff != "" {
		t.Error(diff)
	}
	got, err := Load(Sources{
		File:    write(t, "authzen: {max_body_bytes: 2, max_evaluations: 3, search_enabled: false, search_page_size: 4, search_page_max: 5, search_scan_limit: 6}\n"),
		Environ: []string{"AMBIT_AUTHZEN_SEARCH_TIME_LIMIT=250ms", "AMBIT_AUTHZEN_SIGNED_METADATA=true"},
		Flags:   map[string]string{"authzen.page_token_ttl": "7s", "authzen.metadata_max_age": "8s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want = AuthZEN{2, 3, false, 4, 5, 6, 250 * time.Millisecond, 7 * time.Second, 8 * time.Second, true}
	if diff := cmp.Diff(want, got.AuthZEN); diff != "" {
		t.Error(diff)
	}
}

func TestMissingFile(t *testing.T) {
	if _, err := Load(Sources{File: filepath.Join(t.TempDir(), "none.yaml")}); err == nil {
		t.Error("accepted")
	}
}

// TestSecretIsNeverPrinted is the canary of reliability section 3 for the configuration.
func TestSecretIsNeverPrinted(t *testing.T) {
	const canary = "canary-b81f"
	c, err := Load(Sources{Environ: []string{"AMBIT_ADMIN_ID=me", "AMBIT_ADMIN_SECRET=" + canary}})
	if err != nil {
		t.Fatal(err)
	}
	if string(c.Admin.Secret) != canary {
		t.Fatalf("the secret did not arrive")
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{c.String(), fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), string(asJSON)} {
		if strings.Contains(text, canary) || !strings.Contains(text, "redacted") {
			t.Errorf("printed: %s", text)
		}
	}
	if _, err := Load(Sources{Environ: []string{"AMBIT_ADMIN_SECRET=" + canary}}); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("error: %v", err)
	}
}

func TestPrintedFormIsRead(t *testing.T) {
	want := Default()
	want.TrustedProxies = []string{"10.0.0.0/8"}
	got, err := Load(Sources{File: write(t, want.String())})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// runtime-api.md 8.6: keys of the environment are taken by their names as they are written, and shown nowhere.
func TestKeysOfTheEnvironment(t *testing.T) {
	got, err := Load(Sources{Environ: []string{"AMBIT_KEY_QUAY_1=SECRET=a\nb", "AMBIT_KEY_Gate=SECRET", "AMBIT_KEY_NONE=", "AMBIT_KEY=SECRET", "AMBIT_KEYS_DIR=/k"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]Secret{"QUAY_1": "SECRET=a\nb", "Gate": "SECRET"}, got.Keys); diff != "" || got.KeysDir != "/k" {
		t.Error(diff, got.KeysDir)
	}
	asJSON, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{got.String(), fmt.Sprintf("%v %+v %#v", got, got, got), string(asJSON)} {
		if strings.Contains(text, "SECRET") {
			t.Errorf("shown: %s", text)
		}
	}
	for _, bad := range []string{"keys: {A: b}", "keys: []"} {
		if _, err := Load(Sources{File: write(t, bad)}); err == nil {
			t.Errorf("%s is a setting", bad)
		}
	}
}
