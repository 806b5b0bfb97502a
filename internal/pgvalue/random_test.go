package pgvalue

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

type generator = func(*rapid.T) string

func integers(low, high int64) generator {
	return func(t *rapid.T) string { return strconv.FormatInt(rapid.Int64Range(low, high).Draw(t, "integer"), 10) }
}

func floats(size int) generator {
	return func(t *rapid.T) string {
		var v float64
		switch rapid.IntRange(0, 2).Draw(t, "kind of float") {
		case 0: // any bits
			v = math.Float64frombits(rapid.Uint64().Draw(t, "bits"))
			if size == 32 {
				v = float64(math.Float32frombits(uint32(math.Float64bits(v))))
			}
		case 1: // integers where boundaries between floats are short decimals
			v = float64(rapid.Uint64().Draw(t, "integer")) * math.Pow(10, float64(rapid.IntRange(-10, 6).Draw(t, "exponent")))
		default:
			v = math.Ldexp(1, rapid.IntRange(-1074, 1023).Draw(t, "power"))
		}
		if size == 32 && math.Abs(v) > math.MaxFloat32 {
			v = math.MaxFloat32
		}
		return strconv.FormatFloat(v, 'g', -1, size)
	}
}

func decimals(t *rapid.T) string {
	s := rapid.StringMatching(`-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?`).Draw(t, "decimal")
	if rapid.IntRange(0, 4).Draw(t, "with exponent") == 0 {
		s += fmt.Sprintf("e%d", rapid.IntRange(-60, 60).Draw(t, "exponent"))
	}
	return s
}

func texts(t *rapid.T) string {
	return rapid.StringOfN(rapid.OneOf(
		rapid.RuneFrom([]rune(` "'\{},;:=[]()nulNUL`)),
		rapid.RuneFrom([]rune("aé日😀\t\n\r\v\f\u00a0\u2028")),
	), 0, 12, -1).Draw(t, "text")
}

func dates(low, high int) generator {
	return func(t *rapid.T) string {
		year, era := rapid.IntRange(low, high).Draw(t, "year"), ""
		if year <= 0 {
			year, era = 1-year, " BC"
		}
		return fmt.Sprintf("%04d-%02d-%02d%s", year, rapid.IntRange(1, 12).Draw(t, "month"), rapid.IntRange(1, 28).Draw(t, "day"), era)
	}
}

func clocks(t *rapid.T) string {
	micros := rapid.Int64Range(0, microsPerDay).Draw(t, "microseconds")
	s := micros / microsPerSecond
	return fmt.Sprintf("%02d:%02d:%02d.%06d", s/3600, s/60%60, s%60, micros%microsPerSecond)
}

func zones(t *rapid.T) string {
	seconds := rapid.IntRange(-57599, 57599).Draw(t, "zone")
	sign := "+"
	if seconds < 0 {
		sign, seconds = "-", -seconds
	}
	return fmt.Sprintf("%s%02d:%02d:%02d", sign, seconds/3600, seconds/60%60, seconds%60)
}

func timestamps(zone bool) generator {
	return func(t *rapid.T) string {
		day, era, _ := strings.Cut(dates(-4700, 294000)(t), " ")
		s := day + " " + clocks(t)
		if zone {
			s += zones(t)
		}
		return strings.TrimSpace(s + " " + era)
	}
}

func intervals(t *rapid.T) string {
	small := rapid.Int32Range(-1000, 1000)
	return fmt.Sprintf("%d years %d mons %d days %d hours %d mins %d.%06d secs",
		rapid.Int32Range(-100_000_000, 100_000_000).Draw(t, "years"), small.Draw(t, "months"), rapid.Int32().Draw(t, "days"),
		small.Draw(t, "hours"), small.Draw(t, "minutes"), small.Draw(t, "seconds"), rapid.IntRange(0, 999_999).Draw(t, "microseconds"))
}

func jsons(t *rapid.T) string {
	return jsonOf(t, 3)
}

func jsonOf(t *rapid.T, depth int) string {
	switch kind := rapid.IntRange(0, 5).Draw(t, "kind of JSON"); {
	case kind == 0:
		return rapid.SampledFrom([]string{"null", "true", "false", "{}", "[ ]"}).Draw(t, "constant")
	case kind == 1:
		return decimals(t)
	case kind == 2 || depth == 0:
		return strconv.QuoteToASCII(rapid.StringMatching(`[ -~é日]{0,8}`).Draw(t, "string"))
	case kind == 3:
		return "[" + jsonOf(t, depth-1) + " ,\t" + jsonOf(t, depth-1) + "]"
	}
	return fmt.Sprintf(`{"b": %s,"a":%s , "b":1}`, jsonOf(t, depth-1), jsonOf(t, depth-1))
}

// arrays makes literals of one to three dimensions, some with other lower
// bounds, of elements that are all quoted or NULL.
func arrays(elem generator) generator {
	return func(t *rapid.T) string {
		dims := rapid.IntRange(0, 3).Draw(t, "dimensions")
		if dims == 0 {
			return "{}"
		}
		lengths, bounds := make([]int, dims), ""
		for d := range lengths {
			lengths[d] = rapid.IntRange(1, 3).Draw(t, "length")
			lower := rapid.IntRange(-3, 3).Draw(t, "lower bound")
			bounds += fmt.Sprintf("[%d:%d]", lower, lower+lengths[d]-1)
		}
		literal := arrayOf(t, lengths, elem)
		if rapid.Bool().Draw(t, "with bounds") {
			return bounds + "=" + literal
		}
		return literal
	}
}

