package encode

// text64 reads a plain decimal such as -12.50 whose digits fit 64 bits. It gives
// up (ok false) on everything else, for text to read.
func (s *scaler) text64(b []byte) (value int64, ok bool) {
	if s.narrow == 0 || len(b) == 0 || len(b) > 19 {
		return 0, false // 19 characters: 18 digits and a point or a sign
	}
	i, negative := 0, false
	if b[0] == '-' {
		if s.unsigned {
			return 0, false
		}
		i, negative = 1, true
	}
	var acc uint64
	digits, point := 0, -1
	for ; i < len(b); i++ {
		c := b[i] - '0'
		if c > 9 {
			if b[i] != '.' || point >= 0 {
				return 0, false
			}
			point = digits
			continue
		}
		acc = acc*10 + uint64(c)
		digits++
	}
	shift := s.scale
	if point >= 0 {
		shift -= digits - point
	}
	switch {
	case digits == 0:
		return 0, false
	case acc == 0:
		return 0, true
	case shift >= 0:
		if shift > 18 || acc > s.narrow/pow10[shift] {
			return 0, false
		}
		acc *= pow10[shift]
	default:
		unit := pow10[-shift]
		quotient := acc / unit
		if quotient*unit != acc || quotient > s.narrow {
			return 0, false
		}
		acc = quotient
	}
	if negative {
		return -int64(acc), true
	}
	return int64(acc), true
}

// text reads what numeric_out prints (digits, point, NaN, Infinity), and
// numbers of JSON and Go (1e3, +Inf).
func (s *scaler) text(b []byte) (wide, verdict) {
	rest, negative := b, false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		rest, negative = b[1:], b[0] == '-'
	}
	switch {
	case equalFold(rest, "nan"):
		return wide{}, notANumber
	case equalFold(rest, "infinity"), equalFold(rest, "inf"):
		return s.bound(negative), infinite
	}
	mantissa, exponent, ok := cutExponent(rest)
	if !ok {
		return wide{}, malformed
	}
	w, v := s.digits(mantissa, exponent)
	if v == malformed {
		return wide{}, malformed
	}
	return s.settle(w, negative, v)
}

// digits reads an unsigned decimal times ten to the power exponent.
func (s *scaler) digits(b []byte, exponent int) (w wide, v verdict) {
	whole, seen, points := 0, 0, 0
	for _, c := range b {
		switch {
		case c == '.':
			points++
		case c-'0' > 9:
			return w, malformed
		default:
			seen++
			if points == 0 {
				whole++
			}
		}
	}
	if seen == 0 || points > 1 {
		return w, malformed
	}
	place := whole - 1 + exponent + s.scale // power of ten that the next digit counts
	for _, c := range b {
		if c == '.' {
			continue
		}
		digit := uint64(c - '0')
		switch {
		case place >= 0:
			if !w.mulAdd(10, digit) {
				return w, aboveRange
			}
		case digit != 0:
			v = rounded
			if place == -1 && digit >= 5 {
				w.mulAdd(1, 1) // away from zero, as PostgreSQL rounds
			}
		}
		place--
	}
	if place++; place > 0 && !w.scaleUp(min(place, 1000)) {
		return w, aboveRange
	}
	return w, v
}

// cutExponent splits 12.5e-3 into 12.5 and -3.
func cutExponent(b []byte) (mantissa []byte, exponent int, ok bool) {
	for i, c := range b {
		if c != 'e' && c != 'E' {
			continue
		}
		mantissa, b = b[:i], b[i+1:]
		negative := len(b) > 0 && b[0] == '-'
		if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
			b = b[1:]
		}
		if len(b) == 0 {
			return nil, 0, false
		}
		for _, c := range b {
			if c-'0' > 9 {
				return nil, 0, false
			}
			exponent = min(exponent*10+int(c-'0'), 1<<20)
		}
		if negative {
			exponent = -exponent
		}
		return mantissa, exponent, true
	}
	return b, 0, true
}

// equalFold compares with a lower-case word, whatever the case of b.
func equalFold(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i, c := range b {
		if c|0x20 != word[i] {
			return false
		}
	}
	return true
}
