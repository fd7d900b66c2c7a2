package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/plugins/sqlfile"
)

func newPluginsApproveCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "approve NAME",
		Short: "Let migrations go on with a Work that changed after they had begun",
		Long: "A migration notes the content of the plugin that it begins with, and stops when that changes: half of a\n" +
			"table by one and half by another is rarely meant. This says that it is: the migrations of the Work NAME\n" +
			"that have begun go on with what is in the directory of plugins now, or is compiled into this bbmd.",
		Example: "  bbmd plugins approve normalize_email",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			work, err := a.lookupWork(cmd.Context(), args[0])
			if err != nil {
				return withCode(exitUsage, err)
			}
			c, err := a.connectControl(cmd)
			if err != nil {
				return err
			}
			defer c.close(cmd.Context())
			names, err := c.Store.Approve(cmd.Context(), c, work.Name, work.Digest)
			if err != nil {
				return err
			}
			if len(names) == 0 {
				return a.printf("no migration of %s began with another content\n", work.Name)
			}
			return a.printf("%s: %s\n", strings.Join(names, ", "), "goes on with the content that is there now")
		},
	}
	a.databaseFlag(cmd)
	return cmd
}

// newSQLFile is what a file of SQL begins as.
const newSQLFile = `-- bbmd: work %[1]s
-- bbmd: version 1
-- bbmd: summary Fills b from a.
-- bbmd: table public.t
-- bbmd: param prefix text = ""

-- bbmd: section run
UPDATE public.t
   SET b = :prefix || a
 WHERE :range;

-- bbmd: section verify
SELECT count(*)
  FROM public.t
 WHERE :range
   AND b IS DISTINCT FROM :prefix || a;
`

func newPluginsNewCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:       "new sql NAME",
		Short:     "Write a plugin to begin with",
		Long:      "Writes NAME.sql to the working directory: a Work in SQL, complete but for its table and its columns.",
		Example:   "  bbmd plugins new sql normalize_email",
		Args:      cobra.ExactArgs(2),
		ValidArgs: []string{"sql"},
		RunE: func(_ *cobra.Command, args []string) error {
			kind, name := args[0], args[1]
			if kind != "sql" {
				return withCode(exitUsage, fmt.Errorf("new %s: the kind is sql; for programs see docs/plugins-process.md", kind))
			}
			content := fmt.Appendf(nil, newSQLFile, name)
			if _, err := sqlfile.Parse(content); err != nil {
				return withCode(exitUsage, fmt.Errorf("new sql %s: %w", name, err))
			}
			path := name + ".sql"
			file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // others may read it
			if err != nil {
				return withCode(exitUsage, err)
			}
			_, err = file.Write(content)
			if err = errors.Join(err, file.Close()); err != nil {
				return fmt.Errorf("write %s: %w", path, err)
			}
			return a.printf("wrote %s: `bbmd plugins test %s` tries it\n", path, path)
		},
	}
}

func newPluginsTestCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test PATH",
		Short: "Read a file of SQL, and ask the database whether it would take it",
		Long: "Says what is wrong with a file of SQL and where, and lets the database plan its statements in a\n" +
			"transaction that is rolled back. Nothing is changed. `bbmd dry-run` tries batches of it.",
		Example: "  bbmd plugins test normalize_email.sql",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.testPlugin(cmd, args[0]) },
	}
	a.databaseFlag(cmd)
	return cmd
}

func (a *app) testPlugin(cmd *cobra.Command, path string) error {
	if filepath.Ext(path) != ".sql" {
		return withCode(exitUsage, fmt.Errorf("%s is not a file of SQL, whose name ends in .sql", path))
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return withCode(exitUsage, err)
	}
	file, err := sqlfile.Parse(content)
	if err != nil {
		return withCode(exitRefused, fmt.Errorf("%s:%w", path, err))
	}
	c, err := a.connect(cmd)
	if err != nil {
		return err
	}
	defer c.close(cmd.Context())
	if err := file.Prepare(cmd.Context(), c.Conn); err != nil {
		return withCode(exitRefused, fmt.Errorf("%s: %w", path, err))
	}
	return a.printf("%s: the Work %s is understood, and the database takes its statements\n", path, file.Name)
}
