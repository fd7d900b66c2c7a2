package migrations

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// copyColumns say what the columns of a row that is written get. In JSON they
// are an array of names, of columns that both tables have, or an object of names and
// expressions.
type copyColumns []copiedColumn

// copiedColumn is one column of the table that is written.
type copiedColumn struct {
	Name       string // as stored
	Expression string // in SQL; empty: the column of the same name
}

// UnmarshalJSON keeps the order of an array, and sorts an object's names, so
// that the same arguments always make the same statement.
func (c *copyColumns) UnmarshalJSON(raw []byte) error {
	var names []string
	if err := json.Unmarshal(raw, &names); err == nil {
		*c = nil
		for _, name := range names {
			*c = append(*c, copiedColumn{Name: name})
		}
		return nil
	}
	var expressions map[string]string
	if err := json.Unmarshal(raw, &expressions); err != nil {
		return errors.New(`argument "columns" has to be an array of names, ["id", "state"], or an object of names and expressions, {"id": "id", "state": "lower(state)"}`)
	}
	*c = nil
	for _, name := range slices.Sorted(maps.Keys(expressions)) {
		expression := expressions[name]
		if expression == "" {
			expression = " " // empty means the column itself; this is refused
		}
		*c = append(*c, copiedColumn{Name: name, Expression: expression})
	}
	return nil
}

func (c copyColumns) validate() error {
	if len(c) == 0 {
		return errors.New(`argument "columns" is missing: name the columns to write`)
	}
	var problems []error
	names := c.names()
	for i, column := range c {
		if strings.TrimSpace(column.Name) == "" {
			problems = append(problems, errors.New(`argument "columns" has an empty name`))
		}
		if slices.Contains(names[:i], column.Name) {
			problems = append(problems, fmt.Errorf(`argument "columns" names %q twice`, column.Name))
		}
		if column.Expression != "" {
			problems = append(problems, requireExpression("columns."+column.Name, column.Expression))
		}
	}
	return join(problems...)
}

// names returns the columns of the table that is written, in a fresh slice.
func (c copyColumns) names() []string {
	names := make([]string, len(c))
	for i, column := range c {
		names[i] = column.Name
	}
	return names
}

// expressions renders what is selected.
func (c copyColumns) expressions() string {
	texts := make([]string, len(c))
	for i, column := range c {
		texts[i] = column.expression()
	}
	return strings.Join(texts, ", ")
}

// source returns the column of that name.
func (c copyColumns) source(name string) (copiedColumn, bool) {
	for _, column := range c {
		if column.Name == name {
			return column, true
		}
	}
	return copiedColumn{}, false
}

func (c copiedColumn) expression() string {
	if c.Expression == "" {
		return quote(c.Name)
	}
	return parenthesized(c.Expression)
}

// sourceColumn returns the column of from that is copied as it is, and false
// for any other expression.
func (c copiedColumn) sourceColumn(from table) (string, bool) {
	if c.Expression == "" {
		return c.Name, true
	}
	text := strings.TrimSpace(c.Expression)
	for _, column := range from.columns {
		if text == column.SQL || text == quote(column.Name) {
			return column.Name, true
		}
	}
	return "", false
}

// plain reports whether the column is copied as it is.
func (c copiedColumn) plain(from table) bool {
	_, plain := c.sourceColumn(from)
	return plain
}
