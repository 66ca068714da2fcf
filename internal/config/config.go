// Package config holds the settings of the server: one struct, read from its defaults, a YAML file, the environment and
// the command line, where the later source wins.
//
// Start at Config, then Load. A key that does not exist and a value that cannot be are errors that name the place, and
// all of them are reported together. A printed configuration never shows a secret.
//
// The package knows nothing of the rest of Ambit, and no other package sees a Config but the composition root.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Config is every setting of `ambit serve`. The koanf tag is the key in the YAML file, where a dot stands for nesting;
// the environment variable is AMBIT_ and the key in capitals with underscores for dots (AMBIT_TLS_CERT), lists separated
// by commas.
type Config struct {
	// Listen is the address of the decision API, and of the management API unless ManagementListen is set.
	Listen string `koanf:"listen" yaml:"listen"`
	// ManagementListen moves management calls, metrics and the console to a listener of their own. Empty = shared.
	ManagementListen string `koanf:"management_listen" yaml:"management_listen"`
	// Data is the directory of the embedded store and of the keys. Made with mode 0700 when it is missing.
	Data string `koanf:"data" yaml:"data"`
	// PublicURL is the URL under which callers reach this server: the issuer of tokens. Empty = http(s)://<listen>.
	PublicURL string `koanf:"public_url" yaml:"public_url"`
	// TLS turns on HTTPS on all listeners.
	TLS TLS `koanf:"tls" yaml:"tls"`
	// Admin is the first tenant credential. Empty = one is made at the very first start and printed once.
	Admin Admin `koanf:"admin" yaml:"admin"`
	// Log says what is logged to standard error, as JSON.
	Log Log `koanf:"log" yaml:"log"`
	// Audit says what happens to the record of each decision.
	Audit Audit `koanf:"audit" yaml:"audit"`
	// AuthZEN sets the limits of the OpenID AuthZEN routes.
	AuthZEN AuthZEN `koanf:"authzen" yaml:"authzen"`
	// Live bounds the watches and the changes of lists.
	Live Live `koanf:"live" yaml:"live"`

	// MaxRequestBytes limits the body of a decision request.
	MaxRequestBytes int64 `koanf:"max_request_bytes" yaml:"max_request_bytes"`
	// ResponseCacheBytes is how much memory the answers may take that are kept for scopes with cacheSeconds. 0 = none is kept.
	ResponseCacheBytes int64 `koanf:"response_cache_bytes" yaml:"response_cache_bytes"`
	// ResolutionMaxBranches limits the branches of one filter of a policy resolution; a filter that has more is an error.
	ResolutionMaxBranches int `koanf:"resolution_max_branches" yaml:"resolution_max_branches"`
	// MaxConnections limits the open connections of each listener; more wait to be accepted.
	MaxConnections int `koanf:"max_connections" yaml:"max_connections"`
	// RateLimit is the number of decision requests a second for each client id and address. 0 = no limit.
	RateLimit float64 `koanf:"rate_limit" yaml:"rate_limit"`
	// TrustedProxies are the peers whose X-Forwarded-For is believed: addresses or CIDR blocks.
	TrustedProxies []string `koanf:"trusted_proxies" yaml:"trusted_proxies"`
	// TrustAll believes the left-most X-Forwarded-For entry of every peer. Callers can then choose their source IP.
	TrustAll bool `koanf:"trust_all" yaml:"trust_all"`
	// APIReference serves the description of the API beside the management API: /openapi.yaml, /openapi.json, /docs/api.
	APIReference bool `koanf:"api_reference" yaml:"api_reference"`
	// JWTLeeway is by how much the clocks of token issuers may differ from this server's.
	JWTLeeway time.Duration `koanf:"jwt_leeway" yaml:"jwt_leeway"`
	// KeysDir is a directory of PEM files NAME.pem with keys that scopes can name for their signed answers. Empty = none.
	KeysDir string `koanf:"keys_dir" yaml:"keys_dir"`
	// Keys are further keys that scopes can name, in PEM by their names: the variables AMBIT_KEY_NAME of the environment, and
	// nothing else, since a file of settings is no place for them.
	Keys map[string]Secret `koanf:"-" yaml:"-"`
	// V3Errors is the form of v3 errors: text or json.
	V3Errors string `koanf:"v3_errors" yaml:"v3_errors"`
	// V5Envelope says where 5.0 answers have their members: in data, at the top level, or both.
	V5Envelope string `koanf:"v5_envelope" yaml:"v5_envelope"`
	// MaxStaleness is how long decisions go on while the store cannot be read.
	MaxStaleness time.Duration `koanf:"max_staleness" yaml:"max_staleness"`
	// ShutdownTimeout is how long running requests may take after SIGTERM.
	ShutdownTimeout time.Duration `koanf:"shutdown_timeout" yaml:"shutdown_timeout"`
}

