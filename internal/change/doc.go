// Package change is the contract between the input and the output: what a
// change to a PostgreSQL table is while it travels through the pipeline.
//
// Rows travel in a [Batch]: a run of changes to one table that still carries
// the bytes PostgreSQL sent. Nothing is parsed on the way; the output reads
// the bytes once, straight into ClickHouse columns. What is not a row (a new
// definition, a TRUNCATE, the begin and end of a table's load) travels as a
// [Control].
//
// Everything reachable from a Batch or a Control is immutable once it has been
// sent: the same value may be delivered twice, or to two readers at once.
//
// The package knows neither Benthos nor ClickHouse.
package change
