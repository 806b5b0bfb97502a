package pgvalue

import (
	"encoding/binary"
	"fmt"
	"math"
)

// vectorElements checks the binary format of pgvector's vector and halfvec:
// Int16 number of dimensions, Int16 0, then the elements as float4 or as half
// precision floats.
func vectorElements(f family, value []byte) (elements []byte, size int, err error) {
	size = 4
	if f == halfvec {
		size = 2
	}
	if len(value) < 4 {
		return nil, 0, sized(value, 4)
	}
	n := int(binary.BigEndian.Uint16(value))
	if err := sized(value[4:], n*size); err != nil || n == 0 {
		return nil, 0, fmt.Errorf("%w: vector of %d dimensions in %d bytes", ErrMalformed, n, len(value))
	}
	return value[4:], size, nil
}

func vectorElement(element []byte) float64 {
	if len(element) == 2 {
		return halfPrecision(binary.BigEndian.Uint16(element))
	}
	return float64(math.Float32frombits(binary.BigEndian.Uint32(element)))
}

// appendVector prints [1,2,3], as pgvector does.
func appendVector(dst []byte, f family, value []byte) ([]byte, error) {
	elements, size, err := vectorElements(f, value)
	if err != nil {
		return dst, err
	}
	dst = append(dst, '[')
	for at := 0; at < len(elements); at += size {
		if at > 0 {
			dst = append(dst, ',')
		}
		dst = appendFloat(dst, vectorElement(elements[at:at+size]), 32)
	}
	return append(dst, ']'), nil
}

// halfPrecision reads an IEEE 754 binary16.
func halfPrecision(b uint16) float64 {
	fraction, exponent := float64(b&0x3FF), int(b>>10&0x1F)
	var v float64
	switch exponent {
	case 0:
		v = math.Ldexp(fraction, -24)
	case 0x1F:
		if fraction != 0 {
			return math.NaN()
		}
		v = math.Inf(1)
	default:
		v = math.Ldexp(fraction+1024, exponent-25)
	}
	if b&0x8000 != 0 {
		return -v
	}
	return v
}
