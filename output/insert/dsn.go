package insert

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Secret is text that formats as a row of x, so that a value which holds one can be logged.
type Secret string

// String hides the secret.
func (Secret) String() string { return redacted }

// GoString hides the secret.
func (Secret) GoString() string { return redacted }

const redacted = "xxxxx"

// Compression of blocks on their way to the server.
type Compression string

// LZ4 costs little and pays off on any real network; None is fastest on the same machine; ZSTD is for slow lines.
const (
	CompressionLZ4  Compression = "lz4"
	CompressionZSTD Compression = "zstd"
	CompressionNone Compression = "none"
)

const (
	defaultPort       = "9000" // tcp_port
	defaultSecurePort = "9440" // tcp_port_secure
	// defaultDialTimeout is long enough for a TLS handshake across continents and short enough to move on to the next host.
	defaultDialTimeout = 10 * time.Second
)

// DSN says where, and as whom, to connect.
type DSN struct {
	// Hosts are host:port of replicas of the same tables, tried in turn.
	Hosts       []string
	User        string
	Password    Secret
	Database    string
	Compression Compression
	DialTimeout time.Duration
	// TLS is nil where the connection is not encrypted.
	TLS *tls.Config
}

// String returns the DSN without password and parameters.
func (d *DSN) String() string {
	return "clickhouse://" + url.User(d.User).String() + "@" + strings.Join(d.Hosts, ",") + "/" + url.PathEscape(d.Database)
}

// ParseDSN reads clickhouse://user:password@host:9000,host2:9000/database?parameter=value. The parameters are secure,
// skip_verify, tls_server_name, compress, dial_timeout, username, password and database. Errors begin with the name of
// the field, dsn, and hold nothing of the text but the names of parameters: the rest may be part of a password.
func ParseDSN(text string) (*DSN, error) {
	d, err := parseDSN(strings.TrimSpace(text))
	if err != nil {
		return nil, fmt.Errorf("field dsn: %w", err)
	}
	return d, nil
}

func parseDSN(text string) (*DSN, error) {
	if text == "" {
		return nil, errors.New("it is empty, want clickhouse://user:password@host:9000/database")
	}
	scheme, rest, found := strings.Cut(text, "://")
	switch {
	case !found:
		return nil, errors.New("it must begin with clickhouse://")
	case scheme == "http" || scheme == "https":
		return nil, errors.New("the HTTP interface is not used: give the native one, clickhouse://host:9000 (with TLS host:9440 and secure=true)")
	case scheme != "clickhouse" && scheme != "tcp":
		return nil, errors.New("it must begin with clickhouse://")
	}
	// Taken apart by hand: net/url refuses several hosts with ports, and its errors quote the password.
	authority, path, query := rest, "", ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	path, fragment, _ := strings.Cut(path, "#")
	path, query, _ = strings.Cut(path, "?")
	path = strings.TrimPrefix(path, "/")
	if fragment != "" || strings.ContainsAny(path, "@/") {
		return nil, errors.New("a user, password or database with one of @ : / ? # % must be percent-encoded (# is %23, / is %2F, @ is %40)")
	}
	d := &DSN{DialTimeout: defaultDialTimeout}
	var err error
	if d.Database, err = url.PathUnescape(path); err != nil {
		return nil, errors.New("the database is not correctly percent-encoded")
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		if err := d.setUser(authority[:i]); err != nil {
			return nil, err
		}
		authority = authority[i+1:]
	}
	secure, err := d.setParameters(query)
	if err != nil {
		return nil, err
	}
	if d.Hosts, err = splitHosts(authority, secure); err != nil {
		return nil, err
	}
	if d.Compression == "" {
		d.Compression = CompressionLZ4
		if allLoopback(d.Hosts) {
			d.Compression = CompressionNone
		}
	}
	if d.User == "" {
		d.User = "default"
	}
	if d.Database == "" {
		d.Database = "default"
	}
	return d, nil
}

