package encode

// timestamp is a point in time: seconds since 1970 in UTC, and microseconds
// behind it; or, by sign, an infinity.
type timestamp struct {
	seconds  int64
	micros   int32
	infinity int8
}

// parseTimestamp reads a date, timestamp or timestamptz as PostgreSQL prints it
// under DateStyle ISO (2024-01-02 03:04:05.678+00, 0044-03-15 BC, infinity) and
// RFC 3339 (T instead of the space, Z for the offset). Without an offset it is a
// time in UTC, without a time it is midnight. Digits beyond microseconds are
// rounded away, as PostgreSQL does with its input.
func parseTimestamp(b []byte) (t timestamp, ok bool) {
	if len(b) > 0 && (b[0]|0x20 == 'i' || b[0] == '-') {
		switch {
		case equalFold(b, "infinity"):
			return timestamp{infinity: 1}, true
		case b[0] == '-' && equalFold(b[1:], "infinity"):
			return timestamp{infinity: -1}, true
		}
		return t, false
	}
	if t, ok := parsePlain(b); ok {
		return t, true
	}
	c := clock{rest: b}
	year := c.number(4, 7)
	c.expect('-')
	month := c.number(2, 2)
	c.expect('-')
	day := c.number(2, 2)
	if len(c.rest) > 0 && (c.rest[0] == 'T' || c.rest[0] == 't' || c.rest[0] == ' ' && !c.atBC()) {
		c.rest = c.rest[1:]
		t.seconds, t.micros = c.timeOfDay()
		t.seconds -= c.offset()
	}
	if c.atBC() {
		c.rest = c.rest[3:]
		year = 1 - year // 1 BC is the year 0
	}
	if !c.ok() || len(c.rest) > 0 || month < 1 || month > 12 || day < 1 || day > 31 {
		return t, false
	}
	t.seconds += daysFromCivil(int64(year), int64(month), int64(day)) * secondsPerDay
	return t, true
}

// parsePlain reads YYYY-MM-DD HH:MM:SS[.ffffff][+00], which nearly all values
// are. It gives up (ok false) on everything else.
func parsePlain(b []byte) (t timestamp, ok bool) {
	const layout = len("2024-01-02 03:04:05")
	if len(b) < layout || b[4] != '-' || b[7] != '-' || b[10] != ' ' || b[13] != ':' || b[16] != ':' {
		return t, false
	}
	century, d1 := twoDigits(b[0], b[1])
	year, d2 := twoDigits(b[2], b[3])
	month, d3 := twoDigits(b[5], b[6])
	day, d4 := twoDigits(b[8], b[9])
	hour, d5 := twoDigits(b[11], b[12])
	minute, d6 := twoDigits(b[14], b[15])
	second, d7 := twoDigits(b[17], b[18])
	if !(d1 && d2 && d3 && d4 && d5 && d6 && d7) ||
		month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59 {
		return t, false
	}
	rest := b[layout:]
	if len(rest) > 0 && rest[0] == '.' {
		i := 1
		for ; i < len(rest) && i <= 6 && rest[i]-'0' <= 9; i++ {
			t.micros = t.micros*10 + int32(rest[i]-'0')
		}
		if i == 1 {
			return timestamp{}, false
		}
		for n := i; n <= 6; n++ {
			t.micros *= 10
		}
		rest = rest[i:]
	}
	if len(rest) != 0 && (len(rest) != 3 || rest[0] != '+' || rest[1] != '0' || rest[2] != '0') {
		return timestamp{}, false
	}
	t.seconds = daysFromCivil(century*100+year, month, day)*secondsPerDay + hour*3600 + minute*60 + second
	return t, true
}

func twoDigits(tens, ones byte) (int64, bool) {
	tens, ones = tens-'0', ones-'0'
	return int64(tens)*10 + int64(ones), tens <= 9 && ones <= 9
}

// daysFromCivil counts the days from 1970-01-01 in the proleptic Gregorian
// calendar: eras of 400 years, years that begin in March.
func daysFromCivil(year, month, day int64) int64 {
	if month <= 2 {
		year--
	}
	era := year / 400
	if year%400 < 0 {
		era--
	}
	yearOfEra := year - era*400
	dayOfYear := (153*((month+9)%12)+2)/5 + day - 1
	dayOfEra := yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear
	return era*146097 + dayOfEra - 719468
}

// clock reads the parts of a date and time, and remembers failure.
type clock struct {
	rest   []byte
	failed bool
}

func (c *clock) ok() bool { return !c.failed }

func (c *clock) expect(b byte) {
	if len(c.rest) == 0 || c.rest[0] != b {
		c.failed = true
		return
	}
	c.rest = c.rest[1:]
}

// number reads least to most digits.
func (c *clock) number(least, most int) int {
	n, i := 0, 0
	for ; i < len(c.rest) && i < most && c.rest[i]-'0' <= 9; i++ {
		n = n*10 + int(c.rest[i]-'0')
	}
	if i < least {
		c.failed = true
	}
	c.rest = c.rest[i:]
	return n
}

// timeOfDay reads 03:04:05.678; 24:00:00 is midnight at the day's end, and a
// leap second counts into the next minute.
func (c *clock) timeOfDay() (seconds int64, micros int32) {
	hour := c.number(2, 2)
	c.expect(':')
	minute := c.number(2, 2)
	second := 0
	if len(c.rest) > 0 && c.rest[0] == ':' {
		c.rest = c.rest[1:]
		second = c.number(2, 2)
		if len(c.rest) > 0 && c.rest[0] == '.' {
			c.rest = c.rest[1:]
			micros = c.fraction()
		}
	}
	if hour > 24 || minute > 59 || second > 60 {
		c.failed = true
	}
	seconds = int64(hour*3600 + minute*60 + second)
	if micros == 1e6 {
		return seconds + 1, 0
	}
	return seconds, micros
}

// fraction reads the digits behind the point as microseconds, up to 1000000
// where they are rounded up.
func (c *clock) fraction() int32 {
	var micros int32
	i := 0
	for ; i < len(c.rest) && c.rest[i]-'0' <= 9; i++ {
		if i < 6 {
			micros = micros*10 + int32(c.rest[i]-'0')
		}
	}
	if i == 0 {
		c.failed = true
	}
	if i > 6 && c.rest[6] >= '5' {
		micros++
	}
	for n := i; n < 6; n++ {
		micros *= 10
	}
	c.rest = c.rest[i:]
	return micros
}

// offset reads Z, +02, -03:30 or +00:00:00 as seconds east of UTC; nothing is 0.
func (c *clock) offset() int64 {
	if len(c.rest) == 0 {
		return 0
	}
	sign := int64(1)
	switch c.rest[0] {
	case 'Z', 'z':
		c.rest = c.rest[1:]
		return 0
	case '+':
	case '-':
		sign = -1
	default:
		return 0
	}
	c.rest = c.rest[1:]
	seconds := c.number(2, 2) * 3600
	if len(c.rest) > 0 && c.rest[0] == ':' {
		c.rest = c.rest[1:]
		seconds += c.number(2, 2) * 60
	}
	if len(c.rest) > 0 && c.rest[0] == ':' {
		c.rest = c.rest[1:]
		seconds += c.number(2, 2)
	}
	return sign * int64(seconds)
}

func (c *clock) atBC() bool {
	return len(c.rest) >= 3 && c.rest[0] == ' ' && c.rest[1] == 'B' && c.rest[2] == 'C'
}
