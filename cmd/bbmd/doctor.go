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
)

// finding is one line of the doctor's report.
type finding struct {
	Database string `json:"database,omitempty"` // empty: of the whole
	Check    string `json:"check"`
	Status   string `json:"status"` // ok, warn or fail
	Detail   string `json:"detail"`
	Hint     string `json:"hint,omitempty"` // the way out
}

const (
	statusOK   = "ok"
	statusWarn = "warn"
	statusFail = "fail"
)

// problem is what a check has found, with the way out.
type problem struct {
	status string
	reason string
	hint   string
}

func (p *problem) Error() string { return p.reason }

func fail(reason, hint string) error {
	return &problem{status: statusFail, reason: reason, hint: hint}
}

func warn(reason, hint string) error {
	return &problem{status: statusWarn, reason: reason, hint: hint}
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
		{"events", false, checkEvents},
		{"control schema", false, checkControlSchema},
		{"privileges", false, checkPrivileges},
		{"dead peers", false, checkDeadPeers},
		{"connections", false, checkConnections},
	}
}

// checkTimeout bounds one check.
const checkTimeout = 15 * time.Second

func newDoctorCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find what would stop the daemon, before it does",
		Long: "Examines the configuration and every database in it, or the one that --database says: one line\n" +
			"per check, ok, warn or fail, with the reason and the way out. It changes nothing. It exits 0 if\n" +
			"nothing failed, 69 if a database cannot be reached, else 2.",
		Args: cobra.NoArgs,
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
	findings := []finding{{Check: "configuration", Status: statusOK, Detail: source}}
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
		f := c.find(ctx, p)
		findings = append(findings, f)
		if f.Status == statusFail && c.needs {
			break
		}
	}
	return findings
}

func (c check) find(ctx context.Context, p *patient) finding {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	f := finding{Database: p.name, Check: c.name, Status: statusOK}
	detail, err := c.ask(ctx, p)
	f.Detail = detail
	if err == nil {
		return f
	}
	f.Status, f.Detail = statusFail, config.Redact(err.Error())
	if found, ok := errors.AsType[*problem](err); ok {
		f.Status, f.Hint = found.status, found.hint
	}
	return f
}

func (a *app) printFindings(findings []finding) error {
	for _, f := range findings {
		subject := f.Check
		if f.Database != "" {
			subject = f.Database + ": " + f.Check
		}
		line := fmt.Sprintf("%-4s  %s: %s", f.Status, subject, f.Detail)
		if f.Hint != "" {
			line += "; " + f.Hint
		}
		if err := a.printf("%s\n", line); err != nil {
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
