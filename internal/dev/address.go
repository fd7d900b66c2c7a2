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
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// address is where the private server can be reached.
type address struct {
	port     int
	password string
	driver   string // of Python, that connection strings name; empty: none
}

// address returns where the private server is, or was last; before it was ever made,
// one that nobody answers at.
func (e *Environment) address() (address, error) {
	saved, err := e.home.readSettings()
	if err != nil {
		return address{}, err
	}
	at := address{port: max(saved.Port, 1), driver: saved.Driver}
	if e.options.Driver != nil {
		at.driver = *e.options.Driver
	}
	if at.driver != "" && !driverName.MatchString(at.driver) {
		return address{}, &config.KeyError{Key: "--driver", Reason: "it is not the name of a driver", Hint: "write it as in SQLAlchemy's URLs, such as asyncpg"}
	}
	password, err := os.ReadFile(filepath.Join(e.home.path(serverDir), "password"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		at.password = rand.Text()
		return at, nil
	case err != nil:
		return address{}, fmt.Errorf("read the private server's password: %w", err)
	default:
		at.password = strings.TrimSpace(string(password))
		return at, nil
	}
}

// driverName is what a driver may be called.
var driverName = regexp.MustCompile(`^[a-z0-9_]+$`)

// url returns the connection string of a database, in the form that everybody understands; or
// everybody who has the driver.
func (a address) url(database string) string {
	link := url.URL{
		Scheme:   "postgresql", // the shorter form is none of SQLAlchemy's
		User:     url.UserPassword(pgserver.User, a.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(a.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	if a.driver != "" {
		link.Scheme += "+" + a.driver
	}
	if a.driver == "asyncpg" {
		link.RawQuery = "ssl=disable"
	}
	return link.String()
}

// names reports whether a connection string leads to the private server, or did when that
// had another port: nobody else has its password.
func (a address) names(conn string) bool {
	if conn == "" || !strings.Contains(conn, a.password) {
		return false
	}
	plain, err := config.Database{URL: config.URL(conn)}.ConnString()
	if err != nil {
		return false
	}
	parsed, err := pgconn.ParseConfig(plain)
	return err == nil && parsed.Password == a.password && parsed.User == pgserver.User
}
