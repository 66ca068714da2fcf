package runtime

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// RFC 9110, 8.8.3 and 13.1.2: a list of entity tags, weak or not; commas belong to a tag; what is no list names none.
func TestIfNoneMatch(t *testing.T) {
	keys := newTags()
	question := keys.digest([]byte("question"))
	good := keys.make(question, noon, time.Time{})
	other := keys.make(keys.digest([]byte("another")), noon, time.Time{})
	timed := keys.make(question, noon, noon.Add(time.Minute))
	longer := keys.make(question, noon, noon.Add(time.Hour))
	forged := timed[:strings.Index(timed, ".")] + longer[strings.Index(longer, "."):]
	foreign := newTags()
	for _, k := range []struct {
		name  string
		lines []string
		after time.Duration
		want  string
	}{
		{name: "none"},
		{"the tag", []string{good}, 0, good},
		{"weak", []string{"W/" + good}, 0, good},
		{"in a list", []string{other + ", " + good}, 0, good},
		{"in a list without blanks", []string{other + `,W/` + other + "," + good}, 0, good},
		{"behind empty elements", []string{" , ,\t" + good}, 0, good},
		{"on the second line", []string{other, good}, 0, good},
		{"behind a tag with a comma", []string{`"a,b", ` + good}, 0, good},
		{"inside another tag", []string{`"x` + strings.Trim(good, `"`) + `"`}, 0, ""},
		{"another question", []string{other}, 0, ""},
		{"another key", []string{foreign.make(question, noon, time.Time{})}, 0, ""},
		{"without quotes", []string{strings.Trim(good, `"`)}, 0, ""},
		{"not closed", []string{strings.TrimSuffix(good, `"`)}, 0, ""},
		{"behind what is no tag", []string{"x, " + good}, 0, ""},
		{"weak in small letters", []string{"w/" + good}, 0, ""},
		{"a star is no tag", []string{"*"}, 0, ""},
		{"cut", []string{good[:len(good)-2] + `"`}, 0, ""},
		{"timed", []string{timed}, 0, timed},
		{"timed, in the last second", []string{timed}, time.Minute - 1, timed},
		{"timed, over", []string{timed}, time.Minute, ""},
		{"timed, before its time", []string{timed}, -time.Second, ""},
		{"timed, in its first second", []string{timed}, 999 * time.Millisecond, timed},
		{"timed, prolonged", []string{forged}, 0, ""},
		{"timed, without its window", []string{timed[:strings.Index(timed, ".")] + `"`}, 0, ""},
		{"timed, of zeros", []string{`"` + strings.Trim(good, `"`) + "." + strings.Repeat("A", 22) + `"`}, 0, ""},
		{"timed, with a window that is none", []string{`"` + strings.Trim(good, `"`) + `.x.y"`, `"x` + timed[44:], good}, 0, good},
	} {
		if got := keys.good(k.lines, question, noon.Add(k.after)); got != k.want {
			t.Errorf("%s: %q, want %q", k.name, got, k.want)
		}
	}
}

// PM 4.8: when a condition of a policy turns is for nobody to read in an ETag, nor to work out of two of them.
func TestWindowsAreCovered(t *testing.T) {
	keys := newTags()
	question := keys.digest([]byte("question"))
	covered := func(until time.Time) []byte {
		tag := strings.Trim(keys.make(question, noon, until), `"`)
		out, err := base64.RawURLEncoding.DecodeString(tag[strings.Index(tag, ".")+1:])
		check(t, err)
		return out
	}
	a, b := covered(noon.Add(time.Minute)), covered(noon.Add(time.Hour))
	plain := binary.BigEndian.AppendUint64(nil, uint64(noon.Unix()))
	if len(a) != 16 || bytes.Equal(a[:8], b[:8]) || bytes.Equal(a[:8], plain) || bytes.Equal(b[:8], plain) {
		t.Errorf("%x and %x, from %x", a, b, plain)
	}
}

func FuzzIfNoneMatch(f *testing.F) {
	keys := newTags()
	question := keys.digest([]byte("question"))
	good := keys.make(question, noon, time.Time{})
	timed := keys.make(question, noon, noon.Add(time.Minute))
	for _, seed := range []string{good, "W/" + good, timed, `"a", "b"`, `*`, `"`, `"".1.`, `"a.1.2"`, `W/""`, `,,"x`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if tag := keys.good([]string{line}, question, noon); tag != "" && !strings.Contains(line, tag) {
			t.Fatalf("%q is told by %q", tag, line)
		}
		for tag, rest := nextTag(line); tag != ""; tag, rest = nextTag(rest) {
			if len(tag) < 2 || !strings.HasSuffix(line, tag+rest) || strings.Count(tag, `"`) != 2 {
				t.Fatalf("%q cut into %q and %q", line, tag, rest)
			}
			line = rest
		}
	})
}

