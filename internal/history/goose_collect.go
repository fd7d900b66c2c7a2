package history

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
)

// openGoose collects what goose would collect: the files of the directory,
// not of those below it, and the Go migrations that are compiled in.
func openGoose(dir string, compiled []*goose.Migration, seen contents) (*gooseFiles, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	c := gooseCollector{dir: dir, seen: seen, byNumber: map[int64]gooseStep{}, goFiles: map[int64]string{}}
	for _, e := range entries {
		err = errors.Join(err, c.file(e))
	}
	if err == nil {
		err = c.compiled(compiled)
	}
	if err != nil {
		return nil, err
	}
	files := &gooseFiles{dir: dir}
	for _, s := range c.byNumber {
		files.steps = append(files.steps, s)
	}
	if len(files.steps) == 0 {
		return nil, fmt.Errorf("%s has no migration of goose's: files are named 00001_name.sql", dir)
	}
	slices.SortFunc(files.steps, func(a, b gooseStep) int { return cmp.Compare(a.number, b.number) })
	return files, nil
}

type gooseCollector struct {
	dir      string
	seen     contents
	byNumber map[int64]gooseStep
	goFiles  map[int64]string // that a compiled in migration has to match
}

// file takes one entry of the directory, or passes over it, as goose does.
func (c *gooseCollector) file(e fs.DirEntry) error {
	path := filepath.Join(c.dir, e.Name())
	extension := filepath.Ext(e.Name())
	if extension != ".sql" && extension != ".go" || strings.HasSuffix(e.Name(), "_test.go") {
		return nil
	}
	number, err := goose.NumericComponent(e.Name())
	if err != nil {
		return overlooked(path, e.Name(), extension)
	}
	if twin, ok := c.taken(number); ok {
		return fmt.Errorf("%s and %s have the same version %d: renumber the one that was applied nowhere", twin, path, number)
	}
	if extension == ".go" {
		c.goFiles[number] = path
		return nil
	}
	content, err := c.seen.read(path)
	if err != nil {
		return err
	}
	step, err := sqlStep(path, number, content)
	c.byNumber[number] = step
	return err
}

// overlooked refuses a file that goose would leave out without a word,
// although its name begins like that of a migration.
func overlooked(path, name, extension string) error {
	if extension != ".sql" || name[0] < '0' || name[0] > '9' {
		return nil
	}
	return fmt.Errorf("%s: goose would pass over it: the name has to be a number greater than 0, _ and more, as in 00001_create_account.sql; rename it or move it away", path)
}

func (c *gooseCollector) taken(number int64) (string, bool) {
	if path, ok := c.goFiles[number]; ok {
		return path, true
	}
	s, ok := c.byNumber[number]
	return s.File, ok
}

func sqlStep(path string, number int64, content []byte) (gooseStep, error) {
	step, err := newGooseStep(path, number, content, "--")
	if err != nil {
		return gooseStep{}, err
	}
	step.Transactional, err = parseGooseSQL(path, string(content))
	return step, err
}

// newGooseStep makes a step of a file with this mark for comments. Without
// content, there is no file.
func newGooseStep(path string, number int64, content []byte, mark string) (gooseStep, error) {
	base := filepath.Base(path)
	_, name, _ := strings.Cut(strings.TrimSuffix(base, filepath.Ext(base)), "_")
	step := gooseStep{number: number, Step: Step{Version: strconv.FormatInt(number, 10), Name: name, File: path}}
	if content == nil {
		return step, nil
	}
	step.Checksum = checksum(content)
	var err error
	step.Requires, err = requirements(path, lineComments(string(content), mark))
	return step, err
}

// compiled adds the Go migrations. Every file of one has to be compiled in,
// as the file alone does nothing.
func (c *gooseCollector) compiled(migrations []*goose.Migration) error {
	sources, err := goSources(migrations)
	if err != nil {
		return err
	}
	var problems []error
	for _, s := range sources {
		if twin, ok := c.byNumber[s.number]; ok {
			problems = append(problems, fmt.Errorf("%s and a Go migration have the same version %d: renumber the one that was applied nowhere", twin.File, s.number))
			continue
		}
		step, err := c.goStep(s)
		problems = append(problems, err)
		c.byNumber[s.number] = step
		delete(c.goFiles, s.number)
	}
	for _, path := range slices.Sorted(slices.Values(values(c.goFiles))) {
		problems = append(problems, fmt.Errorf("%s is not compiled in: register it with goose in a program that embeds bbmd, or write it in SQL", path))
	}
	return errors.Join(problems...)
}

func values(m map[int64]string) []string {
	var all []string
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

// goSource is a Go migration that is compiled in.
type goSource struct {
	number        int64
	path          string // as compiled; empty if it was registered without
	transactional bool
}

// goSources lists the given migrations, or those that are registered globally,
// of which goose does not say whether they run in a transaction.
func goSources(migrations []*goose.Migration) ([]goSource, error) {
	var sources []goSource
	if migrations != nil {
		for _, m := range migrations {
			sources = append(sources, goSource{number: m.Version, path: m.Source, transactional: m.UpFnNoTxContext == nil})
		}
		return sources, nil
	}
	// A provider that is only asked for its sources opens no connection.
	provider, err := goose.NewProvider(goose.DialectPostgres, new(sql.DB), nil)
	if errors.Is(err, goose.ErrNoMigrations) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the Go migrations that are registered with goose: %w", err)
	}
	for _, s := range provider.ListSources() {
		sources = append(sources, goSource{number: s.Version, path: s.Path})
	}
	return sources, nil
}

// goStep takes the checksum and the directives from the file where it is
// there beside the SQL files.
func (c *gooseCollector) goStep(s goSource) (gooseStep, error) {
	var content []byte
	path := s.path
	if file, ok := c.goFiles[s.number]; ok {
		path = file
		var err error
		if content, err = c.seen.read(file); err != nil {
			return gooseStep{}, err
		}
	}
	step, err := newGooseStep(path, s.number, content, "//")
	step.Transactional = s.transactional
	return step, err
}
