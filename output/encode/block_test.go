package encode

import (
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/penstock/penstock/internal/change"
)

// cell is a value of a hand-made tuple.
type cell struct {
	kind  change.CellKind
	value string
}

func txt(s string) cell { return cell{change.Text, s} }

var (
	null      = cell{kind: change.Null}
	absent    = cell{kind: change.Absent}
	unchanged = cell{kind: change.Unchanged}
)

// tuples makes a batch of pgoutput tuples. A row without a version is inserted
// at its index plus one.
func tuples(table *change.Table, rows ...[]cell) *change.Batch {
	b := &change.Batch{Table: table, Format: change.TuplePgoutput, Transactions: make([]change.Transaction, 1)}
	for i, row := range rows {
		b.Rows = append(b.Rows, change.Row{LSN: uint64(i + 1), Offset: uint32(len(b.Data)), Operation: change.Insert})
		b.Data = binary.BigEndian.AppendUint16(b.Data, uint16(len(row)))
		for _, c := range row {
			b.Data = append(b.Data, byte(c.kind))
			if c.kind == change.Text || c.kind == change.Binary {
				b.Data = binary.BigEndian.AppendUint32(b.Data, uint32(len(c.value)))
				b.Data = append(b.Data, c.value...)
			}
		}
	}
	return b
}

// wire returns each column as it goes to the socket, by name.
func wire(t *testing.T, b *Block) map[string]string {
	t.Helper()
	columns := map[string]string{}
	for _, c := range b.Input() {
		if c.Data.Rows() != b.Rows() {
			t.Errorf("column %q has %d rows, want %d", c.Name, c.Data.Rows(), b.Rows())
		}
		var buffer proto.Buffer
		c.Data.EncodeColumn(&buffer)
		columns[c.Name] = string(buffer.Buf)
	}
	return columns
}

// everyColumn has one column for each kind of encoder.
func everyColumn() (*change.Table, []Column) {
	int4 := builtin(23, "int4")
	table := &change.Table{Schema: "public", Name: "every", Key: []int{0}, Columns: []change.Column{
		{Name: "id", Type: builtin(20, "int8"), TypeMod: -1, NotNull: true, InKey: true},
		{Name: "n", Type: builtin(1700, "numeric"), TypeMod: -1},
		{Name: "s", Type: builtin(25, "text"), TypeMod: -1},
		{Name: "f", Type: builtin(25, "text"), TypeMod: -1},
		{Name: "l", Type: builtin(25, "text"), TypeMod: -1},
		{Name: "a", Type: &change.Type{OID: 1007, Name: "_int4", Kind: change.TypeArray, Elem: int4, Delim: ','}, TypeMod: -1},
		{Name: "v", Type: &change.Type{OID: 70000, Name: "vector", Schema: "public", Kind: change.TypeBase}, TypeMod: -1},
		{Name: "d", Type: builtin(1082, "date"), TypeMod: -1},
	}}
	return table, []Column{
		{"extra", "Int32"},
		{"d", "Nullable(Date32)"},
		{"id", "Int64"},
		{"n", "Nullable(Decimal(30, 2))"},
		{"s", "Nullable(String)"},
		{"f", "Nullable(FixedString(4))"},
		{"l", "LowCardinality(Nullable(String))"},
		{"a", "Array(Nullable(Int32))"},
		{"v", "Array(Float32)"},
		{"_version", "UInt64"},
		{"_is_deleted", "UInt8"},
		{"_synced_at", "DateTime64(6, 'UTC')"},
		{"_operation", "LowCardinality(String)"},
	}
}

func everyBlock(t *testing.T, o Options) (*Block, *change.Table) {
	t.Helper()
	table, columns := everyColumn()
	o.Operation = "_operation"
	b, err := NewBlock(table, columns, o)
	if err != nil {
		t.Fatal(err)
	}
	return b, table
}

func everyRow(id string) []cell {
	return []cell{txt(id), txt("1.5"), txt("text " + id), txt("abc"), txt("label " + id), txt("{1,2}"), txt("[1,2]"), txt("2024-01-02")}
}

