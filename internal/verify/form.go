package verify

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// form is what makes the printed forms of a type on the two servers one.
type form struct {
	kind kind
	bits int // of a float
	// element and delimiter of a list.
	element   *form
	delimiter byte
	// nullText stands for NULL; nil where NULL is NULL.
	nullText []byte
}

type kind byte

const (
	kindText    kind = iota // the same bytes
	kindBytes               // hexadecimal in PostgreSQL, raw in ClickHouse
	kindBool                // t and true
	kindNumber              // equal as decimal numbers: 1.50 and 1.5
	kindFloat               // equal as bits: 1e+20 and 100000000000000000000
	kindTime                // 12:00:00+00 and 12:00:00.000000
	kindAddress             // IPv4 and IPv6 in any notation
	kindList                // an array
)

// pairColumn decides how the values of a column are compared.
func pairColumn(ctx context.Context, ch driver.Conn, s sourceColumn, declared string, o Options) (column, error) {
	typ := parseDestinationType(declared)
	c := column{name: s.name, sourceSQL: s.sourceSQL(), destinationSQL: typ.destinationSQL(quoteClickHouse(s.name))}
	if typ.name == "Array" {
		element, err := scalarForm(s.typeName, *typ.element)
		if err != nil {
			return column{}, err
		}
		if o.NullAsDefault && !typ.element.nullable {
			if element.nullText, err = defaultText(ctx, ch, declared[len("Array("):len(declared)-1], *typ.element); err != nil {
				return column{}, err
			}
		}
		c.form = form{kind: kindList, element: &element, delimiter: s.delimiter}
		if !s.isArray && s.typeName != "vector" && s.typeName != "halfvec" {
			return column{}, fmt.Errorf("cannot compare %s with %s: ignore the column", s.typeName, declared)
		}
		return c, nil
	}
	name := s.typeName
	if s.isArray {
		name = "text" // as a literal
	}
	var err error
	if c.form, err = scalarForm(name, typ); err != nil {
		return column{}, err
	}
	if o.NullAsDefault && !typ.nullable {
		if c.form.nullText, err = defaultText(ctx, ch, declared, typ); err != nil {
			return column{}, err
		}
	}
	return c, nil
}

func scalarForm(source string, destination destinationType) (form, error) {
	name := destination.name
	switch {
	case source == "bool":
		return form{kind: kindBool}, nil
	case name == "Float32":
		return form{kind: kindFloat, bits: 32}, nil
	case name == "Float64":
		return form{kind: kindFloat, bits: 64}, nil
	case strings.HasPrefix(name, "Decimal"), strings.HasPrefix(name, "Int"), strings.HasPrefix(name, "UInt"):
		return form{kind: kindNumber}, nil
	case strings.HasPrefix(name, "DateTime"), strings.HasPrefix(name, "Time"):
		return form{kind: kindTime}, nil
	case strings.HasPrefix(name, "IPv"):
		return form{kind: kindAddress}, nil
	case source == "bytea" && (name == "String" || name == "FixedString"):
		return form{kind: kindBytes}, nil
	case name == "String", name == "FixedString", name == "UUID", strings.HasPrefix(name, "Date"), strings.HasPrefix(name, "Enum"):
		return form{kind: kindText}, nil
	}
	return form{}, fmt.Errorf("cannot compare %s with %s: ignore the column", source, name)
}

// append adds the canonical form of a printed value.
func (f *form) append(dst, text []byte, fromSource bool) ([]byte, error) {
	switch f.kind {
	case kindBytes:
		if !fromSource {
			return append(dst, text...), nil
		}
		digits, ok := bytes.CutPrefix(text, []byte(`\x`))
		if !ok {
			return dst, fmt.Errorf("%q is not a bytea in hexadecimal", text)
		}
		return hex.AppendDecode(dst, digits)
	case kindBool:
		switch string(text) {
		case "t", "true", "1":
			return append(dst, "true"...), nil
		case "f", "false", "0":
			return append(dst, "false"...), nil
		}
		return dst, fmt.Errorf("%q is not a boolean", text)
	case kindNumber:
		return appendNumber(dst, text), nil
	case kindFloat:
		return f.appendFloat(dst, text)
	case kindTime:
		return appendTime(dst, text), nil
	case kindAddress:
		if address, err := netip.ParseAddr(string(text)); err == nil {
			return address.Unmap().AppendTo(dst), nil
		}
	}
	return append(dst, text...), nil
}

// appendNumber drops zeros that end a fraction, and the sign of zero.
func appendNumber(dst, text []byte) []byte {
	if bytes.IndexByte(text, '.') >= 0 {
		text = bytes.TrimRight(text, "0")
		text = bytes.TrimSuffix(text, []byte("."))
	}
	if string(text) == "-0" {
		text = text[1:]
	}
	return append(dst, text...)
}

// appendFloat adds the bits of the number. Both servers print the shortest text
// that reads as the same number. A NaN is a NaN.
func (f *form) appendFloat(dst, text []byte) ([]byte, error) {
	v, err := strconv.ParseFloat(string(text), f.bits)
	if err != nil && !math.IsInf(v, 0) { // out of range is infinity
		return dst, fmt.Errorf("%q is not a floating-point number", text)
	}
	if math.IsNaN(v) {
		v = math.NaN()
	}
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v)), nil
}

// appendTime drops zeros that end a fraction of a second, and a zone of zero.
func appendTime(dst, text []byte) []byte {
	text = bytes.TrimSuffix(text, []byte("+00"))
	if dot := bytes.IndexByte(text, '.'); dot >= 0 {
		end := dot + 1
		for end < len(text) && text[end] >= '0' && text[end] <= '9' {
			end++
		}
		dst = append(dst, bytes.TrimSuffix(bytes.TrimRight(text[:end], "0"), []byte("."))...)
		return append(dst, text[end:]...) // " BC"
	}
	return append(dst, text...)
}

// longestPrinted keeps a difference readable.
const longestPrinted = 120

// print returns a cell for people.
func (f *form) print(cell []byte) string {
	switch cell[0] {
	case cellNull:
		return "NULL"
	case cellList:
		var elements []string
		for rest := cell[5:]; len(rest) > 0; {
			var element []byte
			element, rest = nextCell(rest)
			elements = append(elements, f.element.print(element))
		}
		return "[" + strings.Join(elements, ", ") + "]"
	}
	value := cell[5:]
	if f.kind == kindFloat && len(value) == 8 {
		return strconv.FormatFloat(math.Float64frombits(binary.LittleEndian.Uint64(value)), 'g', -1, f.bits)
	}
	cut := ""
	if len(value) > longestPrinted {
		cut = fmt.Sprintf("… (%d bytes)", len(value))
		value = value[:longestPrinted]
	}
	if f.kind == kindBytes {
		return `\x` + hex.EncodeToString(value) + cut
	}
	if f.kind == kindText || f.kind == kindList {
		return strconv.Quote(string(value)) + cut
	}
	return string(value) + cut
}
