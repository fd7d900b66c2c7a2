package dashboard

import (
	"math"
	"strconv"
	"strings"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// The size of a chart's own coordinates; the page stretches them.
const (
	chartWidth  = 600.0
	chartHeight = 100.0
)

// chart is a line over the time of a migration.
type chart struct {
	Title     string
	Line      string // points of a polyline
	Area      string // points of a polygon below it
	Most      string // what the top stands for
	Last      string // the last value
	Reference string // y of a line that the values are steered to; empty: none
	Label     string // of that line
}

// chartsOf draws how a migration's batches have changed; nothing where there are too few.
func chartsOf(samples []control.BatchSample, target *float64) []chart {
	sizes := make([]point, 0, len(samples))
	times := make([]point, 0, len(samples))
	for _, s := range samples {
		sizes = append(sizes, point{float64(s.Ordinal), float64(s.BatchSize)})
		if s.Milliseconds != nil {
			times = append(times, point{float64(s.Ordinal), *s.Milliseconds})
		}
	}
	var all []chart
	if len(sizes) > 2 {
		all = append(all, draw("Keys per batch", sizes, nil, func(v float64) string { return count(int64(v)) }))
	}
	if len(times) > 2 {
		all = append(all, draw("Time per batch", times, target, func(v float64) string { return millis(&v) }))
	}
	return all
}

type point struct{ x, y float64 }

func draw(title string, points []point, reference *float64, label func(float64) string) chart {
	most := 0.0
	for _, p := range points {
		most = max(most, p.y)
	}
	if reference != nil {
		most = max(most, *reference)
	}
	most = max(most*1.05, 1e-9)
	first, last := points[0].x, points[len(points)-1].x
	y := func(v float64) string { return number(chartHeight * (1 - v/most)) }
	var line strings.Builder
	for _, p := range points {
		line.WriteString(number(chartWidth*(p.x-first)/max(last-first, 1)) + "," + y(p.y) + " ")
	}
	c := chart{Title: title, Line: strings.TrimSpace(line.String()), Most: label(most / 1.05), Last: label(points[len(points)-1].y)}
	c.Area = "0," + number(chartHeight) + " " + c.Line + " " + number(chartWidth) + "," + number(chartHeight)
	if reference != nil && *reference > 0 {
		c.Reference, c.Label = y(*reference), "target "+label(*reference)
	}
	return c
}

func number(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }
