package insert

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// Rule 20: what passes is repeated, what does not is not.
func TestClasses(t *testing.T) {
	native := func(code proto.Error) error {
		return fmt.Errorf("handle packet: %w", &ch.Exception{Code: code, Name: "DB::Exception", Message: "no"})
	}
	query := func(code proto.Error) error { return &clickhouse.Exception{Code: int32(code), Message: "no"} }
	for _, test := range []struct {
		err   error
		class Class
		retry bool
	}{
		{native(proto.ErrTooManyParts), ClassOverload, true},
		{query(proto.ErrTooManyParts), ClassOverload, true},
		{query(proto.ErrMemoryLimitExceeded), ClassOverload, true},
		{query(proto.ErrTooManySimultaneousQueries), ClassOverload, true},
		{query(proto.ErrTimeoutExceeded), ClassOverload, true},
		{query(proto.ErrTableIsReadOnly), ClassUnavailable, true},
		{query(proto.ErrKeeperException), ClassUnavailable, true},
		{query(proto.ErrUnknownStatusOfInsert), ClassUnavailable, true},
		{query(proto.ErrNetworkError), ClassNetwork, true},
		{query(proto.ErrTypeMismatch), ClassIncompatible, false},
		{query(proto.ErrNoSuchColumnInTable), ClassIncompatible, false},
		{query(proto.ErrUnknownTable), ClassMissing, false},
		{query(proto.ErrAccessDenied), ClassAccess, false},
		{query(proto.ErrAuthenticationFailed), ClassAuthentication, false},
		{query(proto.ErrSyntaxError), ClassServer, false},
		{query(proto.Error(99999)), ClassServer, false},
		{io.EOF, ClassNetwork, true},
		{fmt.Errorf("packet: %w", io.ErrUnexpectedEOF), ClassNetwork, true},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, ClassNetwork, true},
		{&net.DNSError{Name: "h", IsNotFound: true}, ClassNetwork, true},
		{context.DeadlineExceeded, ClassNetwork, true},
		{clickhouse.ErrAcquireConnTimeout, ClassNetwork, true},
		{x509.UnknownAuthorityError{}, ClassTLS, false},
		{errors.New("something else"), ClassClient, false},
	} {
		c := &Client{dsn: &DSN{}}
		got := c.classify("db.t", test.err)
		if got.Class != test.class || got.Retry() != test.retry {
			t.Errorf("%v is of class %s, retried: %v; want %s, %v", test.err, got.Class, got.Retry(), test.class, test.retry)
		}
		if got.Hint == "" || !strings.HasPrefix(got.Error(), "table db.t: ") || !errors.Is(got, test.err) {
			t.Errorf("%v has the text %q", test.err, got)
		}
	}
}

func TestEveryClassHasAPolicy(t *testing.T) {
	for code, class := range classes {
		if _, ok := policies[class]; !ok {
			t.Errorf("class %s of code %d has no policy", class, code)
		}
	}
	for class, policy := range policies {
		if policy.Hint == "" || policy.Retry != (policy.FirstWait > 0) || policy.LastWait < policy.FirstWait {
			t.Errorf("class %s has the policy %+v", class, policy)
		}
	}
}

func TestErrorHidesThePassword(t *testing.T) {
	c := &Client{dsn: &DSN{Password: "hunter2"}}
	err := c.classify("", errors.New("dial clickhouse://u:hunter2@h: no"))
	if got := err.Error(); strings.Contains(got, "hunter2") || !strings.Contains(got, redacted) {
		t.Errorf("got %s", got)
	}
}

func TestPause(t *testing.T) {
	p := Policy{FirstWait: 100 * time.Millisecond, LastWait: 5 * time.Second}
	for attempts, most := range map[int]time.Duration{
		1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 5: 1600 * time.Millisecond, 7: 5 * time.Second, 1000: 5 * time.Second,
	} {
		for range 100 {
			if got := pause(p, attempts); got < most/2 || got > most {
				t.Fatalf("after %d attempts the pause is %s, want between half of %s and all of it", attempts, got, most)
			}
		}
	}
}
