package ddl

import (
	"strconv"
	"strings"
)

// wider says whether each value of type from is the same value in type to, and is written the same as one that is
// inserted anew: whether MODIFY COLUMN keeps a column right.
func wider(from, to string) bool {
	if from == to {
		return true
	}
	fromName, fromArgs := splitType(from)
	toName, toArgs := splitType(to)
	switch {
	case fromName == "LowCardinality": // only another way to keep the same values
		return wider(fromArgs[0], to)
	case toName == "LowCardinality":
		return wider(from, toArgs[0])
	case toName == "Nullable":
		if fromName == toName {
			return wider(fromArgs[0], toArgs[0])
		}
		return fromName != "Array" && wider(from, toArgs[0])
	case fromName == "Nullable":
		return false // NULL has no place
	case fromName == "Array" && toName == "Array":
		return wider(fromArgs[0], toArgs[0])
	}
	if bits, signed, ok := integer(fromName); ok {
		return integerFits(bits, signed, toName, toArgs)
	}
	switch fromName {
	case "Float32":
		return toName == "Float64"
	case "Decimal":
		precision, scale := decimal(fromArgs)
		toPrecision, toScale := decimal(toArgs)
		return toName == "Decimal" && toScale >= scale && toPrecision-toScale >= precision-scale
	case "UUID":
		return toName == "String"
	case "DateTime64":
		return toName == "DateTime64" && len(fromArgs) > 0 && len(toArgs) > 0 && fromArgs[0] <= toArgs[0]
	}
	return false
}

func integerFits(bits int, signed bool, toName string, toArgs []string) bool {
	toBits, toSigned, ok := integer(toName)
	switch {
	case ok:
		return toBits > bits && (toSigned || !signed) || toBits == bits && toSigned == signed
	case toName == "String":
		return true // 42 is 42
	case toName == "Decimal":
		precision, scale := decimal(toArgs)
		return precision-scale >= digits(bits, signed)
	case toName == "Float64":
		return bits <= 32
	}
	return false
}

// digits is how many decimal digits the largest integer has.
func digits(bits int, signed bool) int {
	if signed {
		bits--
	}
	return bits*30103/100000 + 1 // log10(2) = 0.30103
}

func integer(name string) (bits int, signed, ok bool) {
	number, signed := strings.CutPrefix(name, "Int")
	if !signed {
		var unsigned bool
		if number, unsigned = strings.CutPrefix(name, "UInt"); !unsigned {
			return 0, false, false
		}
	}
	bits, err := strconv.Atoi(number)
	return bits, signed, err == nil
}

func decimal(args []string) (precision, scale int) {
	if len(args) == 2 {
		precision, _ = strconv.Atoi(args[0])
		scale, _ = strconv.Atoi(args[1])
	}
	return precision, scale
}

// splitType takes one level of a type apart: "Decimal(10, 2)" is "Decimal" of "10" and "2". A name that takes types
// always comes with at least one.
func splitType(t string) (name string, args []string) {
	name, rest, found := strings.Cut(t, "(")
	if !found {
		return name, nil
	}
	args = splitList(strings.TrimSuffix(rest, ")"))
	if len(args) == 0 {
		return t, nil
	}
	return name, args
}
