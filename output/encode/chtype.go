package encode

import (
	"fmt"
	"strconv"
	"strings"
)

// chType is a ClickHouse type taken apart one level: "Decimal(12, 2)" has the
// name "Decimal" and the arguments "12" and "2".
type chType struct {
	text string // as the server writes it
	name string
	args []string
}

// parseType reads a type as system.columns prints it. Case counts, as it does
// for ClickHouse.
func parseType(text string) (chType, error) {
	text = strings.TrimSpace(text)
	t := chType{text: text, name: text}
	open := strings.IndexByte(text, '(')
	if open >= 0 {
		if !strings.HasSuffix(text, ")") {
			return chType{}, fmt.Errorf("reading ClickHouse type %q: no closing parenthesis at its end", text)
		}
		t.name = strings.TrimSpace(text[:open])
		args, err := splitArguments(text[open+1 : len(text)-1])
		if err != nil {
			return chType{}, fmt.Errorf("reading ClickHouse type %q: %w", text, err)
		}
		t.args = args
	}
	if t.name == "" || strings.ContainsAny(t.name, " ()'`,") {
		return chType{}, fmt.Errorf("reading ClickHouse type %q: it has no name", text)
	}
	return t, nil
}

// splitArguments cuts at the commas that are neither in quotes nor in nested
// parentheses.
func splitArguments(s string) ([]string, error) {
	var args []string
	depth, start := 0, 0
	var quote byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == '\\' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '\'' || c == '`' || c == '"':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			depth--
			if depth < 0 {
				return nil, fmt.Errorf("a parenthesis too many")
			}
		case c == ',' && depth == 0:
			args = append(args, strings.TrimSpace(s[start:i]))
			start = i + 1
		}
	}
	if quote != 0 || depth != 0 {
		return nil, fmt.Errorf("a quote or parenthesis is not closed")
	}
	if rest := strings.TrimSpace(s[start:]); rest != "" || len(args) > 0 {
		args = append(args, rest)
	}
	return args, nil
}

// inner returns the type within Nullable(T), LowCardinality(T) or Array(T).
func (t chType) inner() (chType, error) {
	if len(t.args) != 1 {
		return chType{}, fmt.Errorf("reading ClickHouse type %q: want one type in the parentheses", t.text)
	}
	return parseType(t.args[0])
}

// number returns argument i as an integer.
func (t chType) number(i int) (int, error) {
	if i < len(t.args) {
		if n, err := strconv.Atoi(t.args[i]); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("reading ClickHouse type %q: want a number as argument %d", t.text, i+1)
}

// decimal returns the precision and scale of Decimal(P, S), Decimal(P),
// Decimal32(S), Decimal64(S), Decimal128(S) and Decimal256(S).
func (t chType) decimal() (precision, scale int, err error) {
	switch t.name {
	case "Decimal":
		precision, scale = 10, 0 // ClickHouse's default for a bare Decimal
		if len(t.args) > 0 {
			if precision, err = t.number(0); err != nil {
				return 0, 0, err
			}
		}
		if len(t.args) > 1 {
			if scale, err = t.number(1); err != nil {
				return 0, 0, err
			}
		}
	case "Decimal32", "Decimal64", "Decimal128", "Decimal256":
		precision = map[string]int{"Decimal32": 9, "Decimal64": 18, "Decimal128": 38, "Decimal256": 76}[t.name]
		if scale, err = t.number(0); err != nil {
			return 0, 0, err
		}
	}
	if precision < 1 || precision > maxDecimalDigits || scale < 0 || scale > precision {
		return 0, 0, fmt.Errorf("reading ClickHouse type %q: want 1 ≤ precision ≤ 76 and 0 ≤ scale ≤ precision", t.text)
	}
	return precision, scale, nil
}

// maxDecimalDigits is the precision of ClickHouse's widest Decimal.
const maxDecimalDigits = 76

// ticks returns the precision of DateTime64(p) and Time64(p), and the time zone
// of DateTime64(p, 'zone'), "" where none is given.
func (t chType) ticks() (precision int, zone string, err error) {
	precision = 3 // ClickHouse's default
	if len(t.args) > 0 {
		if precision, err = t.number(0); err != nil {
			return 0, "", err
		}
	}
	if precision < 0 || precision > 9 {
		return 0, "", fmt.Errorf("reading ClickHouse type %q: want a precision of 0 to 9", t.text)
	}
	if len(t.args) > 1 {
		zone = strings.Trim(t.args[1], "'")
	}
	return precision, zone, nil
}
