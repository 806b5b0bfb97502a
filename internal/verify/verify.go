package verify

import (
	"context"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// Pair names a source table and its destination.
type Pair struct {
	// Schema and Table of the source, unquoted.
	Schema, Table string
	// Destination is the name of the ClickHouse table.
	Destination string
	// Database of the ClickHouse table; empty for that of the connection.
	Database string
}

// Options say what is compared. The zero value compares every column of the
// source.
type Options struct {
	// IsDeleted is the name of the metadata column that marks tombstones,
	// `_is_deleted` if empty. A destination without it has no tombstones.
	IsDeleted string
	// Ignore names columns of the source that are not at the destination.
	Ignore []string
	// NullAsDefault takes the default of a ClickHouse type that is not Nullable
	// as equal to NULL, which is what `nullable: false` asks for. A NULL array
	// equals [] in any case.
	NullAsDefault bool
	// Limit is the largest number of keys in Result.Differences, 10 if 0.
	Limit int
}

// Result says how the two tables compare.
type Result struct {
	Pair                        Pair
	SourceRows, DestinationRows uint64
	// SourceSum and DestinationSum are the sums of the rows' hashes. They depend
	// on the columns compared, and on nothing that outlives this version.
	SourceSum, DestinationSum uint64
	// Differences are some of those found, ordered by key. Empty where the
	// tables are equal, or where what differed did not the second time.
	Differences []Difference

	equal bool
}

// Difference is a value, or a row, that is not the same on both sides.
type Difference struct {
	// Key of the row: column=value, separated by commas.
	Key string
	// Column that differs; empty where the row is not on both sides.
	Column string
	// Source and Destination are the values in canonical form.
	Source, Destination string
}

func (d Difference) String() string {
	if d.Column == "" {
		return fmt.Sprintf("%s: %s in PostgreSQL, %s in ClickHouse", d.Key, d.Source, d.Destination)
	}
	return fmt.Sprintf("%s: %s is %s in PostgreSQL, %s in ClickHouse", d.Key, d.Column, d.Source, d.Destination)
}

// Equal says whether every row is on both sides with the same values.
func (r Result) Equal() bool { return r.equal }

// String returns one line where the tables are equal, and one more for each
// difference.
func (r Result) String() string {
	var b strings.Builder
	verdict := "equal"
	if !r.equal {
		verdict = "DIFFERENT"
	}
	fmt.Fprintf(&b, "%s.%s → %s: %s, %d rows and %d rows, checksums %016x and %016x",
		r.Pair.Schema, r.Pair.Table, r.Pair.Destination, verdict,
		r.SourceRows, r.DestinationRows, r.SourceSum, r.DestinationSum)
	for _, d := range r.Differences {
		b.WriteString("\n  " + d.String())
	}
	if !r.equal && len(r.Differences) == 0 {
		b.WriteString("\n  what differed did not the second time: the tables are being written")
	}
	return b.String()
}

const (
	defaultIsDeleted = "_is_deleted"
	defaultLimit     = 10
)

// Compare compares the two tables of pair. pg must not be in a transaction: the
// source is read in one of its own. Neither connection is used for anything
// else meanwhile.
//
// A difference is no error; an error says that the comparison could not be made.
func Compare(ctx context.Context, pg *pgx.Conn, ch driver.Conn, pair Pair, o Options) (Result, error) {
	if o.IsDeleted == "" {
		o.IsDeleted = defaultIsDeleted
	}
	if o.Limit == 0 {
		o.Limit = defaultLimit
	}
	result, err := compare(ctx, pg, ch, pair, o)
	if err != nil {
		return Result{Pair: pair}, fmt.Errorf("comparing %s.%s with %s: %w", pair.Schema, pair.Table, pair.Destination, err)
	}
	return result, nil
}

func compare(ctx context.Context, pg *pgx.Conn, ch driver.Conn, pair Pair, o Options) (Result, error) {
	tx, err := beginSource(ctx, pg)
	if err != nil {
		return Result{}, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // it was read only
	table, err := describe(ctx, tx, ch, pair, o)
	if err != nil {
		return Result{}, err
	}

	source, destination := new(checksum), new(checksum)
	err = both(ctx,
		func(ctx context.Context) error { return table.readSource(ctx, tx, source.add) },
		func(ctx context.Context) error { return table.readDestination(ctx, ch, destination.add) })
	if err != nil {
		return Result{}, err
	}
	result := Result{
		Pair:       pair,
		SourceRows: source.rows, DestinationRows: destination.rows,
		SourceSum: source.sum, DestinationSum: destination.sum,
	}
	differing := source.differing(destination, o.Limit)
	if len(differing) == 0 {
		result.equal = true
		return result, nil
	}

	sourceRows, destinationRows := newSample(differing), newSample(differing)
	err = both(ctx,
		func(ctx context.Context) error { return table.readSource(ctx, tx, sourceRows.add) },
		func(ctx context.Context) error { return table.readDestination(ctx, ch, destinationRows.add) })
	if err != nil {
		return Result{}, err
	}
	result.Differences = table.differences(sourceRows, destinationRows, o.Limit)
	return result, nil
}

// both runs the two functions at the same time and waits for both.
func both(ctx context.Context, a, b func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a(ctx) })
	g.Go(func() error { return b(ctx) })
	return g.Wait()
}
