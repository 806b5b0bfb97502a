package pgvalue

import (
	"fmt"
	"math"
	"strconv"

	"github.com/penstock/penstock/internal/change"
)

// maxDims is MAXDIM of the server.
const maxDims = 6

// ArrayReader reads the elements of one array, in row-major order, without
// allocating. [BinaryArray] and [TextArray] make one.
type ArrayReader struct {
	dims   int
	length [maxDims]int32
	lower  [maxDims]int32
	total  int

	rest    []byte // behind the last element read
	left    int    // elements not read yet
	text    bool
	delim   byte
	scratch []byte
	err     error
}

// Dims returns the number of dimensions, 0 for an empty array.
func (r *ArrayReader) Dims() int { return r.dims }

// DimLen returns the number of elements along dimension d, counted from 0.
func (r *ArrayReader) DimLen(d int) int { return int(r.length[d]) }

// Len returns the number of elements in all dimensions together.
func (r *ArrayReader) Len() int { return r.total }

// LowerBoundOne says whether all dimensions begin at index 1, as they do unless
// somebody said otherwise.
func (r *ArrayReader) LowerBoundOne() bool {
	for d := range r.dims {
		if r.lower[d] != 1 {
			return false
		}
	}
	return true
}

// Next returns the next element, ok false behind the last one and on error. A
// binary array has binary elements. elem is nil for NULL, and valid until the next
// call.
func (r *ArrayReader) Next() (elem []byte, null, ok bool) {
	if r.left == 0 || r.err != nil {
		return nil, false, false
	}
	r.left--
	if r.text {
		return r.nextText()
	}
	return r.nextBinary()
}

// Err returns what stopped Next early.
func (r *ArrayReader) Err() error { return r.err }

// Scratch returns the buffer passed to [TextArray], which may have grown, for
// the next array.
func (r *ArrayReader) Scratch() []byte { return r.scratch }

// shape sets total, and refuses more elements than there can be in size bytes.
func (r *ArrayReader) shape(size, bytesPerElement int) error {
	total := int64(0)
	for d := range r.dims {
		if d == 0 {
			total = 1
		}
		// As ArrayCheckBounds of the server: no index may overflow.
		if r.length[d] < 0 || int64(r.lower[d])+int64(r.length[d]) > math.MaxInt32 {
			return fmt.Errorf("%w: bounds of an array", ErrMalformed)
		}
		total *= int64(r.length[d])
		if total > int64(size/bytesPerElement) {
			return fmt.Errorf("%w: array of more elements than bytes", ErrMalformed)
		}
	}
	r.total, r.left = int(total), int(total)
	return nil
}

// appendArray prints a binary array as array_out does.
func appendArray(dst []byte, t *change.Type, value []byte) ([]byte, error) {
	r, err := BinaryArray(value)
	if err != nil {
		return dst, err
	}
	if r.total == 0 {
		return append(dst, "{}"...), nil
	}
	if !r.LowerBoundOne() {
		dst = r.appendBounds(dst)
	}
	delim := delimiter(t)
	for i := 0; ; i++ {
		elem, null, ok := r.Next()
		if !ok {
			break
		}
		dst = r.appendOpen(dst, i, delim)
		if null {
			dst = append(dst, "NULL"...)
		} else {
			from := len(dst)
			if dst, err = appendText(dst, t.Elem, elem); err != nil {
				return dst, fmt.Errorf("element %d: %w", i+1, err)
			}
			dst = quoteElement(dst, from, delim)
		}
		dst = r.appendClose(dst, i)
	}
	return dst, r.err
}

func delimiter(t *change.Type) byte {
	if t.Delim == 0 {
		return ','
	}
	return t.Delim
}

// appendBounds prints [lower:upper] for each dimension and the equals sign.
func (r *ArrayReader) appendBounds(dst []byte) []byte {
	for d := range r.dims {
		dst = strconv.AppendInt(append(dst, '['), int64(r.lower[d]), 10)
		dst = strconv.AppendInt(append(dst, ':'), int64(r.lower[d])+int64(r.length[d])-1, 10)
		dst = append(dst, ']')
	}
	return append(dst, '=')
}

// appendOpen prints what stands before element i: a brace for each dimension
// that begins there, and the delimiter.
func (r *ArrayReader) appendOpen(dst []byte, i int, delim byte) []byte {
	if i > 0 {
		dst = append(dst, delim)
	}
	for run, d := 1, r.dims-1; d >= 0; d-- {
		if run *= int(r.length[d]); i%run != 0 {
			break
		}
		dst = append(dst, '{')
	}
	return dst
}

// appendClose prints a brace for each dimension that ends with element i.
func (r *ArrayReader) appendClose(dst []byte, i int) []byte {
	for run, d := 1, r.dims-1; d >= 0; d-- {
		if run *= int(r.length[d]); (i+1)%run != 0 {
			break
		}
		dst = append(dst, '}')
	}
	return dst
}

// quoteElement quotes the element at dst[from:] in place where array_out would.
func quoteElement(dst []byte, from int, delim byte) []byte {
	escapes, quote := 0, len(dst) == from || isNull(dst[from:])
	for _, b := range dst[from:] {
		switch {
		case b == '"' || b == '\\':
			escapes++
		case b == '{' || b == '}' || b == delim || isSpace(b):
			quote = true
		}
	}
	if !quote && escapes == 0 {
		return dst
	}
	end := len(dst)
	for range escapes + 2 {
		dst = append(dst, '"')
	}
	// From the back, so that nothing is overwritten before it was moved; the last
	// byte is the closing quote already.
	to := len(dst) - 1
	for i := end - 1; i >= from; i-- {
		to--
		dst[to] = dst[i]
		if dst[i] == '"' || dst[i] == '\\' {
			to--
			dst[to] = '\\'
		}
	}
	dst[from] = '"'
	return dst
}

// isSpace is array_isspace of the server.
func isSpace(b byte) bool {
	return b == ' ' || b >= '\t' && b <= '\r'
}

func isNull(b []byte) bool {
	return len(b) == 4 && b[0]|0x20 == 'n' && b[1]|0x20 == 'u' && b[2]|0x20 == 'l' && b[3]|0x20 == 'l'
}
