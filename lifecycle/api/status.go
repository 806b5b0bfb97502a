// Package api is what a pipe looks like over HTTP: the JSON that is served, the
// routes, and who may use them. It answers from memory, never from a database,
// and knows pipes only as the [Pipe] interface.
//
// openapi.json describes all of it and is served at /v1/openapi.json.
package api

import "time"

// Status is what is shown of a pipe.
type Status struct {
	Name  string    `json:"name"`
	Phase string    `json:"phase"`
	Since time.Time `json:"since"`
	Ready bool      `json:"ready"`
	// PausedFrom and FailedFrom tell where resume leads; "" where it does not.
	PausedFrom string `json:"paused_from,omitempty"`
	FailedFrom string `json:"failed_from,omitempty"`
	// Failure is set in phase failed.
	Failure *Failure `json:"failure,omitempty"`
	// Degraded is trouble that is expected to pass.
	Degraded []Degraded `json:"degraded"`
	// Resync holds the tables that are asked to be loaded anew.
	Resync []string `json:"resync"`
	// Commands are those that the phase allows: pause, resume, resync.
	Commands []string `json:"commands"`
	// TableCount is the number of tables in each phase that any is in.
	TableCount map[string]int `json:"table_count"`

	Slot *Slot `json:"slot,omitempty"`
	// RowsPerSecond and ReceivedPerSecond (bytes) are over the last seconds.
	RowsPerSecond     float64 `json:"rows_per_second"`
	ReceivedPerSecond float64 `json:"received_bytes_per_second"`
	ReceivedBytes     uint64  `json:"received_bytes"`
	InFlightBytes     int64   `json:"in_flight_bytes"`
	// CommitToVisible is how long the latest commits took, in seconds, until
	// they could be queried; absent where there were none in the last seconds.
	CommitToVisible *float64 `json:"commit_to_visible_seconds,omitempty"`
}

// Failure is an error that does not pass by itself.
type Failure struct {
	Class  string    `json:"class"`
	Reason string    `json:"reason"`
	Fix    string    `json:"fix,omitempty"`
	Table  string    `json:"table,omitempty"`
	At     time.Time `json:"at"`
}

// Degraded is trouble at one side, "source" or "destination".
type Degraded struct {
	Side   string    `json:"side"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

// Slot is the replication slot as last observed.
type Slot struct {
	Name         string `json:"name"`
	CurrentLSN   string `json:"current_lsn"`
	ConfirmedLSN string `json:"confirmed_lsn"`
	RestartLSN   string `json:"restart_lsn"`
	// LagBytes is the WAL that is not confirmed, LagSeconds the age of the
	// oldest of it.
	LagBytes   int64   `json:"lag_bytes"`
	LagSeconds float64 `json:"lag_seconds"`
	// RetainedBytes is the WAL that the slot makes the server keep.
	RetainedBytes int64 `json:"retained_bytes"`
	// SafeWALBytes can be written before the slot is in danger; absent where
	// the server sets no limit.
	SafeWALBytes *int64 `json:"safe_wal_bytes,omitempty"`
	// SecondsToLoss is how long that lasts at the present rate; absent where
	// no end is in sight.
	SecondsToLoss      *float64  `json:"seconds_to_loss,omitempty"`
	WALStatus          string    `json:"wal_status"`
	InvalidationReason string    `json:"invalidation_reason,omitempty"`
	Active             bool      `json:"active"`
	ObservedAt         time.Time `json:"observed_at"`
}

// Table is what is shown of a table.
type Table struct {
	Name  string `json:"name"`
	Phase string `json:"phase"`
	// Rows of the load that are at the destination or on the way.
	Rows int64 `json:"rows"`
	// RowsRead by this process in loads.
	RowsRead    uint64 `json:"rows_read"`
	ChunksDone  int    `json:"chunks_done"`
	ChunksTotal int    `json:"chunks_total"`
	// Changes since the process began, by operation.
	Changes map[string]uint64 `json:"changes"`
	// Resync says that the table is asked to be loaded anew.
	Resync  bool     `json:"resync"`
	Failure *Failure `json:"failure,omitempty"`
}

// History is what was measured in the last minutes, oldest first, one value
// for each interval; all slices have the same length.
type History struct {
	IntervalSeconds float64 `json:"interval_seconds"`
	// Samples is how many were ever taken, of which these are the last.
	Samples           uint64    `json:"samples"`
	RowsPerSecond     []float64 `json:"rows_per_second"`
	ReceivedPerSecond []float64 `json:"received_bytes_per_second"`
	LagBytes          []float64 `json:"lag_bytes"`
	LagSeconds        []float64 `json:"lag_seconds"`
	RetainedBytes     []float64 `json:"retained_bytes"`
}

// PipeList answers GET /v1/pipes.
type PipeList struct {
	Pipes []Status `json:"pipes"`
}

// PipeDetail answers GET /v1/pipes/{name}.
type PipeDetail struct {
	Status
	Tables  []Table `json:"tables"`
	History History `json:"history"`
}

// ResyncRequest is the body of POST /v1/pipes/{name}/resync, which may be
// missing. No tables are all tables.
type ResyncRequest struct {
	Tables []string `json:"tables"`
}

// Health answers /healthz.
type Health struct {
	Status string `json:"status"`
}

// Readiness answers /readyz: the phase of each pipe, and whether all are ready.
type Readiness struct {
	Ready bool              `json:"ready"`
	Pipes map[string]string `json:"pipes"`
}

// Problem is the body of every error.
type Problem struct {
	// Code is the HTTP status.
	Code    int    `json:"-"`
	Message string `json:"error"`
	// Fix is what to do about it, "" where there is nothing to say.
	Fix string `json:"fix"`
}

func (p *Problem) Error() string { return p.Message }