// TLS names the PEM files of the certificate chain and its key. Both are read again on SIGHUP.
type TLS struct {
	Cert string `koanf:"cert" yaml:"cert"`
	Key  string `koanf:"key" yaml:"key"`
}

// Admin is the first tenant credential.
type Admin struct {
	ID     string `koanf:"id" yaml:"id"`
	Secret Secret `koanf:"secret" yaml:"secret"`
}

// Log is the logging.
type Log struct {
	// Level is debug, info, warn or error.
	Level string `koanf:"level" yaml:"level"`
	// Access writes one line for each request.
	Access bool `koanf:"access" yaml:"access"`
}

// Audit is the decision audit.
type Audit struct {
	// Mode is off, best-effort (losses are counted) or required (no answer leaves before its record is durable).
	Mode string `koanf:"mode" yaml:"mode"`
	// File receives one JSON object a line. Empty = audit.jsonl in the data directory.
	File string `koanf:"file" yaml:"file"`
}

// AuthZEN is the OpenID AuthZEN API.
type AuthZEN struct {
	// MaxBodyBytes limits a request body, MaxEvaluations the elements of one call.
	MaxBodyBytes   int64 `koanf:"max_body_bytes" yaml:"max_body_bytes"`
	MaxEvaluations int   `koanf:"max_evaluations" yaml:"max_evaluations"`
	// SearchEnabled off makes the search routes answer 404.
	SearchEnabled bool `koanf:"search_enabled" yaml:"search_enabled"`
	// SearchPageSize is the size of a page that states none, SearchPageMax that of the largest.
	SearchPageSize int `koanf:"search_page_size" yaml:"search_page_size"`
	SearchPageMax  int `koanf:"search_page_max" yaml:"search_page_max"`
	// SearchScanLimit is how many identities one page of a subject search judges one by one, SearchTimeLimit for how long it
	// does. A page that ends there has a token for the next one.
	SearchScanLimit int           `koanf:"search_scan_limit" yaml:"search_scan_limit"`
	SearchTimeLimit time.Duration `koanf:"search_time_limit" yaml:"search_time_limit"`
	// PageTokenTTL is how long a page token is good.
	PageTokenTTL time.Duration `koanf:"page_token_ttl" yaml:"page_token_ttl"`
	// MetadataMaxAge is how long callers may keep the metadata.
	MetadataMaxAge time.Duration `koanf:"metadata_max_age" yaml:"metadata_max_age"`
	// SignedMetadata adds to the metadata a JWT of it.
	SignedMetadata bool `koanf:"signed_metadata" yaml:"signed_metadata"`
}

// tooSmall names the numbers that are below 1; durations count in seconds, the time of a search in milliseconds.
func (a *AuthZEN) tooSmall() []string {
	var out []string
	for key, n := range map[string]int64{
		"max_body_bytes": a.MaxBodyBytes, "max_evaluations": int64(a.MaxEvaluations),
		"search_page_size": int64(a.SearchPageSize), "search_page_max": int64(a.SearchPageMax),
		"search_scan_limit": int64(a.SearchScanLimit), "search_time_limit": a.SearchTimeLimit.Milliseconds(), "page_token_ttl": int64(a.PageTokenTTL.Seconds()),
		"metadata_max_age": int64(a.MetadataMaxAge.Seconds()),
	} {
		if n < 1 {
			out = append(out, key)
		}
	}
	return out
}

// Secret is a text that is never printed.
type Secret string

