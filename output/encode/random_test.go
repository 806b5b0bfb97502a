package encode

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"pgregory.net/rapid"
)

// TestRandomRoundTrip is TestRoundTrip with random values. PENSTOCK_TEST_SEED
// repeats a run.
func TestRandomRoundTrip(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("PENSTOCK_TEST_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("PENSTOCK_TEST_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	pg, click := newSource(t), newDestination(t)
	for _, test := range []struct {
		pgType string
		value  func() string
		to     map[string]same
	}{
		{"int8", func() string { return strconv.FormatInt(int64(r.Uint64())>>r.IntN(64), 10) }, into(identical, nullable("Int64", "Int128", "String")...)},
		{"numeric(9,3)", func() string { return digits(r, 6, 3) }, into(sameNumber, nullable("Decimal(9, 3)", "Decimal(18, 5)")...)},
		{"numeric(18,4)", func() string { return digits(r, 14, 4) }, into(sameNumber, nullable("Decimal(18, 4)", "Decimal(20, 5)")...)},
		{"numeric(38,10)", func() string { return digits(r, 28, 10) }, into(sameNumber, nullable("Decimal(38, 10)", "Decimal(76, 11)", "Decimal(76, 48)")...)},
		{"numeric(76,33)", func() string { return digits(r, 43, 33) }, into(sameNumber, nullable("Decimal(76, 33)")...)},
		{"numeric", func() string { return digits(r, 30, 40) }, and(into(sameNumber, nullable("Decimal(76, 41)")...), into(identical, stringTypes...), into(sameFloat(64), "Float64"))},
		{"numeric(76,0)", func() string { return digits(r, 76, 0) }, into(sameNumber, nullable("Int256", "Decimal(76, 0)")...)},
		{"float4", func() string { return fmt.Sprintf("'%g'", float32(r.NormFloat64())) }, into(sameFloat(32), nullable("Float32")...)},
		{"float8", func() string { return fmt.Sprintf("'%g'", r.NormFloat64()*1e100) }, and(into(sameFloat(64), nullable("Float64")...), into(identical, "String"))},
		{"date", func() string { return "'2299-12-31'::date - " + strconv.Itoa(r.IntN(date32Max-date32Min+1)) }, into(identical, nullable("Date32", "String")...)},
		{"timestamp", randomTime(r, ""), into(sameTime(6), nullable("DateTime64(6, 'UTC')")...)},
		{"timestamptz", randomTime(r, "+00"), and(into(sameTime(8), nullable("DateTime64(8, 'UTC')")...), into(identical, stringTypes...))},
		{"uuid", func() string { return "'" + hex.EncodeToString(append(be64(r.Uint64()), be64(r.Uint64())...)) + "'" }, into(identical, append(nullable("UUID"), "String")...)},
		{"text", func() string { return quoted(randomText(r))[0] }, into(identical, stringTypes...)},
		{"interval", func() string {
			return fmt.Sprintf("'%d mons %d days %d.%06d s'", r.IntN(1000)-500, r.IntN(100)-50, r.IntN(1e6)-5e5, r.IntN(1e6))
		}, into(identical, "String")},
	} {
		t.Run(test.pgType, func(t *testing.T) {
			values := make([]string, 300)
			for i := range values {
				values[i] = test.value()
			}
			trip := roundTrip{pgType: test.pgType, values: values, to: test.to}
			trip.run(t, pg, click)
		})
	}
}

// digits makes a number of at most so many digits before and behind the point,
// with runs of zeros and nines.
func digits(r *rand.Rand, whole, fraction int) string {
	var b strings.Builder
	if r.IntN(2) == 0 {
		b.WriteByte('-')
	}
	run := byte('0')
	write := func(n int) {
		for range n {
			if r.IntN(4) == 0 {
				run = "00912345678"[r.IntN(11)]
			}
			b.WriteByte(run)
		}
	}
	b.WriteByte('0')
	write(r.IntN(whole + 1))
	if n := r.IntN(fraction + 1); n > 0 {
		b.WriteByte('.')
		write(n)
	}
	return b.String()
}

func randomTime(r *rand.Rand, suffix string) func() string {
	return func() string {
		micros := dateTime64Min*1_000_000 + r.Int64N((dateTime64Max-dateTime64Min)*1_000_000)
		if r.IntN(2) == 0 {
			micros -= micros % 1_000_000
		}
		return time.UnixMicro(micros).UTC().Format("'2006-01-02 15:04:05.000000" + suffix + "'")
	}
}

func randomText(r *rand.Rand) string {
	alphabet := []rune("abcXYZ 0123'\"\\\n\t,{}日本語é")
	runes := make([]rune, r.IntN(200))
	for i := range runes {
		runes[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(runes)
}

// TestScalerAgainstBigIntegers compares both forms of random numbers, at random
// precision and scale, with exact arithmetic.
func TestScalerAgainstBigIntegers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		precision := rapid.IntRange(1, maxDecimalDigits).Draw(t, "precision")
		scale := rapid.IntRange(0, precision).Draw(t, "scale")
		text := rapid.StringMatching(`-?[0-9]{1,50}(\.(0|9|[0-9]){1,50})?`).Draw(t, "number")
		sc := decimalScaler(precision, scale)

		want, verdict := expectScaled(text, precision, scale)
		for form, read := range map[string]func() (wide, int64, bool, error){
			"text": func() (wide, int64, bool, error) {
				w, v := sc.text([]byte(text))
				n, ok := sc.text64([]byte(text))
				return w, n, ok, verdictError(v, verdict)
			},
			"binary": func() (wide, int64, bool, error) {
				b := binaryNumeric(text)
				w, v := sc.binary(b)
				n, ok := sc.binary64(b)
				return w, n, ok, verdictError(v, verdict)
			},
		} {
			w, narrow, ok, err := read()
			if err != nil {
				t.Fatalf("%s: %v", form, err)
			}
			if got := fromWide(w); got.Cmp(want) != 0 {
				t.Fatalf("%s of %s at Decimal(%d, %d): got %s, want %s", form, text, precision, scale, got, want)
			}
			if ok && (verdict != exact || big.NewInt(narrow).Cmp(want) != 0) {
				t.Fatalf("%s of %s at Decimal(%d, %d): the 64-bit path says %d, want %s", form, text, precision, scale, narrow, want)
			}
		}
	})
}

