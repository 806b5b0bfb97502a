package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// buckets is the number of groups that keys fall into. With as many, the second
// look at a table of a billion rows compares some ten thousand rows a bucket.
const buckets = 1 << 16

// checksum is what a table is reduced to.
type checksum struct {
	rows, sum uint64
	buckets   [buckets]bucket
}

type bucket struct{ rows, sum uint64 }

// add takes one row: its key, and the whole row including the key, both in
// canonical form.
func (c *checksum) add(key, row []byte) {
	hash := xxhash.Sum64(row)
	c.rows++
	c.sum += hash
	b := &c.buckets[bucketOf(key)]
	b.rows++
	b.sum += hash
}

func bucketOf(key []byte) uint16 { return uint16(xxhash.Sum64(key)) }

// differing returns up to limit buckets that are not the same.
func (c *checksum) differing(other *checksum, limit int) []uint16 {
	var differing []uint16
	for i := range c.buckets {
		if c.buckets[i] != other.buckets[i] {
			differing = append(differing, uint16(i))
			if len(differing) == limit {
				break
			}
		}
	}
	return differing
}

// sample holds the rows of some buckets.
type sample struct {
	wanted map[uint16]bool
	rows   map[string]*sampledRow // by key
}

type sampledRow struct {
	row   []byte
	times int
}

func newSample(wanted []uint16) *sample {
	s := &sample{wanted: map[uint16]bool{}, rows: map[string]*sampledRow{}}
	for _, b := range wanted {
		s.wanted[b] = true
	}
	return s
}

func (s *sample) add(key, row []byte) {
	if !s.wanted[bucketOf(key)] {
		return
	}
	if known, ok := s.rows[string(key)]; ok {
		known.times++
		return
	}
	s.rows[string(key)] = &sampledRow{row: slices.Clone(row), times: 1}
}

// differences compares two samples row by row, and stops behind limit keys.
func (t *table) differences(source, destination *sample, limit int) []Difference {
	keys := make([]string, 0, len(source.rows))
	for key := range source.rows {
		keys = append(keys, key)
	}
	for key := range destination.rows {
		if source.rows[key] == nil {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	var differences []Difference
	for _, key := range keys {
		found := t.rowDifferences(key, source.rows[key], destination.rows[key])
		if len(found) > 0 {
			differences = append(differences, found...)
			if limit--; limit == 0 {
				break
			}
		}
	}
	return differences
}

func (t *table) rowDifferences(key string, source, destination *sampledRow) []Difference {
	name := t.printKey(key)
	if source.count() != destination.count() {
		return []Difference{{Key: name, Source: source.presence(), Destination: destination.presence()}}
	}
	var differences []Difference
	a, b := source.row, destination.row
	for _, c := range t.columns {
		var x, y []byte
		x, a = nextCell(a)
		y, b = nextCell(b)
		if string(x) != string(y) {
			differences = append(differences, Difference{
				Key: name, Column: c.name, Source: c.form.print(x), Destination: c.form.print(y),
			})
		}
	}
	return differences
}

func (r *sampledRow) count() int {
	if r == nil {
		return 0
	}
	return r.times
}

func (r *sampledRow) presence() string {
	switch n := r.count(); n {
	case 0:
		return "missing"
	case 1:
		return "present"
	default:
		return fmt.Sprintf("present %d times", n)
	}
}

func (t *table) printKey(key string) string {
	rest := []byte(key)
	parts := make([]string, len(t.key))
	for i, c := range t.key {
		var cell []byte
		cell, rest = nextCell(rest)
		parts[i] = t.columns[c].name + "=" + t.columns[c].form.print(cell)
	}
	return strings.Join(parts, ",")
}
