package output

import "github.com/penstock/penstock/internal/change"

// sameDefinition says whether rows of both definitions are encoded alike: `format: rows` carries the definition in each
// message, so that equal ones need not be the same value.
func sameDefinition(a, b *change.Table) bool {
	if a.Schema != b.Schema || a.Name != b.Name || a.Version != b.Version || a.OID != b.OID || a.KeyIsWholeRow != b.KeyIsWholeRow ||
		len(a.Columns) != len(b.Columns) || len(a.Key) != len(b.Key) {
		return false
	}
	for i := range a.Key {
		if a.Key[i] != b.Key[i] {
			return false
		}
	}
	for i := range a.Columns {
		x, y := &a.Columns[i], &b.Columns[i]
		if x.Name != y.Name || x.TypeMod != y.TypeMod || x.NotNull != y.NotNull || x.InKey != y.InKey ||
			x.Type != y.Type && !sameType(x.Type, y.Type) {
			return false
		}
	}
	return true
}

func sameType(a, b *change.Type) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.OID == b.OID && a.Name == b.Name && a.Schema == b.Schema && a.Kind == b.Kind && a.Delim == b.Delim &&
		a.MoneyDigits == b.MoneyDigits && sameType(a.Elem, b.Elem)
}
