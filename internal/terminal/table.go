package terminal

import (
	"fmt"
	"slices"
	"strings"
)

// Column is one column of a table.
type Column struct {
	Title string
	Right bool // figures
	// Optional columns are left out where the screen is too narrow, the last first.
	Optional bool
	// Cut columns are cut where the screen is still too narrow then.
	Cut bool
}

// Cell is a piece of text and how it looks.
type Cell struct {
	Text  string
	Style Style
}

// Table is rows under a head line. Rows may have notes: text that goes below
// them over the whole width.
type Table struct {
	columns []Column
	rows    []row
}

type row struct {
	cells []Cell
	notes []Cell
}

// NewTable returns an empty table.
func NewTable(columns ...Column) *Table { return &Table{columns: columns} }

// Row adds a row. Cells that are missing at its end are empty.
func (t *Table) Row(cells ...Cell) {
	all := make([]Cell, len(t.columns))
	for i := range copy(all, cells) {
		all[i].Text = Clean(all[i].Text)
	}
	t.rows = append(t.rows, row{cells: all})
}

// Note adds a note to the last row.
func (t *Table) Note(style Style, text string) {
	last := &t.rows[len(t.rows)-1]
	last.notes = append(last.notes, Cell{Text: Clean(text), Style: style})
}

const (
	gap         = 2 // columns between cells
	noteMark    = "└ "
	leastColumn = 10
)

// Write writes the table.
func (t *Table) Write(s Screen) error {
	widths := t.widths(s.Width)
	var text strings.Builder
	head := make([]Cell, len(t.columns))
	for i, c := range t.columns {
		head[i] = Cell{Text: c.Title, Style: Dim}
	}
	t.line(&text, s, widths, head)
	for _, r := range t.rows {
		t.line(&text, s, widths, r.cells)
		for _, note := range r.notes {
			WriteNote(&text, s, gap, note)
		}
	}
	if _, err := s.Out.Write([]byte(text.String())); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// WriteNote writes a note below a row or a line, indented by so many columns
// and wrapped to the screen's width.
func WriteNote(to *strings.Builder, s Screen, indent int, note Cell) {
	margin, mark := strings.Repeat(" ", indent), noteMark
	for _, line := range Wrap(Clean(note.Text), max(0, s.Width-indent-Width(mark))) {
		to.WriteString(margin + s.Paint(Dim, mark) + s.Paint(note.Style, line) + "\n")
		mark = strings.Repeat(" ", Width(mark))
	}
}

// line writes one line, without spaces at its end.
func (t *Table) line(to *strings.Builder, s Screen, widths []int, cells []Cell) {
	blank := 0
	for i, cell := range cells {
		if widths[i] == 0 {
			continue
		}
		text := Fit(cell.Text, widths[i])
		padded := pad(text, widths[i], t.columns[i].Right)
		if i > 0 {
			blank += gap
		}
		content := strings.TrimRight(padded, " ")
		if content == "" {
			blank += len(padded)
			continue
		}
		before := len(content) - len(strings.TrimLeft(content, " "))
		to.WriteString(strings.Repeat(" ", blank+before))
		to.WriteString(s.Paint(cell.Style, content[before:]))
		blank = len(padded) - len(content)
	}
	to.WriteString("\n")
}

// widths returns how wide the columns are on a screen of that width, 0: any. A
// column that is left out is 0 wide.
func (t *Table) widths(screen int) []int {
	widths := make([]int, len(t.columns))
	total := -gap
	for i, c := range t.columns {
		widths[i] = Width(c.Title)
		for _, r := range t.rows {
			widths[i] = max(widths[i], Width(r.cells[i].Text))
		}
		total += widths[i] + gap
	}
	if screen <= 0 {
		return widths
	}
	for i, c := range slices.Backward(t.columns) {
		if total > screen && c.Optional {
			total -= widths[i] + gap
			widths[i] = 0
		}
	}
	for i, c := range t.columns {
		if total > screen && c.Cut {
			cut := min(total-screen, max(0, widths[i]-leastColumn))
			widths[i] -= cut
			total -= cut
		}
	}
	return widths
}