func TestColumnsAreMatchedByName(t *testing.T) {
	b, _ := everyBlock(t, metadataOptions(Fail))
	var names []string
	for _, c := range b.Input() {
		names = append(names, c.Name+" "+string(c.Data.Type()))
	}
	want := []string{
		"id Int64", "n Nullable(Decimal(30, 2))", "s Nullable(String)", "f Nullable(FixedString(4))", "l LowCardinality(Nullable(String))",
		"a Array(Nullable(Int32))", "v Array(Float32)", "d Nullable(Date32)",
		"_version UInt64", "_is_deleted UInt8", "_synced_at DateTime64(6, 'UTC')", "_operation LowCardinality(String)",
	}
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

func TestNewBlockRefuses(t *testing.T) {
	table, columns := everyColumn()
	for name, test := range map[string]struct {
		columns []Column
		options Options
		err     string
	}{
		"a source column without a place": {columns[2:], Options{}, `no column "d"`},
		"an incompatible column":          {append([]Column{{"id", "Int8"}}, columns...), Options{}, "its range is narrower"},
		"no version column":               {columns, Options{Version: "version"}, `no column "version"`},
		"a version of another type":       {append([]Column{{"_version", "Int32"}}, columns...), Options{Version: "_version"}, "want UInt64"},
		"a flag of another type":          {append([]Column{{"_is_deleted", "Int32"}}, columns...), Options{IsDeleted: "_is_deleted"}, "want UInt8"},
		"a time of another type":          {append([]Column{{"_synced_at", "Date"}}, columns...), Options{SyncedAt: "_synced_at"}, "want DateTime64"},
		"a metadata column named id":      {columns, Options{IsDeleted: "id"}, "name of another column"},
		"two metadata columns of a name":  {columns, Options{Version: "_version", IsDeleted: "_version"}, "name of another column"},
	} {
		if _, err := NewBlock(table, test.columns, test.options); err == nil || !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: got %v, want an error with %q", name, err, test.err)
		}
	}
}

// TestFailedAppendLeavesNothing fails an Append in each column, after more rows
// than one strip, and compares the wire form of the block with that before.
func TestFailedAppendLeavesNothing(t *testing.T) {
	bad := map[string]cell{"id": null, "n": txt("1.234"), "s": unchanged, "f": txt("too long"), "l": unchanged, "a": txt("{1,x}"), "v": txt("[1"), "d": txt("infinity")}
	for c, column := range []string{"id", "n", "s", "f", "l", "a", "v", "d"} {
		b, table := everyBlock(t, metadataOptions(Fail))
		if err := b.Append(tuples(table, everyRow("1"), everyRow("2"))); err != nil {
			t.Fatal(err)
		}
		before, size := wire(t, b), b.Size()
		var rows [][]cell
		for range stripRows + 10 {
			rows = append(rows, everyRow("3"))
		}
		rows[stripRows+5] = everyRow("4")
		rows[stripRows+5][c] = bad[column]
		err := b.Append(tuples(table, rows...))
		if err == nil {
			t.Errorf("column %q: no error", column)
			continue
		}
		for _, want := range []string{`column "` + column + `" of public.every`, "insert at 0000000000000406"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("column %q: got %v, want an error with %q", column, err, want)
			}
		}
		if column != "id" && !strings.Contains(err.Error(), `key id="4"`) {
			t.Errorf("column %q: got %v, want an error that names the key", column, err)
		}
		if after := wire(t, b); !maps.Equal(before, after) || b.Size() != size || b.Rows() != 2 {
			t.Errorf("column %q: the block has changed", column)
		}
		if err := b.Append(tuples(table, everyRow("5"))); err != nil || b.Rows() != 3 {
			t.Errorf("column %q: appending after the failure: %v, %d rows", column, err, b.Rows())
		}
		wire(t, b)
	}
}