func arrayOf(t *rapid.T, lengths []int, elem generator) string {
	if len(lengths) == 0 {
		if rapid.IntRange(0, 4).Draw(t, "null") == 0 {
			return "NULL"
		}
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(elem(t)) + `"`
	}
	members := make([]string, lengths[0])
	for i := range members {
		members[i] = arrayOf(t, lengths[1:], elem)
	}
	return "{" + strings.Join(members, ",") + "}"
}

func TestRandomValuesSayTheSameInBothFormats(t *testing.T) {
	s := connect(t, domains)
	hexadecimal := func(t *rapid.T) string {
		return fmt.Sprintf(`\x%x`, rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "bytes"))
	}
	uuids := func(t *rapid.T) string { return rapid.StringMatching(`[0-9a-f]{32}`).Draw(t, "uuid") }
	moods := func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"sad", "so so", `très "happy"`, "NULL"}).Draw(t, "mood")
	}
	bools := func(t *rapid.T) string { return strconv.FormatBool(rapid.Bool().Draw(t, "bool")) }
	for _, tc := range []struct {
		sqlType string
		values  generator
		arrays  bool
	}{
		{"bool", bools, true},
		{"int2", integers(math.MinInt16, math.MaxInt16), true},
		{"int4", integers(math.MinInt32, math.MaxInt32), true},
		{"int8", integers(math.MinInt64, math.MaxInt64), true},
		{"oid", integers(0, math.MaxUint32), true},
		{"xid8", func(t *rapid.T) string { return strconv.FormatUint(rapid.Uint64().Draw(t, "xid8"), 10) }, true},
		{"float4", floats(32), true},
		{"float8", floats(64), true},
		{"numeric", decimals, true},
		{"numeric(60,7)", func(t *rapid.T) string {
			return rapid.StringMatching(`-?[0-9]{1,50}(\.[0-9]{1,9})?`).Draw(t, "decimal")
		}, true},
		{"money", func(t *rapid.T) string {
			return rapid.StringMatching(`-?[0-9]{1,16}\.[0-9]{2}`).Draw(t, "amount")
		}, false},
		{"text", texts, true},
		{"varchar", texts, true},
		{"char(14)", texts, true},
		{"bytea", hexadecimal, true},
		{"uuid", uuids, true},
		{"date", dates(-4700, 5_874_000), true},
		{"timestamp", timestamps(false), true},
		{"timestamptz", timestamps(true), true},
		{"time", clocks, true},
		{"timetz", func(t *rapid.T) string { return clocks(t) + zones(t) }, true},
		{"interval", intervals, true},
		{"json", jsons, true},
		{"jsonb", jsons, true},
		{"mood", moods, true},
	} {
		run := func(sqlType string, values generator) {
			t.Run(sqlType, rapid.MakeCheck(func(t *rapid.T) {
				literals := make([]string, 20)
				for i := range literals {
					literals[i] = values(t)
				}
				typ, typmod, got := s.read(t, sqlType, literals)
				for _, v := range got {
					check(t, typ, typmod, v)
				}
			}))
		}
		run(tc.sqlType, tc.values)
		if tc.arrays {
			run(tc.sqlType+"[]", arrays(tc.values))
		}
	}
}

// TestFloatsAtPowersOfTwo goes through all of them: they are where the next
// smaller float is nearer than the next larger one.
func TestFloatsAtPowersOfTwo(t *testing.T) {
	s := connect(t, "")
	for sqlType, limits := range map[string][3]int{"float4": {-149, 127, 32}, "float8": {-1074, 1023, 64}} {
		var literals []string
		for power := limits[0]; power <= limits[1]; power++ {
			literals = append(literals, strconv.FormatFloat(math.Ldexp(1, power), 'g', -1, limits[2]))
		}
		typ, typmod, values := s.read(t, sqlType, literals)
		for _, v := range values {
			check(t, typ, typmod, v)
		}
	}
}

// TestFloatsWithoutAShortestForm takes those where strconv and PostgreSQL could
// differ: where the shortest digits lie half way to the next float, and where
// the float lies half way between two numbers of as few digits.
func TestFloatsWithoutAShortestForm(t *testing.T) {
	s := connect(t, "")
	for sqlType, size := range map[string]int{"float4": 32, "float8": 64} {
		var literals []string
		halfWay, ties := 0, 0
		for i := range uint64(100_000) {
			m := 1<<52 + i*i // float8's 53 bits, or float4's 24
			if size == 32 {
				m = 1<<23 + i*101&(1<<23-1)
			}
			v := math.Ldexp(float64(m), int(i)%46-25)
			short := strconv.AppendFloat(nil, v, 'e', -1, size)
			digits, _ := splitFloat(short)
			exact, _, _ := strings.Cut(strconv.FormatFloat(v, 'e', 60, 64), "e")
			switch exact = strings.TrimRight(exact, "0"); {
			case onBoundary(short, v, size):
				halfWay++
			case strings.HasSuffix(exact, "5") && len(exact) == len(strconv.FormatUint(digits, 10))+2:
				ties++
			case i%1000 != 0:
				continue
			}
			literals = append(literals, strconv.FormatFloat(v, 'e', 30, 64))
		}
		t.Logf("%s: %d half way, %d ties, %d tried", sqlType, halfWay, ties, len(literals))
		if halfWay < 20 || ties < 20 {
			t.Errorf("%s: only %d half way and %d ties tried", sqlType, halfWay, ties)
		}
		typ, typmod, values := s.read(t, sqlType, literals)
		for _, v := range values {
			check(t, typ, typmod, v)
		}
	}
}
