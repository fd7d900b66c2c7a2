package pgserver

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// hba lets in everyone who reaches the socket, whose directory is closed, and
// those who know the password.
const hba = `local all         all                trust
local replication all                trust
host  all         all  127.0.0.1/32  scram-sha-256
host  replication all  127.0.0.1/32  scram-sha-256
`

// settings returns the server's settings: ours, then those of the options.
func (s *Server) settings() map[string]string {
	settings := map[string]string{ //nolint:gosec // the name of a method, no password
		"listen_addresses":          "127.0.0.1",
		"port":                      strconv.Itoa(s.port),
		"unix_socket_directories":   s.run.socketDir(),
		"unix_socket_permissions":   "0700",
		"hba_file":                  s.hbaPath(),
		"max_connections":           "200",
		"max_prepared_transactions": "50",
		"wal_level":                 "logical",
		"max_wal_senders":           "50",
		"max_replication_slots":     "50",
		"max_wal_size":              "2GB",
		"jit":                       "off",
		"password_encryption":       "scram-sha-256", // before PostgreSQL 14 it is another, which pg_hba.conf refuses
		"log_line_prefix":           "%m [%p] %q%d %a: ",
		"log_timezone":              "UTC",
		"timezone":                  "UTC",
		"lc_messages":               "C",
	}
	if !s.options.Durable {
		settings["fsync"] = "off"
		settings["full_page_writes"] = "off"
	}
	maps.Copy(settings, s.options.Settings)
	return settings
}

// writeSettings writes the settings beside the data directory, where the
// server's user can read but not change them.
func (s *Server) writeSettings() error {
	var conf bytes.Buffer
	settings := s.settings()
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&conf, "%s = %s\n", name, quoteSetting(settings[name]))
	}
	for path, content := range map[string][]byte{s.settingsPath(): conf.Bytes(), s.hbaPath(): []byte(hba)} {
		if err := os.WriteFile(path, content, 0o644); err != nil { //nolint:gosec // the server's user reads it, and nothing in it is secret
			return fmt.Errorf("write settings: %w", err)
		}
	}
	return nil
}

func (s *Server) settingsPath() string { return filepath.Join(s.base, "postgresql.conf") }

func (s *Server) hbaPath() string { return filepath.Join(s.base, "pg_hba.conf") }

// quoteSetting writes a value as postgresql.conf reads it.
func quoteSetting(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", "''", "\n", `\n`).Replace(value) + "'"
}

// LogTail returns up to that many of the last lines of the server's log.
func (s *Server) LogTail(lines int) string {
	log, err := os.Open(s.LogPath())
	if err != nil {
		return ""
	}
	defer log.Close() //nolint:errcheck // only read
	const most = 256 << 10
	if info, err := log.Stat(); err == nil && info.Size() > most {
		if _, err := log.Seek(-most, io.SeekEnd); err != nil {
			return ""
		}
	}
	content, err := io.ReadAll(log)
	if err != nil {
		return ""
	}
	all := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
