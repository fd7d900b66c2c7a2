package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/plugins/casefile"
	"github.com/bbmd-dev/bbmd/plugins/sqlfile"
	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/migtest"
)

// tryFlags are what `bbmd plugins test` was told.
type tryFlags struct {
	cases  []string
	killAt string
}

func newPluginsTestCommand(a *app) *cobra.Command {
	var f tryFlags
	cmd := &cobra.Command{
		Use:   "test PATH",
		Short: "Try a plugin as production would, on a private PostgreSQL",
		Long: "Tries the Works of a file of SQL, or of a directory with a program, by cases: files that make a table and\n" +
			"say what has to be true in the end. The table is processed in one batch and in many, in any order and\n" +
			"side by side, twice, rolled back, with rows that are gone and rows that somebody writes, and by a real\n" +
			"executor whose sessions are ended. Cases are test*.sql in the program's directory, NAME.test.sql beside\n" +
			"NAME.sql, or what --case names. It runs the program, on a PostgreSQL server of its own that it starts,\n" +
			"and your database is not touched. A file of SQL without a case is read, and the database is asked\n" +
			"whether it would take its statements, in a transaction that is rolled back.",
		Example: "  bbmd plugins test normalize_email.sql\n  bbmd plugins test plugins.d/phones --kill-at each",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.testPlugin(cmd, args[0], f) },
	}
	cmd.Flags().StringArrayVar(&f.cases, "case", nil, "`file` of a case; again and again")
	cmd.Flags().StringVar(&f.killAt, "kill-at", "", "kill the program at a `message` of the protocol as well: its type, its number, or each")
	a.databaseFlag(cmd)
	return cmd
}

func (a *app) testPlugin(cmd *cobra.Command, path string, f tryFlags) error {
	if err := checkKillAt(f.killAt); err != nil {
		return withCode(exitUsage, err)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return withCode(exitUsage, fmt.Errorf("%w: name a file of SQL, or the directory of a program", err))
	case info.IsDir():
		return a.tryProgram(cmd.Context(), path, f)
	case filepath.Ext(path) != ".sql":
		return withCode(exitUsage, fmt.Errorf("%s is neither a file of SQL, whose name ends in .sql, nor the directory of a program", path))
	case f.killAt != "":
		return withCode(exitUsage, errors.New("--kill-at is for programs: a file of SQL has none"))
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return withCode(exitUsage, err)
	}
	file, err := sqlfile.Parse(content)
	if err != nil {
		return withCode(exitRefused, fmt.Errorf("%s:%w", path, err))
	}
	if len(f.cases) == 0 && exists(besides(path)) {
		f.cases = []string{besides(path)}
	}
	if len(f.cases) == 0 {
		return a.prepareFile(cmd, path, file)
	}
	return a.tryWorks(cmd.Context(), []registry.Work{file.Work()}, f.cases, nil)
}

// besides is where the case of a file of SQL is.
func besides(path string) string { return strings.TrimSuffix(path, ".sql") + ".test.sql" }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// prepareFile asks the database about a file that has no case.
func (a *app) prepareFile(cmd *cobra.Command, path string, file *sqlfile.File) error {
	c, err := a.connect(cmd)
	if err != nil {
		return err
	}
	defer c.close(cmd.Context())
	err = file.Prepare(cmd.Context(), c.Conn)
	if errors.Is(err, sqlfile.ErrNoTable) {
		err = fmt.Errorf("%w: correct its line `-- bbmd: table`, create the table, or let a case make one, in %s", err, besides(path))
	}
	if err != nil {
		return withCode(exitRefused, fmt.Errorf("%s: %w", path, err))
	}
	return a.printf("%s: the Work %s is understood, and the database takes its statements\n", path, file.Name)
}

// tryWorks tries Works by the cases in files.
func (a *app) tryWorks(ctx context.Context, works []registry.Work, files []string, by migtest.Interruptions) error {
	failed := 0
	for _, file := range files {
		c, err := readCase(file, works) //nolint:contextcheck // what the case wants is run with the context of its check
		if err != nil {
			return withCode(exitUsage, err)
		}
		if err := a.printf("%s by %s\n", c.Work.Name, file); err != nil {
			return err
		}
		var printErr error
		passed, err := migtest.Try(ctx, c, by, func(r migtest.Result) { printErr = errors.Join(printErr, a.printResult(r)) })
		if err = errors.Join(err, printErr); err != nil {
			return err
		}
		if !passed {
			failed++
		}
	}
	if failed > 0 {
		return withCode(exitRefused, fmt.Errorf("%d of %d cases failed: what is wrong is above", failed, len(files)))
	}
	return nil
}

func (a *app) printResult(r migtest.Result) error {
	word := "ok  "
	switch {
	case !r.Passed:
		word = "FAIL"
	case r.Skipped:
		word = "skip"
	}
	if err := a.printf("  %s  %s (%s)\n", word, r.Check, r.Took.Round(time.Millisecond)); err != nil {
		return err
	}
	if r.Passed && !r.Skipped {
		return nil
	}
	for _, says := range r.Says {
		const indent = "        "
		if err := a.printf("%s%s\n", indent, strings.ReplaceAll(strings.TrimSpace(says), "\n", "\n"+indent)); err != nil {
			return err
		}
	}
	return nil
}

// readCase reads a case about one of the Works.
func readCase(path string, works []registry.Work) (migtest.Case, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return migtest.Case{}, err
	}
	c, err := casefile.Parse(content)
	if err != nil {
		return migtest.Case{}, fmt.Errorf("%s:%w", path, err)
	}
	work, err := workFor(c.Work, works)
	if err != nil {
		return migtest.Case{}, fmt.Errorf("%s: %w", path, err)
	}
	var wants []migtest.Want
	for _, query := range c.Wrong {
		wants = append(wants, migtest.NoRows(query))
	}
	return migtest.Case{
		Work: work, Setup: c.Setup, Table: c.Table, Columns: c.Columns, Arguments: c.Arguments, Refused: c.Refused,
		Want: migtest.All(wants...), Once: c.Once, Alone: c.Alone, Volatile: c.Volatile,
	}, nil
}

func workFor(name string, works []registry.Work) (registry.Work, error) {
	if name == "" && len(works) == 1 {
		return works[0], nil
	}
	var names []string
	for _, w := range works {
		if w.Name == name {
			return w, nil
		}
		names = append(names, w.Name)
	}
	return registry.Work{}, fmt.Errorf(`no Work %q%s: write "-- bbmd: case" with one of %s`, name, registry.Suggestion(name, names), strings.Join(names, ", "))
}
