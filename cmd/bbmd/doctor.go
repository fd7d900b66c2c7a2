package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/dial"
	"github.com/bbmd-dev/bbmd/internal/terminal"
)

// finding is one line of the doctor's report.
type finding struct {
	Database string `json:"database,omitempty"` // empty: of the whole
	Check    string `json:"check"`
	Status   string `json:"status"` // ok, warn or fail
	Detail   string `json:"detail"`
	Why      string `json:"why,omitempty"`  // it matters; set unless all is well
	Hint     string `json:"hint,omitempty"` // the way out
}

const (
	statusOK   = "ok"
	statusWarn = "warn"
	statusFail = "fail"
)

// problem is what a check has found, why that matters, and the way out.
type problem struct {
	status string
	reason string
	why    string
	hint   string
}

func (p *problem) Error() string { return p.reason }

func fail(reason, why, hint string) error {
	return &problem{status: statusFail, reason: reason, why: why, hint: hint}
}

func warn(reason, why, hint string) error {
	return &problem{status: statusWarn, reason: reason, why: why, hint: hint}
}

// patient is a database that is examined.
type patient struct {
	name   string
	config config.Config
	dialer *dial.Dialer
	conn   *pgx.Conn
}

// row asks without preparing a statement, which a transaction pooler would hand
// to another server connection than its execution.
func row(ctx context.Context, conn *pgx.Conn, sql string, args ...any) pgx.Row {
	return conn.QueryRow(ctx, sql, append([]any{pgx.QueryExecModeExec}, args...)...)
}

// problems are several of them, each of which becomes a finding.
type problems []error

func (p problems) Error() string { return errors.Join(p...).Error() }

// orNil returns nil where there are none.
func (p problems) orNil() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// check is one question, and what an answer that is well says.
type check struct {
	name  string
	needs bool // nothing after it makes sense if it fails
	ask   func(ctx context.Context, p *patient) (detail string, err error)
}

// checks returns the questions in the order in which they are asked.
func checks() []check {
	return []check{
		{"reachable", true, checkReachable},
		{"server version", true, checkServerVersion},
		{"primary", true, checkPrimary},
		{"session locks", true, checkSessionLocks},
		{"connection", false, checkConnection},
		{"commits", false, checkCommits},
		{"events", false, checkEvents},
		{"control schema", false, checkControlSchema},
		{"privileges", false, checkPrivileges},
		{"time-outs", false, checkTimeouts},
		{"dead peers", false, checkDeadPeers},
		{"connections", false, checkConnections},
		{"wal", false, checkWAL},
		{"disk", false, checkDisk},
		{"clock", false, checkClock},
		{"replicas", false, checkReplicas},
		{"tables", false, checkTables},
		{"migrations", false, checkMigrations},
	}
}

// checkTimeout bounds one check.
const checkTimeout = 30 * time.Second

func newDoctorCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find what would stop the daemon, before it does",
		Long: "Examines the configuration and every database in it, or the one that --database says: the\n" +
			"connection, the server, and the migrations that wait or run with their tables. Each check is ok,\n" +
			"warn or fail, and says what it found, why that matters and the way out. It changes nothing. It\n" +
			"exits 0 if nothing failed, 69 if a database cannot be reached, else 2.",
		Example: "  bbmd doctor\n  bbmd doctor --database billing --output json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			asJSON, err := a.wantsJSON()
			if err != nil {
				return err
			}
			findings, err := a.examine(cmd)
			if err != nil {
				return err
			}
			if asJSON {
				err = a.printJSON(findings)
			} else {
				err = a.printFindings(findings)
			}
			return errors.Join(err, diagnosis(findings))
		},
	}
	a.databaseFlag(cmd)
	a.outputFlag(cmd)
	return cmd
}

func (a *app) examine(cmd *cobra.Command) ([]finding, error) {
	cfg, err := a.load()
	if err != nil {
		return nil, err
	}
	names := cfg.Names()
	if a.database != "" {
		name, err := a.pick(cfg)
		if err != nil {
			return nil, err
		}
		names = []string{name}
	}
	source := cfg.File()
	if source == "" {
		source = "no file, the environment alone"
	}
	findings := append([]finding{{Check: "configuration", Status: statusOK, Detail: source}}, examineWorks(cmd.Context(), cfg)...)
	for _, name := range names {
		findings = append(findings, examine(cmd.Context(), &patient{name: name, config: cfg, dialer: dial.New(cfg.Databases[name])})...)
	}
	return findings, nil
}

// examine asks all checks about a database, up to the first that the others need.
func examine(ctx context.Context, p *patient) []finding {
	defer func() {
		if p.conn != nil {
			_ = p.conn.Close(ctx) // all has been asked
		}
	}()
	var findings []finding
	for _, c := range checks() {
		found := c.find(ctx, p)
		findings = append(findings, found...)
		if c.needs && slices.ContainsFunc(found, func(f finding) bool { return f.Status == statusFail }) {
			break
		}
	}
	return findings
}

func (c check) find(ctx context.Context, p *patient) []finding {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	detail, err := c.ask(ctx, p)
	if err == nil {
		return []finding{{Database: p.name, Check: c.name, Status: statusOK, Detail: detail}}
	}
	var findings []finding
	for _, err := range each(err) {
		f := finding{
			Database: p.name, Check: c.name, Status: statusFail, Detail: config.Redact(err.Error()),
			Why: "it could not be looked at", Hint: "mend the error, then ask again",
		}
		if found, ok := errors.AsType[*problem](err); ok {
			f.Status, f.Why, f.Hint = found.status, found.why, found.hint
		}
		findings = append(findings, f)
	}
	return findings
}

// each returns the problems that err consists of.
func each(err error) []error {
	if list, ok := errors.AsType[problems](err); ok {
		return list
	}
	return []error{err}
}

func (a *app) printFindings(findings []finding) error {
	for _, f := range findings {
		subject := f.Check
		if f.Database != "" {
			subject = f.Database + ": " + f.Check
		}
		text := fmt.Sprintf("%-4s  %s: %s\n", f.Status, subject, terminal.Clean(f.Detail))
		if f.Why != "" {
			text += "      why: " + terminal.Clean(f.Why) + "\n"
		}
		if f.Hint != "" {
			text += "      do:  " + terminal.Clean(f.Hint) + "\n"
		}
		if err := a.printf("%s", text); err != nil {
			return err
		}
	}
	return nil
}

// diagnosis is the command's result: nil if nothing failed.
func diagnosis(findings []finding) error {
	failed := 0
	for _, f := range findings {
		if f.Status == statusFail {
			failed++
		}
	}
	code := exitUsage
	if slices.ContainsFunc(findings, func(f finding) bool { return f.Status == statusFail && f.Check == "reachable" }) {
		code = exitUnreachable
	}
	switch failed {
	case 0:
		return nil
	case 1:
		return withCode(code, errors.New("1 check failed"))
	default:
		return withCode(code, fmt.Errorf("%d checks failed", failed))
	}
}
