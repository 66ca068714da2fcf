package authzencheck

import (
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// routes are the five routes, each with a request that it takes.
func routes() []struct{ path, body string } {
	return []struct{ path, body string }{
		{evaluation, object(alice, read, record1)},
		{evaluations, object(alice, read, elements(object(record1)))},
		{subjects, object(anyUser, read, record1)},
		{resources, object(alice, read, anyRecord)},
		{actions, object(alice, record1)},
	}
}

// right wants the answer that the request of a route has, whatever else is in the request.
func (s *session) right(path, body string) error {
	switch path {
	case evaluation:
		return s.decides(path, body, true)
	case evaluations:
		return s.batchDecides(body, []bool{true})
	}
	want := map[string][]string{subjects: {"alice", "bob"}, resources: {"record-1"}, actions: {"read", "write"}}
	return s.finds(finding{path: path, body: body, want: want[path]})
}

// everywhere runs a check on each route.
func everywhere(check func(s *session, path, body string) error) func(*session) error {
	return func(s *session) error {
		var errs []error
		for _, r := range routes() {
			if err := check(s, r.path, r.body); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", r.path, err))
			}
		}
		return errors.Join(errs...)
	}
}

func transport() []test {
	return []test{
		{"c-5-1", levelBasic, "HTTPS", everywhere(func(s *session, path, body string) error {
			if !strings.HasPrefix(s.options.URL, "https://") {
				return fmt.Errorf("%s is not HTTPS", s.options.URL)
			}
			return s.right(path, body)
		})},
		{"c-5-2", levelBasic, "answers are application/json", everywhere(func(s *session, path, body string) error {
			a, err := s.post(path, body)
			if err != nil {
				return err
			}
			media, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
			if err != nil || media != "application/json" || a.status != http.StatusOK {
				return fmt.Errorf("status %d, Content-Type %q", a.status, a.header.Get("Content-Type"))
			}
			return nil
		})},
		{"c-5-3", levelBasic, "a missing member is 400", everywhere(func(s *session, path, _ string) error {
			return s.refused(path, object(`"subject":{"id":"alice"}`, `"action":{}`, `"resource":{"id":"record-1"}`))
		})},
		{"c-5-4", levelBasic, "X-Request-ID comes back", everywhere(func(s *session, path, body string) error {
			return s.echoes(path, body, http.StatusOK)
		})},
		{"c-5-5", levelBasic, "unknown members are ignored", everywhere(func(s *session, path, body string) error {
			return s.right(path, with(body, `"foo":"bar"`, `"futureField":{"nested":true}`))
		})},
	}
}

// document asks for the metadata, at the place that the base URL's path has in it.
func (s *session) document() (map[string]jsontext.Value, error) {
	u, err := url.Parse(s.options.URL)
	if err != nil {
		return nil, err
	}
	root := *s
	root.options.URL = u.Scheme + "://" + u.Host
	a, err := root.send(http.MethodGet, "/.well-known/authzen-configuration"+strings.TrimSuffix(u.EscapedPath(), "/"), "", nil, false)
	if err != nil {
		return nil, err
	}
	out := map[string]jsontext.Value{}
	if err := a.decode(&out); err != nil {
		return nil, err
	}
	if media, _, err := mime.ParseMediaType(a.header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, fmt.Errorf("Content-Type %q", a.header.Get("Content-Type"))
	}
	return out, nil
}

func discovery() []test {
	reads := func(check func(s *session, d map[string]jsontext.Value) error) func(*session) error {
		return func(s *session) error {
			d, err := s.document()
			if err == nil && check != nil {
				err = check(s, d)
			}
			return err
		}
	}
	return []test{
		{"c-6-1", levelDiscovery, "there is metadata", reads(nil)},
		{"c-6-2", levelDiscovery, "the metadata is a JSON object", reads(nil)},
		{"c-6-3", levelDiscovery, "policy_decision_point is the base URL", reads(func(s *session, d map[string]jsontext.Value) error {
			if got := textOf(d["policy_decision_point"]); got != s.options.URL {
				return fmt.Errorf("it is %q, the base URL is %q", got, s.options.URL)
			}
			return isHTTPS(d, "access_evaluation_endpoint", true)
		})},
		{"c-6-4", levelDiscovery, "capabilities and signed_metadata have the right form", reads(func(_ *session, d map[string]jsontext.Value) error {
			var list []string
			if raw, ok := d["capabilities"]; ok && (raw.Kind() != jsontext.KindBeginArray || json.Unmarshal(raw, &list) != nil) {
				return errors.New("capabilities is no list of strings")
			}
			raw, ok := d["signed_metadata"]
			if !ok {
				return nil
			}
			return hasIssuer(textOf(raw))
		})},
		{"c-6-5", levelDiscovery, "the endpoints are https URLs", reads(func(_ *session, d map[string]jsontext.Value) error {
			errs := []error{isHTTPS(d, "policy_decision_point", true), isHTTPS(d, "access_evaluation_endpoint", true)}
			for _, name := range []string{"access_evaluations_endpoint", "search_subject_endpoint", "search_resource_endpoint", "search_action_endpoint"} {
				errs = append(errs, isHTTPS(d, name, false))
			}
			return errors.Join(errs...)
		})},
		{"c-6-6", levelDiscovery, "the default paths answer", func(s *session) error {
			_, err := s.document()
			return errors.Join(err, everywhere(func(s *session, path, body string) error {
				a, err := s.post(path, body)
				if err == nil && a.status == http.StatusNotFound {
					err = errors.New("status 404")
				}
				return err
			})(s))
		}},
	}
}

// hasIssuer wants a JWT that says who issued it. Where its key is, the protocol does not say.
func hasIssuer(text string) error {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return errors.New("signed_metadata is no JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	claims := map[string]jsontext.Value{}
	if err != nil || json.Unmarshal(payload, &claims) != nil || textOf(claims["iss"]) == "" {
		return errors.New("signed_metadata is no JWT with iss")
	}
	return nil
}

func textOf(raw jsontext.Value) string {
	var text string
	_ = json.Unmarshal(raw, &text) // what is no text is ""
	return text
}

func isHTTPS(d map[string]jsontext.Value, name string, required bool) error {
	raw, ok := d[name]
	if !ok && !required {
		return nil
	}
	u, err := url.Parse(textOf(raw))
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%s is no https URL", name)
	}
	return nil
}
