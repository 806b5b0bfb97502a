// Package encode turns PostgreSQL wire values into ClickHouse columns.
//
// A [Block] is one reusable native block of one table: it has one encoder per
// destination column, matched to the source by name. [Block.Append] reads a
// [change.Batch] in strips of some hundred rows and hands each encoder its whole
// column of cells at a time; the encoder reads the bytes PostgreSQL sent, in
// binary or in text format, straight into the memory that is later written to
// the socket. Nothing is allocated per value, and nothing goes through `any`.
//
// Two rules hold for every type. The binary and the text form of a value give
// the same result. And no value is changed silently: what a destination type
// cannot hold is a [Policy] decision, and counted.
//
// The package imports ch-go's proto package for the form of a column, and knows
// neither connections nor Benthos.
package encode
