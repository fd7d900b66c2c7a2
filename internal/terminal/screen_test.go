package terminal_test

import (
	"bytes"
	"math"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/terminal"
)

func TestDetectPipeAndFile(t *testing.T) {
	t.Parallel()
	var buffer bytes.Buffer
	require.Equal(t, terminal.Screen{Out: &buffer}, terminal.Detect(&buffer, os.Getenv))
	file, err := os.Create(t.TempDir() + "/out")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	require.Equal(t, terminal.Screen{Out: file}, terminal.Detect(file, os.Getenv))
}

func TestPaint(t *testing.T) {
	t.Parallel()
	require.Equal(t, "\x1b[31mx\x1b[0m", terminal.Screen{Color: true}.Paint(terminal.Red, "x"))
	require.Equal(t, "x", terminal.Screen{Color: true}.Paint(terminal.Plain, "x"))
	require.Equal(t, "x", terminal.Screen{}.Paint(terminal.Red, "x"))
}

func TestFigures(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"0":          terminal.Count(0),
		"999":        terminal.Count(999),
		"1,000":      terminal.Count(1000),
		"-1,234,567": terminal.Count(-1234567),
		"0/s":        terminal.Rate(0),
		"0.5/s":      terminal.Rate(0.5),
		"10/s":       terminal.Rate(9.96),
		"950/s":      terminal.Rate(950),
		"1.0k/s":     terminal.Rate(999.9),
		"9.5k/s":     terminal.Rate(9_500),
		"152k/s":     terminal.Rate(151_832),
		"1.0M/s":     terminal.Rate(999_999),
		"2.5G/s":     terminal.Rate(2_500_000_000),
		"0.0%":       terminal.Percent(-1),
		"43.2%":      terminal.Percent(43.29),
		"0.3%":       terminal.Percent(0.3),
		"99.9%":      terminal.Percent(99.99),
		"100%":       terminal.Percent(100),
		"0.0s":       terminal.Duration(-time.Second),
		"1ms":        terminal.Duration(time.Microsecond),
		"99ms":       terminal.Duration(99 * time.Millisecond),
		"0.1s":       terminal.Duration(99600 * time.Microsecond),
		"0.4s":       terminal.Duration(400 * time.Millisecond),
		"10s":        terminal.Duration(9990 * time.Millisecond),
		"59s":        terminal.Duration(59400 * time.Millisecond),
		"1m 00s":     terminal.Duration(59600 * time.Millisecond),
		"3m 20s":     terminal.Duration(200 * time.Second),
		"1h 00m":     terminal.Duration(time.Hour - 100*time.Millisecond),
		"2h 05m":     terminal.Duration(2*time.Hour + 5*time.Minute),
		"1d 0h":      terminal.Duration(24 * time.Hour),
		"4d 7h":      terminal.Duration(103 * time.Hour),
		"1.5s":       terminal.Seconds(1.5),
		"500y":       terminal.Seconds(500 * 365 * 24 * 3600),
		"∞":          terminal.Seconds(1e30),
		"999 B":      terminal.Bytes(999),
		"1.0 kB":     terminal.Bytes(1000),
		"48 MB":      terminal.Bytes(48 << 20),
		"1.5 GB":     terminal.Bytes(3 << 29),
		"-2.0 TB":    terminal.Bytes(-2 << 40),
		"8192 PB":    terminal.Bytes(math.MaxInt64),
	} {
		require.Equal(t, want, got)
	}
}

func TestCleanDisarms(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a b c", terminal.Clean(" a\n\tb  c "))
	require.Equal(t, "\uFFFD[2Jx\uFFFDy", terminal.Clean("\x1b[2Jx\u202ey"))
}

func TestWrapAndFit(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"a b"}, terminal.Wrap("a b", 0))
	require.Equal(t, []string{"aa bb", "cc"}, terminal.Wrap("aa bb cc", 5))
	require.Equal(t, []string{"a", "bbbb", "bb c"}, terminal.Wrap("a bbbbbb c", 4))
	require.Equal(t, "ab…", terminal.Fit("abcd", 3))
	require.Equal(t, "漢…", terminal.Fit("漢字です", 4))
	require.Equal(t, "", terminal.Fit("abcd", 0))
	require.Equal(t, "…", terminal.Fit("abcd", 1))
}

func FuzzCleanWrapFit(f *testing.F) {
	f.Add("hello world\x1b[2J 漢字", 7)
	f.Add("", 0)
	f.Add("\xff\xfe", 1)
	f.Fuzz(func(t *testing.T, text string, width int) {
		if width > 200 || width < 0 {
			t.Skip()
		}
		clean := terminal.Clean(text)
		require.False(t, strings.ContainsFunc(clean, unicode.IsControl))
		require.LessOrEqual(t, terminal.Width(terminal.Fit(clean, width)), width)
		lines := terminal.Wrap(clean, width)
		require.Equal(t, strings.ReplaceAll(clean, " ", ""), strings.ReplaceAll(strings.Join(lines, ""), " ", ""), "nothing is lost")
		if width > 1 {
			for _, line := range lines {
				require.LessOrEqual(t, terminal.Width(line), width)
			}
		}
	})
}

func TestTable(t *testing.T) {
	t.Parallel()
	table := terminal.NewTable(terminal.Column{Title: "NAME", Cut: true}, terminal.Column{Title: "ROWS", Right: true},
		terminal.Column{Title: "WORK", Optional: true}, terminal.Column{Title: "T", Optional: true})
	table.Row(terminal.Cell{Text: "users", Style: terminal.Bold}, terminal.Cell{Text: "12"}, terminal.Cell{Text: "a_work_with_a_long_name"}, terminal.Cell{Text: "t"})
	table.Note(terminal.Red, "something is wrong\nwith it, which takes many words")
	table.Row(terminal.Cell{Text: "an_even_longer_name"}, terminal.Cell{}, terminal.Cell{Text: "x"}, terminal.Cell{Text: "u"})

	write := func(s terminal.Screen) string {
		var out bytes.Buffer
		s.Out = &out
		require.NoError(t, table.Write(s))
		return out.String()
	}
	require.Equal(t, `
NAME                 ROWS  WORK                     T
users                  12  a_work_with_a_long_name  t
  └ something is wrong with it, which takes many words
an_even_longer_name        x                        u
`, "\n"+write(terminal.Screen{}))
	require.Contains(t, write(terminal.Screen{Width: 50}), "WORK\n")
	require.Equal(t, `
NAME           ROWS
users            12
  └ something is
    wrong with it,
    which takes
    many words
an_even_long…
`, "\n"+write(terminal.Screen{Width: 19}))
	require.Contains(t, write(terminal.Screen{Color: true}), "\x1b[1musers\x1b[0m                  12")

	table.Row(terminal.Cell{Text: "of one cell"})
	require.Contains(t, write(terminal.Screen{}), "\nof one cell\n")
	require.Contains(t, write(terminal.Screen{Width: 50}), "\nof one cell\n")
}
