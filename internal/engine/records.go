package engine

import (
	"encoding/binary"
	"errors"
	"iter"
	"maps"
	"slices"

	"github.com/ambit-authz/ambit/internal/engine/index"
	"github.com/ambit-authz/ambit/internal/model"
)

// assetType is an asset type with the index of its stored assets. Columns are path, the declared attributes and, last,
// the display name where it differs from the path. The blob of a row is its part of an answer, encoded (encode.go).
type assetType struct {
	def     model.AssetTemplate
	columns map[model.AttributeID]int
	// calculated are the attributes that are calculated; their columns are filled by row, whatever a record says of them.
	calculated calculations
	order      []model.AttributeID // of answers: declared ones, then name, then path
	tail       []byte              // ,"resourceType":"…","actions":
	// declaresName: an attribute of the type has the id of the pseudo-attribute name.
	declaresName bool
	table        *index.Table
}

// identityType is an identity template with the index of its directory. Columns are uid, the declared attributes
// (values of rows pooled) and, last, the marks on inactive identities and on those with rows. The blob of a row holds its rows, if it has any.
type identityType struct {
	def        model.IdentityTemplate
	columns    map[model.AttributeID]int
	calculated calculations
	table      *index.Table
}

// calculations are how the calculated attributes of a template get their values, by attribute. An attribute whose function
// is not offered is not among them: it has no column and no values, and no rule can be on it (policy-model.md 3.5).
type calculations map[model.AttributeID]*model.Calculation

// equal reports whether both give the same values to every record.
func (c calculations) equal(d calculations) bool {
	return maps.EqualFunc(c, d, func(a, b *model.Calculation) bool { return *a == *b })
}

// fill puts the calculated values of a record into its row, whose other columns are filled.
func (c calculations) fill(row [][]string, columns map[model.AttributeID]int) {
	for id, calculation := range c {
		row[columns[id]] = calculation.Values(row[columns[calculation.Argument]])
	}
}

// blank prepares a row for n columns in scratch, whose memory it uses again.
func blank(scratch *index.Row, n int) {
	if cap(scratch.Values) < n {
		scratch.Values = make([][]string, n)
	}
	scratch.Values = scratch.Values[:n]
	clear(scratch.Values)
	scratch.Blob = scratch.Blob[:0]
}

// follow makes the next table from a change of records. row makes the row of a record in scratch; it stays valid until
// the next call.
func follow[R any](t *index.Table, d Records[R], row func(r *R, scratch *index.Row) error) (*index.Table, error) {
	change := index.Change{Clear: d.Clear, Removed: d.Removed}
	if d.Put != nil {
		change.Put = func(yield func(index.Row, error) bool) {
			var scratch index.Row
			for r, err := range d.Put {
				if err == nil {
					err = row(&r, &scratch)
				}
				if !yield(scratch, err) || err != nil {
					return
				}
			}
		}
	}
	return t.Next(change)
}

// move takes the records of a table over to the empty one of a new definition; when the definition changes nothing that the
// records depend on, the old table serves on.
func move[R any](from, to *index.Table, sameTypes bool, decode func(index.Record) R, row func(r *R, scratch *index.Row) error) (*index.Table, error) {
	if sameTypes && slices.Equal(columnNames(from), columnNames(to)) {
		return from, nil
	}
	return follow(to, Records[R]{Put: decoded(from, decode)}, row)
}

func numberKey(text string) (string, bool) {
	n, ok := model.ParseNumber(text)
	if !ok {
		return "", false
	}
	return n.Key(), true
}

func column(name model.AttributeID, t model.AttributeType) index.Column {
	if t == model.Numeric {
		return index.Column{Name: string(name), Key: numberKey}
	}
	return index.Column{Name: string(name)}
}

func newAssetType(def model.AssetTemplate) *assetType {
	path, _ := def.Attribute(model.AttributePath)
	t := &assetType{def: def, columns: map[model.AttributeID]int{model.AttributePath: 0}, calculated: calculations{}}
	columns := []index.Column{column(path.ID, path.Type)}
	for _, a := range def.Attributes {
		calculation, err := def.Calculation(&a)
		if a.ID == model.AttributePath || err != nil {
			continue
		}
		if calculation != nil {
			t.calculated[a.ID] = calculation
		}
		t.columns[a.ID] = len(columns)
		columns = append(columns, column(a.ID, a.Type))
		if a.ID != model.AttributeName {
			t.order = append(t.order, a.ID)
		}
	}
	t.order = append(t.order, model.AttributeName, model.AttributePath)
	_, t.declaresName = t.columns[model.AttributeName]
	columns = append(columns, index.Column{Name: displayName})
	t.tail = appendText([]byte(`,"resourceType":`), string(def.ID))
	t.tail = append(t.tail, `,"actions":`...)
	t.table = index.New(columns)
	return t
}