// tagOf is the ETag of an answer that is wanted with 200.
func (h *harbour) tagOf(q request) string {
	h.t.Helper()
	w := h.want(q, 200, "")
	return w.Header().Get("ETag")
}

func ifNoneMatch(q request, tags ...string) request {
	for _, tag := range tags {
		q.headers = append(q.headers[:len(q.headers):len(q.headers)], "If-None-Match: "+tag)
	}
	return q
}

// RT-16, RT-20, RFC 9110: a User Access Token that has not changed is answered with 304, by GET and POST and in every
// version, with what a 304 needs; the audit keeps it like any other answer. A signed answer has no ETag.
func TestNotModified(t *testing.T) {
	h := newHarbour(t)
	body := `{"entityId":"mreyes","entityTypeId":"Staff"}`
	post, get := request{body: body}, request{method: http.MethodGet, path: "/api/runtime/token/v3?entityId=mreyes&entityTypeId=Staff"}
	tag := h.tagOf(post)
	if again := h.tagOf(get); again != tag || len(tag) != 45 {
		t.Fatalf("POST %s, GET %s", tag, again)
	}
	for _, q := range []request{
		ifNoneMatch(post, tag), ifNoneMatch(get, tag), ifNoneMatch(get, "W/"+tag), ifNoneMatch(get, `"x"`, tag), ifNoneMatch(post, "*"),
		ifNoneMatch(request{path: "/runtime/token/v1", body: body}, tag), ifNoneMatch(request{path: "/api/runtime/token/v4/", body: body}, tag),
		ifNoneMatch(request{body: `{"entityTypeId":"Staff","useCache":false,"entityId":"mreyes"}`}, tag),
		ifNoneMatch(request{path: "/runtime/token/v3", anonymous: true, body: fmt.Sprintf(`{"clientId":%q,"clientSecret":%q,%s`, client, h.secret, body[1:])}, tag),
	} {
		q.headers = append(q.headers, "X-Request-ID: seven")
		w := h.want(q, 304, "")
		for name, want := range map[string]string{
			"ETag": tag, "Cache-Control": "no-store", "Ambit-Revision": "1", "X-Request-Id": "seven", "Content-Type": "", "Content-Length": "",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s %s: %s %q, want %q", q.method, q.path, name, got, want)
			}
		}
		if w.Body.Len() > 0 {
			t.Errorf("a body: %s", w.Body)
		}
		r := h.records.last()
		if r.Status != 304 && q.headers[0] != "If-None-Match: *" || len(r.Subjects) != 1 || r.Subjects[0].EntityID != "mreyes" || r.Revision != 1 || r.ExternalID != "seven" {
			t.Errorf("recorded as %+v", r)
		}
	}
	for _, q := range []request{
		ifNoneMatch(request{body: `{"entityId":"tokafor","entityTypeId":"Staff"}`}, tag),
		ifNoneMatch(request{body: `{"entityId":"mreyes","entityTypeId":"Staff","remoteIp":"198.51.100.9"}`}, tag),
		ifNoneMatch(request{body: `{"entityId":"mreyes","entityTypeId":"Staff","includeIdentity":true}`}, tag),
		ifNoneMatch(request{body: `{"entityId":"mreyes","entityTypeId":"Staff","entityAttributes":{"shift":["late"]}}`}, tag),
		ifNoneMatch(request{body: body, peer: "10.9.8.7:1"}, tag),
	} {
		if w := h.want(q, 200, ""); w.Header().Get("ETag") == tag || w.Body.Len() == 0 {
			t.Errorf("%s has the same ETag", q.body)
		}
	}
	for _, other := range []string{`"x"`, strings.Trim(tag, `"`), ""} {
		if w := h.want(ifNoneMatch(post, other), 200, ""); w.Header().Get("ETag") != tag {
			t.Errorf("If-None-Match %s: ETag %s", other, w.Header().Get("ETag"))
		}
	}
	for _, format := range []string{"JWT", "standardjwt"} {
		s := newSigner(t)
		h := newHarbour(t, s.use)
		if tag := h.tagOf(request{body: body[:len(body)-1] + `,"accessTokenFormat":"` + format + `"}`}); tag != "" {
			t.Errorf("%s has ETag %s", format, tag)
		}
	}
	for _, path := range []string{"/api/runtime/resolution/v3"} {
		if tag := h.tagOf(request{path: path, body: body}); tag != "" {
			t.Errorf("%s has ETag %s", path, tag)
		}
	}
}

