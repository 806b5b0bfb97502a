package pgvalue

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// rfc3339 turns "2006-01-02 15:04:05.999999[+00]" into RFC 3339, and leaves
// everything else as it is: years of more than four digits, years before
// Christ, infinity.
func rfc3339(text string, zone bool) string {
	clock := text
	if zone {
		var ok bool
		if clock, ok = strings.CutSuffix(text, "+00"); !ok {
			return text
		}
	}
	if !plainTimestamp(clock, ' ') {
		return text
	}
	b := make([]byte, 0, len(text)+1)
	b = append(b, clock...)
	b[10] = 'T'
	if zone {
		b = append(b, 'Z')
	}
	return string(b)
}

// plainTimestamp says whether text is "2006-01-02 15:04:05" with a fraction of
// up to six digits or none, where separator stands between date and time.
func plainTimestamp[T string | []byte](text T, separator byte) bool {
	const layout = "0000-00-00 00:00:00"
	if len(text) < len(layout) || text[10] != separator {
		return false
	}
	for i := range len(layout) {
		if digit := text[i] >= '0' && text[i] <= '9'; i != 10 && digit != (layout[i] == '0') || !digit && i != 10 && text[i] != layout[i] {
			return false
		}
	}
	fraction := text[len(layout):]
	if len(fraction) == 0 {
		return true
	}
	if fraction[0] != '.' || len(fraction) < 2 || len(fraction) > 7 {
		return false
	}
	for _, b := range []byte(fraction[1:]) {
		if b < '0' || b > '9' {
			return false
		}
	}
	return true
}

// appendTimestampText writes the text of a timestamp out of a body's string:
// RFC 3339 as [Structured] writes it byte by byte, other RFC 3339 by way of the
// point in time, and all else as it stands, for the reader to judge.
func appendTimestampText(dst []byte, text string, zone bool) ([]byte, error) {
	clock, utc := strings.CutSuffix(text, "Z")
	if utc == zone && plainTimestamp(clock, 'T') {
		dst = append(append(append(dst, clock[:10]...), ' '), clock[11:]...)
		if zone {
			dst = append(dst, "+00"...)
		}
		return dst, nil
	}
	if moment, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return appendMoment(dst, moment, zone)
	}
	return append(dst, text...), nil
}

// appendMoment prints a point in time, rounded to microseconds as the server
// does. Without a zone it is the clock of UTC.
func appendMoment(dst []byte, moment time.Time, zone bool) ([]byte, error) {
	moment = moment.Round(time.Microsecond)
	seconds := moment.Unix() - unixEpochOffset
	if seconds < minTimestamp/microsPerSecond || seconds >= endTimestamp/microsPerSecond {
		return dst, fmt.Errorf("%w: time %s is out of range", ErrMalformed, moment)
	}
	return appendTimestamp(dst, seconds*microsPerSecond+int64(moment.Nanosecond())/1000, zone)
}

// unixEpochOffset is 2000-01-01 in seconds since the Unix epoch.
const unixEpochOffset = 946_684_800

// parseVector reads pgvector's [1,2,3].
func parseVector(text string) (any, error) {
	body, ok := strings.CutPrefix(text, "[")
	body, closed := strings.CutSuffix(body, "]")
	if !ok || !closed {
		return nil, fmt.Errorf("%w: vector without brackets", ErrMalformed)
	}
	var list []any
	for more := true; more; {
		var elem string
		elem, body, more = strings.Cut(body, ",")
		v, err := strconv.ParseFloat(strings.TrimSpace(elem), 64)
		if err != nil {
			return nil, fmt.Errorf("%w: element %q of a vector", ErrMalformed, elem)
		}
		list = append(list, structuredFloat(v))
	}
	return list, nil
}
