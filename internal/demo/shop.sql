CREATE TYPE tier AS ENUM ('basic', 'silver', 'gold');
CREATE TYPE address_kind AS ENUM ('billing', 'shipping', 'work');
CREATE TYPE order_status AS ENUM ('placed', 'paid', 'shipped', 'delivered', 'returned');

CREATE TABLE customers (
  id          bigint GENERATED ALWAYS AS IDENTITY,
  external_id uuid NOT NULL,
  name        text NOT NULL,
  email       text,
  tier        tier NOT NULL DEFAULT 'basic',
  tags        text[] NOT NULL DEFAULT '{}',
  preferences jsonb,
  balance     numeric(12,2) NOT NULL DEFAULT 0,
  birthday    date,
  active      boolean NOT NULL DEFAULT true,
  created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE addresses (
  customer_id bigint NOT NULL,
  kind        address_kind NOT NULL,
  street      text NOT NULL,
  city        text NOT NULL,
  postcode    char(8),
  position    double precision[] -- longitude and latitude
);

CREATE TABLE products (
  id          uuid NOT NULL,
  sku         varchar(20) NOT NULL,
  name        text NOT NULL,
  description text,
  price       numeric(10,2) NOT NULL,
  attributes  jsonb NOT NULL DEFAULT '{}',
  weight      real,
  in_stock    integer NOT NULL DEFAULT 0,
  picture     bytea
);

CREATE TABLE orders (
  id          bigint GENERATED ALWAYS AS IDENTITY,
  customer_id bigint NOT NULL,
  status      order_status NOT NULL DEFAULT 'placed',
  total       numeric(14,2) NOT NULL DEFAULT 0,
  note        text,
  gift        boolean,
  placed_at   timestamptz NOT NULL DEFAULT now(),
  shipped_at  timestamp
);

CREATE TABLE order_items (
  order_id    bigint NOT NULL,
  line        smallint NOT NULL,
  product_id  uuid NOT NULL,
  quantity    integer NOT NULL,
  price       numeric(10,2) NOT NULL,
  discount    numeric
);

CREATE TABLE payments (
  id          uuid NOT NULL DEFAULT gen_random_uuid(),
  order_id    bigint NOT NULL,
  method      text NOT NULL,
  amount      numeric(14,2) NOT NULL,
  fee         double precision,
  captured_at timestamptz
);

CREATE TABLE events (
  id          bigint GENERATED ALWAYS AS IDENTITY,
  customer_id bigint,
  kind        text NOT NULL,
  payload     jsonb,
  address     inet,
  took        interval,
  occurred_at timestamptz NOT NULL DEFAULT now()
);
