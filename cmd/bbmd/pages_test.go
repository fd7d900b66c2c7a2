package main_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	main "github.com/bbmd-dev/bbmd/cmd/bbmd"
)

// TestPagesNameRealCommands parses every call of bbmd in a block of shell of every page, as the
// command line would: a guide that names a flag or a command that is gone is wrong.
func TestPagesNameRealCommands(t *testing.T) {
	t.Parallel()
	found := 0
	for _, page := range pages(t) {
		text, err := os.ReadFile(filepath.Join(repository, page))
		require.NoError(t, err)
		for _, block := range regexp.MustCompile("(?ms)^ *```([a-z]*)\n(.*?)^ *```").FindAllStringSubmatch(string(text), -1) {
			if block[1] != "" && block[1] != "sh" {
				continue
			}
			for _, words := range calls(block[2]) {
				found++
				root := main.Commands()
				root.InitDefaultCompletionCmd()
				cmd, args, err := root.Find(words)
				require.NoError(t, err, "%s: bbmd %s", page, strings.Join(words, " "))
				require.NoError(t, cmd.ParseFlags(args), "%s: bbmd %s", page, strings.Join(words, " "))
				require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), "%s: bbmd %s", page, strings.Join(words, " "))
			}
		}
	}
	require.Greater(t, found, 100, "where are all the calls?")
}

// pages returns all that people read, from the repository's root.
func pages(t *testing.T) (all []string) {
	t.Helper()
	root := os.DirFS(repository)
	for _, top := range []string{"README.md", "CONTRIBUTING.md", "docs", "examples", "deploy"} {
		require.NoError(t, fs.WalkDir(root, top, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".md") && entry.Type().IsRegular() {
				all = append(all, path)
			}
			return err
		}))
	}
	return all
}

// calls returns the arguments of every call of bbmd in a piece of shell.
func calls(piece string) (all [][]string) {
	piece = strings.ReplaceAll(piece, "\\\n", " ")
	piece = regexp.MustCompile(`(?s)<<'?END'?\n.*?\nEND\n`).ReplaceAllString(piece, "\n") // files, not commands
	for line := range strings.Lines(piece) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
		call := regexp.MustCompile(`(?:^|&& |\$\(|-- )(?:[A-Z_]+=\S+ )*(?:bin/|\./)?bbmd((?: +(?:[^\s'"|>&;)]|'[^']*'|"[^"]*")+)*)`)
		for _, match := range call.FindAllStringSubmatch(line, -1) {
			words := shellWords(strings.ReplaceAll(match[1], `"`, "'"))
			if len(words) > 0 && !regexp.MustCompile(`…|^[A-Z]+$`).MatchString(words[0]) {
				all = append(all, words)
			}
		}
	}
	return all
}

func TestCallsAreFound(t *testing.T) {
	t.Parallel()
	require.Equal(t, [][]string{
		{"run"}, {"dev", "env"}, {"status", "--watch"}, {"enqueue", "a b", "--set", "x=y"}, {"migrate"},
	}, calls("DATABASE_URL=postgres://x bbmd run  # yes\neval \"$(bbmd dev env)\"\nbin/bbmd status --watch > x\nbbmd enqueue 'a b' \\\n --set x=y\n"+
		"cat > f <<'END'\nbbmd nonsense\nEND\nkubectl exec x -- bbmd migrate | cat\nthe bbmd\nbbmd …\n"))
}

// TestPagesLinkToWhatIsThere follows the links of every page that stay in the repository, to
// the heading where they name one.
func TestPagesLinkToWhatIsThere(t *testing.T) {
	t.Parallel()
	for _, page := range pages(t) {
		text, err := os.ReadFile(filepath.Join(repository, page))
		require.NoError(t, err)
		prose := regexp.MustCompile("(?ms)^ *```.*?^ *```").ReplaceAllString(string(text), "")
		for _, link := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(prose, -1) {
			target, heading, _ := strings.Cut(link[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			path := filepath.Join(repository, page)
			if target != "" {
				path = filepath.Join(repository, filepath.Dir(page), target)
			}
			content, err := os.ReadFile(path)
			if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
				continue
			}
			require.NoError(t, err, "%s links to %s", page, link[1])
			if heading != "" {
				require.Contains(t, headings(string(content)), heading, "%s links to %s", page, link[1])
			}
		}
	}
}

// headings returns the anchors of a page's headings.
func headings(text string) (all []string) {
	for _, line := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		plain := regexp.MustCompile("[^a-z0-9 _-]").ReplaceAllString(strings.ToLower(line[1]), "")
		all = append(all, strings.ReplaceAll(plain, " ", "-"))
	}
	return all
}
