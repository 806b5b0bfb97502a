package change

// Table is the definition of a source table at one schema version. It is
// immutable: a schema change makes a new Table with a higher Version.
type Table struct {
	// OID of the relation in pg_class; of the partition root where the table is
	// partitioned.
	OID uint32
	// Schema and Name as stored in the catalog, unquoted.
	Schema, Name string
	// Columns that are replicated, in the order in which tuples carry them.
	Columns []Column
	// Key holds indexes into Columns: what tells rows apart at the destination,
	// in the order of the index that defines it. Never empty; every column
	// where KeyIsWholeRow is set.
	Key []int
	// KeyIsWholeRow says that the table has no key and REPLICA IDENTITY FULL,
	// so that exact duplicates of a row cannot be told apart.
	KeyIsWholeRow bool
	// Identity is the table's REPLICA IDENTITY.
	Identity Identity
	// Version orders definitions of one table: the WAL position from which this
	// one holds, 0 for the one read at setup.
	Version uint64
}

// String returns schema.name, unquoted: what logs, metrics and the API show.
func (t *Table) String() string { return t.Schema + "." + t.Name }

// Column returns the index of the column called name, or -1.
func (t *Table) Column(name string) int {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return i
		}
	}
	return -1
}

// KeyNames returns the names of the key columns in key order.
func (t *Table) KeyNames() []string {
	names := make([]string, len(t.Key))
	for i, c := range t.Key {
		names[i] = t.Columns[c].Name
	}
	return names
}

// Column is one replicated column of a Table.
type Column struct {
	Name string
	// Type is resolved: a domain is replaced by its base type.
	Type *Type
	// TypeMod is pg_attribute.atttypmod (the domain's own where the type is a
	// domain), -1 where the type has no modifier.
	TypeMod int32
	NotNull bool
	// InKey says that the column is one of Table.Key.
	InKey bool
	// Generated marks GENERATED ALWAYS AS (…) STORED columns: pgoutput before
	// PostgreSQL 18 does not send them.
	Generated bool
}

// Identity is a table's REPLICA IDENTITY (pg_class.relreplident): which old
// values the WAL holds of updated and deleted rows.
type Identity byte

// The values of pg_class.relreplident.
const (
	IdentityDefault Identity = 'd' // the primary key
	IdentityNothing Identity = 'n'
	IdentityFull    Identity = 'f' // the whole row
	IdentityIndex   Identity = 'i' // the columns of one unique index
)

// String returns the word used in ALTER TABLE … REPLICA IDENTITY.
func (i Identity) String() string {
	switch i {
	case IdentityDefault:
		return "default"
	case IdentityNothing:
		return "nothing"
	case IdentityFull:
		return "full"
	case IdentityIndex:
		return "index"
	}
	return "unknown"
}

// Type is a resolved PostgreSQL data type (pg_type).
type Type struct {
	OID uint32
	// Name is pg_type.typname ("int4", "timestamptz", "_text"), without schema.
	Name string
	// Schema is the type's schema: "pg_catalog" for built-in types.
	Schema string
	Kind   TypeKind
	// Elem is the element type of an array (Kind TypeArray), domains resolved.
	Elem *Type
	// Delim separates array elements in text form: ',' for all built-in types
	// but box.
	Delim byte
	// MoneyDigits is the number of fraction digits of type money under the
	// source's lc_monetary; 0 for other types.
	MoneyDigits int
}

// BuiltIn says whether the type is one of PostgreSQL's own, whose OID is fixed.
func (t *Type) BuiltIn() bool { return t.Schema == "pg_catalog" }

// String returns the type's name for messages, with its schema where it is not
// built in and "[]" behind the element type of an array.
func (t *Type) String() string {
	if t.Kind == TypeArray && t.Elem != nil {
		return t.Elem.String() + "[]"
	}
	if t.BuiltIn() || t.Schema == "" {
		return t.Name
	}
	return t.Schema + "." + t.Name
}

// TypeKind is what pg_type.typtype says, with arrays told apart.
type TypeKind byte

// The kinds of types a column can have once domains are resolved.
const (
	TypeBase       TypeKind = 'b'
	TypeEnum       TypeKind = 'e'
	TypeArray      TypeKind = 'a'
	TypeComposite  TypeKind = 'c'
	TypeRange      TypeKind = 'r'
	TypeMultirange TypeKind = 'm'
	TypePseudo     TypeKind = 'p'
)
