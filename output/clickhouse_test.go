package output

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"

	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/devstack/devtest"
)

const (
	insertOp = change.Insert
	update   = change.Update
	remove   = change.Delete
	read     = change.Read
)

func TestRowsBecomeATable(t *testing.T) {
	noLeaks(t)
	dsn := devtest.ClickHouse(t)
	o, r := connected(t, dsn, "")
	source := users()
	mustWrite(t, o, messages(batch(source,
		row{0, read, []any{int64(1), "ann"}},
		row{0, read, []any{int64(2), nil}},
		row{0, read, []any{int64(3), "cy"}},
	)))
	mustWrite(t, o, messages(batch(source,
		row{0x10, update, []any{int64(1), "anna"}},
		row{0x20, remove, []any{int64(3), nil}},
		row{0x30, insertOp, []any{int64(4), "dan"}},
	)))
	if got, want := usersNow(t, dsn), "1|anna|16\n2|NULL|0\n4|dan|48"; got != want {
		t.Errorf("users are\n%s\nwant\n%s", got, want)
	}
	if got, want := lines(t, dsn, "toString(_is_deleted), toString(_synced_at > '2020-01-01')", "public_users FINAL WHERE id = 4"), "0|1"; got != want {
		t.Errorf("metadata is %s, want %s", got, want)
	}
	if r.inserted["public.users"] != 6 {
		t.Errorf("%d rows were reported as inserted", r.inserted["public.users"])
	}
	if len(r.visible) != 1 || !r.visible[0].Equal(commit) {
		t.Errorf("commits %v were reported as visible, want the one that is not of the snapshot, %s", r.visible, commit)
	}
}

// Both formats, mixed in one batch, give the same table.
func TestRowsAndBlocksMixed(t *testing.T) {
	dsn := devtest.ClickHouse(t)
	o, _ := connected(t, dsn, "")
	source := users()
	mustWrite(t, o, service.MessageBatch{
		rowMessage(source, row{0x10, insertOp, []any{int64(1), "ann"}}),
		message(batch(source, row{0x20, insertOp, []any{int64(2), nil}})),
		rowMessage(source, row{0x30, insertOp, []any{int64(3), nil}}),
		rowMessage(source, row{0x40, update, []any{int64(2), "bo"}}),
		rowMessage(source, row{0x50, remove, []any{int64(1), nil}}),
	})
	if got, want := usersNow(t, dsn), "2|bo|64\n3|NULL|48"; got != want {
		t.Errorf("users are\n%s\nwant\n%s", got, want)
	}
}

// Rule 17: columns are matched by name, never by position.
func TestExistingTableInAnotherOrder(t *testing.T) {
	dsn := devtest.ClickHouse(t)
	exec(t, dsn, "CREATE TABLE public_users (added String DEFAULT 'x', _is_deleted UInt8, name Nullable(String), "+
		"shout String MATERIALIZED upper(ifNull(name, '')), id Int64, _version UInt64) ENGINE = ReplacingMergeTree(_version, _is_deleted) ORDER BY id")
	o, _ := connected(t, dsn, "create_tables: false")
	mustWrite(t, o, messages(batch(users(), row{0x10, insertOp, []any{int64(1), "ann"}})))
	if got, want := lines(t, dsn, "toString(id), name, added, shout, toString(_version)", "public_users FINAL"), "1|ann|x|ANN|16"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A table that does not fit fails alone, with one sentence that says what to run.
func TestIncompatibleTableFailsAlone(t *testing.T) {
	noLeaks(t)
	dsn := devtest.ClickHouse(t)
	exec(t, dsn, "CREATE TABLE public_users (id Int64, name Int32, _version UInt64, _is_deleted UInt8) ENGINE = ReplacingMergeTree(_version, _is_deleted) ORDER BY id")
	o, r := connected(t, dsn, "")
	other := table("other", 0, column("id", int8))
	b := messages(
		batch(other, row{0x10, insertOp, []any{int64(1)}}),
		batch(users(), row{0x20, insertOp, []any{int64(1), "ann"}}),
		batch(other, row{0x30, insertOp, []any{int64(2)}}),
	)
	err := o.WriteBatch(t.Context(), b)
	var partial *service.BatchError
	if !errors.As(err, &partial) || partial.IndexedErrors() != 1 {
		t.Fatalf("got %v, want an error of one message", err)
	}
	var failure *change.Failure
	if !errors.As(err, &failure) || failure.Table != "public.users" || failure.Class != "incompatible" {
		t.Errorf("the failure is %+v", failure)
	}
	for _, want := range []string{`"name"`, "text", "Int32", "ALTER TABLE `" + databaseOf(t, dsn) + "`.`public_users` MODIFY COLUMN `name` Nullable(String)"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error is %q, want it to contain %q", err, want)
		}
	}
	if got := lines(t, dsn, "toString(id)", "public_other FINAL ORDER BY id"); got != "1\n2" {
		t.Errorf("the table beside it has %q", got)
	}
	if !r.isDegraded() || r.errors["incompatible"] != 1 {
		t.Errorf("degraded: %v, errors: %v", r.degraded, r.errors)
	}

	exec(t, dsn, "ALTER TABLE public_users MODIFY COLUMN name Nullable(String)")
	mustWrite(t, o, b)
	if got, want := usersNow(t, dsn), "1|ann|32"; got != want || r.isDegraded() {
		t.Errorf("after the ALTER users are %q, degraded: %v", got, r.isDegraded())
	}
}

