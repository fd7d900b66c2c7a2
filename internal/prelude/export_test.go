package prelude

import "io"

// NewLine returns a line between what is read and what is written.
func NewLine(r io.Reader, w io.Writer) *Line { return &Line{r: r, w: w} }