const redacted = "[redacted]"

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString hides the secret in %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalYAML hides the secret.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// MarshalJSON hides the secret, so that a structured log cannot show it.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// Default is the configuration of a server about which nothing was said.
func Default() Config {
	return Config{
		Listen: ":8010",
		Data:   "ambit-data",
		Log:    Log{Level: "info", Access: true},
		Audit:  Audit{Mode: "off"},
		AuthZEN: AuthZEN{
			MaxBodyBytes: 1 << 20, MaxEvaluations: 1000, SearchEnabled: true, SearchPageSize: 500, SearchPageMax: 5000,
			SearchScanLimit: 100_000, SearchTimeLimit: 2 * time.Second, PageTokenTTL: time.Hour, MetadataMaxAge: time.Hour,
		},
		Live:            defaultLive(),
		MaxRequestBytes: 8 << 20, ResponseCacheBytes: 64 << 20, ResolutionMaxBranches: 10_000,
		MaxConnections:  10_000,
		APIReference:    true,
		JWTLeeway:       time.Minute,
		V3Errors:        "text",
		V5Envelope:      "both",
		MaxStaleness:    time.Hour,
		ShutdownTimeout: 20 * time.Second,
	}
}

// String writes the configuration as YAML that Load reads again, secrets excepted.
func (c Config) String() string {
	text, err := yaml.Marshal(c)
	if err != nil {
		return "unprintable configuration: " + err.Error()
	}
	return string(text)
}

// Check reports every setting whose value cannot be, joined into one error.
func (c *Config) Check() error {
	var problems []error
	bad := func(key, format string, args ...any) {
		problems = append(problems, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	for key, address := range map[string]string{"listen": c.Listen, "management_listen": c.ManagementListen} {
		if key == "management_listen" && address == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			bad(key, "%q is not host:port", address)
		}
	}
	if c.Data == "" {
		bad("data", "is empty")
	}
	if u, err := url.Parse(c.PublicURL); c.PublicURL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		bad("public_url", "%q is not an http or https URL", c.PublicURL)
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		bad("tls", "cert and key belong together")
	}
	if (c.Admin.ID == "") != (c.Admin.Secret == "") {
		bad("admin", "id and secret belong together")
	}
	oneOf := func(key, value string, values ...string) {
		if !slices.Contains(values, value) {
			bad(key, "%q is none of %s", value, strings.Join(values, ", "))
		}
	}
	oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	oneOf("audit.mode", c.Audit.Mode, "off", "best-effort", "required")
	oneOf("v3_errors", c.V3Errors, "text", "json")
	oneOf("v5_envelope", c.V5Envelope, "both", "data", "top")
	if _, err := c.Proxies(); err != nil {
		problems = append(problems, err)
	}
	c.checkLimits(bad)
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(problems...)
}

// checkLimits checks the numbers.
func (c *Config) checkLimits(bad func(key, format string, args ...any)) {
	if c.MaxRequestBytes < 1 {
		bad("max_request_bytes", "%d is below 1", c.MaxRequestBytes)
	}
	if c.ResponseCacheBytes < 0 {
		bad("response_cache_bytes", "%d is below 0", c.ResponseCacheBytes)
	}
	if c.ResolutionMaxBranches < 1 {
		bad("resolution_max_branches", "%d is below 1", c.ResolutionMaxBranches)
	}
	for _, key := range c.AuthZEN.tooSmall() {
		bad("authzen."+key, "is below 1")
	}
	for _, key := range c.Live.tooSmall() {
		bad("live."+key, "is below 1")
	}
	if c.MaxConnections < 1 {
		bad("max_connections", "%d is below 1", c.MaxConnections)
	}
	if c.RateLimit < 0 {
		bad("rate_limit", "%g is below 0", c.RateLimit)
	}
	if c.JWTLeeway < 0 || c.JWTLeeway > 10*time.Minute {
		bad("jwt_leeway", "%s is not between 0s and 10m", c.JWTLeeway)
	}
	if c.MaxStaleness < 0 {
		bad("max_staleness", "%s is below 0", c.MaxStaleness)
	}
	if c.ShutdownTimeout < 0 {
		bad("shutdown_timeout", "%s is below 0", c.ShutdownTimeout)
	}
}

// Proxies reads TrustedProxies. An address without a length is a block of one; IPv4-mapped blocks become IPv4.
func (c *Config) Proxies() ([]netip.Prefix, error) {
	var blocks []netip.Prefix
	var problems []error
	for _, text := range c.TrustedProxies {
		block, err := netip.ParsePrefix(text)
		if address, e := netip.ParseAddr(text); e == nil && address.Zone() == "" {
			address = address.Unmap()
			block, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("trusted_proxies: %q is neither an address nor a CIDR block", text))
			continue
		}
		blocks = append(blocks, block.Masked())
	}
	return blocks, errors.Join(problems...)
}
