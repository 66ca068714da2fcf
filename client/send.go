package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	headerClientID      = "X-Client-Id"
	headerSecret        = "X-Client-Secret"
	headerAuthorization = "Authorization"
	headerRequestID     = "X-Request-Id"
	headerRevision      = "Ambit-Revision"
)

// Meta is what every answer says of itself.
type Meta struct {
	// Revision is that of the environment at which all of the answer was computed. A later answer has the same or a higher
	// one if it names it as MinRevision.
	Revision uint64
	// RequestID is the correlation id of the call.
	RequestID string

	tag, cursor string // the ETag, and where a watch goes on
}

// question is one call.
type question struct {
	path    string // below /api/runtime/
	query   *Query
	request any        // of a POST
	values  url.Values // of a GET
	// tag is the ETag of an answer that need not be sent again, "" for none; unchanged is then called in place of read.
	tag       string
	unchanged func(Meta)
}

// ask puts a question and lets read take its answer, of which nothing may be used unless ask returns nil.
func (c *Client) ask(ctx context.Context, q question, read func(Meta, reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return q.named(c.tryAll(ctx, q, func(res *http.Response) error { return c.receive(q, res, read) }))
}

// named says in an error which question it is about, unless the server has answered.
func (q *question) named(err error) error {
	if refused := (*Error)(nil); err == nil || errors.As(err, &refused) {
		return err
	}
	return fmt.Errorf("ambit: %s: %w", q.path, err)
}

// tryAll puts a question until there is an answer, for take, or there will be none.
func (c *Client) tryAll(ctx context.Context, q question, take func(*http.Response) error) error {
	body, err := encode(q.request)
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		res, err := c.send(ctx, q, body)
		if err == nil && q.answered(res.StatusCode) {
			defer res.Body.Close()
			return take(res)
		}
		after, again := time.Duration(0), err != nil && connectionFailed(err)
		if err == nil {
			after, again = retryAfter(res)
			err = refusal(res)
			_ = res.Body.Close()
		}
		if !again || try >= c.retry || !pause(ctx, max(after, backoff(try))) {
			return err
		}
	}
}

func (q *question) answered(status int) bool {
	return status == http.StatusOK || q.tag != "" && status == http.StatusNotModified
}

func (c *Client) send(ctx context.Context, q question, body []byte) (*http.Response, error) {
	method, address := http.MethodPost, c.base+"/api/runtime/"+q.path
	if q.values != nil {
		method, address, body = http.MethodGet, address+"?"+q.values.Encode(), nil
	}
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream, application/problem+json")
	r.Header.Set(headerClientID, c.clientID)
	if err := c.sign(ctx, r.Header); err != nil {
		return nil, err
	}
	if q.query.RequestID != "" {
		r.Header.Set(headerRequestID, q.query.RequestID)
	}
	if q.query.MinRevision > 0 {
		r.Header.Set("Ambit-Min-Revision", strconv.FormatUint(q.query.MinRevision, 10))
	}
	if wait := q.query.MaxWait.Milliseconds(); wait > 0 {
		r.Header.Set("Ambit-Wait", strconv.FormatInt(wait, 10))
	}
	if q.tag != "" {
		r.Header.Set("If-None-Match", q.tag)
	}
	if err := q.query.identify(r.Header); err != nil {
		return nil, err
	}
	return c.http.Do(r)
}

// identify adds the user's token.
func (q *Query) identify(h http.Header) error {
	name, value := q.Identity.TokenHeader, q.Identity.Token
	if value == "" {
		if name != "" {
			return errors.New("TokenHeader without Token")
		}
		return nil
	}
	if name == "" {
		name, value = headerAuthorization, "Bearer "+value
	}
	if h.Get(name) != "" {
		return fmt.Errorf("header %s is taken: name another as TokenHeader", http.CanonicalHeaderKey(name))
	}
	h.Set(name, value)
	return nil
}

// secretHeaders are the headers of a request that may hold a secret.
func secretHeaders(sent http.Header) []string {
	var names []string
	for name := range sent {
		switch name {
		case "Content-Type", "Accept", headerClientID, headerRequestID, "Ambit-Min-Revision", "Ambit-Wait":
		default:
			names = append(names, name)
		}
	}
	return names
}

// meta reads the headers of an answer.
func (q *question) meta(res *http.Response) (Meta, error) {
	meta := Meta{RequestID: quotable(res.Header.Get(headerRequestID), res.Request.Header), tag: res.Header.Get("Etag"), cursor: res.Header.Get("Ambit-Cursor")}
	if text := res.Header.Get(headerRevision); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return Meta{}, malformed("%s is no number", headerRevision)
		}
		meta.Revision = n
	}
	if meta.Revision < q.query.MinRevision {
		return Meta{}, malformed("revision %d, want %d or later", meta.Revision, q.query.MinRevision)
	}
	return meta, nil
}

// receive reads a successful answer to its end.
func (c *Client) receive(q question, res *http.Response, read func(Meta, reader) error) error {
	meta, err := q.meta(res)
	if err != nil {
		return err
	}
	if res.StatusCode == http.StatusNotModified {
		if strings.TrimPrefix(meta.tag, "W/") != q.tag {
			return malformed("not modified, but another ETag")
		}
		q.unchanged(meta)
		return nil
	}
	r := newReader(&limitReader{from: res.Body, left: c.maxBytes})
	if err := read(meta, r); err != nil {
		return err
	}
	return r.end()
}

// connectionFailed says whether a question was not answered at all, for a reason that may pass.
func connectionFailed(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// retryAfter says whether a refusal may pass, and how long the server asks to wait.
func retryAfter(res *http.Response) (time.Duration, bool) {
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable:
	default:
		return 0, false
	}
	text := res.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(text); err == nil {
		return time.Until(at), true
	}
	return 0, true
}

// backoff is a random time up to 100 ms, doubled with each try up to 5 s, so that clients do not return in step.
func backoff(try int) time.Duration {
	return rand.N(min(100*time.Millisecond<<try, 5*time.Second))
}

// pause waits, unless the question ends before.
func pause(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < d {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
