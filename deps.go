package penstock

import (
	_ "github.com/ClickHouse/ch-go"
	_ "github.com/ClickHouse/clickhouse-go/v2"
	_ "github.com/ebitengine/purego"
	_ "github.com/jackc/pglogrepl"
	_ "github.com/jackc/pgx/v5"
	_ "github.com/prometheus/client_golang/prometheus"
	_ "github.com/redpanda-data/benthos/v4/public/service"
	_ "go.uber.org/goleak"
	_ "pgregory.net/rapid"
)
