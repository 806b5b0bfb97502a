package insert

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// Class sorts what can go wrong by what to do about it.
type Class string

// The classes of errors.
const (
	ClassNetwork        Class = "network"
	ClassOverload       Class = "overload"
	ClassUnavailable    Class = "unavailable"
	ClassAuthentication Class = "authentication"
	ClassAccess         Class = "access"
	ClassMissing        Class = "missing"
	ClassIncompatible   Class = "incompatible"
	ClassTLS            Class = "tls"
	ClassServer         Class = "server"
	ClassClient         Class = "client"
)

// Policy says what follows from a class.
type Policy struct {
	// Retry says that the same statement may succeed later, without anyone doing anything here.
	Retry bool
	// FirstWait is the pause before the second attempt, doubled up to LastWait.
	FirstWait, LastWait time.Duration
	// Hint tells the operator what to look at.
	Hint string
}

// policies is the one table of what is retried and what the operator is told.
var policies = map[Class]Policy{
	ClassNetwork: {
		// A restarted server is back within a second; a network that is gone for long is asked every few seconds.
		Retry: true, FirstWait: 100 * time.Millisecond, LastWait: 5 * time.Second,
		Hint: "check that the hosts of field dsn are right, up and reachable from here",
	},
	ClassOverload: {
		// What the server lacks (merged parts, memory, query slots) comes back in seconds, and asking sooner costs it more.
		Retry: true, FirstWait: time.Second, LastWait: 30 * time.Second,
		Hint: "the server is overloaded: watch system.merges and memory, use larger batches or lower max_in_flight",
	},
	ClassUnavailable: {
		Retry: true, FirstWait: 500 * time.Millisecond, LastWait: 15 * time.Second,
		Hint: "the server cannot write now: check its disks, its Keeper and system.replicas",
	},
	ClassAuthentication: {Hint: "check user and password in field dsn"},
	ClassAccess:         {Hint: "GRANT SELECT, INSERT, CREATE TABLE, ALTER ON the database TO the user of field dsn"},
	ClassMissing:        {Hint: "the table or database is not there: create it, or restart the pipe with create_tables: true"},
	ClassIncompatible:   {Hint: "the table does not fit the source: compare the definitions, run the ALTER, or resync the table"},
	ClassTLS:            {Hint: "check secure, tls_server_name and the certificates: secure=true needs the TLS port, usually 9440"},
	ClassServer:         {Hint: "look the code up in the server's log"},
	ClassClient:         {Hint: "this looks like a defect: please report it"},
}

