package manage

import (
	"context"
	"errors"
	"hash/maphash"
	"io"

	"github.com/ambit-authz/ambit/internal/manage/bulk"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// Limits of a bulk call (management-api.md 1.9, 19.1).
const (
	maxBulkRows   = 1_000_000
	maxBulkErrors = 1_000  // listed
	maxBatch      = 10_000 // rows of one commit of a partial call
)

// BulkReport tells what a bulk call did, or would have done.
type BulkReport struct {
	Received  int64 `json:"received"`
	Created   int64 `json:"created"`
	Updated   int64 `json:"updated"`
	Unchanged int64 `json:"unchanged"`
	Deleted   int64 `json:"deleted"`
	Failed    int64 `json:"failed"`
	DryRun    bool  `json:"dryRun"`
}

// RowError is what is wrong with one row; Err.Pos.Line is its line.
type RowError struct {
	Key string
	Err *model.Error
}

// Bulk is the outcome of a bulk call. Refused means that the mode is atomic and a row failed: nothing was stored.
type Bulk struct {
	Report   BulkReport
	Errors   []RowError
	Refused  bool
	Revision model.Revision
}

// importer puts the rows of one body into one catalogue.
type importer[R any] struct {
	schema  bulk.Schema[R]
	options bulk.Options
	rows    bulk.Reader
	report  BulkReport
	errors  []RowError

	seen  map[keyHash]struct{}
	seeds [2]maphash.Seed
	done  bool // the body is read to its end
	fresh bool // the catalogue was empty when the transaction began
}

// keyHash stands for a key: 128 bits under random seeds, so that a million keys take little memory and nobody can choose
// two with one hash.
type keyHash [2]uint64

func newImporter[R any](s bulk.Schema[R], o bulk.Options, rows bulk.Reader) *importer[R] {
	return &importer[R]{
		schema: s, options: o, rows: rows, seen: map[keyHash]struct{}{},
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
	}
}

func (im *importer[R]) hash(key string) keyHash {
	return keyHash{maphash.String(im.seeds[0], key), maphash.String(im.seeds[1], key)}
}

// run stores up to limit good rows (0 = all). Without write the rows are only checked.
func (im *importer[R]) run(records store.Records[R], limit int, write bool) error {
	im.fresh = false
	if len(im.seen) == 0 { // the first transaction; before the next one others may write
		n, err := records.Count()
		if err != nil {
			return err
		}
		im.fresh = n == 0
	}
	for stored := 0; limit == 0 || stored < limit; {
		r, err := im.rows.Next()
		if err == io.EOF {
			im.done = true
			return nil
		}
		im.report.Received++
		if im.report.Received > maxBulkRows {
			return model.LimitExceeded("rows", im.report.Received, maxBulkRows)
		}
		if err == nil {
			err = im.store(records, r, write)
		}
		var f *bulk.Fault
		if errors.As(err, &f) {
			im.fail(f)
		} else if err != nil {
			return err
		} else {
			stored++
		}
	}
	return nil
}

func (im *importer[R]) fail(f *bulk.Fault) {
	im.report.Failed++
	if len(im.errors) < maxBulkErrors {
		im.errors = append(im.errors, RowError{Key: f.Key, Err: f.Err})
	}
}

// store checks and stores one row.
func (im *importer[R]) store(records store.Records[R], r *bulk.Row, write bool) error {
	h := im.hash(r.Key)
	_, again := im.seen[h]
	if again && im.options.Duplicates != bulk.DuplicatesLast {
		if im.options.Duplicates == bulk.DuplicatesRows {
			return r.Fault(model.Invalidf("the lines of one identity must stand together"))
		}
		return r.Fault(model.Invalidf("%q stands more than once in the body", r.Key))
	}
	im.seen[h] = struct{}{}
	if r.Remove {
		return im.delete(records, r, write)
	}
	var before *R
	if (!im.fresh || again) && (im.options.Merge || im.schema.NeedsBefore()) {
		found, err := records.Find(r.Key)
		if err == nil {
			before = &found
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	record, problem := im.schema.Apply(r, before, im.options.Merge)
	if problem != nil {
		return r.Fault(problem)
	}
	if !write {
		return nil
	}
	result, err := records.Put(record)
	im.count(result, err)
	return err
}

func (im *importer[R]) delete(records store.Records[R], r *bulk.Row, write bool) error {
	if !write {
		return nil
	}
	result, err := records.Delete(r.Key)
	im.count(result, err)
	return err
}

func (im *importer[R]) count(result Result, err error) {
	if err != nil {
		return
	}
	switch result {
	case Created:
		im.report.Created++
	case Updated:
		im.report.Updated++
	case Deleted:
		im.report.Deleted++
	default:
		im.report.Unchanged++
	}
}

// prune deletes the records whose keys the body lacks. Keys are gathered in batches, so that nothing is deleted under
// the iterator.
func (im *importer[R]) prune(records store.Records[R]) error {
	position := int64(0)
	for {
		var gone []string
		more := false
		for p, err := range records.After(position) {
			if err != nil {
				return err
			}
			position = p.Position
			if key := im.schema.KeyOf(&p.Record); !im.has(key) {
				gone = append(gone, key)
			}
			if len(gone) == maxBatch {
				more = true
				break
			}
		}
		for _, key := range gone {
			if _, err := records.Delete(key); err != nil {
				return err
			}
			im.report.Deleted++
		}
		if !more {
			return nil
		}
	}
}

func (im *importer[R]) has(key string) bool {
	_, ok := im.seen[im.hash(key)]
	return ok
}

// errRefused undoes an atomic call; its report is the answer.
var errRefused = errors.New("a row of an atomic call failed")

// target opens the catalogue of a bulk call inside its transaction, checking that it exists.
type target[R any] func(tx *store.Tx) (bulk.Schema[R], store.Records[R], error)

// importBody runs a whole bulk call on one catalogue.
func importBody[R any](ctx context.Context, s *Service, call Call, env model.EnvironmentID, o bulk.Options, body io.Reader,
	resource, template string, open target[R],
) (Bulk, error) {
	if o.Prune && o.Partial {
		return Bulk{}, model.InvalidParameter("prune", "needs mode=atomic")
	}
	limit := 0
	if o.Partial && !call.DryRun {
		limit = maxBatch
	}
	var im *importer[R]
	var out Bulk
	for im == nil || !im.done {
		var before BulkReport
		revision, err := s.update(ctx, &call, env, func(w *writer) error {
			schema, records, err := open(w.Tx)
			if err != nil {
				return err
			}
			if im == nil {
				rows, err := bulk.NewReader(o, schema, body)
				if err != nil {
					return err
				}
				im = newImporter(schema, o, rows)
			}
			before = im.report
			im.schema = schema
			if err := im.run(records, limit, true); err != nil {
				return err
			}
			if im.report.Failed > 0 && !o.Partial {
				out.Refused = true
				return errRefused
			}
			if o.Prune {
				if err := im.prune(records); err != nil {
					return err
				}
			}
			return w.bulkEvent(resource, template, before, im.report)
		})
		if err != nil && !errors.Is(err, errRefused) {
			return Bulk{}, err
		}
		out.Revision = revision
	}
	out.Report, out.Errors = im.report, im.errors
	out.Report.DryRun = call.DryRun
	if out.Refused {
		var err error
		if out.Revision, err = s.Revision(ctx, env); err != nil {
			return Bulk{}, err
		}
	}
	return out, nil
}

// bulkEvent records what one commit of a bulk call did, if anything.
func (w *writer) bulkEvent(resource, template string, before, after BulkReport) error {
	counts := struct {
		Created int64 `json:"created"`
		Updated int64 `json:"updated"`
		Deleted int64 `json:"deleted"`
	}{after.Created - before.Created, after.Updated - before.Updated, after.Deleted - before.Deleted}
	if counts.Created+counts.Updated+counts.Deleted == 0 {
		return nil
	}
	return w.event(model.ChangeEvent{
		Action: model.EventUpdate, ResourceType: resource, ResourceID: template,
		ResourceName: template, After: string(form.Encode(counts)),
	})
}
