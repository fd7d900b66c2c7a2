package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

var (
	errNoID  = errors.New(`"id" is missing or not positive`)
	errNoSeq = errors.New(`"seq" is missing or not positive`)
	errNoSQL = errors.New(`"sql" is missing or empty`)
)

func (m Init) check() error {
	if m.Protocol <= 0 {
		return errors.New(`"protocol" is missing`)
	}
	return nil
}

func (m Task) check() error {
	switch {
	case m.ID <= 0:
		return errNoID
	case m.Work == "":
		return errors.New(`"work" is missing`)
	case len(bytes.TrimSpace(m.Arguments)) == 0 || bytes.TrimSpace(m.Arguments)[0] != '{':
		return errors.New(`"arguments" is not an object`)
	default:
		return nil
	}
}

func (m Rows) check() error     { return checkAnswer(m.ID, m.Seq) }
func (m OK) check() error       { return checkAnswer(m.ID, m.Seq) }
func (m Error) check() error    { return checkAnswer(m.ID, m.Seq) }
func (m Cancel) check() error   { return checkID(m.ID) }
func (m Shutdown) check() error { return nil }

func (m Hello) check() error {
	if m.Protocol <= 0 {
		return errors.New(`"protocol" is missing`)
	}
	return nil
}

func (m Query) check() error {
	if m.MaxRows < 0 {
		return errors.New(`"max_rows" is negative`)
	}
	return errors.Join(checkAnswer(m.ID, m.Seq), m.Statement.check())
}

func (m Exec) check() error { return errors.Join(checkAnswer(m.ID, m.Seq), m.Statement.check()) }

func (s Statement) check() error {
	if strings.TrimSpace(s.SQL) == "" {
		return errNoSQL
	}
	return nil
}

func (m Done) check() error {
	if m.Wrong < 0 || m.Affected != nil && *m.Affected < 0 {
		return errors.New("negative number of rows")
	}
	for i, s := range m.Statements {
		if err := s.check(); err != nil {
			return fmt.Errorf("statement %d: %w", i+1, err)
		}
	}
	return checkID(m.ID)
}

func (m Fail) check() error         { return checkID(m.ID) }
func (m Unverifiable) check() error { return checkID(m.ID) }
func (m Log) check() error          { return nil }

func checkID(id int64) error {
	if id <= 0 {
		return errNoID
	}
	return nil
}

func checkAnswer(id, seq int64) error {
	if id > 0 && seq <= 0 {
		return errNoSeq
	}
	return checkID(id)
}
