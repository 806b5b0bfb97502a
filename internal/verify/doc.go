// Package verify compares a table in PostgreSQL with its destination in
// ClickHouse, value by value.
//
// It shares no code with the pipeline, so that it cannot share its mistakes:
// both servers print their rows as text (PostgreSQL through COPY … TO STDOUT,
// that is the output functions of the types; ClickHouse through toString and
// formatRow), and the printed forms are compared once they are brought to one
// canonical form. Both sides are streamed at the same time; memory does not
// grow with the table.
//
// Each row is reduced to a 64-bit hash. The sum of the hashes modulo 2^64 does
// not depend on the order of rows, so neither server has to sort. The sum is
// kept per bucket of keys too; where buckets differ, both sides are streamed a
// second time and only the rows of some of those buckets are compared column by
// column.
package verify
