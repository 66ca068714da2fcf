package manage

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/api/problem"
	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/bulk"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
)

// records are the calls on the assets of a type or the identities of a template, which differ in names only
// (management-api.md 19, 20).
type records[R any] struct {
	key       string // of queries: path or entityId
	catalogue func(*exchange) manage.Catalogue[R]
	format    func(*R) []byte
	keyOf     func(*R) string
}

func (x *exchange) template() model.TemplateID { return model.TemplateID(x.r.PathValue("templateId")) }

func assetRecords() records[model.Asset] {
	return records[model.Asset]{
		key: "path", format: form.FormatAsset, keyOf: func(a *model.Asset) string { return a.Path },
		catalogue: func(x *exchange) manage.Catalogue[model.Asset] { return x.api.service.Assets(x.env, x.template()) },
	}
}

func identityRecords() records[model.Identity] {
	return records[model.Identity]{
		key: "entityId", format: form.FormatIdentity,
		keyOf: func(i *model.Identity) string { return i.EntityID },
		catalogue: func(x *exchange) manage.Catalogue[model.Identity] {
			return x.api.service.Identities(x.env, x.template())
		},
	}
}

func addRecords[R any](t *router, pattern, resource string, c records[R]) {
	read := func(serve func(*exchange) error) route {
		return route{resource: resource, right: manage.RightRead, serve: serve}
	}
	write := func(serve func(*exchange) error) route {
		return route{resource: resource, right: manage.RightWrite, serve: serve}
	}
	one := pattern + "/{" + c.key + "}"
	list := read(c.get)
	list.forms = []string{mediaNDJSON, mediaCSV}
	t.add("GET", pattern, list)
	t.add("POST", pattern, write(c.load))
	t.add("PUT", pattern, write(c.put))
	t.add("PATCH", pattern, write(c.patch))
	t.add("DELETE", pattern, write(c.delete))
	t.add("GET", pattern+"/count", read(c.count))
	t.add("GET", one, read(c.get))
	t.add("PUT", one, write(c.put))
	t.add("PATCH", one, write(c.patch))
	t.add("DELETE", one, write(c.delete))
}

// keyIn is the key of a single-record call, in the path or in the query.
func (c *records[R]) keyIn(x *exchange) string {
	if key := x.r.PathValue(c.key); key != "" {
		return key
	}
	return x.r.URL.Query().Get(c.key)
}

func (c *records[R]) get(x *exchange) error {
	key := c.keyIn(x)
	if key == "" {
		return c.list(x)
	}
	if !accepts(x.r, mediaJSON) {
		return problem.NotAcceptable("the answer is " + mediaJSON)
	}
	record, seen, err := c.catalogue(x).Find(x.r.Context(), key)
	if err != nil || x.seen(seen) {
		return err
	}
	return x.data(http.StatusOK, jsontext.Value(c.format(&record)))
}

// list answers a page, or in the forms of bulk bodies everything.
func (c *records[R]) list(x *exchange) error {
	q := x.r.URL.Query()
	f, err := c.filter(q)
	if err != nil {
		return err
	}
	idsOnly := q.Get("fields") == c.key
	if q.Has("fields") && !idsOnly {
		return model.InvalidParameter("fields", "%q is not %s", q.Get("fields"), c.key)
	}
	x.w.Header().Set("Vary", "Accept")
	o := bulk.StreamOptions{KeysOnly: idsOnly}
	switch media := x.preferred(mediaJSON, mediaNDJSON, mediaCSV); media {
	case mediaNDJSON:
		return c.stream(x, f, o, media)
	case mediaCSV:
		o.Format = bulk.CSV
		if o.Separator, err = separator(q); err != nil {
			return err
		}
		return c.stream(x, f, o, "text/csv; charset=utf-8; header=present")
	}
	return c.page(x, q, f, idsOnly)
}

func (c *records[R]) stream(x *exchange, f manage.Filter, o bulk.StreamOptions, contentType string) error {
	return x.stream(contentType, func(out io.Writer) error {
		return c.catalogue(x).Stream(x.r.Context(), f, o, func(s manage.Seen) { x.seen(s) }, out)
	})
}

func (c *records[R]) page(x *exchange, q url.Values, f manage.Filter, idsOnly bool) error {
	w, err := windowOf(q, manage.DefaultPage)
	if err != nil {
		return err
	}
	page, err := c.catalogue(x).Page(x.r.Context(), &x.caller, f, q.Get("cursor"), w.limit)
	if err != nil {
		return err
	}
	x.revision(page.Revision)
	items := make([]jsontext.Value, len(page.Records))
	for i := range page.Records {
		if items[i] = c.format(&page.Records[i]); idsOnly {
			name, _ := jsontext.AppendQuote([]byte(`{"`+c.key+`":`), c.keyOf(&page.Records[i]))
			items[i] = append(name, '}')
		}
	}
	type meta struct {
		Limit      int            `json:"limit"`
		NextCursor string         `json:"nextCursor,omitempty"`
		Revision   model.Revision `json:"revision"`
	}
	return x.answer(http.StatusOK, struct {
		Data []jsontext.Value `json:"data"`
		Meta meta             `json:"meta"`
	}{items, meta{w.limit, page.Next, page.Revision}})
}

