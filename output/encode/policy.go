package encode

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/penstock/penstock/internal/change"
)

// Policy is what becomes of a value that the destination's type cannot hold:
// the `unrepresentable` field of the output.
type Policy int

// The policies.
const (
	Fail  Policy = iota // Append fails with [ErrUnrepresentable]
	Null                // NULL, or the type's default where the column is not Nullable; counted
	Clamp               // the nearest value the type holds, NULL where there is none; counted
)

// verdict says how a value fits its destination.
type verdict byte

const (
	exact verdict = iota
	malformed
	belowRange
	aboveRange
	infinite
	rounded
	notANumber
	tooLong
	manyDimensions
	hasNetmask
	notAnObject
	unknownLabel
	nullArray
	nullElement
	verdicts
)

// reason is the label `reason` of penstock_lossy_values_total.
func (v verdict) reason() string {
	return [verdicts]string{
		malformed: "malformed", belowRange: "below_range", aboveRange: "above_range", infinite: "infinity",
		rounded: "rounded", notANumber: "nan", tooLong: "too_long", manyDimensions: "dimensions",
		hasNetmask: "netmask", notAnObject: "not_an_object", unknownLabel: "unknown_label", nullArray: "null_array",
		nullElement: "null_element",
	}[v]
}

// explain completes "… cannot be stored in Date32: ".
func (v verdict) explain() string {
	return [verdicts]string{
		belowRange:     "it is below the type's range",
		aboveRange:     "it is above the type's range",
		infinite:       "the type has no infinity",
		rounded:        "it would be rounded",
		notANumber:     "the type has no NaN",
		tooLong:        "it is longer",
		manyDimensions: "the array has other dimensions, or does not begin at subscript 1",
		hasNetmask:     "the type has no place for the netmask, or for the address family",
		notAnObject:    "ClickHouse's JSON holds objects only",
		unknownLabel:   "the type does not list the label",
	}[v]
}

// clampable says that the nearest value exists; the decoder has returned it.
func (v verdict) clampable() bool {
	switch v {
	case belowRange, aboveRange, infinite, rounded, tooLong:
		return true
	}
	return false
}

// Errors of [Block.Append]. All of them are irrecoverable: the same batch will
// fail again.
var (
	// ErrUnrepresentable: the destination cannot hold a value, and the policy
	// is [Fail].
	ErrUnrepresentable = errors.New("value cannot be stored without loss")
	// ErrMalformed: bytes that are not a value of the column's type.
	ErrMalformed = errors.New("malformed value")
	// ErrUnchanged: an unchanged TOASTed value reached the output.
	ErrUnchanged = errors.New("unchanged TOASTed value was not resolved")
	// ErrNull: a NULL came for a column that is NOT NULL at the source and not
	// Nullable at the destination.
	ErrNull = errors.New("NULL in a NOT NULL column")
)

// refusal is why one value was not stored. The block adds what the encoder does
// not know: table, key and position.
type refusal struct {
	index  int // of the cell, in what append was given
	cause  error
	detail string
}

func (r *refusal) Error() string { return r.detail }
func (r *refusal) Unwrap() error { return r.cause }

// site is where the values of one column, or of an array's elements, go.
type site struct {
	block   *Block
	column  *change.Column
	source  *change.Type // the column's type, or its element type
	typeMod int32
	kind    family
	dest    string // ClickHouse type of what is encoded here
	whole   string // ClickHouse type of the column
	policy  Policy
	// nullable: the destination takes NULL. defaulted: where it does not, a
	// NULL becomes the type's default, since the user has chosen so.
	nullable, defaulted bool
	// element: what is encoded here are an array's elements.
	element bool
	lost    *losses
	// rowOf returns the row of the strip that holds element i; nil where rows are
	// encoded, which hold themselves.
	rowOf func(i int) int
}

// losses counts the values of a column that were not stored as they are, in one
// Append.
type losses struct {
	counts [verdicts]int
	keys   [verdicts]string // of the first row each
}

// lose counts value i.
func (s *site) lose(i int, v verdict) {
	s.lost.counts[v]++
	if s.lost.counts[v] > 1 || s.block == nil || s.block.options.LossyKey == nil {
		return
	}
	if s.rowOf != nil {
		i = s.rowOf(i)
	}
	s.lost.keys[v] = s.block.keyOf(i)
}

// settle decides what becomes of value i, which does not fit: the nearest value
// (that the decoder returned) or NULL, or it is an error.
func (s *site) settle(i int, v verdict, cell change.Cell, data []byte) (useNull bool, err error) {
	if v == malformed {
		return false, s.malformed(i, cell, data, nil)
	}
	if s.policy == Fail {
		return false, &refusal{index: i, cause: ErrUnrepresentable, detail: fmt.Sprintf(
			"%s value %s cannot be stored in %s: %s; set `unrepresentable: null` or `clamp`, or give the column another type at the destination, such as String, under `types`",
			s.source, s.quote(cell, data), s.dest, v.explain())}
	}
	s.lose(i, v)
	return s.policy == Null || !v.clampable(), nil
}

func (s *site) malformed(i int, cell change.Cell, data []byte, cause error) error {
	form := "text"
	if cell.Kind == change.Binary {
		form = "binary"
	}
	detail := fmt.Sprintf("%s is not the %s form of a %s", s.quote(cell, data), form, s.source)
	if cause != nil {
		detail += ": " + cause.Error()
	}
	return &refusal{index: i, cause: ErrMalformed, detail: detail}
}

// absent decides about a cell that has no value: it is stored as NULL (or the
// type's default) unless the returned error says otherwise.
func (s *site) absent(i int, kind change.CellKind) error {
	switch kind {
	case change.Null:
		switch {
		case s.nullable:
			return nil
		case s.element:
			s.lose(i, nullElement)
			return nil
		case s.defaulted || s.block.deleting(i):
			return nil
		}
		return &refusal{index: i, cause: ErrNull, detail: fmt.Sprintf(
			"NULL cannot be stored in %s; the column is NOT NULL in the definition this batch carries", s.dest)}
	case change.Absent:
		return nil
	case change.Unchanged:
		return &refusal{index: i, cause: ErrUnchanged, detail: "the update did not send this TOASTed value; the input should have resolved it (see `unchanged_toast`)"}
	}
	return &refusal{index: i, cause: ErrMalformed, detail: fmt.Sprintf("unknown kind of cell %q", byte(kind))}
}

// quotedValue is how much of a value an error shows, in bytes.
const quotedValue = 64

func (s *site) quote(cell change.Cell, data []byte) string {
	return quoteValue(s.source, s.typeMod, cell, data)
}

// quoteValue shows a value for an error message: as PostgreSQL prints it, cut
// short.
func quoteValue(t *change.Type, typeMod int32, cell change.Cell, data []byte) string {
	switch cell.Kind {
	case change.Text, change.Binary:
	case change.Null:
		return "NULL"
	default:
		return "(not sent)"
	}
	value := cell.Bytes(data)
	if cell.Kind == change.Binary {
		text, err := appendText(nil, t, typeMod, value)
		if err != nil {
			return fmt.Sprintf(`\x%x%s`, value[:min(len(value), quotedValue/2)], ellipsis(len(value) > quotedValue/2))
		}
		value = text
	}
	return strconv.Quote(string(value[:min(len(value), quotedValue)])) + ellipsis(len(value) > quotedValue)
}

func ellipsis(cut bool) string {
	if cut {
		return "…"
	}
	return ""
}