// classes holds the class of each exception code (ClickHouse src/Common/ErrorCodes.cpp) that is not ClassServer.
var classes = map[proto.Error]Class{
	proto.ErrSocketTimeout:                   ClassNetwork,
	proto.ErrNetworkError:                    ClassNetwork,
	proto.ErrAttemptToReadAfterEOF:           ClassNetwork,
	proto.ErrCannotReadFromSocket:            ClassNetwork,
	proto.ErrCannotWriteToSocket:             ClassNetwork,
	proto.ErrAllConnectionTriesFailed:        ClassNetwork,
	proto.ErrDNSError:                        ClassNetwork,
	proto.ErrChecksumDoesntMatch:             ClassNetwork,
	proto.ErrUnexpectedPacketFromClient:      ClassNetwork,
	proto.ErrQueryWithSameIDIsAlreadyRunning: ClassNetwork,

	proto.ErrTooManyParts:                   ClassOverload,
	proto.ErrMemoryLimitExceeded:            ClassOverload,
	proto.ErrCannotAllocateMemory:           ClassOverload,
	proto.ErrTooManySimultaneousQueries:     ClassOverload,
	proto.ErrNoFreeConnection:               ClassOverload,
	proto.ErrTimeoutExceeded:                ClassOverload,
	proto.ErrTooSlow:                        ClassOverload,
	proto.ErrCannotScheduleTask:             ClassOverload,
	proto.ErrQuotaExceeded:                  ClassOverload,
	proto.ErrTooManyMutations:               ClassOverload,
	proto.ErrServerOverloaded:               ClassOverload,
	proto.ErrDistributedTooManyPendingBytes: ClassOverload,
	proto.ErrReceivedErrorTooManyRequests:   ClassOverload,
	proto.ErrUserSessionLimitExceeded:       ClassOverload,

	proto.ErrTableIsReadOnly:                   ClassUnavailable,
	proto.ErrNotEnoughSpace:                    ClassUnavailable,
	proto.ErrNoZookeeper:                       ClassUnavailable,
	proto.ErrKeeperException:                   ClassUnavailable,
	proto.ErrUnexpectedZookeeperError:          ClassUnavailable,
	proto.ErrUnknownStatusOfInsert:             ClassUnavailable,
	proto.ErrTooFewLiveReplicas:                ClassUnavailable,
	proto.ErrUnsatisfiedQuorumForPreviousWrite: ClassUnavailable,
	proto.ErrNoActiveReplicas:                  ClassUnavailable,
	proto.ErrAllReplicasAreStale:               ClassUnavailable,
	proto.ErrReplicaStatusChanged:              ClassUnavailable,
	proto.ErrAborted:                           ClassUnavailable,
	proto.ErrQueryWasCancelled:                 ClassUnavailable, // a server that shuts down cancels its queries
	proto.ErrQueryWasCancelledByClient:         ClassUnavailable,
	proto.ErrThreadWasCanceled:                 ClassUnavailable,
	proto.ErrTableIsBeingRestarted:             ClassUnavailable,
	proto.ErrDeadlockAvoided:                   ClassUnavailable, // a lock on the table was not granted in time
	proto.ErrCannotAssignAlter:                 ClassUnavailable, // another replica alters the table
	proto.ErrDatabaseReplicationFailed:         ClassUnavailable,
	proto.ErrAsyncLoadWaitFailed:               ClassUnavailable, // the server still loads its tables
	proto.ErrAsyncLoadCanceled:                 ClassUnavailable,
	proto.ErrCannotWriteToFileDescriptor:       ClassUnavailable,
	proto.ErrCannotFsync:                       ClassUnavailable,
	proto.ErrS3Error:                           ClassUnavailable,
	proto.ErrAzureBlobStorageError:             ClassUnavailable,
	proto.ErrSystemError:                       ClassUnavailable,

	proto.ErrAuthenticationFailed: ClassAuthentication,
	proto.ErrUnknownUser:          ClassAuthentication,
	proto.ErrWrongPassword:        ClassAuthentication,
	proto.ErrRequiredPassword:     ClassAuthentication,
	proto.ErrIPAddressNotAllowed:  ClassAuthentication,
	proto.ErrUserExpired:          ClassAuthentication,

	proto.ErrAccessDenied:               ClassAccess,
	proto.ErrReadonly:                   ClassAccess,
	proto.ErrReadonlySetting:            ClassAccess,
	proto.ErrSettingConstraintViolation: ClassAccess,
	proto.ErrDatabaseAccessDenied:       ClassAccess,
	proto.ErrQueryIsProhibited:          ClassAccess,

	proto.ErrUnknownTable:    ClassMissing,
	proto.ErrUnknownDatabase: ClassMissing,
	proto.ErrTableIsDropped:  ClassMissing,

	proto.ErrNoSuchColumnInTable:              ClassIncompatible,
	proto.ErrThereIsNoColumn:                  ClassIncompatible,
	proto.ErrNotFoundColumnInBlock:            ClassIncompatible,
	proto.ErrUnknownIdentifier:                ClassIncompatible,
	proto.ErrIllegalColumn:                    ClassIncompatible,
	proto.ErrTypeMismatch:                     ClassIncompatible,
	proto.ErrCannotConvertType:                ClassIncompatible,
	proto.ErrNumberOfColumnsDoesntMatch:       ClassIncompatible,
	proto.ErrIncompatibleColumns:              ClassIncompatible,
	proto.ErrUnknownType:                      ClassIncompatible,
	proto.ErrCannotInsertNullInOrdinaryColumn: ClassIncompatible,
	proto.ErrAlterOfColumnIsForbidden:         ClassIncompatible,
	proto.ErrViolatedConstraint:               ClassIncompatible,
	proto.ErrDataTypeCannotBeUsedInKey:        ClassIncompatible,
	proto.ErrValueIsOutOfRangeOfDataType:      ClassIncompatible,
}

