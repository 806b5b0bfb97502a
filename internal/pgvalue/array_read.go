package pgvalue

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
)

// BinaryArray reads what array_send writes: Int32 number of dimensions, flags
// and OID of the element type; Int32 length and lower bound of each dimension;
// then for each element Int32 length, -1 for NULL, and its bytes. The elements'
// lengths are checked as they are read.
func BinaryArray(value []byte) (ArrayReader, error) {
	be := binary.BigEndian
	if len(value) < 12 {
		return ArrayReader{}, fmt.Errorf("reading an array: %w", sized(value, 12))
	}
	dims := be.Uint32(value)
	if dims > maxDims || len(value) < 12+int(dims)*8 {
		return ArrayReader{}, fmt.Errorf("reading an array: %w: %d dimensions in %d bytes", ErrMalformed, dims, len(value))
	}
	r := ArrayReader{dims: int(dims), rest: value[12+dims*8:]}
	for d := range r.dims {
		r.length[d] = int32(be.Uint32(value[12+8*d:]))
		r.lower[d] = int32(be.Uint32(value[16+8*d:]))
	}
	if err := r.shape(len(r.rest), 4); err != nil {
		return ArrayReader{}, fmt.Errorf("reading an array: %w", err)
	}
	if r.total == 0 {
		r.dims = 0
		if len(r.rest) > 0 {
			return ArrayReader{}, fmt.Errorf("reading an array: %w: %d bytes too many", ErrMalformed, len(r.rest))
		}
	}
	return r, nil
}

func (r *ArrayReader) nextBinary() (elem []byte, null, ok bool) {
	if len(r.rest) < 4 {
		return r.fail("an element's length is cut short")
	}
	length := binary.BigEndian.Uint32(r.rest)
	r.rest = r.rest[4:]
	null = length == math.MaxUint32 // -1
	if null {
		length = 0
	}
	if uint64(length) > uint64(len(r.rest)) {
		return r.fail("an element is cut short")
	}
	elem = r.rest[:length:length]
	r.rest = r.rest[length:]
	if r.left == 0 && len(r.rest) > 0 {
		return r.fail("bytes behind the last element")
	}
	if null {
		return nil, true, true
	}
	return elem, false, true
}

func (r *ArrayReader) fail(what string) (elem []byte, null, ok bool) {
	r.err = fmt.Errorf("reading an array: %w: %s", ErrMalformed, what)
	return nil, false, false
}

// TextArray reads an array literal as array_out prints it, with white space
// around elements where people like some (PostgreSQL docs 8.15.6). Elements are
// in text format, unescaped into scratch where they were quoted with
// backslashes. The whole literal is checked here, so Next cannot fail.
func TextArray(literal []byte, delim byte, scratch []byte) (ArrayReader, error) {
	r := ArrayReader{text: true, delim: delim, scratch: scratch}
	if err := r.readShape(literal); err != nil {
		return ArrayReader{}, fmt.Errorf("reading an array literal: %w", err)
	}
	return r, nil
}

// readShape walks over the literal once, counts, and leaves r.rest before the
// first element.
func (r *ArrayReader) readShape(literal []byte) error {
	bounds, body, err := r.readBounds(literal)
	if err != nil {
		return err
	}
	var declared [maxDims]int32
	copy(declared[:], r.length[:])
	r.length, r.rest = [maxDims]int32{}, body

	var (
		depth    int
		seen     [maxDims]int32 // members so far of the open braces
		complete [maxDims]bool  // length[d] is known
		member   bool           // a member has just ended
	)
	for at := 0; ; {
		at = skipSpace(body, at)
		if at >= len(body) {
			return fmt.Errorf("%w: ends inside the braces", ErrMalformed)
		}
		switch b := body[at]; {
		case b == '{' && !member:
			if depth == maxDims || r.dims > 0 && depth == r.dims {
				return fmt.Errorf("%w: braces nested unevenly", ErrMalformed)
			}
			seen[depth] = 0
			depth++
			at++
		case b == '}' && (member || depth > 0 && seen[depth-1] == 0):
			depth--
			if r.dims == 0 {
				r.dims = depth + 1
			}
			if member {
				seen[depth]++
			}
			if depth < r.dims-1 && seen[depth] == 0 || complete[depth] && r.length[depth] != seen[depth] {
				return fmt.Errorf("%w: sub-arrays of different lengths", ErrMalformed)
			}
			r.length[depth], complete[depth] = seen[depth], true
			at++
			member = true
			if depth == 0 {
				if skipSpace(body, at) != len(body) {
					return fmt.Errorf("%w: text behind the braces", ErrMalformed)
				}
				return r.finishShape(bounds, &declared, len(body))
			}
		case b == r.delim && member && depth > 0:
			seen[depth-1]++
			member = false
			at++
			// A delimiter promises a member: the closing brace must not follow.
			if next := skipSpace(body, at); next < len(body) && body[next] == '}' {
				return fmt.Errorf("%w: an element is missing", ErrMalformed)
			}
		case depth == 0 || member || b == '}' || b == r.delim || r.dims > 0 && depth != r.dims:
			return fmt.Errorf("%w: unexpected %q", ErrMalformed, b)
		default:
			if r.dims == 0 {
				r.dims = depth
			}
			var next int
			if _, r.scratch, _, next = r.element(body, at, r.scratch[:0]); next < 0 {
				return fmt.Errorf("%w: an element does not end", ErrMalformed)
			}
			at, member = next, true
		}
	}
}

