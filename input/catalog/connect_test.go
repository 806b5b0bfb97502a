package catalog

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/penstock/penstock/internal/devstack/devtest"
)

// secret is a password that no error may show, not even a part of it.
const secret = "correct-horse"

// TestBadDSNIsOneSentenceWithoutThePassword guards rule 25: parsers quote what
// they stumble over.
func TestBadDSNIsOneSentenceWithoutThePassword(t *testing.T) {
	for _, tt := range []struct{ name, dsn, want string }{
		{"no scheme", "correct-horse", "form"},
		{"another scheme", "mysql://user:correct-horse@host/db", "form"},
		{"a bad escape", "postgres://user:%zzcorrect-horse@host/db", "%XX"},
		{"a slash in the password", "postgres://user:correct-horse/x@host/db", "%XX"},
		{"a bad port", "postgres://user:correct-horse@host:port/db", "%XX"},
		{"a port too large", "postgres://user:correct-horse@host:99999/db", "port"},
		{"a bad sslmode", "postgres://user:correct-horse@host/db?sslmode=perhaps", "sslmode"},
		{"a certificate that is not there", "postgres://user:correct-horse@host/db?sslrootcert=/nowhere&sslmode=verify-full", "/nowhere"},
		{"an unfinished quote", "host=h user=u password='correct-horse", "unterminated"},
		{"an escaped quote", `host=h port=x user=u password='a\'correct-horse b'`, "port"},
		{"words", "host=h user=u password=correct-horse again", "keyword"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewSource(tt.dsn, nil)
			if err == nil {
				t.Fatal("no error")
			}
			text := fmt.Sprintf("%v %+v", err, err)
			if !strings.HasPrefix(text, "field `dsn`: ") || !strings.Contains(text, tt.want) {
				t.Errorf("%q does not say %q", text, tt.want)
			}
			for _, part := range []string{"correct", "horse", "zz"} {
				if strings.Contains(text, part) {
					t.Errorf("%q shows a part of the password", text)
				}
			}
		})
	}
}

func TestFailuresToConnectAreSentences(t *testing.T) {
	dsn := devtest.Postgres(t)
	with := func(change func(*url.URL)) string {
		u, err := url.Parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword(u.User.Username(), secret)
		change(u)
		return u.String()
	}
	right, _ := url.Parse(dsn)
	for _, tt := range []struct {
		name  string
		dsn   string
		class string // "" where waiting may cure it
		want  []string
	}{
		{"a wrong password", with(func(*url.URL) {}), ClassAuthentication, []string{"password authentication failed", "field `dsn`"}},
		{"no such role", with(func(u *url.URL) { u.User = url.UserPassword("nobody_here", secret) }), ClassAuthentication, []string{"nobody_here", "field `dsn`"}},
		{"no such database", with(func(u *url.URL) { u.User, u.Path = right.User, "/nowhere" }), ClassConfiguration, []string{`database "nowhere" does not exist`, "field `dsn`"}},
		{"no such host", with(func(u *url.URL) { u.Host = "host.invalid:5432" }), "", []string{"host.invalid:5432", "field `dsn`"}},
		{"nobody listens", with(func(u *url.URL) { u.Host = "127.0.0.1:1" }), "", []string{"127.0.0.1:1", "check that it is running", "field `dsn`"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			source, err := NewSource(tt.dsn, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, sqlErr := source.Connect(t.Context())
			_, replicationErr := source.ConnectReplication(t.Context())
			for _, err := range []error{sqlErr, replicationErr} {
				if err == nil {
					t.Fatal("connected")
				}
				if tt.class != "" {
					wantFailure(t, err, tt.class, tt.want...)
				} else if Explain(err) != err {
					t.Errorf("%v is not tried again", err)
				}
				for _, want := range tt.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%q does not say %q", err, want)
					}
				}
				for _, verb := range []string{"%v", "%+v", "%s", "%q"} {
					if strings.Contains(fmt.Sprintf(verb, err), secret) {
						t.Errorf("%s shows the password: %v", verb, err)
					}
				}
				for e := err; e != nil; e = errors.Unwrap(e) {
					if strings.Contains(e.Error(), secret) {
						t.Errorf("%T shows the password: %v", e, e)
					}
				}
			}
		})
	}
}

// TestSessionsReadAlike: the settings that values depend on win over those of
// the DSN, in SQL sessions and in the stream.
func TestSessionsReadAlike(t *testing.T) {
	dsn := devtest.Postgres(t)
	source, err := NewSource(dsn+"&TimeZone=Asia/Tokyo&application_name=mine&DateStyle=German&statement_timeout=5", nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := source.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for name, want := range map[string]string{
		"TimeZone": "UTC", "DateStyle": "ISO, MDY", "IntervalStyle": "iso_8601", "bytea_output": "hex",
		"extra_float_digits": "3", "statement_timeout": "0", "search_path": "pg_catalog", "application_name": "mine",
	} {
		var got string
		if err := conn.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, want %q (%v)", name, got, want, err)
		}
	}
	replication, err := source.ConnectReplication(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer replication.Close(t.Context())
	for name, want := range map[string]string{"TimeZone": "UTC", "DateStyle": "ISO, MDY", "application_name": "mine"} {
		if got := replication.ParameterStatus(name); got != want {
			t.Errorf("%s is %q in the stream, want %q", name, got, want)
		}
	}
	if _, again := source.config.RuntimeParams["replication"]; again {
		t.Error("an SQL session would now replicate")
	}
}

func TestTLSOfEachHostIsItsOwn(t *testing.T) {
	source, err := NewSource("postgres://u@first,second/db", &tls.Config{MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	if got := source.config.TLSConfig.ServerName; got != "first" {
		t.Errorf("server name %q, want first", got)
	}
	for _, f := range source.config.Fallbacks {
		if f.TLSConfig.ServerName != f.Host {
			t.Errorf("server name %q for host %q", f.TLSConfig.ServerName, f.Host)
		}
	}
}
