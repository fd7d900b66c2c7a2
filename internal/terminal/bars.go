package terminal

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// Bar is one progress bar at one moment.
type Bar struct {
	Name  string
	Style Style   // of what is done
	Share float64 // 0 to 1; negative: nobody knows, and there is no bar
	Facts []Cell  // behind the bar, of equal meaning in all bars; where the screen is narrow the last go first
	Note  Cell    // below the bar; empty: none

	// Moved is when what the bar stands for got on for the last time. Where that
	// is long ago, and there is no Note, it is said below the bar. Zero: it need not move.
	Moved time.Time
}

// Bars are progress bars at the bottom of a terminal, which are redrawn in
// place several times a second. They are for a Screen that is Live. The methods
// may be called from any goroutine; Close ends it.
type Bars struct {
	screen   Screen
	progress *mpb.Progress
	unlisten func() bool

	mu    sync.Mutex
	bars  map[string]*Bar // by name
	drawn map[string]*mpb.Bar
}

// refreshRate is how often the terminal is redrawn: often enough for a clock
// that shows tenths of seconds to look alive.
const refreshRate = 120 * time.Millisecond

// NewBars returns no bars yet. They are drawn until Close, whatever ctx does; but
// when it ends it was perhaps by a Ctrl-C, whose echo has moved the cursor.
func (s Screen) NewBars(ctx context.Context) *Bars {
	b := &Bars{
		screen: s,
		bars:   map[string]*Bar{},
		drawn:  map[string]*mpb.Bar{},
		// mpb asks a real terminal for its width at every refresh.
		progress: mpb.New(mpb.WithOutput(s.Out), mpb.WithWidth(s.Width), mpb.WithAutoRefresh(), mpb.WithRefreshRate(refreshRate)),
	}
	b.unlisten = context.AfterFunc(ctx, b.toLineStart)
	return b
}

// toLineStart puts the cursor where mpb expects it.
func (b *Bars) toLineStart() { _, _ = io.WriteString(b.screen.Out, "\r") }

// Set shows a bar, or changes the one of its name.
func (b *Bars) Set(bar Bar) {
	bar.Name, bar.Note.Text = Clean(bar.Name), Clean(bar.Note.Text)
	for i := range bar.Facts {
		bar.Facts[i].Text = Clean(bar.Facts[i].Text)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bars[bar.Name] = &bar
	if b.drawn[bar.Name] != nil {
		return
	}
	name := bar.Name
	// Without a total mpb never takes it for completed.
	b.drawn[name] = b.progress.MustAdd(0,
		mpb.BarFillerFunc(func(w io.Writer, st decor.Statistics) error { return b.draw(w, name, st.AvailableWidth) }),
		mpb.BarFillerTrim(),
		mpb.BarExtender(mpb.BarFillerFunc(func(w io.Writer, st decor.Statistics) error { return b.drawNote(w, name, st.AvailableWidth) }), false))
}

// Write writes lines above the bars.
func (b *Bars) Write(text []byte) (int, error) {
	n, err := b.progress.Write(text)
	if errors.Is(err, mpb.ErrDone) {
		return b.screen.Out.Write(text)
	}
	return n, err
}

// Close draws the bars for the last time and leaves them where they are.
func (b *Bars) Close() {
	if !b.unlisten() {
		b.toLineStart()
	}
	b.mu.Lock()
	drawn := b.drawn
	b.drawn = nil
	b.mu.Unlock()
	for _, bar := range drawn {
		bar.Abort(false)
	}
	b.progress.Wait()
}

// longSilence is after how much of it one wonders.
const longSilence = 5 * time.Second

const (
	shortestBar = 10
	longestBar  = 40
	separator   = "  "
)

// draw draws one bar on a line of that width.
func (b *Bars) draw(to io.Writer, name string, width int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	bar := b.bars[name]
	nameWidth, factWidths := b.layout(width)
	room := width - nameWidth
	for _, w := range factWidths {
		room -= w + len(separator)
	}
	var line strings.Builder
	line.WriteString(b.screen.Paint(Bold, pad(Fit(bar.Name, nameWidth), nameWidth, false)))
	if length := min(longestBar, room-len(separator)); length >= shortestBar {
		line.WriteString(separator + b.screen.strip(bar.Style, bar.Share, length))
	}
	blank := ""
	for i, fact := range bar.Facts[:min(len(bar.Facts), len(factWidths))] {
		text := pad(fact.Text, factWidths[i], i == 0)
		content := strings.TrimRight(text, " ")
		blank += separator
		if content != "" {
			line.WriteString(blank + b.screen.Paint(fact.Style, content))
			blank = ""
		}
		blank += text[len(content):]
	}
	_, err := io.WriteString(to, line.String())
	return err
}

// layout returns how wide the names are, and the facts that have room.
func (b *Bars) layout(width int) (name int, facts []int) {
	for _, bar := range b.bars {
		name = max(name, Width(bar.Name))
		for i, fact := range bar.Facts {
			if i == len(facts) {
				facts = append(facts, 0)
			}
			facts[i] = max(facts[i], Width(fact.Text))
		}
	}
	used := func() int {
		sum := name + len(separator) + shortestBar
		for _, w := range facts {
			sum += len(separator) + w
		}
		return sum
	}
	for len(facts) > 1 && used() > width {
		facts = facts[:len(facts)-1]
	}
	if excess := used() - width; excess > 0 {
		name = max(leastColumn, name-excess)
	}
	return name, facts
}

// strip returns the bar itself. It can be read without colors as well.
func (s Screen) strip(style Style, share float64, length int) string {
	if share < 0 {
		return s.Paint(Dim, strings.Repeat("┄", length))
	}
	done := min(length, int(share*float64(length)+0.5))
	return s.Paint(style, strings.Repeat("━", done)) + s.Paint(Dim, strings.Repeat("─", length-done))
}

// drawNote draws what is below a bar.
func (b *Bars) drawNote(to io.Writer, name string, width int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	note := b.bars[name].Note
	if moved := b.bars[name].Moved; note.Text == "" && !moved.IsZero() && time.Since(moved) > longSilence {
		note = Cell{Text: "nothing new for " + Duration(time.Since(moved).Truncate(time.Second)), Style: Dim}
	}
	if note.Text == "" {
		return nil
	}
	var text strings.Builder
	screen := b.screen
	screen.Width = width
	WriteNote(&text, screen, gap, note)
	_, err := io.WriteString(to, text.String())
	return err
}
