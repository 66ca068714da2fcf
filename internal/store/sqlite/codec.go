package sqlite

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"math/bits"
	"slices"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// The form of records and changes: counts as variable-length integers, texts as their length and their bytes. The
// bodies of records begin with the number of the form, so that a later one can be told apart.
const recordForm = 1

var errDamaged = errors.New("stored bytes are damaged")

func appendCount(b []byte, n int) []byte { return binary.AppendUvarint(b, uint64(n)) } //nolint:gosec // never negative

func appendText(b []byte, s string) []byte {
	return append(appendCount(b, len(s)), s...)
}

// appendAttributes writes the attributes in order of their ids: equal ones as equal bytes. Nil is 0, else 1 + length.
func appendAttributes(b []byte, a model.Attributes, ids []model.AttributeID) ([]byte, []model.AttributeID) {
	if a == nil {
		return append(b, 0), ids
	}
	ids = ids[:0]
	for id := range a {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	b = appendCount(b, len(ids)+1)
	for _, id := range ids {
		b = appendText(b, string(id))
		values := a[id]
		if values == nil {
			b = append(b, 0)
			continue
		}
		b = appendCount(b, len(values)+1)
		for _, v := range values {
			b = appendText(b, v)
		}
	}
	return b, ids
}

// decoder reads what the append functions wrote. After damage every read gives zero values, and end tells. Texts of up
// to maxShared bytes that came by lately are given out again instead of copied: catalogues repeat themselves.
type decoder struct {
	rest    []byte
	damaged bool
	seed    maphash.Seed
	recent  []string // by hash; length is a power of two
}

const (
	maxShared = 64
	maxRecent = 1 << 13
)

// newDecoder makes a decoder that remembers texts as befits the reading of so many records.
func newDecoder(records int64) *decoder {
	size := 1 << bits.Len64(uint64(min(records, maxRecent-1))) //nolint:gosec // never negative
	return &decoder{seed: maphash.MakeSeed(), recent: make([]string, size)}
}

func (d *decoder) reset(b []byte) { d.rest, d.damaged = b, false }

// end is the error of everything read since reset.
func (d *decoder) end() error {
	if d.damaged || len(d.rest) > 0 {
		return errDamaged
	}
	return nil
}

func (d *decoder) fail() {
	d.rest, d.damaged = nil, true
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail()
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) number() uint64 {
	if len(d.rest) > 0 && d.rest[0] < 0x80 {
		n := uint64(d.rest[0])
		d.rest = d.rest[1:]
		return n
	}
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

// count reads the number of things that follow; each takes at least a byte, which bounds what damage can allocate.
func (d *decoder) count() int {
	n := d.number()
	if n > uint64(len(d.rest)) {
		d.fail()
		return 0
	}
	return int(n) //nolint:gosec // bounded
}

// list reads a length that tells nil (-1) from empty.
func (d *decoder) list() int {
	n := d.number()
	if n > uint64(len(d.rest))+1 {
		d.fail()
		return -1
	}
	return int(n) - 1 //nolint:gosec // bounded
}

func (d *decoder) text() string {
	n := d.count()
	raw := d.rest[:n]
	d.rest = d.rest[n:]
	if n == 0 || n > maxShared {
		return string(raw)
	}
	slot := &d.recent[maphash.Bytes(d.seed, raw)&uint64(len(d.recent)-1)]
	if *slot != string(raw) {
		*slot = string(raw)
	}
	return *slot
}

func (d *decoder) attributes() model.Attributes {
	n := d.list()
	if n < 0 {
		return nil
	}
	a := make(model.Attributes, n)
	// One array for all lists of one text, which most are.
	singles := make([]string, 0, n)
	for range n {
		id := model.AttributeID(d.text())
		length := d.list()
		switch {
		case length < 0:
			a[id] = nil
		case length == 1:
			singles = append(singles, d.text())
			a[id] = singles[len(singles)-1 : len(singles) : len(singles)]
		default:
			values := make([]string, length)
			for i := range values {
				values[i] = d.text()
			}
			a[id] = values
		}
	}
	return a
}

// form is how the records of a kind are stored: the key in a column, the rest as bytes. encode appends to the bytes and
// uses ids as scratch space, both of which it returns.
type form[R any] struct {
	kind   store.CollectionName
	key    func(*R) string
	encode func(b []byte, r *R, ids []model.AttributeID) ([]byte, []model.AttributeID)
	decode func(d *decoder, key string, r *R)
}

func assetForm() form[model.Asset] {
	return form[model.Asset]{
		kind: store.Assets, encode: encodeAsset, decode: decodeAsset,
		key: func(a *model.Asset) string { return a.Path },
	}
}

func identityForm() form[model.Identity] {
	return form[model.Identity]{
		kind: store.Identities, encode: encodeIdentity, decode: decodeIdentity,
		key: func(i *model.Identity) string { return i.EntityID },
	}
}

func encodeAsset(b []byte, a *model.Asset, ids []model.AttributeID) ([]byte, []model.AttributeID) {
	return appendAttributes(appendText(append(b, recordForm), a.Name), a.Attributes, ids)
}

func decodeAsset(d *decoder, key string, a *model.Asset) {
	if d.byte() != recordForm {
		d.fail()
		return
	}
	*a = model.Asset{Path: key, Name: d.text(), Attributes: d.attributes()}
}

func encodeIdentity(b []byte, i *model.Identity, ids []model.AttributeID) ([]byte, []model.AttributeID) {
	inactive := byte(0)
	if i.Inactive {
		inactive = 1
	}
	b, ids = appendAttributes(append(b, recordForm, inactive), i.Attributes, ids)
	if i.Rows == nil {
		return append(b, 0), ids
	}
	b = appendCount(b, len(i.Rows)+1)
	for _, row := range i.Rows {
		b, ids = appendAttributes(b, row, ids)
	}
	return b, ids
}

func decodeIdentity(d *decoder, key string, i *model.Identity) {
	if d.byte() != recordForm {
		d.fail()
		return
	}
	*i = model.Identity{EntityID: key, Inactive: d.byte() != 0, Attributes: d.attributes()}
	if n := d.list(); n >= 0 {
		i.Rows = make([]model.Attributes, n)
		for j := range i.Rows {
			i.Rows[j] = d.attributes()
		}
	}
}
