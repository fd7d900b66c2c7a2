package dev

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// address is where the private server can be reached.
type address struct {
	port     int
	password string
}

// address returns where the private server is, or was last; before it was ever made,
// one that nobody answers at.
func (e *Environment) address() (address, error) {
	saved, err := e.home.readSettings()
	if err != nil {
		return address{}, err
	}
	password, err := os.ReadFile(filepath.Join(e.home.path(serverDir), "password"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return address{port: max(saved.Port, 1), password: rand.Text()}, nil
	case err != nil:
		return address{}, fmt.Errorf("read the private server's password: %w", err)
	default:
		return address{port: max(saved.Port, 1), password: strings.TrimSpace(string(password))}, nil
	}
}

// url returns the connection string of a database.
func (a address) url(database string) string {
	link := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(pgserver.User, a.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(a.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return link.String()
}

// names reports whether a connection string leads to the private server, or did when that
// had another port: nobody else has its password.
func (a address) names(conn string) bool {
	if conn == "" || !strings.Contains(conn, a.password) {
		return false
	}
	parsed, err := pgconn.ParseConfig(conn)
	return err == nil && parsed.Password == a.password && parsed.User == pgserver.User
}
