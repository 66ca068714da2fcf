package authzencheck

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// Paths of the searches.
const (
	subjects  = "/access/v1/search/subject"
	resources = "/access/v1/search/resource"
	actions   = "/access/v1/search/action"
)

// Targets of the searches.
const (
	anyUser   = `"subject":{"type":"user"}`
	anyRecord = `"resource":{"type":"record"}`
)

// finding is a search with what must be found at least.
type finding struct {
	id, level, title, path, body string
	want                         []string
	same                         string // the body of the search that must find the same
}

func findings() []finding {
	who, what, how := object(anyUser, read, record1), object(alice, read, anyRecord), object(alice, record1)
	return []finding{
		{"c-4-2-1", levelSearch, "who may read record-1", subjects, who, []string{"alice", "bob"}, ""},
		{"c-4-2-2", levelSearch, "a context changes nothing", subjects, with(who, when), []string{"alice", "bob"}, who},
		{"c-4-2-3", levelSearch, "the target's id is ignored", subjects, object(alice, read, record1), []string{"alice", "bob"}, who},
		{"c-4-2-4", levelSearch + properties, "who may write an archived record", subjects, object(anyUser, write, archive), []string{"bob"}, ""},
		{"c-4-3-1", levelSearch, "what alice may read", resources, what, []string{"record-1"}, ""},
		{"c-4-3-2", levelSearch, "a context changes nothing", resources, with(what, when), []string{"record-1"}, what},
		{"c-4-3-3", levelSearch, "the target's id is ignored", resources, object(alice, read, record1), []string{"record-1"}, what},
		{"c-4-3-4", levelSearch + properties, "what an admin may write", resources, object(admin, write, anyRecord), []string{"record-2"}, ""},
		{"c-4-4-1", levelSearch, "what alice may do with record-1", actions, how, []string{"read", "write"}, ""},
		{"c-4-4-2", levelSearch, "a context changes nothing", actions, with(how, when), []string{"read", "write"}, how},
		{"c-4-4-3", levelSearch + properties, "what an admin may do with an archived record", actions, object(admin, archive), []string{"write"}, ""},
	}
}