func (d *DSN) setUser(userinfo string) error {
	user, password, _ := strings.Cut(userinfo, ":")
	for _, part := range []*string{&user, &password} {
		text, err := url.PathUnescape(*part)
		if err != nil {
			return errors.New("the user or the password is not correctly percent-encoded (% itself is %25)")
		}
		*part = text
	}
	d.User, d.Password = user, Secret(password)
	return nil
}

// parameters are the names that a DSN may use, sorted.
var parameters = [...]string{
	"compress", "database", "dial_timeout", "password", "secure", "skip_verify", "tls_server_name", "username",
}

func (d *DSN) setParameters(query string) (secure bool, err error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return false, errors.New("the parameters behind the ? are not correctly percent-encoded")
	}
	for name := range values {
		if !slices.Contains(parameters[:], name) {
			return false, fmt.Errorf("unknown parameter %q, known are %s", name, strings.Join(parameters[:], ", "))
		}
	}
	text := func(name string, set func(string)) {
		if values.Has(name) {
			set(values.Get(name))
		}
	}
	text("username", func(v string) { d.User = v })
	text("password", func(v string) { d.Password = Secret(v) })
	text("database", func(v string) { d.Database = v })

	var skipVerify bool
	for name, flag := range map[string]*bool{"secure": &secure, "skip_verify": &skipVerify} {
		// A parameter without a value is on, as in other drivers.
		if v := values.Get(name); v != "" {
			if *flag, err = strconv.ParseBool(v); err != nil {
				return false, fmt.Errorf("parameter %s must be true or false", name)
			}
		} else {
			*flag = values.Has(name)
		}
	}
	if serverName := values.Get("tls_server_name"); secure {
		d.TLS = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: skipVerify, ServerName: serverName}
	} else if skipVerify || serverName != "" {
		return false, errors.New("skip_verify and tls_server_name mean something only together with secure=true")
	}
	if v := values.Get("dial_timeout"); v != "" {
		if d.DialTimeout, err = time.ParseDuration(v); err != nil || d.DialTimeout <= 0 {
			return false, errors.New("parameter dial_timeout must be a duration above zero, such as 10s")
		}
	}
	switch v := values.Get("compress"); v {
	case "":
	case "true", "lz4":
		d.Compression = CompressionLZ4
	case "zstd":
		d.Compression = CompressionZSTD
	case "none", "false":
		d.Compression = CompressionNone
	default:
		return false, errors.New("parameter compress must be lz4, zstd or none")
	}
	return secure, nil
}

func splitHosts(list string, secure bool) ([]string, error) {
	if list == "" {
		return nil, errors.New("it names no host")
	}
	fallback := defaultPort
	if secure {
		fallback = defaultSecurePort
	}
	hosts := strings.Split(list, ",")
	for i, host := range hosts {
		host = strings.TrimSpace(host)
		name, port, err := net.SplitHostPort(host)
		if err != nil { // no port, or an IPv6 address without brackets
			name, port = strings.Trim(host, "[]"), fallback
			if strings.Count(name, ":") == 1 {
				return nil, fmt.Errorf("host %d of the list has no port behind its colon", i+1)
			}
		}
		if n, err := strconv.ParseUint(port, 10, 16); name == "" || err != nil || n == 0 {
			return nil, fmt.Errorf("host %d of the list is not of the form host:port", i+1)
		}
		if port == "8123" || port == "8443" {
			return nil, fmt.Errorf("port %s is the HTTP interface: give the native one, 9000 (with TLS 9440)", port)
		}
		hosts[i] = net.JoinHostPort(name, port)
	}
	return hosts, nil
}

// allLoopback says whether all hosts are this machine, where compressing costs more than it saves.
func allLoopback(hosts []string) bool {
	for _, host := range hosts {
		name, _, _ := net.SplitHostPort(host)
		if ip := net.ParseIP(name); name != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}
