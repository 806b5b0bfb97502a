-- What compose.yaml replicates: two tables with some rows.

CREATE TABLE customers (
  id         bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  name       text NOT NULL,
  email      text,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE orders (
  id          bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  customer_id bigint NOT NULL REFERENCES customers,
  total       numeric(12,2) NOT NULL,
  details     jsonb NOT NULL DEFAULT '{}',
  placed_at   timestamptz NOT NULL DEFAULT now()
);

INSERT INTO customers (name, email)
SELECT 'Customer ' || n, 'customer' || n || '@example.com' FROM generate_series(1, 1000) n;

INSERT INTO orders (customer_id, total, details)
SELECT 1 + n % 1000, n % 10000 / 100.0, jsonb_build_object('items', n % 7) FROM generate_series(1, 100000) n;
