package main

import (
	"fmt"
	"strings"
)

// kind is what a workload asks of a contender.
type kind int

const (
	// snapshot is copying tables that are there.
	snapshot kind = iota
	// backlog is catching up with changes that were made while nobody looked.
	backlog
	// steady is keeping up with changes while they are made.
	steady
)

// workload is some tables and what happens to them.
type workload struct {
	name, title string
	kind        kind
	tables      []table
	// rows are copied, or changed in the backlog.
	rows int64
	// changes is the SQL that makes the backlog, "" for none.
	changes string
	// last holds at ClickHouse when the last change of a backlog has arrived; ""
	// where that shows in the number of rows.
	last string
	// transactions are in the backlog, for the reader of the results.
	transactions int64
	// rate is how many rows a steady load writes each second.
	rate int
}

// table is made at the source in schema public, with key id.
type table struct {
	name    string
	columns []column
	rows    int64 // that are copied
}

// column is of a table whose rows are numbered by g, from 1. Values follow from
// the number, so that every run has the same data.
type column struct {
	name, postgres, clickHouse, value string
	// form tells how the column goes into the checksum.
	form form
}

type form int

const (
	integer form = iota
	decimal      // of scale 2
	eighths      // a float that is exact in eighths
	truth
	instant // of microseconds
	text    // also JSON, whose text is compared
)

func bigint(name, value string) column {
	return column{name, "bigint", "Int64", value, integer}
}

func integer4(name, value string) column {
	return column{name, "integer", "Int32", value, integer}
}

func textual(name, value string) column {
	return column{name, "text", "String", value, text}
}

func money(name, value string) column {
	return column{name, "numeric(12,2)", "Decimal(12, 2)", value, decimal}
}

func moment(name, value string) column {
	return column{name, "timestamptz", "DateTime64(6, 'UTC')", value, instant}
}

func boolean(name, value string) column {
	return column{name, "boolean", "Bool", value, truth}
}

func double(name, value string) column {
	return column{name, "double precision", "Float64", value, eighths}
}

// mixedColumns make rows of about 130 bytes on the wire.
var mixedColumns = []column{
	bigint("id", "g"),
	integer4("quantity", "g % 1000"),
	textual("name", "'customer ' || g"),
	textual("reference", "md5(g::text) || '-' || g % 97"),
	money("amount", "(g % 100000) / 100.0"),
	moment("created_at", "timestamptz '2025-01-01' + g * interval '7 seconds 13 microseconds'"),
	boolean("active", "g % 3 = 0"),
	double("score", "(g % 4096) / 8.0"),
}

// workloads returns all of them; scale multiplies their rows.
func workloads(scale float64) []workload {
	n := func(rows float64) int64 { return max(1, int64(rows*scale)) }
	return []workload{
		copying("mixed", "snapshot, 8 columns of about 130 bytes", table{"mixed", mixedColumns, n(3e6)}),
		copying("narrow", "snapshot, 4 integers", table{"narrow", []column{
			bigint("id", "g"), integer4("a", "g % 1000"), integer4("b", "g % 77777"), bigint("c", "g * 31"),
		}, n(5e6)}),
		copying("wide", "snapshot, 60 columns", table{"wide", wideColumns(), n(2e5)}),
		copying("documents", "snapshot, jsonb of 20 kB", table{"documents", []column{
			bigint("id", "g"),
			{"document", "jsonb", "String", `jsonb_build_object('id', g, 'parts',
				(SELECT jsonb_agg(md5((g * 1000 + k)::text)) FROM generate_series(1, 555) k))`, text},
		}, n(1e4)}),
		copying("many", "snapshot, 300 tables of 1000 rows", manyTables(300, n(1000))...),
		inserts(n(1000)),
		updates(n(2e5)),
		churn(n(3e4)),
		{
			name: "transaction", title: "backlog, one transaction of inserts", kind: backlog,
			tables: []table{{"mixed", mixedColumns, 0}}, rows: n(5e6), transactions: 1,
			changes: "INSERT INTO mixed " + selectRows(mixedColumns, "1", fmt.Sprint(n(5e6))),
		},
		steadily("steady", 5000, n(5000*steadySeconds)),
		steadily("busy", 20000, n(20000*steadySeconds)),
	}
}

func copying(name, title string, tables ...table) workload {
	w := workload{name: name, title: title, kind: snapshot, tables: tables}
	for _, t := range tables {
		w.rows += t.rows
	}
	return w
}

func steadily(name string, rate int, rows int64) workload {
	return workload{
		name: name, title: fmt.Sprintf("steady load, %d rows each second", rate), kind: steady,
		tables: []table{{"mixed", mixedColumns, 0}}, rate: rate, rows: rows,
	}
}

func wideColumns() []column {
	columns := []column{bigint("id", "g")}
	for i := len(columns); i < 60; i++ {
		name := fmt.Sprintf("c%02d", i)
		switch i % 6 {
		case 0, 1:
			columns = append(columns, integer4(name, fmt.Sprintf("(g * %d) %% 100000", i)))
		case 2:
			columns = append(columns, textual(name, fmt.Sprintf("'value ' || (g * %d) %% 1000", i)))
		case 3:
			columns = append(columns, money(name, fmt.Sprintf("((g * %d) %% 100000) / 100.0", i)))
		case 4:
			columns = append(columns, moment(name, fmt.Sprintf("timestamptz '2025-01-01' + ((g * %d) %% 1000000) * interval '1 second'", i)))
		default:
			columns = append(columns, boolean(name, fmt.Sprintf("g %% %d = 0", i)))
		}
	}
	return columns
}