func (c *records[R]) filter(q url.Values) (manage.Filter, error) {
	f := manage.Filter{Key: q.Get("filter[" + c.key + "]"), KeyPrefix: q.Get("filter[" + c.key + "][startswith]")}
	for name := range q {
		id, ok := strings.CutPrefix(name, "filter[attributes.")
		if id, closed := strings.CutSuffix(id, "]"); ok && closed {
			if f.Attributes == nil {
				f.Attributes = map[model.AttributeID]string{}
			}
			f.Attributes[model.AttributeID(id)] = q.Get(name)
		}
	}
	if text := q.Get("filter[isActive]"); text != "" && c.key == "entityId" {
		active, err := parseBool("filter[isActive]", text)
		if err != nil {
			return f, err
		}
		f.Active = &active
	}
	return f, nil
}

func (c *records[R]) count(x *exchange) error {
	f, err := c.filter(x.r.URL.Query())
	if err != nil {
		return err
	}
	n, seen, err := c.catalogue(x).Count(x.r.Context(), f)
	if err != nil || x.seen(seen) {
		return err
	}
	return x.data(http.StatusOK, struct {
		Count int64 `json:"count"`
	}{n})
}

func (c *records[R]) put(x *exchange) error   { return c.write(x, false) }
func (c *records[R]) patch(x *exchange) error { return c.write(x, true, mergePatch) }

func (c *records[R]) write(x *exchange, merge bool, types ...string) error {
	key := c.keyIn(x)
	if key == "" {
		return model.MissingParameter(c.key)
	}
	text, err := x.readJSON(types...)
	if err != nil {
		return err
	}
	record, done, err := c.catalogue(x).Put(x.r.Context(), x.call, key, text, merge)
	if err != nil {
		return err
	}
	x.done(done)
	return x.data(putStatus(done), jsontext.Value(c.format(&record)))
}

// delete removes one record, or with all=true and the template's id repeated all of them.
func (c *records[R]) delete(x *exchange) error {
	if key := c.keyIn(x); key != "" {
		return x.noContent(c.catalogue(x).Delete(x.r.Context(), x.call, key))
	}
	q := x.r.URL.Query()
	all, err := parseBool("all", q.Get("all"))
	if err != nil {
		return err
	}
	if !all {
		return model.MissingParameter(c.key)
	}
	if q.Get("template") != string(x.template()) {
		return model.InvalidParameter("template", "the id of the template must be repeated")
	}
	return x.noContent(c.catalogue(x).Clear(x.r.Context(), x.call))
}

// load is the bulk call (management-api.md 19.1).
func (c *records[R]) load(x *exchange) error {
	o, err := bulkOptions(x.r)
	if err != nil {
		return err
	}
	switch mediaType(x.r) {
	case "application/x-ndjson", "application/ndjson", "application/jsonl":
	case mediaCSV:
		o.Format = bulk.CSV
	default:
		return problem.UnsupportedMedia("the body is application/x-ndjson or text/csv")
	}
	f, _, err := x.spool(maxBulk)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // read only from here on
	out, err := c.catalogue(x).Import(x.r.Context(), x.call, o, f)
	if err != nil {
		return err
	}
	status, result := http.StatusOK, manage.Updated
	if out.Refused {
		status = http.StatusBadRequest
	}
	if r := out.Report; out.Refused || r.Created+r.Updated+r.Deleted == 0 {
		result = manage.Unchanged
	}
	x.done(manage.Done{Result: result, Revision: out.Revision})
	errs := make([]reportError, len(out.Errors))
	for i, e := range out.Errors {
		errs[i] = x.reportError(e.Err)
		errs[i].Key = e.Key
	}
	return x.answer(status, struct {
		Data   manage.BulkReport `json:"data"`
		Errors []reportError     `json:"errors"`
	}{out.Report, errs})
}

func bulkOptions(r *http.Request) (bulk.Options, error) {
	q := r.URL.Query()
	var errs model.Errors
	choice := func(name, standard string, allowed ...string) string {
		value := q.Get(name)
		if value == "" {
			return standard
		}
		if !slices.Contains(allowed, value) {
			errs = append(errs, model.InvalidParameter(name, "%q is not %s", value, strings.Join(allowed, " or ")))
		}
		return value
	}
	o := bulk.Options{
		Partial:    choice("mode", "atomic", "atomic", "partial") == "partial",
		Merge:      choice("update", "replace", "replace", "merge") == "merge",
		Duplicates: choice("duplicates", bulk.DuplicatesError, bulk.DuplicatesError, bulk.DuplicatesLast, bulk.DuplicatesRows),
	}
	var err error
	o.Separator, err = separator(q)
	errs.Collect(err)
	if text := q.Get("prune"); text != "" {
		prune, err := parseBool("prune", text)
		if err != nil {
			errs = append(errs, model.InvalidParameter("prune", "%q is not true or false", text))
		}
		o.Prune = prune
	}
	if text := q.Get("shared"); text != "" {
		o.Shared = strings.Split(text, ",")
	}
	return o, errs.OrNil()
}

// separator is what stands between the values in a CSV cell.
func separator(q url.Values) (string, error) {
	text := q.Get("separator")
	if strings.ContainsAny(text, "\\\r\n") {
		return "", model.InvalidParameter("separator", "it cannot hold a backslash or a line end")
	}
	return text, nil
}
