// Package verify compares a table in PostgreSQL with its destination in
// ClickHouse, value by value.
//
// It shares no code with the pipeline: both servers print their rows, and only
// the printed forms are compared. It is what says whether the pipeline is
// right, so it must not be able to make the same mistake.
package verify

import _ "github.com/cespare/xxhash/v2"
