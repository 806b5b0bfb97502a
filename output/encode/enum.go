package encode

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/proto"
)

// newEnum stores labels in Enum8 and Enum16 as the numbers that the
// destination's type gives them. A label it does not list does not fit.
func newEnum[T int8 | int16](s *site, t chType, input func([]T) proto.ColInput) (encoder, error) {
	numbers := make(map[string]T, len(t.args))
	var lowest T
	for _, arg := range t.args {
		label, number, err := enumLabel(arg)
		if err != nil {
			return nil, fmt.Errorf("reading ClickHouse type %q: %w", t.text, err)
		}
		if len(numbers) == 0 || T(number) < lowest {
			lowest = T(number)
		}
		numbers[label] = T(number)
	}
	read := func(b []byte) (T, verdict) {
		if n, ok := numbers[string(b)]; ok { // the compiler makes no string for a lookup
			return n, exact
		}
		return 0, unknownLabel
	}
	return &fixed[T]{site: s, missing: lowest, binary: read, text: read, input: input}, nil
}

// enumLabel reads 'label' = 1.
func enumLabel(arg string) (label string, number int64, err error) {
	at := strings.LastIndexByte(arg, '=')
	if at < 0 {
		return "", 0, fmt.Errorf("label %s has no number", arg)
	}
	if number, err = strconv.ParseInt(strings.TrimSpace(arg[at+1:]), 10, 16); err != nil {
		return "", 0, fmt.Errorf("number of label %s: %w", arg, err)
	}
	quoted := strings.TrimSpace(arg[:at])
	if len(quoted) < 2 || quoted[0] != '\'' || quoted[len(quoted)-1] != '\'' {
		return "", 0, fmt.Errorf("label %s is not in quotes", arg)
	}
	return unescapeLabel(quoted[1 : len(quoted)-1]), number, nil
}

// unescapeLabel undoes the escapes of a ClickHouse string literal.
func unescapeLabel(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		if at := strings.IndexByte("bfrnt0", s[i]); at >= 0 {
			b.WriteByte("\b\f\r\n\t\x00"[at])
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