func verdictError(got, want verdict) error {
	if got != want {
		return fmt.Errorf("verdict %d, want %d", got, want)
	}
	return nil
}

// expectScaled rounds half away from zero and clamps.
func expectScaled(text string, precision, scale int) (*big.Int, verdict) {
	r, _ := new(big.Rat).SetString(text)
	ten := big.NewInt(10)
	r.Mul(r, new(big.Rat).SetInt(new(big.Int).Exp(ten, big.NewInt(int64(scale)), nil)))
	n, rest := new(big.Int).QuoRem(r.Num(), r.Denom(), new(big.Int))
	v := exact
	if rest.Sign() != 0 {
		v = rounded
		if new(big.Int).Lsh(rest.Abs(rest), 1).Cmp(r.Denom()) >= 0 {
			n.Add(n, big.NewInt(int64(r.Sign())))
		}
	}
	limit := new(big.Int).Exp(ten, big.NewInt(int64(precision)), nil)
	limit.Sub(limit, big.NewInt(1))
	if n.CmpAbs(limit) > 0 {
		if n.Sign() < 0 {
			return limit.Neg(limit), belowRange
		}
		return limit, aboveRange
	}
	return n, v
}

func fromWide(w wide) *big.Int {
	var b [32]byte
	for i := range w {
		binary.BigEndian.PutUint64(b[24-8*i:], w[i])
	}
	n := new(big.Int).SetBytes(b[:])
	if w[3]>>63 == 1 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), 256))
	}
	return n
}

// binaryNumeric makes numeric's binary form of a plain decimal.
func binaryNumeric(text string) []byte {
	sign := uint16(numericPositive)
	if text[0] == '-' {
		sign, text = numericNegative, text[1:]
	}
	whole, fraction, _ := strings.Cut(text, ".")
	scale := len(fraction)
	whole = strings.Repeat("0", (4-len(whole)%4)%4) + whole
	fraction += strings.Repeat("0", (4-len(fraction)%4)%4)
	weight := len(whole)/4 - 1
	var groups []uint16
	for all := whole + fraction; len(all) > 0; all = all[4:] {
		g, _ := strconv.ParseUint(all[:4], 10, 16)
		groups = append(groups, uint16(g))
	}
	for len(groups) > 0 && groups[0] == 0 {
		groups, weight = groups[1:], weight-1
	}
	for len(groups) > 0 && groups[len(groups)-1] == 0 {
		groups = groups[:len(groups)-1]
	}
	if len(groups) == 0 {
		sign, weight = numericPositive, 0
	}
	b := binary.BigEndian.AppendUint16(nil, uint16(len(groups)))
	for _, v := range append([]uint16{uint16(int16(weight)), sign, uint16(scale)}, groups...) {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

// TestDictionaryNumbersValues compares the dictionary with a map, through
// truncation.
func TestDictionaryNumbersValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLowCardinality(&site{dest: "LowCardinality(String)"}).(*lowCardinality)
		d := &l.dictionary
		numbers := map[string]uint32{}
		var values []string
		for range rapid.IntRange(0, 400).Draw(t, "steps") {
			if rapid.IntRange(0, 50).Draw(t, "truncate") == 0 {
				n := rapid.IntRange(0, len(values)).Draw(t, "keep")
				d.truncate(n)
				for _, v := range values[n:] {
					delete(numbers, v)
				}
				values = values[:n]
			}
			v := rapid.StringN(0, 3, 200).Draw(t, "value")
			want, known := numbers[v]
			if !known {
				want = uint32(len(values))
				numbers[v], values = want, append(values, v)
			}
			if got := d.number([]byte(v)); got != want {
				t.Fatalf("%q has number %d, want %d", v, got, want)
			}
		}
		var wire proto.Buffer
		for _, v := range values {
			wire.PutString(v)
		}
		if string(wire.Buf) != string(d.buf) {
			t.Fatalf("the dictionary is written as %x, want %x", d.buf, wire.Buf)
		}
	})
}
