package manage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/ambit-authz/ambit/internal/manage/bulk"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// Catalogue is the stored assets of one asset type, or the identities of one identity template. Make one by
// Service.Assets or Service.Identities.
type Catalogue[R any] struct {
	s        *Service
	env      model.EnvironmentID
	template model.TemplateID
	resource string // of events
	noun     string // of errors
	open     target[R]
	format   func(*R) []byte
	pooled   func(*R) model.Attributes
}

// Assets is the catalogue of an asset type of source PLAINID; all calls on one of another source are conflicts.
func (s *Service) Assets(env model.EnvironmentID, template model.TemplateID) Catalogue[model.Asset] {
	return Catalogue[model.Asset]{
		s: s, env: env, template: template, resource: resourceAsset, noun: "Asset",
		open: func(tx *store.Tx) (bulk.Schema[model.Asset], store.Records[model.Asset], error) {
			return openAssets(tx, template)
		},
		format: form.FormatAsset, pooled: func(a *model.Asset) model.Attributes { return a.Attributes },
	}
}

// Identities is the directory of an identity template.
func (s *Service) Identities(env model.EnvironmentID, template model.TemplateID) Catalogue[model.Identity] {
	return Catalogue[model.Identity]{
		s: s, env: env, template: template, resource: resourceIdentity, noun: "Identity",
		open: func(tx *store.Tx) (bulk.Schema[model.Identity], store.Records[model.Identity], error) {
			return openIdentities(tx, template)
		},
		format: form.FormatIdentity, pooled: (*model.Identity).Pooled,
	}
}

func openAssets(tx *store.Tx, template model.TemplateID) (bulk.Schema[model.Asset], store.Records[model.Asset], error) {
	t, err := tx.AssetTemplates.Find(template)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, missingResource("AssetTemplate", string(template))
	}
	if err != nil {
		return nil, nil, err
	}
	if t.Source != model.SourcePlainID {
		return nil, nil, &model.Error{
			Kind: model.KindConflict, Code: "MGT-009", Name: "InUseError", Args: []string{string(template)},
			Message: fmt.Sprintf("AssetTemplate: [%s] has source %s; only PLAINID types have stored assets", template, t.Source),
		}
	}
	return bulk.AssetSchema(&t), tx.Assets(template), nil
}

func openIdentities(tx *store.Tx, template model.TemplateID) (bulk.Schema[model.Identity], store.Records[model.Identity], error) {
	t, err := tx.IdentityTemplates.Find(template)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, missingResource("IdentityTemplate", string(template))
	}
	if err != nil {
		return nil, nil, err
	}
	return bulk.IdentitySchema(&t), tx.Identities(template), nil
}

// Import stores a bulk body, read as a stream (management-api.md 19.1). The body is read inside a write transaction, so
// it must come from where it cannot stall. A million rows need memory for their keys' hashes only.
func (c Catalogue[R]) Import(ctx context.Context, call Call, o bulk.Options, body io.Reader) (Bulk, error) {
	return importBody(ctx, c.s, call, c.env, o, body, c.resource, string(c.template), c.open)
}

// Find reads one record.
func (c Catalogue[R]) Find(ctx context.Context, key string) (R, Seen, error) {
	var out R
	var seen Seen
	err := c.s.view(ctx, c.env, func(tx *store.Tx) error {
		_, records, err := c.open(tx)
		if err != nil {
			return err
		}
		seen.Revision = tx.Revision
		out, err = records.Find(key)
		if errors.Is(err, store.ErrNotFound) {
			return missingResource(c.noun, key)
		}
		seen.Version = c.version(&out)
		return err
	})
	return out, seen, err
}

// version of a record is that of its content: a million records need no stamp each (management-api.md 1.6). It is "" for
// a record that is not there.
func (c Catalogue[R]) version(record *R) string {
	if record == nil {
		return ""
	}
	sum := sha256.Sum256(c.format(record))
	return hex.EncodeToString(sum[:12])
}

// Filter limits a list of records. The zero Filter passes everything.
type Filter struct {
	Key        string
	KeyPrefix  string
	Attributes map[model.AttributeID]string // any value equal
	Active     *bool                        // identities
}

func (f *Filter) isZero() bool {
	return f.Key == "" && f.KeyPrefix == "" && len(f.Attributes) == 0 && f.Active == nil
}

func (c Catalogue[R]) passes(f *Filter, key string, record *R) bool {
	if f.Key != "" && key != f.Key || !strings.HasPrefix(key, f.KeyPrefix) {
		return false
	}
	if identity, ok := any(record).(*model.Identity); ok && f.Active != nil && *f.Active == identity.Inactive {
		return false
	}
	if len(f.Attributes) == 0 {
		return true
	}
	attributes := c.pooled(record)
	for id, value := range f.Attributes {
		if !slices.Contains(attributes[id], value) {
			return false
		}
	}
	return true
}

