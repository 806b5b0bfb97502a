package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/internal/change"
)

// Types resolves type OIDs, remembering what it has seen.
type Types struct {
	conn        *pgx.Conn
	moneyDigits int
	seen        map[uint32]resolved
}

// resolved is a type without its domains; typeMod is -1, or what the innermost
// domain with a modifier says.
type resolved struct {
	typ     *change.Type
	typeMod int32
}

// NewTypes returns a resolver that asks conn.
func NewTypes(conn *pgx.Conn, moneyDigits int) *Types {
	return &Types{conn: conn, moneyDigits: moneyDigits, seen: map[uint32]resolved{}}
}

const moneyOID = 790

// Resolve returns the type behind oid and the modifier that goes with it:
// domains are replaced by their base type and its modifier.
func (t *Types) Resolve(ctx context.Context, oid uint32, typeMod int32) (*change.Type, int32, error) {
	r, err := t.resolve(ctx, oid)
	if err != nil {
		return nil, 0, err
	}
	if typeMod < 0 {
		typeMod = r.typeMod
	}
	return r.typ, typeMod, nil
}

func (t *Types) resolve(ctx context.Context, oid uint32) (resolved, error) {
	if r, ok := t.seen[oid]; ok {
		return r, nil
	}
	typ := &change.Type{OID: oid}
	var kind, delim rune
	var base, elem uint32
	var domainMod int32
	err := t.conn.QueryRow(ctx, `
		SELECT t.typname, n.nspname, t.typtype, t.typbasetype, t.typtypmod, t.typdelim,
		       CASE WHEN t.typcategory = 'A' AND t.typsubscript = 'array_subscript_handler'::regproc THEN t.typelem ELSE 0 END
		  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
		 WHERE t.oid = $1`, oid).
		Scan(&typ.Name, &typ.Schema, &kind, &base, &domainMod, &delim, &elem)
	if err != nil {
		return resolved{}, fmt.Errorf("reading type %d: %w", oid, Explain(err))
	}
	typ.Kind = change.TypeKind(kind)
	r := resolved{typ: typ, typeMod: -1}
	switch {
	case kind == 'd':
		if r, err = t.resolve(ctx, base); err != nil {
			return resolved{}, err
		}
		if domainMod >= 0 {
			r.typeMod = domainMod
		}
	case elem != 0:
		of, err := t.resolve(ctx, elem)
		if err != nil {
			return resolved{}, err
		}
		typ.Kind, typ.Elem, typ.Delim = change.TypeArray, of.typ, byte(delim)
		// An array's own delimiter is always a comma; its element type says
		// what is written between elements.
		if err := t.conn.QueryRow(ctx, `SELECT typdelim FROM pg_type WHERE oid = $1`, elem).Scan(&delim); err != nil {
			return resolved{}, fmt.Errorf("reading type %d: %w", elem, Explain(err))
		}
		typ.Delim = byte(delim)
		r.typeMod = of.typeMod
	case oid == moneyOID:
		typ.MoneyDigits = t.moneyDigits
	}
	t.seen[oid] = r
	return r, nil
}
