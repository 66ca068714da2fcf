package engine

import (
	"iter"

	"github.com/ambit-authz/ambit/internal/engine/index"
	"github.com/ambit-authz/ambit/internal/model"
)

// Access is an answer: entries with their actions. It holds ordinals and small numbers; entries are made while they are
// iterated.
type Access struct {
	runs []run
	sets []ActionSet
	size int
}

// ActionSet is a list of granted actions in the order of the asset type; entries share it.
type ActionSet []Granted

// Granted is an action and, when the selection asked for them, the policies that grant it, by id.
type Granted struct {
	Action   model.Action
	Policies []PolicyRef
}

// PolicyRef names a policy in an answer.
type PolicyRef struct {
	ID   model.PolicyID
	Name string
}

// run is a sequence of entries of one type: stored assets by ordinal with their action sets, or one described asset.
type run struct {
	asset     *assetType
	ordinals  []index.Ordinal
	sets      []uint32
	sent      model.Attributes // values of the request that replace those of every asset of the run
	described *model.Asset
	set       int
	shared    bool // its slices may be those of another run: nothing is added to it
}

// Entry is one asset of an answer. Actions indexes Access.ActionSets. The entries of one iteration read ahead for each other: they
// are for one goroutine, while an Access may be iterated by many.
type Entry struct {
	Actions   int
	asset     *assetType
	record    index.Record
	described *model.Asset
	among     *neighbours
}

// neighbours are the records of entries that follow each other; nil = the entry has none.
type neighbours struct {
	records []index.Record
	fetched bool
}

// read makes the records of some ordinals the neighbours.
func (n *neighbours) read(t *index.Table, ordinals []index.Ordinal) {
	n.fetched, n.records = false, n.records[:0]
	for _, o := range ordinals {
		n.records = append(n.records, t.Record(o))
	}
}

// fetch brings all near when the first one is read.
func (n *neighbours) fetch() {
	if n != nil && !n.fetched {
		n.fetched = true
		index.Fetch(n.records)
	}
}

// Template is the asset's type.
func (e *Entry) Template() model.TemplateID { return e.asset.def.ID }

// Path is the asset's id, "" for a described asset without one.
func (e *Entry) Path() string {
	if e.described != nil {
		return e.described.Path
	}
	return e.record.Values(nil, 0)[0]
}

// Attributes decodes what the entry shows when it shows all attributes, the pseudo-attributes name and path included.
func (e *Entry) Attributes() model.Attributes {
	out := model.Attributes{}
	for _, id := range e.asset.order {
		if vs := e.shown(id); len(vs) > 0 {
			out[id] = vs
		}
	}
	return out
}

// Len is the number of entries.
func (a *Access) Len() int { return a.size }

// ActionSets are the distinct action lists of the answer.
func (a *Access) ActionSets() []ActionSet { return a.sets }

// Entries yields the entries by type id, then in the order of the catalogue, or of Selection.Assets (runtime-api.md
// 8.4).
func (a *Access) Entries() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		among := &neighbours{records: make([]index.Record, 0, min(a.size, index.Batch))}
		for i := range a.runs {
			r := &a.runs[i]
			if r.described != nil && !yield(Entry{Actions: r.set, asset: r.asset, described: r.described}) {
				return
			}
			for j := range r.ordinals {
				at := j % index.Batch
				if at == 0 {
					among.read(r.asset.table, r.ordinals[j:min(j+index.Batch, len(r.ordinals))])
				}
				e := Entry{Actions: int(r.sets[j]), asset: r.asset, record: among.records[at], among: among}
				if len(r.sent) > 0 {
					e.described = r.asset.replaced(e.record, r.sent)
				}
				if !yield(e) {
					return
				}
			}
		}
	}
}

// Behind yields the entries of stored assets of one type that come after an asset of the type in the order of the
// catalogue, and whether there is such an asset. The selection was of that type alone, and named no asset by its path.
func (a *Access) Behind(path string) (entries iter.Seq[Entry], ok bool) {
	if len(a.runs) == 0 {
		return func(func(Entry) bool) {}, true
	}
	rest := a.runs[0]
	o, ok := rest.asset.table.Find(path)
	if !ok {
		return nil, false
	}
	at := index.Seek(rest.ordinals, 0, o+1)
	rest.ordinals, rest.sets = rest.ordinals[at:], rest.sets[at:]
	return (&Access{runs: []run{rest}}).Entries(), true
}
