package initialize

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// output takes what a program prints: it goes to the log as it comes, without
// secrets, and its end is kept to tell why the program failed.
type output struct {
	log  io.Writer
	mask mask
	// each is called with each line, after it was logged. May be nil.
	each func(line string)

	tail []string
	size int // of tail, in bytes
}

// tailSize is how much of what a program prints is kept, in bytes.
const tailSize = 32 << 10

// add takes a line.
func (o *output) add(line string) {
	line = o.mask.apply(line)
	fprintf(o.log, "%s\n", line)
	o.tail, o.size = append(o.tail, line), o.size+len(line)
	for o.size > tailSize && len(o.tail) > 1 {
		o.size -= len(o.tail[0])
		o.tail = o.tail[1:]
	}
	if o.each != nil {
		o.each(line)
	}
}

// blame adds to a program's end what the program said of it: what the server refused, or its last words.
func (o *output) blame(err error) error {
	if err == nil {
		return nil
	}
	if refusal := o.refusal(); refusal != nil {
		return fmt.Errorf("%w: %w", err, refusal)
	}
	if last := o.last(); last != "" {
		return fmt.Errorf("%w: %s", err, last)
	}
	return err
}

// last returns the last line that says something.
func (o *output) last() string {
	for _, line := range slices.Backward(o.tail) {
		line = strings.TrimSpace(line)
		if strings.IndexFunc(line, isLetter) >= 0 && !strings.HasPrefix(line, "(Background on this error at") {
			return line
		}
	}
	return ""
}

func isLetter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r >= 0x80 }

// refusal returns what the server refused, as drivers print it, or nil: psycopg and asyncpg name the
// condition, libpq's programs the severity, and others the SQLSTATE.
func (o *output) refusal() error {
	for i, line := range slices.Backward(o.tail) {
		if pg := refusalIn(line); pg != nil {
			o.details(pg, i+1)
			return pg
		}
	}
	return nil
}

// details reads the lines that drivers print behind a refusal.
func (o *output) details(pg *pgconn.PgError, from int) {
	for _, line := range o.tail[from:min(len(o.tail), from+6)] {
		if detail, ok := strings.CutPrefix(line, "DETAIL:"); ok && pg.Detail == "" {
			pg.Detail = strings.TrimSpace(detail)
		}
		if hint, ok := strings.CutPrefix(line, "HINT:"); ok && pg.Hint == "" {
			pg.Hint = strings.TrimSpace(hint)
		}
	}
}

// refusalIn reads what the server refused from one line.
func refusalIn(line string) *pgconn.PgError {
	refused := func(code, message string) *pgconn.PgError {
		return &pgconn.PgError{Severity: "ERROR", Code: code, Message: strings.TrimSpace(message)}
	}
	if m := conditionLine().FindStringSubmatch(line); m != nil {
		if code, ok := conditions()[strings.TrimSuffix(m[1], "Error")]; ok {
			return refused(code, m[2])
		}
	}
	if m := codeLine().FindStringSubmatch(line); m != nil {
		return refused(m[2], m[1])
	}
	if m := verboseLine().FindStringSubmatch(line); m != nil {
		return refused(m[1], m[2])
	}
	for message, code := range map[string]string{"canceling statement due to lock timeout": codeLockNotAvailable, "deadlock detected": codeDeadlock} {
		if strings.Contains(line, message) {
			return refused(code, message)
		}
	}
	return nil
}

// conditionLine finds psycopg2.errors.LockNotAvailable: text, and asyncpg.exceptions.LockNotAvailableError: text.
func conditionLine() *regexp.Regexp {
	return regexp.MustCompile(`^(?:psycopg2?\.errors|asyncpg\.exceptions(?:\._base)?)\.(\w+): (.*)$`)
}

// codeLine finds ERROR: text (SQLSTATE 55P03), as programs in Go print it.
func codeLine() *regexp.Regexp {
	return regexp.MustCompile(`(?:ERROR|FATAL):\s+(.*?)\s*\(SQLSTATE (\w{5})\)`)
}

// verboseLine finds ERROR: 55P03: text, as psql prints it when it is to be verbose.
func verboseLine() *regexp.Regexp {
	return regexp.MustCompile(`(?:ERROR|FATAL):\s+([0-9A-Z]{5}): (.*)$`)
}

// conditions are the names that drivers give to SQLSTATEs that tell what to do next, or
// that migrations fail with most.
func conditions() map[string]string {
	return map[string]string{
		"LockNotAvailable": codeLockNotAvailable, "DeadlockDetected": codeDeadlock, "SerializationFailure": codeSerialization, "Serialization": codeSerialization,
		"QueryCanceled": "57014", "AdminShutdown": "57P01", "CrashShutdown": "57P02", "CannotConnectNow": "57P03", "TooManyConnections": "53300",
		"DiskFull": "53100", "OutOfMemory": "53200", "InsufficientPrivilege": codeInsufficientPrivilege, "ReadOnlySqlTransaction": "25006", "ReadOnlySQLTransaction": "25006",
		"DuplicateTable": "42P07", "DuplicateColumn": "42701", "DuplicateObject": "42710", "DuplicateFunction": "42723", "DuplicateSchema": "42P06",
		"UndefinedTable": "42P01", "UndefinedColumn": "42703", "UndefinedObject": "42704", "UndefinedFunction": "42883", "InvalidSchemaName": "3F000",
		"SyntaxError": "42601", "PostgresSyntax": "42601", "DatatypeMismatch": "42804", "DependentObjectsStillExist": "2BP01", "ObjectInUse": codeObjectInUse,
		"UniqueViolation": codeUniqueViolation, "NotNullViolation": "23502", "ForeignKeyViolation": "23503", "CheckViolation": "23514", "ExclusionViolation": "23P01",
		"ObjectNotInPrerequisiteState": "55000", "FeatureNotSupported": "0A000", "ActiveSqlTransaction": "25001", "ActiveSQLTransaction": "25001", "InFailedSqlTransaction": "25P02",
		"NumericValueOutOfRange": "22003", "InvalidTextRepresentation": "22P02", "StringDataRightTruncation": "22001", "RaiseException": "P0001",
	}
}