// openFor opens the records for a list. A filter by an attribute that there is none of is an error: the empty list that it
// would give looks as if no record had the value.
func (c Catalogue[R]) openFor(tx *store.Tx, f *Filter) (bulk.Schema[R], store.Records[R], error) {
	schema, records, err := c.open(tx)
	if err != nil {
		return nil, nil, err
	}
	var errs model.Errors
	for _, id := range slices.Sorted(maps.Keys(f.Attributes)) {
		if _, known := schema.Attribute([]byte(id)); known {
			continue
		}
		var declared []string
		for _, column := range schema.Columns() {
			declared = append(declared, string(column.Attribute))
		}
		errs = append(errs, model.InvalidParameter("filter[attributes."+string(id)+"]", "the attribute is not declared%s", hint(closeTo(string(id), declared))))
	}
	return schema, records, errs.OrNil()
}

// Page is a part of a list in order of insertion.
type Page[R any] struct {
	Records  []R
	Next     string         // cursor of the next page; "" = this was the last
	Revision model.Revision // when the first page was read
}

// Limits of a page (management-api.md 19).
const (
	DefaultPage = 100
	MaxPage     = 1_000
)

// Page lists up to limit records from cursor on ("" = the first page). All pages show the state of the first one,
// whatever is written in between: reading to the end gives every record of that state once.
func (c Catalogue[R]) Page(ctx context.Context, caller *Caller, f Filter, cursor string, limit int) (Page[R], error) {
	question := c.question(caller, &f)
	if cursor == "" {
		return c.firstPage(ctx, caller, &f, question, limit)
	}
	from, err := c.s.cursors.read(cursor, question, c.s.now())
	if err != nil {
		return Page[R]{}, err
	}
	tooOld := model.InvalidParameter("cursor", "what it belongs to is too old: begin with the first page again")
	st := c.s.states.find(from.state)
	if st == nil {
		return Page[R]{}, tooOld
	}
	out, last, err := c.pageOf(ctx, st, &f, from.position, limit)
	if errors.Is(err, store.ErrReleased) {
		return out, tooOld
	}
	if err != nil {
		return out, storeError("manage.Page", err)
	}
	return c.goOn(out, st, place{state: st.id, walk: from.walk, position: last, made: from.made}, question), nil
}

// firstPage holds a state only for a list that has a second page.
func (c Catalogue[R]) firstPage(ctx context.Context, caller *Caller, f *Filter, question string, limit int) (Page[R], error) {
	var out Page[R]
	var last int64
	err := c.s.view(ctx, c.env, func(tx *store.Tx) (err error) {
		out, last, err = c.pageIn(tx, f, 0, limit)
		return err
	})
	if err != nil || last == 0 {
		return out, err
	}
	made := c.s.now()
	st, walk, err := c.s.states.begin(ctx, c.env, out.Revision, caller.ClientID)
	if err == nil && st.revision != out.Revision { // others have written meanwhile
		out, last, err = c.pageOf(ctx, st, f, 0, limit)
	}
	if err != nil {
		return Page[R]{}, storeError("manage.Page", err)
	}
	return c.goOn(out, st, place{state: st.id, walk: walk, position: last, made: made}, question), nil
}

// goOn gives a page its cursor, or ends the walk.
func (c Catalogue[R]) goOn(out Page[R], st *state, next place, question string) Page[R] {
	if next.position > 0 {
		out.Next = c.s.cursors.write(next, question)
	} else {
		c.s.states.end(st, next.walk)
	}
	return out
}

func (c Catalogue[R]) pageOf(ctx context.Context, st *state, f *Filter, after int64, limit int) (out Page[R], last int64, err error) {
	err = st.held.View(ctx, func(tx *store.Tx) error {
		if err := mustExist(tx, c.env); err != nil {
			return err
		}
		out, last, err = c.pageIn(tx, f, after, limit)
		return err
	})
	return out, last, err
}

// pageIn reads a page of records behind a position. last is the position of the page's last record, 0 when no other
// record follows.
func (c Catalogue[R]) pageIn(tx *store.Tx, f *Filter, after int64, limit int) (out Page[R], last int64, err error) {
	out = Page[R]{Records: []R{}, Revision: tx.Revision}
	schema, records, err := c.openFor(tx, f)
	if err != nil {
		return out, 0, err
	}
	for p, err := range c.matching(schema, records.After(after), f) {
		if err != nil {
			return out, 0, err
		}
		if len(out.Records) == limit {
			return out, last, nil
		}
		last = p.Position
		out.Records = append(out.Records, p.Record)
	}
	return out, 0, nil
}

// matching are the records that pass the filter.
func (c Catalogue[R]) matching(s bulk.Schema[R], from iter.Seq2[store.Positioned[R], error], f *Filter) iter.Seq2[store.Positioned[R], error] {
	return func(yield func(store.Positioned[R], error) bool) {
		for p, err := range from {
			if (err != nil || c.passes(f, s.KeyOf(&p.Record), &p.Record)) && !yield(p, err) {
				return
			}
		}
	}
}

