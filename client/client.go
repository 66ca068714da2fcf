package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	defaultTimeout  = 10 * time.Second
	defaultMaxBytes = 64 << 20
	maxRetry        = 10
	mostBytes       = 1 << 50 // beyond every answer, and far from overflow
)

// Options say which server is asked, as whom and how. URL, ClientID and one of ClientSecret and TokenSource are needed.
type Options struct {
	// URL is the server, such as https://ambit.example:8010, with the path that a proxy puts before it, if any. Over plain
	// http everybody between can read the credentials.
	URL string
	// ClientID and ClientSecret are those of the scope (runtime-api.md 4).
	ClientID     string
	ClientSecret string
	// TokenSource gives the application's JWT for each question, in place of a secret. It may be called concurrently.
	TokenSource func(context.Context) (string, error)
	// HTTPClient sends the questions; the default has the transport of http.DefaultClient. It is copied, and the copy
	// follows no redirect.
	HTTPClient *http.Client
	// Timeout is the longest time of one question: all tries, and the reading of the answer. Default: 10 s.
	Timeout time.Duration
	// MaxBytes is the largest answer. Default: 64 MiB.
	MaxBytes int64
	// Retry is how often a question is asked again, 0 to 10, after a connection failed or the server answered 429, 502 or
	// 503. Questions change nothing, so asking twice is safe. Default: never.
	Retry int
}

// String shows the options without the secret.
func (o Options) String() string {
	return fmt.Sprintf("{URL:%s ClientID:%s Timeout:%s MaxBytes:%d Retry:%d}", redactURL(o.URL), o.ClientID, o.Timeout, o.MaxBytes, o.Retry)
}

// Format prints String whatever the verb.
func (o Options) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, o.String()) }

// MarshalText writes String, in JSON and logs, too.
func (o Options) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// redactURL keeps the password of a URL, which New would refuse, out of a log.
func redactURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "[unreadable]"
	}
	return u.Redacted()
}

// Client asks one server as one scope. It is safe for concurrent use.
type Client struct {
	base     string
	clientID string
	// sign adds the credential. A function, because its inside is printed by no verb of fmt, at any depth.
	sign     func(context.Context, http.Header) error
	http     http.Client
	timeout  time.Duration
	maxBytes int64
	retry    int
}

// New checks the options. It connects to nothing.
func New(o Options) (*Client, error) {
	base, err := url.Parse(o.URL)
	switch {
	case err != nil:
		return nil, errors.New("ambit: URL cannot be read") // the cause would repeat it, with what may stand in it
	case base.Scheme != "http" && base.Scheme != "https", base.Host == "":
		return nil, errors.New("ambit: URL is not of the form https://host")
	case base.User != nil, base.RawQuery != "", base.ForceQuery, base.Fragment != "":
		return nil, errors.New("ambit: URL holds more than scheme, host and path")
	case o.ClientID == "":
		return nil, errors.New("ambit: ClientID is missing")
	case (o.ClientSecret == "") == (o.TokenSource == nil):
		return nil, errors.New("ambit: one of ClientSecret and TokenSource is needed, and only one")
	case o.Timeout < 0, o.MaxBytes < 0:
		return nil, errors.New("ambit: Timeout or MaxBytes is negative")
	case o.Retry < 0, o.Retry > maxRetry:
		return nil, fmt.Errorf("ambit: Retry is not between 0 and %d", maxRetry)
	}
	c := &Client{
		base: strings.TrimRight(base.String(), "/"), clientID: o.ClientID, sign: signer(o),
		timeout: o.Timeout, maxBytes: o.MaxBytes, retry: o.Retry,
	}
	if o.HTTPClient != nil {
		c.http = *o.HTTPClient
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	if c.maxBytes == 0 {
		c.maxBytes = defaultMaxBytes
	}
	c.maxBytes = min(c.maxBytes, mostBytes)
	return c, nil
}

func signer(o Options) func(context.Context, http.Header) error {
	secret, source := o.ClientSecret, o.TokenSource
	if source == nil {
		return func(_ context.Context, h http.Header) error {
			h.Set(headerSecret, secret)
			return nil
		}
	}
	return func(ctx context.Context, h http.Header) error {
		token, err := source(ctx)
		if err != nil {
			return fmt.Errorf("token source: %w", err)
		}
		if token == "" {
			return errors.New("token source: no token")
		}
		h.Set(headerAuthorization, "Bearer "+token)
		return nil
	}
}

// String names the server and the scope.
func (c *Client) String() string { return "ambit client " + c.clientID + " of " + c.base }
