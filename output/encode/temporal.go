package encode

import (
	"encoding/binary"
	"math"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/penstock/penstock/internal/change"
)

// PostgreSQL counts dates and times from 2000-01-01, ClickHouse from 1970-01-01.
const (
	epochDays    = 10957
	epochSeconds = epochDays * secondsPerDay
	epochMicros  = epochSeconds * 1e6

	secondsPerDay = 86400
)

// The ranges of ClickHouse's types (docs, "Data types"), in days since 1970 and
// in seconds since 1970.
const (
	date32Min = -25567 // 1900-01-01
	date32Max = 120529 // 2299-12-31
	dateMax   = math.MaxUint16

	dateTime64Min = date32Min * secondsPerDay
	dateTime64Max = date32Max*secondsPerDay + secondsPerDay - 1
)

// newDate stores date in Date32 (days as Int32) or Date (UInt16).
func newDate[T int32 | uint16](s *site, least, most int64, input func([]T) proto.ColInput) encoder {
	place := func(days int64) (T, verdict) {
		switch {
		case days < least:
			return T(least), belowRange
		case days > most:
			return T(most), aboveRange
		}
		return T(days), exact
	}
	return &fixed[T]{
		site:    s,
		missing: T(least), // Date32's default is 1900-01-01
		binary: func(b []byte) (T, verdict) {
			if len(b) != 4 {
				return 0, malformed
			}
			switch days := int32(binary.BigEndian.Uint32(b)); days {
			case math.MaxInt32:
				return T(most), infinite
			case math.MinInt32:
				return T(least), infinite
			default:
				return place(int64(days) + epochDays)
			}
		},
		text: func(b []byte) (T, verdict) {
			t, ok := parseTimestamp(b)
			switch {
			case !ok:
				return 0, malformed
			case t.infinity > 0:
				return T(most), infinite
			case t.infinity < 0:
				return T(least), infinite
			}
			// A mapping may give a date as midnight; another time of day would be lost.
			days := t.seconds / secondsPerDay
			if t.seconds%secondsPerDay < 0 {
				days--
			}
			v, why := place(days)
			if why == exact && (t.seconds != days*secondsPerDay || t.micros != 0) {
				why = rounded
			}
			return v, why
		},
		run: func(dst []T, data []byte, cells []change.Cell) int {
			for i := range cells {
				c := &cells[i]
				if c.Kind != change.Binary || c.Length != 4 {
					return i
				}
				days := int64(int32(binary.BigEndian.Uint32(data[c.Offset:]))) + epochDays
				if days < least || days > most {
					return i
				}
				dst[i] = T(days)
			}
			return len(cells)
		},
		input: input,
	}
}

// dateTime64 stores timestamp and timestamptz in DateTime64(precision): an Int64
// of ticks of 10^-precision seconds since 1970 in UTC. A timestamp without time
// zone is read as a wall clock in UTC.
type dateTime64 struct {
	multiply, divide int64 // from microseconds to ticks; one of them is 1
	least, most      int64 // in microseconds since 1970
}

func newDateTime64(s *site, precision int) encoder {
	d := &dateTime64{multiply: 1, divide: 1, least: dateTime64Min * 1e6, most: dateTime64Max*1e6 + 999999}
	for p := precision; p > 6; p-- {
		d.multiply *= 10
	}
	for p := precision; p < 6; p++ {
		d.divide *= 10
	}
	if precision == 9 {
		d.most = math.MaxInt64 / 1000
	}
	d.most -= d.most % d.divide
	f := &fixed[int64]{
		site: s, binary: d.readBinary, text: d.readText,
		input: func(v []int64) proto.ColInput { return proto.ColInt64(v) },
	}
	if d.divide == 1 {
		f.run = d.run
	}
	return f
}

func (d *dateTime64) run(dst []int64, data []byte, cells []change.Cell) int {
	least, most, multiply := d.least-epochMicros, d.most-epochMicros, d.multiply
	for i := range cells {
		c := &cells[i]
		if c.Kind != change.Binary || c.Length != 8 {
			return i
		}
		micros := int64(binary.BigEndian.Uint64(data[c.Offset:]))
		if micros < least || micros > most {
			return i
		}
		dst[i] = (micros + epochMicros) * multiply
	}
	return len(cells)
}

func (d *dateTime64) readBinary(b []byte) (int64, verdict) {
	if len(b) != 8 {
		return 0, malformed
	}
	micros := int64(binary.BigEndian.Uint64(b))
	switch {
	case micros == math.MaxInt64:
		return d.ticks(d.most), infinite
	case micros == math.MinInt64:
		return d.ticks(d.least), infinite
	case micros < d.least-epochMicros:
		return d.ticks(d.least), belowRange
	case micros > d.most-epochMicros:
		return d.ticks(d.most), aboveRange
	}
	return d.place(micros + epochMicros)
}

func (d *dateTime64) readText(b []byte) (int64, verdict) {
	t, ok := parseTimestamp(b)
	switch {
	case !ok:
		return 0, malformed
	case t.infinity > 0:
		return d.ticks(d.most), infinite
	case t.infinity < 0:
		return d.ticks(d.least), infinite
	case t.seconds < dateTime64Min:
		return d.ticks(d.least), belowRange
	case t.seconds > dateTime64Max:
		return d.ticks(d.most), aboveRange
	}
	return d.place(t.seconds*1e6 + int64(t.micros))
}

// place takes microseconds since 1970 that are near enough not to overflow.
func (d *dateTime64) place(micros int64) (int64, verdict) {
	switch {
	case micros > d.most && d.divide == 1:
		return d.ticks(d.most), aboveRange
	case micros%d.divide != 0:
		return d.ticks(micros), rounded
	}
	return d.ticks(micros), exact
}

// ticks converts microseconds since 1970, towards the past where the type is
// coarser.
func (d *dateTime64) ticks(micros int64) int64 {
	ticks := micros / d.divide
	if micros%d.divide < 0 {
		ticks--
	}
	return ticks * d.multiply
}

// newTime64 stores time in Time64(precision), which holds 24:00:00 too.
func newTime64(s *site, precision int) encoder {
	multiply := int64(1)
	for p := precision; p > 6; p-- {
		multiply *= 10
	}
	return &fixed[int64]{
		site: s,
		binary: func(b []byte) (int64, verdict) {
			if len(b) != 8 {
				return 0, malformed
			}
			micros := int64(binary.BigEndian.Uint64(b))
			if micros < 0 || micros > secondsPerDay*1e6 {
				return 0, malformed
			}
			return micros * multiply, exact
		},
		text: func(b []byte) (int64, verdict) {
			c := clock{rest: b}
			seconds, micros := c.timeOfDay()
			if !c.ok() || len(c.rest) > 0 {
				return 0, malformed
			}
			return (seconds*1e6 + int64(micros)) * multiply, exact
		},
		input: func(v []int64) proto.ColInput { return proto.ColInt64(v) },
	}
}