func manyTables(count int, rows int64) []table {
	tables := make([]table, count)
	for i := range tables {
		tables[i] = table{fmt.Sprintf("small_%03d", i), []column{
			bigint("id", "g"), integer4("a", fmt.Sprintf("(g + %d) %% 1000", i)), textual("b", "md5(g::text)"), moment("c", "timestamptz '2025-01-01' + g * interval '1 second'"),
		}, rows}
	}
	return tables
}

// inserts are transactions of 1000 rows.
func inserts(transactions int64) workload {
	return workload{
		name: "inserts", title: "backlog, inserts in transactions of 1000", kind: backlog,
		tables: []table{{"mixed", mixedColumns, 0}}, rows: transactions * 1000, transactions: transactions,
		changes: fmt.Sprintf(`DO $$ BEGIN FOR t IN 0..%d LOOP
			INSERT INTO mixed %s; COMMIT; END LOOP; END $$`, transactions-1, selectRows(mixedColumns, "t * 1000 + 1", "t * 1000 + 1000")),
	}
}

// updates are transactions of one row. The rows are inserted in the backlog as
// well: what is there before it, a pipe that begins behind the slot never sees.
func updates(transactions int64) workload {
	accounts := max(1, transactions/10)
	return workload{
		name: "updates", title: "backlog, updates of one row each", kind: backlog,
		tables: []table{{"mixed", mixedColumns, 0}}, rows: accounts + transactions, transactions: 1 + transactions,
		last: fmt.Sprintf("id = %d AND quantity = %d", 1+transactions*7919%accounts, transactions),
		changes: fmt.Sprintf(`DO $$ BEGIN
			INSERT INTO mixed %[3]s; COMMIT;
			FOR t IN 1..%[1]d LOOP
				UPDATE mixed SET quantity = t, amount = t / 100.0, reference = md5(t::text) WHERE id = 1 + t::bigint * 7919 %% %[2]d;
				COMMIT;
			END LOOP; END $$`, transactions, accounts, selectRows(mixedColumns, "1", fmt.Sprint(accounts))),
	}
}

// churn inserts six rows, updates three of others and deletes one in each
// transaction, as an application does.
func churn(transactions int64) workload {
	before := transactions * 4
	return workload{
		name: "churn", title: "backlog, transactions of 6 inserts, 3 updates, 1 delete", kind: backlog,
		tables: []table{{"mixed", mixedColumns, 0}}, rows: before + transactions*10, transactions: 1 + transactions,
		last: fmt.Sprintf("id = %d", before+transactions*6),
		changes: fmt.Sprintf(`DO $$ BEGIN
			INSERT INTO mixed %[2]s; COMMIT;
			FOR t IN 0..%[1]d LOOP
				INSERT INTO mixed %[3]s;
				UPDATE mixed SET quantity = quantity + 1, amount = amount + 1 WHERE id IN (t * 4 + 1, t * 4 + 2, t * 4 + 3);
				DELETE FROM mixed WHERE id = t * 4 + 4;
				COMMIT;
			END LOOP; END $$`, transactions-1, selectRows(mixedColumns, "1", fmt.Sprint(before)),
			selectRows(mixedColumns, fmt.Sprintf("%d + t * 6 + 1", before), fmt.Sprintf("%d + t * 6 + 6", before))),
	}
}

// selectRows selects the rows from first to last, which are SQL.
func selectRows(columns []column, first, last string) string {
	values := make([]string, len(columns))
	for i, c := range columns {
		values[i] = c.value
	}
	return fmt.Sprintf("SELECT %s FROM generate_series((%s)::bigint, (%s)::bigint) g", strings.Join(values, ", "), first, last)
}

// create returns the statements that make the table at the source and fill it.
func (t table) create() string {
	columns := make([]string, len(t.columns))
	for i, c := range t.columns {
		columns[i] = c.name + " " + c.postgres + " NOT NULL"
	}
	return fmt.Sprintf("CREATE TABLE %s (%s, PRIMARY KEY (id)); INSERT INTO %s %s",
		t.name, strings.Join(columns, ", "), t.name, selectRows(t.columns, "1", fmt.Sprint(t.rows)))
}

// createDestination returns the statement that makes the table as Penstock
// does, for contenders that have to be given one.
func (t table) createDestination() string {
	columns := make([]string, len(t.columns))
	for i, c := range t.columns {
		columns[i] = c.name + " " + c.clickHouse
	}
	return fmt.Sprintf(`CREATE TABLE public_%s (%s, _version UInt64, _is_deleted UInt8, _synced_at DateTime64(6, 'UTC') DEFAULT now64(6))
		ENGINE = ReplacingMergeTree(_version, _is_deleted) ORDER BY id`, t.name, strings.Join(columns, ", "))
}

// names lists the columns, comma-separated.
func (t table) names() string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}
