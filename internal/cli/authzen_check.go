package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/ambit-authz/ambit/internal/authzencheck"
)

type authzenCheckCommand struct {
	URL      string        `arg:"" help:"Base URL of the policy decision point."`
	ClientID string        `env:"AMBIT_CLIENT_ID" help:"Client id of the scope; its secret is taken from AMBIT_CLIENT_SECRET. The pair is sent as HTTP Basic. A server that wants something else gets what AUTHZEN_AUTHORIZATION holds, as the whole header Authorization."`
	CACert   string        `name:"cacert" type:"existingfile" help:"PEM file of further certificate authorities."`
	Timeout  time.Duration `default:"30s" help:"How long one request may take."`
	JSON     bool          `name:"json" help:"Print the report as JSON."`
}

// Help tells what the server has to hold.
func (authzenCheckCommand) Help() string {
	return "The server must hold the certification's scenario: see examples/authzen-certification. The command only asks. A test that fails is exit code 1."
}

// Run runs every test of the certification and prints the report.
func (c *authzenCheckCommand) Run(ctx context.Context, s Streams) error {
	base, err := url.Parse(strings.TrimRight(c.URL, "/"))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return &usageError{"authzen-check", fmt.Sprintf("%q is not the URL of a server", c.URL)}
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	header, err := c.credentials()
	if err != nil {
		return err
	}
	report, err := authzencheck.Run(ctx, authzencheck.Options{URL: base.String(), Client: client, Header: header})
	if err != nil {
		return err
	}
	if err := c.print(s.text(), report); err != nil {
		return err
	}
	if n := report.Failed(); n > 0 {
		return fmt.Errorf("%d of %d tests failed", n, len(report.Results))
	}
	return nil
}

func (c *authzenCheckCommand) credentials() (http.Header, error) {
	authorization := os.Getenv("AUTHZEN_AUTHORIZATION")
	if authorization == "" {
		secret := os.Getenv("AMBIT_CLIENT_SECRET")
		if c.ClientID == "" || secret == "" {
			return nil, errors.New("no credentials: set AMBIT_CLIENT_ID and AMBIT_CLIENT_SECRET, or AUTHZEN_AUTHORIZATION")
		}
		authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(c.ClientID+":"+secret))
	}
	return http.Header{"Authorization": {authorization}}, nil
}

// client follows no redirect: the credentials are for one server.
func (c *authzenCheckCommand) client() (*http.Client, error) {
	client := &http.Client{
		Timeout:       c.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if c.CACert == "" {
		return client, nil
	}
	pem, err := os.ReadFile(c.CACert)
	if err != nil {
		return nil, err
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, err
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", c.CACert)
	}
	client.Transport = &http.Transport{
		Proxy:           http.ProxyFromEnvironment,
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}
	return client, nil
}

func (c *authzenCheckCommand) print(out io.Writer, report *authzencheck.Report) error {
	if c.JSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(report)
	}
	for _, r := range report.Results {
		outcome := "ok"
		if r.Problem != "" {
			outcome = "FAILED"
		}
		if _, err := fmt.Fprintf(out, "%-8s %-7s %-17s %s\n", r.ID, outcome, r.Level, r.Title); err != nil {
			return err
		}
		for line := range strings.Lines(r.Problem) {
			fmt.Fprintf(out, "         %s\n", harmless(strings.TrimSuffix(line, "\n")))
		}
	}
	_, err := fmt.Fprintf(out, "%d tests, %d failed\n", len(report.Results), report.Failed())
	return err
}
