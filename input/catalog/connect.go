package catalog

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/penstock/penstock/internal/change"
)

// session holds the settings of every session we open: with them a value reads
// the same in the snapshot, in the stream, as text and as binary, and no
// timeout of the server's ends a long COPY.
var session = map[string]string{
	"application_name":                    "penstock",
	"client_encoding":                     "UTF8",
	"TimeZone":                            "UTC",
	"DateStyle":                           "ISO",
	"IntervalStyle":                       "iso_8601",
	"extra_float_digits":                  "3",
	"bytea_output":                        "hex",
	"statement_timeout":                   "0",
	"lock_timeout":                        "0",
	"idle_in_transaction_session_timeout": "0",
	"idle_session_timeout":                "0",
	// Names in the text of regclass and the like are then always qualified.
	"search_path": "pg_catalog",
}

// connectTimeout is long enough for a cold TLS handshake across the world.
const connectTimeout = 15 * time.Second

// readBuffer is what one read from the socket may bring: larger than pgx's
// 8 kB, because a snapshot moves hundreds of megabytes.
const readBuffer = 128 << 10

// Source is where the source is and how to get there.
type Source struct{ config *pgx.ConnConfig }

// NewSource reads a DSN or URL. tlsConfig replaces what sslmode says where it
// is not nil. The error never holds the password.
func NewSource(dsn string, tlsConfig *tls.Config) (*Source, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, explainDSN(dsn, err)
	}
	config.ConnectTimeout = connectTimeout
	config.DialFunc = (&net.Dialer{Control: giveUp}).DialContext
	if tlsConfig != nil {
		config.TLSConfig = named(tlsConfig, config.Host)
		for _, f := range config.Fallbacks {
			f.TLSConfig = named(tlsConfig, f.Host)
		}
	}
	for name, value := range session {
		if _, set := config.RuntimeParams[name]; !set || name != "application_name" {
			config.RuntimeParams[name] = value
		}
	}
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(bufio.NewReaderSize(r, readBuffer), w)
	}
	return &Source{config: config}, nil
}

// explainDSN says what is wrong with a DSN. A parser's own words quote what it
// stumbled over, and that may be the password.
func explainDSN(dsn string, err error) error {
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		if _, urlErr := url.Parse(dsn); urlErr != nil {
			return errors.New("field `dsn`: it is not a URL of the form postgres://user:password@host:port/database: write special characters in user and password as %XX, for example @ as %40")
		}
	} else if !strings.Contains(dsn, "=") {
		return errors.New("field `dsn`: it has neither the form postgres://user:password@host:port/database nor the form host=… user=… password=… dbname=…")
	}
	if cause := errors.Unwrap(err); cause != nil {
		return fmt.Errorf("field `dsn`: %w", cause)
	}
	return errors.New("field `dsn`: it is not a valid PostgreSQL connection string: check its port and its hosts")
}

func named(c *tls.Config, host string) *tls.Config {
	c = c.Clone()
	if c.ServerName == "" {
		c.ServerName = host
	}
	return c
}

// Database returns the name of the database that the source is.
func (s *Source) Database() string { return s.config.Database }

// User returns the role that we connect as.
func (s *Source) User() string { return s.config.User }

// Connect opens an SQL session.
func (s *Source) Connect(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, s.config.Copy())
	if err != nil {
		return nil, explainConnect(&s.config.Config, err)
	}
	return conn, nil
}

// ConnectReplication opens a session that speaks the streaming replication
// protocol (PostgreSQL docs 55.4).
func (s *Source) ConnectReplication(ctx context.Context) (*pgconn.PgConn, error) {
	config := s.config.Config.Copy()
	config.RuntimeParams["replication"] = "database"
	conn, err := pgconn.ConnectConfig(ctx, config)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == codeNoPrivilege {
		return nil, &change.Failure{
			Class: ClassPrivilege, Reason: refused.Message, Err: err,
			Fix: "run ALTER ROLE " + quote(s.config.User) + " REPLICATION",
		}
	}
	if err != nil {
		return nil, explainConnect(&s.config.Config, err)
	}
	return conn, nil
}

// goodbyeTimeout bounds a polite end of a session.
const goodbyeTimeout = time.Second

// Close ends a session, of SQL or of replication, without keeping its caller
// waiting: the server notices by itself.
func Close(session interface{ Close(context.Context) error }) {
	ctx, cancel := context.WithTimeout(context.Background(), goodbyeTimeout)
	defer cancel()
	_ = session.Close(ctx)
}
