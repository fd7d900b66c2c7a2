package initialize

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
)

// mostSQL is how much SQL a models command may print.
const mostSQL = 64 << 20

// runModels runs the command that prints models. It is not told of a database: what it prints is
// to be the same everywhere.
func runModels(ctx context.Context, s Spec, log io.Writer) ([]text, error) {
	var sql bounded
	said := output{log: log}
	p := program{argv: s.Models.Command, dir: s.Dir, env: s.environ(), line: said.add, stdout: &sql}
	if err := p.run(ctx); err != nil {
		if sql.over {
			return nil, errors.New(p.name() + ": it printed more than 64 MB")
		}
		return nil, said.blame(err)
	}
	name := strings.Join(s.Models.Command, " ")
	if len(bytes.TrimSpace(sql.kept)) == 0 {
		return nil, errors.New(name + ": it printed nothing: SQL is expected on its standard output")
	}
	return []text{{name: name, sql: string(sql.kept)}}, nil
}

// bounded keeps what is written to it until that is too much.
type bounded struct {
	kept []byte
	over bool
}

// Write refuses what is too much, which ends the program.
func (b *bounded) Write(p []byte) (int, error) {
	if len(b.kept)+len(p) > mostSQL {
		b.over = true
		return 0, io.ErrShortWrite
	}
	b.kept = append(b.kept, p...)
	return len(p), nil
}
