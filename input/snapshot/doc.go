// Package snapshot copies tables as they are in one snapshot: it plans chunks
// of each table by its pages (ctid ranges), and reads chunks in parallel with
// COPY … (FORMAT binary).
//
// Which snapshot is read does not matter for the result, as long as it is not
// older than the replication slot: rows read have version 0, and every change
// behind the slot's consistent point has a higher one. So an interrupted load
// goes on with another snapshot.
package snapshot
