package manage

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/api/problem"
	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
)

// flag reads a boolean of the query; filter[name] means the same (management-api.md 1.1 rule 4).
func flag(q url.Values, name string, otherwise bool) (bool, error) {
	for _, key := range []string{name, "filter[" + name + "]"} {
		if q.Has(key) {
			return parseBool(name, q.Get(key))
		}
	}
	return otherwise, nil
}

// valuesOf are the values of filter[name] and of filter[name][in]. The latter is split at commas unless it is repeated,
// for values with commas (management-api.md 5 rule 6). named is false when the query has neither.
func valuesOf(q url.Values, name string) (values []string, named bool) {
	one, in := "filter["+name+"]", "filter["+name+"][in]"
	values = slices.Clone(q[one])
	switch list := q[in]; len(list) {
	case 0:
	case 1:
		values = append(values, strings.Split(list[0], ",")...)
	default:
		values = append(values, list...)
	}
	return values, q.Has(one) || q.Has(in)
}

// uuidOf reads an optional or required uuid of the query. One that is no uuid cannot be there, so the caller gets it as it
// is and finds nothing.
func uuidOf(q url.Values, name string) (string, error) {
	text := q.Get(name)
	if text == "" {
		return "", model.MissingParameter(name)
	}
	if id, ok := model.ParseUUID(text); ok {
		return id, nil
	}
	return text, nil
}

const jsonPatch = "application/json-patch+json"

// readPatch reads the one operation that a call takes: replace at path (management-api.md 1.8).
func (x *exchange) readPatch(path string, value any) error {
	text, err := x.readJSON(jsonPatch)
	if err != nil {
		return err
	}
	var operations []struct {
		Op    string         `json:"op"`
		Path  string         `json:"path"`
		Value jsontext.Value `json:"value"`
	}
	if err := form.Decode(text, &operations); err != nil {
		return err
	}
	switch {
	case len(operations) != 1:
		return model.Invalidf("/: needs exactly one operation, has %d", len(operations))
	case operations[0].Op != "replace":
		return model.Invalidf("/0/op: %q is not replace", operations[0].Op)
	case operations[0].Path != path:
		return model.Invalidf("/0/path: %q is not %s", operations[0].Path, path)
	case len(operations[0].Value) == 0:
		return model.Invalidf("/0/value: is missing")
	}
	if err := json.Unmarshal(operations[0].Value, value); err != nil {
		return &model.Error{Kind: model.KindInvalid, Message: "/0/value: has the wrong type", Err: err}
	}
	return nil
}

// windowUpTo reads limit and offset; a limit above highest is lowered to it (management-api.md 1.2).
func windowUpTo(q url.Values, standard, highest int) (window, error) {
	w, err := windowOf(q, standard)
	w.limit = min(w.limit, highest)
	return w, err
}

// detailedWindow reads the query of lists whose items have a short form and a detailed one.
func (x *exchange) detailedWindow() (w window, detailed bool, err error) {
	q := x.r.URL.Query()
	var errs model.Errors
	w, err = windowOf(q, defaultLimit)
	errs.Collect(err)
	detailed, err = flag(q, "detailed", false)
	errs.Collect(err)
	return w, detailed, errs.OrNil()
}

// page answers a part of a list that was cut out already, with the counters at both places.
func page[T any](x *exchange, w window, total int, items []T) error {
	c := counters{Total: total, Limit: w.limit, Offset: w.offset}
	if items == nil {
		items = []T{}
	}
	return x.answer(http.StatusOK, struct {
		Data     []T `json:"data"`
		counters `json:",inline"`
		Meta     counters `json:"meta"`
	}{items, c, c})
}

// seenAs is seen for one of several forms of an object: the tag names the form after a point, and a caller who has
// another form does not have this one (management-api.md 1.6 rule 2).
func (x *exchange) seenAs(s manage.Seen, variant string) (known bool) {
	x.revision(s.Revision)
	tag := `"` + s.Version + "." + variant + `"`
	x.w.Header().Set("ETag", tag)
	for _, header := range x.r.Header.Values("If-None-Match") {
		for entry := range strings.SplitSeq(header, ",") {
			entry = strings.TrimPrefix(strings.TrimSpace(entry), "W/")
			known = known || entry == tag || entry == "*"
		}
	}
	if known {
		x.w.WriteHeader(http.StatusNotModified)
	}
	return known
}

// doneAs is done for one of several forms of an object.
func (x *exchange) doneAs(d manage.Done, variant string) {
	version := d.Version
	if version != "" {
		version += "." + variant
	}
	x.done(manage.Done{Result: d.Result, Revision: d.Revision, Version: version})
}

// Forms of a body that is Rego or JSON.
const (
	mediaJSON = "application/json"
	mediaRego = "text/plain"

	contentRego = "text/plain;language=rego;charset=utf-8"
)

// bodyForm is the form of the request body: Rego is text/plain, whatever its parameters (management-api.md 1.1 rule 6).
func (x *exchange) bodyForm() (string, error) {
	switch media := mediaType(x.r); media {
	case mediaRego, mediaJSON:
		return media, nil
	case "":
		return mediaRego, nil
	}
	return "", problem.UnsupportedMedia("the body is text/plain;language=rego or application/json")
}

// answerForm is the form that Accept prefers of Rego and JSON; otherwise is that of callers who do not care.
func (x *exchange) answerForm(otherwise string) string {
	best, weight := otherwise, 0.0
	for _, a := range accepted(x.r) {
		form := ""
		switch a.media {
		case mediaRego, "text/*":
			form = mediaRego
		case mediaJSON, "application/*":
			form = mediaJSON
		}
		if form != "" && a.weight > weight {
			best, weight = form, a.weight
		}
	}
	return best
}

// acceptable is an entry of Accept.
type acceptable struct {
	media  string // in lower case, without parameters
	weight float64
}

func accepted(r *http.Request) []acceptable {
	var out []acceptable
	for _, header := range r.Header.Values("Accept") {
		for entry := range strings.SplitSeq(header, ",") {
			media, params, _ := strings.Cut(entry, ";")
			a := acceptable{media: strings.ToLower(strings.TrimSpace(media)), weight: 1}
			for param := range strings.SplitSeq(params, ";") {
				name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
				if q, err := strconv.ParseFloat(value, 64); err == nil && strings.EqualFold(name, "q") {
					a.weight = q
				}
			}
			out = append(out, a)
		}
	}
	return out
}

// accepts reports whether an answer of one of the media types meets the caller's Accept.
func accepts(r *http.Request, types ...string) bool {
	list := accepted(r)
	if len(list) == 0 {
		return true
	}
	for _, a := range list {
		family, isRange := strings.CutSuffix(a.media, "*")
		for _, media := range append(types, "application/problem+json") {
			if a.weight > 0 && (a.media == "" || a.media == "*/*" || a.media == media || isRange && strings.HasPrefix(media, family)) {
				return true
			}
		}
	}
	return false
}

// answerRego writes a module.
func (x *exchange) answerRego(status int, module []byte) error {
	h := x.w.Header()
	h.Set("Content-Type", contentRego)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	x.w.WriteHeader(status)
	_, _ = x.w.Write(module) // the peer is gone: nobody is left to tell
	return nil
}
