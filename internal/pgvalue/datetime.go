package pgvalue

import (
	"fmt"
	"math"
	"strconv"
)

// Dates count days and timestamps microseconds since 2000-01-01. The extreme
// values stand for infinity; between the limits lie 4714-11-24 BC and, for
// dates, 5874897 AD, for timestamps 294276 AD (src/include/datatype/timestamp.h).
const (
	microsPerSecond = 1_000_000
	microsPerDay    = 86_400 * microsPerSecond

	minDate = -2_451_545
	endDate = 2_145_031_949

	minTimestamp = -211_813_488_000_000_000
	endTimestamp = 9_223_371_331_200_000_000
)

func appendDate(dst []byte, days int32) ([]byte, error) {
	switch days {
	case math.MaxInt32:
		return append(dst, "infinity"...), nil
	case math.MinInt32:
		return append(dst, "-infinity"...), nil
	}
	if days < minDate || days >= endDate {
		return dst, fmt.Errorf("%w: date of %d days since 2000 is out of range", ErrMalformed, days)
	}
	dst, bc := appendDay(dst, int64(days))
	return appendEra(dst, bc), nil
}

func appendTimestamp(dst []byte, micros int64, zone bool) ([]byte, error) {
	switch micros {
	case math.MaxInt64:
		return append(dst, "infinity"...), nil
	case math.MinInt64:
		return append(dst, "-infinity"...), nil
	}
	if micros < minTimestamp || micros >= endTimestamp {
		return dst, fmt.Errorf("%w: timestamp of %d microseconds since 2000 is out of range", ErrMalformed, micros)
	}
	days, rest := floorDiv(micros, microsPerDay)
	dst, bc := appendDay(dst, days)
	dst = appendClock(append(dst, ' '), rest)
	if zone {
		dst = append(dst, "+00"...)
	}
	return appendEra(dst, bc), nil
}

func appendTime(dst []byte, micros int64) ([]byte, error) {
	if micros < 0 || micros > microsPerDay {
		return dst, fmt.Errorf("%w: time of %d microseconds is out of range", ErrMalformed, micros)
	}
	return appendClock(dst, micros), nil
}

// appendTimeTZ prints a time with zone, whose binary format counts seconds west
// of UTC.
func appendTimeTZ(dst []byte, micros int64, west int32) ([]byte, error) {
	const limit = 16 * 3600 // TZDISP_LIMIT of the server
	if west <= -limit || west >= limit {
		return dst, fmt.Errorf("%w: time zone %d seconds off UTC is out of range", ErrMalformed, west)
	}
	dst, err := appendTime(dst, micros)
	if err != nil {
		return dst, err
	}
	east := -int64(west)
	sign := byte('+')
	if east < 0 {
		sign, east = '-', -east
	}
	dst = appendDigits(append(dst, sign), uint64(east/3600), 2)
	minutes, seconds := uint64(east/60%60), uint64(east%60)
	if minutes != 0 || seconds != 0 {
		dst = appendDigits(append(dst, ':'), minutes, 2)
	}
	if seconds != 0 {
		dst = appendDigits(append(dst, ':'), seconds, 2)
	}
	return dst, nil
}

// appendInterval prints an interval as EncodeInterval does for
// INTSTYLE_ISO_8601: each part has its own sign and is left out where it is
// zero. Infinite intervals exist from PostgreSQL 17 on.
func appendInterval(dst []byte, micros int64, days, months int32) []byte {
	switch {
	case micros == math.MaxInt64 && days == math.MaxInt32 && months == math.MaxInt32:
		return append(dst, "infinity"...)
	case micros == math.MinInt64 && days == math.MinInt32 && months == math.MinInt32:
		return append(dst, "-infinity"...)
	case micros == 0 && days == 0 && months == 0:
		return append(dst, "PT0S"...)
	}
	part := func(v int64, unit byte) {
		if v != 0 {
			dst = append(strconv.AppendInt(dst, v, 10), unit)
		}
	}
	dst = append(dst, 'P')
	part(int64(months/12), 'Y')
	part(int64(months%12), 'M')
	part(int64(days), 'D')
	if micros == 0 {
		return dst
	}
	dst = append(dst, 'T')
	seconds := micros / microsPerSecond
	part(seconds/3600, 'H')
	part(seconds/60%60, 'M')
	if rest := micros % (60 * microsPerSecond); rest != 0 {
		if rest < 0 {
			dst, rest = append(dst, '-'), -rest
		}
		dst = strconv.AppendInt(dst, rest/microsPerSecond, 10)
		dst = append(appendFraction(dst, rest%microsPerSecond), 'S')
	}
	return dst
}

// appendDay prints year, month and day, and says whether the year is before
// Christ: year 0 of the proleptic Gregorian calendar is 1 BC.
func appendDay(dst []byte, days int64) (out []byte, bc bool) {
	year, month, day := civil(days)
	if year <= 0 {
		year, bc = 1-year, true
	}
	dst = appendDigits(dst, uint64(year), 4)
	dst = appendDigits(append(dst, '-'), month, 2)
	return appendDigits(append(dst, '-'), day, 2), bc
}

func appendEra(dst []byte, bc bool) []byte {
	if bc {
		return append(dst, " BC"...)
	}
	return dst
}

// civil splits days since 2000-01-01. It counts in years that begin in March,
// so that the leap day comes last, and in eras of 400 years, which all have the
// same length.
func civil(days int64) (year int64, month, day uint64) {
	const (
		daysPerEra = 146_097
		fromMarch0 = 730_425 // 0000-03-01 to 2000-01-01
	)
	era, dayOfEra := floorDiv(days+fromMarch0, daysPerEra)
	yearOfEra := (dayOfEra - dayOfEra/1460 + dayOfEra/36524 - dayOfEra/146_096) / 365
	dayOfYear := dayOfEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	fromMarch := (5*dayOfYear + 2) / 153
	day = uint64(dayOfYear - (153*fromMarch+2)/5 + 1)
	year = yearOfEra + era*400
	if fromMarch < 10 {
		return year, uint64(fromMarch + 3), day
	}
	return year + 1, uint64(fromMarch - 9), day
}

// appendClock prints microseconds since midnight.
func appendClock(dst []byte, micros int64) []byte {
	seconds := uint64(micros / microsPerSecond)
	dst = appendDigits(dst, seconds/3600, 2)
	dst = appendDigits(append(dst, ':'), seconds/60%60, 2)
	dst = appendDigits(append(dst, ':'), seconds%60, 2)
	return appendFraction(dst, micros%microsPerSecond)
}

// appendFraction prints a fraction of a second without trailing zeros, nothing
// where it is zero.
func appendFraction(dst []byte, micros int64) []byte {
	if micros == 0 {
		return dst
	}
	dst = appendDigits(append(dst, '.'), uint64(micros), 6)
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// floorDiv divides so that the rest is never negative.
func floorDiv(a, b int64) (quotient, rest int64) {
	quotient, rest = a/b, a%b
	if rest < 0 {
		return quotient - 1, rest + b
	}
	return quotient, rest
}
