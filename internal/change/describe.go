package change

import (
	"fmt"
)

// Describe returns the definition as plain maps, slices, strings, integers and
// booleans: the `schema` metadata of a row, which survives JSON and can be read
// by a mapping. [Parse] is its inverse.
func (t *Table) Describe() map[string]any {
	columns := make([]any, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = map[string]any{
			"name":      c.Name,
			"type":      c.Type.describe(),
			"type_mod":  int64(c.TypeMod),
			"not_null":  c.NotNull,
			"generated": c.Generated,
		}
	}
	key := make([]any, len(t.Key))
	for i, name := range t.KeyNames() {
		key[i] = name
	}
	return map[string]any{
		"database_schema":  t.Schema,
		"table":            t.Name,
		"oid":              int64(t.OID),
		"columns":          columns,
		"key":              key,
		"key_is_whole_row": t.KeyIsWholeRow,
		"replica_identity": t.Identity.String(),
		"version":          FormatLSN(t.Version),
	}
}

func (t *Type) describe() map[string]any {
	d := map[string]any{"oid": int64(t.OID), "name": t.Name, "schema": t.Schema, "kind": string(rune(t.Kind))}
	if t.Elem != nil {
		d["element"] = t.Elem.describe()
		d["delimiter"] = string(rune(t.Delim))
	}
	if t.MoneyDigits != 0 {
		d["money_digits"] = int64(t.MoneyDigits)
	}
	return d
}

// Parse makes a Table of what [Table.Describe] returned, also after a trip
// through JSON.
func Parse(description any) (*Table, error) {
	d := reader{at: "schema"}
	m := d.object(description)
	t := &Table{
		Schema:        d.text(m, "database_schema"),
		Name:          d.text(m, "table"),
		OID:           uint32(d.number(m, "oid")),
		KeyIsWholeRow: d.flag(m, "key_is_whole_row"),
		Identity:      parseIdentity(d.text(m, "replica_identity")),
	}
	version, err := ParseLSN(d.text(m, "version"))
	if err != nil && d.err == nil {
		d.err = fmt.Errorf("schema.version: %w", err)
	}
	t.Version = version
	for _, v := range d.list(m, "columns") {
		c := d.object(v)
		t.Columns = append(t.Columns, Column{
			Name:      d.text(c, "name"),
			Type:      d.typ(c["type"]),
			TypeMod:   int32(d.number(c, "type_mod")),
			NotNull:   d.flag(c, "not_null"),
			Generated: d.flag(c, "generated"),
		})
	}
	for _, v := range d.list(m, "key") {
		name, _ := v.(string)
		i := t.Column(name)
		if i < 0 {
			if d.err == nil {
				d.err = fmt.Errorf("schema.key names column %q, which is not among schema.columns", name)
			}
			break
		}
		t.Key = append(t.Key, i)
		t.Columns[i].InKey = true
	}
	if d.err != nil {
		return nil, fmt.Errorf("reading the definition of a table: %w", d.err)
	}
	return t, nil
}

func parseIdentity(s string) Identity {
	for _, i := range []Identity{IdentityDefault, IdentityNothing, IdentityFull, IdentityIndex} {
		if i.String() == s {
			return i
		}
	}
	return IdentityDefault
}

// reader takes plain values apart and keeps the first thing that is wrong.
type reader struct {
	at  string
	err error
}

func (r *reader) fail(field, want string, got any) {
	if r.err == nil {
		r.err = fmt.Errorf("%s is %T, want %s", field, got, want)
	}
}

func (r *reader) object(v any) map[string]any {
	m, ok := v.(map[string]any)
	if !ok {
		r.fail(r.at, "an object", v)
	}
	return m
}

func (r *reader) list(m map[string]any, field string) []any {
	l, ok := m[field].([]any)
	if !ok {
		r.fail(field, "an array", m[field])
	}
	return l
}

func (r *reader) text(m map[string]any, field string) string {
	s, ok := m[field].(string)
	if !ok {
		r.fail(field, "a string", m[field])
	}
	return s
}

func (r *reader) flag(m map[string]any, field string) bool {
	b, ok := m[field].(bool)
	if !ok {
		r.fail(field, "a boolean", m[field])
	}
	return b
}

func (r *reader) number(m map[string]any, field string) int64 {
	switch n := m[field].(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	case interface{ Int64() (int64, error) }: // json.Number
		i, err := n.Int64()
		if err == nil {
			return i
		}
	}
	r.fail(field, "a number", m[field])
	return 0
}

func (r *reader) typ(v any) *Type {
	m := r.object(v)
	t := &Type{OID: uint32(r.number(m, "oid")), Name: r.text(m, "name"), Schema: r.text(m, "schema")}
	if kind := r.text(m, "kind"); len(kind) == 1 {
		t.Kind = TypeKind(kind[0])
	}
	if elem, ok := m["element"]; ok {
		t.Elem = r.typ(elem)
		if delim := r.text(m, "delimiter"); len(delim) == 1 {
			t.Delim = delim[0]
		}
	}
	if _, ok := m["money_digits"]; ok {
		t.MoneyDigits = int(r.number(m, "money_digits"))
	}
	return t
}
