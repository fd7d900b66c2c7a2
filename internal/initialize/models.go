package initialize

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

// models are declared in SQL scripts, which are taken apart and checked.
type models struct {
	scripts []script
	sum     string
}

// script is one file of models, or what a command printed.
type script struct {
	name       string // for messages
	statements []statement
}

// readModels reads the models of s, or runs the command that prints them, and
// checks that all of it can be applied in one transaction. output takes what the command says besides
// the SQL. The error is a [*ConfigError], or the context's.
func readModels(ctx context.Context, s Spec, output io.Writer) (declared, error) {
	var texts []text
	var err error
	if len(s.Models.Command) > 0 {
		texts, err = runModels(ctx, s, output)
	} else {
		texts, err = readTexts(s.Models.Path)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, interrupted(ctx, err)
		}
		return nil, &ConfigError{Database: s.Database, Err: fmt.Errorf("models: %w", err)}
	}
	m := &models{sum: sumOf(texts)}
	var wrong []error
	for _, t := range texts {
		one, err := t.script()
		wrong = append(wrong, err)
		m.scripts = append(m.scripts, one)
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, &ConfigError{Database: s.Database, Err: fmt.Errorf("models: %w", err)}
	}
	return m, nil
}

// text is the unread text of a script.
type text struct{ name, sql string }

// readTexts reads an SQL file, or those of a directory.
func readTexts(path string) ([]text, error) {
	about, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	files := []string{path}
	if about.IsDir() {
		if files, err = sqlFiles(path); err != nil {
			return nil, err
		}
	}
	texts := make([]text, 0, len(files))
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		texts = append(texts, text{name: file, sql: string(content)})
	}
	return texts, nil
}

// sqlFiles lists the SQL files of a directory in the order of their names. Hidden ones are
// left out: a mounted ConfigMap has some.
func sqlFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".sql") && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("directory %s has no .sql file", dir)
	}
	return files, nil
}

// script takes the text apart and checks it.
func (t text) script() (script, error) {
	sql := strings.TrimPrefix(t.sql, "\ufeff")
	if err := readable(sql); err != nil {
		return script{}, fmt.Errorf("%s: %w", t.name, err)
	}
	all, err := split(t.name, sql)
	if err != nil {
		return script{}, err
	}
	kept, err := check(t.name, all)
	if err == nil && len(kept) == 0 {
		err = fmt.Errorf("%s: there is no statement in it", t.name)
	}
	return script{name: t.name, statements: kept}, err
}

func readable(sql string) error {
	switch {
	case strings.HasPrefix(sql, "\xff\xfe"), strings.HasPrefix(sql, "\xfe\xff"):
		return errors.New("this is UTF-16, as PowerShell's > writes it: save it as UTF-8")
	case strings.HasPrefix(sql, "PGDMP"):
		return errors.New("this is pg_dump's own format, and no SQL: dump with --format=plain")
	case strings.ContainsRune(sql, 0), !utf8.ValidString(sql):
		return errors.New("this is not text in UTF-8")
	default:
		return nil
	}
}

// sumOf is the checksum of scripts. The key with which every pg_dump anew guards its output
// does not count.
func sumOf(texts []text) string {
	sum := sha256.New()
	for _, t := range texts {
		for line := range strings.SplitAfterSeq(t.sql, "\n") {
			if !strings.HasPrefix(line, `\restrict `) && !strings.HasPrefix(line, `\unrestrict `) {
				_, _ = io.WriteString(sum, line) // a hash takes everything
			}
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func (m *models) checksum() string { return m.sum }

func (m *models) names() []string {
	names := make([]string, 0, len(m.scripts))
	for _, s := range m.scripts {
		names = append(names, s.name)
	}
	return names
}

// apply runs all scripts. The session's settings, its role and its search path, which a
// script may change, are afterwards what they were.
func (m *models) apply(ctx context.Context, tx pgx.Tx) error {
	settings, err := sessionSettings(ctx, tx)
	if err != nil {
		return err
	}
	for _, s := range m.scripts {
		for _, one := range s.statements {
			if err := one.run(ctx, tx); err != nil {
				if ctx.Err() != nil {
					err = interrupted(ctx, err)
				}
				return &StepError{File: s.name, Line: one.lineOf(err), SQL: beginning(one.text), Err: err}
			}
		}
		if err := settings.restore(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

// run runs the statement as it is written.
func (s statement) run(ctx context.Context, tx pgx.Tx) error {
	conn := tx.Conn().PgConn()
	if s.rows != nil {
		_, err := conn.CopyFrom(ctx, strings.NewReader(*s.rows), s.text)
		return err
	}
	_, err := conn.Exec(ctx, s.text).ReadAll()
	return err
}

// lineOf returns the line in the file that an error of the statement is about.
func (s statement) lineOf(err error) int { return s.line + lineIn(s.text, err) }
