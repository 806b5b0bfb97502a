package encode

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/penstock/penstock/internal/change"
)

// vector encodes pgvector's vector and halfvec as Array(Float32).
type vector struct {
	*array
	floats *fixed[float32] // the elements
}

func newVector(s, element *site) encoder {
	floats := newFloat32(element).(*fixed[float32])
	return &vector{array: newArray(s, element, floats, 1), floats: floats}
}

// append hides the array's own.
func (v *vector) append(data []byte, cells []change.Cell) error {
	for i, cell := range cells {
		ok := true
		switch cell.Kind {
		case change.Binary:
			ok = v.appendBinary(cell.Bytes(data))
		case change.Text:
			ok = v.appendText(cell.Bytes(data))
		case change.Null:
			v.lose(i, nullArray)
		default:
			if err := v.absent(i, cell.Kind); err != nil {
				return err
			}
		}
		if !ok {
			return v.malformed(i, cell, data, nil)
		}
		v.levels[0] = append(v.levels[0], uint64(len(v.floats.values)))
	}
	return nil
}

// appendBinary reads Int16 number of elements, Int16 zero, then float4 or half
// precision elements; pgvector, vector_send and halfvec_send.
func (v *vector) appendBinary(b []byte) bool {
	size := 4
	if v.kind == famHalfvec {
		size = 2
	}
	if len(b) < 4 {
		return false
	}
	n := int(binary.BigEndian.Uint16(b))
	if b = b[4:]; len(b) != n*size {
		return false
	}
	values := slices.Grow(v.floats.values, n)
	for ; len(b) > 0; b = b[size:] {
		if size == 2 {
			values = append(values, halfPrecision(binary.BigEndian.Uint16(b)))
		} else {
			values = append(values, math.Float32frombits(binary.BigEndian.Uint32(b)))
		}
	}
	v.floats.values = values
	return true
}

// appendText reads [1,2.5,3].
func (v *vector) appendText(b []byte) bool {
	if len(b) < 2 || b[0] != '[' || b[len(b)-1] != ']' {
		return false
	}
	b = b[1 : len(b)-1]
	for len(b) > 0 {
		end := slices.Index(b, ',')
		if end < 0 {
			end = len(b)
		} else if end == len(b)-1 {
			return false
		}
		f, why := readFloat32(b[:end])
		if why != exact {
			return false
		}
		v.floats.values = append(v.floats.values, f)
		b = b[min(end+1, len(b)):]
	}
	return true
}

// halfPrecision reads an IEEE 754 binary16.
func halfPrecision(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10)&0x1F, uint32(h)&0x3FF
	switch exponent {
	case 0x1F: // infinity and NaN
		return math.Float32frombits(sign | 0xFF<<23 | fraction<<13)
	case 0: // zero, and numbers too small for an implicit leading one
		f := float32(fraction) / (1 << 24)
		return math.Float32frombits(sign | math.Float32bits(f))
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}
