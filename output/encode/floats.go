package encode

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"unsafe"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/penstock/penstock/internal/change"
)

func newFloat32(s *site) encoder {
	return &fixed[float32]{
		site: s,
		binary: func(b []byte) (float32, verdict) {
			if len(b) != 4 {
				return 0, malformed
			}
			return math.Float32frombits(binary.BigEndian.Uint32(b)), exact
		},
		text:  readFloat32,
		run:   runFloat4[float32],
		input: func(v []float32) proto.ColInput { return proto.ColFloat32(v) },
	}
}

// newFloat64 stores float8, float4, numeric, and integers of up to 32 bits. A float4 keeps its value, which
// prints with more digits; a numeric is rounded to the nearest float, by the
// user's choice.
func newFloat64(s *site) encoder {
	f := &fixed[float64]{
		site:  s,
		text:  readFloat64,
		input: func(v []float64) proto.ColInput { return proto.ColFloat64(v) },
	}
	switch s.kind {
	case famFloat4:
		f.run = runFloat4[float64]
		f.text = func(b []byte) (float64, verdict) {
			v, why := readFloat32(b)
			return float64(v), why
		}
		f.binary = func(b []byte) (float64, verdict) {
			if len(b) != 4 {
				return 0, malformed
			}
			return float64(math.Float32frombits(binary.BigEndian.Uint32(b))), exact
		}
	case famNumeric:
		f.binary = numericToFloat64(s)
	case famInt2, famInt4, famOID:
		f.binary = func(b []byte) (float64, verdict) {
			magnitude, negative, ok := readInteger(s.kind, b)
			switch {
			case !ok:
				return 0, malformed
			case negative:
				return -float64(magnitude), exact
			}
			return float64(magnitude), exact
		}
	default:
		f.run = runFloat8
		f.binary = func(b []byte) (float64, verdict) {
			if len(b) != 8 {
				return 0, malformed
			}
			return math.Float64frombits(binary.BigEndian.Uint64(b)), exact
		}
	}
	return f
}

func runFloat4[T float32 | float64](dst []T, data []byte, cells []change.Cell) int {
	for i := range cells {
		if c := &cells[i]; c.Kind == change.Binary && c.Length == 4 {
			dst[i] = T(math.Float32frombits(binary.BigEndian.Uint32(data[c.Offset:])))
			continue
		}
		return i
	}
	return len(cells)
}

func runFloat8(dst []float64, data []byte, cells []change.Cell) int {
	for i := range cells {
		if c := &cells[i]; c.Kind == change.Binary && c.Length == 8 {
			dst[i] = math.Float64frombits(binary.BigEndian.Uint64(data[c.Offset:]))
			continue
		}
		return i
	}
	return len(cells)
}

// readFloat32 reads what PostgreSQL prints at extra_float_digits=3: the shortest
// text that reads back as the same value.
func readFloat32(b []byte) (float32, verdict) {
	v, why := parseFloat(b, 32)
	return float32(v), why
}

func readFloat64(b []byte) (float64, verdict) { return parseFloat(b, 64) }

func parseFloat(b []byte, bits int) (float64, verdict) {
	// The string is read during the call only, so that it may share b's memory.
	v, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(b), len(b)), bits)
	switch {
	case err == nil:
		return v, exact
	case errors.Is(err, strconv.ErrRange):
		// A number that PostgreSQL itself would refuse for the type.
		limit := math.MaxFloat64
		if bits == 32 {
			limit = math.MaxFloat32
		}
		if v < 0 {
			return -limit, belowRange
		}
		return limit, aboveRange
	}
	return 0, malformed
}

// numericToFloat64 prints the numeric and reads that, which rounds once.
func numericToFloat64(s *site) func([]byte) (float64, verdict) {
	var scratch []byte
	return func(b []byte) (float64, verdict) {
		text, err := appendText(scratch[:0], s.source, s.typeMod, b)
		if err != nil {
			return 0, malformed
		}
		scratch = text
		return parseFloat(text, 64)
	}
}
