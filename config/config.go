// Package config holds pipelines that run as they are. A test runs each.
package config

import _ "embed" // for the pipelines

// PostgresToClickHouse is the pipeline of the README, and of the demo.
//
//go:embed postgres_to_clickhouse.yaml
var PostgresToClickHouse string

// RowsWithMapping masks a column on the way.
//
//go:embed rows_with_mapping.yaml
var RowsWithMapping string