// finishShape sets what follows from the lengths of the dimensions.
func (r *ArrayReader) finishShape(bounds int, declared *[maxDims]int32, size int) error {
	if err := r.shape(size, 1); err != nil {
		return err
	}
	if bounds > 0 && (bounds != r.dims || *declared != r.length) {
		return fmt.Errorf("%w: bounds do not match the elements", ErrMalformed)
	}
	if bounds == 0 {
		for d := range r.dims {
			r.lower[d] = 1
		}
	}
	if r.total == 0 {
		r.dims = 0
	}
	return nil
}

// readBounds reads [lower:upper]… and the equals sign before the braces.
func (r *ArrayReader) readBounds(literal []byte) (dims int, body []byte, err error) {
	at := skipSpace(literal, 0)
	for at < len(literal) && literal[at] == '[' {
		if dims == maxDims {
			return 0, nil, fmt.Errorf("%w: more than %d dimensions", ErrMalformed, maxDims)
		}
		lower, next := readInt(literal, at+1)
		if next >= len(literal) || literal[next] != ':' {
			return 0, nil, fmt.Errorf("%w: bound without a colon", ErrMalformed)
		}
		upper, next := readInt(literal, next+1)
		if next >= len(literal) || literal[next] != ']' || upper < lower || upper-lower >= math.MaxInt32 {
			return 0, nil, fmt.Errorf("%w: bounds of a dimension", ErrMalformed)
		}
		r.lower[dims], r.length[dims] = int32(lower), int32(upper-lower+1)
		dims, at = dims+1, next+1
	}
	if dims > 0 {
		if at >= len(literal) || literal[at] != '=' {
			return 0, nil, fmt.Errorf("%w: bounds without an equals sign", ErrMalformed)
		}
		at++
	}
	return dims, literal[at:], nil
}

// readInt reads an Int32 at b[at:] and returns the position behind it; where
// there is none that position is behind the end.
func readInt(b []byte, at int) (v int64, next int) {
	end := at
	for end < len(b) && (b[end] >= '0' && b[end] <= '9' || end == at && (b[end] == '-' || b[end] == '+')) {
		end++
	}
	if end-at > 11 {
		return 0, len(b)
	}
	v, err := strconv.ParseInt(string(b[at:end]), 10, 32)
	if err != nil {
		return 0, len(b)
	}
	return v, end
}

func skipSpace(b []byte, at int) int {
	for at < len(b) && isSpace(b[at]) {
		at++
	}
	return at
}

func (r *ArrayReader) nextText() (elem []byte, null, ok bool) {
	at := 0
	for at < len(r.rest) {
		if b := r.rest[at]; b != '{' && b != '}' && b != r.delim && !isSpace(b) {
			break
		}
		at++
	}
	elem, r.scratch, null, at = r.element(r.rest, at, r.scratch[:0])
	if at < 0 { // readShape has seen it end
		return r.fail("an element does not end")
	}
	r.rest = r.rest[at:]
	if null {
		return nil, true, true
	}
	return elem, false, true
}

// element reads one element at b[at:]. What has no backslash is returned in
// place, other text is unescaped into scratch, which is returned as buffer. next
// is the position behind the element, -1 where it does not end.
func (r *ArrayReader) element(b []byte, at int, scratch []byte) (elem, buffer []byte, null bool, next int) {
	if b[at] == '"' {
		at++
		for end := at; end < len(b); end++ {
			switch b[end] {
			case '"':
				return b[at:end:end], scratch, false, end + 1
			case '\\':
				return r.escaped(b, at, end, true, scratch)
			}
		}
		return nil, scratch, false, -1
	}
	end := at
	for end < len(b) && b[end] != r.delim && b[end] != '}' {
		switch b[end] {
		case '\\':
			return r.escaped(b, at, end, false, scratch)
		case '"', '{':
			return nil, scratch, false, -1
		}
		end++
	}
	next = end
	for end > at && isSpace(b[end-1]) {
		end--
	}
	return b[at:end:end], scratch, isNull(b[at:end]), next
}

// escaped goes on from the first backslash of an element, at b[from].
func (r *ArrayReader) escaped(b []byte, at, from int, quoted bool, scratch []byte) (elem, buffer []byte, null bool, next int) {
	scratch = append(scratch, b[at:from]...)
	kept := len(scratch) // up to here white space belongs to the element
	for end := from; end < len(b); end++ {
		switch c := b[end]; {
		case c == '\\':
			end++
			if end == len(b) {
				return nil, scratch, false, -1
			}
			scratch = append(scratch, b[end])
			kept = len(scratch)
		case quoted && c == '"':
			return scratch, scratch, false, end + 1
		case !quoted && (c == r.delim || c == '}'):
			for len(scratch) > kept && isSpace(scratch[len(scratch)-1]) {
				scratch = scratch[:len(scratch)-1]
			}
			return scratch, scratch, false, end
		case !quoted && (c == '"' || c == '{'):
			return nil, scratch, false, -1
		default:
			scratch = append(scratch, c)
		}
	}
	return nil, scratch, false, -1
}
