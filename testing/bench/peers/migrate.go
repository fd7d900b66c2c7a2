package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/golang-migrate/migrate/v4"
	_ "github.com/golang-migrate/migrate/v4/database/pgx/v5" // the scheme pgx5
	_ "github.com/golang-migrate/migrate/v4/source/file"     // the scheme file
)

// migratePeer applies directories by golang-migrate.
type migratePeer struct{}

func openMigrate(context.Context, []string) (peer, error) { return migratePeer{}, nil }

func (migratePeer) describe() answer {
	return answer{
		Name:     "golang-migrate " + version("github.com/golang-migrate/migrate/v4"),
		Settings: "migrate.New with the source file and the driver pgx5, Up, Close; a file for each direction",
	}
}

// do brings a database up, from opening it to closing it.
func (migratePeer) do(_ context.Context, q request) (_ answer, err error) {
	if q.Do != "up" {
		return answer{}, fmt.Errorf("golang-migrate cannot %q", q.Do)
	}
	began := time.Now()
	m, err := migrate.New((&url.URL{Scheme: "file", Path: filepath.ToSlash(q.Dir)}).String(), "pgx5://"+strings.TrimPrefix(q.URL, "postgres://"))
	if err != nil {
		return answer{}, err
	}
	if err := m.Up(); err != nil && !errors.Is(err, migrate.ErrNoChange) {
		return answer{}, errors.Join(err, closed(m))
	}
	if err := closed(m); err != nil {
		return answer{}, err
	}
	return answer{Took: time.Since(began)}, nil
}

func closed(m *migrate.Migrate) error {
	source, database := m.Close()
	return errors.Join(source, database)
}

func (migratePeer) close(context.Context) error { return nil }