// Names of the hidden last columns. They contain a control character, which no attribute id may.
const (
	displayName  = "\x00name"
	inactiveMark = "\x00inactive"
	rowsMark     = "\x00rows"
)

// isMarked is the value of a mark on an identity.
const isMarked = "1"

func (t *assetType) nameColumn() int { return len(t.table.Columns()) - 1 }

// row makes the index row of an asset.
func (t *assetType) row(a *model.Asset, scratch *index.Row) error {
	if a.Path == "" {
		return errors.New("engine: an asset without a path")
	}
	n := len(t.table.Columns())
	blank(scratch, n)
	for id, vs := range a.Attributes {
		if c := t.columns[id]; c > 0 {
			scratch.Values[c] = model.Distinct(vs)
		}
	}
	scratch.Values[0] = []string{a.Path}
	t.calculated.fill(scratch.Values, t.columns)
	if a.Name != "" && a.Name != a.Path {
		scratch.Values[n-1] = []string{a.Name}
	}
	scratch.Blob = t.appendStored(scratch.Blob, a)
	return nil
}

// assetValues are the values that an answer shows for an attribute, the pseudo-attributes included.
func (t *assetType) assetValues(a *model.Asset, id model.AttributeID) []string {
	_, declared := t.columns[id]
	calculation := t.calculated[id]
	switch {
	case id == model.AttributePath:
		return one(a.Path)
	case calculation != nil:
		return calculation.Values(given(a, calculation.Argument))
	case declared:
		return a.Attributes[id]
	case id == model.AttributeName && a.Name != "":
		return []string{a.Name}
	case id == model.AttributeName:
		return one(a.Path)
	}
	return nil
}

// one is a list of a text, empty for the empty text.
func one(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

// decode reads a record's key and its attributes, without calculated ones. Columns are those of the key and the attributes. All
// values are in one piece of memory.
func decode(columns []index.Column, calculated calculations, r index.Record) (key string, attributes model.Attributes) {
	attributes = make(model.Attributes, len(columns))
	all := r.Values(make([]string, 0, 2*len(columns)), 0)
	for c := 1; c < len(columns); c++ {
		id := model.AttributeID(columns[c].Name)
		if calculated[id] != nil {
			continue
		}
		start := len(all)
		if all = r.Values(all, c); len(all) > start {
			attributes[id] = all[start:len(all):len(all)]
		}
	}
	return all[0], attributes
}

// asset decodes a stored asset as it is stored: without calculated values.
func (t *assetType) asset(r index.Record) model.Asset {
	path, attributes := decode(t.table.Columns()[:len(t.columns)], t.calculated, r)
	a := model.Asset{Path: path, Attributes: attributes}
	if name := r.Values(nil, t.nameColumn()); len(name) > 0 {
		a.Name = name[0]
	}
	return a
}

// values reads one attribute of a stored asset.
func (t *assetType) values(r index.Record, id model.AttributeID) []string {
	if c, ok := t.columns[id]; ok {
		return r.Values(nil, c)
	}
	return nil
}

func (t *assetType) next(d Records[model.Asset]) (*assetType, error) {
	table, err := follow(t.table, d, t.row)
	if err != nil {
		return nil, err
	}
	out := *t
	out.table = table
	return &out, nil
}

// pathType is the type of the built-in path, which a definition may or may not declare.
func (t *assetType) pathType() model.AttributeType {
	path, _ := t.def.Attribute(model.AttributePath)
	return path.Type
}

// redefine moves the records to a new definition of the type.
func (t *assetType) redefine(def model.AssetTemplate) (out *assetType, err error) {
	out = newAssetType(def)
	same := t.calculated.equal(out.calculated) && t.pathType() == out.pathType() && !slices.ContainsFunc(def.Attributes, func(a model.AssetAttribute) bool {
		before, known := t.def.Attribute(a.ID)
		return !known || before.Type != a.Type
	})
	out.table, err = move(t.table, out.table, same, t.asset, out.row)
	return out, err
}

func columnNames(t *index.Table) []string {
	out := make([]string, 0, len(t.Columns()))
	for _, c := range t.Columns() {
		out = append(out, c.Name)
	}
	return out
}

func decoded[R any](t *index.Table, decode func(index.Record) R) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		for _, o := range t.All().Ordinals() {
			if !yield(decode(t.Record(o)), nil) {
				return
			}
		}
	}
}