// found is the answer to a search.
type found struct {
	Page *struct {
		Token *string `json:"next_token"`
		Count *int    `json:"count"`
	} `json:"page"`
	Results *[]struct {
		Type string `json:"type"`
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"results"`
}

// names are the results, which must have the form of the route's.
func (f *found) names(path string) ([]string, error) {
	if f.Results == nil {
		return nil, errors.New("results is missing")
	}
	out := []string{}
	for i, r := range *f.Results {
		name, kind := r.ID, map[string]string{subjects: "user", resources: "record"}[path]
		if path == actions {
			name = r.Name
		}
		if name == "" || r.Type != kind {
			return nil, fmt.Errorf("results[%d] is not of the right form", i)
		}
		out = append(out, name)
	}
	return out, nil
}

func (s *session) search(path, body string) (*found, []string, error) {
	a, err := s.post(path, body)
	if err != nil {
		return nil, nil, err
	}
	out := &found{}
	if err := a.decode(out); err != nil {
		return nil, nil, err
	}
	names, err := out.names(path)
	return out, names, err
}

// finds wants at least these, and the same as another search found.
func (s *session) finds(f finding) error {
	_, names, err := s.search(f.path, f.body)
	if err != nil {
		return err
	}
	for _, want := range f.want {
		if !slices.Contains(names, want) {
			return fmt.Errorf("%s was not found, only %s", want, strings.Join(names, ", "))
		}
	}
	if f.same == "" {
		return nil
	}
	_, others, err := s.search(f.path, f.same)
	if err == nil && !sameSet(names, others) {
		err = fmt.Errorf("found %s, before it was %s", strings.Join(names, ", "), strings.Join(others, ", "))
	}
	return err
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func searches() []test {
	var out []test
	for _, f := range findings() {
		out = append(out, test{f.id, f.level, f.title, func(s *session) error { return s.finds(f) }})
	}
	who := object(anyUser, read, record1)
	first := with(who, `"page":{"limit":1}`)
	return append(
		out,
		test{"c-4-5-1", levelSearch, "a page of one", func(s *session) error { _, _, err := s.page(first); return err }},
		test{"c-4-5-2", levelSearch, "the next page, without limit", func(s *session) error {
			_, token, err := s.page(first)
			switch {
			case err != nil:
				return err
			case token == "":
				return errors.New("next_token is empty on the first page of one, though alice and bob are to be found")
			}
			_, _, err = s.page(with(who, `"page":{"token":`+quote(token)+`}`))
			return err
		}},
		test{"c-4-5-3", levelSearch, "every page has next_token and a count that is right", func(s *session) error { return s.walk(who) }},
		test{"c-4-5-4", levelSearch, "searches with and without page", withAndWithoutPage},
		test{"c-4-6-1", levelSearch, "an unknown id finds nothing", unknownIDs},
		test{"c-4-6-2", levelSearch, "an unknown type finds nothing", unknownTypes},
		test{"c-4-7-1", levelSearch, "a missing entity is 400", func(s *session) error {
			return errors.Join(s.refused(subjects, object(anyUser, record1)), s.refused(resources, object(read, anyRecord)), s.refused(actions, object(alice)))
		}},
		test{"c-4-7-2", levelSearch, "a missing id is 400", func(s *session) error {
			return errors.Join(s.refused(subjects, object(anyUser, read, anyRecord)), s.refused(resources, object(anyUser, read, anyRecord)),
				s.refused(actions, object(anyUser, record1), object(alice, anyRecord)))
		}},
	)
}

func quote(text string) string {
	quoted, _ := json.Marshal(text) // a string
	return string(quoted)
}

// page wants a page of at most one subject and gives what is on it, and its next_token.
func (s *session) page(body string) (names []string, token string, err error) {
	f, names, err := s.search(subjects, body)
	switch {
	case err != nil:
		return nil, "", err
	case f.Page == nil:
		return nil, "", errors.New("page is missing")
	case f.Page.Token == nil:
		return nil, "", errors.New("page.next_token is no string")
	case f.Page.Count != nil && *f.Page.Count != len(names):
		return nil, "", fmt.Errorf("page.count is %d, there are %d results", *f.Page.Count, len(names))
	case len(names) > 1:
		return nil, "", fmt.Errorf("%d results, the limit is 1", len(names))
	}
	return names, *f.Page.Token, nil
}

// maxPages is how far walk goes: a server whose pages never end has failed.
const maxPages = 1000

// walk goes through all pages of one, which together are what the search finds without pages.
func (s *session) walk(body string) error {
	var all []string
	token := ""
	for range maxPages {
		names, next, err := s.page(with(body, `"page":{"limit":1,"token":`+quote(token)+`}`))
		if err != nil {
			return err
		}
		all = append(all, names...)
		if next == "" {
			return s.foundInPages(body, all)
		}
		token = next
	}
	return fmt.Errorf("no end after %d pages", maxPages)
}

func (s *session) foundInPages(body string, paged []string) error {
	_, names, err := s.search(subjects, body)
	if err == nil && !sameSet(names, paged) {
		err = fmt.Errorf("found %s, page by page %s", strings.Join(names, ", "), strings.Join(paged, ", "))
	}
	return err
}

func withAndWithoutPage(s *session) error {
	var errs []error
	for _, f := range findings() {
		_, names, err := s.search(f.path, f.body)
		if err == nil {
			var paged []string
			_, paged, err = s.search(f.path, with(f.body, `"page":{"limit":100}`))
			if err == nil && !sameSet(names, paged) {
				err = fmt.Errorf("found %s, with page %s", strings.Join(names, ", "), strings.Join(paged, ", "))
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.id, err))
		}
	}
	return errors.Join(errs...)
}

// nothing wants empty results.
func (s *session) nothing(path, body string) error {
	_, names, err := s.search(path, body)
	if err == nil && len(names) > 0 {
		err = fmt.Errorf("found %s for %s", strings.Join(names, ", "), body)
	}
	return err
}

func unknownIDs(s *session) error {
	const nobody = `"subject":{"type":"user","id":"nonexistent-user"}`
	return errors.Join(
		s.nothing(actions, object(nobody, record1)), s.nothing(resources, object(nobody, read, anyRecord)),
		s.nothing(subjects, object(anyUser, read, `"resource":{"type":"record","id":"nonexistent-record"}`)))
}

func unknownTypes(s *session) error {
	const ship, crew = `"resource":{"type":"spaceship","id":"record-1"}`, `"subject":{"type":"spaceship","id":"alice"}`
	return errors.Join(
		s.nothing(subjects, object(crew, read, record1)), s.nothing(subjects, object(anyUser, read, ship)),
		s.nothing(resources, object(alice, read, ship)), s.nothing(resources, object(crew, read, anyRecord)),
		s.nothing(actions, object(crew, record1)), s.nothing(actions, object(alice, ship)))
}
