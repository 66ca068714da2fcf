package runtime

import (
	"bytes"
	"encoding/binary"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/decide"
)

// again is a question in the form in which it is recognized when it is asked again: by the ETag of its answer, and in the
// cache. The methods of a nil one do nothing.
type again struct {
	x       *exchange
	request []byte // the part of the key that the request makes
	tagged  bool   // the answer has an ETag
	anew    bool   // the caller wants no earlier answer

	key     []byte
	digest  tagDigest
	instant time.Time
	seen    uint64
	known   string  // the ETag that the caller has and that is good
	found   *entry  // the earlier answer
	next    *entry  // becomes the one to keep
	kept    keeping // its body
}

// recognize prepares a call for an earlier answer where there can be one.
func (x *exchange) recognize(endpoint string, f fields, tagged bool) {
	cached := x.h.options.Cache != nil && x.call.KeepsAnswers()
	if !tagged && !cached {
		return
	}
	c := &coercer{fields: f, errs: &x.errs}
	x.again = &again{x: x, request: appendRequest(nil, endpoint, f), tagged: tagged, anew: !c.flag("useCache", true)}
}

// appendRequest appends what a request asks, without its credentials. Every part has its length before it, so that requests
// with different parts never look alike.
func appendRequest(b []byte, endpoint string, f fields) []byte {
	part := func(text []byte) { b = append(binary.AppendUvarint(b, uint64(len(text))), text...) }
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(f)), func(name string) bool {
		switch name {
		case "clientId", "clientSecret", "useCache", "requestId",
			"meta",                             // its members are among the others
			"method", "uri", "headers", "body": // count by what they are taken for
			return true
		}
		return false
	})
	part([]byte(endpoint))
	b = binary.AppendUvarint(b, uint64(len(names)))
	for _, name := range names {
		part([]byte(name))
		part(uniform(name, f[name]))
	}
	return b
}

// uniform spells a value in one of the ways that mean the same. Numbers keep their text, and members their order where the
// answer shows it.
func uniform(name string, v jsontext.Value) jsontext.Value {
	kind := v.Kind()
	if kind != jsontext.KindBeginObject && kind != jsontext.KindBeginArray || len(v) > maxKey || name == "contextData" {
		return v
	}
	out := v.Clone()
	if out.Format(jsontext.ReorderRawObjects(true)) != nil {
		return v
	}
	return out
}

// finder is earlier, and nil for a question that is always answered anew: then nothing is made ready for it.
func (a *again) finder() decide.Earlier {
	if a == nil {
		return nil
	}
	return a.earlier
}

// earlier finds the answer that the caller has, or one that is kept.
func (a *again) earlier(asked *decide.Asked) (*decide.Given, error) {
	if a == nil {
		return nil, nil
	}
	a.key, a.instant = asked.AppendKey(a.request), asked.Instant
	if a.tagged {
		a.digest = a.x.h.tags.digest(a.key)
		if a.known = a.x.h.tags.good(a.x.r.Header.Values("If-None-Match"), a.digest, a.instant); a.known != "" {
			return &decide.Given{Status: http.StatusNotModified, Result: "not modified"}, nil
		}
	}
	cache := a.x.h.options.Cache
	if cache == nil || asked.Keep <= 0 || len(a.key) > maxKey {
		return nil, nil
	}
	if a.found, a.seen = cache.find(a.key, a.instant, !a.anew); a.found != nil {
		return &decide.Given{Result: a.found.result}, nil
	}
	a.next = &entry{
		environment: asked.Environment, client: asked.Client, entities: asked.Entities,
		from: a.instant, until: a.instant.Add(asked.Keep),
	}
	return nil, nil
}

// answered settles what becomes of the answer. It reports whether the caller has it already and was told so.
func (a *again) answered(o *decide.Outcome) (told bool) {
	if a == nil {
		return false
	}
	if a.next != nil {
		a.next.result = o.Result
		a.kept.cache = a.x.h.options.Cache
		if !o.Until.IsZero() {
			a.next = nil // time has a part in it
		}
	}
	if a.next == nil {
		a.key, a.request = nil, nil // may be large, and the answer may be read slowly
	}
	if !a.tagged {
		return false
	}
	tag := a.known
	if tag == "" {
		tag = a.x.h.tags.make(a.digest, a.instant, o.Until)
	}
	h := a.x.w.Header()
	h.Set("ETag", tag)
	if a.known == "" && !anyTag(a.x.r.Header.Values("If-None-Match")) {
		return false
	}
	answerHead(h)
	h.Del("Content-Type")
	a.x.w.WriteHeader(http.StatusNotModified)
	return true
}

// ready is the body of the earlier answer, nil when there is none.
func (a *again) ready() []byte {
	if a == nil || a.found == nil {
		return nil
	}
	return a.found.body
}

// keeping is where a stream leaves what is to be kept; nil = nothing is.
func (a *again) keeping() *keeping {
	if a == nil || a.next == nil {
		return nil
	}
	return &a.kept
}

// keep keeps the answer, which is written.
func (a *again) keep() {
	if a != nil && a.next != nil && len(a.kept.bytes) > 0 {
		a.next.body = bytes.Clone(a.kept.bytes)
		a.x.h.options.Cache.keep(a.key, a.next, a.seen)
		a.kept.drop()
	}
}

// release gives back what an answer holds that was not kept.
func (a *again) release() {
	if a != nil && a.kept.cache != nil {
		a.kept.drop()
	}
}

// replay writes an earlier answer that is whole.
func (x *exchange) replay(body []byte) {
	h := x.w.Header()
	answerHead(h)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if _, err := x.w.Write(body); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// keeping gathers a part of what goes through a stream, as far as the cache has room for it.
type keeping struct {
	cache *Cache
	bytes []byte
	held  int64 // of the cache's room
	from  int   // of the stream's buffer
	over  bool
}

func (k *keeping) add(b []byte) {
	if k.over {
		return
	}
	if !k.cache.gather(int64(len(k.bytes)), int64(len(b))) {
		k.drop()
		return
	}
	k.held += int64(len(b))
	k.bytes = append(k.bytes, b...)
}

// drop gives up what was gathered: nothing more is.
func (k *keeping) drop() {
	k.cache.gathering.Add(-k.held)
	k.bytes, k.held, k.over = nil, 0, true
}

// keep begins to keep what is written; stop ends it.
func (s *stream) keep(k *keeping) {
	if k != nil {
		k.from, s.kept = len(s.buf), k
	}
}

func (s *stream) stop() {
	s.pass()
	s.kept = nil
}

// pass keeps what is in the buffer, which is about to leave.
func (s *stream) pass() {
	if s.kept != nil {
		s.kept.add(s.buf[s.kept.from:])
		s.kept.from = 0
	}
}