// question names caller, list and filter without ambiguity: every part is preceded by its length.
func (c Catalogue[R]) question(caller *Caller, f *Filter) string {
	parts := []string{
		string(caller.ClientID), string(c.env), c.resource, string(c.template), f.Key, f.KeyPrefix,
		fmt.Sprint(f.Active != nil && *f.Active, f.Active != nil),
	}
	for _, id := range slices.Sorted(maps.Keys(f.Attributes)) {
		parts = append(parts, string(id), f.Attributes[id])
	}
	var b strings.Builder
	for _, part := range parts {
		fmt.Fprintf(&b, "%d:%s", len(part), part)
	}
	return b.String()
}

// Count is how many records pass the filter.
func (c Catalogue[R]) Count(ctx context.Context, f Filter) (n int64, seen Seen, err error) {
	err = c.s.view(ctx, c.env, func(tx *store.Tx) error {
		schema, records, err := c.openFor(tx, &f)
		if err != nil {
			return err
		}
		seen.Revision = tx.Revision
		if f.isZero() {
			n, err = records.Count()
			return err
		}
		for _, err := range c.matching(schema, records.After(0), &f) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, seen, err
}

// Put stores one record from its JSON form: as a whole, or with merge only what the body names (management-api.md 19).
func (c Catalogue[R]) Put(ctx context.Context, call Call, key string, body []byte, merge bool) (R, Done, error) {
	var out R
	var done Done
	revision, err := c.s.update(ctx, &call, c.env, func(w *writer) error {
		schema, records, err := c.open(w.Tx)
		if err != nil {
			return err
		}
		r, err := readOne(schema, key, body)
		if err != nil {
			return err
		}
		var before *R
		found, err := records.Find(key)
		if err == nil {
			before = &found
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := w.meets(c.version(before), c.noun, key); err != nil {
			return err
		}
		if merge && before == nil {
			return missingResource(c.noun, key)
		}
		record, problem := schema.Apply(r, before, merge)
		if problem != nil {
			return problem
		}
		out = record
		done.Version = c.version(&out)
		if done.Result, err = records.Put(record); err != nil || done.Result == Unchanged {
			return err
		}
		return w.event(c.event(done.Result, key, before, &record))
	})
	done.Revision = revision
	return out, done, err
}

// readOne reads the JSON form of one record, bare or wrapped in "data".
func readOne[R any](s bulk.Schema[R], key string, body []byte) (*bulk.Row, error) {
	if len(body) > bulk.MaxLine {
		return nil, model.LimitExceeded("bytes of a record", int64(len(body)), bulk.MaxLine)
	}
	inner, err := form.Unwrap(body)
	if err != nil {
		return nil, err
	}
	return bulk.ReadOne(s, key, inner)
}

func (c Catalogue[R]) event(result Result, key string, before, after *R) model.ChangeEvent {
	e := model.ChangeEvent{
		Action: model.EventCreate, ResourceType: c.resource, ResourceID: key, ResourceName: key,
		ParentType: resourceAssetTemplate, ParentID: string(c.template),
	}
	if c.resource == resourceIdentity {
		e.ParentType = resourceIdentityTemplate
	}
	switch result {
	case Updated:
		e.Action = model.EventUpdate
	case Deleted:
		e.Action = model.EventDelete
	}
	if before != nil {
		e.Before = string(c.format(before))
	}
	if after != nil {
		e.After = string(c.format(after))
	}
	return e
}

// Delete removes one record.
func (c Catalogue[R]) Delete(ctx context.Context, call Call, key string) (Done, error) {
	done := Done{Result: Deleted}
	var err error
	done.Revision, err = c.s.update(ctx, &call, c.env, func(w *writer) error {
		_, records, err := c.open(w.Tx)
		if err != nil {
			return err
		}
		before, err := records.Find(key)
		if errors.Is(err, store.ErrNotFound) && len(w.call.IfMatch) == 0 {
			return missingResource(c.noun, key)
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		version := ""
		if err == nil {
			version = c.version(&before)
		}
		if err := w.meets(version, c.noun, key); err != nil {
			return err
		}
		if _, err := records.Delete(key); err != nil {
			return err
		}
		return w.event(c.event(Deleted, key, &before, nil))
	})
	return done, err
}

// Clear removes all records.
func (c Catalogue[R]) Clear(ctx context.Context, call Call) (Done, error) {
	var done Done
	var err error
	done.Revision, err = c.s.update(ctx, &call, c.env, func(w *writer) error {
		_, records, err := c.open(w.Tx)
		if err != nil {
			return err
		}
		n, err := records.Clear()
		if err != nil || n == 0 {
			return err
		}
		done.Result = Deleted
		return w.bulkEvent(c.resource, string(c.template), BulkReport{}, BulkReport{Deleted: n})
	})
	return done, err
}
