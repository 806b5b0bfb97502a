package input

import (
	"context"
	"fmt"
	"slices"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/input/pgoutput"
	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/pgvalue"
)

// Relation implements stream.Source.
func (s *definitions) Relation(ctx context.Context, sent *pgoutput.Relation, lsn uint64) (*change.Table, *change.Control, error) {
	known := s.tables[sent.OID]
	if known == nil {
		return s.unknown(ctx, sent, lsn)
	}
	same, err := s.same(ctx, known, sent)
	if err != nil {
		return nil, nil, err
	}
	if same {
		return known, nil, nil
	}
	table, err := s.redefine(ctx, known, sent, lsn)
	if err != nil {
		return nil, nil, err
	}
	return table, &change.Control{Operation: change.Schema, Table: table, Previous: known, LSN: lsn}, nil
}

// unknown takes a table that came into the publication while we were streaming.
func (s *definitions) unknown(ctx context.Context, sent *pgoutput.Relation, lsn uint64) (*change.Table, *change.Control, error) {
	if !s.config.selection.Matches(sent.Namespace, sent.Name) {
		return nil, nil, nil
	}
	selection := s.config.selection
	selection.Include = []string{catalog.Literal(sent.Namespace + "." + sent.Name)}
	standsAlone, err := catalog.StandsAlone(ctx, s.conn, sent.OID)
	if err != nil || !standsAlone {
		// The server announces partitions too, though their rows come as the
		// root's; and a table that was dropped meanwhile has nowhere to be.
		return nil, nil, err
	}
	publication, err := catalog.ReadPublication(ctx, s.conn, s.server, s.config.publication)
	if err != nil {
		return nil, nil, err
	}
	if publication != nil && publication.Ours {
		publication = nil
	}
	tables, err := catalog.Tables(ctx, s.conn, s.server, &selection, publication, true)
	if err != nil {
		return nil, nil, err
	}
	table := tables[0].Table
	table.Version = lsn
	// The catalog may be ahead of the stream.
	if same, err := s.same(ctx, table, sent); err != nil {
		return nil, nil, err
	} else if !same {
		if table, err = s.redefine(ctx, table, sent, lsn); err != nil {
			return nil, nil, err
		}
	}
	s.log.With("table", table.String()).Warn("A table came into the publication; its changes from now on are replicated, and rows that it already had are not until it is resynced")
	if s.binary && !readsBinary(table) {
		return nil, nil, errNeedText
	}
	return table, &change.Control{Operation: change.Schema, Table: table, LSN: lsn}, nil
}

// replicated returns the columns sent that are not excluded.
func (s *definitions) replicated(t *change.Table, sent *pgoutput.Relation) []pgoutput.RelationColumn {
	excluded := s.config.selection.ExcludeColumns[t.String()]
	return slices.DeleteFunc(slices.Clone(sent.Columns), func(c pgoutput.RelationColumn) bool {
		return slices.Contains(excluded, c.Name)
	})
}

// same says whether a table is still what we know. Generated columns, which
// the stream may leave out, do not count.
func (s *definitions) same(ctx context.Context, known *change.Table, sent *pgoutput.Relation) (bool, error) {
	if known.Identity != change.Identity(sent.Identity) {
		return false, nil
	}
	columns := s.replicated(known, sent)
	for i := range known.Columns {
		c := &known.Columns[i]
		if !c.Generated && !slices.ContainsFunc(columns, func(r pgoutput.RelationColumn) bool { return r.Name == c.Name }) {
			return false, nil
		}
	}
	for i := range columns {
		at := known.Column(columns[i].Name)
		if at < 0 {
			return false, nil
		}
		c := &known.Columns[at]
		if c.Type.OID == columns[i].TypeOID && c.TypeMod == columns[i].TypeMod {
			continue
		}
		// A domain announces itself, where we know its base type.
		typ, typeMod, err := s.types.Resolve(ctx, columns[i].TypeOID, columns[i].TypeMod)
		if err != nil {
			return false, err
		}
		if typ.OID != c.Type.OID || typeMod != c.TypeMod {
			return false, nil
		}
	}
	return true, nil
}

// redefine makes the definition that holds from lsn on. What the stream does
// not say (NOT NULL, generated columns) comes from the catalog, which may be
// ahead: a later announcement will correct it.
func (s *definitions) redefine(ctx context.Context, known *change.Table, sent *pgoutput.Relation, lsn uint64) (*change.Table, error) {
	now, err := catalog.Columns(ctx, s.conn, s.types, sent.OID)
	if err != nil {
		return nil, err
	}
	if sent.Namespace != known.Schema || sent.Name != known.Name {
		s.log.With("table", known.String(), "name", sent.Namespace+"."+sent.Name).Warn("The table was renamed; it goes on under the name it had")
	}
	t := &change.Table{OID: known.OID, Schema: known.Schema, Name: known.Name, Identity: change.Identity(sent.Identity), Version: lsn}
	columns := s.replicated(known, sent)
	for _, c := range columns {
		column := change.Column{Name: c.Name}
		if column.Type, column.TypeMod, err = s.types.Resolve(ctx, c.TypeOID, c.TypeMod); err != nil {
			return nil, fmt.Errorf("reading column %q of %s: %w", c.Name, t, err)
		}
		if s.binary && !pgvalue.Binary(column.Type) {
			return nil, errNeedText
		}
		if i := slices.IndexFunc(now, func(n change.Column) bool { return n.Name == c.Name }); i >= 0 {
			column.NotNull, column.Generated = now[i].NotNull, now[i].Generated
		}
		t.Columns = append(t.Columns, column)
	}
	for _, n := range now {
		if n.Generated && t.Column(n.Name) < 0 && known.Column(n.Name) >= 0 {
			t.Columns = append(t.Columns, n)
		}
	}
	return t, s.key(t, known, columns)
}

// key finds the key of a new definition. REPLICA IDENTITY FULL announces every
// column as part of it: there the columns stay what they were.
func (s *definitions) key(t, known *change.Table, sent []pgoutput.RelationColumn) error {
	names := []string{}
	if t.Identity == change.IdentityFull {
		if known.KeyIsWholeRow {
			t.KeyIsWholeRow = true
			for _, c := range t.Columns {
				if !c.Generated {
					names = append(names, c.Name)
				}
			}
		} else {
			names = known.KeyNames()
		}
	} else {
		announced := func(name string) bool {
			return slices.ContainsFunc(sent, func(c pgoutput.RelationColumn) bool { return c.Key && c.Name == name })
		}
		for _, name := range known.KeyNames() { // in the order of the index
			if announced(name) {
				names = append(names, name)
			}
		}
		for _, c := range sent {
			if c.Key && !slices.Contains(names, c.Name) {
				names = append(names, c.Name)
			}
		}
	}
	for _, name := range names {
		i := t.Column(name)
		if i < 0 {
			continue // a column of the key was dropped
		}
		t.Key = append(t.Key, i)
		t.Columns[i].InKey = true
	}
	if len(t.Key) == 0 {
		return &change.Failure{
			Class: catalog.ClassIdentity, Table: t.String(),
			Reason: fmt.Sprintf("table %s has lost its replica identity, so updates and deletes cannot be replicated", t),
			Fix:    "add a primary key or set REPLICA IDENTITY, then resync the table",
		}
	}
	return nil
}