// Error is a failure at the destination, with what is to be done about it.
type Error struct {
	Class Class
	// Code is the server's exception code, 0 where the error is not the server's.
	Code int
	// Table is the destination table, "" where the error concerns none.
	Table string
	// Hint is for the operator.
	Hint string

	err error
	// secret is what must not show up in the text.
	secret Secret
}

// Error names the table, the server's own words, and the hint, never the password.
func (e *Error) Error() string {
	text := e.Reason()
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

// Reason is Error without the hint.
func (e *Error) Reason() string {
	text := oneSentence(e.err.Error())
	if e.Table != "" {
		text = "table " + e.Table + ": " + text
	}
	// Shorter ones are not hidden: what they are replaced in would tell them.
	if len(e.secret) >= 3 {
		text = strings.ReplaceAll(text, string(e.secret), redacted)
	}
	return text
}

// oneSentence makes one line of a driver's error. errors.Join puts a line end between the failures of several hosts. The
// server puts an empty line between what happened and paragraphs of general advice, such as how to reset the password of
// ClickHouse Cloud; that advice ends at the next host.
func oneSentence(text string) string {
	var kept []string
	advice := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		advice = !strings.HasPrefix(line, connectingTo) && (advice || line == "")
		if !advice {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "; ")
}

// connectingTo begins the failure of one host.
const connectingTo = "connecting to "

// Unwrap returns the driver's error.
func (e *Error) Unwrap() error { return e.err }

// Retry says whether the statement may succeed when it is repeated.
func (e *Error) Retry() bool { return policies[e.Class].Retry }

// classify makes an Error of what a driver returned.
func (c *Client) classify(table string, err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	class, code := classOf(err)
	return &Error{Class: class, Code: int(code), Table: table, Hint: policies[class].Hint, err: err, secret: c.dsn.Password}
}

func classOf(err error) (Class, proto.Error) {
	if code, ok := exceptionCode(err); ok {
		if class, ok := classes[code]; ok {
			return class, code
		}
		return ClassServer, code
	}
	var (
		unknownAuthority x509.UnknownAuthorityError
		hostname         x509.HostnameError
		invalid          x509.CertificateInvalidError
		record           tls.RecordHeaderError
		verification     *tls.CertificateVerificationError
		alert            tls.AlertError
		network          net.Error
		corrupted        *ch.CorruptedDataErr
	)
	switch {
	case errors.As(err, &unknownAuthority), errors.As(err, &hostname), errors.As(err, &invalid),
		errors.As(err, &record), errors.As(err, &verification), errors.As(err, &alert):
		return ClassTLS, 0
	case errors.As(err, &network), errors.As(err, &corrupted),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrShortWrite),
		errors.Is(err, net.ErrClosed), errors.Is(err, ch.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, clickhouse.ErrAcquireConnTimeout), errors.Is(err, clickhouse.ErrAcquireConnNoAddress),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return ClassNetwork, 0
	}
	return ClassClient, 0
}

// exceptionCode returns the code of the server's exception in err.
func exceptionCode(err error) (proto.Error, bool) {
	if e, ok := ch.AsException(err); ok {
		return e.Code, true
	}
	var e *clickhouse.Exception
	if errors.As(err, &e) {
		return proto.Error(e.Code), true
	}
	return 0, false
}

// stopped is what a retry series returns when its context ended before it succeeded.
func stopped(ctx context.Context, attempts int, last *Error) error {
	return fmt.Errorf("giving up after %d attempts: %w, last error: %w", attempts, context.Cause(ctx), last)
}
