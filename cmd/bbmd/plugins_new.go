package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	examples "github.com/bbmd-dev/bbmd/examples/plugins"
	"github.com/bbmd-dev/bbmd/plugins/process"
	"github.com/bbmd-dev/bbmd/plugins/sqlfile"
)

// scaffold is what plugins begin as, by language.
//
//go:embed scaffold
var scaffold embed.FS

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

// language is a kind of plugin that can be begun.
type language struct {
	name    string
	program string // of the manifest; empty: it is a file of SQL
	library string // the file beside it, and its content
	content []byte
	next    string // what to do before it can be tried; %[1]s is its directory
}

func languages() []language {
	return []language{
		{name: "sql", next: "name your table and its columns in it; then "},
		{name: "python", program: "run.py", library: "bbmd.py", content: examples.Python},
		{name: "node", program: "run.js", library: "bbmd.js", content: examples.Node},
		{name: "go", program: "run", next: "`cd %[1]s && go mod tidy && go build -o run .` builds it; then "},
	}
}

func newPluginsNewCommand(a *app) *cobra.Command {
	var names []string
	for _, l := range languages() {
		names = append(names, l.name)
	}
	return &cobra.Command{
		Use:   "new sql|python|node|go NAME",
		Short: "Write a plugin to begin with",
		Long: "Writes a Work that is complete but for its table and its columns: NAME.sql, or the directory NAME with a\n" +
			"program, its manifest, all that it needs of bbmd, and test.sql, which `bbmd plugins test` tries it with.",
		Example:   "  bbmd plugins new sql normalize_email\n  bbmd plugins new python normalize_phone",
		Args:      cobra.ExactArgs(2),
		ValidArgs: names,
		RunE: func(_ *cobra.Command, args []string) error {
			i := slices.IndexFunc(languages(), func(l language) bool { return l.name == args[0] })
			if i < 0 {
				return withCode(exitUsage, fmt.Errorf("new %s: the kind is one of %s; another language speaks the protocol of docs/plugin-protocol.md", args[0], strings.Join(names, ", ")))
			}
			return a.newPlugin(languages()[i], args[1])
		},
	}
}

func (a *app) newPlugin(l language, name string) error {
	path, files, err := l.files(name)
	if err != nil {
		return withCode(exitUsage, fmt.Errorf("new %s %s: %w", l.name, name, err))
	}
	if len(files) > 1 {
		if err := os.Mkdir(path, 0o755); err != nil { //nolint:gosec // others may read it
			return taken(err)
		}
	}
	for name, content := range files {
		if err := writeNew(name, content); err != nil {
			return err
		}
	}
	return a.printf("wrote %s: "+strings.ReplaceAll(l.next, "%[1]s", path)+"`bbmd plugins test %s` tries it\n", path, path)
}

// taken is the error of making what must not be there yet.
func taken(err error) error {
	if errors.Is(err, os.ErrExist) {
		err = fmt.Errorf("%w: take another name, or remove it", err)
	}
	return withCode(exitUsage, err)
}

// files returns what a plugin begins as, by path.
func (l language) files(name string) (path string, files map[string][]byte, err error) {
	if l.program == "" {
		content := fmt.Appendf(nil, newSQLFile, name)
		_, err := sqlfile.Parse(content)
		return name + ".sql", map[string][]byte{name + ".sql": content}, err
	}
	files = map[string][]byte{}
	templates, err := template.ParseFS(scaffold, "scaffold/*.tmpl", "scaffold/"+l.name+"/*.tmpl")
	if err != nil {
		return "", nil, err
	}
	for _, t := range templates.Templates() {
		var content bytes.Buffer
		if err := t.Execute(&content, struct{ Name, Program string }{name, l.program}); err != nil {
			return "", nil, err
		}
		files[filepath.Join(name, strings.TrimSuffix(t.Name(), ".tmpl"))] = content.Bytes()
	}
	if l.library != "" {
		files[filepath.Join(name, l.library)] = l.content
	}
	_, err = process.ParseManifest(process.ManifestName, files[filepath.Join(name, process.ManifestName)])
	return name, files, err
}

// writeNew writes a file that must not be there yet. What begins as a script does
// can be executed.
func writeNew(path string, content []byte) error {
	mode := os.FileMode(0o644)
	if bytes.HasPrefix(content, []byte("#!")) {
		mode = 0o755
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return taken(err)
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
