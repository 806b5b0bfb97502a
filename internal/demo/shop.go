package demo

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

//go:embed shop.sql
var shopSQL string

// shopTable is one table of the shop and how it is filled.
type shopTable struct {
	name string
	// share of all rows that are loaded, in thousandths.
	share int
	// insert fills the table with the rows 1 to $1; {table} stands for the
	// number of rows of another table.
	insert string
	key    string
}

// Values come from the row's number, not from random(), so that two loads of
// the same size are the same.
var shopTables = [...]shopTable{
	{"customers", 100, `INSERT INTO customers (external_id, name, email, tier, tags, preferences, balance, birthday, active, created_at)
		SELECT md5('c' || g)::uuid, 'Customer ' || g, CASE WHEN g % 11 > 0 THEN 'customer' || g || '@example.com' END,
			(enum_range(NULL::tier))[1 + g % 3], CASE g % 3 WHEN 0 THEN '{}' WHEN 1 THEN '{new}' ELSE ARRAY['returning', 'region ' || g % 50] END,
			CASE WHEN g % 5 > 0 THEN jsonb_build_object('newsletter', g % 2 = 0, 'language', 'en', 'score', g / 7.0) END,
			(g % 100000) / 100.0, date '1950-01-01' + g % 20000, g % 17 > 0, timestamptz '2024-01-01' + g * interval '1 minute'
		FROM generate_series(1, $1::int) g`, "id"},
	{"addresses", 110, `INSERT INTO addresses
		SELECT 1 + (g - 1) / 2, CASE WHEN g % 2 = 0 THEN 'billing' ELSE 'shipping' END::address_kind, g % 300 || ' High Street',
			'City ' || g % 1000, lpad((g % 99999)::text, 5, '0'), ARRAY[(g % 3600) / 10.0 - 180, (g % 1800) / 10.0 - 90]
		FROM generate_series(1, $1::int) g`, "customer_id, kind"},
	{"products", 10, `INSERT INTO products
		SELECT md5('p' || g)::uuid, 'SKU-' || g, 'Product ' || g, repeat('A very good product. ', g % 8), (100 + g % 99900) / 100.0,
			jsonb_build_object('colour', (ARRAY['red', 'green', 'blue'])[1 + g % 3], 'sizes', ARRAY[g % 10, g % 20]), (g % 5000) / 1000.0,
			g % 1000, decode(md5('i' || g), 'hex')
		FROM generate_series(1, $1::int) g`, "id"},
	{"orders", 200, `INSERT INTO orders (customer_id, status, total, note, gift, placed_at, shipped_at)
		SELECT 1 + g % {customers}, (enum_range(NULL::order_status))[1 + g % 5], (g % 1000000) / 100.0, CASE WHEN g % 20 = 0 THEN 'Leave at the door' END,
			CASE WHEN g % 3 > 0 THEN g % 10 = 0 END, timestamptz '2025-01-01' + g * interval '7 seconds',
			CASE WHEN g % 5 > 1 THEN timestamp '2025-01-02' + g * interval '7 seconds' END
		FROM generate_series(1, $1::int) g`, "id"},
	{"order_items", 380, `INSERT INTO order_items
		SELECT 1 + (g - 1) / 2, g % 2, md5('p' || 1 + g % {products})::uuid, 1 + g % 5, (100 + g % 9900) / 100.0, CASE WHEN g % 4 = 0 THEN (g % 50) / 1000.0 END
		FROM generate_series(1, $1::int) g`, "order_id, line"},
	{"payments", 100, `INSERT INTO payments
		SELECT md5('y' || g)::uuid, g, (ARRAY['card', 'invoice', 'transfer'])[1 + g % 3], (g % 1000000) / 100.0, (g % 1000) / 300.0,
			CASE WHEN g % 9 > 0 THEN timestamptz '2025-01-01' + g * interval '7 seconds 3 microseconds' END
		FROM generate_series(1, $1::int) g`, "id"},
	{"events", 100, `INSERT INTO events (customer_id, kind, payload, address, took, occurred_at)
		SELECT CASE WHEN g % 10 > 0 THEN 1 + g % {customers} END, (ARRAY['view', 'search', 'cart', 'checkout'])[1 + g % 4],
			jsonb_build_object('page', '/products/' || g % 500, 'referrer', NULL, 'position', g % 40), ('10.' || g % 250 || '.' || g % 99 || '.1')::inet,
			(g % 3000) * interval '1 millisecond', timestamptz '2025-06-01' + g * interval '2 seconds'
		FROM generate_series(1, $1::int) g`, "id"},
}

// size returns how many rows of a load of total rows go to the table.
func (t shopTable) size(total int) int { return max(1, total*t.share/1000) }

func shopSize(name string, total int) int {
	for _, t := range shopTables {
		if t.name == name {
			return t.size(total)
		}
	}
	return 0
}

// loadShop creates the shop and fills it with about rows rows.
func loadShop(ctx context.Context, dsn string, rows int) error {
	conn, err := connectShop(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, shopSQL); err != nil {
		return fmt.Errorf("creating the shop: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2) // more would only wait for each other's WAL
	for _, t := range shopTables {
		group.Go(func() error {
			if err := t.load(ctx, dsn, rows); err != nil {
				return fmt.Errorf("filling table %s: %w", t.name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

func (t shopTable) load(ctx context.Context, dsn string, rows int) error {
	conn, err := connectShop(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	sizes := make([]string, 0, 2*len(shopTables))
	for _, other := range shopTables {
		sizes = append(sizes, "{"+other.name+"}", fmt.Sprint(other.size(rows)))
	}
	insert := strings.NewReplacer(sizes...).Replace(t.insert)
	if _, err := conn.Exec(ctx, insert, t.size(rows)); err != nil {
		return err
	}
	// A key is made faster from a full table than row by row.
	if _, err := conn.Exec(ctx, fmt.Sprintf("ALTER TABLE %s ADD PRIMARY KEY (%s)", t.name, t.key)); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "VACUUM ANALYZE "+t.name)
	return err
}

func connectShop(ctx context.Context, dsn string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("reading the DSN of the shop: %w", err)
	}
	// The shop may lose its last second in a crash; nobody minds.
	config.RuntimeParams["synchronous_commit"] = "off"
	config.RuntimeParams["application_name"] = "shop"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the shop: %w", err)
	}
	return conn, nil
}