func newIdentityType(def model.IdentityTemplate) *identityType {
	t := &identityType{def: def, columns: map[model.AttributeID]int{model.AttributeUID: 0}, calculated: calculations{}}
	columns := []index.Column{{Name: string(model.AttributeUID)}}
	for _, a := range def.Attributes {
		calculation, err := def.Calculation(&a)
		if a.ID == model.AttributeUID || err != nil {
			continue
		}
		if calculation != nil {
			t.calculated[a.ID] = calculation
		}
		t.columns[a.ID] = len(columns)
		columns = append(columns, column(a.ID, a.Type))
	}
	t.table = index.New(append(columns, index.Column{Name: rowsMark}, index.Column{Name: inactiveMark}))
	return t
}

// markColumns are the columns of the marks on identities with rows and on inactive ones.
func (t *identityType) markColumns() (rows, inactive int) {
	n := len(t.table.Columns())
	return n - 2, n - 1
}

// marked finds the identities with a mark.
func marked(column int) []index.Predicate {
	return []index.Predicate{{Column: column, Op: index.Equal, Operands: []string{isMarked}}}
}

// row makes the index row of an identity.
func (t *identityType) row(i *model.Identity, scratch *index.Row) error {
	blank(scratch, len(t.table.Columns()))
	for id, vs := range i.Pooled() {
		if c := t.columns[id]; c > 0 {
			scratch.Values[c] = model.Distinct(vs)
		}
	}
	scratch.Values[0] = []string{i.EntityID}
	t.calculated.fill(scratch.Values, t.columns)
	rows, inactive := t.markColumns()
	if len(i.Rows) > 0 {
		scratch.Values[rows] = []string{isMarked}
	}
	if i.Inactive {
		scratch.Values[inactive] = []string{isMarked}
	}
	scratch.Blob = t.appendRows(scratch.Blob, i.Rows)
	return nil
}

// appendRows encodes the rows of an identity: nothing when there are none; else for every row the number of its
// attributes, and for each its column, the number of its values and the values with their lengths.
func (t *identityType) appendRows(b []byte, rows []model.Attributes) []byte {
	for _, row := range rows {
		n := 0
		for id := range row {
			if t.stored(id) > 0 {
				n++
			}
		}
		b = binary.AppendUvarint(b, uint64(n))
		for id, vs := range row {
			c := t.stored(id)
			if c == 0 {
				continue
			}
			b = binary.AppendUvarint(b, uint64(c))
			b = binary.AppendUvarint(b, uint64(len(vs)))
			for _, v := range vs {
				b = binary.AppendUvarint(b, uint64(len(v)))
				b = append(b, v...)
			}
		}
	}
	return b
}

// stored is the column of an attribute with values of its own, 0 for any other.
func (t *identityType) stored(id model.AttributeID) int {
	if t.calculated[id] != nil {
		return 0
	}
	return t.columns[id]
}

func (t *identityType) rows(b []byte) []model.Attributes {
	number := func() int {
		n, size := binary.Uvarint(b)
		b = b[size:]
		return int(n)
	}
	var out []model.Attributes
	for len(b) > 0 {
		row := model.Attributes{}
		for range number() {
			id := model.AttributeID(t.table.Columns()[number()].Name)
			vs := make([]string, number())
			for i := range vs {
				n := number()
				vs[i] = string(b[:n])
				b = b[n:]
			}
			row[id] = vs
		}
		out = append(out, row)
	}
	return out
}

// identity decodes a stored identity as it is stored: without calculated values.
func (t *identityType) identity(r index.Record) model.Identity {
	uid, attributes := decode(t.table.Columns()[:len(t.columns)], t.calculated, r)
	_, inactive := t.markColumns()
	i := model.Identity{EntityID: uid, Inactive: r.Has(inactive), Attributes: attributes, Rows: t.rows(r.Blob())}
	for _, row := range i.Rows {
		for id := range row {
			delete(i.Attributes, id) // the index holds the pooled values
		}
	}
	return i
}

func (t *identityType) next(d Records[model.Identity]) (*identityType, error) {
	table, err := follow(t.table, d, t.row)
	if err != nil {
		return nil, err
	}
	out := *t
	out.table = table
	return &out, nil
}

// redefine moves the records to a new definition of the template.
func (t *identityType) redefine(def model.IdentityTemplate) (out *identityType, err error) {
	out = newIdentityType(def)
	same := t.calculated.equal(out.calculated) && !slices.ContainsFunc(def.Attributes, func(a model.IdentityAttribute) bool {
		before, known := t.def.Attribute(a.ID)
		return !known || before.Type != a.Type
	})
	out.table, err = move(t.table, out.table, same, t.identity, out.row)
	return out, err
}