func TestMissingTableIsNotCreated(t *testing.T) {
	o, _ := connected(t, devtest.ClickHouse(t), "create_tables: false")
	err := o.WriteBatch(t.Context(), messages(batch(users(), row{0x10, insertOp, []any{int64(1), "ann"}})))
	if err == nil || !strings.Contains(err.Error(), "`create_tables` is false") || !strings.Contains(err.Error(), "CREATE TABLE") {
		t.Errorf("got %v", err)
	}
}

// A value that cannot be stored is named and fails; nothing of its batch is stored by half.
func TestUnrepresentableValue(t *testing.T) {
	dsn := devtest.ClickHouse(t)
	days := table("days", 0, column("id", int8), column("day", date))
	tooEarly := int32(-200_000) // days since 2000
	o, _ := connected(t, dsn, "")
	err := o.WriteBatch(t.Context(), messages(batch(days, row{0x10, insertOp, []any{int64(1), int32(1)}}, row{0x20, insertOp, []any{int64(2), tooEarly}})))
	var failure *change.Failure
	if !errors.As(err, &failure) || failure.Class != "value" || failure.Table != "public.days" || !strings.Contains(failure.Reason, `"day"`) {
		t.Fatalf("got %v, want a failure of the column", err)
	}
	if got := lines(t, dsn, "toString(id)", "public_days"); got != "" {
		t.Errorf("rows %q were stored", got)
	}

	clamping, r := connected(t, dsn, "unrepresentable: clamp")
	mustWrite(t, clamping, messages(batch(days, row{0x20, insertOp, []any{int64(2), tooEarly}})))
	if got, want := lines(t, dsn, "toString(id), toString(day)", "public_days FINAL"), "2|1900-01-01"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if r.lossy["public.days.day below_range"] != 1 {
		t.Errorf("counted as lossy: %v", r.lossy)
	}
}