func TestErrorsAreTold(t *testing.T) {
	for _, test := range []struct {
		column int
		cell   cell
		is     error
		text   string
	}{
		{0, null, ErrNull, "NOT NULL"},
		{1, unchanged, ErrUnchanged, "unchanged_toast"},
		{1, txt("1e100"), ErrUnrepresentable, `numeric value "1e100" cannot be stored in Nullable(Decimal(30, 2))`},
		{1, txt("1x"), ErrMalformed, `"1x" is not the text form of a numeric`},
		{1, cell{change.Binary, "\x00\x01\x02"}, ErrMalformed, `\x000102 is not the binary form of a numeric`},
		{3, txt(strings.Repeat("long", 100)), ErrUnrepresentable, strings.Repeat("long", 16) + `"… cannot be stored`},
		{5, txt("{{1}}"), ErrUnrepresentable, "other dimensions"},
		{5, txt("{1"), ErrMalformed, "text form of a int4[]"},
		{7, txt("infinity"), ErrUnrepresentable, "`unrepresentable: null`"},
		{7, cell{kind: 'z'}, ErrMalformed, "unknown kind"},
	} {
		b, table := everyBlock(t, metadataOptions(Fail))
		row := everyRow("7")
		row[test.column] = test.cell
		err := b.Append(tuples(table, row))
		if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("got %v, want %v and %q", err, test.is, test.text)
		}
	}
	b, _ := everyBlock(t, metadataOptions(Fail))
	other := &change.Table{Schema: "public", Name: "every"}
	if err := b.Append(tuples(other)); err == nil || !strings.Contains(err.Error(), "another definition") {
		t.Errorf("got %v, want an error about another definition", err)
	}
}

func TestCellsWithoutValue(t *testing.T) {
	table, columns := everyColumn()
	for i := range columns {
		columns[i].Type = strings.NewReplacer("Nullable(Decimal(30, 2))", "Decimal(30, 2)", "Nullable(Date32)", "Date32",
			"Nullable(FixedString(4))", "FixedString(4)", "Nullable(String)", "String").Replace(columns[i].Type)
	}
	lost := map[string]int{}
	o := metadataOptions(Fail)
	o.Lossy = func(table *change.Table, column, reason string, n int) { lost[table.Name+" "+column+" "+reason] += n }
	b, err := NewBlock(table, columns, o)
	if err != nil {
		t.Fatal(err)
	}
	tombstone := []cell{txt("1"), absent, absent, absent, absent, absent, absent, absent}
	nulls := []cell{txt("2"), null, null, null, null, null, null, null}
	batch := tuples(table, tombstone, nulls, nulls)
	batch.Rows[0].Operation, batch.Rows[1].Operation = change.Delete, change.Delete
	if err := b.Append(batch); err != nil {
		t.Fatal(err)
	}
	zero := func(n int) string { return strings.Repeat("\x00", n) }
	got := wire(t, b)
	// Date32's default is 1900-01-01, 25567 days before the epoch.
	for column, want := range map[string]string{
		"n": zero(3 * 16), "s": zero(3), "f": zero(3 * 4), "d": strings.Repeat("\x21\x9c\xff\xff", 3), "a": zero(3*8 + 0), "v": zero(3 * 8),
		"_is_deleted": "\x01\x01\x00", "_version": "\x01" + zero(7) + "\x02" + zero(7) + "\x03" + zero(7),
	} {
		if got[column] != want {
			t.Errorf("column %q is %x, want %x", column, got[column], want)
		}
	}
	if want := map[string]int{"every a null_array": 2, "every v null_array": 2}; !maps.Equal(lost, want) {
		t.Errorf("counted %v, want %v", lost, want)
	}
	// A NULL in the key of a deleted row is not worth stopping for.
	keyless := tuples(table, []cell{null, null, null, null, null, null, null, null})
	keyless.Rows[0].Operation = change.Delete
	if err := b.Append(keyless); err != nil {
		t.Error(err)
	}
}

