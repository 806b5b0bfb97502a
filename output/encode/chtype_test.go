package encode

import (
	"slices"
	"strings"
	"testing"
)

func TestParseType(t *testing.T) {
	for _, test := range []struct {
		text, name string
		args       []string
		err        string
	}{
		{text: "String", name: "String"},
		{text: " Int32 ", name: "Int32"},
		{text: "Nullable(Int32)", name: "Nullable", args: []string{"Int32"}},
		{text: "Decimal(12, 2)", name: "Decimal", args: []string{"12", "2"}},
		{text: "DateTime64(6, 'UTC')", name: "DateTime64", args: []string{"6", "'UTC'"}},
		{text: "Array(Array(Nullable(Decimal(5, 2))))", name: "Array", args: []string{"Array(Nullable(Decimal(5, 2)))"}},
		{text: `Enum8('a,b' = 1, 'c\'(' = 2, 'd)' = 3)`, name: "Enum8", args: []string{"'a,b' = 1", `'c\'(' = 2`, "'d)' = 3"}},
		{text: "Tuple(a Int32, `b,c` String)", name: "Tuple", args: []string{"a Int32", "`b,c` String"}},
		{text: "JSON(max_dynamic_paths=8, a.b UInt32)", name: "JSON", args: []string{"max_dynamic_paths=8", "a.b UInt32"}},
		{text: "", err: "has no name"},
		{text: "(Int32)", err: "has no name"},
		{text: "Int32)", err: "has no name"},
		{text: "Nullable(Int32", err: "no closing parenthesis"},
		{text: "Nullable(Int32))", err: "a parenthesis too many"},
		{text: "Array(Nullable(Int32)", err: "is not closed"},
		{text: "Enum8('a)", err: "is not closed"},
	} {
		got, err := parseType(test.text)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%q: got error %v, want one with %q", test.text, err, test.err)
			}
			continue
		}
		if err != nil || got.name != test.name || !slices.Equal(got.args, test.args) {
			t.Errorf("%q: got %q %q %v, want %q %q", test.text, got.name, got.args, err, test.name, test.args)
		}
	}
}

func TestDecimalArguments(t *testing.T) {
	for _, test := range []struct {
		text             string
		precision, scale int
		err              bool
	}{
		{"Decimal(12, 2)", 12, 2, false},
		{"Decimal(12)", 12, 0, false},
		{"Decimal", 10, 0, false},
		{"Decimal32(4)", 9, 4, false},
		{"Decimal64(18)", 18, 18, false},
		{"Decimal128(0)", 38, 0, false},
		{"Decimal256(76)", 76, 76, false},
		{"Decimal(77, 0)", 0, 0, true},
		{"Decimal(0, 0)", 0, 0, true},
		{"Decimal(5, 6)", 0, 0, true},
		{"Decimal(5, -1)", 0, 0, true},
		{"Decimal(a, b)", 0, 0, true},
		{"Decimal32", 0, 0, true},
		{"Decimal512(3)", 0, 0, true},
	} {
		parsed, err := parseType(test.text)
		if err != nil {
			t.Fatal(err)
		}
		precision, scale, err := parsed.decimal()
		if precision != test.precision || scale != test.scale || (err != nil) != test.err {
			t.Errorf("%s: got %d, %d, %v", test.text, precision, scale, err)
		}
	}
}

func TestEnumLabels(t *testing.T) {
	for arg, want := range map[string]struct {
		label  string
		number int64
	}{
		`'a' = 1`:            {"a", 1},
		`'a = b' = -128`:     {"a = b", -128},
		`'it\'s \\ \n' = 30`: {"it's \\ \n", 30},
		`''=0`:               {"", 0},
	} {
		label, number, err := enumLabel(arg)
		if err != nil || label != want.label || number != want.number {
			t.Errorf("%s: got %q %d %v", arg, label, number, err)
		}
	}
	for _, arg := range []string{"a = 1", "'a'", "'a' = x", "' = 1"} {
		if label, _, err := enumLabel(arg); err == nil {
			t.Errorf("%s: got %q, want an error", arg, label)
		}
	}
}
