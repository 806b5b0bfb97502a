package catalog

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/penstock/penstock/internal/change"
)

// The classes of failures at the source.
const (
	ClassConfiguration  = "configuration"
	ClassAuthentication = "authentication"
	ClassPrivilege      = "privilege"
	ClassServer         = "server"
	ClassIdentity       = "replica_identity"
	ClassPublication    = "publication"
	ClassSlot           = "slot"

	classNetwork = "network"
)

// PassingClass names trouble that may pass, for the metrics: what the server
// said, or that it could not be reached.
func PassingClass(err error) string {
	if SQLSTATE(err) != "" {
		return ClassServer
	}
	return classNetwork
}

// SQLSTATE returns the code of a PostgreSQL error in err's chain, or "".
func SQLSTATE(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
}

// SQLSTATE codes that mean something to us. PostgreSQL docs, Appendix A.
const (
	codeInvalidPassword      = "28P01"
	codeInvalidAuthorization = "28000"
	codeNoSuchDatabase       = "3D000"
	codeReadOnly             = "25006" // a standby
	codeNoPrivilege          = "42501"
	codeUndefinedObject      = "42704"
	codeDuplicateObject      = "42710"
	codeNotInPrerequisite    = "55000" // also: slot invalidated
	codeObjectInUse          = "55006" // slot is active
	codeConfigurationLimit   = "53400" // all replication slots are in use
)

// Explain turns an error of the source into a [change.Failure] where waiting does not
// cure it, and returns it unchanged where it may (network, restart, overload).
func Explain(err error) error {
	var failure *change.Failure
	if err == nil || errors.As(err, &failure) {
		return err
	}
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return err
	}
	p := &change.Failure{Err: err, Reason: pgErr.Message}
	switch pgErr.Code {
	case codeInvalidPassword:
		p.Class, p.Fix = ClassAuthentication, "check user and password in field `dsn`"
	case codeInvalidAuthorization:
		p.Class = ClassAuthentication
		p.Fix = "check the user in field `dsn` and that pg_hba.conf lets it connect from here, with and without replication"
	case codeNoSuchDatabase:
		p.Class, p.Fix = ClassConfiguration, "check the database name at the end of field `dsn`"
	case codeNoPrivilege:
		p.Class, p.Fix = ClassPrivilege, "grant it to the user in field `dsn`"
		if strings.Contains(pgErr.Hint, "REPLICATION") || strings.Contains(pgErr.Detail, "REPLICATION") {
			p.Fix = "give the user in field `dsn` the right: ALTER ROLE … REPLICATION"
		}
	case codeConfigurationLimit:
		p.Class, p.Fix = ClassServer, "raise max_replication_slots, or drop a slot nobody uses: SELECT slot_name FROM pg_replication_slots WHERE NOT active"
	default:
		return err
	}
	return p
}

// explainConnect adds to an error of connecting where it was going, and what
// to check; the password is never part of it.
func explainConnect(config *pgconn.Config, err error) error {
	if explained := Explain(err); explained != err {
		return explained
	}
	where := fmt.Sprintf("connecting to PostgreSQL at %s", net.JoinHostPort(config.Host, fmt.Sprint(config.Port)))
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return fmt.Errorf("%s: no such host: check the host in field `dsn` (%w)", where, err)
	}
	return fmt.Errorf("%s: check that it is running and that the host and port in field `dsn` are right: %w", where, err)
}