// TestNumbersOfMappings stores what processors make of integers.
func TestNumbersOfMappings(t *testing.T) {
	table := &change.Table{Schema: "public", Name: "t", Key: []int{0}, Columns: []change.Column{{Name: "v", Type: builtin(23, "int4"), TypeMod: -1}}}
	for text, want := range map[string]any{
		"1e3": int32(1000), "12.0": int32(12), "-0": int32(0), "+5": int32(5), "2147483648": ErrUnrepresentable, "1.5": ErrUnrepresentable,
		"1e400": ErrUnrepresentable, "": ErrMalformed, "-": ErrMalformed, ".": ErrMalformed, "e5": ErrMalformed, "1e": ErrMalformed, "0x1F": ErrMalformed, "NaN": ErrUnrepresentable,
	} {
		b, err := NewBlock(table, []Column{{"v", "Int32"}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		err = b.Append(tuples(table, []cell{txt(text)}))
		if e, ok := want.(error); ok {
			if !errors.Is(err, e) {
				t.Errorf("%q: got %v, want %v", text, err, e)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := int32(binary.LittleEndian.Uint32([]byte(wire(t, b)["v"]))); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}

func TestTimestampTexts(t *testing.T) {
	for text, want := range map[string]timestamp{
		"1970-01-01":                          {},
		"1970-01-01 00:00:01":                 {seconds: 1},
		"1970-01-01T00:00:01Z":                {seconds: 1},
		"1970-01-01t00:00:01.5z":              {seconds: 1, micros: 500000},
		"1970-01-01T02:00:01+02:00":           {seconds: 1},
		"1969-12-31 20:30:01-03:30":           {seconds: 1},
		"1970-01-01 00:00:01.000001+00":       {seconds: 1, micros: 1},
		"1970-01-01T00:00:01.0000014Z":        {seconds: 1, micros: 1},
		"1970-01-01T00:00:01.9999995Z":        {seconds: 2},
		"1970-01-01T00:00:01.123456789+00:00": {seconds: 1, micros: 123457},
		"0001-12-31 00:00:00 BC":              {seconds: -62135683200},
		"0001-12-31 BC":                       {seconds: -62135683200},
		"10000-01-01 00:00:00+00":             {seconds: 253402300800},
		"1883-11-18 12:00:00-00:00:36":        {seconds: -2717668764},
		"infinity":                            {infinity: 1},
		"-infinity":                           {infinity: -1},
	} {
		if got, ok := parseTimestamp([]byte(text)); !ok || got != want {
			t.Errorf("%q: got %+v %v, want %+v", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", "now", "2024", "2024-13-01", "2024-00-01", "2024-01-00", "2024-01-32", "2024-01-01 25:00:00", "2024-01-01 00:60:00",
		"2024-01-01 00:00:00 AD", "2024-01-01 00:00:00.", "2024-01-01 00:00:00+", "2024-01-01 00:00:00+00x", "2024-01-01 0:00:00", "-2024-01-01", "inf", "20a4-01-01 00:00:00",
	} {
		if got, ok := parseTimestamp([]byte(text)); ok {
			t.Errorf("%q: got %+v, want an error", text, got)
		}
	}
}

// TestMoneyTexts reads money as locales print it.
func TestMoneyTexts(t *testing.T) {
	for text, want := range map[string]int64{
		"$1,234.56": 123456, "-$1,234.56": -123456, "($1.00)": -100, "1.234,56 €": 123456, "-1 234,56 kr": -123456, "$0.00": 0,
		"-$92,233,720,368,547,758.08": math.MinInt64, "$92,233,720,368,547,758.07": math.MaxInt64,
	} {
		if got, ok := parseMoney([]byte(text)); !ok || got != want {
			t.Errorf("%q: got %d %v, want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "$", "$92,233,720,368,547,758.08", "-$92,233,720,368,547,758.09", "$99999999999999999999"} {
		if got, ok := parseMoney([]byte(text)); ok {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

// TestVectors reads pgvector's types, which the test's server does not have.
func TestVectors(t *testing.T) {
	for _, test := range []struct {
		name string
		cell cell
		want []float32
	}{
		{"vector", txt("[1,-2.5,0.1]"), []float32{1, -2.5, 0.1}},
		{"vector", txt("[]"), nil},
		{"vector", cell{change.Binary, "\x00\x02\x00\x00\x3f\x80\x00\x00\xc0\x20\x00\x00"}, []float32{1, -2.5}},
		{"halfvec", txt("[65504,1]"), []float32{65504, 1}},
		{"halfvec", cell{change.Binary, "\x00\x05\x00\x00\x3c\x00\xc1\x00\x7b\xff\x00\x01\x00\x00"}, []float32{1, -2.5, 65504, 5.9604645e-08, 0}},
	} {
		table := &change.Table{Schema: "public", Name: "t", Key: []int{0}, Columns: []change.Column{
			{Name: "v", Type: &change.Type{OID: 70000, Name: test.name, Schema: "public", Kind: change.TypeBase}, TypeMod: -1},
		}}
		b, err := NewBlock(table, []Column{{"v", "Array(Float32)"}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Append(tuples(table, []cell{test.cell})); err != nil {
			t.Errorf("%s %q: %v", test.name, test.cell.value, err)
			continue
		}
		want := binary.LittleEndian.AppendUint64(nil, uint64(len(test.want)))
		for _, f := range test.want {
			want = binary.LittleEndian.AppendUint32(want, math.Float32bits(f))
		}
		if got := wire(t, b)["v"]; got != string(want) {
			t.Errorf("%s %q: got %x, want %x", test.name, test.cell.value, got, want)
		}
		for _, bad := range []cell{txt(""), txt("[1,]"), txt("[a]"), txt("1,2"), {change.Binary, "\x00\x01\x00\x00\x3f"}, {change.Binary, "\x00"}} {
			if err := b.Append(tuples(table, []cell{bad})); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s %q: got %v, want ErrMalformed", test.name, bad.value, err)
			}
		}
	}
}

func TestHistoryKeepsOperations(t *testing.T) {
	b, table := everyBlock(t, Options{})
	batch := tuples(table, everyRow("1"), everyRow("1"), everyRow("1"), everyRow("1"))
	for i, operation := range []change.Operation{change.Read, change.Insert, change.Update, change.Delete} {
		batch.Rows[i].Operation = operation
	}
	if err := b.Append(batch); err != nil {
		t.Fatal(err)
	}
	if got := wire(t, b)["_operation"]; !strings.Contains(got, "\x04read\x06insert\x06update\x06delete") || !strings.HasSuffix(got, "\x00\x01\x02\x03") {
		t.Errorf("the operations are %q", got)
	}
	batch.Rows[0].Operation = change.Truncate
	if err := b.Append(batch); err == nil || b.Rows() != 4 {
		t.Errorf("a truncate passed as a row: %v, %d rows", err, b.Rows())
	}
}

// TestWarmBlockAllocatesNothing appends the same rows to a block that has grown
// to them before.
func TestWarmBlockAllocatesNothing(t *testing.T) {
	columns := mixedColumns()
	table, to := benchTable(columns)
	for name, form := range benchForms {
		batch := benchBatch(t, table, columns, form, 3000)
		b, err := NewBlock(table, to, metadataOptions(Fail))
		if err != nil {
			t.Fatal(err)
		}
		allocations := testing.AllocsPerRun(10, func() { // which runs it once before it counts
			b.Reset()
			if err := b.Append(batch); err != nil {
				t.Fatal(err)
			}
		})
		if allocations != 0 {
			t.Errorf("%s: %v allocations", name, allocations)
		}
	}
}

// TestLossyKeyIsThatOfTheFirstRow counts values that do not fit, in rows and in
// elements, and asks for their keys.
func TestLossyKeyIsThatOfTheFirstRow(t *testing.T) {
	table, columns := everyColumn()
	for i := range columns {
		columns[i].Type = strings.Replace(columns[i].Type, "Array(Nullable(Int32))", "Array(Int32)", 1)
	}
	keys, counts := map[string]string{}, map[string]int{}
	b, err := NewBlock(table, columns, Options{
		Unrepresentable: Clamp,
		Lossy:           func(_ *change.Table, column, reason string, n int) { counts[column+" "+reason] += n },
		LossyKey:        func(_ *change.Table, column, reason, key string) { keys[column+" "+reason] = key },
	})
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]cell
	for i := range 10 {
		row := everyRow(string(rune('0' + i)))
		if i >= 3 {
			row[7] = txt("1800-01-01")
		}
		if i >= 5 {
			row[5] = txt("{1,NULL}")
		}
		if i >= 8 {
			row[5] = null
		}
		rows = append(rows, row)
	}
	if err := b.Append(tuples(table, rows...)); err != nil {
		t.Fatal(err)
	}
	if want := map[string]int{"d below_range": 7, "a null_element": 3, "a null_array": 2}; !maps.Equal(counts, want) {
		t.Errorf("counted %v, want %v", counts, want)
	}
	want := map[string]string{"d below_range": `id="3"`, "a null_element": `id="5"`, "a null_array": `id="8"`}
	if !maps.Equal(keys, want) {
		t.Errorf("the keys are %v, want %v", keys, want)
	}
	rows[0][1] = txt("x") // a batch that fails counts nothing
	clear(counts)
	if err := b.Append(tuples(table, rows...)); err == nil || len(counts) > 0 {
		t.Errorf("got %v and counts %v", err, counts)
	}
}
