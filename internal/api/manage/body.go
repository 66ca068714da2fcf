package manage

import (
	"compress/gzip"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/api/problem"
	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
)

// Limits of bodies, unpacked (management-api.md 1.1, 1.9).
const (
	maxJSON    = 10 << 20
	maxBulk    = 256 << 20
	maxArchive = 64 << 20
)

func tooLarge(limit int64) error {
	n := strconv.FormatInt(limit, 10)
	return &model.Error{
		Kind: model.KindTooLarge, Code: "MGT-012", Name: "PayloadTooLargeError", Args: []string{n},
		Message: "The body is larger than " + n + " bytes",
	}
}

// body is the unpacked request body; reading more than limit bytes of it is an error. A packed body is bounded too: none
// within the limit is that much larger packed.
func body(w http.ResponseWriter, r *http.Request, limit int64) (io.Reader, error) {
	if r.ContentLength > limit+limit/8+4096 {
		return nil, tooLarge(limit)
	}
	packed := http.MaxBytesReader(w, r.Body, limit+limit/8+4096)
	switch strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))) {
	case "", "identity":
		return &limited{in: packed, left: limit, limit: limit}, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(packed)
		if err != nil {
			return nil, model.Invalidf("the body is not gzip: %v", err)
		}
		return &limited{in: z, left: limit, limit: limit}, nil
	}
	return nil, problem.UnsupportedMedia("Content-Encoding can be gzip or identity")
}

// limited ends a body above its limit with the error that says so, and makes errors of reading the caller's.
type limited struct {
	in          io.Reader
	left, limit int64
}

// Read implements io.Reader.
func (l *limited) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.in.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, tooLarge(l.limit)
	}
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return n, tooLarge(l.limit)
	}
	if err != nil && err != io.EOF {
		err = &model.Error{Kind: model.KindInvalid, Message: "the body cannot be read to its end", Err: err}
	}
	return n, err
}

// readJSON is the whole body of a call that takes JSON.
func (x *exchange) readJSON(types ...string) ([]byte, error) {
	if media := mediaType(x.r); media != "" && media != "application/json" && !slices.Contains(types, media) {
		return nil, problem.UnsupportedMedia("the body is application/json")
	}
	in, err := body(x.w, x.r, maxJSON)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(in)
}

const mergePatch = "application/merge-patch+json"

// mediaType is the type of the body without parameters, in lower case; "" when none is stated.
func mediaType(r *http.Request) string {
	header := r.Header.Get("Content-Type")
	media, _, err := mime.ParseMediaType(header)
	if err != nil {
		media, _, _ = strings.Cut(header, ";")
	}
	return strings.ToLower(strings.TrimSpace(media))
}

// spool copies the body to a file without a name, so that a slow sender holds up nobody else's writes. The caller closes
// the file, which deletes it.
func (x *exchange) spool(limit int64) (*os.File, int64, error) {
	in, err := body(x.w, x.r, limit)
	if err != nil {
		return nil, 0, err
	}
	f, err := x.unnamed()
	if err != nil {
		return nil, 0, err
	}
	n, err := io.Copy(f, in)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, 0, errors.Join(model.FileError("manage.spool", err), f.Close())
	}
	return f, n, nil
}

// unnamed makes a file without a name, which is gone when it is closed.
func (x *exchange) unnamed() (*os.File, error) {
	f, err := os.CreateTemp(x.api.tempDir, "ambit-body-*")
	if err != nil {
		return nil, model.FileError("manage.unnamed", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close() // the first error counts
		return nil, model.Internal("manage.unnamed", err)
	}
	return f, nil
}

// answer writes a JSON body.
func (x *exchange) answer(status int, v any) error {
	// JSON that is kept as imported leaves as it came
	out, err := json.Marshal(v, json.Deterministic(true), jsontext.PreserveRawStrings(true))
	if err != nil {
		return model.Internal("manage.answer", err)
	}
	h := x.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	x.w.WriteHeader(status)
	_, _ = x.w.Write(out) // the peer is gone: nobody is left to tell
	return nil
}

// data answers {"data": v}.
func (x *exchange) data(status int, v any) error {
	return x.answer(status, struct {
		Data any `json:"data"`
	}{v})
}

func (x *exchange) revision(r model.Revision) {
	x.w.Header().Set("Ambit-Revision", strconv.FormatInt(int64(r), 10))
}

// seen labels a read and reports whether the caller has this version already (304).
func (x *exchange) seen(s manage.Seen) (known bool) {
	x.revision(s.Revision)
	if s.Version == "" {
		return false
	}
	x.w.Header().Set("ETag", `"`+s.Version+`"`)
	if x.r.Method == http.MethodGet || x.r.Method == http.MethodHead {
		known = slices.Contains(x.call.IfNoneMatch, s.Version) || slices.Contains(x.call.IfNoneMatch, "*")
	}
	if known {
		x.w.WriteHeader(http.StatusNotModified)
	}
	return known
}

// done labels a write.
func (x *exchange) done(d manage.Done) {
	x.revision(d.Revision)
	x.w.Header().Set("Ambit-Result", d.Result.String())
	if d.Version != "" {
		x.w.Header().Set("ETag", `"`+d.Version+`"`)
	}
}

func (x *exchange) noContent(d manage.Done, err error) error {
	if err != nil {
		return err
	}
	x.done(d)
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}

// lifeForm is the read-only end of an object's form.
type lifeForm struct {
	CreatedAt string         `json:"createdAt,omitempty"`
	UpdatedAt string         `json:"updatedAt,omitempty"`
	Revision  model.Revision `json:"revision"`
}

func life(s manage.Seen) lifeForm {
	return lifeForm{CreatedAt: stamp(s.CreatedAt), UpdatedAt: stamp(s.UpdatedAt), Revision: s.Changed}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// window is the part of a list that is asked for (management-api.md 1.2).
type window struct{ limit, offset int }

// Limits of lists.
const (
	defaultLimit = 50
	maxLimit     = manage.MaxPage
)

func windowOf(q url.Values, standard int) (window, error) {
	w := window{limit: standard}
	var errs model.Errors
	if text := q.Get("limit"); text != "" || q.Has("limit") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			errs = append(errs, model.InvalidParameter("limit", "%q is not an integer above 0", text))
		}
		w.limit = min(n, maxLimit)
	}
	if text := q.Get("offset"); text != "" || q.Has("offset") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			errs = append(errs, model.InvalidParameter("offset", "%q is not an integer from 0 on", text))
		}
		w.offset = n
	}
	return w, errs.OrNil()
}

type counters struct {
	Total  int `json:"total"`
	Limit  int `json:"limit"`
	Offset int `json:"offset"`
}

// list answers the window of items with the counters at both places, because clients read either.
func list[T any](x *exchange, w window, items []T) error {
	c := counters{Total: len(items), Limit: w.limit, Offset: w.offset}
	from := min(w.offset, len(items))
	return x.answer(http.StatusOK, struct {
		Data     []T `json:"data"`
		counters `json:",inline"`
		Meta     counters `json:"meta"`
	}{items[from:min(from+w.limit, len(items))], c, c})
}
