package encode

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"slices"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/penstock/penstock/internal/change"
)

// lowCardinality encodes LowCardinality(String) and
// LowCardinality(Nullable(String)): a dictionary of the block's distinct values,
// and for each row its number there.
type lowCardinality struct {
	*site
	form       textForm
	dictionary dictionary
	keys       []uint32

	markedEntries, markedKeys int
}

func newLowCardinality(s *site) encoder {
	l := &lowCardinality{site: s, form: textForm{site: s}}
	l.dictionary.seed = maphash.MakeSeed()
	l.reset()
	return l
}

// keyOfNull is the dictionary's first entry in a Nullable column: ClickHouse
// reads that number as NULL and ignores the entry.
const keyOfNull = 0

func (l *lowCardinality) append(data []byte, cells []change.Cell) error {
	first := len(l.keys)
	l.keys = slices.Grow(l.keys, len(cells))[:first+len(cells)]
	keys := l.keys[first:]
	plain := l.form.plain()
	for i := range cells {
		cell := cells[i]
		if cell.Kind != change.Binary && cell.Kind != change.Text {
			if err := l.absent(i, cell.Kind); err != nil {
				return err
			}
			keys[i] = keyOfNull
			if !l.nullable {
				keys[i] = l.dictionary.number(nil)
			}
			continue
		}
		if plain {
			keys[i] = l.dictionary.number(cell.Bytes(data))
			continue
		}
		value, err := l.form.bytes(i, cell, data)
		if err != nil {
			return err
		}
		keys[i] = l.dictionary.number(value)
	}
	return nil
}

func (l *lowCardinality) mark() {
	l.markedEntries, l.markedKeys = l.dictionary.size(), len(l.keys)
}

func (l *lowCardinality) rollback() {
	l.dictionary.truncate(l.markedEntries)
	l.keys = l.keys[:l.markedKeys]
}

func (l *lowCardinality) reset() {
	l.dictionary.truncate(0)
	l.keys = l.keys[:0]
	if l.nullable {
		l.dictionary.add(nil, 0)
	}
}

func (l *lowCardinality) size() int { return len(l.dictionary.buf) + 4*len(l.keys) }

// Type implements proto.ColInput.
func (l *lowCardinality) Type() proto.ColumnType { return proto.ColumnType(l.dest) }

// Rows implements proto.ColInput.
func (l *lowCardinality) Rows() int { return len(l.keys) }

// The head of the column in the native format: ClickHouse,
// src/DataTypes/Serializations/SerializationLowCardinality.cpp.
const (
	sharedDictionariesWithAdditionalKeys = 1

	hasAdditionalKeys    = 1 << 9
	needUpdateDictionary = 1 << 10
)

// EncodeState implements proto.StateEncoder.
func (l *lowCardinality) EncodeState(b *proto.Buffer) {
	b.PutInt64(sharedDictionariesWithAdditionalKeys)
}

// EncodeColumn implements proto.ColInput.
func (l *lowCardinality) EncodeColumn(b *proto.Buffer) {
	if len(l.keys) == 0 {
		return // no rows have no dictionary
	}
	width := l.keyWidth()
	b.PutInt64(hasAdditionalKeys | needUpdateDictionary | int64(width))
	b.PutInt64(int64(l.dictionary.size()))
	b.PutRaw(l.dictionary.buf)
	b.PutInt64(int64(len(l.keys)))
	switch width {
	case proto.KeyUInt8:
		b.Buf = slices.Grow(b.Buf, len(l.keys))
		for _, k := range l.keys {
			b.Buf = append(b.Buf, byte(k))
		}
	case proto.KeyUInt16:
		b.Buf = slices.Grow(b.Buf, 2*len(l.keys))
		for _, k := range l.keys {
			b.Buf = binary.LittleEndian.AppendUint16(b.Buf, uint16(k))
		}
	default:
		proto.ColUInt32(l.keys).EncodeColumn(b)
	}
}

// keyWidth is the narrowest integer that numbers every entry.
func (l *lowCardinality) keyWidth() proto.CardinalityKey {
	switch n := l.dictionary.size(); {
	case n <= 1<<8:
		return proto.KeyUInt8
	case n <= 1<<16:
		return proto.KeyUInt16
	}
	return proto.KeyUInt32
}

// WriteColumn implements proto.ColInput.
func (l *lowCardinality) WriteColumn(w *proto.Writer) { w.ChainBuffer(l.EncodeColumn) }

// dictionary numbers distinct values in the order of their first appearance. It
// is a hash table with open addressing over entries that lie in one buffer,
// since a map would need a new string per distinct value and block.
type dictionary struct {
	seed maphash.Seed
	// table holds entry numbers plus one, 0 where free; its length is a power
	// of two and at least twice the number of entries.
	table   []uint32
	entries []entry
	buf     []byte // the entries as they go to the socket: varint length, bytes
}

type entry struct {
	hash       uint64
	start, end int // of the bytes in buf, without the length
}

func (d *dictionary) size() int { return len(d.entries) }

// number returns the entry's number, which it adds if it is new.
func (d *dictionary) number(value []byte) uint32 {
	hash := maphash.Bytes(d.seed, value)
	if len(d.table) > 0 {
		mask := uint64(len(d.table) - 1)
		for at := hash & mask; d.table[at] != 0; at = (at + 1) & mask {
			number := d.table[at] - 1
			e := &d.entries[number]
			if e.hash == hash && bytes.Equal(d.buf[e.start:e.end], value) {
				return number
			}
		}
	}
	return d.add(value, hash)
}

func (d *dictionary) add(value []byte, hash uint64) uint32 {
	d.buf = binary.AppendUvarint(d.buf, uint64(len(value)))
	start := len(d.buf)
	d.buf = append(d.buf, value...)
	d.entries = append(d.entries, entry{hash: hash, start: start, end: len(d.buf)})
	if len(d.entries)*2 > len(d.table) {
		d.table = make([]uint32, max(64, 2*len(d.table)))
		d.index(0)
	} else {
		d.index(len(d.entries) - 1)
	}
	return uint32(len(d.entries) - 1)
}

// index puts the entries from first on into the table.
func (d *dictionary) index(first int) {
	mask := uint64(len(d.table) - 1)
	for number := first; number < len(d.entries); number++ {
		at := d.entries[number].hash & mask
		for d.table[at] != 0 {
			at = (at + 1) & mask
		}
		d.table[at] = uint32(number + 1)
	}
}

// truncate keeps the first n entries.
func (d *dictionary) truncate(n int) {
	if n == len(d.entries) {
		return
	}
	d.entries, d.buf = d.entries[:n], d.buf[:0:cap(d.buf)]
	if n > 0 {
		d.buf = d.buf[:d.entries[n-1].end]
	}
	clear(d.table)
	d.index(0)
}
