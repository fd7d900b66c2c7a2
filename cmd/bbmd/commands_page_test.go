package main_test

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	main "github.com/bbmd-dev/bbmd/cmd/bbmd"
)

const commandsPage = "docs/commands.md"

// TestCommandsPage holds docs/commands.md against the commands that there are: a section for each,
// which names its flags and no others, an example that the command line accepts, and its exit
// codes. Who adds a command or a flag is told what to write.
func TestCommandsPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../" + commandsPage)
	require.NoError(t, err)
	sections := sectionsOf(string(text))
	general := sections["For all of them"]
	require.NotEmpty(t, general, `%s has no section "## For all of them"`, commandsPage)
	for _, flag := range flagsOf(main.Commands().PersistentFlags()) {
		require.Contains(t, general, "`--"+flag+"`", `%s: "## For all of them" does not name --%s`, commandsPage, flag)
	}
	var names []string
	for _, cmd := range documented(main.Commands()) {
		name := cmd.CommandPath()
		names = append(names, name)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			section, ok := sections[name]
			require.True(t, ok, `%s: add a section "## %s": what it does, a table of its flags, an example in a block of sh, and a line "Exit codes: …"`, commandsPage, name)
			checkFlags(t, cmd, section)
			checkExamples(t, name, section)
			checkExitCodes(t, name, section, general)
		})
	}
	for title := range sections {
		if strings.HasPrefix(title, "bbmd ") {
			require.Contains(t, names, title, "%s: there is no such command any more", commandsPage)
		}
	}
	for _, name := range names {
		anchor := "(#" + strings.ReplaceAll(name, " ", "-") + ")"
		require.Contains(t, string(text), anchor, "%s: the table of contents does not lead to %q", commandsPage, name)
	}
}

// sectionsOf returns the text below each heading of the second level.
func sectionsOf(page string) map[string]string {
	sections := map[string]string{}
	for _, part := range strings.Split("\n"+page, "\n## ")[1:] {
		title, text, _ := strings.Cut(part, "\n")
		sections[strings.TrimSpace(title)] = text
	}
	return sections
}

// documented returns the commands that people see; completion stands for those of all shells.
func documented(root *cobra.Command) (all []*cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "help" {
			all = append(all, cmd)
		}
	}
	return all
}

func flagsOf(flags *pflag.FlagSet) (names []string) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" && !f.Hidden {
			names = append(names, f.Name)
		}
	})
	return names
}

// checkFlags compares the flags that a section names with those of the command.
func checkFlags(t *testing.T, cmd *cobra.Command, section string) {
	t.Helper()
	known := flagsOf(cmd.LocalNonPersistentFlags())
	for _, flag := range known {
		require.Regexp(t, "`--"+regexp.QuoteMeta(flag)+"( [^`]*)?`", section, `%s: "## %s" does not name its flag --%s`, commandsPage, cmd.CommandPath(), flag)
	}
	for _, shell := range cmd.Commands() { // of completion
		known = append(known, flagsOf(shell.LocalFlags())...)
	}
	for _, found := range regexp.MustCompile("`--([a-z-]+)").FindAllStringSubmatch(section, -1) {
		require.Contains(t, known, found[1], `%s: "## %s" names a flag that the command does not have`, commandsPage, cmd.CommandPath())
	}
}

// checkExamples parses the examples of a section as the command line would.
func checkExamples(t *testing.T, name, section string) {
	t.Helper()
	own := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1) {
		for line := range strings.SplitSeq(strings.TrimSpace(block[1]), "\n") {
			words := shellWords(line)
			require.Equal(t, "bbmd", words[0], "%s: an example is a command on one line: %s", commandsPage, line)
			root := main.Commands()
			root.InitDefaultCompletionCmd()
			cmd, args, err := root.Find(words[1:])
			require.NoError(t, err, line)
			require.NoError(t, cmd.ParseFlags(args), line)
			require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), line)
			if strings.HasPrefix(cmd.CommandPath()+" ", name+" ") {
				own++
			}
		}
	}
	require.Positive(t, own, `%s: "## %s" has no example`, commandsPage, name)
}

// shellWords splits a line as a shell does that knows single quotes.
func shellWords(line string) (words []string) {
	for _, word := range regexp.MustCompile(`(?:[^\s']|'[^']*')+`).FindAllString(line, -1) {
		words = append(words, strings.ReplaceAll(word, "'", ""))
	}
	return words
}

// checkExitCodes demands a line of exit codes, all of which the page explains.
func checkExitCodes(t *testing.T, name, section, general string) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^Exit codes: (.*)$`).FindStringSubmatch(section)
	require.NotNil(t, line, `%s: "## %s" has no line "Exit codes: …"`, commandsPage, name)
	codes := regexp.MustCompile(`\b\d+\b`).FindAllString(line[1], -1)
	require.Contains(t, codes, "0", name)
	for _, code := range codes {
		n, err := strconv.Atoi(code)
		require.NoError(t, err)
		require.True(t, slices.Contains(main.ExitCodes(), n), "%s: %s: nothing ends with %s", commandsPage, name, code)
		require.Contains(t, general, "\n| "+code+" |", `%s: "## For all of them" does not explain the code %s`, commandsPage, code)
	}
}

func TestCommandsPageHoldsWhatItSays(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"bbmd", "a", "b=c d", "e"}, shellWords("bbmd a b='c d' e"))
	require.Equal(t, map[string]string{"a": "x\ny", "b": ""}, sectionsOf("# t\n## a\nx\ny\n## b"))
}