// An ETag opens nothing: whoever may not ask is told so, and every change of what an answer is made of ends it.
func TestNotModifiedEnds(t *testing.T) {
	h := newHarbour(t)
	q := request{body: `{"entityId":"mreyes","entityTypeId":"Staff","clientSecret":"x"}`}
	tag := h.tagOf(q)
	asked := ifNoneMatch(q, tag)
	h.want(asked, 304, "")
	wrong := asked
	wrong.anonymous, wrong.headers = true, append([]string{"X-Client-Id: " + string(client), "X-Client-Secret: wrong"}, asked.headers...)
	h.want(wrong, 401, "Invalid api key")
	h.want(ifNoneMatch(request{body: `{"entityId":"nobody","entityTypeId":"Staff"}`}, tag, "*"), 404, "MemberNotFoundError: identity not found")
	h.want(ifNoneMatch(request{body: `{"entityId":"mreyes","entityTypeId":"Staff","assetContext":{"x":1}}`}, tag), 501, "")
	late := asked
	late.headers = append(late.headers[:1:1], "Ambit-Min-Revision: 2", "Ambit-Wait: 1")
	h.want(late, 503, "")
	for name, change := range map[string]func(*store.Tx) error{
		"an asset": func(tx *store.Tx) error {
			_, err := tx.Assets("Accounts").Put(model.Asset{Path: "acc-9", Attributes: model.Attributes{"branch": {"Porto"}}})
			return err
		},
		"an identity": func(tx *store.Tx) error {
			_, err := tx.Identities("Staff").Put(model.Identity{EntityID: "mreyes", Attributes: model.Attributes{"branch": {"Porto"}, "grade": {"3"}}})
			return err
		},
		"a policy": func(tx *store.Tx) error {
			p, err := tx.Policies.Find("pol-20")
			if err != nil {
				return err
			}
			p.Inactive = !p.Inactive
			return put(tx.Policies, p)
		},
		"the scope": func(tx *store.Tx) error {
			s, err := tx.Scopes.Find(client)
			if err != nil {
				return err
			}
			s.TokenValidity++
			return put(tx.Scopes, s)
		},
	} {
		h.want(asked, 304, "")
		h.update(change)
		w := h.want(asked, 200, "")
		asked = ifNoneMatch(q, w.Header().Get("ETag"))
		if w.Header().Get("ETag") == tag {
			t.Errorf("%s changes no ETag", name)
		}
	}
	h.want(asked, 304, "")
	h.changeScope(func(s *model.Scope) { s.Enabled = false })
	h.want(asked, 401, "Invalid clientId")
}

// E24, RT-115: an answer in which a time condition has a part is good for as long as the condition cannot turn, and no
// longer, in both directions of the clock.
func TestNotModifiedInTime(t *testing.T) {
	now := noon // Wednesday, 4 March 2026, 12:00 UTC
	h := newHarbour(t, func(s *settings) { s.service.Clock = func() time.Time { return now } })
	h.update(func(tx *store.Tx) error {
		p, err := tx.Policies.Find("pol-20")
		if err != nil {
			return err
		}
		p.Conditions = []model.BlockID{"c-hours"}
		if err := put(tx.Policies, p); err != nil {
			return err
		}
		return put(tx.Blocks, model.Block{
			ID: "c-hours", Kind: model.KindCondition, WorkspaceID: "a0", Name: "Office hours",
			Ranges: []model.TimeRange{{Zone: "UTC", Start: 9 * 3600, End: 12*3600 + 59}},
		})
	})
	q := request{body: `{"entityId":"mreyes","entityTypeId":"Staff"}`}
	open := h.want(q, 200, "")
	tag := open.Header().Get("ETag")
	for _, k := range []struct {
		after  time.Duration
		status int
	}{{0, 304}, {time.Minute - 1, 304}, {time.Minute, 200}, {-time.Second, 200}, {24 * time.Hour, 200}, {30 * time.Second, 304}} {
		now = noon.Add(k.after)
		w := h.want(ifNoneMatch(q, tag), k.status, "")
		if closed := k.after == time.Minute; closed && w.Body.String() == open.Body.String() {
			t.Errorf("the condition does not turn the answer: %s", w.Body)
		}
	}
}
