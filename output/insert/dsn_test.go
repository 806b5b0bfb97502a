package insert

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseDSN(t *testing.T) {
	for _, test := range []struct {
		dsn  string
		want DSN
		tls  string // "", "verify" or "skip"
	}{
		{
			dsn:  "clickhouse://localhost",
			want: DSN{Hosts: []string{"localhost:9000"}, User: "default", Database: "default", Compression: CompressionNone, DialTimeout: 10 * time.Second},
		},
		{
			dsn:  "clickhouse://localhost,[::1]:9001,127.0.0.2/d?compress=lz4",
			want: DSN{Hosts: []string{"localhost:9000", "[::1]:9001", "127.0.0.2:9000"}, User: "default", Database: "d", Compression: CompressionLZ4, DialTimeout: 10 * time.Second},
		},
		{
			dsn:  "clickhouse://shop:s3cret@a:9000,b,[::1]:9001/an%2Fal?compress=zstd&dial_timeout=3s",
			want: DSN{Hosts: []string{"a:9000", "b:9000", "[::1]:9001"}, User: "shop", Password: "s3cret", Database: "an/al", Compression: CompressionZSTD, DialTimeout: 3 * time.Second},
		},
		{
			dsn:  "tcp://u:p%40%3A%2F%3F%23%25@h/d?secure=true&compress=none",
			want: DSN{Hosts: []string{"h:9440"}, User: "u", Password: "p@:/?#%", Database: "d", Compression: CompressionNone, DialTimeout: 10 * time.Second},
			tls:  "verify",
		},
		{
			dsn:  "clickhouse://h/?secure&skip_verify=1&username=a&password=b&database=c",
			want: DSN{Hosts: []string{"h:9440"}, User: "a", Password: "b", Database: "c", Compression: CompressionLZ4, DialTimeout: 10 * time.Second},
			tls:  "skip",
		},
		{
			dsn:  " clickhouse://u:a:b@h:9000/d\n",
			want: DSN{Hosts: []string{"h:9000"}, User: "u", Password: "a:b", Database: "d", Compression: CompressionLZ4, DialTimeout: 10 * time.Second},
		},
	} {
		got, err := ParseDSN(test.dsn)
		if err != nil {
			t.Errorf("%s: %v", test.dsn, err)
			continue
		}
		tls := ""
		if got.TLS != nil {
			tls = map[bool]string{false: "verify", true: "skip"}[got.TLS.InsecureSkipVerify]
		}
		if !slices.Equal(got.Hosts, test.want.Hosts) || got.User != test.want.User || got.Password != test.want.Password ||
			got.Database != test.want.Database || got.Compression != test.want.Compression || got.DialTimeout != test.want.DialTimeout || tls != test.tls {
			t.Errorf("%s is %+v with TLS %q and password %q, want %+v with TLS %q", test.dsn, got, tls, string(got.Password), test.want, test.tls)
		}
	}
}

// Rule 25: what is wrong with a DSN is said without saying what is in it.
func TestParseDSNErrors(t *testing.T) {
	for _, test := range []struct{ dsn, errContains string }{
		{"", "it is empty"},
		{"hunter2", "must begin with clickhouse://"},
		{"hunter2://h", "must begin with clickhouse://"},
		{"https://u:hunter2@h:8443", "HTTP interface is not used"},
		{"clickhouse://u:hunter2@h:8123/d", "port 8123 is the HTTP interface"},
		{"clickhouse://", "names no host"},
		{"clickhouse://u:hunter2@/d", "names no host"},
		{"clickhouse://u:hunter2#x@h/d", "percent-encoded"},
		{"clickhouse://u:hunter2/x@h/d", "percent-encoded"},
		{"clickhouse://u:hunter2?x@h/d", "unknown parameter"},
		{"clickhouse://u:hunter2%zz@h/d", "not correctly percent-encoded"},
		{"clickhouse://u:hunter2@h/d%zz", "database is not correctly percent-encoded"},
		{"clickhouse://u:hunter2@h:x/d", "host 1 of the list is not of the form host:port"},
		{"clickhouse://u:hunter2@h,:9000/d", "host 2 of the list"},
		{"clickhouse://u:hunter2@h/d?secur=true", `unknown parameter "secur", known are compress`},
		{"clickhouse://u:hunter2@h/d?secure=maybe", "secure must be true or false"},
		{"clickhouse://u:hunter2@h/d?skip_verify=true", "only together with secure=true"},
		{"clickhouse://u:hunter2@h/d?dial_timeout=5", "dial_timeout must be a duration"},
		{"clickhouse://u:hunter2@h/d?compress=gzip", "compress must be lz4, zstd or none"},
	} {
		got, err := ParseDSN(test.dsn)
		if err == nil {
			t.Errorf("%s is %+v, want an error", test.dsn, got)
			continue
		}
		if !strings.HasPrefix(err.Error(), "field dsn: ") || !strings.Contains(err.Error(), test.errContains) {
			t.Errorf("%s: error is %q, want it to begin with the field and contain %q", test.dsn, err, test.errContains)
		}
		if strings.Contains(err.Error(), "hunter2") && test.dsn != "hunter2" {
			t.Errorf("%s: the error tells the password: %v", test.dsn, err)
		}
	}
}

func TestDSNHidesThePassword(t *testing.T) {
	d, err := ParseDSN("clickhouse://u:hunter2@h/d?secure=true")
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, v := range []any{d, *d, d.Password} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, "hunter2") {
				t.Errorf("%s of %T tells the password: %s", verb, v, got)
			}
		}
	}
	if got, want := d.String(), "clickhouse://u@h:9440/d"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
