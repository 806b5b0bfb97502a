// Package output is the plugin `clickhouse`: it takes the changes that the input `postgres_cdc` sends, as rows or as
// blocks, and keeps ClickHouse tables like their source.
//
// The road of a batch: messages are sorted by destination table (messages.go), each table's are encoded into typed
// columns and sent as one native block (writer.go), and what is not a row, such as a schema change, is applied between
// inserts and never beside them (destination.go).
package output

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"golang.org/x/sync/errgroup"

	"github.com/penstock/penstock/output/ddl"
	"github.com/penstock/penstock/output/insert"
)

const (
	// oldestMajor.oldestMinor is the first release whose ReplacingMergeTree takes an is_deleted column and that is still in
	// use as a long-term one.
	oldestMajor, oldestMinor = 23, 3
	// tablesAtOnce bounds how many tables of one batch are encoded and inserted side by side: each needs memory for a block.
	tablesAtOnce = 4
	// refusedBackOff is how long to wait after an answer that the next second will not change, such as a wrong password.
	refusedBackOff = 15 * time.Second
)

func init() {
	service.MustRegisterBatchOutput("clickhouse", spec(),
		func(parsed *service.ParsedConfig, mgr *service.Resources) (service.BatchOutput, service.BatchPolicy, int, error) {
			conf, err := parseConfig(parsed)
			if err != nil {
				return nil, service.BatchPolicy{}, 0, err
			}
			return newOutput(conf, mgr.Logger(), newObserver(mgr)), service.BatchPolicy{}, conf.maxInFlight, nil
		})
}

// Output writes batches of changes to ClickHouse.
type Output struct {
	conf     *config
	log      *service.Logger
	observer observer
	health   health
	names    *tableNames

	mu           sync.Mutex
	client       *insert.Client // nil until connected
	server       insert.Server
	destinations map[string]*destination
}

var (
	_ service.BatchOutput        = (*Output)(nil)
	_ service.ConnectionTestable = (*Output)(nil)
)

// newOutput opens nothing.
func newOutput(conf *config, log *service.Logger, o observer) *Output {
	return &Output{
		conf: conf, log: log, observer: o,
		health:       health{observer: o},
		names:        newTableNames(conf.table, conf.tableText),
		destinations: make(map[string]*destination),
	}
}

// Connect makes sure that the server answers, is recent enough, and has the database.
func (o *Output) Connect(ctx context.Context) error {
	client, err := o.newClient()
	if err != nil {
		return err
	}
	server, err := o.probe(ctx, client)
	if err != nil {
		o.observer.Error(errorClass(err))
		o.health.failed("", err)
		_ = client.Close()
		return err
	}
	o.mu.Lock()
	old := o.client
	o.client, o.server = client, server
	o.mu.Unlock()
	if old != nil {
		_ = old.Close()
	}
	o.health.succeeded("")
	o.log.With("server", o.conf.dsn.String(), "version", server.Version).Info("connected to ClickHouse")
	return nil
}

// ConnectionTest does what Connect does and keeps nothing.
func (o *Output) ConnectionTest(ctx context.Context) service.ConnectionTestResults {
	client, err := o.newClient()
	if err == nil {
		_, err = o.probe(ctx, client)
		err = errors.Join(err, client.Close())
	}
	if err != nil {
		return service.ConnectionTestFailed(err).AsList()
	}
	return service.ConnectionTestSucceeded().AsList()
}

func (o *Output) newClient() (*insert.Client, error) {
	return insert.NewClient(insert.Options{
		DSN:         o.conf.dsn,
		Connections: 2 * o.conf.maxInFlight,
		Timeout:     o.conf.timeout,
		Settings:    o.conf.insertSettings,
		Failing:     o.failing,
		Settled:     o.settled,
	})
}

// probe asks the server who it is. What waiting does not mend comes with a long back-off.
func (o *Output) probe(ctx context.Context, client *insert.Client) (insert.Server, error) {
	server, err := client.Ping(ctx)
	var failure *insert.Error
	errors.As(err, &failure)
	switch {
	case errors.Is(err, insert.ErrNoDatabase):
		err = fmt.Errorf("database %q doesn't exist: run CREATE DATABASE %s, or GRANT user %q access to it",
			o.conf.dsn.Database, ddl.Quote(o.conf.dsn.Database), o.conf.dsn.User)
	case err != nil && (failure == nil || failure.Retry()):
		return server, err
	case err == nil && !server.AtLeast(oldestMajor, oldestMinor):
		err = fmt.Errorf("the server is ClickHouse %s, which is too old: Penstock needs %d.%d or later", server.Version, oldestMajor, oldestMinor)
	}
	if err != nil {
		return server, service.NewErrBackOff(err, refusedBackOff)
	}
	return server, nil
}

// WriteBatch returns when every change of the batch is stored. Where tables failed and others did not, the error says
// which messages are to be sent again.
func (o *Output) WriteBatch(ctx context.Context, batch service.MessageBatch) error {
	o.mu.Lock()
	connected := o.client != nil
	o.mu.Unlock()
	if !connected {
		return service.ErrNotConnected
	}
	plans, failures := o.plan(batch)
	if len(plans) == 1 {
		failures.add(plans[0], o.writeTable(ctx, plans[0]))
		return failures.of(batch)
	}
	errs := make([]error, len(plans))
	var group errgroup.Group
	group.SetLimit(tablesAtOnce)
	for i, plan := range plans {
		group.Go(func() error {
			errs[i] = o.writeTable(ctx, plan)
			return nil // one table's failure does not stop the others
		})
	}
	_ = group.Wait()
	for i, plan := range plans {
		failures.add(plan, errs[i])
	}
	return failures.of(batch)
}

// writeTable applies what a batch holds for one destination table.
func (o *Output) writeTable(ctx context.Context, plan *tablePlan) error {
	d := o.destination(plan.name)
	if err := d.pauseAfterFailure(ctx); err != nil {
		return err
	}
	err := d.apply(ctx, plan)
	switch {
	case err == nil:
		o.health.succeeded(d.fullName)
	case ctx.Err() == nil:
		d.failedNow()
		o.observer.Error(errorClass(err))
		o.health.failed(d.fullName, err)
	}
	return explain(plan.source(), err)
}

// Close closes the connections. It may be called again.
func (o *Output) Close(context.Context) error {
	o.mu.Lock()
	client := o.client
	o.client = nil
	o.mu.Unlock()
	if client == nil {
		return nil
	}
	return client.Close()
}