func TestHistory(t *testing.T) {
	dsn := devtest.ClickHouse(t)
	o, _ := connected(t, dsn, "engine: MergeTree")
	source := users()
	mustWrite(t, o, messages(
		batch(source, row{0, read, []any{int64(1), "ann"}}, row{0x10, update, []any{int64(1), "bo"}}, row{0x20, remove, []any{int64(1), nil}}),
		&change.Control{Operation: change.Truncate, Table: source, LSN: 0x30},
	))
	if got, want := lines(t, dsn, "toString(_version), _operation, ifNull(name, 'NULL')", "public_users ORDER BY _version"),
		"0|read|ann\n16|update|bo\n32|delete|NULL"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestMessagesThatCannotBeRead(t *testing.T) {
	o, _ := connected(t, devtest.ClickHouse(t), "table: fixed")
	broken := service.NewMessage([]byte("{"))
	b := append(messages(batch(users(), row{0x10, insertOp, []any{int64(1), "ann"}})), broken)
	if err := o.WriteBatch(t.Context(), b); err == nil {
		t.Error("got no error")
	}
	foreign := service.NewMessage([]byte(`{"id": 1}`))
	var failure *change.Failure
	if err := o.WriteBatch(t.Context(), service.MessageBatch{foreign}); !errors.As(err, &failure) || !strings.Contains(err.Error(), "postgres_cdc") {
		t.Errorf("got %v, want a failure that says whose messages are taken", err)
	}
}

func TestConnectErrors(t *testing.T) {
	for _, test := range []struct {
		name        string
		change      func(*url.URL)
		errContains []string
		backOff     bool
	}{
		{"wrong password", func(u *url.URL) { u.User = url.UserPassword("reader", "hunter2") }, []string{"check user and password in field dsn"}, true},
		{"wrong host", func(u *url.URL) { u.Host = "127.0.0.1:1" }, []string{"127.0.0.1:1", "connection refused", "field dsn"}, false},
		{"missing database", func(u *url.URL) { u.Path = "/no`pe" }, []string{"database \"no`pe\" doesn't exist: run CREATE DATABASE `no\\`pe`"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			noLeaks(t)
			u, err := url.Parse(devtest.OwnClickHouse(t).ReaderDSN("penstock"))
			if err != nil {
				t.Fatal(err)
			}
			password, _ := u.User.Password()
			test.change(u)
			o, r := newTestOutput(t, u.String(), "")
			err = o.Connect(t.Context())
			if err == nil {
				t.Fatal("got no error")
			}
			for _, want := range test.errContains {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error is %q, want it to contain %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), password) {
				t.Errorf("the error tells the password: %v", err)
			}
			// Rule 23: a wrong password is not tried ten times a second.
			var backOff *service.ErrBackOff
			if errors.As(err, &backOff) != test.backOff {
				t.Errorf("a long back-off is asked for: %v, want %v", !test.backOff, test.backOff)
			}
			if !r.isDegraded() {
				t.Error("it was not reported")
			}
			if err := o.WriteBatch(t.Context(), nil); !errors.Is(err, service.ErrNotConnected) {
				t.Errorf("writing gives %v", err)
			}
		})
	}
}

func TestConnectionTest(t *testing.T) {
	noLeaks(t)
	o, _ := newTestOutput(t, devtest.ClickHouse(t), "")
	if got := o.ConnectionTest(t.Context()); len(got) != 1 || got[0].Err != nil {
		t.Errorf("got %+v", got)
	}
	o, _ = newTestOutput(t, "clickhouse://127.0.0.1:1/d", "")
	if got := o.ConnectionTest(t.Context()); len(got) != 1 || got[0].Err == nil {
		t.Errorf("got %+v", got)
	}
}

func TestFirstHostIsDead(t *testing.T) {
	dsn := devtest.ClickHouse(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := dead.Addr().String()
	dead.Close()
	o, _ := connected(t, strings.Replace(dsn, u.Host, address+","+u.Host, 1), "")
	mustWrite(t, o, messages(batch(users(), row{0x10, insertOp, []any{int64(1), "ann"}})))
	if got, want := usersNow(t, dsn), "1|ann|16"; got != want {
		t.Errorf("users are %s, want %s", got, want)
	}
}

func TestCloseTwice(t *testing.T) {
	noLeaks(t)
	o, _ := connected(t, devtest.ClickHouse(t), "")
	for range 2 {
		if err := o.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := o.WriteBatch(t.Context(), messages(batch(users()))); !errors.Is(err, service.ErrNotConnected) {
		t.Errorf("got %v", err)
	}
}

// The whole way through Benthos, from a registered plugin to a table.
func TestStream(t *testing.T) {
	dsn := devtest.ClickHouse(t)
	builder := service.NewStreamBuilder()
	if err := builder.SetLoggerYAML("level: none"); err != nil {
		t.Fatal(err)
	}
	if err := builder.AddOutputYAML("clickhouse:\n  dsn: " + dsn); err != nil {
		t.Fatal(err)
	}
	produce, err := builder.AddBatchProducerFunc()
	if err != nil {
		t.Fatal(err)
	}
	stream, err := builder.Build()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- stream.Run(ctx) }()
	if err := produce(ctx, messages(batch(users(), row{0x10, insertOp, []any{int64(1), "ann"}}))); err != nil {
		t.Error(err)
	}
	if got, want := usersNow(t, dsn), "1|ann|16"; got != want {
		t.Errorf("users are %s, want %s", got, want)
	}
	cancel()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
